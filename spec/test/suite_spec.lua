-- test.run_suite: which scenarios and tests run, in which order, and what stops them.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local test = zigllms.test

local function has(text, part)
  assert.truthy(tostring(text):find(part, 1, true), tostring(text))
end

local function fine() end

local function bad()
  test.assert_equals(1, 2)
end

local function broken()
  error("broken")
end

-- Names and statuses of results.
local function told(result)
  local all = {}
  for i, one in ipairs(result.results) do
    all[i] = one.name .. " " .. one.status
  end
  return table.concat(all, ", ")
end

local function counts(result)
  return { result.total, result.passed, result.failed, result.skipped }
end

describe("test.run_suite", function()
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

  it("runs all scenarios in the order they were created, if nothing is said", function()
    for _, name in ipairs({ "c", "a", "b" }) do
      test.create_scenario({ name = name, steps = { fine } })
    end
    local result = test.run_suite()
    assert.are.equal("c passed, a passed, b passed", told(result))
    assert.are.equal("suite", result.name)
    assert.is_true(result.success)
    assert.are.same({ 3, 3, 0, 0 }, counts(result))
    assert.are.equal("number", type(result.duration_ms))
    assert.are.equal("a passed", told(test.run_suite({ filter = "a" })))
    assert.are.equal(3, test.run_suite({}).total)
    zigllms.reset()
    assert.are.same({ 0, 0, 0, 0 }, counts(test.run_suite()))
  end)

  it("runs those it is given: ids, names and definitions", function()
    local a = test.create_scenario({ name = "a", steps = { fine } })
    test.create_scenario({ name = "b", steps = { fine } })
    assert.are.equal("b passed, a passed", told(test.run_suite({ "b", a })))
    local result = test.run_suite({
      name = "mine",
      scenarios = { a, { name = "inline", steps = { bad } }, fine },
      tests = { { name = "t", fn = fine } },
    })
    assert.are.equal("a passed, inline failed, scenario 3 passed, t passed", told(result))
    assert.are.equal("mine", result.name)
    assert.is_false(result.success)
    assert.are.equal(result.error, result.results[2].error)
    assert.are.equal(2, test.run_suite({ fine, fine }).total)
    raised("not_found", test.run_suite, { "nobody" })
  end)

  it("runs tests of an array in order, and those by name in the order of names", function()
    local result = test.run_suite({
      tests = {
        { name = "z", fn = fine },
        { name = "a", fn = bad },
        { name = "m", fn = broken },
        {
          name = "s",
          fn = function()
            test.skip("why")
          end,
        },
      },
    })
    assert.are.equal("z passed, a failed, m error, s skipped", told(result))
    assert.are.same({ 4, 1, 2, 1 }, counts(result))
    assert.are.equal("why", result.results[4].reason)
    assert.are.same({ 1, 1 }, { result.results[1].total, result.results[1].passed })
    result = test.run_suite({ tests = { z = fine, a = { fn = fine }, m = fine } })
    assert.are.equal("a passed, m passed, z passed", told(result))
    assert.are.equal(0, test.run_suite({ tests = {} }).total)
  end)

  it("chooses by name and by tags", function()
    local tests = {
      { name = "load a.b", fn = fine, tags = { "slow", "io" } },
      { name = "load axb", fn = fine, tags = { "fast" } },
      { name = "other", fn = fine },
    }
    assert.are.equal("load a.b passed", told(test.run_suite({ tests = tests, filter = "a.b" })))
    assert.are.equal("load axb passed", told(test.run_suite({ tests = tests, tags = "fast" })))
    local result = test.run_suite({ tests = tests, tags = { "io", "fast" } })
    assert.are.equal("load a.b passed, load axb passed", told(result))
    assert.are.equal(0, test.run_suite({ tests = tests, tags = { "io" }, filter = "other" }).total)
  end)

  it("has hooks around all and around each", function()
    local seen = {}
    local result = test.run_suite({
      name = "hooked",
      before_all = note("before_all", function(suite)
        suite.value = 1
        seen.suite = suite
      end),
      after_all = note("after_all", function(suite)
        assert.are.equal(seen.suite, suite)
      end),
      before_each = note("before_each", function(ctx)
        ctx.each = ctx.suite.value + 1
      end),
      after_each = note("after_each"),
      scenarios = {
        {
          name = "s",
          setup = note("setup"),
          teardown = note("teardown"),
          steps = {
            note("step", function(ctx)
              assert.are.equal(2, ctx.each)
            end),
          },
        },
      },
      tests = { t = note("test") },
    })
    assert.is_true(result.success, result.report)
    assert.are.equal("hooked", seen.suite.name)
    assert.are.equal(
      "before_all before_each setup step teardown after_each before_each test after_each after_all",
      table.concat(order, " ")
    )
  end)

  it("after_each and after_all run whatever has happened", function()
    local result = test.run_suite({
      after_each = note("after_each"),
      after_all = note("after_all"),
      tests = { a = bad, b = broken },
    })
    assert.are.equal(2, result.failed)
    assert.are.equal("after_each after_each after_all", table.concat(order, " "))
  end)

  it("a before_all that fails is a result, and the others are skipped", function()
    local result = test.run_suite({
      before_all = note("before_all", broken),
      after_all = note("after_all"),
      tests = { a = note("a"), b = note("b") },
    })
    assert.are.equal("before_all error, a skipped, b skipped", told(result))
    assert.is_false(result.success)
    assert.are.equal("before_all failed", result.results[2].reason)
    assert.are.equal("before_all after_all", table.concat(order, " "))
    result = test.run_suite({
      before_all = function()
        test.skip("no network")
      end,
      tests = { a = note("never") },
    })
    assert.are.equal("a skipped", told(result))
    assert.are.equal("no network", result.results[1].reason)
    assert.is_true(result.success)
  end)

  it("a hook around each that fails is an error of that one", function()
    local count = 0
    local function every_second()
      count = count + 1
      if count % 2 == 0 then
        error("second")
      end
    end
    local tests = { a = fine, b = fine, c = fine }
    local result = test.run_suite({ before_each = every_second, tests = tests })
    assert.are.equal("a passed, b error, c passed", told(result))
    assert.are.equal("skipped", result.results[2].steps[1].status)
    count = 0
    result = test.run_suite({ after_each = every_second, tests = tests })
    assert.are.equal("a passed, b error, c passed", told(result))
    has(result.results[2].error, "second")
  end)

  it("an after_all that fails is a result", function()
    local result = test.run_suite({ after_all = broken, tests = { a = fine } })
    assert.are.equal("a passed, after_all error", told(result))
    assert.is_false(result.success)
    assert.are.same({ 2, 1, 1, 0 }, counts(result))
  end)

  it("bail skips the others after the first failure", function()
    local tests = { a = fine, b = bad, c = note("c"), d = note("d") }
    local result = test.run_suite({ tests = tests, bail = true })
    assert.are.equal("a passed, b failed, c skipped, d skipped", told(result))
    assert.are.equal("b failed", result.results[3].reason)
    assert.are.same({}, order)
    assert.are.equal(4, test.run_suite({ tests = tests }).total)
    assert.are.equal("c d", table.concat(order, " "))
  end)

  it("may run inside of a test", function()
    local inner
    local result = test.run_suite({
      name = "outer",
      tests = {
        a = function()
          inner = test.run_suite({ name = "inner", tests = { x = bad, y = fine } })
          test.assert_equals(inner.failed, 1)
        end,
        b = function(ctx)
          test.assert_equals(ctx.suite.name, "outer")
        end,
      },
    })
    assert.is_true(result.success, result.report)
    assert.are.equal("x failed, y passed", told(inner))
  end)

  it("goes on though all is forgotten meanwhile", function()
    local a = test.create_scenario({ name = "a", steps = { zigllms.reset } })
    local b = test.create_scenario({ name = "b", steps = { fine } })
    assert.are.equal("a passed, b passed", told(test.run_suite({ a, b })))
  end)

  it("says what is wrong with a definition", function()
    local function refused(part, definition)
      local err = raised("invalid_argument", test.run_suite, definition)
      has(err, "zigllms.test.run_suite: ")
      has(err, part)
    end
    refused("definition: expected", 1)
    refused("definition.reporter: expected one of", { reporter = "xml" })
    refused(
      "definition.tests[1].name: expected a non-empty string, got nil",
      { tests = { { fn = fine } } }
    )
    refused("definition.tests[1].fn: expected a function, got nil", { tests = { { name = "a" } } })
    refused("definition.tests[1]: expected", { tests = { fine } })
    refused("definition.tests.a: expected", { tests = { a = 1 } })
    refused("definition.bail: expected a boolean", { bail = 1 })
    refused("definition.before_all: expected a function", { before_all = 1 })
    refused("definition.scenarios[1].steps[1]", { scenarios = { { name = "a", steps = { 1 } } } })
    refused("definition.scenarios[1].name", { scenarios = { { steps = {} } } })
    refused("definition[2].name", { fine, { steps = {} } })
    refused('unknown key, did you mean "filter"?', { filtre = "x" })
    refused("[1]: expected", { 1 })
  end)

  it("works inside of busted, and busted's own assertions inside of it", function()
    local result = test.run_suite({
      tests = {
        a = function()
          assert.are.equal(1, 1)
        end,
        b = function()
          assert.are.equal(1, 2)
        end,
      },
    })
    assert.are.equal("a passed, b failed", told(result))
    has(result.results[2].error, "Expected objects to be equal")
  end)

  it("nothing in tests is left out without a word", function()
    for _, tests in ipairs({
      { { name = "a", fn = fine }, b = fine },
      { [2] = { name = "a", fn = fine } },
    }) do
      local err = raised("invalid_argument", test.run_suite, { tests = tests })
      has(err, "definition.tests: expected an array without holes, or names as keys, got {")
    end
  end)
end)
