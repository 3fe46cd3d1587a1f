-- Checking data: what fits, and what is said about what does not.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local schema = zigllms.schema

local PERSON = {
  type = "object",
  required = { "name" },
  additionalProperties = false,
  properties = {
    name = { type = "string", minLength = 1 },
    age = { type = "integer", minimum = 0 },
    tags = { type = "array", items = { enum = { "a", "b" } } },
  },
}

describe("schema.validate", function()
  after_each(function()
    zigllms.reset()
  end)

  it("says that data fit", function()
    local result = schema.validate({ name = "Ada", age = 36, tags = { "a" } }, PERSON)
    assert.are.same({ valid = true, errors = {}, error_count = 0 }, result)
  end)

  it("reports everything that is wrong, with places and words", function()
    local result = schema.validate({ age = -1, tags = { "a", "z" }, x = 1 }, PERSON)
    assert.is_false(result.valid)
    assert.are.equal(4, result.error_count)
    local by_path = {}
    for _, wrong in ipairs(result.errors) do
      by_path[wrong.path] = by_path[wrong.path] or wrong
    end
    assert.are.same({
      path = "/age",
      message = "expected at least 0, got -1",
      keyword = "minimum",
      schema_path = "/properties/age/minimum",
      expected = "at least 0",
      actual = "-1",
    }, by_path["/age"])
    assert.are.equal('expected one of "a", "b", got "z"', by_path["/tags/1"].message)
    assert.are.equal('unexpected property "x"', by_path[""].message)
  end)

  it("stops at max_errors", function()
    local many = {}
    for i = 1, 1000 do
      many[i] = "x"
    end
    local wanted = { items = { type = "integer" } }
    assert.are.equal(3, schema.validate(many, wanted, { max_errors = 3 }).error_count)
    assert.are.equal(1000, schema.validate(many, wanted).error_count)
  end)

  it("takes an empty table for what is wanted", function()
    assert.is_true(schema.validate({}, { type = "array" }).valid)
    assert.is_true(schema.validate({}, { type = "object" }).valid)
    assert.is_false(schema.validate(zigllms.object({}), { type = "array" }).valid)
    assert.is_false(schema.validate(zigllms.array({}), { type = "object" }).valid)
  end)

  it("takes nil and null for null", function()
    assert.is_true(schema.validate(nil, { type = "null" }).valid)
    assert.is_true(schema.validate(zigllms.null, { type = "null" }).valid)
    assert.is_true(
      schema.validate({ a = zigllms.null }, { properties = { a = { type = "null" } } }).valid
    )
  end)

  it("takes a schema in every form", function()
    local id = schema.create({ type = "integer" }, { name = "count" })
    local forms = {
      { type = "integer" },
      '{"type":"integer"}',
      id,
      "count",
      { id = id },
      schema.compile({ type = "integer" }),
      { ["$ref"] = "count" },
    }
    for i, form in ipairs(forms) do
      if not (type(form) == "table" and form.id) then
        assert.is_true(schema.validate(1, form).valid, i)
        assert.is_false(schema.validate("x", form).valid, i)
      end
    end
    assert.is_true(schema.validate({ name = "x" }, { name = "string", age = "integer?" }).valid)
    assert.is_true(schema.validate(1, true).valid)
    assert.is_false(schema.validate(1, false).valid)
    assert.is_false(schema.validate(1, "false").valid)
  end)

  it("checks formats unless told not to", function()
    local date = { format = "date" }
    assert.is_false(schema.validate("2024-13-01", date).valid)
    assert.is_true(schema.validate("2024-13-01", date, { formats = false }).valid)
    assert.is_false(schema.validate("2024-13-01", date).valid)
    assert.is_false(schema.validate("xn--X", { format = "idn-hostname" }).valid)
  end)

  it("follows the draft that is named", function()
    local older = {
      ["$schema"] = "http://json-schema.org/draft-04/schema#",
      maximum = 3,
      exclusiveMaximum = true,
    }
    assert.is_false(schema.validate(3, older).valid)
    older["$schema"] = nil
    assert.is_false(schema.validate(3, older, { draft = "4" }).valid)
    assert.is_false(schema.validate(3, older, { draft = 4 }).valid)
    raised("validation_failed", schema.validate, 3, older)
    local err = raised("invalid_argument", schema.validate, 3, older, { draft = "5" })
    assert.truthy(err.message:find("2020-12", 1, true))
  end)

  it("finds documents that are given with the call", function()
    local wanted = { ["$ref"] = "https://example.com/name.json" }
    local documents = { ["https://example.com/name.json"] = { type = "string" } }
    assert.is_true(schema.validate("x", wanted, { documents = documents }).valid)
    assert.is_false(schema.validate(1, wanted, { documents = documents }).valid)
    raised("unsupported", schema.validate, 1, wanted)
  end)

  it("fetches nothing", function()
    for _, uri in ipairs({ "file:///etc/passwd", "http://127.0.0.1:9/x", "other.json" }) do
      local err = raised("unsupported", schema.validate, 1, { ["$ref"] = uri })
      assert.truthy(err.message:find("nothing is fetched", 1, true))
    end
  end)

  it("names what is bad about a schema, with its place", function()
    local bad = {
      ["/properties/a/type"] = { properties = { a = { type = "colour" } } },
      ["/properties/a/pattern"] = { properties = { a = { pattern = "(" } } },
      ["/required"] = { required = "a" },
      ["/items/$ref"] = { items = { ["$ref"] = "#/items" } },
      ["$ref leads nowhere"] = { ["$ref"] = "#/$defs/none" },
    }
    for place, definition in pairs(bad) do
      local err = raised("validation_failed", schema.validate, 1, definition)
      assert.truthy(err.message:find(place, 1, true), err.message)
      assert.is_table(err.details.errors)
    end
    local err = raised("validation_failed", schema.validate, "x", { pattern = "(?<=a)b" })
    assert.truthy(err.message:find("look-around", 1, true))
  end)

  it("says what is no schema", function()
    raised("not_found", schema.validate, 1, "no_such_schema")
    raised("validation_failed", schema.validate, 1, "{not json")
    raised("invalid_argument", schema.validate, 1)
    raised("invalid_argument", schema.validate, 1, 5)
    raised("conversion_error", schema.validate, 1, { default = print })
    raised("conversion_error", schema.validate, { print }, true)
  end)

  it("sees a change of the caller's schema table", function()
    local wanted = { type = "integer" }
    assert.is_true(schema.validate(1, wanted).valid)
    wanted.minimum = 5
    assert.is_false(schema.validate(1, wanted).valid)
  end)
end)

