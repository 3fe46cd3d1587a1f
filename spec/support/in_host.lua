-- What holds in every event loop. `for name, case in in_host.cases(host)` gives it for one, with
-- `in_host.before` and `in_host.after` around each case. A host has
--
--   name             what the loop is called
--   thread(fn)       starts fn as a thread of the loop
--   loop()           runs the loop until every thread has ended; raises what a thread raised
--   sleep(seconds)   the loop's own sleep; nil if it has none that a thread can call
--   tick(ms, fn)     calls fn every so often in the loop, until fn returns false
--   nests_run        false where `run` cannot be called in a thread, because threads are in it
local assert = require("luassert")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local clock = program.clock
local unpack = table.unpack or unpack -- luacheck: ignore
local in_host = {}
local server

-- The module a host needs, or nil after saying why its specs are skipped.
function in_host.need(what, name)
  local ok, module = pcall(require, name)
  if ok then
    -- Each spec file loads anew what it requires, and luv does not survive that.
    package.preload[name] = package.preload[name] or function()
      return module
    end
    return module
  end
  print(
    ("\nSKIP %s: there is no module %s for %s"):format(what, name, jit and jit.version or _VERSION)
  )
end

local function chat(options)
  return zigllms.provider.chat("hi", { provider = "openai", async = options and options.async })
end

local function script(reply)
  reply["repeat"] = true
  server:script(reply)
end

function in_host.before()
  server = server or scripted.start()
  zigllms.reset()
  zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
  script(scripted.text({ "hel", "lo" }, { delay_ms = 200 }))
end

function in_host.after()
  zigllms.reset()
end

