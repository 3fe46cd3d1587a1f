-- What bench/scenarios.lua measures, in short: within ten times of each goal, and 1,000 scenarios
-- within ten times of five seconds.
local zigllms = require("zigllms")

describe("The speed of scenarios", function()
  it("is within its goals, also on a busy machine", function()
    if zigllms.info().features.debug then
      print("skipped: this module is built without optimisation")
      return
    end
    local results = assert(loadfile("bench/scenarios.lua"))("short")
    if #results == 0 then
      print("SKIP the speed of scenarios: no busted in the path")
    end
    for _, result in ipairs(results) do
      local line = "%s: %.2f s, %.2f times busted, goal %g"
      print(line:format(result.name, result.seconds, result.ratio, result.goal))
      assert.is_true(result.ratio < 10 * result.goal, result.name .. ": " .. result.ratio)
      assert.is_true(result.seconds < 50, result.name .. ": " .. result.seconds .. " s")
    end
  end)
end)
