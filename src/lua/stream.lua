-- `output.stream`: a document that is read while it arrives.
local core = ...

local concat, ipairs, type = table.concat, ipairs, type
local next, rawset, setmetatable = next, rawset, setmetatable
local getmetatable, given = getmetatable, core.given

local stream_mt = core.metas[16]
local methods = {}

-- A text without structure is shown anew when it grew by an eighth, as a string of JSON is.
local GROWTH = 9 / 8

-- The public function, with the checks of its arguments.
local parse
for _, entry in ipairs(core.entries) do
  if entry[1] == "output" and entry[2] == "parse" then
    parse = entry[4]
  end
end

local function own(stream, name)
  local state = core.stream_state(stream)
  if not state then
    core.raise("invalid_argument", "expected a stream, got " .. type(stream), "stream." .. name)
  elseif state.ended then
    core.raise("invalid_state", "the stream is finished", "stream." .. name)
  end
  return state
end

local function json_so_far(stream, state, chunk)
  local fed, complete, broken = core.stream_feed(stream, chunk)
  if not fed then
    core.raise("invalid_state", "the stream is in use", "stream.push")
  end
  state.complete, state.broken = complete, broken
  return state[1], complete
end

local function plain_so_far(state)
  if state.size > state.shown * GROWTH then
    state.text, state.shown = concat(state.pieces), state.size
    state.pieces = { state.text }
  end
  return state.text, false
end

function methods.push(stream, chunk)
  local state = own(stream, "push")
  if type(chunk) ~= "string" then
    local text = "chunk: expected a string, got " .. type(chunk)
    core.raise("invalid_argument", text, "stream.push")
  end
  state.size = state.size + #chunk
  if state.max_bytes and state.size > state.max_bytes then
    local text = ("the text is longer than max_bytes=%d"):format(state.max_bytes)
    core.raise("parse_failed", text, "stream.push")
  end
  state.pieces[#state.pieces + 1] = chunk
  if state.format == "json" then
    return json_so_far(stream, state, chunk)
  elseif state.format == "plain" then
    return plain_so_far(state)
  end
  return nil, false
end

-- Makes the live table what reading the whole text gave.
local function become(live, value)
  for key in next, live do
    live[key] = nil
  end
  for key, member in next, value do
    rawset(live, key, member)
  end
  return setmetatable(live, getmetatable(value))
end

function methods.finish(stream)
  local state = own(stream, "finish")
  state.ended = true
  local text = concat(state.pieces)
  state.pieces = nil
  local value, info = state.parse(text, state.options)
  local live = state[1]
  if type(live) ~= "table" or type(value) ~= "table" then
    return value, info
  elseif state.complete and not state.guided and not info.recovered then
    return live, info
  end
  return become(live, value), info
end

stream_mt.__index = methods
stream_mt.__name = "zigllms.stream"
stream_mt.__metatable = "zigllms.stream"

function stream_mt.__tostring(stream)
  local state = core.stream_state(stream)
  return ("stream of %s, %d bytes%s"):format(
    state.format,
    state.size,
    state.ended and ", finished" or ""
  )
end

-- What the options say, under `format` as given beside them.
local function options_of(format, options)
  local copy = {}
  for key, value in next, options or {} do
    copy[key] = value
  end
  copy.format = (given(format) or given(copy.format) or "json"):lower()
  return copy
end

function core.lua.stream(format, options)
  local read = options_of(format, given(options))
  local state = {
    format = read.format,
    options = read,
    parse = parse,
    pieces = {},
    size = 0,
    shown = 0,
    max_bytes = given(read.max_bytes),
    guided = given(read.schema) ~= nil or given(read.fields) ~= nil,
  }
  return core.stream_new(state, given(read.max_depth) or 100)
end

return core
