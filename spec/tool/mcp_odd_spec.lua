-- MCP servers that do not keep to the protocol: each call ends, and says why.
local mcp = require("spec.support.mcp")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local clock, tool = program.clock, zigllms.tool
local tools = mcp.tools

local function contains(text, ...)
  for _, part in ipairs({ ... }) do
    assert.truthy(text:find(part, 1, true), text .. "\nlacks " .. part)
  end
end

-- A server with a tool for each of these names, whose calls are answered by those raw lines.
local function saying(lines)
  local names, said = { "slow", "echo" }, {}
  for name, line in pairs(lines) do
    names[#names + 1] = name
    said[name] = type(line) == "table" and line or { line }
  end
  local script = tools((table.unpack or unpack)(names))
  script.says = said
  return script
end

-- The cause of a call's end, long before the time limit of a minute.
local function cause_of(name)
  local began = clock()
  local err = raised("tool_error", tool.execute, name)
  assert.is_true(clock() - began < 20)
  return err.cause
end

local function wrapped(text)
  return '{"jsonrpc":"2.0","id":%id,"result":{"content":[{"type":"text","text":"' .. text .. '"}]}}'
end

describe("an answer that cannot be read", function()
  before_each(zigllms.reset)
  after_each(zigllms.reset)

  it("ends the call it belongs to, at once, and no other", function()
    mcp.import(saying({
      big = wrapped("%big"),
      big_id_last = '{"result":{"content":[],"x":"%big"},"jsonrpc":"2.0","id":%id}',
      cut = '{"jsonrpc":"2.0","id":%id,"result":{"content":[{"type":"te',
      huge_number = '{"jsonrpc":"2.0","id":%id,"result":{"structuredContent":{"a":1e400}}}',
      deep = '{"jsonrpc":"2.0","id":%id,"result":' .. ("["):rep(5000) .. ("]"):rep(5000) .. "}",
      quotes = '{"jsonrpc":"2.0","id":%id,"result":{\'content\':[]}}',
      twice = '{"jsonrpc":"2.0","id":%id,"result":{}}{"jsonrpc":"2.0","id":%id,"result":{}}',
      batch = '[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":%id,"result":{"a":+1}}]',
    }))
    local other = tool.execute("slow", {}, { async = true })
    for name, why in pairs({
      big = "more than 10 MB",
      big_id_last = "more than 10 MB",
      cut = "EOF",
      huge_number = "number out of range",
      deep = "recursion",
      quotes = "key must be a string",
      twice = "trailing characters",
      batch = "expected value",
    }) do
      local cause = cause_of(name)
      assert.equal("bad_response", cause.code)
      contains(cause.message, "cannot be read", why)
    end
    assert.is_false(other:done())
    assert.equal("x", tool.execute("echo", { say = "x" }))
  end)

  it("without an id ends all that wait, for it was one of theirs", function()
    mcp.import(saying({ cut = '{"jsonrpc":"2.0","result":{"content":[' }))
    local other = tool.execute("slow", {}, { async = true })
    assert.equal("bad_response", cause_of("cut").code)
    assert.equal("bad_response", raised("tool_error", other.await, other).cause.code)
    assert.equal("x", tool.execute("echo", { say = "x" }))
  end)

  it("is understood where it is plain what was meant", function()
    mcp.import(saying({
      bom = "%xEF%xBB%xBF" .. wrapped("hi"),
      surrogate = wrapped("a\\ud800b"),
      no_utf8 = wrapped("a%xFFb"),
      control = wrapped("a\tb"),
      nan = '{"jsonrpc":"2.0","id":%id,"result":{"structuredContent":{"a":NaN,"b":2}}}',
    }))
    assert.equal("hi", tool.execute("bom"))
    assert.equal("a\239\191\189b", tool.execute("surrogate"))
    assert.equal("a\239\191\189b", tool.execute("no_utf8"))
    assert.equal("a\tb", tool.execute("control"))
    assert.same({ a = zigllms.null, b = 2 }, tool.execute("nan"))
  end)

  it("that has neither a result nor an error says so", function()
    mcp.import(saying({ neither = '{"jsonrpc":"2.0","id":%id}' }))
    local cause = cause_of("neither")
    assert.equal("bad_response", cause.code)
    contains(cause.message, "neither a result nor an error")
  end)

  it("is told from what is printed, which ends nothing", function()
    local told = mcp.told_by("tool.log")
    mcp.import(saying({
      print = {
        'log: {"id":%id,"result":',
        "{'id':%id, 'result': 1}",
        '{"level":"error","id":%id',
        '{"jsonrpc":"2.0","method":"x","id":%id,"params":{"error":',
        wrapped("after all"),
      },
    }))
    assert.equal("after all", tool.execute("print"))
    mcp.eventually(function()
      return mcp.text_of(told):find('"params":{"error":', 1, true)
    end)
  end)

  it("that says our question cannot be read ends all that wait", function()
    mcp.import(saying({
      refuses = '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}',
    }))
    local cause = cause_of("refuses")
    assert.equal("bad_response", cause.code)
    contains(cause.message, "cannot read what it is asked", "what?")
  end)

  it("ends an import, too", function()
    local script = tools("echo")
    script.says = { initialize = { '{"jsonrpc":"2.0","id":%id,"result":{"a":+}}' } }
    contains(raised("bad_response", mcp.import, script).message, "cannot be read")
    script.says = { ["tools/list"] = { wrapped("%big") } }
    contains(raised("bad_response", mcp.import, script).message, "more than 10 MB")
  end)

  it("may be the last that is said, without the line's end", function()
    local script = tools("last")
    mcp.import(script)
    assert.equal("the last", tool.execute("last"))
  end)
end)

describe("an answer to initialize", function()
  before_each(zigllms.reset)
  after_each(zigllms.reset)

  local function import_saying(answer, options)
    local script = tools("echo")
    script.says = { initialize = { '{"jsonrpc":"2.0","id":%id,' .. answer .. "}" } }
    return mcp.import(script, options)
  end

  it("that is none is told with the command, what was expected and what came", function()
    local function refused(why, answer)
      local err = raised("bad_response", import_saying, answer, { name = "fake" })
      contains(err.message, "mcp_server.lua", "initialize", why)
      assert.same({}, tool.list())
    end
    refused("expected an object as the result, got null", '"result":null')
    refused("expected an object as the result, got an array", '"result":[]')
    refused('expected an object as the result, got the text "ok"', '"result":"ok"')
    refused("2025-11-25 as protocolVersion, and none came", '"result":{"capabilities":{}}')
    refused('and "1999-01-01" came', '"result":{"protocolVersion":"1999-01-01"}')
    refused("and the number 1 came", '"result":{"protocolVersion":1}')
    local about = '"result":{"protocolVersion":"2025-06-18","capabilities":'
    refused('expected an object as capabilities, got the text "all"', about .. '"all"}')
    refused("expected an object as capabilities, got an array", about .. '["tools"]}')
    refused("refuses initialize: not you (-32000)", '"error":{"code":-32000,"message":"not you"}')
    refused('refuses initialize: {"a":1} (-32603)', '"error":{"code":"x","message":{"a":1}}')
    refused("refuses initialize: no (-32603)", '"error":"no"')
  end)

  it("without result and error says so", function()
    local err = raised("bad_response", import_saying, '"x":1')
    contains(err.message, "mcp_server.lua", "neither a result nor an error")
  end)

  it("may lack what nobody needs", function()
    local about = '"result":{"protocolVersion":"2025-06-18"'
    for _, rest in ipairs({ "}", ',"capabilities":[],"serverInfo":null}', ',"serverInfo":[]}' }) do
      local script = tools("echo")
      script.says = { initialize = { '{"id":%id,' .. about .. rest .. "}" } }
      mcp.import(script, { name = "fake" })
      assert.equal("x", tool.execute("fake_echo", { say = "x" }))
    end
  end)

  it("names no secrets of a command", function()
    local script = tools("echo")
    script.about = { capabilities = {} }
    local words = mcp.command(script)
    words[4] = "--token=sk-CANARY"
    words[5] = "sk-CANARY"
    local err = raised("bad_response", mcp.import, nil, { command = words })
    assert.is_nil(tostring(err):find("CANARY", 1, true))
  end)
end)

describe("two tools of one name", function()
  before_each(zigllms.reset)
  after_each(zigllms.reset)

  it("are one: the first, and the import says that there was another", function()
    local told = mcp.told_by("tool.log")
    local script = tools("echo", "echo", "slow", "echo")
    script.tools[2].description = "the other"
    assert.equal(2, #mcp.import(script, { name = "fake" }))
    local info = tool.get_info("fake_echo")
    assert.equal("does echo", info.description)
    contains(info.metadata.mcp.warnings[1], "several tools of this name")
    assert.is_nil(tool.get_info("fake_slow").metadata.mcp.warnings)
    assert.equal("x", tool.execute("fake_echo", { say = "x" }))
    mcp.eventually(function()
      return #told == 2
    end)
    assert.equal("import", told[1].stream)
    assert.equal("fake", told[1].server)
    contains(told[1].text, '"echo"', "left out")
  end)
end)
