-- The hooks at the end of an agent, which is no operation: it is destroyed at once.
local core = ...

local call_hook, guarded, hooked = core.call_hook, core.guarded, core.hooked
local next, rawget = next, rawget

local CLEANUP = "agent_cleanup"
local ending = {} -- ids of agents whose hooks run now: these may destroy them

local function filler(about, info, i, total)
  return function(told)
    for key, value in next, about do
      told[key] = value
    end
    told.data, told.result, told.output = info, info, info
    told.index, told.total, told.elapsed_ms = i, total, 0
  end
end

local function run(about, info)
  local list = core.named_hooks(CLEANUP, about)
  for i = 1, #list do
    local context = core.context() or {}
    local ran = call_hook(context, list[i], CLEANUP, filler(about, info, i, #list))
    if ran and not ran.ok then
      core.isolate(ran)
    end
  end
end

core.wraps["agent.destroy"] = function(destroy)
  local function destroyed(agent, ...)
    local about, info = core.agent_about(agent)
    local id = about and rawget(about, "agent_id")
    if not id or ending[id] then
      return destroy(agent, ...)
    end
    ending[id] = true
    local ok, err = guarded(run, about, info)
    ending[id] = nil
    if not ok then
      core.raise("hook_error", core.describe(err), "agent.destroy")
    end
    return destroy(agent, ...)
  end
  return function(...)
    local result
    if hooked[CLEANUP] then
      result = destroyed(...)
    else
      result = destroy(...)
    end
    core.refresh_hooks()
    return result
  end
end

return core
