-- Where a plain call waits: on the main thread, in coroutines of ours and of others, in callbacks.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local model = scripted.new()
local sleep, spawn = zigllms.sleep, zigllms.spawn

local function chat(text, options)
  options = options or {}
  options.provider = "openai"
  return zigllms.provider.chat(text or "hi", options)
end

local function tool(execute)
  return zigllms.tool.register({ name = "t", replace = true, execute = execute })
end

describe("waiting", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  describe("on the main thread", function()
    it("delivers what others wait for", function()
      model:script(scripted.text("x", { delay_ms = 40 }))
      local ticks = 0
      spawn(function()
        for _ = 1, 5 do
          sleep(2)
          ticks = ticks + 1
        end
      end)
      assert.equal("x", chat().content)
      assert.equal(5, ticks)
    end)

    it("ends as soon as its own work is done", function()
      model:script(
        scripted.text("slow", { delay_ms = 1500, when = '"a"' }),
        scripted.text("quick", { when = '"b"' })
      )
      local slow = chat("a", { async = true })
      local began = program.clock()
      assert.equal("quick", chat("b").content)
      assert.is_true(program.clock() - began < 1)
      assert.is_false(slow:done())
      slow:cancel()
    end)
  end)

  describe("in a coroutine of the module", function()
    it("lets the others go on", function()
      local order = {}
      local function worker(name, ms, times)
        return spawn(function()
          for i = 1, times do
            sleep(ms)
            order[#order + 1] = name .. i
          end
          return name
        end)
      end
      assert.same({ "a", "b" }, zigllms.all({ worker("a", 100, 1), worker("b", 2, 3) }))
      assert.same({ "b1", "b2", "b3", "a1" }, order)
    end)

    it("works for every call that waits", function()
      model:script(scripted.text("one"), scripted.text("two"), scripted.text("three"))
      local id = zigllms.agent.create({ provider = "openai" })
      local echo = tool(function(input)
        sleep(1)
        return input.n
      end)
      local results = zigllms.run(function()
        local list = { chat().content, zigllms.agent.run(id, "x").content }
        zigllms.provider.stream("hi", function(chunk)
          list[3] = (list[3] or "") .. chunk.content
        end, { provider = "openai" })
        list[4] = zigllms.tool.execute(echo, { n = 4 })
        return list
      end)
      assert.same({ "one", "two", "three", 4 }, results)
    end)

    it("awaits handles of everybody", function()
      local outer = spawn(function()
        sleep(10)
        return "outer"
      end)
      assert.equal(
        "outer inner",
        zigllms.run(function()
          local inner = spawn(function()
            sleep(1)
            return "inner"
          end)
          return outer:await() .. " " .. inner:await()
        end)
      )
    end)

    it("refuses to wait for itself", function()
      local handle, err
      handle = spawn(function()
        sleep(1)
        err = raised("invalid_state", zigllms.await, handle)
      end)
      handle:await()
      assert.truthy(err)
    end)

    it("goes on after a yield of its own at the next poll", function()
      local steps = 0
      local handle = spawn(function()
        for _ = 1, 3 do
          coroutine.yield("whatever")
          steps = steps + 1
        end
        return "done"
      end)
      assert.equal(0, steps)
      assert.equal("done", handle:await())
      assert.equal(3, steps)
    end)
  end)

  describe("in a coroutine of somebody else", function()
    it("blocks, and never yields to it", function()
      model:script(scripted.text("x", { delay_ms = 10 }))
      local thread = coroutine.create(function()
        local content = chat().content
        sleep(2)
        coroutine.yield("mine " .. content)
        return "end"
      end)
      assert.same({ true, "mine x" }, { coroutine.resume(thread) })
      assert.same({ true, "end" }, { coroutine.resume(thread) })
    end)

    it("serves generators", function()
      local double = tool(function(input)
        sleep(1)
        return input.n * 2
      end)
      local generator = coroutine.wrap(function()
        for i = 1, 3 do
          coroutine.yield(zigllms.tool.execute(double, { n = i }))
        end
      end)
      assert.same({ 2, 4, 6 }, { generator(), generator(), generator() })
    end)

    it("raises errors inside it", function()
      model:script(scripted.failure(400, "no"))
      local thread = coroutine.create(function()
        return raised("bad_request", chat)
      end)
      local ok, err = coroutine.resume(thread)
      assert.is_true(ok)
      assert.equal("bad_request", err.code)
    end)

    it("awaits what was started outside", function()
      local handle = spawn(function()
        sleep(5)
        return "x"
      end)
      assert.equal(
        "x",
        coroutine.wrap(function()
          return handle:await()
        end)()
      )
    end)

    it("yields with async='yield', and a foreign resume just waits again", function()
      model:script(scripted.text("x", { delay_ms = 30 }))
      local result
      local thread = coroutine.create(function()
        result = chat("hi", { async = "yield" }).content
      end)
      assert.is_true(coroutine.resume(thread))
      assert.is_nil(result)
      assert.equal("suspended", coroutine.status(thread))
      assert.is_true(coroutine.resume(thread))
      assert.is_true(coroutine.resume(thread))
      assert.equal("suspended", coroutine.status(thread))
      for _ = 1, 100 do
        if result then
          break
        end
        zigllms.poll(20)
      end
      assert.equal("x", result)
      assert.equal("dead", coroutine.status(thread))
    end)

    it("lets many of them go side by side with async='yield'", function()
      local replies = {}
      for i = 1, 5 do
        replies[i] = scripted.text("n" .. i, { delay_ms = 150, when = '"q' .. i .. '"' })
      end
      model:script((table.unpack or unpack)(replies)) -- luacheck: ignore
      local results, left = {}, 5
      local began = program.clock()
      for i = 1, 5 do
        coroutine.wrap(function()
          results[i] = chat("q" .. i, { async = "yield" }).content
          left = left - 1
        end)()
      end
      while left > 0 do
        zigllms.poll(100)
      end
      assert.is_true(program.clock() - began < 0.6)
      assert.same({ "n1", "n2", "n3", "n4", "n5" }, results)
    end)

    it("is a plain call on the main thread, with async='yield' too", function()
      model:script(scripted.text("x"))
      assert.equal("x", chat("hi", { async = "yield" }).content)
    end)
  end)

  describe("with async=false", function()
    it("blocks in a coroutine of the module", function()
      model:script(scripted.text("x", { delay_ms = 30 }))
      local passed
      local handle = spawn(function()
        local content = chat("hi", { async = false }).content
        passed = true
        return content
      end)
      assert.is_true(passed)
      assert.equal("x", handle:await())
    end)

    it("blocks inside a C call", function()
      model:script(scripted.text("x", { delay_ms = 5 }))
      local text = zigllms.run(function()
        return (
          ("a"):gsub("a", function()
            return chat("hi", { async = false }).content
          end)
        )
      end)
      assert.equal("x", text)
    end)
  end)

  describe("inside a C call", function()
    local function through_gsub(fn)
      return (("a"):gsub("a", fn))
    end

    it("works on the main thread", function()
      model:script(scripted.text("x", { delay_ms = 5 }))
      assert.equal(
        "x",
        through_gsub(function()
          return chat().content
        end)
      )
      local list = { 3, 1, 2 }
      table.sort(list, function(a, b)
        sleep(0.1)
        return a < b
      end)
      assert.same({ 1, 2, 3 }, list)
    end)

    it("is unsupported where the coroutine would have to yield", function()
      model:script(scripted.text("z", { again = true }))
      local err = zigllms.run(function()
        local _, err = pcall(through_gsub, function()
          return chat().content
        end)
        return err
      end)
      assert.equal("unsupported", err.code)
      assert.truthy(err.message:find("async", 1, true))
      assert.equal("z", chat().content)
    end)

    it("can be async=true", function()
      model:script(scripted.text("x"))
      local content = zigllms.run(function()
        local handle
        through_gsub(function()
          handle = chat("hi", { async = true })
        end)
        return handle:await().content
      end)
      assert.equal("x", content)
    end)
  end)

  describe("inside callbacks", function()
    it("nests as deep as wanted, innermost first", function()
      local order = {}
      local level
      level = tool(function(input)
        sleep(1)
        if input.n < 20 then
          zigllms.tool.execute(level, { n = input.n + 1 })
        end
        order[#order + 1] = input.n
        return input.n
      end)
      assert.equal(1, zigllms.tool.execute(level, { n = 1 }))
      assert.equal(20, order[1])
      assert.equal(1, order[20])
    end)

    it("does not deadlock when two wait for each other's work", function()
      local first, second
      first = spawn(function()
        sleep(2)
        local inner = spawn(function()
          sleep(10)
          return "inner"
        end)
        return inner:await()
      end)
      second = spawn(function()
        return first:await() .. "!"
      end)
      local through = tool(function()
        return second:await() .. "!"
      end)
      assert.equal("inner!!", zigllms.tool.execute(through))
    end)

    it("awaits, in a callback on the main thread, a task that waits itself", function()
      local slow = spawn(function()
        sleep(20)
        return zigllms.tool.execute(tool(function()
          sleep(5)
          return "deep"
        end))
      end)
      local told
      slow:on(function(_, value)
        told = value
      end)
      model:script(scripted.text({ "a", "b" }, { chunk_delay_ms = 5 }))
      chat("hi", {
        stream = function()
          slow:await()
        end,
      })
      zigllms.poll(0)
      assert.equal("deep", told)
    end)

    it("passes a raw yield of a tool to whoever resumes", function()
      local asking = tool(function()
        local answer = coroutine.yield("what?")
        return "got " .. tostring(answer)
      end)
      local thread = coroutine.create(function()
        return zigllms.tool.execute(asking)
      end)
      assert.same({ true, "what?" }, { coroutine.resume(thread) })
      assert.same({ true, "got 42" }, { coroutine.resume(thread, 42) })
      assert.equal("dead", coroutine.status(thread))
    end)

    it("takes a raw yield on the main thread for 'at the next poll'", function()
      local steps = 0
      local yielding = tool(function()
        for _ = 1, 3 do
          coroutine.yield("ignored")
          steps = steps + 1
        end
        return steps
      end)
      assert.equal(3, zigllms.tool.execute(yielding))
      local err = zigllms.tool.execute(yielding, {}, { async = true })
      assert.equal(6, err:await())
    end)

    it("passes a raw yield through an agent's run in a coroutine", function()
      local id = zigllms.agent.create({
        provider = "openai",
        tools = {
          {
            name = "ask",
            execute = function()
              return coroutine.yield("from the tool")
            end,
          },
        },
      })
      model:script(scripted.calls({ { "c1", "ask", "{}" } }), scripted.text("done"))
      local thread = coroutine.create(function()
        return zigllms.agent.run(id, "go")
      end)
      assert.same({ true, "from the tool" }, { coroutine.resume(thread) })
      local ok, response = coroutine.resume(thread, "answer")
      assert.is_true(ok)
      assert.equal("done", response.content)
      assert.equal("answer", response.tool_calls[1].result)
    end)

    it("passes a raw yield of a stream callback, too", function()
      model:script(scripted.text({ "a", "b" }, { chunk_delay_ms = 10 }))
      local seen = {}
      local thread = coroutine.create(function()
        return chat("hi", {
          stream = function(chunk)
            coroutine.yield(chunk.content)
          end,
        }).content
      end)
      local ok, value
      repeat
        ok, value = coroutine.resume(thread)
        seen[#seen + 1] = value
      until coroutine.status(thread) == "dead"
      assert.is_true(ok)
      assert.equal("ab", value)
      assert.equal("ab", table.concat(seen, "", 1, #seen - 1))
    end)

    it("survives a coroutine that is never resumed", function()
      local asking = tool(function()
        coroutine.yield("never answered")
      end)
      for _ = 1, 100 do
        coroutine.wrap(function()
          zigllms.tool.execute(asking)
        end)()
      end
      collectgarbage()
      collectgarbage()
      model:script(scripted.text("x"))
      assert.equal("x", chat().content)
    end)

    it("goes through pcall, xpcall and metamethods where the engine allows it", function()
      local id = tool(function()
        local ok, value = pcall(function()
          sleep(1)
          return "a"
        end)
        local fine, other = xpcall(function()
          sleep(1)
          return "b"
        end, tostring)
        return ok and fine and value .. other
      end)
      assert.equal("ab", zigllms.tool.execute(id))
      assert.equal("ab", zigllms.run(zigllms.tool.execute, id))
    end)
  end)
end)
