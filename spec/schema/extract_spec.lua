-- What a schema describes, out of tables and texts.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local schema = zigllms.schema

local PLAN = {
  type = "object",
  required = { "title", "steps" },
  properties = {
    title = { type = "string" },
    steps = { type = "array", items = { type = "string" } },
    priority = { enum = { "LOW", "HIGH" } },
    hours = { type = "number", default = 1 },
  },
}

describe("schema.extract", function()
  it("keeps of a table what is described, coerced, with defaults", function()
    local given = { title = "T", steps = "one", note = "x", hours = "2" }
    assert.are.same({ title = "T", steps = { "one" }, hours = 2 }, schema.extract(given, PLAN))
    assert.are.same({ title = "T", steps = "one", note = "x", hours = "2" }, given)
    local open = { properties = { a = {} }, additionalProperties = { type = "integer" } }
    assert.are.same({ a = 1, b = 2 }, schema.extract({ a = 1, b = "2" }, open))
  end)

  it("misses what is required, unless told that something may be missing", function()
    local err = raised("validation_failed", schema.extract, { title = "T" }, PLAN)
    assert.truthy(err.message:find('missing required property "steps"', 1, true))
    local value = schema.extract({ title = "T", priority = "?" }, PLAN, { partial = true })
    assert.are.same({ title = "T", steps = {}, hours = 1 }, value)
  end)

  it("finds the JSON in a text", function()
    local text = [[
Sure! Here is the plan you asked for:

```json
{
  // as discussed
  "Title": "Ship it",
  "steps": ["build", "test",],
  priority: 'high',
  "comment": "left out"
}
```
Good luck!]]
    assert.are.same(
      { title = "Ship it", steps = { "build", "test" }, priority = "HIGH", hours = 1 },
      schema.extract(text, PLAN)
    )
  end)

  it("takes the document that fits, or all of them", function()
    local text = 'First {"a": 1}, then {"title": "T", "steps": []} and [1, 2].'
    assert.are.equal("T", schema.extract(text, PLAN).title)
    local numbers = { type = "array", items = { type = "integer" } }
    assert.are.same({ 1, 2 }, schema.extract(text, numbers))
    local objects = {
      type = "array",
      items = { type = "object", required = { "n" }, properties = { n = { type = "integer" } } },
    }
    assert.are.same({ { n = 1 }, { n = 2 } }, schema.extract('{"n": 1}\n{"n": "2"}', objects))
  end)

  it("reads single values out of sentences", function()
    assert.are.equal(42, schema.extract("The answer is 42.", { type = "integer" }))
    assert.are.equal(1234.5, schema.extract("$1,234.5", { type = "number" }))
    assert.is_true(schema.extract("I think that is **True**.", { type = "boolean" }))
    assert.are.equal("HIGH", schema.extract("This has high priority", PLAN.properties.priority))
    raised("validation_failed", schema.extract, "high or low", PLAN.properties.priority)
    raised("validation_failed", schema.extract, "2 or 3", { type = "integer" })
    raised("validation_failed", schema.extract, "no JSON here", PLAN)
  end)

  it("leaves a text that is wanted as a text as it stands", function()
    assert.are.equal(' "x" ', schema.extract(' "x" ', { type = "string" }))
  end)

  it("knows other names of members and words", function()
    local wanted = {
      type = "object",
      required = { "mood" },
      properties = {
        mood = {
          enum = { "POS", "NEG" },
          ["x-alias"] = "sentiment",
          ["x-enum-alias"] = { POS = "good", NEG = "bad" },
        },
      },
    }
    assert.are.same({ mood = "POS" }, schema.extract('{"sentiment": "Good!"}', wanted))
  end)

  it("reads what has only begun", function()
    local text = '{"title": "Ship it", "steps": ["build", "te'
    assert.are.same(
      { title = "Ship it", steps = { "build", "te" }, hours = 1 },
      schema.extract(text, PLAN, { partial = true })
    )
    local count = { type = "object", required = { "n" }, properties = { n = { type = "integer" } } }
    assert.are.same({}, schema.extract('{"n": 12', count, { partial = true }))
    assert.are.same({ n = 12 }, schema.extract('{"n": 12', count))
  end)

  it("reads the content of a response", function()
    local response = { content = '{"n": 1}', finish_reason = "stop", role = "assistant" }
    assert.are.same({ n = 1 }, schema.extract(response, { n = "integer" }))
  end)

  it("ends soon, whatever the schema and the text are", function()
    local any = { ["$ref"] = "#/$defs/any", ["$defs"] = {} }
    any["$defs"].any = {
      anyOf = {
        { type = "array", items = { ["$ref"] = "#/$defs/any" } },
        { type = "object", additionalProperties = { ["$ref"] = "#/$defs/any" } },
        { type = "integer" },
        { ["$ref"] = "#/$defs/any" },
      },
    }
    local started = os.clock()
    schema.extract(("["):rep(90) .. '"7"' .. ("]"):rep(90), any)
    pcall(schema.extract, ("["):rep(100000), any)
    pcall(schema.extract, ('{"a":'):rep(20000), any)
    pcall(schema.extract, ("word "):rep(100000), { enum = { "ONE", "TWO" } })
    assert.is_true(os.clock() - started < 20, "took " .. os.clock() - started)
  end)
end)
