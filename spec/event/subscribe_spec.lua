-- Subscriptions: their options, their list, and their end.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local event = zigllms.event
local null = zigllms.null

local function counter()
  local count = { n = 0 }
  return count, function(e)
    count.n = count.n + 1
    count.last = e
  end
end

local function listed(id)
  for _, item in ipairs(event.list_subscriptions()) do
    if item.id == id then
      return item
    end
  end
end

describe("subscribe", function()
  before_each(function()
    zigllms.reset()
  end)

  after_each(function()
    zigllms.reset()
  end)

  it("gives ids that are never used again", function()
    local first = event.subscribe("a", print)
    assert.is_truthy(first:match("^sub_%d+$"))
    assert.is_true(event.unsubscribe(first))
    assert.not_equal(first, event.subscribe("a", print))
  end)

  it("takes a callable table", function()
    local got
    event.subscribe(
      "a",
      setmetatable({}, {
        __call = function(_, e)
          got = e.data
        end,
      })
    )
    event.emit("a", 3)
    assert.equal(3, got)
  end)

  it("refuses what does not fit and says what and where", function()
    for _, pattern in ipairs({ "", 5, {}, print, true }) do
      local err = raised("invalid_argument", event.subscribe, pattern, print)
      assert.is_truthy(err.message:find("#1", 1, true))
    end
    for _, callback in ipairs({ "print", 5, {}, true }) do
      local err = raised("invalid_argument", event.subscribe, "a", callback)
      assert.is_truthy(err.message:find("#2", 1, true))
    end
    raised("invalid_argument", event.subscribe, "a")
    local bad = {
      { onec = true },
      { once = 1 },
      { priority = "urgent" },
      { priority = 5 },
      { category = "none" },
      { min_priority = "all" },
      { filter = "x" },
      { filter = { nonsense = 1 } },
      { filter = { ["date.x"] = 1 } },
      { filter = { data = {} } },
    }
    for _, options in ipairs(bad) do
      local err = raised("invalid_argument", event.subscribe, "a", print, options)
      assert.is_truthy(err.message:find("options.", 1, true), err.message)
    end
    raised("invalid_argument", event.subscribe, "a", print, "high")
    raised("conversion_error", event.subscribe, "a", print, { filter = { data = print } })
    local err = raised("invalid_argument", event.subscribe, "a", print, { onec = true })
    assert.is_truthy(err.message:find('"once"', 1, true) or err.message:find("once", 1, true))
    assert.equal(0, #event.list_subscriptions())
  end)

  it("takes null as unset", function()
    local options = { once = null, priority = null, filter = null, category = null }
    assert.equal("normal", listed(event.subscribe("a", print, options)).priority)
    event.subscribe("a", print, null)
  end)

  describe("with once", function()
    it("ends before its handler runs", function()
      local calls = 0
      local id
      id = event.subscribe("a", function()
        calls = calls + 1
        assert(event.unsubscribe(id) == false)
        event.emit("a")
      end, { once = true })
      assert.is_true(listed(id).once)
      local _, delivered = event.emit("a")
      assert.equal(1, delivered)
      assert.equal(1, calls)
      assert.is_nil(listed(id))
      event.emit("a")
      assert.equal(1, calls)
    end)

    it("is called once although an earlier handler emits the same", function()
      local calls, again = 0, true
      event.subscribe("a", function()
        if again then
          again = false
          event.emit("a")
        end
      end)
      event.subscribe("a", function()
        calls = calls + 1
      end, { once = true })
      local _, delivered = event.emit("a")
      assert.equal(1, calls)
      assert.equal(1, delivered)
    end)

    it("stays as long as nothing it wants has come", function()
      local count, count_up = counter()
      event.subscribe("*", count_up, { once = true, filter = { data = 2 } })
      for i = 1, 3 do
        event.emit("a", i)
      end
      assert.equal(1, count.n)
      assert.equal(2, count.last.data)
    end)

    it("ends when its handler raises", function()
      local id = event.subscribe("a", error, { once = true })
      event.emit("a")
      assert.is_false(event.unsubscribe(id))
    end)
  end)

  it("wants one category, or priorities from one on", function()
    local tools, tool = counter()
    local urgent, high = counter()
    event.subscribe("*", tool, { category = "Tool" })
    event.subscribe("*", high, { min_priority = "HIGH" })
    event.emit("tool.x")
    event.emit("x", { category = "tool", data = 1 })
    event.emit("tool.x", { category = "user", data = 1 })
    for _, priority in ipairs({ "low", "normal", "high", "critical" }) do
      event.emit("x", { priority = priority })
    end
    assert.equal(2, tools.n)
    assert.equal(2, urgent.n)
    assert.equal("critical", urgent.last.priority)
  end)

  it("asks a filter function, where nil and false are no", function()
    local count, count_up = counter()
    local asked = {}
    event.subscribe("a", count_up, {
      filter = function(...)
        asked[#asked + 1] = select("#", ...)
        return (...).data
      end,
    })
    for _, data in ipairs({ 1, false, 0, "" }) do
      event.emit("a", data)
    end
    local _, delivered = event.emit("a")
    assert.equal(0, delivered)
    assert.equal(3, count.n)
    assert.equal("11111", table.concat(asked))
  end)

  it("compares fields, also inside of the data", function()
    local cases = {
      { { type = "order.paid" }, true },
      { { type = "order.late" }, false },
      { { ["data.user.id"] = 7 }, true },
      { { ["data.user.id"] = 8 }, false },
      { { ["data.user.id"] = "7" }, false },
      { { ["data.items.2"] = "b" }, true },
      { { ["data.ok"] = true, category = "user", priority = "NORMAL" }, true },
      { { ["data.ok"] = true, source = "x" }, false },
      { { ["data.none.at.all"] = 1 }, false },
      { { ["data.user.id.more"] = 1 }, false },
      { { ["metadata.x"] = 1 }, false },
      { {}, true },
    }
    local counts = {}
    for i, case in ipairs(cases) do
      local count, count_up = counter()
      counts[i] = count
      event.subscribe("order.*", count_up, { filter = case[1] })
    end
    event.emit("order.paid", { user = { id = 7 }, items = { "a", "b" }, ok = true })
    for i, case in ipairs(cases) do
      assert.equal(case[2] and 1 or 0, counts[i].n, "case " .. i)
    end
    event.emit("order.paid", "text")
    event.emit("order.paid")
    assert.equal(3, counts[1].n)
  end)

  it("keeps a table of fields as it was", function()
    local count, count_up = counter()
    local fields = { data = 1 }
    event.subscribe("a", count_up, { filter = fields })
    fields.data = 2
    event.emit("a", 2)
    event.emit("a", 1)
    assert.equal(1, count.n)
  end)

  it("isolates what a filter raises: no call, one error", function()
    local errors, failed = counter()
    event.subscribe("system.handler_error", failed)
    local count, count_up = counter()
    local thrown = {}
    local id = event.subscribe("a", count_up, {
      filter = function()
        error(thrown)
      end,
    })
    local others, other = counter()
    event.subscribe("a", other)
    local _, delivered = event.emit("a")
    assert.equal(1, delivered)
    assert.equal(0, count.n)
    assert.equal(1, others.n)
    assert.equal(thrown, errors.last.data.error)
    assert.equal(id, errors.last.data.subscription_id)
    assert.equal(1, listed(id).error_count)
    assert.equal(0, listed(id).call_count)
  end)

  it("hears events of the module itself", function()
    local list = {}
    event.subscribe("tool.*", function(e)
      list[#list + 1] = e
    end)
    zigllms.tool.register({
      name = "adds",
      execute = function(input)
        return input.a + input.b
      end,
    })
    assert.equal(3, zigllms.tool.execute("adds", { a = 1, b = 2 }))
    assert.equal("tool.invoked", list[1].type)
    assert.equal("tool.succeeded", list[2].type)
    assert.equal("tool", list[1].category)
    assert.equal("tool", list[1].source)
    assert.is_true(list[2].data.duration_ms >= 0)
    local text = zigllms.output.parse(tostring(list[2].data), "json")
    assert.equal(list[2].data.duration_ms, text.duration_ms)
    assert.is_truthy(list[1].correlation_id)
    assert.equal(list[1].correlation_id, list[2].correlation_id)
    zigllms.tool.execute("adds", { a = 1, b = 2 })
    assert.not_equal(list[1].correlation_id, list[3].correlation_id)
  end)

  it("prints the data of a failure with its error object", function()
    local last
    event.subscribe("tool.failed", function(e)
      last = e
    end)
    zigllms.tool.register({
      name = "fails",
      execute = function()
        error({ why = print })
      end,
    })
    local ok, err = pcall(zigllms.tool.execute, "fails", {})
    assert.is_false(ok)
    assert.equal(err.code, last.data.error.code)
    local text = zigllms.output.parse(tostring(last.data), "json")
    assert.equal("tool_error", text.error.code)
    assert.equal(err.message, text.error.message)
  end)
end)

describe("unsubscribe", function()
  before_each(function()
    zigllms.reset()
  end)

  it("says whether there was one, by id or by what is listed", function()
    local first, second = event.subscribe("a", print), event.subscribe("a", print)
    assert.is_true(event.unsubscribe(first))
    assert.is_false(event.unsubscribe(first))
    assert.is_true(event.unsubscribe(event.list_subscriptions()[1]))
    assert.is_false(event.unsubscribe(second))
    assert.is_false(event.unsubscribe("sub_999999"))
    assert.is_false(event.unsubscribe("nonsense"))
    raised("invalid_argument", event.unsubscribe, 5)
    raised("invalid_argument", event.unsubscribe)
  end)

  it("lets go of the callback", function()
    local kept = setmetatable({}, { __mode = "v" })
    kept[1] = function() end
    local id = event.subscribe("a", kept[1], {
      filter = function()
        return kept
      end,
    })
    event.emit("a")
    event.unsubscribe(id)
    event.emit("a")
    zigllms.modules()
    collectgarbage()
    collectgarbage()
    assert.is_nil(kept[1])
  end)
end)

describe("list_subscriptions", function()
  before_each(function()
    zigllms.reset()
  end)

  it("tells everything in order, with live counts", function()
    local before = os.time()
    local first = event.subscribe("order.*", function() end)
    local second = event.subscribe("**.paid", error, { priority = "High", filter = {} })
    for _ = 1, 3 do
      event.emit("order.paid")
    end
    local list = event.list_subscriptions()
    assert.equal(2, #list)
    local one, two = list[1], list[2]
    assert.equal(first, one.id)
    assert.equal("order.*", one.pattern)
    assert.equal("order.*", one.event_type)
    assert.equal("normal", one.priority)
    assert.is_false(one.once)
    assert.is_false(one.has_filter)
    assert.equal(3, one.call_count)
    assert.equal(0, one.error_count)
    assert.is_true(one.created_at >= before - 1 and one.created_at < before + 60)
    assert.equal(second, two.id)
    assert.equal("high", two.priority)
    assert.is_true(two.has_filter)
    assert.equal(3, two.call_count)
    assert.equal(3, two.error_count)
    assert.not_equal(list[1], event.list_subscriptions()[1])
  end)

  it("keeps counting when others come and go", function()
    local id = event.subscribe("a", function() end)
    for _ = 1, 5 do
      event.emit("a")
      event.unsubscribe(event.subscribe("a", print and function() end))
    end
    assert.equal(5, listed(id).call_count)
  end)

  it("tells who hears a name, or whose patterns are like one", function()
    for _, pattern in ipairs({ "order.*", "order.paid", "*", "user.paid", "order.late.again" }) do
      event.subscribe(pattern, function() end)
    end
    local function patterns(pattern)
      local list = {}
      for i, item in ipairs(event.list_subscriptions(pattern)) do
        list[i] = item.pattern
      end
      return table.concat(list, " ")
    end
    assert.equal("order.* order.paid *", patterns("order.paid"))
    assert.equal("order.* order.paid order.late.again", patterns("order.*"))
    assert.equal("order.paid user.paid", patterns("*.paid"))
    assert.equal("*", patterns("nothing"))
    raised("invalid_argument", event.list_subscriptions, "a*b")
    raised("invalid_argument", event.list_subscriptions, 5)
  end)
end)
