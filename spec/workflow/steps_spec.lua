-- What each type of step does, which fields it has, and what its output is.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")

local tool, workflow = zigllms.tool, zigllms.workflow

local function output(...)
  return flow(...).output
end

local function times(n)
  return function(ctx)
    return ctx.input * n
  end
end

describe("the steps of a workflow", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("hand their output on, and the last one's is the workflow's", function()
    local result = flow({ { fn = times(2) }, { fn = times(3) } }, 7)
    assert.equal(42, result.output)
    assert.equal("completed", result.status)
    assert.same({ "step_1", "step_2" }, result.step_order)
    assert.equal(14, result.steps.step_1.output)
    assert.equal("completed", result.steps.step_1.status)
    assert.equal(1, result.steps.step_1.attempts)
    assert.is_number(result.steps.step_1.started_at)
    assert.is_number(result.steps.step_1.duration_ms)
    assert.is_true(result.finished_at >= result.started_at and result.duration_ms >= 0)
    assert.equal(result.workflow_id, result.name)
    assert.is_string(result.execution_id)
    assert.equal(0, result.usage.total_tokens)
  end)

  it("may be none: the output is the input", function()
    local id = workflow.create({ name = "my_workflow", steps = {} })
    assert.equal("x", workflow.execute(id, "x").output)
    assert.is_nil(workflow.execute(id).output)
    local table_in = { a = 1 }
    assert.equal(table_in, workflow.execute(id, table_in).output)
    assert.same({}, workflow.execute(id, 1).steps)
    assert.same({}, workflow.execute(id, 1).step_order)
  end)

  it("are found by the name of the workflow, too", function()
    workflow.create({ name = "by_name", steps = { { fn = times(2) } } })
    assert.equal(4, workflow.execute("by_name", 2).output)
    raised("not_found", workflow.execute, "nobody")
  end)

  it("get their own input, or the previous output", function()
    local seen = {}
    local function note(ctx)
      seen[#seen + 1] = ctx.input == nil and "nil" or ctx.input
      return ctx.input
    end
    flow({
      { fn = note },
      { fn = note, input = "given" },
      { fn = note, input = { a = { "{{input}}", 2 }, b = "{{previous.output}}!" } },
      { fn = note, input = false },
    }, 5)
    assert.same({ 5, "given", { a = { 5, 2 }, b = "given!" }, false }, seen)
  end)

  it("know where they are by ctx", function()
    local seen
    local result = flow({
      name = "known",
      variables = { v = 1 },
      steps = {
        { id = "one", fn = times(2) },
        {
          id = "two",
          fn = function(ctx)
            seen = ctx
            assert.is_false(ctx.cancelled())
          end,
        },
      },
    }, 3)
    assert.equal(6, seen.input)
    assert.same({ id = "one", output = 6 }, seen.previous)
    assert.equal("known", seen.workflow.name)
    assert.equal(result.workflow_id, seen.workflow.id)
    assert.equal(result.execution_id, seen.workflow.execution_id)
    assert.equal(3, seen.workflow.input)
    assert.equal(6, seen.steps.one.output)
    assert.same({ v = 1 }, seen.variables)
    assert.equal("two", seen.step_id)
    assert.equal(1, seen.attempt)
    assert.is_string(seen.idempotency_key)
    assert.is_nil(seen.loop)
    assert.is_nil(seen.break_loop)
  end)

  it("function: execute is the same as fn, nothing returned is no output", function()
    local step = {
      execute = function() end,
    }
    local result = flow({ { fn = times(1) }, step }, 3)
    assert.is_nil(result.output)
    assert.equal("completed", result.steps.step_2.status)
  end)

  it("tables, functions and userdata pass as they are", function()
    local thing = setmetatable({ inner = {} }, {
      __tostring = function()
        return "thing"
      end,
    })
    local file = io.tmpfile()
    local co = coroutine.create(print)
    for _, value in ipairs({ thing, file, co, times, thing.inner }) do
      local seen
      local result = flow({
        {
          fn = function(ctx)
            assert.equal(value, ctx.input)
            return ctx.input
          end,
        },
        { type = "transform", template = "{{previous.output}}" },
        {
          fn = function(ctx)
            return ctx.previous.output
          end,
        },
        { type = "delay", duration_ms = 0 },
        {
          id = "last",
          input = { here = "{{steps.step_1.output}}" },
          fn = function(ctx)
            seen = ctx.input.here
            return ctx.steps.step_3.output
          end,
        },
      }, value)
      assert.equal(value, seen)
      assert.equal(value, result.output)
      assert.equal(value, result.steps.step_1.output)
      assert.equal(value, result.steps.last.output)
    end
    file:close()
  end)

  it("transform: a template of any shape, or a function", function()
    assert.same(
      { say = "3!", keep = 3, list = { 3, "three" } },
      output({
        {
          type = "transform",
          template = { say = "{{input}}!", keep = "{{input}}", list = { "{{input}}", "three" } },
        },
      }, 3)
    )
    assert.equal(
      9,
      output({
        {
          type = "transform",
          fn = function(ctx)
            return ctx.input * 3
          end,
        },
      }, 3)
    )
    assert.equal("plain", output({ { type = "transform", template = "plain" } }))
    -- A definition is never written to.
    local id = workflow.create({ steps = { { template = { a = {} } } } })
    workflow.execute(id).output.a.x = 1
    assert.same({ a = {} }, workflow.execute(id).output)
  end)

  it("output maps the output", function()
    local result = flow({
      { id = "a", fn = times(2), output = "got {{output}} of {{input}}" },
      {
        id = "b",
        fn = function()
          return 5
        end,
        output = function(value, ctx)
          return value + #ctx.input + #ctx.step_id
        end,
      },
      {
        id = "c",
        fn = function() end,
        output = function(value)
          return value == nil
        end,
      },
    }, 3)
    assert.equal("got 6 of 3", result.steps.a.output)
    assert.equal(5 + 10 + 1, result.steps.b.output)
    assert.is_true(result.steps.c.output)
    local wrong = raised("callback_error", flow, {
      {
        id = "bad",
        fn = times(1),
        output = function()
          error("no map")
        end,
      },
    }, 1)
    assert.equal("bad", wrong.details.step_id)
  end)

  it("delay waits and hands on what was before", function()
    local began = clock()
    local result = flow({ { fn = times(2) }, { type = "delay", duration_ms = 60 } }, 2)
    assert.equal(4, result.output)
    assert.is_true((clock() - began) * 1000 >= 59)
    assert.is_true(result.steps.step_2.duration_ms >= 59)
    for _ = 1, 5 do
      local took = flow({ { duration_ms = 20, jitter_percent = 50 } }).duration_ms
      assert.is_true(took >= 9.9 and took < 300, took)
    end
  end)

  it("emit tells an event, with templates in its data, and hands on what was before", function()
    local list = heard("my.*")
    local result = flow({
      { id = "a", fn = times(2) },
      { event = "my.event", data = { n = "{{previous.output}}", t = "<{{input}}>", k = { 1 } } },
      { event = "my.plain" },
      { event = "my.text", data = "{{steps.a.output}}" },
    }, 2)
    assert.equal(4, result.output)
    assert.same({ n = 4, t = "<2>", k = { 1 } }, list[1].data)
    assert.equal("my.event", list[1].type)
    assert.equal(4, list[2].data)
    assert.equal(4, list[3].data)
  end)

  it("a function that makes the data of an event learns what others learn", function()
    local told
    zigllms.event.subscribe("my.event", function(event)
      told = event.data
    end)
    local function data(ctx)
      return { ctx.step_id, ctx.attempt, ctx.input, type(ctx.idempotency_key) }
    end
    flow({ { id = "tell", type = "emit", event = "my.event", data = data } }, "in")
    assert.same({ "tell", 1, "in", "string" }, told)
  end)

  describe("script", function()
    local function script(code, input, step)
      step = step or {}
      step.id, step.code = step.id or "s", code
      return output(
        { variables = { v = { 7 } }, steps = { { id = "a", fn = times(2) }, step } },
        input
      )
    end

    it("is Lua in a sandbox that gets ctx as data", function()
      assert.equal(42, script("local ctx = ... return ctx.input * 10 + ctx.workflow.input", 2))
      assert.equal(4, script("return (...).previous.output", 2))
      assert.equal("a", script("return (...).previous.id", 2))
      assert.equal(4, script("return (...).steps.a.output", 2))
      assert.equal(7, script("return (...).variables.v[1]", 2))
      assert.equal("s", script("return (...).step_id", 2))
      assert.same({ x = { 1, "2" } }, script("return { x = { 1, '2' } }", 2))
      assert.is_nil(script("local x = 1", 2))
    end)

    it("reaches nothing of the host", function()
      for _, name in ipairs({ "io", "os.execute", "require", "zigllms", "debug" }) do
        local code = "local ok, value = pcall(function() return %s end) return ok and value ~= nil"
        assert.is_false(script(code:format(name), 1), name)
      end
      -- What it changes stays in there.
      local variables
      flow({
        variables = { v = { 7 } },
        steps = {
          { code = "(...).variables.v[1] = 8 return 1" },
          {
            fn = function(ctx)
              variables = ctx.variables
            end,
          },
        },
      })
      assert.same({ v = { 7 } }, variables)
    end)

    it("that never ends is ended", function()
      local began = clock()
      local err = raised("timeout", script, "while true do end", 1, { timeout_ms = 50 })
      assert.equal("s", err.details.step_id)
      assert.is_true(clock() - began < 1)
      raised("timeout", script, "while true do end", 1)
    end)

    it("that fails tells why and where", function()
      local err = raised("tool_error", script, "error('my own trouble')", 1)
      assert.truthy(tostring(err):find("my own trouble", 1, true))
      assert.equal("s", err.details.step_id)
    end)

    it("sees only data", function()
      local err = raised("conversion_error", flow, { { id = "s", code = "return 1" } }, { print })
      assert.equal("s", err.details.step_id)
    end)
  end)

  it("sequential: a chain in a chain", function()
    local result = flow({
      { id = "a", fn = times(2) },
      { id = "group", steps = { { id = "b", fn = times(3) }, { id = "c", fn = times(5) } } },
      { id = "d", fn = times(7) },
    }, 1)
    assert.equal(210, result.output)
    assert.equal(30, result.steps.group.output)
    assert.equal(6, result.steps.b.output)
    assert.same({ "a", "b", "c", "group", "d" }, result.step_order)
    assert.equal(1, output({ { id = "none", type = "sequential", steps = {} } }, 1))
  end)

  it("a skipped step is passed over", function()
    local result = flow({
      { id = "a", fn = times(2) },
      { id = "b", fn = times(100), when = "{{input}} > 10" },
      {
        id = "c",
        fn = times(3),
        condition = function(ctx)
          return ctx.previous.output == 2 and ctx.previous.id == "a"
        end,
      },
    }, 1)
    assert.equal(6, result.output)
    assert.equal("skipped", result.steps.b.status)
    assert.equal(0, result.steps.b.attempts)
    assert.is_nil(result.steps.b.output)
    assert.equal("completed", result.steps.c.status)
    -- When the last one is skipped, the one before it has the last word.
    assert.equal(2, output({ { fn = times(2) }, { fn = times(9), when = "false" } }, 1))
    assert.equal(1, output({ { fn = times(9), when = "false" } }, 1))
  end)

  it("variables are written by functions and seen by templates", function()
    local id = workflow.create({
      variables = { count = 1, list = { 1 } },
      steps = {
        {
          fn = function(ctx)
            ctx.variables.count = ctx.variables.count + 1
            ctx.variables.list[2] = "two"
            ctx.variables.fresh = print
          end,
        },
        { template = { "{{variables.count}}", "{{vars.list}}", "{{variables.fresh}}" } },
      },
    })
    assert.same({ 2, { 1, "two" }, print }, workflow.execute(id).output)
    -- Each execution has its own.
    assert.same({ 2, { 1, "two" }, print }, workflow.execute(id).output)
    local given = { count = 10, more = 1, list = { 5 } }
    assert.same(
      { 11, { 5, "two" }, print },
      workflow.execute(id, nil, { variables = given }).output
    )
    assert.same({ count = 10, more = 1, list = { 5 } }, given)
  end)

  it("input and output fit their schemas, or nothing is run", function()
    local ran = 0
    local id = workflow.create({
      input_schema = {
        type = "object",
        properties = { n = { type = "integer" } },
        required = { "n" },
      },
      output_schema = { type = "integer", maximum = 10 },
      steps = {
        {
          fn = function(ctx)
            ran = ran + 1
            return ctx.input.n
          end,
        },
      },
    })
    assert.equal(3, workflow.execute(id, { n = 3 }).output)
    for _, bad in ipairs({ { n = "x" }, {}, 5, "text" }) do
      raised("validation_failed", workflow.execute, id, bad)
    end
    raised("validation_failed", workflow.execute, id)
    raised("validation_failed", workflow.execute, id, print)
    assert.equal(1, ran)
    local err = raised("validation_failed", workflow.execute, id, { n = 11 })
    assert.truthy(tostring(err):find("output", 1, true), tostring(err))
    assert.is_string(err.details.execution_id)
  end)

  it("on_step hears of every one that has ended", function()
    local list = {}
    flow(
      {
        { id = "a", fn = times(2) },
        { id = "b", fn = times(2), when = "false" },
        { id = "c", type = "parallel", steps = { { id = "d", fn = times(3) } } },
        {
          id = "e",
          fn = function()
            error("no")
          end,
          continue_on_error = true,
        },
      },
      1,
      {
        on_step = function(step)
          list[#list + 1] = step.id .. " " .. step.status .. " " .. tostring(step.output and true)
        end,
      }
    )
    assert.same({
      "a completed true",
      "b skipped nil",
      "d completed true",
      "c completed true",
      "e failed nil",
    }, list)
  end)

  it("metadata stand in the result", function()
    assert.same(
      { who = "me" },
      flow({ { fn = times(1) } }, 1, { metadata = { who = "me" } }).metadata
    )
  end)

  it("are the aliases the field knows", function()
    tool.register({
      name = "double",
      execute = function(input)
        return input.n * 2
      end,
    })
    local result = flow({
      { name = "first", type = "tool", tool = "double", input = { n = 2 } },
      { name = "second", type = "function", execute = times(2), input = "{{step.first.result}}" },
    })
    assert.equal(8, result.output)
    assert.equal("completed", result.steps.first.status)
  end)

  it("mistakes of the call are told before anything runs", function()
    local id = workflow.create({ steps = {} })
    for _, case in ipairs({
      { id, nil, { timeout = 5 }, "timeout" },
      { id, nil, { on_error = "ignore" }, "on_error" },
      { id, nil, { on_step = 5 }, "on_step" },
      { id, nil, { variables = 5 }, "variables" },
      { id, nil, 5, "options" },
      { nil, nil, nil, "workflow_id" },
    }) do
      local err = raised("invalid_argument", workflow.execute, case[1], case[2], case[3])
      local text = tostring(err)
      assert.truthy(text:find("workflow.execute", 1, true), text)
      assert.truthy(text:find(case[4], 1, true), text)
    end
  end)
end)
