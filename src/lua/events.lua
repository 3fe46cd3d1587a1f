-- Events: telling those who hear of them.
local core = ...

local guarded, stamp = core.guarded, core.stamp
local plan_of, used, RANK = core.plan_of, core.used_plans, core.rank
local error, next, rawequal, rawget = error, next, rawequal, rawget
local running, status = coroutine.running, coroutine.status
local setmetatable, tonumber, type = setmetatable, tonumber, type
local getinfo = debug and debug.getinfo

local LIMIT = 64 -- events inside of each other
local HANDLER_ERROR = "system.handler_error"
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
  origin = true,
  position = true,
  unrecorded = true,
}

-- Depth ----------------------------------------------------------------------------------------

-- Coroutines in which events were dispatched. Those that others suspended in the middle of a
-- handler do not count, and nobody is told when one is killed: so the stacks say how deep it is,
-- once so many dispatches were begun that have not ended.
local seen = setmetatable({}, { __mode = "k" })
local open, credit, checks = 0, 0, 0
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

-- How many events are dispatched around the one that asks; with `all`, also in coroutines that are
-- suspended.
local function nested(me, all)
  if not getinfo then
    return open
  end
  local count = count_in() - 1
  for co in next, seen do
    if co ~= me and (all or status(co) == "normal") then
      count = count + count_in(co)
    end
  end
  return me and count + open_in_main or count
end

-- Nobody tells that a coroutine was killed: so they are counted anew now and then.
local function recount(me)
  checks = checks + 1
  if checks >= LIMIT then
    checks, open = 0, nested(me, true)
  end
end

-- Whether the event would be too deep inside of others. That an event was refused is told one level
-- deeper.
local function is_too_deep(me, name)
  credit = credit - 1
  if credit >= 0 then
    return false -- there was room for so many more
  end
  local depth = nested(me)
  if depth >= LIMIT then
    return depth > LIMIT or name ~= HANDLER_ERROR
  end
  credit = LIMIT - depth - 1
  recount(me)
  return false
end

-- Dispatch -------------------------------------------------------------------------------------

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

-- The same for handlers that want every event.
local function deliver_all(run, event)
  local fns = run.fns
  for i = run.at + 1, #fns do
    run.at = i
    fns[i](event)
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

local function failed(id, event, err)
  if event.type ~= HANDLER_ERROR and plan_of(HANDLER_ERROR) then
    core.tell_own(HANDLER_ERROR, { subscription_id = id, event = event, error = err })
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

-- What comes before the handlers; true if the event goes no further. What came from another process
-- goes to no third one: so nothing runs in circles.
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
-- Answers how many handlers were called; nil if the event is too deep inside of others.
function dispatch(plan, event, strict)
  local me = running()
  if me and not seen[me] then
    seen[me] = true
  end
  if open < LIMIT then
    credit = 0
  elseif is_too_deep(me, event.type) then
    return nil
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

local function new_event(plan, name, data, priority)
  local id, now = stamp()
  return {
    id = id,
    type = name,
    name = name,
    category = plan.category,
    priority = priority,
    data = data,
    source = "user",
    timestamp = now,
  }
end

function core.refuse_depth()
  local text = "events are nested deeper than " .. LIMIT .. " levels"
  core.raise("invalid_state", text, "event.emit")
end

-- Dispatches an event that exists already. Answers true and how many handlers were called.
function core.emit_event(event)
  local plan = plan_of(event.type)
  if not plan then
    return true, 0
  end
  return true, dispatch(plan, event) or core.refuse_depth()
end

core.dispatch, core.new_event = dispatch, new_event

return core
