-- Entries of memory: what goes in comes out, whatever its type, scope and store.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")

local memory = zigllms.memory
local null = zigllms.null

local TYPES = { "short_term", "long_term", "persistent" }

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

-- `options` with a type.
local function typed(kind, options)
  local all = { type = kind }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return all
end

local function wait_until_gone(key)
  for _ = 1, 200 do
    if memory.retrieve(key) == nil then
      return true
    end
    zigllms.sleep(5)
  end
  return false
end

for _, store in ipairs(stores.all()) do
  describe("memory " .. store.name, function()
    setup(function()
      zigllms.configure({ store = store.open() })
    end)

    teardown(function()
      memory.clear()
      zigllms.configure({ store = null })
      store.close()
    end)

    before_each(function()
      memory.clear()
    end)

    for _, kind in ipairs(TYPES) do
      describe("of type " .. kind, function()
        local options = { type = kind }

        it("returns what was stored", function()
          for _, value in ipairs({ "text", "", "\0\255\200", 0, -1, 1.5, true, false, 2 ^ 53 }) do
            assert.is_true(memory.store("k", value, options))
            assert.equal(value, memory.retrieve("k"))
          end
        end)

        it("returns tables as they were, each time a fresh one", function()
          local value = {
            list = { 1, "two", { three = 3 } },
            bytes = "\0\1\254",
            ["key\0\255"] = 1,
            none = null,
            empty = {},
            deep = { { { { {} } } } },
          }
          memory.store("k", value, options)
          value.list[1] = "changed"
          local found = memory.retrieve("k")
          assert.same({ 1, "two", { three = 3 } }, found.list)
          assert.equal("\0\1\254", found.bytes)
          assert.equal(1, found["key\0\255"])
          assert.equal(null, found.none)
          assert.same({}, found.empty)
          found.list[1] = "mine"
          assert.equal(1, memory.retrieve("k").list[1])
        end)

        it("keeps empty arrays arrays", function()
          memory.store("k", { list = zigllms.array({}), map = zigllms.object({}) }, options)
          local found = memory.retrieve("k")
          assert.equal("[]", zigllms.output.format(found.list, "json"))
          assert.equal("{}", zigllms.output.format(found.map, "json"))
        end)

        it("tells integers from floats where the engine does", function()
          memory.store("k", { 1, 1.0, -0.0 }, options)
          local found = memory.retrieve("k")
          assert.equal(math.type and "integer" or nil, math.type and math.type(found[1]))
          assert.equal(math.type and "float" or nil, math.type and math.type(found[2]))
          assert.equal(-math.huge, 1 / found[3])
        end)

        it("is replaced as a whole: value, type, life and tags", function()
          memory.store(
            "k",
            1,
            typed(kind, { ttl_ms = 1e9, tags = { "old" }, metadata = { a = 1 } })
          )
          memory.store("k", 2, options)
          local value, about = memory.retrieve("k")
          assert.equal(2, value)
          assert.is_nil(about)
          local item = memory.list_keys("k", { detail = true })[1]
          assert.is_nil(item.expires_at)
        end)

        it("changes its type and is there once", function()
          for _, other in ipairs(TYPES) do
            memory.store("k", kind, options)
            memory.store("k", other, { type = other })
            assert.equal(other, memory.retrieve("k"))
            local items = memory.list_keys(nil, { detail = true })
            assert.equal(1, #items)
            assert.equal(other, items[1].type)
            assert.is_true(memory.delete("k"))
            assert.is_nil(memory.retrieve("k"))
          end
        end)

        it("goes with delete, and with nil", function()
          memory.store("k", 1, options)
          assert.is_true(memory.delete("k"))
          assert.is_false(memory.delete("k"))
          memory.store("k", 1, options)
          assert.is_true(memory.store("k", nil))
          assert.is_nil(memory.retrieve("k"))
          memory.store("k", 1, options)
          assert.is_true(memory.store("k", null, options))
          assert.is_false(memory.delete("k"))
        end)

        it("expires", function()
          memory.store("k", 1, typed(kind, { ttl_ms = 30 }))
          memory.store("seconds", 1, typed(kind, { ttl = 0.03 }))
          assert.equal(1, memory.retrieve("k"))
          assert.is_true(wait_until_gone("k"))
          assert.is_true(wait_until_gone("seconds"))
          assert.same({}, memory.list_keys())
          assert.is_false(memory.delete("k"))
          assert.is_true(memory.store("k", 2, typed(kind, { if_absent = true })))
        end)

        it("is kept once with if_absent", function()
          local once = typed(kind, { if_absent = true })
          assert.is_true(memory.store("k", 1, once))
          assert.is_false(memory.store("k", 2, once))
          assert.equal(1, memory.retrieve("k"))
          for _, other in ipairs(TYPES) do
            assert.is_false(memory.store("k", 3, { type = other, if_absent = true }))
          end
          memory.delete("k")
          assert.is_true(memory.store("k", 4, once))
        end)

        it("has tags and metadata", function()
          local about = { tags = { "a", "b" }, metadata = { from = "here", n = { 1 } } }
          memory.store("k", "v", typed(kind, about))
          memory.store("other", "v", options)
          local value, found = memory.retrieve("k")
          assert.equal("v", value)
          assert.same({ "a", "b" }, found.tags)
          assert.same({ from = "here", n = { 1 } }, found.metadata)
          assert.same({ "k" }, memory.list_keys(nil, { tag = "b" }))
          local item = memory.list_keys("k", { detail = true })[1]
          assert.same({ "a", "b" }, item.tags)
          assert.same({ from = "here", n = { 1 } }, item.metadata)
        end)

        it("is incremented and updated in place", function()
          memory.store("n", 1, typed(kind, { tags = { "t" }, ttl_ms = 1e8 }))
          assert.equal(2, memory.increment("n"))
          assert.equal(0.5, memory.increment("n", -1.5))
          assert.equal(
            "0.5!",
            memory.update("n", function(old)
              return old .. "!"
            end)
          )
          local item = memory.list_keys("n", { detail = true })[1]
          assert.equal(kind, item.type)
          assert.same({ "t" }, item.tags)
          assert.is_number(item.expires_at)
        end)

        it("is made by increment and update where there is none", function()
          assert.equal(5, memory.increment("n", 5, options))
          assert.same(
            { 1 },
            memory.update("u", function(old)
              assert.is_nil(old)
              return { 1 }
            end, options)
          )
          for _, item in ipairs(memory.list_keys(nil, { detail = true })) do
            assert.equal(kind, item.type)
          end
        end)
      end)
    end

    it("sees its own writes at once, as lists and statistics do", function()
      for i = 1, 10 do
        assert.is_true(memory.store("key_" .. i, "value_" .. i, { type = TYPES[i % 3 + 1] }))
      end
      assert.equal("value_7", memory.retrieve("key_7"))
      assert.equal(10, #memory.list_keys("key_*"))
      local stats = memory.get_stats()
      assert.equal(10, stats.total_keys)
      assert.equal(10, stats.by_scope.global)
      assert.same({ short_term = 3, long_term = 4, persistent = 3 }, stats.by_type)
      assert.truthy(stats.bytes > 100)
    end)

    it("stores and retrieves many at once", function()
      assert.equal(3, memory.store_many({ a = 1, b = { 2 }, c = "\255" }, { type = "persistent" }))
      assert.equal(
        2,
        memory.store_many({ { "d", 4 }, { 5, 5, { type = "long_term", tags = { "five" } } } })
      )
      local found = memory.retrieve_many({ "a", "b", "c", "d", "5", "none" })
      assert.same({ a = 1, b = { 2 }, c = "\255", d = 4, ["5"] = 5 }, found)
      local item = memory.list_keys("5", { detail = true })[1]
      assert.equal("long_term", item.type)
      assert.same({ "five" }, item.tags)
      assert.same({}, memory.retrieve_many({}))
      assert.equal(0, memory.store_many({}))
      assert.equal(1, memory.store_many({ { "a", 9 }, { "new", 9 } }, { if_absent = true }))
      assert.equal(1, memory.retrieve("a"))
    end)

    it("keeps many in their order, whatever each of them wants", function()
      local count = memory.store_many({
        { "k", 1, { durability = "sync" } },
        { "k", 2, { if_absent = true } },
        { "new", 3, { if_absent = true } },
        { "new", 4 },
      }, { type = "persistent" })
      assert.equal(3, count)
      assert.same({ k = 1, new = 4 }, memory.retrieve_many({ "k", "new" }))
    end)

    it("keeps nothing of many when one of them is wrong", function()
      local err = raised("invalid_argument", memory.store_many, {
        { "good", 1 },
        { "bad", 2, { ttl = "long" } },
      })
      has(tostring(err), "entries[2][3].ttl: expected a number")
      err = raised("invalid_argument", memory.store_many, { { "good", 1 }, { "", 2 } })
      has(tostring(err), "entries[2][1]: expected a non-empty string or a number")
      raised("invalid_argument", memory.store_many, { { "good", 1 }, {} })
      raised("conversion_error", memory.store_many, { good = 1, bad = print })
      assert.same({}, memory.list_keys())
    end)

    it("lists keys in order, by pattern, type, tag and number", function()
      for _, key in ipairs({ "b", "a", "a:2", "a:10", "z?" }) do
        memory.store(key, key, { type = key == "b" and "persistent" or "short_term" })
      end
      assert.same({ "a", "a:10", "a:2", "b", "z?" }, memory.list_keys())
      assert.same({ "a:10", "a:2" }, memory.list_keys("a:*"))
      assert.same({ "a:2" }, memory.list_keys("a:?"))
      assert.same({ "b" }, memory.list_keys(nil, { type = "PERSISTENT" }))
      assert.same({ "a", "a:10" }, memory.list_keys("*", { limit = 2 }))
      assert.same({}, memory.list_keys("none*"))
    end)

    it("keeps owners apart and finds each by its scope", function()
      for _, kind in ipairs(TYPES) do
        memory.store("k", "global", { type = kind })
        memory.store("k", "bob", { type = kind, scope = "agent", agent = "bob" })
        memory.store("k", "ann", { type = kind, agent = "ann" })
        memory.store("k", "mine", { type = kind, scope = memory.Scope.SESSION })
        memory.store("k", "yours", { type = kind, session = "you" })
        assert.equal("global", memory.retrieve("k"))
        assert.equal("bob", memory.retrieve("k", { agent = "bob" }))
        assert.equal("ann", memory.retrieve("k", { agent = "ann" }))
        assert.equal("mine", memory.retrieve("k", { scope = "session" }))
        assert.equal("yours", memory.retrieve("k", { session = "you" }))
        assert.is_nil(memory.retrieve("k", { agent = "nobody" }))
        assert.same({ "k" }, memory.list_keys(nil, { agent = "bob" }))
        local owners = {}
        for _, item in ipairs(memory.list_keys(nil, { scope = "all" })) do
          owners[#owners + 1] = item.scope .. ":" .. (item.scope == "agent" and item.owner or "")
        end
        assert.same({ "agent:ann", "agent:bob", "global:", "session:", "session:" }, owners)
        local ok, count = memory.clear({ agent = "bob" })
        assert.is_true(ok)
        assert.equal(1, count)
        assert.is_nil(memory.retrieve("k", { agent = "bob" }))
        assert.equal("ann", memory.retrieve("k", { agent = "ann" }))
        assert.equal(4, select(2, memory.clear()))
      end
    end)

    it("clears what is meant and says how much", function()
      for i, kind in ipairs(TYPES) do
        memory.store("a" .. i, 1, { type = kind })
        memory.store("b" .. i, 1, { type = kind })
      end
      assert.equal(3, select(2, memory.clear({ pattern = "a*" })))
      assert.equal(1, select(2, memory.clear({ type = "long_term" })))
      assert.equal(1, select(2, memory.clear({ type = "persistent", scope = "global" })))
      assert.same({ "b1" }, memory.list_keys())
      assert.equal(0, select(2, memory.clear({ session = "nobody" })))
      assert.equal(1, select(2, memory.clear({})))
    end)

    it("takes numbers as keys", function()
      memory.store(7, "seven")
      memory.store(1.5, "half", { type = "persistent" })
      assert.equal("seven", memory.retrieve("7"))
      assert.equal("half", memory.retrieve("1.5"))
      assert.is_true(memory.delete(7))
    end)

    it("gives the default where there is nothing", function()
      assert.is_nil(memory.retrieve("none"))
      assert.equal(5, memory.retrieve("none", { default = 5 }))
      assert.same({ a = { 1 } }, memory.retrieve("none", { default = { a = { 1 } } }))
      assert.is_false(memory.retrieve("none", { default = false }))
      memory.store("some", false)
      assert.is_false(memory.retrieve("some", { default = true }))
    end)

    it("has the three faces of a call that waits", function()
      memory.store("k", { 1 }, { type = "persistent" })
      local handle = memory.retrieve("k", { async = true })
      assert.same({ 1 }, handle:await())
      assert.equal("completed", handle:status())
      assert.same({ 1 }, memory.retrieve("k", { async = false }))
      local stored = memory.store("k", 2, { type = "persistent", async = true })
      assert.is_true(stored:await())
      local results = zigllms.run(function()
        return { memory.retrieve("k"), memory.increment("k"), #memory.list_keys() }
      end)
      assert.same({ 2, 3, 1 }, results)
      assert.equal(
        4,
        memory
          .update("k", function(n)
            return n + 1
          end, { async = true })
          :await()
      ) -- stylua: ignore
    end)

    it("lets an update run again when the value changed under it", function()
      for _, kind in ipairs(TYPES) do
        memory.store("k", 1, { type = kind })
        local seen = {}
        local result = memory.update("k", function(old)
          seen[#seen + 1] = old
          if #seen == 1 then
            memory.store("k", 10, { type = kind })
          end
          return old + 1
        end)
        assert.same({ 1, 10 }, seen)
        assert.equal(11, result)
        assert.equal(11, memory.retrieve("k"))
        memory.clear()
      end
    end)

    it("runs an update once where nobody interferes", function()
      for _, kind in ipairs(TYPES) do
        memory.store("k", 1, { type = kind })
        local runs = 0
        memory.update("k", function(old)
          runs = runs + 1
          return old + 1
        end)
        assert.equal(1, runs)
        memory.clear()
      end
    end)

    it("deletes by an update that returns nil", function()
      for _, kind in ipairs(TYPES) do
        memory.store("k", 1, { type = kind })
        assert.is_nil(memory.update("k", function() end))
        assert.is_nil(memory.retrieve("k"))
        assert.is_nil(memory.update("k", function() end, { type = kind }))
      end
    end)

    it("changes nothing when an update fails", function()
      local boom = {}
      for _, kind in ipairs(TYPES) do
        memory.store("k", 1, { type = kind })
        local err = raised("callback_error", memory.update, "k", function()
          error(boom)
        end)
        assert.equal(boom, err.cause)
        raised("conversion_error", memory.update, "k", function()
          return { print }
        end)
        assert.equal(1, memory.retrieve("k"))
      end
    end)

    it("says what is no number", function()
      memory.store("k", "text", { type = "persistent" })
      local err = raised("invalid_state", memory.increment, "k")
      has(tostring(err), '"k" holds a string, not a number')
      memory.store("k", 1e308)
      raised("invalid_state", memory.increment, "k", 1e308)
      assert.equal(1e308, memory.retrieve("k"))
    end)
  end)
end

describe("memory", function()
  before_each(function()
    zigllms.reset()
    memory.clear()
    zigllms.configure({ memory = null, session = null })
  end)

  teardown(function()
    memory.clear()
    zigllms.configure({ memory = null, session = null })
  end)

  it("drops the short-lived entry that was unused for longest when there are too many", function()
    zigllms.configure({ memory = { max_entries = 3 } })
    memory.store("long", 0, { type = "long_term" })
    for i = 1, 3 do
      memory.store("k" .. i, i)
    end
    assert.equal(1, memory.retrieve("k1"))
    memory.store("k4", 4)
    assert.same({ "k1", "k3", "k4", "long" }, memory.list_keys())
    zigllms.configure({ memory = null })
    assert.equal(10000, zigllms.config().memory.max_entries)
  end)

  it("counts hits and misses, expiry and eviction", function()
    local before = memory.get_stats()
    memory.store("k", 1)
    memory.retrieve("k")
    memory.retrieve("k", {})
    memory.retrieve("none")
    local stats = memory.get_stats()
    assert.equal(2, stats.hits - before.hits)
    assert.equal(1, stats.misses - before.misses)
    assert.truthy(stats.hit_rate > 0 and stats.hit_rate <= 1)
    assert.equal("memory", stats.store)
  end)

  it("says that persistent entries are in no store yet", function()
    memory.store("k", 1, { type = "persistent" })
    assert.equal(1, memory.get_stats().dirty)
  end)

  it("has sessions of its own for each instance, and those that are named", function()
    local other = zigllms.new()
    memory.store("k", "mine", { scope = "session" })
    assert.is_nil(other.memory.retrieve("k", { scope = "session" }))
    zigllms.configure({ session = "named" })
    assert.is_nil(memory.retrieve("k", { scope = "session" }))
    memory.store("k", "theirs", { scope = "session" })
    assert.equal("theirs", memory.retrieve("k", { session = "named" }))
    zigllms.configure({ session = null })
    assert.equal("mine", memory.retrieve("k", { scope = "session" }))
  end)

  it("shares the scope global with all instances of the process", function()
    local other = zigllms.new()
    memory.store("k", { 1 })
    assert.same({ 1 }, other.memory.retrieve("k"))
    other.memory.increment("n", 2)
    assert.equal(2, memory.retrieve("n"))
    other.reset()
    assert.same({ 1 }, memory.retrieve("k"))
  end)

  it("knows an agent by its id and its name, and two of a name apart", function()
    local first = zigllms.agent.create({ name = "twin", provider = "openai" })
    local second = zigllms.agent.create({ name = "twin", provider = "openai" })
    memory.store("k", 1, { agent = first })
    memory.store("k", 2, { agent = zigllms.agent.get_info(second) })
    assert.equal(1, memory.retrieve("k", { agent = first }))
    assert.equal(2, memory.retrieve("k", { agent = second }))
    local owners = {}
    for i, item in ipairs(memory.list_keys(nil, { scope = "all" })) do
      owners[i] = item.owner
    end
    assert.same({ "twin", "twin#2" }, owners)
  end)

  it("lists all keys or fails, where the store is taken away meanwhile", function()
    local directory, entries = stores.directory(), {}
    zigllms.configure({ store = directory .. "/store.db" })
    for i = 1, 5000 do
      entries["k" .. i] = i
    end
    memory.store_many(entries, { type = "persistent" })
    local keys = memory.list_keys(nil, { async = true })
    zigllms.configure({ store = null })
    -- A store that is quick enough has given all of them by now.
    local ok, got = pcall(keys.await, keys)
    stores.remove(directory)
    if ok then
      assert.equal(5000, #got)
    else
      assert.equal("invalid_state", got.code)
      has(got.message, "took the store away")
    end
  end)

  it("refuses what is wrong, and says where", function()
    local function message(code, ...)
      return tostring(raised(code, ...))
    end
    local bad = "invalid_argument"
    has(
      message(bad, memory.store),
      "argument #1: key: expected a non-empty string or a number, got nil"
    )
    has(message(bad, memory.store, "", 1), 'got ""')
    has(message(bad, memory.store, {}, 1), "got a table")
    has(message(bad, memory.store, "k", 1, { ttl = -1 }), "options.ttl")
    has(message(bad, memory.store, "k", 1, { type = "eternal" }), '"long_term"')
    has(message(bad, memory.store, "k", 1, { scop = 1 }), 'did you mean "scope"?')
    has(
      message(bad, memory.store, "k", 1, { agent = "a", session = "b" }),
      "`agent` goes with scope"
    )
    has(message(bad, memory.store, "k", 1, { scope = "global", agent = "a" }), 'scope "global"')
    has(message(bad, memory.retrieve, "k", { scope = "agent" }), "options.agent: expected the id")
    has(message(bad, memory.update, "k"), "argument #2: fn: expected a function, got nil")
    has(message(bad, memory.update, "k", 1), "expected a function, got 1")
    has(message(bad, memory.increment, "k", "1"), "argument #2: by: expected a number")
    has(message(bad, memory.retrieve_many, "k"), "argument #1: keys: expected an array")
    has(message(bad, memory.retrieve_many, { "" }), "keys[1]")
    has(message(bad, memory.list_keys, 5), "argument #1: pattern: expected a string")
    local lost = "conversion_error"
    has(message(lost, memory.store, "k", { f = { print } }), "value.f[1]: a function is not data")
    has(message(lost, memory.store, "k", 0 / 0), "NaN")
    has(message(lost, memory.store, "k", { [{}] = 1 }), "cannot be a key")
    local cycle = {}
    cycle.me = cycle
    has(message(lost, memory.store, "k", cycle), "value.me: the table contains itself")
    assert.same({}, memory.list_keys())
  end)

  it("has constants", function()
    assert.equal("short_term", memory.Type.SHORT_TERM)
    assert.equal("long_term", memory.Type.LONG_TERM)
    assert.equal("persistent", memory.Type.PERSISTENT)
    assert.equal("global", memory.Scope.GLOBAL)
    assert.equal("agent", memory.Scope.AGENT)
    assert.equal("session", memory.Scope.SESSION)
  end)

  it("never calls a metamethod and never keeps what was changed later", function()
    local trap = setmetatable({ 1 }, {
      __index = function()
        error("called")
      end,
      __len = function()
        error("called")
      end,
    })
    assert.is_true(memory.store("k", trap))
    assert.same({ 1 }, memory.retrieve("k"))
  end)

  it("works from every callback, and in finalisers", function()
    local handle = zigllms.spawn(function()
      memory.store("k", 1)
      zigllms.sleep(1)
      return memory.increment("k")
    end)
    assert.equal(2, handle:await())
    zigllms.tool.register({
      name = "remember",
      execute = function(input)
        memory.store("note", input.text, { type = "persistent" })
        return memory.retrieve("note")
      end,
    })
    assert.equal("hi", zigllms.tool.execute("remember", { text = "hi" }))
  end)
end)
