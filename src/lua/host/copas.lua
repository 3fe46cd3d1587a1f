-- copas: as long as threads of its loop wait, one more, the pump, waits for the notifier's
-- descriptor and turns. What every version of copas can wait for is an object with LuaSocket's
-- methods, so the descriptor is dressed as one.
local core = ...

local copas = core.globals.package.loaded.copas
local error, next, pcall, setmetatable, type = error, next, pcall, setmetatable, type
local running, yield = coroutine.running, coroutine.yield

local host = { name = "copas" }
local sleepers = setmetatable({}, { __mode = "k" })
local pumping, turning = false, false
local silent -- a socket on which nothing ever arrives

local Sleeper = {}
Sleeper.__index = Sleeper

-- An object that LuaSocket's select takes for a socket, readable once.
local function dressed(getfd, dirty)
  local asked = false
  local function nothing()
    return 1
  end
  return {
    getfd = getfd,
    dirty = dirty,
    settimeout = nothing,
    close = nothing,
    receive = function()
      if asked then
        return "ready"
      end
      asked = true
      return nil, "timeout", ""
    end,
  }
end

local function clean()
  return false
end

local function turn()
  turning = true
  local ok, err = pcall(core.pump)
  turning = false
  return ok, err
end

-- Other threads have their turn after each of ours.
local function pump()
  local ok, err = turn()
  while ok and next(sleepers) do
    copas.receive(dressed(core.watch_fd, clean), 1)
    ok, err = turn()
  end
  pumping = false
  if not ok then
    host.start()
    error(err, 0)
  end
end

function host.start()
  if next(sleepers) and not pumping then
    pumping = true
    copas.addthread(pump)
  end
end

-- LuaSocket before 3 has no udp4; since then a udp has no descriptor until it is used.
local function open_silent()
  local socket = require("socket")
  return (socket.udp4 or socket.udp)()
end

-- Old versions cannot wake a thread. There it waits for a socket that says it has data already.
local function doze(sleeper)
  if copas.pauseforever then
    copas.pauseforever()
  elseif copas.wakeup then
    copas.sleep(-1)
  else
    silent = silent or open_silent()
    local function getfd()
      return silent:getfd()
    end
    local function dirty()
      return sleeper.woken or false
    end
    copas.receive(dressed(getfd, dirty), 1)
  end
end

function host.sleeper()
  return setmetatable({ thread = running() }, Sleeper)
end

function Sleeper:sleep()
  sleepers[self] = true
  host.start()
  if not self.woken then
    doze(self)
  end
end

-- Whoever delivers may do so outside of the pump, which then ends if this was the last one.
function Sleeper:wake()
  self.woken = true
  self:done()
  if copas.wakeup then
    copas.wakeup(self.thread)
  end
  if not turning then
    core.post(0)
  end
end

function Sleeper:done()
  sleepers[self] = nil
end

-- Versions before 2 do not tell whether their loop runs, and before 4 a thread already runs while
-- it is added: `zigllms.loop("copas")` says that the loop will run.
local function loops()
  return copas.running or core.loop() == "copas"
end

function host.is_here()
  return loops() and core.self() ~= core.main
end

-- A task of the module yields to copas: a thread yields in its place.
function host.relay(task, waits_for, queue)
  if not loops() or type(queue) ~= "table" or type(queue.push) ~= "function" then
    return false
  end
  copas.addthread(function()
    core.continue(task, yield(waits_for, queue))
  end)
  return true
end

return host
