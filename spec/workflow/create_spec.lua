-- Making workflows: what is taken, in every spelling, and what is refused, all of it at once.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local workflow = zigllms.workflow
local unpack = table.unpack or unpack

local function noop() end

local function problems(definition, code)
  local err = raised(code or "validation_failed", workflow.create, definition)
  local found = {}
  for _, problem in ipairs(err.details.errors) do
    assert.is_string(problem.message)
    found[#found + 1] = problem.path .. " " .. problem.code
  end
  return found, err
end

local function refused(step, expected, code)
  assert.same({ expected }, (problems({ steps = { step } }, code)))
end

local function made(step)
  return workflow.get(workflow.create({ steps = { step } })).steps[1]
end

describe("workflow.create", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("gives ids, takes no name, and no steps", function()
    local definition = {
      name = "my_workflow",
      pattern = workflow.Pattern.SEQUENTIAL,
      steps = {},
    }
    assert.truthy(workflow.create(definition):find("^workflow_%d+$"))
    local id = workflow.create({ steps = {} })
    assert.equal(id, workflow.get(id).name)
    raised("invalid_argument", workflow.create)
    raised("invalid_argument", workflow.create, "text")
    assert.same({ "steps missing_field" }, (problems({})))
  end)

  it("copies the definition", function()
    local definition = { steps = { { id = "a", template = { x = "1" } } }, variables = { n = 1 } }
    local id = workflow.create(definition)
    definition.steps[1].template.x, definition.steps[2] = "2", { fn = noop }
    definition.variables.n = 2
    local got = workflow.get(id)
    assert.equal("1", got.steps[1].template.x)
    assert.equal(1, #got.steps)
    assert.equal(1, got.variables.n)
  end)

  it("takes types and patterns in any case, and other words for them", function()
    assert.equal("agent_call", made({ type = "AGENT", agent = "a" }).type)
    assert.equal("tool_call", made({ type = "Tool", tool = "a" }).type)
    for _, pattern in ipairs({ "PARALLEL", "parallel", workflow.Pattern.PARALLEL }) do
      local id = workflow.create({ pattern = pattern, steps = { { fn = noop } } })
      assert.equal("parallel", workflow.get(id).pattern)
    end
  end)

  it("sees from its fields what a step does", function()
    for kind, step in pairs({
      agent_call = { agent = "a", input = "x" },
      tool_call = { tool = "t", input = { x = 1 } },
      workflow_call = { workflow = "w" },
      ["function"] = { execute = noop },
      sequential = { steps = { { fn = noop } } },
      parallel = { steps = { { fn = noop } }, aggregation = "first" },
      condition = { condition = "{{input}}", ["then"] = { { fn = noop } } },
      loop = { steps = { { fn = noop } }, until_ = "{{input}}" },
      map = { over = { 1, 2 }, steps = { { fn = noop } } },
      delay = { duration_ms = 1 },
      emit = { event = "e" },
      transform = { template = "x" },
      script = { code = "return 1" },
    }) do
      assert.equal(kind, made(step).type)
    end
    assert.equal("transform", made({ type = "transform", fn = noop }).type)
    refused({ input = "x" }, "steps[1].type missing_field")
  end)

  it("takes every alias", function()
    local step = made({
      name = "n",
      when = "{{input}}",
      fn = noop,
      retry_count = 2,
      retry_delay_ms = 5,
    })
    assert.equal("n", step.id)
    assert.equal("{{input}}", step.condition)
    assert.same({ max_attempts = 3, backoff_ms = 5, backoff_multiplier = 2 }, step.retry)
    step = made({ type = "condition", condition = "1", when = noop, ["else"] = { { fn = noop } } })
    assert.equal("1", step.condition)
    assert.equal(noop, step.when)
    assert.equal(1, #step.if_false)
    assert.same({ "a", "b" }, { made({ id = "a", name = "b", fn = noop }).id, "b" })
    refused({ fn = noop, execute = noop }, "steps[1].fn invalid_value")
  end)

  it("gives ids to steps that have none, which nobody else has", function()
    local id = workflow.create({
      steps = {
        { steps = { { fn = noop }, { id = "step_3", fn = noop } } },
        { fn = noop },
        { fn = noop },
      },
    })
    local got = workflow.get(id)
    assert.equal("step_1", got.steps[1].id)
    assert.equal("step_2", got.steps[2].id)
    local seen = {}
    for _, step in ipairs(workflow.get_dependencies(id).order) do
      assert.is_nil(seen[step], step)
      seen[step] = true
    end
    assert.is_true(seen.step_3)
  end)

  it("takes functions and templates where values are made", function()
    local step = made({ tool = "t", input = noop, output = noop })
    assert.equal(noop, step.input)
    assert.equal(noop, step.output)
    step = made({ type = "loop", items = "{{input.list}}", steps = {} })
    assert.equal("{{input.list}}", step.items)
    assert.equal("{{input}}", made({ type = "loop", count = "{{input}}", steps = {} }).count)
    assert.same({}, made({ type = "map", over = {}, steps = {} }).over)
  end)

  it("knows what belongs to which pattern", function()
    local steps = { { fn = noop } }
    local id = workflow.create({ pattern = "conditional", condition = noop, if_true = steps })
    assert.equal(noop, workflow.get(id).condition)
    workflow.create({
      pattern = "conditional",
      steps = { { fn = noop, condition = "{{input}}" }, { fn = noop } },
    })
    workflow.create({ pattern = "conditional", condition = "1", steps = {}, if_false = steps })
    for _, bound in ipairs({ "items", "count", "condition", "until_condition", "until_" }) do
      local value = bound == "items" and { 1 } or bound == "count" and 2 or "{{input}}"
      workflow.create({ pattern = "loop", [bound] = value, steps = steps })
    end
    for path, definition in pairs({
      ["items missing_field"] = { pattern = "loop", steps = steps },
      ["count invalid_value"] = { pattern = "loop", items = {}, count = 1, steps = steps },
      ["count unknown_field"] = { count = 1, steps = steps },
      ["condition unknown_field"] = { condition = "1", steps = steps },
      ["condition missing_field"] = { pattern = "conditional", if_true = steps },
      ["if_true missing_field"] = { pattern = "conditional", condition = "1" },
      ["pattern invalid_value"] = { pattern = "paralel", steps = steps },
    }) do
      assert.same({ path }, (problems(definition)))
    end
    local _, err = problems({ pattern = "paralel", steps = steps })
    assert.truthy(err.message:find('did you mean "parallel"', 1, true))
  end)

  it("tells everything that is wrong at once", function()
    local found, err = problems({
      timeout = 1,
      steps = {
        { type = "agent_cal", agent = "a" },
        { type = "tool_call" },
        { id = "x", fn = 1 },
        { id = "x", agent = "a", event = "e" },
        { id = "a.b", fn = noop },
        { type = "loop", steps = { { tool = "t", input = "{{" } }, count = -1 },
        "text",
      },
    })
    table.sort(found)
    assert.same({
      "steps[1].type unknown_type",
      "steps[2].tool missing_field",
      "steps[3].fn invalid_value",
      "steps[4].event unknown_field",
      "steps[4].id duplicate_id",
      "steps[5].id invalid_value",
      "steps[6].count invalid_value",
      "steps[6].steps[1].input bad_template",
      "steps[7] invalid_value",
      "timeout unknown_field",
    }, found)
    assert.truthy(err.message:find("(and 9 more problems)", 1, true), err.message)
    assert.truthy(tostring(err):find("workflow.create: ", 1, true))
    assert.equal(1, #problems({ steps = { { type = "agent_cal" } } }))
    err = select(2, problems({ steps = { { type = "agent_cal" } } }))
    assert.truthy(err.message:find('^steps%[1%].type: .*did you mean "agent_call"'), err.message)
  end)

  it("refuses lists of steps that are none", function()
    assert.same({ "steps invalid_value" }, (problems({ steps = "x" })))
    assert.same({ "steps invalid_value" }, (problems({ steps = { a = {} } })))
    local holes = { { fn = noop }, nil, { fn = noop } }
    holes[9] = { fn = noop }
    assert.same({ "steps invalid_value" }, (problems({ steps = holes })))
    refused({ { fn = noop } }, "steps[1] invalid_value")
  end)

  it("refuses conditions and templates that cannot be read", function()
    refused({ fn = noop, condition = "{{input}} = 1" }, "steps[1].condition bad_condition")
    refused({ fn = noop, condition = "yes" }, "steps[1].condition bad_condition")
    refused({ fn = noop, condition = 1 }, "steps[1].condition invalid_value")
    refused({ tool = "t", input = { a = { "x", "{{input" } } }, "steps[1].input.a[2] bad_template")
    refused({ template = "{{input | upper}}" }, "steps[1].template bad_template")
    refused({ type = "map", over = "x", steps = {} }, "steps[1].over invalid_value")
    refused({ type = "map", over = { a = 1 }, steps = {} }, "steps[1].over invalid_value")
    refused({ type = "loop", count = "3", steps = {} }, "steps[1].count invalid_value")
  end)

  it("refuses what is no data, with its place", function()
    refused(
      { tool = "t", input = { a = { cb = noop } } },
      "steps[1].input.a.cb conversion_error",
      "conversion_error"
    )
    local thread = coroutine.create(noop)
    refused(
      { fn = noop, default = thread },
      "steps[1].default conversion_error",
      "conversion_error"
    )
    local loop = {}
    loop.again = loop
    for part, value in pairs({
      ["contains itself"] = loop,
      ["NaN"] = { n = 0 / 0 },
      ["UTF%-8"] = { s = "\255" },
    }) do
      local err =
        raised("conversion_error", workflow.create, { steps = { { tool = "t", input = value } } })
      assert.truthy(err.message:find(part), err.message)
      assert.truthy(err.message:find("steps[1].input", 1, true), err.message)
    end
  end)

  it("refuses steps that nest too deep", function()
    local inner = { fn = noop }
    for _ = 1, 31 do
      inner = { steps = { inner } }
    end
    assert.is_string(workflow.create({ steps = { inner } }))
    local _, err = problems({ steps = { { steps = { inner } } } })
    assert.equal("too_deep", err.details.errors[1].code)
    for _ = 1, 60 do
      inner = { steps = { inner } }
    end
    raised("conversion_error", workflow.create, { steps = { inner } })
  end)

  it("lets unknown fields pass where nobody is strict", function()
    zigllms.configure({ strict = false })
    local got =
      workflow.get(workflow.create({ mine = 1, steps = { { fn = noop, tool = "x", own = 1 } } }))
    zigllms.configure({ strict = zigllms.null })
    assert.equal("tool_call", got.steps[1].type)
    assert.is_nil(got.mine)
  end)

  it("reads schemas in every form, and refuses what is none", function()
    local id = workflow.create({ steps = {}, input_schema = { type = "object" } })
    assert.equal("object", workflow.get(id).input_schema.type)
    local found = problems({ steps = {}, output_schema = "nobody" })
    assert.same({ "output_schema invalid_value" }, found)
  end)

  describe("with steps that depend on others", function()
    local function depends(...)
      local steps = {}
      for i, on in ipairs({ ... }) do
        steps[i] = { id = string.char(96 + i), fn = noop, depends_on = on }
      end
      return { steps = steps }
    end

    it("puts each behind those it depends on, the rest as written", function()
      local id = workflow.create(depends({ "d" }, {}, { "b" }, {}))
      assert.same({ "b", "c", "d", "a" }, workflow.get_dependencies(id).order)
      assert.equal("a", workflow.get(id).steps[1].id)
      assert.same({ "d" }, workflow.get(id).steps[1].depends_on)
    end)

    it("refuses cycles, and names who is in them", function()
      local found, err = problems(depends({ "b" }, { "c" }, { "a" }, { "d" }, { "a" }))
      assert.same({ "steps[1].depends_on cycle", "steps[4].depends_on cycle" }, found)
      assert.truthy(err.message:find("a → b → c → a", 1, true), err.message)
      assert.truthy(err.details.errors[2].message:find("d → d", 1, true))
    end)

    it("refuses steps that are not there, or in another list", function()
      local found, err = problems(depends({ "nobody" }))
      assert.same({ "steps[1].depends_on unknown_dependency" }, found)
      assert.truthy(err.message:find('"nobody"', 1, true))
      local outer =
        { { id = "in", steps = { { id = "x", fn = noop } } }, { fn = noop, depends_on = { "x" } } }
      found, err = problems({ steps = outer })
      assert.same({ "steps[2].depends_on unknown_dependency" }, found)
      assert.truthy(err.message:find("another list", 1, true))
      found = problems({
        pattern = "conditional",
        steps = { { id = "x", fn = noop }, { fn = noop, depends_on = { "x" } } },
      })
      assert.same({ "steps[2].depends_on unknown_dependency" }, found)
    end)
  end)

  it("costs the same for each of many steps", function()
    local function seconds(n)
      local steps = {}
      for i = 1, n do
        local before = i > 1 and "{{steps.s" .. i - 1 .. ".output}}" or nil
        steps[i] = {
          id = "s" .. i,
          fn = noop,
          input = before,
          depends_on = i < n and { "s" .. i + 1 } or nil,
        }
      end
      collectgarbage()
      local began = os.clock()
      local id = workflow.create({ steps = steps })
      workflow.validate(id)
      return os.clock() - began
    end
    seconds(1000)
    local few, many = seconds(2000), seconds(20000)
    assert.is_true(many < 40 * math.max(few, 0.02), many .. " s after " .. few .. " s")
    assert.is_true(many < 20, many .. " s")
  end)
end)

describe("workflow.create judges", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("scripts: what is no Lua is refused, with its line", function()
    local found, err = problems({
      steps = {
        { code = "local a = 1\nlocal b = = 2\nreturn a" },
        { steps = { { id = "in", code = "return" }, { code = "return (" } } },
        { code = "\27Lua" },
      },
    })
    assert.same({
      "steps[1].code bad_code",
      "steps[2].steps[2].code bad_code",
      "steps[3].code bad_code",
    }, found)
    assert.truthy(err.details.errors[1].message:find("script:2:", 1, true), err.message)
    assert.truthy(err.message:find("steps[1].code: script:2:", 1, true), err.message)
    -- It is compiled, and not run.
    workflow.create({ steps = { { code = "while true do end" } } })
  end)

  it("templates and conditions, wherever they stand", function()
    for field, step in pairs({
      ["input.query"] = { tool = "t", input = { query = "{{input()}}" } },
      ["input[2].x"] = { fn = noop, input = { 1, { x = "{{input | upper}}" } } },
      output = { fn = noop, output = "{{input" },
      ["data.a"] = { event = "e", data = { a = "{{}}" } },
      template = { template = "{{ steps.a.output + 1 }}" },
      over = { over = "{{input..x}}", steps = { { fn = noop } } },
      count = { type = "loop", count = "{{input|}}", steps = { { fn = noop } } },
    }) do
      assert.same(
        { "steps[2]." .. field .. " bad_template" },
        (problems({ steps = { { id = "a", fn = noop }, step } }))
      )
    end
    for _, condition in ipairs({ "", "{{input}} =", "(1 == 1", "{{input()}}", "1 == 1 and" }) do
      refused({ fn = noop, condition = condition }, "steps[1].condition bad_condition")
      local loop = { type = "loop", until_condition = condition, steps = { { fn = noop } } }
      refused(loop, "steps[1].until_condition bad_condition")
    end
  end)

  it("names of events", function()
    refused({ type = "emit" }, "steps[1].event missing_field")
    refused({ type = "emit", event = "" }, "steps[1].event invalid_value")
    refused({ type = "emit", event = 1 }, "steps[1].event invalid_value")
  end)

  it("nothing that help does not tell: the fields of steps, by type", function()
    local text = zigllms.help("workflow.create")
    local steps = text:match("\neach of steps, if_true, if_false: a table, Step\n(.-)\n\n")
    local common, types = steps:match("^(.-)\nof type(.*)$")
    assert.truthy(common:find("\n  retry.max_attempts ", 1, true))
    assert.is_nil(common:find("\n  agent ", 1, true))
    assert.truthy(types:find('"agent_call" or "agent":\n  agent ', 1, true))
    assert.truthy(types:find('"loop":\n  steps [^\n]*\n  items '))
    assert.truthy(types:find('"script":\n  code ', 1, true))
  end)

  it("schemas that are none", function()
    local err = raised("validation_failed", workflow.create, {
      input_schema = { type = "integr" },
      output_schema = { properties = 5 },
      steps = {},
    })
    assert.equal("input_schema", err.details.errors[1].path)
    assert.truthy(err.message:find('"integr"', 1, true), err.message)
    assert.equal("output_schema", err.details.errors[2].path)
    assert.is_false(workflow.validate({ input_schema = { minLength = "x" }, steps = {} }).valid)
    assert.is_string(workflow.create({ input_schema = { name = "string" }, steps = {} }))
  end)

  it("thousands of problems within bounds", function()
    local steps = {}
    for i = 1, 5000 do
      steps[i] = { id = "s", fn = noop }
    end
    local err = raised("validation_failed", workflow.create, { steps = steps })
    assert.equal(1000, #err.details.errors)
    assert.equal(3999, err.details.more_errors)
    assert.truthy(err.message:find("and 4998 more problems", 1, true), err.message)
    local result = workflow.validate({ steps = steps })
    assert.equal(1000, #result.errors)
    assert.equal(3999, result.more_errors)
    assert.is_nil(result.more_warnings)
    for i = 1, 1500 do
      steps[i] = { id = "s" .. i, tool = "none " .. i }
      steps[i + 1] = nil
    end
    result = workflow.validate({ steps = { unpack(steps, 1, 1500) } })
    assert.is_true(result.valid)
    assert.equal(1000, #result.warnings)
    assert.equal(500, result.more_warnings)
  end)
end)
