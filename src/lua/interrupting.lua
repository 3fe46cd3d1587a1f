-- A yield of the user's own is a wait like any other: whoever has been stopped meanwhile is told
-- there. Nobody can raise in a coroutine that waits, so a debug hook does it, at the first
-- instruction behind the yield. Without a debug library, or where a debugger of C has its own hook,
-- such code goes on until it waits in a way of the module's.
local core = ...

local debug, jit = debug, jit -- not every host has them
local contexts, overdue, stopped = core.contexts, core.overdue, core.stopped
local running, status, type = coroutine.running, coroutine.status, type

-- On Lua 5.1 the module itself is what goes on behind the yield of a callback.
local yields_pass = _VERSION == "Lua 5.1" and type(jit) ~= "table"
local can_hook = type(debug) == "table" and debug.sethook and debug.gethook and not yields_pass

-- The hook that was there before comes back, also where nothing of the coroutine is left to be run.
local function raise_in(co, context)
  local hook, mask, count = debug.gethook(co)
  if hook ~= nil and type(hook) ~= "function" then
    return
  end
  debug.sethook(co, function()
    local is_there = running() == co
    if is_there or status(co) == "dead" then
      debug.sethook(co, hook, mask, count)
    end
    if is_there then
      core.check_stop(context, "yielding")
    end
  end, "", 1)
end

-- LuaJIT has one hook for all coroutines, and its compiled code looks at none.
local function leave_compiled_code()
  if type(jit) == "table" and jit.flush then
    jit.flush()
  end
end

-- To be called before a coroutine goes on that has yielded on its own account.
function core.interrupt(co)
  local context = contexts[co]
  if can_hook and context and (stopped(context) or overdue(context)) then
    leave_compiled_code()
    raise_in(co, context)
  end
end

return core
