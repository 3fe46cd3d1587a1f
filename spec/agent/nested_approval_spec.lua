-- Agents inside agents whose calls need approval: the outermost run stops, and goes on with all.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent = zigllms.agent
local text, calls, usage = scripted.text, scripted.calls, scripted.usage

local model = scripted.new()

local function of(name, reply)
  reply.when = "I am " .. name
  return reply
end

local function sent(n)
  return told(model:requests()[n])
end

local function ids(response)
  local list = {}
  for i, call in ipairs(response.pending_tool_calls) do
    list[i] = call.id .. " " .. call.name .. " " .. call.reason
  end
  return list
end

describe("approval inside agents", function()
  local paid

  local function create(name, config)
    config = config or {}
    config.name, config.provider = name, "openai"
    config.system_prompt = "I am " .. name
    return agent.create(config)
  end

  local function payer(name, config)
    config = config or {}
    config.tools = {
      {
        name = "pay",
        requires_approval = true,
        execute = function(input)
          paid[#paid + 1] = input.to or "?"
          return "paid"
        end,
      },
    }
    return create(name, config)
  end

  before_each(function()
    paid = {}
    model:begin()
  end)

  teardown(zigllms.reset)

  it("stops the run around, which goes on where it was", function()
    local clerk = payer("clerk")
    local boss = create("boss", { tools = { agent.as_tool(clerk) } })
    model:script(
      calls({ { "c1", "clerk", '{"input":"pay ada"}' } }, { usage = usage(1, 0) }),
      calls({ { "p1", "pay", '{"to":"ada"}' } }, { usage = usage(2, 0) }),
      text("I have paid", { usage = usage(4, 0) }),
      text("All paid", { usage = usage(8, 0) })
    )
    local stopped = agent.run(boss, "go")
    assert.equal("approval_required", stopped.finish_reason)
    assert.same({ "c1/p1 pay approval" }, ids(stopped))
    assert.same({}, paid)
    assert.equal(3, stopped.usage.total_tokens)
    local state, detail = agent.get_state(boss)
    assert.same({ "ready", "approval" }, { state, detail.waiting_for })
    raised("invalid_argument", agent.resume, boss, {})
    raised("invalid_argument", agent.resume, boss, { p1 = "approve" })

    local response = agent.resume(boss, { ["c1/p1"] = "approve" })
    assert.same({ "ada" }, paid)
    assert.equal("All paid", response.content)
    assert.equal(15, response.usage.total_tokens)
    assert.same(
      { "system: I am clerk", "user: pay ada", "assistant[p1]", "tool(p1): paid" },
      sent(3)
    )
    assert.same(
      { "system: I am boss", "user: go", "assistant[c1]", "tool(c1): I have paid" },
      sent(4)
    )
    assert.equal(15, agent.get_info(boss).usage.total_tokens)
    assert.equal(6, agent.get_info(clerk).usage.total_tokens)
    assert.equal(4, agent.get_info(boss).memory.messages)
  end)

  it("stops two runs around, and tells a denial where it belongs", function()
    local clerk = payer("clerk")
    local chief = create("chief", { tools = { agent.as_tool(clerk) } })
    local boss = create("boss", { tools = { agent.as_tool(chief) } })
    model:script(
      calls({ { "a", "chief", '{"input":"x"}' } }),
      calls({ { "b", "clerk", '{"input":"y"}' } }),
      calls({ { "c", "pay", '{"to":"ada"}' } }),
      text("not allowed"),
      text("sorry"),
      text("no")
    )
    local stopped = agent.run(boss, "go")
    assert.same({ "a/b/c pay approval" }, ids(stopped))
    local response = agent.resume(boss, { ["a/b/c"] = { deny = "too much" } })
    assert.equal("no", response.content)
    assert.same({}, paid)
    assert.equal('tool(c): {"error":"too much"}', sent(4)[4])
    assert.equal("tool(b): not allowed", sent(5)[4])
    assert.equal("tool(a): sorry", sent(6)[4])
    assert.equal(90, response.usage.total_tokens)
  end)

  it("of two side by side waits for both, and one may stop again", function()
    local left, right = payer("left"), payer("right")
    local boss = create("boss", { tools = { agent.as_tool(left), agent.as_tool(right) } })
    model:script(
      calls({ { "l", "left", '{"input":"x"}' }, { "r", "right", '{"input":"y"}' } }),
      of("left", calls({ { "p", "pay", '{"to":"l"}' } })),
      of("right", calls({ { "p", "pay", '{"to":"r"}' } })),
      of("left", text("L")),
      of("right", calls({ { "q", "pay", '{"to":"r2"}' } })),
      of("right", text("R")),
      of("boss", text("both"))
    )
    local stopped = agent.run(boss, "go")
    assert.same({ "l/p pay approval", "r/p pay approval" }, ids(stopped))
    stopped = agent.resume(boss, { ["l/p"] = "approve", ["r/p"] = "approve" })
    assert.equal("approval_required", stopped.finish_reason)
    assert.same({ "r/q pay approval" }, ids(stopped))
    local response = agent.resume(boss, { ["r/q"] = { arguments = { to = "r3" } } })
    assert.equal("both", response.content)
    table.sort(paid)
    assert.same({ "l", "r", "r3" }, paid)
    local last = model:requests()[model:count()]
    assert.same({ "tool(l): L", "tool(r): R" }, { told(last)[4], told(last)[5] })
  end)

  it("makes no call twice where going on was cancelled inside", function()
    local clerk = payer("clerk")
    local boss = create("boss", { tools = { agent.as_tool(clerk) } })
    model:script(
      of("boss", calls({ { "c1", "clerk", '{"input":"x"}' } })),
      of("clerk", calls({ { "p1", "pay", '{"to":"ada"}' } })),
      of("clerk", text("never", { delay_ms = 5000 })),
      of("clerk", text("I have paid")),
      of("boss", text("All paid"))
    )
    agent.run(boss, "go")
    local handle = agent.resume(boss, { ["c1/p1"] = "approve" }, { async = true })
    handle:wait(100)
    assert.same({ "ada" }, paid)
    handle:cancel()
    raised("cancelled", zigllms.await, handle)
    local _, detail = agent.get_state(boss)
    assert.is_nil(detail.pending)
    local response = agent.resume(boss, { ["c1/p1"] = "approve" })
    assert.equal("All paid", response.content)
    assert.same({ "ada" }, paid)
    assert.same(
      { "system: I am clerk", "user: x", "assistant[p1]", "tool(p1): paid" },
      sent(model:count() - 1)
    )
  end)

  it("fits changed arguments to the tools of the agent, whatever its name", function()
    local clerk = agent.create({
      name = "clerk",
      provider = "openai",
      tools = {
        {
          name = "pay",
          requires_approval = true,
          parameters = {
            type = "object",
            properties = { to = { type = "string" } },
            required = { "to" },
          },
          execute = function()
            return "paid"
          end,
        },
      },
    })
    local boss = create("boss", { tools = { agent.as_tool(clerk) } })
    agent.configure(clerk, { name = "teller" })
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      calls({ { "p1", "pay", '{"to":"ada"}' } })
    )
    agent.run(boss, "go")
    raised("validation_failed", agent.resume, boss, { ["c1/p1"] = { arguments = { to = 5 } } })
  end)

  it("in an agent that has taken over", function()
    local clerk = payer("clerk")
    local boss = create("boss", { tools = { agent.as_tool(clerk, { mode = "handoff" }) } })
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      calls({ { "p1", "pay", '{"to":"ada"}' } }),
      text("Paid")
    )
    assert.same({ "c1/p1 pay approval" }, ids(agent.run(boss, "go")))
    local response = agent.resume(boss, { ["c1/p1"] = "approve" })
    assert.equal("Paid", response.content)
    assert.equal(clerk, response.agent_id)
  end)

  it("leaves an agent the conversation it was shown", function()
    local clerk = payer("clerk")
    local boss = create("boss", { tools = { agent.as_tool(clerk, { history = true }) } })
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      calls({ { "p1", "pay", '{"to":"ada"}' } }),
      text("Paid"),
      text("done")
    )
    agent.run(boss, "my secret is 7")
    agent.resume(boss, { ["c1/p1"] = "approve" })
    assert.same({
      "system: I am clerk",
      "user: my secret is 7",
      "user: x",
      "assistant[p1]",
      "tool(p1): paid",
    }, sent(3))
  end)

  it("keeps to the budget over the stop", function()
    local clerk = payer("clerk")
    local boss = create("boss", { tools = { agent.as_tool(clerk) }, budget = { max_steps = 3 } })
    model:script(
      calls({ { "c1", "clerk", '{"input":"x"}' } }),
      calls({ { "p1", "pay", '{"to":"ada"}' } }),
      calls({ { "p2", "nothing", "{}" } })
    )
    agent.run(boss, "go")
    local err = raised("budget_exceeded", agent.resume, boss, { ["c1/p1"] = "approve" })
    assert.equal(3, model:count())
    assert.equal(45, err.partial.usage.total_tokens)
  end)

  it("of an agent that a program calls as a tool waits with that agent", function()
    local clerk = payer("clerk")
    local id = zigllms.tool.register(agent.as_tool(clerk))
    model:script(calls({ { "p1", "pay", '{"to":"ada"}' } }), text("Paid"))
    local err = raised("invalid_state", zigllms.tool.execute, id, { input = "x" })
    assert.truthy(err.message:find("agent.resume", 1, true), err.message)
    assert.equal("Paid", agent.resume(clerk, { p1 = "approve" }).content)
    assert.same({ "ada" }, paid)
  end)

  it("can be decided in another process", function()
    local far = scripted.new("openai", { transport = "http" })
    local function tools(asking)
      return ([[
        local zigllms = require("zigllms")
        local cjson = require("cjson")
        zigllms.provider.configure("openai", { base_url = %q, api_key = "test", retry = false })
        local pay = { name = "pay", requires_approval = true, execute = function(input)
          print("paying " .. input.to)
          return "paid"
        end }
        %s
      ]]):format(far:url(), asking)
    end
    far:script(
      calls({ { "a", "chief", '{"input":"x"}' } }),
      calls({ { "b", "clerk", '{"input":"y"}' } }),
      calls({ { "c", "pay", '{"to":"ada"}' } }),
      text("C"),
      text("B"),
      text("A")
    )
    local path = os.tmpname()
    local first = program.run(tools(([[
      local agent = zigllms.agent
      local function make(name, tools)
        return agent.create{ name = name, provider = "openai", system_prompt = "I am " .. name,
          tools = tools }
      end
      local clerk = make("clerk", { pay })
      local chief = make("chief", { agent.as_tool(clerk) })
      local boss = make("boss", { agent.as_tool(chief) })
      local stopped = agent.run(boss, "go")
      print(stopped.finish_reason, stopped.pending_tool_calls[1].id)
      local all = { agent.export(boss), agent.export(chief), agent.export(clerk) }
      local file = io.open(%q, "w")
      file:write(cjson.encode(all))
      file:close()
    ]]):format(path))).out
    assert.truthy(first:find("approval_required%s+a/b/c"), first)
    local second = program.run(tools(([[
      local agent = zigllms.agent
      agent.create{ name = "somebody else", provider = "openai" }
      local file = io.open(%q)
      local all = cjson.decode(file:read("*a"))
      file:close()
      local boss = agent.import(all[1])
      agent.import(all[2])
      agent.import(all[3], { tools = { pay } })
      local response = agent.resume(boss, { ["a/b/c"] = "approve" })
      print(response.content, response.usage.total_tokens)
    ]]):format(path)))
    os.remove(path)
    assert.truthy(second.out:find("paying ada%s+A%s+90"), second.out .. second.err)
    assert.same(
      { "system: I am clerk", "user: y", "assistant[c]", "tool(c): paid" },
      told(far:requests()[4])
    )
  end)
end)
