-- workflow.step: executions one step at a time.
local zigllms = require("zigllms")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

local workflow = zigllms.workflow

local function named(...)
  local steps, calls = {}, {}
  for i, name in ipairs({ ... }) do
    steps[i] = {
      id = name,
      fn = function(ctx)
        calls[#calls + 1] = name
        return (type(ctx.input) == "table" and "" or ctx.input) .. name
      end,
    }
  end
  return steps, calls
end

-- Steps until the end; the ids of the steps, and the last answer.
local function through(id, input)
  local ids = {}
  local step
  repeat
    step = workflow.step(id, input)
    ids[#ids + 1] = step.id
  until step.execution_status ~= "paused" or #ids > 50
  return ids, step
end

describe("workflow.step", function()
  after_each(zigllms.reset)

  it("executes one step, and pauses", function()
    local steps, calls = named("a", "b")
    local id = workflow.create({ steps = steps })
    local step = workflow.step(id, "-")
    assert.equal("a", step.id)
    assert.equal("completed", step.status)
    assert.equal("-a", step.output)
    assert.equal(1, step.attempts)
    assert.equal("paused", step.execution_status)
    assert.equal("paused", step.result.status)
    assert.equal("paused", (workflow.get_status(step.execution_id)))
    assert.same({ "a" }, calls)
    local last = workflow.step(step.execution_id)
    assert.equal(step.execution_id, last.execution_id)
    assert.equal("b", last.id)
    assert.equal("completed", last.execution_status)
    assert.equal("-ab", last.result.output)
    assert.equal(last.result, workflow.get_result(id))
    assert.same({ "a", "b" }, calls)
  end)

  it("of a workflow goes on with the execution that it paused, or begins a new one", function()
    local steps, calls = named("a", "b")
    local id = workflow.create({ steps = steps })
    local first = workflow.step(id, "1")
    assert.equal(first.execution_id, workflow.step(id, "ignored").execution_id)
    local second = workflow.step(id, "2")
    assert.not_equal(first.execution_id, second.execution_id)
    assert.equal("2a", second.output)
    assert.same({ "a", "b", "a" }, calls)
  end)

  it("leaves an execution alone that somebody else has paused", function()
    local id = workflow.create({
      steps = {
        {
          fn = function(ctx)
            workflow.pause(ctx.workflow.execution_id)
          end,
        },
        { id = "end", template = "end" },
      },
    })
    local paused = workflow.execute(id)
    assert.not_equal(paused.execution_id, workflow.step(id).execution_id)
    local step = workflow.step(paused.execution_id)
    assert.equal("end", step.id)
    assert.equal("completed", step.execution_status)
  end)

  it("goes into what has steps in it, and passes over what is skipped", function()
    local steps = named("a", "b", "c", "d", "e", "f")
    local id = workflow.create({
      steps = {
        { id = "group", steps = { steps[1], steps[2] } },
        { id = "not", condition = "1 == 2", template = "x" },
        { id = "both", type = "parallel", steps = { steps[3], steps[4] } },
        { id = "loop", count = 2, steps = { steps[5] } },
        { id = "map", over = { 1, 2 }, steps = { steps[6] } },
        { id = "nothing", type = "parallel", steps = {} },
      },
    })
    local ids, last = through(id, "")
    assert.same({ "a", "b", "c", "d", "e", "e", "f", "f" }, ids)
    assert.equal("completed", last.execution_status)
    local whole = workflow.execute(id, "")
    assert.same(whole.output, last.result.output)
    assert.same(whole.steps.both.output, last.result.steps.both.output)
    assert.same(whole.steps.loop.output, last.result.steps.loop.output)
  end)

  it("executes a nested workflow whole", function()
    local child = workflow.create({ steps = (named("x", "y")) })
    local id = workflow.create({ steps = { { id = "call", workflow = child }, (named("z"))[1] } })
    local step = workflow.step(id, "")
    assert.equal("call", step.id)
    assert.equal("xy", step.output)
    assert.equal("z", workflow.step(id).id)
  end)

  it("begins an execution without steps, and ends it", function()
    local id = workflow.create({ steps = {} })
    local step = workflow.step(id, 7)
    assert.is_nil(step.id)
    assert.equal("completed", step.execution_status)
    assert.equal(7, step.result.output)
  end)

  it("raises what the step fails with", function()
    local tries = 0
    local id = workflow.create({
      steps = {
        {
          id = "bad",
          retry = { max_attempts = 2, backoff_ms = 1 },
          fn = function()
            tries = tries + 1
            error("no")
          end,
        },
      },
    })
    local err = raised("callback_error", workflow.step, id)
    assert.equal("bad", err.details.step_id)
    assert.equal(2, tries)
    assert.equal("failed", (workflow.get_status(id)))
    local kept = workflow.create({
      on_error = "continue",
      steps = {
        {
          id = "bad",
          default = "d",
          fn = function()
            error("no")
          end,
        },
        { id = "next", template = "{{previous.output}}" },
      },
    })
    local step = workflow.step(kept)
    assert.equal("failed", step.status)
    assert.equal("callback_error", step.error.code)
    assert.equal("d", workflow.step(kept).output)
  end)

  it("lets resume do the rest", function()
    local steps, calls = named("a", "b", "c")
    local id = workflow.create({ steps = steps })
    workflow.step(id, "")
    local resumed, result = workflow.resume(id)
    assert.is_true(resumed)
    assert.equal("abc", result.output)
    assert.same({ "a", "b", "c" }, calls)
  end)

  it("has options, events and handles as execute has", function()
    local id = workflow.create({
      steps = {
        { id = "a", template = "{{variables.v}}" },
        { id = "b", template = "{{previous.output}}!" },
      },
    })
    local started, paused = heard("workflow.started"), heard("workflow.paused")
    local completed, told = heard("workflow.completed"), {}
    local handle = workflow.step(id, nil, {
      async = true,
      variables = { v = "V" },
      metadata = { m = 1 },
      on_step = function(step)
        told[#told + 1] = step.id
      end,
    })
    local step = handle:await()
    assert.equal("V", step.output)
    assert.same({ m = 1 }, step.result.metadata)
    assert.equal("V!", workflow.step(id).output)
    assert.same({ "a", "b" }, told)
    assert.same({ 1, 1, 1 }, { #started, #paused, #completed })
  end)

  it("is for what is paused only", function()
    local id = workflow.create({ steps = { { type = "delay", duration_ms = 20000 } } })
    local running = workflow.execute(id, nil, { async = true })
    local _, info = workflow.get_status(id)
    raised("invalid_state", workflow.step, info.execution_id)
    workflow.cancel(id)
    running:wait(5000)
    local err = raised("invalid_state", workflow.step, info.execution_id)
    assert.truthy(tostring(err):find("is cancelled", 1, true), tostring(err))
    raised("not_found", workflow.step, "nobody")
    raised("invalid_argument", workflow.step, id, nil, { on_eror = 1 })
  end)
end)