describe("schema.check", function()
  it("gives true, or false and one line", function()
    assert.are.same({ true }, { schema.check({ name = "x" }, PERSON) })
    local ok, message = schema.check({ name = "" }, PERSON)
    assert.is_false(ok)
    assert.are.equal("/name: expected at least 1 character, got 0", message)
    ok, message = schema.check({ name = "", age = -1 }, PERSON)
    assert.is_false(ok)
    assert.truthy(message:find("(and 1 more)", 1, true))
  end)
end)

describe("Schemas that are hard", function()
  it("end, whatever refers to what", function()
    local mutual = {
      ["$ref"] = "#/$defs/a",
      ["$defs"] = {
        a = { type = "object", properties = { b = { ["$ref"] = "#/$defs/b" } } },
        b = { type = "object", properties = { a = { ["$ref"] = "#/$defs/a" } } },
      },
    }
    local value = 1
    for i = 1, 90 do
      value = { [i % 2 == 0 and "b" or "a"] = value }
    end
    assert.is_false(schema.validate(value, mutual).valid)
    assert.is_true(schema.validate({ b = { a = { b = {} } } }, mutual).valid)
  end)

  it("are answered soon", function()
    local started = os.clock()
    assert.is_false(schema.check(("a"):rep(50000) .. "!", { pattern = "^(a+)+$" }))
    local words, branches = {}, {}
    for i = 1, 10000 do
      words[i] = "word" .. i
      branches[i] = { type = "object", required = { "k" .. i } }
    end
    assert.is_true(schema.check("word9999", { enum = words }))
    assert.is_false(schema.check("other", { enum = words }))
    assert.is_true(schema.check({ k9999 = 1 }, { anyOf = branches }))
    assert.is_false(schema.check({}, { anyOf = branches }))
    local deep = { type = "integer" }
    for _ = 1, 45 do
      deep = { properties = { a = deep } }
    end
    assert.is_true(schema.check({ a = { a = {} } }, deep))
    assert.is_true(os.clock() - started < 20, "took " .. os.clock() - started)
  end)

  it("are answered soon where alternatives describe themselves", function()
    local term = { { type = "number" } }
    for i, name in ipairs({ "add", "sub", "mul", "div" }) do
      term[i + 1] = {
        type = "object",
        required = { "op", "left" },
        properties = { op = { const = name }, left = { ["$ref"] = "#/$defs/term" } },
      }
    end
    local sum = { ["$ref"] = "#/$defs/term", ["$defs"] = { term = { anyOf = term } } }
    local function nested(levels, value)
      for _ = 1, levels do
        value = { op = "div", left = value }
      end
      return value
    end
    local started = os.clock()
    assert.is_true(schema.validate(nested(90, 1), sum).valid)
    local near = schema.validate(nested(2, "x"), sum).errors
    assert.truthy(near[1].message:find("expected number", 1, true), near[1].message)
    for _, leaf in ipairs({ "x", {} }) do
      local far = schema.validate(nested(90, leaf), sum)
      assert.is_false(far.valid)
      assert.equal(1, #far.errors)
      assert.truthy(far.errors[1].message:find("takes too long to say", 1, true))
    end
    assert.is_true(os.clock() - started < 60, "took " .. os.clock() - started)
  end)
end)
