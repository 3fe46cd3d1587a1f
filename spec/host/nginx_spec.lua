-- Waiting in nginx: requests yield to it, what a request starts ends with it, workers come and go.
--
-- Limits in time are ten times what is promised, for busy machines; what was measured is printed.
local nginx = require("spec.support.nginx")
local scripted = require("spec.support.server")
local sleep = require("system").sleep

local missing = nginx.missing()
if missing then
  print("SKIP spec/host/nginx_spec.lua: " .. missing)
  return
end

local server = scripted.start()

local INIT = ([[
  init_by_lua_block {
    kept = {} -- for requests to leave something to others
    local zigllms = require("zigllms")
    zigllms.provider.configure("openai", { base_url = %q, api_key = "test", retry = false })
    jit.opt.start("hotloop=20") -- so that what is compiled is tested too
  }
]]):format(server.url)

-- Runs the Lua code it is sent; errors are the answer.
local RUN = [[
  local zigllms, openai = require("zigllms"), { provider = "openai" }
  local function chat(options)
    options = options or {}
    options.provider = "openai"
    return zigllms.provider.chat("hi", options)
  end
  local function counter(name, step)
    return ngx.shared.notes:incr(name, step or 1, 0)
  end
]]

local RUNNER = [[
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  local code = assert(loadstring([==[]] .. RUN .. [[]==] .. "\n" .. body, "=code"))
  local ok, err = pcall(code)
  if not ok then
    ngx.status = 500
    ngx.print(tostring(err))
  end
]]

local web

local function start(options)
  options = options or {}
  options.http = "lua_shared_dict notes 1m;\n" .. (options.init or INIT) .. (options.http or "")
  options.locations = options.locations or {}
  options.locations.run = options.locations.run or RUNNER
  options.locations.plain = 'ngx.print("plain")'
  return nginx.start(options)
end

-- The body that `code` answers with; it must have worked.
local function run(code, more)
  more = more or {}
  more.body, more.method = code, "POST"
  local body, status, report = web:get(more.path or "/run", more)
  if status ~= 200 then
    error(("%s: %s\n%s"):format(tostring(next(report.statuses)), tostring(body), web:log()), 2)
  end
  return body
end

local function flow(code, more)
  more.body, more.method = code, "POST"
  return web:run(more.path or "/run?n={n}", more)
end

local function note(name)
  return tonumber(run(("ngx.print(ngx.shared.notes:get(%q) or 0)"):format(name)))
end

local function eventually(is, seconds)
  return web:wait_until(is, seconds)
end

