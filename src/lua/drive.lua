-- Drives machines: performs the steps they ask for.
local core = ...

local chunk, step, token = core.chunk, core.step, core.token
local pipe_bytes, pipe_put = core.pipe_bytes, core.pipe_put
local contexts, tasks, MAIN = core.contexts, core.tasks, core.main
local earliest, overdue, self, stopped = core.earliest, core.overdue, core.self, core.stopped
local finish, guarded, nested = core.finish, core.guarded, core.nested
local later, launch, suspend, within = core.later, core.launch, core.suspend, core.within
local error, next, pcall, select = error, next, pcall, select
local setmetatable, type = setmetatable, type
local unpack = table.unpack or unpack -- luacheck: ignore

-- Outcomes, as raw.rs numbers them.
local START, READY, RETURNED, FINISHED, EMITTED, REFUSED, STOP = 0, 1, 2, 3, 4, 5, 6
local GO_ON = 8
-- Verbs, as drive.rs numbers them.
local DONE, FAIL, WAIT, CALL, RUN, FORK, EMIT, TELL, BEGIN = 1, 2, 3, 4, 5, 6, 7, 9, 10

-- Bytes a stream keeps for its reader before the producer waits.
local PIPE_LIMIT = 1048576

local hooked = core.hooked
local operations = setmetatable({}, { __mode = "v" }) -- token of a machine -> its context
local perform = {}

-- Ends an operation without a word to its caller; events tell others.
local function abandon(machine, refused)
  if core.abandon(machine, refused) then
    later(core.tell)
  end
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
local function operation(context, name, _subject, machine)
  if hooked[name] then
    return core.attend(context, name, machine)
  end
  return advance(context, machine, proceed(context, machine, START))
end

-- The context of an operation that runs inside another one.
local function derive(parent, machine, deadline)
  local context = nested(parent)
  context.deadline = earliest(deadline, parent.deadline)
  context.token, context.sink = machine, parent.sink
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

perform[CALL] = function(context, machine, limit, info, fn, argument, listens)
  local inner = context
  if info or listens then
    inner = derive(context, machine, limit)
    operations[machine] = context
    inner.sink = nil
  end
  if listens then
    return core.listen(context, inner, machine, fn, argument)
  elseif info then
    function info.cancelled()
      return stopped(inner) ~= nil or overdue(inner) or false
    end
  end
  return called(context, machine, within(inner, fn, argument, info))
end

-- What has ended needs not be found any more, unless something that it began still goes on: the
-- weak tables would grow until the next collection.
local function settle(parent, context)
  if not (context.children and next(context.children)) then
    parent.children[context] = nil
    operations[context.token] = nil
  end
end

perform[RUN] = function(context, machine, child, deadline, name, subject)
  local inner = derive(context, child, deadline)
  operation(inner, name, subject, child)
  settle(context, inner)
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
      local ok, err = guarded(operation, contexts[self()], child[3], child[4], child[1])
      left = left - 1
      later(join)
      start_next()
      return ok, err
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

perform[BEGIN] = function(context, machine, child, deadline, name, subject)
  launch(derive(context, child, deadline), function()
    local ok, err = guarded(operation, contexts[self()], name, subject, child)
    -- One that does not wait looks by itself before it does: nobody would take what was posted.
    if core.is_awaited(machine) then
      core.post(machine)
    end
    return ok, err
  end)
  return proceed(context, machine, READY)
end

-- There may be no chunk: whoever follows a run follows none inside it.
local function emit_to_function(context, machine, sink)
  local piece = chunk(machine, sink.count + 1)
  if not piece then
    return proceed(context, machine, EMITTED)
  end
  sink.count = sink.count + 1
  local ok, verdict = within(context, sink.fn, piece)
  if not ok then
    return proceed(context, machine, RETURNED, false, verdict, core.describe(verdict))
  elseif verdict == false then
    return step(machine, REFUSED)
  end
  return proceed(context, machine, EMITTED)
end

-- Keeps the chunk for the handle's reader. A stream with too much unread waits, unless somebody
-- waits for its end or nobody can read any more. Other handles keep what they got: their result
-- holds all of it anyway.
local function emit_to_pipe(context, machine, sink)
  pipe_put(sink.task.pipe, machine)
  if sink.task.reader then
    later(sink.task.reader)
  end
  local task = sink.task
  while
    task.is_stream
    and pipe_bytes(task.pipe) > PIPE_LIMIT
    and not (next(task.joiners) or task.callbacks[1] or task.released)
    and not (stopped(context) or overdue(context))
  do
    task.writer = token()
    suspend(context, task.writer, context.deadline)
    task = sink.task
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

-- Events come before what the machine asks for, and before its end.
perform[TELL] = function(context, machine)
  core.tell(context)
  return step(machine, GO_ON)
end

function core.cancel_operation(machine, reason)
  if operations[machine] then
    core.stop(operations[machine], reason)
  end
end

-- The context of a machine, while there is one.
function core.context_of(machine)
  return machine and operations[machine]
end

-- Ends an operation that was left by anything but its own end, with everything inside it.
local function leave(context)
  core.visit(context, function(inner)
    if core.is_apart(inner, context) then
      return false
    elseif inner.token then
      abandon(inner.token)
    end
  end)
  core.forget(context)
  core.stop(context, "the call around it was left")
end

