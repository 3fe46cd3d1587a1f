-- Published function definitions (Berkeley Function Calling Leaderboard): their schemas, dirty as
-- they are, compile, and what graders accept as arguments is accepted.
local corpora = require("spec.support.corpora")
local zigllms = require("zigllms")

local corpus_it = corpora.it(it, pending)
local schema, tool = zigllms.schema, zigllms.tool

local CASES = 636

-- What no grader could accept: the schema asks for an array, the accepted value is a string.
local CONTRADICTORY = "parallel_multiple_21"

local first

-- In a grader's object each member is the list of its accepted values.
local function members(value)
  if type(value) ~= "table" then
    return value
  end
  local result = getmetatable(value) and zigllms.array({}) or {}
  for key, accepted in pairs(value) do
    if #value > 0 then
      result[key] = members(accepted)
    elseif type(accepted) == "table" then
      result[key] = first(accepted)
    else
      result[key] = accepted
    end
  end
  return result
end

-- The first accepted value. An empty string means that the argument may be left out; an empty
-- list is itself what is accepted.
function first(accepted)
  if #accepted == 0 then
    return accepted
  elseif accepted[1] ~= "" then
    return members(accepted[1])
  end
end

local function arguments(accepted)
  local result = zigllms.object({})
  for name, values in pairs(accepted) do
    result[name] = first(values)
  end
  return result
end

local function functions_of(case)
  local by_name = {}
  for _, definition in ipairs(case.functions) do
    by_name[definition.name] = definition
  end
  return by_name
end

-- Calls `visit(definition, arguments)` for every accepted call of a case.
local function calls(case, visit)
  local by_name = functions_of(case)
  for _, accepted in ipairs(case.accepted) do
    for name, values in pairs(accepted) do
      visit(assert(by_name[name], name), arguments(values))
    end
  end
end

-- Whether a result has everything that was given; defaults may have been added.
local function holds(result, given)
  if type(given) ~= "table" then
    return result == given
  end
  for key, value in pairs(given) do
    if value ~= zigllms.null and not holds(result[key], value) then
      return false
    end
  end
  return true
end

local function passing(cases, test)
  local failed = {}
  for _, case in ipairs(cases) do
    local ok, err = pcall(test, case)
    if not ok and not case.id:find(CONTRADICTORY, 1, true) then
      failed[#failed + 1] = case.name .. ": " .. tostring(err)
    end
  end
  return failed
end

describe("Published tool definitions", function()
  corpus_it("bfcl.dev.jsonl", "compile, and accept what graders accept", function(cases)
    local failed = passing(cases, function(case)
      for _, definition in ipairs(case.functions) do
        schema.compile(definition.parameters)
      end
      calls(case, function(definition, input)
        assert(schema.check(input, definition.parameters))
      end)
    end)
    assert.are.same({}, failed)
    assert.are.equal(CASES, #cases)
  end)

  corpus_it("bfcl.dev.jsonl", "are tools that take what graders accept", function(cases)
    local failed = passing(cases, function(case)
      for _, definition in ipairs(case.functions) do
        tool.register({
          name = definition.name:gsub("[^%w_-]", "_"):sub(-64),
          parameters = definition.parameters,
          execute = function(input)
            return input
          end,
          replace = true,
        })
      end
      calls(case, function(definition, input)
        local result = tool.execute(definition.name:gsub("[^%w_-]", "_"):sub(-64), input)
        for name, value in pairs(input) do
          assert(holds(result[name], value), name)
        end
      end)
    end)
    assert.are.same({}, failed)
  end)
end)
