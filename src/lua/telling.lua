-- The module's own events: what the core has queued, and errors of handlers.
local core = ...

local describe, dispatch, guarded = core.describe, core.dispatch, core.guarded
local json_text, new_event, plan_of = core.json_text, core.new_event, core.plan_of
local next, pcall, setmetatable, type = next, pcall, setmetatable, type

-- What is no data shows as its text.
local function shown(value, depth)
  if pcall(json_text, value) then
    return value
  elseif type(value) ~= "table" or depth > 8 then
    return describe(value)
  end
  local copy = {}
  for key, inner in next, value do
    copy[describe(key)] = shown(inner, depth + 1)
  end
  return copy
end

-- Compact JSON.
local function to_text(data)
  return json_text(shown(data, 1))
end

local data_mt = { __name = "zigllms.event_data", __jsontype = "object", __tostring = to_text }

-- What all events inside of one operation have in common.
local chains = 0

local function correlation(context)
  local root
  while context do
    root = context.token and context or root
    context = context.parent
  end
  if not root then
    return nil
  elseif not root.correlation then
    chains = chains + 1
    root.correlation = "op_" .. chains
  end
  return root.correlation
end

-- An event of the module itself, if anybody hears of it.
local function tell_own(name, data, context)
  local plan, follower = plan_of(name), core.follower_of(name, data)
  if not (plan or follower) then
    return
  end
  local source = name:match("^[^.]*")
  local known = plan or { category = source }
  local event = new_event(known, name, setmetatable(data, data_mt), "normal")
  event.source = source
  event.correlation_id = correlation(context)
  if follower then
    core.hear(follower, event)
  end
  if plan then
    guarded(dispatch, plan, event)
  end
end

core.tell_own = tell_own

local function tell_queued(context)
  local name, data, err = core.told()
  while name do
    if err ~= nil then
      data.error = err
    end
    tell_own(name, data, context)
    name, data, err = core.told()
  end
  core.look_at_followed()
end

-- Where handlers run that hear of the operation of `context`: nested in it, but neither its end nor
-- its time limit ends what they wait for.
local function beside(context)
  local around = context.parent
  local inner = core.nested(context)
  inner.beyond, inner.deadline = around or false, around and around.deadline
  return inner
end

-- Tells what the core has queued, on behalf of the operation of `context`.
function core.tell(context)
  if context then
    core.within(beside(context), tell_queued, context)
  else
    tell_queued()
  end
end

return core
