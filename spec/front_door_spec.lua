-- Loading the module: what `require` does and leaves undone, many instances, many Lua states.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local size = require("spec.support.size")

local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)front_door_spec.lua$")
local engine = jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
local server = scripted.start()

local function skip(what, why)
  print(("\nSKIP %s: %s"):format(what, why))
end

-- Runs a chunk in a fresh interpreter; it must end well and say nothing on stderr. Its output.
local function child(chunk, ...)
  local result = program.run(chunk, { args = { ... } })
  assert.equal("", result.err)
  assert.equal(0, result.rc)
  return result.out
end

describe("require", function()
  it("sets no global and changes none", function()
    child([[
      local before = {}
      for name, value in pairs(_G) do
        before[name] = value
      end
      local zigllms = require("zigllms")
      zigllms.agent.create({ provider = "local" })
      for name, value in pairs(_G) do
        assert(before[name] == value, name)
      end
      for name, value in pairs(before) do
        assert(_G[name] == value, name)
      end
    ]])
  end)

  it("changes no table of the standard library and no metatable of a type", function()
    child([[
      local function snapshot()
        local seen = {}
        for name, library in pairs(_G) do
          if type(library) == "table" and library ~= _G and library ~= package then
            for member, value in pairs(library) do
              seen[name .. "." .. tostring(member)] = value
            end
          end
        end
        for _, value in ipairs({ 1, true, print, coroutine.create(print), "" }) do
          seen[type(value)] = debug.getmetatable(value)
        end
        seen["nil"] = debug.getmetatable(nil)
        return seen
      end
      local before = snapshot()
      require("zigllms")
      local after = snapshot()
      for name, value in pairs(after) do
        assert(before[name] == value, name)
      end
      for name, value in pairs(before) do
        assert(after[name] == value, name)
      end
    ]])
  end)

  it("returns the same table the second time", function()
    assert.equal(zigllms, require("zigllms"))
    assert.equal(zigllms, package.loaded.zigllms)
  end)

  it("works again after package.loaded was emptied", function()
    child([[
      local first = require("zigllms")
      local execute = function(input)
        return input.n + 1
      end
      first.tool.register({ name = "add", execute = execute })
      for _ = 1, 20 do
        package.loaded.zigllms = nil
        local again = require("zigllms")
        assert(package.loaded.zigllms == again)
        again.tool.register({ name = "again", execute = execute })
        assert(again.tool.execute("again", { n = 1 }) == 2)
        assert(first.tool.execute("add", { n = 2 }) == 3)
        assert(not first.tool.exists("again"))
        local ok, err = pcall(again.agent.run, "nobody", "x")
        assert(not ok and err:is("not_found") and tostring(err):find("agent not found", 1, true))
        again = nil
        collectgarbage()
      end
    ]])
  end)

  it("starts no thread, opens no file and writes no environment", function()
    if not program.resident() then
      return skip("threads and files of a process", "this system has no /proc")
    end
    local out = child([[
      local function listed(command)
        -- The pause lets this process close its own end of the pipe first.
        local pipe = assert(io.popen("sleep 0.05; " .. command))
        local text = pipe:read("*a")
        pipe:close()
        return text
      end
      local function state()
        return {
          listed("ls /proc/$PPID/task | wc -l"),
          (listed("cd /proc/$PPID/fd && for f in *; do echo $f $(readlink $f); done")
            :gsub("pipe:%[%d+%]", "pipe")),
          listed("env | sort"),
        }
      end
      local before = state()
      local zigllms = require("zigllms")
      local after = state()
      zigllms.tool.register({ name = "add", execute = function() return 3 end })
      zigllms.agent.create({ provider = "local", tools = { "add" } })
      assert(zigllms.tool.execute("add", {}) == 3)
      zigllms.help()
      zigllms.new()
      local used = state()
      for i, name in ipairs({ "threads", "files", "environment" }) do
        assert(before[i] == after[i], name .. " before:\n" .. before[i] .. "after:\n" .. after[i])
        assert(before[i] == used[i], name .. " before:\n" .. before[i] .. "used:\n" .. used[i])
      end
      assert(tonumber(before[1]) == 1)
      assert(before[2]:find("^0 "))
      print("same")
    ]])
    assert.equal("same\n", out)
  end)

  it("needs no debug library", function()
    local result = program.run([[
      debug, package.loaded.debug = nil, nil
      local zigllms = require("zigllms")
      local mock = zigllms.test.create_mock({ returns = 1 })
      zigllms.test.setup_fixture("user", { name = "Ada" })
      local id = zigllms.test.create_scenario({
        name = "sees the fixture",
        fixtures = { "user" },
        steps = { { run = function(ctx) return ctx.fixtures.user end, expect = { name = "Ada" } } },
      })
      assert(zigllms.test.run_scenario(id).success)
      assert(zigllms.batch(function(b) b.tool.exists("nobody") end)[1].ok)
      print(mock(), pcall(zigllms.test.get_coverage, { lines = true }))
    ]])
    assert.equal(0, result.rc, result.err)
    assert.is_truthy(result.out:find("^1\tfalse\t.*unsupported"), result.out)
  end)

  it("is quiet, also when calls fail", function()
    child([[
      local zigllms = require("zigllms")
      for _ = 1, 100 do
        pcall(zigllms.agent.run, nil)
        pcall(zigllms.tool.register, { execute = 1 })
        pcall(zigllms.provider.chat, 5, { nonsense = true })
        pcall(zigllms.agent.run, zigllms.agent.create({ provider = "openai" }), "x", { v = print })
        zigllms.spawn(error, {})
      end
      zigllms.poll()
    ]])
  end)
end)

