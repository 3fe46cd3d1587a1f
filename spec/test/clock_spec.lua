-- test.clock: virtual time.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local agent, memory, provider = zigllms.agent, zigllms.memory, zigllms.provider
local test, tool, workflow = zigllms.test, zigllms.tool, zigllms.workflow
local MINUTE = 60000

-- Real milliseconds that a call takes, and what it returns.
local function timed(fn, ...)
  local began = program.clock()
  local result = fn(...)
  return (program.clock() - began) * 1000, result
end

-- Virtual milliseconds that `fn` takes inside of `clock`.
local function span(clock, fn, ...)
  local began = clock:now()
  fn(...)
  return clock:now() - began
end

-- As `span`, in a virtual time of its own.
local function virtually(fn, ...)
  local args, n = { ... }, select("#", ...)
  return test.clock(function(clock)
    return span(clock, fn, (table.unpack or unpack)(args, 1, n)) -- luacheck: ignore
  end)
end

local function answering(content)
  local message = '{"choices":[{"message":{"content":"%s"},"finish_reason":"stop"}]}'
  return { status = 200, body = message:format(content) }
end

-- A provider whose transport answers each request as `answer(number)` says.
local function provider_with(options, answer)
  local count = 0
  options.type, options.api_key, options.model = "openai", "k", "m"
  function options.transport()
    count = count + 1
    return answer(count)
  end
  return provider.create(options), function()
    return count
  end
end

after_each(function()
  zigllms.reset()
end)

