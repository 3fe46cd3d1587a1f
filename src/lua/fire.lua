-- `hook.execute`: hooks that are called by their name or id.
local core = ...

local call_hook, taken, isolate = core.call_hook, core.taken, core.isolate
local lua, self, LEFT = core.lua, core.self, core.left
local ipairs, rawget, type = ipairs, rawget, type
local insert, unpack = table.insert, table.unpack or unpack -- luacheck: ignore

local IDS = { "agent_id", "agent_name", "tool_id", "tool_name", "workflow_id", "workflow_name" }

-- What hooks for one object look at.
local function ids_of(data)
  local ids = {}
  for _, key in ipairs(type(data) == "table" and IDS or {}) do
    local id = rawget(data, key)
    if type(id) == "string" then
      ids[key] = id
    end
  end
  return ids
end

-- The numbers of the hooks that a name or an id stands for, and the point they run at.
local function planned(name, data)
  if not name:find("^hook_%d+$") then
    return core.named_hooks(name, ids_of(data)), name
  end
  local number = core.find_hook(name)
  if not number then
    core.raise("not_found", ('hook not found: "%s"'):format(name), "hook.execute")
  end
  return { number }, core.hook_name(number) or name
end

-- Results stand in the order in which the hooks began.
local function note(run, ran, at)
  local result = { hook_id = ran.id, ok = ran.ok, value = ran.value, error = ran.error }
  result.duration_ms = ran.duration_ms
  insert(run.results, at, result)
  run.executed = run.executed + 1
  if not ran.ok then
    run.failure = run.failure or ran.error
    isolate(ran, run.context)
  end
end

local function filler(run, i)
  return function(info)
    info.index, info.total = i, #run.list
    info.elapsed_ms = core.now() - run.began
    info.data, info.input = run.data, run.data
    local kind = info.type
    if kind == "post" or kind == "error" then
      info.result, info.output = run.data, run.data
    end
    if kind == "error" then
      info.error = run.failure == nil and run.data or run.failure
    end
  end
end

-- Whether the next hook is around the others; one that has gone counts, as it is passed over.
local function is_around(run)
  local number = run.list[run.at]
  return number ~= nil and (core.hook_type(number) or "around") == "around"
end

local step

-- What an AROUND hook is around: the AROUND hooks behind it, and in the end nothing.
local function inside(run, state)
  return function(ran, inner)
    if ran.kind ~= "around" then
      return nil
    end
    return function(data)
      core.begin_next(state, inner)
      if data == nil then
        data = taken(ran, run.data, "data", "input")
      end
      run.data = data
      repeat
        local ran_one = not is_around(run) or step(run)
      until ran_one
      core.show_result(ran, run.data)
      return run.data
    end
  end
end

-- Takes over what a hook left; those inside one that did not call them are passed over.
local function leave(run, ran, state)
  local kind = ran.kind
  if not ran.ok then
    return
  elseif ran.value == false and kind == "pre" then
    run.aborted = true
    return
  end
  run.data = taken(ran, run.data, unpack(LEFT[kind]))
  while kind == "around" and not state.called and is_around(run) do
    run.at = run.at + 1
  end
end

-- Calls the next hook, and those inside it; answers whether it was still there.
function step(run)
  local i, place = run.at, #run.results + 1
  run.at = i + 1
  local state = { called = false, closed = false }
  local ran = call_hook(run.context, run.list[i], run.point, filler(run, i), inside(run, state))
  state.closed = true
  if ran then
    note(run, ran, place)
    leave(run, ran, state)
  end
  return ran ~= nil
end

local function perform(list, point, data)
  local parent = core.context()
  local depth = core.deeper(parent, "hook.execute")
  local context = {
    parent = parent,
    deadline = parent and parent.deadline,
    blocking = parent and parent.blocking,
    depth = depth - 1,
    home = core.home(self()),
    group = parent and parent.group,
  }
  local run = { context = core.attach(context), list = list, point = point, data = data, at = 1 }
  run.results, run.executed, run.began = {}, 0, core.now()
  while run.at <= #list and not run.aborted do
    step(run)
  end
  return run
end

local function result_of(run, name)
  return {
    hook = name,
    hooks_executed = run.executed,
    executed = run.executed,
    data = run.data,
    aborted = run.aborted or false,
    results = run.results,
  }
end

function lua.execute(name, data)
  if type(name) == "table" then
    name = rawget(name, "id")
  end
  local list, point = planned(name, data)
  return result_of(perform(list, point, data), name)
end

return core
