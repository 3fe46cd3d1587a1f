-- Answers that are data.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

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
  teardown(server:retired(zigllms))

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
