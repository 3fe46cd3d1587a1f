-- How many of the cases that other projects wrote are read as these projects want them: by one
-- preset for all, and by those that stand for one of them.
local corpora = require("spec.support.corpora")
local zigllms = require("zigllms")

local output = zigllms.output
local corpus = corpora.it(it, pending)

local CASES = "json_repair.dev.jsonl"

-- Whether a case comes out right. An error is right where one is expected, or nothing.
local function right(case, options)
  local ok, value = pcall(output.recover, case.input, options)
  if case.expect ~= "value" then
    return not ok
  end
  local expected = case.expected
  if value == nil and expected == zigllms.null then
    return ok
  end
  return ok and corpora.same(value, expected)
end

-- Of the cases of a family: all that are right and all; those with a value that are right, and all
-- of these.
local function score(cases, family, options)
  local s = { right = 0, all = 0, right_values = 0, values = 0 }
  for _, case in ipairs(cases) do
    if not family or case.src == family then
      local one = right(case, options) and 1 or 0
      local value = case.expect == "value" and 1 or 0
      s.all, s.right = s.all + 1, s.right + one
      s.values, s.right_values = s.values + value, s.right_values + one * value
    end
  end
  return s
end

local function shown(what, s)
  print(
    ("%-34s %d/%d = %.1f %%; of those with a value %d/%d = %.1f %%"):format(
      what,
      s.right,
      s.all,
      100 * s.right / s.all,
      s.right_values,
      s.values,
      100 * s.right_values / s.values
    )
  )
end

local function at_least(share, right_ones, all)
  assert.truthy(right_ones >= share * all, ("%d of %d"):format(right_ones, all))
end

describe("recover, measured by the cases of other projects:", function()
  corpus(CASES, "one preset for all", function(cases)
    local whole = score(cases, nil, nil)
    shown("defaults", whole)
    for _, family in ipairs({ "jsonrepair-js", "json_repair-py", "langchain", "instructor" }) do
      shown("  " .. family, score(cases, family, nil))
    end
    at_least(0.92, whole.right, whole.all)
    at_least(0.96, whole.right_values, whole.values)
  end)

  -- What jsonrepair refuses is read here: a best effort raises for an empty text only.
  corpus(CASES, "jsonrepair, missing='null'", function(cases)
    local s = score(cases, "jsonrepair-js", { missing = "null" })
    shown("jsonrepair", s)
    at_least(0.97, s.right_values, s.values)
  end)

  corpus(CASES, "json_repair, missing='empty', prose='error'", function(cases)
    local s = score(cases, "json_repair-py", { missing = "empty", prose = "error" })
    shown("json_repair", s)
    at_least(0.96, s.right, s.all)
  end)

  corpus("json_strict.dev.jsonl", "strict refuses what is no document", function(cases)
    for _, case in ipairs(cases) do
      local ok = pcall(output.parse, case.input, { format = "json", recovery = "strict" })
      -- Repeated and empty names are valid JSON.
      local valid = case.input:find('"key": "first"', 1, true) or case.input:find('{"" :', 1, true)
      assert.are.equal(valid ~= nil, ok, case.input)
    end
  end)
end)
