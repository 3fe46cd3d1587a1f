-- A user's own HTTP client: called for each request, while everything else stays as it is.
local cjson = require("cjson")
local program = require("spec.support.program")
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider, agent = zigllms.provider, zigllms.agent
local clock = program.clock

-- Milliseconds that a call takes.
local function timed(fn, ...)
  local began = clock()
  fn(...)
  return (clock() - began) * 1000
end

-- The events of an answer, as the server of the other specs sends them.
local function events(pieces, extra)
  local lines = {}
  for i, event in ipairs(scripted.text(pieces, extra).sse) do
    lines[i] = "data: " .. cjson.encode(event) .. "\n\n"
  end
  lines[#lines + 1] = "data: [DONE]\n\n"
  return lines
end

local function ok(pieces, extra)
  return { status = 200, headers = {}, body = table.concat(events(pieces, extra)) }
end

local function lost(status, message, headers)
  local body = cjson.encode({ error = { message = message or "status " .. status } })
  return { status = status, headers = headers, body = body }
end

describe("a transport", function()
  local requests, answers

  -- Answers with what the spec has laid out: a table, or a function of the request.
  local function double(request)
    requests[#requests + 1] = request
    local answer = table.remove(answers, 1)
    if type(answer) == "function" then
      return answer(request)
    end
    return answer
  end

  before_each(function()
    zigllms.reset()
    zigllms.configure({ default_provider = "openai" })
    requests, answers = {}, {}
    provider.configure("openai", {
      base_url = "http://double.invalid/v1",
      api_key = "sk-canary-1",
      model = "m",
      retry = { initial_delay_ms = 1 },
      transport = double,
    })
  end)

  it("never sees a header that would begin another one", function()
    local wrong = { tenant = "a\r\nX-Admin: yes", ["two\nlines"] = "a", ["a b"] = "c" }
    for name, value in pairs(wrong) do
      local asks = { headers = { [name] = value } }
      local message = ("header %q: cannot be sent"):format(name):gsub("\\\n", "\\n")
      assert.equal(message, raised("invalid_argument", provider.chat, "hi", asks).message)
      assert.equal(message, raised("invalid_argument", provider.embed, "hi", asks).message)
    end
    assert.same({}, requests)
  end)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ default_provider = zigllms.null })
  end)

  it("gets the whole request and gives the answer", function()
    answers = { ok({ "hello ", "you" }, { usage = scripted.usage(3, 4) }) }
    answers[1].headers = { ["X-Request-Id"] = "req-7" }
    local response = provider.chat("hi", { headers = { ["X-More"] = "1" }, timeout_ms = 5000 })
    assert.equal("hello you", response.content)
    assert.equal("stop", response.finish_reason)
    assert.equal(7, response.usage.total_tokens)
    assert.equal("req-7", response.request_id)
    assert.equal(1, response.attempts)
    local request = requests[1]
    assert.equal("POST", request.method)
    assert.equal("http://double.invalid/v1/chat/completions", request.url)
    assert.equal("Bearer sk-canary-1", request.headers.Authorization)
    assert.equal("application/json", request.headers["Content-Type"])
    assert.equal("1", request.headers["X-More"])
    assert.equal(tostring(#request.body), request.headers["content-length"])
    assert.equal("hi", cjson.decode(request.body).messages[1].content)
    assert.is_true(request.timeout_ms > 4000 and request.timeout_ms <= 5000)
    assert.equal("function", type(request.stream))
  end)

  it("may answer with a document", function()
    local message = { role = "assistant", content = "whole" }
    local document =
      { id = "x", choices = { { index = 0, message = message, finish_reason = "stop" } } }
    answers = { { status = 200, body = cjson.encode(document) } }
    assert.equal("whole", provider.chat("hi").content)
  end)

  it("is called for lists of models as well", function()
    answers = { { status = 200, body = '{"data":[{"id":"b"},{"id":"a"}]}' } }
    local models = provider.get_models("openai")
    assert.equal("a", models[1].id)
    assert.equal("GET", requests[1].method)
    assert.equal("http://double.invalid/v1/models", requests[1].url)
    assert.is_nil(requests[1].body)
    local once = false
    models = provider.get_models("openai", {
      refresh = true,
      transport = function(request)
        once = true
        request.stream('{"data":[{"id":')
        request.stream('"c"}]}')
        return { status = 200 }
      end,
    })
    assert.is_true(once)
    assert.equal("c", models[1].id)
  end)

  it("is called for embeddings and counts of tokens", function()
    answers = { { status = 200, body = '{"data":[{"index":0,"embedding":[0.5,1]}]}' } }
    local result = provider.embed("text", { model = "e" })
    assert.same({ 0.5, 1 }, result.embeddings[1])
    assert.equal("http://double.invalid/v1/embeddings", requests[1].url)
    local own = { type = "anthropic", api_key = "k" }
    local tokens, exact = provider.count_tokens("text", {
      provider = own,
      model = "m",
      transport = function(request)
        request.stream('{"input_tokens":7}')
        return { status = 200 }
      end,
    })
    assert.equal(7, tokens)
    assert.is_true(exact)
  end)

  it("speaks every protocol", function()
    local function asked(config, body, url)
      config.transport, config.api_key = double, "k"
      answers = { { status = 200, body = body } }
      assert.equal("hi", provider.chat("x", { provider = config, model = "m" }).content)
      assert.truthy(requests[#requests].url:find(url, 1, true))
    end
    asked(
      { type = "anthropic" },
      '{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],'
        .. '"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}',
      "https://api.anthropic.com/v1/messages"
    )
    asked(
      { type = "ollama", api = "ollama", base_url = "http://double.invalid" },
      '{"model":"m","message":{"role":"assistant","content":"hi"},"done":true,'
        .. '"done_reason":"stop"}',
      "http://double.invalid"
    )
  end)

  it("asks a server for its model where none is configured", function()
    answers = { { status = 200, body = '{"data":[{"id":"only"}]}' }, ok("x") }
    local own = { type = "local", base_url = "http://double.invalid/v1", transport = double }
    assert.equal("x", provider.chat("hi", { provider = own }).content)
    assert.equal("only", cjson.decode(requests[2].body).model)
  end)

  describe("that streams", function()
    it("has its chunks delivered while it runs", function()
      local pieces = events({ "a", "b", "c" })
      local order = {}
      answers = {
        function(request)
          for i, piece in ipairs(pieces) do
            order[#order + 1] = "piece " .. i
            assert.equal(i < #pieces, request.stream(piece))
          end
          order[#order + 1] = "end"
          return { status = 200 }
        end,
      }
      local response = provider.stream("hi", function(chunk)
        order[#order + 1] = chunk.done and "done" or chunk.content
      end)
      assert.equal("abc", response.content)
      assert.same({
        "piece 1",
        "piece 2",
        "a",
        "piece 3",
        "b",
        "piece 4",
        "c",
        "piece 5",
        "piece 6",
        "piece 7",
        "end",
        "done",
      }, order)
    end)

    it("may cut the bytes anywhere", function()
      local whole = table.concat(events({ "grün ", "und ", "blau" }))
      answers = {
        function(request)
          for i = 1, #whole do
            request.stream(whole:sub(i, i))
          end
          return { status = 200, body = "and this is not read again" }
        end,
      }
      assert.equal("grün und blau", provider.chat("hi").content)
    end)

    it("serves every face and an agent", function()
      local function speak(request)
        for _, piece in ipairs(events({ "one ", "two" })) do
          request.stream(piece)
          zigllms.sleep(1)
        end
        return { status = 200 }
      end
      answers = { speak, speak, speak, speak, speak }
      assert.equal("one two", provider.chat("hi", { async = true }):await().content)
      local said = {}
      for chunk in provider.stream("hi") do
        said[#said + 1] = chunk.content
      end
      assert.equal("one two", table.concat(said))
      local inside = zigllms.spawn(function()
        return provider.chat("hi").content
      end)
      assert.equal("one two", inside:await())
      said = {}
      local id = agent.create({ provider = "openai" })
      local response = agent.run(id, "hi", {
        stream = function(chunk)
          said[#said + 1] = chunk.content
        end,
      })
      assert.equal("one two", response.content)
      assert.equal("one two", table.concat(said))
      assert.equal("one two", coroutine.wrap(provider.chat)("hi").content)
    end)

    it("stops when the callback wants no more", function()
      local told
      answers = {
        function(request)
          request.stream(events({ "first", "second" })[1])
          told = { request.stream(events("first")[2]), request.stream("data: more\n\n") }
          return { status = 200 }
        end,
      }
      local response = provider.stream("hi", function()
        return false
      end)
      assert.equal("cancelled", response.finish_reason)
      assert.equal("first", response.content)
      assert.same({ false, false }, told)
    end)

    it("leaves a callback's error as it is", function()
      local mine, told = {}, nil
      answers = {
        function(request)
          for _, piece in ipairs(events("x")) do
            told = request.stream(piece)
          end
          return { status = 200 }
        end,
      }
      local err = raised("callback_error", provider.stream, "hi", function()
        error(mine)
      end)
      assert.equal(mine, err.cause)
      assert.is_false(told)
      assert.equal(1, #requests)
    end)

    it("holds chunks back as flush_ms says", function()
      answers = {
        function(request)
          for _, piece in ipairs(events({ "a", "b", "c", "d" })) do
            request.stream(piece)
          end
          return { status = 200 }
        end,
      }
      local count = 0
      local response = provider.stream("hi", function(chunk)
        count = count + (chunk.done and 0 or 1)
      end, { flush_ms = 5000 })
      assert.equal("abcd", response.content)
      assert.equal(2, count)
    end)

    it("that breaks off keeps what there was, and is not asked again", function()
      local function broken(request)
        request.stream(events("so far")[1])
        request.stream(events("so far")[2])
        return nil, "connection reset"
      end
      answers = { broken, ok("never") }
      local said = {}
      local err = raised("network", provider.stream, "hi", function(chunk)
        said[#said + 1] = chunk.content
      end)
      assert.equal("so far", table.concat(said))
      assert.equal("so far", err.partial.content)
      assert.truthy(err.message:find("connection reset", 1, true))
      assert.equal(1, err.attempts)
      answers = { broken, ok("whole") }
      assert.equal("whole", provider.chat("hi").content)
    end)

    it("need not wait for what follows the last word, whatever becomes of it", function()
      local function spoken(last)
        return function(request)
          for _, piece in ipairs(events({ "all ", "of it" })) do
            request.stream(piece)
          end
          return last()
        end
      end
      answers = {
        spoken(function()
          zigllms.sleep(5000)
        end),
        spoken(function()
          return nil, "connection reset"
        end),
        spoken(function()
          return { status = 200, headers = { ["x-request-id"] = "req-1" } }
        end),
      }
      local ms = timed(function()
        for i = 1, 3 do
          local response = provider.chat("hi")
          assert.equal("all of it", response.content)
          assert.equal(i == 3 and "req-1" or nil, response.request_id)
        end
      end)
      assert.is_true(ms < 1500, ms)
      assert.equal(3, #requests)
    end)

    it("is taken to have unpacked what it gives", function()
      answers = { ok("plain") }
      answers[1].headers = { ["Content-Encoding"] = "gzip" }
      assert.equal("plain", provider.chat("hi").content)
    end)

    it("that ends too early is an error", function()
      answers = {
        function(request)
          request.stream(events("so far")[2])
          return { status = 200 }
        end,
      }
      local err = raised("network", provider.chat, "hi", { retry = false })
      assert.equal("so far", err.partial.content)
    end)

    it("learns of an error by its status, however its body came", function()
      answers = {
        function(request)
          request.stream('{"error":{"message":')
          request.stream('"slow down"}}')
          return { status = 429, headers = { ["retry-after-ms"] = "7000" } }
        end,
      }
      local err = raised("rate_limited", provider.chat, "hi", { retry = false })
      assert.equal("slow down (HTTP 429)", err.message)
      assert.equal(7000, err.retry_after_ms)
      answers = {
        function(request)
          request.stream("data: no JSON\n\n")
          return { status = 500, body = "not looked at" }
        end,
      }
      assert.equal(500, raised("server_error", provider.chat, "hi", { retry = false }).status)
    end)

    it("may use its request no longer than it runs", function()
      local kept
      answers = {
        function(request)
          kept = request
          return ok("ok")
        end,
      }
      assert.equal("ok", provider.chat("hi").content)
      assert.is_false(kept.stream("data: late\n\n"))
      answers = {
        function(request)
          request.stream(5)
        end,
      }
      raised("invalid_argument", provider.chat, "hi")
    end)
  end)

  describe("that fails", function()
    it("is called again where that may help", function()
      answers = { lost(500), lost(429, "slow", { ["retry-after-ms"] = "5" }), ok("at last") }
      local response = provider.chat("hi")
      assert.equal("at last", response.content)
      assert.equal(3, response.attempts)
      assert.equal(requests[1].body, requests[3].body)
      answers = {
        function()
          return nil, "connection refused"
        end,
        ok("again"),
      }
      assert.equal(2, provider.chat("hi").attempts)
      answers = { lost(400), ok("never") }
      raised("bad_request", provider.chat, "hi")
    end)

    it("with a reason is a network error, and so is one without a status", function()
      local function failed(answer, what)
        answers = {
          function()
            return answer, what
          end,
        }
        local err = raised("network", provider.chat, "hi", { retry = false })
        assert.is_true(err.retryable)
        assert.equal(1, err.attempts)
        assert.equal("openai", err.provider)
        return err.message
      end
      assert.equal("the transport failed: no route", failed(nil, "no route"))
      assert.equal("the transport failed: it returned nothing", failed(nil))
      assert.equal("the transport failed: it returned no status", failed({ body = "x" }))
      assert.truthy(failed({ status = 0 }):find("status", 1, true))
      local text = "the transport failed: status: expected a number, got a string"
      assert.equal(text, failed({ status = "200", body = "x" }))
      assert.truthy(failed("text"):find("returned a string", 1, true))
      assert.truthy(failed({ status = 200, body = {} }):find("body: expected a string", 1, true))
    end)

    it("by handing over what is no text is told so, by the name that it has", function()
      answers = {
        function(request)
          request.stream(5)
        end,
      }
      local err = raised("invalid_argument", provider.chat, "hi")
      assert.equal("request.stream: bytes: expected a string, got a number", err.message)
    end)

    it("by raising is a callback's error, and not called again", function()
      local mine = { "mine" }
      answers = {
        function()
          error(mine)
        end,
        ok("never"),
      }
      local err = raised("callback_error", provider.chat, "hi")
      assert.equal(mine, err.cause)
      assert.is_false(err.retryable)
      assert.equal(1, #requests)
    end)

    it("with an error of the module passes it through, retried if that may help", function()
      local gone = zigllms.error("network", "gone")
      local function fail()
        error(gone)
      end
      answers = { fail, ok("again") }
      assert.equal(2, provider.chat("hi").attempts)
      answers = {
        function()
          return nil, gone
        end,
        ok("again"),
      }
      assert.equal(2, provider.chat("hi").attempts)
      answers = { fail }
      assert.equal(gone, raised("network", provider.chat, "hi", { retry = false }))
      local bad = zigllms.error("unsupported", "no TLS here")
      answers = {
        function()
          error(bad)
        end,
        ok("never"),
      }
      assert.equal(bad, raised("unsupported", provider.chat, "hi"))
    end)

    it("shows no key", function()
      answers = {
        function(request)
          return nil, "cannot send " .. request.headers.Authorization
        end,
      }
      local err = raised("network", provider.chat, "hi", { retry = false })
      assert.is_nil(tostring(err):find("canary", 1, true))
      answers = { lost(401, "bad key sk-canary-1") }
      err = raised("auth", provider.chat, "hi")
      assert.is_nil((tostring(err) .. cjson.encode(err.details)):find("canary", 1, true))
    end)

    it("is not followed to where a redirect leads", function()
      answers =
        { { status = 302, headers = { Location = "http://elsewhere.invalid" } }, ok("never") }
      local err = raised("bad_response", provider.chat, "hi")
      assert.truthy(err.message:find("redirect", 1, true))
      assert.equal(1, #requests)
    end)

    it("lets a fallback answer, through a transport of its own or that of the call", function()
      local second = provider.create({
        type = "openai",
        base_url = "http://second.invalid/v1",
        api_key = "k2",
        transport = function()
          return ok("its own")
        end,
      })
      answers = { lost(503), lost(503), lost(503) }
      assert.equal("its own", provider.chat("hi", { fallback = { second } }).content)
      answers = { lost(503), lost(503), lost(503), ok("the call's") }
      local response = provider.chat("hi", { fallback = { second }, transport = double })
      assert.equal("the call's", response.content)
      assert.equal("Bearer k2", requests[#requests].headers.Authorization)
    end)
  end)

  describe("is held to the limit", function()
    it("of the first content, within its own waits", function()
      local reached = false
      answers = {
        function()
          zigllms.sleep(5000)
          reached = true
          return ok("late")
        end,
        ok("in time"),
      }
      local response
      local ms = timed(function()
        response = provider.chat("hi", { first_token_timeout_ms = 60 })
      end)
      assert.equal("in time", response.content)
      assert.equal(2, response.attempts)
      assert.is_true(ms >= 55 and ms < 1500, ms)
      assert.is_false(reached)
    end)

    it("between contents", function()
      answers = {
        function(request)
          for i = 1, 3 do
            request.stream(events({ "so ", "far" })[i])
            zigllms.sleep(10)
          end
          zigllms.sleep(5000)
          return { status = 200 }
        end,
      }
      local err
      local ms = timed(function()
        err = raised("timeout", provider.chat, "hi", { idle_timeout_ms = 200, retry = false })
      end)
      assert.equal("idle", err.phase)
      assert.equal("so far", err.partial.content)
      assert.is_true(ms >= 195 and ms < 2500, ms)
    end)

    it("of the whole call", function()
      answers = {
        function()
          zigllms.sleep(5000)
        end,
      }
      local ms = timed(function()
        local err = raised("timeout", provider.chat, "hi", { timeout_ms = 60 })
        assert.equal("total", err.phase)
      end)
      assert.is_true(ms >= 55 and ms < 1500, ms)
      assert.equal(1, #requests)
    end)

    it("when it returns, if it never waits", function()
      local function busy(ms)
        local began = clock()
        while (clock() - began) * 1000 < ms do
        end
      end
      answers = {
        function()
          busy(80)
          return ok("late")
        end,
      }
      local options = { first_token_timeout_ms = 40, retry = false }
      assert.equal("first_token", raised("timeout", provider.chat, "hi", options).phase)
      local told = {}
      answers = {
        function(request)
          told[1] = request.stream(events("x")[2])
          busy(80)
          told[2] = request.stream(events("x")[2])
          return { status = 200 }
        end,
      }
      options = { idle_timeout_ms = 40, retry = false }
      assert.equal("idle", raised("timeout", provider.chat, "hi", options).phase)
      assert.same({ true, false }, told)
      answers = {
        function()
          busy(80)
          return ok("late")
        end,
      }
      assert.equal("total", raised("timeout", provider.chat, "hi", { timeout_ms = 40 }).phase)
    end)

    it("of bytes, streamed or not", function()
      local told
      answers = {
        function(request)
          request.stream((" "):rep(1500))
          told = request.stream((" "):rep(1500))
          return { status = 200 }
        end,
        ok(("x"):rep(5000)),
      }
      for _ = 1, 2 do
        local err = raised("bad_response", provider.chat, "hi", { max_response_bytes = 2000 })
        assert.truthy(err.message:find("max_response_bytes", 1, true))
      end
      assert.is_false(told)
      assert.equal(2, #requests)
    end)

    it("of one event", function()
      local told
      answers = {
        function(request)
          for _ = 1, 10 do
            told = request.stream("data: " .. ("x"):rep(1048576))
          end
          return { status = 200 }
        end,
      }
      raised("bad_response", provider.chat, "hi")
      assert.is_false(told)
    end)
  end)

  describe("that is cancelled", function()
    it("ends in its waits", function()
      local reached = false
      answers = {
        function(request)
          request.stream(events("so far")[2])
          zigllms.sleep(5000)
          reached = true
        end,
      }
      local handle = provider.stream("hi")
      assert.equal("so far", handle().content)
      local ms = timed(function()
        assert.is_true(handle:cancel("enough"))
        local err = raised("cancelled", handle.await, handle)
        assert.equal("enough", err.details.reason)
        assert.equal("so far", err.partial.content)
      end)
      assert.is_true(ms < 500, ms)
      assert.is_false(reached)
    end)

    it("is told so at its next piece", function()
      local handle, told
      answers = {
        function(request)
          request.stream(events("so far")[2])
          handle:cancel()
          told = request.stream(events("more")[2])
          return { status = 200 }
        end,
      }
      handle = zigllms.spawn(function()
        zigllms.sleep(1)
        return provider.chat("hi")
      end)
      raised("cancelled", handle.await, handle)
      assert.is_false(told)
    end)
  end)

  it("may yield to whoever runs its coroutine", function()
    answers = {
      function()
        assert.equal("resumed", coroutine.yield("yielded"))
        return ok("then")
      end,
    }
    local co = coroutine.create(function()
      return provider.chat("hi").content
    end)
    local _, first = coroutine.resume(co)
    assert.equal("yielded", first)
    local _, second = coroutine.resume(co, "resumed")
    assert.equal("then", second)
  end)

  it("may yield on the main thread, and ask another provider itself", function()
    answers = {
      function(request)
        coroutine.yield()
        local inner = provider.chat("inner", {
          transport = function()
            coroutine.yield()
            return ok("from inside")
          end,
        })
        request.stream(events(inner.content)[2])
        return ok("never read")
      end,
    }
    local err = raised("network", provider.chat, "hi", { retry = false })
    assert.equal("from inside", err.partial.content)
  end)

  it("cannot be fed by the callback of its own stream", function()
    local request_
    answers = {
      function(request)
        request_ = request
        for _, piece in ipairs(events("x")) do
          request.stream(piece)
        end
        return { status = 200 }
      end,
    }
    raised("invalid_state", provider.stream, "hi", function()
      request_.stream("data: x\n\n")
    end)
  end)

  it("of a call wins over an agent's and a provider's; null is the built-in one", function()
    local function says(word)
      return function()
        return ok(word)
      end
    end
    provider.configure("openai", { transport = says("provider") })
    assert.equal("provider", provider.chat("hi").content)
    assert.equal("call", provider.chat("hi", { transport = says("call") }).content)
    local id = agent.create({ provider = "openai" })
    assert.equal("provider", agent.run(id, "hi").content)
    agent.configure(id, { transport = says("agent") })
    assert.equal("agent", agent.run(id, "hi").content)
    assert.equal("run", agent.run(id, "hi", { transport = says("run") }).content)
    assert.is_true(agent.get_info(id).transport)
    assert.is_true(provider.get("openai").transport)
    local server = scripted.start()
    provider.configure("openai", { base_url = server.url })
    server:script(scripted.text("built in"), scripted.text("built in"))
    assert.equal("built in", provider.chat("hi", { transport = zigllms.null }).content)
    provider.configure("openai", { transport = zigllms.null })
    assert.equal("built in", provider.chat("hi").content)
    assert.is_nil(provider.get("openai").transport)
    server:stop()
  end)

  it("may be a callable table, and is nothing else than callable", function()
    local callable = setmetatable({}, {
      __call = function(_, request)
        assert(request.url)
        return ok("called")
      end,
    })
    assert.equal("called", provider.chat("hi", { transport = callable }).content)
    local err = raised("invalid_argument", provider.chat, "hi", { transport = "http" })
    assert.truthy(err.message:find("options.transport", 1, true))
  end)

  it("reads headers in every form", function()
    answers = {
      {
        status = 429,
        headers = setmetatable(
          { ["Retry-After-Ms"] = 1500, ["Set-Cookie"] = { "a", "b" }, [1] = "x" },
          {
            __index = error,
          }
        ),
        body = "\255\254 no UTF-8",
        more = print,
      },
    }
    local err = raised("rate_limited", provider.chat, "hi", { retry = false })
    assert.equal(1500, err.retry_after_ms)
  end)

  it("is kept while it may be called, and no longer", function()
    local kept = setmetatable({}, { __mode = "k" })
    local function collected()
      provider.list() -- a call that lets go of what was dropped
      collectgarbage()
      collectgarbage()
      return next(kept) == nil
    end
    local function fresh()
      local function transport()
        return ok("kept")
      end
      kept[transport] = true
      return transport
    end
    provider.configure("openai", { transport = fresh() })
    assert.is_false(collected())
    assert.equal("kept", provider.chat("hi").content)
    provider.configure("openai", { transport = zigllms.null })
    assert.is_true(collected())
    for _ = 1, 50 do
      provider.chat("hi", { transport = fresh() })
      provider.chat("hi", { provider = { type = "openai", api_key = "k", transport = fresh() } })
    end
    assert.is_true(collected())
    local id = agent.create({ provider = "openai", transport = fresh() })
    assert.is_false(collected())
    agent.destroy(id)
    assert.is_true(collected())
    local inline = { type = "openai", api_key = "k", transport = fresh() }
    provider.configure("openai", { fallback = { inline } })
    inline = nil -- luacheck: ignore
    assert.is_false(collected())
    provider.destroy("openai")
    assert.is_true(collected())
  end)
end)
