-- YAML, against the cases of yaml-test-suite and by itself.
local corpora = require("spec.support.corpora")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output = zigllms.output

local STRICT = { format = "yaml", recovery = "strict", all = true }

local function strict(text)
  return pcall(output.parse, text, STRICT)
end

describe("YAML", function()
  local it_reads = corpora.it(it, pending)

  it_reads("yaml_test_suite.jsonl", "is read as yaml-test-suite says", function(cases)
    local solved, of, failed = {}, {}, {}
    for _, case in ipairs(cases) do
      local ok, value = strict(case.input)
      if not ok then
        assert.are.equal("parse_failed", value.code, case.id)
        assert.is_number(value.details.line)
      end
      local right = case.expect == "valid"
        or case.expect == "error" and not ok
        or case.expect == "docs" and ok and corpora.same(value, case.expected)
      of[case.expect] = (of[case.expect] or 0) + 1
      solved[case.expect] = (solved[case.expect] or 0) + (right and 1 or 0)
      if not right then
        failed[#failed + 1] = case.name
      end
    end
    print(
      ("yaml-test-suite: %d/%d values, %d/%d rejected, %d without JSON; not: %s"):format(
        solved.docs,
        of.docs,
        solved.error,
        of.error,
        of.valid,
        table.concat(failed, " ")
      )
    )
    assert.is_true(solved.docs >= 281)
    assert.are.equal(94, solved.error)
    assert.are.equal(29, solved.valid)
  end)

  local function yaml(text, options)
    options = options or {}
    options.format = "yaml"
    return output.parse(text, options)
  end

  it("gives keys as strings and values by the core schema", function()
    local value, info =
      yaml("1: a\nyes: no\non: 2026-11-22\nn: 0o17\nbig: 18446744073709551616\nz: ~\n")
    assert.are.same({
      ["1"] = "a",
      yes = "no",
      on = "2026-11-22",
      n = 15,
      big = 2 ^ 64,
      z = zigllms.null,
    }, value)
    assert.are.same({ false, {} }, { info.recovered, info.fixes })
  end)

  it("copies what aliases stand for, and merges", function()
    local value = yaml("base: &b {x: 1, y: 2}\nit:\n  <<: *b\n  y: 3\nlist: [*b, *b]\n")
    assert.are.same({ x = 1, y = 3 }, value.it)
    assert.are.same({ { x = 1, y = 2 }, { x = 1, y = 2 } }, value.list)
    assert.are_not.equal(value.list[1], value.list[2])
  end)

  it("gives several documents as an array where that is wanted", function()
    local text = "--- 1\n--- 2\n"
    assert.are.equal(1, (yaml(text)))
    assert.are.same({ 1, 2 }, (yaml(text, { recovery = "strict" })))
    assert.are.same({ 1, 2 }, (yaml(text, { all = true })))
    assert.are.same({ 1 }, (yaml("1", { all = true })))
    assert.are.equal(1, (yaml("1", { recovery = "strict" })))
  end)

  it("refuses a key twice when strict, else the last one counts", function()
    local err = raised("parse_failed", yaml, "a: 1\nb: 2\na: 3\n", { recovery = "strict" })
    assert.are.equal(3, err.details.line)
    local value, info = yaml("a: 1\nb: 2\na: 3\n")
    assert.are.same({ a = 3, b = 2 }, value)
    assert.truthy(info.warnings[1]:find('"a"', 1, true))
  end)

  it("says where a text is wrong, also in a fence", function()
    local err = raised("parse_failed", yaml, "ok: 1\nbad: [1, 2\n", { recovery = "strict" })
    assert.is_true(err.details.line >= 2)
    assert.truthy(err.message:find("YAML", 1, true))
  end)

  it("mends what models write, and says how", function()
    local value, info = yaml("Here it is:\n\n```yaml\ntitle: Lua: a tour\n\ttag: x\n```\n", {
      recovery = "best_effort",
    })
    assert.are.same({ title = "Lua: a tour", tag = "x" }, value)
    assert.is_true(info.recovered)
    local text = "Config:\n\n```yaml\na: @b\n```\n"
    value, info = yaml(text)
    assert.are.same({ a = "@b" }, value)
    assert.are.same({ "fence", "quotes", "prose" }, info.fixes)
    assert.are.equal("a: @b\n", text:sub(info.start, info.stop))
  end)

  it("gives a string with a best effort, where there is no document", function()
    raised("parse_failed", yaml, "only some words")
    assert.are.equal("only some words", (yaml("only some words", { recovery = "best_effort" })))
    raised("parse_failed", yaml, " ", { recovery = "best_effort" })
  end)

  it("is written so that it reads back the same", function()
    local value = {
      text = "two\nlines\n",
      [" odd: key"] = "- x",
      list = { "no", "1e3", "0x1f", "~", " lead", "#", "", "ä", "\1", 1, 2.5, true, zigllms.null },
      empty = { zigllms.array({}), zigllms.object({}) },
      nested = { { { a = { b = 1 } } } },
    }
    local text = output.format(value, "yaml")
    assert.are.same(value, (yaml(text, { recovery = "strict" })))
    assert.truthy(text:find("text: |\n  two\n  lines\n", 1, true), text)
  end)

  it("is written the same in every run", function()
    local value = {}
    for i = 1, 50 do
      value["key" .. i] = i
    end
    local sorted = output.format(value, "yaml")
    assert.are.equal("key1: 1\nkey10: 10\n", sorted:sub(1, 18))
  end)
end)
