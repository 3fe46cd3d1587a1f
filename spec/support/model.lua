-- A model whose answers a spec scripts, made of the module's own test bridge: a service mock that
-- stands in for a provider. Replies are written in neutral words and said in those of the
-- provider's own protocol, so that one script serves for every provider.
local zigllms = require("zigllms")

local model = {}
local methods = {}
methods.__index = methods

-- A model behind the provider of an id, or behind all of a type; without one, of type "openai".
-- More of the mock's definition stands in `definition`: `transport = "http"` makes it a server.
-- `module` is the instance of the module whose provider it is.
function model.new(provider, definition, module)
  local self = { provider = provider or "openai", definition = definition or {} }
  self.module = module or zigllms
  return setmetatable(self, methods)
end

-- A reply without the words that say for which requests it is.
local function said(reply)
  if type(reply) ~= "table" then
    return reply
  end
  local response = {}
  for key, value in pairs(reply) do
    response[key] = value
  end
  response.when, response.again = nil, nil
  return response
end

-- The first reply that is for the request: `when` is a text that must be in it. A reply is given
-- once, or `again` and again.
local function next_reply(replies, request)
  local asked = request.raw or zigllms.output.format(request.body, "json")
  for place, reply in ipairs(replies) do
    if type(reply) ~= "table" or asked:find(reply.when or "", 1, true) then
      return said(reply.again and reply or table.remove(replies, place))
    end
  end
  error(zigllms.error("invalid_state", "the script is over"), 0)
end

-- What the mock is to say: a list, or a function where it depends on who asks.
local function responses_of(replies)
  local list, picks = {}, #replies == 0
  for i, reply in ipairs(replies) do
    list[i] = said(reply)
    picks = picks or type(reply) == "table" and reply.when ~= nil
  end
  return not picks and list or function(request)
    return next_reply(replies, request)
  end
end

-- Replaces the script, and clears the journal. A reply is as the mock takes it, perhaps with a
-- `when`; the last one may be given `again`, and is if it is a function.
function methods.script(self, ...)
  local replies = { ... }
  local last = replies[#replies]
  if self.mock then
    self.mock:restore()
  end
  local definition = { type = "service", provider = self.provider }
  for key, value in pairs(self.definition) do
    definition[key] = value
  end
  definition.responses = responses_of(replies)
  definition.repeat_last = type(definition.responses) == "function"
    or type(last) == "function"
    or type(last) == "table" and last.again == true
  self.mock = self.module.test.create_mock(definition)
end

-- The bodies of all requests so far, as its provider's server would get them.
function methods.requests(self)
  local bodies = {}
  for i, call in ipairs(self.mock:calls()) do
    bodies[i] = call.body
  end
  return bodies
end

function methods.count(self)
  return self.mock:call_count()
end

local function eventually(self, holds)
  for _ = 1, 4000 do
    local value = holds()
    if value then
      return value
    end
    self.module.sleep(5)
  end
  error("the model never saw what was waited for")
end

-- Waits until there were `n` requests.
function methods.wait_for(self, n)
  eventually(self, function()
    return self:count() >= n
  end)
end

-- Waits until the client of the first request has hung up on its server: after how many
-- milliseconds.
function methods.hung_up(self)
  return eventually(self, function()
    local call = self.mock:calls()[1]
    return call and call.gone_after_ms
  end)
end

-- Where its server is, for programs that are not this one.
function methods.url(self)
  return self.mock.base_url .. "/v1"
end

-- A fresh module whose model this is, without retries. Mocks end with a reset: it is made anew.
function methods.begin(self)
  self.module.reset()
  self.module.provider.configure(self.provider, { retry = false })
  self:script()
end

-- The same for `before_each`.
function methods.as_default(self)
  return function()
    self:begin()
  end
end

-- How a provider is configured that speaks each protocol.
model.protocols = {
  openai = { type = "openai" },
  responses = { type = "openai", api = "responses" },
  anthropic = { type = "anthropic" },
  cohere = { type = "cohere" },
  ollama = { type = "local", api = "ollama" },
}

-- A model that speaks one of them, and the provider that it is behind.
function model.speaking(protocol)
  local config = { model = "m", retry = false }
  for key, value in pairs(model.protocols[protocol]) do
    config[key] = value
  end
  local id = zigllms.provider.create(config)
  local self = model.new(id)
  self.protocol = protocol
  return self, id
end

-- Replies ----------------------------------------------------------------------------------------

function model.usage(prompt, completion)
  return { prompt_tokens = prompt, completion_tokens = completion }
end

-- A reply with more in it.
function model.with(reply, extra)
  for key, value in pairs(extra or {}) do
    reply[key] = value
  end
  reply.usage = reply.usage or model.usage(10, 5)
  return reply
end

-- A text, or the pieces in which it is streamed.
function model.text(text, extra)
  return model.with(type(text) == "table" and { pieces = text } or { content = text }, extra)
end

-- One that asks for tools, each {id, name, arguments as text}.
function model.calls(calls, extra)
  local tool_calls = {}
  for i, call in ipairs(calls) do
    tool_calls[i] = { id = call[1], name = call[2], arguments = call[3] }
  end
  return model.with({ tool_calls = tool_calls }, extra)
end

-- An error that the provider's server answers.
function model.failure(status, message)
  return { error = { status = status, message = message } }
end

return model