describe("members", function()
  it("say which version this is", function()
    assert.truthy(zigllms.version:find("^%d+%.%d+%.%d+$"))
    assert.equal("zigllms " .. zigllms.version, zigllms._VERSION)
    assert.is_string(zigllms.description)
    assert.is_nil(zigllms.description:find("\n"))
  end)

  it("describe the build", function()
    local info = zigllms.info()
    assert.equal("zigllms", info.library)
    assert.equal(zigllms.version, info.version)
    assert.equal(jit and jit.version or _VERSION, info.lua_version)
    assert.is_true(info.build_time > 1700000000 and info.build_time < os.time() + 86400)
    assert.truthy(info.platform:find("^[%w_]+%-%w+"))
    assert.is_boolean(info.features["local"])
    for name, built_in in pairs(info.features) do
      assert.is_string(name)
      assert.is_boolean(built_in)
    end
    info.version = "changed"
    assert.equal(zigllms.version, zigllms.info().version)
  end)

  it("are the bridges that modules() lists", function()
    local names = zigllms.modules()
    assert.is_true(#names >= 3)
    for _, name in ipairs(names) do
      assert.is_table(zigllms[name])
      assert.truthy(next(zigllms[name]))
      assert.truthy(zigllms.help():find("\n" .. name .. ":", 1, true))
    end
  end)
end)

describe("new()", function()
  local first, second

  before_each(function()
    first, second = zigllms.new(), zigllms.new()
  end)

  it("gives another table with the same members", function()
    assert.not_equal(zigllms, first)
    assert.not_equal(first, second)
    assert.equal(zigllms, require("zigllms"))
    for name, value in pairs(zigllms) do
      assert.equal(type(value), type(first[name]), name)
    end
    assert.equal(zigllms.version, first.version)
  end)

  it("counts ids of its own", function()
    assert.equal("agent_1", first.agent.create({ provider = "local" }))
    assert.equal("agent_2", first.agent.create({ provider = "local" }))
    assert.equal("agent_1", second.agent.create({ provider = "local" }))
    local tool = { name = "one", execute = function() end }
    assert.equal("tool_1", first.tool.register(tool))
    assert.equal("tool_1", second.tool.register(tool))
  end)

  it("knows nothing of the agents, tools and providers of others", function()
    first.agent.create({ provider = "local", name = "ann" })
    first.tool.register({
      name = "one",
      execute = function()
        return "first"
      end,
    })
    first.provider.create({ type = "local", name = "mine", base_url = "http://127.0.0.1:9/v1" })
    assert.is_false(second.agent.exists("ann"))
    assert.is_false(second.tool.exists("one"))
    assert.is_nil(second.provider.get("mine"))
    assert.same({}, second.agent.list())
    raised("not_found", second.agent.get_state, "agent_1")
    raised("not_found", second.tool.execute, "one", {})
    second.tool.register({
      name = "one",
      execute = function()
        return "second"
      end,
    })
    assert.equal("first", first.tool.execute("one", {}))
    assert.equal("second", second.tool.execute("one", {}))
    assert.is_true(second.tool.unregister("one"))
    assert.is_true(first.tool.exists("one"))
  end)

  it("has its own configuration, given at once or later", function()
    local third = zigllms.new({ strict = false, default_provider = "local" })
    assert.is_false(third.config().strict)
    assert.equal("local", third.config().default_provider)
    assert.is_true(first.config().strict)
    first.configure({ strict = false })
    assert.is_true(second.config().strict)
    assert.is_true(zigllms.config().strict)
    raised("invalid_argument", zigllms.new, { strict = "yes" })
    raised("invalid_argument", zigllms.new, 5)
  end)

  it("is reset alone", function()
    first.agent.create({ provider = "local" })
    second.agent.create({ provider = "local" })
    first.reset()
    assert.same({}, first.agent.list())
    assert.equal(1, #second.agent.list())
  end)

  it("talks to its own server", function()
    server:script(
      { json = { choices = { { message = { content = "one" } } } }, when = "from one" },
      { json = { choices = { { message = { content = "two" } } } }, when = "from two" }
    )
    first.provider.configure("openai", { base_url = server.url, api_key = "key-1" })
    second.provider.configure("openai", { base_url = server.url, api_key = "key-2" })
    local a = first.provider.chat("from one", { provider = "openai", async = true })
    local b = second.provider.chat("from two", { provider = "openai", async = true })
    assert.equal("two", b:await().content)
    assert.equal("one", a:await().content)
    local keys = {}
    for _, request in ipairs(server:journal()) do
      keys[request.json.messages[1].content] = request.headers.authorization
    end
    assert.same({ ["from one"] = "Bearer key-1", ["from two"] = "Bearer key-2" }, keys)
  end)

  it("does not deliver the work of another", function()
    local seen = {}
    first.spawn(first.sleep, 1):on(function()
      seen[#seen + 1] = "first"
    end)
    second.spawn(second.sleep, 1):on(function()
      seen[#seen + 1] = "second"
    end)
    for _ = 1, 100 do
      second.poll(5)
      if seen[1] then
        break
      end
    end
    assert.same({ "second" }, seen)
    for _ = 1, 100 do
      first.poll(5)
      if seen[2] then
        break
      end
    end
    assert.same({ "second", "first" }, seen)
  end)

  it("knows the errors and handles of the others", function()
    local err = raised("not_found", first.agent.get_state, "nobody")
    assert.equal(getmetatable(err), getmetatable(raised("not_found", zigllms.agent.reset, "x")))
    local handle = first.spawn(function()
      first.sleep(1)
      return 7
    end)
    assert.equal(7, second.await(handle))
  end)

  it("is collected with everything in it", function()
    child([[
      local zigllms = require("zigllms")
      local weak = setmetatable({}, { __mode = "k" })
      for i = 1, 50 do
        local own = zigllms.new()
        local execute = function()
          return i, own
        end
        weak[own], weak[execute] = true, true
        own.tool.register({ name = "one", execute = execute })
        own.agent.create({ provider = "local", tools = { "one" } })
        own.spawn(own.sleep, 60000)
        assert(own.tool.execute("one", {}) == i)
      end
      collectgarbage()
      collectgarbage()
      collectgarbage()
      local left = 0
      for _ in pairs(weak) do
        left = left + 1
      end
      assert(left <= 4, left .. " are left")
    ]])
  end)
end)

describe("require in a coroutine that is collected", function()
  -- The module must not keep the coroutine it was loaded in: error paths would use freed memory.
  local CHUNK = [[
    local url = ...
    local loader = coroutine.create(function()
      require("zigllms")
    end)
    assert(coroutine.resume(loader))
    loader = nil
    collectgarbage()
    collectgarbage()
    local rubbish = {}
    for i = 1, 200 do
      rubbish[i] = coroutine.create(function(...)
        coroutine.yield(...)
      end)
      coroutine.resume(rubbish[i], i, {}, "text")
    end
    local zigllms = require("zigllms")
    zigllms.provider.configure("openai", { base_url = url, api_key = "test", retry = false })
    zigllms.tool.register({ name = "add", execute = function(input) return input.a + input.b end })
    zigllms.tool.register({ name = "boom", execute = function() error({ code = 42 }) end })
    local id = zigllms.agent.create({ provider = "openai", tools = { "add" } })

    local function fails(code, fn, ...)
      local ok, err = pcall(fn, ...)
      assert(not ok and err.code == code, tostring(err))
      assert(#tostring(err) > 10 and ("x" .. err):find("[" .. code .. "]", 1, true))
    end

    for round = 1, 20 do
      fails("not_found", zigllms.agent.get_state, "nobody")
      fails("invalid_argument", zigllms.agent.create, 5)
      fails("invalid_argument", zigllms.agent.create, { nonsense = true })
      fails("conversion_error", zigllms.agent.run, id, { v = print })
      fails("tool_error", zigllms.tool.execute, "boom", {})
      local ok, err = pcall(zigllms.tool.execute, "boom", {})
      assert(not ok and err.cause.code == 42)
      assert(zigllms.tool.execute("add", { a = round, b = 1 }) == round + 1)
      assert(zigllms.agent.run(id, "again").content == "hello")
      fails("callback_error", function()
        return zigllms.provider.stream("again", function() error("x") end, { provider = "openai" })
      end)
      assert(zigllms.spawn(function(...)
        zigllms.sleep(0)
        return select("#", ...)
      end, 1, nil, nil):await() == 3)
      local inside = coroutine.wrap(function()
        fails("not_found", zigllms.agent.get_state, "nobody")
        local own = zigllms.new()
        fails("not_found", own.agent.run, "nobody", "x")
        return own.tool.list()
      end)
      assert(#inside() == 0)
      rubbish = {}
      collectgarbage()
    end
    assert(zigllms.agent.list()[1].id == id)
    print("done")
  ]]

  it("leaves a module that works, errors included", function()
    server:script(scripted.text("hello", { ["repeat"] = true }))
    for _ = 1, 5 do
      assert.equal("done\n", child(CHUNK, server.url))
    end
  end)
end)

describe("LuaJIT", function()
  -- LuaJIT 2.1.0-beta3 spins for ever on some traces stitched together around C functions.
  it("compiles what calls the module, and nothing of the module", function()
    if not jit then
      return skip("what LuaJIT compiles", "this is " .. engine)
    end
    local out = child([[
      local zigllms, util = require("zigllms"), require("jit.util")
      local ours, others = 0, 0
      local function traced(what, _, fn, pc)
        if what == "start" then
          local own = util.funcinfo(fn, pc).source:find("zigllms/", 1, true)
          ours, others = ours + (own and 1 or 0), others + (own and 0 or 1)
        end
      end
      jit.attach(traced, "trace")
      zigllms.tool.register({ name = "add", execute = function(input) return input.a + 1 end })
      for i = 1, 500 do
        assert(zigllms.tool.execute("add", { a = i }) == i + 1)
        assert(zigllms.spawn(function() zigllms.sleep(0) return i end):await() == i)
      end
      jit.attach(traced)
      print(ours, others > 0)
    ]])
    assert.equal("0\ttrue\n", out)
  end)
end)

describe("a module file of another engine", function()
  -- Whoever builds for several engines has their files side by side: this one looks for the others.
  it("is refused with a message that can be understood", function()
    local file, tried = package.searchpath("zigllms", package.cpath), 0
    local folder, own, name = file:match("^(.*/)([^/]+)(/zigllms%.%w+)$")
    for _, other in ipairs({ "5.1", "5.2", "5.3", "5.4", "jit" }) do
      local path = folder and folder .. other .. name
      local opened = path and other ~= own and io.open(path, "rb")
      if opened then
        opened:close()
        tried = tried + 1
        local out = child(
          [[
            local loader, message = package.loadlib(..., "luaopen_zigllms")
            if loader then
              local ok
              ok, message = pcall(loader)
              assert(not ok, "it was loaded")
            end
            print(message)
          ]],
          path
        )
        assert.truthy(out:find("undefined symbol: lua", 1, true) or out:find("built for"), out)
      end
    end
    if tried == 0 then
      skip("a module of another engine", "there is none in the folder beside this one's")
    end
  end)

  it("is told apart where symbols do not: LuaJIT's in Lua 5.1", function()
    if not jit or not program.has("lua5.1") then
      return skip("LuaJIT's module in Lua 5.1", "needs LuaJIT and lua5.1")
    end
    local try = 'print(select(2, pcall(require, "zigllms")))'
    local result = program.shell("lua5.1 -e " .. program.quoted(try))
    assert.equal("", result.err)
    assert.equal(0, result.rc)
    assert.truthy(result.out:find("built for LuaJIT, but Lua 5.1 loads it", 1, true), result.out)
  end)
end)

describe("a host program", function()
  local host, why

  setup(function()
    if not program.has("cc") then
      why = "there is no cc"
    elseif program.shell("pkg-config --exists " .. engine).rc ~= 0 then
      why = "pkg-config does not know " .. engine .. " (headers of the engine)"
    else
      host = os.tmpname()
      local words = { "cc -O1 -o", host, here .. "fixtures/host.c", "-pthread -Wl,-E" }
      words[#words + 1] = "$(pkg-config --cflags --libs " .. engine .. ")"
      local build = program.shell("sh -c " .. program.quoted(table.concat(words, " ")))
      assert.equal(0, build.rc, build.err)
    end
  end)

  teardown(function()
    if host then
      os.remove(host)
    end
  end)

  -- Runs the host in a mode with a chunk; what it printed, or nil without a host.
  local function hosted(mode, chunk, options)
    if not host then
      return skip("a host program", why)
    end
    options = options or {}
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(chunk)
    file:close()
    local line = { options.under or "", host, mode, path, server.url }
    local result = program.shell(table.concat(line, " "))
    os.remove(path)
    assert.equal("", result.err)
    assert.equal(0, result.rc)
    return result.out
  end

  -- A bit of everything, leaving work unfinished.
  local MIXED = [[
    local url = ...
    local zigllms = require("zigllms")
    zigllms.provider.configure("openai", { base_url = url, api_key = "test", retry = false })
    zigllms.tool.register({ name = "add", execute = function(input) return input.a + input.b end })
    zigllms.tool.register({ name = "boom", execute = function() error("x") end })
    local id = zigllms.agent.create({ provider = "openai", name = "ann", tools = { "add" } })
    assert(id == "agent_1" and #zigllms.agent.list() == 1)
    for i = 1, 10 do
      assert(zigllms.tool.execute("add", { a = i, b = 1 }) == i + 1)
      assert(not pcall(zigllms.tool.execute, "boom", {}))
      assert(not pcall(zigllms.agent.create, { nonsense = i }))
      assert(not pcall(zigllms.agent.run, id, { v = print }))
      assert(zigllms.agent.get_info("ann").id == id)
      local clone = zigllms.agent.clone(id)
      assert(zigllms.agent.destroy(clone))
      assert(zigllms.spawn(function() zigllms.sleep(0) return i end):await() == i)
      zigllms.spawn(error, "x")
    end
    assert(zigllms.agent.run(id, "again").content == "hello")
    for chunk in zigllms.provider.stream("again", { provider = "openai" }) do
      assert(chunk)
      break
    end
    zigllms.all({ zigllms.spawn(zigllms.sleep, 1), zigllms.spawn(zigllms.sleep, 1) })
    local own = zigllms.new({ strict = false })
    own.agent.create({ provider = "local" })
    unfinished = { -- luacheck: ignore
      zigllms.provider.chat("again", { provider = "openai", async = true }),
      zigllms.spawn(zigllms.sleep, 60000),
      own.spawn(own.sleep, 60000),
    }
    zigllms.provider.chat("again", { provider = "openai", async = true })
    zigllms.spawn(zigllms.sleep, 60000):on(print)
    assert(zigllms.fd())
  ]]

  local function answer_all()
    server:script(scripted.text("hello", { ["repeat"] = true }))
  end

  it("opens and closes states without growing", function()
    answer_all()
    local count = size(200, 50)
    local out = hosted("cycle " .. count, MIXED)
    if out then
      local before, after = out:match("^(%d+) (%d+)\n$")
      print(("\n%d Lua states: %s KiB before, %s KiB after"):format(count, before, after))
      assert.is_true(after - before < size(2048, 1024))
    end
  end)

  it("opens and closes states that only require", function()
    local count = size(1000, 250)
    local out = hosted("cycle " .. count, 'require("zigllms")')
    if out then
      local before, after = out:match("^(%d+) (%d+)\n$")
      print(("\n%d Lua states that only require: %s KiB, %s KiB"):format(count, before, after))
      assert.is_true(after - before < size(2048, 1024))
    end
  end)

  it("has states on many threads at once", function()
    answer_all()
    hosted("threads 8", MIXED)
  end)

  it("has two states at once that do not mix", function()
    answer_all()
    hosted(
      "pair",
      [[
        local url = ...
        local zigllms = require("zigllms")
        zigllms.provider.configure("openai", { base_url = url, api_key = "test" })
        local ids, awake, handles, me = {}, {}, {}, nil
        local function add(n)
          me = me or n
          assert(n == me)
          local i = #ids + 1
          ids[i] = zigllms.agent.create({ provider = "openai", name = "own " .. n .. " " .. i })
          assert(ids[i] == "agent_" .. i)
          assert(zigllms.agent.get_info(ids[i]).name == "own " .. n .. " " .. i)
          assert(not zigllms.agent.exists("own " .. 3 - n .. " " .. i))
          assert(#zigllms.agent.list() == i)
          zigllms.tool.register({ name = "who", replace = true, execute = function() return n end })
          assert(zigllms.tool.execute("who", {}) == n)
          assert(zigllms.config().strict == (n == 1 or i == 1))
          zigllms.configure({ strict = n == 1 })
          handles[#handles + 1] = zigllms.spawn(function()
            zigllms.sleep(1)
            awake[#awake + 1] = n
            return n
          end)
          local chat = { provider = "openai", async = true }
          handles[#handles + 1] = zigllms.provider.chat("from " .. n, chat)
        end
        local function finish()
          for i = 1, #handles, 2 do
            assert(handles[i]:await() == me)
            assert(handles[i + 1]:await().content == "hello")
          end
          assert(#awake == #ids)
        end
        return function(n)
          if n == 0 then
            assert(zigllms.tool.execute("who", {}) == me)
            assert(zigllms.provider.chat("alone", { provider = "openai" }).content == "hello")
            return false
          end
          if #ids < 10 then
            add(n)
            return true
          end
          finish()
          return false
        end
      ]]
    )
  end)

  it("goes on in a forked child", function()
    answer_all()
    hosted(
      "fork",
      [[
        local url = ...
        local zigllms = require("zigllms")
        zigllms.provider.configure("openai", { base_url = url, api_key = "test" })
        return function()
          assert(zigllms.fd())
          for _ = 1, 3 do
            assert(zigllms.provider.chat("again", { provider = "openai" }).content == "hello")
            zigllms.sleep(1)
          end
          assert(not pcall(zigllms.agent.run, "nobody", "x"))
        end
      ]]
    )
  end)

  local function valgrind()
    if jit then
      return skip("valgrind", "LuaJIT's own allocator and compiled code hide from it")
    elseif not program.has("valgrind") then
      return skip("valgrind", "there is none")
    end
    -- What the process shares (connections, threads) is there at exit, and counts as "possible".
    return "valgrind -q --leak-check=full --show-leak-kinds=definite "
      .. "--errors-for-leak-kinds=definite --error-exitcode=9 --suppressions="
      .. here
      .. "fixtures/valgrind.supp"
  end

  it("loses no memory as valgrind sees it", function()
    local under = valgrind()
    if under then
      answer_all()
      hosted("cycle " .. size(4, 2), MIXED, { under = under })
      hosted("threads " .. size(3, 2), MIXED, { under = under })
    end
  end)

  it("may be the plain interpreter under valgrind", function()
    local under = valgrind()
    if under then
      answer_all()
      local chunk = "local function mixed(...)\n"
        .. MIXED
        .. "\nzigllms.reset()\nend\n"
        .. ("for _ = 1, %d do "):format(size(3, 2))
        .. "mixed(...) package.loaded.zigllms = nil collectgarbage() end"
      local result = program.run(chunk, { under = under, args = { server.url } })
      assert.equal("", result.err)
      assert.equal(0, result.rc)
    end
  end)

  teardown(function()
    server:stop()
  end)
end)
