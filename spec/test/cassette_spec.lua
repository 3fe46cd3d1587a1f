-- Cassettes: what servers said, recorded and replayed.
local cjson = require("cjson")
local files = require("spec.support.files")
local peers = require("spec.support.peer")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local session = require("spec.support.session")
local size = require("spec.support.size")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local read, write = files.read, files.write
local provider, tool = zigllms.provider, zigllms.tool
local cassette = zigllms.test.cassette
local server = scripted.start()
local directory, path

local function has(text, part)
  assert.truthy(tostring(text):find(part, 1, true), tostring(text))
end

local function lacks(text, part)
  assert.is_nil(tostring(text):find(part, 1, true), tostring(text))
end

local function config(extra)
  return scripted.with({
    type = "openai",
    base_url = server.url,
    api_key = "sk-CANARY-0123456789",
    model = "gpt-test",
    retry = false,
  }, extra)
end

-- Asks a server that nobody listens to any more: only a cassette can answer.
local function nowhere(extra)
  return config(scripted.with({ base_url = "http://127.0.0.1:9/v1" }, extra))
end

local function ask(words, given, options)
  options = scripted.with({ provider = given or config() }, options)
  return provider.chat(words or "hi", options)
end

local function record(fn)
  return cassette(path, fn, { mode = "record" })
end

local function replay(fn)
  return cassette(path, fn, { mode = "replay" })
end

-- Records what a server says to one question.
local function recorded(reply, words)
  server:script(reply)
  return record(function()
    return ask(words)
  end)
end

before_each(function()
  zigllms.reset()
  directory = stores.directory()
  path = directory .. "/run.cassette"
end)

after_each(function()
  stores.remove(directory)
end)

teardown(function()
  zigllms.reset()
  server:stop()
end)

