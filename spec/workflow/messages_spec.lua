-- What errors of executions say: which template or condition it was, what was expected, what came.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local raised = require("spec.support.raised")

-- The error of a single step must say all of these.
local function says(code, step, input, ...)
  local err = raised(code, flow, { step }, input)
  for _, part in ipairs({ ... }) do
    assert.truthy(err.message:find(part, 1, true), err.message)
  end
end

describe("the error of a step says", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("which template holds what is no data, and where in it", function()
    local input = { list = { 1, print } }
    local place = 'template "{{input.list}}": value[2]: a function is not data'
    says("conversion_error", { template = "x {{input.list}}" }, input, place)
    says("conversion_error", { condition = "{{input.list}} == 1", fn = print }, input, place)
    says(
      "conversion_error",
      { template = "{{input | json}}" },
      { n = 0 / 0 },
      'template "{{input | json}}": value.n: NaN'
    )
  end)

  it("which template of a text is nil", function()
    says("template_error", { template = "x {{input}}" }, nil, 'template "{{input}}": it is nil')
  end)

  it("what stands beside a missing name, in order, and no more than that", function()
    local input = { d = 1, b = 1, a = 1, c = 1, [1] = 1, [print] = 1 }
    local beside = "no zz in input, which has [1], a, a function, b, c, d;"
    says("template_error", { template = "{{input.zz}}" }, input, beside)
    says("template_error", { template = "{{input.a.zz}}" }, input, "input.a, which is a number")
    local many = {}
    for i = 1, 100 do
      many["key" .. i] = i
    end
    local err = raised("template_error", flow, { { template = "{{input.zz}}" } }, many)
    local _, commas = err.message:gsub(", key", "")
    assert.equal(7, commas, err.message)
  end)

  it("which condition it is", function()
    local condition = "{{input}} contains 1"
    local what = 'condition "{{input}} contains 1": a number cannot contain a number'
    says("template_error", { condition = condition, fn = print }, 5, what)
    says("template_error", { condition = "{{input}} < 1", fn = print }, {}, "have no order")
  end)

  it("what came instead of an array or a count", function()
    local map = { over = "{{input}}", steps = {} }
    says("validation_failed", map, nil, "over: expected an array", "got nil")
    says("validation_failed", map, "text", "over: expected an array", "got a string")
    says("validation_failed", map, { b = 1, a = 2 }, "got a table with the keys a, b")
    local loop = { items = "{{input}}", steps = { { fn = print } } }
    says("validation_failed", loop, 5, "items: expected an array", "got a number")
    local count = { count = "{{input}}", steps = { { fn = print } } }
    says("validation_failed", count, nil, "count: expected an integer from 0 on, got nil")
    says("validation_failed", count, "many", 'got "many"')
    says("validation_failed", count, -1, "got -1")
    says("validation_failed", count, print, "got what is no number")
  end)

  it("what in its context a script cannot see", function()
    local place = "put.a[2]: a function is not data"
    says("conversion_error", { code = "return 1" }, { a = { 1, print } }, "ctx.", place)
  end)
end)
