-- Vectors of texts.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local server = scripted.start()

-- An answer in the words of each protocol: vectors (lists, or base64), tokens (or nil).
local function openai(vectors, tokens)
  local data = {}
  for i, vector in ipairs(vectors) do
    data[i] = { object = "embedding", index = i - 1, embedding = vector }
  end
  local usage = tokens and { prompt_tokens = tokens, total_tokens = tokens }
  return { json = { object = "list", data = data, model = "embed-exact", usage = usage } }
end

local function cohere(vectors, tokens)
  local meta = tokens and { billed_units = { input_tokens = tokens } }
  return { json = { id = "e", embeddings = { float = vectors }, texts = {}, meta = meta } }
end

local function ollama(vectors, tokens)
  return { json = { model = "embed-exact", embeddings = vectors, prompt_eval_count = tokens } }
end

-- A row for each protocol that makes embeddings: where it is asked, and in what words.
local WIRES = {
  openai = {
    config = { type = "openai", base_url = server.url },
    reply = openai,
    path = "/v1/embeddings",
    texts = "input",
    dimensions = "dimensions",
    model = "text-embedding-3-small",
  },
  responses = {
    config = { type = "openai", api = "responses", base_url = server.url },
    reply = openai,
    path = "/v1/embeddings",
    texts = "input",
    dimensions = "dimensions",
    model = "text-embedding-3-small",
  },
  mistral = {
    config = { type = "mistral", base_url = server.url },
    reply = openai,
    path = "/v1/embeddings",
    texts = "input",
    dimensions = "output_dimension",
    model = "mistral-embed",
  },
  cohere = {
    config = { type = "cohere", base_url = server.root },
    reply = cohere,
    path = "/v2/embed",
    texts = "texts",
    dimensions = "output_dimension",
    model = "embed-v4.0",
    purpose = true,
  },
  ollama = {
    config = { type = "local", api = "ollama", base_url = server.root },
    reply = ollama,
    path = "/api/embed",
    texts = "input",
    dimensions = "dimensions",
    model = "nomic-embed-text",
  },
}

local function created(config, more)
  local all = { api_key = "sk-CANARY-0123456789", retry = false }
  for _, options in ipairs({ config, more or {} }) do
    for key, value in pairs(options) do
      all[key] = value
    end
  end
  return provider.create(all)
end

-- The bytes of floats in base64, as OpenAI sends them: 1.5, -2, 0.1 in 32 bits.
local BASE64 = "AADAPwAAAMDNzMw9"

