-- What memory costs, against a Lua table, SQLite through LuaSQL, and Redis.
--
-- Each case alternates with its peer in short rounds within one run, and shows the median of the
-- rounds' ratios: a busy machine slows both. Smaller is better; 1.00 is the peer's time. In the
-- process the processor's time counts, with files and servers real time. A peer that is not
-- installed is left out and named.
local zigllms = require("zigllms")

package.path = arg[0]:gsub("[^/]*$", "") .. "lib/?.lua;" .. package.path
local measured = require("measured")
local real_time = require("system").monotime

local memory = zigllms.memory
local SMALL, TEXT = 42, ("x"):rep(256)

local directory = os.tmpname()
os.remove(directory)
assert(os.execute("mkdir -m 700 " .. directory))

local function print_row(name, cost, ratio, peer)
  print(("%-46s %11.3f us %9s x %s"):format(name, cost, ratio, peer))
end

local function compare(name, fn, peer_name, peer, clock)
  local cost, _, ratio = measured(fn, peer, clock)
  print_row(name, cost, ("%.2f"):format(ratio), peer_name)
end

local function skip(name, why)
  print(("%-46s skipped: %s"):format(name, why))
end

-- Keys that are used again and again, as programs do.
local keys = {}
for i = 1, 100 do
  keys[i] = "key:" .. i
end

local function in_turn(fn)
  local i = 0
  return function()
    i = i % 100 + 1
    return fn(keys[i])
  end
end

-- A Lua closure that stores into a table.
local kept = {}

local function put(key, value)
  kept[key] = value
  return true
end

local function get(key)
  return kept[key]
end

local function in_process()
  for name, value in pairs({ ["a number"] = SMALL, ["256 bytes"] = TEXT }) do
    compare(
      "memory.store: " .. name,
      in_turn(function(key)
        return memory.store(key, value)
      end),
      "a closure and a table",
      in_turn(function(key)
        return put(key, value)
      end)
    )
    compare(
      "memory.retrieve: " .. name,
      in_turn(function(key)
        return memory.retrieve(key)
      end),
      "a closure and a table",
      in_turn(function(key)
        return get(key)
      end)
    )
  end
end

local PERSISTENT = { type = "persistent" }
local DURABLE = { type = "persistent", durability = "sync" }

local function use(store)
  zigllms.configure({ store = store })
end

local function close()
  memory.clear({ type = "persistent" })
  zigllms.flush()
  zigllms.configure({ store = zigllms.null })
end

local function retrieve(key)
  return memory.retrieve(key)
end

-- SQLite as LuaSQL has it: a statement a call, each its own commit.
local function luasql(synchronous)
  local found, driver = pcall(require, "luasql.sqlite3")
  if not found then
    return nil
  end
  local environment = driver.sqlite3()
  local connection = assert(environment:connect(directory .. "/luasql-" .. synchronous .. ".db"))
  local function run(sql)
    return assert(connection:execute(sql))
  end
  run("PRAGMA journal_mode=WAL"):close()
  run("PRAGMA synchronous=" .. synchronous)
  run("CREATE TABLE kv (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID")
  local peer = {}
  function peer.put(key)
    run(("REPLACE INTO kv VALUES ('%s', '%s')"):format(key, TEXT))
  end
  function peer.get(key)
    local cursor = run(("SELECT v FROM kv WHERE k = '%s'"):format(key))
    local value = cursor:fetch()
    cursor:close()
    return value
  end
  function peer.close()
    connection:close()
    environment:close()
  end
  return peer
end

local BATCH, EACH = 1000, 20

-- A thousand writes, and all of them survive a crash of the machine.
local function store_thousand()
  for i = 1, BATCH do
    memory.store(keys[i % 100 + 1] .. i, TEXT, PERSISTENT)
  end
  zigllms.flush()
end

-- What is queued is part of the cost, so the peer's writes never pay for it.
local function compare_batch(name, peer_name, peer)
  local cost, peer_cost, ratio = measured(store_thousand, function()
    for i = 1, EACH do
      peer(keys[i % 100 + 1] .. i)
    end
  end, real_time)
  peer_name = ("%s: %.1f us"):format(peer_name, peer_cost / EACH)
  print_row(name, cost / BATCH, ("%.3f"):format(ratio * EACH / BATCH), peer_name)
end

local function store_durable(key)
  return memory.store(key, TEXT, DURABLE)
end

