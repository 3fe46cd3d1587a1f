-- Executions that are stopped, go on, and end early.
local zigllms = require("zigllms")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

local workflow = zigllms.workflow

describe("a workflow that is paused", function()
  after_each(zigllms.reset)

  local function pausing(at, also)
    local calls = {}
    local function step(name)
      return {
        id = name,
        fn = function(ctx)
          calls[#calls + 1] = name
          if name == at then
            assert.is_true(workflow.pause(ctx.workflow.execution_id))
            return (also or function() end)(ctx) or name
          end
          return name .. " after " .. tostring(ctx.previous.output)
        end,
      }
    end
    return workflow.create({ steps = { step("a"), step("b"), step("c") } }), calls
  end

  it("stops before a failure beside it is told, where branches go on after one", function()
    local calls = {}
    local function counts(name, work)
      return {
        id = name,
        fn = function(ctx)
          calls[name] = (calls[name] or 0) + 1
          return work and work(ctx) or name
        end,
      }
    end
    local id = workflow.create({
      name = "beside",
      steps = {
        {
          id = "p",
          type = "parallel",
          fail_fast = false,
          max_concurrency = 1,
          steps = {
            counts("fails", function()
              error("boom", 0)
            end),
            counts("pauses", function(ctx)
              return workflow.pause(ctx.workflow.execution_id)
            end),
            counts("last"),
          },
        },
      },
    })
    local paused = workflow.execute(id)
    assert.equal("paused", paused.status)
    assert.same({ fails = 1, pauses = 1 }, calls)
    local err = raised("callback_error", workflow.resume, paused.execution_id)
    assert.equal("callback_error", err.code)
    assert.equal("fails", err.details.step_id)
    assert.same({ fails = 1, pauses = 1, last = 1 }, calls)
    assert.equal("failed", (workflow.get_status(paused.execution_id)))
  end)

  it("counts the steps inside of others, completed and in all", function()
    local function noop() end
    local id = workflow.create({
      steps = {
        {
          id = "p",
          type = "parallel",
          steps = { { id = "x", fn = noop }, { id = "y", fn = noop } },
        },
        { id = "m", over = { 1, 2 }, steps = { { id = "i", fn = noop } } },
      },
    })
    local _, before = workflow.get_status(id)
    assert.same({ 5, 0, 0 }, { before.steps_count, before.completed_steps, before.progress })
    workflow.execute(id)
    local _, after = workflow.get_status(id)
    assert.same({ 5, 5, 1 }, { after.steps_count, after.completed_steps, after.progress })
    assert.equal(5, workflow.get_info(id).steps_count)
  end)

  it("stops before the next step, and goes on without executing one again", function()
    local id, calls = pausing("b")
    local paused = workflow.execute(id, "in")
    assert.equal("paused", paused.status)
    assert.same({ "a", "b" }, calls)
    assert.equal("completed", paused.steps.b.status)
    local status, info = workflow.get_status(paused.execution_id)
    assert.equal("paused", status)
    assert.equal(2, info.completed_steps)
    local resumed, result = workflow.resume(paused.execution_id)
    assert.is_true(resumed)
    assert.equal("c after b", result.output)
    assert.same({ "a", "b", "c" }, calls)
    assert.equal(paused.execution_id, result.execution_id)
    assert.is_false((workflow.resume(paused.execution_id)))
  end)

  it("tells that it stopped and that it goes on, and completes once", function()
    local id, told = pausing("a"), {}
    zigllms.event.subscribe("workflow.*", function(event)
      if not event.type:find("step", 1, true) then
        told[#told + 1] = event.type
      end
    end)
    workflow.execute(id)
    workflow.resume(id)
    assert.same({
      "workflow.started",
      "workflow.paused",
      "workflow.resumed",
      "workflow.completed",
    }, told)
  end)

  it("goes on inside loops, groups and maps where it stopped", function()
    local seen = {}
    local function note(name)
      return {
        id = name,
        fn = function(ctx)
          seen[#seen + 1] = name .. (ctx.loop and ctx.loop.index or "")
          if #seen == 3 or #seen == 6 then
            workflow.pause(ctx.workflow.execution_id)
          end
          return #seen
        end,
      }
    end
    local id = workflow.create({
      steps = {
        { id = "l", count = 2, steps = { note("x"), note("y") } },
        { id = "g", steps = { note("p"), note("q") } },
        { id = "m", over = { 1, 2 }, max_concurrency = 1, steps = { note("i") } },
      },
    })
    assert.equal("paused", workflow.execute(id).status)
    local _, again = workflow.resume(id)
    assert.equal("paused", again.status)
    local _, result = workflow.resume(id)
    assert.equal("completed", result.status)
    assert.same({ "x1", "y1", "x2", "y2", "p", "q", "i1", "i2" }, seen)
    assert.same({ 2, 4 }, result.steps.l.output)
    assert.same({ 7, 8 }, result.output)
  end)

  it("can be cancelled", function()
    local id = pausing("a")
    local paused = workflow.execute(id)
    local told
    zigllms.event.subscribe("workflow.cancelled", function(event)
      told = event.data.execution_id
    end)
    assert.is_true(workflow.cancel(paused.execution_id, "no more"))
    assert.equal("cancelled", (workflow.get_status(id)))
    assert.equal(paused.execution_id, told)
    assert.is_false(workflow.cancel(id))
    assert.is_false((workflow.resume(id)))
  end)
end)

describe("a workflow that is cancelled", function()
  after_each(zigllms.reset)

  it("by one of its own steps executes no further one", function()
    local ran
    local id = workflow.create({
      steps = {
        {
          fn = function(ctx)
            assert.is_true(workflow.cancel(ctx.workflow.execution_id, "enough"))
          end,
        },
        {
          fn = function()
            ran = true
          end,
        },
      },
    })
    local ok, err = pcall(workflow.execute, id)
    assert.is_false(ok)
    assert.equal("cancelled", err.code)
    assert.equal("enough", err.details.reason)
    assert.is_nil(ran)
    assert.equal("cancelled", (workflow.get_status(id)))
  end)

  it("by its last step, or by one that fails, is cancelled all the same", function()
    local fails = false
    local id = workflow.create({
      steps = {
        {
          fn = function(ctx)
            assert.is_true(workflow.cancel(ctx.workflow.execution_id, "enough"))
            if fails then
              error("as well")
            end
          end,
        },
      },
    })
    zigllms.hook.register("workflow_error", function()
      return "instead"
    end)
    for _ = 1, 2 do
      local err = raised("cancelled", workflow.execute, id)
      assert.equal("enough", err.details.reason)
      assert.equal("cancelled", (workflow.get_status(id)))
      raised("cancelled", workflow.execute, id, nil, { on_error = "return" })
      fails = true
    end
  end)

  it("is not what a step makes it look like", function()
    local other = workflow.create({ steps = { { type = "delay", duration_ms = 20000 } } })
    local id = workflow.create({
      steps = {
        {
          id = "inner",
          fn = function()
            local handle = workflow.execute(other, nil, { async = true })
            handle:cancel("mine")
            return handle:await()
          end,
        },
      },
    })
    local nested = workflow.create({ steps = { { workflow = id } } })
    local failed, cancelled = heard("workflow.failed"), heard("workflow.cancelled")
    local err = raised("cancelled", workflow.execute, id)
    assert.equal("inner", err.details.step_id)
    assert.equal("failed", (workflow.get_status(id)))
    assert.equal(1, #failed)
    assert.equal(1, #cancelled) -- the inner one
    local result = workflow.execute(nested, nil, { on_error = "return" })
    assert.equal("failed", result.status)
    assert.equal("cancelled", result.error.code)
    assert.same({ 3, 2 }, { #failed, #cancelled })
    local plain = workflow.create({
      steps = {
        {
          fn = function()
            error(zigllms.error("cancelled", "I say so"))
          end,
        },
      },
    })
    local handle = workflow.execute(plain, nil, { async = true })
    handle:wait()
    assert.equal("failed", (workflow.get_status(plain)))
    assert.equal("failed", select(2, workflow.get_result(plain)))
  end)

  it("while it waits ends at once", function()
    local id = workflow.create({ steps = { { type = "delay", duration_ms = 20000 } } })
    local handle = workflow.execute(id, nil, { async = true })
    assert.equal("running", (workflow.get_status(id)))
    local began = os.time()
    assert.is_true(workflow.cancel(id, "why"))
    local ok, err = pcall(handle.await, handle)
    assert.is_false(ok)
    assert.equal("cancelled", err.code)
    assert.equal("why", err.details.reason)
    assert.is_true(os.time() - began <= 2)
  end)
end)
