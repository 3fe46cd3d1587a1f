-- Data made to fit.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local schema = zigllms.schema

local function coerced(value, wanted)
  return (schema.coerce(value, wanted))
end

describe("schema.coerce", function()
  it("turns kinds into each other that programs mix up", function()
    assert.are.equal(12, coerced("12", { type = "integer" }))
    assert.are.equal(1.5, coerced(" 1.5 ", { type = "number" }))
    assert.are.equal("12", coerced(12, { type = "string" }))
    assert.are.equal("true", coerced(true, { type = "string" }))
    for _, word in ipairs({ "true", "YES", "1", "On" }) do
      assert.is_true(coerced(word, { type = "boolean" }))
    end
    for _, word in ipairs({ "False", "no", "0", "OFF" }) do
      assert.is_false(coerced(word, { type = "boolean" }))
    end
    assert.is_true(coerced(1, { type = "boolean" }))
    assert.is_false(coerced(0, { type = "boolean" }))
    assert.are.same({ "a" }, coerced("a", { type = "array", items = { type = "string" } }))
    assert.are.same({ 1 }, coerced("1", { type = "array", items = { type = "integer" } }))
    assert.are.same(
      { a = 1 },
      coerced('{"a":"1"}', { type = "object", properties = { a = { type = "integer" } } })
    )
    assert.are.equal("x", coerced("  x\n", { type = "string" }))
    assert.are.equal("ONE", coerced(" ONE ", { enum = { "ONE" } }))
  end)

  it("fills defaults, also for null, and says what it changed", function()
    local wanted = {
      type = "object",
      properties = {
        unit = { type = "string", default = "C" },
        count = { type = "integer", default = 3 },
        list = {
          type = "array",
          items = { type = "object", properties = { n = { type = "integer", default = 0 } } },
        },
        ["a/b"] = { type = "integer" },
      },
    }
    local given = { count = zigllms.null, list = { {}, { n = "1" } }, ["a/b"] = "4", more = true }
    local value, changed = schema.coerce(given, wanted)
    assert.are.same(
      { unit = "C", count = 3, list = { { n = 0 }, { n = 1 } }, ["a/b"] = 4, more = true },
      value
    )
    table.sort(changed)
    assert.are.same({ "/a~1b", "/count", "/list/0/n", "/list/1/n", "/unit" }, changed)
  end)

  it("copies, and leaves the caller's table alone", function()
    local given = { list = { "1" }, other = { 1 } }
    local value, changed =
      schema.coerce(given, { properties = { list = { items = { type = "integer" } } } })
    assert.are.same({ list = { "1" }, other = { 1 } }, given)
    assert.are.same({ list = { 1 }, other = { 1 } }, value)
    assert.are_not.equal(given.other, value.other)
    assert.are.same({ "/list/0" }, changed)
    local same, nothing = schema.coerce({ a = 1 }, {})
    assert.are.same({ a = 1 }, same)
    assert.are.same({}, nothing)
  end)

  it("takes the alternative that needs the least", function()
    local wanted = { anyOf = { { type = "integer" }, { type = "boolean" }, { type = "null" } } }
    assert.are.equal(7, coerced("7", wanted))
    assert.is_true(coerced("yes", wanted))
    assert.is_true(coerced(true, wanted))
    assert.is_nil(coerced(nil, wanted))
    assert.are.equal("7", coerced("7", { anyOf = { { type = "integer" }, { type = "string" } } }))
  end)

  it("follows references, also in circles", function()
    local tree = {
      ["$ref"] = "#/$defs/node",
      ["$defs"] = {
        node = {
          type = "object",
          properties = { v = { type = "integer" }, next = { ["$ref"] = "#/$defs/node" } },
        },
      },
    }
    assert.are.same({ v = 1, next = { v = 2 } }, coerced({ v = "1", next = { v = "2" } }, tree))
  end)

  it("keeps empty tables what the schema wants", function()
    local value = coerced(
      { list = {}, map = {} },
      { properties = { list = { type = "array" }, map = { type = "object" } } }
    )
    assert.are.equal(
      '{"list":[],"map":{}}',
      zigllms.output.format(value, "json", { sort_keys = true })
    )
  end)

  it("does not guess", function()
    for value, name in pairs({
      ["1,234"] = "integer",
      ["1.5"] = "integer",
      ["maybe"] = "boolean",
      ["{}x"] = "object",
    }) do
      raised("validation_failed", schema.coerce, value, { type = name })
    end
    raised("validation_failed", schema.coerce, {}, { type = "object", required = { "a" } })
    raised(
      "validation_failed",
      schema.coerce,
      { a = "5" },
      { properties = { a = { type = "integer", maximum = 3 } } }
    )
    local err = raised(
      "validation_failed",
      schema.coerce,
      { a = "1", b = "x" },
      { a = "integer", b = "integer" }
    )
    assert.truthy(err.message:find('/b: expected integer, got string "x"', 1, true))
    assert.are.equal(1, #err.details.errors)
  end)
end)
