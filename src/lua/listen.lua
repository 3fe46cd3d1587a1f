-- Calls of a function that its machine listens to: a transport. What the function says while it
-- runs, with `request.stream(bytes)`, steps the machine, which may deliver chunks before it hears
-- more. So the chunks of an answer arrive while the function is still reading it.
local core = ...

local perform, proceed, called = core.perform, core.proceed, core.called
local earliest, raise, within = core.earliest, core.raise, core.within
local next, rawget, select, type = next, rawget, select, type
local unpack = table.unpack or unpack -- luacheck: ignore

-- As in drive.lua.
local HEARD, DONE, FAIL, LISTEN = 7, 1, 2, 8

-- Performs what the machine asks for until it wants to hear more or has ended.
local function converse(context, machine, verb, ...)
  if verb == LISTEN or verb == DONE or verb == FAIL then
    return verb, ...
  end
  return converse(context, machine, perform[verb](context, machine, ...))
end

local function add(list, name, value)
  local kind = type(value)
  if kind == "string" or kind == "number" then
    list[#list + 1] = name
    list[#list + 1] = "" .. value
  end
end

-- Names and values, one after the other; a header may have several values.
local function flat(headers)
  local list = {}
  for name, value in next, type(headers) == "table" and headers or {} do
    if type(name) == "string" and type(value) == "table" then
      for i = 1, #value do
        add(list, name, rawget(value, i))
      end
    elseif type(name) == "string" then
      add(list, name, value)
    end
  end
  return list
end

-- What the function returned as its machine reads it: plain, without metatables and other fields.
local function answer(reply)
  if type(reply) ~= "table" then
    return {
      flaw = "it returned a " .. type(reply) .. ", not a table with status, headers and body",
    }
  end
  local status, body = rawget(reply, "status"), rawget(reply, "body")
  if status == nil then
    return { flaw = "it returned no status" }
  elseif type(status) ~= "number" then
    return { flaw = "status: expected a number, got a " .. type(status) }
  elseif body ~= nil and type(body) ~= "string" then
    return { flaw = "body: expected a string, got a " .. type(body) }
  end
  return { status = status, body = body, headers = flat(rawget(reply, "headers")) }
end

-- An error object may stand where a message is expected.
local function returned(context, machine, ok, reply, message)
  if not ok then
    return called(context, machine, false, reply)
  elseif reply ~= nil then
    return called(context, machine, true, answer(reply))
  elseif core.is_error(message) then
    return called(context, machine, false, message)
  end
  return called(context, machine, true, nil, message ~= nil and core.describe(message) or nil)
end

-- `inner` is the context of what the function does, `context` that of the machine itself.
function core.listen(context, inner, machine, fn, request)
  local over, busy, ended = false, false, nil

  local function answered(verb, ...)
    busy = false
    if verb == LISTEN then
      local more, limit = ...
      inner.deadline = earliest(limit, context.deadline)
      return more
    end
    ended = { n = select("#", ...) + 1, verb, ... }
    return false
  end

  function request.stream(bytes)
    if over or ended then
      return false
    elseif type(bytes) ~= "string" then
      raise("invalid_argument", "request.stream: bytes: expected a string, got a " .. type(bytes))
    elseif busy then
      raise(
        "invalid_state",
        "request.stream: a stream callback cannot hand over pieces of its own answer"
      )
    end
    busy = true
    return answered(converse(context, machine, proceed(context, machine, HEARD, bytes)))
  end

  local function back(...)
    over = true
    if ended then
      return unpack(ended, 1, ended.n)
    end
    return returned(context, machine, ...)
  end
  return back(within(inner, fn, request))
end

return core
