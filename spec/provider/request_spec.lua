-- What goes to the server: options of generation, tools, messages, headers.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider, tool = zigllms.provider, zigllms.tool
local text = scripted.text

local server = scripted.start()

local function has(message, part)
  assert.truthy(message:find(part, 1, true), message)
end

-- The body of the one request that a call makes.
local function body(messages, options)
  server:script(text("ok"))
  provider.chat(messages, options)
  local requests = server:requests()
  assert.equal(1, #requests)
  return requests[1]
end

local function sent(messages)
  return body(messages).messages
end

local function header(options)
  server:script(text("ok"))
  provider.chat("hi", options)
  return server:journal()[1].headers
end

describe("a request", function()
  before_each(server:as_default(zigllms))
  teardown(server:retired(zigllms))

  describe("has options:", function()
    it("none but those given", function()
      local request = body("hi")
      assert.same({
        model = "gpt-4o-mini",
        messages = { { role = "user", content = "hi" } },
        stream = true,
        stream_options = { include_usage = true },
      }, request)
      local entry = server:journal()[1]
      assert.equal("POST", entry.method)
      assert.equal("/v1/chat/completions", entry.path)
      assert.equal("Bearer test", entry.headers.authorization)
      assert.equal("application/json", entry.headers["content-type"])
    end)

    it("numbers as they are", function()
      local request = body("hi", {
        model = "m-1",
        temperature = 0.5,
        top_p = 0.25,
        top_k = 7,
        max_tokens = 100,
        seed = -12345,
        presence_penalty = -1.5,
        frequency_penalty = 1.25,
      })
      assert.equal("m-1", request.model)
      assert.equal(0.5, request.temperature)
      assert.equal(0.25, request.top_p)
      assert.equal(7, request.top_k)
      assert.equal(100, request.max_tokens)
      assert.equal(-12345, request.seed)
      assert.equal(-1.5, request.presence_penalty)
      assert.equal(1.25, request.frequency_penalty)
      has(server:journal()[1].body, '"max_tokens":100,')
      has(server:journal()[1].body, '"seed":-12345,')
    end)

    it("zero is a value", function()
      local request = body("hi", {
        temperature = 0,
        top_p = 0,
        seed = 0,
        presence_penalty = 0,
        frequency_penalty = 0,
      })
      for _, key in ipairs({ "temperature", "top_p", "seed", "presence_penalty" }) do
        assert.equal(0, request[key])
      end
      assert.equal(0, request.frequency_penalty)
    end)

    it("large seeds keep their digits", function()
      body("hi", { seed = 2 ^ 53 - 1 })
      has(server:journal()[1].body, '"seed":9007199254740991')
    end)

    it("stop is a list", function()
      assert.same({ "END" }, body("hi", { stop = "END" }).stop)
      assert.same({ "a", "b" }, body("hi", { stop = { "a", "b" } }).stop)
      assert.is_nil(body("hi", { stop = {} }).stop)
    end)

    it("reasoning in its four degrees", function()
      for _, effort in ipairs({ "none", "low", "medium", "high" }) do
        assert.equal(effort, body("hi", { reasoning = effort }).reasoning_effort)
      end
      assert.equal("high", body("hi", { reasoning = "HIGH" }).reasoning_effort:lower())
    end)

    it("tool_choice and parallel calls, beside tools", function()
      local tools = { { name = "f" } }
      local request = body("hi", { tools = tools })
      assert.is_nil(request.tool_choice)
      assert.is_nil(request.parallel_tool_calls)
      for _, word in ipairs({ "auto", "none", "required" }) do
        assert.equal(word, body("hi", { tools = tools, tool_choice = word }).tool_choice)
      end
      assert.same(
        { type = "function", ["function"] = { name = "f" } },
        body("hi", { tools = tools, tool_choice = { name = "f" } }).tool_choice
      )
      assert.is_false(
        body("hi", { tools = tools, parallel_tool_calls = false }).parallel_tool_calls
      )
      assert.is_true(body("hi", { tools = tools, parallel_tool_calls = true }).parallel_tool_calls)
    end)

    it("response_format in every form", function()
      assert.same(
        { type = "json_object" },
        (function()
          server:script(text("{}"))
          provider.chat("hi", { response_format = "json" })
          return server:requests()[1].response_format
        end)()
      )
      local schema = {
        type = "object",
        properties = { n = { type = "integer" } },
        required = { "n" },
        additionalProperties = false,
      }
      local json = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}'
      local forms = {
        { schema = { n = "integer" } },
        { schema = json },
        { response_format = { n = "integer" } },
        { response_format = schema },
        { response_format = json },
        { response_format = { type = "json_schema", schema = schema } },
        { response_format = { type = "json_schema", json_schema = { schema = schema } } },
      }
      for _, options in ipairs(forms) do
        server:script(text('{"n":1}'))
        assert.equal(1, provider.chat("hi", options).parsed.n)
        local format = server:requests()[1].response_format
        assert.equal("json_schema", format.type)
        assert.is_true(format.json_schema.strict)
        assert.equal("response", format.json_schema.name)
        assert.same(schema, format.json_schema.schema)
      end
      local named = { type = "json_schema", json_schema = { name = "a plan", schema = schema } }
      server:script(text('{"n":1}'))
      provider.chat("hi", { response_format = named })
      assert.equal("a_plan", server:requests()[1].response_format.json_schema.name)
    end)

    it("extra, which wins", function()
      local request = body("hi", {
        temperature = 1,
        max_tokens = 5,
        extra = {
          temperature = 0.25,
          max_completion_tokens = 9,
          nested = { list = { 1, { deep = true } }, empty = zigllms.array({}) },
          flag = false,
        },
      })
      assert.equal(0.25, request.temperature)
      assert.equal(5, request.max_tokens)
      assert.equal(9, request.max_completion_tokens)
      assert.is_true(request.nested.list[2].deep)
      assert.is_false(request.flag)
      has(server:journal()[1].body, '"empty":[]')
    end)

    it("extra of the provider and of the call together", function()
      provider.configure("openai", { extra = { a = 1, b = 1, deep = { x = 1 } } })
      local request = body("hi", { extra = { b = 2, c = 2 } })
      assert.same({ 1, 2, 2, 1 }, { request.a, request.b, request.c, request.deep.x })
    end)

    it("headers of the provider and of the call", function()
      provider.configure("openai", {
        headers = { ["X-Both"] = "provider", ["X-Provider"] = "p" },
        organization = "org-1",
        project = "proj-1",
      })
      local headers = header({ headers = { ["X-Both"] = "call", ["X-Number"] = 5 } })
      assert.equal("call", headers["x-both"])
      assert.equal("p", headers["x-provider"])
      assert.equal("5", headers["x-number"])
      assert.equal("org-1", headers["openai-organization"])
      assert.equal("proj-1", headers["openai-project"])
      headers = header()
      assert.equal("provider", headers["x-both"])
      assert.is_nil(headers["x-number"])
    end)

    it("headers whose names are the same in any case", function()
      zigllms.configure({ http = { headers = { ["X-Far"] = "far", ["X-Near"] = "far" } } })
      provider.configure("openai", { headers = { ["x-near"] = "provider" } })
      assert.equal("provider", header()["x-near"])
      local headers = header({ headers = { ["X-NEAR"] = "call", AUTHORIZATION = "Mine 1" } })
      assert.equal("call", headers["x-near"])
      assert.equal("far", headers["x-far"])
      assert.equal("Mine 1", headers.authorization)
      zigllms.configure({ http = { headers = zigllms.null } })
    end)

    it("headers that are unset with null, also those of this module", function()
      zigllms.configure({ http = { headers = { ["X-Far"] = "far" } } })
      provider.configure("openai", { headers = { ["X-Near"] = "provider" } })
      local headers = header({
        headers = {
          ["x-far"] = zigllms.null,
          ["X-NEAR"] = zigllms.null,
          authorization = zigllms.null,
        },
      })
      assert.is_nil(headers["x-far"])
      assert.is_nil(headers["x-near"])
      assert.is_nil(headers.authorization)
      headers = header({ headers = { ["X-More"] = "1" } })
      assert.equal("far", headers["x-far"])
      assert.equal("provider", headers["x-near"])
      assert.equal("Bearer test", headers.authorization)
      assert.is_nil(header({ headers = zigllms.null })["x-near"])
      provider.configure("openai", { headers = { ["x-near"] = zigllms.null } })
      assert.is_nil(header()["x-near"])
      zigllms.configure({ http = { headers = zigllms.null } })
    end)

    it("a header in the place of a key", function()
      server:script(text("ok"), text("ok"))
      local id = provider.create({ type = "anthropic", base_url = server.url })
      local err = raised("auth", provider.chat, "hi", { provider = id })
      has(err.message, "no API key")
      local given = { provider = id, headers = { ["X-Api-Key"] = "mine" } }
      pcall(provider.chat, "hi", given)
      assert.equal("mine", server:journal()[1].headers["x-api-key"])
      assert.equal("inactive", provider.get(id).status)
      provider.configure(id, { headers = { ["x-api-key"] = "mine" } })
      assert.is_not.equal("inactive", provider.get(id).status)
      assert.is_false(provider.get(id).has_key)
      provider.destroy(id)
    end)

    it("headers that are texts, or the error says which is not", function()
      local call = raised("invalid_argument", provider.chat, "hi", { headers = { A = {} } })
      has(
        call.message,
        "options.headers.A: expected a string or a number or a boolean, got a table"
      )
      local whole = raised("invalid_argument", provider.chat, "hi", { headers = "sk-canary" })
      has(whole.message, "each), got a string")
      local made = { type = "openai", headers = { ["X-B"] = { 1 } } }
      has(raised("invalid_argument", provider.create, made).message, "config.headers.X-B")
      local all = { http = { headers = { C = function() end } } }
      has(raised("conversion_error", zigllms.configure, all).message, "http.headers.C")
    end)

    it("headers of the protocol once, as the user has them", function()
      local headers = header({ headers = { Accept = "text/plain", ["content-type"] = "a/b" } })
      assert.equal("text/plain", headers.accept)
      assert.equal("a/b", headers["content-type"])
    end)

    it("null is as if not given", function()
      local request = body("hi", { temperature = zigllms.null, stop = zigllms.null, model = nil })
      assert.is_nil(request.temperature)
      assert.is_nil(request.stop)
    end)

    it("bad ones are refused before anything is sent", function()
      server:script(text("never"))
      local bad = {
        { temperature = 3 },
        { temperature = "hot" },
        { top_p = 1.5 },
        { top_k = 0 },
        { max_tokens = 0 },
        { max_tokens = 1.5 },
        { stop = { 5 } },
        { seed = 0.5 },
        { presence_penalty = 3 },
        { frequency_penalty = -3 },
        { reasoning = "enormous" },
        { tool_choice = "maybe" },
        { tool_choice = { nmae = "x" } },
        { parallel_tool_calls = "yes" },
        { response_format = 5 },
        { extra = "x" },
        { headers = 5 },
        { tools = "f" },
        { temperatur = 1 },
        { stream = 5 },
        { timeout_ms = -1 },
        { retry = { max_attempts = 0 } },
        { retry = "often" },
        { max_retries = -1 },
        { max_response_bytes = 0 },
      }
      for _, options in ipairs(bad) do
        local key = next(options)
        local err = raised("invalid_argument", provider.chat, "hi", options)
        has(err.message, key)
        assert.equal("chat", err.func)
      end
      has(
        raised("invalid_argument", provider.chat, "hi", { temperatur = 1 }).message,
        '"temperature"'
      )
      has(raised("invalid_argument", provider.chat, "hi", { zzz = 1 }).message, "extra")
      assert.equal(0, server:count())
    end)
  end)

  describe("has tools:", function()
    local schema = { type = "object", properties = { a = { type = "string" } } }

    it("ids, names, tables with an id, definitions, schemas of the wire", function()
      local id = tool.register({ name = "by_id", parameters = schema })
      tool.register({ name = "by_name", description = "D" })
      local got = tool.register({ name = "by_get" })
      local request = body("hi", {
        tools = {
          id,
          "by_name",
          tool.get(got),
          {
            name = "inline",
            parameters = schema,
            execute = function()
              error("never called")
            end,
          },
          {
            type = "function",
            ["function"] = { name = "raw", description = "R", parameters = schema },
          },
          { name = "loose", input_schema = schema, unknown_key = 1 },
        },
      })
      local names = {}
      for i, item in ipairs(request.tools) do
        assert.equal("function", item.type)
        names[i] = item["function"].name
        assert.equal("object", item["function"].parameters.type)
      end
      assert.same({ "by_id", "by_name", "by_get", "inline", "raw", "loose" }, names)
      assert.equal("D", request.tools[2]["function"].description)
      assert.is_nil(request.tools[1]["function"].description)
      for _, i in ipairs({ 1, 4, 5, 6 }) do
        assert.equal("string", request.tools[i]["function"].parameters.properties.a.type)
      end
      has(server:journal()[1].body, '"properties":{}')
    end)

    it("none is no list", function()
      assert.is_nil(body("hi", { tools = {} }).tools)
    end)

    it("bad ones name their place", function()
      server:script(text("never"))
      local err = raised("not_found", provider.chat, "hi", { tools = { "nobody" } })
      has(err.message, "options.tools[1]")
      has(err.message, "nobody")
      local good = { name = "good" }
      err = raised("invalid_argument", provider.chat, "hi", { tools = { good, { name = "b ad" } } })
      has(err.message, "options.tools[2]")
      local bad = { name = "x", parameters = { type = "strng" } }
      err = raised("validation_failed", provider.chat, "hi", { tools = { bad } })
      has(err.message, "options.tools[1]")
      raised("invalid_argument", provider.chat, "hi", { tools = { 5 } })
      assert.equal(0, server:count())
    end)

    it("the same bytes every time", function()
      local function once()
        body("hi", {
          tools = { { name = "f", parameters = { a = 1, b = 2, c = { x = 1, y = 2 } } } },
          temperature = 1,
          top_p = 1,
          seed = 1,
        })
        return server:journal()[1].body
      end
      local first = once()
      for _ = 1, 5 do
        assert.equal(first, once())
      end
    end)
  end)

  describe("has messages:", function()
    it("a string, a message, an array, a table with options", function()
      local one = { { role = "user", content = "hi" } }
      assert.same(one, sent("hi"))
      assert.same(one, sent({ role = "user", content = "hi" }))
      assert.same(one, sent(one))
      local request = body({ messages = "hi", temperature = 1 })
      assert.same(one, request.messages)
      assert.equal(1, request.temperature)
      assert.same(one, body({ messages = one }).messages)
    end)

    it("bytes that are UTF-8, and empty text", function()
      local words = 'äöü €𝄞 \n\t"\\ \127'
      assert.equal(words, sent(words)[1].content)
      assert.equal("", sent("")[1].content)
      raised("conversion_error", provider.chat, "\255")
      raised("conversion_error", provider.chat, { { role = "user", content = "a\xC3" } })
    end)

    it("every role, also under its old name and in any case", function()
      local messages = sent({
        { role = "system", content = "s" },
        { role = "developer", content = "d" },
        { role = "USER", content = "u", name = "ann" },
        {
          role = "assistant",
          content = "",
          tool_calls = { { id = "c", name = "f", arguments = {} } },
        },
        { role = "function", content = "r", tool_call_id = "c" },
      })
      local roles = {}
      for i, message in ipairs(messages) do
        roles[i] = message.role
      end
      assert.same({ "system", "system", "user", "assistant", "tool" }, roles)
      assert.equal("ann", messages[3].name)
      assert.equal("c", messages[5].tool_call_id)
    end)

    it("system put first", function()
      assert.same(
        { { role = "system", content = "S" }, { role = "user", content = "hi" } },
        body("hi", { system = "S" }).messages
      )
    end)

    it("parts", function()
      local parts = {
        { type = "text", text = "what is it?" },
        { type = "image_url", image_url = { url = "https://x.invalid/a.png", detail = "low" } },
        { type = "image_url", image_url = { url = "data:image/png;base64,AAAA" } },
        { type = "input_audio", input_audio = { data = "AAAA", format = "wav" } },
      }
      assert.same(parts, sent({ { role = "user", content = parts } })[1].content)
      local url = { type = "image_url", image_url = "https://x.invalid/b.png" }
      assert.equal(
        "https://x.invalid/b.png",
        sent({ { role = "user", content = { url } } })[1].content[1].image_url.url
      )
      raised("unsupported", provider.chat, { { role = "system", content = { url } } })
    end)

    it("tool calls in every form, and their results", function()
      local messages = sent({
        { role = "user", content = "go" },
        {
          role = "assistant",
          content = "",
          tool_calls = {
            { id = "c1", name = "f", arguments = { a = 1 } },
            { id = "c2", name = "f", arguments_json = '{"a": 2}' },
            {
              id = "c3",
              type = "function",
              ["function"] = { name = "f", arguments = '{"a":3}' },
            },
            { id = "c4", name = "f" },
          },
        },
        { role = "tool", tool_call_id = "c1", content = "one" },
      })
      local calls = messages[2].tool_calls
      local arguments = {}
      for i, call in ipairs(calls) do
        assert.equal("function", call.type)
        assert.equal("f", call["function"].name)
        arguments[i] = call["function"].arguments
      end
      assert.same({ '{"a":1}', '{"a": 2}', '{"a":3}', "{}" }, arguments)
      assert.same({ role = "tool", tool_call_id = "c1", content = "one" }, messages[3])
    end)

    it("the message of a response, appended as it is", function()
      server:script(
        scripted.calls({ { "c1", "f", '{"a":1}' }, { "c2", "g", "{}" } }, { content = "wait" }),
        text("ok")
      )
      local messages = { { role = "user", content = "go" } }
      local response = provider.chat(messages)
      messages[2] = response.message
      messages[3] = { role = "tool", tool_call_id = "c1", content = "1" }
      messages[4] = { role = "tool", tool_call_id = "c2", content = "2" }
      provider.chat(messages)
      local second = server:requests()[2].messages
      assert.equal(4, #second)
      assert.equal("wait", second[2].content)
      assert.equal('{"a":1}', second[2].tool_calls[1]["function"].arguments)
      assert.equal("c2", second[2].tool_calls[2].id)
    end)

    it("bad ones name their path", function()
      server:script(text("never"))
      local user = { role = "user", content = "x" }
      local bad = {
        ["messages[2].role"] = { user, { role = "robot", content = "x" } },
        ["messages[1].role"] = { { content = "x" } },
        ["messages[2]"] = { user, 5 },
        ["messages[1].content"] = { { role = "user", content = 5 } },
        ["messages[1].content[1].type"] = { { role = "user", content = { { text = "x" } } } },
        ["messages[1].content[2].text"] = {
          {
            role = "user",
            content = { { type = "text", text = "x" }, { type = "text", text = 5 } },
          },
        },
        ["messages[1].content[1].image_url.url"] = {
          { role = "user", content = { { type = "image_url", image_url = {} } } },
        },
        ["messages[2].tool_call_id"] = { user, { role = "tool", content = "x" } },
        ["messages[1].name"] = { { role = "user", content = "x", name = 5 } },
        ["messages[1].tool_calls"] = { { role = "user", content = "x", tool_calls = { {} } } },
        ["messages[1].tool_calls[1].id"] = {
          { role = "assistant", content = "", tool_calls = { { name = "f" } } },
        },
        ["messages[1].tool_calls[1].name"] = {
          { role = "assistant", content = "", tool_calls = { { id = "c" } } },
        },
        ["messages.role"] = { role = "robot", content = "x" },
      }
      for path, messages in pairs(bad) do
        has(raised("invalid_argument", provider.chat, messages).message, path)
      end
      has(
        raised("invalid_argument", provider.chat, { user, { role = "robot" } }).message,
        '"assistant"'
      )
      assert.equal(0, server:count())
    end)

    it("nothing at all is refused", function()
      server:script(text("never"))
      raised("invalid_argument", provider.chat)
      raised("invalid_argument", provider.chat, 5)
      raised("invalid_argument", provider.chat, {})
      raised("invalid_argument", provider.chat, { messages = {} })
      raised("invalid_argument", provider.chat, zigllms.array({}))
      raised("conversion_error", provider.chat, { { role = "user", content = print } })
      assert.equal(0, server:count())
    end)
  end)
end)
