-- What workflows cost: steps a second in memory, a wide map, and how well branches overlap.
--
-- `loadfile("bench/workflows.lua")("short")` prints nothing and returns a list of
-- {name, value, goal}; a goal is the least of a rate, or the most of a time.
local zigllms = require("zigllms")
local system = require("system")

local short = (...) == "short"
local here = debug.getinfo(1, "S").source:sub(2):gsub("[^/]*$", "")
local workflow = zigllms.workflow
local results = {}

local function now()
  return system.monotime()
end

local function told(name, value, unit, goal)
  results[#results + 1] = { name = name, value = value, goal = goal }
  if not short then
    print(("%-46s %10.0f %s (goal %s)"):format(name, value, unit, goal or "-"))
  end
end

-- Seconds of an execution, the best of some.
local function best(id, input)
  local least = math.huge
  for _ = 1, short and 2 or 7 do
    collectgarbage()
    local began = now()
    workflow.execute(id, input)
    least = math.min(least, now() - began)
  end
  return least
end

local function steps_of(n, make)
  local steps = {}
  for i = 1, n do
    steps[i] = make(i)
  end
  return steps
end

local function add(ctx)
  return ctx.input + 1
end

local function chain(name, n, make, goal)
  local id = workflow.create({ keep = 0, steps = steps_of(n, make) })
  told(name, n / best(id, 0), "steps/s", goal)
end

local many = short and 2000 or 10000

chain("functions, one after the other", many, function()
  return { fn = add }
end, 100000)

chain("templates, one after the other", many, function()
  return { type = "transform", template = "{{previous.output}}" }
end, 100000)

local function numbers(n)
  return steps_of(n, function(i)
    return i
  end)
end

local function map(n, fn)
  return workflow.create({
    keep = 0,
    steps = { { over = numbers(n), max_concurrency = n, steps = { { fn = fn } } } },
  })
end

local wide = map(1000, function(ctx)
  zigllms.sleep(10)
  return ctx.loop.item
end)
told("1,000 items that sleep 10 ms, side by side", best(wide) * 1000, "ms", nil)
told("1,000 items that return at once", 1000 / best(map(1000, add), 0), "items/s", nil)

local loop = workflow.create({ keep = 0, pattern = "loop", count = many, steps = { { fn = add } } })
told("a loop", many / best(loop, 0), "iterations/s", nil)

-- Every step is committed, and synced, before the next one begins.
local function recorded()
  local path = os.tmpname() .. ".db"
  zigllms.configure({ store = path })
  local count = short and 100 or 1000
  local id = workflow.create({
    name = "recorded",
    keep = 0,
    steps = steps_of(count, function()
      return { fn = add }
    end),
  })
  local least = math.huge
  for i = 1, short and 2 or 3 do
    local began = now()
    workflow.execute(id, 0, { run_id = "run " .. i })
    least = math.min(least, now() - began)
  end
  told("durable steps, in a file", count / least, "steps/s", 1000)
  zigllms.configure({ store = "memory" })
  for _, name in ipairs({ path, path .. "-wal", path .. "-shm" }) do
    os.remove(name)
  end
end

recorded()

-- A server that takes its time: the one of the specs.
local function network()
  package.path = here .. "../?.lua;" .. package.path
  local scripted = require("spec.support.server")
  local server = scripted.start()
  zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
  local reply = scripted.text("slow", { delay_ms = 200 })
  reply["repeat"] = true
  server:script(reply)
  local id = workflow.create({
    keep = 0,
    pattern = "parallel",
    max_concurrency = 10,
    steps = steps_of(10, function(i)
      local agent = zigllms.agent.create({ provider = "openai", model = "m" })
      return { id = "s" .. i, agent = agent, input = "go" }
    end),
  })
  told("ten network steps of 200 ms", best(id) * 1000, "ms", 400)
  server:stop()
end

if not short then
  network()
end

return results
