-- An agent that a run is handed over to: its answer is the run's.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent, tool, hook = zigllms.agent, zigllms.tool, zigllms.hook
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function create(name, config)
  config = config or {}
  config.name, config.provider = name, config.provider or "openai"
  config.system_prompt = "I am " .. name
  return agent.create(config)
end

local function desk(name, clerk, more)
  local tools = { agent.as_tool(clerk, { mode = "handoff" }) }
  for _, one in ipairs(more or {}) do
    tools[#tools + 1] = one
  end
  return create(name, { tools = tools })
end

local function sent(n)
  return told(model:requests()[n])
end

local function lines(messages)
  return told({ messages = messages })
end

describe("a handoff", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  it("makes the other agent's answer the run's", function()
    local clerk = create("clerk")
    local front = desk("front", clerk)
    model:script(
      calls({ { "c1", "clerk", '{"input":"a refund"}' } }, { usage = scripted.usage(1, 0) }),
      text("Refunded", { finish_reason = "length", usage = scripted.usage(2, 0) })
    )
    local response = agent.run(front, "money back")
    assert.equal("Refunded", response.content)
    assert.equal("length", response.finish_reason)
    assert.equal(clerk, response.agent_id)
    assert.equal(3, response.usage.total_tokens)
    assert.equal(1, response.iterations)
    assert.equal(2, model:count())
    assert.same({ "system: I am clerk", "user: a refund" }, sent(2))
    assert.same({
      "user: money back",
      "assistant[c1]",
      'tool(c1): {"handed_over_to":"clerk"}',
      "assistant: Refunded",
    }, lines(response.messages))
    assert.equal("Refunded", response.tool_calls[1].result)
    assert.equal("completed", (agent.get_state(front)))
  end)

  it("stays in the conversation, in which the first agent goes on", function()
    local front = desk("front", create("clerk"))
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      text("Refunded"),
      text("You are welcome")
    )
    agent.run(front, "money back")
    local response = agent.run(front, "thanks")
    assert.equal(front, response.agent_id)
    assert.same({
      "system: I am front",
      "user: money back",
      "assistant[c1]",
      'tool(c1): {"handed_over_to":"clerk"}',
      "assistant: Refunded",
      "user: thanks",
    }, sent(3))
  end)

  it("gives what fits the other agent's schema", function()
    local schema = { type = "object", properties = { n = { type = "integer" } } }
    local front = desk("front", create("clerk", { schema = schema }))
    model:script(calls({ { "c1", "clerk", '{"input":"x"}' } }), text('{"n": 3}'))
    local response = agent.run(front, "?")
    assert.same({ n = 3 }, response.parsed)
    assert.equal('{"n": 3}', response.content)
  end)

  it("comes after the other calls of its round, which have all their results", function()
    local order = {}
    local front = desk("front", create("clerk"), {
      {
        name = "note",
        execute = function(input)
          order[#order + 1] = input.n
          return "noted"
        end,
      },
      { name = "sign" },
    })
    model:script(
      calls({
        { "c1", "clerk", '{"input":"x"}' },
        { "c2", "note", '{"n":1}' },
        { "c3", "sign", "{}" },
        { "c4", "note", '{"n":2}' },
      }),
      text("Done")
    )
    local response = agent.run(front, "?")
    assert.same({ 1, 2 }, order)
    assert.equal("stop", response.finish_reason)
    assert.is_nil(response.pending_tool_calls)
    assert.same({
      "user: ?",
      "assistant[c1,c2,c3,c4]",
      'tool(c1): {"handed_over_to":"clerk"}',
      "tool(c2): noted",
      'tool(c3): {"error":"not executed"}',
      "tool(c4): noted",
      "assistant: Done",
    }, lines(response.messages))
  end)

  it("happens once: the first one wins", function()
    local front = create("front", {
      tools = {
        agent.as_tool(create("left"), { mode = "handoff" }),
        agent.as_tool(create("right"), { mode = "handoff" }),
      },
    })
    model:script(
      calls({ { "c1", "right", '{"input":"r"}' }, { "c2", "left", '{"input":"l"}' } }),
      text("RIGHT")
    )
    local response = agent.run(front, "?")
    assert.equal("RIGHT", response.content)
    assert.equal(2, model:count())
    assert.equal('tool(c2): {"error":"not executed"}', lines(response.messages)[4])
  end)

  it("that fails is told to the model, and the next one of the round is tried", function()
    local front = create("front", {
      tools = {
        agent.as_tool(create("left"), { mode = "handoff" }),
        agent.as_tool(create("right"), { mode = "handoff" }),
      },
    })
    model:script(
      calls({ { "c1", "left", '{"input":"l"}' }, { "c2", "right", '{"input":"r"}' } }),
      scripted.failure(500, "ill"),
      text("RIGHT")
    )
    assert.equal("RIGHT", agent.run(front, "?").content)
    model:script(
      calls({ { "c3", "left", '{"input":"l"}' } }),
      scripted.failure(500, "ill"),
      text("nobody is there")
    )
    local response = agent.run(front, "again")
    assert.equal(front, response.agent_id)
    assert.equal("nobody is there", response.content)
  end)

  it("passes on: the last one in the row answers", function()
    local last = create("last")
    local middle = desk("middle", last)
    local front = desk("front", middle)
    model:script(
      calls({ { "c1", "middle", '{"input":"x"}' } }),
      calls({ { "c2", "last", '{"input":"y"}' } }),
      text("At last")
    )
    local response = agent.run(front, "?")
    assert.equal("At last", response.content)
    assert.equal(last, response.agent_id)
    assert.equal(45, response.usage.total_tokens)
  end)

  it("inside an agent that was called is that one's result", function()
    local clerk = desk("clerk", create("expert"))
    local boss = create("boss", { tools = { agent.as_tool(clerk) } })
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      calls({ { "c2", "expert", '{"input":"y"}' } }),
      text("E"),
      text("the expert says E")
    )
    local response = agent.run(boss, "?")
    assert.equal(boss, response.agent_id)
    assert.equal("the expert says E", response.content)
    assert.equal("tool(c1): E", sent(4)[4])
  end)

  it("may bring the conversation along", function()
    local clerk = create("clerk")
    local front = create("front", {
      tools = { agent.as_tool(clerk, { mode = "handoff", history = true }) },
    })
    model:script(text("hello"), calls({ { "c1", "clerk", '{"input":"go on"}' } }), text("Refunded"))
    agent.run(front, "hi")
    agent.run(front, "money back")
    assert.same({
      "system: I am clerk",
      "user: hi",
      "assistant: hello",
      "user: money back",
      "user: go on",
    }, sent(3))
  end)

  it("goes on in the stream, which ends once", function()
    local front = desk("front", create("clerk"))
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }, { content = "Wait. " }),
      text({ "Re", "funded" }, { chunk_delay_ms = 15 })
    )
    local said, ends, finish = {}, 0, nil
    local response = agent.run(front, "?", {
      stream = function(chunk)
        said[#said + 1] = chunk.content
        if chunk.done then
          ends, finish = ends + 1, chunk.finish_reason
          assert.equal(30, chunk.usage.total_tokens)
        end
      end,
    })
    assert.equal("Wait. Refunded", table.concat(said))
    assert.same({ 1, "stop" }, { ends, finish })
    assert.equal("Refunded", response.content)
  end)

  it("ends with the stream, if that is not wanted any more", function()
    local front = desk("front", create("clerk"))
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      text({ "Re", "funded", " at last" }, { chunk_delay_ms = 30 })
    )
    local response = agent.run(front, "?", {
      stream = function(chunk)
        return chunk.content ~= "Re"
      end,
    })
    assert.equal("cancelled", response.finish_reason)
    assert.equal("Re", response.content)
    assert.equal(2, model:count())
  end)

  it("passes the output guardrails of both", function()
    local clerk = create("clerk", {
      hooks = {
        agent_after_run = function(ctx)
          return (ctx.result.content:gsub("secret", "[...]"))
        end,
      },
    })
    local front = desk("front", clerk)
    hook.register("agent_after_run", function(ctx)
      if ctx.agent_id == front then
        return ctx.result.content .. "!"
      end
    end)
    model:script(calls({ { "c1", "clerk", '{"input":"x"}' } }), text("the secret"))
    assert.equal("the [...]!", agent.run(front, "?").content)
  end)

  it("is subject to the hooks of the tool, as every call", function()
    local front = desk("front", create("clerk"))
    local remove = hook.register("tool_after_execute", function()
      return "[...]"
    end)
    model:script(calls({ { "c1", "clerk", '{"input":"x"}' } }), text("the secret"))
    local response = agent.run(front, "?")
    assert.equal("[...]", response.content)
    assert.same({
      "user: ?",
      "assistant[c1]",
      "tool(c1): [...]",
      "assistant: [...]",
    }, lines(response.messages))
    hook.unregister(remove)

    hook.register("tool_execute", function(_, next)
      next()
      error("not so fast", 0)
    end, { type = "AROUND" })
    model:script(calls({ { "c2", "clerk", '{"input":"x"}' } }), text("the secret"), text("no"))
    response = agent.run(front, "again")
    assert.equal("no", response.content)
    assert.equal(front, response.agent_id)
  end)

  it("outside of a run is a call", function()
    local id = tool.register(agent.as_tool(create("clerk"), { mode = "handoff" }))
    model:script(text("Refunded"))
    assert.equal("Refunded", tool.execute(id, { input = "x" }))
  end)

  it("in a function that is a tool ends nothing", function()
    tool.register(agent.as_tool(create("clerk"), { mode = "handoff" }))
    local front = create("front", {
      tools = {
        {
          name = "ask",
          execute = function()
            return tool.execute("clerk", { input = "x" })
          end,
        },
      },
    })
    model:script(calls({ { "c1", "ask", "{}" } }), text("Refunded"), text("all is well"))
    local response = agent.run(front, "?")
    assert.equal("all is well", response.content)
    assert.equal("tool(c1): Refunded", sent(3)[4])
  end)

  it("cancelled ends both", function()
    local clerk = create("clerk")
    local front = desk("front", clerk)
    model:script(calls({ { "c1", "clerk", '{"input":"x"}' } }), text("never", { delay_ms = 5000 }))
    local handle = agent.run(front, "?", { async = true })
    model:wait_for(2)
    handle:cancel()
    local err = raised("cancelled", zigllms.await, handle)
    assert.equal("cancelled", err.partial.finish_reason)
    assert.equal(15, err.partial.usage.total_tokens)
    assert.equal("error", (agent.get_state(clerk)))
  end)

  for name, expected in pairs({
    anthropic = { "user: go", "assistant[c1]", 'tool(c1): {"handed_over_to":"clerk"}' },
    responses = { "user: go", "assistant[c1]", 'tool(c1): {"handed_over_to":"clerk"}' },
    cohere = { "user: go", "assistant[c1]", 'tool(c1): {"handed_over_to":"clerk"}' },
    ollama = { "user: go", "assistant[c1]", 'tool(c1): {"handed_over_to":"clerk"}' },
  }) do
    it("speaks " .. name, function()
      local other, id = scripted.speaking(name)
      local clerk = agent.create({ name = "clerk", provider = id })
      local front = agent.create({
        provider = id,
        tools = { agent.as_tool(clerk, { mode = "handoff" }) },
      })
      other:script(calls({ { "c1", "clerk", '{"input":"x"}' } }), text("Refunded"), text("bye"))
      assert.equal("Refunded", agent.run(front, "go").content)
      agent.run(front, "thanks")
      expected[4], expected[5] = "assistant: Refunded", "user: thanks"
      assert.same(expected, told(other:requests()[3]))
    end)
  end
end)
