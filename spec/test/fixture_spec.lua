-- test.setup_fixture: data that scenarios ask for.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local test = zigllms.test

local function run(fixtures, ...)
  local id = test.create_scenario({ name = "uses", fixtures = fixtures, steps = { ... } })
  local result = test.run_scenario(id)
  return result, result.steps[1].actual_output
end

-- A fixture that counts how often it was set up and torn down.
local function counted(scope)
  local seen = { up = 0, down = {} }
  local id, data = test.setup_fixture({
    name = "counted",
    scope = scope,
    setup = function()
      seen.up = seen.up + 1
      return { number = seen.up }
    end,
    teardown = function(data)
      seen.down[#seen.down + 1] = data.number
    end,
  })
  seen.id, seen.data = id, data
  return seen
end

local function number(ctx)
  return ctx.fixtures.counted.number
end

describe("test.setup_fixture", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  it("takes a name and data, and returns an id and a copy", function()
    local original = { list = { 1 }, fn = print }
    local id, data = test.setup_fixture("plain", original)
    assert.truthy(id:find("^fixture_%d+$"))
    assert.are.same(original, data)
    assert.are_not.equal(original, data)
    assert.are_not.equal(original.list, data.list)
    local _, value = test.setup_fixture("number", 7)
    assert.are.equal(7, value)
    _, value = test.setup_fixture("no", false)
    assert.are.equal(false, value)
  end)

  it("says what is wrong with a definition", function()
    local function refused(part, ...)
      local err = raised("invalid_argument", test.setup_fixture, ...)
      assert.truthy(tostring(err):find(part, 1, true), tostring(err))
    end
    refused("definition: expected data or a setup function, got neither", "name")
    refused("definition: expected data or a setup function, got neither", { name = "n" })
    refused("got both", { name = "n", data = 1, setup = print })
    refused("definition.name: expected a non-empty string, got nil", { data = 1 })
    refused("definition.scope: expected one of", { name = "n", data = 1, scope = "day" })
    refused("definition.setup: expected a function", { name = "n", setup = 1 })
    refused("unknown key", { name = "n", data = 1, tear_down = print })
    refused("definition: expected", 1)
  end)

  it("each scenario has a copy of its own", function()
    local original = { list = { 1 } }
    original.again = original.list
    test.setup_fixture("shared", setmetatable(original, { __name = "mine" }))
    for _ = 1, 2 do
      local _, data = run({ "shared" }, function(ctx)
        local data = ctx.fixtures.shared
        data.list[2] = 2
        return data
      end)
      assert.are.equal(2, #data.list)
      assert.are.equal(data.list, data.again)
      assert.are.equal(getmetatable(original), getmetatable(data))
    end
    assert.are.equal(1, #original.list)
  end)

  it("is set up right away, and again for each further scenario; each has its teardown", function()
    local seen = counted("scenario")
    assert.are.equal(1, seen.data.number)
    for i = 1, 3 do
      local _, data = run({ "counted" }, number)
      assert.are.equal(i, data)
      assert.are.equal(i, #seen.down)
    end
    assert.are.equal(3, seen.up)
  end)

  it("of a suite is set up once for it", function()
    local seen = counted("suite")
    local uses = {}
    local function scenario()
      return {
        name = "s",
        fixtures = { "counted" },
        steps = {
          function(ctx)
            uses[#uses + 1] = number(ctx)
            ctx.fixtures.counted.number = 99
            assert.are.equal(0, #seen.down)
          end,
        },
      }
    end
    for i = 1, 2 do
      seen.down = {}
      local result = test.run_suite({ scenarios = { scenario(), scenario() } })
      assert.is_true(result.success, result.report)
      assert.are.same({ i }, seen.down)
    end
    assert.are.same({ 1, 1, 2, 2 }, uses)
    seen.down = {}
    run({ "counted" }, number)
    assert.are.same({ 3 }, seen.down)
  end)

  it("of global scope lives until it is replaced or all is reset", function()
    local seen = counted("GLOBAL")
    for _ = 1, 2 do
      local _, data = run({ seen.id }, number)
      assert.are.equal(1, data)
    end
    assert.are.same({}, seen.down)
    local other = counted("global")
    assert.are.same({ 1 }, seen.down)
    raised("not_found", function()
      local result = run({ seen.id }, number)
      error(result.error, 0)
    end)
    zigllms.reset()
    assert.are.same({ 1 }, other.down)
  end)

  it("data without a setup are torn down as the scenario left them", function()
    local torn
    test.setup_fixture({
      name = "data",
      data = { n = 1 },
      teardown = function(data)
        torn = data.n
      end,
    })
    run({ "data" }, function(ctx)
      ctx.fixtures.data.n = 5
    end)
    assert.are.equal(5, torn)
  end)

  it("a setup that fails raises here, and is an error of a scenario", function()
    local err = raised("callback_error", test.setup_fixture, {
      name = "bad",
      setup = function()
        error("no server")
      end,
    })
    assert.truthy(tostring(err):find("no server", 1, true))
    local fine = true
    test.setup_fixture({
      name = "later",
      setup = function()
        assert(fine, "not any more")
        return 1
      end,
    })
    run({ "later" }, function() end)
    fine = false
    local result = run({ "later" }, function() end)
    assert.are.equal("error", result.status)
    assert.truthy(tostring(result.error):find("not any more", 1, true))
    assert.are.equal("skipped", result.steps[1].status)
  end)

  it("a teardown that fails is an error, and the others run", function()
    local order = {}
    for _, name in ipairs({ "a", "b", "c" }) do
      test.setup_fixture({
        name = name,
        data = 1,
        teardown = function()
          order[#order + 1] = name
          if name == "b" then
            error("stuck")
          end
        end,
      })
    end
    local result = run({ "a", "b", "c" }, function() end)
    assert.are.equal("error", result.status)
    assert.truthy(tostring(result.error):find("stuck", 1, true))
    assert.are.equal("c b a", table.concat(order, " "))
  end)

  it("one that is not there is an error of the scenario", function()
    local result = run({ "nobody" }, function() end)
    assert.are.equal("error", result.status)
    assert.is_true(result.error:is("not_found"))
  end)

  it("what the teardown of one raises that is replaced is told", function()
    local function define(data)
      test.setup_fixture({
        name = "replaced",
        setup = function()
          return data
        end,
        teardown = function()
          error("stuck in " .. data, 0)
        end,
      })
    end
    define("one")
    local err = raised("callback_error", define, "two")
    assert.are.equal("stuck in one", err.cause)
    err = raised("callback_error", zigllms.reset)
    assert.are.equal("stuck in two", err.cause)
  end)
end)
