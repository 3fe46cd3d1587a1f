-- Handles: calls that go on by themselves, and the functions that combine them.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local model = scripted.new()
local all, await, poll, race, sleep, spawn =
  zigllms.all, zigllms.await, zigllms.poll, zigllms.race, zigllms.sleep, zigllms.spawn

local function chat(text, options)
  options = options or {}
  options.provider = "openai"
  return zigllms.provider.chat(text, options)
end

local function later(ms, ...)
  return spawn(function(...)
    sleep(ms)
    return ...
  end, ...)
end

local function failing(ms, what)
  return spawn(function()
    sleep(ms)
    error(what, 0)
  end)
end

describe("a handle", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  it("is returned at once by async=true, and gives what the plain call gives", function()
    model:script(scripted.text("hello", { delay_ms = 20 }))
    local handle = chat("hi", { async = true })
    assert.equal("userdata", type(handle))
    assert.is_false(handle:done())
    assert.equal("running", handle:status())
    local response = handle:await()
    assert.equal("hello", response.content)
    assert.is_true(handle:done())
    assert.equal("completed", handle:status())
    assert.equal(response, handle:await())
    assert.equal(response, await(handle))
    assert.equal(response, (handle:result()))
  end)

  it("has an id, which is its text", function()
    local one, other = later(1), later(1)
    assert.is_string(one.id)
    assert.equal(one.id, tostring(one))
    assert.not_equal(one.id, other.id)
    assert.is_nil(one.nothing)
  end)

  it("raises its error at each await", function()
    model:script(scripted.failure(400, "no"))
    local handle = chat("hi", { async = true })
    assert.equal("bad_request", raised("bad_request", await, handle).code)
    raised("bad_request", handle.await, handle)
    assert.equal("failed", handle:status())
    local value, status, err = handle:result()
    assert.is_nil(value)
    assert.equal("failed", status)
    assert.equal("bad_request", err.code)
  end)

  it("refuses bad arguments before there is a handle", function()
    raised("invalid_argument", chat, "hi", { async = true, temperature = 9 })
    raised("not_found", zigllms.agent.run, "nobody", "hi", { async = true })
    raised("not_found", zigllms.tool.execute, "nobody", {}, { async = true })
  end)

  it("waits for a while", function()
    local handle = later(40, "late")
    assert.is_false(handle:wait(1))
    assert.is_false(handle:wait(0))
    assert.same({ nil, "running" }, { handle:result() })
    assert.is_true(handle:wait(5000))
    assert.is_true(handle:wait())
    assert.equal("late", (handle:result()))
  end)

  it("never raises its error from wait", function()
    local handle = failing(1, "oops")
    assert.is_true(handle:wait(5000))
    assert.is_true(handle:done())
  end)

  it("returns all results of a spawned function, also nil", function()
    local handle = spawn(function(...)
      sleep(1)
      return nil, ...
    end, 2, nil)
    local function count(...)
      return select("#", ...), ...
    end
    assert.same({ 3, nil, 2, nil }, { count(handle:await()) })
    assert.same({ 3, nil, 2, nil }, { count(handle:result()) })
    assert.equal(0, (count(spawn(function() end):await())))
  end)

  it("runs a spawned function at once until its first wait", function()
    local steps = {}
    local handle = spawn(function()
      steps[#steps + 1] = "start"
      sleep(1)
      steps[#steps + 1] = "end"
    end)
    assert.same({ "start" }, steps)
    handle:await()
    assert.same({ "start", "end" }, steps)
    assert.is_true(spawn(function() end):done())
  end)

  it("keeps an error of a spawned function", function()
    local cause = {}
    assert.equal(cause, raised("callback_error", await, failing(1, cause)).cause)
    assert.equal(cause, raised("callback_error", await, spawn(error, cause)).cause)
    local err = raised("not_found", await, spawn(zigllms.agent.get_state, "nobody"))
    assert.equal("get_state", err.func)
  end)

  it("tells on() once, in order, on the next delivery if it is done already", function()
    local told = {}
    local handle = later(5, "a", "b")
    local same = handle:on(function(err, ...)
      told[#told + 1] = { "first", err == nil, ... }
    end)
    assert.equal(handle, same)
    handle:on(function()
      told[#told + 1] = { "second" }
    end)
    handle:await()
    poll(0)
    assert.same({ { "first", true, "a", "b" }, { "second" } }, told)
    handle:on(function()
      told[#told + 1] = { "third" }
    end)
    assert.equal(2, #told)
    poll(0)
    assert.same({ "third" }, told[3])
    poll(0)
    assert.equal(3, #told)
  end)

  it("tells on() of errors", function()
    local seen, n
    failing(1, "oops"):on(function(...)
      seen, n = (...), select("#", ...)
    end)
    while not seen do
      poll(100)
    end
    assert.equal("callback_error", seen.code)
    assert.equal("oops", seen.cause)
    assert.equal(1, n)
  end)

  it("takes a callable table in on(), and the callback may wait", function()
    local done
    local callable = setmetatable({}, {
      __call = function(_, _, value)
        sleep(2)
        coroutine.yield()
        done = value
      end,
    })
    later(1, "x"):on(callable)
    for _ = 1, 200 do
      if done then
        break
      end
      poll(10)
    end
    assert.equal("x", done)
  end)

  it("has nothing to iterate unless it streams", function()
    local handle = later(1, "x")
    for _ in handle:iter() do
      error("nothing was expected")
    end
    assert.equal("x", handle:await())
    assert.is_nil(handle())
  end)

  describe("that nobody sees any more", function()
    it("stops its request", function()
      local far = scripted.new("openai", { transport = "http" })
      far:script(scripted.text("late", { delay_ms = 3000 }))
      local handles = { chat("hi", { async = true }) }
      far:wait_for(1)
      assert.equal("running", table.remove(handles):status())
      collectgarbage()
      collectgarbage()
      assert.is_true(far:hung_up() < 1500)
    end)

    it("goes on if somebody is told", function()
      model:script(scripted.text("x", { delay_ms = 30 }))
      local told
      chat("hi", { async = true }):on(function(_, response)
        told = response.content
      end)
      collectgarbage()
      collectgarbage()
      for _ = 1, 100 do
        if told then
          break
        end
        poll(20)
      end
      assert.equal("x", told)
    end)

    it("goes on if a stream callback looks", function()
      model:script(scripted.text({ "a", "b" }, { delay_ms = 20 }))
      local said = ""
      chat("hi", {
        async = true,
        stream = function(chunk)
          said = said .. chunk.content
        end,
      })
      collectgarbage()
      collectgarbage()
      zigllms.run()
      assert.equal("ab", said)
    end)

    it("goes on if it is an agent's run", function()
      model:script(scripted.text("x", { delay_ms = 20 }))
      local id = zigllms.agent.create({ provider = "openai" })
      zigllms.agent.run(id, "hi", { async = true })
      collectgarbage()
      collectgarbage()
      zigllms.run()
      assert.equal("completed", (zigllms.agent.get_state(id)))
    end)

    it("closes at the end of its scope", function()
      if _VERSION ~= "Lua 5.4" then
        print("\nskipped: only Lua 5.4 has to-be-closed variables")
        return
      end
      model:script(scripted.text("late", { delay_ms = 3000 }))
      local scope = load("local handle <close> = ...")
      local handle = chat("hi", { async = true })
      scope(handle)
      assert.equal("cancelled", handle:status())
      local finished = later(0, 1)
      finished:await()
      scope(finished)
      assert.equal("completed", finished:status())
    end)
  end)

  describe("among others", function()
    it("gives results in order", function()
      assert.same({ "a", "b", "c" }, all({ later(20, "a"), later(1, "b"), later(10, "c") }))
      assert.same({}, all({}))
    end)

    it("makes requests go side by side", function()
      local replies, handles = {}, {}
      for i = 1, 8 do
        replies[i] = scripted.text("n" .. i, { delay_ms = 150, when = '"q' .. i .. '"' })
      end
      model:script((table.unpack or unpack)(replies)) -- luacheck: ignore
      local began = program.clock()
      for i = 1, 8 do
        handles[i] = chat("q" .. i, { async = true })
      end
      local responses = all(handles)
      assert.is_true(program.clock() - began < 0.9)
      for i = 1, 8 do
        assert.equal("n" .. i, responses[i].content)
      end
    end)

    it("fails together with the first that fails, and the others are cancelled", function()
      local slow = later(5000)
      local err = raised("callback_error", all, { slow, failing(5, "oops"), later(1) })
      assert.equal("oops", err.cause)
      assert.equal(2, err.details.index)
      slow:wait(1000)
      assert.equal("cancelled", slow:status())
    end)

    it("fails alone with keep=true", function()
      local slow = later(200, "slow")
      raised("callback_error", all, { slow, failing(5, "oops"), keep = true })
      assert.equal("running", slow:status())
      assert.equal("slow", slow:await())
    end)

    it("may be the first, and the others are cancelled", function()
      local slow = later(5000)
      local index, value = race({ slow, later(5, "quick") })
      assert.same({ 2, "quick" }, { index, value })
      slow:wait(1000)
      assert.equal("cancelled", slow:status())
      slow = later(200, "slow")
      assert.equal(2, (race({ slow, later(1), keep = true })))
      assert.equal("slow", slow:await())
    end)

    it("may fail first", function()
      local err = raised("callback_error", race, { later(5000), failing(1, "oops") })
      assert.equal("oops", err.cause)
      raised("invalid_argument", race, {})
    end)

    it("is one of those before the first nil", function()
      assert.same({ 1 }, all({ later(1, 1), nil, later(1, 3) }))
      raised("invalid_argument", all, { later(1, 1), 5 })
      raised("invalid_argument", all, "no table")
    end)

    it("may be there twice", function()
      local one = later(2, "x")
      assert.same({ "x", "x" }, all({ one, one }))
    end)
  end)

  describe("and the functions around it:", function()
    it("sleep sleeps", function()
      local began = program.clock()
      sleep(30)
      local took = program.clock() - began
      assert.is_true(took >= 0.029 and took < 0.3, tostring(took))
      sleep(0)
      sleep(0.5)
    end)

    it("sleep delivers what others get meanwhile", function()
      local done = false
      later(5):on(function()
        done = true
      end)
      sleep(40)
      assert.is_true(done)
    end)

    it("poll delivers and counts, and waits for the first one", function()
      zigllms.run()
      assert.equal(0, poll())
      later(20, "x")
      local began = program.clock()
      local n = poll(5000)
      assert.is_true(program.clock() - began < 2)
      assert.is_true(n >= 1)
      began = program.clock()
      poll(20)
      assert.is_true(program.clock() - began >= 0.015)
    end)

    it("run drives until nothing is unfinished", function()
      local late
      local a, b = zigllms.run(function()
        spawn(function()
          sleep(20)
          late = true
        end)
        sleep(1)
        return "a", "b"
      end)
      assert.same({ "a", "b" }, { a, b })
      assert.is_true(late)
      assert.is_nil(zigllms.run())
    end)

    it("run raises what its function raises", function()
      local err = raised("callback_error", zigllms.run, function()
        sleep(1)
        error("oops", 0)
      end)
      assert.equal("oops", err.cause)
      assert.equal(
        1,
        zigllms.run(function()
          return 1
        end)
      )
    end)

    it("run is not nested", function()
      zigllms.run(function()
        raised("invalid_state", zigllms.run, function() end)
        sleep(1)
        raised("invalid_state", zigllms.run)
      end)
    end)

    it("fd is readable when there is work", function()
      local fd = zigllms.fd()
      assert.is_number(fd)
      assert.equal(fd, zigllms.fd())
      assert.is_true(fd >= 0)
    end)

    it("many are cheap", function()
      local handles = {}
      for i = 1, 2000 do
        handles[i] = later(i % 20, i)
      end
      local values = all(handles)
      for i = 1, 2000 do
        assert(values[i] == i)
      end
    end)
  end)
end)
