-- Tool calls that local models print as text: they become calls, streamed or not.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

local agent, provider, tool = zigllms.agent, zigllms.provider, zigllms.tool
local server = scripted.start()

local WEATHER = {
  name = "get_weather",
  description = "The weather in a city",
  parameters = {
    type = "object",
    properties = { city = { type = "string" }, days = { type = "integer" } },
    required = { "city" },
  },
}

local CALL = '{"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}'
local ARGUMENTS = '{"city": "Oslo", "days": 2}'

-- One call, as models of each house print it.
local FORMS = {
  ["Hermes, Qwen"] = "<tool_call>\n" .. CALL .. "\n</tool_call>",
  ["Hermes, never closed"] = "<tool_call>\n" .. CALL,
  ["Llama 3.1"] = "<|python_tag|>" .. CALL .. "<|eom_id|>",
  ["Llama 3, in Python"] = '<|python_tag|>get_weather(city="Oslo", days=2)',
  ["Llama 3.2, bare"] = '{"name": "get_weather", "parameters": ' .. ARGUMENTS .. "}",
  ["Mistral"] = "[TOOL_CALLS][" .. CALL .. "]",
  ["Mistral, newer"] = "[TOOL_CALLS]get_weather[ARGS]" .. ARGUMENTS,
  ["fenced JSON"] = "```json\n" .. CALL .. "\n```",
  ["a list in Python"] = '[get_weather(city="Oslo", days=2)]',
  ["a function tag"] = "<function=get_weather>" .. ARGUMENTS .. "</function>",
  ["Qwen Coder"] = "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n"
    .. "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
  ["a tool_code fence"] = '```tool_code\nget_weather(city="Oslo", days=2)\n```',
  ["ReAct"] = "Action: get_weather\nAction Input: " .. ARGUMENTS,
}

-- The two protocols of local servers: how a provider is configured, and what answers in pieces.
local chat_text = scripted.text
local PROTOCOLS = {
  chat = { config = { type = "local", base_url = server.url }, text = chat_text },
  ollama = {
    config = { type = "ollama", api = "ollama", base_url = server.root },
    text = wires.ollama.text,
  },
}

local function bytes(text)
  local pieces = {}
  for i = 1, #text do
    pieces[i] = text:sub(i, i)
  end
  return pieces
end

