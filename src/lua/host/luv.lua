-- luv: coroutines of `spawn` and `run` are resumed from its loop. Whether that loop runs cannot be
-- asked, and it cannot be run inside itself: everybody else's wait blocks.
local core = ...

local host = { name = "luv", block = core.hosts.blocking.block }
local watcher

-- What was under way may have ended outside of the loop, which must not go on for it: so it is
-- asked in each round. libuv keeps the callback for ever: it must not keep the instance.
local function start_asking(uv)
  local prepare, ask = uv.new_prepare(), {}
  prepare:unref()
  local function before_waiting()
    ask.rest()
  end
  function watcher.on_rest(wanted)
    if not wanted then
      prepare:stop()
    elseif not ask.rest then
      prepare:start(before_waiting)
    end
    ask.rest = wanted and watcher.rest or nil
  end
end

function host.watch()
  if not watcher then
    local uv = core.globals.package.loaded.luv
    watcher = core.hosts.uv(uv)
    start_asking(uv)
  end
  watcher.watch()
end

return host
