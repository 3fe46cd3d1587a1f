-- Agents as tools of agents: `agent.as_tool` in the mode "call".
local heard = require("spec.support.heard")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent, tool, provider, hook = zigllms.agent, zigllms.tool, zigllms.provider, zigllms.hook
local text, calls, usage = scripted.text, scripted.calls, scripted.usage

local model = scripted.new()

local function create(name, config)
  config = config or {}
  config.name, config.provider = name, config.provider or "openai"
  config.system_prompt = config.system_prompt or "I am " .. name
  return agent.create(config)
end

-- A reply for the requests of the agent of that name.
local function of(name, reply)
  reply.when = "I am " .. name
  return reply
end

local function sent(n)
  return told(model:requests()[n])
end

local function use(pieces, prompt, completion)
  return text(pieces, { usage = usage(prompt, completion) })
end

describe("an agent as a tool", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  describe("its definition", function()
    it("is a plain table that names the agent", function()
      local id = create("the reader", { description = "Reads long texts" })
      local definition = agent.as_tool(id)
      assert.equal("the_reader", definition.name)
      assert.equal("Reads long texts", definition.description)
      assert.equal(id, definition.agent)
      assert.equal("call", definition.mode)
      assert.is_false(definition.history)
      assert.is_nil(definition.session)
      assert.is_nil(definition.execute)
      assert.equal("string", definition.parameters.properties.input.type)
      assert.same({ "input" }, definition.parameters.required)
    end)

    it("takes what options say", function()
      local id = create("reader")
      local parameters = { type = "object", properties = { url = { type = "string" } } }
      local definition = agent.as_tool(id, {
        name = "read",
        description = "Reads",
        parameters = parameters,
        mode = "HANDOFF",
        history = true,
        session = "s",
      })
      assert.same({ "read", "Reads", "handoff", true, "s" }, {
        definition.name,
        definition.description,
        definition.mode,
        definition.history,
        definition.session,
      })
      assert.same(parameters, definition.parameters)
    end)

    it("can be registered, and is given back", function()
      local id = create("reader")
      local tool_id = tool.register(agent.as_tool("reader", { session = "s", name = "read" }))
      local definition = tool.get("read")
      assert.same({ id, "call", "s", 0 }, {
        definition.agent,
        definition.mode,
        definition.session,
        definition.timeout_ms,
      })
      assert.equal("script", tool.get_info(tool_id).type)
      assert.is_true(tool.get_info(tool_id).has_execute)
      assert.equal("script", tool.discover({ name = "read" })[1].source)
      assert.is_true(tool.unregister(tool_id))
      definition.name = "again"
      tool.register(definition)
      model:script(text("it says x"))
      assert.equal("it says x", tool.execute("again", { input = "read it" }))
      assert.same({ "system: I am reader", "user: read it" }, sent(1))
    end)

    it("is refused where it makes no sense", function()
      raised("not_found", agent.as_tool, "nobody")
      raised("not_found", tool.register, { name = "t", agent = "nobody" })
      local id = create("reader")
      raised("invalid_argument", agent.as_tool, id, { mode = "shout" })
      raised("invalid_argument", agent.as_tool, id, { histroy = true })
      raised("invalid_argument", tool.register, { name = "t", history = true })
      raised("invalid_argument", tool.register, { name = "t", mode = "handoff" })
      local both = agent.as_tool(id)
      both.execute = print
      local err = raised("invalid_argument", tool.register, both)
      assert.truthy(err.message:find("agent", 1, true), err.message)
    end)

    it("does not become the built-in tool of its name", function()
      create("calculator")
      model:script(text("about four"))
      local id = tool.register(agent.as_tool("calculator"))
      assert.equal("about four", tool.execute(id, { input = "2 + 2" }))
    end)
  end)

  describe("in a run", function()
    it("gives its answer to the model that called, message by message", function()
      local reader = create("reader")
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      model:script(
        calls({ { "c1", "reader", '{"input":"read it"}' } }, { usage = usage(10, 1) }),
        use("it says x", 100, 7),
        use("The text says x", 20, 2)
      )
      local response = agent.run(boss, "What does it say?")
      assert.same({ "system: I am boss", "user: What does it say?" }, sent(1))
      assert.same({ "system: I am reader", "user: read it" }, sent(2))
      assert.same({
        "system: I am boss",
        "user: What does it say?",
        "assistant[c1]",
        "tool(c1): it says x",
      }, sent(3))
      assert.equal("reader", model:requests()[1].tools[1]["function"].name)
      assert.equal("The text says x", response.content)
      assert.equal(boss, response.agent_id)
      assert.equal(2, response.iterations)
      assert.equal("it says x", response.tool_calls[1].result)
      assert.same({ 130, 10, 140 }, {
        response.usage.prompt_tokens,
        response.usage.completion_tokens,
        response.usage.total_tokens,
      })
      assert.equal(4, #response.messages)
    end)

    it("counts for itself what it used, and for the one that called all of it", function()
      local reader = create("reader")
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      model:script(
        calls({ { "c1", "reader", '{"input":"x"}' } }, { usage = usage(10, 1) }),
        use("x", 100, 7),
        use("x", 20, 2)
      )
      agent.run(boss, "?")
      assert.equal(107, agent.get_info(reader).usage.total_tokens)
      assert.equal(140, agent.get_info(boss).usage.total_tokens)
      assert.equal(140, zigllms.metrics().usage.total_tokens)
      assert.equal(1, agent.get_info(reader).run_count)
      assert.equal("completed", (agent.get_state(reader)))
    end)

    it("gives the document of an agent with a schema", function()
      local schema = { type = "object", properties = { n = { type = "integer" } } }
      local counter = create("counter", { schema = schema })
      local boss = create("boss", { tools = { agent.as_tool(counter) } })
      model:script(
        calls({ { "c1", "counter", '{"input":"count"}' } }),
        text('{"n": 3}'),
        text("three")
      )
      local response = agent.run(boss, "?")
      assert.same({ n = 3 }, response.tool_calls[1].result)
      assert.equal('tool(c1): {"n":3}', sent(3)[4])
    end)

    it("is given what its parameters say", function()
      local reader = create("reader")
      local parameters = {
        type = "object",
        properties = { url = { type = "string" }, n = { type = "integer", default = 2 } },
        required = { "url" },
      }
      local boss = create("boss", {
        tools = { agent.as_tool(reader, { parameters = parameters }) },
      })
      model:script(
        calls({ { "c1", "reader", "{}" }, { "c2", "reader", '{"url":"u"}' } }),
        text("read"),
        text("done")
      )
      agent.run(boss, "?")
      assert.same({ "system: I am reader", 'user: {"n":2,"url":"u"}' }, sent(2))
      assert.truthy(sent(3)[4]:find('tool(c1): {"error":', 1, true), sent(3)[4])
    end)

    it("runs beside others of the same round", function()
      local boss = create("boss", {
        tools = { agent.as_tool(create("left")), agent.as_tool(create("right")) },
      })
      model:script(
        calls({ { "c1", "left", '{"input":"l"}' }, { "c2", "right", '{"input":"r"}' } }),
        of("left", text("LEFT", { delay_ms = 300 })),
        of("right", text("RIGHT", { delay_ms = 300 })),
        text("both")
      )
      local began = program.clock()
      local response = agent.run(boss, "?")
      assert.is_true(program.clock() - began < 0.55)
      assert.same({ "tool(c1): LEFT", "tool(c2): RIGHT" }, { sent(4)[4], sent(4)[5] })
      assert.equal("both", response.content)
      assert.equal(60, response.usage.total_tokens)
    end)

    it("starts anew with each call, unless it has a session", function()
      local reader = create("reader")
      local boss = create("boss", {
        tools = {
          agent.as_tool(reader),
          agent.as_tool(reader, { name = "known", session = "s" }),
        },
      })
      model:script(
        calls({ { "c1", "reader", '{"input":"a"}' } }),
        text("A"),
        calls({ { "c2", "reader", '{"input":"b"}' } }),
        text("B"),
        calls({ { "c3", "known", '{"input":"c"}' } }),
        text("C"),
        calls({ { "c4", "known", '{"input":"d"}' } }),
        text("D"),
        text("done")
      )
      agent.run(boss, "?")
      assert.same({ "system: I am reader", "user: b" }, sent(4))
      assert.same({ "system: I am reader", "user: c" }, sent(6))
      assert.same({ "system: I am reader", "user: c", "assistant: C", "user: d" }, sent(8))
      assert.equal(0, agent.get_info(reader).memory.messages)
    end)

    it("takes turns with itself at a session", function()
      local reader = create("reader")
      local boss = create("boss", { tools = { agent.as_tool(reader, { session = "s" }) } })
      model:script(
        calls({ { "c1", "reader", '{"input":"a"}' }, { "c2", "reader", '{"input":"b"}' } }),
        of("reader", text("A")),
        of("reader", text("B")),
        text("done")
      )
      agent.run(boss, "?")
      assert.same({ "system: I am reader", "user: a", "assistant: A", "user: b" }, sent(3))
      assert.same({ "tool(c1): A", "tool(c2): B" }, { sent(4)[4], sent(4)[5] })
    end)

    it("reads the conversation, if it is to, without the calls that have no result yet", function()
      local reader = create("reader")
      local boss = create("boss", {
        tools = {
          agent.as_tool(reader, { history = true }),
          {
            name = "now",
            execute = function()
              return "noon"
            end,
          },
        },
      })
      model:script(
        text("hello"),
        calls({ { "c1", "now", "{}" } }),
        calls({ { "c2", "now", "{}" }, { "c3", "reader", '{"input":"look"}' } }),
        text("I see"),
        text("done")
      )
      agent.run(boss, "hi")
      agent.run(boss, "when?")
      assert.same({
        "system: I am reader",
        "user: hi",
        "assistant: hello",
        "user: when?",
        "assistant[c1]",
        "tool(c1): noon",
        "user: look",
      }, sent(4))
      assert.equal(0, agent.get_info(reader).memory.messages)
    end)

    it("tells the model when it fails, and the run goes on", function()
      local reader = create("reader")
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      model:script(
        calls({ { "c1", "reader", '{"input":"x"}' } }),
        scripted.failure(500, "no paper"),
        text("it cannot read")
      )
      local response = agent.run(boss, "?")
      assert.equal("it cannot read", response.content)
      assert.truthy(response.tool_calls[1].error:find("no paper", 1, true))
      assert.truthy(sent(3)[4]:find('tool(c1): {"error":', 1, true), sent(3)[4])
      assert.equal("error", (agent.get_state(reader)))
      assert.equal("completed", (agent.get_state(boss)))
    end)

    it("ends the run when it fails, if its tool says so", function()
      local definition = agent.as_tool(create("reader"))
      definition.on_error = "raise"
      local boss = create("boss", { tools = { definition } })
      model:script(
        calls({ { "c1", "reader", '{"input":"x"}' } }),
        scripted.failure(500, "no paper")
      )
      local err = raised("tool_error", agent.run, boss, "?")
      assert.equal("server_error", err.cause.code)
    end)

    it("ended without a word is a failure", function()
      local reader = create("reader", {
        max_iterations = 1,
        tools = { { name = "dig", execute = tostring } },
      })
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      model:script(
        calls({ { "c1", "reader", '{"input":"x"}' } }),
        calls({ { "d1", "dig", "{}" } }),
        text("nothing")
      )
      local response = agent.run(boss, "?")
      assert.truthy(response.tool_calls[1].error:find("max_iterations", 1, true))
    end)

    it("that is gone is a failure, too", function()
      local reader = create("reader")
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      agent.destroy(reader)
      model:script(calls({ { "c1", "reader", '{"input":"x"}' } }), text("alone"))
      local response = agent.run(boss, "?")
      assert.truthy(response.tool_calls[1].error:find("not found", 1, true))
    end)

    it("keeps its chunks out of the stream", function()
      local reader = create("reader", {
        tools = {
          {
            name = "dig",
            execute = function()
              return "gold"
            end,
          },
        },
      })
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      model:script(
        calls({ { "c1", "reader", '{"input":"x"}' } }, { content = "One moment. " }),
        calls({ { "d1", "dig", "{}" } }, { content = "digging" }),
        text("found gold"),
        text("Gold!")
      )
      local said, results, ends, last = {}, {}, 0, 0
      agent.run(boss, "?", {
        stream = function(chunk)
          assert.equal(last + 1, chunk.index)
          last = chunk.index
          said[#said + 1] = chunk.content
          results[#results + 1] = chunk.tool_result and chunk.tool_result.id
          ends = ends + (chunk.done and 1 or 0)
        end,
      })
      assert.equal("One moment. Gold!", table.concat(said))
      assert.same({ "c1" }, results)
      assert.equal(1, ends)
    end)

    it("has hooks and events of its own, inside those of the call", function()
      local reader = create("reader")
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      local events = heard("*")
      local order = {}
      for _, point in ipairs({ "agent_before_run", "tool_before_execute", "agent_after_run" }) do
        hook.register(point, function(ctx)
          order[#order + 1] = point .. " " .. tostring(ctx.agent_name or ctx.tool_name)
        end)
      end
      model:script(calls({ { "c1", "reader", '{"input":"x"}' } }), text("x"), text("y"))
      agent.run(boss, "?")
      assert.same({
        "agent_before_run boss",
        "tool_before_execute reader",
        "agent_before_run reader",
        "agent_after_run reader",
        "agent_after_run boss",
      }, order)
      local names = {}
      for _, e in ipairs(events) do
        if e.name:find("^agent") or e.name:find("^tool") then
          names[#names + 1] = e.name .. " " .. tostring(e.data.agent_id)
        end
      end
      assert.same({
        "agent.started " .. boss,
        "tool.invoked " .. boss,
        "agent.started " .. reader,
        "agent.completed " .. reader,
        "tool.succeeded " .. boss,
        "agent.completed " .. boss,
      }, names)
    end)

    it("may have its answer changed by its output guardrail, also by a table", function()
      for _, given in ipairs({ "censored", { content = "censored", parsed = nil } }) do
        model:begin()
        local reader = create("reader", {
          hooks = {
            agent_after_run = function()
              return given
            end,
          },
        })
        local boss = create("boss", { tools = { agent.as_tool(reader) } })
        model:script(calls({ { "c1", "reader", '{"input":"x"}' } }), text("secret"), text("y"))
        agent.run(boss, "?")
        assert.equal("tool(c1): censored", sent(3)[4])
      end
    end)

    it("has no time limit as a tool", function()
      local reader = create("reader")
      local definition = agent.as_tool(reader)
      local boss = create("boss", { tools = { definition } })
      definition.timeout_ms, definition.name = 50, "hasty"
      local hasty = create("hasty boss", { tools = { definition } })
      model:script(
        calls({ { "c1", "hasty", '{"input":"x"}' } }),
        of("reader", text("late", { delay_ms = 400 })),
        text("too late")
      )
      local response = agent.run(hasty, "?")
      assert.truthy(response.tool_calls[1].error:find("50 ms", 1, true))
      model:script(calls({ { "c1", "reader", '{"input":"x"}' } }), text("x"), text("y"))
      assert.equal("x", agent.run(boss, "?").tool_calls[1].result)
    end)
  end)

  describe("nested", function()
    it("three deep, with one sum of what was used", function()
      local c = create("carl")
      local b = create("bert", { tools = { agent.as_tool(c) } })
      local a = create("anna", { tools = { agent.as_tool(b) } })
      model:script(
        calls({ { "b1", "bert", '{"input":"x"}' } }, { usage = usage(1, 0) }),
        calls({ { "c1", "carl", '{"input":"y"}' } }, { usage = usage(2, 0) }),
        use("C", 4, 0),
        use("B", 8, 0),
        use("A", 16, 0)
      )
      local response = agent.run(a, "?")
      assert.equal("A", response.content)
      assert.equal(31, response.usage.total_tokens)
      assert.equal(14, agent.get_info(b).usage.total_tokens)
      assert.equal(4, agent.get_info(c).usage.total_tokens)
      assert.same({ "system: I am bert", "user: x", "assistant[c1]", "tool(c1): C" }, sent(4))
    end)

    it("in itself without end is stopped with a clear error", function()
      local id = create("echo", { max_iterations = 2 })
      agent.configure(id, { tools = { agent.as_tool(id) } })
      local again = calls({ { "c", "echo", '{"input":"x"}' } })
      again.again = true
      model:script(again)
      local response = agent.run(id, "?")
      assert.equal("max_iterations", response.finish_reason)
      local deepest
      for _, request in ipairs(model:requests()) do
        for _, line in ipairs(told(request)) do
          deepest = deepest or line:find("nested deeper than 16", 1, true)
        end
      end
      assert.is_truthy(deepest)
    end)

    it("in a circle with a conversation is refused, and waits for nothing", function()
      local a, b = create("anna"), create("bert")
      agent.configure(a, { tools = { agent.as_tool(b, { session = "b" }) } })
      agent.configure(b, { tools = { agent.as_tool(a, { session = "a" }) } })
      model:script(
        calls({ { "c1", "bert", '{"input":"1"}' } }),
        calls({ { "c2", "anna", '{"input":"2"}' } }),
        calls({ { "c3", "bert", '{"input":"3"}' } }),
        text("anna inside"),
        text("bert"),
        text("anna")
      )
      local response = agent.run(a, "?")
      assert.equal("anna", response.content)
      assert.truthy(sent(4)[4]:find("further out", 1, true), sent(4)[4])
    end)

    it("crosswise in two runs is refused for one of them, and both end", function()
      local a, b = create("anna"), create("bert")
      agent.configure(a, { tools = { agent.as_tool(b, { session = "s" }) } })
      agent.configure(b, { tools = { agent.as_tool(a, { session = "s" }) } })
      model:script(
        of("anna", calls({ { "c1", "bert", '{"input":"1"}' } }, { delay_ms = 100 })),
        of("bert", calls({ { "c2", "anna", '{"input":"2"}' } }, { delay_ms = 100 })),
        of("anna", text("anna")),
        of("bert", text("bert")),
        of("anna", text("anna again")),
        of("bert", text("bert again"))
      )
      local one = agent.run(a, "?", { session = "s", async = true })
      local two = agent.run(b, "?", { session = "s", async = true })
      assert.is_true(one:wait(5000) and two:wait(5000))
      local refused = 0
      for _, response in ipairs({ one:await(), two:await() }) do
        local failed = response.tool_calls[1].error
        refused = refused + (failed and failed:find("waits for", 1, true) and 1 or 0)
      end
      assert.equal(1, refused)
    end)
  end)

  it("inside a function that is a tool: what it uses counts, too", function()
    local reader = create("reader")
    local boss = create("boss", {
      tools = {
        {
          name = "ask",
          execute = function()
            local response = agent.run(reader, "read", { remember = false })
            return response.content .. provider.chat("and?", { provider = "openai" }).content
          end,
        },
      },
    })
    model:script(
      calls({ { "c1", "ask", "{}" } }, { usage = usage(1, 0) }),
      use("R", 2, 0),
      use("C", 4, 0),
      use("done", 8, 0)
    )
    local response = agent.run(boss, "?")
    assert.equal("RC", response.tool_calls[1].result)
    assert.equal(15, response.usage.total_tokens)
  end)

  describe("cancelled with the run around it", function()
    local function stopped(script, at)
      local reader = create("reader", {
        tools = {
          {
            name = "dig",
            execute = function()
              zigllms.sleep(5000)
            end,
          },
        },
      })
      local boss = create("boss", { tools = { agent.as_tool(reader) } })
      local asking = calls(
        { { "c1", "reader", '{"input":"x"}' } },
        { usage = usage(3, 0), content = "wait" }
      )
      model:script(asking, script)
      local handle = agent.run(boss, "?", { async = true })
      model:wait_for(at)
      zigllms.sleep(60)
      local began = program.clock()
      assert.is_true(handle:cancel("enough"))
      local err = raised("cancelled", zigllms.await, handle)
      assert.is_true(program.clock() - began < 0.3)
      assert.equal("enough", err.details.reason)
      assert.equal("cancelled", err.partial.finish_reason)
      assert.same({ "error", "error" }, { (agent.get_state(reader)), (agent.get_state(boss)) })
      return err.partial
    end

    it("while it waits for its model", function()
      local given_up
      local partial = stopped(function()
        local ok, err = pcall(zigllms.sleep, 5000)
        given_up = not ok and err.code
        return "never"
      end, 2)
      assert.equal("cancelled", given_up)
      assert.equal(3, partial.usage.total_tokens)
      assert.equal("wait", partial.content)
    end)

    it("in the middle of its answer, which counts as far as it came", function()
      local half = text({ "12345678", "9" }, { chunk_delay_ms = 50 })
      local partial = zigllms.test.clock(function()
        return stopped(half, 2)
      end)
      -- What the helper was asked, and two tokens of its answer.
      assert.is_true(partial.usage.total_tokens >= 3 + 2)
      assert.is_true(partial.usage.estimated)
      local last = partial.messages[#partial.messages]
      assert.same({ "tool", "c1" }, { last.role, last.tool_call_id })
    end)

    it("while a tool of its runs", function()
      local dig = calls({ { "d1", "dig", "{}" } }, { usage = usage(4, 0) })
      assert.equal(7, stopped(dig, 2).usage.total_tokens)
    end)
  end)

  -- Of each protocol: what the calling model was told in the end.
  local expected = { "user: go", "assistant[c1,c2]", "tool(c1): A", "tool(c2): B" }
  for name, lines in pairs({
    anthropic = expected,
    responses = { "user: go", "assistant[c1]", "assistant[c2]", "tool(c1): A", "tool(c2): B" },
    cohere = expected,
    ollama = expected,
  }) do
    it("speaks " .. name, function()
      local other, id = scripted.speaking(name)
      local function named(who, tools)
        return agent.create({ name = who, provider = id, tools = tools })
      end
      local left, right = agent.as_tool(named("left")), agent.as_tool(named("right"))
      local boss = named("boss", { left, right })
      local one, two = text("A"), text("B")
      one.when, two.when = "to the left", "to the right"
      other:script(
        calls({
          { "c1", "left", '{"input":"to the left"}' },
          { "c2", "right", '{"input":"to the right"}' },
        }),
        one,
        two,
        text("done")
      )
      local response = agent.run(boss, "go")
      assert.equal("done", response.content)
      assert.equal(60, response.usage.total_tokens)
      local requests = other:requests()
      assert.same(lines, told(requests[4]))
      local inner = { told(requests[2])[1], told(requests[3])[1] }
      table.sort(inner)
      assert.same({ "user: to the left", "user: to the right" }, inner)
    end)
  end
end)
