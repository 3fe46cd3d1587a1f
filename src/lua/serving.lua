-- Service mocks that are real servers on loopback: what their scripts say goes to the core, which
-- serves on threads of its own; functions among the responses run here, each in a task of its own,
-- while this Lua state waits for anything.
local core = ...

local contexts, guarded, self, suspend = core.contexts, core.guarded, core.self, core.suspend
local describe, has_part, is_callable = core.describe, core.has_part, core.is_callable
local ipairs, next, pcall = ipairs, next, pcall
local rawget, rawset, type = rawget, rawset, type

-- Fields by which a table says bytes, and faults that go with any answer.
local BYTES = { status = true, headers = true, body = true, chunks = true }
local FAULTS = { stall_ms = true, reset = true, close_after = true }
-- Fields by which it says something in neutral words.
local WORDS = { content = true, pieces = true, tool_calls = true, thinking = true }
WORDS.usage, WORDS.finish_reason, WORDS.error = true, true, true

local function refuse(path, text)
  core.raise("invalid_argument", path .. ": " .. text, "test.create_mock")
end

local function has_any(value, names)
  for name in next, names do
    if rawget(value, name) ~= nil then
      return true
    end
  end
  return false
end

-- What a vendor's server says, and what goes wrong with it.
local function parted(response)
  local said, sent = {}, {}
  for key, value in next, response do
    local into = (BYTES[key] or FAULTS[key]) and sent or said
    into[key] = value
  end
  return { said = said, sent = sent }
end

local function told_table(response, path)
  if not has_any(response, WORDS) then
    local is_sent = has_any(response, BYTES) or has_any(response, FAULTS)
    return is_sent and { sent = response } or { said = response }
  elseif core.said(response, "body") or core.said(response, "chunks") then
    refuse(path, "says something, and has a body of its own: it can have only one of them")
  end
  return parted(response)
end

-- A response as the core reads it.
local function told(response, path)
  if is_callable(response) then
    return { asked = true }
  elseif type(response) == "string" then
    return { said = response }
  elseif type(response) == "table" then
    return told_table(response, path)
  end
  refuse(path, "expected a string, a table or a function, got " .. core.shown_value(response))
end

-- What a function has answered.
local function answered(said, path)
  if is_callable(said) or said == nil then
    refuse(path, "expected a string or a table, got " .. core.shown_value(said))
  end
  return told(said, path)
end

-- Questions --------------------------------------------------------------------------------------

-- `server` knows its number, and its functions by their places; not its mock, which may be
-- collected.
local function answer(server, question, place, request)
  local ok, said = guarded(server.functions[place], request)
  if ok then
    local path = ("responses[%d](request)"):format(place)
    ok, said = pcall(function()
      core.answer_question(server.number, question, answered(said, path), path)
    end)
  end
  if not ok then
    server.errors[request.number] = said
    local text = "the function that answers this request has failed: " .. describe(said)
    pcall(core.refuse_question, server.number, question, text)
  end
  return true
end

local function ask(server, lives, question, ...)
  if question then
    pcall(core.launch, { aside = true, detached = true }, answer, server, question, ...)
  end
  return lives, question ~= nil
end

local function serve(server, token)
  local context = contexts[self()]
  while true do
    local lives, more = ask(server, core.next_question(server.number))
    if not lives then
      return true
    elseif not more then
      suspend(context, token)
    end
  end
end

local function attend(server, token)
  core.launch({ aside = true, detached = true, reports = true }, serve, server, token)
  core.watch()
end

-- The mock ---------------------------------------------------------------------------------------

local methods = {}

-- With what the function raised that was to answer it.
local function completed(state, call)
  if call then
    call.error = state.server.errors[call.number]
  end
  return call
end

function methods.calls(state)
  local calls = core.server_calls(state.server.number)
  for _, call in ipairs(calls) do
    completed(state, call)
  end
  return calls
end

function methods.call_count(state)
  return core.server_call_count(state.server.number)
end

function methods.last_call(state)
  return completed(state, core.server_last_call(state.server.number))
end

function methods.called_with(state, part)
  for _, call in ipairs(methods.calls(state)) do
    if has_part(call, part) then
      return true
    end
  end
  return false
end

function methods.reset(state)
  state.server.errors = {}
  core.rewind_server(state.server.number)
end

-- The responses as the core reads them, and the functions among them by their places.
local function read(definition, path)
  local all, functions = {}, {}
  local list = core.responses_of(definition, path, function(response, at)
    all[#all + 1] = told(response, at)
  end)
  for place, response in ipairs(list) do
    all[place] = all[place] or told(response, path)
    functions[place] = all[place].asked and response or nil
  end
  return all, functions
end

-- What cannot cross is told by its place in the definition.
local function started(path, ok, ...)
  local err = (...)
  if not ok and core.is_error(err) then
    rawset(err, "message", (err.message:gsub("^responses(%[%d+%])%.%a+", path .. "%1")))
  end
  return core.answered("test", "create_mock", ok, ...)
end

local function start(definition, path)
  local responses, functions = read(definition, path)
  local provider = core.said(definition, "provider")
  local spoken = provider and core.known_provider(pcall(core.dialect_of, provider))
  local dialect = core.said(definition, "dialect") or spoken
  local repeats = rawget(definition, "repeat_last") ~= false
  path = path .. ".responses"
  local number, url, token =
    started(path, pcall(core.start_server, responses, repeats, dialect or "openai", path))
  local server = { number = number, functions = functions, errors = {} }
  server.standing = provider and core.stand_server(number, provider)
  if next(functions) then
    attend(server, token)
  end
  return server, url
end

-- Ends the server of a mock that nobody can reach any more, and that stands in for nobody.
local function guard(server)
  if server.standing then
    return nil
  end
  local number = server.number
  return (core.guard(function()
    pcall(core.forget_server, number)
  end))
end

local function server_mock(definition, path)
  local server, url = start(definition, path)
  local state = { name = core.said(definition, "name"), type = "service", methods = methods }
  state.server, state.sentinel = server, guard(server)
  function state.on_restore()
    core.end_server(server.number)
    if server.standing then
      core.stand_down(server.standing)
    end
  end
  local mock = core.new_mock(state)
  mock.base_url = url
  return mock
end

core.mock_makers.server = server_mock
core.mock_fields.server =
  { provider = true, responses = true, repeat_last = true, transport = true, dialect = true }

return core
