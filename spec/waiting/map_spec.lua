-- map: a function over an array, so many calls at a time.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local map, sleep = zigllms.map, zigllms.sleep

describe("map", function()
  -- A function that sleeps, and how many calls of it were under way at most.
  local function busy(ms)
    local now, most = 0, 0
    return function(item)
      now = now + 1
      most = math.max(most, now)
      sleep(ms)
      now = now - 1
      return item * 2
    end, function()
      return most
    end
  end

  it("gives the results in order, from calls that overlap", function()
    local fn, most = busy(10)
    assert.same({ 2, 4, 6, 8 }, (map({ 1, 2, 3, 4 }, fn)))
    assert.equal(4, most())
  end)

  it("keeps results that are false", function()
    local results, errors = map({ 1, 2 }, function(item)
      return item == 1
    end)
    assert.same({ true, false }, results)
    assert.same({}, errors)
  end)

  it("has 8 calls under way at most, or as many as are asked for", function()
    local list = {}
    for i = 1, 20 do
      list[i] = i
    end
    local fn, most = busy(2)
    map(list, fn)
    assert.equal(8, most())
    fn, most = busy(2)
    map(list, fn, { max_concurrency = 3 })
    assert.equal(3, most())
  end)

  it("passes the index, and ends at the first nil", function()
    local seen = {}
    map({ "a", "b", nil, "d" }, function(item, index)
      seen[index] = item
    end, { max_concurrency = 1 })
    assert.same({ "a", "b" }, seen)
    assert.same({}, (map({}, print)))
  end)

  it("raises the first error with its index and cancels the rest", function()
    local ended = {}
    local function fn(item)
      if item == 2 then
        sleep(5)
        error({ mine = true })
      end
      local ok, err = pcall(sleep, 60000)
      ended[item] = not ok and err.code
      error(err, 0)
    end
    local err = raised("callback_error", map, { 1, 2, 3 }, fn)
    assert.equal(2, err.details.index)
    assert.is_true(err.cause.mine)
    zigllms.poll(0)
    assert.same({ [1] = "cancelled", [3] = "cancelled" }, ended)
  end)

  it("lets the rest go on with keep", function()
    local finished = 0
    local function fn(item)
      if item == 1 then
        error("no")
      end
      sleep(10)
      finished = finished + 1
    end
    raised("callback_error", map, { 1, 2, 3 }, fn, { keep = true })
    zigllms.run()
    assert.equal(2, finished)
  end)

  it("returns errors by index where asked to", function()
    local results, errors = map({ 1, 2, 3 }, function(item)
      if item == 2 then
        error("two")
      end
      return item
    end, { on_error = "return" })
    assert.equal(1, results[1])
    assert.is_nil(results[2])
    assert.equal(3, results[3])
    assert.equal("callback_error", errors[2].code)
    assert.is_nil(errors[1])
  end)

  it("tells of each item that is done", function()
    local told = {}
    map({ 30, 1 }, function(ms)
      sleep(ms)
      if ms == 1 then
        error("quick")
      end
    end, {
      on_error = "return",
      on_each = function(done, total, index, err)
        told[#told + 1] = { done, total, index, err and err.code }
      end,
    })
    assert.same({ { 1, 2, 2, "callback_error" }, { 2, 2, 1 } }, told)
  end)

  it("is a handle with async, and a cancel ends what is under way", function()
    assert.same({ 2, 4 }, map({ 1, 2 }, (busy(5)), { async = true }):await())
    local begun, ended = 0, 0
    local handle = map({ 1, 2, 3, 4 }, function()
      begun = begun + 1
      local ok, err = pcall(sleep, 60000)
      ended = ended + (ok and 0 or 1)
      error(err, 0)
    end, { async = true, max_concurrency = 2, on_error = "return" })
    handle:cancel()
    raised("cancelled", zigllms.await, handle)
    zigllms.poll(0)
    assert.equal(2, begun)
    assert.equal(2, ended)
  end)

  it("asks a model many questions at once", function()
    local model = scripted.new()
    model:script(scripted.text("fine", { delay_ms = 60, again = true }))
    local answers = map({ "a", "b", "c" }, function(question)
      return zigllms.provider.chat(question, { provider = "openai" }).content
    end)
    assert.same({ "fine", "fine", "fine" }, answers)
    assert.equal(3, model:count())
    zigllms.reset()
  end)

  it("refuses what is no list, no function or no option", function()
    raised("invalid_argument", map, "abc", print)
    raised("invalid_argument", map, {}, {})
    raised("invalid_argument", map, {}, print, { max_concurrency = 0 })
    raised("invalid_argument", map, {}, print, { on_error = "ignore" })
    raised("invalid_argument", map, {}, print, { concurrency = 2 })
  end)
end)
