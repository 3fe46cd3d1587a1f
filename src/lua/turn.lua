-- Tasks and turns: who waits for what, and how it is delivered.
--
-- A task is a coroutine of the module. A context is the record of one operation: the machine's
-- token, the context around it, its deadline, its stop flag, and where its chunks go. The context
-- of the running coroutine is what a new operation is nested in.
local core = ...

local arm, disarm, now, ready, token = core.arm, core.disarm, core.now, core.ready, core.token
local create, resume, running = coroutine.create, coroutine.resume, coroutine.running
local status, yield = coroutine.status, coroutine.yield
local error, next, pairs, pcall = error, next, pairs, pcall
local select, setmetatable, type = select, setmetatable, type
local isyieldable = coroutine.isyieldable

-- Deliveries in one turn: a fast stream must not keep a blocked caller from its own result.
local FAIR = 64
-- Operations and tasks inside each other.
local MAX_DEPTH = 64

local MAIN = {} -- stands for the main thread, which has no coroutine object on 5.1
local BLOCKED = {} -- waits by polling instead of yielding
local SUSPEND = {} -- what the module yields; anything else is the user's own yield

local contexts = setmetatable({}, { __mode = "k" }) -- coroutine or MAIN -> context
local tasks = setmetatable({}, { __mode = "k" }) -- coroutine of the module -> task
local waiting = {} -- token -> coroutine or BLOCKED
local inside = {} -- token -> context that waits on it
local failures = {} -- errors that ended coroutines nobody waits for
local active = 0 -- tasks that have not ended

-- What the next turn delivers: tokens, functions, and tasks that yielded on their own account.
-- Items are taken one by one, so that a turn inside a delivery sees the rest.
local queue, first, last = {}, 1, 0

local turn

local function later(item)
  last = last + 1
  queue[last] = item
end

local function self()
  local co, main = running()
  if main or not co then
    return MAIN
  end
  return co
end

local function earliest(a, b)
  if a and b then
    return a < b and a or b
  end
  return a or b
end

local function stopped(context)
  while context do
    if context.stop then
      return context.stop
    end
    context = context.parent
  end
end

local function overdue(context)
  return context.deadline and now() >= context.deadline
end

local function descends(context, ancestor)
  while context do
    if context == ancestor then
      return true
    end
    context = context.parent
  end
  return false
end

-- pcall of Lua 5.1 cannot be yielded across, so there a callback gets a coroutine of its own and
-- its yields are passed on.
local guarded = pcall
if _VERSION == "Lua 5.1" and not jit then
  local function relay(co, me, ok, ...)
    if not ok then
      contexts[co] = nil
      return false, ...
    elseif status(co) == "dead" then
      contexts[co] = nil
      return true, ...
    end
    return relay(co, me, resume(co, yield(...)))
  end

  function guarded(fn, ...)
    local me = self()
    if me == MAIN then
      return pcall(fn, ...)
    end
    local co = create(function(...)
      return fn(...)
    end)
    contexts[co], tasks[co] = contexts[me], tasks[me]
    return relay(co, me, resume(co, ...))
  end
end

local function restore(me, before, ...)
  contexts[me] = before
  return ...
end

-- Calls a user function with `context` as what new operations are nested in.
local function within(context, fn, ...)
  local me = self()
  local before = contexts[me]
  contexts[me] = context
  return restore(me, before, guarded(fn, ...))
end

-- Lets a producer go on that waits for its reader.
local function unblock(task)
  if task.writer then
    later(task.writer)
  end
end

local function finish(task, ok, ...)
  if task.done then
    return
  end
  task.done, task.ok, task.n, task.values = true, ok, select("#", ...), { ... }
  active = active - 1
  tasks[task.co], contexts[task.co] = nil, nil
  for joiner in pairs(task.joiners) do
    later(joiner)
  end
  if task.reader then
    later(task.reader)
  end
  for i = 1, #task.callbacks do
    later(task.callbacks[i])
  end
end

