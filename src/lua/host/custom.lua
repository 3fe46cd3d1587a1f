-- A loop of the user's: `{wait = function(fd, timeout_ms) … end}` comes back when the descriptor
-- is readable or the time is over. It may yield to whatever runs it.
local core = ...

local pcall = pcall

return function(adapter)
  local host = { name = "custom" }

  function host.block(ready)
    core.watch_fd()
    while not ready() do
      if core.turn(0) == 0 and not ready() then
        local ok, err = pcall(adapter.wait, core.fd(), core.next_timer())
        if not ok then
          core.rethrow(err, "the wait function of the loop")
        end
      end
    end
  end

  return host
end
