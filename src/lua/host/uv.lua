-- Delivery from a libuv loop (luv, Neovim): one poll handle per instance on the notifier's
-- descriptor, active while something is unfinished, so that it keeps no loop alive for nothing.
local core = ...

local error, ipairs, pcall = error, ipairs, pcall

-- `schedule` takes a function to where callbacks may do anything; nil calls it at once.
return function(uv, schedule)
  local watcher = {}
  local poll, home
  local inherited = {}
  local active, scheduled, holders = false, false, 0

  -- libuv keeps the last callback for ever: it must not keep the instance.
  local bell = {}
  local function on_poll()
    bell.rings()
  end

  local on_readable

  local function rest()
    local waited = core.unfinished() > 0 or core.listening() > 0 or holders > 0
    local wanted = waited and not scheduled
    bell.rings = wanted and on_readable or nil
    if wanted and not active then
      poll:start("r", on_poll)
    elseif active and not wanted then
      poll:stop()
    end
    active = wanted
    if watcher.on_rest then
      watcher.on_rest(wanted)
    end
  end

  -- What callbacks of the user's raised is the loop's to report, in its own way.
  local function report()
    if not schedule then
      return core.raise_failure()
    end
    for _, failure in ipairs(core.take_failures()) do
      schedule(function()
        error(failure[1], 0)
      end)
    end
  end

  -- A callback may run the loop itself until something else is delivered: so it is watched anew
  -- before the turn, too.
  local function deliver()
    scheduled = false
    rest()
    core.pump()
    rest()
    report()
  end

  function on_readable()
    if not schedule then
      return deliver()
    end
    scheduled = true
    rest()
    schedule(deliver)
  end

  -- After a fork the descriptor is another one. The handle from before is the parent's: to close
  -- it here would deafen the parent, whose epoll both share.
  local function open()
    local process = core.process()
    if process ~= home then
      inherited[#inherited + 1] = poll
      poll, home, active = uv.new_poll(core.watch_fd()), process, false
    end
  end

  watcher.rest = rest

  function watcher.watch()
    open()
    rest()
  end

  -- Watches also while nothing but `fn` waits.
  function watcher.hold(fn, ...)
    holders = holders + 1
    watcher.watch()
    local ok, a, b = pcall(fn, ...)
    holders = holders - 1
    rest()
    return ok, a, b
  end

  return watcher
end
