-- What holds on every protocol, whatever its words: one spec, run on each of them. A spec file
-- hands in busted's functions, which only it has.
local assert = require("luassert")
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

local provider, agent, tool = zigllms.provider, zigllms.agent, zigllms.tool

local function has(text, part)
  assert.truthy(tostring(text):find(part, 1, true), tostring(text))
end

local function add(arguments)
  return arguments.a + arguments.b
end

local ADD = {
  name = "add",
  description = "Adds two numbers",
  parameters = {
    type = "object",
    properties = { a = { type = "number" }, b = { type = "number" } },
    required = { "a", "b" },
  },
  execute = add,
}

local SCHEMA = {
  type = "object",
  properties = { name = { type = "string" } },
  required = { "name" },
}

-- Everything an error shows.
local function shown(err)
  return tostring(err) .. require("cjson").encode(err.details or {}) .. (err.message or "")
end

return function(wire, busted)
  local describe, it = busted.describe, busted.it
  local server = scripted.start()
  local id

  local function ask(options, input)
    options = options or {}
    options.provider = id
    return provider.chat(input or "hi", options)
  end

  describe("every protocol: " .. wire.path, function()
    busted.before_each(function()
      zigllms.reset()
      id = provider.create(wire.config(server))
      if wire.model then
        provider.configure(id, { model = wire.model })
      end
    end)

    busted.teardown(function()
      zigllms.reset()
      server:stop()
    end)

    it("asks at its place, with its key", function()
      server:script(wire.text("hello"))
      ask()
      local request = server:journal()[1]
      assert.equal(wire.path, request.path)
      assert.equal(wire.model, request.json.model)
      if wire.key_header then
        has(request.headers[wire.key_header], wires.KEY)
      end
      assert.equal("application/json", request.headers["content-type"])
    end)

    it("gives the text, the reason and the tokens of an answer", function()
      for _, reply in ipairs({
        wire.text({ "hel", "lo ", "wörld" }),
        wire.document("hello wörld"),
      }) do
        server:script(reply)
        local response = ask({ system = "be brief" })
        assert.equal("hello wörld", response.content)
        assert.equal("stop", response.finish_reason)
        assert.is_string(response.native_finish_reason)
        assert.equal(10, response.usage.prompt_tokens)
        assert.equal(5, response.usage.completion_tokens)
        assert.equal(15, response.usage.total_tokens)
        assert.equal(wire.cached or 4, response.usage.cached_tokens or 0)
        assert.equal(0, #response.tool_calls)
        assert.equal(1, response.attempts)
        has(wire.system_of(server:requests()[1]), "be brief")
      end
    end)

    it("streams what it says", function()
      server:script(wire.text({ "a", "b", "c" }, { chunk_delay_ms = 15 }))
      local pieces, last = {}, nil
      local response = provider.stream("hi", function(chunk)
        pieces[#pieces + 1] = chunk.content
        last = chunk
      end, { provider = id })
      assert.equal("abc", table.concat(pieces))
      assert.is_true(#pieces >= 3)
      assert.is_true(last.done)
      assert.equal("stop", last.finish_reason)
      assert.equal(15, last.usage.total_tokens)
      assert.equal("abc", response.content)
    end)

    it("stops when the callback says so", function()
      server:script(wire.text({ "a", "b", "c" }, { chunk_delay_ms = 15 }))
      local response = provider.stream("hi", function()
        return false
      end, { provider = id })
      assert.equal("cancelled", response.finish_reason)
    end)

    it("gives tool calls, also streamed", function()
      local list = { { "c1", "add", '{"a":1,"b":2}' }, { "c2", "now", "{}" } }
      for _, streamed in ipairs({ false, true }) do
        server:script(wire.calls(list))
        local seen = {}
        local response
        local options = { provider = id, tools = { ADD } }
        if streamed then
          response = provider.stream("hi", function(chunk)
            for _, call in ipairs(chunk.tool_calls or {}) do
              seen[call.index] = (seen[call.index] or "") .. (call.arguments or "")
            end
          end, options)
        else
          response = provider.chat("hi", options)
        end
        assert.equal("tool_calls", response.finish_reason)
        local first, second = response.tool_calls[1], response.tool_calls[2]
        assert.same({ "c1", "add", 1, 2 }, {
          first.id,
          first.name,
          first.arguments.a,
          first.arguments.b,
        })
        assert.same({ "c2", "now" }, { second.id, second.name })
        assert.is_nil(next(second.arguments))
      end
      local sent = server:requests()[1].tools[1]
      local inner = sent["function"] or sent
      assert.equal("add", inner.name)
      assert.equal("object", (inner.parameters or inner.input_schema).type)
    end)

    it("lets an agent use tools, message by message", function()
      local id_of_tool = tool.register(ADD)
      server:script(
        wire.calls({ { "c1", "add", '{"a":1,"b":2}' }, { "c2", "add", '{"a":3,"b":4}' } }),
        wire.text("3 and 7")
      )
      local who = agent.create({ provider = id, tools = { id_of_tool } })
      local response = agent.run(who, "1 + 2?")
      assert.equal("3 and 7", response.content)
      assert.equal(2, response.iterations)
      assert.equal(20, response.usage.prompt_tokens)
      local requests = server:requests()
      assert.equal(2, #requests)
      for i, told in ipairs(wire.loop_told) do
        assert.same(told, wire.told(requests[i]))
      end
    end)

    if wire.thought then
      it("gives what the model thought, and gives it back in a round of tools", function()
        server:script(wire.thought("two and two", "four"))
        local thoughts = {}
        local response = provider.stream("2 + 2?", function(chunk)
          thoughts[#thoughts + 1] = chunk.thinking
        end, { provider = id })
        assert.equal("two and two", response.thinking)
        assert.equal("two and two", table.concat(thoughts))
        assert.equal("four", response.content)

        server:script(
          wire.thought("let me add", { { "c1", "add", '{"a":1,"b":2}' } }),
          wire.text("3")
        )
        local who = agent.create({ provider = id, tools = { tool.register(ADD) } })
        assert.equal("3", agent.run(who, "1 + 2?").content)
        assert.is_true(wire.thought_back(server:requests()[2], "let me add"))

        -- By hand, through Lua tables.
        server:script(
          wire.thought("let me add", { { "c1", "add", '{"a":1,"b":2}' } }),
          wire.text("3")
        )
        response = ask({ tools = { ADD } }, "1 + 2?")
        ask({ tools = { ADD } }, {
          { role = "user", content = "1 + 2?" },
          response.message,
          { role = "tool", tool_call_id = "c1", content = "3" },
        })
        assert.is_true(wire.thought_back(server:requests()[2], "let me add"))
      end)
    end

    it("gives data that fits a schema", function()
      server:script(wire.text('{"name":"Ann"}'))
      local response = ask({ schema = SCHEMA })
      assert.equal("Ann", response.parsed.name)
      assert.equal("string", wire.schema_of(server:requests()[1]).properties.name.type)
      server:script(wire.text('{"name":5}'))
      raised("validation_failed", ask, { schema = SCHEMA })
      server:script(wire.text('{"a":1}'))
      assert.equal(1, ask({ response_format = "json" }).parsed.a)
    end)

    it("understands error answers", function()
      for _, row in ipairs({
        { 400, "bad_request" },
        { 401, "auth" },
        { 429, "rate_limited" },
        { 529, "overloaded" },
      }) do
        server:script(wire.failure(row[1], "the words"))
        local err = raised(row[2], ask)
        assert.equal(row[1], err.status)
        has(err.message, "the words")
        assert.equal(id, err.provider)
      end
      server:script({ status = 502, body = "<html><title>Bad gateway</title></html>" })
      has(raised("server_error", ask).message, "Bad gateway")
    end)

    it("tries again what may pass", function()
      provider.configure(id, { retry = { max_attempts = 3, initial_delay_ms = 1 } })
      server:script(wire.failure(529, "busy"), wire.cut(""), wire.text("at last"))
      local response = ask()
      assert.equal("at last", response.content)
      assert.equal(3, response.attempts)
      server:script(wire.failure(400, "no"), wire.text("never"))
      assert.equal(1, raised("bad_request", ask).attempts)
    end)

    it("keeps what came before an error or the end of the connection", function()
      server:script(wire.broken("half of ", "fell over"))
      local err = raised(wire.broken_code, provider.stream, "hi", function() end, { provider = id })
      has(err.message, "fell over")
      assert.equal("half of ", err.partial.content)
      server:script(wire.cut("half of "))
      err = raised("network", provider.stream, "hi", function() end, { provider = id })
      has(err.message, "ended early")
      assert.equal("half of ", err.partial.content)
      server:script({ body = "<html>Login</html>" })
      raised("bad_response", ask)
    end)

    it("shows its key nowhere", function()
      if not wire.key_header then
        return
      end
      local echo = "bad key {{" .. wire.key_header .. "}}"
      for _, reply in ipairs({ wire.failure(401, echo), wire.broken("x", echo) }) do
        server:script(reply)
        local ok, err = pcall(ask)
        assert.is_false(ok)
        has(err.message, "***")
        assert.is_nil(shown(err):find("CANARY", 1, true))
      end
      local info = require("cjson").encode(provider.get(id))
      assert.is_nil(info:find("CANARY", 1, true))
    end)

    it("lists its models", function()
      server:script({ json = wire.models })
      local models = provider.get_models(id, { refresh = true })
      assert.equal(2, #models)
      assert.is_true(models[1].id < models[2].id)
      assert.is_string(models[1].name)
    end)
  end)
end
