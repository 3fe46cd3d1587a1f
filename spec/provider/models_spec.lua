-- Which models there are.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local server = scripted.start()

local function created(config)
  config.api_key, config.retry = "sk-test", false
  return provider.create(config)
end

local function ids(models)
  local all = {}
  for i, model in ipairs(models) do
    all[i] = model.id
  end
  return all
end

describe("lists of models", function()
  before_each(zigllms.reset)
  teardown(server:retired(zigllms))

  it("tell what the server tells of each model", function()
    for _, row in ipairs({
      {
        { type = "openai", base_url = server.url },
        { data = { { id = "m", object = "model", created = 5, owned_by = "them" } } },
        { id = "m", name = "m", created = 5, owned_by = "them" },
      },
      {
        { type = "groq", base_url = server.url },
        { data = { { id = "m", context_window = 8192, max_completion_tokens = 512 } } },
        { id = "m", name = "m", context_length = 8192, max_output_tokens = 512 },
      },
      {
        { type = "openrouter", base_url = server.url },
        {
          data = {
            {
              id = "a/m",
              name = "A: M",
              context_length = 8192,
              top_provider = { max_completion_tokens = 512 },
            },
          },
        },
        { id = "a/m", name = "A: M", context_length = 8192, max_output_tokens = 512 },
      },
      {
        { type = "mistral", base_url = server.url },
        { data = { { id = "m", created = 5, owned_by = "them", max_context_length = 8192 } } },
        { id = "m", name = "m", created = 5, owned_by = "them", context_length = 8192 },
      },
      {
        { type = "vllm", base_url = server.url },
        { data = { { id = "m", owned_by = "vllm", max_model_len = 4096 } } },
        { id = "m", name = "m", owned_by = "vllm", context_length = 4096 },
      },
      {
        { type = "llamacpp", base_url = server.url },
        { data = { { id = "m", meta = { n_ctx_train = 4096 } } } },
        { id = "m", name = "m", context_length = 4096 },
      },
      {
        { type = "anthropic", base_url = server.root },
        {
          data = {
            {
              id = "m",
              display_name = "M",
              created_at = "1970-01-02T00:00:00Z",
              max_input_tokens = 200000,
              max_tokens = 64000,
            },
          },
        },
        {
          id = "m",
          name = "M",
          created = 86400,
          context_length = 200000,
          max_output_tokens = 64000,
        },
      },
      {
        { type = "cohere", base_url = server.root },
        { models = { { name = "m", context_length = 128000.0, endpoints = { "chat" } } } },
        { id = "m", name = "m", context_length = 128000 },
      },
      {
        { type = "local", api = "ollama", base_url = server.root },
        {
          models = {
            { name = "m:latest", model = "m:latest", modified_at = "1970-01-02T00:00:00Z" },
          },
        },
        { id = "m:latest", name = "m:latest", created = 86400 },
      },
    }) do
      server:script({ json = row[2] })
      assert.same({ row[3] }, provider.get_models(created(row[1])))
    end
  end)

  it("are followed to their end", function()
    server:script(
      { json = { data = { { id = "c" }, { id = "b" } }, has_more = true, last_id = "b/1" } },
      { json = { data = { { id = "a" } }, has_more = false, last_id = "a" } }
    )
    assert.same(
      { "a", "b", "c" },
      ids(provider.get_models(created({ type = "anthropic", base_url = server.root })))
    )
    local journal = server:journal()
    assert.equal("/v1/models?limit=1000", journal[1].path)
    assert.equal("/v1/models?limit=1000&after_id=b%2F1", journal[2].path)

    server:script(
      { json = { models = { { name = "b" } }, next_page_token = "t=" } },
      { json = { models = { { name = "a" } }, next_page_token = "" } }
    )
    local id = created({ type = "cohere", base_url = server.root })
    assert.same({ "a", "b" }, ids(provider.get_models(id)))
    assert.equal("/v1/models?page_size=1000&page_token=t%3D", server:journal()[2].path)
    -- All of it is remembered, and nobody is asked again.
    server:script()
    assert.same({ "a", "b" }, ids(provider.get_models(id)))
    assert.equal(0, server:count())
  end)

  it("without an end are refused", function()
    local id = created({ type = "anthropic", base_url = server.root })
    local page = { data = { { id = "a" } }, has_more = true, last_id = "a" }
    server:script({ json = page, ["repeat"] = true })
    local err = raised("bad_response", provider.get_models, id)
    assert.truthy(err.message:find("no end", 1, true), err.message)
    assert.equal(2, server:count())
  end)

  it("that are none are errors", function()
    local id = created({ type = "openai", base_url = server.url })
    for body, code in pairs({
      ["<html><title>Log in</title>"] = "bad_response",
      ['{"object":"list"}'] = "bad_response",
      ['{"error":{"message":"no","type":"authentication_error"}}'] = "auth",
    }) do
      server:script({ body = body })
      raised(code, provider.get_models, id)
    end
  end)

  it("give the first of a server of one's own to those who name none", function()
    local id = created({ type = "vllm", base_url = server.url })
    local listed = { json = { data = { { id = "z-first" }, { id = "a-second" } } } }
    server:script(listed, scripted.text("ok"))
    provider.chat("hi", { provider = id })
    assert.equal("z-first", server:requests()[2].model)
  end)
end)
