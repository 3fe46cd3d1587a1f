-- Tools of MCP servers: spec/fixtures/mcp_server.lua does what each case needs.
local cjson = require("cjson")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local tool = zigllms.tool
local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)tool/[^/]*$") or "spec/"

local function server(script)
  return { program.interpreter(), here .. "fixtures/mcp_server.lua", cjson.encode(script or {}) }
end

local function import(script, options)
  options = options or {}
  options.command = server(script)
  options.env = options.env or {}
  options.env.LUA_PATH, options.env.LUA_CPATH = package.path, package.cpath
  return tool.import_mcp(options)
end

describe("import_mcp", function()
  before_each(zigllms.reset)
  after_each(zigllms.reset)

  it("makes the tools of a server tools here", function()
    local ids = import({}, { name = "fake" })
    assert.equal(3, #ids)
    local info = tool.get_info(ids[1])
    assert.equal("fake_echo", info.name)
    assert.equal("mcp", info.type)
    assert.equal("hello", tool.execute("fake_echo", { say = "hello" }))
  end)

  it("a failure is a tool_error", function()
    import({}, { name = "fake" })
    local err = raised("tool_error", tool.execute, "fake_fail")
    assert.truthy(err.message:find("no luck", 1, true))
  end)
end)
