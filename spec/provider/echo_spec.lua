-- Providers of the type "mock", which answer with what they were told; ZIGLLMS_MOCK makes all such.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local agent, provider = zigllms.agent, zigllms.provider

local CITY = {
  type = "object",
  properties = { city = { type = "string" }, days = { type = "integer", minimum = 2 } },
  required = { "city", "days" },
  additionalProperties = false,
}

-- What a chunk prints in a process whose environment has these variables and no keys.
local function child(chunk, env)
  local prelude = [[
    local zigllms = require("zigllms")
    local provider = zigllms.provider
  ]]
  local keys = "-u OPENAI_API_KEY -u ANTHROPIC_API_KEY -u COHERE_API_KEY -u ZIGLLMS_PROVIDER"
  local under = "env " .. keys
  for name, value in pairs(env or {}) do
    under = under .. " " .. name .. "=" .. value
  end
  local result = program.run(prelude .. chunk, { under = under })
  assert.equal("", result.err)
  return (result.out:gsub("\n$", ""))
end

describe('a provider of the type "mock"', function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("says again what the user said last", function()
    local response = provider.chat("Grüezi", { provider = "mock" })
    assert.equal("Grüezi", response.content)
    assert.equal("stop", response.finish_reason)
    assert.equal("mock", response.provider)
    assert.equal("mock", response.model)
    assert.is_true(response.usage.total_tokens > 0)
    local messages = {
      { role = "system", content = "be brief" },
      { role = "user", content = { { type = "text", text = "a" }, { type = "text", text = "b" } } },
      { role = "assistant", content = "c" },
    }
    assert.equal("a\nb", provider.chat(messages, { provider = "mock" }).content)
    assert.equal("m", provider.chat("x", { provider = "mock", model = "m" }).model)
  end)

  it("says it in pieces", function()
    local text, pieces = ("many words "):rep(5), {}
    provider.stream(text, function(chunk)
      pieces[#pieces + 1] = chunk.content
    end, { provider = "mock" })
    assert.equal(text, table.concat(pieces))
    assert.is_true(#pieces > 2)
  end)

  it("needs neither key nor address, and is configured as any other", function()
    assert.same({
      streaming = true,
      tools = true,
      vision = true,
      json_schema = true,
      embeddings = true,
      count_tokens = false,
    }, provider.get("mock").capabilities)
    local id = provider.create({ type = "mock", name = "double", model = "tiny" })
    assert.equal("tiny", provider.chat("x", { provider = "double" }).model)
    assert.equal("active", provider.get(id).status)
    provider.configure("mock", { enabled = false })
    raised("invalid_state", provider.chat, "x", { provider = "mock" })
  end)

  it("answers what fits where a form is wanted", function()
    local function parsed(text, format)
      return provider.chat(text, { provider = "mock", response_format = format }).parsed
    end
    assert.same({ city = "Rome", days = 2 }, parsed("Rome", CITY))
    assert.same({ city = "Bern", days = 3 }, parsed('{"city":"Bern","days":3}', CITY))
    assert.same({ echo = "Rome" }, parsed("Rome", "json"))
  end)

  it("is an agent's model", function()
    local ran = 0
    local id = agent.create({
      provider = "mock",
      tools = {
        {
          name = "weather",
          parameters = CITY,
          execute = function(input)
            ran = ran + 1
            return input.city .. input.days
          end,
        },
      },
      tool_choice = "required",
    })
    local response = agent.run(id, "Rome")
    assert.equal("Rome", response.content)
    assert.equal(1, ran)
    assert.equal("Rome2", response.tool_calls[1].result)
  end)

  it("embeds, lists and counts", function()
    local one = provider.embed({ "a", "a", "b" }, { provider = "mock" }).embeddings
    assert.same(one[1], one[2])
    assert.not_same(one[1], one[3])
    assert.equal("mock", provider.get_models("mock")[1].id)
    assert.is_true(provider.count_tokens("some words", { provider = "mock" }) > 0)
  end)

  it("steps back for a mock of a test", function()
    local mock = zigllms.test.create_mock({
      type = "service",
      provider = "mock",
      responses = { "scripted" },
    })
    assert.equal("scripted", provider.chat("x", { provider = "mock" }).content)
    mock:restore()
    assert.equal("x", provider.chat("x", { provider = "mock" }).content)
  end)

  it("says the same each time", function()
    local ask = [[
      local schema = { type = "object", properties = {} }
      for _, name in ipairs({ "z", "y", "x", "a", "b", "c" }) do
        schema.properties[name] = { type = "string" }
      end
      print(provider.chat("t", { provider = "mock", response_format = schema }).content)
    ]]
    assert.equal('{"a":"t","b":"t","c":"t","x":"t","y":"t","z":"t"}', child(ask))
  end)
end)

describe("ZIGLLMS_MOCK=1", function()
  local MOCK = { ZIGLLMS_MOCK = "1" }

  it("makes every provider one, without a key and whatever its address", function()
    local out = child(
      [[
        provider.configure("openai", { base_url = "http://127.0.0.1:1/v1" })
        local all = { "openai", "anthropic", "cohere", "local", "groq", "azure", "llamacpp" }
        for _, kind in ipairs(all) do
          local response = provider.chat("to " .. kind, { provider = kind })
          assert(response.content == "to " .. kind and response.provider == kind)
        end
        local own = { type = "openai", base_url = "http://127.0.0.1:1", transport = error }
        print(provider.chat("own", { provider = own }).content)
        print(zigllms.agent.run(zigllms.agent.create({ provider = "cohere" }), "run").content)
      ]],
      MOCK
    )
    assert.equal("own\nrun", out)
  end)

  it("is a default where nothing else decides", function()
    local ask = 'local r = provider.chat("hi") print(r.provider, r.content)'
    assert.equal("mock\thi", child(ask, MOCK))
    assert.equal("openai\thi", child(ask, { ZIGLLMS_MOCK = "1", OPENAI_API_KEY = "k" }))
    local two = { ZIGLLMS_MOCK = "1", OPENAI_API_KEY = "k", COHERE_API_KEY = "k" }
    assert.equal("mock\thi", child(ask, two))
  end)

  it("fits every vendor's way to a schema", function()
    local out = child(
      [[
        local city = { type = "object", properties = { city = { type = "string" } },
          required = { "city" }, additionalProperties = false }
        for _, ask in ipairs({
          { provider = "openai" }, { provider = "anthropic" }, { provider = "cohere" },
          { provider = "anthropic", model = "claude-3-haiku-20240307" },
          { provider = "deepseek" }, { provider = "local" },
        }) do
          ask.response_format = city
          print(provider.chat("Rome", ask).parsed.city)
        end
      ]],
      MOCK
    )
    assert.equal(("Rome\n"):rep(6), out .. "\n")
  end)

  it("is not meant by 0, and by an empty value", function()
    local ask = 'print(select(2, pcall(provider.chat, "hi", { provider = "openai" })).code)'
    assert.equal("auth", child(ask, { ZIGLLMS_MOCK = "0" }))
    assert.equal("auth", child(ask, { ZIGLLMS_MOCK = "" }))
  end)
end)
