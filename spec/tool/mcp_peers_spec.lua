-- Tools of MCP servers that are not ours, over standard input and output and over HTTP.
local cjson = require("cjson")
local peers = require("spec.support.mcp_peers")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local clock, tool = program.clock, zigllms.tool

local function by_name(ids)
  local known = {}
  for _, id in ipairs(ids) do
    known[tool.get_info(id).name] = id
  end
  return known
end

-- What server-everything must do, however it is reached.
local function does_everything(options)
  options.name = "ev"
  local known = by_name(tool.import_mcp(options))
  assert.is_truthy(known.ev_echo)
  assert.is_truthy(known["ev_get-sum"])
  for name, id in pairs(known) do
    assert.is_nil(tool.get_info(id).metadata.mcp.warnings, name)
  end
  assert.equal("Echo: hello", tool.execute("ev_echo", { message = "hello" }))
  assert.truthy(tool.execute("ev_get-sum", { a = 2, b = 40 }):find("42", 1, true))
  local weather = tool.execute("ev_get-structured-content", { location = "New York" })
  assert.equal("number", type(weather.temperature))
  local blocks = tool.execute("ev_get-tiny-image")
  assert.equal("image/png", blocks[2].mimeType)
  raised("validation_failed", tool.execute, "ev_echo", {})
  local err = raised("tool_error", tool.execute, "ev_echo", {}, { validate = false })
  assert.truthy(err.message:find("message", 1, true))
end

local function tells_and_cancels()
  local steps = 0
  local subscription = zigllms.event.subscribe("tool.progress", function()
    steps = steps + 1
  end)
  local long = "ev_trigger-long-running-operation"
  assert.truthy(tool.execute(long, { duration = 0.3, steps = 3 }):find("completed", 1, true))
  assert.equal(3, steps)
  zigllms.event.unsubscribe(subscription)
  local began = clock()
  raised("timeout", tool.execute, long, { duration = 20, steps = 2 }, { timeout_ms = 100 })
  local handle = tool.execute(long, { duration = 20, steps = 2 }, { async = true })
  handle:wait(50)
  handle:cancel()
  raised("cancelled", handle.await, handle)
  assert.equal("Echo: still there", tool.execute("ev_echo", { message = "still there" }))
  assert.is_true(clock() - began < 5)
end

describe("a real MCP server", function()
  after_each(zigllms.reset)

  if peers.has("node", "MCP servers of npm") then
    it("server-everything: tools, results, errors, progress, cancel", function()
      does_everything({ command = peers.node("everything", "stdio") })
      tells_and_cancels()
    end)

    it("server-everything over HTTP: the same, in a session", function()
      local talk = program.talk(
        "node "
          .. program.quoted(os.getenv("PWD") .. "/spec/fixtures/mcp_http.mjs")
          .. " "
          .. program.quoted(peers.node("everything")[2])
      )
      finally(function()
        zigllms.reset()
        talk:stop()
      end)
      local url = "http://127.0.0.1:" .. talk:line() .. "/mcp"
      does_everything({ url = url, headers = { Authorization = "Bearer sk-CANARY-mcp" } })
      assert.equal("Echo: ***", tool.execute("ev_echo", { message = "sk-CANARY-mcp" }))
      tells_and_cancels()
    end)

    it("server-filesystem: reads what it may, and nothing else", function()
      local path = os.tmpname()
      os.remove(path)
      assert(os.execute("mkdir " .. path))
      finally(function()
        os.execute("rm -r " .. path)
      end)
      local known = by_name(tool.import_mcp({
        command = peers.node("filesystem", path),
        name = "fs",
        exclude = { "move_*" },
      }))
      assert.is_nil(known.fs_move_file)
      tool.execute("fs_write_file", { path = path .. "/a.txt", content = "from Lua\n" })
      assert.equal("from Lua\n", io.open(path .. "/a.txt"):read("*a"))
      assert.equal(
        "from Lua\n",
        tool.execute("fs_read_text_file", { path = path .. "/a.txt" }).content
      )
      local err = raised("tool_error", tool.execute, "fs_read_text_file", { path = "/etc/passwd" })
      assert.truthy(err.message:find("denied", 1, true))
    end)
  end

  if peers.has("python", "an MCP server of PyPI") then
    it("mcp-server-time: tells the time, and that a place is none", function()
      local known = by_name(tool.import_mcp({ command = peers.time(), env = peers.python }))
      assert.is_truthy(known.get_current_time)
      local now = tool.execute("get_current_time", { timezone = "Europe/Berlin" })
      now = type(now) == "string" and zigllms.output.parse(now, "json") or now
      assert.equal("Europe/Berlin", now.timezone)
      local err = raised("tool_error", tool.execute, "get_current_time", { timezone = "Nowhere" })
      assert.truthy(err.message:find("Nowhere", 1, true))
    end)
  end
end)

describe("the MCP Inspector", function()
  if not peers.has("inspector", "the MCP Inspector") then
    return
  end

  -- What it prints of a server of ours, and how it ends.
  local function inspect(words)
    local result = program.shell(
      ("node %s --cli -e LUA_PATH=%s -e LUA_CPATH=%s %s %s %s"):format(
        program.quoted(peers.inspector),
        program.quoted(package.path),
        program.quoted(package.cpath),
        program.interpreter(),
        program.quoted(os.getenv("PWD") .. "/spec/fixtures/mcp_tools.lua"),
        words
      )
    )
    return result.out ~= "" and cjson.decode(result.out), result
  end

  it("lists, calls and hears of failures", function()
    local listed = inspect("--method tools/list")
    assert.equal("add", listed.tools[1].name)
    assert.equal("odd", listed.tools[#listed.tools - 1].name)
    local sum = inspect("--method tools/call --tool-name add --tool-arg a=1 b=2")
    assert.same({ sum = 3 }, sum.structuredContent)
    local failed, result = inspect("--method tools/call --tool-name odd --tool-arg what=nan")
    assert.is_true(failed.isError)
    assert.truthy(failed.content[1].text:find("NaN", 1, true))
    assert.not_equal(0, result.rc)
  end)
end)
