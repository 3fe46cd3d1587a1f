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

  it("keeps nulls inside, and gives nil for a text that is null", function()
    assert.are.equal(zigllms.null, output.parse("[null]", "json")[1])
    assert.is_nil((output.parse("null", "json")))
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
end)
