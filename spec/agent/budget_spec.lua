-- Budgets: hard limits of a run with everything inside it, and exact sums of what was used.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent, provider = zigllms.agent, zigllms.provider
local text, calls, usage = scripted.text, scripted.calls, scripted.usage

local model = scripted.new()

local function create(name, config)
  config = config or {}
  config.name, config.provider = name, config.provider or "openai"
  config.system_prompt = "I am " .. name
  return agent.create(config)
end

local function of(name, reply)
  reply.when = "I am " .. name
  return reply
end

local function forever(reply)
  reply.again = true
  return reply
end

local function napping(ms, name)
  return {
    name = name or "nap",
    execute = function()
      zigllms.sleep(ms)
      return "slept"
    end,
  }
end

local function quick(name)
  return {
    name = name or "work",
    execute = function()
      return "ok"
    end,
  }
end

-- Every call has its result, right behind it.
local function assert_whole(messages)
  local open = {}
  for _, message in ipairs(messages) do
    if message.role == "tool" then
      assert.is_true(open[message.tool_call_id])
      open[message.tool_call_id] = nil
    else
      assert.is_nil(next(open))
      for _, call in ipairs(message.tool_calls or {}) do
        open[call.id] = true
      end
    end
  end
  assert.is_nil(next(open))
end

