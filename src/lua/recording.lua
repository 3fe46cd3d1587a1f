-- Recording: what of an event can be kept, and events that are there already told again.
local core = ...

local error, getmetatable, next, pcall, rawget = error, getmetatable, next, pcall, rawget
local rawset, setmetatable, tostring, type = rawset, setmetatable, tostring, type
local format = string.format

-- Nesting of an event that can be kept.
local MAX_DEPTH = 100

local function path_of(path, key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then
    return path == "" and key or path .. "." .. key
  end
  return format("%s[%s]", path, type(key) == "string" and format("%q", key) or tostring(key))
end

local strip

-- Whether a value can be kept as it is, where it is no table.
local function is_plain(value)
  local kind = type(value)
  if kind == "number" then
    return value == value and value ~= 1 / 0 and value ~= -1 / 0
  end
  return kind == "string" or kind == "boolean" or value == core.null
end

local function is_key(key, table_)
  if type(key) == "number" then
    return key % 1 == 0 and rawget(table_, tostring(key)) == nil
  end
  return type(key) == "string"
end

local function strip_table(value, path, left_out, around)
  local copy = {}
  around[value] = true
  for key, member in next, value do
    local at = path_of(path, key)
    local kept
    if is_key(key, value) then
      kept = strip(member, at, left_out, around)
    else
      left_out[#left_out + 1] = at
    end
    if kept ~= nil then
      rawset(copy, key, kept)
    end
  end
  around[value] = nil
  local meta = getmetatable(value)
  if meta == core.metas[3] and #left_out > 0 and next(copy, #copy > 0 and #copy or nil) then
    meta = nil -- an array with a hole is none
  end
  if meta == core.metas[3] or meta == core.metas[4] then
    setmetatable(copy, meta)
  end
  return copy
end

-- A copy without what cannot be kept, whose paths go into `left_out`.
function strip(value, path, left_out, around)
  if type(value) == "table" then
    around.depth = around.depth + 1
    local copy
    if not around[value] and around.depth <= MAX_DEPTH then
      copy = strip_table(value, path, left_out, around)
    else
      left_out[#left_out + 1] = path
    end
    around.depth = around.depth - 1
    return copy
  elseif is_plain(value) then
    return value
  end
  left_out[#left_out + 1] = path
end

-- The event without what cannot be kept, and which says so.
local function stripped(event)
  local left_out = {}
  local copy = strip(event, "", left_out, { depth = 0 })
  copy.unrecorded = left_out
  return copy
end

local record_event = core.record_event

-- Records an event. What fails, and what could not be kept of it, is raised once it is recorded;
-- not for the event that tells of such errors, or there would be no end.
function core.record(event)
  if event.replayed then
    return
  end
  local ok, err = pcall(record_event, event)
  if ok then
    return
  elseif core.is_error(err) and err.code == "conversion_error" then
    local again, second = pcall(record_event, stripped(event))
    err = again and err or second
  end
  if event.name ~= "system.handler_error" then
    error(err, 0)
  end
end

core.set_emitter(function(event)
  return core.emit_event(event)
end)

return core
