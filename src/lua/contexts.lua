-- Contexts: the record of each operation, and which one a coroutine is in.
--
-- A context knows the operation's machine (`token`), the context around it (`parent`), its
-- deadline, its stop flag, where its chunks go (`sink`), how deep it is nested, and the coroutine
-- it runs in (`home`). A new operation is nested in the context of the coroutine that starts it.
local core = ...

local now = core.now
local create, resume, running = coroutine.create, coroutine.resume, coroutine.running
local status, yield = coroutine.status, coroutine.yield
local next, pcall, setmetatable, type = next, pcall, setmetatable, type

-- Operations and tasks inside each other.
local MAX_DEPTH = 64
local MAIN = {} -- stands for the main thread, which has no coroutine object on 5.1

local contexts = setmetatable({}, { __mode = "k" }) -- coroutine or MAIN -> context
local homes = setmetatable({}, { __mode = "k" }) -- coroutine or MAIN -> a value of its own
local tasks = setmetatable({}, { __mode = "k" }) -- coroutine of the module -> task

local function self()
  local co, main = running()
  if main or not co then
    return MAIN
  end
  return co
end

-- Stands for a coroutine without keeping it alive.
local function home(co)
  local value = homes[co]
  if not value then
    value = {}
    homes[co] = value
  end
  return value
end

-- Whether that coroutine waits for the running one to come back.
function core.is_beneath(co)
  return status(co) == "normal"
end

-- A coroutine that a callback made and runs now: the callback's own is beneath it on the stack.
local function inherited()
  local found
  for co, context in next, contexts do
    if type(co) == "thread" and core.is_beneath(co) then
      if not found or (context.depth or 0) > (found.depth or 0) then
        found = context
      end
    end
  end
  return found
end

-- The context of the running coroutine.
local function current()
  local me = self()
  local context = contexts[me]
  if context and core.is_leftover(context) then
    contexts[me], tasks[me], context = nil, nil, nil
  end
  if context or me == MAIN then
    return context
  end
  return inherited()
end

-- Whether the code that made the record of the running coroutine is gone: a host may kill a
-- coroutine in the middle of an operation and use it for something else.
function core.is_leftover()
  return false
end

-- What identifies the request that runs now; hosts without requests have none.
function core.owner()
  return nil
end

-- The running coroutine gets a record.
function core.recorded() end

-- A host that may kill user code in the middle watches over it, from here until the operation is
-- over.
function core.entering() end
function core.over() end

-- What is told of an operation is heard although that was stopped: `beyond` is what is around both.
local function stopped(context)
  while context do
    if context.stop then
      return context.stop
    end
    local beyond = context.beyond
    if beyond == nil then
      beyond = context.parent
    end
    context = beyond
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

local weak = { __mode = "k" }

-- Makes `context` known to its parent, through which it is found to be stopped.
local function attach(context)
  local parent = context.parent
  if parent then
    parent.children = parent.children or setmetatable({}, weak)
    parent.children[context] = true
  end
  return context
end

-- A context inside another one, in the same coroutine and with its deadline.
function core.nested(parent)
  return attach({
    parent = parent,
    deadline = parent.deadline,
    blocking = parent.blocking,
    depth = parent.depth,
    home = parent.home,
    group = parent.group,
  })
end

-- The token of the machine that runs in the context or around it; 0 if there is none.
function core.machine_around(context)
  while context and not context.token do
    context = context.parent
  end
  return context and context.token or 0
end

-- Calls `fn` with the context and everything nested in it, except inside of what it answers with
-- false.
local function visit(context, fn)
  if fn(context) == false then
    return
  end
  for child in next, context.children or {} do
    visit(child, fn)
  end
end

-- The outermost operation around `context` that runs in the same coroutine.
local function outermost(context)
  while context.parent and context.parent.home == context.home do
    context = context.parent
  end
  return context
end

-- Whether `context` runs in a thread of the host's, and `ancestor` does not: then it has an end of
-- its own.
local function is_apart(context, ancestor)
  local root = outermost(context)
  return root.task and root.task.hosted and root ~= outermost(ancestor)
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
  core.entering(context)
  local me = self()
  core.recorded(me)
  local before = contexts[me]
  contexts[me] = context
  return restore(me, before, guarded(fn, ...))
end

-- Raises if the operation around the caller has been stopped or has run out of time.
function core.check_stop(context, what)
  local halt = stopped(context)
  if halt then
    core.raise("cancelled", "cancelled while " .. what, "", halt.reason or "")
  elseif overdue(context) then
    core.raise("timeout", "the time limit of the call around it was reached")
  end
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
core.self, core.home, core.context, core.outermost = self, home, current, outermost
core.stopped, core.overdue = stopped, overdue
core.descends, core.is_apart = descends, is_apart
core.attach, core.visit = attach, visit
core.guarded, core.within = guarded, within

return core
