-- The benchmark of events in short: ten times what each goal allows, which a busy machine reaches
-- too. What is slower than that has lost its fast path.
local zigllms = require("zigllms")

describe("The speed of events", function()
  if zigllms.info().features.debug then
    print("skipped: this module is built without optimisation")
    return pending("costs ten times its goals at most")
  end
  for _, result in ipairs(assert(loadfile("bench/events.lua"))("short")) do
    if result.goal then
      it("costs ten times its goal at most: " .. result.name, function()
        local told = ("%.2f times its peer, the goal is %.2f"):format(result.ratio, result.goal)
        assert.is_true(result.ratio <= result.goal * 10, told)
      end)
    end
  end
end)
