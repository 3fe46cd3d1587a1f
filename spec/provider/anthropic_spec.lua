-- Anthropic's Messages, through the public door.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

require("spec.support.every_wire")(wires.messages, {
  describe = describe,
  it = it,
  before_each = before_each,
  teardown = teardown,
})

local provider = zigllms.provider
local wire = wires.messages
local server = scripted.start()
local ask = server:asked_by(provider, wire)

describe("anthropic", function()
  before_each(server:as_default(zigllms, wire.config(server)))
  teardown(server:retired(zigllms))

  it("needs a key, and a version that it has", function()
    local body, headers = ask("hi")
    assert.equal("2023-06-01", headers["anthropic-version"])
    assert.is_nil(headers.authorization)
    assert.equal("claude-sonnet-4-5", body.model)
    assert.equal(64000, body.max_tokens)
    headers = select(2, ask("hi", { headers = { ["anthropic-version"] = "2099-01-01" } }))
    assert.equal("2099-01-01", headers["anthropic-version"])
    provider.configure("anthropic", { api_version = "2024-01-01" })
    headers = select(2, ask("hi"))
    assert.equal("2024-01-01", headers["anthropic-version"])
    if not os.getenv("ANTHROPIC_API_KEY") then
      provider.configure("anthropic", { api_key = zigllms.null })
      local err = raised("auth", provider.chat, "hi")
      assert.truthy(err.message:find("ANTHROPIC_API_KEY", 1, true))
    end
  end)

  it("takes images and documents, by bytes, by URL and by path", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "wb"))
    file:write("%PDF-1.4 \255\254")
    file:close()
    local content = ask({
      {
        role = "user",
        content = {
          { type = "image", data = "\137PNG\r\n\26\n\255" },
          { type = "image", data = "R0lGOA==", encoding = "base64", detail = "low" },
          { type = "image_url", image_url = { url = "https://example.com/a.png" } },
          { type = "document", path = name, name = "paper" },
          { type = "document", data = "just words" },
        },
      },
    }).messages[1].content
    os.remove(name)
    assert.same({
      { type = "base64", media_type = "image/png", data = "iVBORw0KGgr/" },
      { type = "base64", media_type = "image/gif", data = "R0lGOA==" },
      { type = "url", url = "https://example.com/a.png" },
      { type = "base64", media_type = "application/pdf", data = "JVBERi0xLjQg//4=" },
      { type = "text", media_type = "text/plain", data = "just words" },
    }, {
      content[1].source,
      content[2].source,
      content[3].source,
      content[4].source,
      content[5].source,
    })
    assert.equal("paper", content[4].title)
    local missing = { { role = "user", content = { { type = "image", path = "/nowhere.png" } } } }
    local err = raised("io_error", provider.chat, missing)
    assert.truthy(err.message:find("messages[1].content[1].path", 1, true), err.message)
  end)

  it("lets an agent see what it is shown, in later turns too", function()
    local bytes = "\137PNG\255\0\1"
    local who = zigllms.agent.create({ provider = "anthropic" })
    server:script(wire.text("a dot"), wire.text("still a dot"))
    local shown = { { type = "text", text = "see" }, { type = "image", data = bytes } }
    zigllms.agent.run(who, { role = "user", content = shown })
    zigllms.agent.run(who, "and now?")
    local message = server:requests()[2].messages[1]
    assert.same(
      { type = "base64", media_type = "image/png", data = "iVBOR/8AAQ==" },
      message.content[2].source
    )
    -- Elsewhere a string has to be text.
    raised("conversion_error", provider.chat, { { role = "user", content = bytes } })
    local options = { metadata = { data = bytes } }
    raised("conversion_error", provider.chat, "hi", options)
  end)

  it("marks what may be cached", function()
    local body = ask({
      { role = "system", content = "long", cache = true },
      {
        role = "user",
        content = { { type = "text", text = "a", cache = "1h" }, { type = "text", text = "b" } },
      },
    }, { prompt_cache = true })
    assert.same({ type = "ephemeral" }, body.system[1].cache_control)
    assert.same({ type = "ephemeral", ttl = "1h" }, body.messages[1].content[1].cache_control)
    assert.is_nil(body.messages[1].content[2].cache_control)
    assert.same({ type = "ephemeral" }, body.cache_control)
    local err =
      raised("invalid_argument", provider.chat, { { role = "user", content = "x", cache = 5 } })
    assert.truthy(err.message:find("messages[1].cache", 1, true), err.message)
  end)

  it("refuses what it cannot say, before anything is sent", function()
    server:script()
    for _, options in ipairs({
      { seed = 1 },
      { presence_penalty = 1 },
      { frequency_penalty = 1 },
      { temperature = 1.5 },
      { reasoning = "high", model = "claude-3-5-haiku-latest" },
    }) do
      raised("unsupported", provider.chat, "hi", options)
    end
    assert.equal(0, server:count())
    raised("unsupported", provider.create, { type = "anthropic", api = "responses" })
  end)

  it("thinks as much as it is told", function()
    assert.equal("enabled", ask("hi", { reasoning = "low" }).thinking.type)
    assert.equal("disabled", ask("hi", { reasoning = "none" }).thinking.type)
    local body = ask("hi", { reasoning = "high", model = "claude-opus-4-7" })
    assert.equal("adaptive", body.thinking.type)
    assert.equal("high", body.output_config.effort)
  end)

  it("goes on after a pause, with all blocks given back", function()
    local block =
      { type = "server_tool_use", id = "s1", name = "web_search", input = { query = "x" } }
    local paused = wire.document("looking")
    paused.json.stop_reason = "pause_turn"
    table.insert(paused.json.content, block)
    server:script(paused, wire.text("found"))
    local who = zigllms.agent.create({ provider = "anthropic" })
    assert.equal("found", zigllms.agent.run(who, "find x").content)
    local back = server:requests()[2].messages[2]
    assert.equal("assistant", back.role)
    assert.same({ "looking", block }, { back.content[1].text, back.content[2] })
  end)

  it("says refused answers as filtered ones", function()
    local refused = wire.document("I would rather not")
    refused.json.stop_reason = "refusal"
    server:script(refused)
    local response = provider.chat("hi")
    assert.equal("content_filter", response.finish_reason)
    assert.equal("refusal", response.native_finish_reason)
  end)

  it("keeps what another protocol left in a conversation to itself", function()
    local body = ask({
      { role = "user", content = "a" },
      { role = "assistant", content = "b", blocks = { chat = { reasoning_content = "hidden" } } },
      { role = "user", content = "c" },
    })
    assert.equal("b", body.messages[2].content)
  end)
end)
