-- How many tokens something holds.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local server = scripted.start()

local MESSAGES = {
  { role = "system", content = "be brief" },
  { role = "user", content = "hello there" },
}

local TOOL = { name = "add", description = "Adds", parameters = { type = "object" } }

local function created(config)
  config.api_key, config.retry = "sk-test", false
  return provider.create(config)
end

-- Those who are asked: where, what they answer, and what a request must hold.
local ASKED = {
  anthropic = {
    config = { type = "anthropic", base_url = server.root },
    path = "/v1/messages/count_tokens",
    reply = { input_tokens = 42 },
    members = { "model", "system", "messages", "tools" },
  },
  responses = {
    config = { type = "openai", api = "responses", base_url = server.url, model = "gpt-test" },
    path = "/v1/responses/input_tokens",
    reply = { object = "response.input_tokens", input_tokens = 42 },
    members = { "model", "input", "tools" },
  },
  llamacpp = {
    config = { type = "llamacpp", base_url = server.url, model = "m" },
    path = "/v1/chat/completions/input_tokens",
    reply = { input_tokens = 42 },
    members = { "model", "messages", "tools" },
    text_path = "/tokenize",
    text_reply = { tokens = { 1, 2, 3 } },
    text_member = "content",
  },
  vllm = {
    config = { type = "vllm", base_url = server.url, model = "m" },
    path = "/tokenize",
    reply = { count = 42, max_model_len = 4096, tokens = { 1, 2 } },
    members = { "model", "messages", "tools" },
    text_path = "/tokenize",
    text_reply = { count = 3, tokens = { 1, 2, 3 } },
    text_member = "prompt",
  },
}

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

for name, row in pairs(ASKED) do
  describe("tokens by " .. name, function()
    local id

    before_each(function()
      zigllms.reset()
      id = created(row.config)
    end)

    it("are counted by who knows them", function()
      server:script({ json = row.reply })
      local tokens, exact = provider.count_tokens(MESSAGES, { provider = id, tools = { TOOL } })
      assert.same({ 42, true }, { tokens, exact })
      local request = server:journal()[1]
      assert.equal(row.path, request.path)
      table.sort(row.members)
      assert.same(row.members, sorted_keys(request.json))
      assert.is_true(provider.get(id).capabilities.count_tokens)
    end)

    it("of a mere text are counted too", function()
      server:script({ json = row.text_reply or row.reply })
      local tokens, exact = provider.count_tokens("hello there", { provider = id })
      assert.same({ row.text_reply and 3 or 42, true }, { tokens, exact })
      local request = server:journal()[1]
      assert.equal(row.text_path or row.path, request.path)
      if row.text_member then
        assert.equal("hello there", request.json[row.text_member])
        assert.is_nil(request.json.messages)
      end
    end)

    it("come as two values in every face", function()
      for _, face in ipairs({ "plain", true, false, "yield" }) do
        server:script({ json = row.reply })
        local options = { provider = id, messages = MESSAGES }
        if face ~= "plain" then
          options.async = face
        end
        local tokens, exact
        zigllms.run(function()
          if face == true then
            local handle = provider.count_tokens(options)
            tokens, exact = handle:await()
            assert.same({ tokens, exact }, { handle:result() })
          else
            tokens, exact = provider.count_tokens(options)
          end
        end)
        assert.same({ 42, true }, { tokens, exact })
      end
    end)

    it("are estimated where the server turns out not to know them", function()
      for _, status in ipairs({ 404, 405, 501 }) do
        -- At once, not after some repetitions.
        provider.configure(id, { retry = { max_attempts = 3, initial_delay_ms = 1 } })
        server:script({ status = status, body = "no such place" })
        local tokens, exact = provider.count_tokens(MESSAGES, { provider = id })
        assert.same({ 5, false }, { tokens, exact })
      end
      -- But not where something else is wrong.
      provider.configure(id, { retry = false })
      local others = { [400] = "bad_request", [401] = "auth", [500] = "server_error" }
      for status, code in pairs(others) do
        server:script({ status = status, json = { error = { message = "no" } } })
        raised(code, provider.count_tokens, MESSAGES, { provider = id })
      end
      server:script({ status = 404, json = { error = { message = "model `m` does not exist" } } })
      raised("not_found", provider.count_tokens, MESSAGES, { provider = id })
      for _, body in ipairs({ "<html>", "{}", '{"input_tokens":"many"}', '{"error":"broken"}' }) do
        server:script({ body = body })
        local ok, err = pcall(provider.count_tokens, MESSAGES, { provider = id })
        assert.is_false(ok)
        assert.truthy(err.code == "bad_response" or err.code == "server_error", tostring(err))
      end
    end)
  end)
end

describe("tokens", function()
  before_each(zigllms.reset)
  teardown(server:retired(zigllms))

  it("are estimated without any network by all others", function()
    server:script()
    for _, config in ipairs({
      { type = "openai", base_url = server.url },
      { type = "cohere", base_url = server.root },
      { type = "local", base_url = server.url },
      { type = "local", api = "ollama", base_url = server.root },
      { type = "groq", base_url = server.url },
    }) do
      local id = created(config)
      assert.is_false(provider.get(id).capabilities.count_tokens)
      local tokens, exact = provider.count_tokens("12345", { provider = id })
      assert.same({ 2, false }, { tokens, exact })
      tokens, exact = provider.count_tokens("12345", { provider = id, async = true }):await()
      assert.same({ 2, false }, { tokens, exact })
    end
    assert.equal(0, server:count())
    -- Not even a key is needed.
    local tokens = provider.count_tokens("12345", { provider = { type = "mistral" } })
    assert.equal(2, tokens)
  end)

  it("are estimated: a quarter of the bytes of a text, 85 for an image", function()
    local id = created({ type = "openai", base_url = server.url })
    local function count(messages, options)
      options = options or {}
      options.provider = id
      return (provider.count_tokens(messages, options))
    end
    assert.equal(1, count("abcd"))
    assert.equal(2, count("abcde"))
    assert.equal(2, count("äöü"))
    local image = { type = "image", data = "GIF89a", mime_type = "image/gif" }
    local parts = { { type = "text", text = "abcd" }, image, image }
    assert.equal(171, count({ { role = "user", content = parts } }))
    assert.equal(1 + 2, count("abcd", { system = "abcdefgh" }))
    local call = { id = "c", name = "add", arguments_json = '{"a":1}' }
    local turn = {
      { role = "assistant", content = "", tool_calls = { call } },
      { role = "tool", tool_call_id = "c", content = "abcd" },
    }
    assert.equal(3 + 1, count(turn))
    -- name, description and parameters: 3 + 4 + 17 bytes.
    assert.equal(1 + 6, count("abcd", { tools = { TOOL } }))
  end)

  it("want messages", function()
    local id = created({ type = "openai", base_url = server.url })
    raised("invalid_argument", provider.count_tokens, {}, { provider = id })
    raised("invalid_argument", provider.count_tokens, { { role = "x" } }, { provider = id })
    raised("invalid_argument", provider.count_tokens, "a", { provider = id, mode = "b" })
    raised("not_found", provider.count_tokens, "a", { provider = "nobody" })
  end)
end)
