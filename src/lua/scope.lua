-- Scopes: the tables of an execution of a workflow, and what is made of them.
--
-- The core knows which step works on what; the values themselves stay here, so that they pass from
-- one step to the next as they are. A scope holds `input`, `steps`, `variables` and `workflow`;
-- `previous` and `loop` differ from chain to chain and come with each call.
local core = ...

local guarded, within, new_error = core.guarded, core.within, core.new_error
local fill, fill_of, judge_text = core.fill, core.fill_of, core.judge_text
local keys_of = core.keys_of
local ipairs, next, pcall, rawequal, rawset = ipairs, next, pcall, rawequal, rawset
local getmetatable, setmetatable, type = getmetatable, setmetatable, type
local max = math.max

-- Tables are read raw; where there is no `rawlen`, `#` is that.
local length = rawlen or function(list)
  return #list
end

local SCOPE = 11 -- as drive.rs numbers it

local broken = setmetatable({}, { __mode = "k" }) -- loops that a step has ended

-- Items of a map go on side by side: each has steps of its own, by its `loop`. Steps that the items
-- of the same map have are hidden from the others; what was before the map is seen by all.
local own_steps = setmetatable({}, { __mode = "k" })

local function steps_of(scope, loop)
  return loop and own_steps[loop] or scope.steps
end

local function steps_of_item(outer, id)
  local meta = getmetatable(outer)
  local hidden_by = meta and meta.hidden_by or {}
  local hidden = hidden_by[id] or {}
  hidden_by[id] = hidden
  local function seen(_, step)
    if not hidden[step] then
      return outer[step]
    end
  end
  return setmetatable({}, { __index = seen, outer = outer, hidden = hidden, hidden_by = {} })
end

-- After a map, the last one of its items that ended is seen.
local function put_step(steps, id, record)
  rawset(steps, id, record)
  local meta = getmetatable(steps)
  if meta and meta.outer then
    meta.hidden[id] = true
    return put_step(meta.outer, id, record)
  end
end

-- All that are seen, in a plain table.
local function plain_steps(steps)
  local all = {}
  repeat
    local meta = getmetatable(steps)
    for id, record in next, steps do
      all[id] = all[id] or record
    end
    steps = meta and meta.outer
    for id in next, steps and meta.hidden or {} do
      all[id] = all[id] or false
    end
  until not steps
  for id, record in next, all do
    all[id] = record or nil
  end
  return all
end

-- What templates see.
local function view_of(scope, id, output, loop)
  return {
    input = scope.input,
    previous = { id = id, output = output },
    steps = steps_of(scope, loop),
    variables = scope.variables,
    workflow = scope.workflow,
    loop = loop,
  }
end

-- What functions see.
local function context_of(context, scope, id, output, loop, step, input, attempt, key)
  local ctx = {
    input = input,
    workflow = scope.workflow,
    previous = { id = id, output = output },
    steps = steps_of(scope, loop),
    variables = scope.variables,
    loop = loop,
    step_id = step,
    attempt = attempt,
    idempotency_key = key,
    cancelled = function()
      return core.stopped(context) ~= nil or core.overdue(context) or false
    end,
  }
  if loop then
    function ctx.break_loop()
      broken[loop] = true
    end
  end
  return ctx
end

local FIELDS = {
  "attempts",
  "details",
  "phase",
  "provider",
  "request_id",
  "retry_after_ms",
  "retryable",
  "status",
}

local acts = {}

function acts.open(_, scope)
  scope.variables = scope.variables or {}
  scope.steps = setmetatable(scope.steps or {}, { hidden_by = {} })
  return true, scope
end

-- A value of its own from a definition.
function acts.give(_, _, _, _, _, value)
  return true, value
end

-- The result of an execution. What it waits for can be gone through, agent by agent.
function acts.show(_, _, _, _, _, result)
  local pending = result.pending
  for i, agent in ipairs(pending and pending.agents or {}) do
    pending[i] = agent
  end
  if pending then
    pending.agents = nil
  end
  return true, result
end

function acts.fill(_, scope, id, output, loop, value, raw)
  local view = view_of(scope, id, output, loop)
  if raw then
    return guarded(fill_of, value, view, raw[1])
  end
  return guarded(fill, value, view)
end

