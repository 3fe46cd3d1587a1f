-- batch: calls of many functions, those that wait side by side.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms").new()

local batch, sleep = zigllms.batch, zigllms.sleep

-- Registers a tool that notes when it starts and ends; answers the notes, and how many ran at once.
local function noting(ms)
  local notes, now, most = {}, 0, 0
  zigllms.tool.register({
    name = "note",
    replace = true,
    execute = function(input)
      notes[#notes + 1] = input.name
      now = now + 1
      most = math.max(most, now)
      if ms > 0 then
        sleep(ms)
      end
      now = now - 1
      return input.name
    end,
  })
  return notes, function()
    return most
  end
end

local function note(name, priority)
  return { "tool.execute", "note", { name = name }, priority = priority }
end

local function values(results)
  local found = {}
  for i, result in ipairs(results) do
    if result.ok then
      found[i] = result.value
    else
      found[i] = result.error.code
    end
  end
  return found
end

describe("batch", function()
  before_each(function()
    zigllms.reset()
  end)

  it("gives a result for each entry, in their order", function()
    noting(5)
    local results = batch({
      note("a"),
      { "output.parse", "[1, 2]" },
      { "agent.get_state", "nobody" },
      note("b"),
      { "sleep", 1 },
    })
    assert.equal(5, #results)
    assert.equal("a", results[1].value)
    assert.is_nil(results[1].values)
    assert.same({ 1, 2 }, results[2].value)
    assert.equal(2, results[2].values.n)
    assert.equal("json", results[2].values[2].format)
    assert.is_false(results[3].ok)
    assert.equal("not_found", results[3].error.code)
    assert.is_nil(results[3].value)
    assert.equal("b", results[4].value)
    assert.is_true(results[5].ok)
    assert.is_true(results[1].duration_ms >= 4, tostring(results[1].duration_ms))
  end)

  it("runs what waits side by side, 8 at most or as many as are asked for", function()
    local entries = {}
    for i = 1, 20 do
      entries[i] = note("n" .. i)
    end
    local _, most = noting(3)
    local began = program.clock()
    batch(entries)
    assert.equal(8, most())
    assert.is_true(program.clock() - began < 20 * 0.003 * 10)
    _, most = noting(3)
    batch(entries, { max_concurrency = 3 })
    assert.equal(3, most())
    _, most = noting(3)
    entries.max_concurrency = 20
    batch(entries)
    assert.equal(20, most())
  end)

  it("starts what has the higher priority first, equal ones in order", function()
    local notes = noting(1)
    local results = batch({
      note("low", "low"),
      note("normal 1"),
      note("high", "HIGH"),
      note("normal 2", 1),
      note("critical", 3),
      max_concurrency = 1,
    })
    assert.same({ "critical", "high", "normal 1", "normal 2", "low" }, notes)
    assert.same({ "low", "normal 1", "high", "normal 2", "critical" }, values(results))
  end)

  it("lets what is critical ignore the limit", function()
    local _, most = noting(5)
    local entries = { max_concurrency = 1 }
    for i = 1, 4 do
      entries[i] = note("c" .. i, "critical")
    end
    entries[5] = note("n")
    batch(entries)
    assert.equal(5, most())
  end)

  it("does what does not wait in order, each behind the start of what is before it", function()
    local id
    local seen = {}
    local results = batch({
      {
        "tool.register",
        {
          name = "late",
          execute = function()
            seen[#seen + 1] = zigllms.tool.exists("late") and "there" or "gone"
            return "done"
          end,
        },
      },
      { "tool.execute", "late", {}, priority = "low" },
      { "tool.unregister", "late" },
      { "tool.exists", "late" },
    })
    id = results[1].value
    assert.matches("^tool_", id)
    assert.same({ id, "done", true, false }, values(results))
    assert.same({ "there" }, seen)
  end)

  it("goes on when an entry fails", function()
    zigllms.tool.register({
      name = "broken",
      execute = function()
        sleep(1)
        error({ mine = true })
      end,
    })
    noting(1)
    local results = batch({ { "tool.execute", "broken" }, note("a") })
    assert.same({ "tool_error", "a" }, values(results))
    assert.is_true(results[1].error.cause.mine)
  end)

  it("keeps nil among the arguments", function()
    local results = batch({
      {
        "try",
        function(...)
          return select("#", ...), ...
        end,
        nil,
        "b",
        nil,
        n = 5,
      },
    })
    assert.equal(3, results[1].value)
    assert.equal("b", results[1].values[3])
    assert.equal(4, results[1].values.n)
  end)

  it("takes down calls in a function, for every bridge and the module itself", function()
    local notes = noting(1)
    local results = batch(function(b)
      assert.is_nil(b.sleep(1))
      b.priority("low")
      b.tool.execute("note", { name = "low" })
      b.priority("high")
      b.tool.execute("note", { name = "high" })
      b.output.parse("[3]")
      b.schema.validate(1, { type = "integer" })
    end, { max_concurrency = 1 })
    assert.same({ "high", "low" }, notes)
    assert.equal(5, #results)
    assert.equal("low", results[2].value)
    assert.equal("high", results[3].value)
    assert.same({ 3 }, results[4].value)
    assert.is_true(results[5].ok)
  end)

  it("passes on what its function raises, with nothing having run", function()
    local notes = noting(0)
    local err = raised("callback_error", batch, function(b)
      b.tool.execute("note", { name = "a" })
      error({ mine = true })
    end)
    assert.is_true(err.cause.mine)
    err = raised("invalid_argument", batch, function(b)
      b.tool.execute("note", { name = "a" })
      b.tool.exekute("note")
    end)
    assert.matches('no function "tool.exekute", did you mean "tool.execute"?', err.message, 1, true)
    assert.same({}, notes)
  end)

  it("refuses what is no entry before anything runs, and says where", function()
    local notes = noting(0)
    local function refused(text, ...)
      local err = raised("invalid_argument", batch, ...)
      assert.is_truthy(err.message:find(text, 1, true), err.message)
    end
    refused("argument #1: entries: expected an array of entries or a function, got nil")
    refused("argument #1: entries: expected an array", "note")
    refused("entries[2]: expected {", { note("a"), "note" })
    refused("entries[2][1]: expected the name of a function, got nil", { note("a"), {} })
    refused('entries[2][1]: there is no function "tool.exec"', { note("a"), { "tool.exec" } })
    refused("entries[1].prority: not known", { { "sleep", 1, prority = 1 } })
    refused('entries[1].priority: expected "low"', { note("a", "urgent") })
    refused('entries[1].priority: expected "low"', { note("a", 4) })
    refused('entries[1].priority: expected "low"', { note("a", 1.5) })
    refused("options.max_concurrency: expected an integer", { note("a"), max_concurrency = 0 })
    refused("options.on_each: expected a function", { note("a") }, { on_each = 5 })
    refused("options.concurrency: unknown key", { note("a") }, { concurrency = 5 })
    refused("expected a table", { note("a") }, 5)
    assert.same({}, notes)
  end)

  it("tells of each entry that is done", function()
    noting(2)
    local told = {}
    batch({ note("a"), { "agent.get_state", "nobody" } }, {
      on_each = function(done, total, index, err)
        told[#told + 1] = { done, total, index, err and err.code }
      end,
    })
    assert.same({ { 1, 2, 2, "not_found" }, { 2, 2, 1 } }, told)
  end)

  it("ends with what its progress function raises, and so does what is under way", function()
    local ended
    zigllms.tool.register({
      name = "long",
      execute = function()
        local ok, err = pcall(sleep, 60000)
        ended = not ok and err.code
        error(err, 0)
      end,
    })
    raised("callback_error", batch, { { "tool.execute", "long" }, { "tool.exists", "long" } }, {
      on_each = function()
        error("enough")
      end,
    })
    zigllms.poll(0)
    assert.equal("cancelled", ended)
  end)

  it("does nothing with nothing", function()
    assert.same({}, batch({}))
    assert.same({}, batch(function() end))
    assert.same({}, batch({ max_concurrency = 2 }))
  end)

  it("is a handle with async, and a cancel ends what is under way", function()
    noting(2)
    assert.same({ "a" }, values(batch({ note("a"), async = true }):await()))
    local begun, ended = 0, 0
    zigllms.tool.register({
      name = "long",
      timeout_ms = 0,
      execute = function()
        begun = begun + 1
        local ok, err = pcall(sleep, 60000)
        ended = ended + (ok and 0 or 1)
        error(err, 0)
      end,
    })
    local long = { "tool.execute", "long" }
    local handle = batch({ long, long, long }, { async = true, max_concurrency = 2 })
    handle:cancel()
    raised("cancelled", zigllms.await, handle)
    zigllms.poll(0)
    assert.equal(2, begun)
    assert.equal(2, ended)
  end)

  it("works in coroutines and callbacks, and inside itself", function()
    noting(2)
    local inner = { { "batch", { note("a"), note("b") } }, note("c") }
    local function check(results)
      assert.same({ "a", "b" }, values(results[1].value))
      assert.equal("c", results[2].value)
    end
    check(zigllms.run(batch, inner))
    check(zigllms.spawn(batch, inner):await())
    check(coroutine.wrap(batch)(inner))
    zigllms.tool.register({
      name = "outer",
      execute = function()
        check(batch(inner))
        return "fine"
      end,
    })
    assert.equal("fine", zigllms.tool.execute("outer"))
  end)

  it("carries out very many calls that end at once", function()
    noting(0)
    local entries = {}
    for i = 1, 3000 do
      entries[i] = note("n")
    end
    local results = batch(entries)
    assert.equal(3000, #results)
    assert.equal("n", results[3000].value)
  end)

  it("asks a model many questions at once", function()
    local model = scripted.new("openai", nil, zigllms)
    model:script(scripted.text("fine", { delay_ms = 60, again = true }))
    local ask = { provider = "openai" }
    local began = program.clock()
    local results = batch({
      { "provider.chat", "a", ask },
      { "provider.chat", "b", ask },
      { "provider.chat", "c", { provider = "nobody" } },
      { "provider.chat", "d", ask },
    })
    local took = (program.clock() - began) * 1000
    assert.equal("fine", results[1].value.content)
    assert.equal("fine", results[4].value.content)
    assert.equal("not_found", results[3].error.code)
    assert.equal(3, model:count())
    assert.is_true(took < 1800, tostring(took))
  end)

  it("is counted, with every call in it", function()
    noting(1)
    zigllms.metrics({ reset = true })
    batch({ note("a"), note("b"), { "agent.get_state", "nobody" } })
    local bridges = zigllms.metrics().bridges
    assert.equal(1, bridges.zigllms.functions.batch.calls)
    assert.equal(0, bridges.zigllms.functions.batch.errors)
    assert.equal(2, bridges.tool.functions.execute.calls)
    assert.equal(1, bridges.agent.functions.get_state.errors)
  end)
end)
