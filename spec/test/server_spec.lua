-- test.create_mock{type="service", transport="http"}: a real server on loopback, as our own
-- providers and other programs see it.
local cjson = require("cjson")
local faults = require("spec.support.faults")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local size = require("spec.support.size")
local with = require("spec.support.server").with
local zigllms = require("zigllms")

local provider, clock = zigllms.provider, program.clock
local KEY = "sk-CANARY-0123456789"

local made = {}

local function serve(responses, options)
  local definition = { type = "service", transport = "http", responses = responses }
  made[#made + 1] = zigllms.test.create_mock(with(definition, options))
  return made[#made]
end

-- A provider of a protocol that asks a mock.
local function provider_of(wire, mock, options)
  local server = { url = mock.base_url .. "/v1", root = mock.base_url }
  local config = with({ api_key = KEY, retry = false, model = "m" }, wire.wire.config(server))
  return provider.create(with(config, options))
end

local function ask(id, options, input)
  return provider.chat(input or "hi", with({ provider = id }, options))
end

local chat = faults.wires[1]

local function text(words)
  return { body = cjson.decode((chat.document:gsub("so far", words))) }
end

after_each(function()
  for _, mock in ipairs(made) do
    mock:restore()
  end
  made = {}
end)

teardown(function()
  zigllms.reset()
end)

describe("a server", function()
  it("is a mock with an address", function()
    local mock = serve({ "hello" }, { name = "vendor" })
    assert.equal("service", mock.type)
    assert.equal("vendor", mock.name)
    assert.is_truthy(mock.id:find("^mock_%d+$"))
    assert.is_truthy(mock.base_url:find("^http://127%.0%.0%.1:%d+$"))
    assert.equal("zigllms.mock: vendor", tostring(mock))
  end)

  it("is reached by its address with and without a version", function()
    local mock = serve({ "hello" })
    for _, url in ipairs({ mock.base_url, mock.base_url .. "/v1" }) do
      local id = provider.create({ type = "openai", base_url = url, api_key = KEY })
      assert.equal("hello", ask(id).content)
    end
  end)

  it("gives its responses in their order, the last one again and again", function()
    local id = provider_of(chat, serve({ "one", text("two") }))
    local said = { ask(id).content, ask(id).content, ask(id).content }
    assert.same({ "one", "two", "two" }, said)
  end)

  it("says that it has no more of them, where the last one is not repeated", function()
    local mock = serve({ "one" }, { repeat_last = false })
    local id = provider_of(chat, mock, { retry = { max_attempts = 3 } })
    ask(id)
    local err = raised("bad_request", ask, id)
    assert.equal(410, err.status)
    assert.is_truthy(err.message:find("has 1 response,", 1, true))
    assert.equal(2, mock:call_count())
    mock:reset()
    assert.equal("one", ask(id).content)
    assert.equal(1, mock:call_count())
  end)

  it("stands in for a provider, which needs no key, until it ends", function()
    zigllms.reset()
    local mock = serve({ "hello" }, { provider = "anthropic" })
    assert.equal("hello", provider.chat("hi").content)
    assert.equal("/v1/messages", mock:last_call().path)
    mock:restore()
    local id = provider.create({ type = "openai", api = "responses", name = "r", api_key = KEY })
    mock = serve({ "first", { reset = true } }, { provider = "r" })
    assert.equal("first", ask(id).content)
    assert.equal("/responses", mock:last_call().path)
    raised("network", ask, id, { retry = false })
    mock:restore()
    assert.equal("https://api.openai.com/v1", provider.get(id).base_url)
    raised("not_found", serve, { "x" }, { provider = "nobody" })
    raised("not_found", serve, { "x" }, { provider = "nobody", dialect = "openai" })
  end)

  it("ends at once, with all that is under way, and tells what it was asked", function()
    local mock = serve({ { chunks = chat.part, stall_ms = 600000 } })
    local id = provider_of(chat, mock)
    local handle = provider.stream("hi", { provider = id })
    assert.equal("so far", handle().content)
    local began = clock()
    assert.is_true(mock:restore())
    assert.is_false(mock:restore())
    local err = raised("network", handle.await, handle)
    assert.equal("so far", err.partial.content)
    assert.is_true(clock() - began < 5)
    assert.is_truthy(raised("network", ask, id).message:find("connect", 1, true))
    assert.equal(1, mock:call_count())
    assert.equal("hi", mock:last_call().body.messages[1].content)
  end)

  it("ends with a reset of the module", function()
    local mock = serve({ "hello" })
    zigllms.reset()
    raised("network", ask, provider_of(chat, mock))
  end)

  it("ends when nobody has its mock any more", function()
    local definition = { type = "service", transport = "http", responses = "x" }
    local url = zigllms.test.create_mock(definition).base_url
    collectgarbage()
    collectgarbage()
    zigllms.sleep(1)
    local id = provider.create({ type = "openai", base_url = url, api_key = KEY, retry = false })
    raised("network", ask, id)
  end)

  it("ends with its Lua state", function()
    local ran = program.run([[
      local zigllms = require("zigllms")
      local response = { chunks = { "x" }, stall_ms = 600000 }
      local mock = zigllms.test.create_mock({
        type = "service", transport = "http", responses = { response },
      })
      local url = mock.base_url
      zigllms.provider.create({ type = "openai", name = "p", base_url = url, api_key = "k" })
      _G.handle = zigllms.provider.chat("hi", { provider = "p", async = true })
      while mock:call_count() == 0 do zigllms.sleep(1) end
      print("over")
    ]])
    assert.equal("over\n", ran.out)
    assert.equal(0, ran.rc)
    assert.is_true(ran.ms < 10000)
  end)

  it("embeds each list of tokens, as clients send them that count themselves", function()
    local url = serve({ "x" }).base_url .. "/v1/embeddings"
    local function vectors(input)
      local ran = program.shell(("curl -sS -d '{\"input\":%s}' %s"):format(input, url))
      return cjson.decode(ran.out).data
    end
    local found = vectors("[[1,2],[3],[1,2]]")
    assert.equal(3, #found)
    assert.same(found[1].embedding, found[3].embedding)
    assert.are_not.same(found[1].embedding, found[2].embedding)
    assert.equal(1, #vectors("[1,2]"))
  end)

  it("refuses definitions that it cannot play, by their paths", function()
    local function refusal(response)
      return raised("invalid_argument", serve, { "x", response }).message
    end
    for _, row in ipairs({
      { { status = "ok" }, 'responses[2].status: expected an integer from 200 to 999, got "ok"' },
      { { boddy = 1, status = 200 }, 'responses[2].boddy: unknown key, did you mean "body"?' },
      { { contnt = "x" }, 'responses[2].contnt: unknown key, did you mean "content"?' },
      { { boddy = 1 }, 'responses[2].boddy: unknown key, did you mean "body"?' },
      {
        { content = "x", heders = {} },
        'responses[2].heders: unknown key, did you mean "headers"?',
      },
      { { zzz = 1 }, "responses[2].zzz: unknown key, known keys: content" },
      { { body = "x", chunks = {} }, "responses[2]: has both body and chunks" },
      { { content = "x", body = "y" }, "responses[2]: says something, and has a body" },
      { { headers = { ["a b"] = "x" } }, 'responses[2].headers: header "a b"' },
      { { headers = { a = "x\r\ny: z" } }, 'responses[2].headers: header "a"' },
      { { delay_ms = -1, body = "" }, "responses[2].delay_ms: expected a number" },
      { { error = "sleepy" }, "responses[2].error" },
      { 5, "responses[2]: expected a string or a function or a table, got 5" },
    }) do
      assert.is_truthy(refusal(row[1]):find("definition." .. row[2], 1, true), refusal(row[1]))
    end
    for path, response in pairs({
      body = { body = print },
      ["headers.a"] = { content = "x", headers = { a = print } },
      ["content.a"] = { content = { a = 0 / 0 } },
    }) do
      local err = raised("conversion_error", serve, { "x", response })
      assert.equal("create_mock", err.func)
      assert.equal(
        1,
        err.message:find("definition.responses[2]." .. path .. ": ", 1, true),
        err.message
      )
    end
    raised("invalid_argument", serve, { "x" }, { dialect = "klingon" })
    raised("invalid_argument", serve, { "x" }, { returns = 1 })
    raised("invalid_argument", serve, {})
    local err = raised("invalid_argument", zigllms.test.create_mock, {
      type = "service",
      provider = "openai",
      responses = "x",
      dialect = "openai",
    })
    assert.is_truthy(err.message:find("definition.dialect: only a server has one", 1, true))
  end)
end)

describe("its journal", function()
  it("has each request, without secrets", function()
    local mock = serve({ "hello" })
    local id = provider_of(chat, mock, { headers = { ["X-Note"] = "n" } })
    ask(id, { temperature = 0.5 }, "first")
    ask(id, nil, "second")
    local calls = mock:calls()
    assert.equal(2, #calls)
    local first = calls[1]
    assert.equal("POST", first.method)
    assert.equal("/v1/chat/completions", first.path)
    assert.equal("n", first.headers["x-note"])
    assert.equal("***", first.headers.authorization)
    assert.equal(0.5, first.body.temperature)
    assert.equal("first", cjson.decode(first.raw).messages[1].content)
    assert.is_true(first.at_ms >= 0 and first.at_ms <= calls[2].at_ms)
    assert.is_nil(zigllms.output.format(calls, "json"):find("CANARY", 1, true))
  end)

  it("tells when a client has hung up, and only then", function()
    local mock = serve({
      "whole",
      { content = "late", delay_ms = 60000 },
      { content = "without its end", stall_ms = 60000 },
      { content = "never", delay_ms = 60000 },
    })
    local id = provider_of(chat, mock)
    ask(id)
    for n = 2, 3 do
      local handle = provider.chat("hi", { provider = id, async = true })
      repeat
        zigllms.sleep(5)
      until mock:call_count() == n
      handle:cancel()
      repeat
        zigllms.sleep(5)
      until mock:last_call().gone_after_ms
      assert.is_true(mock:last_call().gone_after_ms < 30000)
    end
    assert.is_nil(mock:calls()[1].gone_after_ms)
    local handle = provider.chat("hi", { provider = id, async = true })
    repeat
      zigllms.sleep(5)
    until mock:call_count() == 4
    mock:restore()
    raised("network", handle.await, handle)
    assert.is_nil(mock:last_call().gone_after_ms, "it was the server that ended")
  end)

  it("finds what was sent by a part of it", function()
    local mock = serve({ "hello" })
    ask(provider_of(chat, mock), { seed = 7 })
    assert.is_true(mock:called_with({ path = "/v1/chat/completions", body = { seed = 7 } }))
    assert.is_true(mock:called_with({ body = { messages = { { role = "user" } } } }))
    assert.is_false(mock:called_with({ body = { seed = 8 } }))
    assert.is_false(mock:called_with({ body = { messages = {}, seed = 9 } }))
    zigllms.test.assert_contains(mock:last_call(), { method = "POST" })
  end)

  it("keeps a body that is no JSON as it was", function()
    local mock = serve({ { body = "ok" } })
    local ran = program.shell("curl -sS --data-binary 'a=1&b' " .. mock.base_url .. "/x?api_key=K1")
    assert.equal("ok", ran.out)
    local call = mock:last_call()
    assert.equal("a=1&b", call.body)
    assert.equal("a=1&b", call.raw)
    assert.equal("/x?api_key=***", call.path)
  end)
end)

-- Every fault on every protocol ------------------------------------------------------------------

-- The events of an answer, up to the one that carries its text.
local function up_to_the_text(w)
  local events = {}
  for i, event in ipairs(w.all) do
    events[i] = event
    if event:find("so far", 1, true) then
      return table.concat(events)
    end
  end
end

-- {name, response in the words of protocol `w`, expectation, options of the call}: `text`, or
-- `code` of the error with `partial` (or `any_part`), `status`, `phase` and a part of the message.
local ROWS = {
  {
    "chunks",
    function(w)
      return { chunks = w.all }
    end,
    { text = "so far" },
  },
  {
    "chunks that come late, one by one",
    function(w)
      return { chunks = w.all, delay_ms = 20, chunk_delay_ms = 5 }
    end,
    { text = "so far", slow = 20 },
  },
  {
    "each byte in a chunk of its own",
    function(w)
      local bytes = {}
      table.concat(w.all):gsub(".", function(byte)
        bytes[#bytes + 1] = byte
      end)
      return { chunks = bytes }
    end,
    { text = "so far" },
  },
  {
    "a document",
    function(w)
      return { body = w.document }
    end,
    { text = "so far" },
  },
  {
    "silence before the head",
    function(w)
      return { body = w.document, delay_ms = 600000 }
    end,
    { code = "timeout", phase = "first_token" },
    { first_token_timeout_ms = 60 },
  },
  {
    "silence behind the head",
    function()
      return { chunks = {}, stall_ms = 600000 }
    end,
    { code = "timeout", phase = "first_token" },
    { first_token_timeout_ms = 60 },
  },
  {
    "silence in the middle",
    function(w)
      return { chunks = w.part, stall_ms = 600000 }
    end,
    { code = "timeout", phase = "idle", partial = "so far" },
    { idle_timeout_ms = 60 },
  },
  {
    "silence longer than the call may take",
    function(w)
      return { chunks = w.part, stall_ms = 600000 }
    end,
    { code = "timeout", phase = "total", partial = "so far" },
    { timeout_ms = 100 },
  },
  {
    "a reset in place of an answer",
    function()
      return { reset = true }
    end,
    { code = "network" },
  },
  {
    "the end of the connection in place of an answer",
    function()
      return { close_after = 0 }
    end,
    { code = "network" },
  },
  {
    "a reset in the middle",
    function(w)
      return { chunks = w.part, stall_ms = 30, reset = true }
    end,
    { code = "network", partial = "so far" },
  },
  {
    "an end in the middle of a document",
    function(w)
      return { body = w.document, close_after = math.floor(#w.document / 2) }
    end,
    { code = "network" },
  },
  {
    "an end behind the first pieces",
    function(w)
      return { chunks = w.all, close_after = #up_to_the_text(w) }
    end,
    { code = "network", partial = "so far" },
  },
  {
    "a stream that ends in good order, before its end",
    function(w)
      return { chunks = w.part }
    end,
    { code = "network", partial = "so far" },
  },
  {
    "a length that is too long",
    function(w)
      local half = w.document:sub(1, math.floor(#w.document / 2))
      return { body = half, headers = { ["Content-Length"] = 100000 } }
    end,
    { code = "network" },
  },
  {
    "a length that is too short",
    function(w)
      return { body = w.document, headers = { ["Content-Length"] = 10 } }
    end,
    { code = "network" },
  },
  {
    "an event that is no JSON",
    function(w)
      local broken = w.lines and "{broken}\n" or "data: {broken}\n\n"
      return { chunks = { table.concat(w.part), broken } }
    end,
    { code = "bad_response", partial = "so far" },
  },
  {
    "bytes that are no text",
    function()
      return { body = "\255\254\0\1 nothing at all" }
    end,
    { code = "bad_response" },
  },
  {
    "200 with an error in the stream",
    function(w)
      return { chunks = w.error }
    end,
    { code = "broken", partial = "so far", says = "fell over" },
  },
  {
    "200 with an error as a document",
    function()
      return { body = { error = { message = "the words", code = "server_error" } } }
    end,
    { says = "the words" },
  },
  {
    "429 with the time to wait",
    function(w)
      local words = w.wire.failure(429, "slow down").json
      return { status = 429, headers = { ["Retry-After"] = 7 }, body = words }
    end,
    { code = "rate_limited", status = 429, says = "slow down", retry_after_ms = 7000 },
  },
  {
    "a web page with 502",
    function()
      return { status = 502, body = "<html><h1>Bad Gateway</h1></html>" }
    end,
    { code = "server_error", status = 502 },
  },
  {
    "said, and cut by a fault",
    function()
      return { content = ("so far "):rep(50), close_after = 900 }
    end,
    { code = "network", any_part = true },
  },
  {
    "said, with a break",
    function()
      return { content = "so far", error = "network" }
    end,
    { code = "network", partial = "so far" },
  },
  {
    "said, with silence",
    function()
      return { content = "so far", error = "timeout" }
    end,
    { code = "timeout", phase = "idle", partial = "so far" },
    { idle_timeout_ms = 60 },
  },
  {
    "an error said by its code",
    function()
      return { error = { code = "overloaded", message = "the words" } }
    end,
    { code = "overloaded", says = "the words" },
  },
}

local function check_error(w, expected, err)
  local code = expected.code == "broken" and w.broken_code or expected.code
  assert(code == nil or err.code == code, ("expected %s, got %s"):format(code, tostring(err)))
  for _, field in ipairs({ "status", "phase", "retry_after_ms" }) do
    assert.equal(expected[field] or err[field], err[field])
  end
  assert.is_truthy(err.message:find(expected.says or "", 1, true), err.message)
  if not expected.any_part then
    assert.equal(expected.partial, err.partial and err.partial.content)
  end
end

local function check(w, expected, call)
  local began = clock()
  local ok, result = pcall(call)
  if expected.text then
    assert(ok, tostring(result))
    assert.equal(expected.text, result.content)
    assert.is_true((clock() - began) * 1000 >= (expected.slow or 0))
  else
    assert(not ok, "expected an error, got " .. tostring(result))
    check_error(w, expected, result)
  end
  assert.is_true(clock() - began < 15)
end

for _, w in ipairs(faults.wires) do
  describe("on the protocol " .. w.name .. ", our provider sees", function()
    for _, row in ipairs(ROWS) do
      it(row[1], function()
        local dialect = w.name == "chat" and "openai" or w.name
        local mock = serve({ row[2](w) }, { dialect = dialect })
        local id = provider_of(w, mock)
        check(w, row[3], function()
          return ask(id, row[4])
        end)
        check(w, row[3], function()
          return provider.stream("hi", function() end, with({ provider = id }, row[4]))
        end)
        assert.equal(2, mock:call_count())
      end)
    end

    it("the same, wherever a stream is cut in two", function()
      local all = table.concat(w.all)
      local step, responses = size(1, 7), {}
      for at = 1, #all - 1, step do
        responses[#responses + 1] = { chunks = { all:sub(1, at), all:sub(at + 1) } }
      end
      local id = provider_of(w, serve(responses, { repeat_last = false }))
      for _ = 1, #responses do
        assert.equal("so far", ask(id).content)
      end
    end)

    it("replies in neutral words", function()
      local dialect = w.name == "chat" and "openai" or w.name
      local arguments = { city = "Oslo", days = 2 }
      local mock = serve({
        "hello",
        { content = "look", tool_calls = { { name = "weather", arguments = arguments } } },
        { content = "x", usage = { prompt_tokens = 11, completion_tokens = 7 } },
      }, { dialect = dialect })
      local id = provider_of(w, mock)
      assert.equal("hello", ask(id).content)
      local called = ask(id)
      assert.equal("tool_calls", called.finish_reason)
      assert.same(arguments, called.tool_calls[1].arguments)
      assert.equal(18, ask(id).usage.total_tokens)
      assert.is_true(#provider.get_models(id) > 0)
      assert.equal(4, mock:call_count())
      assert.equal("x", ask(id).content) -- a list of models takes no reply
    end)
  end)
end

describe("a connection", function()
  it("is used again, but where the next answer breaks it", function()
    local mock = serve({ "one", { reset = true }, "three" })
    local id = provider_of(chat, mock)
    ask(id)
    raised("network", ask, id) -- not asked again as on an idle connection that had ended
    assert.equal("three", ask(id).content)
    assert.equal(3, mock:call_count())
  end)

  it("is retried as the options say", function()
    local mock = serve({ { reset = true }, { status = 503, body = "no" }, "three" })
    local retry = { max_attempts = 3, initial_delay_ms = 1, jitter = false }
    assert.equal("three", ask(provider_of(chat, mock, { retry = retry })).content)
    assert.equal(3, mock:call_count())
  end)

  it("is one of fifty side by side", function()
    local mock = serve({ { chunks = chat.all, chunk_delay_ms = 10 } })
    local id = provider_of(chat, mock)
    local handles, began = {}, clock()
    for i = 1, 50 do
      handles[i] = provider.stream("hi", { provider = id })
    end
    for _, response in ipairs(zigllms.all(handles)) do
      assert.equal("so far", response.content)
    end
    assert.equal(50, mock:call_count())
    assert.is_true(clock() - began < 15)
  end)

  it("takes large bodies, compressed lengths and requests without one", function()
    local mock = serve({ { body = "ok" } })
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(("x"):rep(3000000))
    file:close()
    local url = mock.base_url
    -- curl waits for leave before it sends so much.
    local ran = program.shell(("curl -sS --data-binary @%s %s/big"):format(path, url))
    assert.equal("ok", ran.out)
    assert.equal(3000000, #mock:last_call().body)
    assert.equal("100-continue", mock:last_call().headers.expect)
    local chunked = "curl -sS -H 'Transfer-Encoding: chunked' -H 'Expect:' --data-binary @%s %s/c"
    assert.equal("ok", program.shell(chunked:format(path, url)).out)
    assert.equal(3000000, #mock:last_call().raw)
    os.remove(path)
    local head = program.shell("curl -sSI " .. url .. "/head").out
    assert.is_truthy(head:find("HTTP/1.1 200 OK", 1, true))
    assert.is_truthy(head:lower():find("content-length: 2", 1, true))
    assert.equal("HEAD", mock:last_call().method)
  end)
end)

-- Functions that answer --------------------------------------------------------------------------

describe("a function among the responses", function()
  local function echo(request)
    return "you said " .. request.body.messages[1].content
  end

  it("runs while a call of the same state waits", function()
    local mock = serve({ echo })
    local id = provider_of(chat, mock)
    assert.equal("you said hi", ask(id).content)
    assert.equal("you said hi", ask(id, { async = true }):await().content)
    local said = zigllms.run(function()
      local results = zigllms.all({ ask(id, { async = true }), ask(id, { async = true }) })
      return results[1].content .. ", " .. results[2].content
    end)
    assert.equal("you said hi, you said hi", said)
    local co = coroutine.wrap(function()
      return ask(id).content
    end)
    assert.equal("you said hi", co())
  end)

  it("sees the request as the journal has it, and answers in any way", function()
    local seen
    local mock = serve({
      function(request)
        seen = request
        return { content = "x", tool_calls = { { name = "f" } } }
      end,
      function()
        return { status = 418, body = "<p>teapot" }
      end,
      setmetatable({}, {
        __call = function()
          return "callable"
        end,
      }),
      { content = "no function" },
    })
    local id = provider_of(chat, mock)
    assert.equal("f", ask(id).tool_calls[1].name)
    assert.equal("***", seen.headers.authorization)
    assert.same(mock:calls()[1].body, seen.body)
    assert.equal(418, raised("bad_request", ask, id).status)
    assert.equal("callable", ask(id).content)
    assert.equal("no function", ask(id).content)
  end)

  it("may wait, and call the module", function()
    local inner = provider_of(chat, serve({ "inner" }))
    local mock = serve({
      function()
        zigllms.sleep(10)
        return ask(inner).content
      end,
    })
    assert.equal("inner", ask(provider_of(chat, mock)).content)
  end)

  it("that fails is told to the client and in the journal, and is not tried again", function()
    local cause = { "any" }
    local mock = serve({
      function()
        error(cause)
      end,
      function()
        return nil
      end,
      function()
        return { contnt = 1 }
      end,
      function()
        return print
      end,
    })
    local id = provider_of(chat, mock, { retry = { max_attempts = 3 } })
    local err = raised("bad_request", ask, id)
    assert.is_truthy(err.message:find("the function that answers this request has failed", 1, true))
    assert.equal(cause, mock:calls()[1].error)
    for place, told in ipairs({
      "(request): expected a string or a table, got nil",
      "(request).contnt: unknown key",
      "(request): expected a string or a table, got function",
    }) do
      told = ("responses[%d]%s"):format(place + 1, told)
      assert.is_truthy(raised("bad_request", ask, id).message:find(told, 1, true), told)
    end
    assert.equal("invalid_argument", mock:last_call().error.code)
    assert.equal(4, mock:call_count())
  end)

  it("answers another program while this one waits", function()
    local mock = serve({ echo })
    local path = os.tmpname()
    local body = cjson.encode({ model = "m", messages = { { role = "user", content = "hi" } } })
    local line = "(curl -sS -d '%s' %s/v1/chat/completions; echo over) > %s 2>&1 &"
    os.execute(line:format(body, mock.base_url, path))
    local said
    for _ = 1, 2000 do
      zigllms.sleep(5)
      local file = io.open(path, "rb")
      said = file:read("*a")
      file:close()
      if said:find("over\n", 1, true) then
        break
      end
    end
    os.remove(path)
    assert.is_truthy(said:find("you said hi", 1, true), said)
  end)

  it("that nobody lets run is told so", function()
    local mock = serve({ echo })
    local ran = program.shell("curl -sS -d '{}' -w '%{http_code}' " .. mock.base_url .. "/v1/chat")
    assert.is_truthy(ran.out:find("did not run within 5 s", 1, true), ran.out)
    assert.equal("503", ran.out:sub(-3))
  end)
end)

-- Virtual time ----------------------------------------------------------------------------------

describe("in virtual time, a server", function()
  local QUICK = 15 -- seconds of real time, for what takes minutes

  local function passes(fn)
    local began = clock()
    local ms = zigllms.test.clock(function(time)
      local start = time:now()
      fn(time)
      return time:now() - start
    end)
    assert.is_true(clock() - began < QUICK)
    return ms
  end

  it("is late, slow and silent in no time", function()
    local late = { chunks = chat.all, delay_ms = 100000, chunk_delay_ms = 10000 }
    local silent = { chunks = chat.part, stall_ms = 3600000 }
    local id = provider_of(chat, serve({ late, silent }))
    local ms = passes(function()
      assert.equal("so far", ask(id).content)
    end)
    assert.is_true(ms >= 100000 + 10000 * (#chat.all - 1), ms)
    ms = passes(function()
      local err = raised("timeout", ask, id)
      assert.equal("idle", err.phase)
    end)
    assert.is_true(ms >= 60000 and ms < 100000, ms)
  end)

  it("has functions that sleep for an hour", function()
    local mock = serve({
      function()
        zigllms.sleep(100000)
        return "slept"
      end,
    })
    local id = provider_of(chat, mock)
    local ms = passes(function()
      assert.equal("slept", ask(id).content)
    end)
    assert.is_true(ms >= 100000 and ms < 120000, ms)
  end)

  it("is retried on schedule", function()
    local limited = { status = 429, headers = { ["Retry-After"] = 50 }, body = "slow down" }
    local mock = serve({ limited, limited, "at last" })
    local id = provider_of(chat, mock, { retry = { max_attempts = 3 } })
    local ms = passes(function()
      assert.equal("at last", ask(id).content)
    end)
    assert.is_true(ms >= 100000, ms)
    local calls = mock:calls()
    assert.is_true(calls[3].at_ms - calls[1].at_ms >= 100000)
  end)
end)
