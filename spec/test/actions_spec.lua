-- Steps of scenarios that run agents and ask providers, whose servers are mocks.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local test = zigllms.test

-- A scenario with a mock of a server that says these.
local function run(responses, ...)
  local id = test.create_scenario({
    name = "mocked",
    mocks = { openai = { type = "service", provider = "openai", responses = responses } },
    steps = { ... },
  })
  return test.run_scenario(id)
end

local function passes(result)
  assert.are.equal("passed", result.status, tostring(result.error))
end

describe("a step that asks a model", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  it("runs an agent; a text is compared with the content of its response", function()
    local agent = zigllms.agent.create({ provider = "openai" })
    local result = run(
      { "Paris is the capital." },
      { agent = agent, input = "France?", expect = "Paris is the capital." },
      { agent = agent, input = "France?", expect = { type = "contains", value = "Paris" } },
      { agent = agent, input = "France?", expect = { type = "matches", value = "^Paris" } },
      {
        agent = agent,
        input = "France?",
        expect = {
          type = "contains",
          value = { finish_reason = "stop" },
        },
      }
    )
    passes(result)
    assert.are.equal("stop", result.steps[1].actual_output.finish_reason)
    result = run({ "Rome" }, { agent = agent, input = "France?", expect = "Paris" })
    assert.are.equal("failed", result.status)
    assert.truthy(result.error.message:find('expected "Paris", got "Rome"', 1, true))
  end)

  it("asks a provider: with a text, messages, or what a function makes", function()
    local seen
    local result = run(
      { "one", "two", "three" },
      { name = "a", provider = "openai", input = "hello", expect = "one" },
      { provider = "openai", input = { { role = "user", content = "again" } }, expect = "two" },
      {
        provider = "openai",
        input = function(ctx)
          seen = ctx.mocks.openai
          return "after " .. ctx.results.a.actual_output.content
        end,
        expect = "three",
      }
    )
    passes(result)
    assert.are.equal(3, seen:call_count())
  end)

  it("lets the agent call tools", function()
    zigllms.tool.register({
      name = "add",
      execute = function(input)
        return input.a + input.b
      end,
    })
    local agent = zigllms.agent.create({ provider = "openai", tools = { "add" } })
    passes(run({
      { tool_calls = { { name = "add", arguments = { a = 1, b = 2 } } } },
      function(request)
        return "it is " .. request.messages[#request.messages].content
      end,
    }, { agent = agent, input = "1 + 2?", expect = "it is 3" }))
  end)

  it("may expect the error of a server", function()
    passes(
      run(
        { { error = { status = 401, message = "no such key" } } },
        { provider = "openai", input = "hi", expect = { type = "throws", value = "auth" } }
      )
    )
  end)

  it("leaves no mock behind, whatever becomes of the steps", function()
    local mock
    local result = run({ "one" }, function(ctx)
      mock = ctx.mocks.openai
      error("stop")
    end)
    assert.are.equal("error", result.status)
    assert.is_false(mock:restore())
    local id = zigllms.provider.create({
      type = "openai",
      api_key = "none",
      base_url = "http://127.0.0.1:1/v1",
      retry = false,
    })
    raised("network", zigllms.provider.chat, "hi", { provider = id })
  end)

  it("gives the result of an execution that has paused", function()
    zigllms.tool.register({ name = "ask", requires_approval = true, execute = function() end })
    local agent = zigllms.agent.create({ provider = "openai", tools = { "ask" } })
    local flow = zigllms.workflow.create({ steps = { { id = "s", agent = agent } } })
    passes(run({ { tool_calls = { { name = "ask", arguments = {} } } } }, {
      workflow = flow,
      input = "go",
      expect = { type = "contains", value = { status = "paused" } },
    }))
  end)

  it("names what is not there", function()
    local result = run({ "x" }, { agent = "nobody", input = "hi" })
    assert.are.equal("error", result.status)
    assert.is_true(result.error:is("not_found"))
    raised("invalid_argument", test.create_scenario, { name = "n", steps = { { agent = 1 } } })
  end)
end)
