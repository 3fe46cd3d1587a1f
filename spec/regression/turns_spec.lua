-- Hangs and leaks between tasks, turns and handles that were found once.
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

describe("once broken between tasks", function()
  local model, ai, provider

  before_each(function()
    ai = zigllms.new()
    provider = ai.provider.create({ type = "local", model = "m" })
    -- A server, for what was broken has to do with sockets.
    model = scripted.new(provider, { transport = "http" }, ai)
  end)

  local function stalled()
    return scripted.text({ "a", "b" }, { chunk_delay_ms = 60000 })
  end

  local function always(text)
    return scripted.text(text, { again = true })
  end

  it("a stream of an older instance hung once a newer one was made", function()
    model:script(always("hello"))
    zigllms.new()
    local parts = {}
    for chunk in ai.provider.stream("hi", { provider = provider }) do
      parts[#parts + 1] = chunk.content
    end
    assert.equal("hello", table.concat(parts))
  end)

  it("a tool's own coroutine waited for the run that it was called by", function()
    local seen
    local id = ai.agent.create({
      provider = provider,
      tools = {
        {
          name = "again",
          execute = function()
            return coroutine.wrap(function()
              local _, err = pcall(ai.agent.run, seen.agent, "more")
              seen.err = err
              return "told"
            end)()
          end,
        },
      },
    })
    seen = { agent = id }
    model:script(scripted.calls({ { "c1", "again", "{}" } }), always("done"))
    assert.equal("done", ai.agent.run(id, "go", { timeout_ms = 5000 }).content)
    assert.equal("invalid_state", seen.err.code)
  end)

  it("a coroutine made in a tool did not know the tool's time limit", function()
    local id = ai.tool.register({
      name = "slow",
      timeout_ms = 50,
      execute = function()
        return coroutine.wrap(function()
          ai.sleep(60000)
        end)()
      end,
    })
    local ok, err = pcall(ai.tool.execute, id, {})
    assert.is_false(ok)
    assert.equal("timeout", err.code)
  end)

  it("an error of waiting had the bridge in the name of its function", function()
    local id = ai.tool.register({ name = "t", execute = function() end })
    local caught
    ai.run(function()
      caught = select(
        2,
        pcall(string.gsub, "a", "a", function()
          ai.tool.execute(id, {})
        end)
      )
    end)
    assert.equal("unsupported", caught.code)
    assert.equal("tool", caught.bridge)
    assert.equal("execute", caught.func)
  end)

  it("handles of two instances could not be told apart", function()
    local foreign = zigllms.new().spawn(function() end)
    local ok, err = pcall(ai.all, { foreign })
    assert.is_false(ok)
    assert.equal("invalid_argument", err.code)
  end)

  it("the third run of a conversation waited for ever when two before it were cancelled", function()
    local id = ai.agent.create({ provider = provider })
    model:script(stalled(), always("x"))
    local first = ai.agent.run(id, "1", { async = true })
    local second = ai.agent.run(id, "2", { async = true })
    local third = ai.agent.run(id, "3", { async = true, timeout_ms = 20000 })
    ai.poll(200)
    assert.is_true(first:cancel())
    assert.is_false((pcall(ai.agent.reset, id)))
    assert.is_true(second:cancel())
    assert.equal("x", third:await().content)
  end)

  it("an error of somebody's coroutine ended an innocent call", function()
    ai.tool.register({
      name = "slow",
      execute = function()
        ai.sleep(30)
        return "ok"
      end,
    })
    local co = coroutine.create(function()
      ai.tool.execute("slow", {}, { async = "yield" })
      error("boom", 0)
    end)
    assert.is_true(coroutine.resume(co))
    assert.equal("ok", ai.tool.execute("slow"))
    local ok, err = pcall(function()
      for _ = 1, 100 do
        ai.poll(5)
      end
    end)
    assert.is_false(ok)
    assert.equal("boom", err)
  end)

  it("a wait inside a callback missed what its own turn had still to deliver", function()
    local done = ai.spawn(function() end)
    local last, got
    local seven = ai.spawn(function()
      ai.sleep(20)
      done:on(function()
        got = coroutine.wrap(function()
          return last:await()
        end)()
      end)
      return 7
    end)
    last = ai.spawn(function()
      return seven:await()
    end)
    assert.equal(7, last:await())
    ai.poll(20)
    assert.equal(7, got)
  end)

  it("`run` inside an operation waited for itself", function()
    local ok, err = pcall(
      ai.await,
      ai.spawn(function()
        ai.run(function() end)
      end)
    )
    assert.is_false(ok)
    assert.equal("invalid_state", err.code)
  end)

  it("`run` ended before callbacks had run", function()
    local seen
    ai.run(function()
      ai.spawn(function()
        return 5
      end):on(function(_, value)
        seen = value
      end)
    end)
    assert.equal(5, seen)
  end)

  it("a dropped handle left the operations inside its tool", function()
    local id = ai.agent.create({ provider = provider })
    ai.tool.register({
      name = "ask",
      execute = function()
        return ai.agent.run(id, "in")
      end,
    })
    model:script(stalled(), always("end"))
    local function drop()
      ai.tool.execute("ask", {}, { async = true })
      ai.poll(200)
    end
    drop()
    collectgarbage()
    collectgarbage()
    assert.equal("end", ai.agent.run(id, "again", { timeout_ms = 20000 }).content)
  end)

  it("a coroutine that was dropped in a tool kept its conversation", function()
    local id = ai.agent.create({
      provider = provider,
      tools = {
        {
          name = "pause",
          execute = function()
            coroutine.yield()
          end,
        },
      },
    })
    model:script(scripted.calls({ { "c", "pause", "{}" } }), always("end"))
    -- In a function of its own, so that no stack slot keeps it.
    local function drop()
      local co = coroutine.create(function()
        ai.agent.run(id, "go")
      end)
      assert.is_true(coroutine.resume(co))
      assert.equal("suspended", coroutine.status(co))
    end
    drop()
    collectgarbage()
    collectgarbage()
    assert.equal("end", ai.agent.run(id, "again", { timeout_ms = 20000 }).content)
  end)

  it("a spawned task hid that a run of the same conversation was around it", function()
    local id
    ai.tool.register({
      name = "again",
      execute = function()
        return ai.spawn(function()
          return ai.agent.run(id, "x")
        end):await()
      end,
    })
    id = ai.agent.create({ provider = provider, tools = { "again" } })
    model:script(scripted.calls({ { "c", "again", "{}" } }), always("end"))
    local response = ai.agent.run(id, "go")
    assert.equal("end", response.content)
    assert.truthy(response.tool_calls[1].error:find("running this conversation", 1, true))
  end)
end)

describe("endless recursion", function()
  local ai = zigllms.new()

  local function code_at_the_bottom(err)
    while type(err) == "table" and err.code == "tool_error" do
      err = err.cause
    end
    return type(err) == "table" and err.code
  end

  it("of a tool ends with an error", function()
    ai.tool.register({
      name = "again",
      execute = function()
        return ai.tool.execute("again")
      end,
    })
    local ok, err = pcall(ai.tool.execute, "again")
    assert.is_false(ok)
    assert.equal("invalid_state", code_at_the_bottom(err))
  end)

  it("of spawned tasks ends with an error", function()
    local function again()
      return ai.spawn(again):await()
    end
    local ok, err = pcall(again)
    assert.is_false(ok)
    assert.equal("invalid_state", err.code)
  end)
end)
