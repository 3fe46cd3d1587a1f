-- Recording: what of an event can be kept, and events that are there already told again.
local core = ...

local error, getmetatable, next, pcall, rawget = error, getmetatable, next, pcall, rawget
local rawset, setmetatable, tostring, type = rawset, setmetatable, tostring, type
local format = string.format

-- Nesting and size of an event that can be kept, and how many paths it names that were left out.
local MAX_DEPTH, MOST_VALUES, MOST_PATHS = 100, 1000000, 100

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

local function leave_out(path, state)
  if #state.left_out < MOST_PATHS then
    state.left_out[#state.left_out + 1] = path
  end
end

local function strip_table(value, path, state)
  local copy, whole = {}, true
  for key, member in next, value do
    local at, kept = path_of(path, key), nil
    if is_key(key, value) then
      kept = strip(member, at, state)
    else
      leave_out(at, state)
    end
    if kept == nil then
      whole = false
    else
      rawset(copy, key, kept)
    end
  end
  local meta = getmetatable(value)
  -- An array with a hole is none.
  if meta == core.metas[3] and whole or meta == core.metas[4] then
    setmetatable(copy, meta)
  end
  return copy
end

-- A copy without what cannot be kept; says in `state` what that is.
function strip(value, path, state)
  state.values = state.values + 1
  if state.values > MOST_VALUES then
    return leave_out(path, state)
  elseif type(value) ~= "table" then
    if is_plain(value) then
      return value
    end
    return leave_out(path, state)
  elseif state.around[value] or state.depth >= MAX_DEPTH then
    return leave_out(path, state)
  end
  state.depth, state.around[value] = state.depth + 1, true
  local copy = strip_table(value, path, state)
  state.depth, state.around[value] = state.depth - 1, nil
  return copy
end

-- The event without what cannot be kept, and which says so.
local function stripped(event)
  local state = { left_out = {}, around = {}, depth = 0, values = 0 }
  local copy = strip(event, "", state)
  copy.unrecorded = state.left_out
  return copy
end

local record_event = core.record_event

-- Records an event. What fails, and what could not be kept of it, is raised once it is recorded;
-- not for the event that tells of such errors, or there would be no end.
function core.record(event)
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
