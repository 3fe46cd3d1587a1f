-- OpenResty, and nginx with its Lua module: a wait sleeps on a semaphore in the request, timer or
-- light thread it belongs to. One timer per worker, the pump, hears of what is ready through a
-- socket of the module's and only posts semaphores: no code of a request ever runs in it.
--
-- Tasks run in light threads of the request that starts them, so nginx ends them with it. A sleeper
-- whose thread nginx has killed is found by its semaphore, on which nobody waits any more.
local core = ...

local ngx = core.globals.ngx
local now = core.now
local max, min, next, pcall, setmetatable = math.max, math.min, next, pcall, setmetatable
local host = { name = "openresty" }

-- Phases in which nginx lets Lua code yield.
local YIELDING = {
  rewrite = true,
  server_rewrite = true,
  access = true,
  content = true,
  timer = true,
  preread = true,
  ssl_cert = true,
  ssl_session_fetch = true,
  ssl_client_hello = true,
}

local TICK_S = 0.25 -- how often the pump looks after killed threads and whether it is needed
local POLL_S = 0.005 -- how often a sleeper looks by itself while there is no pump
local LONG_S, LONG_MS = 60, 86400000

local parked = {} -- sleepers in a semaphore
local spare = {} -- semaphores nobody uses
local pump = { running = false, needed = false }

local Sleeper = {}
Sleeper.__index = Sleeper

function host.check(func)
  local phase = ngx.get_phase()
  if not YIELDING[phase] then
    local text = "nginx cannot wait in its phase %q: use async=true, a timer (ngx.timer.at), or"
      .. " async=false, which blocks the whole worker"
    core.raise("unsupported", text:format(phase), func)
  end
end

-- Request data is a fresh table for each request.
function core.owner()
  local ok, ctx = pcall(function()
    return ngx.ctx
  end)
  return ok and ctx or nil
end

-- While nginx shuts down a worker it starts no timers: then sleepers look by themselves.
local function wake_all()
  for sleeper in next, parked do
    sleeper.semaphore:post(1)
  end
end

-- Ends what belonged to threads that nginx has killed.
local function reap()
  local lost = {}
  for sleeper in next, parked do
    if not sleeper.woken and sleeper.semaphore:count() >= 0 then
      lost[#lost + 1] = sleeper
    end
  end
  for i = 1, #lost do
    parked[lost[i]] = nil
    core.lost(lost[i].context)
  end
end

local function connect()
  local path = core.open_door()
  local socket = ngx.socket.tcp()
  socket:settimeouts(1000, 1000, LONG_MS)
  if socket:connect("unix:" .. path) then
    core.let_in()
    return socket
  end
end

local function deliver()
  repeat
    local count = core.turn(0)
  until count == 0
end

local tick

local function tick_later()
  return ngx.timer.at(TICK_S, tick)
end

-- Ends a pump that has nothing to do: its socket wakes it, so that it sees it.
function tick(ending)
  if not pump.running then
    return
  end
  reap()
  pump.needed = not ending and next(parked) ~= nil and tick_later()
  if not pump.needed then
    core.post(0)
  end
end

local function run_pump(ending)
  local ok, socket = pcall(connect)
  pump.needed = not ending and ok and socket and tick_later()
  while pump.needed do
    deliver()
    if not socket:receive(1) then
      break
    end
  end
  if ok and socket then
    socket:close()
  end
  pump.running = false
  wake_all()
end

local function ensure_pump()
  if not pump.running and not ngx.worker.exiting() then
    pump.running = ngx.timer.at(0, run_pump) and true or false
  end
end

function host.sleeper(context)
  local spot = #spare
  local semaphore = spare[spot] or require("ngx.semaphore").new(0)
  spare[spot] = nil
  return setmetatable({ semaphore = semaphore, context = context }, Sleeper)
end

function Sleeper:wake()
  self.woken = true
  self.semaphore:post(1)
end

function Sleeper:sleep(limit)
  ensure_pump()
  local longest = pump.running and LONG_S or POLL_S
  local left = limit and (limit - now()) / 1000 or longest
  parked[self] = true
  self.semaphore:wait(min(max(left, 0.001), longest))
  parked[self] = nil
  if not self.woken then
    core.turn(0)
  end
end

function Sleeper:done()
  if self.semaphore:count() == 0 then
    spare[#spare + 1] = self.semaphore
  end
end

-- Starts `run` in a light thread of this request, or, where there are none, in a timer.
function host.launch(run, detached, ...)
  if YIELDING[ngx.get_phase()] and not detached then
    local thread, err = ngx.thread.spawn(run, ...)
    return thread or core.raise("invalid_state", "cannot start a light thread: " .. err)
  end
  local function in_timer(ending, ...)
    if not ending then
      run(...)
    end
  end
  local ok, err = ngx.timer.at(0, in_timer, ...)
  return ok or core.raise("invalid_state", "cannot start a timer: " .. err)
end

-- Timers and threads need a request or a worker; while nginx reads its configuration there is none.
function host.launches()
  return ngx.get_phase() ~= "init"
end

-- Calls `fn` soon, in a light thread of this request.
function host.defer(fn)
  local gate = require("ngx.semaphore").new(0)
  host.launch(function()
    gate:wait(1)
    local ok, err = pcall(fn)
    if not ok then
      ngx.log(ngx.ERR, "zigllms: a callback failed: ", (core.describe(err)))
    end
  end)
  gate:post(1)
end

return host
