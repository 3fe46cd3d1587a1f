-- The module as a guest: loading, several instances and states, leaving at any moment.
local program = require("spec.support.program")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local server = scripted.start()

local function good(result)
  assert.equal("", result.err)
  assert.equal(0, result.rc)
  return result.out
end

-- A run of `chunk` in which assertions count: nothing on standard error, exit status 0.
local function passes(chunk, options)
  return good(program.run(chunk, options))
end

describe("the front door", function()
  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  describe("loading", function()
    it("sets no global and returns one table", function()
      passes([[
        local before = {}
        for key in pairs(_G) do before[key] = true end
        local zigllms = require("zigllms")
        assert(type(zigllms) == "table")
        for key in pairs(_G) do assert(before[key], key) end
        assert(require("zigllms") == zigllms)
        assert(package.loaded.zigllms == zigllms)
      ]])
    end)

    it("changes no metatable of basic types and no library", function()
      passes([[
        local function shallow(t) local c = {} for k, v in pairs(t) do c[k] = v end return c end
        local libraries = {}
        for name, member in pairs(_G) do
          if type(member) == "table" then libraries[name] = shallow(member) end
        end
        require("zigllms").spawn(function() end)
        for name, copy in pairs(libraries) do
          for key, value in pairs(_G[name]) do
            assert(copy[key] == value, name .. "." .. key)
          end
        end
        for _, value in ipairs({ 1, print, true }) do
          assert(debug.getmetatable(value) == nil)
        end
      ]])
    end)

    it("starts no thread and opens no file", function()
      if not io.open("/proc/self/status") then
        print("\nskipped: there is no /proc here")
        return
      end
      passes([[
        local function count(path)
          local pipe = io.popen("ls /proc/$PPID/" .. path .. " | wc -l")
          local n = pipe:read("*n")
          pipe:close()
          return n
        end
        local threads, files = count("task"), count("fd")
        local zigllms = require("zigllms")
        zigllms.agent.create({ provider = "openai" })
        zigllms.tool.execute(zigllms.tool.register({ name = "t", execute = function() end }))
        assert(count("task") == threads, "threads")
        assert(count("fd") <= files + 1, "files")
      ]])
    end)

    it("works in a coroutine that is collected later", function()
      passes(
        [[
        local zigllms
        local thread = coroutine.create(function() zigllms = require("zigllms") end)
        assert(coroutine.resume(thread))
        thread = nil
        for _ = 1, 5 do
          collectgarbage()
          local waste = {}
          for i = 1, 10000 do waste[i] = { coroutine.create(print) } end
        end
        collectgarbage()
        local function execute(input) zigllms.sleep(1) return input.n end
        local id = zigllms.tool.register({ name = "t", execute = execute })
        for i = 1, 100 do
          assert(zigllms.tool.execute(id, { n = i }) == i)
          assert(not pcall(zigllms.agent.get_state, "nobody"))
          assert(not pcall(zigllms.tool.execute, id, 5))
        end
        zigllms.provider.configure("openai", { base_url = arg[1], api_key = "k", retry = false })
        assert(not pcall(zigllms.provider.chat, "hi", { provider = "openai" }))
        assert(not pcall(zigllms.agent.run, zigllms.agent.create({ provider = "openai" }), "hi"))
        assert(zigllms.run(function() zigllms.sleep(1) return 5 end) == 5)
        local ok, err = pcall(zigllms.await, zigllms.spawn(error, "x"))
        assert(not ok and err.code == "callback_error")
        ]],
        { args = { server.url } }
      )
    end)

    it("works again after the loader forgot it", function()
      passes([[
        local first = require("zigllms")
        local id = first.tool.register({ name = "t", execute = function() return 1 end })
        package.loaded.zigllms = nil
        local second = require("zigllms")
        assert(type(second.agent.create) == "function")
        assert(first.tool.execute(id) == 1)
        first = nil
        collectgarbage()
        collectgarbage()
        assert(second.tool.list())
      ]])
    end)
  end)

  describe("instances", function()
    it("are independent", function()
      local mine, yours = zigllms.new(), zigllms.new({ default_provider = "local" })
      assert.not_equal(mine, yours)
      assert.equal(
        "tool_1",
        mine.tool.register({
          name = "same",
          execute = function()
            return "mine"
          end,
        })
      )
      assert.equal(
        "tool_1",
        yours.tool.register({
          name = "same",
          execute = function()
            return "yours"
          end,
        })
      )
      assert.equal("mine", mine.tool.execute("same"))
      assert.equal("yours", yours.tool.execute("same"))
      assert.is_nil(mine.config().default_provider)
      assert.equal("local", yours.config().default_provider)
      mine.provider.configure("openai", { base_url = "http://127.0.0.1:1/v1" })
      assert.not_equal("http://127.0.0.1:1/v1", yours.provider.get("openai").base_url)
      mine.agent.create({ provider = "openai" })
      assert.equal(0, #yours.agent.list())
      mine.reset()
      assert.is_false(mine.tool.exists("same"))
      assert.is_true(yours.tool.exists("same"))
    end)

    it("understand each other's errors and handles", function()
      local mine, yours = zigllms.new(), zigllms.new()
      local handle = mine.spawn(function()
        mine.sleep(5)
        return "from mine"
      end)
      assert.equal("from mine", yours.await(handle))
      local quick = yours.spawn(function()
        return 2
      end)
      assert.same({ "from mine", 2 }, zigllms.all({ handle, quick }))
      local _, err = pcall(mine.agent.get_state, "nobody")
      assert.is_true(err:is(yours.ErrorCode.NOT_FOUND))
      assert.equal(mine.null, yours.null)
    end)

    it("may wait inside each other's callbacks", function()
      local mine, yours = zigllms.new(), zigllms.new()
      local inner = yours.tool.register({
        name = "inner",
        execute = function()
          yours.sleep(5)
          return "in"
        end,
      })
      local outer = mine.tool.register({
        name = "outer",
        execute = function()
          mine.sleep(5)
          return yours.tool.execute(inner) .. "out"
        end,
      })
      assert.equal("inout", mine.tool.execute(outer))
      assert.equal(
        "inout",
        zigllms.run(function()
          return mine.tool.execute(outer)
        end)
      )
    end)

    it("go away with their last reference", function()
      local waste = setmetatable({}, { __mode = "k" })
      for _ = 1, 20 do
        local one = zigllms.new()
        one.tool.register({
          name = "t",
          execute = function()
            return one
          end,
        })
        waste[one] = true
      end
      collectgarbage()
      collectgarbage()
      collectgarbage()
      local left = 0
      for _ in pairs(waste) do
        left = left + 1
      end
      -- The last one may still be in a register.
      assert.is_true(left <= 2, left .. " of 20 are left")
    end)

    it("reset to nothing, and go on", function()
      local mine = zigllms.new()
      mine.provider.configure("openai", { base_url = server.url, api_key = "k" })
      local id = mine.agent.create({ provider = "openai" })
      mine.tool.register({ name = "t" })
      server:script(scripted.text("late", { delay_ms = 2000 }))
      local handle = mine.agent.run(id, "hi", { async = true })
      assert.is_true(mine.reset())
      local ok, err = pcall(mine.await, handle)
      assert.is_false(ok)
      assert.equal("cancelled", err.code)
      assert.same({}, mine.agent.list())
      assert.same({}, mine.tool.list())
      assert.is_false(mine.provider.get("openai").has_key and not os.getenv("OPENAI_API_KEY"))
      assert.not_equal(id, mine.agent.create({ provider = "openai" }))
    end)
  end)

  describe("leaving", function()
    local places = {
      ["with nothing going on"] = "leave()",
      ["with a request in flight"] = [[
        zigllms.provider.chat("hi", { provider = "openai", async = true })
        zigllms.sleep(20)
        leave()
      ]],
      ["with a request queued and a timer running"] = [[
        local id = zigllms.agent.create({ provider = "openai" })
        for i = 1, 5 do zigllms.agent.run(id, "hi", { async = true }) end
        zigllms.spawn(function() zigllms.sleep(60000) end)
        leave()
      ]],
      ["in the middle of a stream"] = [[
        for chunk in zigllms.provider.stream("hi", { provider = "openai" }) do
          leave()
          break
        end
      ]],
      ["inside a stream callback"] = [[
        zigllms.provider.stream("hi", function() leave() return false end, { provider = "openai" })
      ]],
      ["inside a tool"] = [[
        local function execute() zigllms.sleep(1) leave() end
        zigllms.tool.execute(zigllms.tool.register({ name = "t", execute = execute }))
      ]],
      ["in a coroutine"] = [[
        coroutine.wrap(function()
          zigllms.spawn(function() zigllms.sleep(1) leave() end):await()
        end)()
      ]],
    }
    local ways = {
      ["by the end of the script"] = "",
      ["by os.exit(0)"] = "os.exit(0)",
      ["by os.exit(0, true)"] = "os.exit(0, true)",
    }

    for place, body in pairs(places) do
      for way, leave in pairs(ways) do
        it(place .. " " .. way, function()
          local slow = scripted.text({ "a", "b", "c" }, { delay_ms = 5, chunk_delay_ms = 20 })
          if place:find("flight") or place:find("queued") then
            slow.delay_ms = 5000
          end
          slow["repeat"] = true
          server:script(slow)
          local start = [[
            local zigllms = require("zigllms")
            local openai = { base_url = arg[1], api_key = "k", retry = false }
            zigllms.provider.configure("openai", openai)
            local function leave() ]] .. leave .. " end\n"
          local result = program.run(start .. body, { args = { server.url } })
          good(result)
          assert.is_true(result.ms < 2000, ("it took %.0f ms"):format(result.ms))
        end)
      end
    end

    it("with an error, as every script", function()
      local result = program.run([[
        local zigllms = require("zigllms")
        zigllms.spawn(function() zigllms.sleep(60000) end)
        zigllms.agent.get_state("nobody")
        ]])
      assert.equal(1, result.rc)
      assert.truthy(
        result.err:find('zigllms.agent.get_state: agent not found: "nobody" [not_found]', 1, true),
        result.err
      )
    end)
  end)

  describe("a host", function()
    local host, chunk

    setup(function()
      if not (program.has("cc") and program.has("pkg-config")) then
        return
      end
      local name = jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
      host, chunk = os.tmpname(), os.tmpname()
      local source = debug.getinfo(1, "S").source:sub(2):gsub("[^/]*$", "") .. "fixtures/host.c"
      local built = program.shell(
        ("sh -c 'cc -O1 -Wall -o %s %s $(pkg-config --cflags --libs %s) -lpthread'"):format(
          host,
          source,
          name
        )
      )
      if built.rc ~= 0 then
        host = nil
        return
      end
      local file = assert(io.open(chunk, "w"))
      file:write([[
        local number = ...
        local zigllms = require("zigllms")
        known = (known or 0) + 1
        local tool = zigllms.tool.register({
          name = "t",
          replace = true,
          execute = function(input)
            zigllms.sleep(0)
            return input.n
          end,
        })
        assert(tool == "tool_" .. known, tool)
        assert(zigllms.tool.execute(tool, { n = number }) == number)
        assert(not pcall(zigllms.tool.execute, tool, 5))
        local url = "http://127.0.0.1:9/v1"
        local nowhere = { type = "local", base_url = url, model = "m", retry = false }
        local agent = zigllms.agent.create({ provider = nowhere })
        local ok, err = pcall(zigllms.agent.run, agent, "hi")
        assert(not ok and err.code == "network", tostring(err))
        local one = zigllms.spawn(function() zigllms.sleep(1) return number end)
        assert(one:await() == number)
        -- Left behind, unfinished.
        zigllms.agent.run(agent, "hi", { async = true })
        zigllms.spawn(function() zigllms.sleep(60000) end)
      ]])
      file:close()
    end)

    teardown(function()
      for _, path in ipairs({ host, chunk }) do
        os.remove(path)
      end
    end)

    local function hosted(mode, count, under)
      if not host then
        print("\nskipped: a C compiler, pkg-config or the engine's headers are missing")
        return nil
      end
      return program.shell(table.concat({ under or "", host, mode, count, chunk }, " "))
    end

    local function check(result)
      if result then
        assert.equal("", result.err)
        assert.equal(0, result.rc)
      end
    end

    it("opens and closes 200 states", function()
      check(hosted("cycles", 200))
    end)

    it("keeps several states at once, and they know nothing of each other", function()
      check(hosted("both", 5))
    end)

    it("runs states on threads of their own", function()
      check(hosted("threads", 8))
    end)

    it("loses no memory and reads none that is freed", function()
      if jit then
        print("\nskipped: valgrind does not understand LuaJIT's stacks without a special build")
        return
      elseif not program.has("valgrind") then
        print("\nskipped: there is no valgrind")
        return
      end
      -- What a living thread holds counts as "possibly lost".
      local valgrind = "valgrind -q --leak-check=full --show-leak-kinds=definite "
        .. "--errors-for-leak-kinds=definite --error-exitcode=9"
      check(hosted("cycles", 2, valgrind))
      check(hosted("both", 2, valgrind))
    end)
  end)
end)
