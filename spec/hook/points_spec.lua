-- Hooks around real operations: before, after, around, and when they failed.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local hook, tool = zigllms.hook, zigllms.tool
local Type = hook.Type

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

local function double()
  return tool.register({
    name = "double",
    parameters = { type = "object", properties = { n = { type = "number" } }, required = { "n" } },
    execute = function(input)
      return input.n * 2
    end,
  })
end

-- A tool that tells what it was called with, and how often.
local function teller(extra)
  local calls = {}
  local definition = {
    name = "teller",
    execute = function(input)
      calls[#calls + 1] = input
      return { got = input.n }
    end,
  }
  for key, value in pairs(extra or {}) do
    definition[key] = value
  end
  return tool.register(definition), calls
end

describe("hooks around an operation", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  describe("PRE", function()
    it("vetoes with false, and the operation does not run", function()
      local id, calls = teller()
      local hook_id = hook.register("tool_before_execute", function()
        return false
      end)
      local err = raised("aborted_by_hook", tool.execute, id, { n = 1 })
      has(err.message, hook_id .. " (tool_before_execute)")
      assert.are.equal("execute", err.func)
      assert.are.equal(0, #calls)
    end)

    it("says why", function()
      local id = teller()
      hook.register("tool_before_execute", function()
        return false, "not on a Sunday"
      end)
      has(raised("aborted_by_hook", tool.execute, id).message, "not on a Sunday")
    end)
  end)
end)