-- Each case of the loop: its name and function.
function in_host.cases(host)
  local list = {}
  local function it(name, fn)
    list[#list + 1] = { name, fn }
  end

  -- Runs threads, each with its number, and returns how many milliseconds the loop took.
  local function all_of(count, fn)
    local ended, began = 0, clock()
    for i = 1, count do
      host.thread(function()
        fn(i)
        ended = ended + 1
      end)
    end
    host.loop()
    assert.equal(count, ended)
    return (clock() - began) * 1000
  end

  it("a call waits and the loop goes on", function()
    local ticks, worst, last, ended = 0, 0, clock(), false
    host.tick(10, function()
      local now = clock()
      ticks, worst, last = ticks + 1, math.max(worst, now - last), now
      return not ended
    end)
    all_of(1, function()
      for _ = 1, 3 do
        assert.equal("hello", chat().content)
      end
      ended = true
    end)
    print(("\n%s: worst gap of a 10 ms ticker %.1f ms"):format(host.name, worst * 1000))
    assert.is_true(ticks > 15, ticks .. " ticks")
    assert.is_true(worst < 0.15, worst)
  end)

  it("fifty calls overlap", function()
    local took = all_of(50, function()
      assert.equal("hello", chat().content)
    end)
    assert.is_true(took >= 200 and took < 1500, took)
  end)

  it("errors are raised where the call was made", function()
    server:script(scripted.failure(400, "no"))
    all_of(1, function()
      assert.truthy(raised("bad_request", chat).message:find("no", 1, true))
    end)
  end)

  it("streams iterate", function()
    script(scripted.text({ "a", "b", "c" }, { chunk_delay_ms = 60 }))
    all_of(5, function()
      local pieces = {}
      for chunk in zigllms.provider.stream("hi", { provider = "openai" }) do
        pieces[#pieces + 1] = chunk.content
      end
      assert.equal("abc", table.concat(pieces))
      assert.is_true(#pieces > 1)
    end)
  end)

  it("sleep sleeps", function()
    local took = all_of(50, function(i)
      zigllms.sleep(50 + i)
    end)
    assert.is_true(took >= 100 and took < 600, took)
  end)

  it("spawn, all and race go on together", function()
    local took = all_of(3, function()
      local handles = {}
      for i = 1, 5 do
        handles[i] = zigllms.spawn(function()
          return chat().content .. i
        end)
      end
      assert.same({ "hello1", "hello2", "hello3", "hello4", "hello5" }, zigllms.all(handles))
      local slow = zigllms.spawn(zigllms.sleep, 5000)
      assert.equal(2, (zigllms.race({ slow, chat({ async = true }) })))
      assert.equal("cancelled", slow:wait(1000) and slow:status())
    end)
    assert.is_true(took < 2000, took)
  end)

  it("run ends when what was started in it has ended", function()
    all_of(1, function()
      local late
      local function inside()
        return zigllms.run(function()
          zigllms.spawn(function()
            zigllms.sleep(30)
            late = true
          end)
          return "first"
        end)
      end
      if host.nests_run == false then
        raised("invalid_state", inside)
      else
        assert.equal("first", inside())
        assert.is_true(late)
      end
    end)
  end)

  it("run without a function ends when nothing is left", function()
    if host.nests_run == false then
      return
    end
    local told = 0
    local took = all_of(1, function()
      for _ = 1, 2 do
        chat({ async = true }):on(function()
          told = told + 1
        end)
      end
      zigllms.run()
      assert.equal(2, told)
    end)
    assert.is_true(took >= 199, took)
  end)

  it("handles are cancelled by others at once", function()
    local handle, took
    script(scripted.text("late", { delay_ms = 5000 }))
    host.thread(function()
      handle = chat({ async = true })
      raised("cancelled", handle.await, handle)
      took = clock() - took
    end)
    host.thread(function()
      zigllms.sleep(30)
      took = clock()
      handle:cancel("enough")
    end)
    host.loop()
    assert.is_true(took < 0.25, took)
  end)

  it("time limits are kept", function()
    script(scripted.text("late", { delay_ms = 5000 }))
    local took = all_of(10, function()
      local err = raised("timeout", zigllms.provider.chat, "hi", {
        provider = "openai",
        timeout_ms = 100,
      })
      assert.equal("total", err.phase)
      local handle = chat({ async = true })
      assert.is_false(handle:wait(50))
      handle:cancel()
    end)
    assert.is_true(took < 1000, took)
  end)

  it("callbacks run while somebody waits", function()
    local told
    all_of(1, function()
      local handle = chat({ async = true })
      handle:on(function(_, response)
        zigllms.sleep(1)
        told = response.content
      end)
      zigllms.sleep(500)
      assert.equal("hello", told)
    end)
  end)

  it("virtual time leaps once everything waits", function()
    local ticked = false
    local took = all_of(2, function(i)
      if i == 2 then
        ticked = true
        return
      end
      zigllms.test.clock(function(virtual)
        local order, began = {}, virtual:now()
        local handles = {}
        for n, minutes in ipairs({ 3, 1, 2 }) do
          handles[n] = zigllms.spawn(function()
            zigllms.sleep(minutes * 60000)
            order[#order + 1] = minutes
          end)
        end
        zigllms.sleep(600000)
        zigllms.all(handles)
        assert.equal(600000, virtual:now() - began)
        assert.same({ 1, 2, 3 }, order)
        virtual:advance(1000)
        assert.equal(601000, virtual:now() - began)
      end)
      zigllms.sleep(20)
    end)
    assert.is_true(ticked)
    assert.is_true(took >= 19 and took < 5000, took)
  end)

  it("virtual time does not leap over what is under way", function()
    all_of(1, function()
      zigllms.test.clock(function(virtual)
        local beside, began = zigllms.spawn(zigllms.sleep, 600000), virtual:now()
        assert.equal("hello", chat().content)
        assert.is_false(beside:done())
        assert.is_true(virtual:now() - began < 60000)
        assert.is_true(virtual:now() - began >= 150)
        beside:cancel()
      end)
    end)
  end)

  if host.sleep then
    it("virtual time runs while somebody waits in the loop's own way", function()
      all_of(1, function()
        zigllms.test.clock(function(virtual)
          local beside, began = zigllms.spawn(zigllms.sleep, 600000), virtual:now()
          host.sleep(0.1)
          local task = zigllms.spawn(function()
            host.sleep(0.1)
          end)
          task:wait()
          assert.is_false(beside:done())
          local passed = virtual:now() - began
          assert.is_true(passed >= 90 and passed < 60000, passed)
          beside:cancel()
        end)
      end)
    end)

    local function tool(name, waited)
      return {
        name = name,
        execute = function(input)
          local began = clock()
          host.sleep(0.1)
          waited[#waited + 1] = clock() - began
          return input.n
        end,
      }
    end

    it("a tool may wait in the loop's own way", function()
      local waited = {}
      zigllms.tool.register(tool("slow", waited))
      local took = all_of(5, function(i)
        assert.equal(i, zigllms.tool.execute("slow", { n = i }))
      end)
      assert.equal(5, #waited)
      assert.is_true(math.min(unpack(waited)) >= 0.099)
      assert.is_true(took < 400, took)
    end)

    it("tools that run side by side may, too", function()
      local waited = {}
      local id = zigllms.agent.create({ provider = "openai", tools = { tool("slow", waited) } })
      server:script(
        scripted.calls({ { "c1", "slow", '{"n":1}' }, { "c2", "slow", '{"n":2}' } }),
        scripted.text("done")
      )
      local took = all_of(1, function()
        assert.equal("done", zigllms.agent.run(id, "go").content)
      end)
      assert.equal(2, #waited)
      assert.is_true(math.min(unpack(waited)) >= 0.099, waited[1])
      assert.is_true(took < 400, took)
    end)

    it("a spawned function may, too", function()
      local took = all_of(1, function()
        local handles = {}
        for i = 1, 5 do
          handles[i] = zigllms.spawn(function()
            host.sleep(0.05)
            zigllms.sleep(50)
            host.sleep(0.05)
            return i
          end)
        end
        assert.same({ 1, 2, 3, 4, 5 }, zigllms.all(handles))
      end)
      assert.is_true(took >= 149 and took < 500, took)
    end)
  end

  it("five hundred wait at once, and cost little", function()
    local cpu = os.clock()
    local took = all_of(500, function(i)
      for _ = 1, 3 do
        zigllms.sleep(100 + i % 7)
      end
    end)
    cpu = (os.clock() - cpu) * 1000
    print(("\n%s: 500 threads, 3 waits each: %.0f ms, %.0f ms of CPU"):format(host.name, took, cpu))
    assert.is_true(took >= 300 and took < 2000, took)
    assert.is_true(cpu < 1000, cpu)
  end)

  it("the main thread outside the loop blocks", function()
    assert.equal("hello", chat().content)
    assert.equal("hello", chat({ async = true }):await().content)
    zigllms.sleep(1)
  end)

  it("threads that wait are served while the main thread blocks", function()
    local content
    host.thread(function()
      content = chat().content
    end)
    zigllms.sleep(300)
    host.loop()
    assert.equal("hello", content)
  end)

  local at = 0
  return function()
    at = at + 1
    if list[at] then
      return list[at][1], list[at][2]
    end
  end
end

return in_host
