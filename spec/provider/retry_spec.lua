-- Requests that are made again, and those that are not.
local clock = require("spec.support.program").clock
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local text, failure = scripted.text, scripted.failure

local server = scripted.start()

local QUICK = { max_attempts = 3, initial_delay_ms = 1, jitter = false }

local function lost(status, headers)
  return failure(status, "status " .. status, { headers = headers })
end

-- Milliseconds that a call takes, and what it returns.
local function timed(fn, ...)
  local began = clock()
  local result = fn(...)
  return (clock() - began) * 1000, result
end

describe("a failed request", function()
  before_each(function()
    zigllms.reset()
    zigllms.configure({ default_provider = "openai" })
    provider.configure("openai", { base_url = server.url, api_key = "test", retry = QUICK })
  end)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ default_provider = zigllms.null })
    server:stop()
  end)

  it("is made again where that may help", function()
    for _, status in ipairs({ 408, 409, 429, 500, 502, 503, 504, 529 }) do
      server:script(lost(status), lost(status), text("at last"))
      local response = provider.chat("hi")
      assert.equal("at last", response.content)
      assert.equal(3, response.attempts)
      local requests = server:requests()
      assert.equal(3, #requests)
      assert.same(requests[1], requests[3])
    end
  end)

  it("is not made again where it would not", function()
    for _, status in ipairs({ 400, 401, 402, 403, 404, 405, 413, 422 }) do
      server:script(lost(status), text("never"))
      local ok, err = pcall(provider.chat, "hi")
      assert.is_false(ok)
      assert.equal(status, err.status)
      assert.equal(1, err.attempts)
      assert.equal(1, server:count())
    end
    server:script({ status = 302, headers = { Location = server.url } }, text("never"))
    raised("bad_response", provider.chat, "hi")
    assert.equal(1, server:count())
  end)

  it("is given up at last, with the last error", function()
    server:script(lost(500), lost(503), lost(429), text("never"))
    local err = raised("rate_limited", provider.chat, "hi")
    assert.equal(3, err.attempts)
    assert.is_true(err.retryable)
    assert.equal(3, server:count())
  end)

  it("is made as often as the options say", function()
    local failed = lost(500)
    failed["repeat"] = true
    local function attempts(options)
      server:script(failed)
      local err = raised("server_error", provider.chat, "hi", options)
      assert.equal(server:count(), err.attempts)
      return err.attempts
    end
    assert.equal(3, attempts())
    assert.equal(1, attempts({ retry = false }))
    assert.equal(1, attempts({ max_retries = 0 }))
    assert.equal(3, attempts({ max_retries = 2 }))
    assert.equal(6, attempts({ max_retries = 5 }))
    assert.equal(2, attempts({ retry = { max_attempts = 2 } }))
    assert.equal(5, attempts({ retry = { max_attempts = 5, multiplier = 1 } }))
    provider.configure("openai", { max_retries = 1 })
    assert.equal(2, attempts())
    provider.configure("openai", { max_retries = zigllms.null, retry = false })
    assert.equal(1, attempts())
  end)

  it("is made again in each face", function()
    server:script(lost(500), text("one"), lost(500), text("two"), lost(500), text("three"))
    assert.equal(2, provider.chat("hi", { async = true }):await().attempts)
    local said = {}
    local response = provider.stream("hi", function(piece)
      said[#said + 1] = piece.content
    end)
    assert.equal(2, response.attempts)
    assert.equal("two", table.concat(said))
    local all = {}
    for piece in provider.stream("hi") do
      all[#all + 1] = piece.content
    end
    assert.equal("three", table.concat(all))
  end)

  it("waits longer each time, up to a limit", function()
    local failed = lost(500)
    failed["repeat"] = true
    server:script(failed)
    local ms = timed(pcall, provider.chat, "hi", {
      retry = {
        max_attempts = 5,
        initial_delay_ms = 20,
        multiplier = 3,
        max_delay_ms = 50,
        jitter = false,
      },
    })
    assert.equal(5, server:count())
    assert.is_true(ms >= 20 + 50 + 50 + 50, ms)
    assert.is_true(ms < 1000, ms)
  end)

  it("waits as long as the server asks", function()
    local slow = { retry = { initial_delay_ms = 5000, max_delay_ms = 5000 } }
    server:script(lost(429, { ["retry-after-ms"] = "60" }), text("ok"))
    local ms = timed(provider.chat, "hi", slow)
    assert.is_true(ms >= 60 and ms < 1500, ms)

    server:script(lost(503, { ["Retry-After"] = "0.08" }), text("ok"))
    ms = timed(provider.chat, "hi", slow)
    assert.is_true(ms >= 80 and ms < 1500, ms)

    server:script(lost(503, { ["Retry-After"] = "1" }), text("ok"))
    ms = timed(provider.chat, "hi")
    assert.is_true(ms >= 1000 and ms < 2500, ms)

    server:script(
      lost(429, { ["retry-after-ms"] = "30", ["Retry-After"] = "100" }),
      text("ms wins")
    )
    ms = timed(provider.chat, "hi", slow)
    assert.is_true(ms >= 30 and ms < 1500, ms)
  end)

  it("waits until a date that the server names", function()
    server:script(lost(429, { ["Retry-After"] = "Thu, 31 Dec 2099 23:59:59 GMT" }), text("never"))
    local err = raised("rate_limited", provider.chat, "hi")
    assert.is_true(err.retry_after_ms > 120000)
    assert.equal(1, err.attempts)
  end)

  it("waits as long as is left by the server's own clock", function()
    local head = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 2\r\n"
      .. "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
      .. "Retry-After: Wed, 21 Oct 2015 07:28:01 GMT\r\n\r\n{}"
    server:script({ raw = head }, text("ok"))
    local ms = timed(provider.chat, "hi")
    assert.is_true(ms >= 1000 and ms < 2500, ms)
    assert.equal(2, server:count())
  end)

  it("is made at once where the server names no time or one that has passed", function()
    for _, value in ipairs({ "0", "-5", "soon", "Wed, 21 Oct 2015 07:28:00 GMT" }) do
      server:script(lost(503, { ["Retry-After"] = value }), text("ok"))
      local ms = timed(provider.chat, "hi")
      assert.is_true(ms < 1000, ms)
    end
  end)

  it("has options that are checked", function()
    local function refused(retry, what)
      local path = "options.retry" .. what
      local err = raised("invalid_argument", provider.chat, "hi", { retry = retry })
      assert.truthy(err.message:find(path, 1, true), err.message)
      err = raised("invalid_argument", provider.configure, "openai", { retry = retry })
      assert.truthy(err.message:find("config.retry" .. what, 1, true), err.message)
    end
    server:script(text("never"))
    refused("often", "")
    refused(3, "")
    refused({ max_attempts = 0 }, ".max_attempts")
    refused({ max_attempts = 1.5 }, ".max_attempts")
    refused({ max_attempts = 101 }, ".max_attempts")
    refused({ initial_delay_ms = -1 }, ".initial_delay_ms")
    refused({ max_delay_ms = "long" }, ".max_delay_ms")
    refused({ multiplier = 0.5 }, ".multiplier")
    refused({ jitter = 1 }, ".jitter")
    refused({ max_atempts = 2 }, ".max_atempts")
    raised("invalid_argument", provider.chat, "hi", { max_retries = 1.5 })
    raised("invalid_argument", provider.chat, "hi", { max_retries = 101 })
    assert.equal(0, server:count())
  end)

  it("is not made again if the server asks for more than two minutes", function()
    for _, headers in ipairs({ { ["Retry-After"] = "121" }, { ["retry-after-ms"] = "120001" } }) do
      server:script(lost(429, headers), text("never"))
      local ms = timed(function()
        local err = raised("rate_limited", provider.chat, "hi")
        assert.is_true(err.retry_after_ms > 120000)
        assert.equal(1, err.attempts)
        assert.is_true(err.retryable)
      end)
      assert.is_true(ms < 1000)
      assert.equal(1, server:count())
    end
  end)

  it("tells what the server asked for", function()
    server:script(lost(429, { ["retry-after"] = "7" }))
    local err = raised("rate_limited", provider.chat, "hi", { retry = false })
    assert.equal(7000, err.retry_after_ms)
  end)

  it("obeys x-should-retry", function()
    server:script(lost(500, { ["x-should-retry"] = "false" }), text("never"))
    local err = raised("server_error", provider.chat, "hi")
    assert.equal(1, err.attempts)
    assert.is_false(err.retryable)
    server:script(lost(400, { ["x-should-retry"] = "true" }), text("yes"))
    assert.equal("yes", provider.chat("hi").content)
    server:script(lost(400, { ["x-should-retry"] = "true" }), text("never"))
    raised("bad_request", provider.chat, "hi", { retry = false })
    assert.equal(1, server:count())
  end)

  it("is not made again when the quota is used up", function()
    for _, code in ipairs({ "insufficient_quota", "billing_hard_limit_reached" }) do
      server:script(failure(429, "You exceeded your quota", { code = code }), text("never"))
      local err = raised("rate_limited", provider.chat, "hi")
      assert.is_false(err.retryable)
      assert.equal(1, server:count())
    end
  end)

  it("is made again after a connection that failed", function()
    -- Another name for the same server: the connection is a new one.
    local url = "http://localhost:" .. server.port .. "/v1"
    provider.configure("openai", { base_url = url, proxy = false })
    server:script({ reset = true }, text("ok"))
    local response = provider.chat("hi")
    assert.equal("ok", response.content)
    assert.equal(2, response.attempts)
    assert.equal(2, server:count())
  end)

  it("is made again after an error frame before the first content", function()
    local frame = { error = { message = "busy", type = "overloaded_error" } }
    server:script({ sse = { frame } }, text("ok"))
    local response = provider.chat("hi")
    assert.equal("ok", response.content)
    assert.equal(2, response.attempts)
    server:script({ sse = { { error = { message = "no", type = "invalid_request_error" } } } })
    assert.equal(1, raised("bad_request", provider.chat, "hi").attempts)
  end)

  it("is made again after a stream that was cut before its first content", function()
    server:script(
      { sse = { scripted.chunk({ role = "assistant", content = "" }), scripted.null } },
      text("ok")
    )
    assert.equal(2, provider.chat("hi").attempts)
    server:script({ sse = { scripted.null } }, text("ok"))
    assert.equal(2, provider.chat("hi").attempts)
  end)

  it("is never made again once something was delivered", function()
    server:script({ sse = { scripted.chunk({ content = "so far" }), scripted.null } }, text("no"))
    local said = {}
    local err = raised("network", provider.stream, "hi", function(piece)
      said[#said + 1] = piece.content
    end)
    assert.equal("so far", table.concat(said))
    assert.equal("so far", err.partial.content)
    assert.equal(1, err.attempts)
    assert.equal(1, server:count())
  end)

  it("is made again after first_token", function()
    server:script(text("late", { delay_ms = 500 }), text("ok"))
    local response = provider.chat("hi", { first_token_timeout_ms = 60 })
    assert.equal("ok", response.content)
    assert.equal(2, response.attempts)
  end)

  it("is bounded by the time of the whole call", function()
    local failed = lost(500)
    failed["repeat"] = true
    server:script(failed)
    local ms = timed(function()
      local err = raised("timeout", provider.chat, "hi", {
        timeout_ms = 80,
        retry = { max_attempts = 50, initial_delay_ms = 5000 },
      })
      assert.equal("total", err.phase)
      assert.equal(1, err.attempts)
    end)
    assert.is_true(ms >= 75 and ms < 1000, ms)
  end)

  it("is cancelled in its pause as well", function()
    server:script(lost(500), text("never"))
    local handle = provider.chat("hi", { async = true, retry = { initial_delay_ms = 5000 } })
    server:wait_for(1, zigllms.sleep)
    zigllms.sleep(20)
    local ms = timed(function()
      assert.is_true(handle:cancel("enough"))
      assert.equal("enough", raised("cancelled", handle.await, handle).details.reason)
    end)
    assert.is_true(ms < 500)
    assert.equal(1, server:count())
  end)

  it("counts as one request of the provider", function()
    server:script(lost(500), text("ok"))
    provider.chat("hi")
    local info = provider.get("openai")
    assert.equal(1, info.requests)
    assert.equal(0, info.errors)
    assert.equal("active", info.status)
  end)

  it("of get_models is made again, too", function()
    server:script(lost(500), { json = { data = { { id = "a" } } } })
    assert.equal("a", provider.get_models("openai")[1].id)
    assert.equal(2, server:count())
    server:script(lost(401))
    local err = raised("auth", provider.get_models, "openai", { refresh = true })
    assert.equal(1, err.attempts)
    assert.equal("openai", err.provider)
  end)
end)
