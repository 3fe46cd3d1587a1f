-- Many of everything. Each measurement has a process of its own.
local program = require("spec.support.program")
local size = require("spec.support.size")

-- What the chunks share: `resident()` in bytes, and `timed(name, fn)`, which prints.
local TOOLS = [[
local zigllms = require("zigllms")
local clock = os.clock
local function resident(garbage)
  if not garbage then
    collectgarbage()
    collectgarbage()
  end
  local file = io.open("/proc/self/status")
  if not file then
    return 0
  end
  local kib = file:read("*a"):match("VmRSS:%s*(%d+)")
  file:close()
  return tonumber(kib) * 1024
end
local function timed(name, fn)
  local began = clock()
  fn()
  print(name, clock() - began)
end
zigllms.provider.configure("openai", { base_url = "http://127.0.0.1:9/v1", api_key = "test" })
local execute = function() end
local kinds = {
  tool = {
    create = function(name)
      return zigllms.tool.register({ name = name, execute = execute })
    end,
    look_up = function(key)
      return zigllms.tool.get(key).id
    end,
    exists = zigllms.tool.exists,
    list = zigllms.tool.list,
    destroy = zigllms.tool.unregister,
  },
  agent = {
    create = function(name)
      return zigllms.agent.create({ name = name, provider = "openai" })
    end,
    look_up = function(key)
      return zigllms.agent.get_info(key).id
    end,
    exists = zigllms.agent.exists,
    list = zigllms.agent.list,
    destroy = zigllms.agent.destroy,
  },
}
]]

local MANY = TOOLS
  .. [[
local kind, count = kinds[arg[1] ], tonumber(arg[2])
kind.destroy(kind.create("first")) -- what is allocated once
local before = resident()
local ids = {}
timed("create", function()
  for i = 1, count do
    ids[i] = kind.create("number_" .. i)
  end
end)
local own = ids
ids = nil
local first, last = own[1], own[count]
own = nil
print("bytes", (resident() - before) / count)
assert(first ~= last)
timed("name", function()
  for i = 1, count do
    assert(kind.exists("number_" .. i))
  end
  assert(kind.look_up("number_1") == first and kind.look_up("number_" .. count) == last)
  for i = 1, count, 10 do
    assert(kind.look_up("number_" .. i))
  end
end)
timed("list", function()
  ids = kind.list({ ids = true })
end)
assert(#ids == count and ids[1] == first and ids[count] == last)
timed("id", function()
  for i = 1, count do
    assert(kind.exists(ids[i]))
  end
  for i = 1, count, 10 do
    assert(kind.look_up(ids[i]) == ids[i])
  end
end)
timed("destroy", function()
  for i = 1, count do
    assert(kind.destroy(ids[i]))
  end
end)
assert(#kind.list({ ids = true }) == 0)
assert(not kind.exists("number_1") and not kind.exists(last))
assert(kind.destroy(first) == false)
]]

local CYCLES = TOOLS
  .. [[
local kind, count = kinds[arg[1] ], tonumber(arg[2])
local function cycles(n)
  for i = 1, n do
    local id = kind.create("one_of_" .. i % 7)
    assert(kind.exists(id))
    assert(kind.destroy(id))
  end
end
cycles(2000)
local before = resident()
timed("cycles", function()
  cycles(count)
end)
print("bytes", resident() - before)
]]

local SLEEPERS = TOOLS
  .. [[
local count = tonumber(arg[1])
local awake, handles = 0, {}
timed("spawn", function()
  for i = 1, count do
    handles[i] = zigllms.spawn(function()
      zigllms.sleep(20 + i % 50)
      awake = awake + 1
      return i
    end)
  end
end)
assert(awake < count)
timed("finish", function()
  local results = zigllms.all(handles)
  for i = 1, count do
    assert(results[i] == i)
  end
end)
assert(awake == count)
for i = 1, count do
  assert(handles[i]:done() and handles[i]:status() == "completed")
end
]]

local SPAWNS = TOOLS
  .. [[
local count = tonumber(arg[1])
local function cycles(n)
  for i = 1, n do
    local handle = zigllms.spawn(function(value)
      if i % 4 == 0 then
        zigllms.sleep(0)
      end
      return value
    end, i)
    assert(handle:await() == i)
    if i % 100 == 0 then
      zigllms.spawn(zigllms.sleep, 60000):cancel() -- one that never ends by itself
    end
  end
  zigllms.poll(0)
end
cycles(count)
local before = resident("with garbage") -- as it is in a program that leaves collecting to Lua
timed("cycles", function()
  cycles(count)
end)
print("bytes", resident("with garbage") - before)
]]

-- The numbers that a chunk printed, by name; they are shown.
local function measured(title, chunk, ...)
  local result = program.run(chunk, { args = { ... } })
  assert.equal("", result.err)
  assert.equal(0, result.rc)
  local numbers, shown = {}, {}
  for name, number in result.out:gmatch("(%a+)\t(%S+)") do
    numbers[name] = tonumber(number)
    shown[#shown + 1] = ("%s %.6g%s"):format(name, number, name == "bytes" and "" or " s")
  end
  print(("\n%s: %s"):format(title, table.concat(shown, ", ")))
  return numbers
end

-- About ten times what an idle machine needs, in seconds of processor time.
local LIMITS = { create = 30, name = 10, list = 1, id = 10, destroy = 5, cycles = 10 }
local COUNT = size(100000, 20000)
local MIB = 1048576

local function within_limits(numbers)
  for name, limit in pairs(LIMITS) do
    assert(not numbers[name] or numbers[name] < limit, name .. " took " .. tostring(numbers[name]))
  end
end

describe("scale", function()
  for _, kind in ipairs({ "tool", "agent" }) do
    it(("%d %ss are created, found and destroyed"):format(COUNT, kind), function()
      local numbers = measured(("%d %ss"):format(COUNT, kind), MANY, kind, COUNT)
      assert.is_true(numbers.bytes < 1024)
      assert.is_number(numbers.destroy)
      within_limits(numbers)
    end)

    it(("20000 %ss one after the other do not grow memory"):format(kind), function()
      local numbers = measured(("20000 %ss in turn"):format(kind), CYCLES, kind, 20000)
      assert.is_true(numbers.bytes < MIB)
      within_limits(numbers)
    end)
  end

  it("2000 spawned sleepers finish", function()
    local numbers = measured("2000 sleepers", SLEEPERS, 2000)
    assert.is_true(numbers.spawn < 2)
    assert.is_true(numbers.finish < 5)
  end)

  it("20000 handles one after the other do not grow memory", function()
    local numbers = measured("20000 handles in turn", SPAWNS, 20000)
    assert.is_true(numbers.bytes < MIB)
    within_limits(numbers)
  end)
end)
