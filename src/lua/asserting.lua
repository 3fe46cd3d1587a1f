-- Values compared with what was expected, and where they differ.
local core = ...

local lua = core.lua
local metatable_of = core.metatable_of
local clipped, is_name, keys_of, quoted = core.clipped, core.is_name, core.list_of_keys, core.quoted
local shown, shown_key = core.shown_value, core.shown_key
local floor, huge, min = math.floor, math.huge, math.min
local next, pcall, rawequal, rawget = next, pcall, rawequal, rawget
local concat, format = table.concat, string.format
local tostring, type = tostring, type

-- How many differences an error keeps, and how long the parts of its message are.
local MOST_DIFFERENCES = 20
local LONGEST_TEXT, LONGEST_PATH, LONGEST_MESSAGE = 120, 400, 2000

local function has(meta, name)
  return type(meta) == "table" and rawget(meta, name) ~= nil
end

-- What the values themselves say of being equal; nil if nothing.
local function own_verdict(actual, expected)
  if not (has(metatable_of(actual), "__eq") or has(metatable_of(expected), "__eq")) then
    return nil
  end
  return actual == expected
end

local function is_nan(value)
  return type(value) == "number" and value ~= value
end

local function equal_objects(actual, expected)
  return actual == expected
end

-- Whether two values are the same, as far as that needs no look into them.
local function plainly_equal(actual, expected)
  if rawequal(actual, expected) or (is_nan(actual) and is_nan(expected)) then
    return true
  end
  local kind = type(actual)
  if kind ~= type(expected) or kind ~= "userdata" and kind ~= "cdata" then
    return false
  end
  local ok, equal = pcall(equal_objects, actual, expected)
  return ok and equal
end

-- A pair of tables is compared once: cycles end there, and parts that many share cost no more.
local function is_known(state, actual, expected)
  local seen = state.known[actual]
  if seen and seen[expected] then
    return true
  end
  state.known[actual] = seen or {}
  state.known[actual][expected] = true
  return false
end

local function step(key)
  return is_name(key) and "." .. key or "[" .. shown_key(key) .. "]"
end

-- Paths are written once they are told: nearly all values are equal.
local function written(path)
  local steps, length = {}, 0
  while path do
    length = length + 1
    steps[length] = step(path.key)
    path = path.around
  end
  for i = 1, floor(length / 2) do
    steps[i], steps[length + 1 - i] = steps[length + 1 - i], steps[i]
  end
  return concat(steps)
end

local function differ(state, path, actual, expected)
  state.count = state.count + 1
  if state.count <= state.most then
    local found = { path = written(path), actual = actual, expected = expected }
    state.found[state.count] = found
  end
end

