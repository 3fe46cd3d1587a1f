-- Mocks of services: scripts that answer in place of a provider's server, in its own words.
--
-- A request to a provider that is stood in for goes the way of a request through a user's
-- transport, to the function that the mock has put there. So retries, fallbacks, streams, limits
-- and hooks work on its answers as on those of a server.
local core = ...

local guarded, now, pause = core.guarded, core.now, core.pause
local is_callable, said = core.is_callable, core.said
local error, pcall, rawget, type = error, pcall, rawget, type
local format, next = string.format, next

local FUNC = "test.create_mock"

local function refuse(path, text)
  core.raise("invalid_argument", path .. ": " .. text, FUNC)
end

local function described(value)
  if type(value) ~= "table" then
    return core.shown_value(value)
  end
  local key = next(value)
  return key == nil and "none" or format('a table with the key "%s"', tostring(key))
end

local function check_response(response, path)
  if is_callable(response) then
    return
  end
  local flaw, code = core.reply_flaw(response, path)
  if flaw then
    core.raise(code, flaw, FUNC)
  end
end

-- How many there are; none is left out.
local function items_of(given, path)
  local count = 0
  for _ in next, given do
    count = count + 1
  end
  for i = 1, count do
    if rawget(given, i) == nil then
      refuse(format("%s[%d]", path, i), "expected a response, got nil")
    end
  end
  return count
end

-- The responses of a script; a single text or function is a list of one. `check(response, path)`
-- raises where one of them is wrong.
local function responses_of(definition, path, check)
  local given = said(definition, "responses")
  path = path .. ".responses"
  if type(given) == "string" or is_callable(given) then
    return { given }
  elseif type(given) ~= "table" or rawget(given, 1) == nil then
    refuse(path, "expected an array with at least one response, got " .. described(given))
  end
  local list = {}
  for i = 1, items_of(given, path) do
    check(given[i], format("%s[%d]", path, i))
    list[i] = given[i]
  end
  return list
end

-- The next response and its number.
local function take(state)
  local count = #state.responses
  if state.at < count then
    state.at = state.at + 1
  elseif not state.repeat_last then
    local text = "%s has no response left: it had %d, and repeat_last is false"
    core.raise("invalid_state", text:format(state.label, count))
  end
  return state.responses[state.at], state.at
end

local function asked(state, response, request)
  local ok, reply = guarded(response, request)
  if not ok then
    error(core.wrap(reply, state.label), 0)
  end
  return reply
end

local function wait(ms)
  if ms and ms > 0 then
    pause(now() + ms)
  end
end

-- What the script says to that request, and what it is called; only chats are told it.
local function reply_to(state, arrived)
  local reply, path = nil, ""
  if arrived.request.kind == "chat" then
    local response, at = take(state)
    reply, path = response, format("%s: responses[%d]", state.label, at)
    if is_callable(response) then
      reply, path = asked(state, response, arrived.request), path .. "(request)"
      if reply == nil then
        core.raise("invalid_argument", path .. ": expected a string or a table, got nil")
      end
    end
  end
  return reply, path
end

-- Hands over an answer as a server sends it: errors and documents at once, events one by one.
local function play(answer, arrived)
  wait(answer.delay_ms)
  local chunks, stream = answer.chunks, arrived.stream
  local http = { status = answer.status, headers = answer.headers }
  if #chunks == 1 and not answer.code then
    http.body = chunks[1]
    return http
  end
  for i = 1, #chunks do
    if i > 1 then
      wait(answer.chunk_delay_ms)
    end
    if not stream(chunks[i]) then
      return http
    end
  end
  if answer.code then
    core.raise(answer.code, answer.message)
  end
  return http
end

-- Says a reply in the words of the vendor; it answers the request of that number.
function core.play_reply(reply, path, arrived, number)
  local address, body = arrived.path, arrived.body
  local answer = core.render(reply, path, arrived.dialect, address, body, arrived.model, number)
  return play(answer, arrived)
end

-- There may be no such provider.
local function known(ok, ...)
  return core.answered("test", "create_mock", ok, ...)
end

core.known_provider = known

-- Puts the mock in the provider's place; gives what ends that.
local function stand_in(state, provider)
  local number = 0
  local standing = known(pcall(core.stand_in, provider, function(arrived)
    number = number + 1
    local own = number -- other requests may come while the script is asked
    state.calls[#state.calls + 1] = arrived.request
    local reply, path = reply_to(state, arrived)
    return core.play_reply(reply, path, arrived, own)
  end))
  return function()
    core.stand_down(standing)
  end
end

local function is_match(call, wanted)
  return core.has_part(call, wanted[1])
end

local function service_mock(definition, path)
  local provider = said(definition, "provider")
  if said(definition, "dialect") ~= nil then
    refuse(path .. ".dialect", 'only a server has one: it needs transport="http"')
  elseif provider == nil then
    refuse(path .. ".provider", "expected the id, name or type of a provider, got nil")
  end
  local state = { name = said(definition, "name"), type = "service", is_match = is_match }
  state.responses = responses_of(definition, path, check_response)
  state.repeat_last = said(definition, "repeat_last") ~= false
  local mock = core.new_mock(state)
  state.label = core.mock_label(state, mock)
  state.on_restore = stand_in(state, provider)
  return mock
end

core.responses_of = responses_of
core.mock_makers.service = service_mock
core.mock_fields.service = { provider = true, responses = true, repeat_last = true, dialect = true }

return core
