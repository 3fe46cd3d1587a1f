-- test.create_scenario, test.run_scenario: what runs in which order, and what becomes of it.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local test = zigllms.test

local function run(definition, options)
  return test.run_scenario(test.create_scenario(definition), options)
end

local function has(text, part)
  assert.truthy(tostring(text):find(part, 1, true), tostring(text))
end

local function statuses(result)
  local all = {}
  for i, step in ipairs(result.steps) do
    all[i] = step.status
  end
  return table.concat(all, " ")
end

describe("test.create_scenario", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  it("gives each scenario an id", function()
    local a = test.create_scenario(function() end)
    local b = test.create_scenario({ name = "b", steps = {} })
    assert.truthy(a:find("^scenario_%d+$"))
    assert.are_not.equal(a, b)
    assert.are.equal("b", test.run_scenario("b").name)
    assert.are.equal(a, test.run_scenario({ id = a }).name)
  end)

  it("says what is wrong with a definition, and where", function()
    local function refused(definition, part)
      local err = raised("invalid_argument", test.create_scenario, definition)
      has(err, "zigllms.test.create_scenario: ")
      has(err, part)
    end
    local step = { run = function() end }
    refused(nil, "definition: expected")
    refused(7, "definition: expected")
    refused({ steps = {} }, "definition.name: expected a non-empty string, got nil")
    refused({ name = "", steps = {} }, "definition.name: expected a non-empty string")
    refused({ name = "n" }, "definition.steps: expected an array of steps, got nil")
    refused({ name = "n", steps = { 1 } }, "definition.steps[1]: expected")
    refused({ name = "n", steps = {}, set_up = 1 }, 'unknown key, did you mean "setup"?')
    refused({ name = "n", steps = {}, setup = 1 }, "definition.setup: expected a function, got 1")
    refused(
      { name = "n", steps = {}, tags = { 1 } },
      "definition.tags[1]: expected a string, got 1"
    )
    refused({ name = "n", steps = {}, timeout_ms = -1 }, "definition.timeout_ms: expected a number")
    refused({ name = "n", steps = {}, fixtures = { 1 } }, "definition.fixtures[1]: expected")
    refused({ name = "n", steps = { step, {} } }, "definition.steps[2]: expected one of run, agent")
    refused(
      { name = "n", steps = { { run = print, tool = "t" } } },
      "definition.steps[1]: expected one of run, agent, tool, workflow, provider, got run and tool"
    )
    refused({ name = "n", steps = { { run = print, input = 1 } } }, "definition.steps[1].input")
    refused({ name = "n", steps = { { run = print, expects = 1 } } }, 'did you mean "expect"?')
    refused({ name = "n", steps = { { run = print, should_fail = 1 } } }, "should_fail: expected")
    refused(
      { name = "n", steps = { { run = print, expect = { type = "matches", value = "%" } } } },
      'definition.steps[1].expect: "%" is no pattern'
    )
    refused(
      { name = "n", steps = { { run = print, expect = { type = "matches", regex = "(" } } } },
      'definition.steps[1].expect: "(" is no pattern'
    )
    refused(
      { name = "n", steps = { { run = print, expect = { { type = "matches" } } } } },
      "definition.steps[1].expect[1].value: expected a pattern or {regex=}, got nil"
    )
    refused(
      { name = "n", steps = { { run = print, expect = { type = "throws", value = 1 } } } },
      "definition.steps[1].expect.value: expected a code or a part of the message, got 1"
    )
    refused({ name = "n", steps = {}, mocks = { {} } }, "definition.mocks[1].name: expected")
    refused(
      { name = "n", steps = {}, mocks = { { name = "m", retuns = 1 } } },
      "definition.mocks[1]"
    )
    refused({ name = "n", steps = {}, mocks = { m = 1 } }, "definition.mocks.m: expected a table")
  end)

  it("keeps what it was given, whatever becomes of the table", function()
    local definition = {
      name = "kept",
      tags = { "a" },
      steps = {
        {
          run = function()
            return 1
          end,
          expect = 1,
        },
      },
    }
    local id = test.create_scenario(definition)
    definition.name, definition.steps[1].expect, definition.steps[2] = "other", 2, { run = error }
    local result = test.run_scenario(id)
    assert.are.equal("passed", result.status)
    assert.are.equal(1, result.total)
  end)

  it("takes values that are no data", function()
    local cycle, fn = {}, function() end
    cycle.self, cycle[true] = cycle, io.stdout
    local result = run({
      name = "odd",
      steps = {
        {
          run = function()
            local other = {}
            other.self, other[true] = other, io.stdout
            return other
          end,
          expect = cycle,
        },
        {
          run = function()
            return { fn, "\255", 0 / 0 }
          end,
          expected_output = { fn, "\255", 0 / 0 },
        },
      },
    })
    assert.are.equal("passed passed", statuses(result))
  end)
end)

