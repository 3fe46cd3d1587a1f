-- What the cache saves, and what it costs where it saves nothing.
--
-- Two instances of the module make the same calls in alternating short rounds, one with the cache
-- and one without; the ratio is the median of the rounds' ratios, so a busy machine slows both. Of
-- chats the figure is wall-clock time, for what is saved there is waiting: the server is another
-- process on this machine, and answers as fast as it can.
--
-- A hit of a schema saves compiling it, not reading the table that was passed: a schema compiled
-- once by hand costs neither. A hit of a text saves reading it, not building the tables that the
-- caller gets.
local zigllms = require("zigllms")

local here = arg[0]:match("^(.*)bench/[^/]*$") or ""
package.path = here .. "bench/lib/?.lua;" .. package.path
local measured = require("measured")
local is_jit = rawget(_G, "jit") ~= nil

local with = zigllms.new({ cache = { functions = { ["agent.get_info"] = true } } })
local without = zigllms.new({ cache = { enabled = false } })

local function show(name, cost, peer_cost, ratio)
  print(("%-44s %10.2f us %12.2f us %9.1f x"):format(name, cost, peer_cost, 1 / ratio))
end

-- Calls fn(instance) with either.
local function compare(name, fn)
  local function kept()
    return fn(with)
  end
  local function anew()
    return fn(without)
  end
  show(name, measured(kept, anew))
end

print(("%-44s %13s %15s %11s"):format(is_jit and jit.version or _VERSION, "kept", "anew", "ratio"))

-- Schemas ---------------------------------------------------------------------------------------

local function tool_schema(members)
  local properties, required = {}, {}
  for i = 1, members do
    local name = "member_" .. i
    local kinds = {
      { type = "string", minLength = 1, description = "what it is called" },
      { type = "integer", minimum = 0, maximum = 100 },
      { type = "array", items = { type = "string", enum = { "a", "b", "c" } } },
    }
    properties[name], required[i] = kinds[i % 3 + 1], name
  end
  return { type = "object", properties = properties, required = required }
end

for _, members in ipairs({ 3, 20 }) do
  local schema = tool_schema(members)
  compare(("schema.compile, %d members"):format(members), function(z)
    return z.schema.compile(schema)
  end)
  compare(("schema.check, %d members, schema as a table"):format(members), function(z)
    return z.schema.check({}, schema)
  end)
end

-- Texts -----------------------------------------------------------------------------------------

-- What a model writes when it has lost the thread of JSON, of about that size.
local function broken(bytes)
  local parts = {}
  repeat
    parts[#parts + 1] = ("{name: 'item %d', 'tags': [one, \"two\",], note: \"it's fine\"}"):format(
      #parts
    )
  until #parts * #parts[1] > bytes
  return "Here you are:\n```json\n[" .. table.concat(parts, ",\n") .. ",]\n```\nAnything else?"
end

for _, kilobytes in ipairs({ 2, 10, 100 }) do
  local text = broken(kilobytes * 1000)
  compare(("output.recover, %d KB"):format(kilobytes), function(z)
    return z.output.recover(text)
  end)
end

-- What is not worth it by itself ------------------------------------------------------------------

local agents = {}
for _, z in ipairs({ with, without }) do
  z.provider.configure("openai", { api_key = "none" })
  agents[z] = z.agent.create({ name = "a", provider = "openai", temperature = 0.5 })
end

compare("agent.get_info, switched on", function(z)
  return z.agent.get_info(agents[z])
end)
compare("agent.exists, which is never kept", function(z)
  return z.agent.exists(agents[z])
end)
compare("output.recover, 100 bytes: too short to keep", function(z)
  return z.output.recover("{name: 'item', 'tags': [one, \"two\",], note: \"it's fine\"")
end)

-- Chats -------------------------------------------------------------------------------------------

local function start_server()
  local fifo = os.tmpname()
  os.remove(fifo)
  os.execute("mkfifo " .. fifo)
  local input = io.popen(("exec python3 %sbench/answers.py > %s"):format(here, fifo), "w")
  local output = io.open(fifo)
  local port = output:read("*l")
  output:close()
  os.remove(fifo)
  return port, input
end

-- Wall-clock microseconds per call, the least of some rounds.
local found, system = pcall(require, "system")
local clock = found and system.monotime or os.clock

local function per_call(fn, times)
  local best = math.huge
  for _ = 1, 15 do
    local started = clock()
    for _ = 1, times do
      fn()
    end
    best = math.min(best, (clock() - started) / times * 1e6)
  end
  return best
end

local port, server = start_server()
for _, model in ipairs({ "document", "stream-50" }) do
  local costs = {}
  for _, z in ipairs({ with, without }) do
    z.provider.configure("openai", { base_url = "http://127.0.0.1:" .. port .. "/v1" })
    costs[z] = per_call(function()
      return z.provider.chat("hi", { provider = "openai", model = model, cache = true })
    end, 20)
  end
  local name = "provider.chat on this machine, " .. model
  show(name, costs[with], costs[without], costs[with] / costs[without])
end
server:close()

-- Policies ----------------------------------------------------------------------------------------

-- A hit of a small question, among few and among many: here the peer is the smaller cache.
for _, eviction in ipairs({ "lru", "lfu", "fifo" }) do
  local function filled(entries)
    local z = zigllms.new({
      cache = {
        eviction = eviction,
        size = entries,
        max_bytes = 2 ^ 40,
        functions = { ["schema.generate"] = true },
      },
    })
    for i = 1, entries do
      z.schema.generate(i)
    end
    local i = 0
    return function()
      i = i % entries + 1
      return z.schema.generate(i)
    end
  end
  local many, few = filled(200000), filled(1000)
  show(eviction .. ": a hit among 200,000, against 1,000", measured(many, few))
end
