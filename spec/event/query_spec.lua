-- Asking for recorded events, and forgetting them.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local event = zigllms.event

local function data(events)
  local list = {}
  for i, e in ipairs(events) do
    list[i] = e.data.n
  end
  return list
end

describe("filter without a callback", function()
  before_each(function()
    zigllms.reset()
    event.record()
    event.emit("order.paid", { n = 1, user = { id = 7 }, items = { { id = "a" } } })
    event.emit("order.sent", { n = 2, user = { id = 8 } }, { priority = "high", source = "shop" })
    event.emit("tool.used", { n = 3, on = true }, { priority = "critical" })
    event.emit("order.late.again", { n = 4, user = { id = 7 } }, { priority = "low" })
  end)

  after_each(function()
    zigllms.reset()
  end)

  local cases = {
    { "a pattern", "order.*", { 1, 2, 4 } },
    { "a pattern in criteria", { pattern = "order.*.again" }, { 4 } },
    { "everything", {}, { 1, 2, 3, 4 } },
    { "a category", { category = "tool" }, { 3 } },
    { "a category in any case", { category = "USER" }, { 1, 2, 4 } },
    { "a priority", { priority = "normal" }, { 1 } },
    { "a least priority", { min_priority = "high" }, { 2, 3 } },
    { "a source", { source = "shop" }, { 2 } },
    { "a value", { where = { ["data.user.id"] = 7 } }, { 1, 4 } },
    { "a value in a list", { where = { ["data.items[1].id"] = "a" } }, { 1 } },
    { "a boolean", { where = { ["data.on"] = true } }, { 3 } },
    { "a table", { where = { ["data.user"] = { id = 8 } } }, { 2 } },
    { "several values", { where = { ["data.user.id"] = 7, name = "order.paid" } }, { 1 } },
    { "what is not there", { where = { ["data.user"] = zigllms.null } }, { 3 } },
    { "what nothing has", { where = { ["data.user.id"] = "7" } }, {} },
    { "the first", { limit = 2 }, { 1, 2 } },
    { "all of it", { pattern = "order.*", min_priority = "normal", limit = 1 }, { 1 } },
  }
  for _, case in ipairs(cases) do
    it("finds " .. case[1], function()
      assert.same(case[3], data(event.filter(case[2])))
    end)
  end

  it("finds a time", function()
    local all = event.filter("*")
    local first, last = all[1].timestamp, all[4].timestamp
    assert.equal(4, #event.filter({ since = first, until_time = last }))
    assert.equal(0, #event.filter({ since = last + 1 }))
    assert.equal(0, #event.filter({ until_time = first - 1 }))
  end)

  it("gives fresh tables", function()
    event.filter("order.paid")[1].data.n = 99
    assert.equal(1, event.filter("order.paid")[1].data.n)
  end)

  it("gives an event once that two recorders have, and asks one if told", function()
    local second = event.record("late.*", { name = "second" })
    event.emit("late.one", { n = 5 })
    assert.same({ 1, 2, 3, 4, 5 }, data(event.filter("*")))
    assert.same({ 5 }, data(event.filter({ recorder = second })))
    assert.same({ 5 }, data(event.filter({ recorder = "second", pattern = "late.one" })))
    assert.same({ 5 }, data(event.filter({ recorder = { id = second } })))
  end)

  it("refuses what makes no sense", function()
    assert.matches("rec_99", raised("not_found", event.filter, { recorder = "rec_99" }).message)
    assert.matches(
      "min_priority",
      raised("invalid_argument", event.filter, { min_prio = 1 }).message
    )
    raised("invalid_argument", event.filter, { priority = "urgent" })
    raised("invalid_argument", event.filter, "a*b.c")
    raised("invalid_argument", event.filter, { pattern = "a*b.c" })
    local err = raised("invalid_argument", event.filter, { where = { ["data..x"] = 1 } })
    assert.matches('where%["data%.%.x"%]', err.message)
    raised("invalid_argument", event.filter)
  end)
end)

describe("clear", function()
  before_each(function()
    zigllms.reset()
  end)

  after_each(function()
    zigllms.reset()
  end)

  local function removed(...)
    local ok, count = event.clear(...)
    assert.is_true(ok)
    return count
  end

  it("forgets recorded events and nothing else", function()
    local calls = 0
    event.subscribe("*", function()
      calls = calls + 1
    end)
    event.record()
    event.record("a.*")
    event.emit("a.x", { n = 1 })
    event.emit("b.x", { n = 2 })
    event.emit("a.y", { n = 3 })
    assert.equal(2, removed("a.*"))
    assert.same({ 2 }, data(event.filter("*")))
    assert.equal(1, removed())
    assert.equal(0, removed())
    event.emit("a.z", { n = 4 })
    assert.equal(4, calls)
    assert.same({ 4 }, data(event.filter("*")))
  end)

  it("of one recorder leaves the others alone", function()
    local first, second = event.record(), event.record()
    event.emit("a", { n = 1 })
    assert.equal(1, removed(nil, { recorder = first }))
    assert.equal(0, #event.filter({ recorder = first }))
    assert.equal(1, #event.filter({ recorder = second }))
    raised("not_found", event.clear, nil, { recorder = "rec_99" })
  end)

  it("takes subscriptions, filters and recorders with it if told", function()
    local heard = {}
    local function subscribe(pattern)
      event.subscribe(pattern, function(e)
        heard[#heard + 1] = pattern .. " " .. e.name
      end)
    end
    subscribe("a.*")
    subscribe("b.*")
    event.filter("a.x", function()
      return false
    end)
    event.emit("a.x")
    assert.same({}, heard)
    assert.equal(1, removed("a.*", { filters = true }))
    event.emit("a.x")
    assert.equal(1, removed("a.*", { subscriptions = true }))
    event.emit("a.x")
    event.emit("b.x")
    assert.same({ "a.* a.x", "b.* b.x" }, heard)
    local id = event.record("b.*")
    event.emit("b.y")
    assert.equal(2, removed("b.*", { recorders = true }), "an event and a recorder")
    raised("not_found", event.filter, { recorder = id })
    event.record()
    event.filter("*", function() end)
    assert.equal(3, removed(nil, "ALL"))
    assert.same({ true, 0 }, { event.emit("b.z") })
    assert.equal(0, #event.list_subscriptions())
  end)

  it("refuses what makes no sense", function()
    assert.matches(
      "subscriptions",
      raised("invalid_argument", event.clear, nil, { subs = true }).message
    )
    raised("invalid_argument", event.clear, nil, "some")
    raised("invalid_argument", event.clear, "a*b.c")
  end)
end)
