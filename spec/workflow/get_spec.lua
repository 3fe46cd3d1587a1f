-- What is told of workflows: get, list, get_info, destroy.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local workflow = zigllms.workflow

local function double(ctx)
  return ctx.input * 2
end

local function noop() end

-- One of everything.
local function everything()
  return {
    name = "everything",
    description = "all there is",
    version = "7",
    metadata = { team = { "a" } },
    variables = { n = 1 },
    timeout_ms = 5000,
    on_error = "continue",
    keep = 3,
    input_schema = { type = "number" },
    steps = {
      { id = "second", fn = double, depends_on = { "first" }, name = "The second" },
      {
        id = "first",
        tool = "calculator",
        input = { expression = "1 + {{input}}" },
        default = false,
      },
      {
        agent = "somebody",
        options = { temperature = 0.5, stop = { "x" } },
        retry = { max_attempts = 3 },
      },
      {
        type = "parallel",
        aggregation = "majority",
        steps = { { fn = noop }, { duration_ms = 1 } },
      },
      {
        type = "condition",
        condition = "{{input}} > 1",
        when = noop,
        if_true = { { event = "e", data = { 1 } } },
      },
      {
        type = "loop",
        items = { 1, 2 },
        until_condition = noop,
        steps = { { code = "return 1" } },
      },
      {
        type = "loop",
        count = 2,
        steps = { { template = { a = "{{loop.index}}" } } },
        break_on_error = false,
      },
      {
        type = "loop",
        condition = noop,
        max_iterations = 5,
        steps = { { type = "transform", fn = noop } },
      },
      {
        over = "{{input}}",
        steps = { { workflow = "other", output = noop } },
        fail_fast = false,
        max_concurrency = 2,
      },
      { steps = { { tool = "t", idempotent = true, on_unknown = "retry", timeout_ms = 10 } } },
    },
  }
end

local function without_id(definition)
  definition.id = nil
  return definition
end

describe("workflow", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  describe("get", function()
    it("returns what was said, with what holds where nothing was said", function()
      local id = workflow.create({ name = "w", steps = { { tool = "t" } } })
      local got = workflow.get(id)
      assert.equal(id, got.id)
      assert.equal("w", got.name)
      assert.equal("sequential", got.pattern)
      assert.equal("1", got.version)
      assert.equal("fail", got.on_error)
      assert.equal(100, got.keep)
      assert.same({}, got.variables)
      local step = got.steps[1]
      assert.equal("step_1", step.id)
      assert.equal("tool_call", step.type)
      assert.is_false(step.continue_on_error)
      assert.same({ max_attempts = 1, backoff_ms = 1000, backoff_multiplier = 2 }, step.retry)
      assert.same({}, step.depends_on)
      assert.is_nil(step.timeout_ms)
    end)

    it("returns copies with the very functions", function()
      local id = workflow.create(everything())
      local one, other = workflow.get(id), workflow.get(id)
      assert.same(one, other)
      assert.are_not.equal(one.steps, other.steps)
      one.steps[1].fn, one.variables.n = noop, 9
      assert.equal(double, workflow.get(id).steps[1].fn)
      assert.equal(1, workflow.get(id).variables.n)
    end)

    it("returns what makes the same workflow again", function()
      for _, pattern in ipairs({ "sequential", "parallel" }) do
        local definition = everything()
        definition.pattern = pattern
        local got = workflow.get(workflow.create(definition))
        assert.equal("The second", got.steps[1].name)
        assert.is_true(got.steps[1].continue_on_error)
        assert.same({ 1 }, got.steps[5].if_true[1].data)
        assert.same({ temperature = 0.5, stop = { "x" } }, got.steps[3].options)
        local again = workflow.create(got)
        assert.same(without_id(got), without_id(workflow.get(again)))
      end
      for _, definition in ipairs({
        { pattern = "conditional", condition = noop, if_false = { { fn = noop } } },
        {
          pattern = "conditional",
          steps = { { fn = noop, condition = "{{input}}" }, { fn = noop } },
        },
        {
          pattern = "loop",
          until_ = "{{previous.output}} == 3",
          steps = { { fn = noop } },
          iteration_delay_ms = 2,
        },
        { pattern = "loop", items = {}, steps = {} },
      }) do
        definition.name = "w"
        local got = workflow.get(workflow.create(definition))
        assert.same(without_id(got), without_id(workflow.get(workflow.create(got))))
      end
    end)

    it("gives no name to a copy of what has none", function()
      local got = workflow.get(workflow.create({ steps = {} }))
      local copy = workflow.create(got)
      assert.equal(copy, workflow.get(copy).name)
    end)

    it("takes ids, names and its own tables, and knows nobody else", function()
      local id = workflow.create({ name = "w", steps = {} })
      assert.equal(id, workflow.get("w").id)
      assert.equal(id, workflow.get(workflow.get("w")).id)
      assert.is_nil(workflow.get("nobody"))
      workflow.create({ name = "w", steps = {} })
      raised("invalid_argument", workflow.get, "w")
    end)
  end)

  describe("list", function()
    it("has every workflow in order, and filters", function()
      local a =
        workflow.create({ name = "a", steps = { { steps = { { fn = noop } } }, { fn = noop } } })
      local b = workflow.create({ name = "b", pattern = "parallel", steps = {} })
      assert.same({
        { id = a, name = "a", pattern = "sequential", status = "pending", steps_count = 3 },
        { id = b, name = "b", pattern = "parallel", status = "pending", steps_count = 0 },
      }, workflow.list())
      assert.same({ b }, workflow.list({ ids = true, pattern = "PARALLEL" }))
      assert.same({ a }, workflow.list({ ids = true, name = "a*" }))
      workflow.execute(b)
      assert.same({ b }, workflow.list({ ids = true, status = "completed" }))
      assert.same({ a }, workflow.list({ ids = true, status = workflow.Status.PENDING }))
      raised("invalid_argument", workflow.list, { status = "done" })
      raised("invalid_argument", workflow.list, { patern = "loop" })
    end)
  end)

  describe("get_info", function()
    it("sums up definition and executions", function()
      local id = workflow.create(everything())
      local info = workflow.get_info("everything")
      assert.equal(id, info.id)
      assert.equal("7", info.version)
      assert.equal("all there is", info.description)
      assert.same({ team = { "a" } }, info.metadata)
      assert.equal(18, info.steps_count)
      assert.is_number(info.created_at)
      assert.equal(0, info.executions.total)
      assert.is_nil(info.latest_execution_id)
      raised("not_found", workflow.get_info, "nobody")
    end)

    it("counts how executions ended", function()
      local id = workflow.create({
        steps = {
          {
            fn = function(ctx)
              return ctx.input and 1 or error("no")
            end,
          },
        },
      })
      workflow.execute(id, true)
      workflow.execute(id, true)
      pcall(workflow.execute, id)
      local info = workflow.get_info(id)
      assert.equal("failed", info.status)
      assert.equal(3, info.executions.total)
      assert.equal(2, info.executions.completed)
      assert.equal(1, info.executions.failed)
      assert.is_string(info.latest_execution_id)
      assert.is_number(info.avg_time_ms)
      assert.is_number(info.latest_started_at)
    end)
  end)

  describe("destroy", function()
    it("forgets a workflow once", function()
      local id = workflow.create({ name = "w", steps = {} })
      assert.is_true(workflow.destroy("w"))
      assert.is_false(workflow.destroy(id))
      assert.is_nil(workflow.get(id))
      assert.same({}, workflow.list())
      assert.are_not.equal(id, workflow.create({ steps = {} }))
    end)
  end)
end)
