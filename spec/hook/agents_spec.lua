-- Hooks around the runs of agents, their tools and their requests: what they see and may change.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local agent, hook, provider, tool = zigllms.agent, zigllms.hook, zigllms.provider, zigllms.tool
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function double()
  return tool.register({
    name = "double",
    parameters = { type = "object", properties = { n = { type = "number" } }, required = { "n" } },
    execute = function(input)
      return { doubled = input.n * 2 }
    end,
  })
end

describe("hooks and agents", function()
  before_each(model:as_default())

  after_each(zigllms.reset)

  describe("agent_before_run", function()
    it("gets what the run was given, and changes it", function()
      model:script(text("one"), text("two"), text("three"))
      local seen = {}
      hook.register("agent_before_run", function(context)
        seen[#seen + 1] = context.data
        if context.data == "secret" then
          return "[redacted]"
        end
      end)
      local id = agent.create({ model = "m" })
      agent.run(id, "secret")
      agent.run(id, { role = "user", content = "hi" })
      agent.run(id, { { role = "system", content = "s" }, { role = "user", content = "u" } })
      assert.equal("[redacted]", model:requests()[1].messages[1].content)
      assert.same({ "secret", "hi" }, { seen[1], seen[2] })
      assert.same({ "system", "user" }, { seen[3][1].role, seen[3][2].role })
      local last = model:requests()[3].messages
      assert.same({ "s", "u" }, { last[#last - 1].content, last[#last].content })
    end)

    it("may change messages in place", function()
      model:script(text("ok"))
      hook.register("agent_before_run", function(context)
        context.data[1].content = context.data[1].content:gsub("%d", "#")
      end)
      local messages = { { role = "user", content = "4711" }, { role = "user", content = "x" } }
      agent.run(agent.create({ model = "m" }), messages)
      assert.equal("####", model:requests()[1].messages[1].content)
      assert.equal("4711", messages[1].content)
    end)

    it("knows the agent; a veto asks nobody, and leaves the conversation alone", function()
      model:script(text("never"))
      local id = agent.create({ name = "ann", model = "m" })
      local about
      local hook_id = hook.register("agent_before_run", function(context)
        about = context
        return false
      end)
      local err = raised("aborted_by_hook", agent.run, id, "go")
      assert.truthy(err.message:find(hook_id, 1, true))
      assert.same({ id, "ann" }, { about.agent_id, about.agent_name })
      assert.equal(0, model:count())
      assert.same({}, zigllms.memory.retrieve("conversation", { agent = id }) or {})
      assert.equal("idle", (agent.get_state(id)))
    end)

    it("what does not fit as an input fails the run, by name", function()
      hook.register("agent_before_run", function()
        return { { role = "nobody", content = "x" } }
      end)
      local err = raised("hook_error", agent.run, agent.create({ model = "m" }), "go")
      assert.truthy(err.message:find("agent_before_run", 1, true), err.message)
      assert.truthy(err.message:find("role", 1, true), err.message)
    end)
  end)

  it("agent_init comes before the first run only", function()
    model:script(text("1"), text("2"), text("3"))
    local order = {}
    hook.register("agent_init", function(context)
      order[#order + 1] = "init " .. context.agent_name
    end)
    hook.register("agent_before_run", function()
      order[#order + 1] = "before"
    end)
    local ann = agent.create({ name = "ann", model = "m" })
    agent.run(ann, "1")
    agent.run(ann, "2")
    agent.run(agent.create({ name = "bob", model = "m" }), "3")
    assert.same({ "init ann", "before", "before", "init bob", "before" }, order)
  end)

  describe("agent_after_run", function()
    it("replaces the response by a text, or by itself changed", function()
      model:script(text("raw"), text("raw"))
      local id = agent.create({ model = "m" })
      local first = hook.register("agent_after_run", function(context)
        assert.equal("raw", context.result.content)
        return "clean"
      end)
      local response = agent.run(id, "go")
      assert.equal("clean", response.content)
      assert.equal("clean", tostring(response))
      assert.equal("stop", response.finish_reason)
      hook.unregister(first)
      hook.register("agent_after_run", function(context)
        context.result.content = "cleaner"
        context.result.extra = { print }
        return context.result
      end)
      response = agent.run(id, "go")
      assert.equal("cleaner", tostring(response))
      assert.equal(print, response.extra[1])
    end)

    it("gives a response or a text: all else is refused, and the run keeps its own", function()
      local id = agent.create({ model = "m" })
      local failed
      zigllms.event.subscribe("hook.failed", function(e)
        failed = e.data.error
      end)
      for _, given in ipairs({ print, io.stdout, { foo = 1 }, { content = 5 }, 5, false }) do
        model:script(text("raw"))
        local hooked = hook.register("agent_after_run", function()
          return given
        end)
        failed = nil
        assert.equal("raw", agent.run(id, "go").content)
        assert.truthy(failed.message:find("a table with `content`", 1, true), failed.message)
        hook.unregister(hooked)
        hooked = hook.register("agent_run", function()
          return given
        end)
        local err = raised("hook_error", agent.run, id, "go")
        assert.truthy(err.message:find("a table with `content`", 1, true), err.message)
        hook.unregister(hooked)
      end
    end)

    it("what it gives is what agent.completed tells", function()
      model:script(text("raw"))
      local told
      zigllms.event.subscribe("agent.completed", function(e)
        told = e.data.content
      end)
      hook.register("agent_after_run", function()
        return "clean"
      end)
      agent.run(agent.create({ model = "m" }), "go")
      assert.equal("clean", told)
    end)

    it("runs once for the whole loop of model and tools", function()
      model:script(calls({ { "c1", "double", '{"n":2}' } }), text("4"))
      local runs = 0
      hook.register("agent_after_run", function()
        runs = runs + 1
      end)
      agent.run(agent.create({ model = "m", tools = { double() } }), "go")
      assert.equal(1, runs)
    end)
  end)

  it("a response made by hand is text as any other", function()
    model:script(text("raw"))
    hook.register("agent_after_run", function()
      return { content = "by hand" }
    end)
    local response = agent.run(agent.create({ model = "m" }), "go")
    assert.equal("by hand", tostring(response))
    assert.equal("it is by hand", "it is " .. response)
  end)

  it("a run of the same conversation inside of its own hooks is refused at once", function()
    model:script(text("1"), text("2"))
    local id = agent.create({ model = "m" })
    local depth, err = 0, nil
    hook.register("agent_before_run", function(context)
      depth = depth + 1
      if context.data == "outer" then
        err = raised("invalid_state", agent.run, id, "inner")
        assert.equal("1", agent.run(id, "beside", { remember = false }).content)
      end
    end)
    assert.equal("2", agent.run(id, "outer").content)
    assert.equal(2, depth)
    assert.truthy(err.message:find("session", 1, true))
  end)

  it("agent_error may give an answer in place of the failure", function()
    model:script(scripted.failure(500))
    local seen
    hook.register("agent_error", function(context)
      seen = context.error
      return "sorry"
    end)
    local response = agent.run(agent.create({ model = "m" }), "go")
    assert.equal("sorry", response.content)
    assert.equal("sorry", tostring(response))
    assert.equal(500, seen.status)
  end)

  it("around a run: another answer without asking, a second attempt, its time", function()
    model:script(scripted.failure(500), text("second"))
    local attempts = 0
    hook.register("agent_run", function(context, continue)
      attempts = attempts + 1
      if context.data == "cached" then
        return { content = "from the cache" }
      end
      local ok, response = pcall(continue)
      return ok and response or { content = "failed" }
    end)
    local id = agent.create({ model = "m" })
    assert.equal("from the cache", agent.run(id, "cached").content)
    assert.equal(0, model:count())
    assert.equal("failed", agent.run(id, "go").content)
    assert.equal("second", agent.run(id, "go").content)
    assert.equal(3, attempts)
  end)

  describe("of its tools", function()
    it("change what the model's call gets, and what the model is told", function()
      model:script(calls({ { "c1", "double", '{"n":2}' } }), text("done"))
      hook.register("tool_before_execute", function(context)
        context.data.n = 21
      end)
      hook.register("tool_after_execute", function(context)
        return { doubled = context.result.doubled, checked = true }
      end)
      local response = agent.run(agent.create({ model = "m", tools = { double() } }), "go")
      assert.same({ doubled = 42, checked = true }, response.tool_calls[1].result)
      local told = model:requests()[2].messages
      assert.equal('{"checked":true,"doubled":42}', told[#told].content)
    end)

    it("changed input is checked as any other", function()
      hook.register("tool_before_execute", function()
        return { n = "many" }
      end)
      local err = raised("hook_error", tool.execute, double(), { n = 1 })
      assert.equal("validation_failed", err.cause.code)
    end)

    it("a veto is told to the model, and the run goes on", function()
      model:script(calls({ { "c1", "double", '{"n":2}' } }), text("I may not"))
      hook.register("tool_before_execute", function()
        return false, "not today"
      end)
      local response = agent.run(agent.create({ model = "m", tools = { double() } }), "go")
      assert.equal("I may not", response.content)
      local told = model:requests()[2].messages
      assert.truthy(told[#told].content:find("not today", 1, true), told[#told].content)
    end)

    it("kept results are not mixed up with those of changed input", function()
      local runs = 0
      local id = tool.register({
        name = "count",
        cache = true,
        execute = function(input)
          runs = runs + 1
          return input.n
        end,
      })
      assert.equal(1, tool.execute(id, { n = 1 }))
      assert.equal(1, tool.execute(id, { n = 1 }))
      assert.equal(1, runs)
      hook.register("tool_before_execute", function()
        return { n = 5 }
      end)
      assert.equal(5, tool.execute(id, { n = 1 }))
      hook.register("tool_before_execute", function()
        return { n = 6 }
      end)
      assert.equal(6, tool.execute(id, { n = 1 }))
    end)
  end)

  describe("of requests", function()
    it("see the neutral request, and change it", function()
      model:script(text("ok"))
      local seen
      hook.register("provider_before_request", function(context)
        seen = context
        context.data.model = "other"
        context.data.temperature = nil
        context.data.top_p = 0.5
        table.insert(context.data.messages, 1, { role = "system", content = "be brief" })
      end)
      local reply = provider.chat("hi", { model = "m", temperature = 0.3, tools = { double() } })
      assert.equal("ok", reply.content)
      local sent = model:requests()[1]
      assert.same({ "other", 0.5 }, { sent.model, sent.top_p })
      assert.is_nil(sent.temperature)
      assert.same({ "system", "user" }, { sent.messages[1].role, sent.messages[2].role })
      assert.equal("double", sent.tools[1]["function"].name)
      assert.same({ "openai", "m" }, { seen.provider, seen.model })
      assert.is_nil(seen.agent_id)
    end)

    it("of an agent say whose they are", function()
      model:script(text("ok"))
      local whose
      hook.register("provider_before_request", function(context)
        whose = context.agent_id
      end)
      local id = agent.create({ model = "m" })
      agent.run(id, "go")
      assert.equal(id, whose)
    end)

    it("show no header and no key", function()
      model:script(text("ok"))
      local seen = {}
      hook.register("*", function(context)
        for key, value in pairs(context) do
          seen[#seen + 1] = tostring(key)
            .. zigllms.output.format(type(value) == "table" and value or tostring(value))
        end
      end, { type = "pre" })
      provider.configure(
        "openai",
        { api_key = "sk-CANARY-1", headers = { ["X-Key"] = "CANARY-2" } }
      )
      provider.chat("hi", { model = "m", headers = { Authorization = "CANARY-3" } })
      assert.is_true(#seen > 5)
      assert.is_nil(table.concat(seen, "\n"):find("CANARY", 1, true))
    end)

    it("changed answers reach the agent, its conversation and its tools", function()
      model:script(calls({ { "c1", "double", '{"n":2}' } }), text("the number is 4711"))
      hook.register("provider_after_response", function(context)
        local result = context.result
        if result.tool_calls[1] then
          result.tool_calls[1].arguments.n = 8
        else
          result.content = result.content:gsub("%d", "#")
        end
        return result
      end)
      local id = agent.create({ model = "m", tools = { double() } })
      local response = agent.run(id, "go")
      assert.equal("the number is ####", response.content)
      assert.equal(16, response.tool_calls[1].result.doubled)
      local kept = zigllms.memory.retrieve("conversation", { agent = id })
      assert.equal("the number is ####", kept[#kept].content)
    end)

    it("provider_error recovers with a text", function()
      model:script(scripted.failure(500))
      hook.register("provider_error", function()
        return "offline"
      end)
      local reply = provider.chat("hi", { model = "m" })
      assert.equal("offline", reply.content)
      assert.equal("stop", reply.finish_reason)
      assert.equal("offline", tostring(reply))
    end)

    it("unknown words in a changed request are refused by name", function()
      hook.register("provider_before_request", function(context)
        context.data.temprature = 1
      end)
      local err = raised("hook_error", provider.chat, "hi", { model = "m" })
      assert.truthy(err.message:find("temperature", 1, true), err.message)
    end)
  end)

  describe("an agent's own", function()
    it("are for it alone, with its tools and requests, and go with it", function()
      model:script(calls({ { "c1", "double", '{"n":2}' } }), text("a"), text("b"))
      local seen = {}
      local function note(context)
        seen[#seen + 1] = context.point
      end
      local ann = agent.create({
        model = "m",
        tools = { double() },
        hooks = {
          agent_before_run = note,
          tool_before_execute = note,
          provider_before_request = note,
          agent_after_run = note,
        },
      })
      local bob = agent.create({ model = "m" })
      agent.run(ann, "go")
      assert.same({
        "agent_before_run",
        "provider_before_request",
        "tool_before_execute",
        "provider_before_request",
        "agent_after_run",
      }, seen)
      agent.run(bob, "go")
      tool.execute("double", { n = 1 })
      assert.equal(5, #seen)
      assert.equal(4, #hook.list())
      agent.destroy(ann)
      assert.equal(0, #hook.list())
    end)

    it("are replaced by configure, copied by clone", function()
      model:script(text("1"), text("2"), text("3"))
      local seen = {}
      local function note(word)
        return {
          agent_before_run = function()
            seen[#seen + 1] = word
          end,
        }
      end
      local ann = agent.create({ model = "m", hooks = note("first") })
      agent.configure(ann, { hooks = note("second") })
      agent.run(ann, "go")
      local bob = agent.clone(ann)
      agent.run(bob, "go")
      agent.configure(bob, { hooks = zigllms.null })
      agent.run(bob, "go")
      assert.same({ "second", "second" }, seen)
    end)

    it("are checked with the agent: a bad one makes none", function()
      local err = raised("invalid_argument", agent.create, { hooks = { agent_before_run = 1 } })
      assert.truthy(err.message:find("hooks", 1, true))
      local misspelt = { hooks = { agent_befor_run = print } }
      err = raised("invalid_argument", agent.create, misspelt)
      assert.truthy(err.message:find('"agent_before_run"', 1, true), err.message)
      assert.same({}, agent.list())
      assert.same({}, hook.list())
    end)
  end)

  describe("agent_cleanup", function()
    it("runs before the agent goes, with all about it", function()
      local id = agent.create({ name = "ann", model = "m", keep = nil })
      zigllms.memory.store("k", "v", { agent = id })
      local seen, value
      hook.register("agent_cleanup", function(context)
        seen = context
        value = zigllms.memory.retrieve("k", { agent = context.agent_id })
      end)
      assert.is_true(agent.destroy(id))
      assert.same({ id, "ann", "m" }, { seen.agent_id, seen.agent_name, seen.data.model })
      assert.equal("v", value)
      assert.is_false(agent.destroy(id))
    end)

    it("that fails or destroys the agent itself changes nothing", function()
      local failed
      zigllms.event.subscribe("hook.failed", function(e)
        failed = e.data
      end)
      local first = hook.register("agent_cleanup", function()
        error("mine", 0)
      end)
      hook.register("agent_cleanup", function(context)
        assert.is_true(agent.destroy(context.agent_id))
      end)
      local id = agent.create({ model = "m" })
      assert.is_false(agent.destroy(id), "it had gone already")
      assert.is_nil(agent.exists and agent.exists(id) or nil)
      assert.same({ first, "agent_cleanup", "mine" }, {
        failed.hook_id,
        failed.point,
        failed.error.cause,
      })
    end)
  end)
end)
