-- Emitting: events and envelopes, who is called in which order, what goes wrong in handlers.
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local event = zigllms.event
local null = zigllms.null

local function delivered(...)
  local ok, count = event.emit(...)
  assert.is_true(ok)
  return count
end

describe("emit", function()
  before_each(function()
    zigllms.reset()
  end)

  after_each(function()
    zigllms.configure({ profiling = null })
    zigllms.reset()
  end)

  it("answers true and how many handlers were called", function()
    assert.equal(0, delivered("order.paid"))
    heard("order.*")
    heard("order.paid")
    heard("order.late")
    assert.equal(2, delivered("order.paid"))
    assert.equal(1, delivered("order.late.again"))
    assert.equal(0, delivered("order"))
  end)

  it("hands one argument to a handler: the event", function()
    local count, e
    event.subscribe("order.paid", function(...)
      count, e = select("#", ...), ...
    end)
    local before = os.time()
    event.emit("order.paid", { total = 12 })
    assert.equal(1, count)
    local keys = {}
    for key in pairs(e) do
      keys[#keys + 1] = key
    end
    table.sort(keys)
    assert.equal("category data id name priority source timestamp type", table.concat(keys, " "))
    assert.is_truthy(e.id:match("^evt_%d+$"))
    assert.equal("order.paid", e.type)
    assert.equal("order.paid", e.name)
    assert.equal("user", e.category)
    assert.equal("normal", e.priority)
    assert.equal("user", e.source)
    assert.equal(12, e.data.total)
    assert.is_true(e.timestamp >= before - 1 and e.timestamp <= os.time() + 1)
  end)

  it("gives every event an id of its own", function()
    local list = heard("*")
    event.emit("a")
    event.emit("a")
    assert.not_equal(list[1].id, list[2].id)
  end)

  it("takes the category from the first part of the name", function()
    local list = heard("*")
    local cases = {
      ["workflow.started"] = "workflow",
      agent = "agent",
      ["tool.x.y"] = "tool",
      ["system.x"] = "system",
      ["user.x"] = "user",
      ["agents.x"] = "user",
      ["memory.updated"] = "user",
    }
    for name, category in pairs(cases) do
      event.emit(name)
      assert.equal(category, list[#list].category, name)
    end
  end)

  it("passes data of any type by reference", function()
    local list = heard("a")
    local cyclic = setmetatable({}, {
      __index = function()
        error("read with metamethods")
      end,
    })
    rawset(cyclic, "self", cyclic)
    local values = {
      cyclic,
      print,
      coroutine.create(function() end),
      io.stdout,
      "",
      "\255\0",
      0 / 0,
      false,
      null,
    }
    for i = 1, #values do
      event.emit("a", values[i])
      assert.is_true(rawequal(values[i], list[i].data) or values[i] ~= values[i])
    end
    event.emit("a")
    assert.is_nil(list[#list].data)
  end)

  describe("with an envelope", function()
    it("takes the data out if all keys are known and it has data or a valid priority", function()
      local list = heard("*")
      local data = {}
      event.emit("a", { priority = "HIGH", data = data })
      assert.equal("high", list[1].priority)
      assert.equal(data, list[1].data)
      event.emit("a", { data = 7 })
      assert.equal(7, list[2].data)
      event.emit("a", { priority = zigllms.event.Priority.CRITICAL })
      assert.equal("critical", list[3].priority)
      assert.is_nil(list[3].data)
      event.emit("a", {
        type = "tool",
        source = "cook",
        tags = { "x" },
        metadata = { n = 1 },
        correlation_id = "c1",
        data = false,
      })
      local e = list[4]
      assert.equal(
        "a tool cook x 1 c1 false",
        table.concat({
          e.type,
          e.category,
          e.source,
          e.tags[1],
          e.metadata.n,
          e.correlation_id,
          tostring(e.data),
        }, " ")
      )
      event.emit("a", { category = "Agent", data = 1 })
      assert.equal("agent", list[5].category)
    end)

    it("is not fooled by payloads that look alike", function()
      local list = heard("*")
      local payloads = {
        {},
        { priority = "urgent" },
        { priority = 5 },
        { source = "x" },
        { data = 1, more = 2 },
        { type = "tool", tags = {} },
        { priority = "high", name = "x" },
        { [1] = "x", data = 1 },
      }
      for i, payload in ipairs(payloads) do
        event.emit("a", payload)
        assert.equal(payload, list[i].data)
        assert.equal("normal", list[i].priority)
      end
    end)

    it("reads it raw", function()
      local list = heard("a")
      local sly = setmetatable({}, { __index = { data = 1, priority = "high" } })
      event.emit("a", sly)
      assert.equal(sly, list[1].data)
      local locked = setmetatable({ data = 3 }, { __metatable = false, __index = error })
      event.emit("a", locked)
      assert.equal(3, list[2].data)
    end)

    it("refuses values that do not fit, whether or not anybody listens", function()
      local bad = {
        { data = 1, priority = 5 },
        { data = 1, category = "nonsense" },
        { data = 1, type = 3 },
        { data = 1, source = "" },
        { data = 1, tags = "x" },
        { data = 1, metadata = 4 },
        { data = 1, correlation_id = {} },
      }
      for round = 1, 2 do
        for _, envelope in ipairs(bad) do
          local err = raised("invalid_argument", event.emit, "a", envelope)
          assert.equal("emit", err.func)
        end
        local list = round == 1 and heard("a") or {}
        assert.equal(0, #list)
      end
    end)

    it("never is one beside options", function()
      local list = heard("a")
      local payload = { priority = "high", data = 1 }
      event.emit("a", payload, {})
      assert.equal(payload, list[1].data)
      assert.equal("normal", list[1].priority)
      event.emit("a", payload, { priority = "low", source = "me", tags = { "t" } })
      assert.equal(payload, list[2].data)
      assert.equal("low me t", list[2].priority .. " " .. list[2].source .. " " .. list[2].tags[1])
      event.emit("a", nil, { data = print })
      assert.equal(print, list[3].data)
      event.emit("a", payload, null)
      assert.equal(1, list[4].data)
    end)
  end)

  it("refuses names, options and keys that do not fit, whether or not anybody listens", function()
    for _ = 1, 2 do
      for _, name in ipairs({ "", 5, true, {}, print }) do
        assert.equal("emit", raised("invalid_argument", event.emit, name).func)
      end
      raised("invalid_argument", event.emit)
      raised("invalid_argument", event.emit, nil, 1)
      raised("invalid_argument", event.emit, null)
      raised("conversion_error", event.emit, "\255")
      raised("invalid_argument", event.emit, "a", 1, "high")
      raised("invalid_argument", event.emit, "a", 1, { priority = "urgent" })
      local err = raised("invalid_argument", event.emit, "a", 1, { prioritty = "high" })
      assert.is_truthy(err.message:find("priority", 1, true))
      assert.is_truthy(err.where:find("%.lua:%d+$"))
      heard("*")
    end
  end)

  it("calls by priority, then in order of subscription", function()
    local order = {}
    for _, priority in ipairs({ "low", "normal", "critical", "high", "normal", "critical" }) do
      local mark = priority .. #order
      event.subscribe("a", function()
        order[#order + 1] = mark
      end, { priority = priority })
      order[#order + 1] = mark
    end
    order = {}
    event.subscribe("*", function()
      order[#order + 1] = "unnamed"
    end)
    event.emit("a")
    assert.equal("critical2 critical5 high3 normal1 normal4 unnamed low0", table.concat(order, " "))
  end)

  describe("when a handler fails", function()
    it("goes on with the others and tells system.handler_error", function()
      local errors = heard("system.handler_error")
      local thrown = { code = 7 }
      local id = event.subscribe("a", function()
        error(thrown)
      end, { priority = "high" })
      local list = heard("a")
      assert.equal(2, delivered("a", "x"))
      assert.equal(1, #list)
      assert.equal(1, #errors)
      local e = errors[1]
      assert.equal(id, e.data.subscription_id)
      assert.equal(list[1], e.data.event)
      assert.equal(thrown, e.data.error)
      assert.equal("system", e.category)
      assert.equal("system", e.source)
      local text = tostring(e.data)
      assert.equal(id, zigllms.output.parse(text, "json").subscription_id)
    end)

    it("goes on behind each of many that fail", function()
      local errors = heard("system.handler_error")
      local calls = {}
      for i = 1, 9 do
        event.subscribe("a", function()
          calls[#calls + 1] = i
          if i % 2 == 1 then
            error("no " .. i, 0)
          end
        end)
      end
      assert.equal(9, delivered("a"))
      assert.equal("123456789", table.concat(calls))
      assert.equal(5, #errors)
      assert.equal("no 9", errors[5].data.error)
    end)

    it("does not go round in circles over handlers of system.handler_error", function()
      local calls = 0
      event.subscribe("system.handler_error", function()
        calls = calls + 1
        error("again")
      end)
      event.subscribe("a", function()
        error("once")
      end)
      assert.equal(1, delivered("a"))
      assert.equal(1, calls)
    end)

    it("raises the first error unchanged with strict", function()
      local errors = heard("system.handler_error")
      local list = {}
      for i = 1, 3 do
        event.subscribe("a", function()
          list[#list + 1] = i
          error(list)
        end)
      end
      local ok, err = pcall(event.emit, "a", 1, { strict = true })
      assert.is_false(ok)
      assert.equal(list, err)
      assert.equal("1", table.concat(list))
      assert.equal(0, #errors)
      assert.is_true(pcall(event.emit, "a", 1, { strict = false }))
      local metrics = zigllms.metrics().bridges.event.functions.emit
      assert.equal(2, metrics.calls)
      -- Plain Lua 5.1 cannot wait inside a pcall: there failures are not counted.
      assert.equal(_VERSION == "Lua 5.1" and not rawget(_G, "jit") and 0 or 1, metrics.errors)
    end)
  end)

  describe("inside a handler", function()
    it("dispatches at once, 64 deep at most", function()
      local depth, deepest, refusal = 0, 0, nil
      event.subscribe("deeper", function()
        depth = depth + 1
        deepest = math.max(deepest, depth)
        local ok, err = pcall(event.emit, "deeper")
        refusal = refusal or not ok and err or nil
        depth = depth - 1
      end)
      for _ = 1, 3 do
        depth, deepest, refusal = 0, 0, nil
        assert.equal(1, delivered("deeper"))
        assert.equal(64, deepest)
        assert.equal("invalid_state", refusal.code)
        assert.equal("emit", refusal.func)
      end
    end)

    it("tells of the event that was too deep", function()
      local errors = heard("system.handler_error")
      local id = event.subscribe("deeper", function()
        event.emit("deeper")
      end)
      for round = 1, 2 do
        assert.equal(1, delivered("deeper"))
        assert.equal(round, #errors)
        assert.equal("invalid_state", errors[round].data.error.code)
        assert.equal(id, errors[round].data.subscription_id)
      end
    end)

    it("does so although who hears of it emits as well", function()
      local depth, deepest = 0, 0
      event.subscribe("system.handler_error", function()
        depth = depth + 1
        deepest = math.max(deepest, depth)
        pcall(event.emit, "system.handler_error")
        depth = depth - 1
      end)
      event.emit("system.handler_error")
      assert.equal(65, deepest) -- the outermost is one of them
    end)

    it("counts coroutines inside of each other", function()
      local depth, deepest = 0, 0
      event.subscribe("deeper", function()
        depth = depth + 1
        deepest = math.max(deepest, depth)
        if depth < 200 then
          assert(coroutine.resume(coroutine.create(function()
            pcall(event.emit, "deeper")
          end)))
        end
        depth = depth - 1
      end)
      event.emit("deeper")
      -- Lua itself may refuse so many coroutines inside of each other first.
      assert.is_true(deepest <= 64 and deepest > 20, "deepest: " .. deepest)
    end)

    it("does not count those that were suspended in the middle of a handler, or killed", function()
      local waiting = {}
      event.subscribe("wait", function()
        coroutine.yield()
      end)
      for i = 1, 500 do
        waiting[i] = coroutine.create(event.emit)
        assert(coroutine.resume(waiting[i], "wait"))
      end
      local depth, deepest = 0, 0
      event.subscribe("deeper", function()
        depth = depth + 1
        deepest = math.max(deepest, depth)
        pcall(event.emit, "deeper")
        depth = depth - 1
      end)
      for _ = 1, 3 do
        deepest = 0
        event.emit("deeper")
        assert.equal(64, deepest)
      end
      for i = 1, 250 do
        local ok, done, count = coroutine.resume(waiting[i])
        assert.is_true(ok and done)
        assert.equal(1, count)
      end
      waiting = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      for _ = 1, 200 do
        deepest = 0
        assert.equal(1, delivered("deeper"))
        assert.equal(64, deepest)
      end
    end)

    it("counts what changes from the next event on", function()
      local order = {}
      local second
      event.subscribe("a", function()
        order[#order + 1] = "first"
        event.unsubscribe(second)
        event.subscribe("a", function()
          order[#order + 1] = "new"
        end, { priority = "critical" })
      end)
      second = event.subscribe("a", function()
        order[#order + 1] = "second"
      end)
      assert.equal(2, delivered("a"))
      assert.equal("first second", table.concat(order, " "))
      assert.equal(2, delivered("a"))
      assert.equal("first second new first", table.concat(order, " "))
    end)
  end)

  describe("in a coroutine", function()
    it("lets handlers yield to its resumer and goes on with the next one", function()
      local order = {}
      for i = 1, 3 do
        event.subscribe("a", function()
          order[#order + 1] = coroutine.yield(i)
          if i == 2 then
            error("after a yield")
          end
        end)
      end
      local errors = heard("system.handler_error")
      local co = coroutine.create(event.emit)
      for i = 1, 3 do
        local ok, value = coroutine.resume(co, i == 1 and "a" or "v" .. i - 1)
        assert.is_true(ok)
        assert.equal(i, value)
      end
      local ok, done, count = coroutine.resume(co, "v3")
      assert.is_true(ok and done)
      assert.equal(3, count)
      assert.equal("v1 v2 v3", table.concat(order, " "))
      assert.equal(1, #errors)
    end)

    it("lets handlers wait", function()
      local order = {}
      event.subscribe("a", function(e)
        zigllms.sleep(e.data)
        order[#order + 1] = e.data
      end)
      zigllms.run(function()
        local slow = zigllms.spawn(event.emit, "a", 30)
        local fast = zigllms.spawn(event.emit, "a", 5)
        zigllms.all({ slow, fast })
      end)
      assert.equal("5 30", table.concat(order, " "))
    end)
  end)

  it("lets handlers wait on the main thread, and refuses a raw yield there as Lua does", function()
    local errors = heard("system.handler_error")
    local slept
    event.subscribe("a", function()
      zigllms.sleep(5)
      slept = true
    end)
    event.subscribe("a", function()
      coroutine.yield()
    end)
    if coroutine.running() and not select(2, coroutine.running()) then
      -- busted runs this in a coroutine of its own: nothing is refused there.
      local emitting = coroutine.create(event.emit)
      assert(coroutine.resume(emitting, "a"))
      assert.equal("suspended", coroutine.status(emitting))
    else
      assert.equal(2, delivered("a"))
      assert.is_truthy(tostring(errors[1].data.error):find("yield", 1, true))
    end
    assert.is_true(slept)
  end)

  it("counts every call exactly", function()
    local function counts()
      local bridge = zigllms.metrics().bridges.event
      return bridge and bridge.functions.emit or { calls = 0, errors = 0 }
    end
    for _ = 1, 10 do
      event.emit("nobody")
    end
    heard("a")
    for _ = 1, 5 do
      event.emit("a")
    end
    event.emit("a", 1, { source = "x" })
    event.emit("a", { data = 1, tags = {} })
    pcall(event.emit, "")
    pcall(event.emit, "a", 1, { nonsense = 1 })
    assert.equal(19, counts().calls)
    assert.equal(2, counts().errors)
    assert.is_truthy(
      zigllms.metrics_text():find('zigllms_calls_total{bridge="event",func="emit"} 19', 1, true)
    )
    event.emit("a")
    assert.is_truthy(
      zigllms.metrics_text():find('zigllms_calls_total{bridge="event",func="emit"} 20', 1, true)
    )
    zigllms.metrics({ reset = true })
    event.emit("a")
    zigllms.configure({ profiling = true })
    event.emit("a")
    event.emit("nobody")
    assert.equal(3, counts().calls)
    assert.is_true(zigllms.metrics().total_time_ms > 0)
    zigllms.configure({ profiling = false })
    event.emit("a")
    event.emit("a")
    zigllms.reset()
    assert.equal(0, counts().calls)
  end)

  it("keeps instances apart", function()
    local other = zigllms.new()
    local list = heard("*")
    local others = 0
    other.event.subscribe("*", function()
      others = others + 1
    end)
    event.emit("a")
    assert.equal(1, #list)
    assert.equal(0, others)
    other.event.emit("a")
    other.reset()
    other.event.emit("a")
    assert.equal(1, others)
    assert.equal(1, delivered("a"))
    assert.equal(2, #list)
  end)

  it("forgets all listeners with reset", function()
    local list = heard("*")
    event.filter("*", function() end)
    event.emit("a")
    zigllms.reset()
    assert.equal(0, delivered("a"))
    assert.equal(1, #list)
    assert.equal(0, #event.list_subscriptions())
  end)

  it("works in the safe style", function()
    heard("a")
    assert.is_true(zigllms.safe.event.emit("a"))
    local ok, err = zigllms.safe.event.emit("")
    assert.is_nil(ok)
    assert.equal("invalid_argument", err.code)
  end)

  it("does not remember names for ever", function()
    heard("order.*")
    collectgarbage()
    local before = collectgarbage("count")
    for i = 1, 20000 do
      event.emit("nobody." .. i)
      event.emit("order." .. i)
    end
    collectgarbage()
    collectgarbage()
    local list = collectgarbage("count") - before
    -- The 20,000 events themselves are kept by the handler: 400 bytes each at most.
    assert.is_true(list < 20000 * 0.6 + 2000, list .. " KiB")
  end)
end)
