-- OpenAI's Responses, through the public door.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

require("spec.support.every_wire")(wires.responses, {
  describe = describe,
  it = it,
  before_each = before_each,
  teardown = teardown,
})

local provider = zigllms.provider
local wire = wires.responses
local server = scripted.start()
local ask = server:asked_by(provider, wire)

describe("responses", function()
  before_each(server:as_default(zigllms, wire.config(server)))
  teardown(server:retired(zigllms))

  it("sends every option under its name", function()
    local body = ask("hi", {
      model = "gpt-x",
      temperature = 0.5,
      top_p = 0.5,
      max_tokens = 9,
      reasoning = "high",
      tools = { { name = "f", description = "d", parameters = { a = "string" } } },
      tool_choice = { name = "f" },
      parallel_tool_calls = false,
      extra = { store = false },
    })
    assert.equal("gpt-x", body.model)
    assert.same({ 0.5, 0.5, 9, "high", false, false }, {
      body.temperature,
      body.top_p,
      body.max_output_tokens,
      body.reasoning.effort,
      body.parallel_tool_calls,
      body.store,
    })
    assert.same({ type = "function", name = "f" }, body.tool_choice)
    assert.equal("f", body.tools[1].name)
    assert.is_true(body.stream)
  end)

  it("refuses what it cannot say, before anything is sent", function()
    server:script()
    for _, options in ipairs({
      { seed = 1 },
      { stop = "x" },
      { top_k = 1 },
      { presence_penalty = 1 },
      { frequency_penalty = 1 },
      { prompt_cache = "1h" },
    }) do
      raised("unsupported", provider.chat, "hi", options)
    end
    assert.equal(0, server:count())
  end)

  it("takes images and documents", function()
    local content = ask({
      {
        role = "user",
        content = {
          { type = "text", text = "see", cache = true },
          { type = "image", data = "\137PNG", detail = "low" },
          { type = "document", url = "https://example.com/a.pdf" },
          { type = "document", data = "words", name = "w.txt" },
        },
      },
    }).input[1].content
    assert.equal(4, #content)
    assert.same(
      { "data:image/png;base64,iVBORw==", "low" },
      { content[2].image_url, content[2].detail }
    )
    assert.equal("https://example.com/a.pdf", content[3].file_url)
    assert.equal("data:text/plain;base64,d29yZHM=", content[4].file_data)
  end)

  it("says answers that were cut off or filtered as such", function()
    local reasons = { max_output_tokens = "length", content_filter = "content_filter" }
    for reason, finish in pairs(reasons) do
      local cut = wire.document("so f")
      cut.json.status = "incomplete"
      cut.json.incomplete_details = { reason = reason }
      server:script(cut)
      local response = provider.chat("hi")
      assert.equal(finish, response.finish_reason)
      assert.equal("incomplete", response.native_finish_reason)
    end
  end)

  it("is chosen for one call, or for chat again", function()
    provider.configure("openai", { api = "chat" })
    server:script(scripted.text("chat"))
    assert.equal("chat", provider.chat("hi").content)
    assert.equal("/v1/chat/completions", server:journal()[1].path)
    server:script(wire.text("responses"))
    local config = wire.config(server)
    assert.equal("responses", provider.chat("hi", { provider = config, model = "m" }).content)
  end)
end)
