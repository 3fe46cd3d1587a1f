-- XML: how elements become values, what is forgiven, and what is written.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output = zigllms.output

local function strict(text)
  return (output.parse(text, { format = "xml", recovery = "strict" }))
end

local function lenient(text, options)
  options = options or {}
  options.format = "xml"
  return output.parse(text, options)
end

describe("XML", function()
  it("becomes a table by the names of its elements", function()
    assert.are.same(
      {
        order = {
          ["@id"] = "7",
          item = { "pen", { ["@n"] = "2", ["#text"] = "i" } },
          note = "to & fro",
          a = "",
        },
      },
      strict(
        '<order id="7"><item>pen</item><item n="2">i</item><note> to &amp; fro </note><a/></order>'
      )
    )
  end)

  it("keeps CDATA to the letter, and text between elements in pieces", function()
    assert.are.same({ a = " <b> " }, strict("<a><![CDATA[ <b> ]]></a>"))
    assert.are.same(
      { p = { b = "two", ["#text"] = "one three" } },
      strict("<p>one <b>two</b> three</p>")
    )
  end)

  it("reads no declarations and no entities", function()
    local bomb = '<!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>'
    raised("parse_failed", strict, bomb)
    assert.are.same({ a = "&b;" }, (lenient(bomb)))
    raised("parse_failed", strict, "<a>&nbsp;</a>")
  end)

  it("says where a text is wrong", function()
    local err = raised("parse_failed", strict, "<a>\n  <b></c>\n</a>")
    assert.are.same({ 2, 6, 10 }, { err.details.line, err.details.column, err.details.offset })
    assert.truthy(err.message:find("</c>", 1, true))
  end)

  it("is forgiven what loses nothing", function()
    local value, info = lenient("Sure:\n<plan><step n=1>Fish & chips<step>Pay</plan>\nDone.")
    assert.are.same({
      plan = { step = { ["@n"] = "1", step = "Pay", ["#text"] = "Fish & chips" } },
    }, value)
    assert.are.same({ "attribute", "bare_ampersand", "unclosed_tag", "prose" }, info.fixes)
    value = lenient("<ul><li>one<li>two</ul>")
    assert.are.same({ ul = { li = { "one", "two" } } }, value)
  end)

  it("gives all outermost elements where that is wanted", function()
    local text = "<think>hm</think>\n<answer>42</answer>"
    assert.are.same({ think = "hm" }, (lenient(text)))
    assert.are.same({ { think = "hm" }, { answer = "42" } }, (lenient(text, { all = true })))
    raised("parse_failed", strict, text)
  end)

  it("is written the way it would be read", function()
    local value = {
      city = { ["@code"] = "OSL", name = "Oslo", day = { "Mon", "Tue" }, note = " <x> " },
    }
    local text = output.format(value, "xml")
    assert.are.same(value, strict(text))
    assert.are.equal(
      "<root>\n  <item>1</item>\n  <item>2</item>\n</root>\n",
      output.format({ 1, 2 }, "xml")
    )
    assert.are.equal("<n>1</n>\n", output.format(1, "xml", { root = "n" }))
  end)

  it("says what it cannot hold", function()
    local err = raised("conversion_error", output.format, { a = { ["b c"] = 1 } }, "xml")
    assert.truthy(err.message:find('value.a["b c"]', 1, true), err.message)
    raised("conversion_error", output.format, { a = "\0" }, "xml")
  end)
end)
