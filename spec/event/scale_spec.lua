-- A hundred thousand subscriptions at once, and what an emit costs among them.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock

local event = zigllms.event
local COUNT = 100000

local function handler() end

describe("A hundred thousand subscriptions", function()
  after_each(function()
    zigllms.reset()
  end)

  it("come, are heard and go, each in little time and memory", function()
    zigllms.reset()
    collectgarbage()
    local before = collectgarbage("count")
    local ids, began = {}, clock()
    for i = 1, COUNT do
      ids[i] =
        event.subscribe("load." .. i .. ".x", handler, i % 10 == 0 and { once = true } or nil)
    end
    local subscribing = clock() - began
    began = clock()
    for i = 1, COUNT, 100 do
      local _, delivered = event.emit("load." .. i .. ".x")
      assert.equal(1, delivered)
    end
    local emitting = clock() - began
    local memory = collectgarbage("count") - before
    assert.equal(COUNT, #event.list_subscriptions())
    began = clock()
    for i = 1, COUNT do
      assert(event.unsubscribe(ids[i]))
    end
    local leaving = clock() - began
    local told =
      "%d subscriptions: %.1f s, 1,000 emits %.3f s, %.0f KiB of Lua's memory, %.1f s to go"
    print(told:format(COUNT, subscribing, emitting, memory, leaving))
    assert.equal(0, #event.list_subscriptions())
    assert.is_true(subscribing < 20 and leaving < 20 and emitting < 2)
    assert.is_true(memory < 64 * 1024)
  end)

  it("may share a pattern", function()
    zigllms.reset()
    local ids, calls = {}, 0
    for i = 1, COUNT do
      ids[i] = event.subscribe("load.*", function()
        calls = calls + 1
      end)
    end
    local _, delivered = event.emit("load.x")
    assert.equal(COUNT, delivered)
    assert.equal(COUNT, calls)
    local began = clock()
    for i = COUNT, 1, -1 do
      assert(event.unsubscribe(ids[i]))
    end
    assert.is_true(clock() - began < 20)
    _, delivered = event.emit("load.x")
    assert.equal(0, delivered)
  end)
end)
