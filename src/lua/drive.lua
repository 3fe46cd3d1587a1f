-- Drives machines: performs the steps they ask for and waits in the host's way.
--
-- A task is a coroutine of the module. A context is the record of one operation: the machine's
-- token, the context around it, its deadline, its stop flag, and where its chunks go. The context
-- of the running coroutine is what a new operation is nested in.
local core = ...

local abandon, chunk, now, step, token = core.abandon, core.chunk, core.now, core.step, core.token
local pipe_bytes, pipe_put, ready = core.pipe_bytes, core.pipe_put, core.ready
local arm, disarm = core.arm, core.disarm
local create, resume, running = coroutine.create, coroutine.resume, coroutine.running
local status, yield = coroutine.status, coroutine.yield
local error, next, pairs, pcall, select, type = error, next, pairs, pcall, select, type
local isyieldable = coroutine.isyieldable
local unpack = table.unpack or unpack -- luacheck: ignore

-- Outcomes, as raw.rs numbers them.
local START, READY, RETURNED, FINISHED, EMITTED, REFUSED, STOP = 0, 1, 2, 3, 4, 5, 6
-- Verbs, as drive.rs numbers them.
local DONE, FAIL, WAIT, CALL, RUN, FORK, EMIT = 1, 2, 3, 4, 5, 6, 7

-- Deliveries in one turn: a fast stream must not keep a blocked caller from its own result.
local FAIR = 64
-- Bytes a handle keeps for its reader before the producer waits.
local PIPE_LIMIT = 1048576

local MAIN = {} -- stands for the main thread, which has no coroutine object on 5.1
local BLOCKED = {} -- waits by polling instead of yielding
local SUSPEND = {} -- what the module yields; anything else is the user's own yield

local contexts = setmetatable({}, { __mode = "k" }) -- coroutine or MAIN -> context
local tasks = setmetatable({}, { __mode = "k" }) -- coroutine of the module -> task
local waiting = {} -- token -> coroutine or BLOCKED
local operations = setmetatable({}, { __mode = "v" }) -- token of a machine -> its context
local inside = {} -- token -> context that waits on it
local due = {} -- tokens and functions to be delivered at the next turn
local runnable = {} -- tasks that yielded on their own account
local active = 0 -- tasks that have not ended

local perform = {}
local turn

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

