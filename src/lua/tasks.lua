-- Tasks: operations and functions that run by themselves, and who waits for their end.
--
-- A task runs in a coroutine of the module, which turns resume; or, where the host has threads of
-- its own for that (nginx), in one of those: then it is `hosted`.
local core = ...

local now, token = core.now, core.token
local contexts, tasks, self = core.contexts, core.tasks, core.self
local descends, later, suspend = core.descends, core.later, core.suspend
local error, next, pairs, pcall = error, next, pairs, pcall
local rawget, select, setmetatable = rawget, select, setmetatable

-- In nginx `coroutine` is made of yields to it. Where there is no yielding, in a C call or one of
-- its phases, Lua's own functions do for a task that blocks.
local coroutine = coroutine
local own = coroutine
if rawget(coroutine, "_create") then
  own = {
    create = rawget(coroutine, "_create"),
    resume = rawget(coroutine, "_resume"),
    status = rawget(coroutine, "_status"),
  }
end

local relayed = setmetatable({}, { __mode = "k" }) -- tasks that the host's loop resumes
local failures = {} -- errors of code that nobody waits for
local active = 0 -- tasks that have not ended
local listening = 0 -- those that are there for what may come: they are no unfinished work

-- Lets a producer go on that waits for its reader.
local function unblock(task)
  if task.writer then
    later(task.writer)
  end
end

-- Tasks started inside one `run` are counted together.
local function count(group, change)
  active = active + change
  if group then
    group.active = group.active + change
    if group.active == 0 and group.waiter then
      later(group.waiter)
    end
  end
end

local function count_task(context, change)
  if context.aside then
    listening = listening + change
  else
    count(context.group, change)
  end
end

