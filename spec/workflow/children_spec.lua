-- workflow_call, and workflows that are made and executed by the steps of others.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

local workflow = zigllms.workflow

local function add(ctx)
  return ctx.input + 1
end

local function fails(value)
  return function()
    error(value, 0)
  end
end

describe("a step that calls a workflow", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("gives its output, by id or name", function()
    local id = workflow.create({ name = "child", steps = { { fn = add }, { fn = add } } })
    local result = flow({
      { id = "a", workflow = id },
      { id = "b", type = "workflow_call", workflow = "child", input = 10 },
      { id = "c", template = "{{steps.a.output}} {{steps.b.output}}" },
    }, 1)
    assert.equal("3 12", result.output)
    assert.same({ "a", "b", "c" }, result.step_order)
  end)

  it("is an execution of its own", function()
    local seen = {}
    local id = workflow.create({
      variables = { v = 1 },
      steps = {
        {
          id = "inner",
          fn = function(ctx)
            seen[#seen + 1] = ctx.workflow.execution_id
            ctx.variables.v = ctx.variables.v + 1
            assert.is_nil(ctx.steps.before)
            assert.equal(2, ctx.variables.v)
            assert.equal("in", ctx.workflow.input)
            return ctx.input
          end,
        },
      },
    })
    local list = heard("workflow.started")
    local result = flow({
      { id = "before", template = "in" },
      { id = "a", workflow = id },
      { id = "b", workflow = id },
    })
    assert.equal("in", result.output)
    assert.equal(3, #list)
    assert.equal(list[2].data.execution_id, seen[1])
    assert.equal(list[3].data.execution_id, seen[2])
    assert.is_nil(result.steps.inner)
  end)

  it("values pass in and out as they are", function()
    local id = workflow.create({ steps = { { template = "{{input.inner}}" } } })
    local thing = { inner = { print } }
    assert.equal(thing.inner, flow({ { workflow = id } }, thing).output)
  end)

  it("fails with the error of the step inside, and tells the way there", function()
    local thrown = {}
    workflow.create({ name = "leaf", steps = { { id = "deep", fn = fails(thrown) } } })
    workflow.create({ name = "middle", steps = { { id = "down", workflow = "leaf" } } })
    local err = raised("callback_error", flow, {
      { id = "first", fn = function() end },
      { id = "top", workflow = "middle" },
    })
    assert.equal(thrown, err.cause)
    assert.equal("top", err.details.step_id)
    assert.same({ "first" }, err.details.completed)
    local line = tostring(err)
    local at = 1
    for _, id in ipairs({ '"top"', '"down"', '"deep"' }) do
      at = assert(line:find(id, at, true), line)
    end
  end)

  it("its input is checked", function()
    local id = workflow.create({ input_schema = { type = "integer" }, steps = {} })
    assert.equal(5, flow({ { workflow = id } }, 5).output)
    local err = raised("validation_failed", flow, { { id = "s", workflow = id } }, "text")
    assert.equal("s", err.details.step_id)
  end)

  it("is gone over, tried again and limited as any step", function()
    local n = 0
    local id = workflow.create({
      steps = {
        {
          fn = function()
            n = n + 1
            return n >= 3 and n or error("again")
          end,
        },
      },
    })
    assert.equal(
      3,
      flow({ { workflow = id, retry = { max_attempts = 3, backoff_ms = 1 } } }).output
    )
    local slow = workflow.create({ steps = { { duration_ms = 5000 } } })
    local err = raised("timeout", flow, { { id = "s", workflow = slow, timeout_ms = 20 } })
    assert.equal("s", err.details.step_id)
    local bad = workflow.create({ steps = { { fn = fails("x") } } })
    assert.equal("d", flow({ { workflow = bad, continue_on_error = true, default = "d" } }).output)
  end)

  it("that calls itself ends with an error, not with the program", function()
    workflow.create({ name = "endless", steps = { { workflow = "endless" } } })
    local err = raised("invalid_state", workflow.execute, "endless")
    assert.truthy(tostring(err):find("endless", 1, true), tostring(err))
    -- One that ends may be as deep as some.
    workflow.create({
      name = "count",
      steps = {
        {
          id = "less",
          fn = function(ctx)
            return ctx.input - 1
          end,
        },
        { id = "more", when = "{{previous.output}} > 0", workflow = "count" },
      },
    })
    assert.equal(0, workflow.execute("count", 12).output)
  end)

  it("side by side with others", function()
    local id = workflow.create({ steps = { { duration_ms = 50 }, { fn = add } } })
    local steps = {}
    for i = 1, 8 do
      steps[i] = { id = "s" .. i, workflow = id, input = i }
    end
    local result = flow({ pattern = "parallel", steps = steps })
    assert.equal(9, result.output.s8)
    assert.is_true(result.duration_ms < 350, result.duration_ms)
  end)
end)

describe("a function in a step", function()
  before_each(zigllms.reset)

  it("may create and execute workflows", function()
    local function down(n)
      return flow({
        {
          fn = function()
            return n == 0 and "bottom" or down(n - 1)
          end,
        },
      }).output
    end
    assert.equal("bottom", down(10))
  end)

  it("may start some that go on beside it", function()
    local id = workflow.create({ steps = { { duration_ms = 20 }, { fn = add } } })
    local output = flow({
      {
        fn = function()
          local handles = {}
          for i = 1, 5 do
            handles[i] = workflow.execute(id, i, { async = true })
          end
          local sum = 0
          for _, result in ipairs(zigllms.all(handles)) do
            sum = sum + result.output
          end
          return sum
        end,
      },
    }).output
    assert.equal(20, output)
  end)

  it("may execute its own workflow again", function()
    local id
    id = workflow.create({
      steps = {
        {
          fn = function(ctx)
            return ctx.input > 0 and workflow.execute(id, ctx.input - 1).output or "end"
          end,
        },
      },
    })
    assert.equal("end", workflow.execute(id, 5).output)
  end)

  it("may change its tables and forget its tools", function()
    zigllms.tool.register({ name = "gone", execute = function() end })
    local result = flow({
      {
        id = "a",
        fn = function(ctx)
          zigllms.tool.unregister("gone")
          ctx.steps.a = nil
          ctx.workflow = nil
          ctx.previous = 5
          ctx.input = nil
          return "A"
        end,
      },
      { id = "b", tool = "gone", input = {}, continue_on_error = true },
      { id = "c", template = "{{steps.a.output}} {{workflow.name}} {{previous.id}}" },
    })
    assert.equal("failed", result.steps.b.status)
    assert.equal("A " .. result.name .. " a", result.output)
  end)

  it("that raises what was cancelled is a step that failed", function()
    local nap = workflow.create({ steps = { { duration_ms = 5000 } } })
    local tried = 0
    local result = flow({
      {
        id = "a",
        retry = { max_attempts = 2, backoff_ms = 1 },
        fn = function()
          tried = tried + 1
          local handle = workflow.execute(nap, nil, { async = true })
          handle:cancel("enough")
          handle:await()
        end,
        continue_on_error = true,
      },
      { id = "b", template = "{{steps.a.status}} {{steps.a.error.code}}" },
    })
    assert.equal("failed cancelled", result.output)
    assert.equal(2, tried)
    assert.equal("completed", result.status)
  end)

  it("an execution goes on without anybody who waits", function()
    local done = false
    local id = workflow.create({
      steps = {
        { duration_ms = 10 },
        {
          fn = function()
            done = true
          end,
        },
      },
    })
    workflow.execute(id, nil, { async = true })
    collectgarbage()
    collectgarbage()
    zigllms.sleep(100)
    assert.is_true(done)
  end)

  it("in a coroutine, resumed by whoever likes", function()
    local out = {}
    local co = coroutine.wrap(function()
      out.result = flow({
        {
          fn = function()
            return coroutine.yield("mine")
          end,
        },
        { fn = add },
      })
      return "end"
    end)
    assert.equal("mine", co())
    assert.equal("end", co(41))
    assert.equal(42, out.result.output)
  end)
end)
