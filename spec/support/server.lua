-- The scripted HTTP server of spec/fixtures/server.py, one per spec file, and replies for it in
-- the shape of OpenAI's chat completions. It ends when the program that started it ends.
--
-- Specs script their models with the test bridge (spec/support/model.lua). This server is for what
-- a mock of the module's own cannot prove or do: bytes on the wire, where a client and a server by
-- the same hands would share a mistake; keys, which mocks mask in what they tell; addresses and
-- keys as parts of what is asked; and hosts and processes that outlive the state of the spec.
local cjson = require("cjson")
local program = require("spec.support.program")

local server = {}

local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)support/[^/]*$") or "spec/"

local methods = {}
methods.__index = methods

-- Starts a server, which says its port first. Commands go to its standard input, answers come back
-- through a pipe.
function server.start(fixture)
  local talk = program.talk("python3 -W ignore " .. here .. "fixtures/" .. (fixture or "server.py"))
  local self = { talk = talk, port = tonumber(talk:line()) }
  self.root = "http://127.0.0.1:" .. self.port
  self.url = self.root .. "/v1"
  return setmetatable(self, methods)
end

function methods.ask(self, command)
  return self.talk:ask(command)
end

-- Replaces the script and clears the journal.
function methods.script(self, ...)
  assert(self:ask("script " .. cjson.encode({ ... }):gsub("^{}$", "[]")) == "ok")
end

function methods.journal(self)
  return cjson.decode(self:ask("journal"))
end

-- The JSON bodies of all requests so far.
function methods.requests(self)
  local bodies = {}
  for i, entry in ipairs(self:journal()) do
    bodies[i] = entry.json or entry.body
  end
  return bodies
end

function methods.count(self)
  return #self:journal()
end

-- Waits until the journal has `n` entries, or `wanted(journal)` is true; `poll` passes the time.
function methods.wait_for(self, wanted, poll)
  for _ = 1, 2000 do
    local journal = self:journal()
    if
      type(wanted) == "number" and #journal >= wanted
      or type(wanted) == "function" and wanted(journal)
    then
      return journal
    end
    poll(5)
  end
  error("the server never saw what was waited for")
end

function methods.stop(self)
  self.talk:stop()
end

-- For `before_each`: a fresh module whose default provider is this server, without retries.
-- `config` says how it is configured, by its `type` which one it is; without it, as OpenAI's.
function methods.as_default(self, zigllms, config)
  config = config or { type = "openai", base_url = self.url, api_key = "test", retry = false }
  return function()
    zigllms.reset()
    zigllms.configure({ default_provider = config.type })
    zigllms.provider.configure(config.type, config)
  end
end

-- A function that asks the default provider, which gets "ok" in the words of a wire for an answer;
-- it gives the body of the request, and its headers.
function methods.asked_by(self, provider, wire)
  return function(messages, options)
    self:script(wire.text("ok"))
    provider.chat(messages, options)
    local request = self:journal()[1]
    return request.json or request.body, request.headers
  end
end

-- For `teardown`: undoes that, and stops the server.
function methods.retired(self, zigllms)
  return function()
    zigllms.reset()
    zigllms.configure({ default_provider = zigllms.null })
    self:stop()
  end
end

-- A port to which no connection is ever made, and one that refuses.
function methods.deaf(self)
  return "http://127.0.0.1:" .. self:ask("deaf") .. "/v1"
end

-- A port whose connections are made by the system and never looked at.
function methods.silent(self)
  return self:ask("silent")
end

-- The end of all of these.
function methods.hang_up(self)
  assert(self:ask("hang_up") == "ok")
end

function methods.refused(self)
  return "http://127.0.0.1:" .. self:ask("refused") .. "/v1"
end

-- A reply with more in it.
local function with(reply, extra)
  for key, value in pairs(extra or {}) do
    reply[key] = value
  end
  return reply
end

server.with = with

local function chunk(delta, finish, rest)
  local choice = { index = 0, delta = delta, finish_reason = finish or cjson.null }
  return with({
    id = "chatcmpl-1",
    object = "chat.completion.chunk",
    created = 1700000000,
    model = "gpt-test",
    choices = { choice },
  }, rest)
end

server.chunk = chunk
server.null = cjson.null
server.empty_array = cjson.empty_array

function server.usage(prompt, completion)
  return {
    prompt_tokens = prompt,
    completion_tokens = completion,
    total_tokens = prompt + completion,
  }
end

local function usage_chunk(usage)
  local last = chunk({}, nil, { usage = usage })
  last.choices = cjson.decode("[]")
  return last
end

-- An answer of text, streamed in pieces.
function server.text(pieces, extra)
  if type(pieces) == "string" then
    pieces = { pieces }
  end
  extra = extra or {}
  local events = { chunk({ role = "assistant", content = "" }) }
  for _, piece in ipairs(pieces) do
    events[#events + 1] = chunk({ content = piece })
  end
  events[#events + 1] = chunk({}, extra.finish or "stop")
  events[#events + 1] = usage_chunk(extra.usage or server.usage(10, 5))
  local reply = { sse = events, headers = { ["x-request-id"] = "req-1" } }
  for key, value in pairs(extra) do
    if key ~= "finish" and key ~= "usage" then
      reply[key] = value
    end
  end
  return reply
end

-- An answer that asks for tools: an array of {id, name, arguments as text}. The arguments come in
-- two fragments.
function server.calls(calls, extra)
  extra = extra or {}
  local events = { chunk({ role = "assistant", content = extra.content or cjson.null }) }
  for i, call in ipairs(calls) do
    local id, name, arguments = call[1], call[2], call[3]
    local half = math.floor(#arguments / 2)
    local function fragment(fields)
      events[#events + 1] = chunk({ tool_calls = { with({ index = i - 1 }, fields) } })
    end
    fragment({ id = id, type = "function", ["function"] = { name = name, arguments = "" } })
    fragment({ ["function"] = { arguments = arguments:sub(1, half) } })
    fragment({ ["function"] = { arguments = arguments:sub(half + 1) } })
  end
  events[#events + 1] = chunk({}, "tool_calls")
  events[#events + 1] = usage_chunk(extra.usage or server.usage(10, 5))
  extra.content, extra.usage = nil, nil
  return with({ sse = events, headers = { ["x-request-id"] = "req-1" } }, extra)
end

-- An error as OpenAI sends it.
function server.failure(status, message, extra)
  extra = extra or {}
  local reply = {
    status = status,
    json = { error = { message = message, type = extra.type or "error", code = extra.code } },
  }
  reply.headers = extra.headers
  reply["repeat"] = extra["repeat"]
  return reply
end

return server
