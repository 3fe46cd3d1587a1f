-- Counts of calls, errors and tokens.
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local server = scripted.start()

describe("metrics", function()
  local zigllms

  before_each(function()
    zigllms = require("zigllms").new()
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
    zigllms.metrics({ reset = true })
  end)

  teardown(function()
    server:stop()
  end)

  it("count every call and every error, per bridge and function", function()
    for _ = 1, 3 do
      pcall(zigllms.agent.get_state, "nobody")
    end
    zigllms.tool.list()
    local id = zigllms.agent.create({ provider = "openai" })
    zigllms.agent.get_state(id)
    local metrics = zigllms.metrics()
    local agents = metrics.bridges.agent
    assert.equal(5, agents.calls)
    assert.equal(3, agents.errors)
    assert.equal(4, agents.functions.get_state.calls)
    assert.equal(3, agents.functions.get_state.errors)
    assert.equal(1, agents.functions.create.calls)
    assert.equal(0, agents.functions.create.errors)
    assert.equal(1, metrics.bridges.tool.functions.list.calls)
    assert.equal(3, metrics.error_count)
    assert.is_true(metrics.total_calls >= 6)
  end)

  it("count calls that wait once, however they end", function()
    server:script(
      scripted.text("a"),
      scripted.failure(400, "no"),
      scripted.text("late", { delay_ms = 1000 }),
      scripted.text("b")
    )
    zigllms.provider.chat("hi", { provider = "openai" })
    pcall(zigllms.provider.chat, "hi", { provider = "openai" })
    local handle = zigllms.provider.chat("hi", { provider = "openai", async = true })
    handle:cancel()
    pcall(zigllms.await, handle)
    local chat = zigllms.metrics().bridges.provider.functions.chat
    assert.equal(3, chat.calls)
    assert.equal(2, chat.errors)
  end)

  it("count arguments that were refused", function()
    raised("invalid_argument", zigllms.agent.create, 5)
    assert.equal(1, zigllms.metrics().bridges.agent.functions.create.errors)
  end)

  it("sum up tokens", function()
    server:script(scripted.text("a"), scripted.text("b"))
    zigllms.provider.chat("hi", { provider = "openai" })
    local id = zigllms.agent.create({ provider = "openai" })
    zigllms.agent.run(id, "hi")
    local usage = zigllms.metrics().usage
    assert.equal(20, usage.prompt_tokens)
    assert.equal(10, usage.completion_tokens)
    assert.equal(30, usage.total_tokens)
  end)

  it("measure time only when asked to", function()
    zigllms.tool.list()
    assert.equal(0, zigllms.metrics().total_time_ms)
    zigllms.configure({ profiling = true })
    local id = zigllms.tool.register({
      name = "slow",
      execute = function()
        zigllms.sleep(5)
      end,
    })
    zigllms.tool.execute(id)
    local execute = zigllms.metrics().bridges.tool.functions.execute
    assert.equal(1, execute.calls)
    assert.is_true(execute.max_ms >= 4, tostring(execute.max_ms))
    assert.is_true(zigllms.metrics().total_time_ms >= 4)
    zigllms.configure({ profiling = zigllms.null })
  end)

  it("start anew after a reset", function()
    zigllms.tool.list()
    assert.equal(1, zigllms.metrics({ reset = true }).bridges.tool.calls)
    assert.is_nil(zigllms.metrics().bridges.tool)
  end)

  it("are one instance's own", function()
    local other = zigllms.new()
    other.tool.list()
    assert.is_nil(zigllms.metrics().bridges.tool)
  end)
end)
