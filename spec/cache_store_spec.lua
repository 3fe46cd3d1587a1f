-- Answers that lie in the store: who else gets them, for how long, and what they do not give away.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local stores = require("spec.support.stores")

local unpack = table.unpack or unpack -- luacheck: ignore
local server = scripted.start()
local KEY = "sk-canary-5d1f0c7a9b"

describe("answers in the store", function()
  local directory, path, asked, instances

  -- An instance of its own: it shares nothing with the others but the store.
  local function instance(options, provider)
    local ai = require("zigllms").new({ store = path, default_provider = "openai" })
    local config = { base_url = server.url, api_key = KEY, retry = false }
    for name, value in pairs(provider or {}) do
      config[name] = value
    end
    ai.provider.configure("openai", config)
    ai.configure(options or {})
    instances[#instances + 1] = ai
    return ai
  end

  -- What an instance is told, and whether the answer was kept.
  local function chat(ai, options, messages)
    options = options or {}
    if options.cache == nil then
      options.cache = true
    end
    local response = ai.provider.chat(messages or "hello", options)
    return response.content, response.cached == true
  end

  before_each(function()
    directory = stores.directory()
    path = directory .. "/store.db"
    asked, instances = {}, {}
    for n = 1, 12 do
      asked[n] = scripted.text("answer " .. n)
    end
    server:script(unpack(asked))
  end)

  -- What is still queued goes into the store before it is removed.
  local function leave()
    for _, ai in ipairs(instances) do
      pcall(ai.flush)
      ai.configure({ store = ai.null })
    end
    instances = {}
    stores.remove(directory)
  end

  after_each(function()
    leave()
  end)

  teardown(function()
    server:stop()
  end)

  local CHILD = [[
    local path, url, key = ...
    local zigllms = require("zigllms")
    zigllms.configure({ store = path, default_provider = "openai" })
    zigllms.provider.configure("openai", { base_url = url, api_key = key, retry = false })
    local response = zigllms.provider.chat("hello", { cache = true })
    io.write(response.content, " ", tostring(response.cached))
  ]]

  local function child()
    local result = program.run(CHILD, { args = { path, server.url, KEY } })
    assert.equal("", result.err)
    return result.out
  end

  it("are given to other processes, and to later ones", function()
    assert.equal("answer 1 nil", child())
    assert.equal("answer 1 true", child())
    local ai = instance()
    assert.same({ "answer 1", true }, { chat(ai) })
    assert.equal(1, server:count())
    local stats = ai.cache.stats()
    assert.same({ hits = 1, misses = 0 }, stats.by_function["provider.chat"])
    assert.same({ hits = 1, misses = 0, failures = 0 }, stats.store)
    assert.equal(1, ai.metrics().cache_hits)
    -- Now the instance has it: the store is not asked again.
    assert.same({ "answer 1", true }, { chat(ai) })
    assert.equal(1, ai.cache.stats().store.hits)
  end)

  it("are whole", function()
    local calls = { { "call_1", "look", '{"at":"the \\"sky\\"","n":1}' } }
    server:script(scripted.calls(calls, { content = "one moment" }))
    local options = {
      cache = true,
      raw = true,
      tools = { { name = "look", description = "looks", parameters = { type = "object" } } },
    }
    local first = instance().provider.chat("hello", options)
    local again = instance().provider.chat("hello", options)
    assert.is_true(again.cached)
    assert.equal(0, again.attempts)
    assert.equal('{"at":"the \\"sky\\"","n":1}', again.tool_calls[1].arguments_json)
    for _, response in ipairs({ first, again }) do
      response.cached, response.attempts = nil, nil
      response.latency_ms, response.ttft_ms = nil, nil
    end
    assert.same(first, again)
    assert.equal(1, server:count())
  end)

  it("are whole with structured output", function()
    server:script(scripted.text('{"n": 7}'))
    local options = {
      cache = true,
      schema = { type = "object", properties = { n = { type = "integer" } }, required = { "n" } },
    }
    local first = instance().provider.chat("hello", options)
    local again = instance().provider.chat("hello", options)
    assert.same({ n = 7 }, again.parsed)
    assert.same({ first.structured, true }, { again.structured, again.cached })
  end)

  it("are streamed in one piece", function()
    server:script(scripted.text({ "in ", "many ", "pieces" }))
    chat(instance())
    local chunks = {}
    local response = instance().provider.stream("hello", function(chunk)
      chunks[#chunks + 1] = chunk.done and "end" or chunk.content
    end, { cache = true })
    assert.same({ "in many pieces", "end" }, chunks)
    assert.is_true(response.cached)
    assert.equal(1, server:count())
  end)

  it("belong to their question", function()
    local tool = { name = "look", description = "looks", parameters = { type = "object" } }
    local others = {
      { { model = "other" } },
      { { temperature = 0.5 } },
      { { tools = { tool } } },
      { { extra = { user = "x" } } },
      { { headers = { ["x-tenant"] = "b" } } },
      { {}, "hello?" },
      { {}, nil, { api_key = KEY .. "0" } },
      { {}, nil, { base_url = server.root .. "/v1/" .. "other/.." } },
      { {}, nil, { extra = { user = "y" } } },
    }
    chat(instance())
    for n, other in ipairs(others) do
      local options, messages, provider = other[1], other[2], other[3]
      local before = server:count()
      local _, cached = chat(instance(nil, provider), options, messages)
      assert.is_false(cached, "question " .. n)
      assert.equal(before + 1, server:count())
    end
    assert.same({ "answer 1", true }, { chat(instance()) })
  end)

  it("are kept as long as the call that asked says", function()
    chat(instance(), { cache = 150 })
    assert.same({ "answer 1", true }, { chat(instance()) })
    require("system").sleep(0.2)
    assert.same({ "answer 2", false }, { chat(instance()) })
  end)

  it("are no longer kept by who found them than by the store", function()
    chat(instance(), { cache = 300 })
    local ai = instance()
    assert.same({ "answer 1", true }, { chat(ai) })
    require("system").sleep(0.35)
    assert.same({ "answer 2", false }, { chat(ai) })
  end)

  it("are neither read nor written where nothing is cached", function()
    local ai = instance()
    assert.same({ "answer 1", false }, { chat(ai, { cache = false }) })
    assert.same({ "answer 2", false }, { chat(instance()) })
    assert.same({ "answer 3", false }, { chat(instance(), { cache = false }) })
    local off = instance({ cache = { enabled = false } })
    assert.same({ "answer 4", false }, { chat(off) })
    assert.same({ hits = 0, misses = 0, failures = 0 }, off.cache.stats().store)
  end)

  it("go with cache.clear, for everybody", function()
    local ai = instance()
    chat(ai)
    assert.equal(0, ai.cache.clear("schema.*"))
    assert.same({ "answer 1", true }, { chat(instance()) })
    assert.equal(1, ai.cache.clear("provider.chat*"))
    assert.same({ "answer 2", false }, { chat(instance()) })
    instance().cache.clear()
    assert.same({ "answer 3", false }, { chat(instance()) })
  end)

  it("of a function that makes the requests stay where they are", function()
    local function ask(text)
      local ai = instance(nil, {
        transport = function()
          return { status = 200, body = '{"choices":[{"message":{"content":"' .. text .. '"}}]}' }
        end,
      })
      return (chat(ai))
    end
    assert.equal("one", ask("one"))
    assert.equal("two", ask("two"))
  end)

  -- Changes the records of answers behind the store's back.
  local function spoil(expression)
    assert.equal("answer 1 nil", child())
    local script = ([[
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("update records set bytes = %s where space = 3").rowcount == 1
db.commit()
]]):format(expression)
    local command = "python3 -c " .. program.quoted(script) .. " " .. program.quoted(path)
    local result = program.shell(command)
    assert.equal("", result.err)
  end

  it("that are damaged are no answers", function()
    for _, expression in ipairs({ "zeroblob(length(bytes))", "substr(bytes, 1, 40)", "x''" }) do
      server:script(unpack(asked))
      spoil(expression)
      local ai = instance()
      assert.same({ "answer 2", false }, { chat(ai) })
      assert.equal(1, ai.cache.stats().store.failures)
      leave()
      directory = stores.directory()
      path = directory .. "/store.db"
    end
  end)

  it("are done without where there is no store to be had", function()
    path = directory .. "/no/such/place/store.db"
    local ai = instance()
    assert.same({ "answer 1", false }, { chat(ai) })
    assert.same({ hits = 0, misses = 0, failures = 1 }, ai.cache.stats().store)
    assert.same({ "answer 1", true }, { chat(ai) })
    assert.equal(0, ai.flush())
  end)

  it("are not waited for without end", function()
    local ok, ai = pcall(function()
      path = "redis://127.0.0.1:" .. server:silent()
      return instance()
    end)
    if not ok then
      return pending(ai.message)
    end
    local handle = ai.provider.chat("hello", { cache = true, async = true })
    ai.poll(20)
    assert.is_true(handle:cancel())
    raised("cancelled", handle.await, handle)
    assert.equal(0, server:count())
    local began = program.clock()
    assert.same({ "answer 1", false }, { chat(ai) })
    assert.is_true(program.clock() - began < 20)
    assert.equal(1, ai.cache.stats().store.failures)
    -- What is queued would be waited for until the server is given up.
    server:hang_up()
  end)

  it("give no secret away", function()
    local provider = { headers = { ["x-secret"] = KEY .. "-header" } }
    provider.extra = { access_token = KEY .. "-token" }
    local ai = instance(nil, provider)
    chat(ai, nil, "the question itself")
    ai.flush()
    local found = program.shell("cat " .. path .. "*").out
    assert.truthy(found:find("the question itself", 1, true))
    assert.truthy(found:find("answer 1", 1, true))
    assert.falsy(found:find(KEY, 1, true))
  end)

  it("are vectors, too", function()
    local data = { { object = "embedding", index = 0, embedding = { 0.1, 2, -3.5e-7 } } }
    local usage = { prompt_tokens = 7, total_tokens = 7 }
    server:script({ json = { object = "list", data = data, model = "e", usage = usage } })
    local first = instance().provider.embed("cat", { cache = true })
    local ai = instance()
    local again = ai.provider.embed("cat", { cache = true })
    assert.is_true(again.cached)
    assert.same({ { 0.1, 2, -3.5e-7 } }, again.embeddings)
    again.cached = nil
    assert.same(first, again)
    assert.equal(1, server:count())
    assert.is_true(ai.provider.embed("cat", { cache = true }).cached)
    assert.equal(1, ai.cache.stats().store.hits)
    assert.equal(1, ai.cache.clear("provider.embed"))
    server:script({ json = { object = "list", data = data, model = "e", usage = usage } })
    assert.is_nil(instance().provider.embed("cat", { cache = true }).cached)
  end)
end)
