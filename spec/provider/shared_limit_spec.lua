-- Limits that several processes share: counted in the store.
local processes = require("spec.support.processes")
local raised = require("spec.support.raised")
local redis = require("spec.support.redis")
local scripted = require("spec.support.server")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local provider = zigllms.provider
local text = scripted.text

local server = scripted.start()

-- Each of four processes sends as much as it may.
local SENDING = [[
  local provider = zigllms.provider
  provider.configure("openai", { base_url = "%s", api_key = "k", retry = false, rate_limit = {
    requests_per_minute = 10, shared = true, on_limit = "raise",
  } })
  local sent, refused = 0, 0
  for _ = 1, 8 do
    local ok, err = pcall(provider.chat, "hi", { provider = "openai", model = "m" })
    if ok then
      sent = sent + 1
    else
      assert(err.code == "rate_limited" and err.retry_after_ms > 50000, tostring(err))
      refused = refused + 1
    end
  end
  print(sent, refused)
]]

local function described(name, store_of)
  describe("a limit that is shared through " .. name, function()
    local store, over

    before_each(function()
      zigllms.reset()
      store, over = store_of()
      zigllms.configure({ store = store, default_provider = "openai" })
      local reply = text("ok", { usage = scripted.usage(2, 1) })
      reply["repeat"] = true
      server:script(reply)
    end)

    after_each(function()
      zigllms.reset()
      zigllms.configure({ store = zigllms.null })
      over()
    end)

    local function limit(rate)
      rate.shared = true
      provider.configure("openai", { base_url = server.url, api_key = "k", rate_limit = rate })
    end

    it("lets four processes send no more than one", function()
      local sent, refused = 0, 0
      for _, line in ipairs(processes(4, store, SENDING:format(server.url))) do
        local a, b = line:match("(%d+)%s+(%d+)")
        sent, refused = sent + a, refused + b
      end
      assert.same({ 10, 22 }, { sent, refused })
      assert.equal(10, server:count())
    end)

    it("is one limit for two instances, and one for each key", function()
      limit({ requests_per_minute = 1, on_limit = "raise" })
      local other = zigllms.new({ store = store, default_provider = "openai" })
      other.provider.configure("openai", {
        base_url = server.url,
        api_key = "k",
        rate_limit = { requests_per_minute = 1, shared = true, on_limit = "raise" },
      })
      assert.equal("ok", provider.chat("hi").content)
      local err = raised("rate_limited", other.provider.chat, "hi")
      assert.is_true(err.retry_after_ms > 50000 and err.retry_after_ms <= 60001)
      local mine = { requests_per_minute = 1, shared = true, on_limit = "raise", key = "ann" }
      assert.equal("ok", other.provider.chat("hi", { rate_limit = mine }).content)
    end)

    it("counts tokens as they turn out: what was expected makes room again", function()
      limit({ tokens_per_minute = 100, on_limit = "raise" })
      for _ = 1, 5 do
        assert.equal("ok", provider.chat("hi", { max_tokens = 60 }).content)
      end
      raised("rate_limited", provider.chat, "hi", { max_tokens = 90 })
    end)

    it("waits where it is to wait, and can be cancelled there", function()
      limit({ requests_per_minute = 1 })
      provider.chat("hi")
      local handle = provider.chat("hi", { async = true })
      assert.is_false(handle:wait(100))
      handle:cancel("enough")
      raised("cancelled", handle.await, handle)
      assert.equal(1, server:count())
    end)
  end)
end

described("a file", function()
  local folder = stores.directory()
  return folder .. "/store.db", function()
    stores.remove(folder)
  end
end)

describe("Redis", function()
  local running = redis.for_specs()
  if not running then
    return
  end

  teardown(function()
    running:stop()
  end)

  described("Redis", function()
    running:command("FLUSHALL")
    return running.url, function() end
  end)
end)

describe("a shared limit", function()
  before_each(function()
    zigllms.reset()
  end)

  it("without a store holds in this process", function()
    server:script(text("ok"), text("ok"))
    local rate = { requests_per_minute = 1, shared = true, on_limit = "raise" }
    local function instance()
      local ai = zigllms.new({ default_provider = "openai" })
      ai.provider.configure("openai", { base_url = server.url, api_key = "k", rate_limit = rate })
      return ai.provider
    end
    assert.equal("ok", instance().chat("hi").content)
    raised("rate_limited", instance().chat, "hi")
  end)

  it("says so when the store cannot be asked, and sends nothing", function()
    local folder = stores.directory()
    local ai = zigllms.new({ store = folder .. "/nowhere/store.db", default_provider = "openai" })
    server:script(text("ok"))
    ai.provider.configure("openai", {
      base_url = server.url,
      api_key = "k",
      rate_limit = { requests_per_minute = 1, shared = true },
    })
    raised("io_error", ai.provider.chat, "hi")
    assert.equal(0, server:count())
    stores.remove(folder)
  end)

  teardown(function()
    server:stop()
  end)
end)