-- Looks at how a task came back from being resumed.
local function settle(task, alive, signal, ...)
  if status(task.co) ~= "dead" then
    if signal ~= SUSPEND then
      later(task)
    end
  elseif task.adopted then
    tasks[task.co] = nil
    if not alive then
      failures[#failures + 1] = { signal }
    end
  elseif alive then
    finish(task, signal, ...)
  else
    finish(task, false, core.wrap(signal, "the spawned function"))
  end
end

local function continue(task, ...)
  if status(task.co) == "suspended" then
    settle(task, resume(task.co, ...))
  end
end

-- Starts `body` in a coroutine of the module, until its first wait. It returns ok and its results.
local function launch(context, body, ...)
  local task = { context = context, joiners = {}, callbacks = {}, done = false }
  task.co = create(body)
  active = active + 1
  tasks[task.co], contexts[task.co] = task, context
  continue(task, ...)
  return task
end

local function wake(tok)
  local who = waiting[tok]
  waiting[tok], inside[tok] = nil, nil
  if who and who ~= BLOCKED then
    local task = tasks[who]
    if task then
      continue(task)
    end
  end
  return who ~= nil
end

local function deliver(item)
  local kind = type(item)
  if kind == "function" then
    launch({}, item)
    return true
  elseif kind == "table" then
    continue(item)
    return false
  end
  return wake(item)
end

-- Delivers what was queued when it began; what is queued meanwhile waits for the next turn.
-- Returns how many deliveries there were, and whether anything ran at all.
local function deliver_queued()
  local count, upto, ran = 0, last, first <= last
  while first <= upto do
    local item = queue[first]
    queue[first] = nil
    first = first + 1
    if deliver(item) then
      count = count + 1
    end
  end
  return count, ran
end

-- Delivers what is ready; waits for the first delivery at most `timeout` ms (nil: as long as it
-- takes). Returns how many deliveries there were.
function turn(timeout)
  local count, ran = deliver_queued()
  if count == 0 and first <= last then
    timeout = earliest(timeout, 1) -- tasks that only yield must not spin
  elseif ran then
    timeout = 0 -- what the caller waits for may have happened
  end
  local tok, reason = ready(timeout)
  while tok do
    if reason then
      core.cancel_operation(tok, reason)
    end
    if reason or deliver(tok) then
      count = count + 1
    end
    if count >= FAIR then
      return count
    end
    tok, reason = ready(0)
  end
  return count
end

local function may_yield(me, context)
  return tasks[me] and not context.blocking
end

-- In a C call in between (a gsub callback, a metamethod) there is no way to wait by yielding.
local function can_yield()
  return not isyieldable or isyieldable()
end

local function refuse_c_call(func)
  local text = "cannot wait inside a C call (string.gsub, table.sort, a metamethod): "
  core.raise("unsupported", text .. "use async=true or async=false", func)
end

local function suspend_here()
  if not can_yield() then
    refuse_c_call("")
  end
  yield(SUSPEND)
end

local function suspend_until_delivered(context, tok)
  local me = self()
  inside[tok] = context
  if may_yield(me, context) then
    waiting[tok] = me
    repeat
      suspend_here()
    until not waiting[tok]
    return
  end
  waiting[tok] = BLOCKED
  while waiting[tok] do
    turn()
  end
end

-- Waits until `tok` is delivered, or `limit` has come.
local function suspend(context, tok, limit)
  if not limit then
    return suspend_until_delivered(context, tok)
  end
  arm(tok, limit)
  suspend_until_delivered(context, tok)
  disarm(tok)
end

-- Forgets all waits of an operation that will never go on.
local function forget(ancestor)
  for tok, context in pairs(inside) do
    if descends(context, ancestor) then
      waiting[tok], inside[tok] = nil, nil
      disarm(tok)
    end
  end
end

-- Stops an operation and everything inside it: each is told at its wait.
local function stop(context, reason)
  context.stop = context.stop or { reason = reason }
  local woken = {}
  for tok, waiter in pairs(inside) do
    if descends(waiter, context) then
      woken[#woken + 1] = tok
    end
  end
  for i = 1, #woken do
    wake(woken[i])
  end
end

local function cancel(task, reason)
  if task.done then
    return false
  end
  stop(task.context, reason)
  return true
end

-- Blocks until the task has ended. An interrupt (Ctrl-C) ends the wait and the operation.
local function drain(task)
  local ok, err = pcall(function()
    while not task.done do
      turn()
    end
  end)
  if not ok then
    cancel(task, "interrupted")
    error(err, 0)
  end
end

-- Raises if the operation around the caller has been stopped or has run out of time.
local function check_stop(context, what)
  local halt = stopped(context)
  if halt then
    core.raise("cancelled", "cancelled while " .. what, "", halt.reason or "")
  elseif overdue(context) then
    core.raise("timeout", "the time limit of the call around it was reached")
  end
end

-- Waits until `task` has ended or `limit` has come; true if it has ended.
local function join(task, limit)
  local context = contexts[self()] or {}
  if descends(context, task.context) then
    core.raise("invalid_state", "an operation cannot wait for itself")
  end
  while not task.done do
    check_stop(context, "waiting")
    if limit and now() >= limit then
      return false
    end
    local tok = token()
    task.joiners[tok] = true
    unblock(task)
    suspend(context, tok, earliest(limit, context.deadline))
    task.joiners[tok] = nil
  end
  return true
end

-- Waits until the moment `at` (clock milliseconds).
local function pause(at)
  local context = contexts[self()] or {}
  local tok = token()
  repeat
    check_stop(context, "sleeping")
    suspend(context, tok, earliest(at, context.deadline))
  until now() >= at
end

-- Tasks that have not ended, and callbacks that have not run.
function core.unfinished()
  return active + (last - first + 1)
end

-- Raises the first error of a coroutine that ended with one while nobody waited for it.
function core.raise_failure()
  local key, failure = next(failures)
  if key then
    failures = {}
    error(failure[1], 0)
  end
end

function core.context()
  return contexts[self()]
end

-- How deep an operation or task inside `parent` is nested. Each level takes C stack, and engines
-- end an endless recursion of coroutines badly.
function core.deeper(parent, func)
  local depth = (parent and parent.depth or 0) + 1
  if depth > MAX_DEPTH then
    local text = "operations are nested deeper than " .. MAX_DEPTH .. " levels"
    core.raise("invalid_state", text, func)
  end
  return depth
end

core.contexts, core.tasks, core.main = contexts, tasks, MAIN
core.self, core.earliest, core.stopped, core.overdue = self, earliest, stopped, overdue
core.descends, core.guarded, core.within, core.finish = descends, guarded, within, finish
core.launch, core.later, core.turn, core.unblock = launch, later, turn, unblock
core.may_yield, core.can_yield, core.refuse_c_call = may_yield, can_yield, refuse_c_call
core.suspend, core.forget, core.stop, core.cancel = suspend, forget, stop, cancel
core.drain, core.check_stop, core.join, core.pause = drain, check_stop, join, pause

return core
