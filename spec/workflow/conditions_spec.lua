-- Conditions: the little language and functions, steps that branch, and workflows that choose.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local raised = require("spec.support.raised")

local function say(text)
  return function()
    return text
  end
end

-- Whether a condition holds for an input.
local function holds(condition, input)
  local result = flow({
    { id = "s", when = condition, fn = say(true) },
    { id = "v", fn = say("v") },
  }, input)
  return result.steps.s.status == "completed"
end

describe("a condition", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  for _, case in ipairs({
    { "{{input}} == 1", 1, true },
    { "{{input}} == 1", 2, false },
    { "{{input}} ~= 1", 2, true },
    { "{{input}} != 1", 1, false },
    { "{{input}} < 2", 1, true },
    { "{{input}} <= 1", 1, true },
    { "{{input}} > 1", 1, false },
    { "{{input}} >= 0.8", 0.8, true },
    { "{{input}} == 'x'", "x", true },
    { '{{input}} == "x"', "y", false },
    { "{{input.tags}} contains 'b'", { tags = { "a", "b" } }, true },
    { "{{input}} contains 'ell'", "hello", true },
    { "{{input}} contains 'z'", "hello", false },
    { "{{input}} matches '^h.*o$'", "hello", true },
    { "{{input}} matches '^x'", "hello", false },
    { "{{input}} == true", true, true },
    { "{{input.x | default(nil)}} == nil", {}, true },
    { "{{input.a}} == 1 and {{input.b}} == 2", { a = 1, b = 2 }, true },
    { "{{input.a}} == 1 and {{input.b}} == 2", { a = 1, b = 3 }, false },
    { "{{input.a}} == 9 or {{input.b}} == 2", { a = 1, b = 2 }, true },
    { "not {{input}} == 1", 2, true },
    { "not ({{input}} > 1 or {{input}} < 0)", 0, true },
    { "{{input}}", true, true },
    { "{{input}}", false, false },
    { "'{{input}}' == 'yes'", "yes", true },
    { "'{{input}}' == 1", 1, true },
    { '"{{input.a}}-{{input.b}}" == "x-2"', { a = "x", b = 2 }, true },
    { "{{input.a}} matches '^{{input.b}}'", { a = "hello", b = "he" }, true },
    { "'{{input}}' == '\\\\{{input}}'", "{{input}}", true },
    { "{{input}} == []", {}, true },
    { "{{input}} == {}", zigllms.array({}), true },
    { "{{input}} == []", { a = 1 }, false },
    { "{{input}} contains 5", {}, false },
    { "true", nil, true },
    { "false", nil, false },
  }) do
    local text = zigllms.output.format(case[2], "json")
    it(("%s is %s of %s"):format(case[1], tostring(case[3]), text), function()
      assert.equal(case[3], holds(case[1], case[2]))
    end)
  end

  -- Where the engine has them.
  if math.type then
    it("tells integers from each other that no float can tell", function()
      assert.is_false(holds("{{input}} == 9007199254740993", 9007199254740992))
      assert.is_true(holds("{{input}} < 9007199254740993", "9007199254740992"))
    end)
  end

  it("has texts with templates in them, of what is there", function()
    raised("template_error", holds, "'{{input.x}}' == 'a'", {})
    raised("template_error", holds, "'a {{input}}' == 'a'", nil)
    raised("conversion_error", holds, "'a {{input.f}}' == 'a'", { f = print })
    raised("validation_failed", holds, "'{{input' == 'a'", {})
  end)

  it("may be a function of ctx, and anything true is true", function()
    for _, value in ipairs({ true, 1, "", {} }) do
      assert.is_true(holds(say(value)))
    end
    assert.is_false(holds(say(false)))
    assert.is_false(holds(say(nil)))
    assert.is_true(holds(function(ctx)
      zigllms.sleep(1)
      return ctx.input == 5 and ctx.workflow.input == 5 and ctx.step_id == "s"
    end, 5))
  end)

  it("that fails fails its step", function()
    local err = raised("callback_error", holds, function()
      error("no", 0)
    end)
    assert.equal("s", err.details.step_id)
    assert.equal("no", err.cause)
    err = raised("template_error", holds, "{{input.x}} == 1", {})
    assert.equal("s", err.details.step_id)
    local result = flow({
      { id = "a", when = "{{input.x}} == 1", fn = say(1), continue_on_error = true, default = "d" },
      { id = "b", fn = say("b") },
    }, {})
    assert.equal("failed", result.steps.a.status)
    assert.equal("d", result.steps.a.output)
  end)

  it("that is none is refused at once", function()
    local all = { "{{input}} ==", "== 1", "{{input}} === 1", "(true", "{{input}} in x" }
    for _, bad in ipairs(all) do
      local definition = { steps = { { when = bad, fn = say(1) } } }
      local err = raised("validation_failed", zigllms.workflow.create, definition)
      assert.truthy(tostring(err):find("steps[1].when", 1, true), tostring(err))
    end
  end)
end)

