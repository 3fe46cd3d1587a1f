-- One normal form, whoever answers: every protocol against a scripted server, and a real model
-- behind llama.cpp's own. The model inside the module has the same spec in local_spec.
local zigllms = require("zigllms")
local llama = require("spec.support.llama_server")
local normal_form = require("spec.support.normal_form")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

local busted = { describe = describe, it = it, before_each = before_each, teardown = teardown }

-- OpenAI's chat among the others.
local chat = { text = scripted.text, calls = scripted.calls, failure = scripted.failure }

function chat.config(server)
  return { type = "local", base_url = server.url, model = "m", retry = false }
end

function chat.cut(piece)
  local reply = scripted.text(piece)
  reply.sse = { reply.sse[1], reply.sse[2], scripted.null }
  return reply
end

function chat.length(piece)
  return scripted.text(piece, { finish = "length" })
end

chat.models = { data = { { id = "b" }, { id = "a", meta = { n_ctx_train = 8192 } } } }

-- Other words in the events of a reply.
local function replaced(reply, words)
  for i, text in ipairs(reply.chunks) do
    for word, other in pairs(words) do
      text = text:gsub(word, other)
    end
    reply.chunks[i] = text
  end
  return reply
end

local function length_of(wire, words)
  return function(piece)
    return replaced(wire.text(piece), words)
  end
end

local LENGTHS = {
  messages = { ["end_turn"] = "max_tokens" },
  cohere = { ["COMPLETE"] = "MAX_TOKENS" },
  ollama = { ['"done_reason":"stop"'] = '"done_reason":"length"' },
  responses = {
    ["response%.completed"] = "response.incomplete",
    ['"status":"completed"'] = '"status":"incomplete",'
      .. '"incomplete_details":{"reason":"max_output_tokens"}',
  },
}
for name, words in pairs(LENGTHS) do
  wires[name].length = length_of(wires[name], words)
end

local TOO_LONG = {
  chat = "This model's maximum context length is 8192 tokens.",
  responses = "Your input exceeds the context window of this model.",
  messages = "prompt is too long: 200001 tokens > 200000 maximum",
  cohere = "too many tokens: the total number of tokens in the prompt cannot exceed 4081",
  ollama = "the prompt exceeds the context length of the model",
}

local UNSUPPORTED = {
  chat = { { "prompt_cache", "1h" } },
  responses = { { "stop", "x" }, { "seed", 1 } },
  messages = { { "seed", 1 }, { "presence_penalty", 1 } },
  cohere = { { "tool_choice", { name = "add" }, tools = true } },
  ollama = { { "tool_choice", "required", tools = true } },
}

local STOPS = { responses = false }
local SEEDS = { responses = false, messages = false }

local function target_of(name, wire)
  local server = scripted.start()
  local reply = {}

  function reply.text(pieces)
    return wire.text(pieces)
  end

  function reply.length(piece)
    return wire.length(piece)
  end

  function reply.call(text)
    return wire.calls({ { "c1", "add", '{"a":2,"b":3}' } }), text and wire.text(text)
  end

  function reply.slow(piece)
    return scripted.with(wire.cut(piece), { stall_ms = 20000 })
  end

  function reply.late()
    return scripted.with(wire.text("late"), { delay_ms = 20000 })
  end

  function reply.too_long()
    return wire.failure(400, TOO_LONG[name])
  end

  function reply.models()
    return { json = wire.models }
  end

  return {
    name = name .. " over HTTP",
    images = true,
    counts_early = name == "messages",
    seed = SEEDS[name] == nil,
    stops = STOPS[name] == nil,
    unsupported = UNSUPPORTED[name],
    create = function(config)
      config = scripted.with(wire.config(server), config)
      config.model = wire.model or config.model
      return zigllms.provider.create(config)
    end,
    script = function(kind, ...)
      server:script(reply[kind](...))
    end,
    stop = function()
      server:stop()
    end,
  }
end

for name, wire in pairs({
  chat = chat,
  responses = wires.responses,
  messages = wires.messages,
  cohere = wires.cohere,
  ollama = wires.ollama,
}) do
  normal_form(target_of(name, wire), busted)
end

local why = llama.missing()
if why then
  print("SKIP a real model over HTTP: " .. why)
else
  local server
  normal_form({
    name = "a real model behind llama.cpp's server",
    real = true,
    images = false,
    images_code = "server_error",
    seed = true,
    stops = true,
    patience = 5000,
    window = ("word "):rep(3000),
    unsupported = { { "prompt_cache", "1h" } },
    create = function(config)
      server = server or llama.start(2048)
      config.type, config.base_url, config.retry = "llamacpp", server.url, false
      return zigllms.provider.create(config)
    end,
    stop = function()
      server.stop()
    end,
  }, busted)
end
