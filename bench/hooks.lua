-- What hooks cost: calls of a tool with them, against the same calls of an instance without any.
--
-- Each case alternates with its peer in short rounds within one run, and shows the median of the
-- rounds' ratios: a busy machine slows both. Smaller is better; 1.00 is the peer's time.
--
-- `loadfile("bench/hooks.lua")("short")` prints nothing and returns a list of {name, ratio, goal}.
local zigllms = require("zigllms")

local short = (...) == "short"
local here = debug.getinfo(1, "S").source:sub(2):gsub("[^/]*$", "")
package.path = here .. "lib/?.lua;" .. package.path
local measured = require("measured")

local results = {}
local CALLS = 20 -- in one function: the loop around them costs less than they do

local function compare(name, goal, fn, peer_name, peer)
  local cost, peer_cost, ratio = measured(fn, peer)
  results[#results + 1] = { name = name, ratio = ratio, goal = goal }
  if not short then
    local row = "%-46s %8.2f us %7.2f x %s (%.2f us)"
    print(row:format(name, cost / CALLS, ratio, peer_name, peer_cost / CALLS))
  end
end

local function nothing() end

-- An instance with a tool, and what `prepare` registers in it: a function that calls the tool in a
-- coroutine, as programs of coroutines do.
local function calling(prepare)
  local mine = zigllms.new()
  mine.tool.register({
    name = "echo",
    execute = function(input)
      return input
    end,
  })
  mine.tool.register({ name = "other", execute = nothing })
  if prepare then
    prepare(mine.hook)
  end
  local execute, input = mine.tool.execute, { n = 1 }
  return coroutine.wrap(function()
    while true do
      for _ = 1, CALLS do
        execute("echo", input)
      end
      coroutine.yield()
    end
  end)
end

local plain = calling()

local function case(name, goal, prepare)
  compare(name, goal, calling(prepare), "without hooks", plain)
end

local function around(_, next)
  return next()
end

case("tool.execute without hooks", 1.1)
case("tool.execute, a hook of other operations", 1.1, function(hook)
  hook.register("agent_before_run", nothing)
end)
case("tool.execute, a hook of another tool", 2, function(hook)
  hook.register("tool_before_execute", nothing, { tool = "other" })
end)
case("tool.execute, one PRE hook", 5, function(hook)
  hook.register("tool_before_execute", nothing)
end)
case("tool.execute, one AROUND hook", 5, function(hook)
  hook.register("tool_execute", around)
end)
case("tool.execute, PRE, AROUND and POST hooks", 8, function(hook)
  hook.register("tool_before_execute", nothing)
  hook.register("tool_execute", around)
  hook.register("tool_after_execute", nothing)
end)

local function executing(hooks)
  local mine = zigllms.new()
  for _ = 1, hooks do
    mine.hook.register("own", nothing)
  end
  local execute, data = mine.hook.execute, { n = 1 }
  return function()
    for _ = 1, CALLS do
      execute("own", data)
    end
  end
end

local function guarded()
  local data = { n = 1 }
  return function()
    for _ = 1, CALLS do
      pcall(nothing, { data = data, input = data, hook = "own", type = "post" })
    end
  end
end

local made = "pcall(fn, {…})"
-- LuaJIT compiles what these are compared with until nothing is left: there they have no goal.
local compiled = rawget(_G, "jit") ~= nil
compare("hook.execute, no hook", not compiled and 40 or nil, executing(0), made, guarded())
compare("hook.execute, one hook", not compiled and 80 or nil, executing(1), made, guarded())

return results
