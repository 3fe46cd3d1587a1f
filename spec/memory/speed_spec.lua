-- What bench/memory.lua measures, in short: a tenth of each goal, which a busy machine reaches too.
local zigllms = require("zigllms")
local stores = require("spec.support.stores")
local clock = require("spec.support.program").clock

local memory = zigllms.memory

-- Median seconds of `rounds` calls.
local function median(rounds, fn)
  local times = {}
  for i = 1, rounds do
    local began = clock()
    fn()
    times[i] = clock() - began
  end
  table.sort(times)
  return times[math.ceil(rounds / 2)]
end

describe("The speed of memory", function()
  after_each(function()
    memory.clear()
    zigllms.configure({ store = zigllms.null })
  end)

  it("keeps an entry within fifty times what a closure takes that stores into a table", function()
    if zigllms.info().features.debug then
      print("skipped: this module is built without optimisation")
      return
    end
    local kept = {}
    local function peer(key, value)
      kept[key] = value
    end
    local function calls(fn)
      return function()
        for i = 1, 20000 do
          fn("key", i)
        end
      end
    end
    local ours, theirs = median(9, calls(memory.store)), median(9, calls(peer))
    assert.equal(20000, kept.key)
    assert.equal(20000, memory.retrieve("key"))
    print(("memory.store: %.1f times a closure"):format(ours / theirs))
    -- LuaJIT compiles the closure away: there the goal says nothing.
    assert.is_true(rawget(_G, "jit") ~= nil or ours < 50 * theirs)
  end)

  it("commits many writes together in less time than each for itself", function()
    local directory = stores.directory()
    zigllms.configure({ store = directory .. "/store.db" })
    local n = 0
    local function write(durability)
      for _ = 1, 30 do
        n = n + 1
        memory.store("k" .. n, n, { type = "persistent", durability = durability })
      end
    end
    local each = median(5, function()
      write("sync")
    end)
    local together = median(5, function()
      write("batched")
      zigllms.flush()
    end)
    assert.equal(300, #memory.list_keys())
    print(("30 durable writes: %.1f times as fast together"):format(each / together))
    assert.is_true(each > together)
    zigllms.configure({ store = zigllms.null })
    stores.remove(directory)
  end)
end)
