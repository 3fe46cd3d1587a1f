-- `event.emit`, and the counts of calls and handlers that are kept in Lua.
local core = ...

local null, slots, stamp, wraps = core.null, core.slots, core.stamp, core.wraps
local dispatch, new_event, plan_of, RANK = core.dispatch, core.new_event, core.plan_of, core.rank
local getmetatable, next, pcall, rawget, type = getmetatable, next, pcall, rawget, type

local NONE = {}
local ENVELOPE = {
  data = true,
  priority = true,
  type = true,
  category = true,
  source = true,
  tags = true,
  metadata = true,
  correlation_id = true,
}

local function given(value)
  if value == null then
    return nil
  end
  return value
end

local function lower(word)
  return type(word) == "string" and word:lower() or nil
end

-- Whether a table that may be one is an envelope around the data.
local function is_envelope(value)
  for key in next, value do
    if not ENVELOPE[key] then
      return false
    end
  end
  return rawget(value, "data") ~= nil or RANK[lower(rawget(value, "priority"))] ~= nil
end

-- As options, without the data, which may be anything.
local function without_data(options)
  local copy = {}
  for key, value in next, options do
    if key ~= "data" then
      copy[key] = value
    end
  end
  return copy
end

-- Name and options were checked.
local function emit(name, data, options)
  local plan = plan_of(name)
  if not plan then
    return true, 0
  end
  local function option(key)
    return given(rawget(options, key))
  end
  local event = new_event(plan, name, data, lower(option("priority")) or "normal")
  event.category = lower(option("category") or option("type")) or event.category
  event.source = option("source") or event.source
  event.correlation_id = option("correlation_id")
  event.tags, event.metadata = option("tags"), option("metadata")
  return true, dispatch(plan, event, option("strict")) or core.refuse_depth()
end

core.lua = core.lua or {}

function core.lua.emit(name, data, options)
  return emit(name, data, given(options) or {})
end

-- Calls that are counted here, until somebody asks how many there were.
local calls, number_of_emit = 0, nil
local measured = false

-- The way of every function: checked by its declaration, and counted or measured there.
local function emit_checked(checked, name, data, options)
  if options == nil or options == null then
    if type(data) == "table" and is_envelope(data) then
      return checked(name, rawget(data, "data"), without_data(data))
    end
  elseif type(options) == "table" and rawget(options, "data") ~= nil then
    if data == nil then
      data = rawget(options, "data")
    end
    options = without_data(options)
  end
  return checked(name, data, options)
end

-- An envelope with nothing but data and an ordinary priority. Answers whether it is one.
local function is_plain(envelope)
  for key in next, envelope do
    if key ~= "data" and key ~= "priority" then
      return false
    end
  end
  local priority = rawget(envelope, "priority")
  return priority == nil or RANK[priority] ~= nil
end

-- Calls that are out of the ordinary in any way, or the first of their name.
local function emit_otherwise(checked, ordinary, name, data, options)
  if options == nil and not measured and pcall(plan_of, name) then
    return ordinary(name, data)
  end
  return emit_checked(checked, name, data, options)
end

wraps["event.emit"] = function(checked, number)
  number_of_emit = number
  local function ordinary(name, data, options)
    local plan = (slots[-1] or NONE)[name]
    if plan == nil or options ~= nil or measured then
      return emit_otherwise(checked, ordinary, name, data, options)
    end
    local priority = "normal"
    if
      data ~= nil
      and type(data) == "table"
      and (getmetatable(data) ~= nil or data.data ~= nil or data.priority ~= nil)
      and is_envelope(data)
    then
      if not is_plain(data) then
        return emit_checked(checked, name, data)
      end
      priority, data = rawget(data, "priority") or priority, rawget(data, "data")
    end
    calls = calls + 1
    if not plan then
      return true, 0
    end
    local id, now = stamp()
    -- As `new_event` makes it; without that call, as this is what runs all the time.
    local delivered = dispatch(plan, {
      id = id,
      type = name,
      name = name,
      category = plan.category,
      priority = priority,
      data = data,
      source = "user",
      timestamp = now,
    })
    if not delivered then
      calls = calls - 1
      return checked(name, data) -- which counts and raises
    end
    return true, delivered
  end
  return ordinary
end

wraps["event.list_subscriptions"] = function(list)
  return function(...)
    local subscriptions = list(...)
    core.settle_handlers()
    for i = 1, #subscriptions do
      local item = subscriptions[i]
      local known = core.listeners[item.id]
      if known then
        item.call_count, item.error_count = known.calls, known.errors
      end
    end
    return subscriptions
  end
end

-- Counting -------------------------------------------------------------------------------------

-- Functions that hand over what was counted here. Others may add theirs.
core.settlers = {
  function()
    if calls > 0 then
      core.add_calls(number_of_emit, calls)
      calls = 0
    end
  end,
}

function core.settle()
  for i = 1, #core.settlers do
    core.settlers[i]()
  end
end

local function settled(fn)
  return function(...)
    core.settle()
    return fn(...)
  end
end

wraps[".metrics"], wraps[".metrics_text"], wraps[".reset"] = settled, settled, settled

wraps[".configure"] = function(configure)
  return function(...)
    local result = configure(...)
    measured = core.is_measured()
    return result
  end
end

return core
