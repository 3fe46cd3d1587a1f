-- Time limits by phase, sizes, and cancelling.
local clock = require("spec.support.program").clock
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local text, chunk = scripted.text, scripted.chunk

local server = scripted.start()

-- Milliseconds that a call takes.
local function timed(fn, ...)
  local began = clock()
  fn(...)
  return (clock() - began) * 1000
end

-- Waits until the server has seen the client hang up; milliseconds after the request.
local function closed_after()
  local journal = server:wait_for(function(entries)
    return entries[1] and entries[1].closed_after_ms ~= nil
  end, zigllms.sleep)
  return journal[1].closed_after_ms
end

local function timeout(phase, reply, options)
  server:script(reply)
  local err
  local ms = timed(function()
    err = raised("timeout", provider.chat, "hi", options)
  end)
  assert.equal(phase, err.phase)
  assert.is_true(ms < 1500, phase .. " took " .. ms)
  return err, ms
end

describe("a limit", function()
  before_each(function()
    zigllms.reset()
    zigllms.configure({ default_provider = "openai" })
    provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
  end)

  it("of connecting", function()
    provider.configure("openai", { base_url = server:deaf() })
    local err
    local ms = timed(function()
      err = raised("timeout", provider.chat, "hi", { connect_timeout_ms = 60 })
    end)
    assert.equal("connect", err.phase)
    assert.is_true(err.retryable)
    assert.is_true(ms >= 55 and ms < 1500, ms)
  end)

  it("of the first content", function()
    local late = text("late", { delay_ms = 3000 })
    local err, ms = timeout("first_token", late, { first_token_timeout_ms = 60 })
    assert.is_true(err.retryable)
    assert.is_nil(err.partial)
    assert.is_true(ms >= 55)
    assert.is_true(closed_after() < 1000)
  end)

  it("of the first content, which comments and roles are not", function()
    local events = { ": ping\n\n" }
    for i = 2, 40 do
      events[i] = events[1]
    end
    local reply = { chunks = events, chunk_delay_ms = 20 }
    timeout("first_token", reply, { first_token_timeout_ms = 100 })
    local role = { sse = { chunk({ role = "assistant", content = "" }) }, stall_ms = 3000 }
    role.sse[2] = scripted.null
    timeout("first_token", role, { first_token_timeout_ms = 100 })
  end)

  it("between contents", function()
    local reply = { sse = { chunk({ content = "so far" }), scripted.null }, stall_ms = 3000 }
    local err, ms = timeout("idle", reply, { idle_timeout_ms = 60 })
    assert.equal("so far", err.partial.content)
    assert.is_true(err.partial.usage.estimated)
    assert.is_false(err.retryable)
    assert.is_true(ms >= 55)
    assert.is_true(closed_after() < 1000)
  end)

  it("between contents, which comments are not", function()
    local events = { "data: " .. require("cjson").encode(chunk({ content = "so far" })) .. "\n\n" }
    for i = 2, 60 do
      events[i] = ": ping\n\n"
    end
    local reply = { chunks = events, chunk_delay_ms = 20 }
    local err = timeout("idle", reply, { idle_timeout_ms = 100 })
    assert.equal("so far", err.partial.content)
  end)

  it("between contents is not reached by a stream that goes on", function()
    local pieces = {}
    for i = 1, 10 do
      pieces[i] = "x"
    end
    server:script(text(pieces, { chunk_delay_ms = 30 }))
    local options = { idle_timeout_ms = 200, first_token_timeout_ms = 200 }
    assert.equal(10, #provider.chat("hi", options).content)
  end)

  it("of the whole call", function()
    local pieces = {}
    for i = 1, 100 do
      pieces[i] = "x"
    end
    local reply = text(pieces, { chunk_delay_ms = 20 })
    local err, ms = timeout("total", reply, { timeout_ms = 120 })
    assert.is_false(err.retryable)
    assert.truthy(err.partial.content:find("^x+$"))
    assert.is_true(ms >= 115)
    assert.is_true(closed_after() < 1000)
    err = timeout("total", text("x", { delay_ms = 3000 }), { timeout_ms = 60 })
    assert.is_nil(err.partial)
  end)

  it("of the whole call holds for streams too, and after a part was delivered", function()
    server:script({ sse = { chunk({ content = "so far" }), scripted.null }, stall_ms = 3000 })
    local said = {}
    local err = raised("timeout", provider.stream, "hi", function(piece)
      said[#said + 1] = piece.content
    end, { timeout_ms = 100 })
    assert.equal("total", err.phase)
    assert.equal("so far", table.concat(said))
    assert.equal("so far", err.partial.content)
  end)

  it("is none at 0", function()
    server:script(text("ok", { delay_ms = 60, chunk_delay_ms = 10 }))
    local options = {
      timeout_ms = 0,
      first_token_timeout_ms = 0,
      idle_timeout_ms = 0,
      connect_timeout_ms = 0,
    }
    assert.equal("ok", provider.chat("hi", options).content)
  end)

  it("is the nearest of call, provider and configuration", function()
    local late = text("late", { delay_ms = 250, ["repeat"] = true })
    zigllms.configure({ http = { timeout_ms = 40 } })
    timeout("total", late)
    provider.configure("openai", { timeout_ms = 5000 })
    server:script(late)
    assert.equal("late", provider.chat("hi").content)
    timeout("total", late, { timeout_ms = 40 })
    provider.configure("openai", { timeout_ms = zigllms.null })
    timeout("total", late)
    zigllms.configure({ http = { timeout_ms = zigllms.null } })
    server:script(late)
    assert.equal("late", provider.chat("hi").content)
  end)

  it("of get_models", function()
    server:script({ body = "{}", delay_ms = 3000 })
    local err = raised("timeout", provider.get_models, "openai", { timeout_ms = 60 })
    assert.equal("total", err.phase)
    assert.equal("openai", err.provider)
  end)

  it("of bytes", function()
    local long = text(("x"):rep(5000))
    server:script(long, long)
    local err = raised("bad_response", provider.chat, "hi", { max_response_bytes = 2000 })
    assert.is_false(err.retryable)
    assert.truthy(err.message:find("max_response_bytes", 1, true))
    assert.equal(5000, #provider.chat("hi", { max_response_bytes = 100000 }).content)
    server:script({ body = ("x"):rep(5000) })
    raised("bad_response", provider.chat, "hi", { max_response_bytes = 2000 })
    provider.configure("openai", { max_response_bytes = 2000 })
    server:script(long)
    raised("bad_response", provider.chat, "hi")
  end)
end)

describe("a cancel", function()
  before_each(server:as_default(zigllms))
  teardown(server:retired(zigllms))

  -- Cancels a request that is under way; returns its error.
  local function cancelled(handle, reason)
    local err
    local ms = timed(function()
      assert.is_true(handle:cancel(reason))
      err = raised("cancelled", handle.await, handle)
    end)
    assert.is_true(ms < 500, ms)
    assert.equal("cancelled", handle:status())
    assert.is_true(handle:done())
    assert.is_false(handle:cancel())
    return err
  end

  it("before the first byte closes the connection", function()
    server:script(text("late", { delay_ms = 5000 }))
    local handle = provider.chat("hi", { async = true })
    server:wait_for(1, zigllms.sleep)
    local err = cancelled(handle, "changed my mind")
    assert.equal("changed my mind", err.details.reason)
    assert.is_nil(err.partial)
    assert.is_false(err.retryable)
    assert.is_true(closed_after() < 1000)
  end)

  it("in the stream closes the connection, and keeps what there was", function()
    server:script({ sse = { chunk({ content = "so far" }), scripted.null }, stall_ms = 5000 })
    local handle = provider.stream("hi")
    assert.equal("so far", handle().content)
    local err = cancelled(handle)
    assert.equal("so far", err.partial.content)
    assert.equal("cancelled", err.partial.finish_reason)
    assert.is_true(err.partial.usage.estimated)
    assert.is_true(closed_after() < 1000)
  end)

  it("while connecting", function()
    provider.configure("openai", { base_url = server:deaf() })
    local handle = provider.chat("hi", { async = true })
    zigllms.sleep(10)
    cancelled(handle)
  end)

  it("before anything was sent", function()
    server:script(text("never"))
    local handle = provider.chat("hi", { async = true })
    cancelled(handle)
  end)

  it("of one leaves the others alone", function()
    server:script(
      text("late", { delay_ms = 5000, when = "first" }),
      text("ok", { delay_ms = 50, when = "second" })
    )
    local first = provider.chat("first", { async = true })
    local second = provider.chat("second", { async = true })
    cancelled(first)
    assert.equal("ok", second:await().content)
  end)

  it("of what is done does nothing", function()
    server:script(text("ok"))
    local handle = provider.chat("hi", { async = true })
    handle:await()
    assert.is_false(handle:cancel())
    assert.equal("ok", handle:await().content)
    assert.equal("completed", handle:status())
  end)

  it("does not make the provider a failed one", function()
    server:script(text("ok"), text("late", { delay_ms = 5000 }))
    provider.chat("hi")
    cancelled(provider.chat("hi", { async = true }))
    assert.equal("active", provider.get("openai").status)
  end)

  it("happens where a loop is left", function()
    server:script(text({ "one", "two" }, { chunk_delay_ms = 30, stall_ms = 5000 }))
    local handle = provider.stream("hi")
    for piece in handle:iter() do
      if piece.content:find("one", 1, true) then
        break
      end
    end
    -- 5.4 has cancelled it by now; elsewhere the user does.
    assert.equal(_VERSION == "Lua 5.4", not handle:cancel())
    assert.equal("cancelled", handle:status())
    assert.is_true(closed_after() < 1000)
  end)
end)
