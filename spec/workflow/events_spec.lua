-- Events of workflows: their order, what they carry, and what events of other things carry inside.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")

local workflow = zigllms.workflow

local function say(value)
  return function()
    return value
  end
end

local function lines(list)
  local types = {}
  for i, event in ipairs(list) do
    types[i] = event.type:gsub("^workflow%.", "") .. " " .. (event.data.step_id or "")
  end
  return types
end

describe("events of a workflow", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("tell of each step and of the whole, once", function()
    local list = heard("workflow.*")
    local result = flow(
      { name = "told", steps = { { id = "a", fn = say(1) }, { id = "b", fn = say(2) } } },
      "in"
    )
    assert.same({
      "started ",
      "step_started a",
      "step_completed a",
      "step_started b",
      "step_completed b",
      "completed ",
    }, lines(list))
    for _, event in ipairs(list) do
      assert.equal("workflow", event.category)
      assert.equal(result.workflow_id, event.data.workflow_id)
      assert.equal("told", event.data.workflow_name)
      assert.equal(result.execution_id, event.data.execution_id)
    end
    assert.equal("function", list[2].data.step_type)
    assert.equal("in", list[1].data.input)
    assert.equal(1, list[3].data.result)
    assert.is_number(list[3].data.duration_ms)
    assert.equal(1, list[3].data.attempts)
    assert.equal(2, list[6].data.result.output)
  end)

  it("tell of steps inside of others", function()
    local list = heard("workflow.*")
    flow({
      { id = "g", steps = { { id = "a", fn = say(1) } } },
      {
        id = "c",
        type = "condition",
        condition = "false",
        if_false = { { id = "f", fn = say(1) } },
      },
      { id = "l", count = 2, steps = { { id = "i", fn = say(1) } } },
    })
    assert.same({
      "started ",
      "step_started g",
      "step_started a",
      "step_completed a",
      "step_completed g",
      "step_started c",
      "step_started f",
      "step_completed f",
      "step_completed c",
      "step_started l",
      "step_started i",
      "step_completed i",
      "step_started i",
      "step_completed i",
      "step_completed l",
      "completed ",
    }, lines(list))
  end)

  it("steps that are skipped have no start, but a reason", function()
    local list = heard("workflow.step_*")
    local result = flow({ { id = "a", fn = say(1), when = "false" }, { id = "b", fn = say(1) } })
    assert.same({ "step_skipped a", "step_started b", "step_completed b" }, lines(list))
    assert.truthy(list[1].data.reason:find("condition", 1, true))
    assert.equal("function", list[1].data.step_type)
    assert.equal(result.execution_id, list[1].data.execution_id)
    assert.equal(result.workflow_id, list[1].data.workflow_id)
  end)

  it("of tools and of what is emitted carry where they were", function()
    zigllms.tool.register({ name = "t", execute = say("T") })
    local tools, own = heard("tool.*"), heard("own")
    local result = flow({
      { id = "call", tool = "t", input = {} },
      { id = "tell", event = "own", data = 1 },
      {
        id = "inside",
        fn = function()
          zigllms.tool.execute("t", {})
        end,
      },
    })
    assert.is_true(#tools >= 4)
    for i, event in ipairs(tools) do
      assert.equal(result.workflow_id, event.data.workflow_id)
      assert.equal(result.execution_id, event.data.execution_id)
      assert.equal(i <= #tools / 2 and "call" or "inside", event.data.step_id)
    end
    assert.equal(1, #own)
  end)

  it("of branches come with their own step", function()
    zigllms.tool.register({
      name = "t",
      execute = function(input)
        zigllms.sleep(5 * input.n)
        return input.n
      end,
    })
    local list = heard("tool.*")
    flow({
      pattern = "parallel",
      steps = {
        { id = "one", tool = "t", input = { n = 1 } },
        { id = "two", tool = "t", input = { n = 2 } },
      },
    })
    local seen = {}
    for _, event in ipairs(list) do
      seen[event.data.step_id] = (seen[event.data.step_id] or 0) + 1
    end
    assert.same({ one = 2, two = 2 }, seen)
  end)

  it("a subscriber that fails, or executes another one, does no harm", function()
    local other = workflow.create({ name = "other", steps = { { fn = say(1) } } })
    local depth = 0
    zigllms.event.subscribe("workflow.step_completed", function(event)
      if event.data.workflow_id ~= other then
        depth = depth + 1
        workflow.execute(other)
      end
      error("subscriber")
    end)
    assert.equal(5, flow({ { fn = say(5) } }).output)
    assert.equal(1, depth)
  end)

  it("of two executions at once are told apart", function()
    local id = workflow.create({ steps = { { id = "nap", duration_ms = 20 } } })
    local list = heard("workflow.*")
    local handles = {}
    for i = 1, 5 do
      handles[i] = workflow.execute(id, i, { async = true })
    end
    local results = zigllms.all(handles)
    local count = {}
    for _, event in ipairs(list) do
      local key = event.data.execution_id
      count[key] = (count[key] or 0) + 1
    end
    for i, result in ipairs(results) do
      assert.equal(i, result.output)
      assert.equal(4, count[result.execution_id])
    end
  end)
end)
