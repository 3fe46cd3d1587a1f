-- Many at once: `all`, `race` and `map`.
local core = ...

local guarded, lua, task_of = core.guarded, core.lua, core.task
local error, ipairs, min, rawget, type = error, ipairs, math.min, rawget, type

-- How many items a list has: it ends at the first nil. Users' tables are read raw.
local function length(list, what, func)
  if type(list) ~= "table" then
    core.raise("invalid_argument", "argument #1: " .. what .. ", got " .. type(list), func)
  end
  local total = 0
  while rawget(list, total + 1) ~= nil do
    total = total + 1
  end
  return total
end

local function handles_of(list, name)
  local handles = {}
  for i = 1, length(list, "handles: expected an array of handles", name) do
    local item = rawget(list, i)
    local task = task_of(item)
    if not task then
      core.raise(
        "invalid_argument",
        "handles[" .. i .. "]: expected a handle, got " .. type(item),
        name
      )
    end
    if task.core ~= core then
      local text = "handles[" .. i .. "]: the handle belongs to another instance of the module"
      core.raise("invalid_argument", text, name)
    end
    handles[i] = task
  end
  return handles
end

local function cancel_rest(list, tasks)
  if not rawget(list, "keep") then
    for i = 1, #tasks do
      tasks[i].core.cancel(tasks[i], "another one decided the outcome")
    end
  end
end

-- Waits until one of the tasks ends that `wanted` accepts; returns its index. What stands still
-- counts with what it has so far.
local function first(tasks, wanted, func)
  while true do
    local open = false
    for i = 1, #tasks do
      local over = tasks[i].done or tasks[i].resting
      if over and wanted(tasks[i]) then
        return i
      end
      open = open or not over
    end
    if not open then
      return nil
    end
    local context = core.context() or {}
    core.check_stop(context, "waiting")
    core.check_wait(context, func)
    local tok = core.token()
    for i = 1, #tasks do
      tasks[i].joiners[tok] = true
      core.unblock(tasks[i])
    end
    core.suspend(context, tok, context.deadline)
    for i = 1, #tasks do
      tasks[i].joiners[tok] = nil
    end
  end
end

local function failed(task)
  return not task.ok
end

local function with_index(err, index)
  if core.is_error(err) and (err.details == nil or type(err.details) == "table") then
    err.details = err.details or {}
    err.details.index = index
  end
  return err
end

function lua.all(list)
  local tasks = handles_of(list, "all")
  local index = first(tasks, failed, "all")
  if index then
    cancel_rest(list, tasks)
    error(with_index(tasks[index].values[1], index), 0)
  end
  local values = {}
  for i = 1, #tasks do
    values[i] = tasks[i].values[1]
  end
  return values
end

function lua.race(list)
  local tasks = handles_of(list, "race")
  if #tasks == 0 then
    core.raise("invalid_argument", "handles: expected at least one handle", "race")
  end
  local index = first(tasks, function()
    return true
  end, "race")
  cancel_rest(list, tasks)
  if failed(tasks[index]) then
    error(with_index(tasks[index].values[1], index), 0)
  end
  return index, tasks[index].values[1]
end

-- One of the workers of a map: takes the next item until there is none.
local function work(state)
  while state.at < state.total do
    state.at = state.at + 1
    local i = state.at
    local ok, value = guarded(state.fn, rawget(state.list, i), i)
    local err = not ok and with_index(core.wrap(value, "the function of map"), i) or nil
    if err and (state.raises or core.stopped(core.context() or {})) then
      error(err, 0)
    end
    if ok then
      state.results[i] = value
    end
    state.errors[i] = err
    state.done = state.done + 1
    if state.on_each then
      state.on_each(state.done, state.total, i, err)
    end
  end
end

-- Waits until the tasks have ended. The first failure is raised; it ends the others, and so does
-- whatever ends the wait.
local function settle(tasks, options, func)
  local ok, index = guarded(first, tasks, failed, func)
  if not ok then
    cancel_rest({}, tasks)
    error(index, 0)
  elseif index then
    cancel_rest(options, tasks)
    error(tasks[index].values[1], 0)
  end
end

local function run_map(list, fn, total, options)
  local state = { list = list, fn = fn, total = total, at = 0, done = 0 }
  state.results, state.errors, state.on_each = {}, {}, options.on_each
  state.raises = (options.on_error or "raise"):lower() == "raise"
  local tasks = {}
  for i = 1, min(options.max_concurrency or 8, state.total) do
    tasks[i] = task_of(lua.spawn(work, state))
  end
  settle(tasks, options, "map")
  return state.results, state.errors
end

-- Those options that are set.
local function chosen(options, names)
  local own = {}
  for _, key in ipairs(names) do
    local value = type(options) == "table" and rawget(options, key) or nil
    own[key] = value ~= core.null and value or nil
  end
  return own
end

function lua.map(list, fn, options)
  local total = length(list, "list: expected an array", "map")
  local own = chosen(options, { "max_concurrency", "on_each", "on_error", "keep", "async" })
  if own.async then
    return lua.spawn(run_map, list, fn, total, own)
  end
  return run_map(list, fn, total, own)
end

core.many = { cancel_rest = cancel_rest, length = length, options = chosen, settle = settle }

return core