-- Asks by a stream; the response, and what its chunks add up to.
local function streamed(options)
  local text, names, arguments = "", {}, ""
  options.provider = "it"
  options.tools = options.tools or { WEATHER }
  local response = provider.stream("How is it in Oslo?", function(chunk)
    text = text .. chunk.content
    for _, call in ipairs(chunk.tool_calls or {}) do
      names[#names + 1] = call.name
      arguments = arguments .. call.arguments
    end
  end, options)
  return response, { text = text, names = names, arguments = arguments }
end

describe("a printed tool call", function()
  local function use(config)
    zigllms.reset()
    config.name, config.model, config.retry = "it", "m", false
    provider.create(config)
  end

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  for kind, protocol in pairs(PROTOCOLS) do
    for form, text in pairs(FORMS) do
      it(("is read from a server that speaks %s: %s"):format(kind, form), function()
        use(protocol.config)
        for _, pieces in ipairs({ bytes("I look.\n\n" .. text), { "I look.\n\n" .. text } }) do
          server:script(protocol.text(pieces))
          local response, seen = streamed({})
          assert.equal("tool_calls", response.finish_reason)
          assert.equal("stop", response.native_finish_reason)
          assert.equal("I look.", response.content)
          assert.equal("I look.", seen.text)
          assert.same({ "get_weather" }, seen.names)
          assert.equal(1, #response.tool_calls)
          local call = response.tool_calls[1]
          assert.equal("get_weather", call.name)
          assert.same({ city = "Oslo", days = 2 }, call.arguments)
          assert.equal(call.arguments_json, seen.arguments)
          assert.is_true(#call.id > 0)
          assert.equal("get_weather", response.message.tool_calls[1].name)
        end
      end)

      it(("lets an agent work with %s: %s"):format(kind, form), function()
        use(protocol.config)
        server:script(protocol.text(bytes(text)), protocol.text({ "Rain ", "in Oslo." }))
        local asked = {}
        local weather = tool.register({
          name = WEATHER.name,
          parameters = WEATHER.parameters,
          execute = function(input)
            asked[#asked + 1] = input.city .. input.days
            return "rain"
          end,
        })
        local who = agent.create({ provider = "it", tools = { weather } })
        local response = agent.run(who, "How is it in Oslo?")
        assert.equal("Rain in Oslo.", response.content)
        assert.same({ "Oslo2" }, asked)
        local second = server:requests()[2].messages
        assert.equal("get_weather", second[2].tool_calls[1]["function"].name)
        assert.equal("rain", second[3].content)
      end)
    end
  end

  it("delivers the text in front of it at once, and all text where there is none", function()
    use(PROTOCOLS.chat.config)
    local text = "Is 1 < 2? Take [a] or {b}: `c`."
    server:script(chat_text(bytes(text), { chunk_delay_ms = 2 }))
    local longest, seen, sent = 0, 0, 0
    local options = { provider = "it", tools = { WEATHER } }
    local response = provider.stream("hi", function(chunk)
      sent = sent + #chunk.content
      seen = seen + 1
      longest = math.max(longest, #chunk.content)
    end, options)
    assert.equal(text, response.content)
    assert.equal(#text, sent)
    assert.equal("stop", response.finish_reason)
    assert.is_true(seen >= #text / 4, seen .. " chunks")
    assert.equal(0, #response.tool_calls)
  end)

  it("is one only if its tool was offered and may be called", function()
    use(PROTOCOLS.chat.config)
    local text = FORMS["Hermes, Qwen"]
    for _, options in ipairs({
      { tools = { { name = "other", parameters = { type = "object" } } } },
      { tools = {} },
      { tool_choice = "none" },
      { printed_tool_calls = false },
    }) do
      server:script(chat_text(bytes(text)))
      local response, seen = streamed(options)
      assert.equal(text, response.content)
      assert.equal(text, seen.text)
      assert.equal("stop", response.finish_reason)
      assert.equal(0, #response.tool_calls)
    end
  end)

  it("is no example that the model goes on to explain", function()
    use(PROTOCOLS.chat.config)
    for _, text in ipairs({
      "You would write\n```json\n" .. CALL .. "\n```\nand wait for the answer.",
      "You would write " .. CALL .. " and wait.",
    }) do
      server:script(chat_text(bytes(text)))
      local response = streamed({})
      assert.equal(text, response.content)
      assert.equal(0, #response.tool_calls)
    end
  end)

  it("that max_tokens cut off is none", function()
    use(PROTOCOLS.chat.config)
    local text = '<tool_call>{"name": "get_weather", "arguments": {"city": "Os'
    server:script(chat_text(bytes(text), { finish = "length" }))
    local response, seen = streamed({})
    assert.equal("length", response.finish_reason)
    assert.equal(text, response.content)
    assert.equal(text, seen.text)
    assert.equal(0, #response.tool_calls)
  end)

  it("gives way to calls of the server's own", function()
    use(PROTOCOLS.chat.config)
    local text = FORMS["Hermes, Qwen"]
    server:script(scripted.calls({ { "c1", "get_weather", ARGUMENTS } }, { content = text }))
    local response, seen = streamed({})
    assert.equal(text, response.content)
    assert.equal(text, seen.text)
    assert.equal("c1", response.tool_calls[1].id)
    assert.equal(1, #response.tool_calls)
  end)

  it("stays with what came when the connection breaks", function()
    use(PROTOCOLS.chat.config)
    local reply = chat_text({ "I look. ", "<tool_call>", '{"name": "get_w' })
    reply.sse = { reply.sse[1], reply.sse[2], reply.sse[3], reply.sse[4], scripted.null }
    server:script(reply)
    local err = raised("network", streamed, {})
    assert.equal('I look. <tool_call>{"name": "get_w', err.partial.content)
    assert.equal(0, #err.partial.tool_calls)
  end)

  it("is read elsewhere only where it is asked for", function()
    local text = FORMS["Hermes, Qwen"]
    for _, type in ipairs({ "openai", "groq" }) do
      use({ type = type, base_url = server.url, api_key = "k" })
      server:script(chat_text(bytes(text)), chat_text(bytes(text)))
      assert.equal(0, #streamed({}).tool_calls)
      assert.equal(1, #streamed({ printed_tool_calls = true }).tool_calls)
      provider.configure("it", { printed_tool_calls = true })
      server:script(chat_text(bytes(text)))
      assert.equal(1, #streamed({}).tool_calls)
    end
    for name, wire in pairs({ anthropic = wires.messages, cohere = wires.cohere }) do
      local config = wire.config(server)
      config.name = "it"
      zigllms.reset()
      provider.create(config)
      server:script(wire.text(bytes(text)))
      assert.equal(0, #streamed({}).tool_calls, name)
    end
    for _, type in ipairs({ "llamacpp", "vllm", "lmstudio" }) do
      use({ type = type, base_url = server.url })
      server:script(chat_text(bytes(text)))
      assert.equal(1, #streamed({}).tool_calls, type)
    end
  end)
end)

describe("broken arguments of a tool call", function()
  setup(function()
    server = scripted.start()
  end)

  before_each(function()
    zigllms.reset()
    provider.create({
      type = "local",
      name = "it",
      model = "m",
      base_url = server.url,
      retry = false,
    })
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  local BROKEN = {
    "{city: 'Oslo', days: 2,}",
    '{"city": "Oslo", "days": 2',
    '"{\\"city\\": \\"Oslo\\", \\"days\\": 2}"',
    '```json\n{"city": "Oslo", "days": 2}\n```',
  }

  it("are read with what can be put right without a loss", function()
    for _, text in ipairs(BROKEN) do
      server:script(scripted.calls({ { "c1", "get_weather", text } }))
      local response = provider.chat("hi", { provider = "it", tools = { WEATHER } })
      local call = response.tool_calls[1]
      assert.same({ city = "Oslo", days = 2 }, call.arguments)
      assert.equal(text, call.arguments_json)
      assert.equal("tool_calls", response.finish_reason)
    end
  end)

  it("reach the tool, and go back as JSON", function()
    for _, text in ipairs(BROKEN) do
      server:script(scripted.calls({ { "c1", "get_weather", text } }), chat_text("Rain."))
      local asked
      local id = tool.register({
        name = "get_weather",
        replace = true,
        parameters = WEATHER.parameters,
        execute = function(input)
          asked = input
          return "rain"
        end,
      })
      local who = agent.create({ provider = "it", tools = { id } })
      assert.equal("Rain.", agent.run(who, "hi").content)
      assert.same({ city = "Oslo", days = 2 }, asked)
      local sent = server:requests()[2].messages[2].tool_calls[1]["function"].arguments
      assert.same({ city = "Oslo", days = 2 }, require("cjson").decode(sent))
    end
  end)

  it("are none where the answer was cut off, or where a value has no end", function()
    for _, row in ipairs({
      { '{"city": "Oslo"', "length" },
      { '{"city": "Os', "tool_calls" },
      { "soon", "tool_calls" },
    }) do
      local reply = scripted.calls({ { "c1", "get_weather", row[1] } })
      for _, event in ipairs(reply.sse) do
        if event.choices[1] and event.choices[1].finish_reason == "tool_calls" then
          event.choices[1].finish_reason = row[2]
        end
      end
      server:script(reply)
      local response = provider.chat("hi", { provider = "it", tools = { WEATHER } })
      assert.equal(row[2], response.finish_reason)
      assert.is_nil(response.tool_calls[1].arguments)
      assert.equal(row[1], response.tool_calls[1].arguments_json)
    end
  end)

  it("are told to the model instead of reaching the tool", function()
    server:script(scripted.calls({ { "c1", "t", '{"city": "Os' } }), chat_text("Sorry."))
    local called = false
    local id = tool.register({
      name = "t",
      execute = function()
        called = true
      end,
    })
    local who = agent.create({ provider = "it", tools = { id } })
    assert.equal("Sorry.", agent.run(who, "hi").content)
    assert.is_false(called)
    local sent = server:requests()[2].messages
    assert.truthy(sent[3].content:find("not valid JSON", 1, true))
  end)

  it("come back from Lua as they were read", function()
    server:script(scripted.calls({ { "c1", "get_weather", BROKEN[1] } }), chat_text("Rain."))
    local response = provider.chat("hi", { provider = "it", tools = { WEATHER } })
    provider.chat({
      { role = "user", content = "hi" },
      response.message,
      { role = "tool", tool_call_id = "c1", content = "rain" },
    }, { provider = "it" })
    local sent = server:requests()[2].messages[2].tool_calls[1]["function"].arguments
    assert.same({ city = "Oslo", days = 2 }, require("cjson").decode(sent))
  end)

  it("of tool.execute are read in the same way", function()
    local id = tool.register({
      name = "t",
      parameters = WEATHER.parameters,
      execute = function(input)
        return input.city
      end,
    })
    assert.equal("Oslo", tool.execute(id, BROKEN[1]))
    local err = raised("validation_failed", tool.execute, id, '{"city": "Os')
    assert.truthy(err.message:find("not valid JSON", 1, true))
    raised("validation_failed", tool.execute, id, "Oslo")
  end)
end)
