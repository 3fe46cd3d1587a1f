-- Hooks: calling one, and knowing which operations have any.
local core = ...

local contexts, now, self = core.contexts, core.now, core.self
local describe, earliest, nested = core.describe, core.earliest, core.nested
local enter_hook, leave_hook = core.enter_hook, core.leave_hook
local overdue, stopped, within = core.overdue, core.stopped, core.within
local format, ipairs, next = string.format, ipairs, next
local rawequal, rawget, rawset = rawequal, rawget, rawset

-- Names of operations that have hooks now, each with true. Others keep this very table.
local hooked = {}
core.hooked = hooked

local function refresh()
  for name in next, hooked do
    hooked[name] = nil
  end
  for _, name in ipairs(core.hooked_names()) do
    hooked[name] = true
  end
end

core.refresh_hooks = refresh

-- Functions that may change which hooks there are.
local CHANGES = {
  "hook.register",
  "hook.unregister",
  "hook.enable",
  "hook.disable",
  "agent.create",
  "agent.configure",
  "agent.clone",
  ".reset",
}

local function refreshed(...)
  refresh()
  return ...
end

for _, name in ipairs(CHANGES) do
  local inner = core.wraps[name]
  core.wraps[name] = function(fn, number)
    fn = inner and inner(fn, number) or fn
    return function(...)
      return refreshed(fn(...))
    end
  end
end

-- The context in which the code of a hook runs: what it starts is nested in the operation.
local function context_of(parent, limit)
  local context = nested(parent)
  context.deadline = earliest(limit, parent.deadline)
  context.depth = (parent.depth or 0) + 1
  return context
end

-- What the caller of an operation may see of a hook's failure.
local function failure(ran)
  local text = format("hook %s (%s) failed: %s", ran.id, ran.point, describe(ran.raised))
  return text, core.new_error("hook_error", text, { cause = ran.raised })
end

local function too_late(ran, limit)
  local text = format("hook %s (%s) took longer than %g ms", ran.id, ran.point, limit)
  return text, core.new_error("timeout", text, { phase = "total", cause = ran.raised })
end

-- How a call of a hook went: `value` and `reason` are what it returned; if it failed, `raised` is
-- what it raised and `error` what that is told as.
local function back(ran, inner, limit, ok, value, reason)
  ran.ok, ran.value, ran.reason = ok, value, reason
  if not ok then
    ran.value, ran.reason, ran.raised = nil, nil, value
  end
  ran.late = limit and now() >= ran.began + limit and not stopped(inner) or false
  if ran.late then
    ran.ok, ran.value = false, nil
    ran.text, ran.error = too_late(ran, limit)
  elseif not ok then
    ran.text, ran.error = failure(ran)
  end
  ran.duration_ms = leave_hook(ran.number, ran.began, ran.text)
  return ran
end

-- Calls a hook; nothing if it has gone or was disabled since it was planned. `fill` completes the
-- table that the hook gets; `wrap` makes its second argument.
function core.call_hook(context, number, point, fill, wrap)
  local fn, info, began, limit, id, once = enter_hook(number)
  if not fn then
    return nil
  elseif once then
    refresh()
  end
  local ran = { number = number, id = id, point = point, info = info, began = began }
  ran.kind = info.type
  info.point = point
  fill(info)
  local inner = context_of(context, limit and began + limit)
  return back(ran, inner, limit, within(inner, fn, info, wrap and wrap(ran, inner)))
end

-- The function `next` of an AROUND hook is called once, by its hook and while that runs.
function core.begin_next(state, inner)
  if state.called or state.closed or contexts[self()] ~= inner then
    local text = state.called and "next was called before"
      or state.closed and "next was called after its hook had ended"
      or "next must be called by the hook itself, in its own coroutine"
    core.raise("invalid_state", text, "hook.next")
  end
  state.called = true
end

-- What `next` has made is what its hook sees from then on.
function core.show_result(ran, result)
  local info = ran.info
  rawset(info, "data", result)
  rawset(info, "result", result)
  rawset(info, "output", result)
end

-- Whether the operation itself is to end, whatever its hooks do.
function core.halted(context)
  return stopped(context) ~= nil or overdue(context) or false
end

-- An error that goes no further is told as an event.
function core.isolate(ran, context)
  if core.hook_failed(ran.number, ran.point, ran.error) then
    core.tell(context)
  end
end

-- Fields in which a hook of each type may leave a value.
core.left = {
  pre = { "data", "input" },
  around = { "data", "result" },
  post = { "data", "result", "output" },
  error = { "data", "result", "output" },
}

-- What a hook made of a value: what it returned, or has put in place of it in its table.
function core.taken(ran, before, first, second, third)
  if ran.value ~= nil then
    return ran.value
  end
  local info = ran.info
  for _, key in ipairs({ first, second, third }) do
    local value = rawget(info, key)
    if value ~= nil and not rawequal(value, before) then
      return value
    end
  end
  return before
end

return core
