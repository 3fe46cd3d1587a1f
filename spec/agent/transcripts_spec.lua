-- The loop of model and tools, message by message: what each protocol's server is sent in each
-- request, whatever becomes of the calls.
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local dialogue = require("spec.support.dialogue")
local wires = require("spec.support.wires")
local zigllms = require("zigllms")

local agent, provider, tool = zigllms.agent, zigllms.provider, zigllms.tool
local server = scripted.start()
local unpack = table.unpack or unpack -- luacheck: ignore

local chat = { text = scripted.text, calls = scripted.calls, path = "/v1/chat/completions" }

function chat.config()
  return { type = "openai", base_url = server.url, api_key = "test", retry = false }
end

-- How each protocol says that a tool must be called.
function chat.forced(choice)
  return choice == "required" and choice or { type = "function", ["function"] = choice }
end

function wires.messages.forced(choice)
  return choice == "required" and { type = "any" } or { type = "tool", name = choice.name }
end

function wires.responses.forced(choice)
  return choice == "required" and choice or { type = "function", name = choice.name }
end

function wires.cohere.forced()
  return "REQUIRED"
end

local NUMBERS = {
  type = "object",
  properties = { a = { type = "number" }, b = { type = "number", default = 10 } },
  required = { "a" },
  additionalProperties = false,
}

