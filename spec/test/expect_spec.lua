-- What steps of scenarios expect.
local zigllms = require("zigllms")

local test = zigllms.test
local Assert = test.AssertType

-- The result of a step that returns `output` and expects `expect`.
local function step(output, expect, more)
  local definition = { expect = expect }
  definition.run = type(output) == "function" and output or function()
    return output
  end
  for key, value in pairs(more or {}) do
    definition[key] = value
  end
  local id = test.create_scenario({ name = "one", steps = { definition } })
  return test.run_scenario(id).steps[1]
end

local function passes(...)
  local result = step(...)
  assert.are.equal("passed", result.status, tostring(result.error))
end

local function fails(part, ...)
  local result = step(...)
  assert.are.equal("failed", result.status)
  assert.is_true(result.error:is("assertion_failed"))
  assert.truthy(result.error.message:find(part, 1, true), result.error.message)
end

local function raises(value)
  return function()
    error(value, 0)
  end
end

describe("expectations of steps", function()
  teardown(function()
    zigllms.reset()
  end)

  it("a value is equal", function()
    passes(1, 1.0)
    passes({ a = { 1, 2 } }, { a = { 1, 2 } })
    passes({ 1, 2 }, { 1, 2 })
    passes(false, false)
    fails("at .a[2]: expected 3, got 2", { a = { 1, 2 } }, { a = { 1, 3 } })
    passes(nil, { type = Assert.EQUALS })
    fails("expected nil, got 1", 1, { type = Assert.EQUALS })
    passes(1, nil, { expected_output = 1 })
    fails("expected 2, got 1", 1, nil, { expected_output = 2 })
    passes(1, zigllms.null)
  end)

  it("a table that only looks like an expectation is a value", function()
    passes({ type = "circle", value = 1 }, { type = "circle", value = 1 })
    passes({ type = "equals", other = 1 }, { type = "equals", other = 1 })
    passes({ type = "equals" }, { type = "equals", value = { type = "equals" } })
  end)

  it("CONTAINS, in any case of its letters", function()
    passes("hello world", { type = Assert.CONTAINS, value = "lo w" })
    passes({ 1, { a = 1 } }, { type = "CONTAINS", value = { a = 1 } })
    passes({ a = 1, b = { c = 2, d = 3 } }, { type = "contains", value = { b = { c = 2 } } })
    fails("expected", "hello", { type = "contains", value = "x" })
  end)

  it("MATCHES a Lua pattern or a regular expression", function()
    passes("id 42", { type = Assert.MATCHES, value = "^id %d+$" })
    passes("id 42", { type = Assert.MATCHES, value = { regex = "^id (?:4|5)2$" } })
    passes("id 42", { type = Assert.MATCHES, regex = "\\d{2}" })
    passes(42, { type = Assert.MATCHES, value = "4" })
    fails('expected "id" to match "%d"', "id", { type = "matches", value = "%d" })
    fails('expected "id" to match "\\\\d"', "id", { type = "matches", regex = "\\d" })
    fails("expected a text that matches", {}, { type = "matches", value = "x" })
  end)

  it("THROWS a code, or a part of the message", function()
    local function missing()
      zigllms.agent.get_state("nobody")
    end
    passes(missing, { type = Assert.THROWS, value = "not_found" })
    passes(missing, { type = Assert.THROWS, value = "agent not found" })
    passes(missing, { type = Assert.THROWS })
    passes(raises("a [b] %c"), { type = Assert.THROWS, value = "[b] %" })
    passes(raises({ code = "own" }), { type = Assert.THROWS, value = "own" })
    fails('expected an error with "timeout", got', missing, { type = "throws", value = "timeout" })
    fails("expected an error, got 5", 5, { type = "throws", value = "timeout" })
  end)

  it("should_fail wants any error, and expects of it what is expected", function()
    passes(raises("no"), nil, { should_fail = true })
    fails("expected an error, got nil", nil, nil, { should_fail = true })
    passes(raises("no 42"), { type = "matches", value = "%d+" }, { should_fail = true })
    passes(raises({ a = 1 }), { a = 1 }, { should_fail = true })
    fails("expected", raises("no"), { type = "contains", value = "yes" }, { should_fail = true })
    passes(function()
      test.assert_equals(1, 2)
    end, { type = "throws", value = "assertion_failed" })
  end)

  it("several at once, and each is told", function()
    passes("abc", { "abc", { type = "contains", value = "b" }, { type = "matches", value = "c$" } })
    local result = step("abc", {
      { type = "contains", value = "x" },
      { type = "contains", value = "b" },
      { type = "matches", value = "^b" },
    })
    assert.are.equal("failed", result.status)
    local held = {}
    for i, assertion in ipairs(result.assertions) do
      held[i] = assertion.success
    end
    assert.are.same({ false, true, false }, held)
    assert.are.equal(result.assertions[1].message, result.error.message)
  end)

  it("an error in a comparison is an error of the step", function()
    local odd = setmetatable({}, {
      __eq = function()
        error("cannot compare")
      end,
    })
    local result = step(odd, setmetatable({}, getmetatable(odd)))
    assert.are.equal("error", result.status)
    assert.truthy(tostring(result.error):find("cannot compare", 1, true))
  end)

  it("a skip is no failure", function()
    local result = step(function()
      test.skip()
    end, 1, { should_fail = true })
    assert.are.equal("skipped", result.status)
    assert.is_nil(result.reason)
  end)

  it("a pattern whose flaw shows on some texts only is told as the caller's", function()
    local result = step("5", { type = "matches", value = "%d(" })
    assert.are.equal("error", result.status)
    assert.is_true(result.error:is("invalid_argument"))
    assert.are.equal('"%d(" is no pattern: unfinished capture', result.error.message)
  end)
end)
