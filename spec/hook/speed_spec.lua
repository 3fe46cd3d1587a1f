-- What bench/hooks.lua measures, in short: within ten times of each goal, or three times where the
-- goal is to cost nothing.
local zigllms = require("zigllms")

describe("The speed of hooks", function()
  it("is within its goals, also on a busy machine", function()
    if zigllms.info().features.debug then
      print("skipped: this module is built without optimisation")
      return
    end
    local results = assert(loadfile("bench/hooks.lua"))("short")
    assert.is_true(#results >= 6)
    for _, result in ipairs(results) do
      if result.goal then
        print(("%s: %.2f, goal %g"):format(result.name, result.ratio, result.goal))
        local limit = result.goal < 2 and 3 or 10 * result.goal
        assert.is_true(result.ratio < limit, result.name .. ": " .. result.ratio)
      end
    end
  end)

  it("does not look at operations that have no hooks", function()
    zigllms.reset()
    local mine = zigllms.new()
    mine.tool.register({
      name = "echo",
      execute = function(input)
        return input
      end,
    })
    local calls = 0
    mine.hook.register("agent_before_run", function()
      calls = calls + 1
    end)
    mine.tool.execute("echo", {})
    assert.are.equal(0, calls)
    assert.are.equal(0, mine.hook.list()[1].call_count)
  end)
end)
