-- cqueues: threads of a controller that wait sleep on conditions. As long as any does, one more
-- thread of that controller, the pump, polls the notifier's descriptor and turns.
local core = ...

local cqueues = core.globals.package.loaded.cqueues
local condition = require("cqueues.condition")
local error, next, pcall, setmetatable = error, next, pcall, setmetatable

local host = { name = "cqueues" }
local pumps = setmetatable({}, { __mode = "k" }) -- by controller; a pump must not know its own

local Sleeper = {}
Sleeper.__index = Sleeper

local descriptor = {
  pollfd = function()
    return core.watch_fd()
  end,
  events = function()
    return "r"
  end,
  timeout = function()
    local left = core.next_timer()
    return left and left / 1000
  end,
}

local function start(pump)
  pump.running = true
  cqueues.running():wrap(pump.run, pump)
end

-- Other threads have their turn after each of ours.
local function run(pump)
  local ok, err = pcall(core.pump)
  while ok and next(pump.sleepers) do
    cqueues.poll(descriptor, pump.condition)
    ok, err = pcall(core.pump)
  end
  pump.running = false
  if not ok then
    if next(pump.sleepers) then
      start(pump)
    end
    error(err, 0)
  end
end

-- A sleeper that is forgotten without having been woken must not keep the pump alive.
local function pump_of(controller)
  local pump = pumps[controller]
  if not pump then
    pump = { run = run, condition = condition.new() }
    pump.sleepers = setmetatable({}, { __mode = "k" })
    pumps[controller] = pump
  end
  return pump
end

function host.sleeper()
  local sleeper = { pump = pump_of((cqueues.running())), condition = condition.new() }
  return setmetatable(sleeper, Sleeper)
end

function Sleeper:sleep()
  local pump = self.pump
  pump.sleepers[self] = true
  if not pump.running then
    start(pump)
  end
  self.condition:wait()
end

-- Whoever delivers may do so outside of the pump, which then ends if this was the last one.
function Sleeper:wake()
  self:done()
  self.condition:signal()
  self.pump.condition:signal()
end

function Sleeper:done()
  self.pump.sleepers[self] = nil
end

-- Whether the running coroutine is a thread of a controller, and not one inside of it.
function host.is_here()
  local controller, inside = cqueues.running()
  return controller ~= nil and inside
end

-- A task of the module polls in the way of cqueues: a thread polls in its place.
function host.relay(task, signal, ...)
  local controller = cqueues.running()
  if signal ~= cqueues._POLL or not controller then
    return false
  end
  controller:wrap(function(...)
    core.continue(task, cqueues.poll(...))
  end, ...)
  return true
end

return host
