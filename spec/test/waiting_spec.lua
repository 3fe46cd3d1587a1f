-- Scenarios and suites that wait: faces, time limits, and being cancelled.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local test = zigllms.test

local function has(text, part)
  assert.truthy(tostring(text):find(part, 1, true), tostring(text))
end

local function statuses(list)
  local all = {}
  for i, one in ipairs(list) do
    all[i] = one.status
  end
  return table.concat(all, " ")
end

local function sleeper(ms)
  return function()
    zigllms.sleep(ms)
    return "slept"
  end
end

local LONG = 60000

describe("a scenario that waits", function()
  local order

  local function note(name, fn)
    return function(...)
      order[#order + 1] = name
      return fn and fn(...)
    end
  end

  before_each(function()
    zigllms.reset()
    order = {}
  end)

  teardown(function()
    zigllms.reset()
  end)

  describe("in each face", function()
    local id

    before_each(function()
      id =
        test.create_scenario({ name = "waits", steps = { { run = sleeper(5), expect = "slept" } } })
    end)

    it("plain", function()
      assert.is_true(test.run_scenario(id).success)
      assert.is_true(test.run_scenario(id, { async = false }).success)
    end)

    it("as a handle", function()
      local a = test.run_scenario(id, { async = true })
      local b = test.run_suite({ scenarios = { id }, async = true })
      assert.is_false(a:done())
      assert.are.equal("running", b:status())
      assert.is_true(a:await().success)
      assert.is_true(b:await().success)
      assert.are.equal(a:await(), a:await())
    end)

    it("inside of run, side by side", function()
      local results = zigllms.run(function()
        return zigllms.map({ 1, 2, 3 }, function()
          return test.run_scenario(id)
        end)
      end)
      assert.are.equal("passed passed passed", statuses(results))
    end)

    it("in a coroutine", function()
      local result
      local co = coroutine.create(function()
        result = test.run_scenario(id)
      end)
      assert(coroutine.resume(co))
      assert.is_true(result.success)
      co = coroutine.create(function()
        result = test.run_suite({ scenarios = { id }, async = "yield" })
      end)
      result = nil
      assert(coroutine.resume(co))
      assert.is_nil(result)
      while coroutine.status(co) ~= "dead" do
        zigllms.poll(100)
      end
      assert.is_true(result.success)
    end)

    it("lets a step yield on its own account", function()
      local plain = test.create_scenario(function()
        coroutine.yield()
        zigllms.sleep(1)
        coroutine.yield()
      end)
      assert.is_true(test.run_scenario(plain).success)
      local seen
      local co = coroutine.create(function()
        local own = test.create_scenario({
          name = "own",
          steps = {
            {
              run = function()
                return coroutine.yield("mine")
              end,
              expect = "back",
            },
          },
        })
        seen = test.run_scenario(own)
      end)
      assert.are.equal("mine", select(2, coroutine.resume(co)))
      assert(coroutine.resume(co, "back"))
      assert.is_true(seen.success, tostring(seen.error))
    end)

    it("argument errors are raised at once", function()
      raised("not_found", test.run_scenario, "nobody", { async = true })
      raised("not_found", test.run_suite, { scenarios = { "nobody" }, async = true })
    end)
  end)

  describe("within a limit", function()
    it("of a step: the step is failed, and the scenario goes on as after any failure", function()
      local id = test.create_scenario({
        name = "limited",
        stop_on_failure = false,
        teardown = note("teardown"),
        steps = {
          { name = "slow", run = sleeper(LONG), timeout_ms = 20 },
          { name = "fine", run = sleeper(1), timeout_ms = LONG },
        },
      })
      local result = test.run_scenario(id)
      assert.are.equal("failed passed", statuses(result.steps))
      assert.are.equal("failed", result.status)
      local err = result.steps[1].error
      assert.is_true(err:is("timeout"))
      assert.are.equal("total", err.phase)
      assert.are.equal('step "slow" took longer than 20 ms', err.message)
      assert.are.same({ "teardown" }, order)
      assert.is_true(result.duration_ms < LONG / 2)
    end)

    it("of a step: what is under way inside ends", function()
      local ended = {}
      zigllms.tool.register({
        name = "slow",
        timeout_ms = 0,
        execute = function(_, ctx)
          local ok, err = pcall(zigllms.sleep, LONG)
          ended.tool = { ok, err.code, ctx.cancelled() }
        end,
      })
      local spawned
      local id = test.create_scenario({
        name = "inside",
        stop_on_failure = false,
        steps = {
          { tool = "slow", timeout_ms = 20 },
          {
            run = function()
              spawned = zigllms.spawn(sleeper(LONG))
              zigllms.await(spawned)
            end,
            timeout_ms = 20,
          },
        },
      })
      local result = test.run_scenario(id)
      assert.are.equal("failed failed", statuses(result.steps))
      assert.are.same({ false, "timeout", true }, ended.tool)
      assert.is_true(spawned:wait(5000))
    end)

    it("of a step: an error that comes too late is the limit's, and may be expected", function()
      local id = test.create_scenario({
        name = "late",
        stop_on_failure = false,
        steps = {
          {
            timeout_ms = 10,
            run = function()
              pcall(zigllms.sleep, LONG)
              error("gave up")
            end,
          },
          { timeout_ms = 10, run = sleeper(LONG), expect = { type = "throws", value = "timeout" } },
          { timeout_ms = 10, run = sleeper(LONG), should_fail = true },
        },
      })
      local result = test.run_scenario(id)
      assert.are.equal("failed passed passed", statuses(result.steps))
      has(result.steps[1].error.cause, "gave up")
    end)

    it("of a call in a step: that is an error like any other", function()
      zigllms.tool.register({ name = "slow", timeout_ms = 10, execute = sleeper(LONG) })
      local id = test.create_scenario({ name = "call", steps = { { tool = "slow" } } })
      local result = test.run_scenario(id)
      assert.are.equal("error", result.status)
      assert.is_true(result.error:is("timeout"))
    end)

    it("of a scenario: its step is failed, the others are skipped, the teardown runs", function()
      local id = test.create_scenario({
        name = "limited",
        timeout_ms = 20,
        stop_on_failure = false,
        steps = { { run = sleeper(LONG), should_fail = true }, note("second") },
        teardown = note("teardown", sleeper(2)),
      })
      local result = test.run_scenario(id)
      assert.are.equal("failed skipped", statuses(result.steps))
      assert.are.equal("failed", result.status)
      assert.are.equal("the scenario took longer than 20 ms", result.error.message)
      assert.are.equal("the scenario ran into its time limit", result.steps[2].reason)
      assert.are.same({ "teardown" }, order)
      result = test.run_scenario(id, { timeout_ms = 30 })
      assert.are.equal("the scenario took longer than 30 ms", result.error.message)
    end)

    it("of a scenario: it goes for the setup, too", function()
      local id = test.create_scenario({
        name = "setup",
        timeout_ms = 20,
        setup = sleeper(LONG),
        steps = {
          note("step"),
        },
      })
      local result = test.run_scenario(id)
      assert.are.equal("failed", result.status)
      assert.is_true(result.error:is("timeout"))
      assert.are.same({}, order)
    end)

    it("a teardown has as long again", function()
      local id = test.create_scenario({
        name = "teardown",
        timeout_ms = 20,
        steps = {},
        teardown = sleeper(LONG),
      })
      local result = test.run_scenario(id)
      assert.are.equal("error", result.status)
      assert.are.equal("teardown took longer than 20 ms", result.error.message)
    end)

    it("of a suite: the test under way is failed, the others are skipped", function()
      local result = test.run_suite({
        timeout_ms = 30,
        after_each = note("after_each"),
        after_all = note("after_all", sleeper(2)),
        tests = {
          { name = "a", fn = function() end },
          { name = "b", fn = sleeper(LONG) },
          { name = "c", fn = note("c") },
        },
      })
      assert.are.equal("passed failed skipped", statuses(result.results))
      assert.are.equal("the suite took longer than 30 ms", result.results[2].error.message)
      assert.are.equal("the suite ran into its time limit", result.results[3].reason)
      assert.are.same({ "after_each", "after_each", "after_all" }, order)
      result =
        test.run_suite({ timeout_ms = 10, before_all = sleeper(LONG), tests = { a = note("a") } })
      assert.are.equal("error skipped", statuses(result.results))
      assert.are.equal("timeout", result.error.code)
    end)

    it("of what is around it: the call itself raises, with what there is", function()
      zigllms.tool.register({
        name = "around",
        timeout_ms = 30,
        execute = function()
          return test.run_suite({
            after_all = note("after_all"),
            tests = { { name = "a", fn = function() end }, { name = "b", fn = sleeper(LONG) } },
          })
        end,
      })
      local err = raised("timeout", zigllms.tool.execute, "around")
      assert.truthy(err)
      zigllms.poll(10)
      assert.are.same({ "after_all" }, order)
    end)
  end)

  describe("that is cancelled", function()
    it("raises with what there is; teardowns, hooks and fixtures come to their end", function()
      local mock, torn
      test.setup_fixture({
        name = "f",
        setup = function()
          return 1
        end,
        teardown = function(data)
          zigllms.sleep(1)
          torn = data
        end,
      })
      local handle = test.run_suite({
        async = true,
        after_each = note("after_each", sleeper(2)),
        after_all = note("after_all", sleeper(2)),
        scenarios = {
          {
            name = "long",
            fixtures = { "f" },
            mocks = { m = { returns = 1 } },
            setup = function(ctx)
              mock = ctx.mocks.m
            end,
            steps = { note("step", sleeper(LONG)), note("never") },
            teardown = note("teardown", sleeper(2)),
          },
        },
        tests = { after = note("never") },
      })
      zigllms.poll()
      assert.is_true(handle:cancel("enough"))
      local err = raised("cancelled", handle.await, handle)
      assert.are.equal("enough", err.details.reason)
      assert.are.same({ "step", "teardown", "after_each", "after_all" }, order)
      assert.are.equal(1, torn)
      raised("invalid_state", mock)
      local partial = err.partial
      assert.is_false(partial.success)
      assert.are.equal("error skipped", statuses(partial.results))
      assert.are.equal("cancelled", partial.results[1].steps[1].error.code)
      assert.are.equal("skipped", partial.results[1].steps[2].status)
      assert.are.equal("cancelled", handle:status())
    end)

    it("in a step that catches it, and in its teardown", function()
      local handle
      local id = test.create_scenario({
        name = "stubborn",
        steps = {
          function()
            pcall(zigllms.sleep, LONG)
            pcall(zigllms.sleep, LONG)
          end,
          note("never"),
        },
        teardown = note("teardown", function()
          handle:cancel("again")
          zigllms.sleep(2)
          order[#order + 1] = "end"
        end),
      })
      handle = test.run_scenario(id, { async = true })
      zigllms.poll()
      handle:cancel()
      raised("cancelled", handle.await, handle)
      assert.are.same({ "teardown", "end" }, order)
    end)
  end)

  it("that is dropped in the middle leaves no mock behind", function()
    local mock
    local co = coroutine.wrap(function()
      test.run_scenario(test.create_scenario({
        name = "dropped",
        mocks = { m = { type = "service", provider = "openai", responses = { "x" } } },
        steps = {
          function(ctx)
            mock = ctx.mocks.m
            coroutine.yield()
          end,
        },
      }))
    end)
    co()
    assert.is_truthy(mock)
    co = nil -- luacheck: ignore
    for _ = 1, 4 do
      collectgarbage()
    end
    assert.is_false(mock:restore())
  end)
end)
