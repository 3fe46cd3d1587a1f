-- Values compared with what was expected, and where they differ.
local core = ...

local lua = core.lua
local metatable_of = core.metatable_of
local floor, huge, min = math.floor, math.huge, math.min
local next, pcall, rawequal, rawget = next, pcall, rawequal, rawget
local sort, tostring, type = table.sort, tostring, type
local format, concat = string.format, table.concat

-- What a message shows of a value, and how many differences an error keeps.
local MOST_BYTES, MOST_ITEMS, DEEPEST, MOST_DIFFERENCES = 120, 8, 3, 20
local LONGEST_MESSAGE, MOST_SORTED = 2000, 10000

local function is_name(key)
  return type(key) == "string" and key:find("^[%a_][%w_]*$") ~= nil
end

-- Text on one line, with its ends marked. What is no UTF-8 is shown by its bytes.
local function quoted(text)
  local escaped = text:gsub('[%c"\\\127]', function(char)
    local known = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }
    return known[char] or format("\\%03d", char:byte())
  end)
  return '"' .. escaped .. '"'
end

local function is_inside_character(text, at)
  local byte = text:byte(at)
  return byte ~= nil and byte >= 128 and byte < 192
end

-- What is shown of a text that may be long, not cut inside of a character.
local function clipped(text, from, marked, most)
  local upto = from + (most or MOST_BYTES) - 1
  while from > 1 and is_inside_character(text, from) do
    from = from - 1
  end
  while is_inside_character(text, upto + 1) do
    upto = upto + 1
  end
  local part = marked(text:sub(from, upto))
  return (from > 1 and "…" or "") .. part .. (upto < #text and "…" or "")
end

local RANK = { boolean = 1, number = 2, string = 3 }

-- Numbers before texts, both in order; whatever else is a key comes last.
local function before(a, b)
  local left, right = RANK[type(a)] or 4, RANK[type(b)] or 4
  if left ~= right then
    return left < right
  elseif left == 2 or left == 3 then
    return a < b
  end
  return tostring(a) < tostring(b)
end

-- Of very large tables the order is that of `next`.
local function keys_of(value, in_order)
  local keys = {}
  for key in next, value do
    keys[#keys + 1] = key
  end
  if in_order and #keys <= MOST_SORTED then
    sort(keys, before)
  end
  return keys
end

local shown

local function shown_table(value, depth, around)
  if around[value] then
    return "{…}"
  elseif next(value) == nil then
    return "{}"
  elseif depth >= DEEPEST then
    return "{…}"
  end
  around[value] = true
  local parts, keys, at = {}, keys_of(value, true), 1
  for i = 1, min(#keys, MOST_ITEMS) do
    local key = keys[i]
    local text = shown(rawget(value, key), depth + 1, around)
    if key == at then
      at = at + 1
    else
      text = (is_name(key) and key or "[" .. shown(key, DEEPEST, around) .. "]") .. " = " .. text
    end
    parts[i] = text
  end
  around[value] = nil
  if #keys > MOST_ITEMS then
    parts[#parts + 1] = "…"
  end
  return "{ " .. concat(parts, ", ") .. " }"
end

local function has(meta, name)
  return type(meta) == "table" and rawget(meta, name) ~= nil
end

-- A value as messages show it.
function shown(value, depth, around)
  local kind = type(value)
  if kind == "string" then
    return clipped(value, 1, quoted)
  elseif value == nil or kind == "boolean" or kind == "number" then
    return tostring(value)
  elseif rawequal(value, core.null) then
    return "null"
  elseif kind == "table" and not has(metatable_of(value), "__tostring") then
    return shown_table(value, depth or 0, around or {})
  end
  local ok, text = pcall(tostring, value)
  return ok and type(text) == "string" and clipped(text, 1, tostring) or kind
end

core.shown_value = shown

local function step_into(path, key)
  if is_name(key) then
    return path .. "." .. key
  end
  return path .. "[" .. shown(key, DEEPEST) .. "]"
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

-- Paths are written once they are told: nearly all values are equal.
local function written(path)
  if path == nil then
    return ""
  end
  return step_into(written(path.around), path.key)
end

local function differ(state, path, actual, expected)
  state.count = state.count + 1
  if state.count <= state.most then
    local found = { path = written(path), actual = actual, expected = expected }
    state.found[state.count] = found
  end
end

local compare

local function compare_member(state, path, key, actual, expected)
  if not plainly_equal(actual, expected) then
    compare(state, { around = path, key = key }, actual, expected)
  end
end

local function compare_tables(state, path, actual, expected)
  for _, key in ipairs(keys_of(expected, state.most > 0)) do
    compare_member(state, path, key, rawget(actual, key), rawget(expected, key))
    if state.count > state.most then
      return
    end
  end
  for _, key in ipairs(state.part and {} or keys_of(actual, state.most > 0)) do
    if rawget(expected, key) == nil then
      compare_member(state, path, key, rawget(actual, key), nil)
    end
  end
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

function compare(state, path, actual, expected)
  if state.count > state.most or plainly_equal(actual, expected) then
    return
  elseif type(actual) ~= "table" or type(expected) ~= "table" then
    return differ(state, path, actual, expected)
  end
  local verdict = own_verdict(actual, expected)
  if verdict ~= nil then
    return verdict or differ(state, path, actual, expected)
  elseif is_known(state, actual, expected) then
    return
  elseif not (state.part and part_of_list(state, path, actual, expected)) then
    compare_tables(state, path, actual, expected)
  end
end

local function walk(actual, expected, part, most)
  local state = { known = {}, count = 0, found = {}, most = most, part = part }
  compare(state, nil, actual, expected)
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
    and (#expected > MOST_BYTES or #actual > MOST_BYTES)
  if not long then
    return "expected " .. shown(expected) .. ", got " .. shown(actual)
  end
  local at = first_difference(expected, actual)
  local from = at > MOST_BYTES and at - 20 or 1
  return format(
    "expected %s, got %s (they part at byte %d)",
    clipped(expected, from, quoted),
    clipped(actual, from, quoted),
    at
  )
end

local function described(difference)
  local place = difference.path ~= "" and "at " .. difference.path .. ": " or ""
  return place .. both_shown(difference.expected, difference.actual)
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
