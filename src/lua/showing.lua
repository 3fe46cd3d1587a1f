-- Values as messages show them.
local core = ...

local metatable_of = core.metatable_of
local ipairs, min, next = ipairs, math.min, next
local rawequal, rawget, sort = rawequal, rawget, table.sort
local concat, format = table.concat, string.format
local tonumber, tostring, type = tonumber, tostring, type

-- What a message shows of a value.
local MOST_BYTES, MOST_ITEMS, DEEPEST = 120, 8, 3
local MOST_SORTED = 10000

local function is_name(key)
  return type(key) == "string" and key:find("^[%a_][%w_]*$") ~= nil
end

-- UTF-8 by the first byte, shortest first.
local CHARACTERS = {
  "^[\194-\223][\128-\191]",
  "^\224[\160-\191][\128-\191]",
  "^[\225-\236\238\239][\128-\191][\128-\191]",
  "^\237[\128-\159][\128-\191]",
  "^\240[\144-\191][\128-\191][\128-\191]",
  "^[\241-\243][\128-\191][\128-\191][\128-\191]",
  "^\244[\128-\143][\128-\191][\128-\191]",
}

-- Where the character ends that begins at `at`; nil if none does.
local function end_of_character(text, at)
  for _, pattern in ipairs(CHARACTERS) do
    local _, last = text:find(pattern, at)
    if last then
      return last
    end
  end
end

-- Characters beyond ASCII stay, and other bytes are shown by their numbers.
local function without_stray_bytes(run)
  local parts, at = {}, 1
  while at <= #run do
    local last = end_of_character(run, at)
    parts[#parts + 1] = last and run:sub(at, last) or format("\\%03d", run:byte(at))
    at = (last or at) + 1
  end
  return concat(parts)
end

-- Text on one line, with its ends marked. What is no UTF-8 is shown by its bytes.
local function quoted(text)
  local escaped = text:gsub('[%c"\\\127]', function(char)
    local known = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }
    return known[char] or format("\\%03d", char:byte())
  end)
  return '"' .. escaped:gsub("[\128-\255]+", without_stray_bytes) .. '"'
end

local function is_inside_character(text, at)
  local byte = text:byte(at)
  return byte ~= nil and byte >= 128 and byte < 192
end

-- What is shown of a text that may be long, not cut inside of a character, which has four bytes at
-- most.
local function clipped(text, from, marked, most)
  local upto = from + (most or MOST_BYTES) - 1
  for _ = 1, 3 do
    from = from > 1 and is_inside_character(text, from) and from - 1 or from
    upto = is_inside_character(text, upto + 1) and upto + 1 or upto
  end
  local part = marked(text:sub(from, upto))
  return (from > 1 and "…" or "") .. part .. (upto < #text and "…" or "")
end

core.clipped, core.quoted = clipped, quoted

local OTHERS = 4
local RANK = { boolean = 1, number = 2, string = 3 }

local function rank_of(key)
  return RANK[type(key)] or OTHERS
end

-- How keys are written that have no order of their own. Each is asked once: what it says may not be
-- the same each time.
local function texts_of(keys)
  local texts = {}
  for i = 1, #keys do
    local key = keys[i]
    if rank_of(key) == 1 or rank_of(key) == OTHERS then
      texts[key] = core.describe(key)
    end
  end
  return texts
end

-- Numbers before texts, both in order; whatever else is a key comes last.
local function put_in_order(keys)
  local texts = texts_of(keys)
  sort(keys, function(a, b)
    local left, right = rank_of(a), rank_of(b)
    if left ~= right then
      return left < right
    end
    return (texts[a] or a) < (texts[b] or b)
  end)
end

-- Of very large tables the order is that of `next`.
function core.list_of_keys(value, in_order)
  local keys = {}
  for key in next, value do
    keys[#keys + 1] = key
  end
  if in_order and #keys <= MOST_SORTED then
    put_in_order(keys)
  end
  return keys
end

-- With all its digits, where it is not read back from fewer.
local function shown_number(value)
  local text = tostring(value)
  return (tonumber(text) == value or value ~= value) and text or format("%.17g", value)
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
  local parts, keys, at = {}, core.list_of_keys(value, true), 1
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

function shown(value, depth, around)
  local kind = type(value)
  if kind == "string" then
    return clipped(value, 1, quoted)
  elseif kind == "number" then
    return shown_number(value)
  elseif rawequal(value, core.null) then
    return "null"
  elseif kind == "table" and not has(metatable_of(value), "__tostring") then
    return shown_table(value, depth or 0, around or {})
  end
  return clipped(core.describe(value), 1, tostring)
end

-- A value as messages show it. Only short ones fit into the place of a key.
function core.shown_value(value)
  return shown(value)
end

function core.shown_key(key)
  return shown(key, DEEPEST)
end

core.is_name = is_name

return core
