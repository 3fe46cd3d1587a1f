-- Calls that need approval: a run stops before them, and `agent.resume` says what becomes of them.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local transcript = require("spec.support.transcript")

local agent, tool = zigllms.agent, zigllms.tool
local unpack = table.unpack or unpack -- luacheck: ignore
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function has(whole, part)
  assert.truthy(tostring(whole):find(part, 1, true), tostring(whole))
end

local function sent(n)
  return transcript(model:requests()[n].messages)
end

describe("approval", function()
  local made

  -- A tool that notes its calls.
  local function noting(name, fields)
    local definition = {
      name = name,
      execute = function(input, ctx)
        made[#made + 1] = name
        made[name] = { input = input, ctx = ctx }
        return name .. " done"
      end,
    }
    for key, value in pairs(fields or {}) do
      definition[key] = value
    end
    return definition
  end

  local PAY = {
    requires_approval = true,
    parameters = {
      type = "object",
      properties = { to = { type = "string" }, sum = { type = "number", default = 1 } },
      required = { "to" },
    },
  }

  local function create(config)
    config = config or {}
    config.provider = "openai"
    config.tools = config.tools
      or { noting("pay", PAY), noting("look"), { name = "ask_user", description = "asks" } }
    return agent.create(config)
  end

  -- An agent whose run has stopped before a payment.
  local function stopped(config, options, ...)
    local id = create(config)
    model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }), text("done"), ...)
    return id, agent.run(id, "go", options)
  end

  before_each(function()
    made = {}
    model:begin()
  end)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ store = zigllms.null })
  end)

  it("stops the run before the call, after those of the round that need none", function()
    local id = create()
    model:script(
      calls({
        { "c1", "pay", '{"to":"ada"}' },
        { "c2", "look", "{}" },
        { "c3", "pay", '{"to":"bob"}' },
      }),
      text("done")
    )
    local response = agent.run(id, "go")
    assert.equal("approval_required", response.finish_reason)
    assert.same({ "look" }, { unpack(made) })
    assert.equal(1, #response.tool_calls)
    assert.equal("look done", response.tool_calls[1].result)
    local open = response.pending_tool_calls
    assert.same(
      { "c1", "pay", "approval", "c3", "pay", "approval" },
      { open[1].id, open[1].name, open[1].reason, open[2].id, open[2].name, open[2].reason }
    )
    assert.same({ to = "ada" }, open[1].arguments)
    assert.same(
      { "user: go", "assistant[c1,c2,c3]", "tool(c2): look done" },
      transcript(response.messages)
    )
    local state, detail = agent.get_state(id)
    assert.same(
      { "ready", "approval", "c1", "c3" },
      { state, detail.waiting_for, detail.pending[1], detail.pending[2] }
    )
    assert.is_nil(zigllms.memory.retrieve("conversation", { scope = "agent", agent = id }))

    response = agent.resume(id, { c1 = "approve", c3 = "deny" })
    assert.equal("done", response.content)
    assert.equal("stop", response.finish_reason)
    assert.is_nil(response.pending_tool_calls)
    assert.same({
      "user: go",
      "assistant[c1,c2,c3]",
      "tool(c1): pay done",
      "tool(c2): look done",
      'tool(c3): {"error":"denied"}',
    }, sent(2))
    assert.same({ "look", "pay" }, { unpack(made) })
    assert.same({ to = "ada", sum = 1 }, made.pay.input)
    assert.same({ id, "c1" }, { made.pay.ctx.agent_id, made.pay.ctx.call_id })
    assert.same("completed", (agent.get_state(id)))
    assert.is_nil(select(2, agent.get_state(id)).waiting_for)
    local kept = zigllms.memory.retrieve("conversation", { scope = "agent", agent = id })
    assert.same(transcript(response.messages), transcript(kept))
    assert.equal(6, #kept)
  end)

  it("lets a call be changed, denied with a reason, or answered by hand", function()
    local id = create()
    model:script(
      calls({
        { "c1", "pay", '{"to":"ada","sum":5}' },
        { "c2", "pay", '{"to":"bob"}' },
        { "c3", "pay", '{"to":"eve"}' },
      }),
      text("done")
    )
    agent.run(id, "go")
    local response = agent.resume(id, {
      c1 = { arguments = { to = "ada", sum = 2 } },
      c2 = { deny = "not bob" },
      c3 = { result = { paid = "in cash" } },
    })
    assert.same({
      "user: go",
      "assistant[c1,c2,c3]",
      "tool(c1): pay done",
      'tool(c2): {"error":"not bob"}',
      'tool(c3): {"paid":"in cash"}',
    }, sent(2))
    assert.same({ to = "ada", sum = 2 }, made.pay.input)
    local told = {}
    for _, call in ipairs(response.tool_calls) do
      told[call.id] = call
    end
    assert.equal(2, told.c1.arguments.sum)
    assert.equal("pay done", told.c1.result)
    assert.equal("not bob", told.c2.error)
    local asked = model:requests()[2].messages[2].tool_calls[1]["function"]
    has(asked.arguments, "5") -- what the model has said stands as it was
  end)

  it("is asked about each call by a function, which may wait", function()
    local seen = {}
    local function large(input, ctx)
      seen[#seen + 1] = { input, ctx }
      zigllms.sleep(1)
      return input.sum > 10
    end
    local fields = { parameters = PAY.parameters, requires_approval = large }
    local id = create({ tools = { noting("pay", fields) } })
    model:script(
      calls({ { "c1", "pay", '{"to":"ada"}' }, { "c2", "pay", '{"to":"bob","sum":11}' } }),
      text("done")
    )
    local response = agent.run(id, "go")
    assert.equal("c2", response.pending_tool_calls[1].id)
    assert.is_nil(response.pending_tool_calls[2])
    assert.same({ "pay" }, { unpack(made) })
    assert.same({ to = "ada", sum = 1 }, seen[1][1])
    local ctx = seen[2][2]
    assert.same(
      { id, "c2", "pay", false },
      { ctx.agent_id, ctx.call_id, ctx.name, ctx.cancelled() }
    )
    agent.resume(id, { c2 = "Approve" })
    assert.equal(2, #seen, "nobody is asked again")
    assert.same({ "pay", "pay" }, { unpack(made) })
  end)

  it("is needed where the function cannot tell", function()
    for _, case in ipairs({
      {
        function()
          error("no idea", 0)
        end,
        "no idea",
      },
      {
        function()
          return nil, "who knows"
        end,
        "who knows",
      },
      {
        function()
          return "yes"
        end,
      },
      {
        setmetatable({}, {
          __call = function()
            return {}
          end,
        }),
      },
    }) do
      made = {}
      local id = create({ tools = { noting("pay", { requires_approval = case[1] }) } })
      model:script(calls({ { "c1", "pay", "{}" } }), text("done"))
      local response = agent.run(id, "go")
      assert.equal("approval_required", response.finish_reason)
      assert.equal(0, #made)
      if case[2] then
        has(response.pending_tool_calls[1].error, case[2])
      else
        assert.is_nil(response.pending_tool_calls[1].error)
      end
      assert.equal("done", agent.resume(id, { c1 = "approve" }).content)
      assert.equal(1, #made)
    end
    for _, no in ipairs({ "false", "nil" }) do
      local answer = no == "nil" and nil
      local fields = {
        requires_approval = function()
          return answer
        end,
      }
      local id = create({ tools = { noting("pay", fields) } })
      model:script(calls({ { "c1", "pay", "{}" } }), text("done"))
      assert.equal("done", agent.run(id, "go").content, no)
    end
  end)

  it("is for calls that can be made, and for agents only", function()
    local id = create()
    model:script(
      calls({ { "c1", "pay", '{"to":' }, { "c2", "pay", '{"to":1}' }, { "c3", "payy", "{}" } }),
      text("done")
    )
    assert.equal("done", agent.run(id, "go").content)
    assert.equal(5, #sent(2))
    assert.equal(0, #made)
    local direct = tool.register(noting("direct", PAY))
    assert.equal("direct done", tool.execute(direct, { to = "ada" }))
    assert.is_true(tool.get(direct).requires_approval)
    local function asks() end
    local asking = tool.register(noting("asking", { requires_approval = asks }))
    assert.equal(asks, tool.get(asking).requires_approval)
    raised("invalid_argument", tool.register, { name = "x", requires_approval = "yes" })
  end)

  it("needs a decision on each call, and says what is wrong with one", function()
    local id = create()
    model:script(
      calls({ { "c1", "pay", '{"to":"ada"}' }, { "c2", "pay", '{"to":"bob"}' } }),
      text("done")
    )
    agent.run(id, "go")
    local function refused(code, part, decisions, options)
      local err = raised(code, agent.resume, id, decisions, options)
      has(err.message, part)
      assert.equal("resume", err.func)
    end
    refused("invalid_argument", "decisions", nil)
    refused("invalid_argument", "decisions", "approve")
    refused("invalid_argument", 'decisions["c2"]', { c1 = "approve" })
    refused("invalid_argument", '"c1", "c2"', { c1 = "approve", c2 = "deny", c9 = "deny" })
    refused("invalid_argument", "decisions.c1", { c1 = "yes", c2 = "deny" })
    refused("invalid_argument", "decisions.c1", { c1 = true, c2 = "deny" })
    refused("invalid_argument", 'decisions["c1"]', { c1 = {}, c2 = "deny" })
    refused("invalid_argument", "denyy", { c1 = { denyy = "x" }, c2 = "deny" })
    refused("invalid_argument", "decisions.c1.deny", { c1 = { deny = true }, c2 = "deny" })
    local both = { arguments = { to = "x" }, deny = "why" }
    refused("invalid_argument", 'decisions["c1"]', { c1 = both, c2 = "deny" })
    refused("invalid_argument", "decisions.c1.arguments", { c1 = { arguments = 1 }, c2 = "deny" })
    local bad = { arguments = { to = 5 } }
    refused("validation_failed", 'decisions["c1"].arguments', { c1 = bad, c2 = "deny" })
    local odd = { arguments = { to = print } }
    refused("conversion_error", "decisions.c1.arguments", { c1 = odd, c2 = "deny" })
    refused("invalid_argument", "options.remember", { c1 = "deny" }, { remember = true })
    refused("invalid_argument", "expected", { "approve", "deny" })
    raised("not_found", agent.resume, "nobody", { c1 = "deny" })
    -- At once, also with a handle.
    raised("invalid_argument", agent.resume, id, { c1 = "deny" }, { async = true })
    assert.same({ "c1", "c2" }, select(2, agent.get_state(id)).pending)
    assert.equal(1, model:count())
    assert.equal("done", agent.resume(id, { c1 = "deny", c2 = "DENY" }).content)
  end)

  it("says what is wrong with a decision on a call inside another one", function()
    local clerk = create({ name = "clerk", tools = { noting("pay", PAY) } })
    local id = create({ tools = { agent.as_tool(clerk) } })
    model:script(
      calls({ { "c1", "clerk", '{"input":"pay"}' } }),
      calls({ { "c1", "pay", '{"to":"ada"}' } }),
      text("paid"),
      text("done")
    )
    assert.equal("c1/c1", agent.run(id, "go").pending_tool_calls[1].id)
    local function refused(code, part, decisions)
      has(raised(code, agent.resume, id, decisions).message, part)
    end
    refused("invalid_argument", 'decisions["c1/c1"]', {})
    refused("invalid_argument", '"c1/c1"', { c1 = "approve" })
    local bad = { ["c1/c1"] = { arguments = { to = 5 } } }
    refused("validation_failed", 'decisions["c1/c1"].arguments', bad)
    assert.equal(2, model:count())
    local response = agent.resume(id, { ["c1/c1"] = { arguments = { to = "bob" } } })
    assert.equal("done", response.content)
    assert.equal("bob", made.pay.input.to)
  end)

  it("is given once", function()
    local id = stopped()
    assert.equal("done", agent.resume(id, { c1 = "approve" }).content)
    has(raised("invalid_state", agent.resume, id, { c1 = "approve" }).message, "waits")
    raised("invalid_state", agent.resume, create(), {})
    assert.equal(1, #made)

    id = stopped()
    model:script(text("done", { delay_ms = 20 }))
    local first = agent.resume(id, { c1 = "approve" }, { async = true })
    local second = agent.resume(id, { c1 = "approve" }, { async = true })
    local ok, err = pcall(second.await, second)
    assert.is_false(ok)
    assert.is_true(err:is("invalid_state"))
    assert.equal("done", first:await().content)
    assert.equal(2, #made)
  end)

  it("ends with what the whole run has done", function()
    local id = create({ budget = { max_steps = 5 } })
    model:script(
      calls({ { "c1", "look", "{}" } }),
      calls({ { "c2", "pay", '{"to":"ada"}' } }, { content = "Shall I?" }),
      calls({ { "c3", "pay", '{"to":"bob"}' } }),
      text("done")
    )
    local first = agent.run(id, "go")
    assert.same({ 2, 30, 2 }, { first.iterations, first.usage.total_tokens, first.attempts })
    assert.equal("Shall I?", first.content)
    zigllms.sleep(60)
    local second = agent.resume(id, { c2 = "approve" })
    assert.equal("approval_required", second.finish_reason)
    local last = agent.resume(id, { c3 = "approve" })
    assert.same({ 4, 60, 4 }, { last.iterations, last.usage.total_tokens, last.attempts })
    assert.same(
      { "c1", "c2", "c3" },
      { last.tool_calls[1].id, last.tool_calls[2].id, last.tool_calls[3].id }
    )
    assert.equal("look done", last.tool_calls[1].result)
    assert.equal(8, #last.messages)
    assert.is_true(last.duration_ms < 60, "the pause does not count")
    local info = agent.get_info(id)
    assert.same({ 1, 0, 60 }, { info.run_count, info.error_count, info.usage.total_tokens })
    assert.equal(8, info.memory.messages)
  end)

  it("goes on with the budget and the rounds of the run", function()
    local id = stopped({ budget = { max_steps = 2 } }, nil, text("never"))
    model:script(calls({ { "c2", "look", "{}" } }))
    local err = raised("budget_exceeded", agent.resume, id, { c1 = "approve" })
    has(err.message, "max_steps")
    assert.equal(2, err.partial.iterations)
    assert.equal(30, err.partial.usage.total_tokens)

    id = stopped({ max_iterations = 2 })
    model:script(calls({ { "c2", "look", "{}" } }))
    local response = agent.resume(id, { c1 = "approve" })
    assert.equal("max_iterations", response.finish_reason)
    assert.same('tool(c2): {"error":"not executed"}', transcript(response.messages)[5])
  end)

  it("keeps the options of the run, under those of resume, over those of the agent", function()
    local id = stopped(
      { temperature = 0.1, seed = 1 },
      { temperature = 0.2, top_p = 0.3, metadata = { n = 1 } }
    )
    agent.configure(id, { seed = 7, system_prompt = "Be exact" })
    local response = agent.resume(id, { c1 = "approve" }, { top_p = 0.4, model = "other" })
    local request = model:requests()[2]
    assert.same(
      { 0.2, 0.4, 7, "other" },
      { request.temperature, request.top_p, request.seed, request.model }
    )
    assert.equal("system: Be exact", transcript(request.messages)[1])
    assert.same({ n = 1 }, response.metadata)

    id = create({ tools = {} })
    model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }), text("done"))
    agent.run(id, "go", { tools = { noting("pay", PAY) } })
    assert.equal("done", agent.resume(id, { c1 = "approve" }).content)
    assert.equal("pay", model:requests()[2].tools[1]["function"].name)
    assert.equal("pay", made[#made])
  end)

  it("finds a tool by its name when it goes on", function()
    local id = tool.register(noting("pay", PAY))
    local who = create({ tools = { id } })
    model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }), text("done"))
    agent.run(who, "go")
    tool.unregister(id)
    agent.resume(who, { c1 = "approve" })
    has(sent(2)[3], "no tool is named")
    assert.equal(0, #made)
  end)

  it("is over with another input, a reset, or the agent", function()
    local id = stopped()
    assert.equal("done", agent.run(id, "never mind").content)
    assert.same(
      { "user: go", "assistant[c1]", 'tool(c1): {"error":"not executed"}', "user: never mind" },
      sent(2)
    )
    raised("invalid_state", agent.resume, id, { c1 = "approve" })
    assert.equal(5, agent.get_info(id).memory.messages)

    id = stopped()
    agent.reset(id)
    assert.same("idle", (agent.get_state(id)))
    assert.is_nil(select(2, agent.get_state(id)).pending)
    raised("invalid_state", agent.resume, id, { c1 = "approve" })

    id = stopped()
    agent.destroy(id)
    raised("not_found", agent.resume, id, { c1 = "approve" })

    id = stopped()
    model:script(scripted.failure(400, "no"), text("done"))
    raised("bad_request", agent.run, id, "never mind")
    assert.same(
      { "c1" },
      select(2, agent.get_state(id)).pending,
      "a run that raises closes nothing"
    )
    assert.equal("done", agent.resume(id, { c1 = "approve" }).content)
    assert.equal(1, #made)
  end)

  it("belongs to its session", function()
    local id = create()
    model:script(
      calls({ { "c1", "pay", '{"to":"ada"}' } }),
      calls({ { "c1", "pay", '{"to":"bob"}' } }),
      text("bob done"),
      text("ada done")
    )
    agent.run(id, "go", { session = "a" })
    agent.run(id, "go", { session = "b" })
    local _, detail = agent.get_state(id)
    assert.same({ "c1", "c1" }, detail.pending)
    local waiting = detail.pending_tool_calls
    assert.same({ "a", "b" }, { waiting[1].session, waiting[2].session })
    assert.same({ to = "bob" }, waiting[2].arguments)
    assert.same({ "pay", "approval" }, { waiting[2].name, waiting[2].reason })
    raised("invalid_state", agent.resume, id, { c1 = "approve" })
    assert.equal("bob done", agent.resume(id, { c1 = "approve" }, { session = "b" }).content)
    assert.equal("bob", made.pay.input.to)
    assert.equal("ada done", agent.resume(id, { c1 = "approve" }, { session = "a" }).content)
    assert.equal("ada", made.pay.input.to)
  end)

  it("waits for runs that remember nothing, too", function()
    for _, case in ipairs({ { nil, { remember = false } }, { { memory = false } } }) do
      made = {}
      local id = create(case[1])
      model:script(
        calls({ { "c1", "pay", '{"to":"ada"}' } }),
        calls({ { "c1", "pay", '{"to":"bob"}' } }),
        text("bob done"),
        text("ada done")
      )
      local first = agent.run(id, "ada", case[2])
      local second = agent.run(id, "bob", case[2])
      local ada, bob = first.pending_tool_calls[1].id, second.pending_tool_calls[1].id
      assert.equal("c1", ada)
      assert.are_not.equal(ada, bob)
      assert.same({ ada, bob }, select(2, agent.get_state(id)).pending)
      assert.equal("bob done", agent.resume(id, { [bob] = "approve" }).content)
      assert.same(
        { "user: bob", "assistant[" .. bob .. "]", "tool(" .. bob .. "): pay done" },
        sent(3)
      )
      assert.equal("ada done", agent.resume(id, { [ada] = "approve" }).content)
      raised("invalid_state", agent.resume, id, { [ada] = "approve" })
      assert.equal(2, #made)
      assert.is_nil(select(2, agent.get_state(id)).pending)
    end
  end)

  describe("beside calls that a client answers", function()
    local function mixed()
      local id = create()
      model:script(
        calls({
          { "c1", "ask_user", "{}" },
          { "c2", "pay", '{"to":"ada"}' },
          { "c3", "ask_user", "{}" },
        }),
        text("done")
      )
      local response = agent.run(id, "go")
      assert.equal("approval_required", response.finish_reason)
      local reasons = {}
      for i, call in ipairs(response.pending_tool_calls) do
        reasons[i] = call.id .. " " .. call.reason
      end
      assert.same({ "c1 client", "c2 approval", "c3 client" }, reasons)
      assert.equal("approval", select(2, agent.get_state(id)).waiting_for)
      return id
    end

    local WHOLE = {
      "user: go",
      "assistant[c1,c2,c3]",
      "tool(c1): why",
      "tool(c2): pay done",
      "tool(c3): so",
    }

    it("everything can be said at once", function()
      local id = mixed()
      local decisions = { c1 = { result = "why" }, c2 = "approve", c3 = { result = "so" } }
      assert.equal("done", agent.resume(id, decisions).content)
      assert.same(WHOLE, sent(2))
      id = mixed()
      raised("invalid_argument", agent.resume, id, { c1 = "approve", c2 = "approve" })
      raised("invalid_argument", agent.resume, id, { c1 = { arguments = {} }, c2 = "approve" })
    end)

    it("what is approved runs, and the client's are left to it", function()
      local id = mixed()
      local response = agent.resume(id, { c2 = "approve" })
      assert.equal("tool_calls", response.finish_reason)
      assert.equal("tool_results", select(2, agent.get_state(id)).waiting_for)
      assert.same({ "c1", "c3" }, select(2, agent.get_state(id)).pending)
      assert.equal(1, model:count())
      response = agent.run(id, {
        { role = "tool", tool_call_id = "c3", content = "so" },
        { role = "tool", tool_call_id = "c1", content = "why" },
      })
      assert.equal("done", response.content)
      local lines = sent(2)
      table.sort(lines)
      local expected = { unpack(WHOLE) }
      table.sort(expected)
      assert.same(expected, lines)
    end)

    it("of a run that remembers nothing are left to resume", function()
      local id = create()
      model:script(
        calls({ { "c1", "ask_user", "{}" }, { "c2", "pay", '{"to":"ada"}' } }),
        text("done")
      )
      agent.run(id, "go", { remember = false })
      assert.equal("tool_calls", agent.resume(id, { c2 = "approve" }).finish_reason)
      assert.same({ "c1" }, select(2, agent.get_state(id)).pending)
      assert.equal("done", agent.resume(id, { c1 = { result = "why" } }).content)
      assert.is_nil(select(2, agent.get_state(id)).pending)
    end)

    it("the client may answer first, and the run keeps its options", function()
      local id = create()
      model:script(
        calls({ { "c1", "ask_user", "{}" }, { "c2", "pay", '{"to":"ada"}' } }),
        text("done")
      )
      agent.run(id, "go", { temperature = 0.7 })
      agent.run(id, { role = "tool", tool_call_id = "c1", content = "why" }, { seed = 3 })
      agent.resume(id, { c2 = "approve" })
      local request = model:requests()[2]
      assert.same({ 0.7, 3 }, { request.temperature, request.seed })
    end)

    it("the client may answer first", function()
      local id = mixed()
      local response = agent.run(id, { role = "tool", tool_call_id = "c1", content = "why" })
      assert.equal("approval_required", response.finish_reason)
      assert.same({ "c2", "c3" }, select(2, agent.get_state(id)).pending)
      response = agent.run(id, { role = "tool", tool_call_id = "c3", content = "so" })
      assert.equal("approval_required", response.finish_reason)
      assert.equal(1, model:count())
      assert.equal(1, agent.get_info(id).run_count)
      assert.equal("done", agent.resume(id, { c2 = "approve" }).content)
      assert.same(WHOLE, sent(2))
    end)
  end)

  describe("when going on fails", function()
    it("what was done is not done again", function()
      local id = stopped()
      model:script(scripted.failure(500, "no"), text("done"))
      local err = raised("server_error", agent.resume, id, { c1 = "approve" })
      assert.equal("error", (agent.get_state(id)))
      assert.same({ "pay" }, { unpack(made) })
      assert.is_nil(err.partial and err.partial.pending_tool_calls)
      local response = agent.resume(id, { c1 = "approve" })
      assert.equal("done", response.content)
      assert.same({ "pay" }, { unpack(made) })
      assert.same({ "user: go", "assistant[c1]", "tool(c1): pay done" }, sent(2))
      assert.equal("pay done", response.tool_calls[1].result)
      assert.equal(30, response.usage.total_tokens)
    end)

    it("what was cancelled is still to be decided on", function()
      local id = create({
        tools = {
          noting("slow", {
            requires_approval = true,
            execute = function()
              made[#made + 1] = "slow"
              zigllms.sleep(5000)
            end,
          }),
          noting("pay", PAY),
        },
      })
      model:script(calls({ { "c1", "pay", '{"to":"ada"}' }, { "c2", "slow", "{}" } }), text("done"))
      agent.run(id, "go")
      local handle = agent.resume(id, { c1 = "approve", c2 = "approve" }, { async = true })
      zigllms.poll(5)
      handle:cancel()
      local ok, err = pcall(handle.await, handle)
      assert.is_false(ok)
      assert.is_true(err:is("cancelled"))
      assert.same({
        "user: go",
        "assistant[c1,c2]",
        "tool(c1): pay done",
        'tool(c2): {"error":"the tool call was cancelled"}',
      }, transcript(err.partial.messages))
      assert.same({ "c2" }, select(2, agent.get_state(id)).pending)
      local response = agent.resume(id, { c1 = "approve", c2 = "deny" })
      assert.equal("done", response.content)
      assert.same({ "pay", "slow" }, { unpack(made) })
    end)

    it("a tool that raises ends the run, and what it left open stays open", function()
      local function raising()
        error("broken", 0)
      end
      local fields = { requires_approval = true, on_error = "raise", execute = raising }
      local id = create({ tools = { noting("boom", fields), noting("pay", PAY) } })
      model:script(calls({ { "c1", "boom", "{}" }, { "c2", "pay", '{"to":"ada"}' } }), text("done"))
      agent.run(id, "go")
      raised("tool_error", agent.resume, id, { c1 = "approve", c2 = "approve" })
      assert.same({ "c2" }, select(2, agent.get_state(id)).pending)
      assert.equal("done", agent.resume(id, { c2 = "approve" }).content)
      assert.same({ "user: go", "assistant[c1,c2]" }, { unpack(sent(2), 1, 2) })
      assert.equal(4, #sent(2))
    end)
  end)

  describe("in every face", function()
    it("a handle is done with the response", function()
      local id = create()
      model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }), text("done"))
      local handle = agent.run(id, "go", { async = true })
      assert.equal("approval_required", handle:await().finish_reason)
      assert.equal("completed", handle:status())
      handle = agent.resume(id, { c1 = "approve" }, { async = true })
      assert.equal("done", handle:await().content)
    end)

    it("the last chunk says why", function()
      local id = create()
      model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }), text({ "do", "ne" }))
      local reasons, words, results = {}, {}, 0
      local function follow(chunk)
        reasons[#reasons + 1] = chunk.finish_reason
        words[#words + 1] = chunk.content
        results = results + (chunk.tool_result and 1 or 0)
        assert.equal(chunk.finish_reason ~= nil, chunk.done)
      end
      for chunk in agent.run(id, "go", { stream = true }) do
        follow(chunk)
      end
      agent.resume(id, { c1 = "approve" }, { stream = follow })
      assert.same({ "approval_required", "stop" }, reasons)
      assert.equal("done", table.concat(words))
      assert.equal(1, results)
    end)

    it("a callback that stops the run while it goes on closes the round", function()
      local id = create()
      model:script(calls({ { "c1", "pay", '{"to":"a"}' }, { "c2", "pay", '{"to":"b"}' } }))
      agent.run(id, "go")
      local response = agent.resume(id, { c1 = "approve", c2 = "approve" }, {
        stream = function()
          return false
        end,
      })
      assert.equal("cancelled", response.finish_reason)
      assert.same({
        "user: go",
        "assistant[c1,c2]",
        "tool(c1): pay done",
        'tool(c2): {"error":"not executed"}',
      }, transcript(response.messages))
      assert.is_nil(select(2, agent.get_state(id)).pending)
    end)
  end)

  it("lets runs that queue for the conversation close it", function()
    local id = create()
    model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }, { delay_ms = 20 }), text("next"))
    local first = agent.run(id, "go", { async = true })
    local second = agent.run(id, "another", { async = true })
    assert.equal("next", second:await().content)
    assert.equal("approval_required", first:await().finish_reason)
    raised("invalid_state", agent.resume, id, { c1 = "approve" })
  end)

  it("tells hooks and events", function()
    local heard = {}
    local function note(name)
      return function(ctx)
        local value = ctx.result and ctx.result.finish_reason or ctx.input
        heard[#heard + 1] = name .. " " .. tostring(value)
      end
    end
    local points = { "agent_init", "agent_before_run", "agent_after_run", "agent_error" }
    for _, point in ipairs(points) do
      zigllms.hook.register(point, note(point))
    end
    zigllms.hook.register("agent_run", function(ctx, next)
      local response = next()
      heard[#heard + 1] = "around " .. ctx.input .. " " .. response.finish_reason
      return response
    end)
    zigllms.event.subscribe("agent.*", function(e)
      heard[#heard + 1] = e.type .. " " .. tostring(e.data.finish_reason or e.data.input)
    end)
    local id = stopped()
    agent.resume(id, { c1 = "approve" })
    assert.same({
      "agent_init go",
      "agent_before_run go",
      "agent.started go",
      "around go approval_required",
      "agent.completed approval_required",
      "agent.started go",
      "around go stop",
      "agent_after_run stop",
      "agent.completed stop",
    }, heard)
  end)

  it("of two runs that wait have calls of their own", function()
    local paid = {}
    local id = agent.create({
      provider = "openai",
      tools = {
        {
          name = "pay",
          requires_approval = true,
          execute = function(input)
            paid[#paid + 1] = input.to
            return "paid"
          end,
        },
      },
    })
    model:script(
      calls({ { "c1", "pay", '{"to":"mallory"}' } }),
      calls({ { "c1", "pay", '{"to":"eve"}' } }),
      calls({ { "c1", "pay", '{"to":"ada"}' } }),
      text("done")
    )
    local first = agent.run(id, "pay mallory").pending_tool_calls[1].id
    local second = agent.run(id, "pay eve", { session = "s" }).pending_tool_calls[1].id
    local aside = agent.run(id, "pay ada", { remember = false }).pending_tool_calls[1].id
    assert.same({ "c1", "c1" }, { first, second })
    assert.not_equal("c1", aside)
    agent.resume(id, { [aside] = "approve" })
    assert.same({ "ada" }, paid)
  end)

  it("sees the input as a hook has changed it", function()
    zigllms.hook.register("agent_before_run", function(ctx)
      return ctx.input .. "!"
    end)
    local id = stopped()
    agent.resume(id, { c1 = "approve" })
    assert.equal("user: go!", sent(2)[1])
  end)

  it("is not put off by a hook that stops going on", function()
    local id = stopped()
    local hook = zigllms.hook.register("agent_run", function()
      error("not now", 0)
    end)
    raised("hook_error", agent.resume, id, { c1 = "approve" })
    zigllms.hook.unregister(hook)
    assert.equal(0, #made)
    assert.equal("done", agent.resume(id, { c1 = "approve" }).content)
    assert.equal(1, #made)
  end)

  it("is refused inside the run it is about", function()
    local seen
    local id
    id = create({
      tools = {
        noting("pay", PAY),
        noting("look", {
          execute = function()
            seen = select(2, pcall(agent.resume, id, { c1 = "approve" }))
          end,
        }),
      },
    })
    model:script(calls({ { "c0", "look", "{}" } }), text("done"))
    agent.run(id, "go")
    assert.is_true(seen:is("invalid_state"))
  end)
end)
