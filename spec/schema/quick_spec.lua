-- Compiled schemas answer small questions by a way of their own; it must agree with the long one.
local zigllms = require("zigllms")

local schema = zigllms.schema

local SEED, ROUNDS = 20261122, 4000

-- The same numbers on every engine.
local state = SEED

local function random(n)
  state = (state * 16807) % 2147483647
  return state % n + 1
end

local function one_of(list)
  return list[random(#list)]
end

local NAMES = { "a", "b", "name", "tags" }
local TEXTS = { "", "a", "äö", "celsius", "long text" }

local random_schema

local MAKERS = {
  function()
    return { type = "integer", minimum = random(3) - 2, maximum = random(2) == 1 and 5 or nil }
  end,
  function()
    return { type = one_of({ "number", "boolean", "string", "null" }) }
  end,
  function()
    return { type = "string", minLength = random(3) - 1, maxLength = 4 }
  end,
  function()
    return { type = "string", enum = { "a", "celsius" } }
  end,
  function()
    return { type = { "string", "null", "integer" } }
  end,
  function()
    return {}
  end,
  function(depth)
    return { type = "array", items = random_schema(depth + 1), maxItems = random(4) }
  end,
  function(depth)
    local properties, required = {}, {}
    for _, name in ipairs(NAMES) do
      if random(2) == 1 then
        properties[name] = random_schema(depth + 1)
        if random(3) == 1 then
          required[#required + 1] = name
        end
      end
    end
    local closed = random(2) == 1 and false or nil
    return {
      type = "object",
      properties = properties,
      required = required,
      additionalProperties = closed,
    }
  end,
}

function random_schema(depth)
  return MAKERS[random(depth > 3 and 6 or #MAKERS)](depth)
end

local random_value

local VALUES = {
  function()
    return random(8) - 3
  end,
  function()
    return one_of({ 1.5, -0.5, 3.0, 1e300 })
  end,
  function()
    return one_of(TEXTS)
  end,
  function()
    return random(2) == 1
  end,
  function()
    return zigllms.null
  end,
  function(depth)
    local list = {}
    for i = 1, random(4) - 1 do
      list[i] = random_value(depth + 1)
    end
    return list
  end,
  function(depth)
    local object = {}
    for _, name in ipairs(NAMES) do
      if random(2) == 1 then
        object[name] = random_value(depth + 1)
      end
    end
    return object
  end,
}

function random_value(depth)
  return VALUES[random(depth > 3 and 5 or #VALUES)](depth)
end

-- A value that has a chance to fit.
local function value_for(definition, depth)
  local kind = definition.type
  if kind == "object" and random(8) > 1 then
    local object = {}
    for name, member in pairs(definition.properties) do
      object[name] = value_for(member, depth + 1)
    end
    return object
  elseif kind == "array" and random(8) > 1 then
    local list = {}
    for i = 1, random(3) - 1 do
      list[i] = value_for(definition.items, depth + 1)
    end
    return list
  end
  return random_value(depth)
end

describe("A compiled schema", function()
  it("agrees with itself, whichever way it takes", function()
    local valid = 0
    for round = 1, ROUNDS do
      local definition = random_schema(0)
      local value = random(2) == 1 and random_value(0) or value_for(definition, 0)
      local long = schema.validate(value, definition)
      local compiled = schema.compile(definition)
      local shown = ("round %d, seed %d"):format(round, SEED)
      assert.are.equal(long.valid, (compiled:check(value)), shown)
      assert.are.equal(long.error_count, compiled:validate(value).error_count, shown)
      valid = valid + (long.valid and 1 or 0)
    end
    assert.is_true(valid > ROUNDS / 5, "only " .. valid .. " of the values fit")
  end)
end)