local function in_a_file()
  use(directory .. "/store.db")
  compare_batch("1 of 1000 stores and a flush", "one commit each, as durable", store_durable)
  local full, normal = luasql("FULL"), luasql("NORMAL")
  if full then
    compare_batch("1 of 1000 stores and a flush", "LuaSQL, synchronous=FULL", full.put)
    compare_batch("1 of 1000 stores and a flush", "LuaSQL, synchronous=NORMAL", normal.put)
    local peer = "LuaSQL, synchronous=FULL"
    compare("store, sync", in_turn(store_durable), peer, in_turn(full.put), real_time)
    for _, key in ipairs(keys) do
      normal.put(key)
    end
    compare("retrieve from the file", in_turn(retrieve), "LuaSQL", in_turn(normal.get), real_time)
    full.close()
    normal.close()
  else
    skip("store and retrieve in a file", "there is no LuaSQL for this engine (lua-sql-sqlite3)")
  end
  close()
end

-- Debian has the client for Lua up to 5.3; it is plain Lua.
local function client_of(server)
  local path = package.path
  package.path = path .. ";" .. path:gsub("5%.4", "5.3")
  local found, redis = pcall(require, "redis")
  package.path = path
  if not found then
    return nil, "there is no client for this engine (lua-redis)"
  end
  return redis.connect("127.0.0.1", server.port)
end

local function on_redis()
  local server, why = require("spec.support.redis").start()
  if not server then
    return skip("a Redis server", why)
  end
  local client
  client, why = client_of(server)
  if client then
    local function client_put(key)
      return client:set(key, TEXT)
    end
    local function client_get(key)
      return client:get(key)
    end
    use(server.url)
    compare_batch("1 of 1000 stores and a flush, on Redis", "lua-redis", client_put)
    for _, key in ipairs(keys) do
      store_durable(key)
      client_put(key)
    end
    compare("retrieve from Redis", in_turn(retrieve), "lua-redis", in_turn(client_get), real_time)
    close()
  else
    skip("a Redis server", why)
  end
  server:stop()
end

local DIMENSIONS = 384

local function random_vector()
  local vector = {}
  for i = 1, DIMENSIONS do
    vector[i] = math.random() - 0.5
  end
  return vector
end

local function fill(ai, count, options)
  options.scope = "session"
  for first = 1, count, 1000 do
    local entries = {}
    for i = first, math.min(first + 999, count) do
      entries[#entries + 1] = { "v" .. i, i, { embedding = random_vector() } }
    end
    ai.memory.store_many(entries, options)
  end
  ai.flush()
end

-- What a program without an index does.
local function naive(vectors, query)
  local best, whose = -math.huge, nil
  for i, vector in ipairs(vectors) do
    local product, length = 0, 0
    for k = 1, DIMENSIONS do
      product, length = product + vector[k] * query[k], length + vector[k] * vector[k]
    end
    local score = product / math.sqrt(length)
    if score > best then
      best, whose = score, i
    end
  end
  return whose
end

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

local function search_times(ai, rounds)
  local times = {}
  for i = 1, rounds do
    local query = random_vector()
    local started = real_time()
    assert(#ai.memory.search(query, { scope = "session" }) == 10)
    times[i] = (real_time() - started) * 1e3
  end
  return median(times), times[1], times[rounds]
end

-- How long a search that is under way keeps Lua's thread at a time. A busy machine only adds to it,
-- so the search that did so least counts.
local function hold(ai)
  local least = math.huge
  for _ = 1, 5 do
    local longest, before = 0, real_time()
    local handle = ai.memory.search(random_vector(), { scope = "session", async = true })
    repeat
      local now = real_time()
      longest, before = math.max(longest, now - before), now
      ai.poll(0)
    until handle:done()
    least = math.min(least, math.max(longest, real_time() - before))
  end
  return least * 1e3
end

local function search_many(name, store, count, rounds)
  local ai = zigllms.new({ store = store })
  fill(ai, count, { type = store and "persistent" or "long_term" })
  search_times(ai, 1)
  local middle, least, most = search_times(ai, rounds)
  print(
    ("%-46s %8.1f ms (%.1f to %.1f), Lua's thread held for %.2f ms"):format(
      name,
      middle,
      least,
      most,
      hold(ai)
    )
  )
  ai.memory.clear()
  ai.flush()
end

local function search()
  local few = zigllms.new()
  local vectors, entries = {}, {}
  for i = 1, 1000 do
    vectors[i] = random_vector()
    entries[i] = { "v" .. i, i, { embedding = vectors[i], type = "long_term" } }
  end
  few.memory.store_many(entries, { scope = "session" })
  local query = random_vector()
  local options = { scope = "session", limit = 1 }
  assert(few.memory.search(query, options)[1].value == naive(vectors, query))
  compare(
    "search 1,000 x 384",
    function()
      return few.memory.search(query, options)
    end,
    "the same loop in Lua",
    function()
      return naive(vectors, query)
    end
  )
  search_many("search 100,000 x 384", nil, 100000, 20)
  search_many("search 100,000 x 384 in a file", directory .. "/vectors.db", 100000, 5)
end

print(("%-46s %14s %11s peer"):format("case", "cost", "ratio"))
in_process()
in_a_file()
on_redis()
search()
os.execute("rm -rf " .. directory)
