-- What models wrote, read as a schema asks. Cases of BAML's jsonish and of json_repair's
-- schema-guided mode; a member that is null and one that is absent are the same there and here.
local corpora = require("spec.support.corpora")
local zigllms = require("zigllms")

local corpus_it = corpora.it(it, pending)

-- Of 149 cases.
local LEAST = 134

local function without_nulls(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for key, member in pairs(value) do
    if member ~= zigllms.null then
      result[key] = without_nulls(member)
    end
  end
  return result
end

-- Unfinished texts, and those whose unfit parts are to be left out.
local function options(case)
  return { partial = case.partial == true or case.mode == "salvage" }
end

local function readers(case)
  local given = options(case)
  return {
    extract = function()
      return zigllms.schema.extract(case.input, case.schema, given)
    end,
  }
end

local function passes(case, read)
  local ok, value = pcall(read)
  if case.expect == "error" then
    return not ok, value
  end
  return ok and corpora.same(without_nulls(value), without_nulls(case.expected)), value
end

local function show(value)
  local ok, text = pcall(zigllms.output.format, value)
  return ok and type(value) == "table" and text or tostring(value)
end

describe("Texts aligned to a schema", function()
  corpus_it("schema_aligned.dev.jsonl", "are read as their authors say", function(cases)
    local failed, count = {}, 0
    for i, case in ipairs(cases) do
      local passed, got = passes(case, readers(case).extract)
      if not passed then
        failed[#failed + 1] = ("#%d %s\n   %s"):format(i - 1, case.name, show(got))
      else
        count = count + 1
      end
    end
    print(("schema-aligned: %d of %d"):format(count, #cases))
    if os.getenv("ZIGLLMS_VERBOSE") then
      print(table.concat(failed, "\n"))
    end
    assert.is_true(count >= LEAST)
  end)
end)
