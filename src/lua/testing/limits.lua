-- Functions of the module that are written in Lua and wait: in the three faces of such a call,
-- within time limits, and with an end that runs whatever has happened.
local core = ...

local adopt, earliest, now, self = core.adopt, core.earliest, core.now, core.self
local launch, nested, stopped, within = core.launch, core.nested, core.stopped, core.within
local error, format, next, pcall = error, string.format, next, pcall

-- What runs after a run was stopped has an end, too.
local LAST_MS = 10000

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

local function open(func, face)
  local parent = core.context()
  local context = {
    parent = parent,
    deadline = parent and parent.deadline,
    depth = core.deeper(parent, func),
    home = core.home(self()),
    group = parent and parent.group,
  }
  context.blocking = face == false or (face == nil and parent ~= nil and parent.blocking)
  return core.attach(context)
end

-- The coroutine of a run was dropped or killed in the middle: nothing that it made stays.
local function restore_owed(context)
  for _, mocks in next, context.owed do
    for i = #mocks, 1, -1 do
      pcall(mocks[i].restore, mocks[i])
    end
  end
end

local function in_coroutine(context, face, fn, ...)
  local release = face == "yield" and core.lend(context)
  context.owed = {}
  local sentinel, state = core.guard(restore_owed, context)
  local function back(...)
    state.done = sentinel ~= nil
    if release then
      release()
    end
    return unwrap(...)
  end
  return back(within(context, fn, context, ...))
end

-- Calls `fn(context, ...)` for the public function `func`. On the main thread it gets a coroutine,
-- so that what it calls may yield.
function core.in_face(func, face, fn, ...)
  local context = open(func, face)
  if face ~= true and self() ~= core.main then
    return in_coroutine(context, face, fn, ...)
  end
  local task = launch(context, function(...)
    return true, fn(context, ...)
  end, ...)
  if face == true then
    task.goes_on = true
    return adopt(task)
  elseif not task.done then
    core.drain(task)
  end
  return core.results(task)
end

-- A context inside another one that has so many milliseconds; nil or 0 is no limit of its own.
function core.limit(parent, ms, what)
  local context = nested(parent)
  if ms and ms > 0 then
    context.limit = { at = now() + ms, ms = ms, what = what }
    context.deadline = earliest(context.limit.at, parent.deadline)
  end
  return context
end

-- The outermost limit around `context`, up to `root`, that has been reached.
function core.reached(context, root)
  local found, at = nil, now()
  while context and context ~= root do
    found = context.limit and at >= context.limit.at and context.limit or found
    context = context.parent
  end
  return found
end

function core.limit_error(limit, cause)
  local text = format("%s took longer than %g ms", limit.what, limit.ms)
  return core.new_error("timeout", text, { phase = "total", cause = cause })
end

-- Ends what is under way in a context that has come to its limit; forgets one that is over.
function core.close(context, limit)
  if limit then
    core.stop(context, limit.what .. " ran into its time limit")
  elseif context.parent.children and not (context.children and next(context.children)) then
    context.parent.children[context] = nil
  end
end

-- A context for what runs at the end, also after everything around it was stopped or ran out of
-- time.
local function last(parent, ms, what)
  local halted = stopped(parent) or core.overdue(parent)
  local context = nested(parent)
  context.beyond, context.deadline = false, nil
  ms = ms and ms > 0 and ms or (halted and LAST_MS)
  if ms then
    context.limit = { at = now() + ms, ms = ms, what = what }
    context.deadline = context.limit.at
  end
  return context
end

-- Calls what comes at the end, whatever has happened. Answers ok, or false, what was raised and the
-- limit that was reached.
function core.at_the_end(parent, ms, what, fn, ...)
  local context = last(parent, ms, what)
  local ok, err = within(context, fn, ...)
  local limit = context.limit and now() >= context.limit.at and context.limit
  core.close(context, limit)
  if limit then
    return false, core.limit_error(limit, not ok and err or nil), limit
  end
  return ok, err
end

return core
