-- Memory in the hands of somebody who means it no good.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")

local memory = zigllms.memory
local null = zigllms.null

for _, store in ipairs(stores.all()) do
  describe("hostile use of memory " .. store.name, function()
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

    it("ends an update whose function writes its own key every time", function()
      local runs = 0
      local err = raised("io_error", memory.update, "own", function()
        runs = runs + 1
        memory.store("own", runs, { type = "persistent" })
        return "never"
      end, { type = "persistent" })
      assert.equal("contention", err.details.reason)
      assert.equal(runs, memory.retrieve("own"))
    end)

    it("ends an update within an update of the same key", function()
      local function outer()
        memory.update("nested", function(old)
          return (old or 0) + 1
        end, { type = "persistent" })
        return "never"
      end
      local err = raised("io_error", memory.update, "nested", outer, { type = "persistent" })
      assert.equal("contention", err.details.reason)
    end)

    it("writes an update where it was read, whatever its function configures", function()
      local before = zigllms.config().store
      memory.store("moved", 1, { type = "persistent" })
      local new = memory.update("moved", function(old)
        zigllms.configure({ store = "memory" })
        return old + 1
      end)
      assert.equal(2, new)
      zigllms.configure({ store = before })
      assert.equal(2, memory.retrieve("moved"))
    end)

    it("takes -0.0 for the key 0, as tables do", function()
      memory.store(-0.0, "zero")
      assert.same({ "0" }, memory.list_keys())
      assert.equal("zero", memory.retrieve(0))
    end)

    it("names the bound that a number is beyond", function()
      assert.equal(
        "argument #1: key: expected a number from -9e15 to 9e15, got 1e+300",
        raised("invalid_argument", memory.store, 1e300, 1).message
      )
      local err = raised("invalid_argument", memory.store, "k", 1, { ttl_ms = 1e300 })
      assert.truthy(err.message:find("from 0 to 4e15", 1, true), err.message)
    end)

    it("increments by any number there is", function()
      assert.equal(1.7e308, memory.increment("huge", 1.7e308))
      raised("invalid_state", memory.increment, "huge", 1.7e308)
    end)
  end)
end
