-- A run against a scripted server that touches all that a cassette can hold, and what came of it as
-- one text. The same run, recorded by one engine, must give the same text on another.
local cjson = require("cjson")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")
local zigllms = require("zigllms")

local session = {}

local agent, provider, tool = zigllms.agent, zigllms.provider, zigllms.tool

-- A value as text, with its keys in order.
local function written(value)
  if type(value) ~= "table" then
    return type(value) == "number" and ("%.14g"):format(value) or tostring(value)
  end
  local keys, parts = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for i, key in ipairs(keys) do
    parts[i] = tostring(key) .. "=" .. written(value[key])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

session.written = written

-- What does not depend on how long anything took.
local function told(response)
  local calls = {}
  for i, call in ipairs(response.tool_calls) do
    calls[i] = { call.id, call.name, call.arguments, call.result }
  end
  return {
    content = response.content,
    thinking = response.thinking,
    tool_calls = calls,
    finish_reason = response.finish_reason,
    usage = response.usage,
    model = response.model,
    request_id = response.request_id,
    attempts = response.attempts,
    iterations = response.iterations,
  }
end

-- OpenAI's chat completions, as the others.
local chat = { text = scripted.text, calls = scripted.calls }

function chat.config(server)
  return { type = "openai", base_url = server.url, api_key = wires.KEY, retry = false }
end

function chat.failure(status, words, extra)
  return scripted.failure(status, words, extra)
end

local function wire_of(name)
  return name == "chat" and chat or wires[name]
end

-- The wires that are spoken, in order.
session.names = { "chat", "messages", "responses", "cohere", "ollama" }

local ADD = {
  name = "add",
  description = "Adds two numbers",
  parameters = {
    type = "object",
    properties = { a = { type = "number" }, b = { type = "number" } },
    required = { "a", "b" },
  },
  execute = function(arguments)
    return arguments.a + arguments.b
  end,
}

-- What the server says on one wire.
function session.replies(name)
  local wire = wire_of(name)
  return {
    wire.text("hello wörld"),
    wire.text({ "a", "b", "c" }),
    wire.calls({ { "c1", "add", '{"a":1,"b":2}' } }),
    wire.text("three"),
    wire.failure(429, "slow down", { headers = { ["retry-after"] = "1" } }),
    wire.text("at last"),
    wire.failure(400, "no such thing"),
  }
end

-- The same questions on a wire, and what came of them.
function session.ask(config)
  local id = provider.create(config)
  local seen, pieces = {}, {}
  local function see(value)
    seen[#seen + 1] = written(value)
  end
  see(told(provider.chat("hi", { provider = id, temperature = 1.0, max_tokens = 50 })))
  see(told(provider.stream("go on", function(chunk)
    pieces[#pieces + 1] = chunk.content
  end, { provider = id })))
  see(table.concat(pieces))
  local who = agent.create({ provider = id, tools = { tool.register(ADD) } })
  see(told(agent.run(who, "1 + 2?")))
  provider.configure(id, { retry = { max_attempts = 3, initial_delay_ms = 1 } })
  see(told(provider.chat("again", { provider = id })))
  local ok, err = pcall(provider.chat, "wrong", { provider = id })
  see({ ok, err.code, err.message, err.status, err.attempts })
  agent.destroy(who)
  tool.unregister("add")
  provider.destroy(id)
  return table.concat(seen, "\n")
end

-- How providers are configured that speak all wires to a server, and its script.
function session.script(server)
  local configs, script = {}, {}
  for i, name in ipairs(session.names) do
    local config = wire_of(name).config(server)
    config.model = name ~= "chat" and wires[name].model or "gpt-test"
    configs[i] = config
    for _, reply in ipairs(session.replies(name)) do
      script[#script + 1] = reply
    end
  end
  server:script((table.unpack or unpack)(script)) -- luacheck: ignore
  return configs
end

-- On every wire.
function session.run(configs)
  local all = {}
  for i, config in ipairs(configs) do
    all[i] = session.ask(config)
  end
  return table.concat(all, "\n\n")
end

-- The same in a process of its own, which prints it.
session.CHUNK = [[
  local cjson = require("cjson")
  local session, zigllms = require("spec.support.session"), require("zigllms")
  io.write(zigllms.test.cassette(arg[1], function()
    return session.run(cjson.decode(arg[2]))
  end, { mode = arg[3] }))
]]

function session.written_configs(configs)
  return cjson.encode(configs)
end

return session
