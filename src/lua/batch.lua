-- `batch`: calls of many functions, those that wait side by side.
local core = ...

local lua, many, task_of = core.lua, core.many, core.task
local guarded, is_callable, now = core.guarded, core.is_callable, core.now
local error, floor, ipairs, min = error, math.floor, ipairs, math.min
local next, pairs = next, pairs
local rawget, select, setmetatable = rawget, select, setmetatable
local tostring, type = tostring, type
local unpack = table.unpack or unpack -- luacheck: ignore

local LEVELS = { low = 0, normal = 1, high = 2, critical = 3 }
local CRITICAL = LEVELS.critical

-- Functions written in Lua that wait, or call what may.
core.waiting = {
  all = true,
  await = true,
  batch = true,
  clock = true,
  map = true,
  race = true,
  sleep = true,
  try = true,
}

-- Functions of memory whose first argument is the key they are about; the others may touch any.
local KEYED = { store = true, retrieve = true, delete = true, update = true, increment = true }

local function refuse(text)
  core.raise("invalid_argument", text, "batch")
end

local function shown(value)
  return type(value) == "string" and '"' .. value .. '"' or tostring(value)
end

local function level_of(priority, path)
  if priority == nil or priority == core.null then
    return LEVELS.normal
  end
  local level = type(priority) == "string" and LEVELS[priority:lower()] or priority
  if type(level) ~= "number" or level < 0 or level > CRITICAL or level ~= floor(level) then
    local wanted = 'expected "low", "normal", "high", "critical" or an integer from 0 to 3'
    refuse(path .. ": " .. wanted .. ", got " .. shown(priority))
  end
  return level
end

local function target_of(name, path)
  if type(name) ~= "string" then
    refuse(path .. ": expected the name of a function, got " .. type(name))
  end
  local target = core.public[name]
  if not target then
    local near = core.nearest(name)
    local hint = near and ', did you mean "' .. near .. '"?' or ""
    refuse(path .. ': there is no function "' .. name .. '"' .. hint)
  end
  return target
end

local function call_of(name, path, priority, args, n)
  local target = target_of(name, path)
  return { name = name, fn = target.fn, waits = target.waits, level = priority, args = args, n = n }
end

-- How many arguments an entry has; some may be nil. Anything else in it must be known.
local function arguments(item, path)
  local last = rawget(item, "n") or 0
  if type(last) ~= "number" then
    refuse(path .. ".n: expected an integer, got " .. type(last))
  end
  for key in next, item do
    if type(key) == "number" and key >= 1 and key == floor(key) then
      last = key > last and key or last
    elseif key ~= "priority" and key ~= "n" then
      local text = ": not known: an entry has a name, arguments and a priority"
      refuse(path .. "." .. tostring(key) .. text)
    end
  end
  local args = {}
  for i = 2, last do
    args[i - 1] = rawget(item, i)
  end
  return args, last - 1
end

local function read_entry(item, path)
  if type(item) ~= "table" then
    local wanted = ': expected { "bridge.function", arguments… }, got '
    refuse(path .. wanted .. type(item))
  end
  local args, n = arguments(item, path)
  local level = level_of(rawget(item, "priority"), path .. ".priority")
  return call_of(rawget(item, 1), path .. "[1]", level, args, n)
end

local function read_list(list)
  local calls = {}
  for i = 1, many.length(list, "entries: expected an array of entries or a function", "batch") do
    calls[i] = read_entry(rawget(list, i), "entries[" .. i .. "]")
  end
  return calls
end

