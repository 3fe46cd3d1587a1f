-- Compiled schemas: made once, used everywhere, collected like any value.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local schema = zigllms.schema

describe("schema.compile", function()
  after_each(function()
    zigllms.reset()
  end)

  it("gives an object with methods", function()
    local compiled = schema.compile({
      name = "string",
      age = "integer?",
      unit = { type = "string", default = "C" },
    })
    assert.are.same({ true }, { compiled:check({ name = "x", unit = "F" }) })
    local ok, message = compiled:check({ name = 1, unit = "F" })
    assert.is_false(ok)
    assert.are.equal("/name: expected string, got integer 1", message)
    assert.are.same(
      { valid = true, errors = {}, error_count = 0 },
      compiled:validate({ name = "x", unit = "F" })
    )
    assert.are.equal("/name", compiled:validate({ name = 1, unit = "F" }).errors[1].path)
    local value, changed = compiled:coerce({ name = 1 })
    assert.are.same({ name = "1", unit = "C" }, value)
    assert.are.same({ "/name", "/unit" }, changed)
    assert.are.same({ name = "x", unit = "C" }, compiled:extract({ name = "x", more = true }))
    assert.are.equal("string", compiled.schema.properties.name.type)
  end)

  it("has a text and takes no writing", function()
    assert.are.equal("zigllms.schema: Person", tostring(schema.compile({ title = "Person" })))
    assert.are.equal("zigllms.schema: integer", tostring(schema.compile({ type = "integer" })))
    assert.are.equal("zigllms.schema: any", tostring(schema.compile(true)))
    assert.is_false(pcall(function()
      schema.compile(true).schema = 1
    end))
  end)

  it("keeps its options", function()
    local date = schema.compile({ format = "date" }, { formats = false })
    assert.is_true(date:check("x"))
    assert.is_true(schema.validate("x", date).valid)
    local older = schema.compile({ maximum = 3, exclusiveMaximum = true }, { draft = "4" })
    assert.is_false(older:check(3))
  end)

  it("is taken wherever a schema is", function()
    local compiled = schema.compile({
      type = "object",
      required = { "n" },
      properties = { n = { type = "integer" } },
    })
    assert.is_true(schema.check({ n = 1 }, compiled))
    assert.are.same({ n = 1 }, schema.coerce({ n = "1" }, compiled))
    assert.are.equal(1, schema.get_info(compiled).property_count)
    assert.is_true(schema.get_info(compiled).compiled)
    assert.are.equal(2, #schema.merge(compiled, { minimum = 1 }, { strategy = "all_of" }).allOf)
    local again = schema.compile(compiled)
    assert.is_true(again:check({ n = 1 }))
    local id = schema.create(compiled, { name = "n" })
    assert.is_true(schema.check({ n = 1 }, id))
    zigllms.tool.register({
      name = "takes_n",
      parameters = compiled,
      execute = function(input)
        return input.n
      end,
    })
    assert.are.equal(3, zigllms.tool.execute("takes_n", { n = 3 }))
    raised("validation_failed", zigllms.tool.execute, "takes_n", { n = "x" })
  end)

  it("works in another instance", function()
    local compiled = schema.compile({ type = "integer" })
    local other = zigllms.new()
    assert.is_true(other.schema.check(1, compiled))
    assert.is_false(other.schema.check("x", compiled))
    assert.is_true(compiled:check(1))
  end)

  it("works after a reset", function()
    local compiled = schema.compile({ type = "integer" })
    zigllms.reset()
    assert.is_true(compiled:check(1))
    assert.is_false(compiled:check("x"))
  end)

  it("may be collected", function()
    local kept = schema.compile({ const = 0 })
    for i = 1, 3000 do
      schema.compile({ const = i })
    end
    collectgarbage()
    collectgarbage()
    local fresh = schema.compile({ const = "fresh" })
    assert.is_true(kept:check(0))
    assert.is_false(kept:check(1))
    assert.is_true(fresh:check("fresh"))
  end)

  it("refuses what is no compiled schema", function()
    local compiled = schema.compile(true)
    raised("invalid_argument", compiled.check, {}, 1)
    raised("invalid_argument", compiled.check)
    raised("invalid_argument", compiled.validate, io.stdout, 1)
    raised("conversion_error", compiled.check, compiled, print)
    raised("conversion_error", schema.check, compiled, true)
    assert.is_true(compiled:check())
  end)

  it("says what is bad about a schema", function()
    local err =
      raised("validation_failed", schema.compile, { properties = { a = { type = "colour" } } })
    assert.truthy(err.message:find("/properties/a/type", 1, true))
    raised("not_found", schema.compile, "nothing")
    raised("unsupported", schema.compile, { ["$ref"] = "http://x.y/z" })
    raised("invalid_argument", schema.compile, {}, { fromats = true })
  end)

  it("refuses references that fan out without end", function()
    local function fan(deep)
      local defs = {}
      for i = 1, deep do
        local next_one = { ["$ref"] = "#/$defs/a" .. i + 1 }
        defs["a" .. i] = { allOf = { next_one, next_one } }
      end
      defs["a" .. deep + 1] = { type = "string" }
      return { ["$ref"] = "#/$defs/a1", ["$defs"] = defs }
    end
    local err = raised("validation_failed", schema.compile, fan(40))
    assert.truthy(err.message:find("references fan out", 1, true), err.message)
    raised("validation_failed", schema.validate, {}, fan(40))
    assert.is_true(schema.compile(fan(8)):check("x"))
  end)
end)
