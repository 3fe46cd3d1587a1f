-- Providers as objects: made, configured, listed, asked for their models, and what they hide.
local clock = require("spec.support.program").clock
local program = require("spec.support.program")
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local agent, provider = zigllms.agent, zigllms.provider
local text, failure = scripted.text, scripted.failure

local server = scripted.start()

local function has(message, part)
  assert.truthy(message:find(part, 1, true), message)
end

-- Variables that decide what there is by default; a child process starts without them.
local NONE = {}
for _, name in ipairs({
  "OPENAI_API_KEY",
  "OPENAI_BASE_URL",
  "OPENAI_MODEL",
  "ANTHROPIC_API_KEY",
  "COHERE_API_KEY",
  "CO_API_KEY",
  "OLLAMA_HOST",
  "ZIGLLMS_PROVIDER",
}) do
  NONE[name] = ""
end

-- What a chunk prints in a process with only these variables.
local function child(chunk, env)
  local all = {}
  for name, value in pairs(NONE) do
    all[name] = value
  end
  for name, value in pairs(env or {}) do
    all[name] = value
  end
  local result = program.run([[
      local zigllms = require("zigllms")
      local provider = zigllms.provider
      local function failed(...)
        local ok, err = pcall(...)
        return ok and "ok" or err.code .. ": " .. err.message
      end
    ]] .. chunk, { env = all })
  assert.equal(0, result.rc, result.err)
  return (result.out:gsub("%s+$", ""))
end

local function by_id(id)
  for _, item in ipairs(provider.list()) do
    if item.id == id then
      return item
    end
  end
end

local function here(config)
  config = config or {}
  config.type = config.type or "openai"
  config.base_url = config.base_url or server.url
  config.api_key = config.api_key or "test"
  config.retry = false
  return config
end

