-- Agents against a scripted model: the loop of model and tools, conversations, limits, states.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local independent = require("spec.support.server")
local scripted = require("spec.support.model")

local agent, tool, provider = zigllms.agent, zigllms.tool, zigllms.provider
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

-- What differs between two equal runs.
local VOLATILE = { created = true, duration_ms = true, ttft_ms = true, agent_id = true }

local function settled(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, item in pairs(value) do
    if not VOLATILE[key] then
      copy[key] = settled(item)
    end
  end
  return copy
end

-- Role and content of each message, for comparing transcripts.
local function transcript(messages)
  local lines = {}
  for i, message in ipairs(messages) do
    local called = {}
    for n, call in ipairs(message.tool_calls or {}) do
      called[n] = call.id
    end
    local content = type(message.content) == "string" and message.content or ""
    lines[i] = message.role
      .. (message.tool_call_id and "(" .. message.tool_call_id .. ")" or "")
      .. (called[1] and "[" .. table.concat(called, ",") .. "]" or "")
      .. (content ~= "" and ": " .. content or "")
  end
  return lines
end

local function create(config)
  config = config or {}
  config.provider = config.provider or "openai"
  return agent.create(config)
end

local function sent(n)
  return transcript(model:requests()[n].messages)
end

describe("agent", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  describe("a run with tools", function()
    local seen

    local function two_tools()
      seen = {}
      return {
        {
          name = "add",
          description = "Adds",
          parameters = {
            type = "object",
            properties = { a = { type = "number" }, b = { type = "number" } },
            required = { "a", "b" },
          },
          execute = function(input, ctx)
            seen[#seen + 1] = { "add", input, ctx }
            return input.a + input.b
          end,
        },
        {
          name = "boom",
          execute = function(input, ctx)
            seen[#seen + 1] = { "boom", input, ctx }
            error("it went off", 0)
          end,
        },
      }
    end

    local function three_rounds()
      model:script(
        calls(
          { { "c1", "add", '{"a":1,"b":2}' }, { "c2", "add", '{"a":20,"b":30}' } },
          { content = "Let me see" }
        ),
        calls({ { "c3", "add", '{"a":' }, { "c4", "nobody", "{}" }, { "c5", "boom", '{"x":1}' } }),
        text({ "The sum ", "is 3" })
      )
    end

    local function run_it(options)
      three_rounds()
      local id = create({ system_prompt = "Be exact", tools = two_tools() })
      local response = agent.run(id, "What is 1 + 2?", options)
      return id, response, model:requests()
    end

    it("asks again until the model has answered, and the transcript is complete", function()
      local id, response, requests = run_it()
      assert.equal(3, #requests)
      assert.same({ "system: Be exact", "user: What is 1 + 2?" }, transcript(requests[1].messages))
      assert.same({
        "system: Be exact",
        "user: What is 1 + 2?",
        "assistant[c1,c2]: Let me see",
        "tool(c1): 3",
        "tool(c2): 50",
      }, transcript(requests[2].messages))
      local third = requests[3].messages
      assert.same({ "assistant[c3,c4,c5]" }, { transcript(third)[6] })
      assert.equal(9, #third)
      for i, call_id in ipairs({ "c3", "c4", "c5" }) do
        local message = third[6 + i]
        assert.equal("tool", message.role)
        assert.equal(call_id, message.tool_call_id)
        assert.truthy(message.content:find('^{"error":".+"}$'), message.content)
      end
      assert.truthy(third[7].content:find("JSON", 1, true))
      assert.truthy(third[8].content:find("nobody", 1, true))
      assert.truthy(third[9].content:find("it went off", 1, true))

      assert.equal("The sum is 3", response.content)
      assert.equal("stop", response.finish_reason)
      assert.equal("assistant", response.role)
      assert.equal(3, response.iterations)
      assert.equal(3, response.attempts)
      assert.equal(id, response.agent_id)
      assert.same({ 30, 15, 45 }, {
        response.usage.prompt_tokens,
        response.usage.completion_tokens,
        response.usage.total_tokens,
      })
      assert.is_nil(response.pending_tool_calls)
    end)

    it("offers exactly its tools, as the protocol has them", function()
      local _, _, requests = run_it()
      assert.equal(2, #requests[1].tools)
      local add = requests[1].tools[1]
      assert.equal("function", add.type)
      assert.equal("add", add["function"].name)
      assert.equal("Adds", add["function"].description)
      assert.same({ "a", "b" }, add["function"].parameters.required)
      assert.equal("boom", requests[1].tools[2]["function"].name)
      assert.same(requests[1].tools, requests[3].tools)
    end)

    it("sends a round back to the model as it came", function()
      provider.configure("openai", { base_url = "http://strict.example/v1" })
      local _, _, requests = run_it()
      local assistant = requests[3].messages[6]
      assert.equal("c3", assistant.tool_calls[1].id)
      assert.equal("function", assistant.tool_calls[1].type)
      -- Strict servers refuse a conversation with broken JSON in it.
      assert.equal('{"invalid_json":"{\\"a\\":"}', assistant.tool_calls[1]["function"].arguments)
      assert.equal('{"x":1}', assistant.tool_calls[3]["function"].arguments)
      assert.equal("add", assistant.tool_calls[1]["function"].name)
    end)

    it("calls the tools in order and tells them who asks", function()
      local id = run_it()
      assert.equal(3, #seen)
      assert.same({ "add", "add", "boom" }, { seen[1][1], seen[2][1], seen[3][1] })
      assert.same({ a = 1, b = 2 }, seen[1][2])
      local ctx = seen[1][3]
      assert.equal("add", ctx.name)
      assert.equal(id, ctx.agent_id)
      assert.equal("c1", ctx.call_id)
      assert.is_string(ctx.tool_id)
      assert.is_false(ctx.cancelled())
    end)

    it("reports every call with its result or its error", function()
      local _, response = run_it()
      local done = response.tool_calls
      assert.equal(5, #done)
      assert.same({ "c1", "add", 3 }, { done[1].id, done[1].name, done[1].result })
      assert.same({ a = 1, b = 2 }, done[1].arguments)
      assert.is_number(done[1].duration_ms)
      assert.is_nil(done[1].error)
      assert.same({ "c3", "c4", "c5" }, { done[3].id, done[4].id, done[5].id })
      for i = 3, 5 do
        assert.is_string(done[i].error)
        assert.is_nil(done[i].result)
      end
      assert.is_nil(done[3].arguments)
    end)

    it("returns the new messages of the turn, also those of the tools", function()
      local _, response = run_it()
      local lines = transcript(response.messages)
      assert.equal(9, #lines)
      assert.same(
        { "user: What is 1 + 2?", "assistant[c1,c2]: Let me see", "tool(c1): 3", "tool(c2): 50" },
        {
          lines[1],
          lines[2],
          lines[3],
          lines[4],
        }
      )
      assert.equal("assistant: The sum is 3", lines[9])
    end)

    it("gives equal results streamed and not streamed", function()
      local _, plain, plain_requests = run_it()
      local chunks = {}
      model:begin()
      local _, streamed, requests = run_it({
        stream = function(chunk)
          chunks[#chunks + 1] = chunk
        end,
      })
      assert.same(settled(plain), settled(streamed))
      assert.same(plain_requests, requests)

      local said, results, ends = {}, {}, 0
      for i, chunk in ipairs(chunks) do
        assert.is_string(chunk.content)
        assert.equal(i, chunk.index)
        said[#said + 1] = chunk.content
        if chunk.tool_result then
          results[#results + 1] = chunk.tool_result.id
        end
        if chunk.done then
          ends = ends + 1
        end
      end
      assert.equal("Let me seeThe sum is 3", table.concat(said))
      assert.same({ "c1", "c2", "c3", "c4", "c5" }, results)
      assert.equal(1, ends)
      local last = chunks[#chunks]
      assert.is_true(last.done)
      assert.equal("stop", last.finish_reason)
      assert.equal(45, last.usage.total_tokens)
    end)

    it("gives the same again through a handle and through a loop", function()
      local _, plain = run_it()
      model:begin()
      local _, handle = run_it({ async = true })
      assert.same(settled(plain), settled(handle:await()))

      model:begin()
      three_rounds()
      local id = create({ system_prompt = "Be exact", tools = two_tools() })
      local looped = {}
      for chunk in agent.run(id, "What is 1 + 2?", { stream = true }) do
        looped[#looped + 1] = chunk.content
      end
      assert.equal("Let me seeThe sum is 3", table.concat(looped))
    end)

    it("uses registered tools by id and by name, and skips those that are gone", function()
      local definitions = two_tools()
      local add = tool.register(definitions[1])
      tool.register(definitions[2])
      local id = create({ tools = { add, "boom" } })
      tool.unregister("boom")
      model:script(calls({ { "c1", "add", '{"a":1,"b":1}' } }), text("2"))
      assert.equal("2", agent.run(id, "1 + 1").content)
      assert.equal(1, #model:requests()[1].tools)
      local listed = agent.get_info(id).tools
      assert.same({ id = add, name = "add" }, listed[1])
      assert.is_true(listed[2].missing)
    end)

    it("refuses tools that nobody knows", function()
      local err = raised("not_found", create, { tools = { "nobody" } })
      assert.truthy(err.message:find("nobody", 1, true))
      assert.truthy(err.message:find("tools[1]", 1, true))
      raised(
        "validation_failed",
        create,
        { tools = { { name = "x", parameters = { type = "nonsense" } } } }
      )
      raised("invalid_argument", create, { tools = { { name = "not a name" } } })
    end)

    it("gives the model JSON of a table, and a string as it is", function()
      local answers = {}
      local id = create({
        tools = {
          {
            name = "get",
            execute = function()
              return table.remove(answers, 1)
            end,
          },
        },
      })
      answers = { { 1, 2, { a = "ü" } }, 'plain "text"', true, 1.5 }
      model:script(
        calls({
          { "1", "get", "{}" },
          { "2", "get", "{}" },
          { "3", "get", "{}" },
          { "4", "get", "{}" },
        }),
        text("ok")
      )
      agent.run(id, "go")
      assert.same({
        'tool(1): [1,2,{"a":"ü"}]',
        'tool(2): plain "text"',
        "tool(3): true",
        "tool(4): 1.5",
      }, { sent(2)[3], sent(2)[4], sent(2)[5], sent(2)[6] })
    end)

    it("hands out a tool's result as the very value", function()
      local made = { inside = print }
      local id = create({
        tools = {
          {
            name = "make",
            execute = function()
              return made
            end,
          },
        },
      })
      model:script(calls({ { "c1", "make", "{}" } }), text("done"))
      local response = agent.run(id, "go")
      assert.equal(made, response.tool_calls[1].result)
      assert.truthy(sent(2)[3]:find("error", 1, true), "the model is told that it is no data")
    end)

    it("fills defaults and checks arguments against the schema", function()
      local got
      local id = create({
        tools = {
          {
            name = "pick",
            parameters = {
              type = "object",
              properties = { n = { type = "integer", default = 7 }, word = { type = "string" } },
              required = { "word" },
            },
            execute = function(input)
              got = input
              return "ok"
            end,
          },
        },
      })
      model:script(
        calls({ { "c1", "pick", '{"word":"a","x":null}' }, { "c2", "pick", '{"n":1.5}' } }),
        text("done")
      )
      local response = agent.run(id, "go")
      assert.same({ word = "a", n = 7 }, got)
      assert.is_nil(response.tool_calls[1].error)
      assert.truthy(response.tool_calls[2].error)
    end)

    it("ends with the error of a tool that says so", function()
      local cause = { "unchanged" }
      local id = create({
        tools = {
          {
            name = "boom",
            on_error = "raise",
            execute = function()
              error(cause)
            end,
          },
          { name = "never", execute = function() end },
        },
      })
      model:script(calls({ { "c1", "boom", "{}" }, { "c2", "never", "{}" } }))
      local err = raised("tool_error", agent.run, id, "go")
      assert.equal(cause, err.cause)
      assert.equal("agent", err.bridge)
      assert.equal("run", err.func)
      local lines = transcript(err.partial.messages)
      assert.equal("user: go", lines[1])
      assert.equal("assistant[c1,c2]", lines[2])
      assert.equal(4, #lines, "every call has a result")
      assert.equal(0, agent.get_info(id).memory.messages, "nothing is remembered")
    end)

    it("may wait in a tool, and may call any bridge", function()
      local id
      id = create({
        tools = {
          {
            name = "busy",
            execute = function()
              zigllms.sleep(5)
              local other = create({ name = "made inside" })
              assert(agent.get_state(id) == "running")
              return agent.get_info(other).name
            end,
          },
        },
      })
      model:script(calls({ { "c1", "busy", "{}" } }), text("done"))
      assert.equal("made inside", agent.run(id, "go").tool_calls[1].result)
    end)

    it("takes tools and other options for one run", function()
      local id = create({ system_prompt = "usual", temperature = 1 })
      model:script(calls({ { "c1", "one", "{}" } }), text("a"), text("b"))
      local response = agent.run(id, "go", {
        tools = {
          {
            name = "one",
            execute = function()
              return 1
            end,
          },
        },
        system_prompt = "special",
        temperature = 0,
        tool_choice = "required",
      })
      assert.equal(1, response.tool_calls[1].result)
      agent.run(id, "again")
      local requests = model:requests()
      assert.equal("special", requests[1].messages[1].content)
      assert.equal(0, requests[1].temperature)
      assert.equal("required", requests[1].tool_choice)
      -- It has been obeyed: otherwise there would be no answer.
      assert.is_nil(requests[2].tool_choice)
      assert.equal("usual", requests[3].messages[1].content)
      assert.equal(1, requests[3].temperature)
      assert.is_nil(requests[3].tools)
    end)
  end)

  describe("limits", function()
    local function looping(config)
      config = config or {}
      config.tools = {
        {
          name = "again",
          execute = function()
            return "more"
          end,
        },
      }
      local id = create(config)
      local round = calls({ { "c1", "again", "{}" }, { "c2", "again", "{}" } })
      round.again = true
      model:script(round)
      return id
    end

    it("returns at max_iterations, and every call has a result", function()
      local id = looping({ max_iterations = 2 })
      local response = agent.run(id, "go")
      assert.equal("max_iterations", response.finish_reason)
      assert.equal(2, response.iterations)
      assert.equal(2, model:count())
      local turn = response.messages
      assert.equal(7, #turn)
      for i = 1, 2 do
        assert.equal('{"error":"not executed"}', turn[5 + i].content)
        assert.equal(turn[5].tool_calls[i].id, turn[5 + i].tool_call_id)
      end
      assert.equal(2, #response.tool_calls)

      model:script(text("at last"))
      agent.run(id, "go on")
      local request = sent(1)
      assert.equal(8, #request)
      assert.equal("user: go on", request[8])
    end)

    it("makes ids that a server uses twice different", function()
      local response = agent.run(looping({ max_iterations = 3 }), "go")
      local ids, turn = {}, response.messages
      for _, message in ipairs(turn) do
        for _, call in ipairs(message.tool_calls or {}) do
          assert.is_nil(ids[call.id])
          ids[call.id] = true
        end
        if message.tool_call_id then
          assert.is_true(ids[message.tool_call_id])
        end
      end
    end)

    it("is ten rounds unless told otherwise", function()
      local response = agent.run(looping(), "go")
      assert.equal(10, response.iterations)
      assert.equal(10, model:count())
    end)

    it("raises at max_iterations if asked to, with what there was", function()
      local id = looping({ max_iterations = 1, on_limit = "raise" })
      local err = raised("max_iterations", agent.run, id, "go")
      assert.equal("max_iterations", err.partial.finish_reason)
      assert.equal(1, err.partial.iterations)
      assert.equal(0, agent.get_info(id).memory.messages)
      assert.equal("error", (agent.get_state(id)))
    end)

    it("raises when the budget is used up", function()
      local id = looping({ budget = { max_steps = 2 } })
      local err = raised("budget_exceeded", agent.run, id, "go")
      assert.equal("budget_exceeded", err.partial.finish_reason)
      assert.equal(2, model:count())
      assert.equal(30, err.partial.usage.total_tokens)
    end)

    it("counts tokens and time", function()
      local id = looping({ budget = { max_total_tokens = 40 } })
      raised("budget_exceeded", agent.run, id, "go")
      assert.equal(3, model:count())

      id = create({
        budget = { max_ms = 20 },
        tools = {
          {
            name = "slow",
            execute = function()
              zigllms.sleep(30)
            end,
          },
        },
      })
      local round = calls({ { "c1", "slow", "{}" } })
      round.again = true
      model:script(round)
      raised("budget_exceeded", agent.run, id, "go")
      assert.equal(1, model:count())
    end)

    it("returns at the end of the budget if asked to", function()
      local id = looping()
      local response = agent.run(id, "go", { budget = { max_steps = 1 }, on_limit = "return" })
      assert.equal("budget_exceeded", response.finish_reason)
      assert.equal(1, response.iterations)
      assert.equal('tool(c1): {"error":"not executed"}', transcript(response.messages)[3])
    end)

    it("does not complain about an answer that just fits", function()
      local id = create({ budget = { max_steps = 1, max_total_tokens = 15 }, max_iterations = 1 })
      model:script(text("fits"))
      assert.equal("fits", agent.run(id, "go").content)
    end)

    it("bounds the whole run with timeout_ms, and a tool is told", function()
      local id = create({
        timeout_ms = 60,
        tools = {
          {
            name = "slow",
            execute = function()
              zigllms.sleep(5000)
            end,
          },
        },
      })
      model:script(calls({ { "c1", "slow", "{}" } }))
      local began = os.time()
      local err = raised("timeout", agent.run, id, "go")
      assert.equal("total", err.phase)
      assert.is_true(os.time() - began < 3)
      assert.equal("assistant[c1]", transcript(err.partial.messages)[2])
    end)
  end)

  describe("the conversation", function()
    it("is remembered", function()
      local id = create({ system_prompt = "S" })
      model:script(text("one"), text("two"), text("three"))
      agent.run(id, "1")
      agent.run(id, "2")
      agent.run(id, "3")
      assert.same(
        { "system: S", "user: 1", "assistant: one", "user: 2", "assistant: two", "user: 3" },
        sent(3)
      )
      local memory = agent.get_info(id).memory
      assert.equal(6, memory.messages)
      assert.equal("short_term", memory.type)
      assert.equal(100, memory.max_messages)
      assert.is_true(memory.tokens_estimate > 0)
    end)

    it("is another one in each session", function()
      local id = create()
      model:script(text("a1"), text("b1"), text("a2"), text("own"))
      agent.run(id, "A1", { session = "a" })
      agent.run(id, "B1", { session = "b" })
      agent.run(id, "A2", { session = "a" })
      agent.run(id, "own")
      assert.same({ "user: B1" }, sent(2))
      assert.same({ "user: A1", "assistant: a1", "user: A2" }, sent(3))
      assert.same({ "user: own" }, sent(4))
    end)

    it("is neither read nor written with remember=false", function()
      local id = create()
      model:script(text("one"), text("aside"), text("two"))
      agent.run(id, "1")
      agent.run(id, "between us", { remember = false })
      agent.run(id, "2")
      assert.same({ "user: between us" }, sent(2))
      assert.same({ "user: 1", "assistant: one", "user: 2" }, sent(3))
    end)

    it("is none with memory=false", function()
      local id = create({ memory = false })
      model:script(text("one"), text("two"))
      agent.run(id, "1")
      agent.run(id, "2")
      assert.same({ "user: 2" }, sent(2))
    end)

    it("is sent as far as the window reaches, and the instructions always", function()
      local id = create({ system = "S", memory = { max_messages = 3 } })
      model:script(text("one"), text("two"), text("three"))
      for i = 1, 3 do
        agent.run(id, tostring(i))
      end
      assert.same({ "system: S", "user: 2", "assistant: two", "user: 3" }, sent(3))
      assert.equal(6, agent.get_info(id).memory.messages)
    end)

    it("is sent as far as its tokens reach", function()
      local id = create({ memory_config = { max_tokens = 4 } })
      model:script(text("12345678"), text("abcdefgh"))
      agent.run(id, "first")
      agent.run(id, "now")
      assert.same({ "assistant: 12345678", "user: now" }, sent(2))
    end)

    it("never shows a tool's result without its call", function()
      local id = create({
        memory = { max_messages = 3 },
        tools = {
          {
            name = "get",
            execute = function()
              return "r"
            end,
          },
        },
      })
      model:script(calls({ { "c1", "get", "{}" } }), text("done"), text("next"))
      agent.run(id, "go")
      agent.run(id, "again")
      assert.same({ "assistant: done", "user: again" }, sent(3))
    end)

    it("gets nothing from a run that raises", function()
      local id = create()
      model:script(text("one"), scripted.failure(400, "no"), text("two"))
      agent.run(id, "1")
      local err = raised("bad_request", agent.run, id, "refused")
      assert.same({ "user: refused" }, transcript(err.partial.messages))
      agent.run(id, "2")
      assert.same({ "user: 1", "assistant: one", "user: 2" }, sent(3))
    end)

    it("takes every form of input", function()
      local id = create({ memory = false })
      local function said(input)
        model:script(text("ok"))
        agent.run(id, input)
        return sent(1)
      end
      assert.same({ "user: text" }, said("text"))
      assert.same({ "user: message" }, said({ role = "user", content = "message" }))
      assert.same(
        { "user: a", "assistant: b", "user: c" },
        said({
          { role = "user", content = "a" },
          { role = "assistant", content = "b" },
          { role = "user", content = "c" },
        })
      )
      assert.same({ "user: m" }, said({ message = "m" }))
      assert.same({ "user: c" }, said({ content = "c" }))
      assert.same(
        { "user: x", "user: y" },
        said({
          messages = { { role = "user", content = "x" }, { role = "user", content = "y" } },
        })
      )
      assert.same({ 'user: {"question":"why"}' }, said({ question = "why" }))
      local with_context = table.concat(said({ message = "m", context = { page = 3 } }), " ")
      assert.truthy(with_context:find("m", 1, true))
      assert.truthy(with_context:find('{"page":3}', 1, true))
    end)

    it("refuses bad input at once", function()
      local id = create()
      model:script(text("never"))
      raised("invalid_argument", agent.run, id)
      raised("invalid_argument", agent.run, id, 42)
      local err = raised("invalid_argument", agent.run, id, { { role = "nobody", content = "x" } })
      assert.truthy(err.message:find("input[1].role", 1, true), err.message)
      raised("conversion_error", agent.run, id, { text = print })
      raised("not_found", agent.run, "nobody", "hi")
      assert.equal(0, model:count())
      assert.equal("idle", (agent.get_state(id)))
    end)
  end)

  describe("client-side tools", function()
    local declared

    before_each(function()
      declared = {
        {
          name = "ask_user",
          parameters = { type = "object", properties = { q = { type = "string" } } },
        },
        {
          name = "here",
          execute = function()
            return "done here"
          end,
        },
      }
    end)

    local function stopped_run()
      local id = create({ tools = declared })
      model:script(
        calls({
          { "c1", "ask_user", '{"q":"why?"}' },
          { "c2", "here", "{}" },
          { "c3", "ask_user", "{}" },
        }),
        text("thanks")
      )
      return id, agent.run(id, "go")
    end

    it("stop the run, after the other calls of the round", function()
      local id, response = stopped_run()
      assert.equal("tool_calls", response.finish_reason)
      assert.equal(1, #response.tool_calls)
      assert.equal("done here", response.tool_calls[1].result)
      local open = response.pending_tool_calls
      assert.equal(2, #open)
      assert.same({ "c1", "ask_user", "client" }, { open[1].id, open[1].name, open[1].reason })
      assert.same({ q = "why?" }, open[1].arguments)
      local state, detail = agent.get_state(id)
      assert.equal("ready", state)
      assert.equal("tool_results", detail.waiting_for)
      assert.same({ "c1", "c3" }, detail.pending)
    end)

    it("go on with the answers", function()
      local id = stopped_run()
      local response = agent.run(id, {
        { role = "tool", tool_call_id = "c1", content = "because" },
        { role = "tool", tool_call_id = "c3", content = "so" },
      })
      assert.equal("thanks", response.content)
      assert.same({
        "user: go",
        "assistant[c1,c2,c3]",
        "tool(c1): because",
        "tool(c2): done here",
        "tool(c3): so",
      }, sent(2))
      local state, detail = agent.get_state(id)
      assert.equal("completed", state)
      assert.is_nil(detail.waiting_for)
      assert.is_nil(detail.pending)
    end)

    it("are closed by another input", function()
      local id = stopped_run()
      agent.run(id, "never mind")
      assert.same({
        "user: go",
        "assistant[c1,c2,c3]",
        'tool(c1): {"error":"not executed"}',
        "tool(c2): done here",
        'tool(c3): {"error":"not executed"}',
        "user: never mind",
      }, sent(2))
    end)

    it("are closed as far as the answers leave them open", function()
      local id = stopped_run()
      agent.run(id, { role = "tool", tool_call_id = "c3", content = "so" })
      assert.same({
        "user: go",
        "assistant[c1,c2,c3]",
        'tool(c1): {"error":"not executed"}',
        "tool(c2): done here",
        "tool(c3): so",
      }, sent(2))
    end)
  end)

  describe("runs side by side", function()
    it("of one conversation queue in call order", function()
      local id = create()
      model:script(text("one", { delay_ms = 30 }), text("two"), text("three"))
      local first = agent.run(id, "1", { async = true })
      local second = agent.run(id, "2", { async = true })
      local third = agent.run(id, "3", { async = true })
      assert.equal("three", third:await().content)
      assert.equal("one", first:await().content)
      assert.equal("two", second:await().content)
      assert.same({ "user: 1", "assistant: one", "user: 2", "assistant: two", "user: 3" }, sent(3))
    end)

    it("of one conversation go on after one that failed or was cancelled", function()
      local id = create()
      model:script(
        { error = "bad_request", delay_ms = 20 },
        text("two", { when = '"2"' }),
        text("four", { when = '"4"' })
      )
      local first = agent.run(id, "1", { async = true })
      local second = agent.run(id, "2", { async = true })
      local third = agent.run(id, "3", { async = true })
      local fourth = agent.run(id, "4", { async = true })
      assert.is_true(third:cancel("changed my mind"))
      raised("bad_request", zigllms.await, first)
      assert.equal("two", second:await().content)
      assert.equal("four", fourth:await().content)
      assert.equal("changed my mind", raised("cancelled", zigllms.await, third).details.reason)
      assert.same({ "user: 2", "assistant: two", "user: 4" }, sent(3))
    end)

    it(
      "of one conversation go on when the next one is cancelled at the turn of its hour",
      function()
        for _, moment in ipairs({ "in the last chunk", "in on()" }) do
          local id = create()
          -- On a busy machine the second one's answer must not come before its cancel does.
          local later = text("three", { again = true, delay_ms = 50 })
          model:script(text("one", { delay_ms = 20 }), later)
          local second
          local function cancel_second()
            second:cancel("too late?")
          end
          local first = agent.run(id, "1", {
            async = true,
            stream = function(chunk)
              if chunk.done and moment == "in the last chunk" then
                cancel_second()
              end
            end,
          })
          second = agent.run(id, "2", { async = true })
          local third = agent.run(id, "3", { async = true })
          if moment == "in on()" then
            first:on(cancel_second)
          end
          assert.equal("one", first:await().content)
          assert.is_true(third:wait(5000), moment)
          assert.equal("completed", third:status())
          assert.equal("cancelled", second:status())
        end
      end
    )

    it("of one conversation give up when their time is over", function()
      local id = create()
      model:script(text("one", { delay_ms = 150 }), text("three", { again = true }))
      local first = agent.run(id, "1", { async = true })
      local second = agent.run(id, "2", { async = true, timeout_ms = 30 })
      local third = agent.run(id, "3", { async = true })
      assert.equal("total", raised("timeout", zigllms.await, second).phase)
      assert.is_false(first:done())
      assert.equal("three", third:await().content)
    end)

    it("of other sessions, or without memory, do not wait for each other", function()
      local id = create()
      model:script(
        text("slow", { delay_ms = 150, when = '"1"' }),
        text("quick", { when = '"2"' }),
        text("quicker", { when = '"3"' })
      )
      local slow = agent.run(id, "1", { async = true })
      assert.equal("quick", agent.run(id, "2", { session = "other" }).content)
      assert.equal("quicker", agent.run(id, "3", { remember = false }).content)
      assert.is_false(slow:done())
      assert.equal("running", (agent.get_state(id)))
      assert.equal("slow", slow:await().content)
      assert.equal("completed", (agent.get_state(id)))
    end)

    it("may not be nested in the same conversation", function()
      local id, err, inner
      id = create({
        tools = {
          {
            name = "self",
            execute = function()
              err = raised("invalid_state", agent.run, id, "again")
              inner = agent.run(id, "elsewhere", { session = "s" }).content
              return inner .. agent.run(id, "nowhere", { remember = false }).content
            end,
          },
        },
      })
      model:script(
        calls({ { "c1", "self", "{}" } }, { when = "outer" }),
        text("in", { when = "elsewhere" }),
        text("no", { when = "nowhere" }),
        text("out", { when = "outer" })
      )
      assert.equal("out", agent.run(id, "outer").content)
      assert.truthy(err)
      assert.equal("in", inner)
      assert.truthy(sent(4)[3]:find("inno", 1, true))
    end)

    it("may not be nested through a handle or a spawned function", function()
      local ways = {
        function(id)
          return agent.run(id, "again", { async = true }):await()
        end,
        function(id)
          return zigllms
            .spawn(function()
              return agent.run(id, "again")
            end)
            :await()
        end,
      }
      for _, way in ipairs(ways) do
        local id, err
        id = create({
          tools = {
            {
              name = "self",
              execute = function()
                err = raised("invalid_state", way, id)
              end,
            },
          },
        })
        model:script(calls({ { "c1", "self", "{}" } }), text("done"))
        assert.equal("done", agent.run(id, "go").content)
        assert.truthy(err)
      end
    end)

    it("may not be nested through another agent either", function()
      local first, second, err
      first = create({
        tools = {
          {
            name = "hop",
            execute = function()
              return agent.run(second, "two").content
            end,
          },
        },
      })
      second = create({
        tools = {
          {
            name = "back",
            execute = function()
              err = raised("invalid_state", agent.run, first, "one again")
            end,
          },
        },
      })
      model:script(
        calls({ { "c1", "hop", "{}" } }),
        calls({ { "c2", "back", "{}" } }),
        text("second"),
        text("first")
      )
      assert.equal("first", agent.run(first, "one").content)
      assert.truthy(err)
    end)
  end)

  describe("streaming", function()
    it("stops when the callback returns false, and keeps what came", function()
      local id = create()
      model:script(text({ "one ", "two ", "three" }, { chunk_delay_ms = 30 }), text("next"))
      local response = agent.run(id, "go", {
        stream = function(chunk)
          return chunk.content == ""
        end,
      })
      assert.equal("cancelled", response.finish_reason)
      assert.equal("one ", response.content)
      assert.equal("completed", (agent.get_state(id)))
      agent.run(id, "on")
      assert.same({ "user: go", "assistant: one ", "user: on" }, sent(2))
    end)

    it("stops between tools", function()
      local ran = {}
      local function note(input)
        ran[#ran + 1] = input.n
      end
      local id = create({ tools = { { name = "note", execute = note } } })
      model:script(calls({ { "c1", "note", '{"n":1}' }, { "c2", "note", '{"n":2}' } }))
      local response = agent.run(id, "go", {
        stream = function(chunk)
          return not chunk.tool_result
        end,
      })
      assert.same({ 1 }, ran)
      assert.equal("cancelled", response.finish_reason)
      assert.equal('tool(c2): {"error":"not executed"}', transcript(response.messages)[4])
      assert.equal(1, model:count())
    end)

    it("fails with callback_error when the callback raises, and remembers nothing", function()
      local id = create()
      local cause = setmetatable({}, {})
      model:script(text({ "one ", "two" }, { chunk_delay_ms = 100 }))
      local err = raised("callback_error", agent.run, id, "go", {
        stream = function()
          error(cause)
        end,
      })
      assert.equal(cause, err.cause)
      assert.equal("one ", err.partial.content)
      assert.equal(0, agent.get_info(id).memory.messages)
      assert.equal("error", (agent.get_state(id)))
    end)

    it("remembers nothing when the callback raises in the very end", function()
      local id = create()
      model:script(text("one"), text("two"))
      raised("callback_error", agent.run, id, "go", {
        stream = function(chunk)
          if chunk.done then
            error("late")
          end
        end,
      })
      assert.equal(0, agent.get_info(id).memory.messages)
      assert.equal("error", (agent.get_state(id)))
      local response = agent.run(id, "go", {
        stream = function(chunk)
          return not chunk.done
        end,
      })
      assert.equal("stop", response.finish_reason)
      assert.equal(2, agent.get_info(id).memory.messages)
    end)

    it("lets an error of the module through", function()
      local id = create()
      model:script(text("one"))
      local mine = zigllms.error("rate_limited", "mine")
      local ok, err = pcall(agent.run, id, "go", {
        stream = function()
          error(mine)
        end,
      })
      assert.is_false(ok)
      assert.equal("rate_limited", err.code)
    end)

    it("may wait in the callback", function()
      local id = create()
      model:script(text({ "a", "b", "c" }))
      local said = ""
      agent.run(id, "go", {
        stream = function(chunk)
          zigllms.sleep(2)
          coroutine.yield()
          said = said .. chunk.content
        end,
      })
      assert.equal("abc", said)
    end)
  end)

  describe("structured output", function()
    local schema =
      { type = "object", properties = { n = { type = "integer" } }, required = { "n" } }

    it("is parsed and validated", function()
      local id = create({ schema = schema })
      model:script(text('{"n":5}'))
      local response = agent.run(id, "go")
      assert.same({ n = 5 }, response.parsed)
      assert.equal('{"n":5}', response.content)
      assert.equal("json_schema", model:requests()[1].response_format.type)
    end)

    it("gets one repair round", function()
      local id = create({ response_format = schema })
      model:script(text('{"n":"five"}'), text('{"n":5}'))
      local response = agent.run(id, "go")
      assert.same({ n = 5 }, response.parsed)
      assert.equal(2, response.iterations)
      local lines = sent(2)
      assert.equal('assistant: {"n":"five"}', lines[2])
      assert.truthy(lines[3]:find("^user: "))
    end)

    it("fails after it", function()
      local id = create()
      model:script(text("no JSON"), text('{"n":"five"}'))
      local err = raised("validation_failed", agent.run, id, "go", { schema = schema })
      assert.equal('{"n":"five"}', err.partial.content)
      assert.is_table(err.details.errors)
      assert.equal(2, model:count())
      assert.equal(0, agent.get_info(id).memory.messages)
    end)

    it("goes together with tools and streaming", function()
      local id = create({
        schema = schema,
        tools = {
          {
            name = "get",
            execute = function()
              return 5
            end,
          },
        },
      })
      model:script(calls({ { "c1", "get", "{}" } }), text({ '{"n"', ":5}" }))
      local response = agent.run(id, "go", { stream = function() end })
      assert.same({ n = 5 }, response.parsed)
    end)
  end)

  describe("the response", function()
    it("is its content as text", function()
      local id = create()
      model:script(text("hello"))
      local response = agent.run(id, "go")
      assert.equal("hello", tostring(response))
      assert.equal("got hello", "got " .. response)
      assert.equal("hello!", response .. "!")
    end)

    it("tells who answered and how long it took", function()
      local id = create({ model = "asked-model" })
      model:script(text("hello"))
      local response = agent.run(id, "go", { metadata = { ticket = 7 } })
      assert.equal("openai", response.provider)
      assert.equal("asked-model", response.model)
      assert.equal("chatcmpl_mock_1", response.id)
      assert.equal("req_mock_1", response.request_id)
      assert.equal("stop", response.native_finish_reason)
      assert.is_number(response.duration_ms)
      assert.is_number(response.ttft_ms)
      assert.is_true(math.abs(response.created - os.time()) < 5)
      assert.equal("asked-model", model:requests()[1].model)
      assert.is_nil(response.raw)
      assert.is_nil(response.parsed)
    end)

    it("is fresh each time", function()
      local id = create()
      model:script(text("a"), text("b"))
      local first = agent.run(id, "1")
      first.messages[1].content = "changed"
      first.usage.total_tokens = -1
      agent.run(id, "2")
      assert.same({ "user: 1", "assistant: a", "user: 2" }, sent(2))
      assert.equal(30, agent.get_info(id).usage.total_tokens)
    end)

    it("sums up usage over retries", function()
      local id = create({ retry = { max_attempts = 2, initial_delay_ms = 1 } })
      model:script(scripted.failure(500, "oops"), text("fine"))
      local response = agent.run(id, "go")
      assert.equal(2, response.attempts)
      assert.equal(1, response.iterations)
    end)
  end)

  describe("state", function()
    it("is idle, running, completed", function()
      local inside, detail
      local id = create({
        tools = {
          {
            name = "look",
            execute = function(_, ctx)
              inside, detail = agent.get_state(ctx.agent_id)
            end,
          },
        },
      })
      assert.equal("idle", (agent.get_state(id)))
      model:script(calls({ { "c1", "look", "{}" } }), text("done"))
      agent.run(id, "go")
      assert.equal("running", inside)
      assert.equal(1, detail.iteration)
      local state, after = agent.get_state(id)
      assert.equal("completed", state)
      assert.equal(state, after.state)
      assert.is_nil(after.iteration)
      assert.is_true(math.abs(after.since - os.time()) < 5)
    end)

    it("is error after a run that raised, and ready after a change", function()
      local id = create()
      model:script(scripted.failure(401, "who are you"))
      raised("auth", agent.run, id, "go")
      local state, detail = agent.get_state(id)
      assert.equal("error", state)
      assert.truthy(tostring(detail.last_error):find("who are you", 1, true))
      agent.configure(id, { temperature = 0 })
      assert.equal("ready", (agent.get_state(id)))
      agent.reset(id)
      state, detail = agent.get_state(id)
      assert.equal("idle", state)
      assert.is_nil(detail.last_error)
    end)

    it("is error after a cancelled run", function()
      local id = create()
      model:script(text("late", { delay_ms = 2000 }))
      local handle = agent.run(id, "go", { async = true })
      assert.equal("running", (agent.get_state(id)))
      assert.is_true(handle:cancel("enough"))
      local err = raised("cancelled", zigllms.await, handle)
      assert.equal("enough", err.details.reason)
      assert.equal("error", (agent.get_state(id)))
    end)

    it("of nobody raises", function()
      local err = raised("not_found", agent.get_state, "invalid_agent_id")
      assert.truthy(tostring(err):find('invalid_agent_id"', 1, true))
      raised("not_found", agent.get_info, "invalid_agent_id")
      raised("not_found", agent.configure, "invalid_agent_id", {})
      raised("not_found", agent.reset, "invalid_agent_id")
      raised("not_found", agent.clone, "invalid_agent_id")
      assert.is_false(agent.destroy("invalid_agent_id"))
      assert.is_false(agent.exists("invalid_agent_id"))
    end)

    it("names are the constants", function()
      assert.same({ "idle", "ready", "running", "completed", "error" }, {
        agent.State.IDLE,
        agent.State.READY,
        agent.State.RUNNING,
        agent.State.COMPLETED,
        agent.State.ERROR,
      })
    end)
  end)

  describe("create, configure, clone, reset, destroy", function()
    it("gives ids that are never reused, and accepts names and infos for them", function()
      local first = create({ name = "one" })
      assert.truthy(first:match("^agent_%d+$"))
      assert.is_true(agent.destroy(first))
      assert.is_false(agent.destroy(first))
      local second = create({ name = "one" })
      assert.not_equal(first, second)
      assert.equal(second, agent.get_info("one").id)
      assert.equal("one", agent.get_info(agent.get_info(second)).name)
      create({ name = "one" })
      raised("invalid_argument", agent.get_info, "one")
      assert.equal(second, agent.get_info(second).id)
    end)

    it("is named after its id unless named", function()
      local id = create()
      assert.equal(id, agent.get_info(id).name)
    end)

    it("uses no network and needs no key", function()
      zigllms.reset()
      local server =
        zigllms.test.create_mock({ type = "service", transport = "http", responses = "never" })
      provider.configure("openai", { base_url = server.base_url })
      local id =
        agent.create({ name = "my_agent", provider = "openai", model = "gpt-4", temperature = 0.7 })
      assert.is_string(id)
      if not os.getenv("OPENAI_API_KEY") then
        local err = raised("auth", agent.run, id, "Hello, world!")
        assert.truthy(err.message:find("OPENAI_API_KEY", 1, true))
      end
      assert.equal(0, server:call_count())
    end)

    it("checks its options", function()
      local err = raised("invalid_argument", create, { temprature = 1 })
      assert.truthy(err.message:find("temperature", 1, true))
      raised("invalid_argument", create, { temperature = 3 })
      raised("invalid_argument", create, { temperature = "hot" })
      raised("invalid_argument", create, { max_tokens = 0 })
      raised("invalid_argument", create, { top_p = 2 })
      raised("invalid_argument", create, { max_iterations = 0 })
      raised("invalid_argument", create, { budget = { max_stepps = 1 } })
      raised("invalid_argument", create, { on_limit = "explode" })
      raised("invalid_argument", create, { tool_choice = "sometimes" })
      raised("invalid_argument", agent.create)
      raised("not_found", agent.create, { provider = "nobody" })
      raised("invalid_argument", create, { summarize = "short" })
      raised("invalid_argument", create, { summarize = { modell = "m" } })
      raised("not_found", create, { summarize = { provider = "nobody" } })
    end)

    it("needs a provider of some kind", function()
      -- In a program of its own: who runs this may have a key in the environment.
      local chunk = [[
        local ok, err = pcall(require("zigllms").agent.create, {})
        print(ok, err.code, err.message)
      ]]
      local unset = "env -u OPENAI_API_KEY -u ANTHROPIC_API_KEY -u COHERE_API_KEY -u CO_API_KEY"
      local said = program.run(chunk, { under = unset .. " -u ZIGLLMS_PROVIDER" }).out
      assert.truthy(said:find("^false%s+invalid_argument%s+.*provider"), said)
      zigllms.configure({ default_provider = "openai" })
      local id = agent.create({})
      zigllms.configure({ default_provider = zigllms.null })
      assert.is_true(agent.destroy(id))
    end)

    describe("with the configuration of a provider", function()
      -- One that notes the keys it is sent: mocks mask them.
      local server = independent.start()

      before_each(function()
        zigllms.reset()
        provider.configure("openai", { base_url = server.url, api_key = "test" })
      end)

      teardown(function()
        server:stop()
      end)

      local function own(key)
        return { type = "openai", base_url = server.url, api_key = key, name = "mine" }
      end

      local function key_used(id)
        server:script(independent.text("hi"))
        assert.equal("openai", agent.run(id, "go").provider)
        return server:journal()[1].headers.authorization
      end

      it("asks it", function()
        assert.equal("Bearer own", key_used(agent.create({ provider = own("own") })))
      end)

      it("keeps it to itself, and shows its type", function()
        local before = #provider.list()
        local id = agent.create({ provider = own("CANARY"), name = "owner" })
        key_used(id)
        assert.equal(before, #provider.list())
        assert.is_nil(provider.get("mine"))
        assert.equal(0, provider.get("openai").requests)
        local info = agent.get_info(id)
        assert.equal("openai", info.provider)
        assert.equal("openai", info.provider_type)
        assert.is_nil(require("cjson").encode(info):find("CANARY", 1, true))
        assert.equal(id, agent.list({ provider = "openai", name = "owner" })[1].id)
      end)

      it("makes nothing when it is refused", function()
        local before, agents = #provider.list(), #agent.list()
        for _, config in ipairs({
          { provider = own("x"), tools = { "no_such_tool" } },
          { provider = own("x"), response_format = 5 },
          { provider = { type = "openai", bse_url = "x" } },
          { provider = { base_url = "http://127.0.0.1:9" } },
        }) do
          assert.is_false(pcall(agent.create, config))
        end
        assert.equal(before, #provider.list())
        assert.equal(agents, #agent.list())
      end)

      it("may get another one, or none", function()
        local id = agent.create({ provider = own("first") })
        agent.configure(id, { temperature = 1 })
        assert.equal("Bearer first", key_used(id))
        agent.configure(id, { provider = own("second") })
        assert.equal("Bearer second", key_used(id))
        agent.configure(id, { provider = "openai" })
        assert.equal("Bearer test", key_used(id))
        agent.configure(id, { provider = own("third") })
        raised("not_found", agent.configure, id, { provider = own("x"), tools = { "nobody" } })
        assert.equal("Bearer third", key_used(id))
        zigllms.configure({ default_provider = "openai" })
        agent.configure(id, { provider = zigllms.null })
        assert.equal("Bearer test", key_used(id))
        zigllms.configure({ default_provider = zigllms.null })
        assert.is_nil(agent.get_info(id).provider)
      end)

      it("shares it with its clones", function()
        local first = agent.create({ provider = own("shared") })
        local second = agent.clone(first)
        agent.destroy(first)
        assert.equal("Bearer shared", key_used(second))
      end)
    end)

    it("merges changes, unsets with null, and keeps the conversation", function()
      local id = create({ temperature = 1, max_tokens = 5, name = "before" })
      model:script(text("one"), text("two"))
      agent.run(id, "1")
      assert.is_true(agent.configure(id, { temperature = zigllms.null, seed = 3, name = "after" }))
      agent.run(id, "2")
      local request = model:requests()[2]
      assert.is_nil(request.temperature)
      assert.equal(3, request.seed)
      assert.equal(3, #request.messages)
      assert.equal(id, agent.get_info("after").id)
      assert.is_false(agent.exists("before"))
      local info = agent.get_info(id)
      assert.is_nil(info.temperature)
      assert.equal(5, info.max_tokens)
    end)

    it("changes nothing with a bad change", function()
      local id = create({ temperature = 1 })
      raised("invalid_argument", agent.configure, id, { seed = 1, temperature = 9 })
      raised("not_found", agent.configure, id, { seed = 1, tools = { "nobody" } })
      assert.is_nil(agent.get_info(id).seed)
      assert.equal(1, agent.get_info(id).temperature)
    end)

    it("applies a change to the next run, also while one runs", function()
      local id = create({ temperature = 0 })
      model:script(text("one", { delay_ms = 30 }), text("two"))
      local handle = agent.run(id, "1", { async = true })
      agent.configure(id, { temperature = 1 })
      handle:await()
      agent.run(id, "2")
      local requests = model:requests()
      assert.equal(0, requests[1].temperature)
      assert.equal(1, requests[2].temperature)
    end)

    it("clones the configuration only", function()
      local id = create({
        name = "first",
        temperature = 1,
        tools = { { name = "t", execute = function() end } },
      })
      model:script(text("one"), text("two"))
      agent.run(id, "1")
      local copy = agent.clone(id, { temperature = 0, name = "second" })
      agent.run(copy, "2")
      local request = model:requests()[2]
      assert.equal(1, #request.messages)
      assert.equal(0, request.temperature)
      assert.equal(1, #request.tools)
      assert.equal(1, agent.get_info(id).temperature)
      assert.equal("second", agent.get_info(copy).name)
    end)

    it("forgets on reset, but not its configuration", function()
      local id = create({ temperature = 1 })
      model:script(text("one"), text("two"), text("three"))
      agent.run(id, "1")
      assert.is_true(agent.reset(id, { keep_usage = true }))
      assert.equal(15, agent.get_info(id).usage.total_tokens)
      assert.is_true(agent.reset(id))
      local info = agent.get_info(id)
      assert.equal(0, info.usage.total_tokens)
      assert.equal(0, info.run_count)
      assert.equal("idle", info.state)
      agent.run(id, "2")
      assert.equal(1, #model:requests()[2].messages)
      assert.equal(1, model:requests()[2].temperature)
    end)

    it("resets one session", function()
      local id = create()
      model:script(text("one"), text("two"), text("three"), text("four"))
      agent.run(id, "1")
      agent.run(id, "2", { session = "s" })
      agent.reset(id, { session = "s" })
      agent.run(id, "3", { session = "s" })
      agent.run(id, "4")
      assert.same({ "user: 3" }, sent(3))
      assert.same({ "user: 1", "assistant: one", "user: 4" }, sent(4))
    end)

    it("is not reset while it runs", function()
      local id = create()
      model:script(text("late", { delay_ms = 1000 }))
      local handle = agent.run(id, "go", { async = true })
      raised("invalid_state", agent.reset, id)
      handle:cancel()
    end)

    it("cancels a run when it is destroyed, and those that queue", function()
      local id = create()
      local given_up
      model:script(function()
        local _, err = pcall(zigllms.sleep, 2000)
        given_up = err.code
        return "late"
      end)
      local running = agent.run(id, "1", { async = true })
      local queued = agent.run(id, "2", { async = true })
      model:wait_for(1)
      assert.is_true(agent.destroy(id))
      raised("cancelled", zigllms.await, running)
      raised("cancelled", zigllms.await, queued)
      assert.same({ "cancelled", 1 }, { given_up, model:count() })
      assert.is_false(agent.exists(id))
    end)

    it("may be configured, but not reset, by its own tool", function()
      local id
      id = create({
        tools = {
          {
            name = "change",
            execute = function()
              raised("invalid_state", agent.reset, id)
              return agent.configure(id, { temperature = 0 })
            end,
          },
        },
      })
      model:script(calls({ { "c1", "change", "{}" } }), text("done"))
      assert.is_true(agent.run(id, "go").tool_calls[1].result)
      assert.equal(0, agent.get_info(id).temperature)
    end)

    it("may see the whole module reset by its own tool", function()
      local id = create({ tools = { { name = "reset", execute = zigllms.reset } } })
      model:script(calls({ { "c1", "reset", "{}" } }), text("never"))
      raised("cancelled", agent.run, id, "go")
      raised("not_found", agent.get_state, id)
    end)

    it("may be destroyed by its own tool", function()
      local id
      id = create({
        tools = {
          {
            name = "quit",
            execute = function()
              return agent.destroy(id)
            end,
          },
        },
      })
      model:script(calls({ { "c1", "quit", "{}" } }), text("never"))
      raised("cancelled", agent.run, id, "go")
      assert.is_false(agent.exists(id))
    end)
  end)

  describe("infos and lists", function()
    it("are equal and distinct when nothing happened", function()
      local id = create({ name = "x", model = "m", system_prompt = "s", metadata = { a = { 1 } } })
      local first, second = agent.get_info(id), agent.get_info(id)
      assert.same(first, second)
      assert.not_equal(first, second)
      first.metadata.a[1] = 2
      assert.equal(1, agent.get_info(id).metadata.a[1])
      assert.equal("openai", first.provider)
      assert.equal("openai", first.provider_type)
      assert.equal("idle", first.status)
      assert.equal("s", first.system_prompt)
      assert.is_nil(first.last_run_at)
    end)

    it("are never stale", function()
      local id = create()
      model:script(text("a"), scripted.failure(400, "no"))
      agent.run(id, "1")
      pcall(agent.run, id, "2")
      local info = agent.get_info(id)
      assert.equal(2, info.run_count)
      assert.equal(1, info.error_count)
      assert.is_string(info.last_error)
      assert.is_true(math.abs(info.last_run_at - os.time()) < 5)
    end)

    it("list agents in creation order, filtered", function()
      local a = create({ name = "red one" })
      local b = create({ name = "blue one" })
      local c = create({ name = "red two" })
      model:script(text("x"))
      agent.run(b, "go")
      local all = agent.list()
      assert.same({ a, b, c }, { all[1].id, all[2].id, all[3].id })
      assert.same(
        { id = a, name = "red one", state = "idle", provider = "openai" },
        settled(all[1])
      )
      assert.same({ a, c }, agent.list({ name = "red*", ids = true }))
      assert.same({ b }, agent.list({ state = "COMPLETED", ids = true }))
      assert.same({ a, b, c }, agent.list({ provider = "openai", ids = true }))
      assert.same({}, agent.list({ provider = "local" }))
      raised("invalid_argument", agent.list, { state = "sleepy" })
      agent.destroy(b)
      assert.same({ a, c }, agent.list({ ids = true }))
    end)
  end)
end)
