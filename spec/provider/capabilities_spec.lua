-- What providers say they can do is what they do: each kind on each of its protocols is asked for
-- everything, and the requests that arrive are looked at.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

local provider = zigllms.provider
local server = scripted.start()

local chat = {
  text = scripted.text,
  schema_of = function(body)
    local format = body.response_format
    return format.json_schema and format.json_schema.schema
  end,
}

local function row(kind, wire, lacks, config)
  local lacking = {}
  for word in lacks:gmatch("%S+") do
    lacking[word] = true
  end
  config = config or {}
  config.type = kind
  return { wire = wire, lacks = lacking, config = config }
end

local ROWS = {
  row("openai", chat, "count_tokens"),
  row("openai", wires.responses, "", { api = "responses" }),
  row("anthropic", wires.messages, "embeddings", { model = "claude-sonnet-4-5" }),
  row("anthropic", wires.messages, "embeddings json_schema", { model = "claude-3-haiku-20240307" }),
  row("cohere", wires.cohere, "count_tokens"),
  row("local", chat, "count_tokens"),
  row("local", wires.ollama, "count_tokens", { api = "ollama" }),
  row("groq", chat, "embeddings count_tokens"),
  row("openrouter", chat, "count_tokens"),
  row("xai", chat, "embeddings count_tokens"),
  row("gemini", chat, "count_tokens"),
  row("mistral", chat, "count_tokens"),
  row("deepseek", chat, "vision json_schema embeddings count_tokens"),
  row("azure", chat, "count_tokens"),
  row("llamacpp", chat, ""),
  row("vllm", chat, ""),
  row("lmstudio", chat, "count_tokens"),
}

local NAMES = { "streaming", "tools", "vision", "json_schema", "embeddings", "count_tokens" }

local SCHEMA = {
  type = "object",
  properties = { name = { type = "string" } },
  required = { "name" },
}

local IMAGE = {
  { role = "user", content = { { type = "image", data = "GIF89a", mime_type = "image/gif" } } },
}

local TOOL = { name = "add", parameters = SCHEMA }

local id

-- What a call made of it: the body of the last request, or the error.
local function sent(call, ...)
  local ok, result = pcall(call, ...)
  local requests = server:requests()
  return requests[#requests], result, ok
end

-- How each of them is asked for; true if the provider did it. What it cannot do must be refused
-- by name before anything is sent, except for the two that have another way.
local tried = {}

function tried.streaming(wire)
  server:script(wire.text({ "a", "b" }))
  local pieces = {}
  provider.stream("hi", function(piece)
    pieces[#pieces + 1] = piece.content
  end, { provider = id })
  return table.concat(pieces) == "ab" and server:requests()[1].stream == true
end

function tried.tools(wire)
  server:script(wire.text("ok"))
  local body = sent(provider.chat, "hi", { provider = id, tools = { TOOL } })
  local tool = body.tools[1]
  return (tool["function"] or tool).name == "add"
end

local function refused(body, err, word)
  assert.is_nil(body)
  assert.equal("unsupported", err.code)
  assert.truthy(err.message:find(word, 1, true), err.message)
  return false
end

function tried.vision(wire)
  server:script(wire.text("ok"))
  local body, err, ok = sent(provider.chat, IMAGE, { provider = id })
  if not ok then
    return refused(body, err, "image")
  end
  return require("cjson").encode(body):find("R0lGODlh", 1, true) ~= nil
end

function tried.json_schema(wire)
  server:script(wire.text('{"name":"Ann"}'))
  local body, response = sent(provider.chat, "hi", { provider = id, schema = SCHEMA })
  assert.equal("Ann", response.parsed.name)
  if response.structured == "strict" then
    return wire.schema_of(body).properties.name.type == "string"
  end
  -- Then the model is told.
  assert.truthy(require("cjson").encode(body):find("JSON Schema", 1, true))
  return false
end

local VECTORS = {
  data = { { embedding = { 1, 2 } } },
  embeddings = { { 1, 2 } },
}

function tried.embeddings()
  server:script({ json = VECTORS })
  local body, result, ok = sent(provider.embed, "a", { provider = id, model = "m" })
  if not ok then
    return refused(body, result, "embeddings")
  end
  return result.dimensions == 2 and body.model == "m"
end

function tried.count_tokens()
  server:script({ json = { input_tokens = 42, count = 42 } })
  local messages = { { role = "user", content = "hi" } }
  local tokens, exact = provider.count_tokens(messages, { provider = id })
  if not exact then
    assert.same({ 1, 0 }, { tokens, server:count() })
    return false
  end
  return tokens == 42 and server:count() == 1
end

for _, case in ipairs(ROWS) do
  local kind, wire = case.config.type, case.wire
  local title = table.concat({ kind, case.config.api or "chat", case.config.model or "" }, " ")

  describe("capabilities of " .. title, function()
    before_each(function()
      zigllms.reset()
      local config = { model = "m", api_key = "sk-test", retry = false, base_url = server.url }
      for key, value in pairs(case.config) do
        config[key] = value
      end
      id = provider.create(config)
    end)

    for _, name in ipairs(NAMES) do
      it("are true: " .. name, function()
        local has = provider.get(id).capabilities[name]
        assert.equal(not case.lacks[name], has)
        assert.equal(has, tried[name](wire))
      end)
    end
  end)
end

describe("capabilities", function()
  before_each(zigllms.reset)
  teardown(server:retired(zigllms))

  it("are known of every kind, and of no more than there is", function()
    local seen = { mock = true } -- it has no server to be asked
    for _, case in ipairs(ROWS) do
      seen[case.config.type] = true
    end
    local err = raised("invalid_argument", provider.create, { type = "opnai" })
    for kind in err.message:match('^config%.type: (.*), got "'):gmatch('"(%w+)"') do
      kind = provider.get(kind).type
      local count = 0
      for name, value in pairs(provider.get(kind).capabilities) do
        assert.is_boolean(value, name)
        count = count + 1
      end
      assert.equal(#NAMES, count)
      assert.is_true(seen[kind], "no row for " .. kind)
    end
  end)

  it("follow the address, whatever the type is called", function()
    local at = { type = "openai", api_key = "sk-test", base_url = "https://api.deepseek.com/v1" }
    local capabilities = provider.get(provider.create(at)).capabilities
    assert.same({ false, false }, { capabilities.vision, capabilities.embeddings })
  end)
end)
