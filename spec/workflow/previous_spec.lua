-- What `previous` is, in every place of a workflow.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")

local function say(text)
  return function()
    return text
  end
end

local SEEN = { "{{previous.id | default('-')}}", "{{previous.output}}" }

-- A step that gives what it sees as `previous`.
local function look(id)
  return { id = id, type = "transform", template = SEEN }
end

describe("previous", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("of the first step is the input of the workflow", function()
    assert.same({ "-", "in" }, flow({ look("a") }, "in").output)
    local ctx
    flow({
      {
        fn = function(c)
          ctx = c
        end,
      },
    }, "in")
    assert.same({ output = "in" }, ctx.previous)
  end)

  it("is the step executed just before, not one that was skipped", function()
    local result = flow({
      { id = "a", fn = say(1) },
      look("b"),
      { id = "c", fn = say(2), when = "false" },
      look("d"),
    })
    assert.same({ "a", 1 }, result.steps.b.output)
    assert.same({ "b", { "a", 1 } }, result.steps.d.output)
  end)

  it("of a step that failed is its default, or else what was before it", function()
    local function fails(id, default)
      return {
        id = id,
        fn = function()
          error("x")
        end,
        continue_on_error = true,
        default = default,
      }
    end
    local result = flow({
      { id = "a", fn = say(1) },
      fails("b"),
      look("c"),
      fails("d", "instead"),
      look("e"),
      fails("f", false),
      look("g"),
    })
    assert.same({ "a", 1 }, result.steps.c.output)
    assert.same({ "d", "instead" }, result.steps.e.output)
    assert.same({ "f", false }, result.steps.g.output)
  end)

  it("of branches is the step before the fan-out, after them all of their outputs", function()
    local result = flow({
      { id = "a", fn = say("A") },
      {
        id = "p",
        type = "parallel",
        steps = { look("b"), { id = "s", steps = { look("c"), look("d") } } },
      },
      look("e"),
    })
    assert.same({ "a", "A" }, result.steps.b.output)
    assert.same({ "a", "A" }, result.steps.c.output)
    assert.same({ "c", { "a", "A" } }, result.steps.d.output)
    local all = { b = { "a", "A" }, s = { "c", { "a", "A" } } }
    assert.same({ "p", all }, result.steps.e.output)
  end)

  it("of branches of a parallel workflow is the input", function()
    local output = flow({ pattern = "parallel", steps = { look("a"), look("b") } }, "in").output
    assert.same({ a = { "-", "in" }, b = { "-", "in" } }, output)
  end)

  it("of items of a map is the step before", function()
    local result = flow({
      { id = "a", fn = say("A") },
      { id = "m", over = { 1, 2 }, steps = { look("b"), look("c") } },
      look("d"),
    })
    local item = { "b", { "a", "A" } }
    assert.same({ item, item }, result.steps.m.output)
    assert.same({ "m", { item, item } }, result.steps.d.output)
  end)

  it("of the first step of an iteration is what the iteration before ended with", function()
    local result = flow({
      { id = "a", fn = say("A") },
      {
        id = "l",
        count = 3,
        steps = { { id = "x", type = "transform", template = "{{previous.output}}+" }, look("y") },
      },
    })
    assert.same("x", result.output[1][1])
    assert.same({ "x", "A+" }, result.output[1])
    -- Tables in texts are JSON.
    assert.same({ "x", '["x","A+"]+' }, result.output[2])
    local sums = flow({
      pattern = "loop",
      count = 4,
      steps = {
        {
          fn = function(ctx)
            return ctx.previous.output * 2
          end,
        },
      },
    }, 1)
    assert.same({ 2, 4, 8, 16 }, sums.output)
    local ids = flow({
      pattern = "loop",
      count = 2,
      steps = { look("a"), { id = "b", fn = say("B") } },
    }, "in").steps.a.output
    assert.same({ "b", "B" }, ids)
  end)

  it("of a step of a branch is what was before the condition", function()
    local result = flow({
      { id = "a", fn = say("A") },
      {
        id = "c",
        type = "condition",
        condition = "{{previous.output}} == 'A'",
        if_true = { look("t") },
      },
      look("e"),
    })
    assert.same({ "a", "A" }, result.steps.t.output)
    assert.same({ "c", { "a", "A" } }, result.steps.e.output)
  end)

  it("of steps in a group is what the group was given, if it has an input of its own", function()
    local result = flow({
      { id = "a", fn = say("A") },
      { id = "g", input = "own", steps = { look("b") } },
      { id = "p", input = "mine", type = "parallel", steps = { look("c") } },
    })
    assert.equal("own", result.steps.b.output[2])
    assert.equal("mine", result.steps.c.output[2])
  end)

  it("of a workflow inside another one is its own input", function()
    local child = zigllms.workflow.create({ steps = { look("inner") } })
    local result = flow({ { id = "a", fn = say("A") }, { id = "w", workflow = child }, look("e") })
    assert.same({ "-", "A" }, result.steps.w.output)
    assert.same({ "w", { "-", "A" } }, result.steps.e.output)
  end)
end)