describe("a budget", function()
  before_each(function()
    zigllms.configure({ store = zigllms.null })
    model:begin()
  end)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ store = zigllms.null })
  end)

  describe("of tokens", function()
    local function runaway(options)
      local id = create("mad", { tools = { quick() }, max_iterations = 1000 })
      local again = calls({ { "c", "work", "{}" } }, { content = "more", usage = usage(10, 5) })
      model:script(forever(again))
      return id, pcall(agent.run, id, "go", options)
    end

    it("ends a loop that never ends, with what there is and an exact sum", function()
      local id, ok, err = runaway({ budget = { max_total_tokens = 50 } })
      assert.is_false(ok)
      assert.equal("budget_exceeded", err.code)
      assert.truthy(err.message:find("60 of 50", 1, true), err.message)
      assert.equal(4, model:count())
      local partial = err.partial
      assert.equal("budget_exceeded", partial.finish_reason)
      assert.equal("more", partial.content)
      assert.same({ 40, 20, 60 }, {
        partial.usage.prompt_tokens,
        partial.usage.completion_tokens,
        partial.usage.total_tokens,
      })
      assert.equal(4, partial.iterations)
      assert.equal(3, #partial.tool_calls)
      assert_whole(partial.messages)
      assert.equal("error", (agent.get_state(id)))
      assert.equal(0, agent.get_info(id).memory.messages)
      assert.equal(60, agent.get_info(id).usage.total_tokens)
    end)

    it("ends it well, if it is to", function()
      local id, ok, response = runaway({ budget = { max_total_tokens = 50 }, on_limit = "return" })
      assert.is_true(ok, tostring(response))
      assert.equal("budget_exceeded", response.finish_reason)
      assert.equal(60, response.usage.total_tokens)
      assert_whole(response.messages)
      assert.equal(#response.messages, agent.get_info(id).memory.messages)
      assert.equal("completed", (agent.get_state(id)))
    end)

    it("holds for the agents inside, whose requests count as they happen", function()
      local helper = create("helper", { tools = { quick() } })
      local boss = create("boss", {
        tools = { agent.as_tool(helper) },
        budget = { max_total_tokens = 30 },
      })
      model:script(
        of("boss", calls({ { "c1", "helper", '{"input":"x"}' } }, { usage = usage(7, 3) })),
        forever(of("helper", calls({ { "w", "work", "{}" } }, { usage = usage(6, 4) })))
      )
      local err = raised("budget_exceeded", agent.run, boss, "go")
      assert.equal(3, model:count())
      assert.same({ 19, 11, 30 }, {
        err.partial.usage.prompt_tokens,
        err.partial.usage.completion_tokens,
        err.partial.usage.total_tokens,
      })
      assert_whole(err.partial.messages)
      assert.equal(20, agent.get_info(helper).usage.total_tokens)
      assert.equal(30, agent.get_info(boss).usage.total_tokens)
    end)

    it("holds three deep and side by side", function()
      local leaf = create("leaf", { tools = { quick() } })
      local left = create("left", { tools = { agent.as_tool(leaf) } })
      local right = create("right", { tools = { quick() } })
      local boss = create("boss", {
        tools = { agent.as_tool(left), agent.as_tool(right) },
        on_limit = "return",
        budget = { max_steps = 9 },
      })
      local both = { { "c1", "left", '{"input":"l"}' }, { "c2", "right", '{"input":"r"}' } }
      model:script(
        of("boss", calls(both)),
        forever(of("left", calls({ { "l", "leaf", '{"input":"x"}' } }, { usage = usage(2, 0) }))),
        forever(of("leaf", calls({ { "w", "work", "{}" } }, { usage = usage(3, 0) }))),
        forever(of("right", calls({ { "w", "work", "{}" } }, { usage = usage(4, 0) })))
      )
      local response = agent.run(boss, "go")
      assert.equal("budget_exceeded", response.finish_reason)
      assert.equal(9, model:count())
      local sum = 0
      for _, request in ipairs(model:requests()) do
        local who = request.messages[1].content
        local price = { ["I am boss"] = 15, ["I am left"] = 2, ["I am leaf"] = 3 }
        sum = sum + (price[who] or 4)
      end
      assert.equal(sum, response.usage.total_tokens)
      assert_whole(response.messages)
    end)

    it("of an agent inside is that one's: the model that called is told", function()
      local helper = create("helper", { tools = { quick() }, budget = { max_steps = 2 } })
      local boss = create("boss", { tools = { agent.as_tool(helper) } })
      model:script(
        of("boss", calls({ { "c1", "helper", '{"input":"x"}' } })),
        of("helper", calls({ { "w1", "work", "{}" } })),
        of("helper", calls({ { "w2", "work", "{}" } })),
        of("boss", text("without help"))
      )
      local response = agent.run(boss, "go")
      assert.equal("without help", response.content)
      assert.truthy(response.tool_calls[1].error:find("budget.max_steps", 1, true))
      assert.equal(60, response.usage.total_tokens)
    end)

    it("refuses what a tool's function asks a model", function()
      local codes = {}
      local id = create("boss", {
        tools = {
          {
            name = "ask",
            execute = function()
              for i = 1, 3 do
                local ok, err = pcall(provider.chat, "hi", { provider = "openai" })
                codes[i] = ok or err.code
              end
            end,
          },
        },
        budget = { max_total_tokens = 25 },
      })
      model:script(calls({ { "c1", "ask", "{}" } }, { usage = usage(10, 0) }), text("a"))
      local err = raised("budget_exceeded", agent.run, id, "go")
      assert.same({ true, "budget_exceeded", "budget_exceeded" }, codes)
      assert.equal(2, model:count())
      assert.equal(25, err.partial.usage.total_tokens)
    end)

    it("runs no more tools once it is used up inside the round", function()
      local ran = 0
      local id = create("boss", {
        tools = {
          {
            name = "ask",
            execute = function()
              ran = ran + 1
              return provider.chat("hi", { provider = "openai" }).content
            end,
          },
        },
        budget = { max_total_tokens = 20 },
      })
      model:script(
        calls({ { "c1", "ask", "{}" }, { "c2", "ask", "{}" } }, { usage = usage(10, 0) }),
        text("a")
      )
      local err = raised("budget_exceeded", agent.run, id, "go")
      assert.equal(1, ran)
      assert.same({
        "user: go",
        "assistant[c1,c2]",
        "tool(c1): a",
        'tool(c2): {"error":"not executed"}',
      }, told({ messages = err.partial.messages }))
    end)
  end)

  it("counts what requests have used that had to be repeated", function()
    local other, id = scripted.speaking("anthropic")
    provider.configure(id, { retry = { max_attempts = 3, initial_delay_ms = 1 } })
    local function broken(words)
      return { content = words, error = "overloaded", usage = usage(10, 1) }
    end
    local who = create("boss", { provider = id, tools = { quick() } })
    other:script(
      broken("ab"),
      calls({ { "c1", "work", "{}" } }),
      broken("cd"),
      broken("ef"),
      text("done")
    )
    local response = agent.run(who, "go")
    assert.equal("done", response.content)
    assert.equal(5, response.attempts)
    -- Each answer was 10 and 5, each that broke off 10 and 1.
    assert.same({ 50, 13, 63 }, {
      response.usage.prompt_tokens,
      response.usage.completion_tokens,
      response.usage.total_tokens,
    })
    assert.is_nil(response.usage.estimated)
    assert.equal(63, zigllms.metrics().usage.total_tokens)
  end)

  it("of steps counts questions, not repetitions", function()
    provider.configure("openai", { retry = { max_attempts = 3, initial_delay_ms = 1 } })
    local id = create("boss", { tools = { quick() }, budget = { max_steps = 2 } })
    model:script(
      scripted.failure(500, "ill"),
      calls({ { "c1", "work", "{}" } }),
      scripted.failure(500, "ill"),
      text("done")
    )
    assert.equal("done", agent.run(id, "go").content)
    assert.equal(4, model:count())
  end)

  describe("of costs", function()
    before_each(function()
      provider.configure("openai", {
        model = "m",
        prices = { m = { input = 1000000, output = 2000000 } },
      })
    end)

    it("is summed over agents inside", function()
      local helper = create("helper", { tools = { quick() } })
      local boss = create("boss", { tools = { agent.as_tool(helper) }, budget = { max_cost = 30 } })
      model:script(
        of("boss", calls({ { "c1", "helper", '{"input":"x"}' } }, { usage = usage(4, 3) })),
        forever(of("helper", calls({ { "w", "work", "{}" } }, { usage = usage(6, 2) })))
      )
      local err = raised("budget_exceeded", agent.run, boss, "go")
      assert.equal(3, model:count())
      assert.equal(30, err.partial.cost)
      assert.equal(30, err.partial.usage.cost or err.partial.cost)
    end)

    it("wants one for what a tool's function asks", function()
      local code
      local id = create("boss", {
        tools = {
          {
            name = "ask",
            execute = function()
              local _, err = pcall(provider.chat, "hi", { provider = "openai", model = "other" })
              code = err.code
            end,
          },
        },
      })
      model:script(calls({ { "c1", "ask", "{}" } }), text("done"))
      agent.run(id, "go", { budget = { max_cost = 1000 } })
      assert.equal("invalid_argument", code)
      assert.equal(2, model:count())
    end)

    it("wants a price for the models of agents inside, too", function()
      local helper = create("helper", { model = "other" })
      local boss = create("boss", { tools = { agent.as_tool(helper) }, budget = { max_cost = 30 } })
      model:script(
        of("boss", calls({ { "c1", "helper", '{"input":"x"}' } })),
        of("boss", text("no help"))
      )
      local response = agent.run(boss, "go", { budget = { max_cost = 1000 } })
      assert.truthy(response.tool_calls[1].error:find("no price", 1, true))
      assert.equal(2, model:count())
    end)
  end)

  describe("of time", function()
    local function quickly(fn, ...)
      local began = program.clock()
      local err = raised("budget_exceeded", fn, ...)
      assert.is_true(program.clock() - began < 1.5)
      assert.truthy(err.message:find("budget.max_ms", 1, true), err.message)
      assert.equal("budget_exceeded", err.partial.finish_reason)
      return err.partial
    end

    it("stops a tool that waits", function()
      local id = create("boss", { tools = { napping(5000) }, budget = { max_ms = 150 } })
      model:script(calls({ { "c1", "nap", "{}" }, { "c2", "nap", "{}" } }))
      local partial = quickly(agent.run, id, "go")
      assert.equal(15, partial.usage.total_tokens)
      assert_whole(partial.messages)
      assert.equal('tool(c2): {"error":"not executed"}', told({ messages = partial.messages })[4])
    end)

    it("stops a request, and gives what had come of the answer", function()
      local id = create("boss", { budget = { max_ms = 400 } })
      model:script(text({ "half", " and whole" }, { chunk_delay_ms = 300 }))
      local partial = zigllms.test.clock(function()
        return quickly(agent.run, id, "go")
      end)
      assert.equal("half", partial.content)
      assert.is_true(partial.usage.estimated)
    end)

    it("stops agents inside, side by side, with what they wait for", function()
      local left = create("left", { tools = { napping(5000) } })
      local right = create("right")
      local boss = create("boss", {
        tools = { agent.as_tool(left), agent.as_tool(right) },
        budget = { max_ms = 250 },
      })
      model:script(
        calls({ { "c1", "left", '{"input":"l"}' }, { "c2", "right", '{"input":"r"}' } }),
        of("left", calls({ { "n", "nap", "{}" } })),
        of("right", text("never", { delay_ms = 5000 }))
      )
      local partial = quickly(agent.run, boss, "go")
      assert.equal(30, partial.usage.total_tokens)
      assert_whole(partial.messages)
      assert.same({ "error", "error" }, { (agent.get_state(left)), (agent.get_state(right)) })
    end)

    it("can end well, also where the conversation lies in a store", function()
      local path = os.tmpname()
      os.remove(path)
      zigllms.configure({ store = path .. ".db" })
      local id = create("boss", {
        tools = { napping(5000) },
        memory = { type = "persistent" },
        budget = { max_ms = 200 },
        on_limit = "return",
      })
      model:script(calls({ { "c1", "nap", "{}" } }, { content = "wait" }))
      local response = agent.run(id, "go")
      assert.equal("budget_exceeded", response.finish_reason)
      assert.equal("wait", response.content)
      assert_whole(response.messages)
      assert.equal(3, agent.get_info(id).memory.messages)
      zigllms.reset()
      zigllms.configure({ store = zigllms.null })
      for _, tail in ipairs({ ".db", ".db-wal", ".db-shm" }) do
        os.remove(path .. tail)
      end
    end)

    it("passes while a run waits for its turn", function()
      local id = create("boss", { tools = { napping(600) } })
      model:script(calls({ { "c1", "nap", "{}" } }), text("done"))
      local first = agent.run(id, "go", { async = true })
      model:wait_for(1)
      local partial = quickly(agent.run, id, "too", { budget = { max_ms = 100 } })
      assert.equal(0, partial.usage.total_tokens)
      assert.equal("done", first:await().content)
      assert.equal(4, agent.get_info(id).memory.messages)
    end)

    it("is the run's own: another limit is a timeout as ever", function()
      local id = create("boss", { budget = { max_ms = 5000 }, timeout_ms = 150 })
      model:script(text("never", { delay_ms = 3000 }))
      local err = raised("timeout", agent.run, id, "go")
      assert.equal("total", err.phase)
    end)
  end)

  it("cannot be escaped by a wrong word", function()
    local id = create("boss")
    raised("invalid_argument", agent.run, id, "go", { budget = { max_token = 5 } })
    raised("invalid_argument", agent.run, id, "go", { budget = { max_steps = 0 } })
    raised("invalid_argument", agent.run, id, "go", { budget = 5 })
  end)
end)
