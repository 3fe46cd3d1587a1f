-- `hook.compose`: one hook made of several.
local core = ...

local lua, taken, LEFT = core.lua, core.taken, core.left
local ipairs, pcall, rawequal = ipairs, pcall, rawequal
local rawget, rawset = rawget, rawset
local unpack = table.unpack or unpack -- luacheck: ignore

local function same(data)
  return data
end

-- What a function made of the working value in its table: as `taken`.
local function made(info, left, before, value)
  return taken({ value = value, info = info }, before, unpack(left))
end

local function put(info, left, value)
  for _, key in ipairs(left) do
    rawset(info, key, value)
  end
end

-- Each takes the functions and the type of the composed hook.
local compositions = {}

function compositions.sequential(functions, kind)
  local left = LEFT[kind]
  return function(info, next_one)
    local value, before = info.data, info.data
    for _, fn in ipairs(functions) do
      local returned, reason = fn(info, next_one or same)
      if returned == false and kind == "pre" then
        return false, reason
      end
      value = made(info, left, value, returned)
      put(info, left, value)
    end
    if not rawequal(value, before) then
      return value
    end
  end
end

-- The first one outermost.
local function nested(functions)
  return function(info, next_one)
    local function from(i)
      if not functions[i] then
        return next_one
      end
      return function(data)
        if data ~= nil then
          put(info, LEFT.pre, data)
        end
        local value = functions[i](info, from(i + 1))
        if value ~= nil then
          rawset(info, "result", value)
        end
        return rawget(info, "result")
      end
    end
    return from(1)()
  end
end

function compositions.parallel(functions, kind)
  local left = LEFT[kind]
  return function(info, next_one)
    local data, results = info.data, {}
    for i, fn in ipairs(functions) do
      put(info, left, data)
      local returned, reason = fn(info, next_one or same)
      if returned == false and kind == "pre" then
        return false, reason
      end
      local value = made(info, left, data, returned)
      results[i] = value == nil and core.null or value
    end
    return results
  end
end

function compositions.first(functions)
  return function(info, next_one)
    for _, fn in ipairs(functions) do
      local returned, reason = fn(info, next_one or same)
      if returned ~= nil then
        return returned, reason
      end
    end
  end
end

function lua.compose(ids, how)
  local name, kind, priority, mode, functions =
    core.answered("hook", "compose", pcall(core.parts_of, ids, how))
  local compose = compositions[mode]
  if kind == "around" and mode == "sequential" then
    compose = nested
  end
  local id = core.add_hook(name, kind, priority, compose(functions, kind))
  core.refresh_hooks()
  return id
end

return core
