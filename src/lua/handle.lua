-- Handles: calls that go on by themselves; and the functions that start and drive them.
local core = ...

local launch, now, results, task_of = core.launch, core.now, core.results, core.task
local error, next, pcall, type = error, next, pcall, type
local unpack = table.unpack or unpack -- luacheck: ignore

local handle_mt = core.metas[5]
local closes = _VERSION == "Lua 5.4" -- generic `for` has a closing value
local given = core.given
local methods = {}
local counter = 0

-- Operations that go on although their handle is gone: they are known by ids, too.
local goes_on = { agent_run = true, workflow_stepping = true, workflow_resuming = true }

-- Instances of one Lua state share the metatable: a method works on `task.core`, the instance that
-- the handle belongs to, never on the `core` of the chunk that defined it.
local function own(handle, name)
  local task = task_of(handle)
  if not task then
    core.raise("invalid_argument", "expected a handle, got " .. type(handle), "handle." .. name)
  end
  return task
end

local function state(task)
  if task.execution then
    return task.status or core.execution_status(task.execution)
  elseif not task.done then
    return "running"
  elseif task.ok then
    return "completed"
  elseif core.is_error(task.values[1]) and task.values[1].code == "cancelled" then
    return "cancelled"
  end
  return "failed"
end

local function adopt(task)
  if not task.id then
    counter = counter + 1
    task.id = "op_" .. counter
  end
  task.core = core
  local handle = core.handle(task)
  if not task.done then
    core.watch()
  end
  return handle
end

-- Runs an operation by itself; its chunks wait in a pipe until somebody reads them.
function core.detach(context, face, name, subject, machine)
  if name == "workflow_kept" then
    return core.follow(context, face, name, subject, machine)
  end
  local task
  local sink = context.sink
  if not sink then
    sink = { task = { pipe = core.pipe_open(), joiners = {}, callbacks = {} } }
    sink.task.is_stream = face == "stream"
    context.sink = sink
  end
  context.detached = face == "detached"
  task = launch(context, core.operation, context, name, subject, machine)
  if sink.task then
    -- What arrived before the task was known stays in the same pipe.
    task.pipe, task.reader, task.writer = sink.task.pipe, sink.task.reader, sink.task.writer
    sink.task = task
  end
  task.observed = sink.fn ~= nil
  task.goes_on = goes_on[name] or face == "detached"
  task.is_stream = face == "stream"
  local handle = adopt(task)
  if task.is_stream and closes then
    return handle, nil, nil, handle
  end
  return handle
end

function methods.await(handle)
  local task = own(handle, "await")
  task.core.join(task, nil, "handle.await")
  return results(task)
end

function methods.wait(handle, timeout_ms)
  local task = own(handle, "wait")
  timeout_ms = given(timeout_ms)
  if timeout_ms ~= nil and (type(timeout_ms) ~= "number" or timeout_ms ~= timeout_ms) then
    core.raise(
      "invalid_argument",
      "timeout_ms: expected a number, got " .. type(timeout_ms),
      "handle.wait"
    )
  end
  return task.core.join(task, timeout_ms and task.core.now() + timeout_ms, "handle.wait")
end

function methods.done(handle)
  return own(handle, "done").done
end

function methods.result(handle)
  local task = own(handle, "result")
  if task.done and task.ok then
    return unpack(task.values, 1, task.n)
  end
  return nil, state(task), task.done and task.values[1] or nil
end

function methods.status(handle)
  return state(own(handle, "status"))
end

function methods.cancel(handle, reason)
  local task = own(handle, "cancel")
  reason = given(reason)
  if reason ~= nil and type(reason) ~= "string" then
    core.raise(
      "invalid_argument",
      "reason: expected a string, got " .. type(reason),
      "handle.cancel"
    )
  end
  return task.core.cancel(task, reason)
end

