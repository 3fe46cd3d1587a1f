-- Steps side by side: what overlaps, what waits, what is gathered, and what a failure does.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

local function naps(ms, value)
  return function()
    zigllms.sleep(ms)
    return value
  end
end

local function fails(ms, text)
  return function()
    zigllms.sleep(ms)
    error(text or "boom", 0)
  end
end

local function timed(...)
  local began = clock()
  local result = flow(...)
  return result, (clock() - began) * 1000
end

describe("parallel steps", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("overlap their waiting, in a step and as a workflow", function()
    local steps = {}
    for i = 1, 8 do
      steps[i] = { id = "s" .. i, fn = naps(100, i) }
    end
    local result, ms = timed({ { id = "p", type = "parallel", steps = steps } })
    assert.is_true(ms >= 99 and ms < 700, ms)
    assert.equal(8, result.output.s8)
    result, ms = timed({ pattern = zigllms.workflow.Pattern.PARALLEL, steps = steps })
    assert.is_true(ms >= 99 and ms < 700, ms)
    assert.equal(3, result.output.s3)
    assert.equal("completed", result.steps.s3.status)
  end)

  it("overlap delays, groups, loops, scripts and workflows, too", function()
    local child =
      zigllms.workflow.create({ steps = { { duration_ms = 100 }, { template = "child" } } })
    local result, ms = timed({
      pattern = "parallel",
      steps = {
        { id = "a", duration_ms = 100 },
        { id = "b", steps = { { duration_ms = 50 }, { duration_ms = 50 } } },
        { id = "c", count = 2, steps = { { duration_ms = 50 } } },
        { id = "d", workflow = child },
        {
          id = "e",
          over = { 1, 2, 3 },
          steps = { { duration_ms = 100 }, { template = "{{loop.item}}" } },
        },
        { id = "f", code = "return 6" },
      },
    }, "in")
    assert.same(
      { a = "in", b = "in", c = { "in", "in" }, d = "child", e = { 1, 2, 3 }, f = 6 },
      result.output
    )
    assert.is_true(ms >= 99 and ms < 450, ms)
  end)

  it("are so many at once", function()
    for _, most in ipairs({ 1, 3 }) do
      local now, worst, steps = 0, 0, {}
      for i = 1, 9 do
        steps[i] = {
          id = "s" .. i,
          fn = function()
            now = now + 1
            worst = math.max(worst, now)
            zigllms.sleep(10)
            now = now - 1
          end,
        }
      end
      flow({ { id = "p", type = "parallel", max_concurrency = most, steps = steps } })
      assert.equal(most, worst)
      worst = 0
      flow({ pattern = "parallel", max_concurrency = most, steps = steps })
      assert.equal(most, worst)
      if most == 3 then
        worst = 0
        flow({ pattern = "parallel", steps = steps })
        assert.equal(8, worst)
      end
    end
  end)

  it("wait for those they depend on", function()
    local order = {}
    local function note(id, ms)
      return function()
        zigllms.sleep(ms or 0)
        order[#order + 1] = id
        return id
      end
    end
    local result = flow({
      pattern = "parallel",
      steps = {
        { id = "last", depends_on = { "slow", "quick" }, fn = note("last") },
        { id = "slow", fn = note("slow", 60) },
        { id = "quick", fn = note("quick", 5) },
        {
          id = "after",
          depends_on = { "quick" },
          input = "{{steps.quick.output}}!",
          fn = function(ctx)
            order[#order + 1] = "after"
            return ctx.input
          end,
        },
      },
    })
    assert.same({ "quick", "after", "slow", "last" }, order)
    assert.same({ last = "last", slow = "slow", quick = "quick", after = "quick!" }, result.output)
  end)

  it("those that depend on one that was skipped or gone over are executed", function()
    local result = flow({
      pattern = "parallel",
      steps = {
        { id = "s", fn = naps(0, 1), when = "false" },
        { id = "f", fn = fails(1), continue_on_error = true },
        { id = "d", depends_on = { "s", "f" }, fn = naps(0, "ran") },
      },
    })
    assert.same({ d = "ran" }, result.output)
    assert.equal("skipped", result.steps.s.status)
    assert.equal("failed", result.steps.f.status)
  end)

  describe("fail fast", function()
    it("the others are cancelled at once", function()
      local began, reached = clock(), false
      local list = heard("workflow.step_*")
      local id = zigllms.workflow.create({
        pattern = "parallel",
        steps = {
          {
            id = "long",
            fn = function()
              zigllms.sleep(5000)
              reached = true
            end,
          },
          { id = "delay", duration_ms = 5000 },
          { id = "bad", fn = fails(20) },
          { id = "done", fn = naps(0, 1) },
        },
      })
      local err = raised("callback_error", zigllms.workflow.execute, id)
      assert.is_true(clock() - began < 1)
      assert.equal("bad", err.details.step_id)
      assert.same({ "done" }, err.details.completed)
      assert.equal("boom", err.cause)
      local result = zigllms.workflow.execute(id, nil, { on_error = "return" })
      assert.equal("failed", result.status)
      assert.equal("cancelled", result.steps.long.status)
      assert.equal("cancelled", result.steps.delay.status)
      assert.equal("failed", result.steps.bad.status)
      assert.equal("completed", result.steps.done.status)
      assert.equal("boom", result.error.cause)
      zigllms.sleep(20)
      assert.is_false(reached)
      -- Whatever began has an end.
      local open = {}
      for _, event in ipairs(list) do
        local step = event.data.execution_id .. event.data.step_id
        open[step] = (open[step] or 0) + (event.type == "workflow.step_started" and 1 or -1)
      end
      for step, n in pairs(open) do
        assert.equal(0, n, step)
      end
    end)

    it("those that have not begun do not begin", function()
      local ran = {}
      local steps = { { id = "bad", fn = fails(5) } }
      for i = 1, 5 do
        steps[i + 1] = {
          id = "s" .. i,
          fn = function()
            ran[#ran + 1] = i
            zigllms.sleep(30)
          end,
        }
      end
      raised("callback_error", flow, { pattern = "parallel", max_concurrency = 2, steps = steps })
      assert.same({ 1 }, ran)
    end)

    it("off: the others come to their end, then the first failure is raised", function()
      local done = {}
      local function note(i)
        return function()
          zigllms.sleep(10 * i)
          done[#done + 1] = i
          return i
        end
      end
      local result = flow({
        {
          id = "p",
          type = "parallel",
          fail_fast = false,
          steps = {
            { id = "a", fn = note(2) },
            { id = "x", fn = fails(5, "first") },
            { id = "y", fn = fails(15, "second") },
            { id = "b", fn = note(4) },
          },
        },
      }, nil, { on_error = "return" })
      assert.same({ 2, 4 }, done)
      assert.equal("failed", result.status)
      assert.equal("first", result.error.cause)
      assert.equal("x", result.error.details.step_id)
      assert.equal("completed", result.steps.b.status)
      assert.same({ "a", "b" }, result.error.details.completed)
    end)

    it("a branch that is gone over does not fail the others", function()
      local result = flow({
        pattern = "parallel",
        steps = {
          { id = "x", fn = fails(1), continue_on_error = true },
          { id = "y", fn = fails(1), continue_on_error = true, default = 0 },
          { id = "a", fn = naps(20, 1) },
        },
      })
      assert.same({ y = 0, a = 1 }, result.output)
    end)
  end)

  describe("aggregation", function()
    local function gather(how, steps)
      return timed({ { id = "p", type = "parallel", aggregation = how, steps = steps } })
    end

    it("all: a table by step", function()
      local result = gather("all", {
        { id = "a", fn = naps(2, 1) },
        { id = "b", fn = naps(0) },
        { id = "c", fn = naps(1, false) },
      })
      assert.same({ a = 1, c = false }, result.output)
    end)

    it("first: the first that has an output; the others are cancelled", function()
      local result, ms = gather("first", {
        { id = "slow", fn = naps(3000, "slow") },
        { id = "quick", fn = naps(20, "quick") },
        { id = "bad", fn = fails(5), continue_on_error = true },
        { id = "skipped", fn = naps(1, "no"), when = "false" },
      })
      assert.equal("quick", result.output)
      assert.is_true(ms < 1000, ms)
      assert.equal("cancelled", result.steps.slow.status)
      assert.equal("completed", result.status)
    end)

    it("first: one that fails does not end those that may still be first", function()
      local result = timed({
        {
          id = "p",
          type = "parallel",
          aggregation = "first",
          fail_fast = false,
          steps = { { id = "bad", fn = fails(1) }, { id = "ok", fn = naps(20, "ok") } },
        },
      })
      assert.equal("ok", result.output)
      local err = raised("callback_error", flow, {
        {
          id = "p",
          type = "parallel",
          aggregation = "first",
          fail_fast = false,
          steps = { { id = "x", fn = fails(10, "late") }, { id = "y", fn = fails(1, "early") } },
        },
      })
      assert.equal("early", err.cause)
    end)

    local function vote(...)
      local steps = {}
      for i = 1, select("#", ...) do
        steps[i] = { id = "s" .. i, fn = naps(0, (select(i, ...))) }
      end
      return gather("majority", steps).output
    end

    it("majority: what most have said, deeply; the first of them in a tie", function()
      assert.equal("b", vote("a", "b", "b", "c"))
      assert.same({ x = 1 }, vote({ x = 2 }, { x = 1 }, { x = 1 }))
      assert.equal("a", vote("a", "b"))
      assert.is_false(vote(true, false, false))
      assert.equal(1, vote(1, "1", 1))
      assert.equal("a", vote("a", "b", "b", "a"))
      assert.equal(2, vote(1, 2, 2.0))
    end)

    it("majority: also of what is no data", function()
      local nan, list = 0 / 0, {}
      list.own = list
      local most = vote(nan, 1, nan)
      assert.is_true(most ~= most)
      assert.equal(math.huge, vote(math.huge, nan, math.huge))
      assert.equal(list, vote(list, 1, list))
      assert.equal(print, vote(1, print, print))
      assert.is_nil(vote(nil, nil, 1))
    end)
  end)

  it("the next step gets the table", function()
    local output = flow({
      {
        id = "p",
        type = "parallel",
        steps = { { id = "a", fn = naps(1, { 1 }) }, { id = "b", fn = naps(0, 2) } },
      },
      { template = "{{previous.output.a[1]}}{{steps.p.output.b}}{{steps.b.output}}" },
    }).output
    assert.equal("122", output)
  end)

  it("that depend on each other are begun in time", function()
    local steps, count = {}, 3000
    for i = 1, count do
      local before = i < count and { "s" .. i + 1 } or nil
      steps[i] = { id = "s" .. i, fn = naps(0, i), depends_on = before }
    end
    local result, ms = timed({ pattern = "parallel", steps = steps })
    assert.equal("s1", result.step_order[count])
    assert.is_true(ms < 10000, ms)
  end)

  it("of none is an empty table", function()
    assert.same({}, flow({ pattern = "parallel", steps = {} }).output)
    assert.same({}, flow({ { id = "p", type = "parallel", steps = {} } }).output)
  end)

  it("fit in each other", function()
    local function four(prefix, inner)
      local steps = {}
      for i = 1, 4 do
        local id = prefix .. i
        steps[i] = inner and { id = id, type = "parallel", steps = four(id) }
          or { id = id, fn = naps(30, id) }
      end
      return steps
    end
    local result, ms = timed({ pattern = "parallel", steps = four("a", true) })
    assert.equal("a32", result.output.a3.a32)
    assert.is_true(ms < 400, ms)
  end)

  it("overlap without waits of their own blocking others", function()
    -- A branch may yield to whoever resumes it: that is the next poll.
    local result = flow({
      pattern = "parallel",
      steps = {
        {
          id = "a",
          fn = function()
            coroutine.yield()
            return 1
          end,
        },
        { id = "b", fn = naps(5, 2) },
      },
    })
    assert.same({ a = 1, b = 2 }, result.output)
  end)
end)