-- Keys of the members to compare: those that are expected, and what there is besides.
local function members_of(state, actual, expected)
  local in_order = state.most > 0
  local keys, others = keys_of(expected, in_order), state.part and {} or keys_of(actual, in_order)
  for i = 1, #others do
    if rawget(expected, others[i]) == nil then
      keys[#keys + 1] = others[i]
    end
  end
  return keys
end

-- The members of these two are next. They wait on a list, as tables may be nested deeper than
-- calls; its records are used again.
local function enter(state, path, actual, expected)
  local depth = state.depth + 1
  local record = state.tables[depth] or {}
  record.path, record.actual, record.expected = path, actual, expected
  record.keys, record.at = members_of(state, actual, expected), 0
  state.tables[depth], state.depth = record, depth
end

-- How many items a table has that is a list and nothing else; nil if it is none.
local function list_length(value)
  local count = 0
  for key in next, value do
    if type(key) ~= "number" or key < 1 or key ~= floor(key) or key == huge then
      return nil
    end
    count = count + 1
  end
  return (count == 0 or rawget(value, count) ~= nil) and count or nil
end

-- Of a part only members are looked for; a list in it must have the same length.
local function part_of_list(state, path, actual, expected)
  local length = list_length(expected)
  if length == nil or length == 0 or list_length(actual) == length then
    return false
  end
  differ(state, path, actual, expected)
  return true
end

local function compare(state, path, actual, expected)
  if type(actual) ~= "table" or type(expected) ~= "table" then
    return differ(state, path, actual, expected)
  end
  local verdict = own_verdict(actual, expected)
  if verdict ~= nil then
    return verdict or differ(state, path, actual, expected)
  elseif is_known(state, actual, expected) then
    return
  elseif not (state.part and part_of_list(state, path, actual, expected)) then
    enter(state, path, actual, expected)
  end
end

-- Goes on with the members of the table that was entered last, up to one that is not plainly equal.
local function compare_members(state)
  local around = state.tables[state.depth]
  local actual, expected, keys = around.actual, around.expected, around.keys
  for at = around.at + 1, #keys do
    local key = keys[at]
    local one, other = rawget(actual, key), rawget(expected, key)
    if not plainly_equal(one, other) then
      around.at = at
      return compare(state, { around = around.path, key = key }, one, other)
    end
  end
  state.depth = state.depth - 1
end

local function walk(actual, expected, part, most)
  local state = { known = {}, count = 0, found = {}, most = most, part = part }
  state.tables, state.depth = {}, 0
  if not plainly_equal(actual, expected) then
    compare(state, nil, actual, expected)
  end
  while state.depth > 0 and state.count <= most do
    compare_members(state)
  end
  return state
end

local function is_same(actual, expected, part)
  return walk(actual, expected, part, 0).count == 0
end

-- Those that are told, in the order of the keys. Keys are put in order only if there are some.
local function differences(actual, expected, part)
  if is_same(actual, expected, part) then
    return {}
  end
  return walk(actual, expected, part, MOST_DIFFERENCES).found
end

local function first_difference(a, b)
  for i = 1, min(#a, #b) do
    if a:byte(i) ~= b:byte(i) then
      return i
    end
  end
  return min(#a, #b) + 1
end

-- Long texts are shown where they part.
local function both_shown(expected, actual)
  local long = type(expected) == "string"
    and type(actual) == "string"
    and (#expected > LONGEST_TEXT or #actual > LONGEST_TEXT)
  if not long then
    return "expected " .. shown(expected) .. ", got " .. shown(actual)
  end
  local at = first_difference(expected, actual)
  local from = at > LONGEST_TEXT and at - 20 or 1
  return format(
    "expected %s, got %s (they part at byte %d)",
    clipped(expected, from, quoted),
    clipped(actual, from, quoted),
    at
  )
end

-- Of a long path the end is shown.
local function place_of(path)
  if path == "" then
    return ""
  end
  local from = #path > LONGEST_PATH and #path - LONGEST_PATH + 1 or 1
  return "at " .. clipped(path, from, tostring, LONGEST_PATH) .. ": "
end

local function described(difference)
  return place_of(difference.path) .. both_shown(difference.expected, difference.actual)
end

-- The first difference with its message, and all that were found; nil if there is none.
local function verdict_of(found)
  local first = found[1]
  if not first then
    return nil
  end
  first.message = described(first)
  if #found > 1 then
    first.message = first.message .. format(" (and %d more)", #found - 1)
    for i = 2, #found do
      found[i].message = described(found[i])
    end
    first.differences = found
  end
  return first
end

-- How `actual` differs from `expected`: `{path, expected, actual, message, differences?}`, or nil.
function core.compare(actual, expected)
  return verdict_of(differences(actual, expected))
end

local function missing(haystack, needle)
  local message = "expected " .. shown(haystack) .. " to contain " .. shown(needle)
  return { path = "", expected = needle, actual = haystack, message = message }
end

local function has_element(list, needle)
  local i = 1
  while rawget(list, i) ~= nil do
    if is_same(rawget(list, i), needle, false) then
      return true
    end
    i = i + 1
  end
  return false
end

local function contained_in_table(haystack, needle)
  if has_element(haystack, needle) then
    return nil
  end
  local length = list_length(haystack)
  if type(needle) == "table" and (length == nil or length == 0) then
    return verdict_of(differences(haystack, needle, true))
  elseif type(needle) == "string" and rawget(haystack, needle) ~= nil then
    return nil
  end
  return missing(haystack, needle)
end

-- Why `haystack` does not contain `needle`, as `core.compare` says it; nil if it does.
function core.contains(haystack, needle)
  if type(haystack) == "string" and (type(needle) == "string" or type(needle) == "number") then
    local found = haystack:find(needle, 1, true)
    return not found and missing(haystack, needle) or nil
  elseif type(haystack) == "table" then
    return contained_in_table(haystack, needle)
  end
  return missing(haystack, needle)
end

-- Whether all that `part` has is in `value`, too.
function core.has_part(value, part)
  return is_same(value, part, true)
end

-- The error of an assertion that failed; what was compared is in its `details`.
function core.assertion(func, verdict, message)
  local text = verdict.message
  if message ~= nil and message ~= core.null then
    text = clipped(tostring(message), 1, tostring, LONGEST_MESSAGE) .. ": " .. text
  end
  local details = { path = verdict.path, expected = verdict.expected, actual = verdict.actual }
  details.differences = verdict.differences
  return core.new_error(
    "assertion_failed",
    text,
    { bridge = "test", func = func, details = details }
  )
end

local function judged(func, verdict, message)
  if verdict then
    error(core.assertion(func, verdict, message), 0)
  end
  return true
end

function lua.assert_equals(actual, expected, message)
  return judged("assert_equals", core.compare(actual, expected), message)
end

function lua.assert_contains(haystack, needle, message)
  return judged("assert_contains", core.contains(haystack, needle), message)
end

return core
