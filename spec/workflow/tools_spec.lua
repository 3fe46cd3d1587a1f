-- tool_call: a tool as `tool.execute` calls it.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local raised = require("spec.support.raised")

local tool = zigllms.tool

describe("a step that calls a tool", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  local function call(input, of, more)
    local step = { id = "call", tool = "t", input = input }
    for key, value in pairs(more or {}) do
      step[key] = value
    end
    return flow({ step }, of)
  end

  it("gives what the tool returns, by id or name", function()
    local id = tool.register({
      name = "t",
      execute = function(input)
        return { got = input.x }
      end,
    })
    assert.same({ got = 5 }, call({ x = 5 }).output)
    assert.same({ got = "in!" }, call({ x = "{{input}}!" }, "in").output)
    assert.same({ got = 1 }, flow({ { type = "tool_call", tool = id, input = { x = 1 } } }).output)
    -- Without an input of its own it gets the previous output.
    assert.same({ got = 7 }, call(nil, { x = 7 }).output)
  end)

  it("hands on tables and functions as they are", function()
    local kept = { deep = {} }
    tool.register({
      name = "t",
      execute = function()
        return kept
      end,
    })
    assert.equal(kept, call({}).output)
    tool.register({
      name = "t",
      replace = true,
      execute = function(input)
        return input.fn()
      end,
    })
    local got = flow({
      {
        fn = function()
          return function()
            return kept
          end
        end,
      },
      { tool = "t", input = { fn = "{{previous.output}}" } },
    }).output
    assert.equal(kept, got)
  end)

  it("is checked and completed by the tool's schema", function()
    tool.register({
      name = "t",
      parameters = {
        type = "object",
        properties = {
          n = { type = "integer", minimum = 1 },
          unit = { type = "string", default = "kg" },
        },
        required = { "n" },
      },
      execute = function(input)
        return input.n .. input.unit
      end,
    })
    assert.equal("5kg", call({ n = 5 }).output)
    for _, bad in ipairs({ { n = 0 }, { n = "x" }, {}, "text", 5 }) do
      local err = raised("validation_failed", call, bad)
      assert.equal("call", err.details.step_id)
    end
  end)

  it("fails with tool_error, and the tool's own error as its cause", function()
    local thrown = {}
    tool.register({
      name = "t",
      execute = function()
        error(thrown)
      end,
    })
    local err = raised("tool_error", call, {})
    assert.equal(thrown, err.cause)
    assert.equal("call", err.details.step_id)
    tool.register({
      name = "t",
      replace = true,
      execute = function()
        return nil, "no luck"
      end,
    })
    err = raised("tool_error", call, {})
    assert.truthy(tostring(err):find("no luck", 1, true), tostring(err))
    tool.register({
      name = "t",
      replace = true,
      execute = function()
        return zigllms.output.parse("not json", "json")
      end,
    })
    assert.equal("parse_failed", raised("tool_error", call, {}).cause.code)
  end)

  it("is tried again", function()
    local n = 0
    tool.register({
      name = "t",
      execute = function()
        n = n + 1
        return n == 3 and "third" or error("no")
      end,
    })
    assert.equal("third", call({}, nil, { retry = { max_attempts = 3, backoff_ms = 1 } }).output)
  end)

  it("may be a built-in or a sandboxed one", function()
    assert.equal(
      4,
      flow({ { tool = "calculator", input = { expression = "2 + {{input}}" } } }, 2).output
    )
    tool.register({
      name = "boxed",
      execution_mode = "sandboxed",
      source = "return function(input) return input.n * 2 end",
    })
    assert.equal(8, flow({ { tool = "boxed", input = { n = 4 } } }).output)
  end)

  it("tells the tool where it was called", function()
    local info
    tool.register({
      name = "t",
      execute = function(_, second)
        info = second
      end,
    })
    local result = call({})
    assert.equal(result.workflow_id, info.workflow_id)
    assert.equal(result.execution_id, info.execution_id)
    assert.equal("call", info.step_id)
    assert.is_string(info.idempotency_key)
  end)

  it("ends with the tool's time limit, or the step's", function()
    tool.register({
      name = "t",
      timeout_ms = 20,
      execute = function()
        zigllms.sleep(5000)
      end,
    })
    assert.equal("tool", raised("timeout", call, {}).phase)
    tool.register({
      name = "t",
      replace = true,
      execute = function()
        zigllms.sleep(5000)
      end,
    })
    local err = raised("timeout", call, {}, nil, { timeout_ms = 20 })
    assert.equal("total", err.phase)
  end)

  it("may unregister itself, create and execute workflows, and more", function()
    local id
    id = tool.register({
      name = "t",
      execute = function(input)
        if input.n == 0 then
          assert(tool.unregister(id))
          return "bottom"
        end
        return flow({ { tool = "t", input = { n = input.n - 1 } } }).output
      end,
    })
    assert.equal("bottom", call({ n = 5 }).output)
    assert.is_false(tool.exists("t"))
    raised("not_found", call, {})
  end)

  it("what a tool returns is never looked at as a template", function()
    tool.register({
      name = "t",
      execute = function()
        return "{{input}} {{variables.secret}}"
      end,
    })
    local result =
      flow({ { tool = "t", input = {} }, { template = "<{{previous.output}}>" } }, "in")
    assert.equal("<{{input}} {{variables.secret}}>", result.output)
  end)
end)