-- A value that calls `lost(context)` when it is collected, and its state: `done` takes that back.
-- The closure is made in a function that returns: nginx uses the stack of a killed coroutine again,
-- and what a closure still shares with it becomes somebody else's.
function core.guard(lost, context)
  local state = { joiners = {}, done = false }
  local function tell()
    lost(context)
  end
  state.core = { abandon_task = tell, unblock = function() end }
  return core.handle(state), state
end

-- The thread that `context` ran in has been killed: so has the outermost operation in it.
function core.lost(context)
  context = core.outermost(context)
  core.over(context)
  leave(context)
  if context.task then
    core.bury(context.task)
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

-- Lua 5.1 and 5.2 cannot be asked whether a yield is possible; they say so when it was tried.
local function explained(err, func)
  if type(err) == "string" and err:find("attempt to yield", 1, true) then
    local text = "cannot wait inside a C call (" .. err .. "): use async=true or async=false"
    return select(2, pcall(core.raise, "unsupported", text, func))
  end
  return err
end

-- The operation in a coroutine: what leaves it by an error (an interrupt, a yield that is not
-- possible) or by being collected must not stay behind.
local function in_coroutine(context, func, name, subject, machine)
  local sentinel, state
  if not tasks[self()] then
    sentinel, state = core.guard(leave, context)
  end
  local function back(alive, ...)
    if sentinel then
      state.done = true
    end
    core.over(context)
    if alive then
      return ...
    end
    leave(context)
    return false, explained((...), func)
  end
  return back(guarded(operation, context, name, subject, machine))
end

-- On the main thread a call is a task of its own, so that callbacks may yield.
local function on_main(context, name, subject, machine)
  local task = launch(context, operation, context, name, subject, machine)
  if not task.done then
    core.drain(task)
  end
  return results(task)
end

-- Operations that mostly need not wait run where they were called, also on the main thread and in
-- a C call; if they do wait, the wait itself refuses what is not possible.
local INLINE = {
  memory_save = true,
  memory_load = true,
  memory_call = true,
  workflow_control = true,
}

-- Makes the running coroutine, which is somebody else's, ours to suspend. What it answers takes
-- that back; nothing if there is no need.
function core.lend(context)
  local me = self()
  if me == MAIN or tasks[me] or core.launcher() then
    return nil
  end
  tasks[me] = { co = me, lib = coroutine, adopted = true }
  core.count(context.group, 1)
  core.watch()
  return function()
    tasks[me] = nil
    core.count(context.group, -1)
  end
end

-- A plain call. In a coroutine it runs right there, so that a raw yield of a callback reaches
-- that one's resumer.
local function plain(context, face, name, subject, machine, func)
  if INLINE[name] and face ~= "yield" then
    return unwrap(in_coroutine(context, func, name, subject, machine))
  end
  local release = face == "yield" and core.lend(context)
  local function back(...)
    if release then
      release()
    end
    return ...
  end
  local ok, refusal = pcall(core.check_wait, context, func)
  if not ok then
    back()
    abandon(machine, 1)
    error(refusal, 0)
  elseif self() == MAIN then
    return on_main(context, name, subject, machine)
  end
  return unwrap(back(in_coroutine(context, func, name, subject, machine)))
end

-- The context of an operation that a call of a public function starts.
local function open(parent, machine, sink, deadline, depth)
  local context = {
    parent = parent,
    token = machine,
    deadline = earliest(deadline, parent and parent.deadline),
    sink = sink and { fn = sink, count = 0 },
    depth = depth,
    home = core.home(self()),
    group = parent and parent.group,
  }
  operations[machine] = context
  return core.attach(context)
end

-- The call in its face, once its machine is there.
local function begun(parent, depth, func, machine, face, sink, deadline, name, subject)
  if face == "detached" then
    parent = nil -- it outlives what is around it
  end
  local context = open(parent, machine, sink, deadline, depth)
  if face == true or face == "stream" or face == "detached" then
    return core.detach(context, face, name, subject, machine)
  end
  context.blocking = face == false or (face == nil and parent ~= nil and parent.blocking)
  return plain(context, face, name, subject, machine, func)
end

-- Without a machine the results are there already.
local function begin(parent, depth, func, machine, ...)
  if not machine then
    return ...
  end
  return begun(parent, depth, func, machine, ...)
end

-- A public function that waits, in its three faces.
function core.waits(start, func, number)
  return function(...)
    local parent = core.context()
    local deep_enough, depth = pcall(core.deeper, parent, func)
    if not deep_enough then
      core.count_call(number)
      core.ended(number, nil, depth.code)
      error(depth, 0)
    end
    return begin(parent, depth, func, start(core.machine_around(parent), ...))
  end
end

-- A public function of at most three arguments that mostly does not wait: the short way may answer
-- calls of up to two, with one result.
function core.perhaps(start, short, func, number)
  local slow = core.waits(start, func, number)
  return function(a, b, options)
    if options == nil then
      local done, result = short(a, b)
      if done then
        return result
      end
    end
    return slow(a, b, options)
  end
end

-- Nobody can see what the task ends with. A thread of the host's must come to its end by itself,
-- or the host would wait for it.
function core.abandon_task(task)
  if task.hosted then
    core.cancel(task, "nobody was left to see the result")
    return
  end
  leave(task.context)
  finish(task, false, core.new_error("cancelled", "nobody was left to see the result"))
end

core.results, core.operation = results, operation
core.perform, core.proceed, core.called = perform, proceed, called
core.advance, core.leave = advance, leave

return core
