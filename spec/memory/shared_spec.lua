-- One store for several processes: what each sees of the others, and that nothing is lost.
local zigllms = require("zigllms")
local processes = require("spec.support.processes")
local size = require("spec.support.size")
local stores = require("spec.support.stores")

local memory = zigllms.memory

for _, place in ipairs(stores.shared()) do
  describe("A store shared by processes, " .. place.name, function()
    local store

    setup(function()
      store = place.open()
    end)

    before_each(function()
      zigllms.configure({ store = store })
      memory.clear()
    end)

    teardown(function()
      memory.clear()
      zigllms.configure({ store = zigllms.null })
      place.close()
    end)

    it("shows one process what another has committed", function()
      assert.is_nil(memory.retrieve("seen"))
      processes(1, store, [[memory.store("seen", { "by another" }, persistent)]])
      assert.same({ "by another" }, memory.retrieve("seen"))
      assert.same({ "seen" }, memory.list_keys())
      memory.delete("seen")
      local lines = processes(1, store, [[print(memory.retrieve("seen") or "nothing")]])
      assert.same({ "nothing" }, lines)
    end)

    it("does not lose what others write to other keys", function()
      local each = size(200, 50)
      processes(
        4,
        store,
        ([[for i = 1, %d do memory.store(me .. ":" .. i, i, persistent) end]]):format(each)
      )
      assert.equal(4 * each, #memory.list_keys())
    end)

    it("counts the increments of eight processes exactly", function()
      local each = size(500, 60)
      local chunk = [[for _ = 1, %d do memory.increment("count", 1, persistent) end print("done")]]
      assert.equal(8, #processes(8, store, chunk:format(each)))
      assert.equal(8 * each, memory.retrieve("count"))
    end)

    it("makes the updates of eight processes exactly", function()
      local each = size(500, 60)
      local chunk = [[
        for _ = 1, %d do
          memory.update("votes", function(old)
            old = old or { total = 0 }
            old.total = old.total + 1
            old["by" .. me] = (old["by" .. me] or 0) + 1
            return old
          end, persistent)
        end
        print("done")
      ]]
      assert.equal(8, #processes(8, store, chunk:format(each)))
      local votes = memory.retrieve("votes")
      assert.equal(8 * each, votes.total)
      for i = 1, 8 do
        assert.equal(each, votes["by" .. i])
      end
    end)

    it("lets one of eight processes be the first", function()
      local chunk = [[
        if memory.store("leader", me, { type = "persistent", if_absent = true }) then print(me) end
      ]]
      local lines = processes(8, store, chunk)
      assert.equal(1, #lines)
      assert.equal(tonumber(lines[1]), memory.retrieve("leader"))
    end)

    it("survives processes that clear while others write", function()
      local chunk = [[
        for i = 1, 40 do
          if me == 1 then memory.clear() else memory.store("k" .. i, me, persistent) end
        end
        print("done")
      ]]
      assert.equal(4, #processes(4, store, chunk))
      for _, key in ipairs(memory.list_keys()) do
        assert.is_number(memory.retrieve(key))
      end
    end)
  end)
end
