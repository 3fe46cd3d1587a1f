-- Summaries of what falls out of the window: the option `summarize`.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent, memory, provider = zigllms.agent, zigllms.memory, zigllms.provider
local text, calls, usage = scripted.text, scripted.calls, scripted.usage
local unpack = table.unpack or unpack -- luacheck: ignore

local model = scripted.new()

local function sent(n)
  return told(model:requests()[n])
end

-- An agent whose summaries are "(a b c)", in the words of what they stand for.
local function create(config)
  local seen = {}
  config = config or {}
  config.provider = "openai"
  config.memory = config.memory or { max_messages = 6 }
  config.summarize = config.summarize
    or function(messages)
      seen[#seen + 1] = told({ messages = messages })
      local words = {}
      for i, message in ipairs(messages) do
        words[i] = message.content
      end
      return "(" .. table.concat(words, " ") .. ")"
    end
  return agent.create(config), seen
end

-- Runs that say q1, q2, … and are answered a1, a2, …
local function talk(id, from, to)
  for i = from, to do
    model:script(text("a" .. i))
    agent.run(id, "q" .. i)
  end
end

describe("summarize", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  it("is not called while the window holds everything", function()
    local id, seen = create()
    talk(id, 1, 3)
    assert.equal(0, #seen)
  end)

  it("puts its result in the place of the oldest messages", function()
    local id, seen = create({ system_prompt = "S" })
    talk(id, 1, 4)
    assert.same({ { "user: q1", "assistant: a1", "user: q2", "assistant: a2" } }, seen)
    assert.same({
      "system: S",
      "user: (q1 a1 q2 a2)",
      "user: q3",
      "assistant: a3",
      "user: q4",
    }, sent(1))
    local kept = memory.retrieve("conversation", { scope = "agent", agent = id })
    assert.same(
      { "user: (q1 a1 q2 a2)", "user: q3", "assistant: a3", "user: q4", "assistant: a4" },
      told({ messages = kept })
    )
  end)

  it("is called again only when half a window has come, with its summary before", function()
    local id, seen = create()
    talk(id, 1, 20)
    assert.is_true(#seen <= 9 and #seen >= 5, tostring(#seen))
    for i = 2, #seen do
      assert.truthy(seen[i][1]:find("^user: %("), seen[i][1])
    end
    local all = table.concat(sent(1), " ")
    for i = 1, 20 do
      assert.truthy(all:find("q" .. i, 1, true), all)
    end
  end)

  it("never takes a call from its result, and works inside a long turn", function()
    local id, seen = create({
      max_iterations = 100,
      tools = {
        {
          name = "work",
          execute = function(input)
            return "r" .. input.n
          end,
        },
      },
    })
    local replies = {}
    for n = 1, 12 do
      replies[n] = calls({
        { "c" .. n, "work", ('{"n":%d}'):format(n) },
        { "d" .. n, "work", ('{"n":%d}'):format(n) },
      })
    end
    replies[13] = text("done")
    model:script(unpack(replies))
    local response = agent.run(id, "go")
    assert.equal(13, response.iterations)
    assert.equal(1 + 12 * 3 + 1, #response.messages)
    assert.is_true(#seen >= 3 and #seen <= 12, tostring(#seen))
    for n = 1, 13 do
      local lines = sent(n)
      assert.is_true(#lines <= 7)
      local open = {}
      for _, line in ipairs(lines) do
        for c in (line:match("^assistant%[(.-)%]") or ""):gmatch("[^,]+") do
          open[c] = true
        end
        local answered = line:match("^tool%((.-)%)")
        if answered then
          assert.is_true(open[answered], line)
          open[answered] = nil
        end
      end
      assert.is_nil(next(open))
    end
    for _, lines in ipairs(seen) do
      local balance = 0
      for _, line in ipairs(lines) do
        balance = balance + (line:find("^assistant%[") and 2 or line:find("^tool") and -1 or 0)
      end
      assert.equal(0, balance)
    end
  end)

  it("may give a message, and may wait", function()
    local id = create({
      summarize = function(messages)
        zigllms.sleep(5)
        return { role = "assistant", content = "so far " .. #messages }
      end,
    })
    talk(id, 1, 4)
    assert.equal("assistant: so far 4", sent(1)[1])
  end)

  it("counts tokens, if the window does", function()
    local id, seen = create({ memory = { max_tokens = 20 } })
    model:script(text(("x"):rep(40)), text("short"))
    agent.run(id, "q1")
    agent.run(id, ("y"):rep(40))
    assert.equal(1, #seen)
    assert.same({ "user: q1", "assistant: " .. ("x"):rep(40) }, seen[1])
    assert.equal(2, #sent(2))
  end)

  it("is of one run, if that says so, and can be taken back", function()
    local id, seen = create()
    talk(id, 1, 3)
    model:script(text("a"), text("b"))
    agent.run(id, "q4", { summarize = zigllms.null, remember = true })
    assert.equal(0, #seen)
    assert.equal(6, #sent(1))
    local own
    agent.run(id, "q5", {
      summarize = function()
        own = true
        return "own"
      end,
    })
    assert.is_true(own)
    agent.configure(id, { summarize = zigllms.null })
    talk(id, 6, 12)
    assert.equal(0, #seen)
    assert.is_nil(agent.get_info(id).summarize)
  end)

  it("is a clone's, too, and shown", function()
    local id, seen = create()
    local copy = agent.clone(id)
    talk(copy, 1, 4)
    assert.equal(1, #seen)
    assert.is_true(agent.get_info(copy).summarize)
  end)

  it("that fails ends the run, which can be tried again", function()
    local fails = true
    local id = create({
      summarize = function()
        if fails then
          error("no words", 0)
        end
        return "words"
      end,
    })
    talk(id, 1, 3)
    local err = raised("callback_error", agent.run, id, "q4")
    assert.equal("no words", err.cause)
    assert.same({ "user: q4" }, told({ messages = err.partial.messages }))
    assert.equal(6, agent.get_info(id).memory.messages)
    fails = false
    talk(id, 4, 4)
    assert.equal("user: words", sent(1)[1])
  end)

  it("has to give a message or a string", function()
    for _, given in ipairs({
      false,
      5,
      {},
      { role = "tool", content = "x", tool_call_id = "c" },
      { role = "nobody", content = "x" },
      { { role = "user", content = "x" } },
    }) do
      local id = create({
        summarize = function()
          return given or nil
        end,
      })
      talk(id, 1, 3)
      local err = raised("callback_error", agent.run, id, "q4")
      assert.truthy(err.message:find("summarize", 1, true), err.message)
      model:begin()
    end
  end)

  it("passes an error of the module on", function()
    local id = create({
      summarize = function()
        return provider.chat("sum up", { provider = "openai" }).content
      end,
    })
    talk(id, 1, 3)
    model:script(scripted.failure(400, "no"))
    raised("bad_request", agent.run, id, "q4")
  end)

  describe("by a model", function()
    it("asks that one, and counts what it uses", function()
      local id = create({ model = "big", summarize = { model = "small" } })
      talk(id, 1, 3)
      model:script(
        text(" the story ", { usage = usage(100, 1) }),
        text("a4", { usage = usage(10, 1) })
      )
      local response = agent.run(id, "q4")
      local asked = model:requests()[1]
      assert.equal("small", asked.model)
      assert.truthy(asked.messages[1].content:find("Sum up", 1, true))
      assert.equal(
        "user: q1\n\nassistant: a1\n\nuser: q2\n\nassistant: a2",
        asked.messages[2].content
      )
      assert.is_nil(asked.tools)
      assert.equal("big", model:requests()[2].model)
      assert.equal("user: Summary of the conversation so far:\nthe story", sent(2)[1])
      assert.equal(112, response.usage.total_tokens)
      assert.equal(2, response.attempts)
      assert.equal(1, response.iterations)
    end)

    it("may be another provider's, with another prompt", function()
      local other = provider.create({
        type = "openai",
        model = "theirs",
      })
      local id = create({ summarize = { provider = other, prompt = "Shorten" } })
      talk(id, 1, 3)
      local theirs = scripted.new(other)
      model:script(text("a4"))
      theirs:script(text("short"))
      agent.run(id, "q4")
      local asked = theirs:requests()[1]
      assert.equal("theirs", asked.model)
      assert.equal("Shorten", asked.messages[1].content)
    end)

    it("that fails ends the run with its error", function()
      local id = create({ summarize = { model = "small" } })
      talk(id, 1, 3)
      model:script(scripted.failure(400, "no"))
      raised("bad_request", agent.run, id, "q4")
      model:script(text("  "))
      raised("bad_response", agent.run, id, "q4")
    end)

    it("is part of the budget", function()
      local id = create({ summarize = { model = "small" }, budget = { max_steps = 1 } })
      talk(id, 1, 3)
      model:script(text("the story"), text("a4"))
      raised("budget_exceeded", agent.run, id, "q4")
      assert.equal(1, model:count())
    end)
  end)

  it("stays in the store with the conversation", function()
    local path = os.tmpname()
    os.remove(path)
    model = scripted.new("openai", { transport = "http" })
    local function others(code)
      local out = program.run(([[
        local zigllms = require("zigllms")
        zigllms.configure({ store = %q })
        zigllms.provider.configure("openai", { base_url = %q, api_key = "test", retry = false })
        local id = zigllms.agent.create({ name = "keeper", provider = "openai",
          memory = { type = "persistent", max_messages = 6 },
          summarize = function(messages) return "sum of " .. #messages end })
        %s
      ]]):format(path .. ".db", model:url(), code)).out
      return out
    end
    model:script(text("a1"), text("a2"), text("a3"), text("a4"), text("a5"))
    others([[for i = 1, 4 do zigllms.agent.run(id, "q" .. i) end]])
    assert.same({ "user: sum of 4", "user: q3", "assistant: a3", "user: q4" }, sent(4))
    others([[zigllms.agent.run(id, "q5")]])
    assert.same(
      { "user: sum of 4", "user: q3", "assistant: a3", "user: q4", "assistant: a4", "user: q5" },
      sent(5)
    )
    for _, tail in ipairs({ ".db", ".db-wal", ".db-shm" }) do
      os.remove(path .. tail)
    end
  end)
end)