-- What stands for the module in the function form: calls are taken down, not made.
local function recorder(calls)
  local level = LEVELS.normal
  local function member(prefix)
    return setmetatable({}, {
      __index = function(_, key)
        local name = prefix .. tostring(key)
        for full in pairs(prefix == "" and core.public or {}) do
          if full:sub(1, #name + 1) == name .. "." then
            return member(name .. ".")
          end
        end
        target_of(name, "b")
        return function(...)
          calls[#calls + 1] = call_of(name, "b", level, { ... }, select("#", ...))
        end
      end,
    })
  end
  local b = member("")
  function b.priority(priority)
    level = level_of(priority, "priority")
  end
  return b
end

local function read_calls(entries)
  if not is_callable(entries) then
    return read_list(entries)
  end
  local calls = {}
  local ok, err = guarded(entries, recorder(calls))
  if not ok then
    error(core.wrap(err, "the function of batch"), 0)
  end
  return calls
end

local function key_of(call)
  local name = call.name:match("^memory%.(.*)")
  if not name then
    return nil
  end
  return KEYED[name] and type(call.args[1]) == "string" and call.args[1] or core
end

-- Calls that wait are put into chains, most of one call: a chain is carried out in order. Calls for
-- one key of memory share a chain; where one may touch any key, all do. Calls in no chain do not
-- wait.
local function chain(calls)
  local chains, all = {}, false
  for _, call in ipairs(calls) do
    all = all or (call.waits and key_of(call) == core)
  end
  for i, call in ipairs(calls) do
    local key = key_of(call)
    key = key and all and core or key
    local own = key and chains[key]
    if not own and call.waits then
      own = { level = 0 }
      chains[key or own] = own
    end
    if own then
      own[#own + 1], call.chain = i, own
      own.level = call.level > own.level and call.level or own.level
    end
  end
end

local function record(call, began, ok, ...)
  local result = { ok = ok, duration_ms = now() - began }
  if not ok then
    result.error = core.wrap((...), call.name)
    return result
  end
  result.value = (...)
  if select("#", ...) > 1 then
    result.values = { n = select("#", ...), ... }
  end
  local answer = call.name:find("^provider%.") and type(result.value) == "table" and result.value
  result.cached = answer and rawget(answer, "cached") or nil
  return result
end

local function perform(state, i)
  local call = state.calls[i]
  local result = record(call, now(), guarded(call.fn, unpack(call.args, 1, call.n)))
  if not result.ok and core.stopped(core.context() or {}) then
    error(result.error, 0)
  end
  state.results[i] = result
  state.done = state.done + 1
  if state.on_each then
    local told, err = guarded(state.on_each, state.done, #state.calls, i, result.error)
    if not told then
      error(core.wrap(err, "on_each"), 0)
    end
  end
end

local function perform_chain(state, own)
  for _, i in ipairs(own) do
    perform(state, i)
  end
end

-- The next chain of the highest priority.
local function take(state)
  for level = CRITICAL, 0, -1 do
    local queue = state.queues[level]
    if queue[queue.at] then
      queue.at = queue.at + 1
      return queue[queue.at - 1]
    end
  end
end

-- One of the workers: carries out chains until there are none.
local function work(state)
  local own = take(state)
  while own do
    perform_chain(state, own)
    own = take(state)
  end
  state.working = state.working - 1
end

-- Starts what may start. The limit is not for what is critical.
local function start(state)
  local critical = state.queues[CRITICAL]
  while critical[critical.at] do
    critical.at = critical.at + 1
    local own = critical[critical.at - 1]
    state.tasks[#state.tasks + 1] = task_of(lua.spawn(perform_chain, state, own))
  end
  local waiting = 0
  for level = 0, CRITICAL - 1 do
    waiting = waiting + #state.queues[level] - state.queues[level].at + 1
  end
  for _ = 1, min(waiting, state.limit - state.working) do
    state.working = state.working + 1
    state.tasks[#state.tasks + 1] = task_of(lua.spawn(work, state))
  end
end

-- In list order: what waits may start from here on, what does not wait is done here.
local function walk(state)
  for i, call in ipairs(state.calls) do
    local own = call.chain
    if not own then
      start(state)
      perform(state, i)
    elseif own[#own] == i then
      local queue = state.queues[own.level]
      queue[#queue + 1] = own
    end
  end
  start(state)
end

local function run(calls, options)
  local state = { calls = calls, results = {}, tasks = {}, queues = {}, done = 0, working = 0 }
  state.on_each, state.limit = options.on_each, options.max_concurrency or core.concurrency()
  for level = 0, CRITICAL do
    state.queues[level] = { at = 1 }
  end
  chain(calls)
  local ok, err = guarded(walk, state)
  if not ok then
    many.cancel_rest(options, state.tasks)
    error(err, 0)
  end
  many.settle(state.tasks, options, "batch")
  return state.results
end

function lua.batch(entries, options)
  local own = many.options(options, { "max_concurrency", "on_each", "async" })
  local calls = read_calls(entries)
  if own.async then
    return lua.spawn(run, calls, own)
  end
  return run(calls, own)
end

-- Options may stand in the list itself.
core.prepare = {
  batch = function(entries, options, ...)
    if type(entries) ~= "table" or is_callable(entries) then
      return entries, options, ...
    end
    local given = options == nil or options == core.null or type(options) == "table"
    local all
    for key, value in next, given and entries or {} do
      if type(key) ~= "number" then
        all = all or {}
        all[key] = value
      end
    end
    for key, value in next, all and type(options) == "table" and options or {} do
      all[key] = value
    end
    return entries, all or options, ...
  end,
}

return core
