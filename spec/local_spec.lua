-- A real model inside the module: needs the cargo feature `local` and a GGUF file.
local loops = require("spec.support.loops")
local seed = require("spec.support.seed")
local zigllms = require("zigllms")

local path = os.getenv("ZIGLLMS_TEST_GGUF")

local function missing()
  if not zigllms.info().features["local"] then
    return "this module was built without the feature `local`"
  elseif not path or not io.open(path) then
    return "ZIGLLMS_TEST_GGUF names no model file (make model)"
  end
end

local llama = require("spec.support.llama_server")
local normal_form = require("spec.support.normal_form")

-- Its grammar makes this model, which calls nothing by itself, print a call.
local CALL = {
  type = "object",
  properties = {
    name = { const = "add" },
    arguments = {
      type = "object",
      properties = { a = { type = "integer" }, b = { type = "integer" } },
      required = { "a", "b" },
      additionalProperties = false,
    },
  },
  required = { "name", "arguments" },
  additionalProperties = false,
}

if not missing() then
  normal_form({
    name = "a real model inside the module",
    real = true,
    images = false,
    seed = true,
    stops = true,
    patience = 5000,
    window = ("word "):rep(3000),
    called = { schema = CALL },
    unsupported = {
      { "tool_choice", "required", tools = true },
      { "parallel_tool_calls", false, tools = true },
      { "reasoning", "high" },
      { "extra", { mirostat = 2 } },
    },
    create = function(config)
      config.type, config.model_path, config.context_length = "local", path, 2048
      config.retry = false
      return zigllms.provider.create(config)
    end,
  }, { describe = describe, it = it, before_each = before_each, teardown = teardown })
end

-- Long answers part at the first tie of two tokens, which each build rounds in its own way.
describe("the same model inside the module and behind a server", function()
  local why = missing() or llama.missing()
  if why then
    print("SKIP a model inside the module and behind a server: " .. why)
    it("is skipped: " .. why, function() end)
    return
  end

  it("reads the same prompt and begins the same answer", function()
    local server = llama.start(2048)
    local ai = zigllms.new()
    local inside = ai.provider.create({ type = "local", model_path = path, context_length = 2048 })
    local behind = ai.provider.create({ type = "llamacpp", base_url = server.url })
    local questions = { "Say hello.", "Name a color.", "Count to five.", "Who are you?" }
    for _, question in ipairs(questions) do
      local options = { temperature = 0, max_tokens = 8, provider = inside }
      local one = ai.provider.chat(question, options)
      options.provider = behind
      local other = ai.provider.chat(question, options)
      assert.equal(one.content, other.content)
      assert.equal(one.finish_reason, other.finish_reason)
      assert.equal(one.usage.prompt_tokens, other.usage.prompt_tokens)
      assert.equal(one.usage.completion_tokens, other.usage.completion_tokens)
    end
    server.stop()
  end)
end)