describe("provider", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  it("has its constants", function()
    assert.equal("openai", provider.Type.OPENAI)
    assert.equal("anthropic", provider.Type.ANTHROPIC)
    assert.equal("cohere", provider.Type.COHERE)
    assert.equal("local", provider.Type.LOCAL)
    assert.equal("active", provider.Status.ACTIVE)
    assert.equal("inactive", provider.Status.INACTIVE)
    assert.equal("error", provider.Status.ERROR)
    assert.equal("initializing", provider.Status.INITIALIZING)
  end)

  describe("create", function()
    it("makes as many as one likes", function()
      server:script(text("a"), text("b"), text("c"))
      local first = provider.create(here({ name = "one", api_key = "key-one" }))
      local second = provider.create(here({ name = "two", api_key = "key-two", model = "m-2" }))
      assert.truthy(first:match("^provider_%d+$"))
      assert.are_not.equal(first, second)
      assert.equal(0, server:count())
      assert.equal(first, provider.chat("hi", { provider = first }).provider)
      assert.equal(second, provider.chat("hi", { provider = "two" }).provider)
      provider.chat("hi", { provider = "two", model = "m-3" })
      local journal = server:journal()
      assert.equal("Bearer key-one", journal[1].headers.authorization)
      assert.equal("Bearer key-two", journal[2].headers.authorization)
      assert.equal("m-2", journal[2].json.model)
      assert.equal("m-3", journal[3].json.model)
    end)

    it("accepts the type in any case, and under its other names", function()
      assert.equal("openai", provider.get(provider.create({ type = "OpenAI" })).type)
      assert.equal("openai", provider.get(provider.create({ provider = "openai" })).type)
      assert.equal("local", provider.get(provider.create({ type = "ollama" })).type)
      assert.equal("local", provider.get(provider.create({ type = provider.Type.LOCAL })).type)
    end)

    it("takes a name once", function()
      provider.create(here({ name = "mine" }))
      has(raised("already_exists", provider.create, here({ name = "mine" })).message, '"mine"')
      raised("already_exists", provider.create, here({ name = "openai" }))
      assert.is_true(provider.destroy("mine"))
      assert.truthy(provider.create(here({ name = "mine" })))
    end)

    it("refuses what it does not know, and says what it knows", function()
      local err = raised("invalid_argument", provider.create, { type = "openia" })
      has(err.message, "config.type")
      has(err.message, '"openai"')
      has(raised("invalid_argument", provider.create, {}).message, "config.type")
      raised("invalid_argument", provider.create)
      raised("invalid_argument", provider.create, "openai")
      err = raised("invalid_argument", provider.create, { type = "openai", bse_url = "x" })
      has(err.message, '"base_url"')
      err = raised("invalid_argument", provider.create, { type = "openai", temperature = 1 })
      has(err.message, "config.temperature")
      raised("invalid_argument", provider.create, { type = "openai", name = "" })
      raised("invalid_argument", provider.create, { type = "openai", base_url = "" })
      raised("invalid_argument", provider.create, { type = "openai", api_key = 5 })
      raised("invalid_argument", provider.create, { type = "openai", enabled = "yes" })
      assert.equal(4, #provider.list())
    end)

    it("says what this version does not have", function()
      local err = raised("unsupported", provider.create, { type = "openai", api = "ollama" })
      has(err.message, "ollama")
      raised("unsupported", provider.configure, "anthropic", { api = "ollama" })
    end)

    it("wants a model file with the type local only", function()
      local config = { type = "openai", model_path = "x.gguf" }
      has(raised("invalid_argument", provider.create, config).message, "model_path")
    end)
  end)

  describe("a configuration in a call", function()
    it("is asked, whatever the default provider is", function()
      server:script(text("a"), text("b"), text("c"))
      local own = here({ model = "inline", api_key = "own", headers = { a = "1" } })
      assert.equal("a", provider.chat("hi", { provider = own }).content)
      local said = {}
      provider.stream("hi", function(piece)
        said[#said + 1] = piece.content
      end, { provider = own })
      assert.equal("b", table.concat(said))
      assert.equal(
        "c",
        provider.chat({ messages = "hi", provider = own, async = true }):await().content
      )
      for i, entry in ipairs(server:journal()) do
        assert.equal("inline", entry.json.model, i)
        assert.equal("Bearer own", entry.headers.authorization)
        assert.equal("1", entry.headers.a)
        assert.is_nil(entry.json.provider)
      end
    end)

    it("goes by its type and leaves nothing behind", function()
      provider.configure("openai", { api_key = "other" })
      local before = provider.create(here())
      server:script(text("a"), failure(500, "broken"), text("b"))
      local own = here({ name = "mine", api_key = "own" })
      assert.equal("openai", provider.chat("hi", { provider = own }).provider)
      local err = raised("server_error", provider.chat, "hi", { provider = own })
      assert.equal("openai", err.provider)
      provider.chat("hi", { provider = own })
      assert.equal(5, #provider.list())
      assert.is_nil(provider.get("mine"))
      local default = provider.get("openai")
      assert.equal(0, default.requests)
      assert.equal(0, default.errors)
      assert.is_nil(default.last_error)
      assert.equal("initializing", default.status)
      local number = tonumber(before:match("%d+$"))
      assert.equal("provider_" .. number + 1, provider.create(here()))
    end)

    it("has its own limits", function()
      server:script(text("late", { delay_ms = 2000 }))
      local own = here({ timeout_ms = 50 })
      assert.equal("total", raised("timeout", provider.chat, "hi", { provider = own }).phase)
    end)

    it("is checked as that of create is", function()
      local function refused(code, config)
        return raised(code, provider.chat, "hi", { provider = config }).message
      end
      has(refused("invalid_argument", { base_url = server.url }), "options.provider.type")
      has(refused("invalid_argument", { type = "openai", bse_url = "x" }), '"base_url"')
      has(refused("invalid_argument", { type = "openai", model_path = "x" }), "model_path")
      refused("unsupported", { type = "anthropic", api = "ollama" })
      if not os.getenv("OPENAI_API_KEY") then
        local message = refused("auth", { type = "openai", base_url = server.url })
        has(message, "OPENAI_API_KEY")
        has(message, "api_key")
      end
      assert.equal(4, #provider.list())
    end)

    it("is not what get returns: that is taken for its id", function()
      local id = provider.create(here({ model = "m" }))
      server:script(text("a"))
      assert.equal(id, provider.chat("hi", { provider = provider.get(id) }).provider)
      assert.equal(1, provider.get(id).requests)
    end)
  end)

  describe("configure", function()
    it("merges, and null restores the default", function()
      local id = provider.create(here({ model = "m", timeout_ms = 1000, organization = "o" }))
      assert.is_true(provider.configure(id, { model = "n", headers = { a = "1" } }))
      local info = provider.get(id)
      assert.equal("n", info.model)
      assert.equal(1000, info.timeout_ms)
      assert.equal(server.url, info.base_url)
      provider.configure(id, { timeout_ms = zigllms.null, headers = { b = "2" } })
      assert.is_nil(provider.get(id).timeout_ms)
      server:script(text("a"))
      provider.chat("hi", { provider = id })
      local headers = server:journal()[1].headers
      assert.equal("1", headers.a)
      assert.equal("2", headers.b)
      assert.equal("o", headers["openai-organization"])
      provider.configure(id, {
        headers = { a = zigllms.null },
        organization = zigllms.null,
        model = zigllms.null,
      })
      server:script(text("a"))
      provider.chat("hi", { provider = id })
      headers = server:journal()[1].headers
      assert.is_nil(headers.a)
      assert.equal("2", headers.b)
      assert.is_nil(headers["openai-organization"])
      assert.are_not.equal("n", server:requests()[1].model)
    end)

    it("of a type name is of the default instance", function()
      provider.configure("openai", here())
      assert.equal(server.url, provider.get("openai").base_url)
      provider.configure("OPENAI", { model = "m" })
      assert.equal("m", provider.get("openai").model)
      assert.equal(4, #provider.list())
    end)

    it("renames, or forgets the key", function()
      local id = provider.create(here({ name = "old" }))
      provider.configure(id, { name = "new" })
      assert.is_nil(provider.get("old"))
      assert.equal(id, provider.get("new").id)
      provider.configure("new", { api_key = zigllms.null })
      if not os.getenv("OPENAI_API_KEY") then
        assert.is_false(provider.get(id).has_key)
      end
    end)

    it("leaves a name to who has it", function()
      local first = provider.create(here({ name = "first" }))
      local second = provider.create(here({ name = "second" }))
      for _, name in ipairs({ "first", "openai", "Ollama", first }) do
        local err =
          raised("already_exists", provider.configure, second, { name = name, model = "m" })
        has(err.message, '"' .. name .. '"')
      end
      assert.equal("second", provider.get(second).name)
      assert.are_not.equal("m", provider.get(second).model)
      assert.is_true(provider.configure(second, { name = "second" }))
      assert.is_true(provider.configure("openai", { name = "openai" }))
      provider.configure(first, { name = zigllms.null })
      assert.is_true(provider.configure(second, { name = "first" }))
      assert.equal(second, provider.get("first").id)
    end)

    it("keeps the type", function()
      local id = provider.create(here({ model = "m" }))
      for _, key in ipairs({ id, "openai" }) do
        local err =
          raised("invalid_argument", provider.configure, key, { type = "local", model = "n" })
        has(err.message, "config.type")
        assert.are_not.equal("n", provider.get(key).model)
        assert.is_true(provider.configure(key, { type = "OpenAI" }))
      end
      assert.is_true(provider.configure("local", { type = "ollama" }))
    end)

    it("applies to agents from their next run on", function()
      provider.configure("openai", here({ model = "m-1" }))
      local id = agent.create({ provider = "openai", memory = false })
      server:script(text("a"), text("b"))
      agent.run(id, "hi")
      provider.configure("openai", { model = "m-2" })
      agent.run(id, "hi")
      local requests = server:requests()
      assert.equal("m-1", requests[1].model)
      assert.equal("m-2", requests[2].model)
    end)

    it("does not mind slashes at the end of the address", function()
      for _, slashes in ipairs({ "", "/", "//" }) do
        provider.configure("openai", here({ base_url = server.url .. slashes }))
        server:script(text("a"))
        assert.equal("a", provider.chat("hi", { provider = "openai" }).content)
        assert.equal("/v1/chat/completions", server:journal()[1].path)
      end
    end)

    it("keeps the query of an address behind the path", function()
      provider.configure("openai", here({ base_url = server.url .. "/x?api-version=1" }))
      server:script(text("a"))
      provider.chat("hi", { provider = "openai" })
      assert.equal("/v1/x/chat/completions?api-version=1", server:journal()[1].path)
    end)

    it("of nothing is not_found", function()
      has(raised("not_found", provider.configure, "nobody", {}).message, '"nobody"')
      raised("not_found", provider.chat, "hi", { provider = "nobody" })
      raised("not_found", provider.get_models, "nobody")
      raised("invalid_argument", provider.configure, "openai")
      raised("invalid_argument", provider.configure, "openai", { timeout_ms = "x" })
    end)

    it("may turn it off", function()
      local id = provider.create(here({ enabled = false }))
      server:script(text("a"))
      assert.equal("inactive", provider.get(id).status)
      raised("invalid_state", provider.chat, "hi", { provider = id })
      assert.equal(0, server:count())
      provider.configure(id, { enabled = true })
      assert.equal("a", provider.chat("hi", { provider = id }).content)
    end)
  end)

  describe("the counts", function()
    local id

    before_each(function()
      id = provider.create(here())
    end)

    -- Requests and errors so far, and the status.
    local function counts()
      local info = provider.get(id)
      return { info.requests, info.errors, info.status }
    end

    local function long()
      server:script(text({ "one", "two", "three" }, { chunk_delay_ms = 100 }))
    end

    it("have an answer whose callback wanted no more", function()
      long()
      provider.stream("hi", function()
        return false
      end, { provider = id })
      assert.same({ 1, 0, "active" }, counts())
    end)

    it("have a callback that raised, which is not the provider's fault", function()
      long()
      local function raise()
        error("boom")
      end
      raised("callback_error", provider.stream, "hi", raise, { provider = id })
      assert.same({ 1, 1, "initializing" }, counts())
      has(provider.get(id).last_error, "boom")
      server:script(text("a"), text("b"))
      provider.chat("hi", { provider = id })
      raised("callback_error", provider.stream, "hi", raise, { provider = id })
      assert.same({ 3, 2, "active" }, counts())
    end)

    it("have a cancelled one", function()
      long()
      local handle = provider.chat("hi", { provider = id, async = true })
      server:wait_for(1, zigllms.sleep)
      handle:cancel()
      raised("cancelled", handle.await, handle)
      assert.same({ 1, 1, "initializing" }, counts())
    end)

    it("have one that ended in its last chunk, once", function()
      server:script(text("a"), text("b"), text("c"))
      local handle
      handle = provider.stream("hi", function(piece)
        if piece.done then
          handle:cancel()
        end
      end, { provider = id, async = true })
      raised("cancelled", handle.await, handle)
      assert.same({ 1, 0, "active" }, counts())
      raised("callback_error", provider.stream, "hi", function(piece)
        assert(not piece.done)
      end, { provider = id })
      assert.same({ 2, 0, "active" }, counts())
      provider.stream("hi", function(piece)
        return not piece.done
      end, { provider = id })
      assert.same({ 3, 0, "active" }, counts())
      assert.equal(45, provider.get(id).usage.total_tokens)
    end)

    it("have one that nobody waits for any more", function()
      long()
      do
        assert.equal("one", provider.stream("hi", { provider = id })().content)
      end
      collectgarbage()
      collectgarbage()
      zigllms.poll()
      assert.same({ 1, 1, "initializing" }, counts())
    end)

    it("have one whose time was over", function()
      server:script(text("late", { delay_ms = 2000 }))
      raised("timeout", provider.chat, "hi", { provider = id, timeout_ms = 50 })
      assert.same({ 1, 1, "error" }, counts())
    end)

    it("have no error for an answer that does not fit its schema", function()
      server:script(text("no JSON"))
      raised("validation_failed", provider.chat, "hi", { provider = id, schema = { a = "string" } })
      assert.same({ 1, 0, "active" }, counts())
    end)

    it("have nothing that was never sent", function()
      local image = { type = "image_url", image_url = { url = "http://127.0.0.1:9/x.png" } }
      local messages = { { role = "system", content = { image } } }
      raised("unsupported", provider.chat, messages, { provider = id })
      assert.same({ 0, 0, "initializing" }, counts())
    end)
  end)

  describe("list and get", function()
    it("show the four types and what was made", function()
      local id = provider.create(here({ name = "mine", model = "m" }))
      local kinds = {}
      for i, item in ipairs(provider.list()) do
        kinds[i] = item.id
        assert.is_string(item.name)
        assert.is_string(item.type)
        assert.is_string(item.status)
        assert.is_string(item.base_url)
        assert.is_boolean(item.is_default)
      end
      assert.same({ "openai", "anthropic", "cohere", "local", id }, kinds)
      local item = by_id(id)
      assert.equal("mine", item.name)
      assert.equal("openai", item.type)
      assert.equal("m", item.model)
      assert.equal(server.url, item.base_url)
      assert.is_false(item.is_default)
      assert.equal("inactive", by_id("anthropic").status)
      assert.equal("inactive", by_id("cohere").status)
      assert.equal("initializing", by_id("local").status)
    end)

    it("tell everything but secrets", function()
      local id = provider.create(here({ name = "mine", timeout_ms = 5000 }))
      local info = provider.get(id)
      assert.equal(id, info.id)
      assert.equal("mine", info.name)
      assert.is_true(info.has_key)
      assert.equal(5000, info.timeout_ms)
      assert.is_false(info.retry)
      assert.equal(0, info.requests)
      assert.equal(0, info.errors)
      assert.is_nil(info.last_error)
      assert.is_nil(info.api_key)
      for _, key in ipairs({ "streaming", "tools", "vision", "json_schema", "embeddings" }) do
        assert.is_true(info.capabilities[key])
      end
      assert.is_false(info.capabilities.count_tokens)
      assert.equal(id, provider.get(info).id)
      info.name = "changed"
      assert.equal("mine", provider.get(id).name)
    end)

    it("answer for what is not there", function()
      assert.is_nil(provider.get("nobody"))
      assert.is_false(provider.destroy("nobody"))
    end)

    it("follow a provider through its life", function()
      local id = provider.create(here())
      local function status()
        assert.equal(provider.get(id).status, by_id(id).status)
        return provider.get(id).status
      end
      assert.equal("initializing", status())
      server:script(text("a"), failure(500, "broken"), text("b"))
      provider.chat("hi", { provider = id })
      assert.equal("active", status())
      raised("server_error", provider.chat, "hi", { provider = id })
      assert.equal("error", status())
      local info = provider.get(id)
      assert.equal(2, info.requests)
      assert.equal(1, info.errors)
      has(info.last_error, "broken")
      assert.equal(15, info.usage.total_tokens)
      provider.chat("hi", { provider = id })
      assert.equal("active", status())
      assert.equal(30, provider.get(id).usage.total_tokens)
      provider.configure(id, { enabled = false })
      assert.equal("inactive", status())
      provider.configure(id, { enabled = zigllms.null })
      assert.equal("active", status())
    end)

    it("know which one is the default", function()
      local id = provider.create(here({ name = "mine" }))
      zigllms.configure({ default_provider = "local" })
      assert.is_true(by_id("local").is_default)
      assert.is_true(provider.get("local").is_default)
      assert.is_false(by_id(id).is_default)
      zigllms.configure({ default_provider = id })
      assert.is_true(by_id(id).is_default)
      zigllms.configure({ default_provider = zigllms.null })
      assert.is_false(by_id(id).is_default)
    end)
  end)

  describe("destroy", function()
    it("forgets one, once", function()
      local id = provider.create(here({ name = "mine" }))
      assert.is_true(provider.destroy("mine"))
      assert.is_false(provider.destroy(id))
      assert.is_nil(provider.get(id))
      raised("not_found", provider.chat, "hi", { provider = id })
      assert.are_not.equal(id, provider.create(here({ name = "mine" })))
    end)

    it("takes away the configuration of a default one", function()
      provider.configure("openai", here({ model = "m" }))
      assert.is_true(provider.destroy("openai"))
      assert.are_not.equal(server.url, provider.get("openai").base_url)
      assert.are_not.equal("m", provider.get("openai").model)
      assert.equal(4, #provider.list())
    end)

    it("is noticed by agents at their next run", function()
      local id = provider.create(here())
      local own = agent.create({ provider = id })
      provider.destroy(id)
      raised("not_found", agent.run, own, "hi")
    end)

    it("does not disturb what is under way", function()
      local id = provider.create(here())
      server:script(text("still here", { delay_ms = 40 }))
      local handle = provider.chat("hi", { provider = id, async = true })
      server:wait_for(1, zigllms.sleep)
      provider.destroy(id)
      assert.equal("still here", handle:await().content)
    end)
  end)

  describe("get_models", function()
    local LIST = {
      data = {
        { id = "zeta", object = "model", created = 1700000000, owned_by = "me" },
        { id = "alpha", context_length = 8192, max_output_tokens = 1024, name = "Alpha" },
        { id = "mid", context_window = 4096, max_completion_tokens = 512 },
      },
    }

    it("asks the server, and sorts by id", function()
      provider.configure("openai", here())
      server:script({ json = LIST })
      local models = provider.get_models("openai")
      local entry = server:journal()[1]
      assert.equal("GET", entry.method)
      assert.equal("/v1/models", entry.path)
      assert.equal("Bearer test", entry.headers.authorization)
      assert.equal(3, #models)
      assert.same({ "alpha", "mid", "zeta" }, { models[1].id, models[2].id, models[3].id })
      assert.equal("Alpha", models[1].name)
      assert.equal(8192, models[1].context_length)
      assert.equal(1024, models[1].max_output_tokens)
      assert.equal("mid", models[2].name)
      assert.equal(4096, models[2].context_length)
      assert.equal(512, models[2].max_output_tokens)
      assert.equal("me", models[3].owned_by)
      assert.equal(1700000000, models[3].created)
      assert.is_nil(models[3].context_length)
    end)

    it("remembers, until told not to", function()
      provider.configure("openai", here())
      server:script({ json = LIST }, { json = { data = { { id = "new" } } } })
      provider.get_models("openai")[1].id = "changed"
      assert.equal("alpha", provider.get_models("openai")[1].id)
      assert.equal("alpha", provider.get_models("openai", { async = true }):await()[1].id)
      assert.equal(1, server:count())
      assert.equal("new", provider.get_models("openai", { refresh = true })[1].id)
      assert.equal("new", provider.get_models("openai")[1].id)
      assert.equal(2, server:count())
    end)

    it("asks again after a change of the configuration", function()
      provider.configure("openai", here())
      server:script({ json = LIST }, { json = { data = { { id = "new" } } } })
      provider.get_models("openai")
      provider.configure("openai", { api_key = "other" })
      assert.equal("new", provider.get_models("openai")[1].id)
    end)

    it("is of the default provider where none is named", function()
      provider.configure("openai", here())
      zigllms.configure({ default_provider = "openai" })
      server:script({ body = '{"data":[]}' })
      assert.equal(0, #provider.get_models())
      zigllms.configure({ default_provider = zigllms.null })
    end)

    it("may fail like any request", function()
      provider.configure("openai", here())
      server:script(failure(401, "no"), { body = "hello" }, { json = { nothing = true } })
      local err = raised("auth", provider.get_models, "openai")
      assert.equal(401, err.status)
      assert.equal("get_models", err.func)
      raised("bad_response", provider.get_models, "openai")
      raised("bad_response", provider.get_models, "openai")
      raised("invalid_argument", provider.get_models, "openai", { refesh = true })
    end)

    it("decides the model of a local server", function()
      local id = provider.create(here({ type = "local" }))
      server:script({ json = { data = { { id = "only" } } } }, text("a"), text("b"))
      local response = provider.chat("hi", { provider = id })
      assert.equal("a", response.content)
      local journal = server:journal()
      assert.equal("/v1/models", journal[1].path)
      assert.equal("only", journal[2].json.model)
      assert.equal(1, response.attempts)
      server:script(text("b"))
      provider.chat("hi", { provider = id, model = "named" })
      assert.equal("named", server:requests()[1].model)
    end)
  end)

  describe("the environment", function()
    it("decides which provider is the default", function()
      local ask = [[
        local function default()
          for _, item in ipairs(provider.list()) do
            if item.is_default then
              return item.id
            end
          end
        end
        print((default()))
      ]]
      assert.equal("nil", child(ask))
      assert.equal("openai", child(ask, { OPENAI_API_KEY = "k" }))
      assert.equal("nil", child(ask, { OPENAI_API_KEY = "k", COHERE_API_KEY = "k" }))
      assert.equal("local", child(ask, { OPENAI_API_KEY = "k", ZIGLLMS_PROVIDER = "local" }))
      assert.equal(
        "openai",
        child('zigllms.configure({ default_provider = "openai" })' .. ask, {
          ZIGLLMS_PROVIDER = "local",
        })
      )
    end)

    it("without a default is an error that says what to do", function()
      local chunk = 'print(failed(provider.chat, "hi"))'
      local out = child(chunk)
      has(out, "invalid_argument")
      has(out, "default_provider")
      out = child(chunk, { OPENAI_API_KEY = "k", COHERE_API_KEY = "k" })
      has(out, "openai, cohere")
    end)

    it("has key, address and model", function()
      server:script(text("a"))
      local out = child(
        [[
          print(provider.chat("hi").content, provider.get("openai").has_key)
          print(provider.get("openai").base_url)
        ]],
        {
          OPENAI_API_KEY = "from-env",
          OPENAI_BASE_URL = server.url .. "/",
          OPENAI_MODEL = "model-env",
        }
      )
      assert.equal("a\ttrue\n" .. server.url, out)
      local entry = server:journal()[1]
      assert.equal("Bearer from-env", entry.headers.authorization)
      assert.equal("model-env", entry.json.model)
    end)

    it("is overruled by the configuration", function()
      server:script(text("a"))
      child(
        ([[
          provider.configure("openai", { api_key = "mine", base_url = %q, model = "m" })
          provider.chat("hi")
        ]]):format(server.url),
        { OPENAI_API_KEY = "from-env", OPENAI_BASE_URL = "http://127.0.0.1:9", OPENAI_MODEL = "x" }
      )
      local entry = server:journal()[1]
      assert.equal("Bearer mine", entry.headers.authorization)
      assert.equal("m", entry.json.model)
    end)

    it("without a key is auth before any network", function()
      server:script(text("never"))
      local out = child(([[
          provider.configure("openai", { base_url = %q })
          print(provider.get("openai").status, provider.get("openai").has_key)
          print(failed(provider.chat, "hi", { provider = "openai" }))
          print(failed(provider.chat, "hi", { provider = "openai", async = true }))
          print(failed(provider.get_models, "openai"))
          local id = zigllms.agent.create({ provider = "openai" })
          print(failed(zigllms.agent.run, id, "hi"))
        ]]):format(server.url))
      assert.equal("inactive\tfalse", out:match("^[^\n]*"))
      local _, count = out:gsub("auth: no API key: set OPENAI_API_KEY or provider.configure", "")
      assert.equal(4, count, out)
      assert.equal(0, server:count())
    end)

    it("needs no key for a local server", function()
      server:script(text("a"))
      local out = child('print(provider.chat("hi", { provider = "local", model = "m" }))', {
        OLLAMA_HOST = "127.0.0.1:" .. server.port,
      })
      assert.equal("a", out)
      local entry = server:journal()[1]
      assert.equal("/v1/chat/completions", entry.path)
      assert.is_nil(entry.headers.authorization)
    end)
  end)

  describe("a secret", function()
    local SECRET = "sk-CANARY-0123456789"
    local HEADER = "canary-header-value"

    -- Every text in a value, keys included.
    local function texts(value, all, seen)
      all, seen = all or {}, seen or {}
      if type(value) == "table" and not seen[value] then
        seen[value] = true
        for key, item in pairs(value) do
          texts(key, all, seen)
          texts(item, all, seen)
        end
      end
      all[#all + 1] = tostring(value)
      return all
    end

    local function clean(value)
      local all = table.concat(texts(value), "\n")
      assert.is_nil((all:lower():find("canary", 1, true)), all)
    end

    local id

    before_each(function()
      id =
        provider.create(here({ name = "mine", api_key = SECRET, headers = { ["X-Key"] = HEADER } }))
    end)

    it("is sent, and shown nowhere", function()
      server:script(text("a"))
      local response = provider.chat("hi", { provider = id })
      local headers = server:journal()[1].headers
      assert.equal("Bearer " .. SECRET, headers.authorization)
      assert.equal(HEADER, headers["x-key"])
      clean(response)
      clean(provider.get(id))
      clean(provider.list())
      clean(zigllms.configure({}))
      clean(zigllms.help())
      clean(zigllms.help("provider"))
      clean(agent.get_info(agent.create({ provider = id })))
    end)

    it("is not shown by an error that echoes it", function()
      local echo = "wrong key: {{authorization}}"
      local replies = {
        failure(401, echo),
        failure(400, "x", { code = echo }),
        { status = 500, body = echo },
        { status = 403, json = { detail = { { msg = echo } } } },
        { status = 400, json = { error = { message = "x", more = { echo } } } },
        { body = echo },
        { json = { error = { message = echo, type = echo } } },
        { status = 401, body = "x", headers = { ["x-request-id"] = echo } },
      }
      for i, reply in ipairs(replies) do
        server:script(reply, reply, reply)
        local ok, err = pcall(provider.chat, "hi", { provider = id })
        assert.is_false(ok, i)
        assert.is_nil((tostring(err):find("CANARY", 1, true)))
        clean(err)
        clean(provider.get(id))
        ok, err = pcall(provider.stream, "hi", print, { provider = id })
        assert.is_false(ok, i)
        clean(err)
        -- A list of models that is no list is another matter.
        if reply.status then
          ok, err = pcall(provider.get_models, id)
          assert.is_false(ok, i)
          clean(err)
        end
      end
    end)

    it("is not shown by a mistake in the call that sets it", function()
      local err = raised("invalid_argument", provider.configure, id, {
        api_key = SECRET,
        base_urll = "x",
      })
      clean(err)
      clean(raised("invalid_argument", provider.create, { type = "nope", api_key = SECRET }))
    end)

    it("is not shown as part of an address", function()
      local url = server.url:gsub("://", "://user:canary@")
      local own = provider.create(here({ base_url = url }))
      clean(provider.get(own))
      clean(provider.list())
      assert.equal(server.url, provider.get(own).base_url)
      provider.configure(own, { proxy = "http://user:canary@127.0.0.1:9" })
      clean(provider.get(own))
      clean(select(2, pcall(provider.chat, "hi", { provider = own })))
    end)
  end)

  it("is asked many questions at a time", function()
    provider.configure("openai", here())
    local replies = {}
    for i = 1, 20 do
      replies[i] = text("answer " .. i, { delay_ms = 50, when = '"question ' .. i .. '"' })
    end
    server:script((table.unpack or unpack)(replies)) -- luacheck: ignore
    local began = clock()
    local handles = {}
    for i = 1, 20 do
      local options = { provider = "openai", async = true }
      handles[i] = provider.chat("question " .. i, options)
    end
    for i, response in ipairs(zigllms.all(handles)) do
      assert.equal("answer " .. i, response.content)
    end
    assert.is_true(clock() - began < 0.9)
  end)
end)