describe("test.cassette", function()
  it("gives what the function returns, recorded and replayed", function()
    server:script(scripted.text("hello"))
    local function run(given)
      return function()
        return ask("hi", given).content, nil, 3, nil
      end
    end
    local function packed(...)
      return { n = select("#", ...), ... }
    end
    assert.same({ n = 4, "hello", nil, 3 }, packed(record(run())))
    server:script()
    assert.same({ n = 4, "hello", nil, 3 }, packed(replay(run(nowhere()))))
    assert.equal(0, server:count())
  end)

  it("records where there is no file, and replays where there is one", function()
    server:script(scripted.text("one"), scripted.text("two"))
    local modes = {}
    local function run(info)
      modes[#modes + 1] = info.mode
      assert.equal(path, info.path)
      return ask().content, info.recorded_at
    end
    local first, at = cassette(path, run)
    local second, again = cassette(path, run)
    assert.same({ "one", "one", "record", "replay" }, { first, second, modes[1], modes[2] })
    assert.equal(at, again)
    assert.equal(1, server:count())
    assert.equal("two", cassette(path, run, { mode = "record" }))
    assert.equal("two", cassette(path, run, { mode = "auto" }))
  end)

  it("makes the folder it writes to, for its owner only", function()
    path = directory .. "/a/b/run.cassette"
    recorded(scripted.text("x"))
    assert.truthy(read(path))
  end)

  it("says what is wrong with its path", function()
    local function reason(fn, ...)
      local err = raised("io_error", fn, ...)
      assert.same({ "test", "cassette" }, { err.bridge, err.func })
      return err.details.reason, err
    end
    local never = function()
      error("called")
    end
    local why, err = reason(cassette, path, never, { mode = "replay" })
    assert.equal("not_found", why)
    has(err.message, path)
    assert.equal("is_directory", (reason(cassette, directory, never)))
    assert.equal("is_directory", (reason(cassette, directory, never, { mode = "record" })))
    write(directory .. "/file", "x")
    assert.equal("not_a_directory", (reason(cassette, directory .. "/file/run", never)))
    raised("invalid_argument", cassette, path, never, { mode = "play" })
    raised("invalid_argument", cassette, path)
    raised("invalid_argument", cassette, "a\0b", never)
  end)

  it("runs one at a time", function()
    local function inner()
      return cassette(path .. "2", function() end)
    end
    server:script(scripted.text("x"))
    local err = raised("invalid_state", record, inner)
    has(err.message, "run.cassette")
    assert.is_nil(read(path))
    local other = zigllms.spawn(function()
      record(function()
        zigllms.sleep(50)
      end)
    end)
    zigllms.sleep(5)
    raised("invalid_state", cassette, path, function() end)
    other:await()
    assert.truthy(read(path))
  end)

  it("ends where the coroutine it ran in is dropped", function()
    local left = coroutine.create(function()
      record(function()
        coroutine.yield()
      end)
    end)
    assert(coroutine.resume(left))
    raised("invalid_state", record, function() end)
    left = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(
      1,
      record(function()
        return 1
      end)
    )
  end)

  it("lets errors through and leaves the old recording", function()
    recorded(scripted.text("old"))
    local before = read(path)
    local mine = {}
    server:script(scripted.text("new"))
    local ok, err = pcall(record, function()
      ask()
      error(mine)
    end)
    assert.is_false(ok)
    assert.equal(mine, err)
    assert.equal(before, read(path))
    ok, err = pcall(replay, function()
      error(mine)
    end)
    assert.same({ false, true }, { ok, err == mine })
    -- The next one finds nothing of it.
    assert.equal(
      "old",
      replay(function()
        return ask("hi", nowhere()).content
      end)
    )
  end)

  it("ends with a reset, and writes nothing then", function()
    server:script(scripted.text("x"))
    raised("invalid_state", record, function()
      ask()
      zigllms.reset()
    end)
    assert.is_nil(read(path))
    assert.equal("x", recorded(scripted.text("x")).content)
  end)

  it("does not ask the kept answers of before, and keeps none for later", function()
    server:script(scripted.text("one"), scripted.text("two"), scripted.text("three"))
    local cached = { cache = true }
    assert.equal("one", ask("hi", nil, cached).content)
    assert.equal(
      "two",
      record(function()
        return ask("hi", nil, cached).content
      end)
    )
    assert.equal(
      "two",
      replay(function()
        return ask("hi", nil, cached).content
      end)
    )
    assert.equal("three", ask("hi", nil, cached).content)
  end)
end)

describe("A request in a replay", function()
  it("is found whatever the order of its keys and the port of the server", function()
    local function extra(text)
      return { extra = cjson.decode(text) }
    end
    server:script(scripted.text("x"))
    record(function()
      ask("hi", config(extra('{"metadata":{"a":"1","b":"2"},"n":1}')))
    end)
    replay(function()
      ask("hi", nowhere(extra('{"n":1,"metadata":{"b":"2","a":"1"}}')))
    end)
  end)

  it("is answered in the order in which equal ones were", function()
    server:script(scripted.text("one"), scripted.text("two"), scripted.text("other"))
    record(function()
      ask()
      ask()
      ask("else")
    end)
    replay(function()
      assert.equal("other", ask("else", nowhere()).content)
      assert.equal("one", ask("hi", nowhere()).content)
      assert.equal("two", ask("hi", nowhere()).content)
      local err = raised("invalid_state", ask, "hi", nowhere())
      has(err.message, "has no request left")
    end)
  end)

  it("says where it differs from what was recorded", function()
    recorded(scripted.text("x"), "the weather in Berlin")
    local function differs(words, given, options)
      return replay(function()
        local err = raised("invalid_state", ask, words, nowhere(given), options)
        assert.is_false(err.retryable)
        has(err.message, path)
        return err.message
      end)
    end
    has(
      differs("the weather in Paris"),
      'at .messages[1].content: recorded "the weather in Berlin", asked "the weather in Paris"'
    )
    has(
      differs("the weather in Berlin", nil, { temperature = 0.5 }),
      "at .temperature: recorded nothing, asked 0.5"
    )
    has(differs("the weather in Berlin", { model = "other" }), 'at .model: recorded "gpt-test"')
    has(
      differs("the weather in Berlin", { base_url = "https://example.test/v1" }),
      "asked POST https://example.test/v1/chat/completions"
    )
    lacks(differs("sk-CANARY-0123456789"), "CANARY")
  end)

  it("tells of the first that was missing where others follow from it", function()
    recorded(scripted.text("x"), "a")
    replay(function()
      raised("invalid_state", ask, "b", nowhere())
      has(raised("invalid_state", ask, "c", nowhere()).message, 'asked "b"')
    end)
  end)

  it("is not repeated, nor put to another provider", function()
    recorded(scripted.text("x"), "a")
    local second = provider.create(nowhere())
    replay(function()
      local given = nowhere({ retry = { max_attempts = 3, initial_delay_ms = 1 } })
      local err = raised("invalid_state", ask, "b", given, { fallback = { second } })
      assert.equal(1, err.attempts)
    end)
  end)
end)

describe("A recorded answer", function()
  local function streamed(given, callback)
    local pieces = {}
    local response = provider.stream("go", function(chunk)
      pieces[#pieces + 1] = chunk.content ~= "" and chunk.content or nil
      return callback and callback(pieces)
    end, { provider = given })
    return response, pieces
  end

  it("comes in its pieces", function()
    server:script(scripted.text({ "a", "b", "c" }, { chunk_delay_ms = 15 }))
    record(function()
      streamed(config())
    end)
    for _ = 1, 3 do
      local began = program.clock()
      local response, pieces = replay(function()
        return streamed(nowhere())
      end)
      assert.same({ "a", "b", "c" }, pieces)
      assert.equal("abc", response.content)
      assert.is_true(program.clock() - began < 5)
    end
  end)

  it("may be left early, then and now", function()
    server:script(scripted.text({ "a", "b", "c" }, { chunk_delay_ms = 30 }))
    local function first(given)
      return streamed(given, function()
        return false
      end)
    end
    local response = record(function()
      return (first(config()))
    end)
    assert.equal("cancelled", response.finish_reason)
    local again, pieces = replay(function()
      return first(nowhere())
    end)
    assert.same({ "cancelled", "a" }, { again.finish_reason, pieces[1] })
    -- The end of a whole recording is not waited for either.
    server:script(scripted.text({ "a", "b", "c" }))
    record(function()
      streamed(config())
    end)
    assert.equal(
      "cancelled",
      replay(function()
        return (first(nowhere())).finish_reason
      end)
    )
  end)

  it("may be cancelled, and looped over", function()
    local function said(text)
      return "data: " .. cjson.encode(scripted.chunk({ content = text })) .. "\n\n"
    end
    server:script(
      { chunks = { said("a"), said("b") }, stall_ms = 20000 },
      scripted.text({ "x", "y" })
    )
    local function run(given)
      return function()
        local h = provider.chat("go", { provider = given, async = true })
        h:wait(100)
        h:cancel()
        local err = raised("cancelled", h.await, h)
        local all = {}
        for chunk in provider.stream("loop", { provider = given }) do
          all[#all + 1] = chunk.content
        end
        return err.partial.content .. "," .. table.concat(all)
      end
    end
    assert.equal("ab,xy", record(run(config())))
    assert.equal("ab,xy", replay(run(nowhere())))
  end)

  it("that was cancelled is not waited for longer than any other", function()
    server:script({ chunks = { ": ping\n\n" }, stall_ms = 20000 })
    record(function()
      local h = provider.chat("go", { provider = config(), async = true })
      h:wait(200)
      h:cancel()
    end)
    replay(function()
      local given = { provider = nowhere(), idle_timeout_ms = 100, first_token_timeout_ms = 100 }
      assert.equal("idle", raised("timeout", provider.chat, "go", given).phase)
    end)
  end)

  it("fails as it did, without waiting", function()
    local rows = {
      { { reset = true, ["repeat"] = true }, "network" },
      { { stall_ms = 20000, delay_ms = 20000 }, "timeout" },
      { { chunks = { "data: {" }, close = true }, "network" },
      { { body = "<html>" }, "bad_response" },
      { scripted.failure(500, "fell over"), "server_error" },
      { { raw = "nonsense\r\n\r\n" }, "bad_response" },
    }
    for _, row in ipairs(rows) do
      server:script(row[1])
      local function run(given)
        return function()
          local options = { provider = given, first_token_timeout_ms = 300 }
          local err = raised(row[2], provider.chat, "hi", options)
          return session.written({ err.message, err.phase, err.status, err.attempts })
        end
      end
      local first = record(run(config()))
      local began = program.clock()
      assert.equal(first, replay(run(nowhere())))
      assert.is_true(program.clock() - began < 5)
    end
  end)

  it("comes after the same attempts, without their pauses", function()
    server:script(
      scripted.failure(429, "slow down", { headers = { ["retry-after"] = "2" } }),
      scripted.failure(503, "busy"),
      scripted.text("at last")
    )
    local retry = { max_attempts = 3, initial_delay_ms = 500, jitter = false }
    local function run(given)
      return function()
        local delays = {}
        local id = zigllms.event.subscribe("provider.retry", function(event)
          delays[#delays + 1] = event.data.delay_ms
        end)
        local response = ask("hi", given)
        zigllms.event.unsubscribe(id)
        return response.content .. response.attempts, delays[1]
      end
    end
    local said, delay = record(run(config({ retry = retry })))
    assert.same({ "at last3", true }, { said, delay >= 2000 })
    local began = program.clock()
    local again, told = replay(run(nowhere({ retry = retry })))
    assert.same({ said, delay }, { again, told })
    assert.is_true(program.clock() - began < 1.5)
  end)

  it("may hold any bytes", function()
    local text = "\1\127wörld \226\130\172 \240\159\152\128"
    server:script(scripted.text(text), { body = "\255\254 is no text", status = 500 })
    local function run(given)
      return function()
        local content = ask("hi", given).content
        return content .. raised("server_error", ask, "hi", given).message
      end
    end
    local first = record(run(config()))
    has(first, text)
    assert.equal(first, replay(run(nowhere())))
  end)
end)

describe("What else asks", function()
  it("is recorded: embeddings, models, and clients of the user's", function()
    local vectors = { data = { { index = 0, embedding = { 1, 2 } } }, model = "m" }
    server:script(
      { json = vectors },
      { json = { object = "list", data = { { id = "b" }, { id = "a" } } } }
    )
    local calls = 0
    local function transport(request)
      calls = calls + 1
      request.stream('data: {"choices":[{"index":0,"delta":{"content":"mine"}}]}\n\n')
      request.stream("data: [DONE]\n\n")
      return { status = 200, headers = { ["content-type"] = "text/event-stream" } }
    end
    local function run(given)
      return function()
        local id = provider.create(given)
        local found = provider.embed({ "x" }, { provider = id, model = "m" })
        local models = provider.get_models(id, { refresh = true })
        local own = ask("hi", id, { transport = transport }).content
        provider.destroy(id)
        return session.written({ found.embeddings, models[1].id, #models, own })
      end
    end
    local first = record(run(config()))
    has(first, "mine")
    assert.equal(first, replay(run(nowhere())))
    assert.equal(1, calls)
  end)

  it("is left alone: a mock is a part of the test", function()
    local id = provider.create(nowhere())
    local mock = zigllms.test.create_mock({
      type = "service",
      provider = id,
      responses = { "one", "two" },
    })
    local function run()
      return ask("hi", id).content
    end
    assert.equal("one", record(run))
    assert.equal("two", replay(run))
    lacks(read(path), "request")
    mock:restore()
  end)

  it("is recorded: http_request, with redirects", function()
    zigllms.configure({ tools = { http = { allow_private = true } } })
    server:script({ status = 302, headers = { location = "/there" } }, {
      json = { found = true },
      headers = { ["x-note"] = "n", ["set-cookie"] = "id=CANARY-cookie" },
    })
    local function run()
      local answer = tool.execute("http_request", {
        url = server.root .. "/here?q=Berlin&api_key=CANARY-in-url",
        headers = { Authorization = "Bearer CANARY-tool-token" },
      })
      return session.written({ answer.status, answer.body, answer.headers["x-note"] })
    end
    local first = record(run)
    server:script()
    assert.equal(first, replay(run))
    assert.equal(0, server:count())
    has(read(path), "q=Berlin&api_key=<secret>")
    lacks(read(path), "CANARY")
    zigllms.configure({ tools = zigllms.null })
  end)

  it("is recorded: MCP over HTTP", function()
    local function answer(word, id, result, extra)
      local json = { jsonrpc = "2.0", id = id, result = result }
      return scripted.with({ when = word, json = json }, extra)
    end
    local tools = { { name = "echo", inputSchema = { type = "object" } } }
    server:script(
      answer('"initialize"', 1, {
        protocolVersion = "2025-06-18",
        capabilities = { tools = { list = true } },
        serverInfo = { name = "web", version = "1" },
      }, { headers = { ["mcp-session-id"] = "CANARY-session" } }),
      { when = "notifications/initialized", status = 202 },
      answer("tools/list", 2, { tools = tools }),
      answer("tools/call", 3, { content = { { type = "text", text = "pong" } } }),
      { status = 405, ["repeat"] = true }
    )
    local function run(url)
      return function()
        local ids = tool.import_mcp({ url = url, headers = { ["x-key"] = "CANARY-of-mcp" } })
        local said = tool.execute(ids[1], { word = "ping" })
        for _, id in ipairs(ids) do
          tool.unregister(id)
        end
        return session.written(said)
      end
    end
    local first = record(run(server.root .. "/mcp"))
    has(first, "pong")
    lacks(read(path), "CANARY")
    assert.equal(first, replay(run("http://127.0.0.1:9/mcp")))
  end)
end)

describe("A tool in a cassette", function()
  local calls

  -- A tool that gives another result each time.
  local function define(execute)
    tool.register({ name = "dice", replace = true, execute = execute })
  end

  local function counting(input)
    calls = calls + 1
    return { n = calls, input = input.of, at = os.time(), words = { "a", "b" } }
  end

  before_each(function()
    calls = 0
    define(counting)
  end)

  it("is not called in a replay: what came of it then comes again", function()
    local function run()
      local a = tool.execute("dice", { of = 6 })
      local b = tool.execute("dice", { of = 6 })
      local c = tool.execute("dice", { of = 20, deep = { x = 1 } })
      return session.written({ a, b, c })
    end
    local first = record(run)
    assert.equal(3, calls)
    define(function()
      error("called")
    end)
    assert.equal(first, replay(run))
    assert.equal(3, calls)
  end)

  it("gives an agent the same, and the model hears the same", function()
    local function run(given)
      return function()
        local who = zigllms.agent.create({ provider = given, tools = { "dice" } })
        local response = zigllms.agent.run(who, "roll")
        local call = response.tool_calls[1]
        local ms = call.result and call.duration_ms
        return session.written({ response.content, call.result, ms, call.error })
      end
    end
    server:script(
      scripted.calls({ { "c1", "dice", '{"of":6}' } }),
      scripted.text("rolled"),
      scripted.calls({ { "c1", "dice", '{"of":6}' } }),
      scripted.text("failed")
    )
    local first = record(run(config()))
    define(function()
      error("called")
    end)
    assert.equal(first, replay(run(nowhere())))
    -- A failure is the model's to deal with, then as now.
    local failed = record(run(config()))
    has(failed, "failed")
    define(counting)
    assert.equal(failed, replay(run(nowhere())))
    assert.equal(1, calls)
  end)

  it("fails as it did", function()
    define(function(input)
      if input.how == "raise" then
        error("it broke")
      elseif input.how == "table" then
        error({ code = 5 })
      end
      return nil, "no such thing"
    end)
    local function run()
      local all = {}
      for i, how in ipairs({ "raise", "table", "refuse" }) do
        local err = raised("tool_error", tool.execute, "dice", { how = how })
        all[i] = err.message:gsub("table: 0x%x+", "a table")
      end
      local err = raised("tool_error", tool.execute, "dice", { how = "raise" })
      return session.written(all) .. err.cause
    end
    local first = record(run)
    define(counting)
    assert.equal(first, replay(run))
    assert.equal(0, calls)
    -- Also the calls that the module itself makes.
    local function calculate()
      local err = raised("tool_error", tool.execute, "calculator", { expression = "1 +" })
      return err.message .. tool.execute("calculator", { expression = "1 + 1" })
    end
    first = record(calculate)
    assert.equal(first, replay(calculate))
  end)

  it("says what was asked of it otherwise", function()
    record(function()
      tool.execute("dice", { of = 6, deep = { x = 1 } })
    end)
    replay(function()
      local err = raised("invalid_state", tool.execute, "dice", { of = 6, deep = { x = 2 } })
      has(err.message, 'call of the tool "dice": at .deep.x: recorded 1, asked 2')
      assert.same({ ".deep.x", 1, 2 }, {
        err.details.path,
        err.details.recorded,
        err.details.asked,
      })
      tool.register({ name = "other", execute = counting })
      has(raised("invalid_state", tool.execute, "other", {}).message, 'the tool "other"')
    end)
  end)

  it("is called where its result was none that can be kept", function()
    define(function()
      calls = calls + 1
      return { f = print, n = calls }
    end)
    local function run()
      return tool.execute("dice", {}).n
    end
    assert.equal(1, record(run))
    assert.equal(2, replay(run))
  end)

  it("is called if nobody wants it recorded", function()
    local function run()
      return tool.execute("dice", { of = 6 }).n
    end
    assert.equal(1, cassette(path, run, { mode = "record", tools = false }))
    assert.equal(2, replay(run))
    assert.equal(3, record(run))
    assert.equal(3, replay(run))
    assert.equal(4, cassette(path, run, { mode = "replay", tools = false }))
  end)

  it("keeps its secrets", function()
    define(function()
      return { access_token = "CANARY-of-login", key = "size", user = "Ann" }
    end)
    local function run(given)
      return function()
        local login = tool.execute("dice", { password = "CANARY-password", key = "size" })
        ask("I have " .. login.access_token, given)
        return login.key .. login.user
      end
    end
    server:script(scripted.text("ok"))
    assert.equal("sizeAnn", record(run(config())))
    lacks(read(path), "CANARY")
    assert.equal("sizeAnn", replay(run(nowhere())))
  end)

  it("keeps a secret that is a name, too", function()
    local key = config().api_key
    define(function()
      return { [key] = "of the vendor", list = { { [key] = 1 } } }
    end)
    local function run(given)
      return function()
        local seen = tool.execute("dice", { [key] = "wanted" })
        return ask(session.written(seen.list), given).content
      end
    end
    server:script(scripted.text("ok"))
    assert.equal("ok", record(run(config())))
    lacks(read(path), "CANARY")
    assert.equal("ok", replay(run(nowhere())))
  end)

  it("is replayed as a step of a workflow", function()
    local id = zigllms.workflow.create({
      name = "rolling",
      pattern = "sequential",
      steps = {
        { type = "tool_call", tool = "dice", input = { of = 6 } },
        { type = "tool_call", tool = "dice", input = { of = "{{previous.output.n}}" } },
      },
    })
    local function run()
      return session.written(zigllms.workflow.execute(id).output)
    end
    local first = record(run)
    assert.equal(first, replay(run))
    assert.equal(2, calls)
  end)
end)

describe("A cassette", function()
  local KEY = "sk-CANARY/1+2=3&\"4'5<6>CANARY-7"

  local function percent(text)
    return (text:gsub("[^%w%-._~]", function(c)
      return ("%%%02X"):format(c:byte())
    end))
  end

  it("holds no secret, wherever it was given and however it came back", function()
    local quoted = cjson.encode(KEY):sub(2, -2)
    local echo = table.concat({ KEY, percent(KEY), quoted, "Bearer " .. KEY }, " | ")
    local half = scripted.text({ "the key is " .. KEY:sub(1, 9), KEY:sub(10) .. "!" })
    server:script(
      scripted.text(echo),
      {
        chunks = {
          'data: {"error":{"message":"' .. quoted:sub(1, 9),
          quoted:sub(10) .. '"}}\n\n',
        },
      },
      scripted.failure(401, "bad key " .. echo, { headers = { ["x-echo"] = KEY } }),
      { json = { error = { message = "no " .. KEY:sub(1, 15) .. "…" } }, status = 400 },
      half
    )
    local given = config({
      api_key = KEY,
      base_url = server.url .. "?k=" .. percent(KEY),
      headers = { ["X-Custom"] = "CANARY-header" },
      extra = { deep = { access_token = "CANARY-extra" } },
    })
    zigllms.configure({ http = { headers = { ["X-All"] = "CANARY-for-all" } } })
    provider.create({ type = "anthropic", api_key = "CANARY-of-another" })
    record(function()
      ask("my key is " .. KEY .. " and CANARY-of-another", given)
      pcall(ask, "b", given)
      pcall(ask, "c", given)
      pcall(ask, "d", given)
      ask("e", given)
    end)
    zigllms.configure({ http = zigllms.null })
    local text = read(path)
    lacks(text, "CANARY")
    lacks(text:lower(), percent(KEY):lower())
    has(text, "<secret>")
    -- Nor where it was cut in two, in the words of a model.
    lacks(text, KEY:sub(10))
  end)

  it("is replayed with another key, or none that is real", function()
    server:script(scripted.text("x"))
    record(function()
      ask("my key is sk-CANARY-0123456789", config())
    end)
    replay(function()
      ask("my key is something else", nowhere({ api_key = "test" }))
    end)
  end)

  it("is refused wherever it was changed", function()
    recorded(scripted.text({ "a", "wörld" }))
    local text = read(path)
    local function refused(changed)
      write(path, changed)
      local err = raised("io_error", replay, function()
        error("called")
      end)
      assert.equal("corrupt", err.details.reason)
      assert.equal(path, err.details.path)
      return err.details.line
    end
    local step = size(1, 7)
    for at = 1, #text, step do
      local byte = text:byte(at)
      local line = select(2, text:sub(1, at - 1):gsub("\n", "\n")) + 1
      local found =
        refused(text:sub(1, at - 1) .. string.char((byte + 1) % 256) .. text:sub(at + 1))
      assert.is_true(found == line, at)
      refused(text:sub(1, at - 1) .. text:sub(at + 1))
      refused(text:sub(1, at - 1))
    end
    refused(text .. "x")
    refused(text .. "\n")
    refused(text:sub(1, -2))
    refused("")
    local lines = {}
    for line in text:gmatch("[^\n]+\n") do
      lines[#lines + 1] = line
    end
    for i = 1, #lines do
      local without = { (table.unpack or unpack)(lines) } -- luacheck: ignore
      table.remove(without, i)
      refused(table.concat(without))
      if i < #lines then
        without = { (table.unpack or unpack)(lines) } -- luacheck: ignore
        without[i], without[i + 1] = without[i + 1], without[i]
        refused(table.concat(without))
      end
    end
    write(path, text)
    assert.equal(
      "awörld",
      replay(function()
        return ask("hi", nowhere()).content
      end)
    )
  end)

  it("can be read by people", function()
    recorded(scripted.text("hello"))
    local lines = {}
    for line in read(path):gmatch("[^\n]+") do
      lines[#lines + 1] = cjson.decode(line)
    end
    assert.equal(1, lines[1].zigllms_cassette)
    has(lines[2].request, "POST " .. server.url .. "/chat/completions")
    assert.equal("hi", lines[2].json.messages[1].content)
    assert.is_nil(lines[2].headers.authorization or lines[2].headers.Authorization)
    assert.equal(200, lines[3].status)
    has(lines[4].text, "data: ")
    assert.equal("ok", lines[#lines - 1]["end"])
    assert.equal(#lines, lines[#lines].lines)
  end)
end)

describe("A cassette of every wire", function()
  it("gives the same transcript again, also on the other engine", function()
    local configs = session.script(server)
    local first = record(function()
      return session.run(configs)
    end)
    lacks(read(path), "CANARY")
    server:script()
    for _, each in ipairs(configs) do
      each.base_url = each.base_url:gsub("127%.0%.0%.1:%d+", "127.0.0.1:9")
      each.api_key = "another"
    end
    assert.equal(
      first,
      replay(function()
        return session.run(configs)
      end)
    )
    assert.equal(0, server:count())

    local interpreter, cpath = peers.other_engine()
    if not interpreter then
      return print("\nskipped: no module for the other engine")
    end
    local name = directory .. "/run.lua"
    local own = cpath:match(jit and "[^;]*/5%.4/[^;]*" or "[^;]*/jit/[^;]*")
    write(name, session.CHUNK)
    local function there(mode, given)
      local words = { interpreter, name, path, session.written_configs(given), mode }
      for i, word in ipairs(words) do
        words[i] = program.quoted(word)
      end
      -- Other modules come from where that engine has its own.
      local result = program.shell(table.concat(words, " "), { LUA_CPATH = own .. ";;" })
      assert.equal("", result.err)
      return result.out
    end
    assert.equal(first, there("replay", configs))
    os.remove(path)
    assert.equal(first, there("auto", session.script(server)))
    server:script()
    assert.equal(
      first,
      replay(function()
        return session.run(configs)
      end)
    )
  end)
end)
