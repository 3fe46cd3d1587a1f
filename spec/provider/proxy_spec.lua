-- Requests through a proxy, whose password nobody sees.
local cjson = require("cjson")
local program = require("spec.support.program")
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider = zigllms.provider
local text = scripted.text

local server = scripted.start()
local proxy = scripted.start("proxy.py")

local function url(user)
  return "http://" .. (user and user .. "@" or "") .. "127.0.0.1:" .. proxy.port
end

describe("a proxy", function()
  before_each(function()
    server:as_default(zigllms)()
    proxy:ask("deny 0")
  end)

  teardown(function()
    server:retired(zigllms)()
    proxy:stop()
  end)

  it("of a provider is a tunnel to its server", function()
    provider.configure("openai", { proxy = url() })
    server:script(text("through"))
    assert.equal("through", provider.chat("hi").content)
    local seen = proxy:journal()
    assert.equal(1, #seen)
    assert.equal("CONNECT 127.0.0.1:" .. server.port .. " HTTP/1.1", seen[1].line)
    assert.is_nil(seen[1].headers.authorization)
    assert.is_nil(server:journal()[1].headers["proxy-authorization"])
    assert.equal("Bearer test", server:journal()[1].headers.authorization)
  end)

  it("gets its user and password", function()
    provider.configure("openai", { proxy = url("me:pass%20word") })
    server:script(text("ok"))
    provider.chat("hi")
    -- "me:pass word" in base64.
    local said = proxy:journal()[1].headers["proxy-authorization"]
    assert.equal("Basic bWU6cGFzcyB3b3Jk", said)
    assert.is_nil(server:journal()[1].headers["proxy-authorization"])
  end)

  it("that refuses is a network error without its password", function()
    provider.configure("openai", { proxy = url("me:proxy-canary") })
    for _, status in ipairs({ 403, 407, 502 }) do
      proxy:ask("deny " .. status)
      local err = raised("network", provider.chat, "hi")
      local all = tostring(err) .. cjson.encode(err.details or {})
      assert.is_nil(all:find("canary", 1, true), all)
      assert.is_nil(all:find("bWU6", 1, true), all)
    end
  end)

  it("that is not there is a network error, and one is tried again", function()
    provider.configure("openai", { proxy = (server:refused():gsub("/v1$", "")) })
    local err = raised("network", provider.chat, "hi", { retry = { initial_delay_ms = 1 } })
    assert.equal(3, err.attempts)
    assert.is_true(err.retryable)
  end)

  it("is shown by no info and no error", function()
    provider.configure("openai", { proxy = url("me:proxy-canary") })
    zigllms.configure({ http = { proxy = url("me:proxy-canary") } })
    local function hidden(value)
      assert.is_nil(cjson.encode(value):find("canary", 1, true))
    end
    hidden(provider.get("openai"))
    hidden(provider.list())
    hidden(zigllms.config())
    zigllms.configure({ http = { proxy = zigllms.null } })
    for _, bad in ipairs({ "http://me:proxy-canary@h:x:y", "socks5://me:proxy-canary@h:1" }) do
      provider.configure("openai", { proxy = bad })
      local err = raised("invalid_argument", provider.chat, "hi")
      assert.truthy(err.message:find("proxy", 1, true))
      assert.is_nil(tostring(err):find("canary", 1, true))
    end
  end)

  it("is the nearest that is configured; false is none", function()
    zigllms.configure({ http = { proxy = url() } })
    -- Another name for the same server: no connection to it is open yet.
    provider.configure("openai", { base_url = "http://localhost:" .. server.port .. "/v1" })
    server:script(text("a"), text("b"))
    provider.chat("hi")
    assert.equal(1, #proxy:journal())
    provider.configure("openai", { proxy = false })
    provider.chat("hi")
    assert.equal(1, #proxy:journal())
    zigllms.configure({ http = { proxy = zigllms.null } })
  end)

  it("of the environment is not asked for what is on this machine", function()
    server:script(text("direct"))
    local chunk = ([[
      local provider = require("zigllms").provider
      provider.configure("openai", { base_url = %q, api_key = "k" })
      print(provider.chat("hi", { provider = "openai" }).content)
    ]]):format(server.url)
    local under = ("env HTTP_PROXY=%s http_proxy=%s ALL_PROXY=%s"):format(url(), url(), url())
    assert.equal("direct\n", program.run(chunk, { under = under }).out)
    assert.equal(0, #proxy:journal())
  end)
end)
