-- `test.get_coverage`: what was used of what there is.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local agent, event, hook = zigllms.agent, zigllms.event, zigllms.hook
local tool, workflow = zigllms.tool, zigllms.workflow
local get = zigllms.test.get_coverage

before_each(function()
  zigllms.reset()
  get({ reset = true })
end)

teardown(zigllms.reset)

describe("test.get_coverage", function()
  it("counts the functions of the bridges", function()
    assert.is_false(tool.exists("nobody"))
    assert.is_false(tool.exists("nobody"))
    raised("not_found", agent.get_state, "nobody")
    local functions = get().functions
    assert.equal(86, functions.total)
    local bridges = functions.by_bridge
    assert.equal(2, bridges.tool.functions.exists)
    assert.equal(1, bridges.agent.functions.get_state)
    assert.equal(1, bridges.tool.called)
    assert.equal(bridges.tool.total, #bridges.tool.missing + 1)
    local total, called = 0, 0
    for _, bridge in pairs(bridges) do
      total, called = total + bridge.total, called + bridge.called
    end
    assert.same({ total, called }, { functions.total, functions.called })
    -- The two above, and this one.
    assert.equal(3, called)
    assert.equal(math.floor(called / total * 1000 + 0.5) / 10, functions.percent)
    for _, name in ipairs({
      "agent",
      "event",
      "hook",
      "memory",
      "output",
      "provider",
      "schema",
      "test",
    }) do
      assert.equal(8, bridges[name].total, name)
    end
    assert.same({ 10, 12 }, { bridges.tool.total, bridges.workflow.total })
  end)

  it("counts apart what came along with them", function()
    local before = get().functions.called
    zigllms.memory.increment("counted", 1)
    local functions = get().functions
    assert.equal(before, functions.called)
    assert.equal(1, functions.extras.functions["memory.increment"])
    assert.equal(functions.extras.total, functions.extras.called + #functions.extras.missing)
  end)

  it("counts on over a reset of the module, and anew when told to", function()
    tool.exists("nobody")
    zigllms.reset()
    tool.exists("nobody")
    assert.equal(2, get().functions.by_bridge.tool.functions.exists)
    assert.equal(2, get({ reset = true }).functions.by_bridge.tool.functions.exists)
    assert.is_nil(get().functions.by_bridge.tool.functions.exists)
    zigllms.reset()
    tool.exists("nobody")
    assert.equal(1, get().functions.by_bridge.tool.functions.exists)
  end)

  it("knows tools and agents, also those that have gone", function()
    local function register(name)
      return tool.register({
        name = name,
        execute = function()
          return 1
        end,
      })
    end
    local one = register("one")
    register("two")
    tool.execute(one, {})
    tool.unregister(one)
    assert.same({ registered = 2, executed = 1, percent = 50, missing = { "two" } }, get().tools)
    agent.create({ name = "idle", provider = "openai" })
    local agents = get().agents
    assert.same({ 1, 0, 0, "idle" }, {
      agents.created,
      agents.run,
      agents.percent,
      agents.missing[1],
    })
    -- One that is written in an agent's definition is its own.
    local own = {
      name = "own",
      execute = function() end,
    }
    agent.create({ name = "handy", provider = "openai", tools = { own } })
    assert.same({ "own", "two" }, get().tools.missing)
    agent.destroy("handy")
    -- What is there when the count begins is known, and what has gone is forgotten.
    get({ reset = true })
    assert.same({ "two" }, get().tools.missing)
    assert.equal(1, get().tools.registered)
  end)

  it("knows which steps and branches of workflows were come to", function()
    local function step(id)
      return {
        id = id,
        type = "function",
        fn = function()
          return id
        end,
      }
    end
    local n
    local function above(least)
      return function()
        return n > least
      end
    end
    local id = workflow.create({
      name = "deciding",
      steps = {
        step("first"),
        {
          id = "fork",
          type = "condition",
          condition = above(1),
          ["then"] = { step("big") },
          ["else"] = { step("small") },
        },
        {
          id = "maybe",
          type = "function",
          when = above(5),
          fn = function() end,
        },
      },
    })
    local function covered()
      return get().workflows[id]
    end
    local function run(with)
      n = with
      workflow.execute(id)
    end
    assert.same({ 5, 0 }, { covered().steps_total, covered().steps_executed })
    run(2)
    local seen = covered()
    assert.same({ "deciding", 5, 3 }, { seen.name, seen.steps_total, seen.steps_executed })
    assert.same({ ["then"] = true, ["else"] = false }, seen.branches.fork)
    assert.same({ run = false, skip = true }, seen.branches.maybe)
    run(0)
    assert.same({ ["then"] = true, ["else"] = true }, covered().branches.fork)
    run(9)
    assert.same({ run = true, skip = true }, covered().branches.maybe)
    assert.equal(5, covered().steps_executed)
    zigllms.reset()
    assert.equal(5, covered().steps_executed)
  end)

  it("knows workflows that have gone, without what they held", function()
    local kept = setmetatable({}, { __mode = "k" })
    local function made()
      local function work()
        return kept
      end
      kept[work] = true
      return workflow.create({ steps = { { id = "only", type = "function", fn = work } } })
    end
    local id = made()
    workflow.destroy(id)
    local gone = get().workflows[id]
    assert.same({ 1, 0, 0 }, { gone.steps_total, gone.steps_executed, gone.percent })
    assert.same({ "only" }, gone.missing)
    tool.exists("nobody")
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
    get({ reset = true })
    assert.is_nil(get().workflows[id])
  end)

  it("follows so many workflows and no more", function()
    for _ = 1, 1001 do
      workflow.destroy(workflow.create({ steps = {} }))
    end
    local count = 0
    for _ in pairs(get().workflows) do
      count = count + 1
    end
    assert.equal(1000, count)
  end)

  it("counts events, handlers and hooks", function()
    local sub = event.subscribe("order.*", function() end)
    event.subscribe("order.*", function() end)
    event.emit("order.paid", {})
    event.emit("order.lost", {})
    event.emit("nobody.hears", {})
    assert.same({ emitted = 3, handled = 4 }, get().events)
    event.unsubscribe(sub)
    event.emit("order.paid", {})
    zigllms.reset()
    assert.same({ emitted = 4, handled = 5 }, get({ reset = true }).events)
    assert.same({ emitted = 0, handled = 0 }, get().events)

    hook.register("one", function() end)
    local two = hook.register("two", function() end)
    hook.execute("two", 1)
    hook.execute("two", 1)
    hook.unregister(two)
    assert.same({ registered = 2, fired = 1, percent = 50 }, get().hooks)
  end)

  describe("of a suite", function()
    local function suite(reporter, fn)
      return zigllms.test.run_suite({
        name = "covered",
        coverage = true,
        reporter = reporter,
        tests = { it = fn },
      })
    end

    it("is that of its run alone, and leaves the other count as it is", function()
      tool.exists("nobody")
      local inner
      local result = suite("text", function()
        agent.list()
        inner = suite("text", function()
          event.emit("nobody.hears")
        end)
        hook.register("point", function() end)
        hook.execute("point", 1)
      end)
      assert.is_true(result.success)
      local bridges = result.coverage.functions.by_bridge
      assert.same({ list = 1 }, bridges.agent.functions)
      assert.same({ emit = 1 }, bridges.event.functions)
      assert.same({}, bridges.tool.functions)
      assert.same({ registered = 1, fired = 1, percent = 100 }, result.coverage.hooks)
      assert.equal(1, inner.coverage.functions.called)
      assert.same({ emitted = 1, handled = 0 }, inner.coverage.events)
      local whole = get().functions.by_bridge
      assert.same({ exists = 1 }, whole.tool.functions)
      assert.equal(2, whole.test.functions.run_suite)
    end)

    it("stands in every report, and is nowhere unless it was asked for", function()
      local function work()
        agent.list()
      end
      local told = "used: 1 of 86 functions, 0 of 0 tools, 0 of 0 agents, 0 of 0 steps\n"
      assert.matches("\n" .. told .. "$", suite("text", work).report)
      assert.matches("\n# " .. told .. "$", suite("tap", work).report)
      local document = zigllms.output.parse(suite("json", work).report)
      assert.same({ used = 1, total = 86 }, document.coverage.functions)
      local property = '<property name="coverage.functions" value="1 of 86"/>'
      assert.is_truthy(suite("junit", work).report:find(property, 1, true))
      for _, reporter in ipairs({ "text", "tap", "json", "junit" }) do
        local plain = zigllms.test.run_suite({ reporter = reporter, tests = { it = work } })
        assert.is_nil(plain.coverage)
        assert.is_nil(plain.report:find("used", 1, true), reporter)
        assert.is_nil(plain.report:find("coverage", 1, true), reporter)
      end
    end)
  end)

  it("says what is wrong with its options", function()
    raised("invalid_argument", get, { line = true })
    raised("invalid_argument", get, 5)
  end)
end)

describe("Coverage of lines", function()
  -- In a program of its own: this one may have a hook.
  local CHUNK = [[
    local zigllms = require("zigllms")
    local get = zigllms.test.get_coverage
    assert(get().lines == nil and debug.gethook() == nil)
    get({ lines = true })
    local function twice()
      return 1
    end
    twice()
    twice()
    zigllms.tool.register({ name = "t", execute = function()
      return 2
    end })
    zigllms.tool.execute("t", {})
    zigllms.spawn(function()
      zigllms.sleep(1)
      return 3
    end):await()
    local report = get({ lines = false })
    assert(debug.gethook() == nil)
    for file, lines in pairs(report.lines) do
      assert(file == arg[0], file)
      print(lines[6], lines[11], lines[16], lines[200])
    end
    assert(get().lines == nil)
    debug.sethook(function() end, "l")
    local ok, err = pcall(get, { lines = true })
    print(ok, err.code)
  ]]

  it("counts those of the program from when it is wanted, and takes its hook away", function()
    local result = program.run(CHUNK)
    assert.equal("", result.err)
    assert.equal("2\t1\t1\tnil\nfalse\tinvalid_state\n", result.out)
  end)
end)
