-- Steps again and again, as a step and as a workflow.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock
local flow = require("spec.support.flow")
local raised = require("spec.support.raised")

-- The result of a loop as a workflow, and its output as a step.
local function loop(fields, input, options)
  local definition, step = { pattern = "loop" }, { id = "l", type = "loop" }
  for key, value in pairs(fields) do
    definition[key], step[key] = value, value
  end
  local result = flow(definition, input, options)
  return result, flow({ step }, input).output
end

local function index(ctx)
  return ctx.loop.index
end

local STEP = { { id = "s", fn = index } }

describe("a loop", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  local function check(fields, input, output, reason, iterations)
    local result, same = loop(fields, input)
    assert.same(output, result.output)
    assert.same(output, same)
    assert.equal(reason, result.break_reason)
    assert.equal(iterations or #output, result.iterations)
  end

  it("goes over items", function()
    local steps =
      { { template = { "{{loop.item}}", "{{loop.index}}", "{{loop.first}}", "{{loop.last}}" } } }
    local output = { { "a", 1, true, false }, { "b", 2, false, true } }
    check({ items = { "a", "b" }, steps = steps }, nil, output, "completed_naturally")
    check(
      { items = "{{input.list}}", steps = steps },
      { list = { "a", "b" } },
      output,
      "completed_naturally"
    )
    check({
      items = function(ctx)
        return ctx.input
      end,
      steps = steps,
    }, { "a", "b" }, output, "completed_naturally")
    check({ items = {}, steps = steps }, nil, {}, "completed_naturally")
    check({ items = "{{input}}", steps = steps }, {}, {}, "completed_naturally")
  end)

  it("counts", function()
    check({ count = 3, steps = STEP }, nil, { 1, 2, 3 }, "completed_naturally")
    check({ count = "{{input}}", steps = STEP }, 2, { 1, 2 }, "completed_naturally")
    check({ count = "{{input}}", steps = STEP }, "2", { 1, 2 }, "completed_naturally")
    check({ count = 0, steps = STEP }, nil, {}, "completed_naturally")
    for _, bad in ipairs({ 1.5, -1, "x", {}, true }) do
      raised("validation_failed", loop, { count = "{{input}}", steps = STEP }, bad)
    end
    -- max_iterations is for conditions: what is counted is bounded anyway.
    check(
      { count = 150, steps = { { fn = function() end } } },
      nil,
      (function()
        local nulls = {}
        for i = 1, 150 do
          nulls[i] = zigllms.null
        end
        return nulls
      end)(),
      "completed_naturally"
    )
  end)

  it("goes on while a condition holds", function()
    check({
      condition = function(ctx)
        return ctx.loop.index <= 3
      end,
      steps = STEP,
    }, nil, { 1, 2, 3 }, "condition_false")
    check({
      condition = "{{previous.output}} < 10",
      steps = {
        {
          fn = function(ctx)
            return ctx.input * 2
          end,
        },
      },
    }, 1, { 2, 4, 8, 16 }, "condition_false")
    check({ condition = "false", steps = STEP }, nil, {}, "condition_false")
    check(
      { condition = "true", max_iterations = 4, steps = STEP },
      nil,
      { 1, 2, 3, 4 },
      "max_iterations_reached"
    )
    local result = loop({ condition = "true", steps = STEP })
    assert.equal(100, result.iterations)
  end)

  it("goes on until a condition holds", function()
    check(
      { until_condition = "{{previous.output}} == 3", steps = STEP },
      nil,
      { 1, 2, 3 },
      "completed_naturally"
    )
    check({
      until_ = function(ctx)
        return ctx.previous.output == 2
      end,
      steps = STEP,
    }, nil, { 1, 2 }, "completed_naturally")
    check(
      { until_condition = "false", max_iterations = 2, steps = STEP },
      nil,
      { 1, 2 },
      "max_iterations_reached"
    )
    check(
      { count = 5, until_condition = "{{previous.output}} == 2", steps = STEP },
      nil,
      { 1, 2 },
      "completed_naturally"
    )
    -- The outputs of the iteration's steps are there.
    check(
      { until_condition = "{{steps.s.output}} >= 2 and {{loop.index}} > 1", steps = STEP },
      nil,
      { 1, 2 },
      "completed_naturally"
    )
  end)

  it("is ended by one of its steps", function()
    local steps = {
      {
        id = "a",
        fn = function(ctx)
          if ctx.loop.index == 2 then
            ctx.break_loop()
          end
          return ctx.loop.index
        end,
      },
      { id = "b", template = "{{previous.output}}!" },
    }
    check({ count = 5, steps = steps }, nil, { "1!", "2!" }, "explicit_break")
    check({ condition = "true", steps = steps }, nil, { "1!", "2!" }, "explicit_break")
    check({ items = { 1, 2, 3 }, steps = steps }, nil, { "1!", "2!" }, "explicit_break")
  end)

  it("inside another one is ended alone", function()
    local output = flow({
      pattern = "loop",
      count = 2,
      steps = {
        {
          id = "inner",
          count = 3,
          steps = {
            {
              fn = function(ctx)
                ctx.break_loop()
                return ctx.loop.index
              end,
            },
          },
        },
      },
    }).output
    assert.same({ { 1 }, { 1 } }, output)
  end)

  it("rests between two iterations", function()
    local began = clock()
    loop({ count = 1, iteration_delay_ms = 5000, steps = STEP })
    assert.is_true(clock() - began < 1)
    local result = flow({ pattern = "loop", count = 3, iteration_delay_ms = 30, steps = STEP })
    assert.is_true(result.duration_ms >= 59 and result.duration_ms < 600, result.duration_ms)
  end)

  local function third(ctx)
    return ctx.loop.index == 2 and error("two", 0) or ctx.loop.index
  end

  it("ends with the iteration that failed", function()
    local err = raised("callback_error", loop, { count = 3, steps = { { id = "s", fn = third } } })
    assert.equal("two", err.cause)
    assert.equal("s", err.details.step_id)
    local id =
      zigllms.workflow.create({ pattern = "loop", count = 3, steps = { { id = "s", fn = third } } })
    local result = zigllms.workflow.execute(id, nil, { on_error = "return" })
    assert.equal("iteration_error", result.break_reason)
    assert.equal("failed", result.status)
    assert.equal(1, result.iterations)
  end)

  it("or goes over it", function()
    local steps = { { id = "s", fn = third } }
    check(
      { count = 3, break_on_error = false, steps = steps },
      nil,
      { 1, zigllms.null, 3 },
      "completed_naturally"
    )
    check(
      { items = { 1, 2 }, steps = { { fn = third, continue_on_error = true, default = "d" } } },
      nil,
      { 1, "d" },
      "completed_naturally"
    )
  end)

  it("after one that failed previous is what was before it", function()
    local result = flow({
      pattern = "loop",
      count = 3,
      break_on_error = false,
      steps = {
        {
          fn = function(ctx)
            if ctx.loop.index == 2 then
              error("two")
            end
            return ctx.input .. ctx.loop.index
          end,
        },
      },
    }, "x")
    assert.same({ "x1", zigllms.null, "x13" }, result.output)
  end)

  it("ends by the time limit of the workflow", function()
    local result = flow({
      pattern = "loop",
      condition = "true",
      timeout_ms = 60,
      steps = { { duration_ms = 15 } },
    }, nil, { on_error = "return" })
    assert.equal("timeout", result.break_reason)
    assert.equal("failed", result.status)
    assert.equal("timeout", result.error.code)
    assert.is_true(result.iterations >= 1 and result.iterations <= 4, result.iterations)
  end)

  it("a step that is skipped in an iteration is looked at again in the next", function()
    local output = flow({
      pattern = "loop",
      count = 4,
      steps = {
        { id = "base", fn = index },
        {
          id = "odd",
          when = "{{loop.index}} == 3",
          fn = function()
            return "three"
          end,
        },
      },
    }).output
    assert.same({ 1, 2, "three", 4 }, output)
  end)

  it("the steps of the result are those of the last iteration", function()
    local result = loop({ count = 3, steps = STEP })
    assert.equal(3, result.steps.s.output)
    assert.same({ "s" }, result.step_order)
  end)

  it("break_loop is there in map and in groups inside a loop", function()
    local output = flow({
      pattern = "loop",
      count = 5,
      steps = {
        {
          steps = {
            {
              fn = function(ctx)
                if ctx.loop.index == 2 then
                  ctx.break_loop()
                end
                return ctx.loop.index
              end,
            },
          },
        },
      },
    }).output
    assert.same({ 1, 2 }, output)
  end)

  it("a thousand iterations leave nothing behind that grows", function()
    local result = flow({ pattern = "loop", count = 1000, steps = { { id = "s", fn = index } } })
    assert.equal(1000, #result.output)
    assert.equal(1000, result.output[1000])
  end)
end)
