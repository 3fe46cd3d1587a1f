-- test.create_mock{type="service"}: scripts that answer in place of a provider's server.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local agent, provider, tool = zigllms.agent, zigllms.provider, zigllms.tool
local CANARY = "sk-canary-of-service-mocks"

local function mocked(responses, more)
  local definition = { type = "service", provider = "openai", responses = responses }
  for key, value in pairs(more or {}) do
    definition[key] = value
  end
  return zigllms.test.create_mock(definition)
end

-- Every protocol, and how a provider that speaks it is configured. Nobody listens at port 1.
local CLOSED = "http://127.0.0.1:1/v1"
local WIRES = {
  { dialect = "openai", type = "openai" },
  { dialect = "responses", type = "openai", api = "responses" },
  { dialect = "anthropic", type = "anthropic" },
  { dialect = "cohere", type = "cohere" },
  { dialect = "ollama", type = "local", api = "ollama", model = "m" },
  { dialect = "openai", type = "local" },
  { dialect = "openai", type = "groq" },
  { dialect = "openai", type = "azure" },
}

local function on_every_wire(check)
  for _, wire in ipairs(WIRES) do
    zigllms.reset()
    local config = { type = wire.type, api = wire.api, model = wire.model, base_url = CLOSED }
    config.retry = { initial_delay_ms = 1 }
    check(provider.create(config), wire)
  end
end