-- Tools for everything that can become of a call; `log` hears of each execution.
local function register_tools(log)
  local function add(fields)
    fields.replace = true
    local execute = fields.execute
    if execute then
      fields.execute = function(input, ctx)
        log[#log + 1] = fields.name
        return execute(input, ctx)
      end
    end
    tool.register(fields)
  end
  add({
    name = "add",
    description = "Adds two numbers",
    parameters = NUMBERS,
    execute = function(input)
      return input.a + input.b
    end,
  })
  add({
    name = "wait",
    execution_mode = "async",
    parameters = { type = "object", properties = { ms = { type = "number" } } },
    execute = function(input)
      zigllms.sleep(input.ms)
      return { waited = input.ms }
    end,
  })
  add({
    name = "boom",
    execute = function()
      error("it went off", 0)
    end,
  })
  add({
    name = "refuse",
    execute = function()
      return nil, "not today"
    end,
  })
  add({
    name = "fatal",
    on_error = "raise",
    execute = function()
      error("for good", 0)
    end,
  })
  add({
    name = "nothing",
    execute = function() end,
  })
  add({ name = "client", parameters = { type = "object" } })
end

local ALL = { "add", "wait", "boom", "refuse", "fatal", "nothing", "client" }

-- The same words in each protocol; `broken` says whether it can carry arguments that are no JSON.
local protocols = {
  { chat, broken = true },
  { wires.messages, broken = true },
  { wires.responses, broken = true },
  { wires.cohere, broken = true },
  { wires.ollama },
}

local function holds(protocol)
  local wire = protocol[1]

  describe(wire.path, function()
    local id, log

    before_each(function()
      zigllms.reset()
      id = provider.create(wire.config(server))
      provider.configure(id, { model = wire.model or "m" })
      log = {}
      register_tools(log)
    end)

    local function create(fields)
      local config = { provider = id, tools = ALL, system_prompt = "Be exact" }
      for key, value in pairs(fields or {}) do
        config[key] = value
      end
      return agent.create(config)
    end

    -- What each request was told.
    local function told()
      local all = {}
      for i, body in ipairs(server:requests()) do
        all[i] = dialogue(body)
      end
      return all
    end

    -- The last request, without the first `from` - 1 lines.
    local function last(from)
      local requests = told()
      local lines = requests[#requests]
      return { unpack(lines, from) }
    end

    it("several calls of a round, in two rounds, and the next turn", function()
      server:script(
        wire.calls({ { "c1", "add", '{"a":1,"b":2}' }, { "c2", "add", '{"a":3}' } }),
        wire.calls({ { "c3", "add", '{"a":5,"b":6}' } }),
        wire.text("3, 13 and 11"),
        wire.text("fine")
      )
      local who = create()
      local response = agent.run(who, "add")
      assert.equal("3, 13 and 11", response.content)
      assert.equal(3, response.iterations)
      agent.run(who, "thanks")
      local first = { "system: Be exact", "user: add" }
      local second = {
        "system: Be exact",
        "user: add",
        'call c1 add {"a":1,"b":2}',
        'call c2 add {"a":3}',
        "result c1 3",
        "result c2 13",
      }
      local third = { unpack(second) }
      third[7], third[8] = 'call c3 add {"a":5,"b":6}', "result c3 11"
      local fourth = { unpack(third) }
      fourth[9], fourth[10] = "assistant: 3, 13 and 11", "user: thanks"
      assert.same({ first, second, third, fourth }, told())
    end)

    it("calls that overlap stand where the model asked for them", function()
      server:script(
        wire.calls({
          { "c1", "wait", '{"ms":60}' },
          { "c2", "add", '{"a":1,"b":1}' },
          { "c3", "wait", '{"ms":5}' },
          { "c4", "nothing", "{}" },
        }),
        wire.text("done")
      )
      local response = agent.run(create(), "go")
      assert.same({ "wait", "wait", "add", "nothing" }, log)
      assert.same({
        'call c1 wait {"ms":60}',
        'call c2 add {"a":1,"b":1}',
        'call c3 wait {"ms":5}',
        "call c4 nothing {}",
        'result c1 {"waited":60}',
        "result c2 2",
        'result c3 {"waited":5}',
        "result c4 null",
      }, last(3))
      local done = {}
      for i, call in ipairs(response.tool_calls) do
        done[i] = call.id
      end
      assert.same({ "c1", "c2", "c3", "c4" }, done)
    end)

    it("calls that fail, in every way, are told and go on", function()
      server:script(
        wire.calls({
          { "c1", "boom", "{}" },
          { "c2", "refuse", "{}" },
          { "c3", "nobody", '{"x":1}' },
          { "c4", "add", '{"b":1}' },
          { "c5", "add", '{"a":"x"}' },
          { "c6", "add", '{"a":2,"b":2}' },
        }),
        wire.text("sorry")
      )
      local response = agent.run(create(), "go")
      assert.equal("sorry", response.content)
      assert.same({ "boom", "refuse", "add" }, log)
      local lines = last(9)
      local function fails(n, part)
        local message = lines[n]:match('^result c%d {"error":"(.*)"}$')
        assert.truthy(message and message:find(part, 1, true), lines[n])
        assert.truthy(response.tool_calls[n].error:find(part, 1, true))
        assert.is_nil(response.tool_calls[n].result)
      end
      fails(1, "it went off")
      fails(2, "not today")
      fails(3, "nobody")
      fails(4, "a")
      fails(5, "/a")
      assert.equal("result c6 4", lines[6])
      assert.equal(4, response.tool_calls[6].result)
    end)

    if protocol.broken then
      it("arguments that are no JSON are told; what can be mended is mended", function()
        server:script(
          wire.calls({
            { "c1", "add", '{"a":1,"b"' },
            { "c2", "add", "" },
            { "c3", "nothing", "" },
            { "c4", "add", '{"a":1,"b":2,}' },
          }),
          wire.text("done")
        )
        agent.run(create(), "go")
        local lines = last(3)
        -- Servers refuse a conversation with broken JSON in it, all but OpenAI's own.
        local told_back = wire == wires.responses and '{"a":1,"b"'
          or '{"invalid_json":"{\\"a\\":1,\\"b\\""}'
        assert.equal("call c1 add " .. told_back, lines[1])
        assert.truthy(lines[5]:find('^result c1 {"error":".*JSON'), lines[5])
        assert.equal("call c2 add {}", lines[2])
        assert.truthy(lines[6]:find('^result c2 {"error":"'), lines[6])
        assert.equal("result c3 null", lines[7])
        assert.equal("result c4 3", lines[8])
        assert.same({ "nothing", "add" }, log)
      end)
    end

    it("a tool's error may end the run; every call has a result", function()
      server:script(
        wire.calls({
          { "c1", "add", '{"a":1,"b":1}' },
          { "c2", "fatal", "{}" },
          { "c3", "add", '{"a":2,"b":2}' },
        }),
        wire.text("afterwards")
      )
      local who = create()
      local err = raised("tool_error", agent.run, who, "go")
      assert.equal("for good", err.cause)
      assert.same({ "add", "fatal" }, log)
      assert.equal(1, server:count())
      local results = {}
      for _, message in ipairs(err.partial.messages) do
        if message.role == "tool" then
          results[#results + 1] = message.tool_call_id .. " " .. message.content
        end
      end
      assert.equal(3, #results)
      assert.equal("c1 2", results[1])
      assert.truthy(results[2]:find("for good", 1, true))
      assert.truthy(results[3]:find("not executed", 1, true))
      -- Nothing of it is remembered.
      agent.run(who, "again")
      assert.same({ "user: again" }, last(2))
    end)

    it("a client's calls are answered by the next input", function()
      server:script(
        wire.calls({
          { "c1", "client", '{"q":1}' },
          { "c2", "add", '{"a":1,"b":1}' },
          { "c3", "client", '{"q":2}' },
        }),
        wire.text("thanks"),
        wire.text("bye")
      )
      local who = create()
      local response = agent.run(who, "go")
      assert.equal("tool_calls", response.finish_reason)
      assert.equal(1, server:count())
      local pending = {}
      for i, call in ipairs(response.pending_tool_calls) do
        pending[i] = ("%s %s %d %s"):format(call.id, call.name, call.arguments.q, call.reason)
      end
      assert.same({ "c1 client 1 client", "c3 client 2 client" }, pending)
      agent.run(who, {
        { role = "tool", tool_call_id = "c3", content = "second" },
        { role = "tool", tool_call_id = "c1", content = "first" },
      })
      local expected = {
        'call c1 client {"q":1}',
        'call c2 add {"a":1,"b":1}',
        'call c3 client {"q":2}',
        "result c1 first",
        "result c2 2",
        "result c3 second",
      }
      assert.same(expected, last(3))
      agent.run(who, "bye")
      expected[7], expected[8] = "assistant: thanks", "user: bye"
      assert.same(expected, last(3))
    end)

    it("a new input closes calls that nobody has answered", function()
      server:script(
        wire.calls({ { "c1", "client", '{"q":1}' }, { "c2", "client", '{"q":2}' } }),
        wire.text("never mind")
      )
      local who = create()
      agent.run(who, "go")
      agent.run(who, "something else")
      local lines = last(3)
      assert.equal(5, #lines)
      assert.truthy(lines[3]:find("^result c1 .*not executed"), lines[3])
      assert.truthy(lines[4]:find("^result c2 .*not executed"), lines[4])
      assert.equal("user: something else", lines[5])
    end)

    it("the calls of the last round are not executed, and say so", function()
      server:script(
        wire.calls({ { "c1", "add", '{"a":1,"b":1}' } }),
        wire.calls({ { "c2", "add", '{"a":2,"b":2}' }, { "c3", "boom", "{}" } }),
        wire.text("next")
      )
      local who = create({ max_iterations = 2 })
      local response = agent.run(who, "go")
      assert.equal("max_iterations", response.finish_reason)
      assert.same({ "add" }, log)
      assert.equal(2, server:count())
      agent.run(who, "go on")
      local lines = last(3)
      assert.equal("result c1 2", lines[2])
      assert.equal('call c2 add {"a":2,"b":2}', lines[3])
      assert.truthy(lines[5]:find("^result c2 .*not executed"), lines[5])
      assert.truthy(lines[6]:find("^result c3 .*not executed"), lines[6])
      assert.equal("user: go on", lines[7])
    end)

    it("a structured answer that does not fit is asked for once more, after the tools", function()
      server:script(
        wire.calls({ { "c1", "add", '{"a":1,"b":1}' } }),
        wire.text('{"sum":"two"}'),
        wire.text('{"sum":2}')
      )
      local schema = {
        type = "object",
        properties = { sum = { type = "integer" } },
        required = { "sum" },
      }
      local response = agent.run(create(), "go", { schema = schema })
      assert.same({ sum = 2 }, response.parsed)
      local lines = last(3)
      assert.same({ 'call c1 add {"a":1,"b":1}', "result c1 2" }, { lines[1], lines[2] })
      assert.equal('assistant: {"sum":"two"}', lines[3])
      assert.truthy(lines[4]:find("^user: .*sum.*Answer again with JSON"), lines[4])
      assert.equal(4, #lines)
    end)

    if wire.forced then
      it("a call that was asked for is asked for once", function()
        for _, choice in ipairs({ "required", { name = "add" } }) do
          server:script(wire.calls({ { "c1", "add", '{"a":1,"b":2}' } }), wire.text("3"))
          local refused = choice ~= "required" and wire == wires.cohere
          if not refused then
            local response = agent.run(create(), "go", { tool_choice = choice })
            assert.equal("3", response.content)
            local requests = server:requests()
            assert.same(wire.forced(choice), requests[1].tool_choice)
            assert.is_nil(requests[2].tool_choice)
          end
        end
        server:script(wire.text("nothing"))
        agent.run(create(), "go", { tool_choice = "none" })
        assert.equal(1, server:count())
      end)
    end

    it("who follows it hears of texts, calls, results and the end, in this order", function()
      server:script(
        wire.calls({ { "c1", "add", '{"a":1,"b":2}' }, { "c2", "boom", "{}" } }),
        wire.text({ "all ", "done" })
      )
      local heard, texts = {}, {}
      local response = agent.run(create(), "go", {
        stream = function(chunk)
          texts[#texts + 1] = chunk.content
          for _, call in ipairs(chunk.tool_calls or {}) do
            local seen = "call " .. tostring(call.index) .. " in round " .. chunk.iteration
            if heard[#heard] ~= seen then
              heard[#heard + 1] = seen
            end
          end
          local result = chunk.tool_result
          if result then
            heard[#heard + 1] = ("%s %s %s in round %d"):format(
              result.id,
              result.name,
              result.error and "failed" or tostring(result.result),
              chunk.iteration
            )
          end
          if chunk.done then
            heard[#heard + 1] = "done " .. chunk.finish_reason
          elseif chunk.content ~= "" and heard[#heard] ~= "text" then
            heard[#heard + 1] = "text"
          end
        end,
      })
      assert.same({
        "call 1 in round 1",
        "call 2 in round 1",
        "c1 add 3 in round 1",
        "c2 boom failed in round 1",
        "text",
        "done stop",
      }, heard)
      assert.equal("all done", table.concat(texts))
      assert.equal("all done", response.content)
    end)

    it("tools that try again, run out of time or are known say so once", function()
      local tries = 0
      tool.register({
        name = "flaky",
        max_retries = 2,
        execute = function()
          tries = tries + 1
          if tries < 3 then
            error("not yet")
          end
          return "at last"
        end,
      })
      tool.register({
        name = "late",
        timeout_ms = 20,
        execute = function()
          zigllms.sleep(5000)
        end,
      })
      local known = 0
      tool.register({
        name = "known",
        cache = true,
        parameters = { type = "object", properties = { n = { type = "integer" } } },
        execute = function(input)
          known = known + 1
          return { twice = input.n * 2 }
        end,
      })
      server:script(
        wire.calls({
          { "c1", "flaky", "{}" },
          { "c2", "late", "{}" },
          { "c3", "known", '{"n":4}' },
          { "c4", "known", '{"n":4}' },
        }),
        wire.text("done")
      )
      agent.run(create({ tools = { "flaky", "late", "known" } }), "go")
      local lines = last(7)
      assert.equal("result c1 at last", lines[1])
      assert.truthy(lines[2]:find('^result c2 {"error":".*longer than 20 ms'), lines[2])
      assert.equal('result c3 {"twice":8}', lines[3])
      assert.equal('result c4 {"twice":8}', lines[4])
      assert.same({ 3, 1 }, { tries, known })
    end)
  end)
end

describe("a run, message by message:", function()
  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  for _, protocol in ipairs(protocols) do
    holds(protocol)
  end
end)
