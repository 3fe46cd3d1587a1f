-- Answers that are data.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

local provider = zigllms.provider
local text = scripted.text

local server = scripted.start()

local PERSON = { name = "string", age = "integer?", tags = { "string" } }

local function ask(answer, options)
  server:script(text(answer))
  options = options or {}
  options.schema = options.schema or (not options.response_format and PERSON or nil)
  return provider.chat("hi", options)
end

describe("structured output", function()
  before_each(server:as_default(zigllms))

  it("is in parsed", function()
    local response = ask('{"name":"Ann","age":36,"tags":["a","b"]}')
    assert.equal("Ann", response.parsed.name)
    assert.equal("36", tostring(response.parsed.age))
    assert.same({ "a", "b" }, { response.parsed.tags[1], response.parsed.tags[2] })
    assert.equal('{"name":"Ann","age":36,"tags":["a","b"]}', response.content)
  end)

  it("follows a schema in every form that there is", function()
    local compiled = zigllms.schema.compile(PERSON)
    local id = zigllms.schema.create({ name = "person", type = "object" })
    for _, form in ipairs({ compiled, id, "person", '{"type":"object"}', compiled.schema }) do
      assert.equal("Ann", ask('{"name":"Ann","tags":[]}', { schema = form }).parsed.name)
      server:script(text('{"name":"Bo","tags":[]}'))
      local agent = zigllms.agent.create({ provider = "openai", response_format = form })
      assert.equal("Bo", zigllms.agent.run(agent, "who?").parsed.name)
    end
    local ok, err = pcall(ask, "{}", { schema = compiled })
    assert.is_false(ok)
    assert.equal("validation_failed", err.code)
  end)

  it("has no null members", function()
    local response = ask('{"name":"Ann","age":null,"tags":[]}')
    assert.is_nil(response.parsed.age)
    assert.equal(0, #response.parsed.tags)
    response = ask('{"a":null,"b":{"c":null,"d":1}}', { response_format = "json" })
    assert.is_nil(response.parsed.a)
    assert.same({ d = 1 }, response.parsed.b)
  end)

  it("may be fenced", function()
    for _, answer in ipairs({
      '```json\n{"name":"Ann","tags":[]}\n```',
      '```\n{"name":"Ann","tags":[]}\n```',
      '\n  ```json\n{"name":"Ann","tags":[]}\n```\n\n',
    }) do
      assert.equal("Ann", ask(answer).parsed.name)
    end
  end)

  it("that does not fit is validation_failed, with the answer", function()
    local err = raised("validation_failed", ask, '{"name":5,"tags":["a",6]}')
    local paths = {}
    for i, item in ipairs(err.details.errors) do
      paths[i] = item.path
      assert.is_string(item.message)
      assert.equal("type", item.keyword)
    end
    table.sort(paths)
    assert.same({ "/name", "/tags/1" }, paths)
    assert.equal('{"name":5,"tags":["a",6]}', err.partial.content)
    assert.equal(15, err.partial.usage.total_tokens)
    assert.equal("stop", err.partial.finish_reason)
    assert.is_nil(err.partial.parsed)
    assert.is_false(err.retryable)
    assert.equal("openai", err.provider)
    err = raised("validation_failed", ask, "{}")
    assert.equal("required", err.details.errors[1].keyword)
  end)

  it("that is no JSON is validation_failed, with the answer", function()
    for _, answer in ipairs({ "I am sorry", '{"name":"Ann"', "", "{} and more" }) do
      local err = raised("validation_failed", ask, answer)
      assert.truthy(err.message:find("JSON", 1, true))
      assert.equal(answer, err.partial.content)
    end
    raised("validation_failed", ask, "nope", { response_format = "json" })
  end)

  it("is checked in each face", function()
    server:script(text('{"name":5}'), text('{"name":5}'), text('{"name":"Ann","tags":[]}'))
    local said = {}
    local err = raised("validation_failed", provider.stream, "hi", function(piece)
      said[#said + 1] = piece.content
    end, { schema = PERSON })
    assert.equal('{"name":5}', table.concat(said))
    assert.equal('{"name":5}', err.partial.content)
    local handle = provider.chat("hi", { schema = PERSON, async = true })
    raised("validation_failed", handle.await, handle)
    handle = provider.stream("hi", { schema = PERSON })
    assert.equal("Ann", handle:await().parsed.name)
  end)

  it("of any JSON is any JSON", function()
    assert.equal(1, ask('{"a":1}', { response_format = "json" }).parsed.a)
    assert.equal(2, ask("[1,2]", { response_format = "JSON" }).parsed[2])
    local json = { type = "json_object" }
    assert.is_true(ask('{"b":true}', { response_format = json }).parsed.b)
  end)

  it("is not there when it was not asked for", function()
    server:script(text('{"a":1}'))
    assert.is_nil(provider.chat("hi").parsed)
  end)

  it("is not there yet when the model asks for tools first", function()
    server:script(scripted.calls({ { "c1", "f", "{}" } }))
    local response = provider.chat("hi", { schema = PERSON, tools = { { name = "f" } } })
    assert.is_nil(response.parsed)
    assert.equal("tool_calls", response.finish_reason)
  end)

  it("has a schema the server can enforce where possible", function()
    ask('{"name":"Ann","tags":[]}')
    local format = server:requests()[1].response_format.json_schema
    assert.is_true(format.strict)
    assert.is_false(format.schema.additionalProperties)
    local required = format.schema.required
    table.sort(required)
    assert.same({ "age", "name", "tags" }, required)

    server:script(text('{"x":1}'))
    local open = { type = "object", additionalProperties = { type = "integer" } }
    assert.equal(1, provider.chat("hi", { schema = open }).parsed.x)
    format = server:requests()[1].response_format.json_schema
    assert.is_false(format.strict)
    assert.same(open, format.schema)
  end)

  it("works with what a JSON Schema can say", function()
    local schema = {
      type = "object",
      properties = {
        kind = { type = "string", enum = { "a", "b" } },
        size = { type = "number", minimum = 0 },
        items = { type = "array", items = { ["$ref"] = "#/$defs/item" } },
      },
      required = { "kind" },
      ["$defs"] = { item = { type = "object", properties = { n = { type = "integer" } } } },
    }
    assert.equal(
      2,
      ask('{"kind":"a","items":[{"n":1},{"n":2}]}', { schema = schema }).parsed.items[2].n
    )
    local err = raised("validation_failed", ask, '{"kind":"c"}', { schema = schema })
    assert.equal("enum", err.details.errors[1].keyword)
    err = raised("validation_failed", ask, '{"kind":"a","size":-1}', { schema = schema })
    assert.equal("/size", err.details.errors[1].path)
    err = raised("validation_failed", ask, '{"kind":"a","items":[{"n":"x"}]}', { schema = schema })
    assert.equal("/items/0/n", err.details.errors[1].path)
  end)
end)

-- Who sees to it that an answer fits, on every protocol: of a schema that can be sealed, of one
-- that cannot (any key is allowed), and of any JSON.
local SEALED = { type = "object", properties = { a = { type = "integer" } }, required = { "a" } }
local OPEN = { type = "object", additionalProperties = { type = "integer" } }

local RUNGS = {
  { { type = "openai" }, { text = text }, "strict", "json", "json" },
  { { type = "openai", api = "responses" }, wires.responses, "strict", "json", "json" },
  { { type = "deepseek" }, { text = text }, "json", "json", "json" },
  { { type = "lmstudio" }, { text = text }, "strict", "json", "json" },
  {
    { type = "anthropic", model = "claude-sonnet-4-5" },
    wires.messages,
    "strict",
    "prompted",
    "prompted",
  },
  {
    { type = "anthropic", model = "claude-3-haiku" },
    wires.messages,
    "prompted",
    "prompted",
    "prompted",
  },
  { { type = "cohere" }, wires.cohere, "strict", "strict", "json" },
  { { type = "local", api = "ollama" }, wires.ollama, "strict", "strict", "json" },
}

for _, row in ipairs(RUNGS) do
  local config, wire = row[1], row[2]
  local title = table.concat({ config.type, config.api or "chat", config.model or "m" }, " ")

  describe("structured output of " .. title, function()
    local id

    before_each(function()
      zigllms.reset()
      local all = { model = "m", api_key = "sk-test", retry = false, base_url = server.url }
      for key, value in pairs(config) do
        all[key] = value
      end
      id = provider.create(all)
    end)

    it("tells who saw to it, however it is asked for", function()
      for i, format in ipairs({ SEALED, OPEN, "json" }) do
        local expected = row[2 + i]
        local function script()
          server:script(wire.text('{"a":1}'))
        end
        local options = { provider = id, response_format = format }
        script()
        assert.equal(expected, provider.chat("give me JSON", options).structured)
        script()
        local response = provider.stream("give me JSON", function() end, options)
        assert.equal(expected, response.structured)
        script()
        response = provider.stream("give me JSON", options):await()
        assert.equal(expected, response.structured)
        script()
        local who = zigllms.agent.create({ provider = id, response_format = format })
        response = zigllms.agent.run(who, "give me JSON")
        assert.same({ expected, 1 }, { response.structured, response.parsed.a })
        script()
        assert.is_nil(provider.chat("hi", { provider = id }).structured)
        -- Also of an answer that does not fit.
        server:script(wire.text("I am sorry"))
        local err = raised("validation_failed", provider.chat, "give me JSON", options)
        assert.equal(expected, err.partial.structured)
      end
    end)

    it("has told the model what the server does not see to", function()
      for i, format in ipairs({ SEALED, OPEN, "json" }) do
        server:script(wire.text('{"a":1}'))
        provider.chat("hi", { provider = id, response_format = format })
        local body = server:journal()[1].body
        local rung = row[2 + i]
        if rung == "prompted" then
          assert.truthy(body:find(i == 3 and "one JSON object" or "JSON Schema", 1, true), body)
        end
        if i < 3 then
          -- The schema stands in it, in one way or the other.
          assert.truthy(body:find("integer", 1, true), body)
        end
      end
    end)
  end)
end

describe("any JSON", function()
  before_each(server:as_default(zigllms))
  teardown(server:retired(zigllms))

  it("is spoken of: OpenAI refuses the question otherwise, and other models find no end", function()
    for _, row in ipairs({
      { { type = "openai", api = "chat" }, { text = text } },
      { { type = "openai", api = "responses" }, wires.responses },
      { { type = "cohere" }, wires.cohere },
      { { type = "local", api = "ollama" }, wires.ollama },
    }) do
      local config, wire = row[1], row[2]
      config.base_url, config.api_key = server.url, "sk-test"
      local options = { response_format = "json", model = "m", provider = config }
      server:script(wire.text("{}"), wire.text("{}"))
      provider.chat("hi", options)
      provider.chat("give me json", options)
      local requests = server:requests()
      local first = requests[1].messages or requests[1].input
      assert.equal("system", first[1].role)
      assert.truthy(first[1].content:find("JSON", 1, true))
      assert.equal(1, #(requests[2].messages or requests[2].input))
    end
  end)
end)
