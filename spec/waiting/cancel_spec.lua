-- Cancelling: in every state of a call, at once, exactly once, and everything inside it.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local server = scripted.start()
local sleep, spawn = zigllms.sleep, zigllms.spawn

local function chat(options)
  options = options or {}
  options.provider = "openai"
  options.async = true
  return zigllms.provider.chat("hi", options)
end

describe("cancelling", function()
  before_each(function()
    zigllms.reset()
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  -- Cancels and checks that the end comes at once: 50 ms, with room for a busy machine.
  local function ends_at_once(handle, reason)
    local began = program.clock()
    assert.is_true(handle:cancel(reason))
    local err = raised("cancelled", zigllms.await, handle)
    assert.is_true(program.clock() - began < 0.25)
    assert.equal(reason, err.details and err.details.reason)
    assert.equal("cancelled", handle:status())
    assert.is_true(handle:done())
    assert.is_false(handle:cancel("again"))
    return err
  end

  -- The server saw the end of the connection soon after `ms`.
  local function hung_up_by(ms)
    local journal = server:wait_for(function(journal)
      return journal[1] and journal[1].closed_after_ms
    end, sleep)
    assert.is_true(journal[1].closed_after_ms < ms, tostring(journal[1].closed_after_ms))
  end

  describe("a request", function()
    it("that has not begun", function()
      server:script(scripted.text("x"))
      ends_at_once(chat(), "early")
    end)

    it("that waits for the connection", function()
      zigllms.provider.configure("openai", { base_url = server:deaf() })
      local handle = chat()
      sleep(20)
      ends_at_once(handle, "connecting")
    end)

    it("that waits for the first byte", function()
      server:script(scripted.text("x", { delay_ms = 5000 }))
      local handle = chat()
      server:wait_for(1, sleep)
      local err = ends_at_once(handle, "waiting")
      assert.equal("openai", err.provider)
      hung_up_by(1500)
    end)

    it("in the middle of its answer, and what came is kept", function()
      server:script(scripted.text({ "one ", "two ", "three" }, { chunk_delay_ms = 200 }))
      local handle = chat()
      assert.equal("one ", handle().content)
      local err = ends_at_once(handle, "enough")
      assert.equal("one ", err.partial.content)
      assert.equal("cancelled", err.partial.finish_reason)
      assert.is_true(err.partial.usage.estimated)
      hung_up_by(3000)
    end)

    it("that pauses before another attempt", function()
      server:script(scripted.failure(500, "no"))
      local handle = chat({ retry = { initial_delay_ms = 60000, max_delay_ms = 60000 } })
      server:wait_for(1, sleep)
      sleep(20)
      ends_at_once(handle, "pausing")
      assert.equal(1, server:count())
    end)

    it("whose pause a server asked for", function()
      server:script(scripted.failure(429, "later", { headers = { ["retry-after"] = "60" } }))
      local handle = chat({ retry = { max_attempts = 2 } })
      server:wait_for(1, sleep)
      sleep(20)
      ends_at_once(handle, "told to wait")
    end)

    it("that is done changes nothing", function()
      server:script(scripted.text("x"))
      local handle = chat()
      handle:await()
      assert.is_false(handle:cancel())
      assert.equal("completed", handle:status())
      assert.equal("x", handle:await().content)
    end)

    it("without a reason", function()
      server:script(scripted.text("x", { delay_ms = 5000 }))
      ends_at_once(chat(), nil)
    end)
  end)

  describe("reaches", function()
    it("a tool at its next wait, and ctx.cancelled before", function()
      local seen, cleaned
      local id = zigllms.tool.register({
        name = "t",
        execute = function(_, ctx)
          seen = { ctx.cancelled() }
          local ok, err = pcall(sleep, 5000)
          cleaned = not ok and err.code
          seen[2] = ctx.cancelled()
          error(err, 0)
        end,
      })
      local handle = zigllms.tool.execute(id, {}, { async = true })
      ends_at_once(handle, "stop")
      assert.same({ false, true }, seen)
      assert.equal("cancelled", cleaned)
    end)

    it("everything inside an agent's run", function()
      local inner
      local id = zigllms.agent.create({
        provider = "openai",
        tools = {
          {
            name = "ask",
            execute = function()
              inner = chat()
              return inner:await().content
            end,
          },
        },
      })
      server:script(
        scripted.calls({ { "c1", "ask", "{}" } }),
        scripted.text("late", { delay_ms = 5000 })
      )
      local handle = zigllms.agent.run(id, "go", { async = true })
      server:wait_for(2, sleep)
      local err = ends_at_once(handle, "all of it")
      assert.equal("cancelled", err.partial.finish_reason)
      assert.equal("user", err.partial.messages[1].role)
      assert.equal(1, zigllms.agent.get_info(id).error_count)
    end)

    it("a spawned function and what it waits for", function()
      local caught
      local handle = spawn(function()
        local ok, err = pcall(sleep, 5000)
        caught = not ok and err.code
        error(err, 0)
      end)
      ends_at_once(handle, "no more")
      assert.equal("cancelled", caught)
    end)

    it("code that does not stop, at each of its waits", function()
      local waits = 0
      local handle = spawn(function()
        for _ = 1, 3 do
          waits = waits + (pcall(sleep, 5000) and 0 or 1)
        end
        return "stubborn"
      end)
      handle:cancel()
      handle:wait(1000)
      assert.equal(3, waits)
    end)

    it("nobody else", function()
      server:script(scripted.text("a", { delay_ms = 60 }), scripted.text("b", { delay_ms = 60 }))
      local one, other = chat(), chat()
      one:cancel()
      assert.equal("completed", other:wait(2000) and other:status())
    end)
  end)

  it("tells on() once", function()
    server:script(scripted.text("x", { delay_ms = 5000 }))
    local told = {}
    local handle = chat():on(function(err)
      told[#told + 1] = err.code
    end)
    handle:cancel("why not")
    handle:wait(1000)
    zigllms.poll(0)
    zigllms.poll(0)
    assert.same({ "cancelled" }, told)
  end)

  it("may come from the callbacks themselves", function()
    local handle
    server:script(scripted.text({ "a", "b", "c" }, { chunk_delay_ms = 50 }))
    handle = chat({
      stream = function()
        assert.is_true(handle:cancel("from inside"))
      end,
    })
    local err = raised("cancelled", zigllms.await, handle)
    assert.equal("from inside", err.details.reason)
    assert.equal("a", err.partial.content)
  end)

  it("a hundred times leaves nothing behind", function()
    local reply = scripted.text("x", { delay_ms = 5000 })
    reply["repeat"] = true
    server:script(reply)
    for round = 1, 10 do
      local handles = {}
      for i = 1, 10 do
        handles[i] = chat()
      end
      if round % 2 == 0 then
        sleep(5)
      end
      for i = 1, 10 do
        handles[i]:cancel()
        handles[i]:wait(1000)
        assert.equal("cancelled", handles[i]:status())
      end
    end
    zigllms.run()
    -- Cancelled requests may still be on their way to the script.
    server:script(scripted.text("fine", { when = "probe" }))
    local response = zigllms.provider.chat("probe", { provider = "openai" })
    assert.equal("fine", response.content)
  end)

  it("refuses a reason that is no text", function()
    raised("invalid_argument", function()
      spawn(function() end):cancel(5)
    end)
  end)
end)
