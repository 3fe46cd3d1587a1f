-- The benchmark of JSON in short: a tenth of each goal, which a busy machine reaches too. What is
-- slower than that has lost its fast path. It runs in an interpreter of its own: it collects
-- garbage before each round, and would look through all that other specs keep each time.
local program = require("spec.support.program")
local zigllms = require("zigllms")

local CHUNK = [[
  local results, reason = assert(loadfile("bench/json.lua"))("short")
  print(results and "" or reason)
  for _, result in ipairs(results or {}) do
    print(("%.17g %.17g %s"):format(result.ratio, result.goal, result.name))
  end
]]

describe("JSON against lua-cjson", function()
  if zigllms.info().features.debug then
    print("skipped: this module is built without optimisation")
    return pending("reaches a tenth of its goals")
  end
  local said = program.run(CHUNK)
  assert(said.rc == 0, said.err)
  local reason, lines = said.out:match("^([^\n]*)\n(.*)$")
  if reason ~= "" then
    print(reason)
    return pending("reaches a tenth of its goals")
  end
  local count = 0
  for ratio, goal, name in lines:gmatch("(%S+) (%S+) ([^\n]+)\n") do
    count = count + 1
    it("reaches a tenth of its goal: " .. name, function()
      local told = ("%.2f times as fast, the goal is %.1f"):format(ratio, goal)
      assert.is_true(tonumber(ratio) >= goal / 10, told)
    end)
  end
  assert(count > 5, said.out)
end)
