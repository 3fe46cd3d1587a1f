-- The normal form of answers, chunks and errors: one spec, the same whoever answers. It runs on a
-- model inside the module, on the same model behind a server, and on every protocol.
--
-- A target:
--   name             in titles
--   create(config)   makes a provider with that beside its own configuration; gives its id
--   script(kind, …)  prepares the server for what is asked next; a real model needs nothing. Kinds:
--                    text, length (an answer that was cut off), call, slow (an answer that takes
--                    for ever), late (nothing for a while), too_long (a prompt is)
--   real             a model answers in its own words
--   window           real: more words than its context holds
--   images           it takes images; `images_code` is the error where a server refuses them
--   counts_early     it tells the tokens of the prompt before its answer
--   unsupported      options that it cannot honour, each {name, value}
--   seed, stops      it takes a seed, stop sequences
--   called           options with which it asks for the tool
local assert = require("luassert")
local zigllms = require("zigllms")
local raised = require("spec.support.raised")

local provider, agent, tool = zigllms.provider, zigllms.agent, zigllms.tool

local ADD = {
  name = "add",
  description = "Adds two numbers",
  parameters = {
    type = "object",
    properties = { a = { type = "integer" }, b = { type = "integer" } },
    required = { "a", "b" },
  },
}

local PERSON = {
  type = "object",
  properties = { name = { type = "string" }, age = { type = "integer" } },
  required = { "name", "age" },
  additionalProperties = false,
}

local REASONS = {
  stop = true,
  length = true,
  tool_calls = true,
  content_filter = true,
  cancelled = true,
  pause = true,
  unknown = true,
}

local function whole(value)
  return type(value) == "number" and value >= 0 and value % 1 == 0
end

local function check_usage(usage)
  assert.is_true(whole(usage.prompt_tokens) and usage.prompt_tokens > 0)
  assert.is_true(whole(usage.completion_tokens))
  assert.equal(usage.prompt_tokens + usage.completion_tokens, usage.total_tokens)
  for _, key in ipairs({ "cached_tokens", "cache_write_tokens", "reasoning_tokens" }) do
    assert.is_true(usage[key] == nil or whole(usage[key]), key)
  end
  assert.is_true((usage.cached_tokens or 0) <= usage.prompt_tokens)
  assert.is_true(usage.estimated == nil or usage.estimated == true)
end

