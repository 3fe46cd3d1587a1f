-- Agents in workflows whose calls somebody has to decide on: the execution is paused until then.
local zigllms = require("zigllms")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")

local agent, workflow = zigllms.agent, zigllms.workflow
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local paid

local function payer(config)
  config = config or {}
  config.provider, config.model = "openai", "gpt-test"
  config.tools = config.tools or { "pay" }
  return agent.create(config)
end

local function results()
  local list = {}
  for _, message in ipairs(model:requests()[#model:requests()].messages) do
    if message.role == "tool" then
      list[#list + 1] = message.content
    end
  end
  return list
end

local function call(id, to)
  return { id, "pay", ('{"to":"%s"}'):format(to) }
end

-- A reply that takes a moment: once one agent waits for a decision, no further branch begins.
local function asks(list)
  return calls(list, { delay_ms = 10 })
end

describe("an agent of a workflow that waits for decisions", function()
  before_each(model:as_default())
  before_each(function()
    paid = {}
    zigllms.tool.register({
      name = "pay",
      requires_approval = true,
      execute = function(input)
        paid[#paid + 1] = input.to
        return "paid " .. input.to
      end,
    })
  end)
  teardown(zigllms.reset)

  it("pauses the execution, which goes on with the decisions", function()
    model:script(calls({ call("c1", "Ada"), call("c2", "Bob") }), text("done"))
    local id = payer()
    local flow = workflow.create({
      steps = {
        { id = "ask", agent = id, input = "Pay {{input}}" },
        { id = "say", template = "It is {{previous.output}}" },
      },
    })
    local completed, ended = heard("agent.completed"), heard("workflow.step_completed")
    local started = heard("workflow.step_started")
    local result = workflow.execute(flow, "them")
    assert.equal("paused", result.status)
    local pending = result.pending
    assert.equal("ask", pending.step_id)
    assert.equal(id, pending.agent_id)
    assert.equal(2, #pending.calls)
    assert.equal("c1", pending.calls[1].id)
    assert.equal("pay", pending.calls[1].name)
    assert.same({ to = "Ada" }, pending.calls[1].arguments)
    assert.equal("approval", pending.calls[1].reason)
    assert.equal(1, #pending)
    assert.equal("ask", pending[1].step_id)
    assert.equal(result.execution_id, pending[1].execution_id)
    assert.same({}, paid)
    local state, detail = agent.get_state(id)
    assert.equal("ready", state)
    assert.equal("approval", detail.waiting_for)
    assert.same({ "c1", "c2" }, detail.pending)
    assert.equal(1, #completed)
    assert.equal("approval_required", completed[1].data.finish_reason)
    assert.equal(1, #started)
    assert.equal(0, #ended)
    local resumed, final = workflow.resume(result.execution_id, {
      decisions = { c1 = "approve", c2 = { deny = "too much" } },
    })
    assert.is_true(resumed)
    assert.equal("It is done", final.output)
    assert.is_nil(final.pending)
    assert.same({ "Ada" }, paid)
    assert.same({ "paid Ada", '{"error":"too much"}' }, results())
    assert.equal(2, #completed)
    assert.same({ 2, 2 }, { #started, #ended })
    assert.equal(30, final.usage.total_tokens)
    assert.equal("done", final.steps.ask.response.content)
    assert.equal("completed", (agent.get_state(id)))
    -- The whole turn is in the conversation.
    model:script(text("bye"))
    agent.run(id, "again")
    assert.equal(6, #model:requests()[1].messages)
  end)

  it("takes changed arguments and results", function()
    model:script(calls({ call("c1", "Ada"), call("c2", "Bob") }), text("done"))
    local flow = workflow.create({ steps = { { agent = payer(), input = "x" } } })
    workflow.execute(flow)
    local _, final = workflow.resume(flow, {
      decisions = { c1 = { arguments = { to = "Eve" } } },
      tool_results = { c2 = { ok = true } },
    })
    assert.equal("done", final.output)
    assert.same({ "Eve" }, paid)
    assert.same({ "paid Eve", '{"ok":true}' }, results())
  end)

  it("goes on with the results of calls that a client answers", function()
    model:script(calls({ { "c1", "look", "{}" } }), text("seen"))
    zigllms.tool.register({ name = "look" })
    local flow = workflow.create({ steps = { { agent = payer({ tools = { "look" } }) } } })
    local result = workflow.execute(flow, "x")
    assert.equal("client", result.pending.calls[1].reason)
    local _, final = workflow.resume(flow, { tool_results = { c1 = "a cat" } })
    assert.equal("seen", final.output)
    assert.same({ "a cat" }, results())
  end)

  it("says what is wrong with decisions, and stays paused", function()
    model:script(calls({ call("c1", "Ada"), call("c2", "Bob") }), text("done"))
    local flow = workflow.create({ steps = { { id = "ask", agent = payer(), input = "x" } } })
    local execution = workflow.execute(flow).execution_id
    local function wrong(options, ...)
      local err = raised("invalid_argument", workflow.resume, execution, options)
      for _, part in ipairs({ ... }) do
        assert.truthy(tostring(err):find(part, 1, true), tostring(err))
      end
      assert.equal("paused", (workflow.get_status(execution)))
    end
    wrong(nil, "decisions", '"c1"', '"c2"')
    wrong({ decisions = { c3 = "approve" } }, '"c3"', '"c1"', '"c2"')
    wrong({ decisions = { c1 = "approve" } }, 'decisions["c2"]', "pay")
    wrong({ decisions = { c1 = "perhaps" } }, "decisions.c1")
    wrong({ decisions = { c1 = {} } }, "exactly one")
    raised("invalid_state", workflow.step, execution)
    assert.is_true((workflow.resume(execution, { decisions = {} })))
    assert.equal("paused", (workflow.get_status(execution)))
    assert.same({}, paid)
    workflow.resume(execution, { decisions = { c1 = "deny", c2 = "deny" } })
    assert.equal("completed", (workflow.get_status(execution)))
    assert.is_false((workflow.resume(execution, { decisions = { c1 = "deny" } })))
  end)

  it("may wait again", function()
    model:script(calls({ call("c1", "Ada") }), calls({ call("c2", "Bob") }), text("done"))
    local flow = workflow.create({ steps = { { agent = payer(), input = "x" } } })
    workflow.execute(flow)
    local _, again = workflow.resume(flow, { decisions = { c1 = "approve" } })
    assert.equal("paused", again.status)
    assert.equal("c2", again.pending.calls[1].id)
    local _, final = workflow.resume(flow, { decisions = { c2 = "approve" } })
    assert.equal("done", final.output)
    assert.same({ "Ada", "Bob" }, paid)
  end)

  it("may be inside nested workflows", function()
    model:script(calls({ call("c1", "Ada") }), text("done"))
    local inner = workflow.create({ steps = { { id = "ask", agent = payer(), input = "x" } } })
    local middle = workflow.create({ steps = { { id = "call", workflow = inner } } })
    local outer = workflow.create({
      steps = { { id = "deep", workflow = middle }, { template = "{{previous.output}}!" } },
    })
    local result = workflow.execute(outer)
    assert.equal("paused", result.status)
    assert.equal("ask", result.pending.step_id)
    assert.not_equal(result.execution_id, result.pending.execution_id)
    assert.equal("paused", (workflow.get_status(inner)))
    local _, final = workflow.resume(outer, { decisions = { c1 = "approve" } })
    assert.equal("done!", final.output)
    assert.equal("completed", (workflow.get_status(inner)))
  end)

  it("may be gone on with inside first", function()
    model:script(calls({ call("c1", "Ada") }), text("done"))
    local inner = workflow.create({ steps = { { id = "ask", agent = payer(), input = "x" } } })
    local outer = workflow.create({
      steps = { { id = "deep", workflow = inner }, { template = "{{previous.output}}!" } },
    })
    local result = workflow.execute(outer)
    workflow.resume(inner, { decisions = { c1 = "approve" } })
    local _, final = workflow.resume(result.execution_id)
    assert.equal("done!", final.output)
    assert.same({ "Ada" }, paid)
  end)

  it("may be in branches, beside others that go on", function()
    local ada, bob = asks({ call("c1", "Ada") }), asks({ call("d1", "Bob") })
    model:script(ada, bob, text("x"), text("y"))
    local others = 0
    local flow = workflow.create({
      pattern = "parallel",
      steps = {
        { id = "a", agent = payer(), input = "a" },
        { id = "b", agent = payer(), input = "b" },
        {
          id = "c",
          fn = function()
            others = others + 1
            return "c"
          end,
        },
      },
    })
    local result = workflow.execute(flow)
    assert.equal("paused", result.status)
    assert.equal(2, #result.pending)
    assert.equal(2, #result.pending.calls)
    assert.same({ "a", "b" }, { result.pending[1].step_id, result.pending[2].step_id })
    -- One after the other.
    local ids = { result.pending[1].calls[1].id, result.pending[2].calls[1].id }
    local _, again = workflow.resume(flow, { decisions = { [ids[2]] = "approve" } })
    assert.equal("paused", again.status)
    assert.equal(1, #again.pending)
    assert.equal("completed", again.steps.b.status)
    local _, final = workflow.resume(flow, { decisions = { [ids[1]] = "deny" } })
    assert.equal("completed", final.status)
    assert.equal("c", final.output.c)
    assert.equal(1, #paid)
    assert.equal(1, others)
  end)

  it("may be in every item of a map, also with equal ids of calls", function()
    local ada = asks({ call("c1", "Ada") })
    model:script(ada, ada, text("x"), text("y"))
    local id = payer()
    local flow = workflow.create({
      steps = {
        {
          id = "each",
          over = { "Ada", "Bob" },
          max_concurrency = 2,
          steps = { { id = "ask", agent = id, input = "{{loop.item}}" } },
        },
      },
    })
    local result = workflow.execute(flow)
    assert.equal(2, #result.pending)
    assert.equal("each[1].ask/c1", result.pending[1].calls[1].id)
    assert.equal("each[2].ask/c1", result.pending.calls[2].id)
    raised("invalid_argument", workflow.resume, flow, { decisions = { c1 = "approve" } })
    local _, final = workflow.resume(flow, {
      decisions = { ["each[1].ask/c1"] = "approve", ["each[2].ask/c1"] = "deny" },
    })
    assert.equal("completed", final.status)
    assert.equal(1, #paid)
    table.sort(final.output)
    assert.same({ "x", "y" }, final.output)
  end)

  it("ends with the branches beside it", function()
    local waiting = asks({ call("c1", "Ada") })
    waiting.again = true
    local inner = workflow.create({ steps = { { id = "ask", agent = payer(), input = "x" } } })
    local function bad(ms)
      return {
        id = "bad",
        fn = function()
          zigllms.sleep(ms)
          error("no")
        end,
      }
    end
    for _, step in ipairs({ { id = "ask", agent = payer(), input = "x" }, { workflow = inner } }) do
      model:script(waiting)
      local flow = workflow.create({
        steps = {
          {
            id = "both",
            type = "parallel",
            continue_on_error = true,
            default = "neither",
            steps = { step, bad(200) },
          },
          { id = "next", template = "{{previous.output}}" },
        },
      })
      local result = workflow.execute(flow)
      assert.equal("completed", result.status)
      assert.equal("neither", result.output)
      assert.is_nil(result.pending)
      model:script(waiting)
      flow = workflow.create({ pattern = "parallel", steps = { step, bad(200) } })
      raised("callback_error", workflow.execute, flow)
      model:script(waiting)
      local value = { id = "value", type = "delay", duration_ms = 200 }
      local first = { id = "first", type = "parallel", aggregation = "first" }
      first.steps = { step, value }
      result = workflow.execute(workflow.create({ steps = { first } }), "in")
      assert.equal("in", result.output)
      assert.is_nil(result.pending)
    end
    assert.equal("cancelled", (workflow.get_status(inner)))
    assert.equal(3, workflow.get_info(inner).executions.cancelled)
  end)

  it("may be in loops", function()
    model:script(
      calls({ call("c1", "Ada") }),
      text("one"),
      calls({ call("c2", "Bob") }),
      text("two")
    )
    local flow = workflow.create({
      pattern = "loop",
      count = 2,
      steps = { { id = "ask", agent = payer(), input = "go" } },
    })
    workflow.execute(flow)
    local _, again = workflow.resume(flow, { decisions = { c1 = "approve" } })
    assert.equal("c2", again.pending.calls[1].id)
    local _, final = workflow.resume(flow, { decisions = { c2 = "approve" } })
    assert.same({ "one", "two" }, final.output)
    assert.same({ "Ada", "Bob" }, paid)
  end)

  it("may be an agent that another one asks", function()
    model:script(
      calls({ { "o1", "helper", '{"input":"pay Ada"}' } }),
      calls({ call("c1", "Ada") }),
      text("inner done"),
      text("outer done")
    )
    local helper = payer({ name = "helper" })
    local boss = payer({ tools = { agent.as_tool(helper) } })
    local flow = workflow.create({ steps = { { agent = boss, input = "x" } } })
    local result = workflow.execute(flow)
    assert.equal("o1/c1", result.pending.calls[1].id)
    local _, final = workflow.resume(flow, { decisions = { ["o1/c1"] = "approve" } })
    assert.equal("outer done", final.output)
    assert.same({ "Ada" }, paid)
  end)

  it("leaves the agent to others meanwhile", function()
    model:script(calls({ call("c1", "Ada") }), text("between"), text("done"))
    local id = payer()
    local flow = workflow.create({ steps = { { agent = id, input = "x" } } })
    workflow.execute(flow)
    assert.equal("between", agent.run(id, "and you?").content)
    local _, final = workflow.resume(flow, { decisions = { c1 = "approve" } })
    assert.equal("done", final.output)
    assert.same({ "paid Ada" }, results())
    local waiting = { calls({ call("c9", "Bob") }), calls({ call("d1", "Eve") }) }
    model:script(waiting[1], waiting[2], text("workflow"), text("own"))
    workflow.execute(flow)
    local own = agent.run(id, "pay Eve")
    assert.equal("approval_required", own.finish_reason)
    local mine = own.pending_tool_calls[1].id
    _, final = workflow.resume(flow, { decisions = { c9 = "approve" } })
    assert.equal("workflow", final.output)
    assert.equal("own", agent.resume(id, { [mine] = "approve" }).content)
    assert.same({ "Ada", "Bob", "Eve" }, paid)
  end)

  it("fails its step where the agent is gone", function()
    model:script(calls({ call("c1", "Ada") }))
    local id = payer()
    local flow = workflow.create({ steps = { { id = "ask", agent = id, input = "x" } } })
    workflow.execute(flow)
    agent.destroy(id)
    local options = { decisions = { c1 = "approve" } }
    local err = raised("not_found", workflow.resume, flow, options)
    assert.equal("ask", err.details.step_id)
    assert.equal("failed", (workflow.get_status(flow)))
  end)

  it("can be cancelled, and shows in the handle", function()
    model:script(calls({ call("c1", "Ada") }))
    local flow = workflow.create({ steps = { { agent = payer(), input = "x" } } })
    local handle = workflow.execute(flow, nil, { async = true })
    assert.equal("c1", handle:await().pending.calls[1].id)
    assert.equal("paused", handle:status())
    assert.is_true(handle:cancel("no"))
    raised("cancelled", handle.await, handle)
    model:script(calls({ call("c1", "Ada") }), text("done"))
    handle = workflow.execute(flow, nil, { async = true })
    handle:await()
    workflow.resume(handle, { decisions = { c1 = "approve" }, async = true })
    assert.equal("done", handle:await().output)
  end)

  it("stops before its next question where the workflow is paused", function()
    model:script(calls({ { "c1", "look", "{}" } }), calls({ { "c2", "look", "{}" } }), text("end"))
    local looked = 0
    zigllms.tool.register({
      name = "look",
      execute = function(_, info)
        looked = looked + 1
        if looked == 1 then
          assert.is_true(workflow.pause(info.execution_id))
        end
        return "seen " .. looked
      end,
    })
    local id = payer({ tools = { "look" } })
    local flow = workflow.create({ steps = { { id = "ask", agent = id, input = "x" } } })
    local completed = heard("agent.completed")
    local result = workflow.execute(flow)
    assert.equal("paused", result.status)
    assert.is_nil(result.pending)
    assert.is_nil(result.steps.ask)
    assert.equal(1, model:count())
    assert.equal("pause", completed[1].data.finish_reason)
    assert.equal("ready", (agent.get_state(id)))
    local _, final = workflow.resume(flow)
    assert.equal("end", final.output)
    assert.equal(3, model:count())
    assert.equal(2, looked)
    assert.same({ "seen 1", "seen 2" }, results())
    assert.equal(45, final.usage.total_tokens)
    assert.equal(3, final.steps.ask.response.iterations)
    assert.equal(2, #completed)
  end)
end)
