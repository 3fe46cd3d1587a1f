-- Results that are kept: what a hit is, what it depends on, and that it is never wrong.
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local size = require("spec.support.size")

local server = scripted.start()

-- A text that takes more to read than to look up.
local function long_text(marker)
  return '{"marker": "' .. marker .. '", "list": [' .. ("1, "):rep(600) .. "2"
end

describe("the cache", function()
  local zigllms, cache

  before_each(function()
    zigllms = require("zigllms").new()
    cache = zigllms.cache
    zigllms.configure({ default_provider = "openai" })
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
    server:script()
  end)

  teardown(function()
    server:stop()
  end)

  local function switch(...)
    local functions = {}
    for _, name in ipairs({ ... }) do
      functions[name] = true
    end
    zigllms.configure({ cache = { functions = functions } })
  end

  local function counts(name)
    return cache.stats().by_function[name] or { hits = 0, misses = 0 }
  end

  describe("is configured", function()
    local DEFAULTS = {
      enabled = true,
      size = 1000,
      max_bytes = 33554432,
      ttl_ms = 300000,
      eviction = "lru",
      functions = {},
    }

    it("with defaults that config() shows", function()
      assert.same(DEFAULTS, zigllms.config().cache)
    end)

    it("key by key; null restores a default", function()
      zigllms.configure({ cache = { size = 7, functions = { ["output.parse"] = true } } })
      zigllms.configure({
        cache = { eviction = "LFU", functions = { ["schema.compile"] = false } },
      })
      local config = zigllms.config().cache
      assert.equal(7, config.size)
      assert.equal("lfu", config.eviction)
      assert.same({ ["output.parse"] = true, ["schema.compile"] = false }, config.functions)
      zigllms.configure({
        cache = { size = zigllms.null, functions = { ["output.parse"] = zigllms.null } },
      })
      config = zigllms.config().cache
      assert.equal(1000, config.size)
      assert.same({ ["schema.compile"] = false }, config.functions)
      zigllms.configure({ cache = { functions = zigllms.null } })
      assert.same({}, zigllms.config().cache.functions)
      zigllms.configure({ cache = zigllms.null })
      assert.same(DEFAULTS, zigllms.config().cache)
    end)

    it("and bad values change nothing and say what is wrong", function()
      local function refused(options, ...)
        local err = raised("invalid_argument", zigllms.configure, { cache = options })
        for _, words in ipairs({ ... }) do
          assert.truthy(err.message:find(words, 1, true), err.message)
        end
      end
      refused({ size = -1 }, "cache.size")
      refused({ eviction = "random" }, "cache.eviction", '"lru", "lfu", "fifo"')
      refused({ ttl = 5 }, "cache.ttl", "ttl_ms")
      refused({ functions = { ["output.parse"] = 1 } }, "functions")
      refused({ functions = { ["output.prase"] = true } }, "no such function", '"output.parse"')
      refused({ functions = { ["agent.create"] = true } }, "cannot be cached", "changes agents")
      refused({ functions = { ["agent.run"] = true } }, "cannot be cached", "effects")
      refused({ functions = { ["agent.get_state"] = true } }, "cannot be cached")
      refused({ size = 5, functions = { nonsense = true } })
      assert.same(DEFAULTS, zigllms.config().cache)
    end)

    it("for each instance by itself", function()
      local other = zigllms.new({ cache = { size = 3 } })
      assert.equal(3, other.config().cache.size)
      assert.equal(1000, zigllms.config().cache.size)
      other.schema.check(1, { minimum = 0 })
      assert.equal(0, cache.stats().entries)
      assert.equal(1, other.cache.stats().entries)
    end)
  end)

  describe("tells", function()
    it("what it did", function()
      zigllms.schema.check(1, { minimum = 0 })
      zigllms.schema.check(2, { minimum = 0 })
      zigllms.output.recover(long_text("a"))
      local stats = cache.stats()
      assert.equal(2, stats.entries)
      assert.equal(1, stats.hits)
      assert.equal(2, stats.misses)
      assert.is_true(stats.bytes > 1500 and stats.enabled)
      assert.same({ hits = 1, misses = 1 }, stats.by_function["schema.compile"])
      assert.same({ hits = 0, misses = 1 }, stats.by_function["output.recover"])
      local metrics = zigllms.metrics()
      assert.same(stats, metrics.cache)
      assert.equal(1, metrics.cache_hits)
      assert.equal(2, metrics.cache_misses)
      assert.is_true(math.abs(metrics.cache_hit_rate - 1 / 3) < 1e-9)
    end)

    it("names as the reference has them", function()
      local reference, known = require("zigllms.reference"), {}
      for _, bridge in ipairs(reference.bridges) do
        for _, fn in ipairs(bridge.functions) do
          known[fn.full_name] = true
        end
      end
      local err = raised("invalid_argument", zigllms.configure, {
        cache = { functions = { zzzzzzzzzzzz = true } },
      })
      local count = 0
      for name in err.message:match("those that can be cached: (.*)"):gmatch("[%w_.]+") do
        assert.is_true(known[name] or false, name)
        count = count + 1
      end
      assert.is_true(count > 20)
    end)

    it("counts anew after a reset, of the counts or of everything", function()
      zigllms.schema.check(1, { minimum = 0 })
      zigllms.metrics({ reset = true })
      assert.equal(0, cache.stats().misses)
      assert.equal(1, cache.stats().entries)
      zigllms.schema.check(1, { minimum = 0 })
      assert.equal(1, cache.stats().hits)
      zigllms.reset()
      local stats = cache.stats()
      assert.same({ 0, 0, 0 }, { stats.hits, stats.entries, stats.bytes })
    end)
  end)

  describe("is cleared", function()
    it("by the names of functions", function()
      zigllms.schema.check(1, { minimum = 0 })
      zigllms.schema.check(1, { minimum = 1 })
      zigllms.output.recover(long_text("a"))
      assert.equal(0, cache.clear("provider.*"))
      assert.equal(2, cache.clear("schema.*"))
      assert.equal(1, cache.stats().entries)
      assert.equal(1, cache.clear())
      assert.equal(0, cache.clear())
      assert.equal(0, cache.stats().bytes)
    end)

    it("and is not a bridge", function()
      for _, name in ipairs(zigllms.modules()) do
        assert.not_equal("cache", name)
      end
      raised("invalid_argument", cache.clear, "")
      raised("invalid_argument", cache.clear, 5)
      assert.truthy(zigllms.help("cache.clear"):find("pattern", 1, true))
    end)
  end)

  describe("gives", function()
    it("fresh tables: what a caller does to one is its own affair", function()
      local first = zigllms.output.recover(long_text("a"))
      first.list[1], first.marker = "poisoned", nil
      local second = zigllms.output.recover(long_text("a"))
      assert.equal(1, second.list[1])
      assert.equal("a", second.marker)
      assert.not_equal(first, second)
      assert.equal(1, counts("output.recover").hits)
    end)

    it("all results of a call", function()
      local _, first = zigllms.output.recover(long_text("a"))
      local _, second = zigllms.output.recover(long_text("a"))
      assert.same(first, second)
      assert.is_true(second.recovered)
      assert.equal(1, counts("output.recover").hits)
    end)

    it("nothing for what is done sooner than looked up", function()
      zigllms.output.recover("[1, 2")
      zigllms.output.recover("[1, 2")
      assert.same({ hits = 0, misses = 0 }, counts("output.recover"))
    end)

    it("errors anew each time", function()
      switch("output.parse", "schema.merge")
      local broken = '{"a": ' .. (" "):rep(2000)
      for _ = 1, 2 do
        raised("parse_failed", zigllms.output.parse, broken, { recovery = "strict" })
        raised("validation_failed", zigllms.schema.check, 1, { type = "nonsense" })
      end
      assert.equal(0, cache.stats().entries)
      assert.equal(0, cache.stats().hits)
    end)

    it("what was switched on, and not what was switched off", function()
      local text = "[" .. ("1,"):rep(1000) .. "1]"
      zigllms.output.parse(text)
      assert.same({ hits = 0, misses = 0 }, counts("output.parse"))
      switch("output.parse", "output.format", "agent.get_info", "agent.list", "tool.list")
      switch("provider.list", "provider.get", "schema.generate", "schema.get_info")
      local agent = zigllms.agent.create({})
      for _ = 1, 3 do
        assert.equal(1001, #zigllms.output.parse(text))
        assert.equal('{"a":1}', zigllms.output.format({ a = 1 }))
        assert.equal("object", zigllms.schema.generate({ a = 1 }).type)
        assert.equal(agent, zigllms.agent.get_info(agent).id)
        assert.equal(1, #zigllms.agent.list())
        assert.same({}, zigllms.tool.list())
        assert.equal("openai", zigllms.provider.get("openai").id)
        assert.equal(4, #zigllms.provider.list())
        assert.equal("integer", zigllms.schema.get_info({ type = "integer" }).type)
      end
      for _, name in ipairs({
        "output.parse",
        "output.format",
        "schema.generate",
        "agent.get_info",
        "agent.list",
        "tool.list",
        "provider.get",
        "provider.list",
        "schema.get_info",
      }) do
        assert.same({ hits = 2, misses = 1 }, counts(name), name)
      end
      zigllms.configure({ cache = { functions = { ["schema.compile"] = false } } })
      local before = counts("schema.compile")
      zigllms.schema.check(1, { minimum = 0 })
      assert.same(before, counts("schema.compile"))
    end)

    it("nothing at all when it is off", function()
      zigllms.schema.check(1, { minimum = 0 })
      zigllms.configure({ cache = { enabled = false } })
      local stats = cache.stats()
      assert.is_false(stats.enabled)
      assert.equal(0, stats.entries)
      zigllms.schema.check(1, { minimum = 0 })
      zigllms.output.recover(long_text("a"))
      assert.equal(stats.misses, cache.stats().misses)
      assert.equal(0, cache.stats().entries)
    end)
  end)

  describe("tells questions apart", function()
    -- How many different questions the arguments are.
    local function different(list)
      switch("schema.generate")
      cache.clear()
      zigllms.metrics({ reset = true })
      for _, value in ipairs(list) do
        zigllms.schema.generate(value)
      end
      return counts("schema.generate").misses
    end

    it("by their values", function()
      assert.equal(7, different({ 1, "1", true, { 1 }, { a = 1 }, { b = 1 }, { { 1 } } }))
      if math.type then
        assert.equal(2, different({ 1, 1.0, 1 }))
      end
      assert.equal(
        2,
        different({ { a = 1, b = { 2 } }, { a = 1, b = { 3 } }, { a = 1, b = { 2 } } })
      )
    end)

    it("by marks of empty tables", function()
      local list = { {}, zigllms.array({}), zigllms.object({}), {} }
      assert.equal(3, different(list))
    end)

    it("but not by the order in which members were set", function()
      local one, other = {}, {}
      for i = 1, 50 do
        one["k" .. i] = i
        other["k" .. (51 - i)] = 51 - i
      end
      assert.equal(1, different({ one, other }))
    end)

    it("and never keeps what has a function or an object in it", function()
      switch("output.parse", "schema.merge", "schema.get_info")
      local compiled = zigllms.schema.compile({ type = "integer" })
      local before = cache.stats()
      for _ = 1, 2 do
        zigllms.schema.merge(compiled, { minimum = 3 })
        zigllms.schema.get_info(compiled)
        local opaque = { text = long_text("a"), fn = print }
        assert.equal(opaque, (zigllms.output.parse(opaque)))
      end
      assert.equal(before.entries, cache.stats().entries)
      assert.equal(before.hits, cache.stats().hits)
    end)
  end)

  -- A compiled object is known by a number, and numbers of dead ones are used again.
  it("does not take a compiled schema for one that is gone", function()
    local options = { formats = false }
    local function with(definition)
      local compiled = zigllms.schema.compile(definition)
      local valid = zigllms.schema.check("text", compiled, options)
      compiled = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      return valid
    end
    for _ = 1, 5 do
      assert.is_true(with({ type = "string" }))
      assert.is_false((with({ type = "integer" })))
    end
  end)

  describe("makes room", function()
    local function ask(n)
      local before = counts("schema.generate").hits
      zigllms.schema.generate({ n })
      return counts("schema.generate").hits > before
    end

    local function limited(options)
      switch("schema.generate")
      zigllms.configure({ cache = options })
    end

    it("for what was used last", function()
      limited({ size = 2, eviction = "lru" })
      ask(1)
      ask(2)
      assert.is_true(ask(1))
      ask(3)
      assert.is_true(ask(1))
      assert.is_false(ask(2))
      assert.equal(2, cache.stats().entries)
      assert.equal(2, cache.stats().evictions)
    end)

    it("for what is used most", function()
      limited({ size = 2, eviction = "lfu" })
      ask(1)
      assert.is_true(ask(1))
      for n = 2, 9 do
        assert.is_false(ask(n))
      end
      assert.is_true(ask(1))
      assert.is_true(ask(9))
    end)

    it("for what came last", function()
      limited({ size = 2, eviction = "fifo" })
      ask(1)
      ask(2)
      assert.is_true(ask(1))
      ask(3)
      assert.is_false(ask(1))
      assert.is_true(ask(3))
    end)

    it("within a number of bytes", function()
      limited({ max_bytes = 20000 })
      for n = 1, 100 do
        zigllms.schema.generate({ ("x"):rep(500) .. n })
        assert.is_true(cache.stats().bytes <= 20000)
      end
      assert.is_true(cache.stats().entries > 5)
      local before = cache.stats().entries
      zigllms.schema.generate({ ("x"):rep(30000) })
      assert.equal(before, cache.stats().entries)
    end)

    it("at once when there is less of it", function()
      limited({})
      for n = 1, 50 do
        ask(n)
      end
      zigllms.configure({ cache = { size = 10 } })
      assert.equal(10, cache.stats().entries)
      assert.is_true(ask(50))
      zigllms.configure({ cache = { size = 0 } })
      assert.equal(0, cache.stats().entries)
      assert.is_false(ask(50))
    end)
  end)

  describe("is never stale", function()
    it("E6: two infos of an agent are equal, distinct and true", function()
      for _, on in ipairs({ false, true }) do
        zigllms.reset()
        zigllms.configure({ cache = { functions = { ["agent.get_info"] = on } } })
        zigllms.provider.configure(
          "openai",
          { base_url = server.url, api_key = "k", retry = false }
        )
        server:script(scripted.text("hi"))
        local agent = zigllms.agent.create({ name = "a", provider = "openai" })
        local function infos()
          local one, two = zigllms.agent.get_info(agent), zigllms.agent.get_info(agent)
          assert.not_equal(one, two)
          assert.same(one, two)
          return two
        end
        assert.equal(0, infos().run_count)
        zigllms.agent.configure(agent, { temperature = 0.5 })
        assert.equal(0.5, infos().temperature)
        zigllms.agent.run(agent, "hello")
        assert.equal(1, infos().run_count)
        assert.equal(2, infos().memory.messages)
        zigllms.agent.reset(agent)
        assert.equal(0, infos().run_count)
        zigllms.agent.destroy(agent)
        raised("not_found", zigllms.agent.get_info, agent)
      end
      assert.is_true(counts("agent.get_info").hits > 0)
    end)

    it("when a name comes to mean something else", function()
      switch("agent.get_info", "schema.get_info")
      local first = zigllms.agent.create({ name = "x", description = "first" })
      assert.equal("first", zigllms.agent.get_info("x").description)
      local second = zigllms.agent.create({ name = "x", description = "second" })
      raised("invalid_argument", zigllms.agent.get_info, "x")
      zigllms.agent.destroy(first)
      assert.equal("second", zigllms.agent.get_info("x").description)
      zigllms.agent.configure(second, { name = "y" })
      raised("not_found", zigllms.agent.get_info, "x")
      zigllms.schema.create({ type = "integer" }, { name = "s" })
      assert.equal("integer", zigllms.schema.get_info("s").type)
      assert.is_true(zigllms.schema.check(1, "s"))
      assert.is_true(zigllms.schema.check({ 1 }, { items = { ["$ref"] = "s" } }))
      zigllms.schema.create({ type = "string" }, { name = "s", replace = true })
      assert.equal("string", zigllms.schema.get_info("s").type)
      assert.is_false((zigllms.schema.check(1, "s")))
      assert.is_false((zigllms.schema.check({ 1 }, { items = { ["$ref"] = "s" } })))
    end)
  end)

  describe("keeps chats", function()
    local function chat(options, messages)
      return zigllms.provider.chat(messages or "hello", options)
    end

    it("where a call asks for it: the same question is not asked again", function()
      server:script(scripted.text("first"), scripted.text("second"), scripted.text("third"))
      local first = chat({ cache = true })
      local usage = zigllms.metrics().usage
      local again = chat({ cache = true })
      assert.equal("first", again.content)
      assert.is_true(again.cached)
      assert.is_nil(first.cached)
      assert.equal(1, server:count())
      assert.equal(0, again.attempts)
      -- What it took then is told, and not counted again.
      assert.same(first.usage, again.usage)
      assert.same(usage, zigllms.metrics().usage)
      assert.equal(1, zigllms.provider.get("openai").requests)
      assert.equal("first", tostring(again))
      first.usage.prompt_tokens, again.message.content = 0, "poisoned"
      assert.equal("first", chat({ cache = true }).message.content)
      assert.same({ hits = 2, misses = 1 }, counts("provider.chat"))
      assert.equal("second", chat().content)
      assert.equal("third", chat({ cache = false }).content)
      assert.equal(3, server:count())
    end)

    it("by all that is asked, not by how it is waited for", function()
      server:script(scripted.text("x", { ["repeat"] = true }))
      local base = { cache = true, temperature = 0.5, stop = { "a" }, extra = { a = 1, b = 2 } }
      local function with(changes)
        local options = {}
        for _, from in ipairs({ base, changes }) do
          for key, value in pairs(from) do
            options[key] = value
          end
        end
        return options
      end
      local function asks(options, messages)
        local before = server:count()
        chat(options, messages)
        return server:count() > before
      end
      assert.is_true(asks(base))
      local same = {
        { timeout_ms = 1000 },
        { retry = { max_attempts = 2 } },
        { metadata = { a = 1 } },
        { flush_ms = 5 },
        { async = false },
        { extra = { b = 2, a = 1 } },
        { cache = 5000 },
      }
      for i, changes in ipairs(same) do
        assert.is_false(asks(with(changes)), "same " .. i)
      end
      local others = {
        { temperature = 0.6 },
        { model = "another" },
        { stop = { "b" } },
        { extra = { a = 1, b = 3 } },
        { headers = { ["x-tenant"] = "b" } },
        { system = "Be brief." },
        { max_tokens = 5 },
        { seed = 5 },
        { raw = true },
        { tools = { { name = "look" } } },
        { tools = { { name = "look", description = "more" } } },
        { response_format = "json" },
      }
      server:script(scripted.text("{}", { ["repeat"] = true }))
      for i, changes in ipairs(others) do
        assert.is_true(asks(with(changes)), "other " .. i)
      end
      assert.is_true(asks(base, "hello!"))
      assert.is_true(asks(base, { { role = "assistant", content = "hello" } }))
      assert.is_true(asks(base, { { role = "user", content = "hello", name = "ann" } }))
    end)

    it("by who is asked, and as whom", function()
      server:script(scripted.text("x", { ["repeat"] = true }))
      local function asked()
        local before = server:count()
        chat({ cache = true })
        return server:count() - before
      end
      assert.equal(1, asked())
      assert.equal(0, asked())
      zigllms.provider.configure("openai", { api_key = "another" })
      assert.equal(1, asked())
      assert.equal(0, asked())
      zigllms.configure({ http = { headers = { ["x-tenant"] = "b" } } })
      assert.equal(1, asked())
      zigllms.provider.destroy("openai")
      zigllms.provider.configure(
        "openai",
        { base_url = server.url, api_key = "another", retry = false }
      )
      assert.equal(1, asked())
      local function own(key)
        local before = server:count()
        local provider = { type = "openai", base_url = server.url, api_key = key }
        chat({ cache = true, provider = provider })
        return server:count() - before
      end
      assert.equal(1, own("one"))
      assert.equal(0, own("one"))
      assert.equal(1, own("two"))
    end)

    it("by what a tool or a schema says now", function()
      server:script(scripted.text('{"a":1}', { ["repeat"] = true }))
      local function asked()
        local before = server:count()
        chat({ cache = true, tools = { "look" }, schema = "answer" })
        return server:count() - before
      end
      zigllms.tool.register({ name = "look", description = "one" })
      zigllms.schema.create({ a = "integer" }, { name = "answer" })
      assert.equal(1, asked())
      assert.equal(0, asked())
      zigllms.tool.register({ name = "look", description = "two", replace = true })
      assert.equal(1, asked())
      zigllms.schema.create({ a = "integer", b = "string?" }, { name = "answer", replace = true })
      assert.equal(1, asked())
      local parsed = chat({ cache = true, tools = { "look" }, schema = "answer" })
      assert.same({ a = 1 }, parsed.parsed)
      assert.is_true(parsed.cached)
    end)

    it("for so many milliseconds", function()
      server:script(scripted.text("first"), scripted.text("second"))
      chat({ cache = 30 })
      assert.equal("first", chat({ cache = 30 }).content)
      zigllms.sleep(40)
      assert.equal("second", chat({ cache = 30 }).content)
      assert.equal(1, cache.stats().expired)
    end)

    it("at temperature 0 where the function was switched on", function()
      server:script(scripted.text("x", { ["repeat"] = true }))
      switch("provider.chat")
      for _ = 1, 2 do
        chat()
        chat({ temperature = 0.1 })
        chat({ temperature = 0 })
        chat({ temperature = 0, cache = false })
      end
      assert.equal(7, server:count())
      assert.is_true(chat({ temperature = 0 }).cached)
    end)

    it("and replays them in one chunk", function()
      server:script(scripted.text({ "Hel", "lo" }))
      chat({ cache = true })
      local chunks = {}
      local response = chat({
        cache = true,
        stream = function(chunk)
          chunks[#chunks + 1] = chunk
        end,
      })
      assert.equal(2, #chunks)
      assert.same({ "Hello", false, 1 }, { chunks[1].content, chunks[1].done, chunks[1].index })
      assert.same(
        { "", true, "stop" },
        { chunks[2].content, chunks[2].done, chunks[2].finish_reason }
      )
      assert.equal(15, chunks[2].usage.total_tokens)
      assert.is_true(response.cached)
      local text, count = "", 0
      for chunk in zigllms.provider.stream("hello", { cache = true }) do
        text, count = text .. chunk.content, count + 1
      end
      assert.same({ "Hello", 2 }, { text, count })
      local stopped = zigllms.provider.stream("hello", function()
        return false
      end, { cache = true })
      assert.equal("cancelled", stopped.finish_reason)
      assert.equal(1, server:count())
      assert.equal("stop", chat({ cache = true }).finish_reason)
    end)

    it("that were streamed, with their calls of tools", function()
      server:script(scripted.calls({ { "call_1", "look", '{"at":"this"}' } }))
      local options = { cache = true, tools = { { name = "look" } }, stream = function() end }
      chat(options)
      local chunks = {}
      options.stream = function(chunk)
        chunks[#chunks + 1] = chunk
      end
      local response = chat(options)
      assert.same({ at = "this" }, response.tool_calls[1].arguments)
      assert.equal("tool_calls", response.finish_reason)
      assert.same(
        { { index = 1, id = "call_1", name = "look", arguments = '{"at":"this"}' } },
        chunks[1].tool_calls
      )
      local handle = chat({ cache = true, tools = { { name = "look" } }, async = true })
      assert.is_true(handle:await().cached)
      assert.equal(1, server:count())
    end)

    it("but no errors, nothing cut off, and no answers of others", function()
      local other =
        zigllms.provider.create({ type = "openai", base_url = server.url, api_key = "k" })
      server:script(scripted.failure(400, "no"), scripted.text("yes"))
      raised("bad_request", chat, { cache = true })
      assert.equal("yes", chat({ cache = true }).content)
      cache.clear()
      server:script(scripted.text("a", { finish = "content_filter" }), scripted.text("b"))
      chat({ cache = true })
      assert.equal("b", chat({ cache = true }).content)
      cache.clear()
      server:script(scripted.failure(500, "no"), scripted.text("other"), scripted.text("main"))
      local options = { cache = true, fallback = { other } }
      assert.equal(other, chat(options).provider)
      assert.equal("openai", chat(options).provider)
      cache.clear()
      server:script(scripted.text({ "a", "b" }), scripted.text("whole"))
      chat({
        cache = true,
        stream = function()
          return false
        end,
      })
      assert.equal("whole", chat({ cache = true }).content)
    end)

    it("and none of a call with a transport of its own", function()
      local calls = 0
      local function transport()
        calls = calls + 1
        local message = { role = "assistant", content = "n" .. calls }
        local body = { choices = { { index = 0, message = message, finish_reason = "stop" } } }
        return { status = 200, body = zigllms.output.format(body) }
      end
      chat({ cache = true, transport = transport })
      assert.equal("n2", chat({ cache = true, transport = transport }).content)
      zigllms.provider.configure("openai", { transport = transport })
      chat({ cache = true })
      assert.equal("n3", chat({ cache = true }).content)
      zigllms.provider.configure("openai", {
        transport = function()
          return transport()
        end,
      })
      assert.equal("n4", chat({ cache = true }).content)
    end)

    it("of agents that ask for it: what was kept is not paid for again", function()
      server:script(scripted.text("x", { ["repeat"] = true }))
      local agent = zigllms.agent.create({ cache = true, memory = false })
      local first, second = zigllms.agent.run(agent, "hi"), zigllms.agent.run(agent, "hi")
      assert.equal(1, server:count())
      assert.equal("x", second.content)
      assert.equal(15, first.usage.total_tokens)
      assert.equal(0, second.usage.total_tokens)
      assert.equal(0, second.attempts)
      assert.equal(15, zigllms.agent.get_info(agent).usage.total_tokens)
      assert.equal(15, zigllms.metrics().usage.total_tokens)
    end)

    it("nowhere when the cache is off", function()
      server:script(scripted.text("x", { ["repeat"] = true }))
      zigllms.configure({ cache = { enabled = false } })
      chat({ cache = true })
      assert.is_nil(chat({ cache = true }).cached)
      assert.equal(2, server:count())
    end)
  end)

  describe("keeps vectors", function()
    local function vectors(...)
      local data = {}
      for i, vector in ipairs({ ... }) do
        data[i] = { object = "embedding", index = i - 1, embedding = vector }
      end
      local usage = { prompt_tokens = 7, total_tokens = 7 }
      return { json = { object = "list", data = data, model = "e", usage = usage } }
    end

    it("where a call asks for it, or all do", function()
      local embed = zigllms.provider.embed
      server:script(vectors({ 1, 2 }), vectors({ 3, 4 }), vectors({ 5, 6 }))
      local first = embed("cat", { cache = true })
      local again = embed("cat", { cache = true })
      assert.same({ { 1, 2 } }, again.embeddings)
      assert.same({ true, nil }, { again.cached, first.cached })
      assert.same(first.usage, again.usage)
      assert.equal(7, zigllms.metrics().usage.prompt_tokens)
      again.embeddings[1][1] = 99
      assert.same({ { 1, 2 } }, embed({ "cat" }, { cache = true }).embeddings)
      assert.same({ { 3, 4 } }, embed("dog", { cache = true }).embeddings)
      assert.same({ { 5, 6 } }, embed("cat", { cache = true, dimensions = 2 }).embeddings)
      assert.equal(3, server:count())
      switch("provider.embed")
      assert.is_true(embed("cat").cached)
      server:script(vectors({ 7, 8 }))
      assert.same({ { 7, 8 } }, embed("cat", { cache = false }).embeddings)
    end)
  end)

  describe("keeps lists of models", function()
    local function script(id)
      server:script({ json = { data = { { id = id } } } })
    end

    local function model(options)
      return zigllms.provider.get_models("openai", options)[1].id
    end

    it("until the provider is configured, or somebody wants a fresh one", function()
      script("a")
      assert.equal("a", model())
      script("b")
      assert.equal("a", model())
      assert.equal("b", model({ refresh = true }))
      script("c")
      assert.equal("b", model())
      zigllms.provider.configure("openai", { timeout_ms = 5000 })
      assert.equal("c", model())
      script("d")
      assert.equal("c", model())
      assert.equal(1, cache.clear("provider.get_models"))
      assert.equal("d", model())
    end)

    it("for a while, unless that is switched off", function()
      zigllms.configure({ cache = { ttl_ms = 30 } })
      script("a")
      model()
      script("b")
      zigllms.sleep(40)
      assert.equal("b", model())
      zigllms.configure({ cache = { functions = { ["provider.get_models"] = false } } })
      script("c")
      assert.equal("c", model())
      script("d")
      assert.equal("d", model())
    end)
  end)

  describe("keeps results of tools", function()
    local calls, execute

    local function tool(definition)
      calls = 0
      definition.name, definition.replace = definition.name or "probe", true
      local fn = definition.execute
      definition.execute = function(...)
        calls = calls + 1
        return fn(...)
      end
      return zigllms.tool.register(definition)
    end

    before_each(function()
      execute = zigllms.tool.execute
    end)

    it("that say so, for equal inputs", function()
      local id = tool({
        cache = true,
        execute = function(input)
          return { twice = input.n * 2, list = { 1, 2 }, text = "\255", yes = true }
        end,
      })
      local first = execute(id, { n = 1, unused = 0 })
      local second = execute(id, { unused = 0, n = 1 })
      assert.not_equal(first, second)
      assert.same({ twice = 2, list = { 1, 2 }, text = "\255", yes = true }, second)
      second.list[1] = 99
      assert.equal(1, execute(id, { n = 1, unused = 0 }).list[1])
      assert.equal(1, calls)
      assert.equal(4, execute(id, { n = 2 }).twice)
      assert.equal(2, calls)
      execute(id, { n = 1, unused = 0 }, { cache = false })
      execute(id, { n = 1, unused = 0 }, { context = { user = "ann" } })
      assert.equal(4, calls)
      assert.is_true(zigllms.tool.get(id).cache)
    end)

    it("where a call says so", function()
      local id = tool({
        execute = function()
          return "text"
        end,
      })
      execute(id, {})
      execute(id, {}, { cache = true })
      assert.equal("text", execute(id, {}, { cache = true }))
      assert.equal(2, calls)
      execute(id, {})
      assert.equal(3, calls)
      execute(id, { a = 1 }, { cache = 30 })
      zigllms.sleep(40)
      execute(id, { a = 1 }, { cache = 30 })
      assert.equal(5, calls)
    end)

    it("of all, or of none, where that was switched", function()
      local id = tool({
        execute = function()
          return 1
        end,
      })
      switch("tool.execute")
      execute(id, {})
      execute(id, {})
      assert.equal(1, calls)
      zigllms.configure({ cache = { functions = { ["tool.execute"] = false } } })
      id = tool({
        cache = true,
        execute = function()
          return 1
        end,
      })
      execute(id, {})
      execute(id, {})
      assert.equal(2, calls)
    end)

    it("that are plain data, and nothing else", function()
      local results = {
        plain = { { a = { { b = "c" } } }, true },
        text = { "text", true },
        nothing = { nil, true },
        number = { 1.5, true },
        with_a_function = { { fn = print }, false },
        sparse = { { [1] = "a", [3] = "c" }, false },
        mixed = { { 1, 2, x = 3 }, false },
        object = { setmetatable({ a = 1 }, { __index = { b = 2 } }), false },
      }
      for name, case in pairs(results) do
        local id = tool({
          cache = true,
          execute = function()
            return case[1]
          end,
        })
        assert.equal(case[1], execute(id, {}), name)
        assert.same(case[1], execute(id, {}), name)
        assert.equal(case[2] and 1 or 2, calls, name)
      end
    end)

    it("but not of calls with functions, nor failures", function()
      local id = tool({
        cache = true,
        execute = function(input)
          assert(not input.bad, "bad")
          return nil, input.reason
        end,
      })
      for _ = 1, 2 do
        execute(id, { fn = print })
        raised("tool_error", execute, id, { bad = true })
        raised("tool_error", execute, id, { reason = "none" })
      end
      assert.equal(6, calls)
    end)

    it("and never those of another tool of that name", function()
      for round = 1, 20 do
        local id = tool({
          cache = true,
          execute = function()
            return round
          end,
        })
        assert.equal(round, execute(id, {}))
        assert.equal(round, execute("probe", {}))
        assert.equal(1, calls)
        if round % 2 == 0 then
          zigllms.tool.unregister(id)
          collectgarbage()
        end
      end
    end)

    it("that agents call", function()
      local id = tool({
        cache = true,
        execute = function(input)
          return { city = input.city, sun = true }
        end,
      })
      local agent = zigllms.agent.create({ tools = { id }, memory = false })
      local function run()
        server:script(
          scripted.calls({ { "call_1", "probe", '{"city":"Oslo"}' } }),
          scripted.text("It is sunny.")
        )
        local response = zigllms.agent.run(agent, "Weather?")
        return response, server:requests()[2].messages
      end
      local first, told = run()
      local second, told_again = run()
      assert.equal(1, calls)
      assert.same(first.tool_calls[1].result, second.tool_calls[1].result)
      assert.same(told[#told].content, told_again[#told_again].content)
      assert.truthy(told_again[#told_again].content:find("Oslo", 1, true))
    end)
  end)

  -- Two instances get the same calls, one of them with everything cached that can be. Whatever
  -- changes in between, both must tell the same.
  describe("among random changes", function()
    local SEED = tonumber(os.getenv("ZIGLLMS_SEED")) or os.time() % 100000
    local STEPS = size(30000, 1500)

    -- A generator of its own: both engines and all versions get the same numbers.
    local state = SEED
    local function random(n)
      state = (state * 16807 + 11) % 2147483647
      return state % n + 1
    end

    -- Members that tell a time, which differs.
    local TIMES = { created_at = true, last_run_at = true, since = true }

    local function shown(value)
      if type(value) ~= "table" then
        return type(value) .. " " .. tostring(value)
      end
      local parts = {}
      for key, member in pairs(value) do
        if not TIMES[key] then
          parts[#parts + 1] = tostring(key) .. "=" .. shown(member)
        end
      end
      table.sort(parts)
      return "{" .. table.concat(parts, ",") .. "}"
    end

    local function outcome(ok, ...)
      if not ok then
        return "error " .. (...).code .. ": " .. (...).message
      end
      local parts = {}
      for i = 1, select("#", ...) do
        parts[i] = shown((select(i, ...)))
      end
      return table.concat(parts, "; ")
    end

    -- Answers without a network, so that runs are quick and alike.
    local function transport(request)
      local failing = request.body and request.body:find("fail", 1, true)
      if failing then
        return { status = 400, body = '{"error":{"message":"no"}}' }
      end
      local body = '{"choices":[{"index":0,"message":{"role":"assistant","content":"ok"},'
        .. '"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
      return { status = 200, body = body }
    end

    local last = 0 -- number of the agent that was created last

    local favourite -- the same one for a while, so that what is asked is what was changed

    local function agent()
      if not favourite or random(40) == 1 then
        favourite = "agent_" .. math.max(1, last + 2 - random(5))
      end
      return random(4) > 1 and favourite or "agent_" .. math.max(1, last + 2 - random(5))
    end

    local function about_favourite(z)
      return z.agent.get_info(favourite or "agent_1")
    end

    local function name()
      return ("abc"):sub(random(3)):sub(1, 1)
    end

    local function definition()
      local types = { "integer", "string", "array" }
      local kind = types[random(3)]
      return random(2) == 1 and { type = kind } or { properties = { x = { ["$ref"] = name() } } }
    end

    local LONG = "[" .. ("1,"):rep(700) .. "1]"

    -- Each gives a function to be called with either instance. Arguments are chosen once.
    local changes = {
      function()
        local config = { name = name(), provider = "openai", tools = { { name = "inline" } } }
        return function(z)
          return z.agent.create(config)
        end
      end,
      function()
        local id, heat = agent(), random(3) / 4
        return function(z)
          return z.agent.configure(
            id,
            { temperature = heat, tools = heat > 0.5 and { "t" } or nil }
          )
        end
      end,
      function()
        local id, new = agent(), name()
        return function(z)
          return z.agent.configure(id, { name = new })
        end
      end,
      function()
        local id = random(3) > 1 and name() or agent()
        return function(z)
          return z.agent.destroy(id)
        end
      end,
      function()
        local id, session = agent(), random(2) == 1 and "s" or nil
        return function(z)
          return z.agent.reset(id, { session = session })
        end
      end,
      function()
        local id, input = agent(), random(4) == 1 and "fail" or "hello"
        return function(z)
          return z.agent.run(id, input).content
        end
      end,
      function()
        local which, text = name(), name()
        return function(z)
          return z.tool.register({ name = which, description = text, replace = true })
        end
      end,
      function()
        local which = name()
        return function(z)
          return z.tool.unregister(which)
        end
      end,
      function()
        local which = random(2) == 1 and "openai" or "local"
        local model = name()
        return function(z)
          return z.provider.configure(which, { model = model, transport = transport })
        end
      end,
      function()
        local new = random(2) == 1 and name() or nil
        return function(z)
          return z.provider.create({ type = "openai", name = new })
        end
      end,
      function()
        local which = random(2) == 1 and name() or "provider_" .. random(5)
        return function(z)
          return z.provider.destroy(which)
        end
      end,
      function()
        local which = random(2) == 1 and "openai" or "anthropic"
        return function(z)
          return z.configure({ default_provider = which })
        end
      end,
      function()
        local which, schema = name(), definition()
        return function(z)
          return z.schema.create(schema, { name = which, replace = true })
        end
      end,
      function()
        if random(20) > 1 then
          return function() end
        end
        return function(z)
          z.reset()
          return z.provider.configure("openai", { api_key = "k", transport = transport })
        end
      end,
    }

    local questions = {
      function()
        local id = random(4) == 1 and name() or agent()
        return function(z)
          return z.agent.get_info(id)
        end
      end,
      function()
        local filter = ({ {}, { state = "idle" }, { name = "a" }, { ids = true } })[random(4)]
        return function(z)
          return z.agent.list(filter)
        end
      end,
      function()
        return function(z)
          return z.tool.list()
        end
      end,
      function()
        return function(z)
          return z.provider.list()
        end
      end,
      function()
        local which = ({ "openai", "local", "provider_1", name() })[random(4)]
        return function(z)
          return z.provider.get(which)
        end
      end,
      function()
        local which = name()
        return function(z)
          return z.schema.get_info(which)
        end
      end,
      function()
        local which, value = name(), ({ 1, "x", { x = 1 }, { x = "y" } })[random(4)]
        return function(z)
          return z.schema.validate(value, which)
        end
      end,
      function()
        local schema, value = definition(), ({ 1, "x", { x = 1 }, { x = "y" } })[random(4)]
        return function(z)
          return z.schema.check(value, schema)
        end
      end,
      function()
        local one, other = name(), random(3)
        return function(z)
          return z.schema.merge(one, { minimum = other })
        end
      end,
      function()
        local which = name()
        return function(z)
          local value, info = z.output.parse(LONG, { schema = which })
          return type(value), info.recovered
        end
      end,
      function()
        local text = LONG:sub(1, -random(3))
        return function(z)
          return #z.output.recover(text)
        end
      end,
    }

    -- What may happen to the cache itself at any time.
    local policies = { "lru", "lfu", "fifo" }
    local function disturb(z)
      local what = random(40)
      if what == 1 then
        z.cache.clear()
      elseif what <= 4 then
        z.configure({ cache = { eviction = policies[what - 1], size = random(30) } })
      end
    end

    -- Sums up counts that a reset takes back.
    local totals, before = {}, {}

    local function add(key, count)
      totals[key] = (totals[key] or 0) + math.max(0, count - (before[key] or 0))
      before[key] = count
    end

    local function sum(stats)
      for _, key in ipairs({ "hits", "invalidated", "evictions" }) do
        add(key, stats[key])
      end
      for name_of, count in pairs(stats.by_function) do
        add(name_of, count.hits)
      end
    end

    it("it tells what is told without it", function()
      local known = zigllms.config().cache
      local function instance(enabled)
        local z = zigllms.new({ default_provider = "openai", cache = { enabled = enabled } })
        z.provider.configure("openai", { api_key = "k", transport = transport })
        return z
      end
      local plain, cached = instance(false), instance(true)
      local functions = {}
      for _, name_of in ipairs({
        "agent.get_info",
        "agent.list",
        "tool.list",
        "provider.list",
        "provider.get",
        "schema.get_info",
        "schema.merge",
        "output.parse",
      }) do
        functions[name_of] = true
      end
      cached.configure({ cache = { functions = functions } })
      assert.is_true(known.enabled)
      local told = 0
      for step = 1, STEPS do
        local kinds = random(3) == 1 and changes or questions
        local call = kinds[random(#kinds)]()
        local function compare(asked)
          local expected, got = outcome(pcall(asked, plain)), outcome(pcall(asked, cached))
          assert.equal(expected, got, ("step %d, seed %d"):format(step, SEED))
          last = tonumber(expected:match("^string agent_(%d+)$")) or last
          told = told + (asked == call and kinds == questions and 1 or 0)
        end
        if kinds == changes then
          -- What was told just before is what may be stale now.
          compare(about_favourite)
          compare(call)
          compare(about_favourite)
        else
          for _ = 1, random(3) do
            compare(call)
          end
        end
        disturb(cached)
        sum(cached.cache.stats())
      end
      assert.is_true(totals.hits > told / 10, "only " .. totals.hits .. " hits of " .. told)
      assert.is_true(totals.invalidated > 0 and totals.evictions > 0)
      for name_of in pairs(functions) do
        assert.is_true((totals[name_of] or 0) > 0, name_of)
      end
      assert.equal(0, plain.cache.stats().hits + plain.cache.stats().misses)
    end)
  end)
end)