-- Nothing was said in the error log since the last time.
local seen = 0
local function healthy()
  local complaints, new = web:complaints(), {}
  for i = seen + 1, #complaints do
    new[#new + 1] = complaints[i]
  end
  seen = #complaints
  assert.same({}, new)
end

local function all_good(report, count)
  assert.same({ ["200"] = count }, report.statuses)
end

describe("in nginx", function()
  setup(function()
    web = start()
  end)

  before_each(function()
    server:script(scripted.text("fine", { ["repeat"] = true }))
  end)

  teardown(function()
    web:stop()
    server:stop()
  end)

  it("200 requests that wait 1 s for a model keep one worker free for others", function()
    server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 1000 }))
    web:load("/plain", { count = 0, pause_ms = 5 })
    local report = flow("ngx.print(chat().content)", { count = 200, together = 200 })
    local plain = web:report()[1]
    local text = "200 waits of 1 s: %.0f ms; meanwhile a plain request: p99 %.1f, max %.1f ms"
    print(text:format(report.total_ms, plain.ms[2], plain.ms[3]))
    all_good(report, 200)
    all_good(plain, plain.count)
    assert.is_true(report.total_ms < 30000)
    assert.is_true(plain.ms[2] < 500)
    healthy()
  end)

  describe("a callback may wait as nginx does", function()
    local TOOL = [[
      local function ask_plain()
        ngx.sleep(0.01)
        local socket = ngx.socket.tcp()
        socket:settimeout(5000)
        assert(socket:connect("127.0.0.1", ngx.var.server_port))
        assert(socket:send("GET /plain HTTP/1.0\r\n\r\n"))
        local answer = socket:receive("*a")
        socket:close()
        return { answer = answer:match("%a+$") }
      end
      local tool = zigllms.tool.register({ name = "plain", replace = true, execute = ask_plain })
    ]]

    it("in a plain call", function()
      assert.equal("plain", run(TOOL .. "ngx.print(zigllms.tool.execute(tool, {}).answer)"))
    end)

    it("of a handle", function()
      local code = "ngx.print(zigllms.tool.execute(tool, {}, { async = true }):await().answer)"
      assert.equal("plain", run(TOOL .. code))
    end)

    it("in an agent's run, where tools run side by side", function()
      server:script(
        scripted.calls({ { "a", "plain", "{}" }, { "b", "plain", "{}" }, { "c", "plain", "{}" } }),
        scripted.text("done")
      )
      local code = [[
        local id = zigllms.agent.create({ provider = "openai", tools = { tool } })
        ngx.print(zigllms.agent.run(id, "go").content)
        zigllms.agent.destroy(id)
      ]]
      assert.equal("done", run(TOOL .. code))
      local messages = server:requests()[2].messages
      assert.truthy(messages[#messages].content:find("plain", 1, true))
      assert.equal(3, #messages - 2)
      healthy()
    end)

    it("of a stream", function()
      server:script(scripted.text({ "one ", "two ", "three" }, { chunk_delay_ms = 20 }))
      assert.equal(
        "one two three",
        run([[
          zigllms.provider.stream("hi", function(chunk)
            ngx.sleep(0.005)
            ngx.print(chunk.content)
            ngx.flush(true)
          end, openai)
        ]])
      )
    end)

    it("and may replace ngx.ctx", function()
      local code = [[
        local outer = zigllms.tool.register({ name = "outer", replace = true, execute = function()
          ngx.ctx = {}
          return zigllms.tool.execute(tool, {})
        end })
        local handle = zigllms.tool.execute(outer, {}, { async = true })
        ngx.print(handle:await().answer)
      ]]
      assert.equal("plain", run(TOOL .. code))
    end)
  end)

  describe("a request owns what it starts:", function()
    it("a callback of one never runs in another", function()
      server:script(scripted.text({ "a", "b", "c" }, { ["repeat"] = true, chunk_delay_ms = 10 }))
      local report = flow(
        [[
          local me = ngx.var.arg_n
          ngx.ctx.me = me
          local wrong = 0
          local function check()
            if ngx.ctx.me ~= me or ngx.var.arg_n ~= me then wrong = wrong + 1 end
          end
          local tool = zigllms.tool.register({ name = "t" .. me, execute = function()
            check() ngx.sleep(0.003) check() zigllms.sleep(3) check()
            return true
          end })
          local answered
          local handle = zigllms.tool.execute(tool, {}, { async = true })
          handle:on(function() check() answered = true end)
          zigllms.provider.stream("hi", check, openai)
          for _ in zigllms.provider.stream("hi", openai) do check() end
          zigllms.spawn(function() zigllms.tool.execute(tool, {}) check() end):await()
          handle:await()
          ngx.sleep(0.005)
          zigllms.tool.unregister(tool)
          ngx.print(wrong, answered)
        ]],
        { count = 200, together = 50 }
      )
      all_good(report, 200)
      for i = 1, 200 do
        assert.equal("0true", report.bodies[i])
      end
      healthy()
    end)

    it("a handle may be awaited in another, but its callbacks stay at home", function()
      server:script(scripted.text("shared", { delay_ms = 300 }))
      web:load("/run", {
        method = "POST",
        body = "kept.handle = chat({ async = true }) ngx.print(kept.handle:await().content)",
      })
      sleep(0.1)
      assert.equal(
        "unsupported shared",
        run([[
          local ok, err = pcall(function() kept.handle:on(print) end)
          ngx.print(err.code, " ", kept.handle:await().content)
          kept.handle = nil
        ]])
      )
      assert.same({ "shared" }, web:report()[1].bodies)
    end)
  end)

  describe("a client that hangs up ends", function()
    -- Runs `code`, hangs up after 200 ms, and says how long its requests were open after that.
    local function hang_up(code, name, requests)
      local report = flow(code, { count = 1, hang_up_ms = 200 })
      assert.same({ ["hung up"] = 1 }, report.statuses)
      local journal = server:wait_for(function(journal)
        local closed = 0
        for _, entry in ipairs(journal) do
          closed = closed + (entry.closed_after_ms and 1 or 0)
        end
        return closed >= requests and journal
      end, function()
        sleep(0.05)
      end)
      local longest = 0
      for _, entry in ipairs(journal) do
        longest = math.max(longest, (entry.closed_after_ms or 0) - 200)
      end
      print(("hung up during %s: the model's connection ends %.0f ms later"):format(name, longest))
      assert.is_true(longest < 10000)
      healthy()
    end

    before_each(function()
      server:script(scripted.text({ "one ", "two" }, { ["repeat"] = true, stall_ms = 20000 }))
    end)

    it("a chat", function()
      hang_up("chat()", "a chat", 1)
    end)

    it("a chat before the answer begins", function()
      server:script(scripted.text("late", { delay_ms = 20000 }))
      hang_up("chat()", "a wait for the first byte", 1)
    end)

    it("a loop over a stream", function()
      hang_up(
        [[for chunk in zigllms.provider.stream("hi", openai) do
            ngx.print(chunk.content) ngx.flush(true)
          end]],
        "a stream",
        1
      )
    end)

    it("a stream whose callback waits in its own way", function()
      hang_up(
        [[zigllms.provider.stream("hi", function() ngx.sleep(30) end, openai)]],
        "a stream's callback",
        1
      )
    end)

    it("the work of handles, and of tasks with their callbacks", function()
      hang_up(
        [[
          chat({ async = true }):on(print)
          zigllms.spawn(chat)
          zigllms.all({ chat({ async = true }), chat({ async = true }) })
        ]],
        "handles",
        4
      )
    end)

    it("an agent's run while a tool waits for a model", function()
      server:script(
        scripted.calls({ { "a", "ask", "{}" } }),
        scripted.text({ "x", "y" }, { ["repeat"] = true, stall_ms = 20000 })
      )
      hang_up(
        [[
          local id = zigllms.agent.create({ provider = "openai", tools = {
            { name = "ask", execute = function() chat() end },
          } })
          zigllms.agent.run(id, "go")
        ]],
        "a tool's own chat",
        1
      )
    end)

    it("an agent's run while a tool sleeps", function()
      server:script(scripted.calls({ { "a", "nap", "{}" } }), scripted.text("never"))
      flow(
        [[
          local id = zigllms.agent.create({ provider = "openai", tools = {
            { name = "nap", execute = function() ngx.sleep(0.6) counter("napped") end },
          } })
          zigllms.agent.run(id, "go")
        ]],
        { count = 1, hang_up_ms = 200 }
      )
      sleep(1)
      assert.equal(0, note("napped"))
      assert.equal(1, server:count())
      healthy()
    end)

    it("a pause before another attempt", function()
      server:script(scripted.failure(500, "no"))
      local retry = "chat({ retry = { initial_delay_ms = 600, max_delay_ms = 600 } })"
      flow(retry, { count = 1, hang_up_ms = 200 })
      sleep(1.2)
      assert.equal(1, server:count())
      healthy()
    end)

    it("what ngx.on_abort decides to end", function()
      hang_up(
        [[
          local handle = chat({ async = true })
          assert(ngx.on_abort(function() handle:cancel("hung up") end))
          handle:wait()
        ]],
        "a handle that ngx.on_abort cancels",
        1
      )
      hang_up(
        "assert(ngx.on_abort(function() ngx.exit(499) end)) chat({ async = true }):wait()",
        "a handle whose request ngx.on_abort ends",
        2
      )
    end)

    it("nothing that ngx.on_abort lets go on", function()
      server:script(scripted.text("x", { delay_ms = 600 }))
      flow(
        [[
          assert(ngx.on_abort(function() counter("aborted") end))
          chat()
          counter("went on")
        ]],
        { count = 1, hang_up_ms = 100 }
      )
      assert.is_truthy(eventually(function()
        return note("went on") == 1
      end))
      assert.equal(1, note("aborted"))
    end)

    it("nothing that is detached: it has no callbacks", function()
      server:script(scripted.text("x", { delay_ms = 600 }))
      flow(
        [[
          local handle = chat({ detach = true })
          local ok, err = pcall(function() handle:on(print) end)
          counter(err.code)
          kept.handle = handle
          handle:await()
        ]],
        { count = 1, hang_up_ms = 200 }
      )
      assert.equal(1, note("unsupported"))
      assert.is_truthy(eventually(function()
        return run("ngx.print(kept.handle:status())") == "completed"
      end))
      assert.equal("x", run("ngx.print(kept.handle:await().content)"))
      assert.is_nil(server:journal()[1].closed_after_ms)
      healthy()
    end)
  end)

  it("clients that hang up do not end the work of others", function()
    server:script(scripted.text({ "a", "b", "c" }, { ["repeat"] = true, chunk_delay_ms = 15 }))
    local leaving = { method = "POST", body = "chat()", count = 0, together = 10, hang_up_ms = 30 }
    local code = [[
      ngx.print(chat().content)
      if ngx.var.arg_n % 3 == 0 then
        ngx.thread.spawn(chat)
        ngx.sleep(0.01)
        ngx.exit(200)
      end
    ]]
    web:load("/run", leaving)
    local report = flow(code, { count = 300, together = 10, patience_s = 20 })
    web:report()
    all_good(report, 300)
    for i = 1, 300 do
      assert.equal("abc", report.bodies[i])
    end
    healthy()
  end)

  describe("the threads of a request", function()
    it("wait side by side", function()
      server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 200 }))
      local code = [[
        local began, threads = ngx.now(), {}
        for i = 1, 10 do threads[i] = ngx.thread.spawn(chat) end
        for i = 1, 10 do
          local ok, answer = ngx.thread.wait(threads[i])
          assert(ok and answer.content == "fine")
        end
        ngx.update_time()
        ngx.print(ngx.now() - began)
      ]]
      assert.is_true(tonumber(run(code)) < 1.8)
    end)

    it("end with their own operation only, when they are killed", function()
      server:script(
        scripted.text("killed", { delay_ms = 20000 }),
        scripted.text("fine", { ["repeat"] = true, delay_ms = 100 })
      )
      local code = [[
        local thread = ngx.thread.spawn(chat)
        ngx.sleep(0.05)
        local other = chat({ async = true })
        assert(ngx.thread.kill(thread))
        ngx.print(other:await().content, chat().content)
      ]]
      assert.equal("finefine", run(code))
      server:wait_for(function(journal)
        return journal[1].closed_after_ms
      end, function()
        sleep(0.05)
      end)
      assert.is_true(server:journal()[1].closed_after_ms < 10000)
    end)

    it("may be killed inside a tool: the run goes on, and threads are used again", function()
      server:script(
        scripted.calls({ { "a", "try", "{}" } }),
        scripted.text("slow", { delay_ms = 20000 }),
        scripted.text("fine", { ["repeat"] = true })
      )
      local code = [[
        local id = zigllms.agent.create({ provider = "openai", tools = { {
          name = "try",
          execute = function()
            for _, wait in ipairs({ chat, function() zigllms.sleep(9000) end,
                function() zigllms.provider.stream("hi", function() ngx.sleep(9) end, openai) end,
              }) do
              local thread = ngx.thread.spawn(wait)
              ngx.sleep(0.05)
              ngx.thread.kill(thread)
            end
            local ok, answer = ngx.thread.wait(ngx.thread.spawn(chat))
            return answer.content
          end,
        } } })
        ngx.print(zigllms.agent.run(id, "go").content)
      ]]
      assert.equal("fine", run(code))
      local found = 0
      for _, request in ipairs(server:requests()) do
        for _, message in ipairs(request.messages) do
          found = found + (message.role == "tool" and message.content:find("fine") and 1 or 0)
        end
      end
      assert.equal(1, found)
      healthy()
    end)

    it("killed while user code waits do not hold up the request", function()
      local code = [[
        local tool = zigllms.tool.register({ name = "nap", replace = true,
          execute = function() ngx.sleep(30) end })
        local thread = ngx.thread.spawn(zigllms.tool.execute, tool, {})
        ngx.sleep(0.05)
        ngx.thread.kill(thread)
        ngx.print("over")
      ]]
      local _, _, report = web:get("/run", { method = "POST", body = code })
      assert.equal("over", report.bodies[1])
      print(
        ("a request whose thread was killed in a tool ends after %.0f ms"):format(report.total_ms)
      )
      assert.is_true(report.total_ms < 10000)
    end)
  end)

  it("what a killed thread had under way ends with it", function()
    server:script(scripted.text("slow", { ["repeat"] = true, delay_ms = 20000 }))
    local code = [[
      local tool = zigllms.tool.register({ name = "busy", replace = true, execute = function()
        zigllms.all({ chat({ async = true }), zigllms.spawn(chat) })
      end })
      local thread = ngx.thread.spawn(zigllms.tool.execute, tool, {})
      ngx.sleep(0.1)
      ngx.thread.kill(thread)
      ngx.print("over")
    ]]
    local _, _, report = web:get("/run", { method = "POST", body = code })
    assert.equal("over", report.bodies[1])
    print(("a request whose thread was killed at work ends after %.0f ms"):format(report.total_ms))
    assert.is_true(report.total_ms < 10000)
    healthy()
  end)

  it("ngx.exit ends what is under way", function()
    server:script(scripted.text("x", { ["repeat"] = true, delay_ms = 20000 }))
    local code = [[
      local handle = chat({ async = true })
      ngx.thread.spawn(chat)
      zigllms.spawn(chat)
      ngx.sleep(0.1)
      ngx.print("left")
      ngx.exit(200)
    ]]
    assert.equal("left", run(code))
    server:wait_for(function(journal)
      local closed = 0
      for _, entry in ipairs(journal) do
        closed = closed + (entry.closed_after_ms and 1 or 0)
      end
      return closed == 3
    end, function()
      sleep(0.05)
    end)
    healthy()
  end)

  it("a stream whose loop was left holds up the end of the request for a moment only", function()
    server:script(scripted.text({ "one", "two" }, { chunk_delay_ms = 200, stall_ms = 20000 }))
    local code = [[
      for chunk in zigllms.provider.stream("hi", openai) do
        ngx.print(chunk.content)
        break
      end
    ]]
    local _, _, report = web:get("/run", { method = "POST", body = code })
    assert.equal("one", report.bodies[1])
    print(("a request that left its stream ends after %.0f ms"):format(report.total_ms))
    assert.is_true(report.total_ms < 10000)
  end)

  it("a handle that another phase awaits is left alone", function()
    server:script(scripted.text("kept", { delay_ms = 1500 }))
    local code = [[
      ngx.ctx.handle = chat({ async = true })
      collectgarbage()
      ngx.thread.spawn(function() ngx.sleep(1.8) ngx.print(ngx.ctx.handle:await().content) end)
    ]]
    assert.equal("kept", run(code))
  end)

  describe("functions that combine", function()
    it("run, spawn, all, race, sleep, poll", function()
      assert.equal(
        "3 2 b done 1 true",
        run([[
          local function later(ms, value)
            return zigllms.spawn(function() zigllms.sleep(ms) return value end)
          end
          local sum = zigllms.run(function()
            local both = zigllms.all({ later(30, 1), later(10, 2) })
            return both[1] + both[2]
          end)
          local index, value = zigllms.race({ later(500, "a"), later(20, "b") })
          local seen
          zigllms.run(function()
            later(20, "done"):on(function(_, result) seen = result end)
          end)
          local handle = later(30, 1)
          local began = ngx.now()
          local polled = false
          while not handle:done() do
            zigllms.poll(1000)
            polled = true
          end
          zigllms.sleep(10)
          ngx.print(sum, " ", index, " ", value, " ", seen, " ", handle:await(), " ", polled)
        ]])
      )
    end)

    it("poll keeps nobody waiting", function()
      web:load("/plain", { count = 0, pause_ms = 5 })
      assert.equal("0", run("ngx.print(zigllms.poll(0))"))
      run("zigllms.poll(500)")
      local plain = web:report()[1]
      print(("a plain request during poll(500): max %.1f ms"):format(plain.ms[3]))
      assert.is_true(plain.ms[3] < 400)
    end)

    it("time limits end waits", function()
      server:script(scripted.text("x", { ["repeat"] = true, delay_ms = 20000 }))
      assert.equal(
        "timeout total, timeout first_token, timeout tool, false",
        run([[
          local said = {}
          local function failed(fn, ...)
            local ok, err = pcall(fn, ...)
            said[#said + 1] = ok and "went well" or err.code .. " " .. tostring(err.phase)
          end
          failed(chat, { timeout_ms = 50 })
          failed(chat, { first_token_timeout_ms = 50 })
          local tool = zigllms.tool.register({ name = "slow", replace = true, timeout_ms = 50,
            execute = function() zigllms.sleep(5000) end })
          failed(zigllms.tool.execute, tool, {})
          local handle = chat({ async = true })
          said[#said + 1] = tostring(handle:wait(30))
          handle:cancel()
          ngx.print(table.concat(said, ", "))
        ]])
      )
      healthy()
    end)

    it("a C call in between says that it cannot wait", function()
      assert.equal(
        "unsupported",
        run([[
          local _, err = pcall(string.gsub, "x", "x", function() zigllms.sleep(5) end)
          ngx.print(err.code)
        ]])
      )
    end)

    it("what a C call in between begins goes on behind it, and ends with its request", function()
      local code = [[
        zigllms.sleep(1)
        local handles, suite = {}
        string.gsub("x", "x", function()
          handles[1] = zigllms.spawn(function() zigllms.sleep(1) return "spawned" end)
          handles[2] = chat({ async = true })
          suite = zigllms.test.run_suite{ tests = { quick = function() end } }
        end)
        ngx.print(handles[1]:await(), " ", handles[2]:await().content, " ", suite.passed)
      ]]
      assert.equal("spawned fine 1", run(code))
      healthy()
    end)
  end)

  it("a client that reads slowly slows the stream down, and loses nothing", function()
    local piece = ("x"):rep(1000)
    local chunk = 'data: {"choices":[{"index":0,"delta":{"content":"' .. piece .. '"}}]}\n\n'
    server:script({ chunks = { chunk, "data: [DONE]\n\n" }, times = 4000 })
    local code = [[
      local bytes, most = 0, 0
      for chunk in zigllms.provider.stream("hi", openai) do
        bytes, most = bytes + #chunk.content, math.max(most, #chunk.content)
        ngx.print(chunk.content)
        ngx.flush(true)
      end
      ngx.print("|", bytes, "|", most)
    ]]
    local body = run(code, { read_pause_ms = 2 })
    local text, bytes, most = body:match("^(x*)|(%d+)|(%d+)$")
    assert.equal(4000000, #text)
    assert.equal(4000000, tonumber(bytes))
    print(("a slow reader: at most %.0f KiB at once"):format(tonumber(most) / 1024))
    assert.is_true(tonumber(most) < 2200000)
    healthy()
  end)

  it("runs of one conversation queue across requests", function()
    server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 20 }))
    run([[kept.talker = zigllms.agent.create({ provider = "openai" })]])
    local code = [[ngx.print(zigllms.agent.run(kept.talker, "n" .. ngx.var.arg_n).content)]]
    all_good(flow(code, { count = 20, together = 20 }), 20)
    local requests = server:requests()
    for i = 1, 20 do
      assert.equal(2 * i - 1, #requests[i].messages)
    end
    run("zigllms.agent.destroy(kept.talker)")
  end)

  it("a run that waits in the queue and loses its client makes room", function()
    server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 300 }))
    run([[kept.talker = zigllms.agent.create({ provider = "openai" })]])
    local code = [[ngx.print(zigllms.agent.run(kept.talker, "n").content)]]
    web:load("/run", { method = "POST", body = code })
    sleep(0.05)
    web:load("/run", { method = "POST", body = code, hang_up_ms = 50 })
    sleep(0.05)
    assert.equal("fine", run(code))
    web:report()
    assert.equal(2, server:count())
    run("zigllms.agent.destroy(kept.talker)")
  end)

  describe("its phases", function()
    local PHASE = [[
      local zigllms, openai = require("zigllms"), { provider = "openai" }
      local notes, phase = ngx.shared.notes, ngx.get_phase()
      local function chat(face)
        local ok, answer = pcall(zigllms.provider.chat, "hi", { provider = "openai", async = face })
        return ok and answer or answer.code
      end
      local plain = chat()
      notes:set(phase .. " plain", plain.content
        or plain == "unsupported" and "unsupported" or tostring(plain))
      local blocking = chat(false)
      notes:set(phase .. " blocking", blocking.content or tostring(blocking))
      local handle = chat(true)
      if type(handle) == "userdata" then
        handle:on(function(err, answer)
          notes:set(phase .. " handle", err and tostring(err) or answer.content)
        end)
      else
        notes:set(phase .. " handle", tostring(handle))
      end
    ]]
    local other

    local function in_phase(directive, rest)
      return ("%s_by_lua_block {\n%s\n%s}"):format(directive, PHASE, rest or "")
    end

    setup(function()
      server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 5 }))
      other = start({
        init = INIT:gsub("%s*}%s*$", "\n" .. PHASE .. "}\n") .. in_phase("init_worker"),
        locations = {
          phases = table.concat({
            in_phase("rewrite"),
            in_phase("access"),
            in_phase("content", [[
              local timer = assert(ngx.timer.at(0, function() ]] .. PHASE .. [[ end))
              ngx.print("answer")
            ]]),
            in_phase("header_filter"),
            "body_filter_by_lua_block { if ngx.arg[2] then " .. PHASE .. " end }",
            in_phase("log"),
          }, "\n"),
          set = "set_by_lua_block $value {\n" .. PHASE .. " return 'x' }\n" .. [[
            content_by_lua_block { ngx.print(ngx.var.value) }
          ]],
          notes = [[
            local notes, list = ngx.shared.notes, {}
            for _, key in ipairs(notes:get_keys()) do
              list[#list + 1] = key .. ": " .. notes:get(key)
            end
            table.sort(list)
            ngx.print(table.concat(list, "\n"))
          ]],
        },
      })
    end)

    teardown(function()
      other:stop()
    end)

    it("yield where nginx can, and say so where it cannot", function()
      assert.equal("answer", (other:get("/phases")))
      assert.equal("x", (other:get("/set")))
      local expected = {}
      for phase in ("rewrite access content timer"):gmatch("%S+") do
        expected[#expected + 1] = phase .. " blocking: fine"
        expected[#expected + 1] = phase .. " handle: fine"
        expected[#expected + 1] = phase .. " plain: fine"
      end
      for phase in ("init_worker set header_filter body_filter log"):gmatch("%S+") do
        expected[#expected + 1] = phase .. " blocking: fine"
        expected[#expected + 1] = phase .. " handle: fine"
        expected[#expected + 1] = phase .. " plain: unsupported"
      end
      expected[#expected + 1] = "init blocking: fine"
      expected[#expected + 1] = "init handle: unsupported" -- there is no worker to go on in
      expected[#expected + 1] = "init plain: unsupported"
      table.sort(expected)
      local said
      other:wait_until(function()
        said = other:get("/notes")
        return said == table.concat(expected, "\n")
      end)
      assert.equal(table.concat(expected, "\n"), said)
      assert.same({}, other:complaints())
    end)

    it("a detached run in a timer is one operation with what is inside it", function()
      server:script(scripted.calls({ { "a", "nap", "{}" } }), scripted.text("never"))
      local code = [[
        local id = zigllms.agent.create({ provider = "openai", tools = { {
          name = "nap",
          execute = function() zigllms.sleep(20000) counter("slept") end,
        } } })
        local handle = zigllms.agent.run(id, "go", { detach = true })
        ngx.sleep(0.3)
        handle:cancel("enough")
        handle:wait(5000)
        ngx.print(handle:status())
      ]]
      assert.equal("cancelled", run(code))
      assert.equal(0, note("slept"))
    end)
  end)

  it("async=false blocks also where nothing can yield", function()
    local code = [[
      local text = string.gsub("x", "x", function() return chat({ async = false }).content end)
      ngx.print(text)
    ]]
    assert.equal("fine", run(code))
  end)

  it("one timer that runs is enough for everything, and none at all only costs time", function()
    local other = start({ http = "lua_max_running_timers 1;" })
    local function ask(code)
      return (other:get("/run", { method = "POST", body = code }))
    end
    assert.equal("fine", ask("ngx.print(chat().content)"))
    other:stop()
    -- Here the only timer is taken before the module wants one.
    other = start({
      http = "lua_max_running_timers 1;"
        .. "init_worker_by_lua_block { ngx.timer.at(0, function() ngx.sleep(8) end) }",
    })
    sleep(0.1)
    assert.equal("fine", ask("zigllms.sleep(1500) ngx.print(chat().content)"))
    other:stop()
  end)

  it("a directory that takes no socket only costs time", function()
    local other = start({ main = "env TMPDIR=/nowhere;" })
    local report = other:run("/run", {
      method = "POST",
      body = "ngx.print(chat().content)",
      count = 200,
      together = 20,
    })
    all_good(report, 200)
    local complaints = other:complaints()
    assert.equal(1, #complaints)
    assert.truthy(complaints[1]:find("zigllms: waiting costs more", 1, true))
    other:stop()
  end)

  it("lua_code_cache off: every request has a module of its own, and nothing piles up", function()
    local other = start({ init = "lua_code_cache off;\n" .. INIT })
    local code = [[
      local tool = zigllms.tool.register({ name = "t", execute = function() ngx.sleep(0.002) end })
      zigllms.tool.execute(tool, {}, { async = true }):await()
      ngx.print(chat().content)
    ]]
    local flows = { method = "POST", body = code, count = 100, together = 10 }
    all_good(other:run("/run", flows), 100)
    other:wait_until(function()
      return other:usage().fds < 60
    end)
    local before = other:usage()
    all_good(other:run("/run", flows), 100)
    all_good(other:run("/run", flows), 100)
    local after
    other:wait_until(function()
      after = other:usage()
      return after.fds <= before.fds + 4
    end)
    local text = "code cache off, 200 requests: descriptors %d -> %d, threads %d -> %d"
    print(text:format(before.fds, after.fds, before.threads, after.threads))
    assert.is_true(after.fds <= before.fds + 4)
    assert.is_true(after.threads <= before.threads + 10)
    local rest = {}
    for _, line in ipairs(other:complaints()) do
      if not line:find("lua_code_cache is off", 1, true) then
        rest[#rest + 1] = line
      end
    end
    assert.same({}, rest)
    other:stop()
  end)

  describe("workers", function()
    it("work after the master used the module before it forked", function()
      server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 20 }))
      local other = start({
        workers = 2,
        init = INIT:gsub("%s*}%s*$", "\n" .. [[
          local answer = zigllms.provider.chat("hi", { provider = "openai", async = false })
          master_heard = answer.content
        }]] .. "\n"),
      })
      local report = other:run("/run", {
        method = "POST",
        body = "ngx.print(master_heard, chat().content)",
        count = 100,
        together = 20,
      })
      all_good(report, 100)
      assert.equal("finefine", report.bodies[1])
      assert.same({}, other:complaints())
      other:stop()
    end)

    it("come and go 20 times under load, and no request fails", function()
      server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 30 }))
      local other = start()
      local code = [[
        local tool = zigllms.tool.register({ name = "t" .. ngx.var.arg_n,
          execute = function() ngx.sleep(0.005) return chat().content end })
        local handle = zigllms.tool.execute(tool, {}, { async = true })
        ngx.print(handle:await())
        zigllms.tool.unregister(tool)
      ]]
      other:load("/run?n={n}", { method = "POST", body = code, count = 0, together = 20 })
      for _ = 1, 20 do
        sleep(0.15)
        other:signal("HUP")
      end
      sleep(0.3)
      local report = other:report()[1]
      print(
        ("20 reloads: %d requests, p50 %.0f, max %.0f ms"):format(
          report.count,
          report.ms[1],
          report.ms[3]
        )
      )
      all_good(report, report.count)
      local began = os.time()
      local gone = other:wait_until(function()
        return #other:workers() == 1
      end, 20)
      print(("old workers were gone after %d s"):format(os.time() - began))
      assert.is_truthy(gone)
      assert.same({}, other:complaints())
      assert.is_true(other:quit())
      other:stop()
    end)

    it("that shut down finish what they do, detached work too", function()
      server:script(scripted.text("fine", { ["repeat"] = true, delay_ms = 700 }))
      local other = start()
      local code = "chat({ detach = true }) ngx.sleep(0.1) ngx.print(chat().content)"
      other:load("/run", { method = "POST", body = code, count = 1 })
      sleep(0.4)
      assert.is_true(other:quit(20))
      local report = other:report()[1]
      assert.equal("fine", report.bodies[1])
      for _, entry in ipairs(server:journal()) do
        assert.is_nil(entry.closed_after_ms)
      end
      assert.same({}, other:complaints())
      other:stop()
    end)
  end)

  it("an idle worker costs nothing, and gives back what it used", function()
    web:stop()
    web, seen = start(), 0
    run("chat()")
    local before = web:usage()
    all_good(flow("chat() zigllms.sleep(5)", { count = 400, together = 100 }), 400)
    local after
    eventually(function()
      after = web:usage()
      return after.threads <= before.threads and after.fds <= before.fds + 16
    end, 40)
    local text = "after 400 requests: %d threads, %d descriptors; before: %d, %d"
    print(text:format(after.threads, after.fds, before.threads, before.fds))
    assert.is_true(after.threads <= before.threads)
    assert.is_true(after.fds <= before.fds + 16) -- connections kept for the next requests
    local cpu = web:usage().cpu_ms
    sleep(2)
    cpu = web:usage().cpu_ms - cpu
    print(("processor time of an idle worker in 2 s: %d ms"):format(cpu))
    assert.is_true(cpu <= 100)
    local left = io.popen("ls " .. (os.getenv("TMPDIR") or "/tmp")):read("*a")
    assert.is_nil(left:find("zigllms-" .. web:workers()[1] .. "-", 1, true))
    healthy()
  end)
end)
