-- Reading JSON whatever is wrong with it.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output = zigllms.output
local null = zigllms.null

local function has(list, item)
  for _, value in ipairs(list) do
    if value == item then
      return true
    end
  end
  return false
end

-- One text for each repair, what it is read as, and which repair that takes.
local FIXES = {
  { "bom", '\239\187\191{"a": 1}', { a = 1 } },
  { "fence", '```json\n{"a": 1}\n```', { a = 1 } },
  { "prose", 'It is {"a": 1}.', { a = 1 } },
  { "comment", '{"a": 1 /* one */}', { a = 1 } },
  { "comma", '{"a": 1,}', { a = 1 } },
  { "quotes", "{'a': “b”}", { a = "b" } },
  { "unquoted_key", "{a: 1}", { a = 1 } },
  { "literal", "[True, NaN, 1]", { true, null, 1 } },
  { "control_character", '{"a": "x\ny"}', { a = "x\ny" } },
  { "invalid_escape", [[{"a": "\d"}]], { a = [[\d]] } },
  { "invalid_utf8", [[{"a": "\ud800"}]], { a = "\239\191\189" } },
  { "space", '{"a":\194\1601}', { a = 1 } },
  { "missing_bracket", '{"a": [1', { a = { 1 } } },
  { "truncated_string", '{"a": "b', { a = "b" } },
  { "truncated_literal", '{"a": tr', { a = true } },
  { "missing_value", '{"a":', { a = null } },
  { "missing_comma", '{"a": 1 "b": 2}', { a = 1, b = 2 } },
  { "missing_colon", '{"a" 1}', { a = 1 } },
  { "missing_quote", '{"a": "b, "c": "d"}', { a = "b", c = "d" } },
  { "missing_opening", '"a": 1, "b": 2}', { a = 1, b = 2 } },
  { "unescaped_quote", '{"a": "the "b" c"}', { a = 'the "b" c' } },
  { "doubled_quotes", '{""a"": ""b""}', { a = "b" } },
  { "unquoted_string", "{a: some words}", { a = "some words" } },
  { "number", "[.5, +1, 1_000, 0x1F]", { 0.5, 1, 1000, 31 } },
  { "extra_comma", "[1,,2]", { 1, 2 } },
  { "extra_bracket", '{"a": 1}}', { a = 1 } },
  { "extra_text", '{"a": 1, NOTE "b": 2}', { a = 1, b = 2 } },
  { "ellipsis", "[1, 2, ...]", { 1, 2 } },
  { "concatenation", '{"a": "b" + "c"}', { a = "bc" } },
  { "call", '{"a": ObjectId("1")}', { a = "1" } },
  { "tuple", "{'a': (1, 2)}", { a = { 1, 2 } } },
  { "escaped", [[{\"a\": \"b\"}]], { a = "b" } },
  { "embedded", '{"a": "```json {"b": 1} ```"}', { a = { b = 1 } } },
  { "merged", '{"a": 1}, "b": 2}', { a = 1, b = 2 } },
  { "documents", '{"a": 1}\n{"a": 2}', { { a = 1 }, { a = 2 } } },
  { "lines", "name: Bob\nage: 3", { name = "Bob", age = 3 } },
  { "text", "no document", "no document" },
  { "depth", ("["):rep(101) .. ("]"):rep(101), nil },
}

describe("output.recover", function()
  for _, case in ipairs(FIXES) do
    local name, text, expected = case[1], case[2], case[3]
    it("names the repair " .. name, function()
      local value, info = output.recover(text)
      if expected ~= nil then
        assert.are.same(expected, value)
      end
      assert.truthy(has(info.fixes, name), table.concat(info.fixes, ", "))
      assert.is_true(info.recovered)
    end)
  end

  it("leaves what is valid as it is", function()
    local value, info = output.recover(' {"a": [1, null, "\\u00e9"]} ')
    assert.are.same({ a = { 1, null, "é" } }, value)
    assert.are.same({}, info.fixes)
    assert.is_false(info.recovered)
    assert.are.same({ 2, 27 }, { info.start, info.stop })
  end)

  it("tells the document as it should have been, and where it stood", function()
    local _, info = output.recover("Sure: {city: 'Oslo', n: [1, 2 Bye")
    assert.are.equal('{"city":"Oslo","n":[1,"2 Bye"]}', info.text)
    assert.are.equal(7, info.start)
    local _, around = output.recover('ab {"a": 1} cd')
    assert.are.same({ 4, 11 }, { around.start, around.stop })
  end)

  it("warns of guesses", function()
    local _, info = output.recover('{"a": "the "b" c"}')
    assert.truthy(info.warnings[1]:find("guessed", 1, true), info.warnings[1])
  end)

  it("puts null or an empty string where a value is missing", function()
    assert.are.same({ a = null, b = null }, (output.recover('{"a":, "b"')))
    assert.are.same({ a = "", b = "" }, (output.recover('{"a":, "b"', { missing = "empty" })))
  end)

  it("takes a text without a document as a string or as an error", function()
    assert.are.equal("only words", (output.recover(" only words ")))
    local err = raised("parse_failed", output.recover, "only words", { prose = "error" })
    assert.are.same({ 1, 1, 1 }, { err.details.line, err.details.column, err.details.offset })
    assert.are.equal("only words", err.details.snippet)
  end)

  it("raises for nothing but an empty text", function()
    for _, text in ipairs({ "", " \n\t " }) do
      local err = raised("parse_failed", output.recover, text)
      assert.truthy(err.message:find("empty", 1, true), err.message)
    end
    for _, text in ipairs({ "{", "]", "\\", "```", "/*", '"', "\0", ":", "{:}", "[[[,,,", "'" }) do
      assert.has_no.errors(function()
        output.recover(text)
      end)
    end
  end)

  it("cannot be lowered by options", function()
    assert.are.same({ a = 1, b = 2 }, (output.recover('{"a": 1 "b": 2}', { recovery = "strict" })))
  end)

  it("reads every beginning of a document", function()
    local text = '{"list": [1, {"k": "v\\u00e9\\n"}, -2.5e3], "t": true, "n": null}'
    for stop = 1, #text do
      local value = output.recover(text:sub(1, stop))
      assert.are.equal("table", type(value), text:sub(1, stop))
    end
  end)

  it("reads bodies of every kind in linear time", function()
    for _, unit in ipairs({
      "[",
      '{"a":',
      '"',
      "\\",
      "/*",
      "'",
      '["a,',
      '{"a": "x" y ',
      "```json\n{",
    }) do
      local started = os.clock()
      output.recover(unit:rep(math.floor(1000000 / #unit)))
      local took = os.clock() - started
      assert.truthy(took < 5, ("%q took %.2f s"):format(unit, took))
    end
  end)
end)
