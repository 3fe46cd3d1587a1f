-- Calls that need approval: a run stops before them, and `agent.resume` says what becomes of them.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local agent, provider = zigllms.agent, zigllms.provider
local text, calls = scripted.text, scripted.calls

local server = scripted.start()

describe("approval", function()
  before_each(function()
    zigllms.reset()
    provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  it("stops, and goes on", function()
    local made = {}
    local id = agent.create({
      provider = "openai",
      tools = {
        {
          name = "pay",
          requires_approval = true,
          execute = function(input)
            made[#made + 1] = input.to
            return "paid"
          end,
        },
      },
    })
    server:script(calls({ { "c1", "pay", '{"to":"ada"}' } }), text("done"))
    local response = agent.run(id, "pay ada")
    assert.equal("approval_required", response.finish_reason)
    assert.equal("c1", response.pending_tool_calls[1].id)
    assert.same({}, made)
    local state, detail = agent.get_state(id)
    assert.equal("ready", state)
    assert.equal("approval", detail.waiting_for)
    raised("invalid_argument", agent.resume, id, {})
    response = agent.resume(id, { c1 = "approve" })
    assert.equal("done", response.content)
    assert.same({ "ada" }, made)
    raised("invalid_state", agent.resume, id, { c1 = "approve" })
  end)
end)
