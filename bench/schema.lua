-- Checking the arguments of tools, against Lua code generated for each schema.
--
-- The peer is written here: it turns a schema into the text of a Lua function that is loaded once,
-- the approach of the best validator in plain Lua. It knows the keywords the cases use, tells
-- objects from arrays as that one does, counts characters, and says in a message what is wrong.
--
-- Each case alternates with its peer in short rounds within one run, and shows the median of the
-- rounds' ratios: a busy machine slows both. The factor says how many times as fast it is.
local zigllms = require("zigllms")

package.path = arg[0]:gsub("[^/]*$", "") .. "lib/?.lua;" .. package.path
local measured = require("measured")

-- Generated validators --------------------------------------------------------------------------

local math_type = math.type

local library = {}

-- Length in characters.
function library.length(text)
  local count = 0
  for i = 1, #text do
    local byte = text:byte(i)
    if byte < 128 or byte >= 192 then
      count = count + 1
    end
  end
  return count
end

if utf8 then
  library.length = utf8.len
end

-- "array", "object", or "table" for an empty table, which may be both.
function library.kind(t)
  local n = #t
  if n == 0 then
    return next(t) == nil and "table" or "object"
  end
  for key in pairs(t) do
    if type(key) ~= "number" or key < 1 or key > n then
      return "object"
    end
  end
  return "array"
end

function library.integer(value)
  if math_type then
    return math_type(value) == "integer" or value % 1 == 0
  end
  return value % 1 == 0
end

local generate

local function quoted(value)
  return ("%q"):format(value)
end