describe("test.clock", function()
  describe("itself", function()
    it("returns what the function returns", function()
      local function results(...)
        return select("#", ...), ...
      end
      local n, a, b, c = results(test.clock(function()
        return 1, nil, nil
      end))
      assert.same({ 3, 1 }, { n, a, b, c })
    end)

    it("lets an error pass as it is, and real time is back", function()
      local mine = {}
      local ok, err = pcall(test.clock, function()
        error(mine)
      end)
      assert.is_false(ok)
      assert.equal(mine, err)
      assert.is_true((timed(zigllms.sleep, 20)) >= 19)
      assert.equal(5, virtually(zigllms.sleep, 5))
    end)

    it("is one at a time", function()
      test.clock(function(clock)
        local err = raised("invalid_state", test.clock, print)
        assert.equal("clock", err.func)
        local beside = zigllms.spawn(function()
          raised("invalid_state", test.clock, print)
        end)
        beside:wait()
        assert.equal(7, span(clock, zigllms.sleep, 7))
      end)
    end)

    it("ends with a coroutine that is left in the middle of it", function()
      local co = coroutine.create(function()
        test.clock(coroutine.yield)
      end)
      assert(coroutine.resume(co))
      raised("invalid_state", test.clock, print)
      co = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.equal(5, virtually(zigllms.sleep, 5))
    end)

    it("names what is wrong with its argument", function()
      assert.is_truthy(raised("invalid_argument", test.clock, 5).message:find("fn", 1, true))
    end)

    it("keeps monotonic time monotonic, and leaves the wall clock alone", function()
      local before = os.time()
      local first, last
      test.clock(function(clock)
        first = clock:now()
        zigllms.sleep(100 * MINUTE)
        last = clock:now()
        assert.is_true(math.abs(os.time() - before) < 60)
      end)
      assert.equal(100 * MINUTE, last - first)
      test.clock(function(clock)
        assert.is_true(clock:now() >= last)
        assert.is_true(clock:now() < last + 10 * MINUTE)
      end)
      assert.is_true(math.abs(os.time() - before) < 60)
    end)
  end)

  describe("makes waits end at their time", function()
    it("to the millisecond, however long they are", function()
      for _, ms in ipairs({ 0, 1, 7, 1000, 10 * MINUTE, 365 * 24 * 60 * MINUTE }) do
        local real, virtual = timed(virtually, zigllms.sleep, ms)
        assert.equal(ms, virtual)
        assert.is_true(real < 1000, real)
      end
      assert.is_true(math.abs(virtually(zigllms.sleep, 0.25) - 0.25) < 0.002)
    end)

    it("in the order in which they are due", function()
      test.clock(function(clock)
        local order, began = {}, clock:now()
        zigllms.map({ 300, 100, 200, 100 }, function(ms)
          zigllms.sleep(ms)
          order[#order + 1] = ms .. "@" .. clock:now() - began
        end)
        local text = table.concat(order, " "):gsub("%.0", "")
        assert.equal("100@100 100@100 200@200 300@300", text)
      end)
    end)

    it("stands still while code runs", function()
      test.clock(function(clock)
        local began, real = clock:now(), program.clock()
        while program.clock() - real < 0.02 do -- luacheck: ignore
        end
        assert.equal(began, clock:now())
      end)
    end)

    it("in run, in tasks and with handles", function()
      test.clock(function(clock)
        local function slept(ms)
          return function()
            zigllms.sleep(ms)
            return ms
          end
        end
        assert.equal(MINUTE, span(clock, zigllms.run, slept(MINUTE)))
        local a, b = zigllms.spawn(slept(MINUTE)), zigllms.spawn(slept(2 * MINUTE))
        assert.equal(2 * MINUTE, span(clock, zigllms.all, { a, b }))
        local slow = zigllms.spawn(slept(10 * MINUTE))
        local took = span(clock, function()
          assert.is_false((slow:wait(MINUTE)))
        end)
        assert.equal(MINUTE, took)
        assert.equal(9 * MINUTE, span(clock, slow.wait, slow))
      end)
    end)

    it("and leaves what goes on to real time", function()
      local slow = test.clock(function()
        return zigllms.spawn(zigllms.sleep, 60)
      end)
      assert.is_false(slow:done())
      assert.is_true((timed(slow.wait, slow)) >= 30)
    end)
  end)

  describe("clock:advance", function()
    it("moves time through all that falls due, in order", function()
      test.clock(function(clock)
        local seen, began = {}, clock:now()
        for _, ms in ipairs({ 50, 10, 30, 200 }) do
          zigllms.spawn(function()
            zigllms.sleep(ms)
            seen[#seen + 1] = clock:now() - began
            zigllms.sleep(5)
            seen[#seen + 1] = clock:now() - began
          end)
        end
        clock:advance(100)
        assert.same({ 10, 15, 30, 35, 50, 55 }, seen)
        assert.equal(100, clock:now() - began)
        clock:advance(0)
        assert.equal(6, #seen)
        clock:advance(105)
        assert.equal(8, #seen)
      end)
    end)

    it("gives callbacks their turn before it returns", function()
      test.clock(function(clock)
        local ended
        zigllms.spawn(zigllms.sleep, 40):on(function()
          ended = true
        end)
        clock:advance(39)
        assert.is_nil(ended)
        clock:advance(1)
        assert.is_true(ended)
      end)
    end)

    it("is refused what is no span, and once time is real", function()
      local kept
      test.clock(function(clock)
        kept = clock
        for _, bad in ipairs({ -1, 0 / 0, 1 / 0, "1", {} }) do
          assert.is_truthy(raised("invalid_argument", clock.advance, clock, bad).message:find("ms"))
        end
        raised("invalid_argument", clock.advance, clock)
      end)
      raised("invalid_state", kept.advance, kept, 1)
      assert.equal("zigllms.Clock", tostring(kept))
    end)
  end)

  describe("covers", function()
    it("a schedule of retries of ten minutes, in milliseconds", function()
      local delays = { initial_delay_ms = 40000, multiplier = 2, max_delay_ms = 320000 }
      delays.max_attempts, delays.jitter = 5, false
      local id, count = provider_with({ retry = delays, timeout_ms = 0 }, function(number)
        return number < 5 and { status = 503, body = "{}" } or answering("at last")
      end)
      local real, virtual = timed(virtually, function()
        assert.equal("at last", provider.chat("hi", { provider = id }).content)
      end)
      assert.equal(40000 + 80000 + 160000 + 320000, virtual)
      assert.equal(5, count())
      assert.is_true(real < 1000, real)
    end)

    it("what a server asks for, and the time limit of the whole call", function()
      local busy = { status = 429, headers = { ["Retry-After"] = "60" }, body = "{}" }
      local id = provider_with({ timeout_ms = 100000 }, function()
        return busy
      end)
      local virtual = virtually(function()
        raised("timeout", provider.chat, "hi", { provider = id })
      end)
      assert.equal(100000, virtual)
    end)

    it("the window of a rate limit", function()
      local limit = { rate_limit = { requests_per_minute = 2 } }
      local id = provider_with(limit, function()
        return answering("ok")
      end)
      local virtual = virtually(function()
        for _ = 1, 5 do
          provider.chat("hi", { provider = id })
        end
      end)
      assert.is_true(virtual >= 2 * MINUTE and virtual < 3 * MINUTE, virtual)
    end)

    it("time limits of transports that wait", function()
      local id = provider_with({ retry = false, first_token_timeout_ms = 5000 }, function()
        zigllms.sleep(MINUTE)
        return answering("late")
      end)
      local virtual = virtually(function()
        raised("timeout", provider.chat, "hi", { provider = id })
      end)
      assert.is_true(virtual >= 5000 and virtual <= MINUTE, virtual)
    end)

    it("time limits of tools", function()
      local id = tool.register({
        name = "slow",
        timeout_ms = 30000,
        execute = function()
          zigllms.sleep(MINUTE)
        end,
      })
      local virtual = virtually(function()
        assert.equal("tool", raised("timeout", tool.execute, id, {}).phase)
      end)
      assert.equal(30000, virtual)
    end)

    it("time limits of agents", function()
      local id = provider_with({}, function()
        zigllms.sleep(10 * MINUTE)
        return answering("late")
      end)
      local ada = agent.create({ name = "ada", provider = id })
      local virtual = virtually(function()
        raised("timeout", agent.run, ada, "hi", { timeout_ms = 2 * MINUTE })
      end)
      assert.equal(2 * MINUTE, virtual)
    end)

    it("delay steps and time limits of workflows", function()
      local id = workflow.create({
        steps = {
          { id = "a", type = "delay", duration_ms = 3 * MINUTE },
          { id = "b", type = "delay", duration_ms = 4 * MINUTE },
        },
      })
      assert.equal(7 * MINUTE, virtually(workflow.execute, id))
      local virtual = virtually(function()
        raised("timeout", workflow.execute, id, nil, { timeout_ms = 5 * MINUTE })
      end)
      assert.equal(5 * MINUTE, virtual)
    end)

    it("time limits of hooks", function()
      zigllms.hook.register("tool_before_execute", function()
        zigllms.sleep(MINUTE)
      end, { timeout_ms = 5000 })
      local id = tool.register({ name = "t", execute = print })
      local virtual = virtually(function()
        raised("timeout", tool.execute, id, {})
      end)
      assert.equal(5000, virtual)
    end)

    it("durable runs, whose leases are renewed in real time", function()
      local directory = stores.directory()
      zigllms.configure({ store = directory .. "/store.db" })
      local id = workflow.create({
        name = "long",
        steps = {
          { id = "a", type = "delay", duration_ms = 10 * MINUTE },
          { id = "b", type = "delay", duration_ms = 10 * MINUTE },
        },
      })
      local virtual = virtually(function()
        assert.equal("completed", workflow.execute(id, {}, { durable = true }).status)
      end)
      assert.is_true(virtual >= 20 * MINUTE and virtual < 21 * MINUTE, virtual)
      assert.equal("completed", workflow.list({ runs = true })[1].status)
      zigllms.configure({ store = "memory" })
      stores.remove(directory)
    end)

    it("the life of entries of memory", function()
      test.clock(function(clock)
        memory.store("k", 1, { ttl_ms = MINUTE })
        clock:advance(MINUTE - 1)
        assert.equal(1, memory.retrieve("k"))
        clock:advance(1)
        assert.is_nil(memory.retrieve("k"))
      end)
    end)

    it("the life of entries in a store", function()
      local directory = stores.directory()
      zigllms.configure({ store = directory .. "/store.db" })
      test.clock(function()
        memory.store("k", 1, { type = "persistent", ttl_ms = MINUTE })
        zigllms.flush()
        zigllms.sleep(MINUTE / 2)
        assert.equal(1, memory.retrieve("k"))
        zigllms.sleep(MINUTE)
        assert.is_nil(memory.retrieve("k"))
      end)
      zigllms.configure({ store = "memory" })
      stores.remove(directory)
    end)

    it("the life of kept results", function()
      zigllms.configure({ cache = { ttl_ms = MINUTE } })
      local id, count = provider_with({}, function(number)
        return { status = 200, body = '{"data":[{"id":"m' .. number .. '"}]}' }
      end)
      test.clock(function(clock)
        local function model()
          return provider.get_models(id)[1].id
        end
        assert.equal("m1", model())
        clock:advance(MINUTE - 1)
        assert.equal("m1", model())
        clock:advance(1)
        assert.equal("m2", model())
      end)
      assert.equal(2, count())
    end)
  end)

  describe("and what is real", function()
    local function serve(...)
      local options = { type = "service", transport = "http", dialect = "openai" }
      options.responses = { ... }
      local mock = test.create_mock(options)
      local config = { type = "openai", api_key = "k", model = "m", base_url = mock.base_url }
      config.retry = false
      return mock, config
    end

    it("a process is waited for, in real time", function()
      zigllms.configure({ tools = { process = { allow = { "sh" } } } })
      test.clock(function(clock)
        local beside = zigllms.spawn(zigllms.sleep, 10 * MINUTE)
        local began = program.clock()
        local took = span(clock, function()
          tool.execute("process_runner", { program = "sh", args = { "-c", "sleep 0.2" } })
        end)
        local real = (program.clock() - began) * 1000
        assert.is_true(took < MINUTE, took)
        assert.is_true(real < 10000, real)
        assert.is_false(beside:done())
        beside:cancel()
      end)
    end)

    it("a task that looks after something by itself is let run", function()
      test.clock(function(clock)
        local beside = zigllms.spawn(zigllms.sleep, 10 * MINUTE)
        local real = program.clock()
        local took = span(clock, function()
          zigllms
            .spawn(function()
              repeat
                coroutine.yield()
              until program.clock() - real > 0.05
            end)
            :wait()
        end)
        assert.is_true(took >= 25 and took < MINUTE, took)
        beside:cancel()
      end)
    end)

    it("an answer that a mock server delays comes in virtual time", function()
      local mock, config = serve({ content = "late", delay_ms = 5 * MINUTE })
      config.first_token_timeout_ms, config.timeout_ms = 6 * MINUTE, 0
      config.idle_timeout_ms = 6 * MINUTE
      local id = provider.create(config)
      local real, virtual = timed(virtually, function()
        assert.equal("late", provider.chat("hi", { provider = id }).content)
      end)
      assert.is_true(virtual >= 5 * MINUTE and virtual < 6 * MINUTE, virtual)
      assert.is_true(real < 10000, real)
      mock:restore()
    end)

    it("so do its pieces, each at its time", function()
      local mock, config = serve({ content = "one two three four", chunk_delay_ms = MINUTE })
      config.idle_timeout_ms, config.timeout_ms = 2 * MINUTE, 0
      config.first_token_timeout_ms = 10 * MINUTE
      local id = provider.create(config)
      test.clock(function(clock)
        local text, last, pieces = "", clock:now(), 0
        for piece in provider.stream("hi", { provider = id }) do
          text = text .. piece.content
          pieces = pieces + 1
          assert.is_true(clock:now() - last < 5 * MINUTE, clock:now() - last)
          last = clock:now()
        end
        assert.equal("one two three four", text)
        assert.is_true(pieces > 1, pieces)
      end)
      mock:restore()
    end)

    it("and so does what a mock in the process delays", function()
      local config = { type = "openai", api_key = "k", model = "m", first_token_timeout_ms = 0 }
      local id = provider.create(config)
      local mock = test.create_mock({
        type = "service",
        provider = id,
        responses = { { content = "late", delay_ms = 5 * MINUTE } },
      })
      assert.equal(
        5 * MINUTE,
        virtually(function()
          assert.equal("late", provider.chat("hi", { provider = id }).content)
        end)
      )
      mock:restore()
    end)

    it("a mock server that stalls meets the client's time limit", function()
      local mock, config = serve({ content = "never", delay_ms = 60 * MINUTE })
      config.first_token_timeout_ms, config.timeout_ms = 2 * MINUTE, 0
      local id = provider.create(config)
      local real, virtual = timed(virtually, function()
        assert.equal("first_token", raised("timeout", provider.chat, "hi", { provider = id }).phase)
      end)
      assert.is_true(virtual >= 2 * MINUTE and virtual < 3 * MINUTE, virtual)
      assert.is_true(real < 10000, real)
      mock:restore()
    end)

    it("an answer on its way is not leapt over", function()
      local mock, config = serve({ content = "quick" })
      config.first_token_timeout_ms, config.timeout_ms = 5000, 0
      local id = provider.create(config)
      test.clock(function()
        local beside = zigllms.spawn(zigllms.sleep, 60 * MINUTE)
        for _ = 1, 20 do
          assert.equal("quick", provider.chat("hi", { provider = id }).content)
          assert.is_false(beside:done())
        end
        beside:cancel()
      end)
      mock:restore()
    end)
  end)

  it("poll waits inside of it for what comes first", function()
    test.clock(function(clock)
      local beside = zigllms.spawn(zigllms.sleep, 20)
      local began = clock:now()
      assert.equal(1, zigllms.poll(50))
      assert.equal(20, clock:now() - began)
      assert.is_true(beside:done())
      assert.equal(0, zigllms.poll(50))
      assert.equal(70, clock:now() - began)
    end)
  end)

  it("does not go on beyond what the clock can tell", function()
    test.clock(function(clock)
      for _, ms in ipairs({ 1e13, 1e300, math.huge }) do
        raised("invalid_argument", clock.advance, clock, ms)
      end
      for _ = 1, 3 do
        clock:advance(1e12)
      end
      raised("invalid_argument", clock.advance, clock, 1e12)
    end)
  end)
end)