describe("a model inside the module", function()
  local why = missing()
  if why then
    print("SKIP local_spec: " .. why)
    it("is skipped: " .. why, function() end)
    return
  end

  local ai, model

  before_each(function()
    ai = zigllms.new()
    model = ai.provider.create({ type = "local", name = "tiny", model_path = path })
  end)

  it("streams an answer that equals the whole", function()
    local parts = {}
    local response = ai.provider.stream("Say hello.", function(chunk)
      parts[#parts + 1] = chunk.content
    end, { provider = model, max_tokens = 24, temperature = 0 })
    assert.is_true(#response.content > 0)
    assert.equal(response.content, table.concat(parts))
    assert.is_true(#parts > 2)
    assert.is_true(response.usage.prompt_tokens > 10)
    assert.is_true(response.usage.completion_tokens > 0)
    assert.is_nil(response.usage.estimated)
  end)

  it("answers the same without streaming", function()
    local options = { provider = "tiny", max_tokens = 16, temperature = 0 }
    local plain = ai.provider.chat("Name a color.", options)
    local streamed = ai.provider.stream("Name a color.", function() end, options)
    assert.equal(plain.content, streamed.content)
    assert.equal(
      "length",
      ai.provider.chat("Count to one hundred.", { provider = model, max_tokens = 3 }).finish_reason
    )
  end)

  it("keeps to a JSON schema", function()
    local response = ai.provider.chat("Lena is 25 years old. Who is it?", {
      provider = model,
      temperature = 0,
      max_tokens = 64,
      schema = {
        type = "object",
        properties = { name = { type = "string" }, age = { type = "integer" } },
        required = { "name", "age" },
        additionalProperties = false,
      },
    })
    assert.equal("string", type(response.parsed.name))
    assert.equal("number", type(response.parsed.age))
  end)

  it("runs an agent with a memory", function()
    local agent = ai.agent.create({ provider = model, temperature = 0, max_tokens = 12 })
    local first = ai.agent.run(agent, "Hello")
    local second = ai.agent.run(agent, "And again")
    assert.equal(2, #first.messages)
    assert.is_true(second.usage.prompt_tokens > first.usage.prompt_tokens)
    assert.equal(4, ai.agent.get_info(agent).memory.messages)
  end)

  it("does the work of an agent in the design document's workflow, as written there", function()
    -- The agent asks "openai": nobody listens there, so the model in this process answers. It has
    -- no mind for JSON of its own.
    ai.provider.configure("openai", {
      base_url = "http://127.0.0.1:1/v1",
      api_key = "test",
      retry = false,
      fallback = { { provider = model } },
    })
    ai.hook.register("provider_before_request", function(context)
      context.data.schema = {
        type = "object",
        properties = { total = { type = "integer" } },
        required = { "total" },
        additionalProperties = false,
      }
      context.data.max_tokens = 40
      return context.data
    end)
    local env, printed = seed.run(ai, seed.INTEGRATION .. "\nresult_ = result")
    assert.equal("completed", env.result_.status)
    assert.equal("number", type(env.result_.output.total))
    assert.equal("workflow.completed", printed[#printed][2])
    assert.same(env.result_, ai.memory.retrieve("last_workflow_result"))
  end)

  it("stops within 50 ms and keeps what it has", function()
    local handle = ai.provider.chat(
      "Tell a very long story.",
      { provider = model, async = true, max_tokens = 2000 }
    )
    local deadline = os.time() + 20
    for chunk in handle:iter() do
      if #chunk.content > 0 or os.time() > deadline then
        break
      end
    end
    assert.is_true(handle:cancel("enough"))
    local ok, err = pcall(handle.await, handle)
    assert.is_false(ok)
    assert.equal("cancelled", err.code)
    assert.equal("enough", err.details.reason)
    assert.is_true(#err.partial.content > 0)
  end)

  -- Both phases of the work: a prompt that takes long to read, and an answer that has begun.
  local CANCELLED = [[
    local model = zigllms.provider.create({ type = "local", model_path = %q })
    zigllms.provider.chat("Hello", { provider = model, max_tokens = 1 })
    for _, prompt in ipairs({ ("many words "):rep(800), "Tell a very long story." }) do
      local options = { provider = model, async = true, max_tokens = 900 }
      local handle = zigllms.provider.chat(prompt, options)
      if #prompt < 100 then
        repeat until handle().content ~= ""
      else
        zigllms.sleep(100)
      end
      local before, began = handle:status(), now()
      handle:cancel("enough")
      local _, err = pcall(handle.await, handle)
      local ms = now() - began
      -- The engine is free again when this one is answered.
      zigllms.provider.chat("Hello", { provider = model, max_tokens = 1 })
      say(("%%s|%%s|%%.1f|%%.1f"):format(before, err.code, ms, now() - began))
    end
  ]]

  for _, loop in ipairs(loops) do
    it("stops in " .. loop.name, function()
      if loop.missing then
        return print("\nSKIP cancelling a local model: " .. loop.missing)
      end
      local result = loop:run(CANCELLED:format(path))
      assert.equal(0, result.rc, result.err)
      local seen = 0
      for ms, free in result.out:gmatch("running|cancelled|([%d.]+)|([%d.]+)") do
        seen = seen + 1
        print(("\n%s: cancelled in %s ms (limit 50), free in %s ms"):format(loop.name, ms, free))
        assert.is_true(tonumber(ms) < 500)
        assert.is_true(tonumber(free) < 5000)
      end
      assert.equal(2, seen, result.out)
    end)
  end

  it("answers two questions at once, one after the other", function()
    local options = { provider = model, async = true, temperature = 0, max_tokens = 8 }
    local both = ai.all({ ai.provider.chat("Hello", options), ai.provider.chat("Hello", options) })
    assert.equal(both[1].content, both[2].content)
  end)

  it("tells its own name and window", function()
    local models = ai.provider.get_models(model)
    assert.equal(1, #models)
    assert.is_true(models[1].context_length >= 2048)
  end)

  it("refuses what it cannot do", function()
    local cases = {
      { { provider = model, tool_choice = "required" }, "unsupported" },
      {
        { provider = ai.provider.create({ type = "local", model_path = "/nowhere.gguf" }) },
        "io_error",
      },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(ai.provider.chat, "Hello", case[1])
      assert.is_false(ok)
      assert.equal(case[2], err.code, tostring(err))
    end
  end)

  it("names the limit when a prompt is too long", function()
    local long = ("word "):rep(20000)
    local ok, err = pcall(ai.provider.chat, long, { provider = model })
    assert.is_false(ok)
    assert.equal("context_length", err.code)
  end)
end)
