-- Tools of MCP servers behind HTTP: a scripted server says what no real one would, or not when it
-- is wanted.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local clock, tool = program.clock, zigllms.tool
local server = scripted.start()
local url = server.root .. "/mcp"

local function answer(id, result)
  return { jsonrpc = "2.0", id = id, result = result }
end

local function json(word, id, result, extra)
  return scripted.with({ when = word, json = answer(id, result) }, extra)
end

local function text(words)
  return { content = { { type = "text", text = words } } }
end

local function initialize(id, extra)
  return json('"initialize"', id, {
    protocolVersion = "2025-06-18",
    capabilities = { tools = { list = true } },
    serverInfo = { name = "web", version = "1" },
  }, scripted.with({ headers = { ["mcp-session-id"] = "session-" .. id } }, extra))
end

local function initialized()
  return { when = "notifications/initialized", status = 202 }
end

local function list(id)
  return json("tools/list", id, {
    tools = { { name = "echo", inputSchema = { type = "object" } } },
  })
end

-- Requests have the ids 1 (initialize), 2 (tools/list), and so on.
local function script(...)
  server:script(initialize(1), initialized(), list(2), ...)
end

local function import(options)
  return tool.import_mcp(scripted.with({ url = url }, options))
end

local function methods()
  local all = {}
  for i, entry in ipairs(server:journal()) do
    all[i] = entry.json and entry.json.method or entry.method
  end
  return all
end

local function calls()
  local count = 0
  for _, method in ipairs(methods()) do
    count = count + (method == "tools/call" and 1 or 0)
  end
  return count
end

