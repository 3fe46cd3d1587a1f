-- Schemas under an id, a name, a `$id`.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local schema = zigllms.schema

describe("schema.create", function()
  before_each(function()
    zigllms.reset()
  end)

  it("gives an id", function()
    local id = schema.create({ type = "integer" })
    assert.truthy(id:find("^schema_%d+$"))
    assert.is_true(schema.check(1, id))
    assert.is_false(schema.check("x", id))
  end)

  it("finds a schema by its name and its $id", function()
    schema.create({ name = "count", type = "integer" })
    schema.create({ ["$id"] = "https://example.com/word", type = "string" })
    assert.is_true(schema.check(1, "count"))
    assert.is_true(schema.check("x", "https://example.com/word"))
    assert.are.equal("count", schema.get_info("count").name)
  end)

  it("lets schemas refer to each other, in any order", function()
    schema.create({ type = "array", items = { ["$ref"] = "leaf" } }, { name = "tree" })
    raised("unsupported", schema.check, { 1 }, "tree")
    schema.create({ type = "integer" }, { name = "leaf" })
    assert.is_true(schema.check({ 1 }, "tree"))
    assert.is_false(schema.check({ "x" }, "tree"))
    assert.is_false(schema.check({ { "x" } }, { items = { ["$ref"] = "tree" } }))
  end)

  it("expands the short form", function()
    local id = schema.create({
      name = "string",
      age = "integer?",
      tags = { "string" },
      at = { x = "number", y = "number" },
    })
    assert.is_true(schema.check({ name = "x", tags = {}, at = { x = 1, y = 2 } }, id))
    local ok, message = schema.check({ name = "x", tags = { 1 }, at = { x = 1, y = 2 } }, id)
    assert.is_false(ok)
    assert.truthy(message:find("^/tags/0: "))
    assert.are.same({ "at", "name", "tags" }, schema.get_info(id).required)
  end)

  it("takes JSON text", function()
    local id = schema.create('{"name":"from_text","minimum":3}')
    assert.is_false(schema.check(1, id))
    assert.is_true(schema.check(3, "from_text"))
  end)

  it("refuses a name twice, unless told to replace", function()
    schema.create({ type = "integer" }, { name = "n" })
    local err = raised("already_exists", schema.create, true, { name = "n" })
    assert.truthy(err.message:find("replace=true", 1, true))
    schema.create({ type = "string" }, { name = "n", replace = true })
    assert.is_true(schema.check("x", "n"))
    schema.create({ ["$id"] = "urn:x" })
    raised("already_exists", schema.create, { ["$id"] = "urn:x" })
  end)

  it("refuses a bad schema", function()
    raised("validation_failed", schema.create, { type = "colour" })
    raised("validation_failed", schema.create, { ["$ref"] = "#/nowhere" })
    raised("invalid_argument", schema.create)
    raised("invalid_argument", schema.create, {}, { nmae = "x" })
  end)

  it("serves tools, which bring along what they refer to", function()
    schema.create(
      { type = "object", properties = { city = { type = "string" } }, required = { "city" } },
      { name = "place" }
    )
    zigllms.tool.register({
      name = "go",
      parameters = { type = "object", properties = { to = { ["$ref"] = "place" } } },
      execute = function(input)
        return input.to.city
      end,
    })
    assert.are.equal("Oslo", zigllms.tool.execute("go", { to = { city = "Oslo" } }))
    raised("validation_failed", zigllms.tool.execute, "go", { to = {} })
    assert.are.equal("#/$defs/place", zigllms.tool.get("go").parameters.properties.to["$ref"])
    zigllms.tool.register({ name = "see", parameters = "place" })
    assert.are.same({ "city" }, zigllms.tool.get("see").parameters.required)
    raised("not_found", zigllms.tool.register, { name = "x", parameters = "nothing" })
  end)
end)