function acts.call(context, scope, id, output, loop, fn, raw, ...)
  local ctx = context_of(context, scope, id, output, loop, ...)
  if raw then
    return within(context, fn, raw[1], ctx)
  end
  return within(context, fn, ctx)
end

function acts.judge(_, scope, id, output, loop, text)
  return guarded(judge_text, text, view_of(scope, id, output, loop))
end

function acts.test(...)
  local ok, holds = acts.call(...)
  if ok then
    return true, not not holds
  end
  return false, holds
end

-- What an error object says beside its code and message, as far as it is data.
function acts.fields(_, _, _, _, _, err)
  local fields = {}
  for _, name in ipairs(err and FIELDS or {}) do
    fields[name] = err[name]
  end
  if not pcall(core.json_text, fields.details) then
    fields.details = nil
  end
  return true, fields
end

function acts.emit(_, _, _, _, _, name, data)
  core.lua.emit(name, data, nil)
  return true
end

-- What a step has ended with: the very value of its output comes back.
function acts.record(_, scope, _, _, loop, id, record)
  put_step(steps_of(scope, loop), id, record)
  return true, record.output
end

function acts.loop(_, scope, _, _, outer, index, items, total, map)
  local loop = { index = index, first = index == 1 }
  local steps = steps_of(scope, outer)
  own_steps[loop] = map and steps_of_item(steps, map) or steps
  if items then
    loop.item = rawget(items, index)
  end
  if total then
    loop.last = index == total
  end
  return true, loop
end

-- The recorded result of a run: nothing of it has run now.
function acts.recovered(_, _, _, _, _, result, err)
  if result then
    result.recovered_steps, result.error = #(result.step_order or {}), err
  end
  return true, result
end

-- What a step has left behind, where it is to be data.
function acts.leave(_, scope, _, _, loop, id)
  local record = steps_of(scope, loop)[id]
  local left = { output = record.output, response = record.response }
  left.variables, left.broken = scope.variables, loop and broken[loop]
  return true, left
end

function acts.broken(_, _, _, _, loop)
  return true, broken[loop] == true
end

-- What a script may see: nothing that is no data.
function acts.plain_context(_, scope, id, output, loop, step, input, attempt, key)
  local view = view_of(scope, id, output, loop)
  view.input, view.steps = input, plain_steps(view.steps)
  view.step_id, view.attempt, view.idempotency_key = step, attempt, key
  return true, view
end

-- What in that is no data, as an error.
function acts.not_plain(...)
  local _, view = acts.plain_context(...)
  local ok, problem = pcall(core.json_text, view)
  local why = ok and "ctx: it is no plain data" or problem.message:gsub("^value", "ctx")
  return false, new_error("conversion_error", why .. "; a script sees plain data only")
end

-- How many items there are in what is to be an array; else what it is.
function acts.count(_, _, _, _, _, value)
  if type(value) ~= "table" then
    local is_null = rawequal(value, core.null)
    return true, value == nil and "nil" or is_null and "null" or "a " .. type(value)
  end
  local n, keys = length(value), 0
  for _ in next, value do
    keys = keys + 1
  end
  return true, keys == n and n or "a table with the keys " .. keys_of(value)
end

-- What is the same for values that say the same: numbers are that as in Lua, NaN is NaN, plain data
-- by its text, everything else by identity.
local function vote_of(value)
  if type(value) == "number" then
    return value == value and value or "NaN"
  end
  local ok, text = pcall(core.json_text, value)
  return ok and text or value
end

-- The value that most have said; of several that as many have said the one that was said first.
function acts.majority(_, _, _, _, _, values)
  local said, votes, best, most = {}, {}, nil, 0
  for i = 1, #values do
    local key = vote_of(values[i])
    said[i], votes[key] = key, (votes[key] or 0) + 1
    most = max(most, votes[key])
  end
  for i = #values, 1, -1 do
    if votes[said[i]] == most then
      best = values[i]
    end
  end
  if rawequal(best, core.null) then
    return true, nil
  end
  return true, best
end

-- The step `ended` is written down on the way, where there is one.
core.perform[SCOPE] = function(context, machine, act, scope, id, output, loop, ended, record, ...)
  if ended then
    put_step(steps_of(scope, loop), ended, record)
  end
  return core.called(context, machine, acts[act](context, scope, id, output, loop, ...))
end

core.scope_acts = acts

return core
