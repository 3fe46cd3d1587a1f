-- Whom TLS trusts, with an authority made for this spec: what is wrong is said, never passed over.
local zigllms = require("zigllms")
local faults = require("spec.support.faults")
local program = require("spec.support.program")
local raised = require("spec.support.raised")

local provider = zigllms.provider

if not program.has("openssl") then
  print("no openssl: the specs of TLS are skipped")
  return pending("TLS needs the openssl program")
end

local server = faults.start()
local w = faults.wires[1]
local folder = os.tmpname()

local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)provider/[^/]*$") or "spec/"

local function file(name)
  return folder .. "/" .. name .. ".pem"
end

-- A port whose server has this certificate.
local function port_of(name, max)
  return server:listen({ cert = file(name), key = folder .. "/" .. name .. ".key", max = max })
end

local function provider_at(port, config)
  config = config or {}
  config.type, config.api_key, config.model = "openai", "sk-test-key", "m"
  config.base_url = (config.base_url or "https://127.0.0.1:") .. port .. "/v1"
  config.retry = { initial_delay_ms = 1 }
  return provider.create(config)
end

local function answers(times, answer)
  local script = {}
  for i = 1, times do
    script[i] = answer or { w.answer }
  end
  server:script(script)
end

describe("TLS", function()
  setup(function()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local made = os.execute(here .. "fixtures/certificates.sh " .. folder .. " >/dev/null 2>&1")
    assert(made == true or made == 0, "openssl made no certificates")
  end)

  before_each(zigllms.reset)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ http = { ca = zigllms.null } })
    server:stop()
    os.execute("rm -r " .. folder)
  end)

  it("trusts the authority that `ca` names, of a provider or of all", function()
    answers(3)
    local port = port_of("good")
    local id = provider_at(port, { ca = file("authority") })
    assert.equal("so far", provider.chat("hi", { provider = id }).content)
    zigllms.configure({ http = { ca = file("authority") } })
    id = provider_at(port)
    assert.equal("so far", provider.chat("hi", { provider = id }).content)
    zigllms.configure({ http = { ca = zigllms.null } })
    id = provider_at(port)
    assert.equal(
      "unknown_issuer",
      raised("network", provider.chat, "hi", { provider = id }).details.reason
    )
  end)

  -- {certificate, reason, part of the message}
  local REFUSED = {
    { "expired", "expired", "expired" },
    { "future", "not_yet_valid", "not valid yet" },
    { "other", "wrong_host", "127.0.0.1" },
    { "itself", "unknown_issuer", "ca" },
  }

  it("tells apart why a server is not trusted, and sends it nothing", function()
    local messages = {}
    for _, row in ipairs(REFUSED) do
      answers(3)
      local id = provider_at(port_of(row[1]), { ca = file("authority") })
      local said
      for _, ask in ipairs({
        function()
          return provider.chat("hi", { provider = id })
        end,
        function()
          return provider.stream("hi", print, { provider = id })
        end,
      }) do
        local err = raised("network", ask)
        assert.equal(row[2], err.details.reason)
        assert.truthy(err.message:find("^TLS failed: "), err.message)
        assert.truthy(err.message:find(row[3], 1, true), err.message)
        assert.equal(1, err.attempts)
        assert.is_false(err.retryable)
        said = err.message
      end
      assert.is_nil(messages[said])
      messages[said] = true
      assert.equal(0, #server:journal())
    end
  end)

  it("trusts no authority of its own making, wherever roots come from", function()
    answers(3)
    local port = port_of("good")
    for _, roots in ipairs({ "platform", "webpki" }) do
      local id = provider_at(port, { ca = roots })
      local err = raised("network", provider.chat, "hi", { provider = id })
      assert.equal("unknown_issuer", err.details.reason)
    end
    assert.equal(0, #server:journal())
  end)

  it("has no switch that makes it trust anybody", function()
    for _, key in ipairs({ "insecure", "verify", "ssl_verify", "tls_verify", "skip_verify" }) do
      raised("invalid_argument", provider.create, { type = "openai", [key] = false })
    end
  end)

  it("trusts what SSL_CERT_FILE names", function()
    answers(2)
    local chunk = [[
      local port, ca = ...
      local provider = require("zigllms").provider
      local id = provider.create({
        type = "openai", api_key = "sk-test-key", model = "m", retry = false,
        ca = ca ~= "" and ca or nil,
        base_url = "https://127.0.0.1:" .. port .. "/v1",
      })
      print(provider.chat("hi", { provider = id }).content)
    ]]
    local port = port_of("good")
    local env = { SSL_CERT_FILE = file("authority") }
    local result = program.run(chunk, { args = { port, "" }, env = env })
    assert.equal("so far\n", result.out, result.err)
    result = program.run(chunk, { args = { port, "webpki" }, env = env })
    assert.truthy(result.err:find("UnknownIssuer", 1, true), result.out .. result.err)
    env = { SSL_CERT_FILE = file("itself") }
    result = program.run(chunk, { args = { port, "" }, env = env })
    assert.truthy(result.err:find("UnknownIssuer", 1, true), result.out .. result.err)
  end)

  it("is 1.2 at least", function()
    answers(4)
    local trust = { ca = file("authority") }
    local id = provider_at(port_of("good", "TLSv1_2"), trust)
    assert.equal("so far", provider.chat("hi", { provider = id }).content)
    for _, version in ipairs({ "TLSv1", "TLSv1_1" }) do
      id = provider_at(port_of("good", version), { ca = file("authority") })
      local err = raised("network", provider.chat, "hi", { provider = id })
      assert.equal("version", err.details.reason)
      assert.equal(1, err.attempts)
    end
    assert.equal(1, #server:journal())
  end)

  it("is not what a plain server speaks", function()
    answers(3, { faults.whole("400 Bad request", "what?") })
    local id = provider_at(server.port, { ca = file("authority") })
    local err = raised("network", provider.chat, "hi", { provider = id })
    assert.equal("not_tls", err.details.reason)
    assert.truthy(err.message:find("http://", 1, true), err.message)
    assert.equal(1, err.attempts)
  end)

  it("is not what a plain URL asks for", function()
    answers(3)
    local id = provider_at(port_of("good"), { base_url = "http://127.0.0.1:" })
    assert.equal("network", raised("network", provider.chat, "hi", { provider = id }).code)
    assert.equal(0, #server:journal())
    -- Other servers say it in their own words first.
    answers(3, { "\21\3\3\0\2\2\22", { wait = 20 } })
    id = provider_at(server.port, { base_url = "http://127.0.0.1:" })
    local err = raised("bad_response", provider.chat, "hi", { provider = id })
    assert.truthy(err.message:find("https://", 1, true), err.message)
    assert.equal(1, err.attempts)
  end)

  it("needs a file with certificates", function()
    answers(1)
    for _, name in ipairs({
      folder .. "/none.pem",
      folder .. "/good.csr",
      folder .. "/good.key",
      folder,
    }) do
      local id = provider_at(port_of("good"), { ca = name })
      local err = raised("invalid_argument", provider.chat, "hi", { provider = id })
      assert.truthy(err.message:find(name, 1, true), err.message)
    end
  end)

  it("that ends without a word has cut the answer", function()
    answers(3, { faults.STREAM .. faults.chunks(w.part), { reset = true } })
    local id = provider_at(port_of("good"), { ca = file("authority") })
    local err = raised("network", provider.stream, "hi", function() end, { provider = id })
    assert.equal("so far", err.partial.content)
    assert.is_true(err.retryable)
  end)
end)
