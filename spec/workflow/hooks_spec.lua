-- Hooks of workflows and of their steps: what they see, change and forbid.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

local hook, workflow = zigllms.hook, zigllms.workflow

local function say(value)
  return function()
    return value
  end
end

local function fails(value)
  return function()
    error(value, 0)
  end
end

local function add(ctx)
  return ctx.input + 1
end

describe("hooks of a workflow", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("come in order, around the events", function()
    local order = {}
    for _, point in ipairs({
      "workflow_start",
      "workflow_step_start",
      "workflow_step_complete",
      "workflow_step_error",
      "workflow_complete",
      "workflow_error",
    }) do
      hook.register(point, function(context)
        order[#order + 1] = point .. " " .. (context.step_id or "")
        assert.is_string(context.workflow_id)
        assert.is_string(context.execution_id)
      end)
    end
    zigllms.event.subscribe("workflow.*", function(event)
      order[#order + 1] = event.type .. " " .. (event.data.step_id or "")
    end)
    flow({ { id = "a", fn = say(1) } })
    assert.same({
      "workflow_start ",
      "workflow.started ",
      "workflow_step_start a",
      "workflow.step_started a",
      "workflow_step_complete a",
      "workflow.step_completed a",
      "workflow_complete ",
      "workflow.completed ",
    }, order)
    order = {}
    pcall(flow, { { id = "a", fn = fails("x") } })
    assert.same({
      "workflow_start ",
      "workflow.started ",
      "workflow_step_start a",
      "workflow.step_started a",
      "workflow_step_error a",
      "workflow.step_failed a",
      "workflow_error ",
      "workflow.failed ",
    }, order)
  end)

  it("workflow_start may change the input", function()
    hook.register("workflow_start", function(context)
      context.data = context.data * 10
    end)
    local result = flow({ { fn = add }, { template = "{{input}} {{previous.output}}" } }, 4)
    assert.equal("40 41", result.output)
  end)

  it("workflow_start may veto", function()
    local list, ran = heard("workflow.*"), false
    hook.register("workflow_start", function()
      return false, "not today"
    end)
    local err = raised("aborted_by_hook", flow, {
      {
        fn = function()
          ran = true
        end,
      },
    })
    assert.truthy(tostring(err):find("not today", 1, true), tostring(err))
    assert.is_false(ran)
    -- As with agents: what has an end had a start.
    assert.same({ "workflow.started", "workflow.failed" }, { list[1].type, list[2].type })
    assert.equal(2, #list)
  end)

  it("workflow_step_start may change the input of a step", function()
    hook.register("workflow_step_start", function(context)
      if context.step_id == "b" then
        context.data = context.data * 100
      end
    end)
    assert.equal(301, flow({ { id = "a", fn = add }, { id = "b", fn = add } }, 2).output)
  end)

  it("workflow_step_start may veto: the step is skipped", function()
    local list = heard("workflow.step_*")
    hook.register("workflow_step_start", function(context)
      if context.step_id == "b" then
        return false, "not b"
      end
    end)
    local result =
      flow({ { id = "a", fn = add }, { id = "b", fn = add }, { id = "c", fn = add } }, 0)
    assert.equal(2, result.output)
    assert.equal("skipped", result.steps.b.status)
    assert.equal("completed", result.status)
    local of_b = {}
    for _, event in ipairs(list) do
      if event.data.step_id == "b" then
        of_b[#of_b + 1] = event.type
        assert.truthy(event.data.reason:find("not b", 1, true), event.data.reason)
      end
    end
    assert.same({ "workflow.step_skipped" }, of_b)
  end)

  it("workflow_step_complete may change the output", function()
    hook.register("workflow_step_complete", function(context)
      if context.step_id == "a" then
        assert.equal(1, context.data)
        context.data = { changed = context.data }
      end
    end)
    local result =
      flow({ { id = "a", fn = say(1) }, { template = "{{previous.output.changed}}!" } })
    assert.equal("1!", result.output)
    assert.same({ changed = 1 }, result.steps.a.output)
  end)

  it("workflow_step_error may supply another output, after the last attempt", function()
    local called, tried = 0, 0
    hook.register("workflow_step_error", function(context)
      called = called + 1
      assert.equal("boom", context.error.cause)
      assert.equal("s", context.step_id)
      context.data = "instead"
    end)
    local result = flow({
      {
        id = "s",
        retry = { max_attempts = 3, backoff_ms = 1 },
        fn = function()
          tried = tried + 1
          error("boom", 0)
        end,
      },
      { template = "{{previous.output}}!" },
    })
    assert.equal("instead!", result.output)
    assert.equal("completed", result.steps.s.status)
    assert.equal(1, called)
    assert.equal(3, tried)
  end)

  it("workflow_complete sees the very table that is returned, and may replace it", function()
    local seen
    hook.register("workflow_complete", function(context)
      seen = context.result
      context.result.extra = "mine"
    end)
    local result = flow({ { fn = say(1) } })
    assert.equal(seen, result)
    assert.equal("mine", result.extra)
    assert.equal("completed", result.status)
    local id = hook.register("workflow_complete", function(context)
      context.data = { replaced = context.data.output }
    end)
    assert.same({ replaced = 1 }, flow({ { fn = say(1) } }))
    hook.unregister(id)
  end)

  it("workflow_error sees the error and may supply a result", function()
    local seen
    local id = hook.register("workflow_error", function(context)
      seen = context.error
    end)
    local err = raised("callback_error", flow, { { id = "s", fn = fails("boom") } })
    assert.equal("boom", seen.cause)
    assert.equal("s", seen.details.step_id)
    assert.equal(err.code, seen.code)
    hook.unregister(id)
    hook.register("workflow_error", function(context)
      context.data = { rescued = true }
    end)
    assert.same({ rescued = true }, flow({ { fn = fails("boom") } }))
  end)

  it("around an execution and a step", function()
    local order = {}
    for _, name in ipairs({ "workflow_execute", "workflow_step" }) do
      hook.register(name, function(context, next)
        order[#order + 1] = "before " .. (context.step_id or "all")
        zigllms.sleep(1)
        local value = next()
        order[#order + 1] = "after " .. (context.step_id or "all")
        return value
      end, { type = hook.Type.AROUND })
    end
    assert.equal(2, flow({ { id = "a", fn = add }, { id = "b", fn = add } }, 0).output)
    assert.same({ "before all", "before a", "after a", "before b", "after b", "after all" }, order)
  end)

  it("around a step may leave it out, or change what it is given and gives", function()
    hook.register("workflow_step", function(context, next)
      if context.step_id == "a" then
        return "without"
      end
      context.data = context.data .. "+"
      return next() .. "!"
    end, { type = hook.Type.AROUND })
    local ran = false
    local result = flow({
      {
        id = "a",
        fn = function()
          ran = true
        end,
      },
      {
        id = "b",
        fn = function(ctx)
          return ctx.input
        end,
      },
    })
    assert.is_false(ran)
    assert.equal("without+!", result.output)
  end)

  it("that fail end the workflow", function()
    hook.register("workflow_step_start", fails("hook broke"))
    local err = raised("hook_error", flow, { { id = "s", fn = say(1) } })
    assert.equal("s", err.details.step_id)
    assert.truthy(tostring(err):find("hook broke", 1, true), tostring(err))
  end)

  it("may execute workflows themselves", function()
    local other = workflow.create({ name = "other", steps = { { fn = say("other") } } })
    local got
    hook.register("workflow_complete", function(context)
      if context.workflow_id ~= other then
        got = workflow.execute(other).output
      end
    end)
    assert.equal("mine", flow({ { fn = say("mine") } }).output)
    assert.equal("other", got)
  end)

  it("see the steps inside of others, each once", function()
    local count = {}
    hook.register("workflow_step_start", function(context)
      count[context.step_id] = (count[context.step_id] or 0) + 1
    end)
    flow({
      {
        id = "p",
        type = "parallel",
        steps = { { id = "x", fn = say(1) }, { id = "y", fn = say(1) } },
      },
      { id = "m", over = { 1, 2, 3 }, steps = { { id = "z", fn = say(1) } } },
      { id = "l", count = 2, steps = { { id = "w", fn = say(1) } } },
    })
    assert.same({ p = 1, x = 1, y = 1, m = 1, z = 3, l = 1, w = 2 }, count)
  end)
end)
