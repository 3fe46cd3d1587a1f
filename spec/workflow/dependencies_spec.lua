-- What a workflow needs.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local workflow = zigllms.workflow

describe("workflow.get_dependencies", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("has the ids of what is there, and the names of what is not", function()
    local agent = zigllms.agent.create({ name = "somebody", provider = "openai" })
    local tool = zigllms.tool.register({ name = "mine", execute = print })
    local child = workflow.create({ name = "child", steps = {} })
    local id = workflow.create({
      steps = {
        { agent = "somebody" },
        { agent = agent },
        { agent = "nobody" },
        { over = { 1 }, steps = { { tool = "mine" }, { tool = "calculator" }, { tool = "gone" } } },
        {
          condition = "{{input}}",
          if_true = { { workflow = "child" } },
          if_false = { { workflow = "x" } },
        },
      },
    })
    local found = workflow.get_dependencies(id)
    assert.same({ agent }, found.agents)
    assert.same({ tool, "calculator" }, found.tools)
    assert.same({ child }, found.workflows)
    assert.same({ agents = { "nobody" }, tools = { "gone" }, workflows = { "x" } }, found.missing)
    raised("not_found", workflow.get_dependencies, "nobody")
  end)

  it("is empty where nothing is needed", function()
    local found = workflow.get_dependencies(workflow.create({ steps = {} }))
    assert.same(
      { agents = {}, tools = {}, workflows = {}, steps = {}, order = {}, missing = {} },
      found
    )
  end)

  it("knows what steps say, and what their templates say", function()
    local function step(id, template, more)
      local one = { id = id, template = template }
      for key, value in pairs(more or {}) do
        one[key] = value
      end
      return one
    end
    local found = workflow.get_dependencies(workflow.create({
      steps = {
        step(
          "c",
          "{{previous.output}} {{step.a.result}}",
          { condition = "{{steps.b.status}} == 1" }
        ),
        step("a", "{{input}} {{steps.a.output | default(1)}}"),
        step("b", "x", { depends_on = { "a" }, output = "{{steps.a.output}}" }),
        {
          id = "fan",
          type = "parallel",
          steps = {
            step("p", "{{previous.id}}"),
            step("q", "{{steps.p.output}}", { depends_on = { "p" } }),
          },
        },
        {
          id = "group",
          steps = { step("x", "{{previous.output}}"), step("y", "{{previous.output}}") },
        },
      },
    }))
    assert.same({ "c", "a", "b", "fan", "p", "q", "group", "x", "y" }, found.order)
    assert.same({
      c = { "b", "a" },
      a = {},
      b = { "a" },
      fan = {},
      p = { "b" },
      q = { "p" },
      group = {},
      x = { "fan" },
      y = { "x" },
    }, found.steps)
  end)

  it("orders steps behind those they depend on, also side by side", function()
    for _, pattern in ipairs({ "sequential", "parallel" }) do
      local found = workflow.get_dependencies(workflow.create({
        pattern = pattern,
        steps = {
          { id = "last", template = "x", depends_on = { "mid1", "mid2" } },
          { id = "mid1", template = "x", depends_on = { "first" } },
          { id = "mid2", template = "x", depends_on = { "first" } },
          { id = "first", template = "x" },
        },
      }))
      assert.same({ "first", "mid1", "mid2", "last" }, found.order)
    end
  end)
end)
