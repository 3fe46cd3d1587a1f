-- What a server's answer means when it is no answer.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local text, failure = scripted.text, scripted.failure

local server = scripted.start()

-- The error that a reply leads to.
local function refused(code, reply, options)
  server:script(reply)
  local err = raised(code, provider.chat, "hi", options)
  assert.equal("provider", err.bridge)
  assert.equal("chat", err.func)
  assert.equal("openai", err.provider)
  assert.equal(1, err.attempts)
  return err
end

local function said(err, part)
  assert.truthy(err.message:find(part, 1, true), err.message)
end

describe("an error answer", function()
  before_each(server:as_default(zigllms))
  teardown(server:retired(zigllms))

  local ROWS = {
    { 400, "bad_request" },
    { 401, "auth" },
    { 402, "rate_limited" },
    { 403, "auth" },
    { 404, "bad_request" },
    { 405, "bad_request" },
    { 408, "bad_request" },
    { 409, "bad_request" },
    { 413, "bad_request" },
    { 422, "bad_request" },
    { 429, "rate_limited", true },
    { 500, "server_error", true },
    { 501, "server_error", true },
    { 502, "server_error", true },
    { 503, "overloaded", true },
    { 504, "server_error", true },
    { 529, "overloaded", true },
  }

  it("has a code, a status, its words and the id of the request", function()
    for _, row in ipairs(ROWS) do
      local status, code, retryable = row[1], row[2], row[3] or false
      local headers = { ["x-request-id"] = "req-" .. status }
      local err = refused(code, failure(status, "the words", { headers = headers }))
      assert.equal(status, err.status)
      -- 408 and 409 are tried again, but are errors of the caller by their code.
      assert.equal(retryable, err.retryable, status)
      assert.equal("req-" .. status, err.request_id)
      said(err, "the words")
      said(err, "HTTP " .. status)
      assert.equal("the words", err.details.error.message)
      assert.is_nil(err.partial)
      assert.truthy(tostring(err):find("%[" .. code .. "%]$"))
    end
  end)

  it("has the same in the other header, and in each face", function()
    local reply = failure(500, "x", { headers = { ["request-id"] = "other" } })
    assert.equal("other", refused("server_error", reply).request_id)
    server:script(reply, reply)
    assert.equal("other", raised("server_error", provider.stream, "hi", print).request_id)
    local handle = provider.chat("hi", { async = true })
    assert.equal("other", raised("server_error", handle.await, handle).request_id)
  end)

  it("ends a loop over the stream", function()
    local function loop(options)
      for _ in provider.stream("hi", options) do
        assert(true)
      end
    end
    local reply = failure(500, "x", { headers = { ["x-request-id"] = "looped" } })
    server:script(reply)
    assert.equal("looped", raised("server_error", loop).request_id)
    local piece = scripted.chunk({ content = "so far" })
    server:script({ sse = { piece, scripted.null }, stall_ms = 20 })
    assert.equal("so far", raised("network", loop).partial.content)
    server:script(text("late", { delay_ms = 3000 }))
    raised("timeout", loop, { timeout_ms = 50 })
    server:script(text("late", { delay_ms = 3000 }))
    local handle = provider.stream("hi")
    zigllms.spawn(function()
      zigllms.sleep(20)
      handle:cancel()
    end)
    raised("cancelled", handle)
    server:script(reply)
    handle = provider.stream("hi")
    raised("server_error", handle)
    assert.is_nil(handle())
    raised("server_error", handle.await, handle)
  end)

  it("about a model is not_found", function()
    local extra = { code = "model_not_found", type = "invalid_request_error" }
    local err = refused("not_found", failure(404, "The model `gpt-9` does not exist", extra))
    assert.equal(404, err.status)
    assert.is_false(err.retryable)
    said(err, "gpt-9")
    refused("bad_request", failure(404, "Unknown request URL: POST /v2/chat/completions"))
  end)

  it("about a used-up quota is rate_limited for good", function()
    local err = refused("rate_limited", failure(429, "x", { code = "insufficient_quota" }))
    assert.is_false(err.retryable)
    assert.equal(429, err.status)
  end)

  it("about too long a conversation is context_length", function()
    local err = refused(
      "context_length",
      failure(400, "This model's maximum context length is 8192 tokens", {
        code = "context_length_exceeded",
      })
    )
    assert.equal(400, err.status)
    assert.is_false(err.retryable)
    refused("context_length", failure(400, "the prompt is too long: reduce it"))
  end)

  it("about content is content_filter", function()
    local err = refused("content_filter", failure(400, "x", { code = "content_filter" }))
    assert.equal(400, err.status)
    refused("content_filter", failure(400, "x", { code = "content_policy_violation" }))
  end)

  it("may have any shape", function()
    local shapes = {
      { error = "just words" },
      { message = "just words" },
      { detail = "just words" },
      { detail = { { msg = "just words", loc = { "body" } } } },
      { error = { message = "just words", code = 400 } },
      { { error = { message = "just words" } } },
      { object = "error", message = "just words", type = "BadRequestError", code = 400 },
    }
    for _, shape in ipairs(shapes) do
      local err = refused("bad_request", { status = 400, json = shape })
      said(err, "just words")
      assert.equal(400, err.status)
    end
  end)

  it("may be a page, plain words, or nothing", function()
    local page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
      .. ("<p>x</p>"):rep(1000)
    local err = refused("server_error", { status = 502, body = page })
    said(err, "502 Bad Gateway")
    assert.is_true(#err.message < 200)
    assert.equal(502, err.status)
    said(refused("overloaded", { status = 503, body = "try later" }), "try later")
    said(refused("server_error", { status = 500, body = "" }), "500")
    said(refused("auth", { status = 401, body = "" }), "401")
    said(refused("bad_request", { status = 400, body = "{}" }), "400")
    said(refused("bad_request", { status = 400, body = "null" }), "400")
  end)

  it("is cut where it is long", function()
    local long = ("word "):rep(20000)
    assert.is_true(#refused("bad_request", failure(400, long)).message < 1000)
    assert.is_true(#refused("bad_request", { status = 400, body = long }).message < 1000)
  end)

  it("may come with status 200", function()
    local err = refused("bad_request", {
      json = { error = { message = "not like this", type = "invalid_request_error" } },
    })
    said(err, "not like this")
    refused("rate_limited", { json = { error = { message = "x", code = "rate_limit_exceeded" } } })
    refused("auth", { json = { error = { message = "x", code = "invalid_api_key" } } })
    refused("server_error", { json = { error = "words" } })
    err = refused("overloaded", { json = { error = { message = "x", code = 503 } } })
    assert.equal(503, err.status)
    refused("server_error", { sse = { { error = { message = "in a stream" } } } })
  end)

  it("that is no answer is bad_response", function()
    local err = refused("bad_response", { body = "hello" })
    said(err, "hello")
    assert.is_false(err.retryable)
    refused("bad_response", { body = "<html><title>Login</title></html>" })
    refused("bad_response", { json = { unexpected = true } })
    refused("bad_response", { body = '{"choices":[]}' })
    refused("bad_response", { body = "[1, 2]" })
    refused("bad_response", { body = '{"choices": tru}' })
  end)

  it("that breaks off is a network error", function()
    assert.is_true(refused("network", { body = "" }).retryable)
    refused("network", { body = '{"choices": [' })
    refused("network", { raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{" })
    refused("network", { raw = "" })
    refused("network", { reset = true })
  end)

  it("that is no HTTP is bad_response", function()
    refused("bad_response", { raw = "SSH-2.0-OpenSSH_9.2\r\n\r\n" })
  end)

  it("redirects nobody", function()
    for _, status in ipairs({ 301, 302, 303, 307, 308 }) do
      local location = { Location = server.url .. "/chat/completions" }
      server:script({ status = status, headers = location }, text("never"))
      local err = raised("bad_response", provider.chat, "hi")
      assert.equal(status, err.status)
      said(err, status == 303 and "303" or "redirect")
      assert.equal(1, server:count())
    end
  end)

  it("of a server that is not there is a network error", function()
    provider.configure("openai", { base_url = server:refused() })
    local err = raised("network", provider.chat, "hi")
    assert.is_true(err.retryable)
    assert.is_nil(err.status)
    said(err, "connect")
    provider.configure("openai", { base_url = "http://no-such-host.invalid/v1" })
    raised("network", provider.chat, "hi")
  end)

  it("of an address that is none is invalid_argument", function()
    for _, url in ipairs({ "not a url", "ftp://127.0.0.1/v1", "127.0.0.1:1" }) do
      local ok, err = pcall(function()
        provider.configure("openai", { base_url = url })
        provider.chat("hi")
      end)
      assert.is_false(ok)
      assert.equal("invalid_argument", err.code, url)
    end
  end)

  it("is remembered", function()
    refused("bad_request", failure(400, "the words"))
    local info = provider.get("openai")
    assert.truthy(info.last_error:find("the words", 1, true))
    assert.equal(1, info.errors)
    assert.equal("error", info.status)
  end)

  it("is returned by the safe tree", function()
    server:script(failure(401, "no"), text("yes"))
    local value, err = zigllms.safe.provider.chat("hi")
    assert.is_nil(value)
    assert.equal("auth", err.code)
    assert.equal("yes", zigllms.safe.provider.chat("hi").content)
  end)
end)
