-- Every point of the bridges that exist, at real operations: agents, tools, providers, memory.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local agent, event, hook = zigllms.agent, zigllms.event, zigllms.hook
local memory, provider, tool = zigllms.memory, zigllms.provider, zigllms.tool
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function has(text_, part)
  assert.truthy(text_:find(part, 1, true), text_)
end

local function create(config)
  config = config or {}
  config.provider = "openai"
  return agent.create(config)
end

local function last_sent()
  local requests = model:requests()
  local messages = requests[#requests].messages
  return messages[#messages].content
end

-- Names of events in the order in which they came.
local function heard(pattern)
  local names = {}
  event.subscribe(pattern, function(e)
    names[#names + 1] = e.type
  end)
  return names
end

describe("hooks at", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  describe("agent.run", function()
    it("run before and after it, agent_init only before the first", function()
      local order = {}
      for _, name in ipairs({ "agent_init", "agent_before_run", "agent_run", "agent_after_run" }) do
        hook.register(name, function(context, next)
          order[#order + 1] = name .. " " .. context.point
          if next then
            return next()
          end
        end)
      end
      local id = create()
      model:script(text("one"), text("two"))
      assert.are.equal("one", agent.run(id, "a").content)
      assert.are.equal("two", agent.run(id, "b").content)
      assert.are.same({
        "agent_init agent_init",
        "agent_before_run agent_before_run",
        "agent_run agent_run",
        "agent_after_run agent_after_run",
        "agent_before_run agent_before_run",
        "agent_run agent_run",
        "agent_after_run agent_after_run",
      }, order)
    end)

    it("change the input and the response", function()
      local id = create({ name = "helper" })
      hook.register("agent_before_run", function(context)
        assert.are.equal(id, context.agent_id)
        assert.are.equal("helper", context.agent_name)
        return (context.data:gsub("secret", "***"))
      end)
      hook.register("agent_after_run", function(context)
        context.result.content = context.result.content:upper()
      end)
      model:script(text("quiet"))
      local response = agent.run(id, "my secret")
      assert.are.equal("my ***", last_sent())
      assert.are.equal("QUIET", response.content)
      assert.are.equal("QUIET", tostring(response))
      assert.are.equal(15, response.usage.total_tokens)
    end)

    it("say no before anything is sent", function()
      local id = create()
      local names = heard("agent.*")
      hook.register("agent_before_run", function()
        return false, "off topic"
      end)
      model:script(text("x"))
      has(raised("aborted_by_hook", agent.run, id, "hi").message, "off topic")
      assert.are.equal(0, model:count())
      assert.are.same({ "agent.started", "agent.failed" }, names)
    end)

    it("see its failure, and may answer in its place", function()
      local id = create()
      local seen
      local hook_id = hook.register("agent_error", function(context)
        seen = context.error
      end)
      model:script(scripted.failure(500, "broken", { again = true }))
      local err = raised("server_error", agent.run, id, "hi")
      assert.are.equal(err, seen)
      hook.unregister(hook_id)
      hook.register("agent_error", function()
        return { content = "later" }
      end)
      assert.are.equal("later", agent.run(id, "hi").content)
    end)

    it("may go around it again", function()
      local id = create()
      hook.register("agent_run", function(context, next)
        if context.metadata then
          return next()
        end
        local ok, response = pcall(next)
        if not ok then
          model:script(text("second try"))
          response = agent.run(create(), context.input)
        end
        return response
      end, { agent = id })
      model:script(scripted.failure(500, "broken"))
      assert.are.equal("second try", agent.run(id, "hi").content)
    end)
  end)

  describe("an agent's tools", function()
    it("know the agent, and may be for one agent only", function()
      tool.register({
        name = "look",
        execute = function()
          return "found"
        end,
      })
      local one, other = create({ tools = { "look" } }), create({ tools = { "look" } })
      local seen = {}
      hook.register("tool_after_execute", function(context)
        seen[#seen + 1] = context.agent_id
        return context.result .. " it"
      end, { agent = one })
      for _, id in ipairs({ one, other }) do
        model:script(calls({ { "c1", "look", "{}" } }), text("ok"))
        agent.run(id, "go")
      end
      assert.are.same({ one }, seen)
    end)

    it("give the model what hooks made of the result", function()
      tool.register({
        name = "look",
        execute = function()
          return "found"
        end,
      })
      local id = create({ tools = { "look" } })
      hook.register("tool_after_execute", function(context)
        return context.result .. " it"
      end)
      model:script(calls({ { "c1", "look", "{}" } }), text("ok"))
      agent.run(id, "go")
      assert.are.equal("found it", last_sent())
    end)

    it("tell the model of a veto", function()
      tool.register({
        name = "look",
        execute = function()
          error("not to be called")
        end,
      })
      local id = create({ tools = { "look" } })
      hook.register("tool_before_execute", function()
        return false, "not today"
      end)
      model:script(calls({ { "c1", "look", "{}" } }), text("ok"))
      assert.are.equal("ok", agent.run(id, "go").content)
      has(last_sent(), "not today")
    end)
  end)

  describe("provider requests", function()
    it("change the request and the response", function()
      hook.register("provider_before_request", function(context)
        local messages = context.data.messages
        messages[#messages].content = messages[#messages].content .. "!"
        assert.are.equal("string", type(context.provider))
      end)
      hook.register("provider_after_response", function(context)
        context.result.content = context.result.content .. "?"
      end)
      model:script(text("hello"))
      local response = provider.chat(
        { { role = "user", content = "hi" } },
        { provider = "openai", model = "m" }
      )
      assert.are.equal("hello?", response.content)
      assert.are.equal("hi!", last_sent())
    end)

    it("veto, stand around, and save", function()
      local ask = function()
        return provider.chat(
          { { role = "user", content = "hi" } },
          { provider = "openai", model = "m" }
        )
      end
      local id = hook.register("provider_before_request", function()
        return false
      end)
      model:script(text("x"))
      raised("aborted_by_hook", ask)
      assert.are.equal(0, model:count())
      hook.unregister(id)
      local order = {}
      id = hook.register("provider_request", function(_, next)
        order[#order + 1] = "in"
        local response = next()
        order[#order + 1] = response.content
        return response
      end)
      assert.are.equal("x", ask().content)
      assert.are.same({ "in", "x" }, order)
      hook.unregister(id)
      hook.register("provider_error", function(context)
        assert.are.equal("server_error", context.error.code)
        return { content = "saved" }
      end)
      model:script(scripted.failure(500, "broken"))
      assert.are.equal("saved", ask().content)
    end)
  end)

  describe("memory", function()
    it("change what is saved and what is loaded", function()
      hook.register("memory_before_save", function(context)
        assert.are.equal("k", context.key)
        return { saved = context.data }
      end)
      memory.store("k", "v")
      hook.register("memory_after_load", function(context)
        context.result.loaded = true
      end)
      assert.are.same({ saved = "v", loaded = true }, memory.retrieve("k"))
    end)

    it("veto a save", function()
      memory.store("k", 1)
      hook.register("memory_before_save", function()
        return false, "read-only"
      end)
      has(raised("aborted_by_hook", memory.store, "k", 2).message, "read-only")
      assert.are.equal(1, memory.retrieve("k"))
    end)

    it("stand around", function()
      hook.register("memory_save", function(context, next)
        return next(context.data + 1)
      end)
      hook.register("memory_load", function(_, next)
        return next() * 10
      end)
      memory.store("k", 1)
      assert.are.equal(20, (memory.retrieve("k")))
    end)
  end)

  it("for a tool by its name guard what takes its place", function()
    local function veto()
      return false
    end
    local first = tool.register({ name = "rm", execute = print })
    local by_name = hook.register("tool_before_execute", veto, { tool = "rm" })
    assert.equal("rm", hook.get_info(by_name).tool)
    local function one()
      return 1
    end
    tool.register({ name = "rm", execute = one, replace = true })
    raised("aborted_by_hook", tool.execute, "rm")
    tool.unregister("rm")
    local last = tool.register({ name = "rm", execute = one })
    raised("aborted_by_hook", tool.execute, "rm")
    hook.unregister(by_name)
    for _, id in ipairs({ first, last }) do
      hook.register("tool_before_execute", veto, { tool = id })
      assert.equal(id == first, (pcall(tool.execute, "rm")))
    end
  end)

  it("that end an operation before it began tell of both", function()
    local names = heard("*")
    local id = tool.register({ name = "t", execute = print })
    local function told(name, callback)
      local hooked = hook.register(name, callback)
      for i = #names, 1, -1 do
        names[i] = nil
      end
      pcall(tool.execute, id)
      hook.unregister(hooked)
      return table.concat(names, " ")
    end
    local function veto()
      return false
    end
    assert.equal("tool.invoked tool.failed", told("tool_before_execute", veto))
    assert.equal("tool.invoked tool.failed", told("tool_before_execute", error))
    assert.equal("tool.invoked tool.failed", told("tool_execute", error))
    assert.equal("tool.invoked tool.succeeded", told("tool_execute", veto))
  end)

  it("fire one event at the end of an operation", function()
    local names = heard("tool.*")
    local id = tool.register({
      name = "t",
      execute = function()
        return 1
      end,
    })
    hook.register("tool_execute", function(_, next)
      next()
      error("after")
    end)
    raised("hook_error", tool.execute, id)
    assert.are.same({ "tool.invoked", "tool.failed" }, names)
    zigllms.hook.unregister("tool_execute")
    hook.register("tool_error", function()
      return "saved"
    end)
    names[1], names[2] = nil, nil
    tool.register({
      name = "bad",
      execute = function()
        error("bad")
      end,
    })
    assert.are.equal("saved", tool.execute("bad"))
    assert.are.same({ "tool.invoked", "tool.succeeded" }, names)
  end)
end)
