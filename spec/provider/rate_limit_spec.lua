-- Requests that wait for their turn, or are refused, before they are sent. The minute itself passes
-- in tests/limiter.rs, where time is a number; here an answer that took less than was expected lets
-- the next request go.
local clock = require("spec.support.program").clock
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider, agent = zigllms.provider, zigllms.agent
local text, failure = scripted.text, scripted.failure

local server = scripted.start()

local function timed(fn, ...)
  local began = clock()
  fn(...)
  return (clock() - began) * 1000
end

-- An answer for any number of requests.
local function always(reply)
  reply["repeat"] = true
  server:script(reply)
end

-- Limits the default provider; who is over the limit is told so.
local function limit(requests, more)
  local rate = { requests_per_minute = requests, on_limit = "raise" }
  for key, value in pairs(more or {}) do
    rate[key] = value
  end
  provider.configure("openai", { rate_limit = rate })
end

describe("a rate limit", function()
  before_each(server:as_default(zigllms))
  teardown(server:retired(zigllms))

  it("lets a burst through and refuses what is above it, unsent", function()
    always(text("ok"))
    limit(3)
    for _ = 1, 3 do
      provider.chat("hi")
    end
    local err = raised("rate_limited", provider.chat, "hi")
    assert.is_true(err.retry_after_ms > 50000 and err.retry_after_ms <= 60001, err.retry_after_ms)
    assert.is_true(err.retryable)
    assert.is_nil(err.attempts)
    assert.is_nil(err.status)
    assert.equal("openai", err.provider)
    assert.truthy(err.message:find("rate_limit", 1, true))
    assert.equal(3, server:count())
    assert.equal(3, provider.get("openai").requests)
  end)

  it("is kept by every face and by agents", function()
    always(text("ok"))
    limit(4)
    provider.chat("hi", { async = true }):await()
    provider.stream("hi", function() end)
    for _ in provider.stream("hi") do
    end
    local id = agent.create({ provider = "openai" })
    agent.run(id, "hi")
    raised("rate_limited", agent.run, id, "hi")
    local handle = provider.chat("hi", { async = true })
    raised("rate_limited", handle.await, handle)
    raised("rate_limited", zigllms.await, zigllms.spawn(provider.chat, "hi"))
    assert.equal(4, server:count())
  end)

  it("counts retries and lists of models", function()
    limit(2)
    server:script(failure(500, "x"), failure(500, "x"), text("never"))
    local quick = { max_attempts = 5, initial_delay_ms = 1 }
    local err = raised("rate_limited", provider.chat, "hi", { retry = quick })
    assert.equal(2, err.attempts)
    assert.equal(2, server:count())

    limit(3)
    server:script({ json = { data = { { id = "a" } } } })
    provider.get_models("openai")
    raised("rate_limited", provider.get_models, "openai", { refresh = true })
    raised("rate_limited", provider.chat, "hi")
    assert.equal(1, server:count())
  end)

  it("is each provider's own", function()
    always(text("ok"))
    limit(1)
    local another = provider.create({
      type = "openai",
      base_url = server.url,
      api_key = "k",
      rate_limit = { requests_per_minute = 1, on_limit = "raise" },
    })
    provider.chat("hi")
    raised("rate_limited", provider.chat, "hi")
    provider.chat("hi", { provider = another })
    raised("rate_limited", provider.chat, "hi", { provider = another })
    assert.equal(2, server:count())
  end)

  it("is kept for a configuration that an agent owns", function()
    always(text("ok"))
    local id = agent.create({
      provider = {
        type = "openai",
        base_url = server.url,
        api_key = "k",
        rate_limit = { requests_per_minute = 1, on_limit = "raise" },
      },
    })
    agent.run(id, "hi")
    raised("rate_limited", agent.run, id, "hi")
    assert.equal(1, server:count())
  end)

  it("counts each key by itself", function()
    always(text("ok"))
    limit(1)
    local function asks(key)
      return pcall(provider.chat, "hi", { rate_limit = { key = key } })
    end
    assert.is_true(asks("ann"))
    assert.is_true(asks("bob"))
    assert.is_false(asks("ann"))
    assert.is_false(asks("bob"))
    assert.is_true(asks("cem"))
    assert.is_true(asks(nil))
    assert.is_false(asks(nil))
    assert.equal(4, server:count())
  end)

  it("stays counted when it is changed, and can be unset", function()
    always(text("ok"))
    limit(1)
    provider.chat("hi")
    raised("rate_limited", provider.chat, "hi")
    limit(2)
    provider.chat("hi")
    raised("rate_limited", provider.chat, "hi")
    provider.chat("hi", { rate_limit = zigllms.null })
    provider.configure("openai", { rate_limit = zigllms.null })
    provider.chat("hi")
    assert.is_nil(provider.get("openai").rate_limit)
    assert.equal(4, server:count())
  end)

  it("hands the request to a fallback", function()
    always(text("ok"))
    limit(1)
    local second = provider.create({ type = "openai", base_url = server.url, api_key = "k" })
    assert.equal("openai", provider.chat("hi", { fallback = { second } }).provider)
    local response = provider.chat("hi", { fallback = { second } })
    assert.equal(second, response.provider)
    assert.equal(1, response.attempts)
  end)

  describe("that makes calls wait", function()
    before_each(function()
      limit(1, { on_limit = "wait" })
      always(text("ok"))
      provider.chat("hi")
    end)

    it("ends with the time of the call", function()
      local ms = timed(function()
        local err = raised("timeout", provider.chat, "hi", { timeout_ms = 80 })
        assert.equal("total", err.phase)
        assert.is_nil(err.attempts)
      end)
      assert.is_true(ms >= 75 and ms < 800, ms)
      assert.equal(1, server:count())
    end)

    it("ends when it is cancelled", function()
      local handles = {}
      for i = 1, 3 do
        handles[i] = provider.chat("hi", { async = true })
      end
      zigllms.sleep(20)
      local ms = timed(function()
        for i = 1, 3 do
          assert.is_true(handles[i]:cancel("enough"))
          local err = raised("cancelled", handles[i].await, handles[i])
          assert.equal("enough", err.details.reason)
        end
      end)
      assert.is_true(ms < 500, ms)
      assert.equal(1, server:count())
    end)

    it("keeps no other provider and no other key from going on", function()
      local waiting = provider.chat("hi", { async = true })
      zigllms.sleep(5)
      assert.is_false(waiting:done())
      assert.equal("ok", provider.chat("hi", { rate_limit = { key = "ann" } }).content)
      assert.is_false(waiting:done())
      waiting:cancel()
    end)

    it("can be told not to, by a call", function()
      raised("rate_limited", provider.chat, "hi", { rate_limit = { on_limit = "raise" } })
    end)
  end)

  describe("of tokens", function()
    local function tokens(count, on_limit)
      local rate = { tokens_per_minute = count, on_limit = on_limit }
      provider.configure("openai", { rate_limit = rate })
    end

    local function only_one_is_sent()
      server:wait_for(1, zigllms.sleep)
      zigllms.sleep(20)
      assert.equal(1, server:count())
    end

    it("counts what answers took", function()
      always(text("ok", { usage = scripted.usage(400, 100) }))
      tokens(1000, "raise")
      provider.chat("hi")
      provider.chat("hi")
      local err = raised("rate_limited", provider.chat, "hi")
      assert.is_true(err.retry_after_ms > 50000)
      assert.equal(2, server:count())
    end)

    it("expects the prompt and the longest answer", function()
      always(text("ok", { delay_ms = 2000 }))
      tokens(1000, "raise")
      local handle = provider.chat(("x"):rep(400), { max_tokens = 800, async = true })
      zigllms.sleep(5)
      raised("rate_limited", provider.chat, ("x"):rep(404))
      local another = provider.chat(("x"):rep(400), { async = true })
      zigllms.sleep(5)
      assert.is_false(another:done())
      handle:cancel()
      another:cancel()
    end)

    it("refuses for good what could never be sent", function()
      always(text("never"))
      tokens(1000)
      local err = raised("rate_limited", provider.chat, ("x"):rep(4004))
      assert.is_false(err.retryable)
      assert.truthy(err.message:find("tokens_per_minute (1000)", 1, true))
      assert.is_nil(err.retry_after_ms)
      raised("rate_limited", provider.chat, "hi", { max_tokens = 1000 })
      assert.equal(0, server:count())
    end)

    it("lets those who wait go in their order once an answer took less", function()
      always(text("ok", { delay_ms = 150 }))
      tokens(1000)
      local order, handles = {}, {}
      for i = 1, 4 do
        handles[i] = provider.chat("question " .. i, { max_tokens = 900, async = true })
        handles[i]:on(function()
          order[#order + 1] = i
        end)
      end
      only_one_is_sent()
      zigllms.all(handles)
      assert.same({ 1, 2, 3, 4 }, order)
      for i, request in ipairs(server:requests()) do
        assert.equal("question " .. i, request.messages[1].content)
      end
    end)

    it("lets nobody overtake, however small", function()
      always(text("ok", { delay_ms = 150 }))
      tokens(1000)
      local handles = {}
      -- The last fits beside the first, but not beside the second and what the first took.
      for i, most in ipairs({ 900, 900, 90 }) do
        local options = { max_tokens = most, async = true }
        handles[i] = provider.chat("question " .. i, options)
      end
      only_one_is_sent()
      zigllms.all(handles)
      assert.equal("question 2", server:requests()[2].messages[1].content)
    end)

    it("goes on with the next one when the first of those who wait is cancelled", function()
      server:script(text("ok", { delay_ms = 150 }), text("ok"))
      tokens(1000)
      local first = provider.chat("first", { max_tokens = 900, async = true })
      local second = provider.chat("second", { max_tokens = 900, async = true })
      local third = provider.chat("third", { max_tokens = 900, async = true })
      zigllms.sleep(20)
      second:cancel()
      first:await()
      assert.equal("ok", third:await().content)
      assert.equal(2, server:count())
    end)

    it("makes a question wait that comes after the list of models", function()
      local own = { type = "local", base_url = server.url, name = "box" }
      own.rate_limit = { tokens_per_minute = 1000 }
      local id = provider.create(own)
      server:script(
        text("first", { delay_ms = 100, when = "question 1" }),
        { json = { data = { { id = "only" } } } },
        text("second")
      )
      local first = { provider = id, model = "m", max_tokens = 900, async = true }
      local second = { provider = id, max_tokens = 900, async = true }
      first, second = provider.chat("question 1", first), provider.chat("question 2", second)
      assert.equal("second", second:await().content)
      assert.equal("first", first:await().content)
      assert.equal(3, server:count())
    end)

    it("counts no request that was cancelled before its turn", function()
      always(text("ok"))
      limit(1, { on_limit = "wait" })
      provider.chat("hi")
      local handle = provider.get_models("openai", { async = true })
      zigllms.sleep(5)
      assert.is_false(handle:done())
      handle:cancel()
      assert.equal("cancelled", select(2, pcall(handle.await, handle)).code)
      assert.equal(1, provider.get("openai").requests)
      assert.equal(1, server:count())
    end)

    it("holds for embeddings, each request of them", function()
      server:script({
        json = { data = { { index = 0, embedding = { 1, 2 } } }, usage = { prompt_tokens = 500 } },
        ["repeat"] = true,
      })
      tokens(1000, "raise")
      local texts = { "a", "b", "c" }
      raised("rate_limited", provider.embed, texts, { model = "m", batch_size = 1 })
      assert.equal(2, server:count())
    end)

    it("takes nothing for a request that failed", function()
      server:script(failure(500, "x"), text("ok"))
      tokens(1000, "raise")
      raised("server_error", provider.chat, "hi", { max_tokens = 900 })
      assert.equal("ok", provider.chat("hi", { max_tokens = 900 }).content)
    end)
  end)

  it("is checked", function()
    local function refused(code, rate, what)
      local err = raised(code, provider.chat, "hi", { rate_limit = rate })
      assert.truthy(err.message:find("options.rate_limit" .. what, 1, true), err.message)
      err = raised(code, provider.configure, "openai", { rate_limit = rate })
      assert.truthy(err.message:find("config.rate_limit" .. what, 1, true), err.message)
    end
    refused("invalid_argument", 5, "")
    refused("invalid_argument", { requests_per_minute = 0 }, ".requests_per_minute")
    refused("invalid_argument", { requests_per_minute = "many" }, ".requests_per_minute")
    refused("invalid_argument", { tokens_per_minute = -1 }, ".tokens_per_minute")
    refused("invalid_argument", { on_limit = "explode" }, ".on_limit")
    refused("invalid_argument", { key = 5 }, ".key")
    refused("invalid_argument", { requests_per_minut = 5 }, ".requests_per_minut")
    refused("invalid_argument", { requests_per_minute = 5, shared = 1 }, ".shared")
    provider.configure("openai", { rate_limit = { requests_per_minute = 5, shared = false } })
    assert.same({ requests_per_minute = 5, shared = false }, provider.get("openai").rate_limit)
  end)
end)
