-- Agents in durable runs: what they have said, and what they wait for, goes on elsewhere.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local stores = require("spec.support.stores")

local workflow = zigllms.workflow
local text, calls = scripted.text, scripted.calls

-- A server, for other processes ask it, too.
local model = scripted.new("openai", { transport = "http" })

-- An agent that pays once somebody has agreed to it, and workflows that ask it.
local OFFICE = [[
  local zigllms, log, die = ...
  zigllms.tool.register({ name = "pay", requires_approval = true, execute = function(input)
    local file = assert(io.open(log, "a"))
    file:write(input.to, "\n")
    file:close()
    return "paid " .. input.to
  end })
  local clerk = { name = "clerk", provider = "openai", model = "gpt-test", tools = { "pay" } }
  zigllms.agent.create(clerk)
  zigllms.workflow.create({ name = "office", steps = {
    { id = "greet", agent = "clerk", input = "Hello" },
    { id = "die", fn = function(ctx)
      if die then
        os.execute("kill -9 $PPID")
      end
      return ctx.previous.output
    end },
    { id = "ask", agent = "clerk", input = "Pay {{input}}" },
    { id = "say", template = "It is {{previous.output}}" },
  } })
  return zigllms.workflow.create({ name = "outer", steps = {
    { id = "inner", workflow = "office", input = "{{input}}" },
  } })
]]

local ELSEWHERE = [[
  local zigllms = require("zigllms")
  zigllms.configure({ store = arg[1] })
  zigllms.provider.configure("openai", { base_url = arg[2], api_key = "test" })
  assert((loadstring or load)(arg[4]))(zigllms, arg[3], arg[7] == "die")
  local result = zigllms.workflow.execute(arg[5], "Ada", { run_id = arg[6] })
  io.write(result.status, " ", result.pending and result.pending.calls[1].id or "-")
]]

describe("an agent in a durable run", function()
  local directory, place, log

  before_each(model:as_default())
  before_each(function()
    directory = stores.directory()
    place, log = directory .. "/store.db", directory .. "/log"
    zigllms.configure({ store = place })
  end)
  after_each(function()
    zigllms.reset()
    zigllms.configure({ store = "memory" })
    stores.remove(directory)
  end)
  teardown(zigllms.reset)

  local function elsewhere(name, run, also)
    local words = { place, model:url(), log, OFFICE, name, run, also or "" }
    return program.run(ELSEWHERE, { args = words })
  end

  local function office()
    assert((loadstring or load)(OFFICE))(zigllms, log)
  end

  local function paid()
    local file = io.open(log)
    local said = file and file:read("*a")
    if file then
      file:close()
    end
    return said
  end

  -- What the model was shown last: roles and texts.
  local function shown()
    local all = model:requests()
    local said = {}
    for i, message in ipairs(all[#all].messages) do
      said[i] = message.role .. ": " .. tostring(message.content or "")
    end
    return table.concat(said, "\n")
  end

  for _, name in ipairs({ "office", "outer" }) do
    it("waits for a decision in one process and goes on in another: " .. name, function()
      local call = { "c1", "pay", '{"to":"Ada"}' }
      model:script(text("Good morning"), calls({ call }), text("done"))
      local paused = elsewhere(name, "run 1")
      assert.equal("paused c1", paused.out, paused.err)
      office()
      raised("invalid_argument", workflow.resume, "run 1")
      local decisions = { nobody = "approve" }
      raised("invalid_argument", workflow.resume, "run 1", { decisions = decisions })
      assert.is_nil(paid())
      local resumed, result = workflow.resume("run 1", { decisions = { c1 = "approve" } })
      assert.is_true(resumed)
      assert.equal("It is done", result.output)
      assert.equal("Ada\n", paid())
      assert.truthy(shown():find("user: Hello\nassistant: Good morning\nuser: Pay Ada", 1, true))
      assert.truthy(shown():find("tool: paid Ada", 1, true))
      assert.equal(3, #model:requests())
    end)
  end

  it("knows what it had said before its process was killed", function()
    model:script(text("Good morning"), text("done"))
    elsewhere("office", "run 2", "die")
    office()
    local handles = workflow.recover()
    assert.equal("It is done", handles[1]:await().output)
    assert.equal("Good morning", handles[1]:await().steps.greet.output)
    assert.truthy(shown():find("user: Hello\nassistant: Good morning\nuser: Pay Ada", 1, true))
    assert.equal(2, #model:requests())
    assert.equal(4, zigllms.agent.get_info("clerk").memory.messages)
  end)

  it("goes on in its own process as well, and remembers everything once", function()
    local call = { "c1", "pay", '{"to":"Ada"}' }
    model:script(text("Good morning"), calls({ call }), text("done"))
    office()
    local result = workflow.execute("office", "Ada", { run_id = "run 3" })
    assert.equal("paused", result.status)
    local _, over = workflow.resume("run 3", { decisions = { c1 = "approve" } })
    assert.equal("It is done", over.output)
    assert.equal(1, over.steps.ask.attempts)
    assert.equal("Ada\n", paid())
    assert.equal(6, zigllms.agent.get_info("clerk").memory.messages)
  end)
end)
