-- Durable executions within one process: run ids, what is recorded of a run, what is refused.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local workflow = zigllms.workflow

-- Steps by name that count how often they run, and give what they are told to.
local function counting(names, gives)
  local calls, steps = {}, {}
  for i, name in ipairs(names) do
    steps[i] = {
      id = name,
      fn = function(ctx)
        calls[#calls + 1] = name
        local give = gives and gives[name]
        return give and give(ctx) or name
      end,
    }
  end
  return steps, calls
end

for _, store in ipairs(stores.shared()) do
  describe("a durable execution " .. store.name, function()
    before_each(function()
      zigllms.configure({ store = store.open() })
    end)

    after_each(function()
      zigllms.reset()
      zigllms.configure({ store = "memory" })
    end)

    teardown(store.close)

    local runs = 0

    local function new_run()
      runs = runs + 1
      return "run " .. runs
    end

    it("has its run id as the id of the execution, and counts what it did not execute", function()
      local steps = counting({ "a", "b" })
      local id = workflow.create({ name = "plain", steps = steps })
      local run = new_run()
      local result = workflow.execute(id, 1, { run_id = run })
      assert.equal("completed", result.status)
      assert.equal(run, result.run_id)
      assert.equal(run, result.execution_id)
      assert.equal(0, result.recovered_steps)
      assert.equal("completed", (workflow.get_status(run)))
    end)

    it("is found by its id, whatever became of calls that were refused before", function()
      local id = workflow.create({ name = "plain", keep = 1, steps = counting({ "a" }) })
      local run = new_run()
      workflow.execute(id, 1, { run_id = run })
      raised("already_exists", workflow.execute, id, 2, { run_id = run })
      local result = workflow.execute(id, 1, { run_id = run })
      assert.equal(result, (workflow.get_result(run)))
    end)

    it("gets an id of its own where none is given", function()
      local id = workflow.create({ name = "plain", steps = counting({ "a" }) })
      local one = workflow.execute(id, 1, { durable = true })
      local other = workflow.execute(id, 1, { durable = true })
      assert.equal("string", type(one.run_id))
      assert.are_not.equal(one.run_id, other.run_id)
    end)

    it("that is over gives its recorded result, and runs nothing", function()
      local steps, calls = counting({ "a", "b" }, {
        b = function()
          return { list = { 1, 2.5, "\255\0" }, nested = { ok = false }, empty = {} }
        end,
      })
      local id = workflow.create({ name = "plain", steps = steps })
      local run, heard = new_run(), {}
      local first = workflow.execute(id, { "in" }, { run_id = run, metadata = { who = "me" } })
      zigllms.event.subscribe("workflow.*", function(event)
        heard[#heard + 1] = event.type
      end)
      local again = workflow.execute(id, nil, { run_id = run })
      assert.same({ "a", "b" }, calls)
      assert.same({}, heard)
      assert.same(first.output, again.output)
      assert.equal(2, again.recovered_steps)
      assert.same({ who = "me" }, again.metadata)
      assert.same(first.step_order, again.step_order)
      assert.equal("a", again.steps.a.output)
      assert.equal(first.started_at, again.started_at)
      assert.same(again, workflow.execute(id, { "in" }, { run_id = run }))
    end)

    it("that has failed raises its recorded error", function()
      local steps, calls = counting({ "a", "b" }, {
        b = function()
          error(zigllms.error("not_found", "no such thing", { details = { thing = 7 } }))
        end,
      })
      local id = workflow.create({ name = "failing", steps = steps })
      local run = new_run()
      local first = raised("not_found", workflow.execute, id, nil, { run_id = run })
      local again = raised("not_found", workflow.execute, id, nil, { run_id = run })
      assert.same({ "a", "b" }, calls)
      assert.equal(first.message, again.message)
      assert.equal(7, again.details.thing)
      assert.equal("b", again.details.step_id)
      local result = workflow.execute(id, nil, { run_id = run, on_error = "return" })
      assert.equal("failed", result.status)
      assert.equal("not_found", result.error.code)
      assert.equal("completed", result.steps.a.status)
    end)

    it("is given one input only", function()
      local id = workflow.create({ name = "plain", steps = counting({ "a" }) })
      local run = new_run()
      workflow.execute(id, { a = 1, b = { 2, 3 } }, { run_id = run })
      workflow.execute(id, { b = { 2, 3.0 }, a = 1 }, { run_id = run })
      local err = raised("already_exists", workflow.execute, id, { a = 2 }, { run_id = run })
      assert.truthy(err.message:find(run, 1, true))
      local other = workflow.create({ name = "another", steps = counting({ "a" }) })
      raised("already_exists", workflow.execute, other, nil, { run_id = run })
    end)

    it("goes on where it was paused", function()
      local steps, calls = counting({ "a", "b", "c" }, {
        b = function(ctx)
          workflow.pause(ctx.workflow.execution_id)
          ctx.variables.seen = { "b" }
          return { from = "b" }
        end,
        c = function(ctx)
          return ctx.previous.output.from .. ctx.variables.seen[1] .. ctx.workflow.input
        end,
      })
      local id = workflow.create({ name = "pausing", steps = steps })
      local run = new_run()
      assert.equal("paused", workflow.execute(id, "in", { run_id = run }).status)
      local resumed, result = workflow.resume(run)
      assert.is_true(resumed)
      assert.equal("bbin", result.output)
      assert.equal(2, result.recovered_steps)
      assert.same({ "a", "b", "c" }, calls)

      run, calls[3], calls[2], calls[1] = new_run(), nil, nil, nil
      workflow.execute(id, "in", { run_id = run })
      assert.equal("bbin", workflow.execute(id, nil, { run_id = run }).output)
      assert.same({ "a", "b", "c" }, calls)
    end)

    it("is refused with a definition that has changed", function()
      local function version(definition, also)
        local steps = counting({ "a", "b" }, {
          a = function(ctx)
            workflow.pause(ctx.workflow.execution_id)
          end,
        })
        steps[2].input = also
        definition.name, definition.steps = "changing", steps
        return workflow.create(definition)
      end
      local run = new_run()
      workflow.execute(version({}), nil, { run_id = run })
      for _, changed in ipairs({
        { { version = "2" } },
        { {}, "{{input}}" },
        {
          {},
          function()
            return 1
          end,
        },
      }) do
        zigllms.reset()
        local id = version(changed[1], changed[2])
        raised("version_mismatch", workflow.execute, id, nil, { run_id = run })
      end
      zigllms.reset()
      local same = version({ description = "told better", keep = 3 })
      assert.equal("b", workflow.execute(same, nil, { run_id = run }).output)
    end)

    it("takes plain data only, and says which step gave something else", function()
      local run = new_run()
      local function give(value)
        return workflow.create({
          name = "giving" .. tostring(value),
          steps = {
            {
              id = "a",
              fn = function()
                return value
              end,
            },
          },
        })
      end
      local id = give({ list = { 1, { cb = print } } })
      local err = raised("conversion_error", workflow.execute, id, nil, { run_id = run })
      assert.equal('step "a": output.list[2].cb: a function is not data', err.message)
      local function gives_no_data()
        return print
      end
      local map = { id = "m", over = { 1 }, steps = { { id = "i", fn = gives_no_data } } }
      local mapping = workflow.create({ name = "mapping", steps = { map } })
      err = raised("conversion_error", workflow.execute, mapping, nil, { run_id = new_run() })
      assert.equal('step "i": m[1].i: output: a function is not data', err.message)
      raised("conversion_error", workflow.execute, give(0 / 0), nil, { run_id = new_run() })
      raised("conversion_error", workflow.execute, id, { print }, { run_id = new_run() })
      id = workflow.create({
        name = "variables",
        steps = {
          {
            id = "a",
            fn = function(ctx)
              ctx.variables.cb = print
            end,
          },
        },
      })
      err = raised("conversion_error", workflow.execute, id, nil, { run_id = new_run() })
      assert.truthy(err.message:find("variables.cb", 1, true), err.message)
    end)

    it("leaves the ids that it was given to nobody else", function()
      local id = workflow.create({ name = "ids", steps = { { template = 1 } } })
      local number = tonumber(workflow.execute(id).execution_id:match("%d+"))
      local taken = "exec_" .. number + 3
      workflow.execute(id, nil, { run_id = taken })
      for _ = 1, 3 do
        assert.are_not.equal(taken, workflow.execute(id).execution_id)
      end
    end)

    it("gives every attempt at a step the same key", function()
      local keys, run = {}, new_run()
      local inner = workflow.create({
        name = "inner",
        steps = {
          {
            id = "deep",
            fn = function(ctx)
              keys[#keys + 1] = ctx.idempotency_key
            end,
          },
        },
      })
      local id = workflow.create({
        name = "keys",
        steps = {
          {
            id = "flaky",
            retry = { max_attempts = 3, backoff_ms = 1 },
            fn = function(ctx)
              keys[#keys + 1] = ctx.idempotency_key
              return ctx.attempt == 3 and "done" or error("again")
            end,
          },
          { id = "call", workflow = inner },
          {
            id = "each",
            over = { 1, 2 },
            steps = {
              {
                id = "one",
                fn = function(ctx)
                  keys[#keys + 1] = ctx.idempotency_key
                end,
              },
            },
          },
        },
      })
      assert.equal(3, workflow.execute(id, nil, { run_id = run }).steps.flaky.attempts)
      local flaky = run .. ":flaky"
      local others = { run .. ":call/deep", run .. ":each[1].one", run .. ":each[2].one" }
      assert.same({ flaky, flaky, flaky, others[1], others[2], others[3] }, keys)
    end)

    it("is not begun twice at once", function()
      local id = workflow.create({
        name = "slow",
        steps = {
          {
            id = "a",
            fn = function()
              zigllms.sleep(50)
            end,
          },
        },
      })
      local run = new_run()
      local first = workflow.execute(id, nil, { run_id = run, async = true })
      local err = raised("invalid_state", workflow.execute, id, nil, { run_id = run })
      assert.equal("owned", err.details.reason)
      local stranger = zigllms.new({ store = zigllms.config().store })
      local same = stranger.workflow.create({
        name = "slow",
        steps = { { id = "a", fn = function() end } },
      })
      err = raised("invalid_state", stranger.workflow.execute, same, nil, { run_id = run })
      assert.equal("owned", err.details.reason)
      assert.equal("completed", first:await().status)
      assert.equal("completed", stranger.workflow.execute(same, nil, { run_id = run }).status)
      stranger.reset()
    end)

    it("that is cancelled before it has begun is nobody's", function()
      local id = workflow.create({ name = "plain", steps = counting({ "a" }) })
      for i = 1, 20 do
        local run = "early " .. i
        local handle = workflow.execute(id, nil, { run_id = run, async = true })
        if i % 2 == 0 then
          zigllms.poll(i % 4)
        end
        if handle:cancel("never mind") then
          raised("cancelled", handle.await, handle)
        end
        pcall(workflow.execute, id, nil, { run_id = run })
        assert.is_false(workflow.list({ runs = true })[1].owned)
      end
    end)

    it("comes to its end where no execution is kept", function()
      local id = workflow.create({ name = "unkept", keep = 0, steps = counting({ "a" }) })
      local run = new_run()
      assert.equal("a", workflow.execute(id, nil, { run_id = run }).output)
      assert.equal("a", workflow.execute(id, nil, { run_id = run }).output)
      assert.equal("a", workflow.get_result(run).output)
    end)

    it("keeps the store from being changed", function()
      local id = workflow.create({
        name = "slow",
        steps = {
          {
            id = "a",
            fn = function()
              zigllms.sleep(30)
            end,
          },
        },
      })
      local handle = workflow.execute(id, nil, { run_id = new_run(), async = true })
      local err = raised("invalid_state", zigllms.configure, { store = "memory" })
      assert.truthy(err.message:find("options.store", 1, true))
      zigllms.configure({ store = zigllms.config().store })
      handle:await()
    end)

    it("that is cancelled stays so", function()
      local began
      local id = workflow.create({
        name = "endless",
        steps = {
          {
            id = "a",
            fn = function()
              began = true
              zigllms.sleep(60000)
            end,
          },
        },
      })
      local run = new_run()
      local handle = workflow.execute(id, nil, { run_id = run, async = true })
      while not began do
        zigllms.poll(1000)
      end
      handle:cancel("enough")
      raised("cancelled", handle.await, handle)
      local err = raised("cancelled", workflow.execute, id, nil, { run_id = run })
      assert.equal("enough", err.details.reason)
    end)
  end)
end

describe("a durable execution", function()
  after_each(zigllms.reset)

  it("needs a store", function()
    local id = workflow.create({ name = "plain", steps = {} })
    local err = raised("invalid_state", workflow.execute, id, nil, { durable = true })
    assert.truthy(err.message:find("configure{store", 1, true))
  end)

  it("needs a name, and options that make sense", function()
    local directory = stores.directory()
    zigllms.configure({ store = directory .. "/store.db" })
    local nameless = workflow.create({ steps = {} })
    local err = raised("invalid_state", workflow.execute, nameless, nil, { durable = true })
    assert.truthy(err.message:find("name", 1, true))
    local id = workflow.create({ name = "plain", steps = {} })
    for _, options in ipairs({
      { run_id = "" },
      { run_id = ("x"):rep(300) },
      { run_id = "a\nb" },
      { run_id = "x", durable = false },
      { on_unknown = "retry" },
      { durable = true, on_unknown = "perhaps" },
    }) do
      raised("invalid_argument", workflow.execute, id, nil, options)
    end
    zigllms.configure({ store = "memory" })
    stores.remove(directory)
  end)
end)
