-- Workflows that are forgotten, and what becomes of their executions.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local workflow = zigllms.workflow

local function noop() end

local function waiting(name)
  return workflow.create({ name = name, steps = { { id = "w", duration_ms = 60000 } } })
end

-- Two steps, of which the first stops the execution.
local function paused()
  local id = workflow.create({
    steps = {
      {
        id = "a",
        fn = function(ctx)
          workflow.pause(ctx.workflow.execution_id)
        end,
      },
      { id = "b", fn = noop },
    },
  })
  return id, workflow.execute(id).execution_id
end

local function cancelled(handle)
  local err = raised("cancelled", handle.await, handle)
  assert.equal("the workflow was destroyed", err.details.reason)
end

describe("workflow.destroy", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("forgets a workflow, by id and by name", function()
    local id = workflow.create({ name = "w", steps = {} })
    assert.is_true(workflow.destroy("w"))
    assert.is_false(workflow.destroy("w"))
    assert.is_false(workflow.destroy(id))
    assert.is_nil(workflow.get(id))
    assert.same({}, workflow.list())
    raised("not_found", workflow.execute, id)
    raised("not_found", workflow.get_status, id)
  end)

  it("cancels what waits, each with one event, and nothing of others", function()
    local id, other = waiting("mine"), waiting("other")
    local told, expected = {}, {}
    zigllms.event.subscribe("workflow.started", function(event)
      expected[#expected + 1] = "workflow.cancelled " .. event.data.execution_id
    end)
    zigllms.event.subscribe("workflow.*", function(event)
      if event.type ~= "workflow.started" and not event.type:find("step", 1, true) then
        told[#told + 1] = event.type .. " " .. event.data.execution_id
      end
    end)
    local mine = {}
    for i = 1, 3 do
      mine[i] = workflow.execute(id, i, { async = true })
    end
    local theirs = workflow.execute(other, nil, { async = true })
    assert.is_true(workflow.destroy(id))
    for _, handle in ipairs(mine) do
      cancelled(handle)
      assert.equal("cancelled", handle:status())
    end
    table.remove(expected)
    table.sort(told)
    assert.same(expected, told)
    for _, line in ipairs(told) do
      assert.equal("cancelled", (workflow.get_status(line:match("%S+$"))))
    end
    assert.equal("running", theirs:status())
    assert.is_true(theirs:cancel())
  end)

  it("cancels what is paused", function()
    local id, execution = paused()
    local told
    zigllms.event.subscribe("workflow.cancelled", function(event)
      told = event.data.execution_id
    end)
    assert.is_true(workflow.destroy(id))
    assert.equal(execution, told)
    assert.equal("cancelled", (workflow.get_status(execution)))
    assert.is_false((workflow.resume(execution)))
  end)

  it("may be called by a step of the execution itself", function()
    local id, after
    id = workflow.create({
      steps = {
        {
          fn = function()
            assert.is_true(workflow.destroy(id))
          end,
        },
        {
          fn = function()
            after = true
          end,
        },
      },
    })
    raised("cancelled", workflow.execute, id)
    assert.is_nil(after)
  end)

  it("cancels all that is paused, also where few are kept that have ended", function()
    local id = workflow.create({
      keep = 2,
      steps = {
        {
          fn = function(ctx)
            return ctx.input and workflow.pause(ctx.workflow.execution_id)
          end,
        },
        { template = 1 },
      },
    })
    for _ = 1, 4 do
      workflow.execute(id, true)
    end
    for _ = 1, 3 do
      workflow.execute(id)
    end
    local told = 0
    zigllms.event.subscribe("workflow.cancelled", function()
      told = told + 1
    end)
    assert.is_true(workflow.destroy(id))
    assert.is_nil(workflow.get(id))
    assert.equal(4, told)
  end)

  it("leaves what has ended as it was, and not without end", function()
    local first
    for i = 1, 300 do
      local id = workflow.create({ steps = {} })
      local result = workflow.execute(id, i)
      first = first or result.execution_id
      assert.is_true(workflow.destroy(id))
      assert.equal(i, workflow.get_status(result.execution_id) == "completed" and i)
    end
    raised("not_found", workflow.get_status, first)
  end)
end)
