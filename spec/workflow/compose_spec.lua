-- Workflows put together to one.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local workflow = zigllms.workflow

local function adding(text, name)
  return { name = name, steps = { { type = "transform", template = "{{input}}" .. text } } }
end

local function failing(name)
  return workflow.create({
    name = name,
    steps = { {
      fn = function()
        error("no")
      end,
    } },
  })
end

local function run(id, input)
  return workflow.execute(id, input).output
end

describe("workflow.compose", function()
  local a, b

  before_each(function()
    zigllms.reset()
    a, b = workflow.create(adding("a", "first")), workflow.create(adding("b", "second"))
  end)
  teardown(zigllms.reset)

  it("pipes, fans out, chooses and repeats", function()
    assert.equal("xab", run(workflow.compose({ a, "second" }), "x"))
    assert.same(
      { [a] = "xa", second = "xb" },
      run(workflow.compose({ a, "second" }, "PARALLEL"), "x")
    )
    local choice = workflow.compose({
      { id = a, condition = "{{input}} == 'x'" },
      {
        id = b,
        when = function(ctx)
          return ctx.workflow.input == "y"
        end,
      },
      adding("c"),
    }, { pattern = "conditional" })
    assert.equal("xa", run(choice, "x"))
    assert.equal("yb", run(choice, "y"))
    assert.equal("zc", run(choice, "z"))
    local loop = workflow.compose({ a, b }, { pattern = "loop", count = 2, name = "twice" })
    assert.equal("twice", workflow.get(loop).name)
    assert.same({ "xab", "xabab" }, run(loop, "x"))
  end)

  it("takes ids, names, tables and definitions", function()
    local third = adding("c", "third")
    local id = workflow.compose({ a, workflow.get("second"), third, { id = "first" } })
    assert.equal("xabca", run(id, "x"))
    local steps = workflow.get(id).steps
    assert.equal(a, steps[1].id)
    assert.equal("workflow_call", steps[1].type)
    assert.equal("third", workflow.get(steps[3].workflow).name)
  end)

  it("calls parts as they are called, each once", function()
    local odd = workflow.create(adding("", "v1.2 [x]"))
    local id = workflow.compose({ "first", "first", a, "v1.2 [x]", adding("") })
    local steps, ids = workflow.get(id).steps, {}
    for i, step in ipairs(steps) do
      ids[i] = step.id
    end
    assert.same({ "first", "first_2", a, odd, steps[5].workflow }, ids)
  end)

  it("says what parts work on and what becomes of it", function()
    local id = workflow.compose({
      { id = a, input = "({{input}})", output = "<{{output}}>" },
      {
        id = b,
        input = function(ctx)
          return ctx.previous.output .. "!"
        end,
      },
    })
    assert.equal("<(x)a>!b", run(id, "x"))
  end)

  it("goes on without what failed, if that is said", function()
    local bad = failing("bad")
    raised("callback_error", workflow.execute, workflow.compose({ bad, a }), "x")
    local ignoring =
      workflow.compose({ { id = bad, on_error = "ignore" }, { id = a, input = "{{input}}" } })
    assert.equal("xa", run(ignoring, "x"))
    local defaulting =
      workflow.compose({ { id = bad, on_error = "USE_DEFAULT", default = "d" }, a })
    assert.equal("da", run(defaulting, "x"))
    raised(
      "validation_failed",
      workflow.compose,
      { { id = bad, on_error = "ignore", default = 1 } }
    )
    raised("validation_failed", workflow.compose, { { id = bad, on_error = "go on" } })
  end)

  it("says all that workflows say", function()
    local id = workflow.compose(
      { a },
      { name = "w", version = "2", variables = { n = 1 }, keep = 1 }
    )
    local got = workflow.get(id)
    assert.equal("2", got.version)
    assert.same({ n = 1 }, got.variables)
    assert.equal(1, got.keep)
    assert.equal("x", run(workflow.compose({}), "x"))
    assert.equal(0, workflow.validate(workflow.compose({})).step_count)
  end)

  it("refuses parts that are not there or not sound, and makes nothing then", function()
    local count = #workflow.list()
    local err = raised("not_found", workflow.compose, { adding("c"), "nobody" })
    assert.truthy(err.message:find("workflows[2]", 1, true), err.message)
    raised("not_found", workflow.compose, { { id = "nobody" } })
    raised("invalid_argument", workflow.compose, { 1 })
    raised("invalid_argument", workflow.compose)
    raised("invalid_argument", workflow.compose, { a }, "both")
    for path, parts in pairs({
      ["workflows[1].id"] = { { input = "x" } },
      ["workflows[2].steps[1].tool"] = { a, { steps = { { type = "tool" } } } },
      ["workflows[1].inputs"] = { { id = a, inputs = 1 } },
      ["workflows[1].input"] = { { id = a, input = "{{" } },
    }) do
      err = raised("validation_failed", workflow.compose, parts)
      assert.equal(path, err.details.errors[1].path)
    end
    err = raised("validation_failed", workflow.compose, { a }, "loop")
    assert.truthy(err.message:find("a loop needs", 1, true), err.message)
    raised("validation_failed", workflow.compose, { a }, { steps = {} })
    assert.equal(count, #workflow.list())
  end)

  it("refuses what would contain itself", function()
    workflow.create({ name = "outer", steps = { { workflow = "middle" } } })
    workflow.create({ name = "middle", steps = { { steps = { { workflow = "whole" } } } } })
    for _, parts in ipairs({
      { a, "outer" },
      { "whole" },
      { { steps = { { workflow = "middle" } } } },
    }) do
      local err = raised("validation_failed", workflow.compose, parts, { name = "whole" })
      assert.truthy(err.message:find("contains itself", 1, true), err.message)
      assert.equal("cycle", err.details.errors[1].code)
    end
    local err = raised("validation_failed", workflow.compose, { "outer" }, { name = "whole" })
    assert.truthy(err.message:find("outer → middle → whole", 1, true), err.message)
    assert.is_string(workflow.compose({ a, "outer" }, { name = "another" }))
  end)
end)
