-- Mocks: functions and objects that stand for others, and remember how they were called.
local core = ...

local lua, pause, said = core.lua, core.pause, core.said
local error, ipairs, next = error, ipairs, next
local rawget, rawset, select = rawget, rawset, select
local getmetatable, tostring, type = getmetatable, tostring, type
local huge = math.huge
local unpack = table.unpack or unpack -- luacheck: ignore

-- What definitions of each type may say, besides what all may.
local COMMON = { name = true, type = true }
local FIELDS_OF = {
  ["function"] = {
    returns = true,
    sequence = true,
    implementation = true,
    error = true,
    delay_ms = true,
  },
  object = { methods = true },
}

local function refuse(path, text)
  core.raise("invalid_argument", path .. ": " .. text, "test.create_mock")
end

-- What was handed over is noted as it was then.
local function copied_all(...)
  local copied, all = core.copier(true), { n = select("#", ...) }
  for i = 1, all.n do
    all[i] = copied((select(i, ...)))
  end
  return all
end

-- What a function mock raises.
local function raised(given)
  local described = type(given) == "table"
    and not core.is_error(given)
    and type(rawget(given, "code")) == "string"
  if described then
    local message = rawget(given, "message") or rawget(given, "code")
    local fields = {}
    for key, value in next, given do
      if key ~= "code" and key ~= "message" then
        fields[key] = value
      end
    end
    return core.new_error(rawget(given, "code"), tostring(message), fields)
  end
  return given
end

-- Its values may be nil: then `n` says how many they are.
local function check_sequence(sequence, path)
  for key in next, sequence or {} do
    if type(key) ~= "number" and key ~= "n" then
      local text = "expected an array of values, got the key " .. core.shown_value(key)
      refuse(path .. ".sequence", text)
    end
  end
end

local function check_delay(ms, path)
  if ms and not (ms >= 0 and ms < huge) then
    refuse(path .. ".delay_ms", "expected a number of milliseconds, got " .. tostring(ms))
  end
end

local function from_sequence(state, list)
  local length = rawget(list, "n") or #list
  state.at = state.at < length and state.at + 1 or length
  return rawget(list, state.at)
end

-- The function that answers for a definition.
local function answer_of(definition, state)
  local implementation, sequence = said(definition, "implementation"), said(definition, "sequence")
  local failure = said(definition, "error")
  if implementation then
    return implementation
  elseif sequence then
    return function()
      return from_sequence(state, sequence)
    end
  elseif failure ~= nil then
    return function()
      error(raised(failure), 0)
    end
  end
  return function()
    return rawget(definition, "returns")
  end
end

local EXCLUSIVE = { "returns", "sequence", "implementation", "error" }

local function check_one_answer(definition, path)
  local first
  for _, name in ipairs(EXCLUSIVE) do
    if said(definition, name) ~= nil then
      if first then
        refuse(path, ("has both %s and %s: a mock answers in one way"):format(first, name))
      end
      first = name
    end
  end
end

local function note(call, ok, ...)
  call.ok = ok
  if not ok then
    call.error = (...)
    error((...), 0)
  end
  call.results = copied_all(...)
  call.result = call.results[1]
  return ...
end

local function answered(state, call, ...)
  if state.delay_ms then
    pause(core.now() + state.delay_ms)
  end
  return note(call, core.guarded(state.answer, ...))
end

-- Notes a call and answers it; `object` is what the mock is a method of.
local function called(state, mock, object, ...)
  if state.restored then
    local text = core.mock_label(state, mock) .. " has been restored"
    core.raise("invalid_state", text, "test.create_mock")
  end
  local call = { args = copied_all(...) }
  state.calls[#state.calls + 1] = call
  if object then
    object.note(state.name, call)
  end
  return answered(state, call, ...)
end

local function function_mock(definition, path, object)
  check_one_answer(definition, path)
  check_sequence(said(definition, "sequence"), path)
  check_delay(said(definition, "delay_ms"), path)
  local state = { name = said(definition, "name"), type = "function" }
  state.delay_ms = said(definition, "delay_ms")
  state.answer = answer_of(definition, state)
  function state.call(mock, ...)
    -- `object:method(…)` hands over the object, which is no argument.
    if object then
      return called(state, mock, object, core.without_mock(object.mock, ...))
    end
    return called(state, mock, nil, ...)
  end
  return core.new_mock(state)
end

-- Whether a member of `methods` is a definition, and not a value that the method returns.
local function is_definition(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil or next(value) == nil then
    return false
  end
  for key in next, value do
    if not (COMMON[key] or FIELDS_OF["function"][key]) then
      return false
    end
  end
  return true
end

local function method_mock(name, value, path, object)
  local definition = { returns = value }
  if type(value) == "function" then
    definition = { implementation = value }
  elseif is_definition(value) then
    definition = core.copier(true)(value)
  end
  definition.name = name
  return function_mock(definition, path, object)
end

local function check_method(name, path, mock)
  if type(name) ~= "string" then
    refuse(path, "expected names of methods as keys, got a " .. type(name))
  elseif rawget(mock, name) ~= nil then
    refuse(path .. "." .. name, "is a member of every mock: the method needs another name")
  end
end

local function object_mock(definition, path)
  local state = { name = said(definition, "name"), type = "object" }
  local mock = core.new_mock(state)
  local object = { mock = mock }
  function object.note(name, record)
    record.method = name
    state.calls[#state.calls + 1] = record
  end
  local made = {}
  for name, value in next, said(definition, "methods") or {} do
    check_method(name, path .. ".methods", mock)
    made[name] = method_mock(name, value, path .. ".methods." .. name, object)
  end
  for name, method in next, made do
    rawset(mock, name, method)
  end
  function state.on_reset()
    for _, method in next, made do
      method.reset()
    end
  end
  function state.on_restore()
    for _, method in next, made do
      method.restore()
    end
  end
  return mock
end

local makers = { ["function"] = function_mock, object = object_mock }
core.mock_makers = makers

core.mock_fields = FIELDS_OF

local function check_fields(definition, kind, path)
  for key in next, definition do
    if not (COMMON[key] or FIELDS_OF[kind][key]) and said(definition, key) ~= nil then
      local what = kind == "server" and "service" or kind
      refuse(path .. "." .. tostring(key), ("a mock of type %s has no such field"):format(what))
    end
  end
end

-- Which type a definition is of, where it does not say.
local function type_of(definition)
  local kind = said(definition, "type")
  if kind then
    return kind:lower()
  elseif said(definition, "methods") then
    return "object"
  elseif said(definition, "provider") or said(definition, "responses") then
    return "service"
  end
  return "function"
end

-- Which maker makes it: a service may be a server.
local function kind_of(definition)
  local kind = type_of(definition)
  return kind == "service" and said(definition, "transport") and "server" or kind
end

-- A mock of a definition that has the types it should have; `path` is how messages call it.
function core.make_mock(definition, path)
  local kind = kind_of(definition)
  check_fields(definition, kind, path)
  return makers[kind](definition, path)
end

function lua.create_mock(definition)
  return core.make_mock(definition, "definition")
end

return core
