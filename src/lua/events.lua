-- Events: who hears of what, and telling them.
--
-- A plan says who hears of events of one name. All plans are kept until anything changes; then the
-- core puts false in their place, whatever call has changed it.
local core = ...

local describe, guarded, null = core.describe, core.guarded, core.null
local pcall, rawget, rawequal, running = pcall, rawget, rawequal, coroutine.running
local error, getmetatable, next, setmetatable = error, getmetatable, next, setmetatable
local status, tonumber, type = coroutine.status, tonumber, type
local unix, wraps = core.unix, core.wraps
local getinfo = debug and debug.getinfo

local LIMIT = 64 -- events inside of each other
local MOST_NAMES, MOST_HANDLERS = 1024, 262144 -- kept in plans
local HANDLER_ERROR = "system.handler_error"
local RANK = { low = 1, normal = 2, high = 3, critical = 4 }
local FIELDS = {
  id = true,
  type = true,
  name = true,
  category = true,
  priority = true,
  data = true,
  source = true,
  timestamp = true,
  correlation_id = true,
  tags = true,
  metadata = true,
  replayed = true,
  remote = true,
}
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

-- Who hears of what ----------------------------------------------------------------------------

local slots, NONE = core.slots, {}
slots[-1] = false

local listeners = {} -- id -> what is to be known to call it, and how often it was called
local names, handlers = 0, 0 -- how many there are in the plans

-- Where `data.user.id` leads to in an event.
local function at_path(value, steps)
  for i = 1, #steps do
    if type(value) ~= "table" then
      return nil
    end
    local step = steps[i]
    local inner = rawget(value, step)
    if inner == nil then
      inner = rawget(value, tonumber(step))
    end
    value = inner
  end
  return value
end

