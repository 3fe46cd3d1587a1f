-- What is wrong with a definition, without an error being raised.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local workflow = zigllms.workflow

local function noop() end

local function codes(list)
  local all = {}
  for i, problem in ipairs(list) do
    assert.is_string(problem.message)
    all[i] = problem.path .. " " .. problem.code
  end
  table.sort(all)
  return all
end

local function judged(steps, more)
  local definition = { steps = steps }
  for key, value in pairs(more or {}) do
    definition[key] = value
  end
  local result = workflow.validate(definition)
  assert.equal(#result.errors == 0, result.valid)
  return codes(result.errors), codes(result.warnings), result
end

local function step(id, template, more)
  local one = { id = id, template = template or "x", type = "transform" }
  for key, value in pairs(more or {}) do
    one[key] = value
  end
  return one
end

describe("workflow.validate", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("finds nothing wrong with what is sound", function()
    local errors, warnings, result = judged({
      step("a", "{{input.x}} {{workflow.name}} {{variables.n}} {{vars.n}}"),
      step("b", "{{steps.a.output}} {{step.a.result.deep[1]}} {{previous.id}}", {
        output = "{{output.x}} {{steps.a.status}}",
        condition = "{{previous.output}} == 1",
      }),
      { over = "{{input}}", steps = { step("c", "{{loop.item}} {{loop.index}}") } },
      {
        type = "loop",
        steps = { step("d", "{{loop.first}}") },
        until_condition = "{{steps.d.output}} == {{loop.index}}",
      },
      step("e", "{{steps.c.output}} {{steps.d.output | json}}"),
    })
    assert.same({}, errors)
    assert.same({}, warnings)
    assert.is_false(result.has_cycles)
    assert.equal(7, result.step_count)
  end)

  it("takes a workflow by id, by name and by its tables", function()
    local id = workflow.create({ name = "w", steps = { step("a", "{{nothing}}") } })
    for _, key in ipairs({ id, "w", workflow.get(id), workflow.get_info(id) }) do
      local result = workflow.validate(key)
      assert.is_false(result.valid)
      assert.equal("steps[1].template", result.errors[1].path)
    end
    raised("not_found", workflow.validate, "nobody")
    raised("not_found", workflow.validate, { id = "nobody" })
    raised("invalid_argument", workflow.validate)
    raised("invalid_argument", workflow.validate, 1)
  end)

  it("tells all that create refuses, and judges the rest all the same", function()
    local errors, _, result = judged({
      { id = "a", type = "tool" },
      { id = "b", fn = noop, depends_on = { "c" } },
      { id = "c", fn = noop, depends_on = { "b" } },
      step("d", "{{steps.nobody.output}}"),
    })
    assert.same({
      "steps[1].tool missing_field",
      "steps[2].depends_on cycle",
      "steps[4].template unknown_step",
    }, errors)
    assert.is_true(result.has_cycles)
    assert.truthy(result.errors[2].message:find("b → c → b", 1, true))
    raised("validation_failed", workflow.create, { steps = { { id = "a", type = "tool" } } })
  end)

  it("never raises, whatever stands in the table", function()
    local loop = {}
    loop.steps = { loop }
    local deep = {}
    for _ = 1, 200 do
      deep = { steps = { deep } }
    end
    for part, definition in pairs({
      ["NaN"] = { steps = { { tool = "t", input = { n = 0 / 0 } } } },
      ["itself"] = loop,
      ["deeper"] = deep,
      ["UTF%-8"] = { steps = { { id = "\255" } } },
      ["cannot be a key"] = { steps = { { [true] = 1 } } },
      ["is not data"] = { steps = { { tool = "t", input = { noop } } } },
    }) do
      local result = workflow.validate(definition)
      assert.is_false(result.valid)
      assert.truthy(result.errors[1].message:find(part), result.errors[1].message)
      assert.equal("conversion_error", result.errors[1].code)
      assert.is_nil(result.errors[1].path:find("definition", 1, true))
    end
    for _, odd in ipairs({ 1, true, "x", noop, {}, { 1 }, io.stdout, coroutine.create(noop) }) do
      local fields = { "steps", "name", "pattern", "condition", "items", "keep", "if_true" }
      for _, field in ipairs(fields) do
        assert.is_table(workflow.validate({ [field] = odd }).errors)
        assert.is_table(workflow.validate({ steps = { { [field] = odd }, odd } }).errors)
      end
      for _, field in ipairs({ "id", "type", "agent", "options", "retry", "depends_on" }) do
        assert.is_table(workflow.validate({ steps = { { [field] = odd } } }).errors)
      end
    end
  end)

  describe("of templates", function()
    local function one(template, more)
      local errors, warnings, result = judged({ step("a"), step("b", template, more), step("z") })
      return errors[1], warnings[1], (result.errors[1] or result.warnings[1] or {}).message
    end

    it("knows the roots and what is in them", function()
      for template, code in pairs({
        ["{{inptu}}"] = "unknown_root",
        ["{{output}}"] = "unknown_root",
        ["{{loop.index}}"] = "unknown_root",
        ["{{previous.outputs}}"] = "unknown_root",
        ["{{workflow.steps}}"] = "unknown_root",
        ["{{steps.a.outptu}}"] = "unknown_root",
        ["{{steps.nobody.output}}"] = "unknown_step",
        ["{{steps[1].output}}"] = "unknown_step",
        ["{{steps.b.output}}"] = "not_yet_run",
        ["{{steps.z.output}}"] = "not_yet_run",
      }) do
        local err = one(template)
        assert.equal("steps[2].template " .. code, err, template)
      end
      local _, _, message = one("{{inptu}}")
      assert.truthy(message:find('did you mean "input"', 1, true), message)
      _, _, message = one("{{steps.aa.output}}")
      assert.truthy(message:find('did you mean "a"', 1, true), message)
      assert.equal(
        "steps[2].input.x.y[1] unknown_root",
        (judged({ step("a"), { tool = "calculator", input = { x = { y = { "{{q}}" } } } } }))[1]
      )
      assert.equal("steps[2].condition unknown_root", (one("x", { condition = "{{q}} == 1" })))
    end)

    it("only warns where a default stands for what is missing", function()
      local err, warning = one("{{steps.z.output | default(1)}}")
      assert.is_nil(err)
      assert.equal("steps[2].template not_yet_run", warning)
      err, warning = one("{{q | default(nil)}}")
      assert.is_nil(err)
      assert.equal("steps[2].template unknown_root", warning)
    end)

    it("knows what has run inside of other steps", function()
      local errors, warnings = judged({
        {
          id = "group",
          steps = { step("in1"), step("in2", "{{steps.in1.output}} {{steps.group.output}}") },
          input = "{{steps.in1.output}}",
          output = "{{steps.in1.output}}",
        },
        {
          id = "side",
          type = "parallel",
          steps = {
            step("p"),
            step("q", "{{steps.p.output}} {{steps.in1.output}}"),
            step("r", "{{steps.p.output}} {{steps.q.output}}", { depends_on = { "q", "p" } }),
            step("s", "{{steps.q.output | default('')}}"),
          },
        },
        {
          id = "fork",
          condition = "{{steps.yes.output}} == 1",
          if_true = { step("yes", "{{steps.r.output}}") },
          if_false = { step("no", "{{steps.yes.output}}") },
        },
      })
      assert.same({
        "steps[1].input not_yet_run",
        "steps[1].steps[2].template not_yet_run",
        "steps[3].condition not_yet_run",
        "steps[3].if_false[1].template not_yet_run",
      }, errors)
      assert.same({ "steps[2].steps[2].template not_yet_run" }, warnings)
    end)

    it("takes iterations before for what they are", function()
      local errors, warnings = judged({
        step("a", "{{steps.b.output}}"),
        step("b", "{{steps.b.output | default(0)}} {{loop.index}} {{loop.indx}}"),
      }, { pattern = "loop", condition = "{{steps.a.output}} ~= {{loop.index}}" })
      assert.same({ "steps[2].template unknown_root" }, errors)
      assert.same({ "condition not_yet_run", "steps[1].template not_yet_run" }, warnings)
    end)

    it("follows the order in which steps run", function()
      assert.same(
        {},
        (judged({ step("a", "{{steps.b.output}}", { depends_on = { "b" } }), step("b") }))
      )
      assert.same(
        { "steps[2].template not_yet_run" },
        (judged({ step("a", "x", { depends_on = { "b" } }), step("b", "{{steps.a.output}}") }))
      )
    end)
  end)

  it("warns of agents, tools and workflows that are not there yet", function()
    local steps = {
      { agent = "somebody" },
      { steps = { { tool = "nothing" }, { workflow = "other" }, { tool = "calculator" } } },
    }
    local errors, warnings, result = judged(steps)
    assert.same({}, errors)
    assert.is_true(result.valid)
    assert.same({
      "steps[1].agent unknown_agent",
      "steps[2].steps[1].tool unknown_tool",
      "steps[2].steps[2].workflow unknown_workflow",
    }, warnings)
    zigllms.agent.create({ name = "somebody", provider = "openai" })
    zigllms.tool.register({ name = "nothing", execute = noop })
    workflow.create({ name = "other", steps = {} })
    assert.same({}, select(2, judged(steps)))
  end)

  it("warns of what is never reached, and of conditions that say nothing", function()
    local _, warnings = judged({
      step("a", "x", { condition = "1 == 2" }),
      step("b", "x", { condition = "'x'" }),
      { condition = "true", if_true = { step("c") }, if_false = { step("d") } },
      { over = {}, steps = { step("e") } },
      { type = "loop", count = 0, steps = { step("f") } },
      { type = "loop", items = { 1 }, steps = {} },
    })
    assert.same({
      "steps[1] unreachable",
      "steps[1].condition constant_condition",
      "steps[2].condition constant_condition",
      "steps[3].condition constant_condition",
      "steps[3].if_false unreachable",
      "steps[4].over unreachable",
      "steps[5].count unreachable",
      "steps[6].steps no_steps",
    }, warnings)
    _, warnings = judged({ step("a"), step("b"), step("c") }, { pattern = "conditional" })
    assert.same({ "steps[2] unreachable", "steps[3] unreachable" }, warnings)
    local _, none, result = judged({})
    assert.same({ "steps no_steps" }, none)
    assert.is_true(result.valid)
  end)

  it("finds workflows that call themselves, in the end", function()
    local a = workflow.create({ name = "a", steps = { { workflow = "b" } } })
    workflow.create({ name = "b", steps = { { steps = { { workflow = "c" } } } } })
    assert.is_true(workflow.validate(a).valid)
    local c = workflow.create({ name = "c", steps = { { workflow = "a" } } })
    for _, id in ipairs({ a, c }) do
      local result = workflow.validate(id)
      assert.same({ "steps cycle" }, codes(result.errors))
      assert.is_true(result.has_cycles)
    end
    local message = workflow.validate(a).errors[1].message
    assert.truthy(message:find("a → b → c → a", 1, true), message)
    local errors, warnings = judged(
      { { workflow = "me", condition = "{{input}}" } },
      { name = "me" }
    )
    assert.same({}, errors)
    assert.same({ "steps recursion" }, warnings)
  end)
end)
