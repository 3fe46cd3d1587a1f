-- No event loop: a wait blocks the interpreter, and delivers what is ready meanwhile.
local core = ...

local host = { name = "blocking" }

function host.block(ready)
  while not ready() do
    core.turn()
  end
  core.announce(1)
end

return host
