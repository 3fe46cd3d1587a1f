-- `test.clock`: virtual time. What waits, and what moves time, is in `clock.rs` and `tasks.rs`.
local core = ...

local contexts, tasks, now, self = core.contexts, core.tasks, core.now, core.self
local error, pairs, setmetatable = error, pairs, setmetatable
local status, type = coroutine.status, type
local guarded, suspend, token = core.guarded, core.suspend, core.token

-- The longest time limit there is, and the last moment that the clock can tell.
local LONGEST_MS, LAST_MS = 1e12, 4e12

local Clock = {}
Clock.__index = Clock
Clock.__metatable = false

function Clock.__tostring()
  return "zigllms.Clock"
end

local function check_span(ms)
  if type(ms) ~= "number" or not (ms >= 0 and ms <= LONGEST_MS) then
    local wanted = "ms: expected a number of milliseconds from 0 to %.0f, got %s"
    local text = wanted:format(LONGEST_MS, core.shown_value(ms))
    core.raise("invalid_argument", text, "clock:advance")
  elseif now() + ms > LAST_MS then
    core.raise("invalid_argument", "ms: virtual time ends before that", "clock:advance")
  end
end

-- Gives everything its turn that is ready now.
local function settle(context)
  repeat
    local tok = token()
    core.lull(tok)
    suspend(context, tok)
  until not core.is_due()
end

-- Milliseconds of the monotonic clock.
function Clock.now()
  return now()
end

-- Moves time on by `ms`. What falls due on the way has its turn at its own time, in that order.
function Clock.advance(clock, ms)
  check_span(ms)
  if core.virtual ~= clock then
    core.raise("invalid_state", "this virtual time is over", "clock:advance")
  end
  local context = core.context() or {}
  core.check_wait(context, "clock:advance")
  local at = now() + ms
  repeat
    core.check_stop(context, "moving the clock")
    core.move_on(at)
    settle(context)
  until now() >= at
end

-- Whether a coroutine waits for something that only the host knows of.
local function is_elsewhere(co, me)
  return type(co) == "thread"
    and co ~= me
    and not tasks[co]
    and not core.is_asleep(co)
    and status(co) == "suspended"
end

-- Whether somebody waits in the way of the host's own loop: then time runs, as nobody tells the
-- module what for. Tasks that yield on their own account look after something, too.
function core.is_held()
  if core.queued() > 0 or core.has_relayed() then
    return true
  elseif core.kills_coroutines then
    return false -- it tells of a coroutine what its memory says
  end
  local me = self()
  if is_elsewhere(core.virtual.home[1], me) then
    return true
  end
  for co in pairs(contexts) do
    if is_elsewhere(co, me) then
      return true
    end
  end
  return false
end

local function finish(clock)
  if core.virtual == clock then
    core.virtual = nil
    core.end_virtual()
  end
end

-- The sentinel on the stack tells when a coroutine was left in the middle of it.
local function over(clock, sentinel, state, ok, ...)
  state.done = sentinel ~= nil
  finish(clock)
  if not ok then
    error((...), 0)
  end
  return ...
end

-- clock(fn) → fn's results
function core.lua.clock(fn)
  if core.virtual then
    local text = "time is virtual already: one clock at a time"
    core.raise("invalid_state", text, "test.clock")
  end
  local home = setmetatable({ self() }, { __mode = "v" })
  local clock = setmetatable({ home = home }, Clock)
  local sentinel, state = core.guard(finish, clock)
  core.virtual = clock
  core.begin_virtual()
  return over(clock, sentinel, state, guarded(fn, clock))
end

return core
