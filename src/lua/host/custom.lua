-- A loop of the user's: `{wait = function(fd, timeout_ms) … end}` comes back when the descriptor
-- is readable or the time is over. It may yield to whatever runs it.
local core = ...

local next, setmetatable = next, setmetatable

return function(adapter)
  local host = { name = "custom" }
  local parked = setmetatable({}, { __mode = "k" }) -- the `ready` of each who is in `wait`
  local owed = setmetatable({}, { __mode = "v" })

  -- Who delivers for others makes the descriptor quiet before they have seen it: it is kept
  -- readable until they have.
  function core.announce(count)
    if owed[1] and not parked[owed[1]] then
      owed[1], count = nil, 1
    end
    if count > 0 and not owed[1] then
      for ready in next, parked do
        if ready() then
          owed[1] = ready
          break
        end
      end
    end
    if owed[1] then
      core.post(0)
    end
  end

  local function wait(ready)
    parked[ready] = true
    local ok, err = core.guarded(adapter.wait, core.watch_fd(), core.next_timer())
    parked[ready] = nil
    if not ok then
      core.rethrow(err, "the wait function of the loop")
    end
  end

  function host.block(ready)
    while not ready() do
      core.announce((core.pump()))
      if not ready() then
        wait(ready)
      end
    end
  end

  return host
end
