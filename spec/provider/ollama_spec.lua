-- Ollama's own chat, through the public door.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

require("spec.support.every_wire")(wires.ollama, {
  describe = describe,
  it = it,
  before_each = before_each,
  teardown = teardown,
})

local provider = zigllms.provider
local wire = wires.ollama
local server = scripted.start()
local ask = server:asked_by(provider, wire)

local CONFIG =
  { type = "ollama", api = "ollama", base_url = server.url, model = "m", retry = false }

describe("ollama", function()
  before_each(server:as_default(zigllms, CONFIG))
  teardown(server:retired(zigllms))

  it("sends every option under its name, its own ones beside them", function()
    local body = ask("hi", {
      temperature = 0.5,
      top_p = 0.25,
      top_k = 3,
      max_tokens = 9,
      stop = { "x" },
      seed = 7,
      presence_penalty = 0.5,
      frequency_penalty = 0.75,
      reasoning = "high",
      extra = { keep_alive = "10m", options = { num_ctx = 8192 } },
    })
    assert.same({
      temperature = 0.5,
      top_p = 0.25,
      top_k = 3,
      num_predict = 9,
      stop = { "x" },
      seed = 7,
      presence_penalty = 0.5,
      frequency_penalty = 0.75,
      num_ctx = 8192,
    }, body.options)
    assert.same({ "high", "10m", true }, { body.think, body.keep_alive, body.stream })
  end)

  it("needs no key, and asks the first model it has", function()
    provider.configure("local", { model = zigllms.null })
    server:script({ json = wire.models }, wire.text("ok"))
    assert.equal("ok", provider.chat("hi").content)
    local journal = server:journal()
    assert.equal("/api/tags", journal[1].path)
    assert.equal("b:latest", journal[2].json.model)
    assert.is_nil(journal[2].headers.authorization)
  end)

  it("offers no tools where none may be called, and refuses what it cannot say", function()
    local tools = { { name = "f", description = "d", parameters = { a = "string" } } }
    assert.is_nil(ask("hi", { tools = tools, tool_choice = "none" }).tools)
    assert.equal(1, #ask("hi", { tools = tools, tool_choice = "auto" }).tools)
    server:script()
    for _, options in ipairs({
      { tools = tools, tool_choice = "required" },
      { tools = tools, parallel_tool_calls = false },
    }) do
      raised("unsupported", provider.chat, "hi", options)
    end
    local image = { type = "image_url", image_url = "https://example.com/a.png" }
    raised("unsupported", provider.chat, { { role = "user", content = { image } } })
    assert.equal(0, server:count())
  end)

  it("takes images", function()
    local message = ask({
      {
        role = "user",
        content = { { type = "text", text = "see" }, { type = "image", data = "\137PNG" } },
      },
    }).messages[1]
    assert.same({ "see", { "iVBORw==" } }, { message.content, message.images })
  end)

  it("says when an answer was too long, and when a model is missing", function()
    server:script({ body = (wire.document("so f").body:gsub('"stop"', '"length"')) })
    assert.equal("length", provider.chat("hi").finish_reason)
    server:script(wire.failure(404, 'model "m" not found, try pulling it first'))
    raised("not_found", provider.chat, "hi")
  end)
end)
