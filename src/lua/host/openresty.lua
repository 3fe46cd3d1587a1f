-- OpenResty, and nginx with its Lua module: a wait sleeps on a semaphore in the request, timer or
-- light thread it belongs to. One timer per worker, the pump, hears of what is ready through a
-- socket of the module's and only posts semaphores: no code of a request ever runs in it.
--
-- Tasks run in light threads of the request that starts them, so nginx ends them with it. A sleeper
-- whose thread nginx has killed is found by its semaphore, on which nobody waits any more. User
-- code waits in ways of its own, so beside it a guard sleeps, in a light thread of the request.
local core = ...

local ngx = core.globals.ngx
local get_phase = ngx.get_phase
local getinfo = core.globals.debug.getinfo
local now, within, hosted = core.now, core.within, core.hosted
local max, min, next = math.max, math.min, next
local pcall, setmetatable, xpcall = pcall, setmetatable, xpcall
local running, status = coroutine.running, coroutine.status
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

local TICK_S = 0.25 -- how often somebody looks after killed threads, and whether it is needed
local POLL_S = 0.005 -- how often a sleeper looks by itself while there is no pump
local LEAP_S = 0.001 -- how often a sleeper looks whether virtual time may leap
local GUARD_S = 1 -- how often a guard looks whether its coroutine still lives
local LONG_S, LONG_MS = 60, 86400000
local START_MS, AGAIN_MS = 1000, 5000 -- until a pump must have begun, until the next is tried
local COLLECT_MS = 1000 -- between two collections that an abandoned handle asks for

local requests = setmetatable({}, { __mode = "k" }) -- coroutine with a record -> its ngx.ctx
local parked = {} -- sleepers in a semaphore
local spare = {} -- semaphores nobody uses
local pollers = {} -- sleepers that wait for any delivery
local delivered = 0
local pump -- {since, ready}, while there is one
local pump_again = 0 -- when the next may be tried
local collect_again = 0
local complained = false

-- Sleepers

local Sleeper = {}
Sleeper.__index = Sleeper

function host.sleeper(context)
  local spot = #spare
  local semaphore = spare[spot] or require("ngx.semaphore").new(0)
  spare[spot] = nil
  return setmetatable({ semaphore = semaphore, context = context }, Sleeper)
end

-- Ends the present wait, if there is one.
function Sleeper:nudge()
  if parked[self] and not self.posted then
    self.posted = true
    self.semaphore:post(1)
  end
end

function Sleeper:wake()
  self.woken = true
  self:nudge()
end

-- Waits for a nudge. One that came together with the end of the time must not stay behind.
function Sleeper:park(seconds)
  parked[self] = true
  self.semaphore:wait(max(seconds, 0.001))
  if self.semaphore:count() > 0 then
    self.semaphore:wait(0)
  end
  parked[self], self.posted = nil, nil
end

-- Whether nobody waits in it, though it is parked: then nginx has killed its thread.
function Sleeper:is_lost()
  return self.semaphore:count() >= (self.posted and 1 or 0)
end