local function fail(err)
  failures[#failures + 1] = { err }
end

-- What awaiting the task gives from here on.
local function set_values(task, ok, ...)
  task.ok, task.n, task.values = ok, select("#", ...), { ... }
  for joiner in pairs(task.joiners) do
    later(joiner)
  end
  if task.reader then
    later(task.reader)
  end
end

-- The end, as those see it who wait for it.
local function conclude(task, ok, ...)
  task.done = true
  set_values(task, ok, ...)
  for i = 1, #task.callbacks do
    core.defer(task.callbacks[i])
  end
end

local function finish(task, ok, ...)
  if task.done then
    return
  end
  count_task(task.context, -1)
  local co = task.co or self()
  if tasks[co] == task then
    tasks[co], contexts[co] = nil, nil
  end
  conclude(task, ok, ...)
  if task.context.reports and not ok then
    fail((...))
  end
end

-- How the task's function ended: it returns ok and its results.
local function ended(task, alive, signal, ...)
  if alive then
    finish(task, signal, ...)
  else
    local what = task.context.reports and "a callback" or "the spawned function"
    finish(task, false, core.wrap(signal, what))
  end
end

-- Looks at how a task came back from being resumed.
local function settle(task, alive, signal, ...)
  if task.lib.status(task.co) ~= "dead" then
    if core.is_suspend(signal) then
      return
    elseif core.relay(task, signal, ...) then
      relayed[task] = true
    else
      task.yielded = true
      later(task)
    end
  elseif task.adopted then
    tasks[task.co] = nil
    if not alive then
      fail(signal)
    end
  else
    ended(task, alive, signal, ...)
  end
end

function core.continue(task, ...)
  relayed[task] = nil
  if task.lib.status(task.co) == "suspended" then
    if task.yielded then
      task.yielded = nil
      core.interrupt(task.co)
    end
    settle(task, task.lib.resume(task.co, ...))
  end
end

local function enter(task, co)
  task.context.home = core.home(co)
  tasks[co], contexts[co] = task, task.context
  core.recorded(co)
end

-- A task in a thread of the host, which may kill it in the middle. `sentinel` is only on the stack,
-- and tells when that has been collected.
local function hosted(sentinel, state, task, body, ...)
  enter(task, self())
  ended(task, pcall(body, ...))
  core.over(task.context)
  state.done = sentinel ~= nil
end

-- The task does not keep its thread alive: it may be killed, or never start.
local function start_hosted(host, task, body, ...)
  task.hosted, task.context.task = true, task
  local sentinel, state = core.guard(core.lost, task.context)
  local ok, err = host.launch(task, hosted, sentinel, state, task, body, ...)
  if not ok then
    state.done = true
    core.lost(task.context)
    core.raise("invalid_state", "cannot start a thread of nginx: " .. err)
  end
end

-- Starts `body`, which returns ok and its results, until its first wait.
local function launch(context, body, ...)
  local task = { context = context, joiners = {}, callbacks = {}, done = false }
  task.detached = context.detached
  local host = not context.blocking and core.launcher()
  task.owner = core.owner()
  count_task(context, 1)
  if host then
    start_hosted(host, task, body, ...)
  else
    task.lib = core.can_yield() and coroutine or own
    task.co = core.hook_lines(task.lib.create(body))
    enter(task, task.co)
    core.continue(task, ...)
  end
  return task
end

-- Runs a callback that nobody waits for; its error is reported.
function core.call_back(fn)
  launch({ reports = true }, fn)
end

-- Ends a task whose coroutine the host has killed: its callbacks belong to what is gone as well.
function core.bury(task)
  task.callbacks = {}
  finish(task, false, core.new_error("cancelled", "the request it belonged to has ended"))
end

local function cancel(task, reason)
  if task.done then
    return false
  elseif task.execution then
    return core.cancel_followed(task, reason)
  end
  core.stop(task.context, reason)
  return true
end

-- What an interrupted caller gets: the operation's own error tells what had arrived.
local function interrupted(task, err)
  cancel(task, "interrupted")
  local cancelled = core.is_error(err) and err.code == "cancelled" and task.done and not task.ok
  return cancelled and task.values[1] or err
end

-- Blocks the main thread until the task has ended. An interrupt (Ctrl-C) ends the wait and the
-- operation.
function core.drain(task)
  local ok, err = pcall(core.host(task.context).block, function()
    return task.done
  end)
  if not ok then
    error(interrupted(task, err), 0)
  end
end

-- Waits for `func` until `task` has ended, stands still, or `limit` has come; true if it has ended.
function core.join(task, limit, func)
  local context = core.context() or {}
  if not task.resting and descends(context, task.context) then
    core.raise("invalid_state", "an operation cannot wait for itself")
  end
  if not (task.done or task.resting) then
    core.check_wait(context, func)
  end
  while not (task.done or task.resting) do
    core.check_stop(context, "waiting")
    if limit and now() >= limit then
      return false
    end
    local tok = token()
    task.joiners[tok] = true
    unblock(task)
    suspend(context, tok, core.earliest(limit, context.deadline))
    task.joiners[tok] = nil
  end
  return task.done
end

-- Waits until the moment `at` (clock milliseconds).
function core.pause(at)
  local context = core.context() or {}
  core.check_wait(context, "sleep")
  local tok = token()
  repeat
    core.check_stop(context, "sleeping")
    suspend(context, tok, core.earliest(at, context.deadline))
  until now() >= at
end

-- Waits until every task of the group has ended.
function core.join_group(group)
  while group.active > 0 do
    local context = core.context() or {}
    core.check_stop(context, "waiting")
    group.waiter = token()
    suspend(context, group.waiter, context.deadline)
  end
end

function core.earliest(a, b)
  if a and b then
    return a < b and a or b
  end
  return a or b
end

-- Tasks that have not ended, and callbacks that have not run.
function core.unfinished()
  return active + core.queued()
end

-- Tasks that wait for what may come, for as long as the host delivers.
function core.listening()
  return listening
end

-- Whether a task waits in the way of the host's loop.
function core.has_relayed()
  return next(relayed) ~= nil
end

-- Takes the errors of code that nobody waited for: an array of {error}.
function core.take_failures()
  local taken = failures
  failures = {}
  return taken
end

-- Raises the first of them.
function core.raise_failure()
  local failure = core.take_failures()[1]
  if failure then
    error(failure[1], 0)
  end
end

core.count, core.finish, core.launch = count, finish, launch
core.set_values, core.conclude = set_values, conclude
core.unblock, core.cancel = unblock, cancel
core.hosted = hosted

return core