local function check_call(call)
  assert.is_true(#call.id > 0)
  assert.equal("function", call.type)
  assert.is_string(call.name)
  assert.is_table(call.arguments)
  assert.is_string(call.arguments_json)
  assert.equal(call.name, call["function"].name)
  assert.equal(call.arguments_json, call["function"].arguments)
end

-- Everything a response has, whatever it says.
local function check_response(response, id)
  assert.is_true(type(response.id) == "string" or response.id == nil)
  assert.is_string(response.content)
  assert.equal(response.content, tostring(response))
  assert.equal("assistant", response.role)
  assert.equal("assistant", response.message.role)
  assert.equal(response.content, response.message.content)
  assert.is_string(response.model)
  assert.equal(id, response.provider)
  assert.is_true(REASONS[response.finish_reason])
  assert.is_string(response.native_finish_reason)
  check_usage(response.usage)
  assert.is_nil(response.usage.estimated)
  assert.is_table(response.tool_calls)
  for i, call in ipairs(response.tool_calls) do
    check_call(call)
    assert.equal(call.id, response.message.tool_calls[i].id)
  end
  if #response.tool_calls == 0 then
    assert.is_nil(response.message.tool_calls)
  end
  assert.is_true(response.created > 1.5e9)
  assert.is_number(response.latency_ms)
  assert.is_true(response.ttft_ms <= response.latency_ms)
  assert.equal(1, response.attempts)
  assert.is_true(response.thinking == nil or #response.thinking > 0)
  assert.is_nil(response.cached)
  assert.is_nil(response.raw)
end

local function check_chunks(chunks, response)
  local text = ""
  for i, chunk in ipairs(chunks) do
    assert.is_string(chunk.content)
    assert.equal(chunk.content, chunk.delta)
    assert.equal(chunks[1].index + i - 1, chunk.index)
    assert.equal(i == #chunks, chunk.done)
    assert.is_nil(chunk.iteration)
    text = text .. chunk.content
    if i < #chunks then
      assert.is_nil(chunk.finish_reason)
      assert.is_nil(chunk.usage)
      local calls = chunk.tool_calls and #chunk.tool_calls or 0
      assert.is_true(#chunk.content + calls + #(chunk.thinking or "") > 0, "an empty chunk")
    end
  end
  local last = chunks[#chunks]
  assert.equal("", last.content)
  assert.equal(response.finish_reason, last.finish_reason)
  assert.same(response.usage, last.usage)
  assert.equal(response.content, text)
end

return function(target, busted)
  local describe, it = busted.describe, busted.it
  local id

  local function script(...)
    if target.script then
      target.script(...)
    end
  end

  local function with(options)
    options.provider = id
    options.temperature = options.temperature or 0
    return options
  end

  local function chat(input, options)
    return provider.chat(input, with(options or {}))
  end

  local function follow(input, options)
    local chunks = {}
    local response = provider.stream(input, function(chunk)
      chunks[#chunks + 1] = chunk
    end, with(options or {}))
    return response, chunks
  end

  describe("the normal form: " .. target.name, function()
    busted.before_each(function()
      zigllms.reset()
      id = target.create({})
    end)

    busted.teardown(function()
      zigllms.reset()
      if target.stop then
        target.stop()
      end
    end)

    it("of an answer", function()
      script("text", { "Hello", " there", "." })
      local response = chat("Say hello.", { max_tokens = 60 })
      check_response(response, id)
      assert.equal("stop", response.finish_reason)
      assert.is_true(#response.content > 0)
      assert.is_true(response.usage.completion_tokens > 0)
      assert.equal(0, #response.tool_calls)
      assert.is_nil(response.parsed)
      assert.equal("active", provider.get(id).status)
    end)

    it("of its chunks, which add up to the same answer", function()
      script("text", { "Hello", " there", "." })
      local response, chunks = follow("Say hello.", { max_tokens = 60 })
      check_response(response, id)
      check_chunks(chunks, response)
      assert.is_true(#chunks > 1)
      script("text", { "Hello", " there", "." })
      local plain = chat("Say hello.", { max_tokens = 60 })
      assert.equal(plain.content, response.content)
      assert.equal(plain.finish_reason, response.finish_reason)
      assert.equal(plain.native_finish_reason, response.native_finish_reason)
      assert.equal(plain.usage.total_tokens, response.usage.total_tokens)
      script("text", { "Hello", " there", "." })
      local text = ""
      for chunk in provider.stream("Say hello.", with({ max_tokens = 60 })) do
        text = text .. chunk.content
      end
      assert.equal(plain.content, text)
    end)

    it("of an answer at its limit", function()
      script("length", "One, two")
      local response, chunks = follow("Count from one to a hundred.", { max_tokens = 5 })
      check_response(response, id)
      check_chunks(chunks, response)
      assert.equal("length", response.finish_reason)
      assert.is_true(response.usage.completion_tokens <= 5)
      assert.is_true(#response.content > 0)
    end)

    it("of an answer that a stop sequence ends", function()
      if not target.stops then
        raised("unsupported", chat, "hi", { stop = { "x" } })
        return
      end
      script("text", "One, two, three, four")
      local long = chat("Count from one to ten.", { max_tokens = 24 }).content
      local stop = long:sub(math.floor(#long / 2), math.floor(#long / 2) + 3)
      local expected = long:sub(1, long:find(stop, 1, true) - 1)
      script("text", expected)
      local response, chunks =
        follow("Count from one to ten.", { max_tokens = 24, stop = { stop } })
      check_response(response, id)
      check_chunks(chunks, response)
      assert.equal(expected, response.content)
      assert.equal("stop", response.finish_reason)
    end)

    it("is the same at temperature 0, and with a seed", function()
      local rounds = { { max_tokens = 12 } }
      if target.seed then
        rounds[2] = { max_tokens = 12, temperature = 1, seed = 7 }
      end
      for _, options in ipairs(rounds) do
        script("text", "Blue is a color.")
        local first = chat("Name a color.", options).content
        script("text", "Blue is a color.")
        assert.equal(first, chat("Name a color.", options).content)
      end
    end)

    it("of structured output", function()
      script("text", { '{"name": "Lena", ', '"age": 25}' })
      local input = "Lena is 25 years old. Who is it?"
      local response = chat(input, { schema = PERSON, max_tokens = 100 })
      check_response(response, id)
      assert.is_string(response.parsed.name)
      assert.equal(0, response.parsed.age % 1)
      script("text", '{"name": "Lena"}')
      local ok, got = pcall(chat, input, { response_format = "json", max_tokens = 100 })
      if ok then
        check_response(got, id)
        assert.is_table(got.parsed)
      else
        -- Without a schema a small model finds no end.
        assert.is_true(target.real and got:is("validation_failed"), tostring(got))
        assert.equal("length", got.partial.finish_reason)
        assert.equal("{", got.partial.content:match("^%s*(.)"))
      end
      script("length", '{"na')
      local err = raised("validation_failed", chat, input, { schema = PERSON, max_tokens = 3 })
      assert.equal("length", err.partial.finish_reason)
      -- llama.cpp's server keeps the beginning of a document to itself.
      assert.is_true(#err.partial.content > 0 or target.name:find("llama.cpp", 1, true) ~= nil)
      assert.is_nil(err.partial.parsed)
    end)

    it("of calls of tools", function()
      script("call")
      local options = { tools = { ADD }, max_tokens = 100 }
      for key, value in pairs(target.called or {}) do
        options[key] = value
      end
      local response, chunks = follow("What is 2 + 3?", options)
      check_response(response, id)
      check_chunks(chunks, response)
      if not target.called and target.real then
        return -- This model asks for no tool of its own accord; the form of its answer holds.
      end
      assert.equal("tool_calls", response.finish_reason)
      assert.equal(1, #response.tool_calls)
      assert.equal("add", response.tool_calls[1].name)
      assert.is_number(response.tool_calls[1].arguments.a)
      local pieces, calls = "", {}
      for _, chunk in ipairs(chunks) do
        for _, call in ipairs(chunk.tool_calls or {}) do
          calls[#calls + 1] = call.id
          assert.equal(1, call.index)
          pieces = pieces .. call.arguments
        end
      end
      assert.equal(response.tool_calls[1].id, calls[1])
      assert.equal(response.tool_calls[1].arguments_json, pieces)
      assert.is_nil(response.parsed)
    end)

    it("of what an agent gets: calls, results and the end", function()
      if target.real and not target.called then
        return
      end
      script("call", "Five.")
      local seen = {}
      local config = { provider = id, temperature = 0, max_tokens = 60, max_iterations = 2 }
      config.tools = {
        tool.register({
          name = "add",
          parameters = ADD.parameters,
          execute = function(input)
            seen[#seen + 1] = input.a + input.b
            return seen[#seen]
          end,
        }),
      }
      for key, value in pairs(target.called or {}) do
        config[key] = value
      end
      local who = agent.create(config)
      local response = agent.run(who, "What is 2 + 3?")
      assert.is_true(#seen >= 1)
      assert.is_number(seen[1])
      assert.equal(2, response.iterations)
      check_usage(response.usage)
      assert.equal("add", response.tool_calls[1].name)
      assert.equal(seen[1], response.tool_calls[1].result)
      local roles = {}
      for i, message in ipairs(response.messages) do
        roles[i] = message.role
      end
      assert.equal("user, assistant, tool, assistant", table.concat(roles, ", ", 1, 4))
    end)

    it("of a prompt that is too long", function()
      script("too_long")
      local err = raised("context_length", chat, target.window or "long", {})
      assert.equal(id, err.provider)
      assert.is_false(err.retryable)
      assert.equal(1, err.attempts)
      assert.is_true(#err.message > 0)
      assert.is_nil(err.partial)
      assert.equal("error", provider.get(id).status)
    end)

    it("of what it cannot do", function()
      for _, option in ipairs(target.unsupported) do
        local options = { [option[1]] = option[2], tools = option.tools and { ADD } }
        local err = raised("unsupported", chat, "hi", options)
        assert.equal(id, err.provider)
        assert.is_false(err.retryable)
        assert.is_nil(err.attempts)
        assert.is_nil(err.partial)
        assert.is_true(#err.message > 0)
      end
      assert.equal(0, provider.get(id).errors)
      local picture = {
        { type = "text", text = "What is it?" },
        { type = "image", data = "GIF89a", mime_type = "image/gif" },
      }
      script("text", "A dot.")
      local ok, got = pcall(chat, { { role = "user", content = picture } })
      assert.equal(target.images, ok, tostring(got))
      if not ok then
        assert.equal(target.images_code or "unsupported", got.code)
        assert.truthy(got.message:find("image", 1, true))
      end
    end)

    it("of an answer that was cancelled", function()
      script("slow", "Once upon a time ")
      local options = with({ max_tokens = 1000, async = true })
      local handle = provider.stream("Tell a very long story.", options)
      local heard = ""
      repeat
        heard = heard .. handle().content
      until #heard > 0
      handle:cancel("enough")
      local err = raised("cancelled", handle.await, handle)
      assert.equal("enough", err.details.reason)
      assert.is_false(err.retryable)
      assert.equal(heard, err.partial.content:sub(1, #heard))
      assert.equal("cancelled", err.partial.finish_reason)
      check_usage(err.partial.usage)
      assert.equal(not target.counts_early or nil, err.partial.usage.estimated)
    end)

    it("of an answer that its callback ends", function()
      script("slow", "Once upon a time ")
      local response = provider.stream("Tell a very long story.", function()
        return false
      end, with({ max_tokens = 1000 }))
      assert.equal("cancelled", response.finish_reason)
      assert.is_true(#response.content > 0)
      check_usage(response.usage)
      script("slow", "Once upon a time ")
      local reason = {}
      local err = raised("callback_error", provider.stream, "Tell a very long story.", function()
        error(reason)
      end, with({ max_tokens = 1000 }))
      assert.equal(reason, err.cause)
      assert.is_true(#err.partial.content > 0)
    end)

    it("of an answer that took too long", function()
      script("slow", "Once upon a time ")
      local options = { max_tokens = 2000, timeout_ms = target.patience or 300 }
      local err = raised("timeout", chat, "Tell a very long story.", options)
      assert.equal("total", err.phase)
      assert.is_false(err.retryable)
      assert.is_true(#err.partial.content > 0)
      assert.equal(id, err.provider)
    end)

    it("of an answer that never begins", function()
      script("late")
      local long = ("many words "):rep(200)
      local options = { max_tokens = 5, first_token_timeout_ms = 60 }
      local err = raised("timeout", chat, long, options)
      assert.equal("first_token", err.phase)
      assert.is_true(err.retryable)
      assert.equal(1, err.attempts)
      assert.is_nil(err.partial)
      assert.equal(id, err.provider)
    end)

    it("of the list of its models, and of what it counts", function()
      script("models")
      local models = provider.get_models(id, { refresh = true })
      assert.is_true(#models >= 1)
      for _, model in ipairs(models) do
        assert.is_string(model.id)
        assert.is_string(model.name)
        local length = model.context_length
        assert.is_true(length == nil or whole(length))
      end
      script("text", "Hello.")
      local response = chat("Say hello.", { max_tokens = 30 })
      assert.equal(response.usage.total_tokens, provider.get(id).usage.total_tokens)
    end)
  end)
end
