-- Services and servers that speak OpenAI's protocol, each with its own words.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local text = scripted.text
local server = scripted.start()

local SERVICES = {
  groq = "https://api.groq.com/openai/v1",
  openrouter = "https://openrouter.ai/api/v1",
  xai = "https://api.x.ai/v1",
  gemini = "https://generativelanguage.googleapis.com/v1beta/openai",
  mistral = "https://api.mistral.ai/v1",
  deepseek = "https://api.deepseek.com/v1",
}

local SERVERS = {
  llamacpp = "http://localhost:8080/v1",
  vllm = "http://localhost:8000/v1",
  lmstudio = "http://localhost:1234/v1",
}

local function use(kind, config)
  config = config or {}
  config.base_url = config.base_url or server.url
  config.retry = false
  provider.configure(kind, config)
end

local function ask(kind, options)
  server:script(text("ok"))
  options = options or {}
  options.provider = kind
  options.model = options.model or "m"
  assert.equal("ok", provider.chat("hi", options).content)
  return server:journal()[1]
end

describe("a service", function()
  before_each(zigllms.reset)

  it("is known by its name, with its address and a model", function()
    for kind, url in pairs(SERVICES) do
      local info = provider.get(kind)
      assert.equal(kind, info.type)
      assert.equal(url, info.base_url)
      assert.is_string(info.model)
      if not info.has_key then
        local err = raised("auth", provider.chat, "hi", { provider = kind })
        assert.truthy(err.message:find(kind:upper() .. "_API_KEY", 1, true), err.message)
      end
    end
    for kind, url in pairs(SERVERS) do
      assert.equal(url, provider.get(kind).base_url)
      assert.is_nil(provider.get(kind).model)
    end
  end)

  it("is asked with its key, and listed once it is used", function()
    assert.equal(4, #provider.list())
    for kind in pairs(SERVICES) do
      use(kind, { api_key = "sk-" .. kind })
      local request = ask(kind)
      assert.equal("/v1/chat/completions", request.path)
      assert.equal("Bearer sk-" .. kind, request.headers.authorization)
    end
    local kinds = {}
    for _, item in ipairs(provider.list()) do
      kinds[item.type] = item.status
    end
    for kind in pairs(SERVICES) do
      assert.equal("active", kinds[kind])
    end
  end)

  it("of one's own needs no key and is asked for its models", function()
    for kind in pairs(SERVERS) do
      use(kind)
      server:script({ json = { data = { { id = "first" }, { id = "second" } } } }, text("ok"))
      assert.equal("ok", provider.chat("hi", { provider = kind }).content)
      local journal = server:journal()
      assert.equal("/v1/models", journal[1].path)
      assert.equal("first", journal[2].json.model)
      assert.is_nil(journal[2].headers.authorization)
    end
  end)

  it("gets its own words, wherever it is", function()
    use("mistral", { api_key = "sk-mistral" })
    local body = ask("mistral", { seed = 7, max_tokens = 5 }).json
    assert.same({ 7, 5 }, { body.random_seed, body.max_tokens })
    assert.is_nil(body.stream_options)
    use("openrouter", { api_key = "sk-openrouter" })
    assert.equal(3, ask("openrouter", { top_k = 3 }).json.top_k)
    for _, kind in ipairs({ "mistral", "groq", "xai", "gemini", "deepseek" }) do
      use(kind, { api_key = "sk-" .. kind })
      raised("unsupported", provider.chat, "hi", { provider = kind, model = "m", top_k = 3 })
    end
  end)

  it("that knows no schemas is told in words, and one that knows only them gets one", function()
    local schema = { name = "string" }
    use("deepseek", { api_key = "sk-deepseek" })
    server:script(text('{"name":"Ann"}'))
    local response = provider.chat("hi", { provider = "deepseek", schema = schema })
    assert.equal("Ann", response.parsed.name)
    local body = server:requests()[1]
    assert.equal("json_object", body.response_format.type)
    assert.truthy(body.messages[1].content:find("JSON Schema", 1, true))
    use("lmstudio")
    server:script(text('{"a":1}'))
    response = provider.chat("hi", { provider = "lmstudio", model = "m", response_format = "json" })
    assert.equal(1, response.parsed.a)
    assert.equal("json_schema", server:requests()[1].response_format.type)
  end)

  it("gets back what it wants back, and no other does", function()
    local messages = {
      { role = "user", content = "a" },
      {
        role = "assistant",
        content = "",
        tool_calls = { { id = "c", name = "f", arguments_json = "{}" } },
        blocks = { chat = { reasoning_content = "hm" }, messages = { { type = "thinking" } } },
      },
      { role = "tool", tool_call_id = "c", content = "1" },
    }
    for kind, wants in pairs({ deepseek = true, vllm = true, groq = false, mistral = false }) do
      use(kind, { api_key = "sk-" .. kind })
      server:script(text("ok"))
      provider.chat(messages, { provider = kind, model = "m" })
      local message = server:requests()[1].messages[2]
      assert.equal(wants and "hm" or nil, message.reasoning_content)
      assert.is_nil(message.messages)
    end
  end)
end)

describe("azure", function()
  before_each(zigllms.reset)
  teardown(server:retired(zigllms))

  it("has an address of one's own, a key of its own and a version", function()
    local err = raised("invalid_argument", provider.chat, "hi", {
      provider = { type = "azure", api_key = "sk-azure" },
    })
    assert.truthy(err.message:find("base_url", 1, true), err.message)
    use("azure", { api_key = "sk-azure", base_url = server.root .. "/openai/deployments/mine" })
    local request = ask("azure", { max_tokens = 5 })
    assert.equal("/openai/deployments/mine/chat/completions?api-version=2024-10-21", request.path)
    assert.equal("sk-azure", request.headers["api-key"])
    assert.is_nil(request.headers.authorization)
    assert.equal(5, request.json.max_completion_tokens)
    provider.configure("azure", { api_version = "2025-01-01" })
    assert.truthy(ask("azure").path:find("api-version=2025-01-01", 1, true))
    provider.configure(
      "azure",
      { base_url = server.root .. "/openai/v1", api_version = zigllms.null }
    )
    assert.equal("/openai/v1/chat/completions", ask("azure").path)
  end)

  it("shows its key nowhere", function()
    use("azure", { api_key = "sk-CANARY-0123456789", base_url = server.root .. "/openai/v1" })
    server:script({ status = 401, json = { error = { message = "bad key {{api-key}}" } } })
    local err = raised("auth", provider.chat, "hi", { provider = "azure" })
    assert.truthy(err.message:find("***", 1, true), err.message)
    assert.is_nil(tostring(err):find("CANARY", 1, true))
  end)
end)