describe("a step of type condition", function()
  before_each(zigllms.reset)

  local function branch(more)
    local step = {
      id = "c",
      condition = "{{input}} > 0",
      if_true = { { id = "t1", fn = say("T1") }, { id = "t2", template = "{{previous.output}}+" } },
      if_false = { { id = "f", fn = say("F") } },
    }
    for key, value in pairs(more or {}) do
      step[key] = value
    end
    return {
      { id = "before", fn = say("B") },
      step,
      { id = "after", template = "<{{previous.output}}>" },
    }
  end

  it("goes one of two ways", function()
    local result = flow(branch(), 1)
    assert.equal("<T1+>", result.output)
    assert.equal("T1+", result.steps.c.output)
    assert.is_nil(result.steps.f)
    result = flow(branch(), -1)
    assert.equal("<F>", result.output)
    assert.is_nil(result.steps.t1)
    assert.equal(
      "<T1+>",
      flow(
        branch({
          condition = function(ctx)
            return ctx.workflow.input == -1
          end,
        }),
        -1
      ).output
    )
  end)

  it("may have one branch, or the words of other languages", function()
    local step = { type = "condition", condition = "{{input}}", ["then"] = { { fn = say("yes") } } }
    assert.equal("yes", flow({ step }, true).output)
    assert.is_false(flow({ step }, false).output)
    step = { condition = "{{input}}", ["else"] = { { fn = say("no") } } }
    step.type = "condition"
    assert.equal("no", flow({ step }, false).output)
    assert.is_true(flow({ step }, true).output)
  end)

  it("is skipped by when", function()
    local result = flow(branch({ when = "false" }), 1)
    assert.equal("skipped", result.steps.c.status)
    assert.equal("<B>", result.output)
  end)
end)

describe("a conditional workflow", function()
  before_each(zigllms.reset)

  it("has one condition and two branches", function()
    local id = zigllms.workflow.create({
      pattern = zigllms.workflow.Pattern.CONDITIONAL,
      condition = "{{input}} >= 10",
      if_true = { { fn = say("big") } },
      if_false = { { fn = say("small") } },
    })
    local result = zigllms.workflow.execute(id, 10)
    assert.same({ "big", "if_true" }, { result.output, result.executed_branch })
    result = zigllms.workflow.execute(id, 9)
    assert.same({ "small", "if_false" }, { result.output, result.executed_branch })
  end)

  it("or runs the first step whose condition holds", function()
    local id = zigllms.workflow.create({
      pattern = "conditional",
      steps = {
        { id = "big", condition = "{{input}} > 100", fn = say("BIG") },
        {
          id = "mid",
          when = function(ctx)
            return ctx.input > 10
          end,
          fn = say("MID"),
        },
        { id = "rest", fn = say("REST") },
        { id = "never", fn = say("NEVER") },
      },
    })
    local function run(input)
      local result = zigllms.workflow.execute(id, input)
      return { result.output, result.executed_branch, result.steps.never and "never" }
    end
    assert.same({ "BIG", "big" }, run(101))
    assert.same({ "MID", "mid" }, run(50))
    assert.same({ "REST", "rest" }, run(1))
    local none =
      flow({ pattern = "conditional", steps = { { when = "false", fn = say("x") } } }, "in")
    assert.is_nil(none.executed_branch)
    assert.equal("completed", none.status)
    assert.equal("in", none.output)
  end)

  it("one that fails is the one that was chosen", function()
    local err = raised("callback_error", flow, {
      pattern = "conditional",
      steps = {
        {
          id = "a",
          fn = function()
            error("a")
          end,
        },
        { id = "b", fn = say("b") },
      },
    })
    assert.equal("a", err.details.step_id)
  end)
end)
