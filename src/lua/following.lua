-- Handles of executions of workflows. Such a handle follows its execution, whoever goes on with
-- that: it rests while that is paused, and gives the events that are told of it.
local core = ...

local conclude, contexts, guarded, later = core.conclude, core.contexts, core.guarded, core.later
local execution_standing, launch, set_values = core.execution_standing, core.launch, core.set_values
local self, wraps = core.self, core.wraps
local next, setmetatable = next, setmetatable

-- Events that wait for who reads them; beyond that the oldest go.
local MOST = 10000
local ENDED = { completed = true, failed = true, cancelled = true }

local followed = {} -- id of an execution that has not ended -> the state of its handle
local handles = setmetatable({}, { __mode = "v" }) -- that state -> the handle, while it is there

-- Whether the execution is driven by its handle. The thread of a host that does so may be killed.
local function drives_itself(task)
  return task.driven and not (task.run and task.run.done)
end

local function forget(task)
  followed[task.id] = nil
  if task.owner ~= core.owner() then
    task.callbacks = {} -- they belong to a request that is gone
  end
end

-- Shows how the execution stands.
local function show(task, status, ok, ...)
  if not status then
    forget(task)
    task.status = "cancelled"
    conclude(task, false, core.new_error("cancelled", "the execution is not known any more"))
  elseif ENDED[status] then
    forget(task)
    task.status = status
    conclude(task, ok, ...)
  else
    task.resting = status == "paused"
    if task.resting then
      set_values(task, ok, ...)
    end
  end
end

-- The handle's own run of the execution has come back; what it gives is what a plain call gives.
local function came_back(task, context, alive, ok, ...)
  task.driven, task.context = false, nil
  if not alive then
    core.leave(context)
    show(task, "failed", false, core.wrap(ok, "the workflow"))
    return true
  end
  local status = execution_standing(task.id)
  if status then
    show(task, status, ok, ...)
  else
    forget(task)
    conclude(task, ok, ...)
  end
  return true
end

local function drive(task, name, subject, machine)
  local context = contexts[self()]
  task.driven, task.resting, task.context = true, false, context
  return came_back(task, context, guarded(core.operation, context, name, subject, machine))
end

local function new_task(id)
  local task = { id = id, execution = id, joiners = {}, callbacks = {}, done = false }
  task.goes_on, task.owner = true, core.owner()
  task.events, task.first, task.last = {}, 1, 0
  followed[id] = task
  return task
end

-- Lets the execution begin or go on by itself; answers its handle.
function core.follow(context, face, name, id, machine)
  local task = followed[id] or new_task(id)
  context.detached = face == "detached"
  task.detached = task.detached or context.detached
  -- It may be over before this returns.
  local handle = handles[task] or core.adopt(task)
  handles[task] = handle
  task.run = launch(context, drive, task, name, id, machine)
  if not task.run.done then
    core.watch() -- when the handle was made, nothing was under way yet
  end
  return handle
end

-- Shows what has become of executions that others go on with.
function core.look_at_followed()
  local id = core.next_changed()
  while id do
    local task = followed[id]
    if task and not drives_itself(task) then
      task.context = core.context_of(core.execution_token(id))
      show(task, execution_standing(id))
    end
    id = core.next_changed()
  end
end

function core.cancel_followed(task, reason)
  local context = drives_itself(task) and task.context
  local cancelled = core.cancel_execution(task.id, reason)
  core.tell()
  if cancelled and context then
    core.stop(context, reason)
  end
  return cancelled
end

-- Events ---------------------------------------------------------------------------------------

-- The state of the handle that gives events of that name, if one does.
function core.follower_of(name, data)
  local task = followed[data.execution_id]
  return task and not task.released and name:find("^workflow%.") and task or nil
end

function core.hear(task, event)
  task.last = task.last + 1
  task.events[task.last] = event
  if task.last - task.first >= MOST then
    task.events[task.first] = nil
    task.first = task.first + 1
  end
  if task.reader then
    later(task.reader)
  end
end

local function take(task)
  local event = task.events[task.first]
  if event then
    task.events[task.first] = nil
    task.first = task.first + 1
  end
  return event
end

-- The next event; nil once the execution is paused or has ended.
function core.next_event(task)
  local event = take(task)
  while not event and not (task.done or task.resting) do
    local context = core.context() or {}
    core.check_stop(context, "reading events")
    task.reader = core.token()
    core.suspend(context, task.reader, context.deadline)
    task.reader = nil
    event = take(task)
  end
  return event
end

-- The ids of runs that were claimed become handles that go on with them.
wraps["workflow.recover"] = function(recover)
  return function(filter)
    local ids, skipped = recover(filter)
    local found = {}
    for i = 1, #ids do
      found[i] = core.public["workflow.resume"].fn(ids[i], { async = true })
    end
    return found, skipped
  end
end

-- What was paused is not there any more.
local reset = wraps[".reset"]
wraps[".reset"] = function(...)
  local before = reset(...)
  return function()
    local done = before()
    for _, task in next, followed do
      if not drives_itself(task) then
        show(task, nil)
      end
    end
    return done
  end
end

return core