describe("test.run_scenario", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  it("returns how each step has ended", function()
    local id = test.create_scenario({
      name = "several",
      stop_on_failure = false,
      steps = {
        function()
          return 5
        end,
        {
          name = "wrong",
          run = function()
            return { status = "failed" }
          end,
          expect = { status = "ok" },
        },
        {
          name = "broken",
          run = function()
            error({ own = true })
          end,
        },
        {
          name = "not now",
          run = function()
            test.skip("no time")
          end,
        },
      },
    })
    local result = test.run_scenario(id)
    assert.are.equal(id, result.id)
    assert.are.equal("several", result.name)
    assert.is_false(result.success)
    assert.are.equal("error", result.status)
    assert.are.same({ 4, 1, 2, 1 }, { result.total, result.passed, result.failed, result.skipped })
    assert.are.equal("number", type(result.duration_ms))
    assert.are.equal("passed failed error skipped", statuses(result))
    local first, second, third, last =
      result.steps[1], result.steps[2], result.steps[3], result.steps[4]
    assert.are.same({ "step 1", true, 5 }, { first.name, first.success, first.actual_output })
    assert.is_nil(first.error)
    assert.is_false(second.success)
    assert.is_true(second.error:is("assertion_failed"))
    has(second.error, 'at .status: expected "ok", got "failed"')
    assert.are.same({ status = "failed" }, second.actual_output)
    assert.are.same({
      {
        type = "equals",
        expected = { status = "ok" },
        success = false,
        message = 'at .status: expected "ok", got "failed"',
        path = ".status",
      },
    }, second.assertions)
    assert.is_true(third.error:is("callback_error"))
    assert.is_true(third.error.cause.own)
    assert.are.equal("no time", last.reason)
    assert.are.equal(second.error, result.error)
  end)

  it("passes errors of the module through", function()
    local result = run(function()
      zigllms.agent.get_state("nobody")
    end)
    assert.are.equal("error", result.status)
    assert.is_true(result.error:is("not_found"))
  end)

  it("knows a failed assertion from any other error", function()
    local function status(fn)
      return run(fn).status
    end
    assert.are.equal(
      "failed",
      status(function()
        test.assert_equals(1, 2)
      end)
    )
    assert.are.equal(
      "failed",
      status(function()
        test.assert_contains("abc", "d")
      end)
    )
    assert.are.equal(
      "failed",
      status(function()
        _G.assert(false)
      end)
    )
    assert.are.equal(
      "error",
      status(function()
        error("oh")
      end)
    )
    assert.are.equal(
      "error",
      status(function()
        error()
      end)
    )
  end)

  it("skips what stands behind a step that failed, unless told otherwise", function()
    local steps = {
      function()
        error("no")
      end,
      function() end,
    }
    local result = run({ name = "stops", steps = steps })
    assert.are.equal("error skipped", statuses(result))
    assert.are.equal('step "step 1" failed', result.steps[2].reason)
    assert.are.same({ 2, 0, 1, 1 }, { result.total, result.passed, result.failed, result.skipped })
    result = run({ name = "goes on", steps = steps, stop_on_failure = false })
    assert.are.equal("error passed", statuses(result))
  end)

  it("hands one table to all of its functions", function()
    local seen = {}
    local result = run({
      name = "ctx",
      description = "about it",
      tags = { "a", "b" },
      setup = function(ctx)
        ctx.number = 1
        seen.setup = ctx
      end,
      teardown = function(ctx)
        seen.teardown = ctx
      end,
      steps = {
        {
          name = "one",
          run = function(ctx)
            return ctx.number + 1
          end,
        },
        {
          name = "two",
          run = function(ctx)
            return ctx.results.one.actual_output + ctx.results[1].actual_output
          end,
          expect = 4,
        },
      },
    })
    assert.are.equal("passed", result.status)
    assert.are.equal(seen.setup, seen.teardown)
    local ctx = seen.setup
    assert.are.equal("ctx", ctx.scenario.name)
    assert.are.equal("about it", ctx.scenario.description)
    assert.are.same({ "a", "b" }, ctx.scenario.tags)
    assert.are.equal(result.id, ctx.scenario.id)
    assert.are.equal(2, #ctx.results)
  end)

  describe("setup and teardown", function()
    local order

    local function note(name, fn)
      return function(...)
        order[#order + 1] = name
        return fn and fn(...)
      end
    end

    local function definition(changes)
      local all = { name = "ordered", setup = note("setup"), teardown = note("teardown") }
      all.steps = { note("first"), note("second") }
      for key, value in pairs(changes) do
        all[key] = value
      end
      return all
    end

    before_each(function()
      order = {}
    end)

    it("stand around the steps", function()
      assert.is_true(run(definition({})).success)
      assert.are.equal("setup first second teardown", table.concat(order, " "))
    end)

    it("the teardown runs after a failure", function()
      local result = run(definition({ steps = { note("first", error), note("second") } }))
      assert.are.equal("error", result.status)
      assert.are.equal("setup first teardown", table.concat(order, " "))
    end)

    it("a setup that fails is an error; there are no steps, but a teardown", function()
      local result = run(definition({
        setup = note("setup", function()
          test.assert_equals(1, 2)
        end),
      }))
      assert.are.equal("error", result.status)
      assert.is_false(result.success)
      assert.is_true(result.error:is("assertion_failed"))
      assert.are.equal("skipped skipped", statuses(result))
      assert.are.equal("setup failed", result.steps[1].reason)
      assert.are.equal("setup teardown", table.concat(order, " "))
    end)

    it("a setup that skips skips all", function()
      local result = run(definition({
        setup = note("setup", function()
          test.skip("no disk")
        end),
      }))
      assert.are.equal("skipped", result.status)
      assert.is_true(result.success)
      assert.are.equal("no disk", result.reason)
      assert.are.equal("skipped skipped", statuses(result))
      assert.are.equal("setup teardown", table.concat(order, " "))
    end)

    it("a teardown that fails is an error, told unless there was one before", function()
      local teardown = note("teardown", function()
        error("at the end")
      end)
      local result = run(definition({ teardown = teardown }))
      assert.are.equal("error", result.status)
      assert.are.equal("passed passed", statuses(result))
      has(result.error, "at the end")
      result = run(definition({
        teardown = teardown,
        steps = {
          function()
            test.assert_equals(1, 2)
          end,
        },
      }))
      assert.are.equal("error", result.status)
      assert.is_true(result.error:is("assertion_failed"))
    end)
  end)

  it("makes mocks before anything else, and restores them at the end", function()
    local seen
    local result = run({
      name = "mocked",
      mocks = {
        { name = "add", returns = 3 },
        { name = "store", type = "object", methods = { get = "v" } },
      },
      setup = function(ctx)
        seen = ctx.mocks
        assert.are.equal("v", ctx.mocks.store:get("k"))
      end,
      steps = {
        {
          run = function(ctx)
            return ctx.mocks.add(1, 2)
          end,
          expect = 3,
        },
      },
      teardown = function(ctx)
        assert.are.equal(3, ctx.mocks.add())
        error("the end")
      end,
    })
    has(result.error, "the end")
    assert.is_true(seen.add:called_with(1, 2))
    raised("invalid_state", seen.add)
    result = run({
      name = "by name",
      mocks = { one = { returns = 1 } },
      steps = {
        {
          run = function(ctx)
            return ctx.mocks.one()
          end,
          expect = 1,
        },
      },
    })
    assert.are.equal("passed", result.status)
  end)

  it("takes definitions of mocks whose values are no data", function()
    local cycle = { print, "\255" }
    cycle[3] = cycle
    local result = run({
      name = "odd",
      mocks = { m = { sequence = { cycle, print } }, o = { methods = { get = cycle } } },
      steps = {
        function(ctx)
          assert.are.equal(cycle, ctx.mocks.m())
          assert.are.equal(print, ctx.mocks.m())
          assert.are.equal(cycle, ctx.mocks.o:get())
        end,
      },
    })
    assert.are.equal("passed", result.status, tostring(result.error))
  end)

  it("a mock that cannot be made is an error, and those before it are restored", function()
    local made
    local result = run({
      name = "bad mock",
      mocks = { { name = "a", returns = 1 }, { name = "b", returns = 1, error = "x" } },
      steps = { function() end },
      teardown = function(ctx)
        made = ctx.mocks.a
      end,
    })
    assert.are.equal("error", result.status)
    has(result.error, "mocks[2]")
    raised("invalid_state", made)
  end)

  it("calls tools, workflows and functions that make inputs", function()
    zigllms.tool.register({
      name = "double",
      execute = function(input)
        local n = input.n
        input.n = nil
        return n * 2
      end,
    })
    local flow = zigllms.workflow.create({ steps = { { template = "Hello, {{input}}!" } } })
    local id = test.create_scenario({
      name = "actions",
      steps = {
        { name = "doubled", tool = "double", input = { n = 4 }, expect = 8 },
        { workflow = flow, input = "Lua", expect = "Hello, Lua!" },
        {
          tool = "double",
          input = function(ctx)
            return { n = ctx.results.doubled.actual_output }
          end,
          expected_output = 16,
        },
        { tool = "nobody", expect = { type = "throws", value = "not_found" } },
      },
    })
    for _ = 1, 2 do
      local result = test.run_scenario(id)
      assert.are.equal("passed", result.status, tostring(result.error))
    end
  end)

  it("raises for a scenario that is not there", function()
    raised("not_found", test.run_scenario, "scenario_999")
    raised("invalid_argument", test.run_scenario, 1)
    raised("invalid_argument", test.run_scenario, "x", { timeout = 1 })
    test.create_scenario({ name = "twice", steps = {} })
    test.create_scenario({ name = "twice", steps = {} })
    raised("invalid_argument", test.run_scenario, "twice")
  end)

  it("goes on with what it has, though everything is forgotten meanwhile", function()
    local ended = false
    local result = run({
      name = "forgotten",
      teardown = function()
        ended = true
      end,
      steps = {
        function()
          zigllms.reset()
        end,
        function() end,
      },
    })
    assert.are.equal("passed passed", statuses(result))
    assert.is_true(ended)
    raised("not_found", test.run_scenario, result.id)
  end)

  it("skip has no meaning outside of a run", function()
    local err = raised("invalid_state", test.skip, "why")
    has(err, "zigllms.test.skip")
  end)

  it("skips from deep inside", function()
    zigllms.tool.register({
      name = "skipping",
      execute = function()
        test.skip("in a tool")
      end,
    })
    local result = run({
      name = "deep",
      steps = {
        { tool = "skipping" },
        function()
          zigllms.await(zigllms.spawn(function()
            zigllms.sleep(1)
            test.skip("in a task")
          end))
        end,
      },
    })
    assert.are.equal("skipped skipped", statuses(result))
    assert.are.equal("in a tool", result.steps[1].reason)
    assert.are.equal("in a task", result.steps[2].reason)
    assert.are.equal("skipped", result.status)
  end)

  it("whatever functions make of their table, the run goes on to its end", function()
    local ended = 0
    local result = run({
      name = "hostile",
      mocks = { { name = "first", returns = 1 }, second = { returns = 2 } },
      teardown = function()
        ended = ended + 1
      end,
      steps = {
        function(ctx)
          assert.are.equal(3, ctx.mocks.first() + ctx.mocks.second())
          setmetatable(ctx.results, { __newindex = error })
        end,
        function(ctx)
          assert.are.equal("passed", ctx.results[1].status)
          ctx.results, ctx.mocks, ctx.fixtures, ctx.scenario = nil, 5, false, nil
        end,
        function() end,
      },
    })
    assert.are.equal("passed passed passed", statuses(result))
    assert.are.equal(1, ended)
  end)
end)