for name, wire in pairs(WIRES) do
  describe("embeddings by " .. name, function()
    local id

    before_each(function()
      zigllms.reset()
      id = created(wire.config)
    end)

    it("are vectors, one for each text, in their order", function()
      server:script(wire.reply({ { 1, 0.25, -3 }, { 0.1, 0.2, 0.3 } }, 7))
      local result = provider.embed({ "a cat", "a dog" }, { provider = id })
      assert.same({ { 1, 0.25, -3 }, { 0.1, 0.2, 0.3 } }, result.embeddings)
      assert.equal(3, result.dimensions)
      assert.equal(id, result.provider)
      assert.equal(7, result.usage.prompt_tokens)
      assert.equal(7, result.usage.total_tokens)
      assert.is_nil(result.usage.estimated)
      local request = server:journal()[1]
      assert.equal(wire.path, request.path)
      assert.equal("POST", request.method)
      assert.same({ "a cat", "a dog" }, request.json[wire.texts])
      assert.equal(wire.model, request.json.model)
      assert.equal(wire.model, provider.get(id).embed_model)
      assert.is_nil(request.json[wire.dimensions])
    end)

    it("are those of the model that is named", function()
      server:script(wire.reply({ { 1 } }, 1), wire.reply({ { 1 } }, 1))
      local result = provider.embed("a", { provider = id, model = "other", dimensions = 8 })
      assert.equal(wire.reply == cohere and "other" or "embed-exact", result.model)
      provider.configure(id, { embed_model = "configured" })
      provider.embed("a", { provider = id, extra = { user = "me" }, headers = { ["x-one"] = "1" } })
      local journal = server:journal()
      assert.equal("other", journal[1].json.model)
      assert.equal(8, journal[1].json[wire.dimensions])
      assert.equal("configured", journal[2].json.model)
      assert.equal("me", journal[2].json.user)
      assert.equal("1", journal[2].headers["x-one"])
    end)

    it("are estimated in tokens where nobody counts them", function()
      server:script(wire.reply({ { 1 } }))
      local usage = provider.embed("twelve bytes", { provider = id }).usage
      assert.same({ 3, true }, { usage.prompt_tokens, usage.estimated })
    end)

    it("say what they are for only where that can be said", function()
      if wire.purpose then
        server:script(wire.reply({ { 1 } }, 1), wire.reply({ { 1 } }, 1))
        provider.embed("a", { provider = id })
        provider.embed("a", { provider = id, input_type = "search_query" })
        local requests = server:requests()
        assert.equal("search_document", requests[1].input_type)
        assert.equal("search_query", requests[2].input_type)
        return
      end
      server:script()
      local err = raised("unsupported", provider.embed, "a", { provider = id, input_type = "x" })
      assert.truthy(err.message:find("input_type", 1, true))
      assert.equal(0, server:count())
      local info = provider.get(id)
      assert.same({ 0, "initializing" }, { info.requests, info.status })
    end)

    it("come as the faces say", function()
      for _, face in ipairs({ "plain", true, false, "yield" }) do
        server:script(wire.reply({ { 1, 2 } }, 1))
        local options = { provider = id }
        if face ~= "plain" then
          options.async = face
        end
        local result
        zigllms.run(function()
          result = provider.embed("a", options)
          if face == true then
            result = result:await()
          end
        end)
        assert.same({ { 1, 2 } }, result.embeddings)
      end
    end)

    it("are asked for again where that may help, and fail as chats do", function()
      provider.configure(id, { retry = { max_attempts = 3, initial_delay_ms = 1 } })
      local busy = { status = 529, json = { error = { message = "busy" }, message = "busy" } }
      server:script(busy, wire.reply({ { 1 } }, 1))
      assert.equal(1, #provider.embed("a", { provider = id }).embeddings)
      for _, row in ipairs({
        { { status = 401, json = { error = { message = "no" } } }, "auth" },
        { { status = 400, json = { error = { message = "no" } } }, "bad_request" },
        { { status = 502, body = "<html><title>Bad gateway</title>" }, "server_error" },
        { { body = "<html><title>Log in</title>" }, "bad_response" },
        {
          { json = { error = { type = "invalid_request_error", message = "no" } } },
          "bad_request",
        },
        { { json = { hello = "world" } }, "bad_response" },
        { { body = "" }, "network" },
        { { body = '{"data":[{"embedding":[1,' }, "network" },
        { { body = "[]" }, "bad_response" },
        { wire.reply({ { 1 }, { 2 } }, 1), "bad_response" },
        { wire.reply({}, 1), "bad_response" },
        { wire.reply({ { 1, "x" } }, 1), "bad_response" },
        { wire.reply({ {} }, 1), "bad_response" },
      }) do
        server:script(row[1], row[1], row[1])
        local err = raised(row[2], provider.embed, "a", { provider = id })
        assert.equal(id, err.provider)
        assert.is_nil(tostring(err):find("CANARY", 1, true))
      end
      server:script(wire.reply({ { 1 }, { 2, 3 } }, 1))
      local err = raised("bad_response", provider.embed, { "a", "b" }, { provider = id })
      assert.truthy(err.message:find("length", 1, true))
    end)

    it("of many texts are asked for in parts", function()
      local texts = {}
      for i = 1, 5 do
        texts[i] = "text " .. i
      end
      local first = { { 1 }, { 2 }, { 3 } }
      local rest = { { 4 }, { 5 } }
      server:script(wire.reply(first, 30), wire.reply(rest, 20))
      local result = provider.embed(texts, { provider = id, batch_size = 3 })
      assert.same({ { 1 }, { 2 }, { 3 }, { 4 }, { 5 } }, result.embeddings)
      assert.equal(50, result.usage.total_tokens)
      local requests = server:requests()
      assert.same({ "text 1", "text 2", "text 3" }, requests[1][wire.texts])
      assert.same({ "text 4", "text 5" }, requests[2][wire.texts])
      -- A part that fails is the failure of the whole.
      server:script(wire.reply(first, 1), { status = 400, json = { message = "no" } })
      local err = raised("bad_request", provider.embed, texts, { provider = id, batch_size = 3 })
      assert.same(first, err.partial.embeddings)
      assert.equal(1, err.partial.usage.prompt_tokens)
    end)

    it("count among the requests of the provider", function()
      server:script(wire.reply({ { 1 } }, 9), { status = 400, json = { message = "no" } })
      provider.embed("a", { provider = id })
      raised("bad_request", provider.embed, "a", { provider = id })
      local info = provider.get(id)
      assert.same({ 2, 1, 9 }, { info.requests, info.errors, info.usage.prompt_tokens })
      assert.equal(9, zigllms.metrics().usage.prompt_tokens)
    end)
  end)
end

describe("embeddings", function()
  before_each(zigllms.reset)
  teardown(server:retired(zigllms))

  it("want at least one text, and no empty ones", function()
    local id = created(WIRES.openai.config)
    server:script()
    for _, input in ipairs({ {}, { "a", "" }, { 5 }, "", { a = "b" } }) do
      local err = raised("invalid_argument", provider.embed, input, { provider = id, async = true })
      assert.truthy(err.message:find("input", 1, true), err.message)
    end
    raised("invalid_argument", provider.embed, "a", { provider = id, dimension = 3 })
    assert.equal(0, server:count())
  end)

  it("may come in any order that they tell", function()
    local id = created(WIRES.openai.config)
    local function item(index, vector)
      return { index = index, embedding = vector }
    end
    local function answer(...)
      server:script({ json = { data = { ... } } })
      return provider.embed({ "a", "b" }, { provider = id })
    end
    assert.same({ { 1 }, { 2 } }, answer(item(1, { 2 }), item(0, { 1 })).embeddings)
    assert.same({ { 1 }, { 2 } }, answer(item(nil, { 1 }), item(nil, { 2 })).embeddings)
    raised("bad_response", answer, item(0, { 1 }), item(0, { 2 }))
    raised("bad_response", answer, item(0, { 1 }), item(2, { 2 }))
    raised("bad_response", answer, item(0, { 1 }), item(nil, { 2 }))
  end)

  it("keep every bit of their numbers", function()
    local id = created(WIRES.openai.config)
    local digits = { "0.1", "-1.7976931348623157e308", "5e-324", "0.023064255", "1", "-0.0" }
    local body = '{"data":[{"embedding":[' .. table.concat(digits, ",") .. "]}]}"
    server:script({ body = body })
    local vector = provider.embed("a", { provider = id }).embeddings[1]
    for i, text in ipairs(digits) do
      assert.equal(tonumber(text), vector[i])
    end
    -- As bytes: what the 32 bits stand for.
    local azure = created({ type = "azure", base_url = server.url })
    server:script(openai({ BASE64 }, 1), openai({ "AADAPw=A" }, 1), openai({ "AADA" }, 1))
    vector = provider.embed("a", { provider = azure }).embeddings[1]
    assert.same({ 1.5, -2, 0.10000000149011612 }, vector)
    assert.equal("base64", server:requests()[1].encoding_format)
    raised("bad_response", provider.embed, "a", { provider = azure })
    raised("bad_response", provider.embed, "a", { provider = azure })
  end)

  it("are sent for in the provider's own measure", function()
    local texts, vectors = { "t" }, {}
    for i = 1, 96 do
      texts[i + 1], vectors[i] = "t", { i }
    end
    local id = created(WIRES.cohere.config)
    server:script(cohere(vectors), cohere({ { 97 } }))
    local result = provider.embed(texts, { provider = id })
    assert.equal(97, #result.embeddings)
    assert.same({ 97 }, result.embeddings[97])
    assert.equal(96, #server:requests()[1].texts)
    -- And no request grows without a bound.
    local long = ("x"):rep(400000)
    id = created(WIRES.openai.config)
    server:script(openai({ { 1 } }), openai({ { 2 } }))
    assert.same({ { 1 }, { 2 } }, provider.embed({ long, long }, { provider = id }).embeddings)
    assert.equal(2, server:count())
  end)

  it("of one text may be one vector, as older versions of Ollama have it", function()
    local id = created(WIRES.ollama.config)
    server:script({ json = { embedding = { 1, 2 } } }, { json = { embedding = { 1, 2 } } })
    assert.same({ { 1, 2 } }, provider.embed("a", { provider = id }).embeddings)
    raised("bad_response", provider.embed, { "a", "b" }, { provider = id })
  end)

  it("of a server without a model of its own are those of the first it lists", function()
    local id = created({ type = "llamacpp", base_url = server.url })
    assert.is_nil(provider.get(id).embed_model)
    local listed = { json = { data = { { id = "z-first" }, { id = "a-second" } } } }
    server:script(listed, openai({ { 1 } }, 1))
    provider.embed("a", { provider = id })
    local journal = server:journal()
    assert.same({ "/v1/models", "/v1/embeddings" }, { journal[1].path, journal[2].path })
    assert.equal("z-first", journal[2].json.model)
    server:script({ json = { data = {} } })
    raised("bad_response", provider.embed, "a", { provider = id })
  end)

  it("are not made by everybody", function()
    server:script()
    for _, kind in ipairs({ "anthropic", "groq", "xai", "deepseek" }) do
      local id = created({ type = kind, base_url = server.url })
      assert.is_false(provider.get(id).capabilities.embeddings)
      assert.is_nil(provider.get(id).embed_model)
      local err = raised("unsupported", provider.embed, "a", { provider = id, async = true })
      assert.truthy(err.message:find(kind, 1, true), err.message)
      assert.truthy(err.message:find("name a provider", 1, true), err.message)
    end
    assert.equal(0, server:count())
  end)

  it("end when their handle is cancelled, and in time", function()
    local id = created(WIRES.openai.config)
    server:script({ delay_ms = 5000, json = {} }, { delay_ms = 5000, json = {} })
    local handle = provider.embed("a", { provider = id, async = true })
    server:wait_for(1, zigllms.sleep)
    assert.is_true(handle:cancel("enough"))
    raised("cancelled", handle.await, handle)
    local err = raised("timeout", provider.embed, "a", { provider = id, timeout_ms = 50 })
    assert.equal("total", err.phase)
  end)

  it("need a key before any network use", function()
    local err = raised(
      "auth",
      provider.embed,
      "a",
      { provider = { type = "mistral", base_url = server.url } }
    )
    assert.truthy(err.message:find("MISTRAL_API_KEY", 1, true))
  end)
end)