describe("a service mock", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  it("answers without a key, and without a socket", function()
    on_every_wire(function(id, wire)
      local mock = mocked({ "Grüezi, all of you!" }, { provider = wire.type })
      local response = provider.chat("hi", { provider = id })
      assert.equal("Grüezi, all of you!", response.content)
      assert.equal("stop", response.finish_reason)
      assert.equal(id, response.provider)
      assert.is_true(response.usage.total_tokens > 0 and not response.usage.estimated)
      assert.equal(wire.dialect, mock:last_call().dialect)
      assert.equal("initializing", provider.get(wire.type).status)
    end)
  end)

  it("answers where no address is known, and no provider is named", function()
    local mock = mocked({ "here" }, { provider = "azure" })
    assert.equal("here", provider.chat("hi").content)
    assert.is_truthy(mock:last_call().url:find("^http://mock%.invalid/"))
  end)

  it("says its responses one after the other, and repeats the last one", function()
    local mock = mocked({ "one", "two" })
    local said = {}
    for i = 1, 3 do
      said[i] = provider.chat("hi").content
    end
    assert.same({ "one", "two", "two" }, said)
    mock:reset()
    assert.equal(0, mock:call_count())
    assert.equal("one", provider.chat("hi").content)
    assert.equal(1, mock.call_count())
  end)

  it("says it when a script has ended that is not to be repeated", function()
    local mock = mocked({ "one" }, { name = "weather", repeat_last = false })
    provider.chat("hi")
    local err = raised("invalid_state", provider.chat, "hi", { fallback = { "anthropic" } })
    local text = 'the mock "weather" has no response left: it had 1, and repeat_last is false'
    assert.equal(text, err.message)
    assert.equal(2, mock:call_count())
  end)

  it("streams in several pieces that make up the text", function()
    on_every_wire(function(id, wire)
      local text = "A text that is long enough for several pieces: ä, \u{1F600}."
      mocked({ { content = text, thinking = "well, well" } }, { provider = wire.type })
      local pieces = {}
      local response = provider.chat("hi", {
        provider = id,
        flush_ms = 0,
        stream = function(chunk)
          pieces[#pieces + 1] = chunk.content
        end,
      })
      assert.equal(text, table.concat(pieces))
      assert.is_true(#pieces > 2, wire.dialect)
      assert.equal(text, response.content)
      assert.equal("well, well", response.thinking)
    end)
  end)

  it("streams in the pieces of its script", function()
    on_every_wire(function(id, wire)
      mocked({ { pieces = { "It is ", "three", "." } } }, { provider = wire.type })
      local pieces = {}
      local response = provider.stream("hi", function(chunk)
        pieces[#pieces + 1] = chunk.content ~= "" and chunk.content or nil
      end, { provider = id, flush_ms = 0 })
      assert.same({ "It is ", "three", "." }, pieces, wire.dialect)
      assert.equal("It is three.", response.content)
      assert.equal("It is three.", provider.chat("hi", { provider = id }).content)
    end)
    local both = { { content = "so", pieces = { "s", "i" } } }
    local err = raised("invalid_argument", mocked, both)
    assert.truthy(err.message:find("responses[1].pieces: expected the text of", 1, true))
  end)

  it("reports the usage and the end of its script", function()
    local usage = { input_tokens = 100, output_tokens = 7, cached_tokens = 40 }
    mocked({ { content = "cut", usage = usage, finish_reason = "length" } })
    local response = provider.chat("hi")
    assert.equal("length", response.finish_reason)
    assert.equal(107, response.usage.total_tokens)
    assert.equal(40, response.usage.cached_tokens)
  end)

  it("plays a round of tools, message by message", function()
    on_every_wire(function(id, wire)
      local mock = mocked({
        {
          content = "I'll look.",
          tool_calls = { { name = "weather", arguments = { city = "Bern" } } },
        },
        function(request)
          return "It is " .. request.messages[#request.messages].content .. "."
        end,
      }, { provider = wire.type, repeat_last = false })
      local weather = tool.register({
        name = "weather",
        description = "the weather",
        parameters = { type = "object", properties = { city = { type = "string" } } },
        execute = function(input)
          return "sunny in " .. input.city
        end,
      })
      local helper =
        agent.create({ provider = id, tools = { weather }, instructions = "Be brief." })
      local response = agent.run(helper, "How is the weather?")
      assert.equal("It is sunny in Bern.", response.content)
      local roles = {}
      for _, message in ipairs(mock:last_call().messages) do
        roles[#roles + 1] = message.role
      end
      assert.same({ "system", "user", "assistant", "tool" }, roles)
      local asked = mock:last_call().messages[3]
      assert.equal("weather", asked.tool_calls[1].name)
      assert.same({ city = "Bern" }, asked.tool_calls[1].arguments)
      assert.equal(asked.tool_calls[1].id, mock:last_call().messages[4].tool_call_id)
      assert.equal("weather", mock:calls()[1].tools[1].name)
      assert.equal(2, mock:call_count())
    end)
  end)

  it("calls several tools at once, with ids of their own", function()
    local calls = { { name = "add", arguments = '{"a":1,"b":2}' }, { name = "add", id = "mine" } }
    local mock = mocked({ { tool_calls = calls }, "done" })
    local inputs = {}
    local add = tool.register({
      name = "add",
      description = "adds",
      execute = function(input)
        inputs[#inputs + 1] = input.a or "nothing"
        return 1
      end,
    })
    agent.run(agent.create({ provider = "openai", tools = { add } }), "add")
    table.sort(inputs, function(a)
      return a == 1
    end)
    assert.same({ 1, "nothing" }, inputs)
    local asked = mock:last_call().messages[2].tool_calls
    assert.equal("mine", asked[2].id)
    assert.is_true(#asked[1].id > 4)
  end)

  it("answers a wish for structured output", function()
    local schema = { type = "object", properties = { city = { type = "string" } } }
    on_every_wire(function(id, wire)
      mocked({ { content = { city = "Bern" } } }, { provider = wire.type })
      local response = provider.chat("where?", { provider = id, schema = schema })
      assert.same({ city = "Bern" }, response.parsed)
    end)
  end)

  it("fails as a server of that vendor would, which is tried again", function()
    on_every_wire(function(id, wire)
      local mock = mocked({
        { error = { code = "rate_limit", status = 429, retry_after_ms = 2 } },
        { error = "overloaded" },
        "at last",
      }, { provider = wire.type })
      local response = provider.chat("hi", { provider = id })
      assert.equal("at last", response.content)
      assert.equal(3, response.attempts)
      assert.equal(3, mock:call_count())
      mock:restore()
    end)
  end)

  it("gives errors their code, their status and the words of the script", function()
    local expected = {
      auth = { "auth", 401 },
      not_found = { "not_found", 404 },
      bad_request = { "bad_request", 400 },
      context_length = { "context_length", 400 },
      content_filter = { "content_filter", 400 },
      quota = { "rate_limited", 429 },
    }
    on_every_wire(function(id, wire)
      for word, code in pairs(expected) do
        local mock = mocked({ { error = word } }, { provider = wire.type })
        local err = raised(code[1], provider.chat, "hi", { provider = id })
        assert.equal(code[2], err.status)
        assert.equal(id, err.provider)
        assert.equal(1, err.attempts)
        mock:restore()
      end
    end)
    mocked({ { error = { status = 418, message = "I'm a teapot", code = "short_and_stout" } } })
    local err = raised("bad_request", provider.chat, "hi")
    assert.equal("I'm a teapot (HTTP 418)", err.message)
    assert.equal("short_and_stout", err.details.error.code)
  end)

  it("asks for patience that is longer than anybody has", function()
    local mock = mocked({ { error = { code = "rate_limited", retry_after_ms = 200000 } } })
    local err = raised("rate_limited", provider.chat, "hi")
    assert.equal(200000, err.retry_after_ms)
    assert.equal(1, mock:call_count())
  end)

  it("breaks as a network does", function()
    local retry = { initial_delay_ms = 1 }
    local mock = mocked({ { error = "network" }, "after that" })
    assert.equal("after that", provider.chat("hi", { retry = retry }).content)
    mock:restore()
    mocked({ { error = "timeout" } })
    local err = raised("timeout", provider.chat, "hi", { retry = false })
    assert.equal("first_token", err.phase)
    assert.equal("openai", err.provider)
  end)

  it("breaks off in the middle of a stream, with what was said", function()
    for _, word in ipairs({ "network", "server_error" }) do
      on_every_wire(function(id, wire)
        local mock = mocked(
          { { content = "as far as here", error = word } },
          { provider = wire.type }
        )
        local pieces = {}
        local err = raised(word, provider.chat, "hi", {
          provider = id,
          flush_ms = 0,
          stream = function(chunk)
            pieces[#pieces + 1] = chunk.content
          end,
        })
        assert.equal("as far as here", table.concat(pieces))
        assert.equal("as far as here", err.partial.content)
        assert.equal(1, mock:call_count())
        mock:restore()
      end)
    end
  end)

  it("is reached as a fallback, and falls back", function()
    local first = mocked({ { error = "auth" } })
    local second = mocked({ "from the second" }, { provider = "anthropic" })
    local response = provider.chat("hi", { provider = "openai", fallback = { "anthropic" } })
    assert.equal("from the second", response.content)
    assert.equal("anthropic", response.provider)
    assert.equal(1, first:call_count())
    assert.equal("anthropic", second:last_call().dialect)
  end)

  it("asks a function, which sees the request and may wait", function()
    mocked({
      function(request)
        zigllms.sleep(5)
        assert(request.kind == "chat" and request.stream == true)
        return { content = request.model .. ": " .. request.messages[1].content }
      end,
    })
    local handles = {}
    for i = 1, 3 do
      local asks = { model = "m" .. i, async = true, provider = "openai" }
      handles[i] = provider.chat("n" .. i, asks)
    end
    local said = {}
    for i, response in ipairs({ zigllms.all(handles) }) do
      said[i] = response
    end
    said = #said == 1 and said[1] or said
    for i = 1, 3 do
      assert.equal(("m%d: n%d"):format(i, i), tostring(said[i]))
    end
  end)

  it("takes what a function raises for the error of the request", function()
    local mock = mocked({
      function()
        error("no idea")
      end,
    }, { name = "clueless" })
    local err = raised("callback_error", provider.chat, "hi")
    assert.is_truthy(err.message:find('the mock "clueless" failed: ', 1, true))
    assert.is_truthy(err.message:find("no idea", 1, true))
    assert.equal(1, mock:call_count())
    mock:restore()
    mocked({
      function()
        error(zigllms.error("rate_limited", "slower", { status = 429 }))
      end,
      "again",
    })
    assert.equal("again", provider.chat("hi", { retry = { initial_delay_ms = 1 } }).content)
  end)

  it("takes a function alone, a text alone, and a mock of a function", function()
    mocked(function()
      return "a function's"
    end)
    assert.equal("a function's", provider.chat("hi").content)
    mocked("a text")
    assert.equal("a text", provider.chat("hi").content)
    local fn = zigllms.test.create_mock({ returns = "a mock's" })
    mocked({ fn })
    assert.equal("a mock's", provider.chat("hi").content)
    assert.equal("chat", fn:last_call().args[1].kind)
  end)

  it("refuses what a function returns that is no response, with its place", function()
    mocked({
      "fine",
      function()
        return { contents = "x" }
      end,
      function() end,
    }, { name = "mute" })
    provider.chat("hi")
    local err = raised("invalid_argument", provider.chat, "hi")
    local place = 'the mock "mute": responses[2](request).contents: unknown key, did you mean "content"?'
    assert.is_truthy(err.message:find(place, 1, true), err.message)
    err = raised("invalid_argument", provider.chat, "hi")
    place = 'the mock "mute": responses[3](request): expected a string or a table, got nil'
    assert.equal(place, err.message)
  end)

  it("waits as long as it is told, within the limits of the call", function()
    local mock = mocked({ { content = "late", delay_ms = 40 } })
    local began = program.clock()
    assert.equal("late", provider.chat("hi").content)
    assert.is_true(program.clock() - began >= 0.039)
    mock:restore()
    mocked({ { content = "too late", delay_ms = 60000 } })
    local asks = { first_token_timeout_ms = 20, retry = false }
    assert.equal("first_token", raised("timeout", provider.chat, "hi", asks).phase)
    assert.equal("total", raised("timeout", provider.chat, "hi", { timeout_ms = 20 }).phase)
  end)

  it("can be cancelled while it waits", function()
    mocked({ { content = "never", delay_ms = 60000 } })
    local handle = provider.chat("hi", { async = true })
    zigllms.sleep(5)
    handle:cancel()
    local _, err = pcall(handle.await, handle)
    assert.equal("cancelled", err.code)
  end)

  it("waits between the pieces of a stream", function()
    mocked({ { content = "a text of five pieces, or so", chunk_delay_ms = 300 } })
    local asks = { idle_timeout_ms = 20, retry = false }
    assert.equal("idle", raised("timeout", provider.chat, "hi", asks).phase)
  end)

  it("goes before a transport, of a call as of a provider", function()
    local function transport()
      error("asked the transport")
    end
    provider.configure("openai", { transport = transport })
    local mock = mocked({ "mocked" })
    assert.equal("mocked", provider.chat("hi", { transport = transport }).content)
    mock:restore()
    provider.configure("openai", { api_key = CANARY })
    assert.is_truthy(
      raised("callback_error", provider.chat, "hi", { provider = "openai" }).message:find(
        "asked the"
      )
    )
  end)

  it("stands for a type, an id or a name", function()
    local one = provider.create({ type = "openai", name = "one" })
    local two = provider.create({ type = "openai", name = "two" })
    mocked({ "by type" })
    mocked({ "by id" }, { provider = one })
    mocked({ "by name" }, { provider = "two" })
    assert.equal("by id", provider.chat("hi", { provider = one }).content)
    assert.equal("by name", provider.chat("hi", { provider = two }).content)
    assert.equal("by type", provider.chat("hi", { provider = "openai" }).content)
    local own = provider.chat("hi", { provider = { type = "openai" } })
    assert.equal("by type", own.content)
    mocked({ "by what get gives" }, { provider = provider.get("two") })
    assert.equal("by what get gives", provider.chat("hi", { provider = "two" }).content)
  end)

  it("stands for a model in the process as well", function()
    local config = { type = "local", model_path = "/no/such/file.gguf" }
    local built, id = pcall(provider.create, config)
    if not built then
      return assert.equal("unsupported", id.code)
    end
    mocked({ "no file was opened" }, { provider = "local" })
    assert.equal("no file was opened", provider.chat("hi", { provider = id }).content)
    assert.is_number((provider.count_tokens("four words or so", { provider = id })))
  end)

  it("is over when it is restored, in any order", function()
    local first, second, third = mocked({ "1" }), mocked({ "2" }), mocked({ "3" })
    local function says(content)
      assert.equal(content, provider.chat("hi").content)
    end
    says("3")
    assert.is_true(second:restore())
    assert.is_false(second:restore())
    says("3")
    third:restore()
    says("1")
    first:restore()
    raised("auth", provider.chat, "hi", { provider = "openai" })
    assert.equal(1, first:call_count())
    assert.equal("inactive", provider.get("openai").status)
  end)

  it("outlives the provider it stands for", function()
    local id = provider.create({ type = "openai", name = "brief" })
    local mock = mocked({ "still here" }, { provider = "brief" })
    provider.destroy(id)
    raised("not_found", provider.chat, "hi", { provider = "brief" })
    provider.create({ type = "openai", name = "brief" })
    assert.equal("still here", provider.chat("hi", { provider = "brief" }).content)
    mock:restore()
  end)

  it("is of one instance of the module", function()
    local other = zigllms.new()
    mocked({ "mine" })
    local theirs = other.test.create_mock({ provider = "openai", responses = { "theirs" } })
    assert.equal("service", theirs.type)
    assert.equal("mine", provider.chat("hi").content)
    assert.equal("theirs", other.provider.chat("hi").content)
    theirs:restore()
    raised("auth", other.provider.chat, "hi", { provider = "openai" })
  end)

  it("keeps a journal of what was asked", function()
    local mock = mocked({ "x" })
    provider.chat({
      messages = { { role = "user", content = "What is there?" } },
      model = "m-7",
      temperature = 0.5,
      max_tokens = 9,
      stop = { "." },
    })
    local call = mock:last_call()
    assert.equal("m-7", call.model)
    assert.same({ temperature = 0.5, max_tokens = 9, stop = { "." } }, call.options)
    assert.equal("What is there?", call.messages[1].content)
    assert.equal("What is there?", call.body.messages[1].content)
    assert.equal("POST", call.method)
    assert.equal("https://api.openai.com/v1/chat/completions", call.url)
    assert.equal("openai", call.provider_id)
    assert.is_nil(call.tools)
    assert.is_true(
      mock:called_with({ model = "m-7", messages = { { content = "What is there?" } } })
    )
    assert.is_true(mock.called_with({ options = { max_tokens = 9 } }))
    assert.is_false(mock:called_with({ options = { max_tokens = 8 } }))
    assert.equal(call, mock:calls()[1])
  end)

  it("shows no secret", function()
    provider.configure("openai", {
      api_key = CANARY,
      base_url = "http://user:" .. CANARY .. "@127.0.0.1:1/v1?key=" .. CANARY,
      headers = { ["X-Tenant"] = CANARY, Cookie = "tiny" },
      extra = { access_token = CANARY },
    })
    local seen = {}
    zigllms.event.subscribe("**", function(event)
      seen[#seen + 1] = event
    end)
    local mock = mocked({
      function(request)
        seen[#seen + 1] = request
        return { error = { code = "auth", message = "Incorrect key " .. CANARY } }
      end,
    })
    local _, err = pcall(provider.chat, "hi", { provider = "openai" })
    seen[#seen + 1] = err
    seen[#seen + 1] = mock:calls()
    seen[#seen + 1] = provider.get("openai")
    assert.equal("***", mock:last_call().headers.Authorization)
    assert.equal("***", mock:last_call().headers.Cookie)
    assert.equal("http://127.0.0.1:1/v1/chat/completions", mock:last_call().url)
    local known = {}
    local function search(value)
      if type(value) == "string" then
        assert.is_nil(value:find(CANARY, 1, true), value)
      elseif type(value) == "table" and not known[value] then
        known[value] = true
        for key, member in pairs(value) do
          search(key)
          search(member)
        end
      end
    end
    search(seen)
  end)

  it("embeds, lists and counts by itself, and tells of it", function()
    local mock = mocked({ "unused" }, { repeat_last = false })
    local found = provider.embed({ "red wine", "red wine", "a car" }, { provider = "openai" })
    assert.equal(3, #found.embeddings)
    assert.same(found.embeddings[1], found.embeddings[2])
    assert.are_not.same(found.embeddings[1], found.embeddings[3])
    local models = provider.get_models("openai")
    assert.equal("gpt-4o-mini", models[1].id)
    mocked({ "unused" }, { provider = "anthropic" })
    local tokens, exact = provider.count_tokens("how many are these?", { provider = "anthropic" })
    assert.is_true(exact and tokens > 2)
    local kinds = {}
    for i, call in ipairs(mock:calls()) do
      kinds[i] = call.kind
    end
    assert.same({ "embed", "models" }, kinds)
    assert.same({ "red wine", "red wine", "a car" }, mock:calls()[1].texts)
    assert.equal("unused", provider.chat("hi", { provider = "openai" }).content)
  end)

  it("leaves nothing in a cache", function()
    zigllms.configure({ cache = { enabled = true } })
    local mock = mocked({ "first", "second" })
    local asks = { provider = "openai", cache = true }
    assert.equal("first", provider.chat("hi", asks).content)
    assert.equal("first", provider.chat("hi", asks).content)
    assert.equal(1, mock:call_count())
    mock:restore()
    raised("auth", provider.chat, "hi", asks)
    mocked({ "another" })
    assert.equal("another", provider.chat("hi", asks).content)
  end)

  it("is seen by hooks and events as a server is", function()
    local names = {}
    zigllms.event.subscribe("provider.*", function(event)
      names[#names + 1] = event.type
    end)
    local mock = mocked({ { error = { code = "overloaded", retry_after_ms = 1 } }, "fine" })
    zigllms.hook.register("provider_before_request", function(context)
      context.data.messages[1].content = "said by a hook"
    end)
    zigllms.hook.register("provider_after_response", function()
      names[#names + 1] = "after"
    end)
    provider.chat("hi")
    assert.equal("said by a hook", mock:last_call().messages[1].content)
    assert.same({ "provider.request", "provider.retry", "after", "provider.response" }, names)
  end)

  it("keeps to the rate limit of its provider", function()
    provider.configure("openai", { rate_limit = { requests_per_minute = 1, on_limit = "raise" } })
    local mock = mocked({ "x" })
    provider.chat("hi")
    raised("rate_limited", provider.chat, "hi", { retry = false })
    assert.equal(1, mock:call_count())
  end)

  it("plays in workflows, and in functions of other mocks", function()
    mocked({
      function(request)
        local inner = mocked({ "inner" }, { provider = "anthropic" })
        local said = provider.chat("hi", { provider = "anthropic" }).content
        inner:restore()
        return said .. " " .. request.messages[1].content
      end,
    })
    local helper = agent.create({ name = "helper", provider = "openai" })
    local id = zigllms.workflow.create({
      steps = { { type = "agent_call", agent = helper, input = "and outer" } },
    })
    assert.equal("inner and outer", zigllms.workflow.execute(id).output)
  end)

  it("plays in scenarios, which put one over the other and take them back", function()
    local outer = mocked({ "outer" })
    local helper = agent.create({ provider = "openai" })
    local inner
    local id = zigllms.test.create_scenario({
      name = "nested",
      mocks = { openai = { provider = "openai", responses = { "from the scenario" } } },
      setup = function(ctx)
        inner = ctx.mocks.openai
      end,
      steps = {
        { name = "asks", agent = helper, input = "hi", expect = "from the scenario" },
        {
          name = "puts up another",
          run = function()
            local third = mocked({ "third" })
            local said = agent.run(helper, "hi").content
            third:restore()
            return said .. ", " .. agent.run(helper, "hi").content
          end,
          expect = "third, from the scenario",
        },
      },
    })
    local result = zigllms.test.run_scenario(id)
    assert.is_true(result.success, result.error and tostring(result.error))
    assert.equal(2, inner:call_count())
    assert.equal("outer", agent.run(helper, "hi").content)
    assert.equal(1, outer:call_count())
  end)

  it("is put up and taken back while others ask", function()
    local slow = mocked({ { content = "slow", delay_ms = 30 } })
    local first = provider.chat("hi", { provider = "openai", async = true })
    zigllms.sleep(5)
    local quick = mocked({ "quick" })
    slow:restore()
    assert.equal("quick", provider.chat("hi", { provider = "openai" }).content)
    quick:restore()
    assert.equal("slow", first:await().content)
    assert.equal(1, slow:call_count())
  end)

  it("says what is wrong with a definition", function()
    local function refuses(text, responses, more, code)
      local err = raised(code or "invalid_argument", mocked, responses, more)
      assert.is_truthy(err.message:find(text, 1, true), err.message)
      return err
    end
    assert.equal("create_mock", refuses("definition.responses", {}).func)
    refuses("definition.responses: expected an array with at least one response, got none", {})
    refuses('got a table with the key "content"', { content = "x" })
    refuses(
      'definition.responses[2].contents: unknown key, did you mean "content"?',
      { "a", { contents = 1 } }
    )
    refuses(
      "definition.responses[1]: expected a string or a function or a table, got true",
      { true }
    )
    refuses("definition.responses[1].error.code: expected one of", { { error = { code = "odd" } } })
    refuses('(did you mean "rate_limited"?)', { { error = "rate_limitd" } })
    refuses(
      "definition.responses[1].tool_calls[1].name",
      { { tool_calls = { { arguments = {} } } } }
    )
    refuses("definition.responses[1].delay_ms", { { delay_ms = -1 } })
    refuses("definition.responses[1].content", { { content = print } }, nil, "conversion_error")
    refuses("definition.repeat_last", { "x" }, { repeat_last = 1 })
    refuses("definition.returns", { "x" }, { returns = 1 })
    refuses("opnai", { "x" }, { provider = "opnai" }, "not_found")
    local err = raised(
      "invalid_argument",
      zigllms.test.create_mock,
      { type = "service", responses = { "x" } }
    )
    assert.is_truthy(err.message:find("definition.provider: expected", 1, true))
    assert.equal("inactive", provider.get("openai").status)
  end)

  it("names its function where there is no such provider", function()
    for _, transport in ipairs({ false, "http" }) do
      local err = raised(
        "not_found",
        mocked,
        { "x" },
        { provider = "opnai", transport = transport or nil }
      )
      assert.equal("create_mock", err.func)
      assert.is_truthy(
        tostring(err):find('zigllms.test.create_mock: provider not found: "opnai"', 1, true)
      )
    end
  end)

  it("leaves no response out without a word", function()
    local err = raised("invalid_argument", mocked, { "a", nil, "c" })
    assert.is_truthy(
      err.message:find("definition.responses[2]: expected a response, got nil", 1, true)
    )
  end)

  it("says data in the same words each time", function()
    local arguments = { zulu = 1, alpha = { yankee = 2, bravo = 3 }, mike = {} }
    local mock = mocked({
      { tool_calls = { { name = "f", arguments = arguments } } },
      { content = arguments },
    })
    local written = '{"alpha":{"bravo":3,"yankee":2},"mike":{},"zulu":1}'
    local response = provider.chat("hi", { provider = "openai" })
    assert.equal(written, response.tool_calls[1].arguments_json)
    assert.equal(written, provider.chat("hi", { provider = "openai" }).content)
    mock:restore()
  end)
end)
