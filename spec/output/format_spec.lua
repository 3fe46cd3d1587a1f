-- Writing values as text.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output = zigllms.output

describe("output.format", function()
  it("writes JSON on one line", function()
    local value = { 1, 2.5, "ä", true, { a = zigllms.null }, zigllms.array({}) }
    assert.are.equal('[1,2.5,"ä",true,{"a":null},[]]', output.format(value))
    assert.are.equal("null", output.format(nil))
  end)

  it("writes JSON on many lines", function()
    local text = output.format({ list = { 1 } }, "json", { pretty = true })
    assert.are.equal('{\n  "list": [\n    1\n  ]\n}', text)
    local wide = output.format({ list = { 1 } }, "json", { indent = 4 })
    assert.are.equal('{\n    "list": [\n        1\n    ]\n}', wide)
  end)

  it("sorts keys when asked", function()
    local text = output.format({ b = 1, a = { d = 1, c = 2 } }, "json", { sort_keys = true })
    assert.are.equal('{"a":{"c":2,"d":1},"b":1}', text)
  end)

  it("says which part cannot be written", function()
    local err = raised("conversion_error", output.format, { steps = { { cb = print } } })
    assert.truthy(err.message:find("value.steps[1].cb", 1, true), err.message)
    raised("conversion_error", output.format, { 0 / 0 })
  end)
end)
