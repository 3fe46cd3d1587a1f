-- Attempts, waits between them, and limits of time.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

-- A function that fails so many times, and the attempts it saw.
local function fails(times, value)
  local attempts = {}
  return function(ctx)
    attempts[#attempts + 1] = ctx.attempt
    if #attempts <= times then
      error("attempt " .. #attempts, 0)
    end
    return value or "ok"
  end,
    attempts
end

describe("a step", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("is tried once unless it says otherwise", function()
    local fn, attempts = fails(1)
    raised("callback_error", flow, { { fn = fn } })
    assert.same({ 1 }, attempts)
  end)

  it("is tried again, with longer and longer waits", function()
    local fn, attempts = fails(3)
    local result = flow({
      { id = "s", fn = fn, retry = { max_attempts = 4, backoff_ms = 10, backoff_multiplier = 3 } },
    })
    assert.equal("ok", result.output)
    assert.same({ 1, 2, 3, 4 }, attempts)
    assert.equal(4, result.steps.s.attempts)
    assert.is_true(result.duration_ms >= 10 + 30 + 90 - 1 and result.duration_ms < 1500)
  end)

  it("says by retry_count how often again", function()
    local fn, attempts = fails(2)
    local result = flow({ { id = "s", fn = fn, retry_count = 2, retry_delay_ms = 1 } })
    assert.equal(3, result.steps.s.attempts)
    assert.equal(3, #attempts)
  end)

  it("fails with the error of the last attempt", function()
    local fn = fails(9)
    local started = heard("workflow.step_started")
    local failed = heard("workflow.step_failed")
    local err = raised("callback_error", flow, {
      { id = "s", fn = fn, retry = { max_attempts = 3, backoff_ms = 1 } },
    })
    assert.equal("attempt 3", err.cause)
    assert.equal(1, #started)
    assert.equal(1, #failed)
  end)

  it("has the same idempotency key in all attempts, and another one elsewhere", function()
    local keys = {}
    local id = zigllms.workflow.create({
      steps = {
        {
          id = "m",
          over = { 1, 2 },
          steps = {
            {
              id = "s",
              retry = { max_attempts = 2, backoff_ms = 1 },
              fn = function(ctx)
                local key = ctx.idempotency_key
                keys[key] = (keys[key] or 0) + 1
                assert(ctx.attempt == 2)
              end,
            },
          },
        },
      },
    })
    zigllms.workflow.execute(id)
    zigllms.workflow.execute(id)
    local count = 0
    for _, n in pairs(keys) do
      assert.equal(2, n)
      count = count + 1
    end
    assert.equal(4, count)
  end)

  it("with steps inside is tried again with all of them", function()
    for _, kind in ipairs({
      { type = "sequential" },
      { type = "parallel" },
      { type = "map", over = { 1 } },
      { type = "loop", count = 1 },
      { type = "condition", condition = "true", branch = true },
    }) do
      local fn, attempts = fails(2, "in the end")
      local first = 0
      local steps = {
        {
          id = "a",
          fn = function()
            first = first + 1
          end,
        },
        { id = "group", steps = { { id = "b", fn = fn } } },
      }
      local step = { id = "g", retry = { max_attempts = 3, backoff_ms = 1 } }
      for key, value in pairs(kind) do
        step[key] = value
      end
      step[kind.branch and "if_true" or "steps"], step.branch = steps, nil
      local result = flow({ step })
      assert.equal(3, #attempts, kind.type)
      assert.equal(3, first, kind.type)
      assert.equal("completed", result.steps.g.status)
      assert.equal(3, result.steps.g.attempts)
      assert.equal("completed", result.steps.b.status)
      assert.equal("in the end", result.steps.b.output)
    end
  end)

  it("ends by its own time limit, attempts and waits included", function()
    local calls = 0
    local err = raised("timeout", flow, {
      {
        id = "s",
        timeout_ms = 80,
        retry = { max_attempts = 100, backoff_ms = 30, backoff_multiplier = 1 },
        fn = function()
          calls = calls + 1
          error("again")
        end,
      },
    })
    assert.equal("s", err.details.step_id)
    assert.equal("total", err.phase)
    assert.is_true(calls >= 2 and calls <= 4, calls)
  end)

  it("that waits is stopped by its limit, and is not tried again", function()
    for _, step in ipairs({
      {
        fn = function()
          zigllms.sleep(5000)
        end,
      },
      { duration_ms = 5000 },
      { type = "parallel", steps = { { id = "x", duration_ms = 5000 } } },
      { over = { 1 }, steps = { { id = "x", duration_ms = 5000 } } },
      { count = 1, steps = { { id = "x", duration_ms = 5000 } } },
      { steps = { { id = "x", duration_ms = 5000 } } },
    }) do
      step.id, step.timeout_ms, step.retry_count = "limited", 40, 3
      local began = clock()
      local err = raised("timeout", flow, { step })
      assert.equal("limited", err.details.step_id)
      assert.is_true(clock() - began < 0.6)
      step.continue_on_error, step.default = true, "in time"
      assert.equal("in time", flow({ step }).output)
    end
  end)

  it("that returns late is late", function()
    local err = raised("timeout", flow, {
      {
        id = "s",
        timeout_ms = 20,
        fn = function()
          local began = clock()
          while clock() - began < 0.05 do
          end
        end,
      },
    })
    assert.equal("s", err.details.step_id)
  end)

  it("ctx.cancelled() tells one that never waits", function()
    local told
    raised("timeout", flow, {
      {
        timeout_ms = 20,
        fn = function(ctx)
          local began = clock()
          while not ctx.cancelled() and clock() - began < 2 do
          end
          told = clock() - began < 1
        end,
      },
    })
    assert.is_true(told)
  end)
end)

describe("a workflow", function()
  before_each(zigllms.reset)

  it("ends by its time limit, or the one of the call", function()
    local id = zigllms.workflow.create({
      name = "slow",
      timeout_ms = 40,
      steps = { { id = "nap", duration_ms = 5000, continue_on_error = true, retry_count = 5 } },
    })
    local list = heard("workflow.*")
    local began = clock()
    local err = raised("timeout", zigllms.workflow.execute, id)
    assert.equal("total", err.phase)
    assert.truthy(tostring(err):find("slow", 1, true), tostring(err))
    assert.is_string(err.details.execution_id)
    assert.is_true(clock() - began < 0.6)
    assert.equal("workflow.failed", list[#list].type)
    local result = zigllms.workflow.execute(id, nil, { timeout_ms = 10, on_error = "return" })
    assert.equal("failed", result.status)
    assert.equal("timeout", result.error.code)
    assert.is_true(result.duration_ms < 40, result.duration_ms)
    id = zigllms.workflow.create({ timeout_ms = 10, steps = { { duration_ms = 30 } } })
    assert.equal("completed", zigllms.workflow.execute(id, nil, { timeout_ms = 0 }).status)
  end)

  it("limits of steps and of the workflow nest: the nearest says which", function()
    local err = raised("timeout", flow, {
      timeout_ms = 5000,
      steps = {
        {
          id = "outer",
          timeout_ms = 3000,
          steps = { { id = "inner", timeout_ms = 20, duration_ms = 9000 } },
        },
      },
    })
    assert.equal("inner", err.details.step_id)
    err = raised("timeout", flow, {
      timeout_ms = 5000,
      steps = {
        {
          id = "outer",
          timeout_ms = 20,
          steps = { { id = "inner", timeout_ms = 3000, duration_ms = 9000 } },
        },
      },
    })
    assert.equal("outer", err.details.step_id)
  end)
end)