function methods.on(handle, fn)
  local task = own(handle, "on")
  local mt = type(fn) == "table" and getmetatable(fn)
  if type(fn) ~= "function" and not (type(mt) == "table" and mt.__call) then
    core.raise("invalid_argument", "fn: expected a function, got " .. type(fn), "handle.on")
  end
  if task.detached then
    local text = "a detached operation has no callbacks: await it, or ask for its result"
    core.raise("unsupported", text, "handle.on")
  elseif task.owner ~= task.core.owner() then
    local text = "the operation belongs to another request: await its handle here"
    core.raise("unsupported", text, "handle.on")
  end
  local function callback()
    if task.ok then
      return true, fn(nil, unpack(task.values, 1, task.n))
    end
    return true, fn(task.values[1])
  end
  task.observed = true
  task.core.unblock(task)
  if task.done then
    task.core.defer(callback)
  else
    task.callbacks[#task.callbacks + 1] = callback
  end
  return handle
end

local function ended(task)
  if task.pipe then
    task.core.pipe_close(task.pipe)
    task.pipe = nil
  end
  if not task.ok and not task.reported then
    task.reported = true
    error(task.values[1], 0)
  end
end

-- The next chunk; nil at the end. A failed stream raises its error once.
local function next_chunk(task)
  local own_core = task.core
  while task.pipe do
    local piece = own_core.pipe_take(task.pipe)
    if piece then
      own_core.unblock(task)
      return piece
    elseif task.done then
      return ended(task)
    end
    local context = own_core.context() or {}
    own_core.check_stop(context, "reading a stream")
    task.reader = own_core.token()
    own_core.suspend(context, task.reader, context.deadline)
    task.reader = nil
  end
end

-- What cqueues asks whatever it polls.
function methods.pollfd(handle)
  return own(handle, "pollfd").core.watch_fd()
end

function methods.events()
  return "r"
end

-- Seconds until polling must end: none if there is something to see already.
function methods.timeout(handle)
  local task = own(handle, "timeout")
  local left = task.done and 0 or task.core.next_timer()
  return left and left / 1000
end

-- What LuaSocket's `select` asks.
methods.getfd = methods.pollfd

function methods.dirty(handle)
  return own(handle, "dirty").done
end

function methods.iter(handle)
  local task = own(handle, "iter")
  if task.is_stream and closes then
    return handle, nil, nil, handle
  end
  return handle
end

handle_mt.__name = "zigllms.handle"

function handle_mt.__index(handle, key)
  local task = task_of(handle)
  return key == "id" and task.id or methods[key]
end

function handle_mt.__tostring(handle)
  return task_of(handle).id
end

function handle_mt.__call(handle)
  local task = own(handle, "next chunk")
  if task.execution then
    return task.core.next_event(task)
  end
  return next_chunk(task)
end

function handle_mt.__close(handle)
  local task = task_of(handle)
  task.core.cancel(task, "closed")
end

-- Nobody can see the result any more: its I/O ends. No coroutine is resumed from a finaliser.
function handle_mt.__gc(handle)
  local task = task_of(handle)
  if not task then
    return
  end
  task.released = true
  task.core.unblock(task)
  if not (task.done or task.observed or task.goes_on or next(task.joiners)) then
    pcall(task.core.abandon_task, task)
  end
  if task.pipe then
    pcall(task.core.pipe_close, task.pipe)
  end
end

handle_mt.__metatable = "zigllms.handle"

core.adopt = adopt

local lua = core.lua or {}
core.lua = lua

function lua.await(handle)
  if not task_of(handle) then
    core.raise(
      "invalid_argument",
      "argument #1: handle: expected a handle, got " .. type(handle),
      "await"
    )
  end
  return methods.await(handle)
end

function lua.sleep(ms)
  core.pause(now() + ms)
end

local function spawn(group, fn, ...)
  local parent = core.context()
  local context = {
    parent = parent,
    deadline = parent and parent.deadline,
    depth = core.deeper(parent, "spawn"),
    group = group or (parent and parent.group),
  }
  core.attach(context)
  local task = launch(context, function(...)
    return true, fn(...)
  end, ...)
  task.goes_on = true
  return adopt(task)
end

function lua.spawn(fn, ...)
  return spawn(nil, fn, ...)
end

function lua.poll(timeout_ms)
  core.host({ blocking = true }, "poll")
  local count = core.poll(given(timeout_ms) or 0)
  core.announce(1)
  core.raise_failure()
  return count
end

lua.fd = core.watch_fd

function lua.loop(x)
  return core.loop(given(x))
end

local driving = false

local LOOK_MS = 5

-- In a host where other coroutines go on meanwhile, only what was started inside counts; without a
-- function, everything, except where it belongs to other requests.
local function drive_all(host, group, task)
  if host.sleeper and (task or host.launch) then
    return core.join_group(group)
  elseif host.sleeper then
    while core.unfinished() > 0 do
      core.pause(now() + LOOK_MS)
    end
    return
  end
  host.block(function()
    return core.unfinished() == 0 and (not task or task.done)
  end)
end

function lua.run(fn, ...)
  local host = core.host({}, "run")
  if (driving and not host.sleeper) or core.context() then
    core.raise("invalid_state", "it is running already: use zigllms.spawn inside it", "run")
  end
  driving = true
  fn = given(fn)
  local group = { active = 0 }
  local handle = fn and spawn(group, fn, ...)
  local task = handle and task_of(handle)
  local ok, err = pcall(drive_all, host, group, task)
  driving = false
  if not ok then
    if task then
      core.cancel(task, "interrupted")
    end
    error(err, 0)
  end
  core.raise_failure()
  if task then
    return results(task)
  end
end

function lua.new(config)
  local other = core.new()
  if given(config) ~= nil then
    other.configure(config)
  end
  return other
end

lua["try"] = function(fn, ...)
  local function pack(ok, ...)
    if ok then
      return ...
    end
    return nil, (...)
  end
  return pack(core.guarded(fn, ...))
end

lua.error = function(code, message, fields)
  fields = given(fields)
  if fields ~= nil and type(fields) ~= "table" then
    local text = "argument #3: fields: expected a table, got " .. type(fields)
    core.raise("invalid_argument", text, "error")
  end
  return core.new_error(code, message, fields)
end

local function marked(t, kind)
  if type(t) ~= "table" then
    core.raise("invalid_argument", "argument #1: t: expected a table, got " .. type(t), kind)
  end
  return core.mark(t, kind)
    or core.raise("invalid_argument", "t: the table has a metatable of its own", kind)
end

function lua.array(t)
  return marked(t, "array")
end

function lua.object(t)
  return marked(t, "object")
end

return core