local function steps_of(fields)
  local list = {}
  for path, value in next, fields do
    local steps = {}
    for step in path:gmatch("[^.]+") do
      steps[#steps + 1] = step
    end
    list[#list + 1] = { steps = steps, value = value }
  end
  return list
end

local function listener(id)
  local known = listeners[id]
  if not known then
    known = core.listener(id)
    if not known then
      return nil
    end
    known.fields = known.fields and steps_of(known.fields)
    known.rank = known.min_priority and RANK[known.min_priority]
    listeners[id] = known
  end
  return known
end

local function listeners_of(ids)
  local list = {}
  for i = 1, #ids do
    list[#list + 1] = listener(ids[i])
  end
  return list
end

-- Plans whose handlers were called so often since that was written down.
local used = {}

local function settle_handlers()
  for i = 1, #used do
    local plan = used[i]
    for k = 1, plan.count do
      local handler = plan.handlers[k]
      handler.calls = handler.calls + plan.runs
    end
    plan.runs, used[i] = 0, nil
  end
end

local function new_plans()
  local plans, gone = {}, core.listeners_gone()
  settle_handlers()
  for i = 1, #gone do
    listeners[gone[i]] = nil
  end
  names, handlers = 0, 0
  slots[-1] = plans
  return plans
end

-- The functions of handlers that all want every event.
local function functions_of(list)
  local fns = {}
  for i = 1, #list do
    if not list[i].plain then
      return nil
    end
    fns[i] = list[i].fn
  end
  return fns
end

-- Finalisers may change who hears what while this runs: then it keeps the plan in a table that
-- nobody looks into any more.
local function new_plan(name)
  local plans = slots[-1]
  if not plans or names >= MOST_NAMES or handlers >= MOST_HANDLERS then
    plans = new_plans()
  end
  local plan = core.plan(name)
  if plan then
    plan.filters = listeners_of(plan.filters)
    plan.handlers = listeners_of(plan.handlers)
    plan.count, plan.runs = #plan.handlers, 0
    if #plan.filters == 0 and not (plan.records or plan.publishes) then
      plan.fns = functions_of(plan.handlers)
    end
    handlers = handlers + plan.count
  end
  names = names + 1
  plans[name] = plan or false
  return plan or false
end

-- False if nobody hears of events of that name.
local function plan_of(name)
  local plan = (slots[-1] or NONE)[name]
  if plan == nil then
    return new_plan(name)
  end
  return plan
end

-- Depth ----------------------------------------------------------------------------------------

-- Coroutines in which events were dispatched. Those that others suspended in the middle of a
-- handler do not count, and nobody is told when one is killed: so the stacks say how deep it is,
-- once so many dispatches were begun that have not ended.
local seen = setmetatable({}, { __mode = "k" })
local open, credit = 0, 0
local open_in_main = 0 -- where the main thread has no name
local dispatch

local function frame(co, level)
  if co then
    return getinfo(co, level, "f")
  end
  return getinfo(level, "f")
end

-- How many events are dispatched on the stack of a coroutine; nil is the running one.
local function count_in(co)
  local level, count = 0, 0
  local info = frame(co, level)
  while info do
    if info.func == dispatch then
      count = count + 1
    end
    level = level + 1
    info = frame(co, level)
  end
  return count
end

-- How many events are dispatched around the one that asks.
local function nested(me)
  if not getinfo then
    return open
  end
  local count = count_in() - 1
  for co in next, seen do
    if co ~= me and status(co) == "normal" then
      count = count + count_in(co)
    end
  end
  return me and count + open_in_main or count
end

-- Raises if the event would be too deep inside of others.
local function check_depth(me)
  credit = credit - 1
  if credit >= 0 then
    return -- there was room for so many more
  end
  local depth = nested(me)
  if depth >= LIMIT then
    local text = "events are nested deeper than " .. LIMIT .. " levels"
    core.raise("invalid_state", text, "event.emit")
  end
  credit = LIMIT - depth - 1
end

-- Dispatch -------------------------------------------------------------------------------------

local function has_fields(event, fields)
  for i = 1, #fields do
    local field = fields[i]
    if not rawequal(at_path(event, field.steps), field.value) then
      return false
    end
  end
  return true
end

-- Whether a subscription with conditions wants the event. Ends one for a single event.
local function admits(handler, event)
  local rank = handler.rank
  if
    handler.category and handler.category ~= event.category
    or rank and (RANK[event.priority] or RANK.normal) < rank
    or handler.fields and not has_fields(event, handler.fields)
    or handler.filter and not handler.filter(event)
    or handler.over
  then
    return false
  end
  if handler.once then
    handler.over = true
    core.remove_listener(handler.id)
  end
  return true
end

-- The same, counting those that do not get it; also those whose filter raises.
local function passes(run, handler, event)
  run.passed = run.passed + 1
  if not admits(handler, event) then
    return false
  end
  run.passed = run.passed - 1
  return true
end

-- Calls the handlers behind the one that was called last.
local function deliver(run, event)
  local list = run.list
  for i = run.at + 1, #list do
    run.at = i
    local handler = list[i]
    if handler.plain or passes(run, handler, event) then
      handler.calls = handler.calls + 1
      handler.fn(event)
    end
  end
end

local function replace(event, new)
  for key in next, new do
    if not FIELDS[key] then
      event.data = new
      return
    end
  end
  if next(new) == nil then
    event.data = new
  end
  for key, value in next, new do
    event[key] = value
  end
end

-- The same for handlers that want every event.
local function deliver_all(run, event)
  local fns = run.fns
  for i = run.at + 1, #fns do
    run.at = i
    fns[i](event)
  end
end

-- Calls the filters behind the one that was called last; true if one drops the event.
local function intercept(run, event)
  local list = run.list
  for i = run.at + 1, #list do
    run.at = i
    local filter = list[i]
    filter.calls = filter.calls + 1
    local verdict = filter.fn(event)
    if verdict == false then
      return true
    elseif type(verdict) == "table" and not rawequal(verdict, event) then
      replace(event, verdict)
    end
  end
  return false
end

local tell_own

local function failed(id, event, err)
  if event.type ~= HANDLER_ERROR and plan_of(HANDLER_ERROR) then
    tell_own(HANDLER_ERROR, { subscription_id = id, event = event, error = err })
  end
end

local function blame(culprit, event, err)
  culprit.errors = culprit.errors + 1
  failed(culprit.id, event, err)
end

-- Goes through a list by `step`, which goes on behind what raised. Answers what it answers.
local function through(step, run, event, strict)
  while true do
    local ok, result = guarded(step, run, event)
    if ok then
      return result
    end
    local culprit = run.list[run.at]
    if strict then
      culprit.errors = culprit.errors + 1
      error(result, 0)
    end
    blame(culprit, event, result)
  end
end

-- To recorders and links, whose failures are nobody's but theirs.
local function hand_over(take, event)
  local ok, err = guarded(take, event)
  if not ok then
    failed(nil, event, err)
  end
end

-- What comes before the handlers; true if the event goes no further.
local function before(plan, event, strict)
  if #plan.filters > 0 then
    local run = { list = plan.filters, at = 0, passed = 0 }
    if through(intercept, run, event, strict) then
      return true
    end
  end
  if plan.records and not event.replayed then
    hand_over(core.record, event)
  end
  if plan.publishes and not event.remote then
    hand_over(core.publish, event)
  end
  return false
end

-- In full: filters, recorders, links, conditions of subscriptions. Answers how many were called.
local function in_full(plan, event, strict)
  if before(plan, event, strict) then
    return 0
  end
  local run = { list = plan.handlers, at = 0, passed = 0 }
  through(deliver, run, event, strict)
  return plan.count - run.passed
end

local spare -- a run that nobody uses

-- To several handlers that want every event.
local function to_all(plan, event)
  local run = spare or {}
  spare = nil
  run.fns, run.at = plan.fns, 0
  local ok, err = guarded(deliver_all, run, event)
  if not ok then
    run.list = plan.handlers
    blame(run.list[run.at], event, err)
    through(deliver_all, run, event)
    run.list = nil
  end
  run.fns, spare = nil, run
end

-- Hands an event to those in the plan. With `strict` the first error of a handler is raised.
-- Answers how many handlers were called.
function dispatch(plan, event, strict)
  local me = running()
  if me and not seen[me] then
    seen[me] = true
  end
  if open >= LIMIT then
    check_depth(me)
  end
  open = open + 1
  if not me then
    open_in_main = open_in_main + 1
  end
  local ok, result = true, plan.count
  if strict or not plan.fns then
    ok, result = guarded(in_full, plan, event, strict)
  else
    if plan.runs == 0 then
      used[#used + 1] = plan
    end
    plan.runs = plan.runs + 1
    if result > 1 then
      to_all(plan, event)
    else
      local called, err = guarded(plan.fns[1], event)
      if not called then
        blame(plan.handlers[1], event, err)
      end
    end
  end
  open = open - 1
  if not me then
    open_in_main = open_in_main - 1
  end
  if not ok then
    error(result, 0)
  end
  return result
end

-- Events ---------------------------------------------------------------------------------------

local last = 0

local function new_event(plan, name, data, priority)
  last = last + 1
  return {
    id = "evt_" .. last,
    type = name,
    name = name,
    category = plan.category,
    priority = priority,
    data = data,
    source = "user",
    timestamp = unix(),
  }
end

-- What is no data shows as its text.
local function shown(value, depth)
  if pcall(core.json_text, value) then
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
  return core.json_text(shown(data, 1))
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
function tell_own(name, data, context)
  local plan = plan_of(name)
  if not plan then
    return
  end
  local event = new_event(plan, name, setmetatable(data, data_mt), "normal")
  event.source = name:match("^[^.]*")
  event.correlation_id = correlation(context)
  guarded(dispatch, plan, event)
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
end

-- Where handlers run that hear of the operation of `context`: nested in it, but neither its end nor
-- its time limit ends what they wait for.
local function beside(context)
  local around = context.parent
  return core.attach({
    parent = context,
    beyond = around or false,
    deadline = around and around.deadline,
    blocking = context.blocking,
    depth = context.depth,
    home = context.home,
    group = context.group,
  })
end

-- Tells what the core has queued, on behalf of the operation of `context`.
function core.tell(context)
  if context then
    core.within(beside(context), tell_queued, context)
  else
    tell_queued()
  end
end

-- Dispatches an event that exists already. Answers true and how many handlers were called.
function core.emit_event(event)
  local plan = plan_of(event.type)
  return true, plan and dispatch(plan, event) or 0
end

-- emit -----------------------------------------------------------------------------------------

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
  return true, dispatch(plan, event, option("strict"))
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
  if options == nil and not measured and open < LIMIT and pcall(plan_of, name) then
    return ordinary(name, data)
  end
  return emit_checked(checked, name, data, options)
end

wraps["event.emit"] = function(checked, number)
  number_of_emit = number
  local function ordinary(name, data, options)
    local plan = (slots[-1] or NONE)[name]
    if plan == nil or options ~= nil or measured or open >= LIMIT then
      return emit_otherwise(checked, ordinary, name, data, options)
    end
    local priority = "normal"
    if
      type(data) == "table"
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
    last = last + 1
    return true,
      dispatch(plan, {
        id = "evt_" .. last,
        type = name,
        name = name,
        category = plan.category,
        priority = priority,
        data = data,
        source = "user",
        timestamp = unix(),
      })
  end
  return ordinary
end

wraps["event.list_subscriptions"] = function(list)
  return function(...)
    local subscriptions = list(...)
    settle_handlers()
    for i = 1, #subscriptions do
      local item = subscriptions[i]
      local known = listeners[item.id]
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

local function settled(fn)
  return function(...)
    for i = 1, #core.settlers do
      core.settlers[i]()
    end
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
