-- cqueues: of the threads of one controller that wait, one polls the notifier's descriptor and
-- turns; the others sleep on conditions. Who is done hands the polling on.
local core = ...

local loaded = core.globals.package.loaded
local cqueues = loaded.cqueues
local condition = require("cqueues.condition")
local next, setmetatable = next, setmetatable

local host = { name = "cqueues" }
local leaders = setmetatable({}, { __mode = "k" }) -- controller -> sleeper
local asleep = setmetatable({}, { __mode = "k" }) -- controller -> its sleepers

local Sleeper = {}
Sleeper.__index = Sleeper

local descriptor = {
  pollfd = function()
    return core.fd()
  end,
  events = function()
    return "r"
  end,
  timeout = function()
    local left = core.next_timer()
    return left and left / 1000
  end,
}

function host.sleeper()
  local controller = cqueues.running()
  asleep[controller] = asleep[controller] or {}
  local sleeper = { controller = controller, condition = condition.new() }
  return setmetatable(sleeper, Sleeper)
end

function Sleeper:wake()
  self.woken = true
  self.condition:signal()
end

local function lead(self)
  leaders[self.controller] = self
  if core.turn(0) == 0 and not self.woken then
    cqueues.poll(descriptor)
  end
end

function Sleeper:sleep()
  local leader = leaders[self.controller]
  if leader == nil or leader == self then
    return lead(self)
  end
  asleep[self.controller][self] = true
  self.condition:wait()
  asleep[self.controller][self] = nil
end

function Sleeper:done()
  if leaders[self.controller] == self then
    leaders[self.controller] = nil
    local follower = next(asleep[self.controller])
    if follower then
      follower.condition:signal()
    end
  end
end

-- Whether the running coroutine is a thread of a controller, and not one inside of it.
function host.is_here()
  local controller, inside = cqueues.running()
  return controller ~= nil and inside
end

return host
