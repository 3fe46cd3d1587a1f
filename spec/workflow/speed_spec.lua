-- The benchmark of workflows in short, with ten times what each goal allows.
local zigllms = require("zigllms")

describe("the cost of workflows", function()
  if zigllms.info().features.debug then
    print("skipped: this module is built without optimisation")
    return pending("is near its goals")
  end
  it("is near its goals", function()
    for _, result in ipairs(assert(loadfile("bench/workflows.lua"))("short")) do
      if result.goal then
        local line = ("%s: %.0f (goal %d)"):format(result.name, result.value, result.goal)
        print("\n" .. line)
        assert.is_true(result.value > result.goal / 10, line)
      end
    end
  end)
end)
