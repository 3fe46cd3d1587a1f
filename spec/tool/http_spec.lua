-- The built-in http_request: what it fetches, and where it never goes.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local clock = program.clock

local function fetch(input, options)
  if type(input) == "string" then
    input = { url = input }
  end
  return zigllms.tool.execute("http_request", input, options)
end

local function refuses(reason, input)
  local err = raised("tool_error", fetch, input)
  local url = type(input) == "table" and input.url or input
  assert.equal(reason, err.details and err.details.reason, url .. ": " .. err.message)
  return err
end

local function allow(private)
  zigllms.configure({ tools = { http = { allow_private = private } } })
end

-- Every address that is not the public Internet, in every spelling. Nothing listens at most of
-- them: that they are refused, and not merely out of reach, is told by the reason.
local FORBIDDEN = {
  "http://127.0.0.1:%d/",
  "http://127.0.0.2:%d/",
  "HTTP://127.0.0.1:%d/",
  "hTTp://LocalHost:%d/",
  "http://localhost:%d/",
  "http://localhost.:%d/",
  "http://[::1]:%d/",
  "http://[0:0:0:0:0:0:0:1]:%d/",
  "http://[::ffff:127.0.0.1]:%d/",
  "http://[::ffff:7f00:1]:%d/",
  "http://[::127.0.0.1]:%d/",
  "http://[64:ff9b::127.0.0.1]:%d/",
  "http://[64:ff9b:1::7f00:1]:%d/",
  "http://[2002:7f00:1::]:%d/",
  "http://[2001:0:7f00:1::]:%d/",
  "http://[2001:db8::1]:%d/",
  "http://[3fff::1]:%d/",
  "http://[fe80::1]:%d/",
  "http://[fec0::1]:%d/",
  "http://[fc00::1]:%d/",
  "http://[fd00:ec2::254]:%d/",
  "http://[ff02::1]:%d/",
  "http://[100::1]:%d/",
  "http://[::]:%d/",
  "http://0.0.0.0:%d/",
  "http://0.1.2.3:%d/",
  "http://10.0.0.1:%d/",
  "http://100.64.0.1:%d/",
  "http://169.254.169.254:%d/latest/meta-data/",
  "http://172.16.0.1:%d/",
  "http://172.31.255.255:%d/",
  "http://192.0.0.1:%d/",
  "http://192.0.2.1:%d/",
  "http://192.88.99.1:%d/",
  "http://192.168.1.1:%d/",
  "http://198.18.0.1:%d/",
  "http://198.51.100.1:%d/",
  "http://203.0.113.1:%d/",
  "http://224.0.0.1:%d/",
  "http://240.0.0.1:%d/",
  "http://255.255.255.255:%d/",
  "https://127.0.0.1:%d/",
}

-- URLs that two programs may read in two ways, or that are no HTTP.
local BAD = {
  "http://2130706433:%d/",
  "http://0x7f000001:%d/",
  "http://0x7f.0.0.1:%d/",
  "http://017700000001:%d/",
  "http://0177.0.0.1:%d/",
  "http://127.1:%d/",
  "http://127.0.1:%d/",
  "http://127.0.0.01:%d/",
  "http://127.0.0.1.:%d/",
  "http://0:%d/",
  "http://user@127.0.0.1:%d/",
  "http://user:password@127.0.0.1:%d/",
  "http://example.com@127.0.0.1:%d/",
  "http://127.0.0.1:%d@example.com/",
  "http://example.com\\@127.0.0.1:%d/",
  "http://127.0.0.1\\.example.com:%d/",
  "http://%%31%%32%%37.0.0.1:%d/",
  "http://127.0.0.1%%00:%d/",
  "http://[::1%%25lo]:%d/",
  "http://[::1%%lo]:%d/",
  "http://[127.0.0.1]:%d/",
  "http://::1:%d/",
  "http://①②⑦.⓪.⓪.①:%d/",
  "http://127。0。0。1:%d/",
  "http://localhost\t:%d/",
  "http://127.0.0.1:%d/\r\nX: y",
  "http://127.0.0.1:%d/\0",
  "http:/127.0.0.1:%d/",
  "http:127.0.0.1:%d/",
  "//127.0.0.1:%d/",
  "127.0.0.1:%d",
  "ftp://127.0.0.1:%d/",
  "file:///etc/passwd?%d",
  "gopher://127.0.0.1:%d/_x",
  "javascript:alert(%d)",
  "http://:%d/",
  "http://127.0.0.1:0%d00000/",
}

