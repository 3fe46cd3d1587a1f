-- max_concurrency: so many calls of a tool at once; the others wait their turn.
local clock = require("spec.support.program").clock
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local tool = zigllms.tool
local model = scripted.new()

describe("max_concurrency", function()
  local running, most, order

  -- A tool that notes how many of its calls run.
  local function busy(fields)
    local definition = {
      name = "busy",
      execute = function(input)
        running = running + 1
        most = math.max(most, running)
        order[#order + 1] = input.n
        local ok, err = pcall(zigllms.sleep, input.ms or 20)
        running = running - 1
        if not ok then
          error(err, 0)
        end
        if input.fails then
          error("broken", 0)
        end
        return input.n
      end,
    }
    for key, value in pairs(fields) do
      definition[key] = value
    end
    return tool.register(definition)
  end

  local function calls(id, count, fields)
    local handles = {}
    for n = 1, count do
      local input = { n = n }
      for key, value in pairs(fields or {}) do
        input[key] = value
      end
      handles[n] = tool.execute(id, input, { async = true })
    end
    return handles
  end

  before_each(function()
    model:begin()
    running, most, order = 0, 0, {}
  end)

  teardown(zigllms.reset)

  it("lets so many run at once, in the order in which they were called", function()
    local id = busy({ max_concurrency = 2 })
    assert.same({ 1, 2, 3, 4, 5, 6, 7 }, zigllms.all(calls(id, 7)))
    assert.equal(2, most)
    assert.same({ 1, 2, 3, 4, 5, 6, 7 }, order)
    assert.equal(7, tool.get_info(id).call_count)
    assert.equal(2, tool.get(id).max_concurrency)
  end)

  it("is no limit unless set", function()
    zigllms.all(calls(busy({}), 7))
    assert.equal(7, most)
  end)

  it("counts the calls of agents, of execute and of map together", function()
    model:script(
      scripted.calls({ { "c1", "busy", '{"n":1}' }, { "c2", "busy", '{"n":2}' } }),
      scripted.text("done")
    )
    local id = busy({ max_concurrency = 1, execution_mode = "async" })
    local run = zigllms.agent.run(
      zigllms.agent.create({ model = "m", tools = { id } }),
      "go",
      { async = true }
    )
    local mapped = zigllms.spawn(function()
      return zigllms.map({ 3, 4, 5 }, function(n)
        return tool.execute(id, { n = n }, { async = false })
      end)
    end)
    assert.same({ 3, 4, 5 }, mapped:await())
    assert.equal("done", run:await().content)
    assert.equal(1, most)
    assert.equal(5, #order)
  end)

  it("frees a place however a call ends", function()
    local id = busy({ max_concurrency = 1 })
    local failing = tool.execute(id, { n = 1, fails = true }, { async = true })
    local late = tool.execute(id, { n = 2, ms = 5000 }, { async = true, timeout_ms = 30 })
    local cancelled = tool.execute(id, { n = 3, ms = 5000 }, { async = true })
    local last = tool.execute(id, { n = 4 }, { async = true })
    raised("tool_error", failing.await, failing)
    raised("timeout", late.await, late)
    zigllms.sleep(10)
    cancelled:cancel()
    assert.equal(4, last:await())
    raised("cancelled", cancelled.await, cancelled)
    assert.equal(1, most)
    assert.equal(5, tool.execute(id, { n = 5 }))
  end)

  it("may be given up in the queue", function()
    local id = busy({ max_concurrency = 1 })
    local handles = calls(id, 4)
    handles[2]:cancel("enough")
    handles[3]:cancel()
    assert.equal(4, handles[4]:await())
    local err = raised("cancelled", handles[2].await, handles[2])
    assert.equal("enough", err.details.reason)
    assert.same({ 1, 4 }, order)
    assert.equal(2, tool.get_info(id).error_count)
  end)

  it("takes nothing of a call's time while it waits", function()
    local id = busy({ max_concurrency = 1, timeout_ms = 400 })
    local began = clock()
    assert.same({ 1, 2, 3, 4, 5 }, zigllms.all(calls(id, 5, { ms = 120 })))
    assert.is_true(clock() - began > 0.5)
    -- But the time of what it is a part of.
    model:script(scripted.calls({ { "c1", "busy", '{"n":6}' } }), scripted.text("never"))
    local first = tool.execute(id, { n = 7, ms = 350 }, { async = true })
    local agent = zigllms.agent.create({ model = "m", tools = { id } })
    local err = raised("timeout", zigllms.agent.run, agent, "go", { timeout_ms = 150 })
    assert.equal("total", err.phase)
    assert.equal(7, first:await())
    assert.equal(7, order[#order])
  end)

  it("keeps the place over all tries", function()
    local tries = 0
    local id = tool.register({
      name = "again",
      max_concurrency = 1,
      max_retries = 3,
      execute = function(input)
        order[#order + 1] = input.n
        zigllms.sleep(5)
        tries = tries + 1
        if tries < 3 then
          error("not yet")
        end
        return input.n
      end,
    })
    assert.same({ 1, 2 }, zigllms.all(calls(id, 2)))
    assert.same({ 1, 1, 1, 2 }, order)
  end)

  it("gives a kept result to who waited for the call that made it", function()
    local id = busy({ max_concurrency = 1, cache = true })
    local first = tool.execute(id, { n = 1 }, { async = true })
    local again = tool.execute(id, { n = 1 }, { async = true })
    assert.equal(1, first:await())
    assert.equal(1, again:await())
    assert.same({ 1 }, order)
    assert.equal(1, tool.get_info(id).call_count)
  end)

  it("refuses a call inside a call of the same tool that leaves no room", function()
    local function nest(id, how)
      return function(input)
        if input.depth == 0 then
          return "deep"
        end
        return how(id(), { depth = input.depth - 1 })
      end
    end
    local id
    local function own()
      return id
    end
    local ways = { tool.execute }
    ways[2] = function(key, input)
      return tool.execute(key, input, { async = true }):await()
    end
    ways[3] = function(key, input)
      return zigllms.spawn(tool.execute, key, input):await()
    end
    ways[4] = function(key, input)
      return tool.execute(tool.register({
        name = "between",
        replace = true,
        execute = function()
          return tool.execute(key, input)
        end,
      }))
    end
    for _, how in ipairs(ways) do
      id = tool.register({
        name = "nested",
        replace = true,
        max_concurrency = 1,
        execute = nest(own, how),
      })
      local began = clock()
      local err = raised("tool_error", tool.execute, id, { depth = 1 })
      while err.cause and err.cause.code ~= "invalid_state" do
        err = err.cause
      end
      assert.equal("invalid_state", err.cause.code)
      assert.truthy(err.cause.message:find("max_concurrency=1", 1, true), err.cause.message)
      assert.is_true(clock() - began < 5)
      assert.equal("deep", tool.execute(id, { depth = 0 }))
    end
    id = tool.register({
      name = "nested",
      replace = true,
      max_concurrency = 3,
      execute = nest(own, tool.execute),
    })
    assert.equal("deep", tool.execute(id, { depth = 2 }))
    raised("tool_error", tool.execute, id, { depth = 3 })
    assert.equal("deep", tool.execute(id, { depth = 2 }))
  end)

  -- Tools that call another one, or nothing, as their input says; and a call of each list.
  local function crossed(limits)
    for name, limit in pairs(limits) do
      tool.register({
        name = name,
        max_concurrency = limit,
        timeout_ms = 20000,
        replace = true,
        execute = function(input)
          zigllms.sleep(input.ms or 20)
          return input.calls and tool.execute(input.calls, input.with or {}) or name
        end,
      })
    end
  end

  local function outcomes(all)
    local handles, told = {}, {}
    for i, call in ipairs(all) do
      handles[i] = tool.execute(call[1], call[2], { async = true })
    end
    for i, handle in ipairs(handles) do
      local ok, result = pcall(handle.await, handle)
      while not ok and result.cause do
        result = result.cause
      end
      told[i] = ok and result or result.code .. ": " .. result.message
    end
    return told
  end

  it("refuses the call by which calls of several tools would wait for each other", function()
    crossed({ left = 1, right = 1, third = 1 })
    local began = clock()
    local told = outcomes({ { "left", { calls = "right" } }, { "right", { calls = "left" } } })
    table.sort(told)
    assert.truthy(told[1]:find("^invalid_state"), told[1])
    assert.truthy(told[1]:find('"left"', 1, true) and told[1]:find('"right"', 1, true), told[1])
    assert.is_truthy(told[2] == "left" or told[2] == "right")
    told = outcomes({
      { "left", { calls = "right" } },
      { "right", { calls = "third" } },
      { "third", { calls = "left" } },
    })
    local refused = 0
    for _, text in ipairs(told) do
      refused = refused + (text:find("^invalid_state") and 1 or 0)
    end
    assert.equal(1, refused)
    assert.is_true(clock() - began < 10)
    assert.equal("left", tool.execute("left", { ms = 0 }))
  end)

  it("lets calls wait that do not wait for each other", function()
    crossed({ left = 1, right = 1, wide = 2 })
    assert.same(
      { "right", "right", "left" },
      outcomes({ { "left", { calls = "right" } }, { "right", {} }, { "left", {} } })
    )
    -- There is somebody who comes out of it.
    assert.same(
      { "wide", "left", "wide" },
      outcomes({
        { "left", { calls = "wide" } },
        { "wide", { calls = "left" } },
        { "wide", { ms = 60 } },
      })
    )
    -- Nobody does.
    local told = outcomes({
      { "wide", { calls = "left" } },
      { "wide", { calls = "left" } },
      { "left", { calls = "wide" } },
    })
    local failed = 0
    for _, text in ipairs(told) do
      failed = failed + (text:find("^invalid_state") and 1 or 0)
    end
    assert.equal(1, failed)
  end)

  it("holds for built-in tools under a name of their own", function()
    local sleeper = {
      name = "sleeper",
      builtin = "process_runner",
      max_concurrency = 1,
    }
    zigllms.configure({ tools = { process = { allow = { "sleep" } } } })
    local id = tool.register(sleeper)
    local began = clock()
    zigllms.map({ 1, 2, 3 }, function()
      assert.equal(0, tool.execute(id, { program = "sleep", args = { "0.1" } }).exit_code)
    end)
    assert.is_true(clock() - began >= 0.3)
    zigllms.configure({ tools = zigllms.null })
  end)

  it("is a whole number from one on", function()
    for _, bad in ipairs({ 0, -1, 1.5, "many", {} }) do
      local definition = { name = "x", max_concurrency = bad }
      local err = raised("invalid_argument", tool.register, definition)
      assert.truthy(err.message:find("max_concurrency", 1, true), err.message)
    end
  end)
end)