local function fail(code, condition, message)
  code[#code + 1] = ("if %s then return false, %s end"):format(condition, message)
end

local TYPE = {
  string = 'type(v) ~= "string"',
  number = 'type(v) ~= "number"',
  boolean = 'type(v) ~= "boolean"',
  integer = 'type(v) ~= "number" or not library.integer(v)',
}

local function generate_type(code, schema)
  local name = schema.type
  if TYPE[name] then
    fail(code, TYPE[name], quoted("wrong type: expected " .. name .. ", got ") .. " .. type(v)")
  elseif name == "object" or name == "array" then
    code[#code + 1] = 'local kind = type(v) == "table" and library.kind(v)'
    local other = name == "object" and "array" or "object"
    fail(
      code,
      ('not kind or kind == "%s"'):format(other),
      quoted("wrong type: expected " .. name .. ", got ") .. " .. type(v)"
    )
  end
end

local function generate_limits(code, schema)
  if schema.minimum then
    fail(
      code,
      ('type(v) == "number" and v < %s'):format(schema.minimum),
      quoted("expected at least " .. schema.minimum .. ", got ") .. " .. v"
    )
  end
  if schema.maximum then
    fail(
      code,
      ('type(v) == "number" and v > %s'):format(schema.maximum),
      quoted("expected at most " .. schema.maximum .. ", got ") .. " .. v"
    )
  end
  if schema.minLength then
    fail(
      code,
      ('type(v) == "string" and library.length(v) < %d'):format(schema.minLength),
      quoted("string too short")
    )
  end
  if schema.maxItems then
    fail(code, ('type(v) == "table" and #v > %d'):format(schema.maxItems), quoted("array too long"))
  end
end

local function generate_enum(code, schema, constants)
  if schema.enum then
    local set = {}
    for _, value in ipairs(schema.enum) do
      set[value] = true
    end
    constants[#constants + 1] = set
    fail(
      code,
      ("not constants[%d][v]"):format(#constants),
      quoted("matches none of the enum values")
    )
  end
end

local function sorted(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function generate_properties(code, schema, constants)
  if not schema.properties then
    return
  end
  code[#code + 1] = 'if type(v) == "table" then'
  for _, name in ipairs(schema.required or {}) do
    fail(
      code,
      ("v[%s] == nil"):format(quoted(name)),
      quoted(('property "%s" is required'):format(name))
    )
  end
  for _, name in ipairs(sorted(schema.properties)) do
    constants[#constants + 1] = generate(schema.properties[name])
    code[#code + 1] = ([[do
  local member = v[%s]
  if member ~= nil then
    local ok, message = constants[%d](member)
    if not ok then
      return false, %s .. message
    end
  end
end]]):format(
      quoted(name),
      #constants,
      quoted(('property "%s" validation failed: '):format(name))
    )
  end
  if schema.additionalProperties == false then
    constants[#constants + 1] = schema.properties
    code[#code + 1] = ([[for name in pairs(v) do
  if constants[%d][name] == nil then
    return false, "additional property " .. tostring(name) .. " is not allowed"
  end
end]]):format(#constants)
  end
  code[#code + 1] = "end"
end

local function generate_items(code, schema, constants)
  if not schema.items then
    return
  end
  constants[#constants + 1] = generate(schema.items)
  code[#code + 1] = ([[if type(v) == "table" then
  for i, item in ipairs(v) do
    local ok, message = constants[%d](item)
    if not ok then
      return false, "failed to validate item " .. i .. ": " .. message
    end
  end
end]]):format(#constants)
end

local load = loadstring or load

function generate(schema)
  local constants = {}
  local code = {
    "local library, constants = ...",
    "local type, pairs, ipairs, tostring = type, pairs, ipairs, tostring",
    "return function(v)",
  }
  generate_type(code, schema)
  generate_limits(code, schema)
  generate_enum(code, schema, constants)
  generate_properties(code, schema, constants)
  generate_items(code, schema, constants)
  code[#code + 1] = "return true"
  code[#code + 1] = "end"
  return assert(load(table.concat(code, "\n")))(library, constants)
end

-- Cases -----------------------------------------------------------------------------------------

local ORDER = {
  type = "object",
  additionalProperties = false,
  required = { "city", "days", "unit" },
  properties = {
    city = { type = "string", minLength = 1 },
    days = { type = "integer", minimum = 1, maximum = 14 },
    unit = { type = "string", enum = { "celsius", "fahrenheit" } },
    detailed = { type = "boolean" },
    lang = { type = "string" },
    limit = { type = "number", minimum = 0 },
    at = {
      type = "object",
      additionalProperties = false,
      required = { "lat", "lon" },
      properties = {
        lat = { type = "number", minimum = -90, maximum = 90 },
        lon = { type = "number", minimum = -180, maximum = 180 },
      },
    },
  },
}

local function order()
  return {
    city = "Oslo",
    days = 3,
    unit = "celsius",
    detailed = true,
    lang = "nb",
    limit = 12.5,
    at = { lat = 59.91, lon = 10.75 },
  }
end

local late = order()
late.at.lon = 1000

local early = order()
early.city = nil

local TAGS = { type = "array", items = { type = "string", minLength = 1 } }
local tags = {}
for i = 1, 100 do
  tags[i] = "tag number " .. i
end

local SMALL = {
  type = "object",
  required = { "n" },
  properties = { n = { type = "number" } },
}

local CASES = {
  { "tool arguments, 7 properties, nested", ORDER, order(), true },
  { "the same, wrong at the very end", ORDER, late, false },
  { "the same, wrong at once", ORDER, early, false },
  { "one number", SMALL, { n = 1 }, true },
  { "array of 100 strings", TAGS, tags, true },
}

-- Measuring -------------------------------------------------------------------------------------

local function compare(name, fn, peer)
  local cost, peer_cost, ratio = measured(fn, peer)
  print(("%-52s %9.3f us %9.3f us %8.2f x"):format(name, cost, peer_cost, 1 / ratio))
end

print(
  ("%-52s %12s %12s %10s"):format(
    jit and jit.version or _VERSION,
    "zigllms",
    "generated",
    "as fast"
  )
)
for _, case in ipairs(CASES) do
  local name, definition, data, valid = case[1], case[2], case[3], case[4]
  local compiled, peer = zigllms.schema.compile(definition), generate(definition)
  assert(compiled:check(data) == valid and peer(data) == valid, name)
  compare(name .. ": compiled:check", function()
    return compiled:check(data)
  end, function()
    return peer(data)
  end)
  compare(name .. ": compiled:validate", function()
    return compiled:validate(data)
  end, function()
    return peer(data)
  end)
  compare(name .. ": schema.check(table)", function()
    return zigllms.schema.check(data, definition)
  end, function()
    return peer(data)
  end)
end
