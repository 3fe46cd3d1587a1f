-- Puts the module table together from the declarations.
local core = ...

local getmetatable, next, pairs, rawget = getmetatable, next, pairs, rawget
local setmetatable = setmetatable
local describe, ended, guarded = core.describe, core.ended, core.guarded
local error, pcall, tostring, type = error, pcall, tostring, type
local unpack = table.unpack or unpack -- luacheck: ignore

local pcall_waits = _VERSION ~= "Lua 5.1" or jit ~= nil
local module = {}

-- Counts how a function written in Lua ended.
local function finished(number, began, ok, ...)
  if not ok then
    local _, code = describe((...))
    ended(number, began, code or "callback_error")
    error((...), 0)
  elseif began then
    ended(number, began)
  end
  return ...
end

-- A function that checks its arguments against the declaration first. `prepare` puts them in order.
local function checked(number, check, implementation, prepare)
  local function run(...)
    local began = check(...)
    -- On Lua 5.1 nobody can wait inside a pcall: there failures are not counted.
    if not pcall_waits then
      return implementation(...)
    end
    return finished(number, began, pcall(implementation, ...))
  end
  if not prepare then
    return run
  end
  return function(...)
    return run(prepare(...))
  end
end

-- Every public function by its full name, and whether it waits.
local public = {}
core.public = public

local function publish(bridge, name, fn, waits)
  if bridge == "" then
    module[name], public[name] = fn, { fn = fn, waits = waits }
    return
  end
  module[bridge] = module[bridge] or {}
  module[bridge][name] = fn
  public[bridge .. "." .. name] = { fn = fn, waits = waits }
end

for _, entry in ipairs(core.entries) do
  local bridge, name, kind, fn, number, short = unpack(entry, 1, 6)
  if kind == "waits" then
    fn = core.waits(fn, bridge .. "." .. name, number)
  elseif kind == "perhaps" then
    fn = core.perhaps(fn, short, bridge .. "." .. name, number)
  elseif kind == "lua" then
    fn = checked(number, fn, core.lua[name], core.prepare[name])
  end
  local wrap = core.wraps[bridge .. "." .. name]
  if wrap then
    fn = wrap(fn, number)
  end
  publish(bridge, name, fn, kind == "waits" or (kind == "lua" and core.waiting[name] or false))
end

core.finish_schema(module.schema)

local function no_member(name)
  return function(_, key)
    core.raise("invalid_argument", "no member " .. tostring(key), name)
  end
end

local function no_writing(name)
  return function()
    core.raise("invalid_argument", "the table is read-only", name)
  end
end

-- Whether this engine's `pairs` asks a table's __pairs.
local sees_pairs = false
local probe = setmetatable({}, {
  __pairs = function()
    sees_pairs = true
    return next, {}, nil
  end,
})
for _ in pairs(probe) do -- luacheck: ignore
end

-- Where `pairs` can be told what to list, members live behind the table, so that also changing one
-- is seen.
local function constant_table(name, members)
  local meta = { __index = no_member(name), __newindex = no_writing(name) }
  if not sees_pairs then
    return setmetatable(members, meta)
  end
  local missing = meta.__index
  function meta.__index(t, key)
    local value = members[key]
    if value == nil then
      missing(t, key)
    end
    return value
  end
  function meta.__pairs()
    return next, members, nil
  end
  return setmetatable({}, meta)
end

for _, constants in ipairs(core.constants) do
  local bridge, name, members = constants[1], constants[2], constants[3]
  module[bridge] = module[bridge] or bridge ~= "" and {} or nil
  local owner = bridge == "" and module or module[bridge]
  owner[name] = constant_table((bridge == "" and "" or bridge .. ".") .. name, members)
end

-- The same functions, returning nil and the error object instead of raising.
local function safe_function(fn)
  local function pack(ok, ...)
    if ok then
      return ...
    end
    return nil, (...)
  end
  return function(...)
    return pack(guarded(fn, ...))
  end
end

local function safe_tree(tree)
  local safe = {}
  for name, value in pairs(tree) do
    if type(value) == "function" then
      safe[name] = safe_function(value)
    elseif type(value) == "table" and getmetatable(value) == nil and name ~= "safe" then
      safe[name] = safe_tree(value)
    else
      safe[name] = value
    end
  end
  return safe
end

local native_info = module.info

-- The engine knows its own patch level; the binary only knows what it was built for.
function module.info()
  local info = native_info()
  info.lua_version = jit and jit.version or _VERSION
  return info
end

local native_configure, native_config = module.configure, module.config

-- The loop is chosen in Lua, after everything has been checked.
function module.configure(...)
  local options = ...
  local loop = type(options) == "table" and rawget(options, "loop") or nil
  if loop == core.null then
    loop = "auto"
  end
  core.check_loop(loop, "configure")
  native_configure(...)
  if loop then
    core.loop(loop)
  end
  return true
end

function module.config()
  local config = native_config()
  config.loop = core.loop()
  return config
end

-- Some were wrapped since they were published.
for name, entry in pairs(public) do
  local bridge, func = name:match("^(.-)%.?([^.]+)$")
  entry.fn = (bridge == "" and module or module[bridge])[func]
end

module.version, module._VERSION = core.version, "zigllms " .. core.version
module.description = "Agents, tools, workflows and language models for Lua, as one native module"
module.null = core.null

-- Built on first use: most programs use one style only.
setmetatable(module, {
  __index = function(t, key)
    if key == "safe" then
      local safe = safe_tree(t)
      t.safe = safe
      return rawget(t, "safe")
    end
  end,
})

return module
