-- The built-in calculator.
local clock = require("spec.support.program").clock
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local function compute(expression)
  return zigllms.tool.execute("calculator", { expression = expression })
end

local function refuses(expression, part)
  local err = raised("tool_error", compute, expression)
  assert.truthy(err.message:find(part, 1, true), expression .. ": " .. err.message)
  assert.truthy(err.message:find('tool "calculator" failed', 1, true), err.message)
end

local KNOWN = {
  { "2 + 2", 4 },
  { "2 + 3 * 4", 14 },
  { "(2 + 3) * 4", 20 },
  { "2 ^ 3 ^ 2", 512 },
  { "-2 ^ 2", -4 },
  { "(-2) ^ 2", 4 },
  { "2 ^ -1", 0.5 },
  { "7 / 2", 3.5 },
  { "6 / 2", 3 },
  { "10 - 4 - 3", 3 },
  { "-7 % 3", 2 },
  { "7 % -3", -2 },
  { "1.5e3", 1500 },
  { ".5 + .5", 1 },
  { "sqrt(16)", 4 },
  { "floor(-2.5)", -3 },
  { "ceil(2.1)", 3 },
  { "round(2.5)", 3 },
  { "round(2.345, 2)", 2.35 },
  { "abs(-3) + sign(-9)", 2 },
  { "cos(0)", 1 },
  { "sin(pi / 2)", 1 },
  { "ln(e)", 1 },
  { "log(e)", 1 },
  { "log10(1000)", 3 },
  { "log2(8)", 3 },
  { "log(81, 3)", 4 },
  { "exp(0)", 1 },
  { "min(3, 1, 2)", 1 },
  { "max(3, 1, 2)", 3 },
  { "mean(1, 2, 3, 4)", 2.5 },
  { "median([5, 1, 3])", 3 },
  { "sum(1, [2, 3], 4)", 10 },
  { "factorial(10)", 3628800 },
  { "2 × 3 ÷ 4 − 1", 0.5 },
  { "  PI * 0 ", 0 },
}

describe("the calculator", function()
  it("computes", function()
    for _, case in ipairs(KNOWN) do
      local result = compute(case[1])
      assert.is_true(math.abs(result - case[2]) < 1e-12, case[1] .. " = " .. tostring(result))
    end
  end)

  it("gives an integer where the result is one", function()
    assert.equal("4", tostring(compute("2 + 2")))
    assert.equal("3", tostring(compute("9 / 3")))
    assert.equal("4", tostring(compute("sqrt(16)")))
    assert.equal("3.5", tostring(compute("7 / 2")))
    if math.type then -- luacheck: ignore
      assert.equal("integer", math.type(compute("2 ^ 62"))) -- luacheck: ignore
      assert.equal("4611686018427387904", tostring(compute("2 ^ 62")))
    end
    assert.equal(2 ^ 70, compute("2 ^ 70"))
  end)

  it("says why there is no result", function()
    for _, case in ipairs({
      { "1 / 0", "division by zero" },
      { "1 % 0", "division by zero" },
      { "0 ^ -1", "division by zero" },
      { "sqrt(-1)", "not a real number" },
      { "0 * ln(0)", "too large" },
      { "10 ^ 400", "too large" },
      { "1e400", "too large" },
      { "", "expected a number" },
      { "2 +", "got the end" },
      { "(1", '")"' },
      { "1)", "expected an operator" },
      { "2 pi", "expected an operator" },
      { "foo(1)", 'unknown name "foo"' },
      { "sqrt(1, 2)", "takes 1 arguments" },
      { "1 2 3", "column 3" },
    }) do
      refuses(case[1], case[2])
    end
  end)

  it("runs no code", function()
    for _, text in ipairs({
      "os.exit(1)",
      "require('zigllms')",
      "(function() end)()",
      "__import__('os')",
      "1; 2",
      "print(1)",
      "a = 1",
      "1 == 1",
      '"x"',
      "${7*7}",
      "1\0+1",
    }) do
      raised("tool_error", compute, text)
    end
  end)

  it("is bounded in length, depth and time", function()
    refuses(("("):rep(4000) .. "1" .. (")"):rep(4000), "nested deeper")
    refuses(("-"):rep(9999) .. "1", "nested deeper")
    refuses(("2^"):rep(4999) .. "2", "nested deeper")
    raised("validation_failed", compute, ("1+"):rep(5000) .. "1")
    local unchecked = { validate = false }
    local err = raised("tool_error", zigllms.tool.execute, "calculator", {
      expression = ("1+"):rep(5000) .. "1",
    }, unchecked)
    assert.truthy(err.message:find("longer than 10000", 1, true))
    raised("tool_error", zigllms.tool.execute, "calculator", {}, unchecked)
    raised("tool_error", zigllms.tool.execute, "calculator", { expression = {} }, unchecked)
    local began = clock()
    assert.equal(5000, compute(("1+"):rep(4999) .. "1"))
    raised("tool_error", compute, ("9^"):rep(40) .. "9")
    assert.is_true(clock() - began < 1)
  end)
end)
