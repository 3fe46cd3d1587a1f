-- Cohere's chat, through the public door.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

require("spec.support.every_wire")(wires.cohere, {
  describe = describe,
  it = it,
  before_each = before_each,
  teardown = teardown,
})

local provider = zigllms.provider
local wire = wires.cohere
local server = scripted.start()
local ask = server:asked_by(provider, wire)

describe("cohere", function()
  before_each(server:as_default(zigllms, wire.config(server)))
  teardown(server:retired(zigllms))

  it("sends every option under its name", function()
    local body = ask("hi", {
      temperature = 0.5,
      top_p = 0.25,
      top_k = 3,
      max_tokens = 9,
      stop = "x",
      seed = 7,
      presence_penalty = 0.5,
      frequency_penalty = 0.75,
      reasoning = "none",
      tools = { { name = "f", description = "d", parameters = { a = "string" } } },
      tool_choice = "required",
    })
    assert.equal("command-a-03-2025", body.model)
    assert.same({ 0.5, 0.25, 3, 9, "x", 7, 0.5, 0.75, "disabled", "REQUIRED" }, {
      body.temperature,
      body.p,
      body.k,
      body.max_tokens,
      body.stop_sequences[1],
      body.seed,
      body.presence_penalty,
      body.frequency_penalty,
      body.thinking.type,
      body.tool_choice,
    })
  end)

  it("refuses what it cannot say, before anything is sent", function()
    server:script()
    local tools = { { name = "f", description = "d", parameters = { a = "string" } } }
    for _, options in ipairs({
      { tools = tools, tool_choice = { name = "f" } },
      { tools = tools, parallel_tool_calls = false },
      { prompt_cache = "1h" },
    }) do
      raised("unsupported", provider.chat, "hi", options)
    end
    local document = { type = "document", data = "words" }
    raised("unsupported", provider.chat, { { role = "user", content = { document } } })
    assert.equal(0, server:count())
  end)

  it("takes images", function()
    local content = ask({
      { role = "user", content = { { type = "image", data = "\137PNG" } } },
    }).messages[1].content
    assert.equal("data:image/png;base64,iVBORw==", content[1].image_url.url)
  end)

  it("takes a plan for thinking", function()
    local planned = wire.document("")
    planned.json.message.tool_plan = "I will look"
    server:script(planned)
    local response = provider.chat("hi")
    assert.equal("I will look", response.thinking)
    assert.equal("", response.content)
  end)
end)
