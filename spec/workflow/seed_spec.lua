-- The examples of the design document that have to do with workflows, as they are written there.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local seed = require("spec.support.seed")

local model = scripted.new()

local INTEGRATION = seed.INTEGRATION

local function run(code)
  return seed.run(zigllms, code)
end

-- For what is looked at here.
local KEPT = "\nresult_ = result ids_ = { agent_id, tool_id, workflow_id, subscription_id }"

describe("the seed", function()
  before_each(function()
    model:begin()
    zigllms.memory.delete("last_workflow_result")
  end)
  teardown(zigllms.reset)

  it("creates a workflow without steps", function()
    local env = run([[
      local workflow_id = zigllms.workflow.create({
          name = "my_workflow",
          pattern = zigllms.workflow.Pattern.SEQUENTIAL,
          steps = {...}
      })
      id_ = workflow_id
    ]])
    assert.truthy(env.id_:find("^workflow_%d+$"))
    assert.is_nil(zigllms.workflow.execute(env.id_).output)
    assert.equal("completed", zigllms.workflow.execute("my_workflow").status)
  end)

  it("executes with parameters that are not there", function()
    local env = run([[
      local workflow_id = zigllms.workflow.create({ steps = {} })
      -- Stack is automatically pre-sized based on historical usage
      local result = zigllms.workflow.execute(workflow_id, complex_params)
      result_ = result
    ]])
    assert.equal("completed", env.result_.status)
    assert.is_nil(env.result_.output)
  end)

  it("puts agent, tool, workflow, event, hook and memory together", function()
    model:script(scripted.text({ '{"total": 3, ', '"items": ["a", "b"]}' }))
    local env, printed = run(INTEGRATION .. KEPT)
    local result = env.result_
    assert.equal("completed", result.status)
    assert.same({ total = 3, items = { "a", "b" } }, result.output)
    assert.equal('{"total": 3, "items": ["a", "b"]}', result.steps.step_1.output)
    local types = {}
    for i, values in ipairs(printed) do
      assert.equal("Workflow event:", values[1])
      types[i] = values[2]
      assert.equal(result.execution_id, values[3].execution_id)
    end
    assert.same({
      "workflow.started",
      "workflow.step_started",
      "workflow.step_completed",
      "workflow.step_started",
      "workflow.step_completed",
      "workflow.completed",
    }, types)
    local kept = zigllms.memory.retrieve("last_workflow_result")
    assert.same(result, kept)
    assert.not_equal(result, kept)
    assert.equal("Process this data", model:requests()[1].messages[1].content)
    for _, id in ipairs(env.ids_) do
      assert.is_string(id)
    end
  end)

  it("fails as a whole if the answer is no JSON", function()
    model:script(scripted.text("I would rather talk."))
    local points = {}
    zigllms.hook.register("workflow_error", function(context)
      points[#points + 1] = "error " .. context.error.code
    end)
    local failed
    zigllms.event.subscribe("workflow.failed", function(event)
      failed = event.data
    end)
    local err = raised("tool_error", run, INTEGRATION)
    assert.equal("parse_failed", err.cause.code)
    assert.same({ "error tool_error" }, points)
    assert.equal(err.details.execution_id, failed.execution_id)
    assert.is_nil(zigllms.memory.retrieve("last_workflow_result"))
  end)

  it("also takes names, plain words and steps without input", function()
    model:script(scripted.text("[1]"))
    zigllms.agent.create({ name = "namely", provider = "openai" })
    zigllms.tool.register({
      name = "worker",
      execute = function(input)
        return input
      end,
    })
    local id = zigllms.workflow.create({
      pattern = "sequential",
      steps = {
        { type = "agent_call", agent = "namely", input = "x" },
        { type = "tool_call", tool = "worker", input = { data = "{{previous.output}}" } },
        { type = "tool_call", tool = "worker" },
      },
    })
    assert.same({ data = "[1]" }, zigllms.workflow.execute(id).output)
  end)
end)
