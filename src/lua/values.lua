-- What Lua values are to the chunks: what was given, what can be called, what a copy is.
local core = ...

local debug = debug -- not every host has one
local getmetatable, next, rawequal = getmetatable, next, rawequal
local rawget, setmetatable, type = rawget, setmetatable, type
local null = core.null

-- Metatables as they are, also locked ones, where there is a way to them.
local metatable_of = debug and debug.getmetatable or getmetatable
local set_metatable = debug and debug.setmetatable or setmetatable
core.metatable_of = metatable_of

-- As everywhere, null stands for what is not given.
local function given(value)
  if not rawequal(value, null) then
    return value
  end
end

core.given = given

-- What a table of options says under a name.
function core.said(options, name)
  return given(rawget(options, name))
end

-- What stands under a name in the metatable of a table; nil for any other value.
local function meta_of(value, name)
  local meta = type(value) == "table" and metatable_of(value)
  if type(meta) == "table" then
    return rawget(meta, name)
  end
end

core.meta_of = meta_of

function core.is_callable(value)
  return type(value) == "function" or meta_of(value, "__call") ~= nil
end

-- Copies values with everything in them, as long as it is kept: tables that occur twice occur twice
-- in the copies. Functions, userdata and threads stay themselves; so do, if `plain`, tables with a
-- metatable, which else is kept.
-- Tables may be nested deeper than calls: those that were begun wait on a list.
function core.copier(plain)
  local known, begun, count = {}, {}, 0
  local function begin(value)
    local meta = type(value) == "table" and metatable_of(value)
    if type(value) ~= "table" or (plain and meta ~= nil) then
      return value
    elseif not known[value] then
      known[value], count = {}, count + 1
      begun[count] = value
    end
    return known[value]
  end
  local function fill(value)
    local copy, meta = known[value], metatable_of(value)
    for key, member in next, value do
      copy[begin(key)] = begin(member)
    end
    if meta then
      set_metatable(copy, meta) -- before 5.2 the function of `debug` does not return the table
    end
  end
  return function(value)
    local copy = begin(value)
    while count > 0 do
      local next_one = begun[count]
      begun[count], count = nil, count - 1
      fill(next_one)
    end
    return copy
  end
end

function core.copied(value)
  return core.copier()(value)
end

return core
