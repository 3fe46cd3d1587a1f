-- agent_call: an agent as `agent.run` runs it, against a scripted model.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local heard = require("spec.support.heard")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")

local agent = zigllms.agent
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function create(config)
  config = config or {}
  config.provider, config.model = "openai", "gpt-test"
  return agent.create(config)
end

describe("a step that calls an agent", function()
  before_each(model:as_default())
  teardown(zigllms.reset)

  it("gives what the agent says; all of the response is beside it", function()
    model:script(text("hello"), text("again"))
    local id = create({ name = "speaker" })
    local result = flow({
      { id = "one", agent = id, input = "Say {{input}}" },
      { id = "two", type = "agent_call", agent = "speaker" },
      { id = "three", template = "{{steps.one.response.content}}, {{steps.two.output}}" },
    }, "hello")
    assert.equal("hello", result.steps.one.output)
    assert.equal("hello, again", result.output)
    assert.equal("hello", result.steps.one.response.content)
    assert.equal(15, result.steps.one.response.usage.total_tokens)
    local sent = model:requests()
    assert.equal("Say hello", sent[1].messages[1].content)
    -- The agent remembers; without an input of its own it gets the previous output.
    assert.equal(3, #sent[2].messages)
    assert.equal("hello", sent[2].messages[3].content)
  end)

  it("counts what all of them used", function()
    model:script(
      text("a", { usage = scripted.usage(100, 10) }),
      text("b", { usage = scripted.usage(20, 3) }),
      text("c", { usage = scripted.usage(5, 1) })
    )
    local id = create()
    local child = zigllms.workflow.create({ steps = { { agent = id, input = "c" } } })
    local result = flow({
      { agent = id, input = "a" },
      {
        fn = function()
          return agent.run(id, "b").content
        end,
      },
      { workflow = child },
    })
    assert.equal(125, result.usage.prompt_tokens)
    assert.equal(14, result.usage.completion_tokens)
    assert.equal(139, result.usage.total_tokens)
  end)

  it("gives what fits the agent's schema", function()
    local schema = {
      type = "object",
      properties = { n = { type = "integer" } },
      required = { "n" },
    }
    model:script(text('{"n": 5}'), text('{"n": 6}'))
    local result = flow({
      { id = "a", agent = create({ schema = schema }), input = "x" },
      { id = "b", agent = create(), input = "y", options = { schema = schema, temperature = 0.5 } },
      { id = "c", template = "{{steps.a.output.n}}{{steps.b.output.n}}" },
    })
    assert.same({ n = 5 }, result.steps.a.output)
    assert.equal("56", result.output)
    assert.equal(0.5, model:requests()[2].temperature)
  end)

  it("has a conversation of its own if it says so", function()
    model:script(text("1"), text("2"), text("3"))
    local id = create()
    flow({
      { agent = id, input = "a", options = { session = "s" } },
      { agent = id, input = "b", options = { remember = false } },
      { agent = id, input = "c", options = { session = "s" } },
    })
    local sent = model:requests()
    assert.equal(1, #sent[2].messages)
    assert.equal(3, #sent[3].messages)
  end)

  it("runs the agent's tools; their events and hooks know the step", function()
    model:script(calls({ { "c1", "look", "{}" } }), text("done"))
    zigllms.tool.register({
      name = "look",
      execute = function(_, info)
        return info.step_id .. info.execution_id
      end,
    })
    local list = {}
    for _, pattern in ipairs({ "agent.*", "tool.*", "provider.*" }) do
      zigllms.event.subscribe(pattern, function(event)
        list[#list + 1] = event
      end)
    end
    local hooked = {}
    local points = { "agent_before_run", "tool_before_execute", "provider_before_request" }
    for _, point in ipairs(points) do
      zigllms.hook.register(point, function(context)
        hooked[#hooked + 1] = point
          .. " "
          .. tostring(context.step_id)
          .. tostring(context.execution_id)
      end)
    end
    local result = flow({ { id = "ask", agent = create({ tools = { "look" } }), input = "go" } })
    assert.equal("done", result.output)
    assert.is_true(#list >= 6, #list)
    for _, event in ipairs(list) do
      assert.equal("ask", event.data.step_id, event.type)
      assert.equal(result.execution_id, event.data.execution_id, event.type)
      assert.equal(result.workflow_id, event.data.workflow_id, event.type)
    end
    local where = " ask" .. result.execution_id
    assert.same({
      "agent_before_run" .. where,
      "provider_before_request" .. where,
      "tool_before_execute" .. where,
      "provider_before_request" .. where,
    }, hooked)
    local told = model:requests()[2].messages
    assert.equal("ask" .. result.execution_id, told[#told].content)
  end)

  it("fails with the provider's error", function()
    model:script(scripted.failure(400, "bad thing"), scripted.failure(401, "who?"))
    local id = create()
    local err = raised("bad_request", flow, { { id = "s", agent = id, input = "x" } })
    assert.equal("s", err.details.step_id)
    assert.equal(400, err.status)
    assert.equal("openai", err.provider)
    assert.truthy(tostring(err):find("bad thing", 1, true))
    assert.equal(
      "instead",
      flow({
        { agent = id, input = "x", continue_on_error = true, default = "instead" },
      }).output
    )
  end)

  it("needs a key before anything is sent", function()
    zigllms.reset()
    local server =
      zigllms.test.create_mock({ type = "service", transport = "http", responses = "never" })
    zigllms.provider.configure("openai", { base_url = server.base_url })
    local err = raised("auth", flow, { { id = "s", agent = create(), input = "x" } })
    assert.truthy(tostring(err):find("OPENAI_API_KEY", 1, true), tostring(err))
    assert.equal(0, server:call_count())
  end)

  it("is tried again as a whole", function()
    model:script(scripted.failure(500, "no"), text("now"))
    local result = flow({
      { id = "s", agent = create(), input = "x", retry = { max_attempts = 2, backoff_ms = 1 } },
    })
    assert.equal("now", result.output)
    assert.equal(2, result.steps.s.attempts)
  end)

  it("overlaps with others, and is stopped with its request when one fails", function()
    local slow = text("slow", { delay_ms = 200 })
    slow.again = true
    model:script(slow)
    local steps = {}
    for i = 1, 10 do
      steps[i] = { id = "s" .. i, agent = create(), input = "hi" }
    end
    local result = flow({ pattern = "parallel", max_concurrency = 10, steps = steps })
    assert.equal("slow", result.output.s10)
    assert.is_true(result.duration_ms >= 199 and result.duration_ms < 1500, result.duration_ms)
    assert.equal(150, result.usage.total_tokens)
    local given_up = 0
    model:script(function()
      local _, err = pcall(zigllms.sleep, 30000)
      given_up = given_up + (err.code == "cancelled" and 1 or 0)
      return "long"
    end)
    steps[11] = {
      id = "bad",
      fn = function()
        zigllms.sleep(100)
        error("stop")
      end,
    }
    local cancelled = heard("agent.failed")
    local id =
      zigllms.workflow.create({ pattern = "parallel", max_concurrency = 11, steps = steps })
    local failed = zigllms.workflow.execute(id, nil, { on_error = "return" })
    assert.is_true(failed.duration_ms < 1000, failed.duration_ms)
    assert.equal("bad", failed.error.details.step_id)
    for i = 1, 10 do
      assert.equal("cancelled", failed.steps["s" .. i].status)
    end
    assert.equal(10, #cancelled)
    assert.same({ 10, 10 }, { model:count(), given_up })
  end)

  it("input that is no data is told", function()
    local err = raised("conversion_error", flow, {
      {
        fn = function()
          return print
        end,
      },
      { id = "s", agent = create() },
    })
    assert.equal("s", err.details.step_id)
    model:script(text("ok"))
    raised("invalid_argument", flow, { { id = "s", agent = create(), input = { 1, 2 } } })
    assert.equal(0, model:count())
  end)

  it("what a model says is never looked at as a template", function()
    local evil = "{{variables.secret}} {{steps.a.response.usage}}"
    model:script(text(evil), text("ok"))
    local id = create()
    local result = flow({
      variables = { secret = "s3cret" },
      steps = {
        { id = "a", agent = id, input = "x" },
        { id = "b", agent = id, input = "It said: {{previous.output}}" },
      },
    })
    assert.equal("ok", result.output)
    assert.equal("It said: " .. evil, model:requests()[2].messages[3].content)
  end)

  it("may destroy its own agent", function()
    model:script(text("one"))
    local id = create()
    local result = flow({
      { agent = id, input = "x" },
      {
        fn = function()
          return agent.destroy(id)
        end,
      },
      { id = "gone", agent = id, input = "x", continue_on_error = true },
    })
    assert.is_true(result.steps.step_2.output)
    assert.equal("not_found", result.steps.gone.error.code)
  end)

  it("a tool that destroys the agent that runs it ends the step, not the program", function()
    model:script(calls({ { "c1", "kill", "{}" } }), text("done"))
    local id
    zigllms.tool.register({
      name = "kill",
      execute = function()
        agent.destroy(id)
        zigllms.sleep(10)
        return "dead"
      end,
    })
    id = create({ tools = { "kill" } })
    local result = flow({
      { id = "s", agent = id, input = "x", continue_on_error = true, default = "gone over" },
    })
    assert.equal("failed", result.steps.s.status)
    assert.equal("cancelled", result.steps.s.error.code)
    assert.equal("gone over", result.output)
  end)
end)
