-- Waiting in Neovim: the editor lives on, deliveries come by themselves and may use its API.
local nvim = require("spec.support.nvim")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local system = require("system")
local zigllms = require("zigllms")

local server = scripted.start()

-- What each chunk begins with.
local HEAD = [[
  local zigllms, nv = ...
  local uv, say, wait = nv.uv, nv.say, nv.wait
  local sleep, spawn = zigllms.sleep, zigllms.spawn
  local OPENAI = { base_url = nv.args[1], api_key = "test", retry = false }
  zigllms.provider.configure("openai", OPENAI)

  local function chat(options)
    options = options or {}
    options.provider = "openai"
    return zigllms.provider.chat("hi", options)
  end

  local function tool(execute)
    return zigllms.tool.register({ name = "t", replace = true, execute = execute })
  end

  local function fails(code, fn, ...)
    local ok, err = pcall(fn, ...)
    assert(not ok and err.code == code, tostring(err))
    return err
  end
]]

-- An answer of 20 lines that takes two seconds.
local function slow_answer()
  local lines = {}
  for i = 1, 20 do
    lines[i] = "line " .. i .. "\n"
  end
  return scripted.text(lines, { chunk_delay_ms = 100 })
end

nvim.each(describe, function(run_in)
  local function run(chunk, options)
    options = options or {}
    options.args = { server.url, options.word }
    return run_in(HEAD .. chunk, options)
  end

  before_each(function()
    server:script(scripted.text("fine", { ["repeat"] = true }))
  end)

  describe("lives on", function()
    it("during a plain call", function()
      server:script(slow_answer())
      run([[
        local stop = nv.ticking()
        local began = nv.now()
        local response = chat()
        local took = nv.now() - began
        local longest, ticks = stop()
        say("plain call of %.0f ms: a 10 ms timer ticked %d times, longest gap %.1f ms (limit 50)",
          took, ticks, longest)
        assert(response.content:find("^line 1\n") and response.content:find("line 20\n$"))
        assert(took > 1900 and ticks > 100 and longest < 500)
      ]])
    end)

    it("while an answer is streamed into a buffer", function()
      server:script(slow_answer())
      run([[
        local buffer = vim.api.nvim_create_buf(false, true)
        local counts, text, result = {}, "", nil
        local stop = nv.ticking()
        zigllms.provider.stream("hi", function(chunk)
          assert(not vim.in_fast_event())
          text = text .. chunk.content
          vim.api.nvim_buf_set_lines(buffer, 0, -1, true, vim.split(text, "\n"))
        end, { provider = "openai", async = true }):on(function(err, response)
          result = err or response
        end)
        while not result do
          local count = vim.api.nvim_buf_line_count(buffer)
          if count ~= counts[#counts] then
            counts[#counts + 1] = count
          end
          vim.wait(5)
        end
        local longest, ticks = stop()
        say("stream: %d states of the buffer seen, %d ticks, longest gap %.1f ms (limit 50)",
          #counts, ticks, longest)
        assert(result.content == text, tostring(result))
        assert(#counts >= 15 and counts[1] == 1 and counts[#counts] == 21)
        for i = 2, #counts do
          assert(counts[i] > counts[i - 1])
        end
        assert(ticks > 100 and longest < 500)
      ]])
    end)

    it("in a stream that never pauses", function()
      local pieces = {}
      for i = 1, 20000 do
        pieces[i] = "piece " .. i .. "\n"
      end
      server:script(scripted.text(pieces))
      run([[
        local stop, chunks, result = nv.ticking(), 0, nil
        zigllms.provider.stream("hi", function() chunks = chunks + 1 end,
          { provider = "openai", async = true }):on(function(err, response)
            result = err or response
          end)
        wait(function() return result end)
        local longest = stop()
        say("20000 pieces at once: %d chunks, longest gap %.1f ms", chunks, longest)
        assert(#result.content > 200000 and longest < 500)
      ]])
    end)

    it("and quits in the middle of a stream", function()
      server:script(slow_answer())
      run([[
        zigllms.provider.stream("hi", function(chunk)
          if chunk.index == 2 then
            vim.cmd("qa!")
          end
        end, { provider = "openai", async = true })
        return "later"
      ]])
      server:script(slow_answer())
      run([[
        vim.defer_fn(nv.done, 300)
        zigllms.provider.stream("hi", function() end, { provider = "openai", async = true })
        return "later"
      ]])
    end)

    it("and quits in the middle of a plain call", function()
      server:script(slow_answer())
      run([[
        vim.defer_fn(nv.done, 300)
        chat()
        error("the editor has not quit")
      ]])
    end)

    it("and may still wait while it quits", function()
      run([[
        nv.leaving = function()
          nv.check(function() assert(chat().content == "fine") say("waited while quitting") end)
        end
        _G.nv = nv
        vim.cmd("autocmd VimLeavePre * lua nv.leaving()")
      ]])
    end)
  end)

  describe("delivers by itself", function()
    it("callbacks, streams and spawned functions, where the API may be used", function()
      run([[
        local seen = {}
        local function arrived(what)
          assert(not vim.in_fast_event())
          vim.api.nvim_buf_set_lines(0, -1, -1, true, { what })
          seen[what] = true
          if vim.tbl_count(seen) == 5 then
            nv.done()
          end
        end
        chat({ async = true }):on(function(err, response)
          nv.check(arrived, response.content == "fine" and "on")
        end)
        zigllms.provider.stream("hi", function() nv.check(arrived, "stream") end,
          { provider = "openai", async = true })
        spawn(function()
          sleep(20)
          nv.check(arrived, "slept")
          assert(chat().content == "fine")
          nv.check(arrived, "asked")
          local done = spawn(function() return 1 end)
          sleep(20)
          done:on(function() nv.check(arrived, "on of what was done") end)
        end)
        return "later"
      ]])
    end)

    it("on() of what was done before anything was waited for", function()
      run([[
        spawn(function() return "at once" end):on(function(err, value)
          nv.check(function() assert(value == "at once") end)
          nv.done()
        end)
        return "later"
      ]])
    end)

    it("on() that comes when nothing is unfinished any more", function()
      run([[
        local handle = spawn(function() sleep(1) end)
        wait(function() return handle:done() end)
        vim.defer_fn(function() handle:on(nv.done) end, 50)
        return "later"
      ]])
    end)

    it("while a callback runs the editor itself", function()
      run([[
        local other, seen = spawn(function() sleep(50) end), nil
        spawn(function()
          sleep(1)
          seen = { vim.wait(5000, function() return other:done() end) }
        end)
        wait(function() return seen end)
        assert(seen[1], "nothing was delivered meanwhile")
      ]])
    end)

    it("errors of callbacks, each in the editor's own way, and what comes after them", function()
      run(
        [[
        local after
        for i = 1, 3 do
          spawn(function() sleep(5) end):on(function() error("mistake " .. i, 0) end)
        end
        spawn(function() sleep(5) end):on(function() error({}) end)
        spawn(function() sleep(10) end):on(function() after = true end)
        wait(function() return after end)
        vim.wait(20)
        local shown = nv.messages()
        for i = 1, 3 do
          assert(shown:find("a callback failed: mistake " .. i, 1, true), shown)
        end
        local _, count = shown:gsub("callback_error", "")
        assert(count == 4, shown)
      ]],
        { may_complain = true }
      )
    end)
  end)

  describe("waits", function()
    it("in tools that wait by themselves", function()
      run([[
        -- The very first wait of this editor: nothing has been watched yet.
        tool(function() coroutine.yield() return "yielded" end)
        assert(zigllms.tool.execute("t", {}) == "yielded")
        tool(function()
          vim.wait(20)
          sleep(5)
          coroutine.yield("to nobody")
          return chat().content
        end)
        assert(zigllms.tool.execute("t", {}) == "fine")
        local handles = {}
        for i = 1, 10 do
          handles[i] = zigllms.tool.execute("t", {}, { async = true })
        end
        for _, content in ipairs(zigllms.all(handles)) do
          assert(content == "fine")
        end
      ]])
    end)

    it("in coroutines of the module", function()
      run([[
        local seen
        spawn(function()
          local began = nv.now()
          sleep(30)
          assert(nv.now() - began >= 30)
          assert(chat().content == "fine")
          local function after(ms, value)
            return spawn(function() sleep(ms) return value end)
          end
          local values = zigllms.all({ after(30, "a"), after(10, "b"), after(20, "c") })
          assert(table.concat(values) == "abc")
          local index, value = zigllms.race({ after(2000, "slow"), after(5, "quick") })
          assert(index == 2 and value == "quick")
          assert(not vim.in_fast_event())
          seen = true
        end):on(function(err) seen = err or seen end)
        wait(function() return seen end)
        assert(seen == true, tostring(seen))
        assert(zigllms.run(function() sleep(5) return chat().content end) == "fine")
      ]])
    end)

    it("in a loop over a stream", function()
      server:script(scripted.text({ "a", "b", "c" }, { chunk_delay_ms = 30 }))
      run([[
        local text, result = "", nil
        spawn(function()
          for chunk in zigllms.provider.stream("hi", { provider = "openai" }) do
            vim.api.nvim_buf_set_lines(0, 0, -1, true, { text })
            text = text .. chunk.content
          end
          result = true
        end):on(function(err) result = err or result end)
        wait(function() return result end)
        assert(result == true and text == "abc", tostring(result))
      ]])
    end)

    it("in somebody's coroutine without yielding to it", function()
      run([[
        tool(function() sleep(5) vim.wait(5) return "done" end)
        local thread = coroutine.create(function()
          local content = chat().content
          sleep(10)
          local handle = chat({ async = true })
          return content .. " " .. handle:await().content .. " " .. zigllms.tool.execute("t", {})
        end)
        local ok, value = coroutine.resume(thread)
        assert(ok and value == "fine fine done", tostring(value))
        assert(coroutine.status(thread) == "dead")
      ]])
    end)

    it("by yielding, with async='yield', and comes back from the main loop", function()
      run([[
        local content
        local thread = coroutine.create(function()
          content = chat({ async = "yield" }).content
          nv.check(function()
            assert(not vim.in_fast_event())
            vim.api.nvim_buf_set_lines(0, 0, -1, true, { content })
          end)
          nv.done()
        end)
        assert(coroutine.resume(thread))
        assert(coroutine.status(thread) == "suspended" and content == nil)
        assert(coroutine.resume(thread)) -- by mistake: it waits again
        assert(coroutine.status(thread) == "suspended" and content == nil)
        return "later"
      ]])
    end)

    it("inside the condition of somebody's vim.wait", function()
      run([[
        local other = spawn(function() sleep(40) return "other" end)
        local asked = 0
        local ok = vim.wait(5000, function()
          asked = asked + 1
          sleep(5)
          return asked == 3 and chat().content == "fine" and other:await() == "other"
        end, 5)
        assert(ok and asked == 3)
      ]])
    end)

    it("several times inside each other, and each returns with its own", function()
      run([[
        local order = {}
        for i = 1, 3 do
          vim.defer_fn(function()
            sleep(60 - 10 * i)
            order[#order + 1] = i
          end, 10 * i)
        end
        sleep(100)
        wait(function() return #order == 3 end)
        assert(table.concat(order) == "321", table.concat(order))
      ]])
    end)
  end)

  describe("in a fast event", function()
    it("refuses to wait, and starts what goes on by itself", function()
      run([[
        tool(function() sleep(1) return "x" end)
        local errors, result = {}, nil
        local timer = uv.new_timer()
        timer:start(5, 0, function()
          timer:close()
          nv.check(function()
            assert(vim.in_fast_event())
            for name, fn in pairs({
              sleep = function() sleep(1) end,
              plain = function() chat() end,
              blocking = function() zigllms.tool.execute("t", {}, { async = false }) end,
              poll = zigllms.poll,
              run = function() zigllms.run(function() end) end,
              await = function() spawn(function() sleep(1) end):await() end,
            }) do
              errors[name] = fails("unsupported", fn)
              assert(errors[name].message:find("fast event", 1, true))
            end
            assert(tostring(errors.plain):find("^[^:]+:%d+: zigllms.provider.chat: "))
            chat({ async = true }):on(function(err, response)
              result = err or response
              assert(not vim.in_fast_event())
            end)
          end)
        end)
        wait(function() return result end)
        assert(result.content == "fine" and vim.tbl_count(errors) == 6)
      ]])
    end)
  end)

  describe("Ctrl-C", function()
    -- Another Neovim waits there; the key is typed after 300 ms.
    local function interrupted(begin)
      server:script(slow_answer())
      run(
        [[
          local other = nv.open_other()
          other.lua([=[
            local zigllms, url = require("zigllms"), ...
            local openai = { base_url = url, api_key = "test", retry = false }
            zigllms.provider.configure("openai", openai)
            function _G.ask()
              local _, err = pcall(zigllms.provider.chat, "hi", { provider = "openai" })
              _G.seen = { err.code, vim.loop.hrtime(), err.partial and err.partial.content or "" }
            end
            vim.cmd("nnoremap <F5> <cmd>lua ask()<cr>")
          ]=], nv.args[1])
          if nv.args[2] == "key" then
            other.type("<F5>")
          else
            other.notify("ask()")
          end
          vim.wait(300)
          local typed = uv.hrtime()
          other.type("<C-c>")
          vim.wait(500)
          local seen = other.lua("return _G.seen or vim.NIL")
          assert(seen ~= vim.NIL, "the wait goes on")
          local took = (seen[2] - typed) / 1e6
          say("Ctrl-C ended a wait begun by %s after %.1f ms (limit 50)", nv.args[2], took)
          assert(seen[1] == "cancelled" and took < 500, seen[1])
          assert(seen[3]:find("^line 1\n"), seen[3])
          assert(other.lua("return 1 + 1") == 2)
          assert(other.lua("return vim.api.nvim_get_mode().mode") == "n")
          other.stop()
        ]],
        { word = begin }
      )
      local journal = server:wait_for(function(journal)
        return journal[1] and journal[1].closed_after_ms
      end, function(ms)
        system.sleep(ms / 1000)
      end)
      print(
        ("the server saw the end %.0f ms after the question"):format(journal[1].closed_after_ms)
      )
      assert.is_true(journal[1].closed_after_ms < 1500)
    end

    it("ends a wait that a key began", function()
      interrupted("key")
    end)

    it("ends a wait that another program began", function()
      interrupted("rpc")
    end)

    it("ends an await, but not the handle", function()
      run([[
        local other = nv.open_other()
        other.notify([=[
          local zigllms = require("zigllms")
          local handle = zigllms.spawn(function() zigllms.sleep(800) return "fine" end)
          local _, err = pcall(handle.await, handle)
          _G.seen = { err.code, handle:status(), handle:await() }
        ]=])
        vim.wait(300)
        other.type("<C-c>")
        vim.wait(800)
        local seen = other.lua("return _G.seen")
        assert(table.concat(seen, " ") == "cancelled running fine", vim.inspect(seen))
        other.stop()
      ]])
    end)
  end)

  it("has instances side by side", function()
    run([[
      local one, two = zigllms.new(), zigllms.new()
      local order = {}
      for name, instance in pairs({ one = one, two = two }) do
        instance.provider.configure("openai", OPENAI)
        instance.tool.register({ name = "t", execute = function()
          instance.sleep(20)
          return name
        end })
        instance.provider.chat("hi", { provider = "openai", async = true }):on(function(err, r)
          order[#order + 1] = name .. " " .. (r and r.content or tostring(err))
        end)
      end
      assert(one.tool.execute("t", {}) == "one" and two.tool.execute("t", {}) == "two")
      one.spawn(function()
        local content = two.tool.execute("t", {}, { async = true }):await()
        order[#order + 1] = content .. " from one"
      end)
      wait(function() return #order == 3 end)
      table.sort(order)
      assert(table.concat(order, ", ") == "one fine, two fine, two from one", vim.inspect(order))
    ]])
  end)

  it("takes the editor's null and empty dictionary for what they mean", function()
    run([[
      local parameters = { type = "object", properties = vim.empty_dict() }
      chat({
        temperature = vim.NIL,
        tools = { { name = "t", parameters = parameters, execute = print } },
        extra = { inner = { nothing = vim.NIL }, empty = vim.empty_dict(), list = { vim.NIL, 1 } },
      })
      -- From Lua to Lua values pass as they are.
      tool(function(input) return input.a == vim.NIL and input.b end)
      local empty = vim.empty_dict()
      assert(zigllms.tool.execute("t", { a = vim.NIL, b = empty }) == empty)
    ]])
    local body = server:journal()[1].body
    assert.truthy(body:find('"nothing":null', 1, true), body)
    assert.truthy(body:find('"empty":{}', 1, true), body)
    assert.truthy(body:find('"list":[null,1]', 1, true), body)
    assert.truthy(body:find('"properties":{}', 1, true), body)
    assert.is_nil(body:find("temperature", 1, true))
  end)

  it("keeps no descriptors", function()
    -- No connection is kept, and no answer is complete with its head.
    local extra = { ["repeat"] = true, headers = { connection = "close" }, chunk_delay_ms = 5 }
    server:script(scripted.text("fine", extra))
    run([[
      local function descriptors()
        return #vim.fn.readdir("/proc/self/fd")
      end
      local function ask(count)
        local left = count
        for i = 1, count do
          chat({ async = true }):on(function(err)
            left = left - (err and 0 or 1)
          end)
        end
        wait(function() return left == 0 end)
      end
      local before = descriptors()
      ask(20)
      local base, most = descriptors(), 0
      local timer = uv.new_timer()
      timer:start(1, 1, vim.schedule_wrap(function() most = math.max(most, descriptors()) end))
      ask(200)
      timer:close()
      vim.wait(200)
      say("descriptors: %d at first, %d after 20 calls, %d during, %d after 200 more",
        before, base, most, descriptors())
      assert(descriptors() <= base, "descriptors are left open")
    ]])
  end)

  it("works in a thread of the editor, where a wait blocks", function()
    run([[
      local path = vim.fn.tempname()
      local thread = uv.new_thread(function(url, path)
        local file = io.open(path, "w")
        local ok, err = pcall(function()
          local zigllms = require("zigllms")
          local openai = { base_url = url, api_key = "test", retry = false }
          zigllms.provider.configure("openai", openai)
          zigllms.sleep(5)
          local handle = zigllms.spawn(function() zigllms.sleep(5) return "spawned" end)
          local response = zigllms.provider.chat("hi", { provider = "openai" })
          file:write(response.content, " ", handle:await())
        end)
        file:write(ok and "" or tostring(err))
        file:close()
      end, nv.args[1], path)
      assert(chat().content == "fine")
      thread:join()
      local said = vim.fn.readfile(path)[1]
      assert(said == "fine spawned", said)
      assert(chat().content == "fine")
    ]])
  end)
end)

describe("the loop of Neovim", function()
  it("is not to be had elsewhere", function()
    raised("unsupported", zigllms.loop, "nvim")
    raised("unsupported", zigllms.configure, { loop = "nvim" })
  end)

  teardown(function()
    server:stop()
  end)
end)
