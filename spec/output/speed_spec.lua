-- The benchmark of JSON in short: a tenth of each goal, which a busy machine reaches too. What is
-- slower than that has lost its fast path.
local zigllms = require("zigllms")

describe("JSON against lua-cjson", function()
  if zigllms.info().features.debug then
    print("skipped: this module is built without optimisation")
    return pending("reaches a tenth of its goals")
  end
  local bench = assert(loadfile("bench/json.lua"))
  local results, reason = bench("short")
  if not results then
    print(reason)
    return pending("reaches a tenth of its goals")
  end
  for _, result in ipairs(results) do
    it("reaches a tenth of its goal: " .. result.name, function()
      local told = ("%.2f times as fast, the goal is %.1f"):format(result.ratio, result.goal)
      assert.is_true(result.ratio >= result.goal / 10, told)
    end)
  end
end)
