-- copas: a thread of its loop waits as for a socket. The only thing that every version of copas can
-- wait for is an object with LuaSocket's methods, so the notifier's descriptor is dressed as one.
local core = ...

local copas = core.globals.package.loaded.copas
local host = { name = "copas" }

local function readable_once()
  local asked = false
  return {
    getfd = function()
      return core.fd()
    end,
    dirty = function()
      return false
    end,
    settimeout = function()
      return 1
    end,
    close = function()
      return 1
    end,
    receive = function()
      if asked then
        return "ready"
      end
      asked = true
      return nil, "timeout", ""
    end,
  }
end

-- Older versions than 2 do not tell whether their loop runs: there `zigllms.loop("copas")` says so.
function host.is_here()
  local here = copas.running or (copas.running == nil and core.loop() == "copas")
  return here and core.self() ~= core.main
end

function host.block(ready)
  core.watch_fd()
  while not ready() do
    if core.turn(0) == 0 and not ready() then
      copas.receive(readable_once(), 1)
    end
  end
end

return host
