-- Patterns of names, through the public door.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local event = zigllms.event

local CASES = {
  { "workflow.*", "workflow.started", true },
  { "workflow.*", "workflow.step.started", true },
  { "workflow.*", "workflow", false },
  { "workflow.*", "workflows.started", false },
  { "agent.st*", "agent.started", true },
  { "agent.st*", "agent.st", true },
  { "agent.st*", "agent.ended", false },
  { "*", "a", true },
  { "*", "a.b.c", true },
  { "agent.*.started", "agent.llm.started", true },
  { "agent.*.started", "agent.started", false },
  { "agent.*.started", "agent.a.b.started", false },
  { "**", "a.b", true },
  { "**.failed", "failed", true },
  { "**.failed", "a.b.failed", true },
  { "**.failed", "failed.b", false },
  { "a.**.z", "a.z", true },
  { "a.**.z", "a.b.c.z", true },
  { "a.**", "a", true },
  { "ünicode.*", "ünicode.é", true },
  { "a b.c\0d", "a b.c\0d", true },
}

describe("An event pattern", function()
  before_each(function()
    zigllms.reset()
  end)

  it("matches what the contract says", function()
    for _, case in ipairs(CASES) do
      local id = event.subscribe(case[1], function() end)
      local _, delivered = event.emit(case[2])
      assert.equal(case[3] and 1 or 0, delivered, case[1] .. " and " .. case[2])
      event.unsubscribe(id)
      _, delivered = event.emit(case[2])
      assert.equal(0, delivered)
    end
  end)

  it("matches so in filters, too, and beside all others", function()
    for _, case in ipairs(CASES) do
      event.subscribe(case[1], function() end)
    end
    local function expected(name)
      local count = 0
      for _, case in ipairs(CASES) do
        if case[2] == name and case[3] then
          count = count + 1
        end
      end
      return count
    end
    for _, case in ipairs(CASES) do
      local _, delivered = event.emit(case[2])
      assert.is_true(delivered >= expected(case[2]))
      local seen = 0
      local id = event.filter(case[1], function()
        seen = seen + 1
      end)
      event.emit(case[2])
      assert.equal(case[3] and 1 or 0, seen)
      event.unsubscribe(id)
    end
  end)

  it("is refused with a star anywhere else; the error shows it and what is allowed", function()
    for _, pattern in ipairs({ "a*b", "*a", "a*.b", "a**", "***", "**a", "a.b**", "s*t*" }) do
      local functions = {
        function()
          event.subscribe(pattern, print)
        end,
        function()
          event.filter(pattern, print)
        end,
        function()
          event.list_subscriptions(pattern)
        end,
      }
      for _, fn in ipairs(functions) do
        local err = raised("invalid_argument", fn)
        assert.is_truthy(err.message:find('"' .. pattern .. '"', 1, true), err.message)
        assert.is_truthy(err.message:find("`agent.st*`", 1, true), err.message)
      end
    end
    raised("invalid_argument", event.subscribe, ("a."):rep(1000), print)
  end)
end)
