-- What is most like a vector or a text: every entry is compared, wherever it lies.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local sized = require("spec.support.size")
local stores = require("spec.support.stores")

local memory = zigllms.memory
local null = zigllms.null

-- Numbers with few bits: they are the same in 32 and in 64.
local function random_vector(dimensions)
  local vector = {}
  for i = 1, dimensions do
    vector[i] = (math.random(0, 4096) - 2048) / 1024
  end
  return vector
end

local function cosine(a, b)
  local product, aa, bb = 0, 0, 0
  for i = 1, #a do
    product, aa, bb = product + a[i] * b[i], aa + a[i] * a[i], bb + b[i] * b[i]
  end
  return product / math.sqrt(aa * bb)
end

-- What a search must find among `vectors`, by key.
local function naive(vectors, query, limit)
  local all = {}
  for key, vector in pairs(vectors) do
    all[#all + 1] = { key = key, score = cosine(query, vector) }
  end
  table.sort(all, function(a, b)
    if a.score == b.score then
      return a.key < b.key
    end
    return a.score > b.score
  end)
  for i = #all, limit + 1, -1 do
    all[i] = nil
  end
  return all
end

local function keys(found)
  local list = {}
  for i, each in ipairs(found) do
    list[i] = each.key
  end
  return list
end

local function same_as_naive(vectors, query, options)
  local expected = naive(vectors, query, options.limit)
  local found = memory.search(query, options)
  assert.same(keys(expected), keys(found))
  for i, each in ipairs(found) do
    assert.is_true(math.abs(expected[i].score - each.score) < 1e-12)
  end
end

local function has(err, part)
  assert.truthy(err.message:find(part, 1, true), err.message)
end

for _, store in ipairs(stores.all()) do
  describe("search of memory " .. store.name, function()
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

    it("finds what comparing everything finds, in that order", function()
      math.randomseed(7)
      local types = { "short_term", "long_term", "persistent" }
      local vectors, entries = {}, {}
      for i = 1, sized(5000, 700) do
        local key = ("k%05d"):format(i)
        -- Every eighth is the one before: as good, so the key decides.
        vectors[key] = i % 8 == 0 and vectors[("k%05d"):format(i - 1)] or random_vector(24)
        entries[i] = { key, i, { embedding = vectors[key], type = types[i % 3 + 1] } }
      end
      assert.equal(#entries, memory.store_many(entries))
      for _, limit in ipairs({ 1, 2, 10, 57, #entries, 2 * #entries }) do
        same_as_naive(vectors, random_vector(24), { limit = limit })
      end
      assert.equal(10, #memory.search(random_vector(24)))
      -- And after changes.
      for i = 1, #entries, 3 do
        local key = entries[i][1]
        if i % 2 == 0 then
          vectors[key] = nil
          memory.delete(key)
        else
          vectors[key] = random_vector(24)
          memory.store(key, i, { embedding = vectors[key], type = types[(i + 1) % 3 + 1] })
        end
      end
      for _ = 1, 5 do
        same_as_naive(vectors, random_vector(24), { limit = 20 })
      end
    end)

    for _, kind in ipairs({ "short_term", "long_term", "persistent" }) do
      it("shows entries of type " .. kind .. " as they are", function()
        local value = { text = "meow", bytes = "\0\255" }
        local options = {
          embedding = { 3, 4 },
          type = kind,
          tags = { "a", "b" },
          metadata = { from = "me" },
        }
        memory.store("cat", value, options)
        memory.store("none", "no embedding", { type = kind })
        local found = memory.search({ 1, 0 })
        assert.equal(1, #found)
        assert.equal("cat", found[1].key)
        assert.same(value, found[1].value)
        assert.is_true(math.abs(found[1].score - 0.6) < 1e-9)
        assert.equal("global", found[1].scope)
        assert.same({ "a", "b" }, found[1].tags)
        assert.same({ from = "me" }, found[1].metadata)
        -- A fresh copy each time.
        found[1].value.text = "changed"
        assert.equal("meow", memory.search({ 1, 0 })[1].value.text)
      end)

      it("sees at once what becomes of entries of type " .. kind, function()
        local function put(key, x, y, more)
          local options = { embedding = x and { x, y }, type = kind }
          for name, value in pairs(more or {}) do
            options[name] = value
          end
          memory.store(key, key, options)
        end
        local function found(x, y)
          return keys(memory.search({ x, y }))
        end
        put("a", 1, 0)
        put("b", 0, 1)
        assert.same({ "a", "b" }, found(1, 0))
        put("a", -1, 0)
        assert.same({ "b", "a" }, found(1, 0))
        memory.delete("a")
        assert.same({ "b" }, found(1, 0))
        put("b")
        assert.same({}, found(1, 0))
        put("c", 1, 1, { ttl_ms = 40 })
        put("d", 1, 1, { ttl_ms = 60000 })
        zigllms.sleep(80)
        assert.same({ "d" }, found(1, 0))
        memory.update("d", function(old)
          return old .. "!"
        end)
        assert.equal("d!", memory.search({ 1, 0 })[1].value)
        -- Of another type than before, and back.
        memory.store("d", "moved", { embedding = { 1, 0 }, type = "long_term" })
        assert.same({ "d" }, found(1, 0))
        memory.store("d", "moved", { embedding = { 1, 0 }, type = kind })
        assert.same({ "d" }, found(1, 0))
        memory.clear({ pattern = "d*" })
        assert.same({}, found(1, 0))
      end)

      it("looks only where it is told, at entries of type " .. kind, function()
        local function put(key, more)
          local options = { embedding = { 1, #key }, type = kind }
          for name, value in pairs(more) do
            options[name] = value
          end
          memory.store(key, key, options)
        end
        put("g", { tags = { "x" } })
        put("gg", { tags = { "y", "x" } })
        put("s", { session = "one" })
        put("ss", { session = "two", tags = { "x" } })
        put("a", { agent = "ada" })
        local function found(options)
          return table.concat(keys(memory.search({ 1, 1 }, options)), " ")
        end
        assert.equal("g gg", found({}))
        assert.equal("g gg", found({ scope = "global" }))
        assert.equal("s", found({ session = "one" }))
        assert.equal("ss", found({ scope = "session", session = "two" }))
        assert.equal("a", found({ agent = "ada" }))
        assert.equal("", found({ session = "none" }))
        assert.equal("g gg", found({ tag = "x" }))
        assert.equal("gg", found({ tag = "y" }))
        assert.equal("", found({ tag = "z" }))
        assert.equal("g gg", found({ type = kind }))
        local other = kind == "long_term" and "short_term" or "long_term"
        assert.equal("", found({ type = other }))
        assert.equal("a g s gg ss", found({ scope = "all" }))
        assert.equal("g gg ss", found({ scope = "all", tag = "x" }))
        local everywhere = memory.search({ 1, 1 }, { scope = "all", limit = 3 })
        local owners = {}
        for i, each in ipairs(everywhere) do
          owners[i] = each.scope .. ":" .. (each.owner or "")
        end
        assert.same({ "agent:ada", "global:", "session:one" }, owners)
        assert.equal("g", found({ min_score = 0.999999 }))
        assert.equal("g gg", found({ min_score = 0.9 }))
        assert.equal("g", found({ limit = 1 }))
      end)
    end

    it("compares what can be compared, and says when nothing can", function()
      memory.store("three", 3, { embedding = { 1, 2, 3 }, type = "long_term" })
      memory.store("four", 4, { embedding = { 1, 2, 3, 4 }, type = "persistent" })
      assert.same({ "three" }, keys(memory.search({ 1, 1, 1 })))
      assert.same({ "four" }, keys(memory.search({ 1, 1, 1, 1 })))
      local err = raised("invalid_argument", memory.search, { 1, 1 })
      has(err, "query")
      has(err, "2 numbers")
      -- Where nothing is embedded, nothing is found.
      assert.same({}, memory.search({ 1, 1 }, { session = "nobody" }))
    end)

    it("comes as the faces say", function()
      memory.store("a", 1, { embedding = { 1, 0 }, type = "persistent" })
      assert.same({ "a" }, keys(memory.search({ 1, 0 }, { async = true }):await()))
      zigllms.run(function()
        assert.same({ "a" }, keys(memory.search({ 1, 0 })))
        assert.same({ "a" }, keys(memory.search({ 1, 0 }, { async = "yield" })))
        assert.same({ "a" }, keys(memory.search({ 1, 0 }, { async = false })))
      end)
    end)
  end)
end

describe("search by text", function()
  local server = scripted.start()
  local provider

  -- An answer with vectors, in OpenAI's words.
  local function vectors(...)
    local data = {}
    for i, vector in ipairs({ ... }) do
      data[i] = { index = i - 1, embedding = vector }
    end
    return { json = { data = data, model = "embedder", usage = { prompt_tokens = 3 } } }
  end

  before_each(function()
    zigllms.reset()
    memory.clear()
    provider = zigllms.provider.create({
      type = "openai",
      base_url = server.url,
      api_key = "sk-CANARY-0123456789",
      retry = false,
    })
    zigllms.configure({ memory = { embed_provider = provider, embed_model = "embedder" } })
  end)

  teardown(function()
    zigllms.configure({ memory = null })
    memory.clear()
    server:retired(zigllms)()
  end)

  it("asks the provider for the vector", function()
    memory.store("cat", "meow", { embedding = { 1, 0 } })
    memory.store("dog", "woof", { embedding = { 0, 1 } })
    server:script(vectors({ 0.2, 2 }))
    local found = memory.search("what barks?", { limit = 1 })
    assert.equal("dog", found[1].key)
    local request = server:journal()[1]
    assert.equal("/v1/embeddings", request.path)
    assert.same({ "what barks?" }, request.json.input)
    assert.equal("embedder", request.json.model)
    assert.equal(3, zigllms.metrics().usage.prompt_tokens)
  end)

  it("tells a provider that knows the difference what is a query", function()
    local cohere =
      zigllms.provider.create({ type = "cohere", base_url = server.root, api_key = "x" })
    zigllms.configure({ memory = { embed_provider = cohere, embed_model = null } })
    local answer = { json = { embeddings = { float = { { 1, 0 } } } } }
    server:script(answer, answer)
    memory.store("cat", "meow", { embed = true })
    assert.equal("cat", memory.search("who says meow?")[1].key)
    local requests = server:requests()
    assert.equal("search_document", requests[1].input_type)
    assert.equal("search_query", requests[2].input_type)
  end)

  it("stores with the embedding of the value, or of another text", function()
    server:script(vectors({ 1, 0 }), vectors({ 0, 1 }))
    assert.is_true(memory.store("cat", "meow", { embed = true, tags = { "x" } }))
    assert.is_true(memory.store("dog", { sound = "woof" }, { embed = "the dog barks" }))
    local requests = server:requests()
    assert.same({ "meow" }, requests[1].input)
    assert.same({ "the dog barks" }, requests[2].input)
    local found = memory.search({ 0, 1 })
    assert.same({ "dog", "cat" }, keys(found))
    assert.same({ sound = "woof" }, found[1].value)
    assert.same({ "x" }, found[2].tags)
    assert.equal("meow", memory.retrieve("cat"))
  end)

  it("asks once for all that is stored together", function()
    server:script(vectors({ 1, 0 }, { 0, 1 }, { 1, 1 }))
    local count = memory.store_many({
      { "a", "text a" },
      { "b", "text b", { type = "long_term" } },
      { "n", 5, { embed = false } },
      { "c", 7, { embed = "text c", session = "one" } },
    }, { embed = true })
    assert.equal(4, count)
    assert.equal(1, server:count())
    assert.same({ "text a", "text b", "text c" }, server:requests()[1].input)
    assert.same({ "a", "c", "b" }, keys(memory.search({ 1, 0 }, { scope = "all" })))
    assert.equal(5, memory.retrieve("n"))
  end)

  it("stores into a store as well, and waits for both", function()
    local directory = stores.directory()
    zigllms.configure({ store = directory .. "/store.db" })
    server:script(vectors({ 1, 0 }), vectors({ 1, 0.1 }))
    local handle = memory.store("cat", "meow", {
      embed = true,
      type = "persistent",
      durability = "sync",
      async = true,
    })
    assert.is_true(handle:await())
    assert.equal("cat", memory.search("cats")[1].key)
    local other = zigllms.new({ store = directory .. "/store.db" })
    assert.equal("meow", other.memory.search({ 1, 0 })[1].value)
    memory.clear()
    zigllms.configure({ store = null })
    stores.remove(directory)
  end)

  it("deletes without a question, and sends nothing for what is refused", function()
    server:script()
    memory.store("cat", "meow")
    assert.is_true(memory.store("cat", nil, { embed = true }))
    assert.is_nil(memory.retrieve("cat"))
    for _, value in ipairs({ 5, true, "" }) do
      local err =
        raised("invalid_argument", memory.store, "k", value, { embed = true, async = true })
      has(err, "options.embed")
    end
    raised("invalid_argument", memory.store, "k", { "a" }, { embed = true })
    raised("invalid_argument", memory.store, "k", "v", { embed = true, embedding = { 1 } })
    raised("invalid_argument", memory.store_many, { { "a", "text" }, { "b", 5 } }, { embed = true })
    assert.is_nil(memory.retrieve("a"))
    assert.equal(0, server:count())
  end)

  it("keeps nothing where the provider fails", function()
    local refusal = { status = 400, json = { error = { message = "no" } } }
    server:script(refusal, refusal, vectors({ 0, 0 }), vectors({ 0, 0 }))
    local err = raised("bad_request", memory.store, "cat", "meow", { embed = true })
    assert.equal(provider, err.provider)
    raised("bad_request", memory.search, "cats")
    raised("bad_response", memory.store, "cat", "meow", { embed = true })
    raised("bad_response", memory.search, "cats")
    assert.is_nil(memory.retrieve("cat"))
  end)

  it("ends when its handle is cancelled", function()
    server:script({ delay_ms = 5000, json = {} })
    local handle = memory.store("cat", "meow", { embed = true, async = true })
    server:wait_for(1, zigllms.sleep)
    assert.is_true(handle:cancel("enough"))
    raised("cancelled", handle.await, handle)
    assert.is_nil(memory.retrieve("cat"))
  end)

  it("says who is missing", function()
    server:script()
    zigllms.configure({ memory = null })
    for _, call in ipairs({
      function()
        memory.search("cats", { async = true })
      end,
      function()
        memory.store("cat", "meow", { embed = true, async = true })
      end,
    }) do
      has(raised("invalid_state", call), "embed_provider")
    end
    zigllms.configure({ memory = { embed_provider = "nobody" } })
    raised("not_found", memory.search, "cats")
    zigllms.configure({ memory = { embed_provider = "anthropic" } })
    raised("unsupported", memory.search, "cats")
    assert.equal(0, server:count())
  end)
end)

describe("search", function()
  before_each(function()
    memory.clear()
  end)

  teardown(function()
    memory.clear()
  end)

  it("finds among many as among few", function()
    math.randomseed(11)
    local vectors, entries = {}, {}
    for i = 1, sized(20000, 3000) do
      local key = ("k%05d"):format(i)
      vectors[key] = random_vector(384)
      entries[i] = { key, i, { embedding = vectors[key], type = "long_term" } }
    end
    memory.store_many(entries)
    same_as_naive(vectors, random_vector(384), { limit = 10 })
  end)

  it("goes on while others change what it searches", function()
    math.randomseed(3)
    local entries = {}
    for i = 1, 3000 do
      entries[i] = { "k" .. i, i, { embedding = random_vector(384), type = "long_term" } }
    end
    memory.store_many(entries)
    local query = random_vector(384)
    local found = 0
    zigllms.run(function()
      local handles = {}
      for i = 1, 8 do
        handles[i] = memory.search(query, { async = true, limit = 5 })
      end
      for i = 1, 3000, 2 do
        memory.store("k" .. i, -i, { embedding = entries[i][3].embedding, type = "long_term" })
      end
      for _, handle in ipairs(handles) do
        for _, each in ipairs(handle:await()) do
          found = found + 1
          local n = tonumber(each.key:sub(2))
          assert.is_true(each.value == n or each.value == -n)
        end
      end
    end)
    assert.equal(40, found)
  end)

  it("wants a direction", function()
    memory.store("a", 1, { embedding = { 1, 0 } })
    for _, query in ipairs({ {}, { 0, 0 }, "", 5, true, { "a" }, { 1, {} }, { 1e39 } }) do
      has(raised("invalid_argument", memory.search, query), "query")
    end
    raised("invalid_argument", memory.search)
    raised("conversion_error", memory.search, { 0 / 0, 1 })
    raised("conversion_error", memory.search, { 1 / 0, 1 })
    for _, embedding in ipairs({ {}, { 0, 0 }, { 1e-60 }, "text", 5 }) do
      local err = raised("invalid_argument", memory.store, "b", 1, { embedding = embedding })
      has(err, "options.embedding")
    end
    raised("conversion_error", memory.store, "b", 1, { embedding = { 0 / 0 } })
    assert.is_nil(memory.retrieve("b"))
  end)

  it("has options that are checked", function()
    for name, value in pairs({
      limit = 0,
      min_score = 1.5,
      type = "forever",
      tag = 5,
      scope = "here",
      top = 3,
    }) do
      has(raised("invalid_argument", memory.search, { 1 }, { [name] = value }), "options." .. name)
    end
    raised("invalid_argument", memory.search, { 1 }, { scope = "global", session = "one" })
  end)

  it("meets very large and very small numbers", function()
    memory.store("large", 1, { embedding = { 1e38, 1e38 } })
    memory.store("small", 1, { embedding = { 1e-44, 0 } })
    local found = memory.search({ 1e-300, 1e-300 })
    assert.equal("large", found[1].key)
    assert.is_true(math.abs(found[1].score - 1) < 1e-12)
    assert.is_true(math.abs(found[2].score - math.sqrt(0.5)) < 1e-12)
    assert.equal(1, #memory.search({ 1e38, 1e38 }, { min_score = 1 }))
  end)

  it("forgets what had to make room", function()
    zigllms.configure({ memory = { max_entries = 10 } })
    for i = 1, 25 do
      memory.store("k" .. i, i, { embedding = { 1, i } })
    end
    local found = memory.search({ 1, 0 }, { limit = 100 })
    zigllms.configure({ memory = null })
    assert.equal(10, #found)
    assert.equal("k16", found[1].key)
    assert.equal("k25", found[10].key)
  end)

  it("ends when its handle is cancelled", function()
    local entries = {}
    for i = 1, 3000 do
      entries[i] = { "k" .. i, i, { embedding = random_vector(384), type = "long_term" } }
    end
    memory.store_many(entries)
    -- On a busy machine a search may be over before anybody can say no.
    local handle, stopped
    for _ = 1, 100 do
      handle = memory.search(random_vector(384), { async = true })
      stopped = stopped or handle:cancel("enough")
      if stopped then
        break
      end
    end
    assert.is_true(stopped)
    raised("cancelled", handle.await, handle)
    assert.equal(10, #memory.search(random_vector(384)))
  end)

  it("finds the entries of every instance in the process, and no session of another", function()
    local other = zigllms.new()
    other.memory.store("shared", 1, { embedding = { 1, 0 } })
    other.memory.store("own", 1, { embedding = { 1, 0 }, scope = "session" })
    assert.same({ "shared" }, keys(memory.search({ 1, 0 }, { scope = "all" })))
    assert.same({ "shared", "own" }, keys(other.memory.search({ 1, 0 }, { scope = "all" })))
  end)
end)
