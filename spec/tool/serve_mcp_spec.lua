-- serve_mcp: spec/fixtures/mcp_tools.lua serves. Clients are raw lines, this module, and the SDKs
-- of npm and PyPI.
local cjson = require("cjson")
local peers = require("spec.support.mcp_peers")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local clock, tool = program.clock, zigllms.tool
local here = os.getenv("PWD") .. "/spec/fixtures/"
local SERVED =
  { "add", "greet", "list", "boom", "refuse", "slow", "busy", "noisy", "grow", "odd", "ended" }

-- What a server says to these lines, by id, and everything else it says.
local function say(lines, page_size)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  for _, line in ipairs(lines) do
    file:write(type(line) == "table" and cjson.encode(line) or line, "\n")
  end
  file:close()
  local words =
    { program.interpreter(), here .. "mcp_tools.lua", page_size or 1000, "afterwards", "<", path }
  local result = program.shell("sh -c " .. program.quoted(table.concat(words, " ")))
  os.remove(path)
  local by_id, others = {}, {}
  for line in result.out:gmatch("[^\n]+") do
    local ok, message = pcall(cjson.decode, line)
    if ok and message.id ~= nil and message.id ~= cjson.null then
      by_id[message.id] = message
    else
      others[#others + 1] = ok and message or line
    end
  end
  return by_id, others, result
end

local function request(id, method, params)
  return { jsonrpc = "2.0", id = id, method = method, params = params }
end

local function call(id, name, arguments)
  return request(id, "tools/call", { name = name, arguments = arguments })
end

local function initialize(version)
  return request(0, "initialize", {
    protocolVersion = version or "2025-11-25",
    capabilities = {},
    clientInfo = { name = "spec", version = "1" },
  })
end

local function text_of(message)
  return message.result.content[1].text
end

describe("serve_mcp", function()
  it("agrees on a revision that both know", function()
    for asked, expected in pairs({
      ["2024-11-05"] = "2024-11-05",
      ["2025-03-26"] = "2025-03-26",
      ["2025-06-18"] = "2025-06-18",
      ["2025-11-25"] = "2025-11-25",
      ["2099-01-01"] = "2025-11-25",
    }) do
      local said = say({ initialize(asked) })
      assert.equal(expected, said[0].result.protocolVersion)
    end
    local result = say({ initialize() })[0].result
    assert.same({ name = "lua", version = "7", title = "Tools in Lua" }, result.serverInfo)
    assert.equal("be kind", result.instructions)
    assert.is_true(result.capabilities.tools.listChanged)
  end)

  it("lists what does something, in pages", function()
    local said = say({ request(1, "tools/list") })
    local names = {}
    for i, each in ipairs(said[1].result.tools) do
      names[i] = each.name
      assert.equal("object", each.inputSchema.type)
    end
    assert.same(SERVED, names)
    assert.equal("number", said[1].result.tools[1].outputSchema.properties.sum.type)
    assert.is_nil(said[1].result.nextCursor)
    said = say({
      request(1, "tools/list"),
      request(2, "tools/list", { cursor = "4" }),
      request(3, "tools/list", { cursor = "8" }),
      request(4, "tools/list", { cursor = "none of yours" }),
    }, 4)
    assert.equal("4", said[1].result.nextCursor)
    assert.equal("refuse", said[2].result.tools[1].name)
    assert.equal(3, #said[3].result.tools)
    assert.is_nil(said[3].result.nextCursor)
    assert.equal(-32602, said[4].error.code)
  end)

  it("serves what it is told to, once, and built-in tools if they are named", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(cjson.encode(request(1, "tools/list")), "\n")
    file:close()
    local chunk = [[
      local zigllms = require("zigllms")
      zigllms.tool.register({ name = "a", execute = function() return "A" end })
      zigllms.tool.register({ name = "b", execute = function() return "B" end })
      assert(zigllms.tool.serve_mcp({ "a", "math_calculator", "a" }))
    ]]
    local result = program.run(chunk, { under = [[sh -c 'exec "$0" "$@" <]] .. path .. "'" })
    os.remove(path)
    local listed = cjson.decode(result.out).result.tools
    assert.same({ "a", "calculator" }, { listed[1].name, listed[2].name })
    assert.equal(2, #listed)
  end)

  it("answers calls, also those that come just before the input ends", function()
    local said, _, result = say({
      initialize(),
      { jsonrpc = "2.0", method = "notifications/initialized" },
      call(1, "add", { a = 1, b = 2 }),
      call("two", "list"),
      call(3, "boom"),
      call(4, "refuse"),
      call(5, "add", { a = "x" }),
      call(6, "nothing"),
      call(7, "add", "text"),
      call(8, "slow", { ms = 200 }),
      call(9, "declared"),
    })
    assert.same({ sum = 3 }, said[1].result.structuredContent)
    assert.equal('{"sum":3}', text_of(said[1]))
    assert.equal('[1,2,{"x":"y"}]', text_of(said.two))
    assert.is_nil(said.two.result.structuredContent)
    assert.is_true(said[3].result.isError)
    assert.truthy(text_of(said[3]):find("it broke", 1, true))
    assert.truthy(text_of(said[4]):find("not today", 1, true))
    assert.is_true(said[5].result.isError)
    assert.truthy(text_of(said[5]):find("schema", 1, true))
    assert.equal(-32602, said[6].error.code)
    assert.equal(-32602, said[7].error.code)
    assert.equal("slept", text_of(said[8]))
    assert.equal(-32602, said[9].error.code)
    assert.equal(0, result.rc)
  end)

  it("a result that is neither text nor JSON is a failure, for the model to read", function()
    local said = say({
      initialize(),
      call(1, "odd", { what = "fn" }),
      call(2, "odd", { what = "nan" }),
      call(3, "odd", { what = "bytes" }),
      call(4, "odd", { what = "cycle" }),
      call(5, "odd", { hooked = true }),
      call(6, "odd", { what = "nothing" }),
    })
    for i, why in ipairs({ "f: a function", "NaN", "UTF-8", "again", "f: a function" }) do
      assert.is_true(said[i].result.isError)
      local text = text_of(said[i])
      assert.truthy(text:find('tool "odd" returned what is neither text nor JSON', 1, true), text)
      assert.truthy(text:find(why, 1, true), text)
    end
    assert.is_nil(said[6].result.isError)
  end)

  it("survives what is no message, and refuses what it does not know", function()
    local said, others = say({
      "no JSON",
      "",
      '{"jsonrpc":"2.0"',
      "5",
      "[]",
      request(1, "resources/list"),
      { jsonrpc = "2.0", method = "notifications/unknown" },
      { jsonrpc = "2.0", id = 77, result = {} },
      cjson.encode({ request(2, "ping"), call(3, "greet", { who = "batch" }) }),
      '{"jsonrpc":"2.0","method":"x","params":"' .. ("x"):rep(11 * 1024 * 1024) .. '"}',
      request("p", "ping"),
    })
    assert.equal(-32601, said[1].error.code)
    assert.same({}, said[2].result)
    assert.equal("hello batch", text_of(said[3]))
    assert.same({}, said.p.result)
    local codes = {}
    for i, each in ipairs(others) do
      codes[i] = type(each) == "table" and each.error and each.error.code or each
    end
    assert.same({ -32700, -32700, -32600, -32600, -32700, "afterwards" }, codes)
  end)

  it("gives ids back as they were written, and takes none but numbers and texts", function()
    local ids = {
      "1152921504606846976",
      "18446744073709551616",
      "100000000000000000000",
      "1e20",
      "1.50",
      "-0.25",
      "-7",
      '"a \\"quoted\\" \\u0041"',
      '""',
      '"' .. ("x"):rep(1000) .. '"',
    }
    local lines = {}
    for _, id in ipairs(ids) do
      lines[#lines + 1] = ('{"params":{"id":1},"id":%s,"method":"ping"}'):format(id)
      lines[#lines + 1] = ('{"id": %s , "method":"tools/list"}'):format(id)
      lines[#lines + 1] = ('[{"method":"tools/call","params":{"name":"x"},"id":%s}]'):format(id)
    end
    local _, _, result = say(lines)
    for _, id in ipairs(ids) do
      local count, at = 0, 1
      repeat
        local from, to = result.out:find(('"id":%s,"'):format(id), at, true)
        count, at = from and count + 1 or count, to
      until not from
      assert.equal(3, count, id)
    end
    local wrong = {}
    for i, id in ipairs({ "[]", "{}", "true", "null", '["a"]' }) do
      wrong[i] = ('{"jsonrpc":"2.0","id":%s,"method":"%s"}'):format(
        id,
        i < 4 and "ping" or "tools/list"
      )
    end
    -- What is no request may say so with an id of null.
    wrong[#wrong + 1] = '{"jsonrpc":"2.0","id":null,"method":"notifications/initialized"}'
    local by_id, others = say(wrong)
    assert.is_nil(next(by_id))
    assert.equal(6, #others)
    for i = 1, 5 do
      assert.equal(-32600, others[i].error.code)
      assert.equal(cjson.null, others[i].id)
    end
  end)

  it("says whose request it was that cannot be read, if that can be seen", function()
    local said, others = say({
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":',
      '{"jsonrpc":"2.0","id":2,"method":"ping","params":{"x":"'
        .. ("x"):rep(11 * 1024 * 1024)
        .. '"}}',
      '{"jsonrpc":"2.0","id":3,"method":5}',
      '{"jsonrpc":"2.0","id":[],"method":"ping","params":{',
      "\239\187\191" .. '{"jsonrpc":"2.0","id":4,"method":"ping"}',
      '{"id":5,"method":"tools/call","params":{"name":"greet","arguments":{"who":"\\ud800"}}}',
    })
    assert.equal(-32700, said[1].error.code)
    assert.equal(-32700, said[2].error.code)
    assert.equal(-32600, said[3].error.code)
    assert.equal(-32700, others[1].error.code)
    assert.same({}, said[4].result)
    assert.equal("hello \239\191\189", text_of(said[5]))
  end)

  it("keeps the protocol apart from what is printed", function()
    local said, others, result = say({ call(1, "noisy"), call(2, "greet", { who = "x" }) })
    assert.equal("nil", text_of(said[1]))
    assert.equal("hello x", text_of(said[2]))
    assert.same({ "afterwards" }, others)
    for _, word in ipairs({ "print", "io.write", "io.stdout", "os.execute" }) do
      assert.truthy(result.err:find(word .. "\n", 1, true), word)
    end
  end)

  it("answers all it was asked before the client closed its side", function()
    local lines = {}
    for i = 1, 200 do
      lines[i] = call(i, "slow", { ms = 100 })
    end
    local said, _, result = say(lines)
    for i = 1, 200 do
      assert.equal("slept", text_of(said[i]))
    end
    assert.equal(0, result.rc)
  end)

  it("needs an input and an output that are open", function()
    for _, closed in ipairs({ "<&-", ">&-" }) do
      local words = { "timeout", "20", program.interpreter(), here .. "mcp_tools.lua", closed }
      local line = table.concat(words, " ")
      local result = program.shell("sh -c " .. program.quoted(line))
      assert.equal(1, result.rc)
      assert.truthy(result.err:find("is closed", 1, true), result.err)
    end
  end)

  it("serves one after the other only, and tools that are there", function()
    raised("not_found", tool.serve_mcp, "no_such_tool")
    tool.register({ name = "told_elsewhere" })
    raised("unsupported", tool.serve_mcp, { "told_elsewhere" })
    tool.unregister("told_elsewhere")
    local chunk = [[
      local zigllms = require("zigllms")
      local one = zigllms.tool.serve_mcp({ "calculator" }, { async = true })
      local ok, err = pcall(zigllms.tool.serve_mcp, "calculator")
      assert(not ok and err.code == "invalid_state", tostring(err))
      one:cancel()
      assert(not pcall(one.await, one))
      print("printed again")
      io.stdout:flush()
      assert(zigllms.tool.serve_mcp("calculator"))
    ]]
    -- Its standard input stays open for a second.
    local result = program.run(chunk, { under = [[sh -c 'sleep 1 | exec "$0" "$@"']] })
    assert.same({ "printed again\n", "" }, { result.out, result.err })
  end)
end)

describe("serve_mcp and import_mcp", function()
  before_each(function()
    zigllms.reset()
    tool.import_mcp({
      command = { program.interpreter(), here .. "mcp_tools.lua", "3" },
      env = { LUA_PATH = package.path, LUA_CPATH = package.cpath },
      name = "lua",
    })
  end)
  after_each(zigllms.reset)

  it("fit each other", function()
    assert.equal(#SERVED, #tool.list())
    assert.same({ sum = 5 }, tool.execute("lua_add", { a = 2, b = 3 }))
    assert.equal("hello x", tool.execute("lua_greet", { who = "x" }))
    assert.truthy(raised("tool_error", tool.execute, "lua_boom").message:find("it broke", 1, true))
    assert.equal("lua", tool.get_info("lua_add").metadata.mcp.server_name)
  end)

  it("slow calls keep nobody waiting", function()
    local slow = {}
    for i = 1, 20 do
      slow[i] = tool.execute("lua_slow", { ms = 60000 }, { async = true })
    end
    assert.equal("hello x", tool.execute("lua_greet", { who = "x" }))
    for _, handle in ipairs(slow) do
      assert.is_false(handle:done())
      handle:cancel()
    end
    -- One after the other they would take ten seconds.
    local began = clock()
    for i = 1, 20 do
      slow[i] = tool.execute("lua_slow", { ms = 500 }, { async = true })
    end
    zigllms.all(slow)
    assert.is_true(clock() - began < 5, clock() - began)
  end)

  it("a call that is cancelled is stopped over there", function()
    local handle = tool.execute("lua_slow", {}, { async = true })
    handle:wait(100)
    handle:cancel()
    raised("cancelled", handle.await, handle)
    local limit = clock() + 5
    while tool.execute("lua_ended") ~= "cancelled" and clock() < limit do
      zigllms.sleep(10)
    end
    assert.equal("cancelled", tool.execute("lua_ended"))
  end)

  it("what is printed over there is told as tool.log", function()
    local told = {}
    zigllms.event.subscribe("tool.log", function(event)
      told[#told + 1] = event.data.text
    end)
    tool.execute("lua_noisy")
    local limit = clock() + 5
    while not table.concat(told, "\n"):find("io.stdout", 1, true) and clock() < limit do
      zigllms.sleep(10)
    end
    for _, word in ipairs({ "print", "io.write", "io.stdout", "os.execute" }) do
      assert.truthy(table.concat(told, "\n"):find(word, 1, true), word)
    end
  end)

  it("tools that come later are announced, and there for whoever imports again", function()
    tool.execute("lua_grow")
    assert.is_false(tool.exists("lua_grown"))
    assert.equal("hello x", tool.execute("lua_greet", { who = "x" }))
  end)
end)

describe("a client that is not ours", function()
  local env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }

  if peers.has("node", "the SDK of npm as a client") then
    it("the official SDK lists, calls, hears errors, pings and cancels", function()
      local words = {
        "node",
        here .. "mcp_client.mjs",
        peers.sdk,
        program.interpreter(),
        here .. "mcp_tools.lua",
        "4",
      }
      local result = program.shell(table.concat(words, " "), env)
      assert.equal("", result.err)
      local seen = cjson.decode(result.out)
      assert.equal("lua", seen.server.name)
      assert.equal("be kind", seen.instructions)
      assert.same({ "add", "greet", "list", "boom" }, seen.tools) -- the first page
      assert.same({ sum = 3 }, seen.add.structuredContent)
      assert.equal('[1,2,{"x":"y"}]', seen.list.content[1].text)
      assert.is_true(seen.boom.isError)
      assert.is_true(seen.bad.isError)
      assert.truthy(seen.unknown:find("-32602", 1, true))
      assert.equal("nil", seen.noisy.content[1].text)
      assert.is_true(seen.ping_ms < 500, seen.ping_ms)
      assert.truthy(seen.cancelled:find("enough", 1, true))
      assert.equal("hello SDK", seen.greet.content[1].text)
      assert.equal("cancelled", seen.ended.content[1].text)
    end)
  end

  if peers.has("python", "the SDK of PyPI as a client") then
    it("the SDK for Python lists, calls, hears errors and pings", function()
      local words =
        { "python3", here .. "mcp_client.py", program.interpreter(), here .. "mcp_tools.lua" }
      local given = { LUA_PATH = env.LUA_PATH, LUA_CPATH = env.LUA_CPATH }
      for name, value in pairs(peers.python) do
        given[name] = value
      end
      local result = program.shell(table.concat(words, " "), given)
      assert.equal("", result.err)
      local seen = cjson.decode(result.out)
      assert.same(SERVED, seen.tools)
      assert.same({ sum = 3 }, seen.add.structuredContent)
      assert.is_true(seen.boom.isError)
      assert.truthy(seen.boom.content[1].text:find("it broke", 1, true))
    end)
  end
end)
