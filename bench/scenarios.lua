-- What scenarios cost: suites of 1,000, against busted with 1,000 tests that only compare.
--
-- Programs of their own run both, one after the other within one round, so that a busy machine
-- slows both; shown are the medians of seconds and of the rounds' ratios. Smaller is better; 1.00
-- is the time of busted.
--
-- `loadfile("bench/scenarios.lua")("short")` prints nothing and returns a list of {name, ratio,
-- goal, seconds}.
local system = require("system")

local short = (...) == "short"
local ROUNDS, COUNT = short and 3 or 7, 1000
local interpreter = arg and arg[-1] and arg[-1]:match("lua[^/]*$") and arg[-1]
  or (jit and "luajit" or "lua" .. _VERSION:match("%d%.%d"))

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function written(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

local paths = ("env LUA_PATH=%s LUA_CPATH=%s "):format(quoted(package.path), quoted(package.cpath))

-- Seconds that a program takes.
local function seconds(command)
  local began = system.monotime()
  local rc = os.execute(paths .. command .. " >/dev/null 2>&1 </dev/null")
  assert(rc == true or rc == 0, command)
  return system.monotime() - began
end

local PEER = [[
for i = 1, COUNT do
  it("test " .. i, function() assert.are.same({ a = i }, { a = i }) end)
end
]]

local HEAD = [[
local zigllms = require("zigllms")
local test, scenarios, agent = zigllms.test, {}, nil
for i = 1, COUNT do
  scenarios[i] = MAKE
end
local result = test.run_suite({ scenarios = scenarios, reporter = "junit" })
assert(result.passed == COUNT, result.error)
]]

local CASES = {
  {
    name = "1,000 tests",
    goal = 1,
    make = [[test.create_scenario(function()
      test.assert_equals({ a = i }, { a = i })
    end)]],
  },
  {
    name = "1,000 scenarios with a function mock",
    goal = 2,
    make = [[test.create_scenario({ name = "scenario " .. i, mocks = { add = { returns = i } },
      steps = { { expect = { a = i }, run = function(ctx)
        return { a = ctx.mocks.add(1, 2) }
      end } },
    })]],
  },
  {
    name = "1,000 scenarios of an agent with a service mock",
    goal = 6,
    make = [[(function()
      agent = agent or zigllms.agent.create({ provider = "openai" })
      local mock = { type = "service", provider = "openai", responses = { "answer " .. i } }
      return test.create_scenario({ name = "scenario " .. i, mocks = { openai = mock },
        setup = function() zigllms.agent.reset(agent) end,
        steps = { { agent = agent, input = "hello", expect = "answer " .. i } },
      })
    end)()]],
  },
}

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

local function compare(own, peer)
  local times, peer_times, ratios = {}, {}, {}
  for round = 1, ROUNDS do
    times[round], peer_times[round] = seconds(own), seconds(peer)
    ratios[round] = times[round] / peer_times[round]
  end
  return median(times), median(peer_times), median(ratios)
end

local busted = io.popen("command -v busted"):read("*l")
local results = {}
local peer_path = written((PEER:gsub("COUNT", tostring(COUNT))))
os.rename(peer_path, peer_path .. "_spec.lua")
local peer = ("%s %s %s_spec.lua"):format(interpreter, busted or "", peer_path)

for _, case in ipairs(busted and CASES or {}) do
  local text = HEAD:gsub("COUNT", tostring(COUNT)):gsub("MAKE", function()
    return case.make
  end)
  local path = written(text)
  local own, others, ratio = compare(interpreter .. " " .. path, peer)
  os.remove(path)
  results[#results + 1] = { name = case.name, ratio = ratio, goal = case.goal, seconds = own }
  if not short then
    print(("%-50s %7.3f s %7.2f x busted (%.3f s)"):format(case.name, own, ratio, others))
  end
end
os.remove(peer_path .. "_spec.lua")
if not (busted or short) then
  print("no busted to compare with")
end
return results
