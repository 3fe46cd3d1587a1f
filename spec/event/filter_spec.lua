-- Filters: functions that see an event first, and may drop or change it.
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local event = zigllms.event

local function delivered(...)
  return (select(2, event.emit(...)))
end

describe("filter", function()
  before_each(function()
    zigllms.reset()
  end)

  after_each(function()
    zigllms.reset()
  end)

  it("drops an event by false, and lets it pass by nil, true and other values", function()
    local list = heard("a")
    local verdict
    local id = event.filter("a", function()
      return verdict
    end)
    assert.is_truthy(id:match("^filter_%d+$"))
    for _, pass in ipairs({ true, 0, "no" }) do
      verdict = pass
      assert.equal(1, delivered("a"))
    end
    verdict = nil
    assert.equal(1, delivered("a"))
    verdict = false
    local ok, count = event.emit("a")
    assert.is_true(ok)
    assert.equal(0, count)
    assert.equal(4, #list)
    assert.is_true(event.unsubscribe(id))
    assert.is_false(event.unsubscribe(id))
    assert.equal(1, delivered("a"))
  end)

  it("replaces the data, or fields if all keys are fields", function()
    local list = heard("a")
    local new
    event.filter("a", function()
      return new
    end)
    new = { total = 1, data = 2 }
    event.emit("a", "old")
    assert.equal(new, list[1].data)
    new = { data = "new", priority = "high", tags = { "t" } }
    event.emit("a", "old")
    assert.equal("new high t", list[2].data .. " " .. list[2].priority .. " " .. list[2].tags[1])
    assert.equal("a", list[2].type)
    new = {}
    event.emit("a", "old")
    assert.equal(new, list[3].data)
  end)

  it("may change the event itself, and give it back", function()
    local list = heard("a")
    event.filter("a", function(e)
      e.data = e.data + 1
      return e
    end)
    event.emit("a", 1)
    assert.equal(2, list[1].data)
  end)

  it("decides before conditions of subscriptions are looked at", function()
    local high = heard("a", { min_priority = "high" })
    local two = heard("a", { filter = { data = 2 } })
    event.filter("a", function()
      return { priority = "critical", data = 2 }
    end)
    assert.equal(2, delivered("a", 1))
    assert.equal(1, #high)
    assert.equal(1, #two)
  end)

  it("runs in order of registration, and not behind one that drops", function()
    local order = {}
    for i = 1, 3 do
      event.filter("a", function(e)
        order[#order + 1] = i
        e.data = (e.data or "") .. i
        return i ~= 2
      end)
    end
    local list = heard("a")
    assert.equal(0, delivered("a"))
    assert.equal("12", table.concat(order))
    assert.equal(0, #list)
  end)

  it("sees events that nobody else hears", function()
    local seen
    event.filter("a.*", function(e)
      seen = e.type
    end)
    assert.equal(0, delivered("a.b"))
    assert.equal("a.b", seen)
  end)

  it("is isolated when it raises, as a handler is: the event goes on", function()
    local errors, list = heard("system.handler_error"), heard("a")
    local thrown = {}
    local id = event.filter("a", function()
      error(thrown)
    end)
    event.filter("a", function()
      return { data = "second" }
    end)
    assert.equal(1, delivered("a", "first"))
    assert.equal("second", list[1].data)
    assert.equal(thrown, errors[1].data.error)
    assert.equal(id, errors[1].data.subscription_id)
    local ok, err = pcall(event.emit, "a", 1, { strict = true })
    assert.is_false(ok)
    assert.equal(thrown, err)
    assert.equal(1, #list)
  end)

  it("sees events of the module itself, and of failing handlers", function()
    local dropped = 0
    event.filter("system.*", function()
      dropped = dropped + 1
      return false
    end)
    local errors = heard("system.handler_error")
    event.subscribe("a", error)
    event.emit("a")
    assert.equal(1, dropped)
    assert.equal(0, #errors)
  end)

  it("may yield in a coroutine and wait anywhere", function()
    local list = heard("a")
    event.filter("a", function(e)
      e.data = coroutine.yield(e.data)
    end)
    local co = coroutine.create(event.emit)
    assert.same({ true, 1 }, { coroutine.resume(co, "a", 1) })
    assert.same({ true, true, 1 }, { coroutine.resume(co, "back") })
    assert.equal("back", list[1].data)
  end)

  it("is not listed among the subscriptions", function()
    event.filter("a", print)
    assert.equal(0, #event.list_subscriptions())
  end)

  it("refuses what does not fit", function()
    raised("invalid_argument", event.filter)
    raised("invalid_argument", event.filter, 5, print)
    raised("invalid_argument", event.filter, "", print)
    raised("invalid_argument", event.filter, "a", "print")
    raised("invalid_argument", event.filter, { pattern = "a" }, print)
  end)
end)
