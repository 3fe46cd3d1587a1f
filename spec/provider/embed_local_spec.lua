-- Embeddings and token counts of the engine inside the module. They need a module with the cargo
-- feature `local` and a model file in ZIGLLMS_TEST_GGUF; without them the spec says so.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")

local path = os.getenv("ZIGLLMS_TEST_GGUF")

local function missing()
  if not zigllms.info().features["local"] then
    return "this module has no embedded engine (make test-local)"
  elseif not path or not io.open(path) then
    return "ZIGLLMS_TEST_GGUF names no model file (make model)"
  end
end

local function dot(a, b)
  local sum = 0
  for i = 1, #a do
    sum = sum + a[i] * b[i]
  end
  return sum
end

describe("a model inside the module", function()
  local why = missing()
  if why then
    print("SKIP embed_local_spec: " .. why)
    it("is skipped: " .. why, function() end)
    return
  end

  local ai, model, provider

  before_each(function()
    ai = zigllms.new()
    provider = ai.provider
    model = provider.create({ type = "local", name = "tiny", model_path = path })
  end)

  it("says what it can", function()
    local capabilities = provider.get(model).capabilities
    assert.is_true(capabilities.embeddings)
    assert.is_true(capabilities.count_tokens)
    assert.is_true(capabilities.json_schema)
    assert.is_false(capabilities.vision)
    assert.equal(path:match("([^/]*)%.gguf$"), provider.get(model).embed_model)
  end)

  it("makes vectors of texts, the same ones each time", function()
    local texts =
      { "The cat sleeps on the sofa.", "A cat is sleeping on a couch.", "Tax law of 1962" }
    local result = provider.embed(texts, { provider = model })
    assert.equal(3, #result.embeddings)
    local a, b, c = result.embeddings[1], result.embeddings[2], result.embeddings[3]
    assert.equal(result.dimensions, #a)
    assert.is_true(result.dimensions > 100)
    for _, vector in ipairs(result.embeddings) do
      assert.is_true(math.abs(dot(vector, vector) - 1) < 1e-9)
    end
    assert.is_true(dot(a, b) > dot(a, c))
    assert.is_true(result.usage.prompt_tokens > 10)
    assert.is_nil(result.usage.estimated)
    local alone = provider.embed(texts[2], { provider = model, async = true }):await()
    assert.same(b, alone.embeddings[1])
  end)

  it("takes what it can, and says what it cannot", function()
    local err = raised("context_length", provider.embed, ("word "):rep(20000), { provider = model })
    assert.truthy(err.message:find("tokens", 1, true), err.message)
    for key, value in pairs({ input_type = "x", dimensions = 8, extra = { a = 1 } }) do
      err = raised("unsupported", provider.embed, "a", { provider = model, [key] = value })
      assert.truthy(err.message:find(key, 1, true), err.message)
    end
    -- And still chats.
    local options = { provider = model, max_tokens = 4, temperature = 0 }
    assert.is_true(#provider.chat("Say hello.", options).content > 0)
  end)

  it("ends an embedding that is cancelled", function()
    local texts = {}
    for i = 1, 60 do
      texts[i] = ("some words "):rep(20) .. i
    end
    local handle = provider.embed(texts, { provider = model, async = true })
    ai.sleep(30)
    assert.is_true(handle:cancel())
    raised("cancelled", handle.await, handle)
    assert.equal(1, #provider.embed("a", { provider = model }).embeddings)
  end)

  it("counts tokens exactly, of texts and of conversations with their template", function()
    local tokens, exact = provider.count_tokens("Hello world", { provider = model })
    assert.is_true(exact)
    assert.is_true(tokens >= 2 and tokens <= 4)
    local messages = { { role = "user", content = "Hello world" } }
    local handle = provider.count_tokens(messages, { provider = model, async = true })
    local whole, also_exact = handle:await()
    assert.is_true(also_exact)
    assert.is_true(whole > tokens)
    -- What a chat then reports.
    local response = provider.chat(messages, { provider = model, max_tokens = 1 })
    assert.equal(whole, response.usage.prompt_tokens)
  end)

  it("tells who keeps its answers to a format", function()
    local options = { provider = model, max_tokens = 40, temperature = 0 }
    options.schema = { type = "object", properties = { a = { enum = { 1 } } }, required = { "a" } }
    assert.equal("strict", provider.chat("Say a.", options).structured)
  end)

  it("costs what it is said to cost", function()
    local name = path:match("([^/]*)%.gguf$")
    provider.configure(model, { prices = { [name] = { input = 1, output = 1 } } })
    local options = { provider = model, max_tokens = 2 }
    local response = provider.chat("Say hello.", options)
    assert.equal(response.usage.total_tokens / 1e6, response.cost)
  end)
end)
