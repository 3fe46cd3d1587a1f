-- Hooks around memory: what is on its way in and out.
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local hook, memory = zigllms.hook, zigllms.memory

for _, where in ipairs({ "the process", "the store" }) do
  describe("hooks and memory, in " .. where, function()
    local folder, options

    before_each(function()
      zigllms.reset()
      memory.clear()
      folder = stores.directory()
      options = {}
      if where == "the store" then
        zigllms.configure({ store = folder .. "/store.db" })
        options = { type = "persistent" }
      end
    end)

    after_each(function()
      memory.clear()
      zigllms.configure({ store = zigllms.null })
      zigllms.reset()
      stores.remove(folder)
    end)

    local function redact()
      return hook.register("memory_before_save", function(context)
        if type(context.data) == "string" then
          return (context.data:gsub("%d", "#"))
        end
      end)
    end

    it("memory_before_save changes what is kept, however it is kept", function()
      redact()
      assert.is_true(memory.store("a", "code 4711", options))
      assert.equal("code ####", memory.retrieve("a"))
      assert.equal(2, memory.store_many({ b = "1", c = true }, options))
      assert.same({ b = "#", c = true }, memory.retrieve_many({ "b", "c" }))
      assert.equal(
        2,
        memory.store_many({ { "d", "7" }, { "e", "8", { tags = { "t" } } } }, options)
      )
      assert.equal("#", memory.retrieve("d"))
      local value, about = memory.retrieve("e")
      assert.same({ "#", { "t" } }, { value, about.tags })
      local updated = memory.update("a", function(old)
        return old .. " 12"
      end, options)
      assert.equal("code #### ##", updated)
      assert.equal("code #### ##", memory.retrieve("a"))
    end)

    it("knows which entry it is, and may change tables in place", function()
      local seen
      hook.register("memory_before_save", function(context)
        seen = context
        context.data.stamp = "mine"
      end)
      local mine = { n = 1 }
      memory.store("k", mine, { session = "ann", type = options.type })
      assert.same({ "k", "session", "ann" }, { seen.key, seen.scope, seen.owner })
      assert.equal("memory_save", seen.operation or "memory_save")
      assert.same({ n = 1, stamp = "mine" }, memory.retrieve("k", { session = "ann" }))
      assert.same({ n = 1 }, mine)
    end)

    it("keeps any bytes", function()
      hook.register("memory_before_save", function(context)
        return context.data .. "\255\0"
      end)
      memory.store("bytes", "\254", options)
      assert.equal("\254\255\0", memory.retrieve("bytes"))
    end)

    it("a veto keeps nothing, and of many nothing at all", function()
      hook.register("memory_before_save", function(context)
        if context.key == "bad" then
          return false, "not that"
        end
      end)
      local err = raised("aborted_by_hook", memory.store, "bad", 1, options)
      assert.equal("store", err.func)
      assert.truthy(err.message:find("not that", 1, true))
      raised("aborted_by_hook", memory.store_many, { { "good", 1 }, { "bad", 2 } }, options)
      raised("aborted_by_hook", memory.increment, "bad", 1, options)
      assert.same({}, memory.list_keys())
      assert.is_true(memory.store("good", 1, options))
    end)

    it("increments pass as numbers", function()
      hook.register("memory_before_save", function(context)
        if context.data > 10 then
          return 10
        end
      end)
      assert.equal(7, memory.increment("n", 7, options))
      assert.equal(10, memory.increment("n", 7, options))
      assert.equal(10, memory.retrieve("n"))
    end)

    it("deleting is no saving", function()
      memory.store("k", 1, options)
      hook.register("memory_before_save", function()
        error("never")
      end)
      assert.is_true(memory.delete("k"))
    end)

    it("memory_after_load changes what is read, and nothing that is kept", function()
      memory.store_many({ a = "secret", b = "open" }, options)
      memory.store("t", { 1 }, { tags = { "x" }, type = options.type })
      local loads = {}
      local id = hook.register("memory_after_load", function(context)
        loads[#loads + 1] = context.key
        if context.result == "secret" then
          return "***"
        end
      end)
      assert.equal("***", memory.retrieve("a"))
      assert.same({ a = "***", b = "open" }, memory.retrieve_many({ "a", "b", "none" }))
      local value, about = memory.retrieve("t")
      assert.same({ { 1 }, { "x" } }, { { value[1] }, about.tags })
      assert.same({ "a", "a", "b", "none", "t" }, loads)
      hook.unregister(id)
      assert.equal("secret", memory.retrieve("a"))
    end)

    it("around: reads from elsewhere, writes again, measures", function()
      local order = {}
      hook.register("memory_save", function(context, continue)
        order[#order + 1] = "save " .. context.key
        local stored = continue()
        order[#order + 1] = "saved " .. tostring(stored)
        return stored
      end)
      hook.register("memory_load", function(context, continue)
        if context.key == "elsewhere" then
          return "from elsewhere"
        end
        return continue()
      end)
      assert.is_true(memory.store("k", 1, options))
      assert.equal(1, memory.retrieve("k"))
      assert.equal("from elsewhere", memory.retrieve("elsewhere"))
      assert.same({ "save k", "saved true" }, order)
    end)

    it("in each face", function()
      redact()
      local handle = memory.store("a", "1", { async = true, type = options.type })
      assert.is_true(handle:await())
      assert.equal("#", memory.retrieve("a", { async = true }):await())
      zigllms.run(function()
        memory.store("b", "2", options)
        assert.equal("#", memory.retrieve("b"))
      end)
      local co = coroutine.wrap(function()
        memory.store("c", "3", { async = false, type = options.type })
        return memory.retrieve("c")
      end)
      assert.equal("#", co())
    end)

    it("may use memory themselves", function()
      hook.register("memory_before_save", function(context)
        if context.key ~= "log" then
          memory.store("log", (memory.retrieve("log") or "") .. context.key, options)
        end
      end)
      memory.store("a", 1, options)
      memory.store("b", 1, options)
      assert.equal("ab", memory.retrieve("log"))
    end)

    it("bad arguments stay what they are, before any hook", function()
      local calls = 0
      hook.register("memory_before_save", function()
        calls = calls + 1
      end)
      raised("invalid_argument", memory.store, "", 1, options)
      raised("conversion_error", memory.store, "k", print, options)
      raised("invalid_argument", memory.store, "k", 1, { tttl = 1 })
      raised("invalid_argument", memory.store_many, { { "k" }, 1 }, options)
      assert.equal(0, calls)
    end)
  end)
end

describe("hooks and memory", function()
  before_each(function()
    zigllms.reset()
    memory.clear()
  end)

  after_each(function()
    zigllms.reset()
    memory.clear()
  end)

  it("a hook in a callback that cannot wait works all the same", function()
    hook.register("memory_before_save", function(context)
      return context.data .. "!"
    end)
    local found = ("a b"):gsub("%w", function(word)
      memory.store(word, word)
      return memory.retrieve(word)
    end)
    assert.equal("a! b!", found)
  end)

  it("a raw yield on the main thread gives Lua's usual error, as the cause", function()
    if
      coroutine.isyieldable and coroutine.isyieldable() or select(2, coroutine.running()) == false
    then
      print("SKIP a raw yield on the main thread: this runs in a coroutine")
      return
    end
    hook.register("memory_before_save", function()
      coroutine.yield(1)
    end)
    local err = raised("hook_error", memory.store, "k", 1)
    assert.truthy(tostring(err.cause):find("yield", 1, true))
  end)

  it("an agent's hooks are for memory used in its run", function()
    local seen = {}
    local id = zigllms.agent.create({
      provider = "openai",
      hooks = {
        memory_before_save = function(context)
          seen[#seen + 1] = context.key
        end,
      },
    })
    memory.store("outside", 1)
    assert.same({}, seen)
    zigllms.agent.destroy(id)
  end)
end)
