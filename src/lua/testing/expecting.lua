-- What a step must come to, and whether it has.
local core = ...

local find, format, lower = string.find, string.format, string.lower
local getmetatable, ipairs, next, pcall = core.metatable_of, ipairs, next, pcall
local rawget, tostring, type = rawget, tostring, type

local response_mt, null = core.metas[2], core.null
local TYPES = { equals = true, contains = true, matches = true, throws = true }
local FUNC = "test.run_scenario"
local MEMBERS = { type = true, value = true, regex = true }

-- Reading -------------------------------------------------------------------------------------

-- Whether a table is `{type=, value=}` and no value.
local function is_assertion(item)
  local kind = type(item) == "table" and rawget(item, "type")
  if type(kind) ~= "string" or not TYPES[lower(kind)] then
    return false
  end
  for key in next, item do
    if not MEMBERS[key] then
      return false
    end
  end
  return true
end

-- An array in which assertions stand, beside values.
local function is_several(expect)
  for _, item in ipairs(type(expect) == "table" and expect or {}) do
    if is_assertion(item) then
      return true
    end
  end
  return false
end

local function refuse(path, text)
  core.refuse_scenario(path .. ": " .. text)
end

local function regex_of(item)
  local value = rawget(item, "value")
  return rawget(item, "regex") or (type(value) == "table" and rawget(value, "regex")) or nil
end

local function check_pattern(expected, path)
  local pattern = expected.regex or expected.value
  if type(pattern) ~= "string" then
    local wanted = "expected a pattern or {regex=}, got "
    refuse(path .. ".value", wanted .. core.shown_value(pattern))
  end
  local ok, why
  if expected.regex then
    ok, why = pcall(core.matches_regex, "", pattern)
  else
    ok, why = pcall(find, "", pattern)
  end
  if not ok then
    refuse(path, format("%s is no pattern: %s", core.shown_value(pattern), core.describe(why)))
  end
end

local function assertion(item, path)
  if not is_assertion(item) then
    return { type = "equals", value = item }
  end
  local expected = { type = lower(rawget(item, "type")), value = rawget(item, "value") }
  if expected.type == "matches" then
    expected.regex = regex_of(item)
    check_pattern(expected, path)
  elseif expected.type == "throws" and expected.value ~= nil and expected.value ~= null then
    if type(expected.value) ~= "string" then
      local wanted = "expected a code or a part of the message, got "
      refuse(path .. ".value", wanted .. core.shown_value(expected.value))
    end
  end
  return expected
end

-- The expectations of a step, read once.
function core.read_expected(step, path)
  local expected, expect = {}, rawget(step, "expect")
  if is_several(expect) then
    for i, item in ipairs(expect) do
      expected[i] = assertion(item, path .. ".expect[" .. i .. "]")
    end
  elseif expect ~= nil and expect ~= null then
    expected[1] = assertion(expect, path .. ".expect")
  end
  local output = rawget(step, "expected_output")
  if output ~= nil and output ~= null then
    expected[#expected + 1] = { type = "equals", value = output }
  end
  return expected
end

function core.wants_error(expected)
  for _, item in ipairs(expected) do
    if item.type == "throws" then
      return true
    end
  end
  return false
end

-- Judging -------------------------------------------------------------------------------------

-- Responses and errors are tables that read as texts.
local function text_of(actual)
  if type(actual) == "table" and getmetatable(actual) == response_mt then
    return tostring(rawget(actual, "content") or "")
  elseif core.is_error(actual) then
    return core.describe(actual)
  end
end

-- What is compared with `expected`.
local function comparable(actual, expected)
  return type(expected) == "string" and text_of(actual) or actual
end

local function mismatch(actual, pattern, text)
  return { path = "", expected = pattern, actual = actual, message = text }
end

local judges = {}

function judges.equals(item, actual)
  return core.compare(comparable(actual, item.value), item.value)
end

function judges.contains(item, actual)
  return core.contains(comparable(actual, item.value), item.value)
end

-- Of a Lua pattern some flaws show on some texts only.
local function is_found(item, text)
  if item.regex then
    return core.matches_regex(text, item.regex)
  end
  local ok, found = pcall(find, text, item.value)
  if not ok then
    local said = "%s is no pattern: %s"
    core.raise("invalid_argument", said:format(core.shown_value(item.value), found), FUNC)
  end
  return found ~= nil
end

function judges.matches(item, actual)
  local pattern = item.regex or item.value
  local text = text_of(actual) or actual
  if type(text) == "number" then
    text = tostring(text)
  elseif type(text) ~= "string" then
    local wanted = "expected a text that matches %s, got %s"
    local said = wanted:format(core.shown_value(pattern), core.shown_value(text))
    return mismatch(actual, pattern, said)
  end
  if not is_found(item, text) then
    local said = "expected %s to match %s"
    local shown = core.shown_value
    return mismatch(actual, pattern, said:format(shown(text), shown(pattern)))
  end
end

local function code_of(err)
  local code = type(err) == "table" and rawget(err, "code")
  return type(code) == "string" and code or nil
end

-- `actual` is what was raised.
function judges.throws(item, actual)
  local wanted = item.value
  if wanted == nil or wanted == null then
    return nil
  end
  local text = core.describe(actual)
  if code_of(actual) == wanted or find(text, wanted, 1, true) then
    return nil
  end
  local shown = core.shown_value
  local said = "expected an error with %s, got %s"
  local got = shown(text) .. (code_of(actual) and " [" .. code_of(actual) .. "]" or "")
  return mismatch(actual, wanted, said:format(shown(wanted), got))
end

-- How an output, or what was raised, stands to each expectation; and the first that does not hold.
function core.judge_expectations(expected, actual)
  local assertions, first = {}, nil
  for i, item in ipairs(expected) do
    local verdict = judges[item.type](item, actual)
    assertions[i] = {
      type = item.type,
      expected = item.regex and { regex = item.regex } or item.value,
      success = verdict == nil,
      message = verdict and verdict.message,
      path = verdict and verdict.path,
    }
    first = first or verdict
  end
  return assertions, first
end

return core
