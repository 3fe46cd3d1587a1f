-- detach=true: work that outlives the call, and the handle, it was started with.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local model = scripted.new()

local function chat(options)
  options = options or {}
  options.provider = "openai"
  return zigllms.provider.chat("hi", options)
end

describe("a detached call", function()
  before_each(function()
    model:begin()
    model:script(scripted.text("fine", { delay_ms = 100 }))
  end)

  teardown(zigllms.reset)

  it("is a handle at once, to be awaited or asked", function()
    local handle = chat({ detach = true })
    assert.equal("running", handle:status())
    assert.equal("fine", handle:await().content)
    assert.equal("fine", handle:result().content)
  end)

  it("goes on when its handle is out of reach", function()
    local far = scripted.new("openai", { transport = "http" })
    far:script(scripted.text("fine", { delay_ms = 100 }))
    chat({ detach = true })
    collectgarbage()
    collectgarbage()
    zigllms.run()
    assert.is_nil(far.mock:last_call().gone_after_ms)
    assert.equal(1, zigllms.provider.get("openai").requests)
  end)

  it("outlives the time limit and the cancel of the call around it", function()
    local inner
    local id = zigllms.tool.register({
      name = "starts",
      timeout_ms = 20,
      execute = function()
        inner = chat({ detach = true })
        zigllms.sleep(1000)
      end,
    })
    local outer = zigllms.tool.execute(id, {}, { async = true })
    outer:cancel()
    assert.equal("cancelled", outer:status())
    assert.equal("fine", inner:await().content)
  end)

  it("outlives a call around it that nobody can see any more", function()
    local inner
    local id = zigllms.tool.register({
      name = "starts",
      execute = function()
        inner = chat({ detach = true })
        zigllms.sleep(60000)
      end,
    })
    zigllms.tool.execute(id, {}, { async = true })
    collectgarbage()
    collectgarbage()
    assert.equal("fine", inner:await().content)
  end)

  it("can be cancelled by itself", function()
    local handle = chat({ detach = true })
    assert.is_true(handle:cancel("enough"))
    assert.equal("enough", raised("cancelled", zigllms.await, handle).details.reason)
  end)

  it("has a time limit of its own", function()
    raised("timeout", zigllms.await, chat({ detach = true, timeout_ms = 20 }))
  end)

  it("has no callbacks", function()
    raised("unsupported", function()
      chat({ detach = true }):on(print)
    end)
    raised("invalid_argument", chat, { detach = true, stream = print })
    raised("invalid_argument", chat, { detach = true, stream = true })
    raised(
      "invalid_argument",
      zigllms.provider.stream,
      "hi",
      { provider = "openai", detach = true }
    )
    raised("invalid_argument", zigllms.provider.stream, "hi", print, { detach = true })
  end)
end)
