-- What every mock has: a journal of its calls, and the methods that read it.
local core = ...

local next, rawequal, select, setmetatable = next, rawequal, select, setmetatable

local last_number = 0

local function matches(args, wanted)
  if args.n ~= wanted.n then
    return false
  end
  for i = 1, wanted.n do
    if core.compare(args[i], wanted[i]) then
      return false
    end
  end
  return true
end

-- They may be called with `.` as with `:`.
local methods = {}

function methods.calls(state)
  local list = {}
  for i = 1, #state.calls do
    list[i] = state.calls[i]
  end
  return list
end

function methods.call_count(state)
  return #state.calls
end

function methods.last_call(state)
  return state.calls[#state.calls]
end

function methods.called_with(state, ...)
  local wanted = { n = select("#", ...), ... }
  for i = 1, #state.calls do
    if state.is_match(state.calls[i], wanted) then
      return true
    end
  end
  return false
end

function methods.reset(state)
  state.calls, state.at = {}, 0
  if state.on_reset then
    state.on_reset()
  end
end

function methods.restore(state)
  if state.restored then
    return false
  end
  state.restored = true
  if state.on_restore then
    state.on_restore()
  end
  return true
end

local function called_with(call, wanted)
  return matches(call.args, wanted)
end

-- All that was given, without the mock itself.
local function without(mock, ...)
  if select("#", ...) > 0 and rawequal((...), mock) then
    return select(2, ...)
  end
  return ...
end

local function bound(mock, state, method)
  return function(...)
    return method(state, without(mock, ...))
  end
end

-- A mock around a state: `{name, type, calls, is_match?, on_reset?, on_restore?, methods?}`. Where
-- calls are kept elsewhere, `methods` stand for those of the same name.
function core.new_mock(state)
  last_number = last_number + 1
  state.calls, state.at = {}, 0
  state.is_match = state.is_match or called_with
  local mock = { id = "mock_" .. last_number, name = state.name, type = state.type }
  for name, method in next, methods do
    mock[name] = bound(mock, state, state.methods and state.methods[name] or method)
  end
  local label = "zigllms.mock: " .. (state.name or mock.id)
  return setmetatable(mock, {
    __name = "zigllms.mock",
    __call = state.call,
    __tostring = function()
      return label
    end,
  })
end

-- What messages call it.
function core.mock_label(state, mock)
  return state.name and ('the mock "%s"'):format(state.name) or "the mock " .. mock.id
end

core.without_mock = without

return core
