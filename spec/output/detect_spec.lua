-- What a text is, and whether it is valid.
local corpora = require("spec.support.corpora")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output = zigllms.output

describe("output.detect_format", function()
  it("decides by reading", function()
    for text, expected in pairs({
      ['{"a":1}'] = "json",
      ["{a: 1, 'b': 2,}"] = "json",
      ["<a>1</a>"] = "xml",
      ["name: x\nport: 80\n"] = "yaml",
      ["# settings\na: 1\nb:\n  - c\n"] = "yaml",
      ["# Title\n\nWords.\n"] = "markdown",
      ["Words: many of them, in a sentence."] = "plain",
      ["Answer: 42"] = "plain",
      [""] = "plain",
    }) do
      assert.are.equal(expected, (output.detect_format(text)), text)
    end
  end)

  it("says how sure that is, and what else it could be", function()
    local format, info = output.detect_format("name: x\nport: 80\n")
    assert.are.equal("yaml", format)
    assert.is_true(info.confidence > 0.9 and info.confidence <= 1)
    assert.are.equal("yaml", info.candidates[1].format)
    assert.are.equal(info.confidence, info.candidates[1].confidence)
    assert.is_true(#info.candidates > 1)
    assert.is_false(info.fenced)
  end)

  it("looks into the first fence", function()
    local format, info = output.detect_format('Here:\n```json\n{"a":1}\n```\n')
    assert.are.same({ "markdown", true, "json", "json" }, {
      format,
      info.fenced,
      info.language,
      info.inner,
    })
    local _, bare = output.detect_format("```\na: 1\nb: 2\n```")
    assert.are.equal("yaml", bare.inner)
    assert.is_nil(bare.language)
  end)

  it("reads the content of a response", function()
    assert.are.equal("json", (output.detect_format({ content = "[1]", finish_reason = "stop" })))
    raised("invalid_argument", output.detect_format, {})
  end)
end)

describe("output.validate_format", function()
  local function valid(text, format)
    return output.validate_format(text, format).valid
  end

  it("is strict", function()
    assert.is_true(valid('{"a":1}', "json"))
    assert.is_false(valid("{a:1}", "json"))
    assert.is_true(valid("a: 1", "yaml"))
    assert.is_false(valid("a: b: c", "yaml"))
    assert.is_true(valid("<a/>", "xml"))
    assert.is_false(valid("<a>", "xml"))
    assert.is_true(valid("anything", "markdown"))
    assert.is_true(valid("anything", "plain"))
  end)

  it("says where a text is wrong, and does not raise", function()
    local result = output.validate_format('{"ä":1,\n }', "json")
    assert.are.same({ false, "json", 1 }, { result.valid, result.format, #result.errors })
    local first = result.errors[1]
    assert.are.same({ 2, 2, 11 }, { first.line, first.column, first.offset })
    assert.is_string(first.message)
    for _, format in ipairs({ "json", "yaml", "xml", "markdown", "plain" }) do
      assert.is_false(valid("a\255", format), format)
    end
  end)

  it("knows its formats only", function()
    raised("invalid_argument", output.validate_format, "a", "toml")
    raised("invalid_argument", output.validate_format, "a")
  end)

  local it_agrees = corpora.it(it, pending)

  it_agrees("json_conformance.jsonl", "agrees with JSONTestSuite", function(cases)
    local counts = { accept = 0, reject = 0, either = 0 }
    for _, case in ipairs(cases) do
      local is_valid = valid(case.input, "json")
      if case.expect == "either" or is_valid == (case.expect == "accept") then
        counts[case.expect] = counts[case.expect] + 1
      end
    end
    print(
      ("JSONTestSuite: %d accepted, %d rejected, %d either"):format(
        counts.accept,
        counts.reject,
        counts.either
      )
    )
    assert.are.same({ accept = 95, reject = 188, either = 35 }, counts)
  end)
end)

describe("output.get_schema", function()
  it("describes a format", function()
    for _, format in pairs(output.Format) do
      local about = output.get_schema(format)
      assert.are.equal(format, about.format)
      assert.is_truthy(about.mime_type:find("/", 1, true))
      assert.is_true(#about.extensions > 0)
      assert.is_truthy(about.parse_options.properties.recovery)
      assert.is_truthy(about.format_options.properties.pretty)
      assert.is_table(about.schema)
    end
    raised("invalid_argument", output.get_schema, "toml")
  end)

  it("describes what extract_markdown gives", function()
    local known = output.get_schema("markdown").schema.properties
    local parts = output.extract_markdown(
      "---\na: 1\n---\n# A\n\n1. x\n   - y\n\n[l](/u)\n\n```lua\n1\n```\n\n|h|\n|-|\n|1|\n"
    )
    for name, part in pairs(parts) do
      assert.is_table(known[name], name)
      local fields = known[name].items and known[name].items.properties
      for _, item in ipairs(fields and part or {}) do
        for field in pairs(item) do
          assert.is_table(fields[field], name .. "." .. field)
        end
      end
    end
  end)
end)
