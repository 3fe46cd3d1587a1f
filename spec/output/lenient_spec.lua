-- What lenient reading puts right, what it leaves to a best effort, and where it says a text is bad.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output = zigllms.output
local null = zigllms.null

local function lenient(text, options)
  options = options or {}
  options.format = "json"
  return output.parse(text, options)
end

describe("lenient JSON", function()
  it("is found in prose and in fences", function()
    assert.are.same({ a = 1 }, (lenient('Here: {"a": 1}. Bye')))
    assert.are.same({ a = 1 }, (lenient('See\n```json\n{"a": 1}\n```\nand {"b": 2}')))
    assert.are.same({ a = 1 }, (lenient('The first of [1]: {"a": 1}')))
    assert.are.same({ b = 2 }, (lenient('Use {name}: {"b": 2}')))
  end)

  it("is the first document, or all of them", function()
    assert.are.same({ a = 1 }, (lenient('{"a": 1} {"b": 2}')))
    assert.are.same({ { a = 1 }, { b = 2 } }, (lenient('{"a": 1} {"b": 2}', { all = true })))
  end)

  it("may have comments, commas, other quotes, bare keys, other literals", function()
    local text =
      "{a: 'x', // one\n \"b\": [True, None, undefined,], # two\n /* three */ “c”: NaN,}"
    local value, info = lenient(text)
    assert.are.same({ a = "x", b = { true, null, null }, c = null }, value)
    assert.are.same({ "unquoted_key", "quotes", "comment", "literal", "comma" }, info.fixes)
  end)

  it("may have raw breaks and unknown escapes in strings, and no end", function()
    assert.are.same({ a = "x\ny" }, (lenient('{"a": "x\ny"}')))
    assert.are.same({ a = [[C:\dir]], b = "it's" }, (lenient([[{"a": "C:\dir", "b": "it\'s"}]])))
    assert.are.same({ a = { 1, { b = true } } }, (lenient('{"a": [1, {"b": true')))
  end)

  it("loses and invents nothing", function()
    local bad = {
      '{"a": "cut',
      '{"a":',
      '{"a" 1}',
      '{"a": 1 "b": 2}',
      '{"a": word}',
      '{"a": "x" y"}',
      "[1, ...]",
      '{"a": 1,, "b": 2}',
      '{"a": tru',
      "{'a', 'b'}",
      '{"a": f(1)}',
      "[.5]",
    }
    for _, text in ipairs(bad) do
      raised("parse_failed", lenient, text)
      assert.has_no.errors(function()
        output.recover(text)
      end)
    end
  end)

  it("does not take a part of a broken document for the document", function()
    raised("parse_failed", lenient, '{"a": 1 "b": {"c": 2}}')
  end)

  it("says where it is bad", function()
    local err = raised("parse_failed", lenient, '{"a": 1,\n "b": 2\n "c": 3}')
    assert.are.same({ 3, 2 }, { err.details.line, err.details.column })
    assert.are.equal(19, err.details.offset)
    assert.truthy(err.message:find("a comma", 1, true), err.message)
    assert.truthy(err.details.snippet:find('"c": 3', 1, true))
  end)

  it("is nested no deeper than the limit", function()
    local deep = ("["):rep(30) .. "1," .. ("]"):rep(30)
    assert.has_no.errors(function()
      lenient(deep)
    end)
    local err = raised("parse_failed", lenient, deep, { max_depth = 20 })
    assert.truthy(err.message:find("deeper than 20", 1, true), err.message)
    assert.are.equal(21, err.details.column)
  end)

  it("may be no document where prose is a string", function()
    raised("parse_failed", lenient, "only words")
    assert.are.equal("only words", (lenient("only words", { prose = "string" })))
  end)
end)
