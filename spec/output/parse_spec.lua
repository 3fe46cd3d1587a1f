-- Reading texts: what is read, what is told about it, and where a bad one is bad.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output = zigllms.output

describe("output.parse", function()
  it("gives the value and how it was read", function()
    local value, info = output.parse('{"city":"Oslo","temps":[-3,4.5]}', output.Format.JSON)
    assert.are.same({ city = "Oslo", temps = { -3, 4.5 } }, value)
    assert.are.equal("json", info.format)
    assert.is_false(info.recovered)
    assert.are.same({}, info.fixes)
    assert.are.same({ 1, 32 }, { info.start, info.stop })
  end)

  it("says the same of where a document is on every way of reading it", function()
    for _, options in ipairs({ "json", {}, { max_depth = 50 }, { missing = "null" } }) do
      local value, info = output.parse(' \n{"a":1}  ', options)
      assert.are.same({ a = 1 }, value)
      assert.are.same({ 3, 9, false }, { info.start, info.stop, info.recovered })
      assert.are.same({ {}, {} }, { info.fixes, info.warnings })
    end
  end)

  it("keeps nulls inside, and gives nil for a text that is null", function()
    assert.are.equal(zigllms.null, output.parse("[null]", "json")[1])
    assert.is_nil((output.parse("null", "json")))
  end)

  it("tells empty arrays from empty objects", function()
    local value = output.parse('{"list":[],"map":{}}', "json")
    assert.equal("[]", output.format(value.list))
    assert.equal("{}", output.format(value.map))
    assert.is_false(zigllms.schema.check(value.map, { type = "array" }))
    assert.is_false(zigllms.schema.check(value.list, { type = "object" }))
  end)

  it("reads the content of a response", function()
    local response = { content = '{"n":1}', finish_reason = "stop", role = "assistant" }
    assert.are.same({ n = 1 }, (output.parse(response)))
  end)

  it("returns any other table as it is", function()
    local t = { content = '{"n":1}', print }
    assert.are.equal(t, (output.parse(t)))
  end)

  it("says where a text is wrong", function()
    local err = raised("parse_failed", output.parse, '{"a":\n [1,}', {
      format = "json",
      recovery = "strict",
    })
    assert.are.equal(2, err.details.line)
    assert.are.equal(5, err.details.column)
    assert.are.equal(11, err.details.offset)
    assert.truthy(err.details.snippet:find("[1,}", 1, true))
    assert.truthy(err.message:find("line 2, column 5", 1, true), err.message)
  end)

  it("says where a byte is no UTF-8", function()
    local err = raised("parse_failed", output.parse, '["ä",\n"\255"]', "json")
    assert.are.same({ 2, 2, 9 }, { err.details.line, err.details.column, err.details.offset })
  end)

  it("refuses what is longer than max_bytes", function()
    local err = raised("parse_failed", output.parse, "[1,2]", { format = "json", max_bytes = 4 })
    assert.truthy(err.message:find("max_bytes", 1, true), err.message)
  end)

  it("refuses what is no text", function()
    for _, value in ipairs({ 5, true, zigllms.null }) do
      raised("invalid_argument", output.parse, value)
    end
    raised("invalid_argument", output.parse, nil)
    raised("invalid_argument", output.parse, "{}", "jsn")
    raised("invalid_argument", output.parse, "{}", { fromat = "json" })
  end)

  it("refuses what is nested deeper than max_depth", function()
    for format, text in pairs({
      json = "[[[1]]]",
      yaml = "- - - 1",
      xml = "<a><b><c><d/></c></b></a>",
    }) do
      local deep = { format = format, recovery = "strict", max_depth = 2 }
      local err = raised("parse_failed", output.parse, text, deep)
      assert.truthy(err.message:find("nested deeper than 2", 1, true), err.message)
    end
  end)

  it("gives plain text without the space around it", function()
    local value, info = output.parse(" two words\n", output.Format.PLAIN)
    assert.are.equal("two words", value)
    assert.are.same({ "plain", 2, 10 }, { info.format, info.start, info.stop })
  end)

  it("gives the parts of Markdown", function()
    local parts = output.parse("# A\n\ntext", "markdown")
    assert.are.same({ { level = 1, heading = "A", content = "text" } }, parts.sections)
  end)

  it("takes names of formats and levels in any case", function()
    assert.are.same({ a = 1 }, (output.parse("a: 1", { format = "YAML", recovery = "Strict" })))
  end)
end)

describe("output.parse without a format", function()
  local function auto(text, options)
    local value, info = output.parse(text, options)
    return value, info.format, info
  end

  it("finds out what a text is", function()
    for text, expected in pairs({
      ['{"a":[1]}'] = { { a = { 1 } }, "json" },
      ["{a: 1,}"] = { { a = 1 }, "json" },
      ["<a><b>1</b></a>"] = { { a = { b = "1" } }, "xml" },
      ["name: x\nlist:\n  - 1\n  - {b: 2}"] = { { name = "x", list = { 1, { b = 2 } } }, "yaml" },
      ["- a: 1\n- a: 2"] = { { { a = 1 }, { a = 2 } }, "yaml" },
      ['Sure! {"a": 1} is it.'] = { { a = 1 }, "json" },
      ["Here you are:\n```yaml\na: b: c\n```\nBye."] = { { a = "b: c" }, "yaml" },
      ["Here:\n<a><b>1</a>\nBye."] = { { a = { b = "1" } }, "xml" },
      ['```json\n{"a":1}\n```'] = { { a = 1 }, "json" },
    }) do
      local value, format = auto(text)
      assert.are.same(expected, { value, format }, text)
    end
  end)

  it("does not take prose for a document", function()
    for _, text in ipairs({
      "Just a sentence.",
      "Note: this is a sentence with a colon.",
      "Dear John,\n\nthings are <b>fine</b>: as ever.",
      "",
      "  \n",
    }) do
      raised("parse_failed", output.parse, text)
      raised("parse_failed", output.parse, text, { recovery = "strict" })
    end
  end)

  it("gives prose as a string where that is wanted", function()
    local value, format, info = auto(" Just a sentence. ", { prose = "string" })
    assert.are.same({ "Just a sentence.", "plain" }, { value, format })
    assert.is_true(info.recovered)
    assert.are.equal("Just a sentence.", (auto("Just a sentence.", { recovery = "best_effort" })))
  end)

  it("takes only valid documents with recovery strict", function()
    assert.are.same({ a = 1 }, (auto("a: 1\n", { recovery = "strict" })))
    raised("parse_failed", output.parse, '```json\n{"a":1}\n```', { recovery = "strict" })
    local err = raised("parse_failed", output.parse, "[1,", { recovery = "strict" })
    assert.truthy(err.message:find("JSON", 1, true), err.message)
  end)
end)
