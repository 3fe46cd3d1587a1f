-- YAML, against the cases of yaml-test-suite and by itself.
local corpora = require("spec.support.corpora")
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
end)
