-- What tokens cost, by the prices that the user knows.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

local provider, agent = zigllms.provider, zigllms.agent
local server = scripted.start()

local function near(expected, got)
  assert.is_number(got)
  assert.is_true(math.abs(expected - got) < 1e-12, expected .. " and " .. got)
end

-- 10 tokens asked, 5 answered.
local PRICES = { ["gpt-test"] = { input = 2, output = 10 } }
local COST = (10 * 2 + 5 * 10) / 1e6

describe("costs", function()
  before_each(server:as_default(zigllms))
  teardown(server:retired(zigllms))

  local function configure(prices)
    provider.configure("openai", { model = "gpt-test", prices = prices })
  end

  it("are not there without a price", function()
    server:script(scripted.text("ok"), scripted.text("ok"))
    local response = provider.chat("hi", { model = "gpt-test" })
    assert.is_nil(response.cost)
    assert.is_nil(response.usage.cost)
    configure({ other = { input = 1, output = 1 } })
    assert.is_nil(provider.chat("hi").cost)
    assert.is_nil(provider.get("openai").usage.cost)
    assert.is_nil(zigllms.metrics().usage.cost)
  end)

  it("are those of what was asked and answered", function()
    configure(PRICES)
    server:script(scripted.text("ok"))
    local response = provider.chat("hi")
    near(COST, response.cost)
    server:script(scripted.text("ok"))
    local last
    response = provider.stream("hi", function(chunk)
      last = chunk
    end)
    near(COST, response.cost)
    near(COST, last.usage.cost)
    assert.same(PRICES, provider.get("openai").prices)
  end)

  it("know what the cache is", function()
    for _, row in ipairs({
      { { input = 2, output = 10 }, (10 * 2 + 5 * 10) / 1e6 },
      { { input = 2, output = 10, cached = 0.5 }, (6 * 2 + 4 * 0.5 + 5 * 10) / 1e6 },
    }) do
      local config = wires.messages.config(server)
      config.prices = { ["claude-sonnet-4-5"] = row[1] }
      config.model = "claude-sonnet-4-5"
      server:script(wires.messages.text("ok"))
      near(row[2], provider.chat("hi", { provider = config }).cost)
    end
  end)

  it("are found by the exact name of the model that answered, too", function()
    server:script({
      json = {
        model = "gpt-test-2025-01-01",
        choices = { { message = { content = "ok" }, finish_reason = "stop" } },
        usage = { prompt_tokens = 10, completion_tokens = 5 },
      },
    })
    provider.configure("openai", { prices = { ["gpt-test-2025-01-01"] = PRICES["gpt-test"] } })
    near(COST, provider.chat("hi", { model = "gpt-test" }).cost)
  end)

  it("are unknown where a part of them is", function()
    configure({ ["gpt-test"] = { input = 2 } })
    local vectors = { data = { { embedding = { 1 } } }, usage = { prompt_tokens = 10 } }
    server:script(scripted.text("ok"), { json = vectors })
    assert.is_nil(provider.chat("hi").cost)
    near(20 / 1e6, provider.embed("a", { model = "gpt-test" }).cost)
  end)

  it("add up", function()
    configure(PRICES)
    local choice = { message = { content = "ok" }, finish_reason = "stop" }
    local unknown = { json = { model = "other", choices = { choice } } }
    server:script(scripted.text("ok"), unknown, scripted.text("ok"))
    provider.chat("hi")
    assert.is_nil(provider.chat("hi", { model = "other" }).cost)
    provider.chat("hi")
    near(2 * COST, provider.get("openai").usage.cost)
    near(2 * COST, zigllms.metrics().usage.cost)
  end)

  it("are the sum of a run's rounds, and of an agent's runs", function()
    configure(PRICES)
    local function add(arguments)
      return arguments.a + 1
    end
    local tools = { { name = "add", parameters = { a = "number" }, execute = add } }
    local who = agent.create({ tools = tools })
    server:script(scripted.calls({ { "c", "add", '{"a":1}' } }), scripted.text("2"))
    local response = agent.run(who, "1 + 1?")
    near(2 * COST, response.cost)
    near(2 * COST, response.usage.cost)
    near(2 * COST, agent.get_info(who).usage.cost)
    server:script(scripted.text("ok"))
    near(COST, agent.run(who, "thanks").cost)
    near(3 * COST, agent.get_info(who).usage.cost)
  end)

  it("may end a run", function()
    configure(PRICES)
    local tools = { { name = "f", execute = tostring } }
    local who = agent.create({ tools = tools, budget = { max_cost = 1.5 * COST } })
    local calls = scripted.calls({ { "c", "f", "{}" } })
    server:script(calls, calls, calls, calls)
    local err = raised("budget_exceeded", agent.run, who, "go")
    assert.truthy(err.message:find("max_cost", 1, true), err.message)
    near(2 * COST, err.partial.cost)
    assert.equal(2, server:count())
    server:script(calls, calls, calls, calls)
    local response = agent.run(who, "go", { on_limit = "return", remember = false })
    assert.equal("budget_exceeded", response.finish_reason)
    near(2 * COST, response.cost)
  end)

  it("cannot bound a run of a model without a price", function()
    server:script(scripted.text("ok"))
    local who = agent.create({ model = "gpt-test", budget = { max_cost = 1 } })
    local err = raised("invalid_argument", agent.run, who, "go")
    assert.truthy(err.message:find('prices={["gpt-test"]=', 1, true), err.message)
    assert.equal(0, server:count())
    configure({ ["gpt-test"] = { input = 1 } })
    raised("invalid_argument", agent.run, who, "go")
    configure({ ["gpt-test"] = { input = 1, output = 1 } })
    assert.equal("ok", agent.run(who, "go").content)
  end)

  it("come from prices that are checked", function()
    for _, row in ipairs({
      { { m = 5 }, "for a million tokens, got 5" },
      { { m = { inputs = 5 } }, 'config.prices["m"].inputs: ' },
      { { m = { input = -1 } }, 'config.prices["m"].input: ' },
      { { m = { input = "1" } }, 'config.prices["m"].input: ' },
      { 5, "config.prices" },
    }) do
      local err = raised("invalid_argument", provider.configure, "openai", { prices = row[1] })
      assert.truthy(err.message:find(row[2], 1, true), err.message)
      raised("invalid_argument", provider.create, { type = "openai", prices = row[1] })
    end
    -- A price may be changed by itself, and taken back.
    configure(PRICES)
    configure({ ["gpt-test"] = { input = 2, output = 0 }, other = { input = 1 } })
    configure({ other = { input = 3 } })
    server:script(scripted.text("ok"), scripted.text("ok"))
    near(20 / 1e6, provider.chat("hi").cost)
    provider.configure("openai", { prices = { ["gpt-test"] = zigllms.null } })
    assert.is_nil(provider.chat("hi").cost)
  end)
end)
