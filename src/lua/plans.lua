-- Plans: who hears of events of one name.
--
-- All plans are kept until anything changes; then the core puts false in their place, whatever call
-- has changed it.
local core = ...

local next = next

local MOST_NAMES, MOST_HANDLERS = 1024, 262144 -- kept in plans
local RANK = { low = 1, normal = 2, high = 3, critical = 4 }

local slots, NONE = core.slots, {}
slots[-1] = false

local listeners = {} -- id -> what is to be known to call it, and how often it was called
local names, handlers = 0, 0 -- how many there are in the plans

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

-- Calls of handlers that have gone.
local earlier = 0

local function new_plans()
  local plans, gone = {}, core.listeners_gone()
  settle_handlers()
  for i = 1, #gone do
    local handler = listeners[gone[i]]
    earlier = earlier + (handler and handler.calls or 0)
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

-- Calls of all handlers there were.
function core.handled()
  settle_handlers()
  local calls = earlier
  for _, handler in next, listeners do
    calls = calls + handler.calls
  end
  return calls
end

core.rank, core.listeners = RANK, listeners
core.plan_of, core.settle_handlers, core.used_plans = plan_of, settle_handlers, used

return core
