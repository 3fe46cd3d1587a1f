-- workflow.get_result: how executions have ended.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")

local workflow = zigllms.workflow

local function sleeping(ms)
  return workflow.create({ steps = { { type = "delay", duration_ms = ms } } })
end

local function pausing()
  return workflow.create({
    steps = {
      {
        id = "a",
        fn = function(ctx)
          workflow.pause(ctx.workflow.execution_id)
        end,
      },
      {
        id = "b",
        fn = function()
          return "end"
        end,
      },
    },
  })
end

describe("the result of an execution", function()
  after_each(zigllms.reset)

  it("is the very table that execute returned", function()
    local id = workflow.create({ steps = { { template = "hi" } } })
    local first = workflow.execute(id)
    local second = workflow.execute(id)
    assert.equal(second, workflow.get_result(id))
    assert.equal(first, workflow.get_result(first.execution_id))
    assert.equal(first, workflow.get_result(first.execution_id, { wait = true }))
    assert.equal(second, workflow.get_result(workflow.get(id)))
    first.mark = "mine"
    assert.equal("mine", workflow.get_result(first.execution_id).mark)
  end)

  it("is what a hook gave in its place", function()
    local mine, seen = { status = "completed", instead = true }, nil
    zigllms.hook.register("workflow_complete", function(context)
      seen = seen or context.result
      context.result = mine
    end)
    local id = workflow.create({ steps = { { template = "hi" } } })
    local result = workflow.execute(id)
    assert.equal(mine, result)
    assert.equal("hi", seen.output)
    assert.equal(mine, workflow.get_result(id))
  end)

  it("is nil and the status until there is one", function()
    local id = sleeping(20000)
    assert.same({ nil, "pending" }, { workflow.get_result(id) })
    assert.same({ nil, "pending" }, { workflow.get_result(id, { wait = true }) })
    workflow.execute(id, nil, { async = true })
    assert.same({ nil, "running" }, { workflow.get_result(id) })
    workflow.cancel(id, "enough")
    local result, status, err = workflow.get_result(id, { wait = true })
    assert.is_nil(result)
    assert.equal("cancelled", status)
    assert.equal("cancelled", err.code)
    assert.equal("enough", err.details.reason)
    local paused = workflow.execute(pausing())
    assert.same({ nil, "paused" }, { workflow.get_result(paused.execution_id) })
  end)

  it("is nil, failed and the error of a failure", function()
    local id = workflow.create({
      steps = {
        {
          id = "bad",
          fn = function()
            error({ mine = 1 })
          end,
        },
      },
    })
    local ok, why = pcall(workflow.execute, id)
    assert.is_false(ok)
    local result, status, err = workflow.get_result(id)
    assert.is_nil(result)
    assert.equal("failed", status)
    assert.equal(why.code, err.code)
    assert.equal("bad", err.details.step_id)
    assert.same({ mine = 1 }, err.cause)
    local failed = workflow.execute(id, nil, { on_error = "return" })
    assert.equal("failed", failed.status)
    assert.equal("failed", select(2, workflow.get_result(failed.execution_id)))
  end)

  it("is waited for", function()
    local id = sleeping(30)
    local handle = workflow.execute(id, nil, { async = true })
    local result = workflow.get_result(id, { wait = true })
    assert.equal("completed", result.status)
    assert.equal(result, handle:await())
  end)

  it("is waited for while the execution is paused", function()
    local paused = workflow.execute(pausing())
    local waiting = workflow.get_result(paused.execution_id, { wait = true, async = true })
    assert.is_false(waiting:wait(5))
    local _, result = workflow.resume(paused.execution_id)
    assert.equal(result, waiting:await())
    assert.equal("end", result.output)
    local other = workflow.execute(pausing())
    waiting = workflow.get_result(other.execution_id, { timeout_ms = 20000, async = true })
    assert.is_true(workflow.cancel(other.execution_id))
    assert.is_nil((waiting:await()))
    assert.equal("cancelled", select(2, waiting:await()))
  end)

  it("is waited for so long only", function()
    local id = sleeping(20000)
    workflow.execute(id, nil, { async = true })
    local began = os.time()
    local err = raised("timeout", workflow.get_result, id, { timeout_ms = 20 })
    assert.equal("total", err.phase)
    assert.truthy(tostring(err):find("still running after 20 ms", 1, true), tostring(err))
    assert.equal("running", (workflow.get_status(id)))
    assert.same(
      { nil, "running" },
      { workflow.get_result(id, { wait = false, timeout_ms = 5000 }) }
    )
    assert.is_true(os.time() - began < 5)
    local paused = workflow.execute(pausing())
    err = raised("timeout", workflow.get_result, paused.execution_id, { timeout_ms = 5 })
    assert.truthy(tostring(err):find("still paused", 1, true), tostring(err))
  end)

  it("is not waited for by its own steps", function()
    local code
    local id = workflow.create({
      steps = {
        {
          fn = function(ctx)
            local own = ctx.workflow.execution_id
            local ok, err = pcall(workflow.get_result, own, { wait = true })
            code = not ok and err.code
            return select(2, workflow.get_result(own))
          end,
        },
      },
    })
    assert.equal("running", workflow.execute(id).output)
    assert.equal("invalid_state", code)
  end)

  it("is forgotten when newer ones took its place, but not while somebody waits", function()
    local id = workflow.create({ keep = 0, steps = { { type = "delay", duration_ms = 10 } } })
    local handle = workflow.execute(id, "x", { async = true })
    local waiting = workflow.get_result(id, { wait = true, async = true })
    assert.equal("x", waiting:await().output)
    local execution = handle:await().execution_id
    raised("not_found", workflow.get_result, execution)
    assert.same({ nil, "pending" }, { workflow.get_result(id) })
    local broken = workflow.create({
      keep = 0,
      steps = { {
        fn = function()
          error("no")
        end,
      } },
    })
    assert.equal("failed", workflow.execute(broken, nil, { on_error = "return" }).status)
    local outer = workflow.create({ steps = { { workflow = id } } })
    assert.equal("y", workflow.execute(outer, "y").output)
  end)

  it("of what there is not is not_found", function()
    local err = raised("not_found", workflow.get_result, "exec_999")
    assert.truthy(tostring(err):find("exec_999", 1, true))
    raised("invalid_argument", workflow.get_result, "exec_1", { timeout_ms = -1 })
    raised("invalid_argument", workflow.get_result, "exec_1", { wait = 1 })
    raised("invalid_argument", workflow.get_result)
  end)
end)