local function finish(task, ok, ...)
  if task.done then
    return
  end
  task.done, task.ok, task.n, task.values = true, ok, select("#", ...), { ... }
  active = active - 1
  tasks[task.co], contexts[task.co] = nil, nil
  for joiner in pairs(task.joiners) do
    due[#due + 1] = joiner
  end
  if task.reader then
    due[#due + 1] = task.reader
  end
  for i = 1, #task.callbacks do
    due[#due + 1] = task.callbacks[i]
  end
end

-- Looks at how a task came back from being resumed.
local function settle(task, alive, signal, ...)
  if status(task.co) ~= "dead" then
    if signal ~= SUSPEND then
      runnable[#runnable + 1] = task
    end
  elseif task.adopted then
    tasks[task.co] = nil
    if not alive then
      error(signal, 0)
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
  if type(item) == "function" then
    launch({}, item)
    return true
  end
  return wake(item)
end

local function deliver_due()
  local items = due
  due = {}
  for i = 1, #items do
    deliver(items[i])
  end
  return #items
end

local function resume_runnable()
  local items = runnable
  runnable = {}
  for i = 1, #items do
    continue(items[i])
  end
  return #items
end

-- Delivers what is ready; waits for the first delivery at most `timeout` ms (nil: as long as it
-- takes). Returns how many deliveries there were.
function turn(timeout)
  local count = deliver_due()
  if count > 0 or #due > 0 then
    timeout = 0
  end
  if resume_runnable() > 0 then
    timeout = earliest(timeout, 1)
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

local function overdue(context)
  return context.deadline and now() >= context.deadline
end

-- Steps a machine, unless its time is over.
local function proceed(context, machine, ...)
  local stop = stopped(context)
  if stop then
    return step(machine, STOP, false, stop.reason)
  elseif overdue(context) then
    return step(machine, STOP, true)
  end
  return step(machine, ...)
end

local function advance(context, machine, verb, ...)
  if verb == DONE then
    return true, ...
  elseif verb == FAIL then
    return false, ...
  end
  return advance(context, machine, perform[verb](context, machine, ...))
end

-- THE seam: every operation of every bridge passes here, whoever started it. Hooks and events of
-- an operation attach to its name and subject at this point.
local function operation(context, _name, _subject, machine)
  return advance(context, machine, proceed(context, machine, START))
end

-- The context of an operation that runs inside another one.
local function derive(parent, machine, deadline)
  local context = {
    parent = parent,
    token = machine,
    deadline = earliest(deadline, parent.deadline),
    sink = parent.sink,
    blocking = parent.blocking,
  }
  operations[machine] = context
  return context
end

perform[WAIT] = function(context, machine, tok, limit)
  if not stopped(context) then
    suspend(context, tok, earliest(limit, context.deadline))
  end
  return proceed(context, machine, READY)
end

local function called(context, machine, ok, ...)
  if ok then
    return proceed(context, machine, RETURNED, true, ...)
  end
  return proceed(context, machine, RETURNED, false, (...), core.describe((...)))
end

perform[CALL] = function(context, machine, limit, info, fn, argument)
  local inner = context
  if info then
    inner = derive(context, machine, limit)
    operations[machine] = context
    inner.sink = nil
    function info.cancelled()
      return stopped(inner) ~= nil or overdue(inner) or false
    end
  end
  return called(context, machine, within(inner, fn, argument, info))
end

perform[RUN] = function(context, machine, child, deadline, name, subject)
  operation(derive(context, child, deadline), name, subject, child)
  return step(machine, FINISHED)
end

perform[FORK] = function(context, machine, limit, children)
  local left, at, join = #children, 0, token()
  local function start_next()
    at = at + 1
    local child = children[at]
    if not child then
      return
    end
    launch(derive(context, child[1], child[2]), function()
      operation(contexts[self()], child[3], child[4], child[1])
      left = left - 1
      due[#due + 1] = join
      start_next()
      return true
    end)
  end
  for _ = 1, limit do
    start_next()
  end
  while left > 0 do
    suspend(context, join)
  end
  return step(machine, FINISHED)
end

local function emit_to_function(context, machine, sink)
  sink.count = sink.count + 1
  local ok, verdict = within(context, sink.fn, chunk(machine, sink.count))
  if not ok then
    return proceed(context, machine, RETURNED, false, verdict, core.describe(verdict))
  elseif verdict == false then
    return step(machine, REFUSED)
  end
  return proceed(context, machine, EMITTED)
end

-- Keeps the chunk for the handle's reader. With too much unread the producer waits, unless
-- somebody waits for the end or nobody can read any more.
local function emit_to_pipe(context, machine, sink)
  pipe_put(sink.task.pipe, machine)
  if sink.task.reader then
    due[#due + 1] = sink.task.reader
  end
  local task = sink.task
  while
    pipe_bytes(task.pipe) > PIPE_LIMIT
    and not (next(task.joiners) or task.released or stopped(context))
  do
    task.writer = token()
    suspend(context, task.writer, context.deadline)
    task = sink.task
    if overdue(context) then
      break
    end
  end
  return proceed(context, machine, EMITTED)
end

perform[EMIT] = function(context, machine)
  local sink = context.sink
  if not sink then
    chunk(machine, 0)
    return proceed(context, machine, EMITTED)
  elseif sink.fn then
    return emit_to_function(context, machine, sink)
  end
  return emit_to_pipe(context, machine, sink)
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

function core.cancel_operation(machine, reason)
  if operations[machine] then
    stop(operations[machine], reason)
  end
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

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

local function results(task)
  return unwrap(task.ok, unpack(task.values, 1, task.n))
end

-- A plain call. On the main thread it is a task of its own, so that callbacks may yield; in a
-- coroutine it runs right there, so that a raw yield of a callback reaches that one's resumer.
local function plain(context, face, name, subject, machine, func)
  local me = self()
  context.blocking = face == false
  if (may_yield(me, context) or face == "yield") and not can_yield() then
    abandon(machine)
    refuse_c_call(func)
  end
  if me == MAIN then
    local task = launch(context, operation, context, name, subject, machine)
    drain(task)
    return results(task)
  end
  local before = tasks[me]
  if face == "yield" and not before then
    tasks[me] = { co = me, adopted = true }
  end
  local function back(...)
    tasks[me] = before
    return unwrap(...)
  end
  return back(operation(context, name, subject, machine))
end

-- A public function that waits, in its three faces.
function core.waits(start, func)
  return function(...)
    local parent = contexts[self()]
    local machine, face, sink, deadline, name, subject = start(parent and parent.token or 0, ...)
    local context = {
      parent = parent,
      token = machine,
      deadline = earliest(deadline, parent and parent.deadline),
      sink = sink and { fn = sink, count = 0 },
    }
    operations[machine] = context
    if face == true or face == "stream" then
      return core.detach(context, face, name, subject, machine)
    end
    return plain(context, face, name, subject, machine, func)
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
    if task.writer then
      due[#due + 1] = task.writer
    end
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

function core.abandon_task(task)
  abandon(task.context.token or 0)
  for tok, context in pairs(inside) do
    if descends(context, task.context) then
      waiting[tok], inside[tok] = nil, nil
    end
  end
  finish(task, false, core.new_error("cancelled", "nobody was left to see the result"))
end

function core.unfinished()
  return active
end

function core.later(item)
  due[#due + 1] = item
end

function core.context()
  return contexts[self()]
end

core.turn, core.launch, core.cancel, core.join, core.pause = turn, launch, cancel, join, pause
core.results, core.suspend, core.operation = results, suspend, operation
core.guarded, core.check_stop = guarded, check_stop

return core
