-- The events that the module tells by itself, each from a real operation.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local agent, event, memory = zigllms.agent, zigllms.event, zigllms.memory
local provider, tool = zigllms.provider, zigllms.tool
local text, calls, failure = scripted.text, scripted.calls, scripted.failure

local model = scripted.new()

-- Collects the names and the data of the events of a pattern.
local function heard(pattern)
  local names, data, events = {}, {}, {}
  event.subscribe(pattern, function(e)
    names[#names + 1], data[#data + 1], events[#events + 1] = e.name, e.data, e
  end)
  return names, data, events
end

local function echo(extra)
  local definition = {
    name = "echo",
    execute = function(input)
      return { said = input.text }
    end,
  }
  for key, value in pairs(extra or {}) do
    definition[key] = value
  end
  return tool.register(definition)
end

describe("built-in events", function()
  before_each(model:as_default())

  after_each(zigllms.reset)

  it("are all named by help", function()
    local help = zigllms.help("event")
    for _, subject in ipairs({
      "agent.started agent.completed agent.failed tool.invoked tool.succeeded tool.failed",
      "tool.log tool.progress",
      "provider.request provider.retry provider.response provider.error memory.updated",
      "hook.failed system.handler_error system.batch_error",
    }) do
      for name in subject:gmatch("%S+") do
        assert.truthy(help:find("`" .. name .. "`", 1, true), name)
      end
    end
  end)

  it("of a tool: invoked, succeeded", function()
    local names, data, events = heard("tool.*")
    local id = echo()
    tool.execute(id, { text = "hi" })
    assert.same({ "tool.invoked", "tool.succeeded" }, names)
    assert.equal(id, data[1].tool_id)
    assert.equal("echo", data[1].tool_name)
    assert.equal("hi", data[1].input.text)
    assert.is_nil(data[1].output)
    assert.equal("hi", data[2].output.said)
    assert.is_true(data[2].duration_ms >= 0)
    assert.is_nil(data[2].agent_id)
    assert.equal("tool", events[1].category)
    assert.equal("tool", events[1].source)
    assert.truthy(tostring(data[1]):find('"tool_name":"echo"', 1, true))
  end)

  it("of a tool that fails: invoked, failed, once for all retries", function()
    local names, data = heard("tool.*")
    local mine = setmetatable({}, {
      __tostring = function()
        return "mine"
      end,
    })
    local id = echo({
      max_retries = 2,
      execute = function()
        error(mine)
      end,
    })
    local err = raised("tool_error", tool.execute, id, {})
    assert.same({ "tool.invoked", "tool.failed" }, names)
    assert.equal("tool_error", data[2].error.code)
    assert.equal(mine, data[2].error.cause)
    assert.equal(err.message, data[2].error.message)
    assert.equal("tool", data[2].error.bridge)
  end)

  it("of a request: request, response, with what it used", function()
    model:script(text("hello", { usage = { prompt_tokens = 7, completion_tokens = 2 } }))
    local names, data = heard("provider.*")
    provider.chat("hi", { model = "m" })
    assert.same({ "provider.request", "provider.response" }, names)
    assert.equal("openai", data[1].provider)
    assert.equal("m", data[1].model)
    assert.equal("chat", data[1].operation)
    assert.is_nil(data[1].input, "conversations are private")
    assert.equal(1, data[2].attempts)
    assert.is_number(data[2].usage.total_tokens)
    assert.is_true(data[2].duration_ms >= 0)
  end)

  it("of a request that fails, and of each repetition", function()
    model:script(failure(503), failure(503), failure(400))
    local names, data = heard("provider.*")
    local retry = { max_attempts = 5, initial_delay_ms = 1, max_delay_ms = 1 }
    raised("bad_request", provider.chat, "hi", { model = "m", retry = retry })
    assert.same({ "provider.request", "provider.retry", "provider.retry", "provider.error" }, names)
    assert.equal(1, data[2].attempt)
    assert.equal(2, data[3].attempt)
    assert.is_number(data[2].delay_ms)
    assert.equal("openai", data[2].provider)
    assert.equal("m", data[2].model)
    assert.equal(503, data[2].error.status)
    assert.equal(400, data[4].error.status)
  end)

  it("of a request that another provider takes over", function()
    model:script(failure(401), text("from the second"))
    provider.create({ name = "second", type = "openai" })
    local names, data = heard("provider.*")
    local reply = provider.chat("hi", { model = "m", fallback = { "second" } })
    assert.equal("from the second", reply.content)
    assert.same({ "provider.request", "provider.retry", "provider.response" }, names)
    assert.equal(0, data[2].delay_ms)
    assert.is_string(data[2].next_provider)
    assert.equal(reply.provider, data[2].next_provider)
  end)

  it("of embeddings", function()
    local names, data = heard("provider.*")
    provider.embed("hi", { model = "e" })
    assert.same({ "provider.request", "provider.response" }, names)
    assert.equal("embed", data[1].operation)
    assert.equal("e", data[1].model)
  end)

  it("of an agent's run, with those inside it, in order", function()
    model:script(calls({ { "c1", "echo", '{"text":"a"}' } }), text("done"))
    local id = agent.create({ name = "ann", tools = { echo() }, model = "m" })
    local names, data, events = heard("*")
    local response = agent.run(id, "go")
    assert.equal("done", response.content)
    assert.same({
      "agent.started",
      "provider.request",
      "provider.response",
      "tool.invoked",
      "tool.succeeded",
      "provider.request",
      "provider.response",
      "agent.completed",
    }, names)
    for i, item in ipairs(data) do
      assert.equal(id, item.agent_id, names[i])
    end
    assert.equal("ann", data[1].agent_name)
    assert.equal("go", data[1].input)
    assert.equal("done", data[8].content)
    assert.is_number(data[8].usage.total_tokens)
    assert.is_true(data[8].duration_ms >= 0)
    assert.is_string(data[4].call_id)
    for _, e in ipairs(events) do
      assert.equal(events[1].correlation_id, e.correlation_id)
    end
  end)

  it("of a run that fails: exactly one end", function()
    model:script(failure(400))
    local id = agent.create({ model = "m" })
    local names, data = heard("agent.*")
    raised("bad_request", agent.run, id, "go")
    assert.same({ "agent.started", "agent.failed" }, names)
    assert.equal("bad_request", data[2].error.code)
  end)

  it("of a run that is cancelled: exactly one end", function()
    model:script(text("late", { delay_ms = 5 }))
    local id = agent.create({ model = "m" })
    local names, data = heard("agent.*")
    local handle = agent.run(id, "go", { async = true })
    handle:cancel("enough")
    raised("cancelled", handle.await, handle)
    zigllms.poll(10)
    assert.same({ "agent.started", "agent.failed" }, names)
    assert.equal("cancelled", data[2].error.code)
  end)

  it("of a stream that its reader leaves: exactly one end", function()
    model:script(text({ "a", "b" }, { delay_ms = 1 }))
    local names = heard("provider.*")
    do
      local stream = provider.stream("hi", { model = "m" })
      stream:cancel()
    end
    collectgarbage()
    zigllms.poll(50)
    assert.same({ "provider.request", "provider.error" }, names)
  end)

  describe("of memory", function()
    local folder

    before_each(function()
      folder = stores.directory()
    end)

    after_each(function()
      zigllms.configure({ store = zigllms.null })
      stores.remove(folder)
    end)

    local function changes(data)
      local list = {}
      for i, item in ipairs(data) do
        list[i] = item.op .. " " .. tostring(item.key or item.count)
      end
      return list
    end

    local function everything(options)
      local names, data = heard("memory.updated")
      memory.store("a", 1, options)
      memory.store("a", nil, options)
      memory.store("b", "x", options)
      memory.store_many({ { "c", 1 }, { "d", 2 } }, options)
      memory.update("c", function(old)
        return old + 1
      end, options)
      memory.increment("c", 2, options)
      assert.is_true(memory.delete("c"))
      assert.is_false(memory.delete("c"))
      local absent = { if_absent = true, type = options and options.type }
      assert.is_false(memory.store("b", "y", absent))
      assert.is_true(memory.store("new", "y", absent))
      memory.clear({ scope = "global" })
      assert.same({
        "store a",
        "delete a",
        "store b",
        "store c",
        "store d",
        "update c",
        "increment c",
        "delete c",
        "store new",
        "clear 3",
      }, changes(data))
      assert.equal("global", data[1].scope)
      for _, name in ipairs(names) do
        assert.equal("memory.updated", name)
      end
    end

    it("in the process", function()
      memory.clear()
      everything()
    end)

    it("in the store", function()
      memory.clear()
      zigllms.configure({ store = folder .. "/store.db" })
      everything({ type = "persistent" })
    end)

    it("with its owner, and when much is loaded at once", function()
      memory.clear()
      memory.store("s", 1, { session = "ann" })
      assert.equal(1, select(2, memory.persist(folder .. "/x.json")))
      local _, data = heard("memory.*")
      memory.store("s", 2, { session = "ann" })
      memory.load(folder .. "/x.json")
      assert.same({ "store s", "load 1" }, changes(data))
      assert.same({ "session", "ann" }, { data[1].scope, data[1].owner })
    end)

    it("also inside of a callback that cannot wait", function()
      local _, data = heard("memory.updated")
      local found = ("a b"):gsub("%w", function(word)
        memory.store(word, word)
        return memory.retrieve(word):upper()
      end)
      assert.equal("A B", found)
      assert.same({ "store a", "store b" }, changes(data))
    end)

    it("system.batch_error when a commit fails that nobody waits for", function()
      local ai = zigllms.new({ store = folder .. "/nowhere/store.db", batch = { timeout_ms = 1 } })
      local errors = {}
      ai.event.subscribe("system.batch_error", function(e)
        errors[#errors + 1] = e.data
      end)
      ai.memory.store("k", 1, { type = "persistent" })
      for _ = 1, 200 do
        if #errors == 0 then
          ai.poll(10)
        end
      end
      assert.equal("io_error", errors[1].error.code)
      assert.equal(0, errors[1].lost)
      assert.equal(1, ai.memory.retrieve("k"))
      ai.configure({ store = folder .. "/store.db" })
      ai.flush()
    end)
  end)

  it("cost nothing when nobody listens: nothing is put together", function()
    local id = echo()
    local shown = 0
    local input = setmetatable({}, {
      __tostring = function()
        shown = shown + 1
        return "x"
      end,
    })
    tool.execute(id, input)
    assert.equal(0, shown)
    assert.same({}, event.list_subscriptions())
  end)
end)
