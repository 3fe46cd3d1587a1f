-- Conversations of agents in memory: read, set and cleared, persisted and loaded, and shared by
-- processes where they lie in the store.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local server = require("spec.support.server")
local size = require("spec.support.size")
local stores = require("spec.support.stores")

local agent, memory = zigllms.agent, zigllms.memory
local unpack = table.unpack or unpack -- luacheck: ignore

local function texts(messages)
  local all = {}
  for i, message in ipairs(messages or {}) do
    all[i] = message.content
  end
  return all
end

describe("The conversation of an agent", function()
  local http, directory

  setup(function()
    http = server.start()
  end)

  teardown(function()
    http:retired(zigllms)()
  end)

  before_each(function()
    http:as_default(zigllms)()
    zigllms.configure({ store = zigllms.null })
    memory.clear()
    directory = stores.directory()
  end)

  after_each(function()
    zigllms.reset()
    zigllms.configure({ store = zigllms.null })
    memory.clear()
    stores.remove(directory)
  end)

  -- An agent that has had a turn.
  local function ada(options)
    local config = { name = "ada", provider = "openai", model = "gpt-test" }
    for key, value in pairs(options or {}) do
      config[key] = value
    end
    return agent.create(config)
  end

  local function answers(...)
    local replies = {}
    for i, text in ipairs({ ... }) do
      replies[i] = server.text({ text })
    end
    http:script(unpack(replies))
  end

  local function heard()
    local requests = http:requests()
    return texts(requests[#requests].messages)
  end

  describe("under its reserved key", function()
    it("is what was said", function()
      local id = ada()
      assert.is_nil(memory.retrieve("conversation", { agent = id }))
      assert.equal("none", memory.retrieve("conversation", { agent = id, default = "none" }))
      answers("hi", "ho", "hm")
      agent.run(id, "hello")
      agent.run(id, "again", { session = "s" })
      local messages = memory.retrieve("conversation", { agent = id })
      assert.same({ "hello", "hi" }, texts(messages))
      assert.same("assistant", messages[2].role)
      assert.same(
        { "again", "ho" },
        texts(memory.retrieve("conversation:s", { scope = "agent", agent = "ada" }))
      )
      messages[1].content = "changed"
      assert.same({ "hello", "hi" }, texts(memory.retrieve("conversation", { agent = id })))
      assert.same({}, memory.list_keys(nil, { scope = "all" }))
      assert.equal(1, memory.get_stats().conversations.agents)
    end)

    it("can be set, and is what the model is told then", function()
      local id = ada()
      local said = {
        { role = "user", content = "I am Bob" },
        { role = "assistant", content = "Hello Bob" },
      }
      assert.is_true(memory.store("conversation", said, { agent = id }))
      assert.is_false(memory.store("conversation", "x", { agent = id, if_absent = true }))
      answers("Bob")
      agent.run(id, "Who am I?")
      assert.same({ "I am Bob", "Hello Bob", "Who am I?" }, heard())
      assert.is_false(memory.store("conversation", "x", { agent = id, if_absent = true }))
      memory.store("conversation", "just this", { agent = id })
      assert.same(
        { { role = "user", content = "just this" } },
        memory.retrieve("conversation", { agent = id })
      )
      assert.is_true(memory.delete("conversation", { agent = id }))
      assert.is_false(memory.delete("conversation", { agent = id }))
      memory.store("conversation", "x", { agent = id })
      memory.store("conversation", nil, { agent = id })
      assert.is_nil(memory.retrieve("conversation", { agent = id }))
    end)

    it("is checked as the input of a run", function()
      local id = ada()
      local err = raised("invalid_argument", memory.store, "conversation", {
        { role = "user", content = "a" },
        { role = "robot", content = "b" },
      }, { agent = id })
      assert.truthy(err.message:find("value[2].role", 1, true))
      raised("invalid_argument", memory.store, "conversation", true, { agent = id })
      raised("invalid_argument", memory.store, "conversation", "x", { agent = id, ttl = 1 })
      raised("invalid_argument", memory.store_many, { conversation = "x" }, { agent = id })
      raised("invalid_argument", memory.retrieve_many, { "conversation" }, { agent = id })
      raised("invalid_argument", memory.increment, "conversation", 1, { agent = id })
      assert.is_nil(memory.retrieve("conversation", { agent = id }))
      assert.is_true(memory.store("conversation", 1), "elsewhere it is a key like any other")
      assert.equal(1, memory.retrieve("conversation"))
      assert.is_true(memory.store("conversations", 1, { agent = id }))
    end)

    it("is its run's alone while one runs", function()
      local id = ada()
      http:script(server.text({ "late" }, { delay_ms = 2000 }))
      local handle = agent.run(id, "hello", { async = true })
      http:wait_for(1, zigllms.poll)
      raised("invalid_state", memory.store, "conversation", "x", { agent = id })
      raised("invalid_state", memory.delete, "conversation", { agent = id })
      memory.store("conversation:other", "x", { agent = id })
      handle:cancel()
    end)
  end)

  describe("in a snapshot", function()
    it("goes to the agent of its name, also to one that comes later", function()
      local id, path = ada(), directory .. "/memory.json"
      answers("hi", "ho")
      agent.run(id, "hello")
      agent.run(id, "again", { session = "s" })
      assert.equal(2, select(2, memory.persist(path)))
      agent.reset(id)
      assert.is_nil(memory.retrieve("conversation", { agent = id }))
      assert.equal(2, select(2, memory.load(path)))
      assert.same({ "hello", "hi" }, texts(memory.retrieve("conversation", { agent = id })))
      agent.destroy(id)
      memory.load(path)
      assert.same({ "hello", "hi" }, texts(memory.retrieve("conversation", { agent = "ada" })))
      assert.equal(2, select(2, memory.persist(path)), "those that wait are persisted too")
      id = ada()
      answers("hm")
      agent.run(id, "third")
      assert.same({ "hello", "hi", "third" }, heard())
      assert.equal(2, select(2, memory.load(path, { types = { "conversation" }, scope = "agent" })))
      assert.equal(0, select(2, memory.load(path, { scope = "global" })))
    end)

    it("tells agents of one name apart by their number", function()
      local path = directory .. "/memory.json"
      local first, second = ada(), ada()
      memory.store("conversation", "to the first", { agent = first })
      memory.store("conversation", "to the second", { agent = second })
      memory.persist(path)
      zigllms.reset()
      memory.load(path)
      http:as_default(zigllms)()
      memory.load(path)
      first, second = ada(), ada()
      assert.same({ "to the first" }, texts(memory.retrieve("conversation", { agent = first })))
      assert.same({ "to the second" }, texts(memory.retrieve("conversation", { agent = second })))
    end)

    it("goes with the new name of an agent that is renamed", function()
      local first, second = ada(), ada({ name = "bob" })
      agent.configure(second, { name = "ada" })
      memory.store("note", "first", { agent = first })
      memory.store("note", "second", { agent = second })
      assert.equal("first", memory.retrieve("note", { agent = first }))
      local owners = {}
      for i, item in ipairs(memory.list_keys("note", { scope = "all" })) do
        owners[i] = item.owner
      end
      assert.same({ "ada", "ada#2" }, owners)
    end)

    it("keeps calls that nobody has answered yet", function()
      local path = directory .. "/memory.json"
      local client = { name = "ask_human", description = "asks", parameters = { type = "object" } }
      local id = ada({ tools = { client } })
      http:script(server.calls({ { "c1", "ask_human", "{}" } }))
      local response = agent.run(id, "go")
      assert.equal("tool_calls", response.finish_reason)
      memory.persist(path)
      agent.destroy(id)
      memory.load(path)
      id = ada({ tools = { client } })
      assert.same({ "c1" }, select(2, agent.get_state(id)).pending)
      answers("fine")
      agent.run(id, { role = "tool", tool_call_id = "c1", content = "yes" })
      assert.same("yes", heard()[3])
    end)

    it("is not loaded over one that runs, and then nothing is", function()
      local id, path = ada(), directory .. "/memory.json"
      memory.store("conversation", "saved", { agent = id })
      memory.store("entry", "saved")
      memory.persist(path)
      memory.store("entry", "newer")
      http:script(server.text({ "late" }, { delay_ms = 2000 }))
      local handle = agent.run(id, "hello", { async = true })
      http:wait_for(1, zigllms.poll)
      raised("invalid_state", memory.load, path)
      assert.equal("newer", memory.retrieve("entry"))
      handle:cancel()
    end)
  end)

  it("comes back from a store, and goes where its agent goes", function()
    zigllms.configure({ store = directory .. "/store.db" })
    local id = ada()
    answers("hi")
    agent.run(id, "hello")
    memory.store("note", "n", { agent = id })
    memory.store("kept", "k", { agent = id, type = "persistent" })
    assert.equal(2, select(2, memory.persist()))
    zigllms.reset()
    assert.is_nil(memory.retrieve("note", { agent = "ada" }))
    assert.same(
      { "hello", "hi" },
      texts(memory.retrieve("conversation", { agent = "ada" })),
      "the store knows it without an agent"
    )
    memory.load()
    http:as_default(zigllms)()
    memory.load()
    id = ada()
    assert.same({ "hello", "hi" }, texts(memory.retrieve("conversation", { agent = id })))
    assert.equal("n", memory.retrieve("note", { agent = id }))
    agent.destroy(id, { keep_memory = true })
    assert.equal("k", memory.retrieve("kept", { agent = "ada" }))
    id = ada()
    agent.reset(id)
    assert.equal("k", memory.retrieve("kept", { agent = id }))
    agent.reset(id, { memory = true })
    assert.is_nil(memory.retrieve("kept", { agent = id }))
    assert.is_nil(memory.retrieve("note", { agent = id }))
    memory.store("kept", "k", { agent = id, type = "persistent" })
    memory.store("note", "n", { agent = id })
    memory.persist()
    agent.destroy(id)
    zigllms.flush()
    assert.same({}, memory.list_keys(nil, { scope = "all" }))
    assert.equal(0, select(2, memory.load()))
  end)

  it("of this state alone goes with `reset`", function()
    zigllms.configure({ store = directory .. "/store.db" })
    memory.store("global", 1)
    memory.store("session", 1, { scope = "session" })
    memory.store("agent", 1, { agent = "ada" })
    memory.store("kept", 1, { agent = "ada", type = "persistent" })
    zigllms.reset()
    assert.equal(1, memory.retrieve("global"))
    assert.is_nil(memory.retrieve("session", { scope = "session" }))
    assert.is_nil(memory.retrieve("agent", { agent = "ada" }))
    assert.equal(1, memory.retrieve("kept", { agent = "ada" }))
  end)

  describe("of the type persistent", function()
    local store

    before_each(function()
      store = directory .. "/store.db"
      zigllms.configure({ store = store })
    end)

    local function persistent()
      return ada({ memory = { type = "persistent", max_messages = 50 } })
    end

    -- What another process does with the same agent.
    local function elsewhere(chunk, ...)
      local result = program.run(([[
          local zigllms = require("zigllms")
          local agent, memory = zigllms.agent, zigllms.memory
          zigllms.configure({ store = %q, default_provider = "openai" })
          zigllms.provider.configure("openai", { base_url = %q, api_key = "t", retry = false })
          local id = agent.create({ name = "ada", model = "m", memory = { type = "persistent" } })
        ]]):format(store, http.url) .. chunk, { args = { ... } })
      assert.equal(0, result.rc, result.err)
      return result.out
    end

    it("is found again by another process, and by the next agent of that name", function()
      local id = persistent()
      assert.equal("persistent", agent.get_info(id).memory.type)
      answers("hi", "ho", "hm")
      agent.run(id, "hello")
      assert.equal("ho", elsewhere('io.write(tostring(agent.run(id, "again")))'))
      assert.same({ "hello", "hi", "again" }, heard())
      assert.same(
        { "hello", "hi", "again", "ho" },
        texts(memory.retrieve("conversation", { agent = id }))
      )
      agent.run(id, "third")
      assert.same({ "hello", "hi", "again", "ho", "third" }, heard())
      zigllms.reset()
      http:as_default(zigllms)()
      id = persistent()
      assert.equal(6, #memory.retrieve("conversation", { agent = id }))
    end)

    it("needs a store when it runs", function()
      zigllms.configure({ store = zigllms.null })
      local id = persistent()
      answers("hi")
      local err = raised("invalid_state", agent.run, id, "hello")
      assert.truthy(err.message:find("configure{store=}", 1, true))
      assert.equal(0, http:count())
      agent.run(id, "hello", { remember = false })
      zigllms.configure({ store = store })
      answers("hi")
      agent.run(id, "hello")
      assert.equal(2, #memory.retrieve("conversation", { agent = id }))
    end)

    it("is set, cleared and reset for all", function()
      local id = persistent()
      memory.store("conversation", "from here", { agent = id })
      answers("hi", "ho")
      elsewhere('agent.run(id, "there")')
      assert.same({ "from here", "there" }, heard())
      assert.is_true(memory.delete("conversation", { agent = id }))
      agent.run(id, "anew")
      assert.same({ "anew" }, heard())
      agent.reset(id)
      zigllms.flush()
      assert.equal(
        "nil",
        elsewhere('io.write(tostring(memory.retrieve("conversation", { agent = id })))')
      )
      memory.store("conversation:s", "x", { agent = id })
      agent.reset(id, { session = "s" })
      assert.is_nil(memory.retrieve("conversation:s", { agent = id }))
      memory.store("conversation", "x", { agent = id })
      agent.destroy(id)
      assert.is_nil(memory.retrieve("conversation", { agent = "ada" }))
    end)

    it("of an agent that was another type before goes into the store", function()
      local id = ada()
      answers("hi", "ho")
      agent.run(id, "hello")
      agent.configure(id, { memory = { type = "persistent" } })
      agent.run(id, "again")
      assert.same({ "hello", "hi", "again" }, heard())
      assert.equal("4", elsewhere('io.write(#memory.retrieve("conversation", { agent = id }))'))
    end)

    it("loaded from a snapshot goes over what the store has", function()
      local id, path = persistent(), directory .. "/memory.json"
      memory.store("conversation", "saved", { agent = id })
      memory.persist(path)
      memory.store("conversation", "newer", { agent = id })
      memory.load(path)
      assert.same({ "saved" }, texts(memory.retrieve("conversation", { agent = id })))
      answers("hi")
      agent.run(id, "hello")
      assert.same({ "saved", "hello" }, heard())
      assert.equal("3", elsewhere('io.write(#memory.retrieve("conversation", { agent = id }))'))
    end)

    it("keeps a turn that another process was faster than", function()
      local id = persistent()
      memory.store("conversation", "first", { agent = id })
      answers("one", "two")
      -- Both have read the same when the other one writes: ours asks the model in between.
      local response = agent.run(id, "mine", {
        stream = function(chunk)
          if chunk.done then
            elsewhere('agent.run(id, "theirs")')
          end
        end,
      })
      assert.equal("one", tostring(response))
      assert.same(
        { "first", "theirs", "two", "mine", "one" },
        texts(memory.retrieve("conversation", { agent = id }))
      )
      answers("three")
      agent.run(id, "next")
      assert.same({ "first", "theirs", "two", "mine", "one", "next" }, heard())
    end)

    it("loses no turn of many processes", function()
      local each = size(50, 5)
      local replies = {}
      for i = 1, 4 * each do
        replies[i] = server.text({ "r" })
      end
      http:script(unpack(replies))
      local id = persistent()
      local chunk = ([[
        for i = 1, %d do agent.run(id, arg[1] .. ":" .. i) end
      ]]):format(each)
      local pipes = {}
      for p = 1, 4 do
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(([[
          local zigllms = require("zigllms")
          local agent = zigllms.agent
          zigllms.configure({ store = %q, default_provider = "openai" })
          zigllms.provider.configure("openai", { base_url = %q, api_key = "t", retry = false })
          local id = agent.create({ name = "ada", model = "m", memory = { type = "persistent" } })
        ]]):format(store, http.url) .. chunk .. ' print("done")')
        file:close()
        local env = ("LUA_CPATH=%s LUA_PATH=%s"):format(
          program.quoted(package.cpath),
          program.quoted(package.path)
        )
        local command = ("env %s %s %s p%d 2>&1"):format(env, program.interpreter(), path, p)
        pipes[p] = { io.popen(command), path }
      end
      for _, pipe in ipairs(pipes) do
        assert.equal("done\n", pipe[1]:read("*a"))
        pipe[1]:close()
        os.remove(pipe[2])
      end
      local messages = memory.retrieve("conversation", { agent = id })
      assert.equal(2 * 4 * each, #messages)
      local seen = {}
      for i = 1, #messages, 2 do
        assert.equal("user", messages[i].role)
        assert.equal("assistant", messages[i + 1].role)
        local who, n = messages[i].content:match("(p%d):(%d+)")
        assert.equal((seen[who] or 0) + 1, tonumber(n), "turns of one process are in order")
        seen[who] = tonumber(n)
      end
    end)

    it("is as it was where the disk is full, and the answer is not lost", function()
      local disk = directory .. "/disk"
      os.execute("mkdir " .. disk)
      local mounted = program.shell("mount -t tmpfs -o size=1m tmpfs " .. disk)
      if mounted.rc ~= 0 then
        print("\nskipped: no disk can be made here: " .. mounted.err)
        return
      end
      finally(function()
        zigllms.configure({ store = zigllms.null })
        program.shell("umount " .. disk)
      end)
      zigllms.configure({ store = disk .. "/store.db" })
      local id = persistent()
      answers("hi", ("long "):rep(60000), "hm")
      agent.run(id, "hello")
      program.shell("dd if=/dev/zero bs=4k of=" .. disk .. "/filler")
      local err = raised("io_error", agent.run, id, "again")
      assert.equal("full", err.details.reason)
      assert.equal(300000, #err.partial.content)
      assert.equal("error", (agent.get_state(id)))
      os.remove(disk .. "/filler")
      agent.run(id, "third")
      assert.same({ "hello", "hi", "third" }, heard())
    end)
  end)
end)
