-- Words to a run under way: `agent.send`.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent, hook = zigllms.agent, zigllms.hook
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function create(config)
  config = config or {}
  config.provider = "openai"
  return agent.create(config)
end

local function sent(n)
  return told(model:requests()[n])
end

-- A tool that does something while the run goes on.
local function doing(fn, name)
  return {
    name = name or "work",
    execute = function(_, ctx)
      fn(ctx)
      return "ok"
    end,
  }
end

describe("agent.send", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  it("is seen behind the results of the round, in order", function()
    local id
    id = create({
      tools = {
        doing(function()
          assert.is_true(agent.send(id, "faster"))
          assert.is_true(agent.send(id, { role = "user", content = "and better" }))
          assert.is_true(agent.send(id, {
            { role = "user", content = "one" },
            { role = "user", content = "two" },
          }))
        end),
      },
    })
    model:script(
      calls({ { "c1", "work", "{}" }, { "c2", "work", "{}" } }, { content = "so" }),
      text("done")
    )
    local response = agent.run(id, "go")
    assert.same({
      "user: go",
      "assistant[c1,c2]: so",
      "tool(c1): ok",
      "tool(c2): ok",
      "user: faster",
      "user: and better",
      "user: one",
      "user: two",
      "user: faster",
      "user: and better",
      "user: one",
      "user: two",
    }, sent(2))
    assert.equal(13, #response.messages)
    assert.is_nil(response.unseen_messages)
    assert.equal(13, agent.get_info(id).memory.messages)
  end)

  it("gets an answer, if the model was about to finish", function()
    local id = create()
    model:script(text({ "al", "most" }, { chunk_delay_ms = 60 }), text("now in French"))
    local handle = agent.run(id, "go", { async = true })
    model:wait_for(1)
    assert.is_true(agent.send(id, "in French"))
    local response = handle:await()
    assert.same({ "user: go", "assistant: almost", "user: in French" }, sent(2))
    assert.equal("now in French", response.content)
    assert.equal(2, response.iterations)
  end)

  it("comes from a stream callback, a hook, another coroutine, a subscriber", function()
    local id = create()
    local once = true
    model:script(text({ "a", "b" }), text("c"))
    agent.run(id, "go", {
      stream = function(chunk)
        if once and chunk.content ~= "" then
          once = false
          assert.is_true(agent.send(id, "from the stream"))
        end
      end,
    })
    assert.same({ "user: go", "assistant: ab", "user: from the stream" }, sent(2))

    local hooked = create()
    hook.register("agent_before_run", function()
      assert.is_true(agent.send(hooked, "from a hook"))
    end)
    model:script(text("x"))
    agent.run(hooked, "go")
    assert.same({ "user: go", "user: from a hook" }, sent(1))
    model:begin()

    local watched = create({ tools = { doing(tostring) } })
    zigllms.event.subscribe("tool.succeeded", function(e)
      assert.is_true(agent.send(e.data.agent_id, "from a subscriber"))
    end)
    model:script(calls({ { "c1", "work", "{}" } }), text("x"))
    agent.run(watched, "go")
    assert.equal("user: from a subscriber", sent(2)[4])
    model:begin()

    local other = create()
    model:script(text("x", { delay_ms = 150 }), text("y"))
    local handle = agent.run(other, "go", { async = true })
    zigllms.spawn(function()
      zigllms.sleep(50)
      assert.is_true(agent.send(other, "from elsewhere"))
    end)
    handle:await()
    assert.same({ "user: go", "assistant: x", "user: from elsewhere" }, sent(2))
  end)

  it("says no if nothing is under way that could see it", function()
    local id = create()
    assert.is_false(agent.send(id, "nobody"))
    model:script(text("x"))
    local verdict
    hook.register("agent_after_run", function()
      verdict = agent.send(id, "too late")
    end)
    agent.run(id, "go")
    assert.is_false(verdict)
    assert.is_false(agent.send(id, "nobody"))
    assert.equal(1, model:count())
    raised("not_found", agent.send, "nobody", "x")
  end)

  it("takes messages of the user and nothing else", function()
    local id = create()
    raised("invalid_argument", agent.send, id)
    raised("invalid_argument", agent.send, id, 5)
    for _, role in ipairs({ "system", "assistant", "tool" }) do
      local err = raised("invalid_argument", agent.send, id, { role = role, content = "x" })
      assert.truthy(err.message:find(role, 1, true))
    end
    raised("invalid_argument", agent.send, id, "x", { sesion = "s" })
  end)

  it("is given back if no request could follow", function()
    local id
    id = create({
      tools = {
        doing(function()
          agent.send(id, "stop")
        end),
        { name = "client" },
      },
      max_iterations = 2,
    })
    local function unseen(response)
      return told({ messages = response.unseen_messages })
    end
    model:script(calls({ { "c1", "work", "{}" }, { "c2", "client", "{}" } }))
    local response = agent.run(id, "go")
    assert.equal("tool_calls", response.finish_reason)
    assert.same({ "user: stop" }, unseen(response))
    for _, message in ipairs(response.messages) do
      assert.not_equal("stop", message.content)
    end

    model:script(text({ "1", "2" }), text({ "3", "4" }))
    response = agent.run(id, "go", {
      stream = function(chunk)
        if chunk.content ~= "" then
          agent.send(id, chunk.content)
        end
      end,
    })
    assert.equal("stop", response.finish_reason)
    assert.is_true(#response.unseen_messages >= 1)

    model:script(calls({ { "c1", "work", "{}" } }, { usage = scripted.usage(50, 50) }))
    local err = raised("budget_exceeded", agent.run, id, "go", {
      budget = { max_total_tokens = 100 },
      stream = function(chunk)
        if chunk.tool_calls then
          agent.send(id, "hurry")
        end
      end,
    })
    assert.equal("user: hurry", unseen(err.partial)[1])
  end)

  it("reaches runs without memory, and the one around the caller first", function()
    local id
    local reached = {}
    id = create({
      memory = false,
      tools = {
        doing(function(ctx)
          reached[#reached + 1] = agent.send(ctx.agent_id, "for " .. ctx.call_id)
          zigllms.sleep(120)
        end),
      },
    })
    local function of(word, reply)
      reply.when = word
      return reply
    end
    model:script(
      of("first", calls({ { "c1", "work", "{}" } })),
      of("second", calls({ { "c2", "work", "{}" } })),
      of("first", text("1")),
      of("second", text("2"))
    )
    local one = agent.run(id, "the first", { async = true })
    local two = agent.run(id, "the second", { async = true })
    local function lines(handle)
      return told({ messages = handle:await().messages })
    end
    assert.equal("user: for c1", lines(one)[4])
    assert.equal("user: for c2", lines(two)[4])
    assert.same({ true, true }, reached)
  end)

  it("goes to the conversation that is named", function()
    local id = create()
    model:script(text("x", { delay_ms = 150 }), text("y"))
    local handle = agent.run(id, "go", { session = "s", async = true })
    model:wait_for(1)
    assert.is_false(agent.send(id, "no", { session = "t" }))
    assert.is_false(agent.send(id, "no", { session = "" }))
    assert.is_true(agent.send(id, "yes", { session = "s" }))
    handle:await()
    assert.same({ "user: go", "assistant: x", "user: yes" }, sent(2))
  end)

  it("reaches a run from the agent that works for it", function()
    local boss
    local helper = create({
      name = "helper",
      tools = {
        doing(function()
          assert.is_true(agent.send(boss, "the helper is busy"))
        end),
      },
    })
    boss = create({ tools = { agent.as_tool(helper) } })
    model:script(
      calls({ { "c1", "helper", '{"input":"x"}' } }),
      calls({ { "w1", "work", "{}" } }),
      text("H"),
      text("B")
    )
    agent.run(boss, "go")
    assert.same({ "user: go", "assistant[c1]", "tool(c1): H", "user: the helper is busy" }, sent(4))
  end)

  describe("what a run that stops was told", function()
    local PAY = {
      name = "pay",
      requires_approval = true,
      execute = function()
        return "paid"
      end,
    }

    local function noted(config)
      local id
      local note = doing(function()
        assert.is_true(agent.send(id, "hurry"))
      end, "note")
      config = config or {}
      config.tools = { note, PAY, config.tools_of_client and { name = "look" } or nil }
      config.tools_of_client = nil
      id = create(config)
      return id
    end

    local ROUND = { { "n1", "note", "{}" }, { "p1", "pay", "{}" } }

    it("is seen once it goes on", function()
      local id = noted()
      model:script(calls(ROUND), text("done"))
      local stopped = agent.run(id, "go")
      assert.equal("approval_required", stopped.finish_reason)
      assert.is_nil(stopped.unseen_messages)
      local response = agent.resume(id, { p1 = "approve" })
      assert.is_nil(response.unseen_messages)
      assert.same(
        { "user: go", "assistant[n1,p1]", "tool(n1): ok", "tool(p1): paid", "user: hurry" },
        sent(model:count())
      )
    end)

    it("is seen with the next input", function()
      local id = noted()
      model:script(calls(ROUND), text("done"))
      agent.run(id, "go")
      agent.run(id, "leave it")
      local seen = sent(model:count())
      assert.same({ "user: hurry", "user: leave it" }, { seen[#seen - 1], seen[#seen] })
    end)

    it("is seen behind the results with which that input begins", function()
      local id = noted({ tools_of_client = true })
      model:script(
        calls({ { "n1", "note", "{}" }, { "p1", "pay", "{}" }, { "l1", "look", "{}" } }),
        text("done")
      )
      agent.run(id, "go")
      agent.run(id, {
        { role = "tool", tool_call_id = "l1", content = "seen" },
        { role = "user", content = "leave it" },
      })
      assert.same({
        "user: go",
        "assistant[n1,p1,l1]",
        "tool(n1): ok",
        'tool(p1): {"error":"not executed"}',
        "tool(l1): seen",
        "user: hurry",
        "user: leave it",
      }, sent(model:count()))
    end)

    it("is given back once only a client's calls are open, and not said again", function()
      local id = noted({ tools_of_client = true })
      model:script(
        calls({ { "n1", "note", "{}" }, { "p1", "pay", "{}" }, { "l1", "look", "{}" } }),
        text("done")
      )
      agent.run(id, "go")
      local response = agent.resume(id, { p1 = "approve" })
      assert.equal("tool_calls", response.finish_reason)
      assert.same({ "user: hurry" }, told({ messages = response.unseen_messages }))
      agent.run(id, { role = "tool", tool_call_id = "l1", content = "seen" })
      assert.same({
        "user: go",
        "assistant[n1,p1,l1]",
        "tool(n1): ok",
        "tool(p1): paid",
        "tool(l1): seen",
      }, sent(model:count()))
    end)

    it("goes with it to another process", function()
      local id = noted()
      model:script(calls(ROUND), text("done"))
      agent.run(id, "go")
      local there = agent.import(agent.export(id), { name = "there", tools = { PAY } })
      agent.resume(there, { p1 = "approve" })
      local seen = sent(model:count())
      assert.equal("user: hurry", seen[#seen])
    end)

    it("is seen inside another run, too", function()
      local clerk = noted()
      local boss = create({ tools = { agent.as_tool(clerk, { name = "clerk" }) } })
      model:script(
        calls({ { "c1", "clerk", '{"input":"x"}' } }),
        calls(ROUND),
        text("clerk done"),
        text("boss done")
      )
      agent.run(boss, "go")
      agent.resume(boss, { ["c1/p1"] = "approve" })
      local seen = sent(model:count() - 1)
      assert.equal("user: hurry", seen[#seen])
    end)

    it("is in the response of the run around one that has ended", function()
      local clerk = noted({ max_iterations = 1 })
      local boss = create({ tools = { agent.as_tool(clerk, { name = "clerk" }) } })
      model:script(
        calls({ { "c1", "clerk", '{"input":"x"}' } }),
        calls({ { "n1", "note", "{}" } }, { delay_ms = 300 }),
        text("boss done")
      )
      local handle = agent.run(boss, "go", { async = true })
      handle:wait(100)
      assert.is_true(agent.send(clerk, "hurry"))
      local response = zigllms.await(handle)
      assert.equal("boss done", response.content)
      assert.same({ "user: hurry" }, told({ messages = response.unseen_messages }))
    end)
  end)
end)
