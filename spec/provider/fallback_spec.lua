-- Providers that are asked where another one fails.
local clock = require("spec.support.program").clock
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider, agent = zigllms.provider, zigllms.agent
local text, failure = scripted.text, scripted.failure

-- The main provider's server, and that of those asked after it.
local main, other = scripted.start(), scripted.start()

local function lost(status, more)
  return failure(status, "status " .. status, more)
end

local function timed(fn, ...)
  local began = clock()
  fn(...)
  return (clock() - began) * 1000
end

describe("a fallback", function()
  local second, third

  before_each(function()
    zigllms.reset()
    zigllms.configure({ default_provider = "openai" })
    provider.configure("openai", { base_url = main.url, api_key = "sk-main-canary", retry = false })
    local function at(name, model)
      return provider.create({
        type = "openai",
        name = name,
        base_url = other.url,
        api_key = "sk-" .. name .. "-canary",
        model = model,
        retry = false,
      })
    end
    second, third = at("second", "second-model"), at("third", "third-model")
    main:script()
    other:script()
  end)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ default_provider = zigllms.null })
    main:stop()
    other:stop()
  end)

  it("answers where the provider fails, with a model of its own", function()
    main:script(lost(503))
    other:script(text("from the second"))
    local response = provider.chat("hi", { model = "main-model", fallback = { second } })
    assert.equal("from the second", response.content)
    assert.equal(second, response.provider)
    assert.equal(2, response.attempts)
    assert.equal("main-model", main:requests()[1].model)
    assert.equal("second-model", other:requests()[1].model)
    assert.equal("Bearer sk-second-canary", other:journal()[1].headers.authorization)
  end)

  it("is not asked where the provider answers", function()
    main:script(text("ok"))
    assert.equal("openai", provider.chat("hi", { fallback = { second } }).provider)
    assert.equal(0, other:count())
  end)

  it("may be an id, a name, a table with an id, a configuration or a pair", function()
    local inline =
      { type = "openai", base_url = other.url, api_key = "own", model = "inline-model" }
    local forms = {
      { second, "second-model" },
      { "third", "third-model" },
      { provider.get(third), "third-model" },
      { inline, "inline-model" },
      { { provider = "second" }, "second-model" },
      { { provider = "second", model = "named" }, "named" },
      { { provider = provider.get(third), model = "named" }, "named" },
      { { provider = inline, model = "named" }, "named" },
    }
    for i, form in ipairs(forms) do
      main:script(lost(500))
      other:script(text("ok"))
      provider.chat("hi", { model = "main-model", fallback = { form[1] } })
      assert.equal(form[2], other:requests()[1].model, i)
    end
  end)

  it("may be the same provider with another model", function()
    main:script(lost(500), text("ok"))
    local response = provider.chat("hi", {
      model = "large",
      headers = { ["X-Trace"] = "1" },
      fallback = { { model = "small" } },
    })
    assert.equal("openai", response.provider)
    assert.equal("small", main:requests()[2].model)
    assert.equal("1", main:journal()[2].headers["x-trace"])
  end)

  it("is asked after any error but those of the request itself", function()
    local function tried(reply)
      main:script(reply)
      other:script(text("ok"))
      local ok, err = pcall(provider.chat, "hi", { fallback = { second } })
      assert.equal(ok and 1 or 0, other:count())
      return ok or err.code
    end
    for _, status in ipairs({ 401, 402, 403, 404, 405, 408, 409, 429, 500, 502, 503, 529, 302 }) do
      assert.is_true(tried(lost(status)), status)
    end
    assert.is_true(tried(lost(429, { code = "insufficient_quota" })))
    assert.is_true(tried(failure(404, "model not found", { code = "model_not_found" })))
    assert.is_true(tried(failure(400, "too long", { code = "context_length_exceeded" })))
    assert.is_true(tried({ reset = true }))
    assert.is_true(tried({ body = "no JSON" }))
    assert.is_true(tried({ sse = { { error = { message = "busy", type = "overloaded_error" } } } }))
    assert.is_true(tried({ sse = { scripted.null } }))
    assert.equal("bad_request", tried(lost(400)))
    assert.equal("bad_request", tried(lost(422)))
    assert.equal("content_filter", tried(failure(400, "no", { code = "content_filter" })))
  end)

  it("is asked where the provider cannot even be asked", function()
    local function answered(config, attempts)
      other:script(text("ok"))
      local response = provider.chat("hi", { provider = config, fallback = { second } })
      assert.equal(second, response.provider)
      assert.equal(attempts, response.attempts)
    end
    answered({ type = "openai", base_url = main:refused(), api_key = "k", retry = false }, 2)
    provider.configure("openai", { enabled = false })
    answered("openai", 1)
    provider.configure("openai", { enabled = true, base_url = "ftp://nowhere" })
    answered("openai", 2)
    provider.configure("openai", { base_url = main.url })
    assert.equal(0, main:count())
    local err = raised("not_found", provider.chat, "hi", { provider = "no", fallback = { second } })
    assert.is_nil(err.details)
  end)

  it("comes after the retries, and has its own", function()
    local quick = { max_attempts = 3, initial_delay_ms = 1, jitter = false }
    provider.configure("openai", { retry = quick })
    provider.configure(second, { retry = { max_attempts = 2, initial_delay_ms = 1 } })
    main:script(lost(500), lost(500), lost(500), text("never"))
    other:script(lost(500), text("ok"))
    local response = provider.chat("hi", { fallback = { second } })
    assert.equal("ok", response.content)
    assert.equal(5, response.attempts)
    assert.equal(3, main:count())
    assert.equal(2, other:count())
  end)

  it("list is gone through in order", function()
    main:script(lost(500))
    other:script(lost(500), text("ok"))
    local response = provider.chat("hi", { fallback = { third, second } })
    assert.equal(second, response.provider)
    assert.equal("third-model", other:requests()[1].model)
    assert.equal("second-model", other:requests()[2].model)
  end)

  it("that fails too leaves the last error, with what the others said", function()
    main:script(failure(503, "busy, sk-main-canary"))
    other:script(lost(401), failure(500, "broken", { headers = { ["x-request-id"] = "req-9" } }))
    local err = raised("server_error", provider.chat, "hi", {
      model = "m",
      fallback = { second, third },
    })
    assert.equal(third, err.provider)
    assert.equal(3, err.attempts)
    assert.equal("req-9", err.request_id)
    assert.same({
      {
        provider = "openai",
        model = "m",
        code = "overloaded",
        message = "busy, *** (HTTP 503)",
        status = 503,
        attempts = 1,
      },
      {
        provider = second,
        model = "second-model",
        code = "auth",
        message = "status 401 (HTTP 401)",
        status = 401,
        attempts = 1,
      },
    }, err.details.fallbacks)
    assert.equal("broken", err.details.error.message)
  end)

  it("that refuses the request ends it", function()
    main:script(lost(500))
    other:script(lost(400), text("never"))
    local err = raised("bad_request", provider.chat, "hi", { fallback = { second, third } })
    assert.equal("server_error", err.details.fallbacks[1].code)
    assert.equal(1, other:count())
  end)

  it("without a capability that is used counts as failed", function()
    local cohere = provider.create({ type = "cohere", base_url = other.url, api_key = "k" })
    main:script(lost(500))
    other:script(text("ok"))
    local function chat(options)
      options.parallel_tool_calls = false
      return provider.chat("hi", options)
    end
    local response = chat({ fallback = { cohere, "third" } })
    assert.equal(third, response.provider)
    assert.equal(1, other:count())
    main:script(lost(500))
    local err = raised("unsupported", chat, { fallback = { cohere } })
    assert.equal(cohere, err.provider)
    assert.equal(1, err.attempts)
    assert.equal("server_error", err.details.fallbacks[1].code)
    other:script(text("ok"))
    response = chat({ provider = cohere, fallback = { second } })
    assert.equal(second, response.provider)
  end)

  it("gets the generation settings, but no headers, extras or keys of another", function()
    main:script(lost(500))
    other:script(text("ok"))
    provider.configure(second, { headers = { ["X-Own"] = "second" }, extra = { own = 1 } })
    provider.chat("hi", {
      temperature = 0.5,
      max_tokens = 7,
      headers = { ["X-Secret"] = "canary" },
      extra = { only_here = true },
      fallback = { second },
    })
    local request = other:journal()[1]
    assert.equal(0.5, request.json.temperature)
    assert.is_nil(request.json.only_here)
    assert.equal(1, request.json.own)
    assert.is_nil(request.headers["x-secret"])
    assert.equal("second", request.headers["x-own"])
    assert.is_nil(request.body:find("canary", 1, true))
  end)

  it("has time limits of its own within the time of the whole call", function()
    provider.configure("openai", { first_token_timeout_ms = 60 })
    main:script(text("late", { delay_ms = 3000 }))
    other:script(text("slow", { delay_ms = 200 }))
    local response
    local ms = timed(function()
      response = provider.chat("hi", { fallback = { second } })
    end)
    assert.equal("slow", response.content)
    assert.is_true(ms >= 250 and ms < 2500, ms)

    main:script(text("late", { delay_ms = 3000 }))
    other:script(text("late", { delay_ms = 3000 }))
    ms = timed(function()
      local err =
        raised("timeout", provider.chat, "hi", { fallback = { second }, timeout_ms = 150 })
      assert.equal("total", err.phase)
      assert.equal(second, err.provider)
      assert.equal(2, err.attempts)
      assert.equal("timeout", err.details.fallbacks[1].code)
    end)
    assert.is_true(ms >= 145 and ms < 1500, ms)
  end)

  it("is not asked once the time of the call is over", function()
    main:script(text("late", { delay_ms = 3000 }))
    other:script(text("never"))
    local err = raised("timeout", provider.chat, "hi", { fallback = { second }, timeout_ms = 60 })
    assert.equal("total", err.phase)
    assert.equal(0, other:count())
  end)

  it("is cancelled like any request", function()
    main:script(lost(500))
    other:script(text("late", { delay_ms = 5000 }))
    local handle = provider.chat("hi", { fallback = { second }, async = true })
    other:wait_for(1, zigllms.sleep)
    local ms = timed(function()
      assert.is_true(handle:cancel("enough"))
      local err = raised("cancelled", handle.await, handle)
      assert.equal("enough", err.details.reason)
      assert.equal("server_error", err.details.fallbacks[1].code)
    end)
    assert.is_true(ms < 500, ms)
  end)

  it("streams, and is not asked once something was delivered", function()
    main:script(lost(500))
    other:script(text({ "from ", "another" }))
    local said = {}
    local response = provider.stream("hi", function(chunk)
      said[#said + 1] = chunk.content
    end, { fallback = { second } })
    assert.equal("from another", table.concat(said))
    assert.equal(second, response.provider)

    main:script({ sse = { scripted.chunk({ content = "so far" }), scripted.null } })
    other:script(text("never"))
    said = {}
    local err = raised("network", provider.stream, "hi", function(chunk)
      said[#said + 1] = chunk.content
    end, { fallback = { second } })
    assert.equal("so far", table.concat(said))
    assert.equal("so far", err.partial.content)
    assert.equal(0, other:count())
  end)

  it("is asked for all of it where the first answer broke off unheard", function()
    main:script({ sse = { scripted.chunk({ content = "so far" }), scripted.null } })
    other:script(text("whole"))
    assert.equal("whole", provider.chat("hi", { fallback = { second } }).content)
  end)

  it("is not asked when a callback fails or wants no more", function()
    main:script(text("a"), text("b"))
    raised("callback_error", provider.stream, "hi", function()
      error("mine")
    end, { fallback = { second } })
    local response = provider.stream("hi", function()
      return false
    end, { fallback = { second } })
    assert.equal("cancelled", response.finish_reason)
    assert.equal(0, other:count())
  end)

  it("of a call wins over that of its provider, and null or none unsets it", function()
    provider.configure("openai", { fallback = { second } })
    local function asked(options)
      main:script(lost(500))
      other:script(text("ok"))
      local ok, result = pcall(provider.chat, "hi", options)
      return ok and result.provider or result.code
    end
    assert.equal(second, asked())
    assert.equal(third, asked({ fallback = { third } }))
    assert.equal("server_error", asked({ fallback = {} }))
    assert.equal("server_error", asked({ fallback = zigllms.null }))
    assert.same({ { provider = second } }, provider.get("openai").fallback)
    provider.configure("openai", { fallback = zigllms.null })
    assert.equal("server_error", asked())
    assert.is_nil(provider.get("openai").fallback)
  end)

  it("has its own fallbacks ignored", function()
    provider.configure(second, { fallback = { third } })
    main:script(lost(500))
    other:script(lost(500), text("never"))
    raised("server_error", provider.chat, "hi", { fallback = { second } })
    assert.equal(1, other:count())
  end)

  it("counts in the numbers of the one that answered", function()
    main:script(lost(500))
    other:script(text("ok"))
    provider.chat("hi", { fallback = { second } })
    local failed, answered = provider.get("openai"), provider.get(second)
    assert.equal(1, failed.requests)
    assert.equal(1, failed.errors)
    assert.equal("error", failed.status)
    assert.equal(0, failed.usage.total_tokens)
    assert.equal(1, answered.requests)
    assert.equal(0, answered.errors)
    assert.equal("active", answered.status)
    assert.equal(15, answered.usage.total_tokens)
  end)

  it("that is gone by then counts as failed", function()
    provider.configure("openai", { fallback = { second, third } })
    provider.destroy(second)
    main:script(lost(500))
    other:script(text("ok"))
    assert.equal(third, provider.chat("hi").provider)
  end)

  it("is checked before anything is sent", function()
    local function refused(code, fallback, path)
      local err = raised(code, provider.chat, "hi", { fallback = fallback })
      assert.truthy(err.message:find("options." .. path, 1, true), err.message)
      err = raised(code, provider.create, { type = "openai", fallback = fallback })
      assert.truthy(err.message:find("config." .. path, 1, true), err.message)
      err = raised(code, agent.create, { provider = "openai", fallback = fallback })
      assert.truthy(err.message:find("config." .. path, 1, true), err.message)
    end
    refused("invalid_argument", "second", "fallback")
    refused("invalid_argument", { 5 }, "fallback[1]")
    refused("not_found", { second, "nobody" }, "fallback[2]")
    refused("not_found", { { provider = "nobody", model = "m" } }, "fallback[1]")
    refused("invalid_argument", { {} }, "fallback[1]")
    refused("invalid_argument", { { base_url = other.url } }, "fallback[1].type")
    refused("invalid_argument", { { provider = second, modle = "m" } }, "fallback[1].modle")
    -- Beside anything but a model, `provider` is the type of a configuration.
    local known = 'fallback[1].type: no provider type "olama" (did you mean "ollama"?)'
    refused("invalid_argument", { { provider = "olama", headers = {} } }, known)
    assert.equal(0, main:count())
  end)

  it("shows no key of a configuration", function()
    local inline = {
      type = "openai",
      base_url = other.url,
      api_key = "sk-inline-canary",
      retry = false,
    }
    provider.configure("openai", { fallback = { inline, { provider = "third", model = "m" } } })
    local shown = { { provider = "openai" }, { provider = "third", model = "m" } }
    assert.same(shown, provider.get("openai").fallback)
    local id = agent.create({ provider = "openai", fallback = { inline } })
    assert.same({ { provider = "openai" } }, agent.get_info(id).fallback)
    main:script(lost(500))
    other:script(failure(500, "no sk-inline-canary, no sk-third-canary"), {
      status = 500,
      body = "no sk-third-canary",
    })
    local err = raised("server_error", provider.chat, "hi")
    local all = tostring(err) .. require("cjson").encode(err.details)
    assert.is_nil(all:find("inline-canary", 1, true))
    assert.equal("no *** (HTTP 500)", err.message)
  end)

  describe("of an agent", function()
    it("is asked in any round, and each round begins with the main provider", function()
      local id = agent.create({
        provider = "openai",
        fallback = { second },
        tools = {
          {
            name = "look",
            execute = function()
              return "seen"
            end,
          },
        },
      })
      main:script(lost(500), text("done by main"))
      other:script(scripted.calls({ { "call_1", "look", "{}" } }))
      local response = agent.run(id, "go")
      assert.equal("done by main", response.content)
      assert.equal("openai", response.provider)
      assert.equal(3, response.attempts)
      assert.equal(2, main:count())
      assert.equal(1, other:count())
      main:script(lost(500))
      other:script(text("done by the second"))
      assert.equal(second, agent.run(id, "again").provider)
    end)

    it("can be set for a run, configured and unset", function()
      local id = agent.create({ provider = "openai" })
      local function asked(options)
        main:script(lost(500))
        other:script(text("ok"))
        local ok, result = pcall(agent.run, id, "go", options)
        return ok and result.provider or result.code
      end
      assert.equal("server_error", asked())
      assert.equal(second, asked({ fallback = { second } }))
      agent.configure(id, { fallback = { third } })
      assert.equal(third, asked())
      assert.equal(second, asked({ fallback = { second } }))
      assert.equal("server_error", asked({ fallback = zigllms.null }))
      local copy = agent.clone(id)
      assert.same({ { provider = third } }, agent.get_info(copy).fallback)
      agent.configure(id, { fallback = zigllms.null })
      assert.equal("server_error", asked())
      provider.configure("openai", { fallback = { second } })
      assert.equal(second, asked())
    end)

    it("needs a price where costs are bounded", function()
      local prices = { m = { input = 1, output = 1 } }
      provider.configure("openai", { model = "m", prices = prices })
      local budget = { max_cost = 5 }
      local id = agent.create({ provider = "openai", budget = budget, fallback = { second } })
      local err = raised("invalid_argument", agent.run, id, "go")
      assert.truthy(err.message:find("second-model", 1, true))
      assert.equal(0, main:count())
      provider.configure(second, { prices = { ["second-model"] = prices.m } })
      main:script(lost(500))
      other:script(text("ok"))
      assert.is_true(agent.run(id, "go").cost > 0)
    end)

    it("fails with the error of the last, the others beside it", function()
      local id = agent.create({ provider = "openai", fallback = { second } })
      main:script(lost(503))
      other:script(lost(401))
      local err = raised("auth", agent.run, id, "go")
      assert.equal("overloaded", err.details.fallbacks[1].code)
      assert.equal("error", agent.get_state(id))
    end)
  end)
end)
