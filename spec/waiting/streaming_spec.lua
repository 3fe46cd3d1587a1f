-- Streams: by callback, by loop, by handle; stopping them; what is merged and what is bounded.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local server = scripted.start()
local text = scripted.text

local function stream(callback, options)
  options = options or {}
  options.provider = "openai"
  if callback then
    return zigllms.provider.stream("hi", callback, options)
  end
  return zigllms.provider.stream("hi", options)
end

local VOLATILE = { created = true, latency_ms = true, ttft_ms = true }

local function settled(response)
  local copy = {}
  for key, value in pairs(response) do
    if not VOLATILE[key] then
      copy[key] = value
    end
  end
  return copy
end

-- A stream that goes on for seconds if nobody hangs up.
local function endless()
  local pieces = { "one " }
  for i = 2, 100 do
    pieces[i] = "more "
  end
  return text(pieces, { chunk_delay_ms = 100 })
end

describe("a stream", function()
  before_each(function()
    zigllms.reset()
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  it("calls back with each piece, and ends with one that says so", function()
    server:script(text({ "one ", "two ", "three" }, { chunk_delay_ms = 10 }))
    local chunks = {}
    local response = stream(function(chunk)
      chunks[#chunks + 1] = chunk
    end)
    assert.equal("one two three", response.content)
    assert.is_true(#chunks >= 3)
    for i, chunk in ipairs(chunks) do
      assert.equal(i, chunk.index)
      assert.equal(i == #chunks, chunk.done)
      assert.equal(chunk.content, chunk.delta)
    end
    local last = chunks[#chunks]
    assert.equal("", last.content)
    assert.equal("stop", last.finish_reason)
    assert.same(response.usage, last.usage)
    assert.is_nil(chunks[1].finish_reason)
  end)

  it("gives what chat gives, in every form", function()
    local answers = {}
    local function answer(fn)
      server:script(text({ "a", "b" }))
      answers[#answers + 1] = settled(fn())
    end
    answer(function()
      return zigllms.provider.chat("hi", { provider = "openai" })
    end)
    answer(function()
      return stream(function() end)
    end)
    answer(function()
      return zigllms.provider.chat("hi", { provider = "openai", stream = function() end })
    end)
    answer(function()
      return stream():await()
    end)
    answer(function()
      return zigllms.provider.stream({ messages = "hi", provider = "openai" }):await()
    end)
    answer(function()
      return stream(function() end, { async = true }):await()
    end)
    for i = 2, #answers do
      assert.same(answers[1], answers[i])
    end
  end)

  it("brings tool calls in pieces and whole", function()
    local function reply()
      return scripted.calls({ { "c1", "add", '{"a":1}' }, { "c2", "add", '{"a":2}' } })
    end
    server:script(reply())
    local plain = zigllms.provider.chat("hi", { provider = "openai" })
    server:script(reply())
    local pieces = {}
    local streamed = stream(function(chunk)
      for _, call in ipairs(chunk.tool_calls or {}) do
        pieces[#pieces + 1] = call
      end
    end)
    assert.same(settled(plain), settled(streamed))
    assert.equal(2, #streamed.tool_calls)
    assert.is_true(#pieces >= 2)
    assert.equal("tool_calls", streamed.finish_reason)
  end)

  it("is a loop without a callback", function()
    server:script(text({ "a", "b", "c" }, { chunk_delay_ms = 5 }))
    local said, ends = "", 0
    for chunk in stream() do
      said = said .. chunk.content
      ends = ends + (chunk.done and 1 or 0)
    end
    assert.equal("abc", said)
    assert.equal(1, ends)
  end)

  it("is a loop over a handle, too", function()
    server:script(text({ "a", "b" }))
    local handle = stream()
    local said = ""
    for chunk in handle:iter() do
      said = said .. chunk.content
    end
    assert.equal("ab", said)
    assert.equal("ab", handle:await().content)
    assert.is_nil(handle())
    server:script(text({ "c" }))
    handle = stream()
    local chunk = handle()
    assert.equal("c", chunk.content)
    assert.is_true(handle().done)
    assert.is_nil(handle())
  end)

  it("is a loop in coroutines", function()
    server:script(
      text({ "a", "b" }, { chunk_delay_ms = 5 }),
      text({ "a", "b" }, { chunk_delay_ms = 5 })
    )
    local function collect()
      local said = ""
      for chunk in stream() do
        said = said .. chunk.content
      end
      return said
    end
    assert.equal("ab", zigllms.run(collect))
    assert.equal("ab", coroutine.wrap(collect)())
  end)

  it("waits for its reader with the chunks", function()
    server:script(text({ "a", "b", "c" }))
    local handle = stream()
    handle:wait(2000)
    zigllms.sleep(20)
    local said = ""
    for chunk in handle do
      said = said .. chunk.content
    end
    assert.equal("abc", said)
  end)

  it("merges what arrived meanwhile into one chunk", function()
    local pieces = {}
    for i = 1, 50 do
      pieces[i] = "x"
    end
    server:script(text(pieces))
    local chunks, said = 0, ""
    stream(function(chunk)
      chunks = chunks + 1
      said = said .. chunk.content
      zigllms.sleep(20)
    end)
    assert.equal(50, #said)
    assert.is_true(chunks < 20, chunks .. " chunks")
  end)

  it("calls back at most once per flush_ms", function()
    local pieces = {}
    for i = 1, 20 do
      pieces[i] = "x"
    end
    server:script(text(pieces, { chunk_delay_ms = 5 }))
    local chunks, said, began = 0, "", program.clock()
    local response = stream(function(chunk)
      chunks = chunks + 1
      said = said .. chunk.content
    end, { flush_ms = 40 })
    local intervals = (program.clock() - began) * 1000 / 40
    assert.equal(20, #said)
    assert.equal(20, #response.content)
    -- The first and the last one stand outside of the intervals.
    assert.is_true(chunks <= intervals + 3, chunks .. " chunks")
    assert.is_true(chunks < 20)
  end)

  describe("that is not wanted any more", function()
    local function hung_up()
      server:wait_for(function(journal)
        return journal[1] and journal[1].closed_after_ms
      end, zigllms.sleep)
    end

    it("stops when the callback returns false", function()
      server:script(text({ "one ", "two ", "three" }, { chunk_delay_ms = 300 }))
      local began = program.clock()
      local response = stream(function()
        return false
      end)
      assert.is_true(program.clock() - began < 1)
      assert.equal("one ", response.content)
      assert.equal("cancelled", response.finish_reason)
      hung_up()
    end)

    it("does not stop for nil, 0 or other values", function()
      for _, verdict in ipairs({ 0, "", "false", true }) do
        server:script(text({ "a", "b" }, { chunk_delay_ms = 5 }))
        assert.equal(
          "ab",
          stream(function()
            return verdict
          end).content
        )
      end
    end)

    it("stops when the callback raises, and the connection is closed", function()
      server:script(endless())
      local cause = {}
      local err = raised("callback_error", stream, function()
        error(cause)
      end)
      assert.equal(cause, err.cause)
      assert.equal("one ", err.partial.content)
      hung_up()
    end)

    it("stops at a break from its loop", function()
      server:script(endless())
      local said = ""
      for chunk in stream() do
        said = said .. chunk.content
        if said ~= "" then
          break
        end
      end
      assert.equal("one ", said)
      -- Where there are no to-be-closed variables, with the next collection.
      collectgarbage()
      collectgarbage()
      hung_up()
    end)

    it("stops at an error in its loop", function()
      server:script(endless())
      pcall(function()
        for _ in stream() do
          error("mine")
        end
      end)
      collectgarbage()
      collectgarbage()
      hung_up()
    end)
  end)

  describe("that breaks", function()
    local function cut()
      local reply = text({ "one ", "two" }, { close = true })
      -- Without the end of the answer.
      reply.sse = { reply.sse[1], reply.sse[2], reply.sse[3], scripted.null }
      return reply
    end

    it("raises with what came, also where nobody reads pieces", function()
      server:script(cut(), cut(), cut())
      local err = raised("network", stream, function() end)
      assert.equal("one two", err.partial.content)
      assert.is_true(err.retryable)
      err = raised("network", zigllms.provider.chat, "hi", { provider = "openai" })
      assert.equal("one two", err.partial.content)
      local said = ""
      err = raised("network", function()
        for chunk in stream() do
          said = said .. chunk.content
        end
      end)
      assert.equal("one two", said)
      assert.equal("one two", err.partial.content)
    end)

    it("is not tried again once something was delivered", function()
      server:script(cut(), text("again"))
      raised(
        "network",
        stream,
        function() end,
        { retry = { max_attempts = 3, initial_delay_ms = 1 } }
      )
      assert.equal(1, server:count())
    end)

    it("is tried again as long as nobody saw a piece", function()
      server:script({ reset = true }, text("again"))
      local response = stream(
        function() end,
        { retry = { max_attempts = 3, initial_delay_ms = 1 } }
      )
      assert.equal("again", response.content)
    end)
  end)

  describe("of 32 MB", function()
    local SIZE, TIMES = 65536, 512

    local function long()
      local event = 'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'
      local last = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
      local chunks = { event:format(("x"):rep(SIZE)), last, "data: [DONE]\n\n" }
      server:script({ chunks = chunks, times = TIMES })
    end

    it("is not read while nobody wants it, and arrives whole", function()
      long()
      local handle = stream()
      collectgarbage()
      collectgarbage()
      local before = program.resident()
      zigllms.sleep(200)
      if before then
        local growth = program.resident() - before
        assert.is_true(growth < 10 * 1024, growth .. " KiB")
      end
      local total = 0
      for chunk in handle do
        total = total + #chunk.content
      end
      assert.equal(SIZE * TIMES, total)
    end)

    it("reaches its end when only the result is awaited", function()
      long()
      assert.equal(SIZE * TIMES, #stream():await().content)
    end)

    it("is held back by a slow callback", function()
      long()
      local total, chunks = 0, 0
      stream(function(chunk)
        total, chunks = total + #chunk.content, chunks + 1
        if chunks < 5 then
          zigllms.sleep(20)
          assert.is_true(#chunk.content <= 4 * 1024 * 1024, #chunk.content .. " bytes at once")
        end
      end)
      assert.equal(SIZE * TIMES, total)
    end)
  end)

  it("puts events together that arrive in pieces", function()
    local pieces = {
      'data: {"choices":[{"index":0,"delta":{"content":"ü😀"}}]}\n',
      '\ndata: {"choices":[{"index":0,"del',
      'ta":{},"finish_reason":"stop"}]}\n\n',
      "data: [DO",
      "NE]\n\n",
    }
    server:script({ chunks = pieces, chunk_delay_ms = 5 })
    assert.equal("ü😀", stream(function() end).content)
  end)

  it("understands comments, CRLF and events without data", function()
    server:script({
      chunks = {
        ": ping\r\n\r\nevent: x\r\n\r\n",
        'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\r\n\r\n',
        ":\r\n\r\n",
        'data:{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\r\n\r\n',
        "data: [DONE]\r\n\r\n",
      },
    })
    assert.equal("ab", stream(function() end).content)
  end)

  it("is read in order by several at once", function()
    local replies = {}
    for i = 1, 5 do
      replies[i] = text({ "a" .. i, "b" .. i, "c" .. i }, { chunk_delay_ms = 5 })
    end
    server:script((table.unpack or unpack)(replies)) -- luacheck: ignore
    local handles = {}
    for i = 1, 5 do
      handles[i] = stream(function()
        zigllms.sleep(1)
      end, { async = true })
    end
    local got = {}
    for i, response in ipairs(zigllms.all(handles)) do
      got[i] = response.content
      local n = response.content:sub(-1)
      assert.equal(("aXbXcX"):gsub("X", n), response.content)
    end
    table.sort(got)
    assert.equal(5, #got)
  end)
end)
