-- What a client says to the calls of a run: each result has its call, and each call one result.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent = zigllms.agent
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function result(id, content)
  return { role = "tool", tool_call_id = id, content = content or "A" }
end

local function user(content)
  return { role = "user", content = content }
end

local function asking(id)
  return {
    role = "assistant",
    content = "",
    tool_calls = { { id = id, name = "ask", arguments = {} } },
  }
end

local function has(whole, part)
  assert.truthy(tostring(whole):find(part, 1, true), tostring(whole))
end

describe("a client's results", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  local function create(...)
    local tools = { { name = "ask" } }
    for _, extra in ipairs({ ... }) do
      tools[#tools + 1] = extra
    end
    return agent.create({ provider = "openai", tools = tools })
  end

  local PAY = {
    name = "pay",
    requires_approval = true,
    execute = function()
      return "paid"
    end,
  }

  -- Nothing is sent, and what waited waits.
  local function refused(id, input, part)
    local count, state, detail = model:count(), agent.get_state(id)
    local err = raised("invalid_argument", agent.run, id, input)
    has(err, part)
    local state_now, now = agent.get_state(id)
    assert.equal(count, model:count())
    assert.same({ state, detail.pending }, { state_now, now.pending })
  end

  it("are of calls that wait, one each", function()
    local id = create()
    model:script(calls({ { "c1", "ask", "{}" } }), text("done"))
    agent.run(id, "go")
    refused(id, result("zzz"), 'got "zzz"; those that wait: "c1"')
    refused(id, { result("c1"), result("c1", "B") }, "input[2].tool_call_id")
    refused(id, { user("hey"), result("c1") }, "input[2].tool_call_id: results stand before")
    agent.run(id, result("c1"))
    assert.same(
      { "user: go", "assistant[c1]", "tool(c1): A" },
      told(model:requests()[model:count()])
    )
    refused(id, result("c1"), "none does")
  end)

  it("are refused the second time while another call waits for approval", function()
    local id = create(PAY)
    model:script(calls({ { "c1", "ask", "{}" }, { "p1", "pay", "{}" } }), text("done"))
    agent.run(id, "go")
    refused(id, { result("c1"), result("c1", "B") }, "input[2].tool_call_id")
    agent.run(id, result("c1"))
    refused(id, result("c1", "B"), 'got "c1"; those that wait: "p1"')
    agent.resume(id, { p1 = "approve" })
    assert.same(
      { "user: go", "assistant[c1,p1]", "tool(c1): A", "tool(p1): paid" },
      told(model:requests()[model:count()])
    )
  end)

  it("come too late once something else was said", function()
    local id = create()
    model:script(calls({ { "c1", "ask", "{}" } }), text("done"))
    agent.run(id, "go")
    agent.run(id, "never mind")
    refused(id, result("c1"), 'got "c1"')
  end)

  it("of calls inside an agent are for agent.resume", function()
    local clerk = create(PAY)
    local boss = agent.create({
      provider = "openai",
      tools = { agent.as_tool(clerk, { name = "clerk" }) },
    })
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      calls({ { "p1", "pay", "{}" }, { "q1", "ask", "{}" } }),
      text("clerk done"),
      text("boss done")
    )
    agent.run(boss, "go")
    agent.resume(boss, { ["c1/p1"] = "approve" })
    refused(boss, result("c1/q1"), "agent.resume")
    local response = agent.resume(boss, { ["c1/q1"] = { result = "A" } })
    assert.equal("boss done", response.content)
  end)

  it("may come with the messages they belong to, but not without", function()
    local id = create()
    model:script(text("done"))
    agent.run(id, { user("go"), asking("q"), result("q"), user("and now?") })
    assert.equal(4, #model:requests()[model:count()].messages)
    refused(id, { user("a"), asking("q") }, 'input[2].tool_calls: the call "q"')
    refused(id, { user("a"), asking("q"), user("b") }, 'input[2].tool_calls: the call "q"')
    refused(id, { asking("q"), result("q"), result("q") }, "input[3].tool_call_id")
  end)
end)
