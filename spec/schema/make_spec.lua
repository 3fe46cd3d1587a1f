-- Schemas out of examples and out of other schemas, and what they say.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local schema = zigllms.schema

describe("schema.generate", function()
  it("follows an example", function()
    local made = schema.generate({ name = "Ada", age = 36, tags = { "x", 1 }, at = { x = 1.5 } })
    assert.are.same({ "age", "at", "name", "tags" }, made.required)
    assert.are.same({ type = "integer" }, made.properties.age)
    assert.are.same({ type = "number" }, made.properties.at.properties.x)
    assert.are.same({ { type = "string" }, { type = "integer" } }, made.properties.tags.items.anyOf)
    assert.is_true(
      schema.check({ name = "Ada", age = 36, tags = { "x", 1 }, at = { x = 1.5 } }, made)
    )
  end)

  it("takes several examples, and options", function()
    local made = schema.generate(
      { a = 1, b = 2 },
      { examples = { { a = 1.5 }, { a = 2, c = "x" } } }
    )
    assert.are.same({ "a" }, made.required)
    assert.are.same({ type = "number" }, made.properties.a)
    assert.is_nil(schema.generate({ a = 1 }, { required = false }).required)
    made = schema.generate({ "a@b.c", "d@e.org" }, { formats = true })
    assert.are.equal("email", made.items.format)
    assert.are.equal("date", schema.generate("2024-02-29", { formats = true }).format)
    assert.is_nil(schema.generate("2024-02-29").format)
  end)

  it("makes schemas that any data fit which they were made of", function()
    for _, value in ipairs({
      {},
      { {} },
      { 1, "x", { a = zigllms.null } },
      "x",
      1.5,
      true,
      { { 1 }, { "x" } },
    }) do
      assert.is_true(schema.check(value, schema.generate(value)))
    end
    assert.are.same({ type = "null" }, schema.generate(nil))
    raised("conversion_error", schema.generate, { print })
  end)
end)

describe("schema.merge", function()
  it("joins keyword by keyword", function()
    local merged = schema.merge(
      { type = "object", required = { "a" }, properties = { a = { type = "number", minimum = 0 } } },
      {
        required = { "b" },
        properties = { a = { minimum = 3, maximum = 9 }, b = { enum = { 1, 2 } } },
      },
      { properties = { b = { enum = { 2, 3 } } }, title = "last" }
    )
    assert.are.same({
      type = "object",
      title = "last",
      required = { "a", "b" },
      properties = { a = { type = "number", minimum = 3, maximum = 9 }, b = { enum = { 2 } } },
    }, merged)
  end)

  it("has other ways to join", function()
    local one, other = { minimum = 1, title = "x" }, { minimum = 0 }
    assert.are.same(
      { minimum = 0, title = "x" },
      schema.merge(one, other, { strategy = "override" })
    )
    assert.are.same({ allOf = { one, other } }, schema.merge(one, other, { strategy = "all_of" }))
    raised("invalid_argument", schema.merge, one, other, { strategy = "none" })
  end)

  it("takes schemas in every form", function()
    schema.create({ minimum = 1 }, { name = "least" })
    assert.are.same({ minimum = 1, maximum = 9 }, schema.merge("least", '{"maximum":9}', true))
    assert.are.equal("string", schema.merge({ name = "string" }).properties.name.type)
    zigllms.reset()
    raised("not_found", schema.merge, {}, "least")
    raised("invalid_argument", schema.merge)
    raised("invalid_argument", schema.merge, {}, 5)
    raised("invalid_argument", schema.merge, {}, nil)
  end)
end)

describe("schema.get_info", function()
  it("says what a schema says", function()
    local id = schema.create({
      name = "person",
      title = "Person",
      description = "somebody",
      type = "object",
      required = { "name" },
      properties = { name = { type = "string" }, born = { ["$ref"] = "#/$defs/day" } },
      ["$defs"] = { day = { type = "string", format = "date" } },
    }, { draft = "7" })
    local info = schema.get_info("person")
    assert.are.same({
      id = id,
      name = "person",
      type = "object",
      title = "Person",
      description = "somebody",
      properties = { "born", "name" },
      required = { "name" },
      property_count = 2,
      depth = 2,
      keywords = {
        "$defs",
        "$ref",
        "description",
        "format",
        "properties",
        "required",
        "title",
        "type",
      },
      refs = { "#/$defs/day" },
      formats = { "date" },
      compiled = false,
      dialect = "7",
    }, info)
    schema.check({}, "person")
    assert.is_true(schema.get_info("person").compiled)
    zigllms.reset()
    raised("not_found", schema.get_info, "person")
  end)

  it("knows the dialect", function()
    assert.are.equal("2020-12", schema.get_info({}).dialect)
    local older = { ["$schema"] = "http://json-schema.org/draft-04/schema#" }
    assert.are.equal("4", schema.get_info(older).dialect)
  end)
end)

describe("schema constants", function()
  it("are strings", function()
    assert.are.equal("integer", schema.Type.INTEGER)
    assert.are.equal("uuid", schema.Format.UUID)
  end)
end)
