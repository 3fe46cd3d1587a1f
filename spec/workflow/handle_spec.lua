-- Handles of executions: they follow an execution through its pauses to its end.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")

local workflow = zigllms.workflow

-- Two steps with a pause between them, and a moment of waiting on both sides.
local function pausing(fails)
  return workflow.create({
    steps = {
      {
        id = "a",
        fn = function(ctx)
          zigllms.sleep(2)
          workflow.pause(ctx.workflow.execution_id)
          return "first"
        end,
      },
      {
        id = "b",
        fn = function()
          zigllms.sleep(2)
          if fails then
            error("no")
          end
          return "second"
        end,
      },
    },
  })
end

local function started(id, options)
  options = options or {}
  options.async = true
  return workflow.execute(id, "in", options)
end

describe("the handle of an execution", function()
  after_each(zigllms.reset)

  it("has the execution's id, and stands for it", function()
    local id = workflow.create({ steps = { { type = "delay", duration_ms = 20000 } } })
    local handle = started(id)
    local _, info = workflow.get_status(id)
    assert.equal(info.execution_id, handle.id)
    assert.equal(info.execution_id, tostring(handle))
    assert.equal("running", (workflow.get_status(handle)))
    assert.same({ nil, "running" }, { workflow.get_result(handle) })
    assert.is_true(workflow.pause(handle))
    assert.is_true(workflow.cancel(handle, "enough"))
    local err = raised("cancelled", handle.await, handle)
    assert.equal("enough", err.details.reason)
    assert.equal("cancelled", handle:status())
    local other = zigllms.spawn(function() end)
    raised("not_found", workflow.get_status, other)
  end)

  it("gives the very result", function()
    local id = workflow.create({ steps = { { template = "hi {{input}}" } } })
    local handle = started(id)
    local result = handle:await()
    assert.equal("hi in", result.output)
    assert.equal(result, workflow.get_result(handle))
    assert.equal(result, handle:result())
    assert.equal("completed", handle:status())
    assert.is_true(handle:done())
    assert.is_false(handle:cancel())
  end)

  it("rests while it is paused, and goes on with resume", function()
    local handle = started(pausing())
    local called = {}
    handle:on(function(err, result)
      called[#called + 1] = { err, result }
    end)
    assert.equal("running", handle:status())
    assert.is_false(handle:done())
    local paused = handle:await()
    assert.equal("paused", paused.status)
    assert.equal("paused", handle:status())
    assert.is_false(handle:done())
    assert.is_false(handle:wait())
    assert.same({ nil, "paused" }, { handle:result() })
    assert.equal(paused, handle:await())
    zigllms.poll(5)
    assert.equal(0, #called)
    local resumed, result = workflow.resume(handle)
    assert.is_true(resumed)
    assert.equal("second", result.output)
    assert.is_true(handle:done())
    assert.equal(result, handle:await())
    assert.equal("completed", handle:status())
    zigllms.poll(5)
    assert.equal(1, #called)
    assert.equal(result, called[1][2])
  end)

  it("is what resume gives with async", function()
    local handle = started(pausing())
    handle:await()
    local same = workflow.resume(handle, { async = true })
    assert.equal(handle, same)
    assert.equal("running", handle:status())
    assert.is_false(workflow.resume(handle, { async = true }))
    assert.equal("second", same:await().output)
    assert.is_false(workflow.resume(handle, { async = true }))
    -- One that was begun without a handle gets one.
    local paused = workflow.execute(pausing())
    local fresh = workflow.resume(paused.execution_id, { async = true })
    assert.equal(paused.execution_id, fresh.id)
    assert.equal("second", fresh:await().output)
  end)

  it("raises what it fails with, whoever goes on with it", function()
    local handle = started(pausing(true))
    handle:await()
    local err = raised("callback_error", workflow.resume, handle)
    local mine = raised("callback_error", handle.await, handle)
    assert.equal("b", err.details.step_id)
    assert.equal("b", mine.details.step_id)
    assert.equal("failed", handle:status())
    local _, status, why = handle:result()
    assert.equal("failed", status)
    assert.equal("callback_error", why.code)
    local other = started(pausing(true))
    other:await()
    other = workflow.resume(other, { async = true })
    raised("callback_error", other.await, other)
    local returning = started(pausing(true), { on_error = "return" })
    returning:await()
    local _, result = workflow.resume(returning)
    assert.equal("failed", result.status)
    assert.equal("failed", returning:await().status)
    assert.equal("b", returning:await().error.details.step_id)
  end)

  it("goes on step by step", function()
    local handle = started(pausing())
    handle:await()
    local step = workflow.step(handle)
    assert.equal("b", step.id)
    assert.equal(step.result, handle:await())
  end)

  it("ends with a cancel while it is paused", function()
    local told = 0
    zigllms.event.subscribe("workflow.cancelled", function()
      told = told + 1
    end)
    local first, second = started(pausing()), started(pausing())
    first:await()
    second:await()
    assert.is_true(workflow.cancel(first, "why"))
    assert.is_true(second:cancel("why"))
    assert.is_false(second:cancel("again"))
    for _, handle in ipairs({ first, second }) do
      assert.equal("cancelled", handle:status())
      assert.is_true(handle:done())
      local err = raised("cancelled", handle.await, handle)
      assert.equal("why", err.details.reason)
      assert.equal("cancelled", (workflow.get_status(handle)))
    end
    assert.equal(2, told)
  end)

  it("ends at once with its own cancel", function()
    local began = os.time()
    local handle = started(workflow.create({ steps = { { type = "delay", duration_ms = 20000 } } }))
    assert.is_true(handle:cancel("why"))
    local err = raised("cancelled", handle.await, handle)
    assert.equal("why", err.details.reason)
    assert.equal("cancelled", (workflow.get_status(handle)))
    assert.is_true(os.time() - began < 5)
  end)

  it("ends with the workflow's workflows", function()
    local handle = started(pausing())
    handle:await()
    zigllms.reset()
    raised("cancelled", handle.await, handle)
    assert.equal("cancelled", handle:status())
    assert.is_true(handle:done())
  end)

  it("is not waited for by run while it is paused", function()
    local handle, at_end
    zigllms.run(function()
      handle = started(pausing())
      at_end = started(workflow.create({ steps = { { type = "delay", duration_ms = 5 } } }))
    end)
    assert.equal("paused", handle:status())
    assert.is_true(at_end:done())
    zigllms.run(function()
      workflow.resume(handle, { async = true })
    end)
    assert.equal("second", handle:result().output)
  end)

  it("counts for all and race with what it has", function()
    local paused, whole = started(pausing()), started(workflow.create({ steps = {} }))
    local results = zigllms.all({ paused, whole })
    assert.equal("paused", results[1].status)
    assert.equal("completed", results[2].status)
    local index, result = zigllms.race({ paused, keep = true })
    assert.equal(1, index)
    assert.equal("paused", result.status)
  end)

  it("may be collected: the execution goes on, and callbacks are called", function()
    local id, called = pausing(), nil
    started(id):on(function(_, result)
      called = result
    end)
    started(workflow.create({
      name = "alone",
      steps = { { type = "delay", duration_ms = 5 }, { template = "x" } },
    }))
    collectgarbage()
    collectgarbage()
    zigllms.run()
    assert.equal("paused", (workflow.get_status(id)))
    assert.equal("completed", (workflow.get_status("alone")))
    collectgarbage()
    collectgarbage()
    local handle = workflow.resume(id, { async = true })
    assert.equal("second", handle:await().output)
    zigllms.run()
    assert.equal("second", called.output)
  end)

  it("gives the events of the execution, from its first one on", function()
    local handle = started(pausing())
    started(workflow.create({ steps = { { template = "another" } } }))
    local function heard()
      local list = {}
      for event in handle:iter() do
        list[#list + 1] = event.type .. " " .. tostring(event.data.step_id)
        assert.equal(handle.id, event.data.execution_id)
        assert.equal("workflow", event.category)
      end
      return list
    end
    assert.same({
      "workflow.started nil",
      "workflow.step_started a",
      "workflow.step_completed a",
      "workflow.paused nil",
    }, heard())
    assert.same({}, heard())
    workflow.resume(handle, { async = true })
    local seen = {}
    for event in handle do
      seen[#seen + 1] = event.type
    end
    assert.same({
      "workflow.resumed",
      "workflow.step_started",
      "workflow.step_completed",
      "workflow.completed",
    }, seen)
    assert.is_nil(handle())
    local failing = started(workflow.create({
      steps = { {
        fn = function()
          error("no")
        end,
      } },
    }))
    local last
    for event in failing:iter() do
      last = event
    end
    assert.equal("workflow.failed", last.type)
    assert.equal("callback_error", last.data.error.code)
  end)

  it("gives its execution to a handler of its events", function()
    local id = pausing()
    local inner
    zigllms.event.subscribe("workflow.paused", function(event)
      inner = { workflow.resume(event.data.execution_id) }
    end)
    local handle = started(id)
    local result = handle:await()
    assert.equal("second", result.output)
    assert.is_true(inner[1])
    assert.equal(inner[2], result)
    assert.equal("completed", handle:status())
    zigllms.reset()
    id = pausing()
    zigllms.event.subscribe("workflow.paused", function(event)
      inner = workflow.resume(event.data.execution_id, { async = true })
    end)
    handle = started(id)
    repeat
      result = handle:await()
    until result.status ~= "paused"
    assert.equal("second", result.output)
    assert.equal(handle, inner)
  end)

  it("belongs to a detached one as well", function()
    local handle = workflow.execute(pausing(), nil, { detach = true })
    raised("unsupported", handle.on, handle, function() end)
    assert.equal("paused", handle:await().status)
    assert.equal("second", select(2, workflow.resume(handle)).output)
    assert.equal("second", handle:await().output)
  end)
end)