describe("http_request", function()
  local server, internal, port

  local function connections()
    return tonumber(internal:ask("count"))
  end

  setup(function()
    server = scripted.start()
    internal = program.talk("python3 -W ignore spec/fixtures/internal.py")
    port = tonumber(internal:line())
  end)

  teardown(function()
    server:stop()
    internal:stop()
    allow(zigllms.null)
  end)

  before_each(function()
    zigllms.reset()
    -- The scripted server is a public one, in these tests.
    allow({ "127.0.0.1" })
  end)

  it("fetches", function()
    server:script({
      status = 201,
      headers = { ["X-Thing"] = "a", ["Content-Type"] = "text/plain" },
      body = "hällo",
    })
    local answer = fetch(server.root .. "/a b?q=1#f")
    assert.equal(201, answer.status)
    assert.equal("hällo", answer.body)
    assert.equal("utf-8", answer.encoding)
    assert.equal("a", answer.headers["x-thing"])
    assert.equal(server.root .. "/a%20b?q=1", answer.url)
    assert.equal(0, answer.redirects)
    local sent = server:journal()[1]
    assert.equal("GET", sent.method)
    assert.equal("/a%20b?q=1", sent.path)
  end)

  it("sends methods, headers and bodies", function()
    local ok = { body = "ok", ["repeat"] = true }
    server:script(ok)
    for _, method in ipairs({ "POST", "PUT", "PATCH", "DELETE" }) do
      fetch({ url = server.root, method = method, body = "text", headers = { ["X-A"] = "b" } })
    end
    fetch({ url = server.root, method = "POST", body = { a = { 1, 2 } } })
    local journal = server:journal()
    for i, method in ipairs({ "POST", "PUT", "PATCH", "DELETE" }) do
      assert.equal(method, journal[i].method)
      assert.equal("text", journal[i].body)
      assert.equal("b", journal[i].headers["x-a"])
    end
    assert.same({ a = { 1, 2 } }, journal[5].json)
    assert.equal("application/json", journal[5].headers["content-type"])
    assert.equal(
      "OPTIONS",
      (function()
        fetch({ url = server.root, method = "OPTIONS" })
        return server:journal()[6].method
      end)()
    )
  end)

  it("gives an answer of any status, and bytes as base64", function()
    server:script({ status = 404, body = "no" }, {
      raw = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\255\0\1",
    })
    assert.equal(404, fetch(server.root).status)
    -- The fixture writes its text as UTF-8, so that these are four bytes; three are announced.
    local answer = fetch(server.root)
    assert.equal(answer.encoding == "base64", answer.note ~= nil)
    assert.equal(3, answer.bytes)
  end)

  it("never reaches what is not public, however it is spelt", function()
    allow(false)
    local before = connections()
    for _, url in ipairs(FORBIDDEN) do
      local err = refuses("forbidden_address", url:format(port))
      assert.truthy(err.message:find("allow_private", 1, true))
    end
    for _, url in ipairs(BAD) do
      for _, private in ipairs({ false, true }) do
        allow(private)
        refuses("bad_url", url:format(port))
      end
    end
    assert.equal(before, connections())
  end)

  it("never reaches it by a redirect", function()
    local before = connections()
    local targets = {}
    for _, form in ipairs({
      "http://127.0.0.2:%d/",
      "http://[::1]:%d/",
      "http://[::ffff:127.0.0.1]:%d/",
      "http://10.0.0.1:%d/",
      "http://169.254.169.254:%d/",
      "//127.0.0.2:%d/",
      "HTTP://127.0.0.2:%d/",
      "http://localhost.:%d/",
    }) do
      targets[form:format(port)] = "forbidden_address"
    end
    for _, form in ipairs(BAD) do
      -- The fixture sends headers in ASCII.
      if not form:find("[%c\128-\255]") and not form:find("^//") and form:find("^%w+://") then
        targets[form:format(port)] = "bad_redirect"
      end
    end
    targets["javascript:alert(1)"] = "bad_redirect"
    targets["file:///etc/passwd"] = "bad_redirect"
    targets["/\\127.0.0.2"] = "bad_redirect"
    for target, reason in pairs(targets) do
      for _, status in ipairs({ 301, 302, 303, 307, 308 }) do
        server:script({ status = status, headers = { Location = target }, body = "" })
        -- localhost is ::1 as well, or 127.0.0.1 alone: then it is open here.
        if not target:find("localhost", 1, true) then
          refuses(reason, server.root)
        end
      end
    end
    assert.equal(before, connections())
  end)

  it("never reaches it behind several redirects", function()
    local before = connections()
    local function hop(to)
      return { status = 302, headers = { Location = to }, body = "" }
    end
    server:script(hop("/b"), hop("c?d"), hop("http://127.0.0.2:" .. port .. "/"))
    refuses("forbidden_address", server.root .. "/a")
    assert.equal(3, server:count())
    assert.equal(before, connections())
  end)

  it("follows five redirects and no more", function()
    local hop = { status = 302, headers = { Location = "/next" }, body = "" }
    server:script(hop, hop, hop, hop, hop, { body = "there" })
    local answer = fetch(server.root)
    assert.equal("there", answer.body)
    assert.equal(5, answer.redirects)
    assert.equal(server.root .. "/next", answer.url)
    server:script(hop, hop, hop, hop, hop, hop, { body = "there" })
    refuses("too_many_redirects", server.root)
    assert.equal(6, server:count())
    server:script({ status = 302, body = "nowhere" })
    assert.equal(302, fetch(server.root).status)
  end)

  it("changes the method as redirects want it", function()
    local cases = {
      { 301, "POST", "GET" },
      { 302, "POST", "GET" },
      { 303, "PUT", "GET" },
      { 307, "POST", "POST" },
      { 308, "PUT", "PUT" },
      { 301, "PUT", "PUT" },
    }
    for _, case in ipairs(cases) do
      server:script(
        { status = case[1], headers = { Location = "/next" }, body = "" },
        { body = "ok" }
      )
      fetch({ url = server.root, method = case[2], body = { a = 1 } })
      local second = server:journal()[2]
      assert.equal(case[3], second.method, case[1])
      assert.equal(case[3] == "GET" and "" or '{"a":1}', second.body)
      assert.equal(case[3] ~= "GET", second.headers["content-type"] ~= nil)
    end
  end)

  it("tells another origin nothing that was meant for the first", function()
    local other = scripted.start()
    local headers = {
      Authorization = "Bearer secret",
      Cookie = "a=secret",
      ["X-Api-Key"] = "secret",
      Accept = "text/plain",
    }
    server:script(
      { status = 307, headers = { Location = "/same" }, body = "" },
      { status = 307, headers = { Location = other.root .. "/" }, body = "" }
    )
    other:script({ body = "ok" })
    fetch({ url = server.root, headers = headers })
    assert.equal("Bearer secret", server:journal()[2].headers.authorization)
    local told = other:journal()[1].headers
    assert.equal("text/plain", told.accept)
    for _, name in ipairs({ "authorization", "cookie", "x-api-key" }) do
      assert.is_nil(told[name])
    end
    other:stop()
  end)

  it("opens what it is told to open", function()
    local before = connections()
    local url = "http://127.0.0.2:" .. port
    refuses("forbidden_address", url)
    for _, private in ipairs({ true, { "127.0.0.2" }, { "127.0.0.0/8" }, { "0.0.0.0/0" } }) do
      allow(private)
      assert.equal("secret", fetch(url).body)
    end
    allow({ "LOCALHOST" })
    assert.equal("secret", fetch("http://localhost:" .. port).body)
    refuses("forbidden_address", url)
    allow({ "127.0.0.1", "10.0.0.0/8" })
    refuses("forbidden_address", url)
    assert.equal(before + 5, connections())
    allow(false)
    refuses("forbidden_address", "http://127.0.0.1:" .. port)
    assert.equal(before + 5, connections())
    assert.is_false(zigllms.config().tools.http.allow_private)
    allow({ "::1", "Host.Example" })
    assert.same({ "::1/128", "host.example" }, zigllms.config().tools.http.allow_private)
    for _, bad in ipairs({ "10.0.0.0/33", "a b", "http://x", "" }) do
      local err = raised("invalid_argument", allow, { "::1", bad })
      assert.truthy(err.message:find("allow_private[2]", 1, true), err.message)
    end
    raised("invalid_argument", allow, "yes")
    assert.same({ "::1/128", "host.example" }, zigllms.config().tools.http.allow_private)
  end)

  it("uses no connection that a provider has open", function()
    local before = connections()
    zigllms.provider.configure("openai", {
      type = "openai",
      base_url = server.url,
      api_key = "test",
      retry = false,
    })
    server:script(scripted.text("ok"))
    zigllms.provider.chat("hi", { provider = "openai" })
    allow(false)
    refuses("forbidden_address", server.root)
    assert.equal(1, server:count())
    assert.equal(before, connections())
  end)

  it("uses no proxy and none of the headers that providers get", function()
    zigllms.configure({
      http = { proxy = "http://127.0.0.2:" .. port, headers = { ["X-Secret"] = "s" } },
    })
    local before = connections()
    server:script({ body = "direct" })
    assert.equal("direct", fetch(server.root).body)
    assert.is_nil(server:journal()[1].headers["x-secret"])
    assert.equal(before, connections())
    zigllms.configure({ http = zigllms.null })
  end)

  it("refuses headers that split or mislead a request", function()
    server:script({ body = "ok", ["repeat"] = true })
    for name, value in pairs({
      ["X-A"] = "b\r\nHost: c",
      ["X A"] = "b",
      ["X-A\r\nHost"] = "b",
      Host = "internal",
      ["Transfer-Encoding"] = "chunked",
      ["Content-length"] = "5",
      ["Proxy-Authorization"] = "x",
      Connection = "close",
    }) do
      local err = raised("tool_error", fetch, { url = server.root, headers = { [name] = value } })
      assert.truthy(err.message:find("headers", 1, true), err.message)
    end
    raised("tool_error", fetch, { url = server.root, body = "x" })
    raised("validation_failed", fetch, { url = server.root, method = "TRACE" })
    raised("validation_failed", fetch, { url = server.root, timeout_ms = 30001 })
    raised("validation_failed", fetch, {})
    assert.equal(0, server:count())
  end)

  it("ends in time and at its size", function()
    server:script({ delay_ms = 5000, body = "late" })
    local began = clock()
    local err = raised("timeout", fetch, { url = server.root, timeout_ms = 100 })
    assert.equal("total", err.phase)
    server:script({ delay_ms = 5000, body = "late" })
    err = raised("timeout", fetch, server.root, { timeout_ms = 100 })
    assert.equal("tool", err.phase)
    assert.is_true(clock() - began < 3)
    server:script({ chunks = { ("x"):rep(1048576) }, times = 11 })
    refuses("too_large", server.root)
    server:script({ chunks = { ("x"):rep(1048576) }, times = 9 })
    assert.equal(9 * 1048576, fetch(server.root).bytes)
  end)

  it("says that nobody answers, and tries again if told to", function()
    local url = server:refused()
    local err = raised("tool_error", fetch, url)
    assert.equal("network", err.cause.code)
    assert.is_nil(err.message:find(url, 1, true))
    server:script({ reset = true }, { body = "ok" })
    assert.equal("ok", fetch(server.root, { retries = 1 }).body)
  end)

  it("waits as the host does, several at once, and can be given up", function()
    server:script({ delay_ms = 300, body = "slow", ["repeat"] = true })
    local began = clock()
    local bodies = zigllms.map({ "a", "b", "c", "d" }, function(path)
      return fetch(server.root .. "/" .. path).body
    end)
    assert.same({ "slow", "slow", "slow", "slow" }, bodies)
    assert.is_true(clock() - began < 1.1)
    local handle = fetch(server.root, { async = true })
    local other = fetch(server.root, { async = true })
    assert.is_true(handle:cancel())
    raised("cancelled", function()
      handle:await()
    end)
    assert.equal("slow", other:await().body)
    assert.equal(
      "slow",
      zigllms.run(function()
        return fetch(server.root).body
      end)
    )
  end)

  it("overlaps with other calls of a round", function()
    server:as_default(zigllms)()
    allow({ "127.0.0.1" })
    local calls = {}
    for i = 1, 4 do
      calls[i] = { "c" .. i, "http_request", ('{"url":"%s/%d"}'):format(server.root, i) }
    end
    local slow = { delay_ms = 500, body = "slow" }
    server:script(scripted.calls(calls), slow, slow, slow, slow, scripted.text("read"))
    local agent = zigllms.agent.create({ tools = { "http_request" } })
    local began = clock()
    assert.equal("read", zigllms.agent.run(agent, "read them").content)
    assert.is_true(clock() - began < 1.5)
    zigllms.configure({ default_provider = zigllms.null })
  end)

  it("serves a model", function()
    server:as_default(zigllms)()
    allow({ "127.0.0.1" })
    local arguments = ('{"url":"%s/page"}'):format(server.root)
    server:script(
      scripted.calls({ { "c1", "http_request", arguments } }),
      { body = "the page" },
      scripted.text("read")
    )
    local agent = zigllms.agent.create({ tools = { "http_request" } })
    assert.equal("read", zigllms.agent.run(agent, "read it").content)
    local messages = server:requests()[3].messages
    assert.truthy(messages[#messages].content:find("the page", 1, true))
    zigllms.configure({ default_provider = zigllms.null })
  end)
end)