describe("an MCP server behind HTTP", function()
  before_each(zigllms.reset)
  teardown(function()
    server:stop()
  end)

  -- The farewell must not take a reply of the next case.
  local function leave()
    local imported = #tool.list() > 0
    zigllms.reset()
    if imported then
      -- What tells of a call given up may come behind it.
      server:wait_for(function(journal)
        for _, request in ipairs(journal) do
          if request.method == "DELETE" then
            return true
          end
        end
      end, zigllms.sleep)
    end
  end
  after_each(leave)

  it("is asked in a session, which ends with the last tool", function()
    script(json("tools/call", 3, text("hi")), { when = "", status = 204 })
    import({ headers = { ["X-Who"] = "spec", accept = "nothing" } })
    assert.equal("hi", tool.execute("echo"))
    zigllms.reset()
    local journal = server:wait_for(5, zigllms.sleep)
    local first, later = journal[1].headers, journal[4].headers
    assert.equal("application/json, text/event-stream", first.accept)
    assert.equal("application/json", first["content-type"])
    assert.equal("spec", first["x-who"])
    assert.is_nil(first["mcp-session-id"] or first["mcp-protocol-version"])
    assert.equal("session-1", later["mcp-session-id"])
    assert.equal("2025-06-18", later["mcp-protocol-version"])
    assert.equal("DELETE", journal[5].method)
    assert.equal("session-1", journal[5].headers["mcp-session-id"])
  end)

  it("is asked for its tools once it has taken the greeting, whatever it says to that", function()
    server:script(initialize(1), scripted.with(initialized(), { delay_ms = 400 }), list(2))
    local importing = zigllms.spawn(import)
    server:wait_for(2, zigllms.sleep)
    zigllms.sleep(100)
    assert.same({ "initialize", "notifications/initialized" }, methods())
    importing:await()
    assert.equal("tools/list", methods()[3])
    for _, odd in ipairs({ { status = 500 }, { reset = true }, { status = 200, body = "{}" } }) do
      leave()
      server:script(initialize(1), scripted.with(initialized(), odd), list(2))
      import()
      assert.equal("tools/list", table.remove(methods()))
    end
  end)

  it("is asked for its tools five seconds after a greeting that it does not answer", function()
    server:script(initialize(1), scripted.with(initialized(), { delay_ms = 60000 }), list(2))
    local began = clock()
    import()
    assert.is_true(clock() - began > 4, clock() - began)
    assert.equal("tools/list", methods()[3])
  end)

  it("may answer with a stream, in which it asks and tells", function()
    script({
      when = "tools/call",
      headers = { ["content-type"] = "text/event-stream" },
      chunks = {
        ": ping\n\nid: 1\ndata:\n\n",
        'data: {"jsonrpc":"2.0","method":"notifications/progress",',
        '"params":{"progressToken":3,"progress":1}}\n\n',
        'data: {"jsonrpc":"2.0","id":"q","method":"ping"}\n\n',
        "data: no JSON\n\n",
        'event: message\ndata: {"jsonrpc":"2.0","id":3,"result":{"content":\ndata: []}}\n\n',
      },
      chunk_delay_ms = 20,
    }, { when = '"id":"q"', status = 202 })
    local steps = 0
    zigllms.event.subscribe("tool.progress", function()
      steps = steps + 1
    end)
    import()
    assert.equal("", tool.execute("echo"))
    assert.equal(1, steps)
    local journal = server:wait_for(5, zigllms.sleep)
    assert.same({ jsonrpc = "2.0", id = "q", result = {} }, journal[5].json)
  end)

  it("may answer what cannot be read: that call fails, and says why", function()
    local stream = { ["content-type"] = "text/event-stream" }
    local function fails(why, reply)
      reply.when = "tools/call"
      server:script(initialize(1), initialized(), list(2), reply)
      import()
      local began = clock()
      local cause = raised("tool_error", tool.execute, "echo").cause
      assert.equal("bad_response", cause.code)
      assert.truthy(cause.message:find(why, 1, true), cause.message)
      assert.is_true(clock() - began < 20)
      leave()
    end
    -- The stream stays open behind it: nobody waits for its end.
    local function open(start)
      return { headers = stream, chunks = { start }, stall_ms = 60000 }
    end
    fails("number out of range", open('data: {"id":3,"result":{"a":1e400}}\n\n'))
    fails("EOF", open('data: {"jsonrpc":"2.0","result":{\n\n'))
    fails("more than 8 MB", open('data: {"id":3,"result":"' .. ("x"):rep(9 * 1024 * 1024)))
    fails("number out of range", { body = '{"jsonrpc":"2.0","id":3,"result":{"a":1e400}}' })
    fails("no answer of JSON-RPC", { body = "<html>" })
    fails("neither a result", { body = '{"jsonrpc":"2.0","id":3}' })
  end)

  it("may end the stream before the answer, which is asked for again", function()
    script({
      when = "tools/call",
      headers = { ["content-type"] = "text/event-stream" },
      chunks = { "id: e1\nretry: 300\ndata:\n\n" },
    }, {
      headers = { ["content-type"] = "text/event-stream" },
      chunks = { 'id: e2\ndata: {"jsonrpc":"2.0","id":3,"result":{"content":[]}}\n\n' },
    })
    import()
    local began = clock()
    assert.equal("", tool.execute("echo"))
    assert.is_true(clock() - began >= 0.29)
    local asked = server:journal()[5]
    assert.equal("GET", asked.method)
    assert.equal("e1", asked.headers["last-event-id"])
    assert.equal("session-1", asked.headers["mcp-session-id"])
  end)

  it("is listened to, and listened to again with a look at its tools", function()
    local changed = { name = "echo", description = "!", inputSchema = { type = "object" } }
    local said = '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"hello"}}'
    local start = initialize(1)
    start.json.result.capabilities.tools.listChanged = true
    server:script(
      start,
      initialized(),
      list(2),
      { -- to GET, whose body is empty
        headers = { ["content-type"] = "text/event-stream" },
        chunks = { "data: " .. said .. "\n\n" },
        stall_ms = 100,
      },
      scripted.with(json("tools/call", "{{id}}", text("as it was")), { ["repeat"] = true }),
      json("tools/list", "{{id}}", { tools = { changed } })
    )
    local told
    zigllms.event.subscribe("tool.log", function(event)
      told = event.data.text
    end)
    import()
    local limit = clock() + 5
    while not told and clock() < limit do
      zigllms.sleep(5)
    end
    assert.equal("hello", told)
    -- Until it is heard no more it is as it was.
    local ok, err
    repeat
      ok, err = pcall(tool.execute, "echo")
    until not ok or clock() > limit
    assert.equal("invalid_state", not ok and err.code)
    server:wait_for(function(journal)
      local listened = 0
      for _, entry in ipairs(journal) do
        listened = listened + (entry.method == "GET" and 1 or 0)
      end
      return listened == 2
    end, zigllms.sleep)
  end)

  it("masks what is secret of the headers, and no other word", function()
    script(json("tools/call", 3, text("ordinary {{x-api-key}} {{cookie}}")))
    import({
      headers = {
        ["X-Kind"] = "ordinary",
        ["X-Api-Key"] = "key-CANARY",
        Cookie = "session=CANARY",
      },
    })
    assert.equal("ordinary *** ***", tool.execute("echo"))
  end)

  it("may answer with a batch", function()
    script({
      when = "tools/call",
      json = { { jsonrpc = "2.0", method = "notifications/x" }, answer(3, text("in a batch")) },
    })
    import()
    assert.equal("in a batch", tool.execute("echo"))
  end)

  it("that has forgotten its session gets a new one, once", function()
    script(
      { when = "tools/call", status = 404 },
      initialize(4),
      initialized(),
      list(5),
      json("tools/call", 6, text("again"))
    )
    import()
    assert.equal("again", tool.execute("echo"))
    local journal = server:wait_for(8, zigllms.sleep)
    assert.is_nil(journal[5].headers["mcp-session-id"])
    assert.equal("session-4", journal[8].headers["mcp-session-id"])
    assert.equal(8, #journal) -- no farewell to what is not known
  end)

  it("is looked at anew with its new session: a changed tool is refused", function()
    script(
      { when = "tools/call", status = 404 },
      initialize(4),
      initialized(),
      json("tools/list", 5, {
        tools = { { name = "echo", description = "!", inputSchema = { type = "object" } } },
      })
    )
    import()
    local err = raised("invalid_state", tool.execute, "echo")
    assert.equal("definition_changed", err.details.reason)
    assert.equal(1, calls())
  end)

  it("that wants to know who asks is auth, and no secret is told", function()
    local options = { headers = { Authorization = "Bearer sk-CANARY-http" } }
    server:script({
      status = 401,
      headers = { ["www-authenticate"] = "Bearer" },
      json = { error = { message = "not you, {{authorization}}" } },
    })
    local err = raised("auth", import, options)
    assert.equal(401, err.status)
    assert.truthy(err.message:find("headers={Authorization=", 1, true), err.message)
    server:script({ status = 500, json = { error = { code = -1, message = "{{authorization}}" } } })
    err = raised("network", import, options)
    assert.is_nil(tostring(err):find("CANARY", 1, true))
    script(json("tools/call", 3, text("{{authorization}}")), { when = "tools/call", status = 403 })
    import(options)
    assert.equal("Bearer ***", tool.execute("echo"))
    assert.equal("auth", raised("tool_error", tool.execute, "echo").cause.code)
    local shown = zigllms.output.format(tool.get_info("echo"), "json")
    assert.is_nil(shown:find("CANARY", 1, true))
  end)

  it("may lead to another path, but not to another origin", function()
    server:script(
      { when = '"initialize"', status = 307, headers = { location = "/elsewhere" } },
      initialize(2),
      initialized(),
      list(3),
      json("tools/call", 4, text("there"))
    )
    import()
    assert.equal("there", tool.execute("echo"))
    assert.equal("/elsewhere", server:journal()[5].path)
    zigllms.reset()
    server:wait_for(6, zigllms.sleep)
    local other = scripted.start()
    finally(function()
      other:stop()
    end)
    server:script({ status = 307, headers = { location = other.root .. "/mcp" } })
    local err = raised("network", import, { headers = { Authorization = "Bearer sk-CANARY" } })
    assert.truthy(err.message:find("another origin", 1, true))
    assert.equal(0, other:count())
    server:script({ status = 307, headers = { location = "/mcp" }, ["repeat"] = true })
    assert.truthy(raised("network", import).message:find("redirects", 1, true))
  end)

  it("failures have their codes", function()
    local function fails(code, reply)
      server:script(reply)
      return raised(code, import)
    end
    assert.equal(404, fails("bad_response", { status = 404, body = "<html>nothing" }).status)
    fails("bad_response", { status = 200, body = "<html>hello" })
    fails("bad_response", { status = 202 })
    assert.equal(503, fails("network", { status = 503, body = "busy" }).status)
    fails("network", { raw = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", close = true })
    fails("network", {
      headers = { ["content-type"] = "text/event-stream" },
      chunks = { ": nothing\n\n" },
    })
    local err = fails("bad_response", {
      json = { jsonrpc = "2.0", id = 1, error = { code = -32600, message = "not like this" } },
    })
    assert.truthy(err.message:find("not like this", 1, true))
    assert.equal(-32600, err.details.code)
    raised("network", tool.import_mcp, { url = server:refused() })
    assert.same({}, tool.list())
  end)

  it("is asked again where retries allow it", function()
    script(
      { when = "tools/call", status = 503 },
      { when = "tools/call", status = 503 },
      json("tools/call", 5, text("at last"))
    )
    import()
    assert.equal("at last", tool.execute("echo", {}, { retries = 2 }))
  end)

  it("hears of a cancel, at once", function()
    script(
      { when = "tools/call", delay_ms = 10000, json = answer(3, text("late")) },
      { when = "notifications/cancelled", status = 202 }
    )
    import()
    local handle = tool.execute("echo", {}, { async = true })
    server:wait_for(4, zigllms.sleep)
    local began = clock()
    handle:cancel()
    raised("cancelled", handle.await, handle)
    assert.is_true(clock() - began < 0.5)
    local journal = server:wait_for(5, zigllms.sleep)
    assert.equal("notifications/cancelled", journal[5].json.method)
    assert.equal(3, journal[5].json.params.requestId)
    server:wait_for(function(entries)
      return entries[4].closed_after_ms
    end, zigllms.sleep)
  end)

  it("that is silent runs into the time limit of the import", function()
    local err = raised("timeout", tool.import_mcp, { url = server:deaf(), timeout_ms = 200 })
    assert.equal("total", err.phase)
    server:script({ delay_ms = 5000, json = answer(1, {}) })
    raised("timeout", import, { timeout_ms = 200 })
  end)
end)
