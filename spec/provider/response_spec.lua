-- What comes back: fields of responses, streamed and not.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local text, calls, chunk = scripted.text, scripted.calls, scripted.chunk

local server = scripted.start()

local function ask(reply, options)
  server:script(reply)
  return provider.chat("hi", options)
end

-- A whole document, as servers send it that do not stream.
local function document(message, extra)
  local reply = {
    id = "doc-1",
    object = "chat.completion",
    created = 1700000001,
    model = "doc-model",
    choices = { { index = 0, message = message, finish_reason = "stop" } },
    usage = scripted.usage(3, 4),
  }
  for key, value in pairs(extra or {}) do
    reply[key] = value
  end
  return { json = reply, headers = { ["x-request-id"] = "req-2" } }
end

-- A stream of exactly these texts.
local function stream(...)
  return { chunks = { ... } }
end

local function event(content, finish)
  local delta = content and { content = content } or {}
  return "data: " .. require("cjson").encode(chunk(delta, finish)) .. "\n\n"
end

-- Everything but times.
local function settled(response)
  local copy = {}
  for key, value in pairs(response) do
    if key ~= "latency_ms" and key ~= "ttft_ms" then
      copy[key] = value
    end
  end
  return copy
end

-- The response and the chunks of a streamed call.
local function followed(reply, options)
  server:script(reply)
  local chunks = {}
  local response = provider.stream("hi", function(piece)
    chunks[#chunks + 1] = piece
  end, options)
  return response, chunks
end

local function contents(chunks)
  local all = {}
  for i, piece in ipairs(chunks) do
    all[i] = piece.content
  end
  return table.concat(all)
end

describe("a response", function()
  before_each(server:as_default(zigllms))
  teardown(server:retired(zigllms))

  it("has every field", function()
    local response = ask(text({ "Hel", "lo" }, { delay_ms = 5 }))
    assert.equal("Hello", response.content)
    assert.equal("assistant", response.role)
    assert.equal("chatcmpl-1", response.id)
    assert.equal("gpt-test", response.model)
    assert.equal("openai", response.provider)
    assert.equal("stop", response.finish_reason)
    assert.equal("stop", response.native_finish_reason)
    assert.equal(1700000000, response.created)
    assert.equal(1, response.attempts)
    assert.equal("req-1", response.request_id)
    assert.same({ prompt_tokens = 10, completion_tokens = 5, total_tokens = 15 }, response.usage)
    assert.is_true(response.ttft_ms >= 5)
    assert.is_true(response.latency_ms >= response.ttft_ms)
    assert.equal(0, #response.tool_calls)
    assert.equal("assistant", response.message.role)
    assert.equal("Hello", response.message.content)
    assert.is_nil(response.message.tool_calls)
    for _, absent in ipairs({ "thinking", "parsed", "raw", "cost", "cached" }) do
      assert.is_nil(response[absent])
    end
  end)

  it("reads as its text", function()
    local response = ask(text("Hello"))
    assert.equal("Hello", tostring(response))
    assert.equal("> Hello", "> " .. response)
    assert.equal("Hello!", response .. "!")
    assert.equal("HelloHello", response .. response)
    assert.equal("", tostring(ask(text(""))))
  end)

  it("is a fresh table, which the caller may change", function()
    server:script(text("a"), text("a"))
    local first, second = provider.chat("hi"), provider.chat("hi")
    first.usage.prompt_tokens = 99
    first.content = "changed"
    assert.equal("changed", tostring(first))
    assert.equal(10, second.usage.prompt_tokens)
  end)

  it("has tool calls with their arguments in both forms", function()
    local response = ask(calls({
      { "c1", "f", '{"a": 1, "list": [], "o": {"b": null}}' },
      { "c2", "g", '{"broken' },
      { "c3", "h", "" },
      { "c4", "i", "null" },
    }, { content = "wait" }))
    assert.equal("tool_calls", response.finish_reason)
    assert.equal("wait", response.content)
    assert.equal(4, #response.tool_calls)
    local first = response.tool_calls[1]
    assert.equal("c1", first.id)
    assert.equal("function", first.type)
    assert.equal("f", first.name)
    assert.equal(1, first.arguments.a)
    assert.same({}, first.arguments.o)
    assert.equal('{"a": 1, "list": [], "o": {"b": null}}', first.arguments_json)
    assert.same({ name = "f", arguments = first.arguments_json }, first["function"])
    local broken = response.tool_calls[2]
    assert.is_nil(broken.arguments)
    assert.equal('{"broken', broken.arguments_json)
    assert.same({}, response.tool_calls[3].arguments)
    assert.same({}, response.tool_calls[4].arguments)
    assert.equal("c1", response.message.tool_calls[1].id)
    assert.equal(4, #response.message.tool_calls)
  end)

  it("keeps the integers of arguments", function()
    local response = ask(calls({ { "c1", "f", '{"i": 5, "f": 5.5, "e": 1e2}' } }))
    local arguments = response.tool_calls[1].arguments
    assert.equal("5", tostring(arguments.i))
    assert.equal(5.5, arguments.f)
    assert.equal(100, arguments.e)
  end)

  it("says how it ended in one set of words", function()
    local words = {
      stop = "stop",
      length = "length",
      tool_calls = "tool_calls",
      function_call = "tool_calls",
      content_filter = "content_filter",
      eos = "unknown",
    }
    for native, reason in pairs(words) do
      local response = ask(text("x", { finish = native }))
      assert.equal(reason, response.finish_reason)
      assert.equal(native, response.native_finish_reason)
    end
  end)

  it("says tool_calls where the server says stop in spite of them", function()
    local reply = calls({ { "c1", "f", "{}" } })
    for _, item in ipairs(reply.sse) do
      if item.choices[1] and item.choices[1].finish_reason == "tool_calls" then
        item.choices[1].finish_reason = "stop"
      end
    end
    local response = ask(reply)
    assert.equal("tool_calls", response.finish_reason)
    assert.equal("stop", response.native_finish_reason)
  end)

  it("counts cached and reasoning tokens", function()
    local usage = scripted.usage(100, 50)
    usage.prompt_tokens_details = { cached_tokens = 64 }
    usage.completion_tokens_details = { reasoning_tokens = 32 }
    assert.same({
      prompt_tokens = 100,
      completion_tokens = 50,
      total_tokens = 150,
      cached_tokens = 64,
      reasoning_tokens = 32,
    }, ask(text("x", { usage = usage })).usage)
  end)

  it("estimates tokens that nobody counted, and says so", function()
    local reply = text("12345678")
    table.remove(reply.sse)
    local usage = ask(reply).usage
    assert.is_true(usage.estimated)
    assert.equal(2, usage.completion_tokens)
    assert.equal(provider.count_tokens("hi"), usage.prompt_tokens)
    assert.equal(usage.prompt_tokens + usage.completion_tokens, usage.total_tokens)
  end)

  it("has thinking apart from the text", function()
    for _, key in ipairs({ "reasoning_content", "reasoning" }) do
      local events = {
        chunk({ role = "assistant", [key] = "Let me " }),
        chunk({ [key] = "think" }),
        chunk({ content = "42" }),
        chunk({}, "stop"),
      }
      local response = ask({ sse = events })
      assert.equal("Let me think", response.thinking)
      assert.equal("42", response.content)
      local again, chunks = followed({ sse = events })
      assert.equal("Let me think", again.thinking)
      local thought = {}
      for _, piece in ipairs(chunks) do
        thought[#thought + 1] = piece.thinking
      end
      assert.equal("Let me think", table.concat(thought))
      assert.equal("42", contents(chunks))
    end
  end)

  it("names the model asked where the server names none", function()
    local events = { chunk({ content = "x" }, "stop") }
    events[1].model, events[1].id, events[1].created = nil, nil, nil
    local response = ask({ sse = events }, { model = "asked" })
    assert.equal("asked", response.model)
    assert.is_nil(response.id)
    assert.is_true(math.abs(response.created - os.time()) < 60)
    assert.is_nil(response.request_id)
  end)

  it("is read from a document as well", function()
    local response = ask(document({ role = "assistant", content = "whole" }))
    assert.equal("whole", response.content)
    assert.equal("doc-1", response.id)
    assert.equal("doc-model", response.model)
    assert.equal("stop", response.finish_reason)
    assert.equal(7, response.usage.total_tokens)
    assert.equal("req-2", response.request_id)
    local call =
      { id = "c1", type = "function", ["function"] = { name = "f", arguments = '{"a":1}' } }
    response = ask(document({ role = "assistant", content = scripted.null, tool_calls = { call } }))
    assert.equal(1, response.tool_calls[1].arguments.a)
    assert.equal("tool_calls", response.finish_reason)
    local chunks
    response, chunks = followed(document({ role = "assistant", content = "whole" }))
    assert.equal("whole", response.content)
    assert.equal("whole", contents(chunks))
    assert.is_true(chunks[#chunks].done)
  end)

  it("keeps the document if asked to", function()
    local reply = document({ role = "assistant", content = "whole" }, { system_fingerprint = "fp" })
    assert.equal("fp", ask(reply, { raw = true }).raw.system_fingerprint)
    assert.is_nil(ask(reply).raw)
    assert.truthy(ask(text("streamed"), { raw = true }).raw)
    assert.is_nil(ask(text("streamed")).raw)
  end)

  describe("of a stream", function()
    it("arrives in chunks", function()
      local response, chunks = followed(text({ "one ", "two ", "three" }, { chunk_delay_ms = 40 }))
      assert.equal("one two three", response.content)
      assert.equal("one two three", contents(chunks))
      assert.is_true(#chunks >= 3)
      for i, piece in ipairs(chunks) do
        assert.equal(i, piece.index)
        assert.equal(piece.content, piece.delta)
        assert.equal(i == #chunks, piece.done)
        assert.is_nil(piece.iteration)
        if i < #chunks then
          assert.is_nil(piece.finish_reason)
          assert.is_nil(piece.usage)
        end
      end
      local last = chunks[#chunks]
      assert.equal("", last.content)
      assert.equal("stop", last.finish_reason)
      assert.equal(15, last.usage.total_tokens)
    end)

    it("equals that of chat, in each of its forms", function()
      local reply = text({ "a", "b", "c" })
      local plain = settled(ask(reply))
      assert.same(plain, settled((followed(reply))))

      local said = {}
      local response = ask(reply, {
        stream = function(piece)
          said[#said + 1] = piece.content
        end,
      })
      assert.same(plain, settled(response))
      assert.equal("abc", table.concat(said))

      assert.same(plain, settled(ask(reply, { async = true }):await()))

      server:script(reply)
      local handle = provider.stream("hi", {})
      assert.same(plain, settled(handle:await()))

      server:script(reply)
      response = provider.stream({ messages = "hi" }, function() end)
      assert.same(plain, settled(response))
    end)

    it("is asked for in the same bytes", function()
      server:script(text("a"), text("a"), text("a"))
      local options = { temperature = 0.5, stop = "x", tools = { { name = "f" } } }
      provider.chat("hi", options)
      provider.stream("hi", function() end, options)
      provider.stream("hi", options):await()
      local journal = server:journal()
      assert.equal(journal[1].body, journal[2].body)
      assert.equal(journal[1].body, journal[3].body)
    end)

    it("is read by a loop", function()
      server:script(text({ "a", "b", "c" }, { chunk_delay_ms = 3 }))
      local said, last = {}, nil
      for piece in provider.stream("hi") do
        said[#said + 1] = piece.content
        last = piece
      end
      assert.equal("abc", table.concat(said))
      assert.is_true(last.done)

      server:script(text({ "a", "b" }))
      said = {}
      for piece in provider.chat("hi", { stream = true }) do
        said[#said + 1] = piece.content
      end
      assert.equal("ab", table.concat(said))
    end)

    it("is read by iter, and the handle still has the response", function()
      server:script(text({ "a", "b", "c" }))
      local handle = provider.stream("hi")
      local said = {}
      for piece in handle:iter() do
        said[#said + 1] = piece.content
      end
      assert.equal("abc", table.concat(said))
      assert.equal("abc", handle:await().content)
      assert.is_nil(handle())
    end)

    it("has tool calls in pieces", function()
      local arguments = '{"city":"Bern","days":3}'
      local reply = calls({ { "c1", "weather", arguments }, { "c2", "time", "{}" } })
      reply.chunk_delay_ms = 3
      local response, chunks = followed(reply)
      local pieces = { {}, {} }
      local ids, tools = {}, {}
      for _, piece in ipairs(chunks) do
        for _, call in ipairs(piece.tool_calls or {}) do
          local all = pieces[call.index]
          all[#all + 1] = call.arguments
          ids[call.index] = ids[call.index] or call.id
          tools[call.index] = tools[call.index] or call.name
        end
      end
      assert.equal(arguments, table.concat(pieces[1]))
      assert.equal("{}", table.concat(pieces[2]))
      assert.same({ "c1", "c2" }, ids)
      assert.same({ "weather", "time" }, tools)
      assert.equal("Bern", response.tool_calls[1].arguments.city)
      assert.equal("tool_calls", chunks[#chunks].finish_reason)
    end)

    it("stops where the callback returns false", function()
      server:script(text({ "one ", "two ", "three" }, { chunk_delay_ms = 40, stall_ms = 3000 }))
      local said = {}
      local response = provider.stream("hi", function(piece)
        said[#said + 1] = piece.content
        return false
      end)
      assert.equal(1, #said)
      assert.equal("cancelled", response.finish_reason)
      assert.equal(said[1], response.content)
      local journal = server:wait_for(function(entries)
        return entries[1] and entries[1].closed_after_ms ~= nil
      end, zigllms.sleep)
      assert.is_true(journal[1].closed_after_ms < 1000)
    end)

    it("goes on with any other value", function()
      server:script(text({ "a", "b" }, { chunk_delay_ms = 3 }))
      local response = provider.stream("hi", function()
        return nil
      end)
      assert.equal("ab", response.content)
    end)

    it("ends with what the callback raised", function()
      local cause = {}
      server:script(text({ "one ", "two" }, { chunk_delay_ms = 40, stall_ms = 3000 }))
      local err = raised("callback_error", provider.stream, "hi", function()
        error(cause)
      end)
      assert.equal(cause, err.cause)
      assert.equal("one ", err.partial.content)
      assert.is_false(err.retryable)
      local journal = server:wait_for(function(entries)
        return entries[1] and entries[1].closed_after_ms ~= nil
      end, zigllms.sleep)
      assert.is_true(journal[1].closed_after_ms < 1000)
      assert.equal(1, #journal)
    end)

    it("passes errors of the module through", function()
      server:script(text({ "one ", "two" }))
      local own = zigllms.error("not_found", "no more")
      local ok, err = pcall(provider.stream, "hi", function()
        error(own)
      end)
      assert.is_false(ok)
      assert.equal("not_found", err.code)
      assert.equal("no more", err.message)
      assert.is_nil(err.cause)
    end)

    it("lets the callback wait and ask others meanwhile", function()
      server:script(
        text({ "a", "b" }, { chunk_delay_ms = 3, when = "outer" }),
        text("inner", { ["repeat"] = true, when = "nested" })
      )
      local inner = {}
      local response = provider.stream("outer", function(piece)
        if piece.content ~= "" then
          zigllms.sleep(2)
          inner[#inner + 1] = provider.chat("nested").content
        end
      end)
      assert.equal("ab", response.content)
      assert.equal("inner", inner[1])
    end)

    it("holds chunks back for flush_ms", function()
      local pieces = {}
      for i = 1, 30 do
        pieces[i] = "x"
      end
      local _, chunks = followed(text(pieces, { chunk_delay_ms = 3 }), { flush_ms = 40 })
      assert.equal(("x"):rep(30), contents(chunks))
      assert.is_true(#chunks <= 8, #chunks .. " chunks")
    end)

    it("is the same wherever its bytes were split", function()
      local piece = 'data: {"choices":[{"index":0,"delta":{"content":"ü€𝄞"}}]}\n\n'
      -- The control channel is JSON: bytes that are no UTF-8 alone travel as lone surrogates.
      local function quoted(bytes)
        return '"'
          .. bytes:gsub('[\n\r"\\\128-\255]', function(byte)
            local code = byte:byte()
            return ("\\u%04x"):format(code < 128 and code or 0xDC00 + code)
          end)
          .. '"'
      end
      for size = 1, 5 do
        local parts = {}
        for at = 1, #piece, size do
          parts[#parts + 1] = quoted(piece:sub(at, at + size - 1))
        end
        parts[#parts + 1] = quoted(event(nil, "stop") .. "data: [DONE]\n\n")
        local script = '[{"chunk_delay_ms":1,"chunks":[' .. table.concat(parts, ",") .. "]}]"
        assert.equal("ok", server:ask("script " .. script))
        assert.equal("ü€𝄞", provider.chat("hi").content)
      end
    end)

    it("may have other line ends, comments, names and no space after the colon", function()
      local lines = event("a") .. ": ping\n\n" .. event("b") .. event(nil, "stop")
      assert.equal("ab", ask(stream((lines:gsub("\n", "\r\n")), "data: [DONE]\r\n\r\n")).content)
      assert.equal("ab", ask(stream((lines:gsub("\n", "\r")), "data: [DONE]\r\r")).content)
      assert.equal("ab", ask(stream((lines:gsub("data: ", "data:")), "data:[DONE]\n\n")).content)
      local named = lines:gsub("data: ", "event: message\nid: 1\nretry: 5\ndata: ")
      assert.equal("ab", ask(stream(named, "data: [DONE]\n\n")).content)
      assert.equal("ab", ask(stream("\239\187\191" .. lines, "data: [DONE]\n\n")).content)
    end)

    it("is complete with a finish reason, also without [DONE]", function()
      assert.equal("ab", ask(stream(event("a"), event("b", "stop"))).content)
      assert.equal("ab", ask(stream(event("a"), event("b"), "data: [DONE]\n\n")).content)
      assert.equal("ab", ask(stream(event("a"), (event("b", "stop"):gsub("\n", "")))).content)
    end)

    it("ends with an error frame", function()
      local frame = 'data: {"error":{"message":"overheated","type":"server_error"}}\n\n'
      server:script(stream(event("so far"), frame))
      local err = raised("server_error", provider.chat, "hi")
      assert.truthy(err.message:find("overheated", 1, true))
      assert.equal("so far", err.partial.content)
      local said = {}
      server:script(stream(event("so far"), frame))
      err = raised("server_error", provider.stream, "hi", function(piece)
        said[#said + 1] = piece.content
      end)
      assert.equal("so far", err.partial.content)
      assert.is_true(err.partial.usage.estimated)
      assert.equal("so far", table.concat(said))
    end)

    it("ends with a network error where it was cut", function()
      for _, reply in ipairs({
        stream(event("so "), event("far")),
        { chunks = { event("so "), event("far") }, close = true },
      }) do
        server:script(reply)
        local err = raised("network", provider.chat, "hi")
        assert.equal("so far", err.partial.content)
        assert.equal(1, server:count())
      end
    end)

    it("ends with bad_response where an event is no JSON", function()
      server:script(stream(event("so far"), "data: {broken\n\n", event(nil, "stop")))
      local err = raised("bad_response", provider.chat, "hi")
      assert.equal("so far", err.partial.content)
    end)

    it("may be very long", function()
      local pieces = {}
      for i = 1, 500 do
        pieces[i] = ("%04d"):format(i):rep(25)
      end
      local response, chunks = followed(text(pieces))
      assert.equal(table.concat(pieces), response.content)
      assert.equal(response.content, contents(chunks))
    end)
  end)
end)