function Sleeper:done()
  spare[#spare + 1] = self.semaphore
end

local function reap()
  local lost = {}
  for sleeper in next, parked do
    if sleeper:is_lost() then
      lost[#lost + 1] = sleeper
    end
  end
  for i = 1, #lost do
    parked[lost[i]] = nil
    core.lost(lost[i].context)
  end
end

-- The pump

local function turn()
  local count, more = core.pump()
  if count > 0 then
    delivered = delivered + count
    for sleeper in next, pollers do
      sleeper:wake()
    end
  end
  return more or count > 0
end

local function complain(what, err)
  ngx.log(ngx.ERR, "zigllms: ", what, ": ", (core.describe(err)))
end

local function connect()
  local path = core.open_door()
  local socket = ngx.socket.tcp()
  socket:settimeouts(1000, 1000, LONG_MS)
  local ok, err = socket:connect("unix:" .. path)
  if not ok then
    error("cannot connect to " .. path .. ": " .. err)
  end
  core.let_in()
  return socket
end

-- Until nobody sleeps any more. The token wakes the pump, so that it sees that it is over.
local function look_around(mine)
  while pump == mine do
    ngx.sleep(TICK_S)
    reap()
    if core.listening() > 0 and ngx.worker.exiting() then
      core.end_links() -- nginx waits for timers that sleep
      core.end_servers()
    end
    if pump == mine and next(parked) == nil then
      pump = nil
      core.post(0)
    end
  end
end

local function pump_until_over(mine)
  local socket = connect()
  mine.ready = true
  ngx.thread.spawn(look_around, mine)
  repeat
    while turn() do -- luacheck: ignore
    end
  until pump ~= mine or not socket:receiveany(64) or pump ~= mine
  socket:close()
end

-- Without a pump the sleepers look by themselves.
local function give_up()
  pump, pump_again = nil, now() + AGAIN_MS
  for sleeper in next, parked do
    sleeper:nudge()
  end
end

-- A timer that nginx calls early, because it shuts down, is as good as any: requests still wait.
local function run_pump(_, mine)
  if pump ~= mine then
    return
  end
  local ok, err = pcall(pump_until_over, mine)
  if pump == mine then
    give_up()
  end
  if not ok and not complained then
    complained = true
    complain("waiting costs more, as nothing can wake it", err)
  end
end

-- nginx drops timers when too many run.
local function ensure_pump()
  if pump then
    if not pump.ready and now() - pump.since > START_MS then
      give_up()
    end
  elseif now() >= pump_again then
    pump = { since = now() }
    if not ngx.timer.at(0, run_pump, pump) then
      give_up()
    end
  end
end

-- A task with a handle, on which nobody waits so far.
local function is_alone(task)
  return task.id and not (task.observed or task.goes_on or next(task.joiners))
end

-- A request lasts as long as its light threads. When the coroutine that started a task is gone, its
-- handle may be out of reach (a loop over a stream that was left), and the collector knows.
local function look_for_handle(task)
  local creator = task.creator[1]
  if (creator and status(creator) ~= "dead") or now() < collect_again then
    return
  end
  task.creator, collect_again = nil, now() + COLLECT_MS
  collectgarbage()
end

function Sleeper:sleep(limit)
  ensure_pump()
  local task = core.outermost(self.context).task
  local alone = task and task.creator and is_alone(task)
  local longest = pump and pump.ready and (alone and TICK_S or LONG_S) or POLL_S
  if core.virtual then
    longest = LEAP_S -- nginx can be told of no timer that is due at once
  end
  self:park(limit and min((limit - now()) / 1000, longest) or longest)
  if not self.woken then
    turn()
    if alone and is_alone(task) and not self.woken then
      look_for_handle(task)
    end
  end
end

-- What the rest of the module asks

function host.check(func)
  local phase = get_phase()
  if not YIELDING[phase] then
    local text = "nginx cannot wait in its phase %q: use async=true, a timer (ngx.timer.at), or"
      .. " async=false, which blocks the whole worker"
    core.raise("unsupported", text:format(phase), func)
  end
end

function host.poll(timeout_ms)
  host.check("poll")
  local before = delivered
  turn()
  if delivered == before then
    ensure_pump()
    local sleeper = host.sleeper({})
    pollers[sleeper] = true
    sleeper:park(timeout_ms / 1000)
    pollers[sleeper] = nil
    sleeper:done()
    turn()
  end
  return delivered - before
end

local function in_timer(_, run, ...)
  run(...)
end

-- Starts `run` in a light thread of this request, or, where none can be started, in a timer.
function host.launch(task, run, ...)
  if not task.detached and core.isyieldable() then
    task.creator = setmetatable({ running() }, { __mode = "v" })
    return ngx.thread.spawn(run, ...)
  end
  return ngx.timer.at(0, in_timer, run, ...)
end

-- While nginx reads its configuration there are neither threads nor timers.
function host.launches()
  if get_phase() == "init" then
    local text = "nothing goes on by itself before nginx has workers: use async=false, or"
      .. " init_worker_by_lua"
    core.raise("unsupported", text)
  end
  return true
end

-- Calls `fn` soon, in a light thread of this request.
function host.defer(fn)
  local gate = require("ngx.semaphore").new(0)
  local function call()
    gate:wait(1)
    local ok, err = pcall(fn)
    if not ok then
      complain("a callback failed", err)
    end
  end
  local ok, err = host.launch({}, call)
  if not ok then
    complain("a callback cannot run", err)
  end
  gate:post(1)
end

core.kills_coroutines = true

function core.owner()
  return require("resty.core.base").get_request()
end

-- nginx tells of a coroutine what its memory says, also when that was freed with its request. So
-- only those of this very request are asked about; their `ngx.ctx` is the same table.
function core.recorded(co)
  requests[co] = YIELDING[get_phase()] and ngx.ctx or nil
end

function core.is_beneath(co)
  return requests[co] ~= nil and requests[co] == ngx.ctx and status(co) == "normal"
end

-- Among the functions of C that call Lua, only these can be yielded across.
function core.isyieldable()
  if not YIELDING[get_phase()] then
    return false
  end
  local level = 2
  repeat
    local frame = getinfo(level, "Sf")
    if frame and frame.what == "C" and frame.func ~= pcall and frame.func ~= xpcall then
      return false
    end
    level = level + 1
  until not frame
  return true
end

-- nginx uses coroutines again. Records are made by two functions; one of them must be running.
function core.is_leftover()
  local level = 2
  repeat
    local frame = getinfo(level, "f")
    if frame and (frame.func == within or frame.func == hosted) then
      return false
    end
    level = level + 1
  until not frame
  return true
end

-- Sleeps until the operation is over. Its semaphore tells when the request has ended, and the state
-- of the coroutine when only that has been killed.
local function guard(sleeper, co)
  repeat
    sleeper:park(GUARD_S)
  until sleeper.woken or status(co) == "dead"
  if not sleeper.woken then
    core.lost(sleeper.context)
  end
  sleeper:done()
end

-- Whether what is called in it may be killed at a yield. In a C call there are none, and a thread
-- cannot be started.
local function needs_guard(context)
  return not context.guard and not context.blocking and core.isyieldable()
end

function core.entering(context)
  context = core.outermost(context)
  if needs_guard(context) then
    ensure_pump()
    context.guard = host.sleeper(context)
    ngx.thread.spawn(guard, context.guard, running())
  end
end

function core.over(context)
  if context.guard then
    context.guard:wake()
  end
end

return host
