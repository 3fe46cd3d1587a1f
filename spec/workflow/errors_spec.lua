-- Steps that fail: what is raised, what goes on, and what is known afterwards.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

local workflow = zigllms.workflow

local function fails(value)
  return function()
    error(value, 0)
  end
end

local function say(value)
  return function()
    return value
  end
end

describe("a step that fails", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("ends the workflow with its error, and where it was", function()
    local thrown = { mine = true }
    local ran = false
    local id = workflow.create({
      name = "breaks",
      steps = {
        { id = "a", fn = say(1) },
        { id = "b", fn = fails(thrown) },
        {
          id = "c",
          fn = function()
            ran = true
          end,
        },
      },
    })
    local err = raised("callback_error", workflow.execute, id)
    assert.equal(thrown, err.cause)
    assert.equal(id, err.details.workflow_id)
    assert.equal("b", err.details.step_id)
    assert.same({ "a" }, err.details.completed)
    assert.truthy(err.details.execution_id:find("^exec_%d+$"))
    assert.is_false(ran)
    local text = tostring(err)
    assert.truthy(text:find("workflow.execute", 1, true), text)
    assert.truthy(text:find('"b"', 1, true), text)
    assert.is_nil(text:find("\n"), text)
  end)

  it("with an error of the module keeps its code, fields and cause", function()
    local cause = {}
    local own = zigllms.error("rate_limited", "slow down", {
      retry_after_ms = 5,
      details = { more = "x" },
      cause = cause,
    })
    local err = raised("rate_limited", flow, { { id = "s", fn = fails(own) } })
    assert.truthy(err.message:find("slow down", 1, true))
    assert.equal(5, err.retry_after_ms)
    assert.equal("x", err.details.more)
    assert.equal("s", err.details.step_id)
    local function find(e)
      for _ = 1, 5 do
        if rawequal(e, cause) then
          return true
        end
        local ok, inner = pcall(function()
          return e.cause
        end)
        e = ok and inner or nil
      end
    end
    assert.is_true(find(err), "the cause is lost")
    -- One that a call inside raised.
    err = raised("not_found", flow, {
      {
        id = "s",
        fn = function()
          zigllms.agent.get_state("nobody")
        end,
      },
    })
    assert.equal("s", err.details.step_id)
    assert.truthy(tostring(err):find("nobody", 1, true))
  end)

  it("is a result where that is wanted", function()
    local result = flow({
      { id = "a", fn = say(1) },
      { id = "b", fn = fails("boom") },
      { id = "c", fn = say(3) },
    }, nil, { on_error = "return" })
    assert.equal("failed", result.status)
    assert.equal("callback_error", result.error.code)
    assert.equal("boom", result.error.cause)
    assert.equal("b", result.error.details.step_id)
    assert.equal("completed", result.steps.a.status)
    assert.equal("failed", result.steps.b.status)
    assert.equal("callback_error", result.steps.b.error.code)
    assert.equal("boom", result.steps.b.error.cause)
    assert.is_nil(result.steps.c)
    assert.same({ "a", "b" }, result.step_order)
    assert.is_nil(result.output)
    assert.is_number(result.finished_at)
  end)

  it("is gone over where it says so", function()
    local result = flow({
      { id = "a", fn = say(1) },
      { id = "b", fn = fails("boom"), continue_on_error = true },
      { id = "c", fn = say("done") },
    })
    assert.equal("completed", result.status)
    assert.equal("done", result.output)
    assert.equal("failed", result.steps.b.status)
    assert.equal("boom", result.steps.b.error.cause)
    assert.is_nil(result.steps.b.output)
    assert.equal(
      "boom",
      flow({
        { id = "b", fn = fails("boom"), continue_on_error = true },
        { template = "{{steps.b.error.cause}}" },
      }).output
    )
  end)

  it("leaves its default, of any shape", function()
    for _, value in ipairs({ "text", 5, false, { a = { 1 } }, {} }) do
      local result =
        flow({ { id = "b", fn = fails("boom"), continue_on_error = true, default = value } })
      assert.same(value, result.output)
      assert.same(value, result.steps.b.output)
    end
  end)

  it("is gone over where the workflow says so, unless the step does not", function()
    local result = flow({
      on_error = "continue",
      steps = {
        { id = "a", fn = fails("a"), default = "A" },
        { id = "g", steps = { { id = "b", fn = fails("b") }, { id = "c", fn = say("C") } } },
        {
          id = "p",
          type = "parallel",
          steps = { { id = "d", fn = fails("d") }, { id = "e", fn = say("E") } },
        },
      },
    })
    assert.equal("completed", result.status)
    assert.equal("A", result.steps.a.output)
    assert.equal("C", result.steps.g.output)
    assert.same({ e = "E" }, result.output)
    raised("callback_error", flow, {
      on_error = "continue",
      steps = { { fn = fails("x"), continue_on_error = false } },
    })
  end)

  it("inside a group is told by its own id", function()
    local err = raised("callback_error", flow, {
      {
        id = "g",
        steps = {
          { id = "inner", type = "parallel", steps = { { id = "leaf", fn = fails("x") } } },
        },
      },
    })
    assert.equal("leaf", err.details.step_id)
    assert.equal("x", err.cause)
  end)

  it("after one that was gone over is the one that is told", function()
    local err = raised("callback_error", flow, {
      { id = "g", continue_on_error = true, steps = { { id = "early", fn = fails("early") } } },
      { id = "late", fn = fails("late") },
    })
    assert.equal("late", err.details.step_id)
    assert.equal("late", err.cause)
    assert.truthy(tostring(err):find('"late"', 1, true), tostring(err))
    assert.is_nil(tostring(err):find('"early"', 1, true), tostring(err))
  end)

  it("a group that is gone over leaves its default, and its steps say how they ended", function()
    local result = flow({
      {
        id = "g",
        continue_on_error = true,
        default = "G",
        steps = { { id = "a", fn = say(1) }, { id = "b", fn = fails("b") } },
      },
    })
    assert.equal("G", result.output)
    assert.equal("completed", result.steps.a.status)
    assert.equal("failed", result.steps.b.status)
    assert.equal("failed", result.steps.g.status)
    assert.equal("b", result.steps.g.error.details.step_id)
  end)

  it("an execution that failed hurts no other one", function()
    local id = workflow.create({
      steps = {
        {
          id = "s",
          fn = function(ctx)
            return ctx.input or error("nothing")
          end,
        },
      },
    })
    for i = 1, 20 do
      if i % 2 == 0 then
        assert.equal(i, workflow.execute(id, i).output)
      else
        raised("callback_error", workflow.execute, id)
      end
    end
  end)

  it("errors of functions that are told of steps end the workflow", function()
    local err = raised("callback_error", flow, { { fn = say(1) } }, nil, {
      on_step = function()
        error("listener", 0)
      end,
    })
    assert.equal("listener", err.cause)
  end)

  it("errors that are no text pass, too", function()
    for _, thrown in ipairs({ 5, true, print, { 1 }, io.stdout }) do
      local err = raised("callback_error", flow, { { fn = fails(thrown) } })
      assert.equal(thrown, err.cause)
    end
    raised("callback_error", flow, {
      {
        fn = function()
          error()
        end,
      },
    })
  end)

  it("is told once to the events", function()
    local list = heard("workflow.*")
    raised("callback_error", flow, { { id = "a", fn = say(1) }, { id = "b", fn = fails("boom") } })
    local types = {}
    for i, event in ipairs(list) do
      types[i] = event.type .. " " .. (event.data.step_id or "")
    end
    assert.same({
      "workflow.started ",
      "workflow.step_started a",
      "workflow.step_completed a",
      "workflow.step_started b",
      "workflow.step_failed b",
      "workflow.failed ",
    }, types)
    assert.equal("boom", list[5].data.error.cause)
    assert.equal("boom", list[6].data.error.cause)
  end)

  it("a workflow or agent or tool that is not there is not found", function()
    for key, value in pairs({ agent = "nobody", tool = "nothing", workflow = "nowhere" }) do
      local err = raised("not_found", flow, { { id = "s", [key] = value } })
      assert.truthy(tostring(err):find(value, 1, true), tostring(err))
      assert.equal("s", err.details.step_id)
    end
  end)

  it("deep nesting is no trouble", function()
    local inner = { id = "leaf", fn = fails("deep") }
    for i = 1, 25 do
      inner = { id = "g" .. i, steps = { inner } }
    end
    assert.equal("deep", raised("callback_error", flow, { inner }).cause)
  end)
end)
