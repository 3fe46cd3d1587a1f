-- Tools whose calls run beside each other: execution_mode "async".
local clock = require("spec.support.program").clock
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local agent, tool = zigllms.agent, zigllms.tool
local text, calls = scripted.text, scripted.calls

local model = scripted.new()
local SLEEP = 200

-- A tool that sleeps and says what it was given; `log` hears of its begin and end.
local function sleeper(name, log, extra)
  local definition = {
    name = name,
    execution_mode = "async",
    execute = function(input)
      log[#log + 1] = "begin " .. tostring(input.n)
      zigllms.sleep(input.ms or SLEEP)
      if input.fails then
        error("broken", 0)
      end
      log[#log + 1] = "end " .. tostring(input.n)
      return { n = input.n }
    end,
  }
  for key, value in pairs(extra or {}) do
    definition[key] = value
  end
  return tool.register(definition)
end

local function three(name)
  return calls({
    { "c1", name, '{"n":1}' },
    { "c2", name, '{"n":2}' },
    { "c3", name, '{"n":3}' },
  })
end

local function results(request)
  local list = {}
  for _, message in ipairs(request.messages) do
    if message.role == "tool" then
      list[#list + 1] = message.tool_call_id .. " " .. message.content
    end
  end
  return list
end

describe("async tools", function()
  local log

  before_each(function()
    log = {}
    model:begin()
  end)

  teardown(zigllms.reset)

  it("overlap inside one round; results stand in the order of the calls", function()
    model:script(three("slow"), text("done"))
    local id = agent.create({ model = "m", tools = { sleeper("slow", log) } })
    local began = clock()
    local response = agent.run(id, "go")
    local ms = (clock() - began) * 1000
    assert.equal("done", response.content)
    assert.is_true(ms < 2.5 * SLEEP, ms)
    assert.same({ "begin 1", "begin 2", "begin 3" }, { log[1], log[2], log[3] })
    assert.same({ 'c1 {"n":1}', 'c2 {"n":2}', 'c3 {"n":3}' }, results(model:requests()[2]))
    for i, call in ipairs(response.tool_calls) do
      assert.equal("c" .. i, call.id)
      assert.equal(i, call.result.n)
      assert.is_true(call.duration_ms >= SLEEP * 0.9 and call.duration_ms < 2.5 * SLEEP)
    end
  end)

  it("go before the direct ones of the round, which keep their order", function()
    local direct = { execution_mode = "direct" }
    model:script(
      calls({
        { "c1", "plain", '{"n":1,"ms":1}' },
        { "c2", "slow", '{"n":2,"ms":30}' },
        { "c3", "plain", '{"n":3,"ms":1}' },
        { "c4", "slow", '{"n":4,"ms":1}' },
      }),
      text("done")
    )
    local tools = { sleeper("slow", log), sleeper("plain", log, direct) }
    agent.run(agent.create({ model = "m", tools = tools }), "go")
    assert.same({
      "begin 2",
      "begin 4",
      "end 4",
      "end 2",
      "begin 1",
      "end 1",
      "begin 3",
      "end 3",
    }, log)
    assert.same(
      { 'c1 {"n":1}', 'c2 {"n":2}', 'c3 {"n":3}', 'c4 {"n":4}' },
      results(model:requests()[2])
    )
  end)

  it("that fail are told to the model, the others go on", function()
    model:script(
      calls({
        { "c1", "slow", '{"n":1,"ms":1,"fails":true}' },
        { "c2", "slow", '{"n":2,"ms":5}' },
      }),
      text("done")
    )
    agent.run(agent.create({ model = "m", tools = { sleeper("slow", log) } }), "go")
    local told = results(model:requests()[2])
    assert.truthy(told[1]:find("broken", 1, true))
    assert.equal('c2 {"n":2}', told[2])
  end)

  it("one that raises ends the run once the others have ended", function()
    model:script(
      calls({ { "c1", "slow", '{"n":1,"ms":1,"fails":true}' }, { "c2", "slow", '{"n":2,"ms":5}' } })
    )
    local tools = { sleeper("slow", log, { on_error = "raise" }) }
    local err = raised("tool_error", agent.run, agent.create({ model = "m", tools = tools }), "go")
    assert.truthy(err.message:find("broken", 1, true))
    assert.same({ "begin 1", "begin 2", "end 2" }, log)
    local messages = err.partial.messages
    assert.same({ "c1", "c2" }, {
      messages[#messages - 1].tool_call_id,
      messages[#messages].tool_call_id,
    })
  end)

  it("are told one by one to who follows the stream", function()
    model:script(three("slow"), text("done"))
    local seen = {}
    local id = agent.create({ model = "m", tools = { sleeper("slow", log) } })
    agent.run(id, "go", {
      stream = function(chunk)
        if chunk.tool_result then
          seen[#seen + 1] = chunk.tool_result.id
        end
      end,
    })
    assert.same({ "c1", "c2", "c3" }, seen)
  end)

  it("end when the run is cancelled", function()
    model:script(three("slow"), text("never"))
    local id = agent.create({ model = "m", tools = { sleeper("slow", log, nil) } })
    local handle = agent.run(id, "go", { async = true })
    for _ = 1, 200 do
      if #log < 3 then
        zigllms.poll(5)
      end
    end
    local began = clock()
    handle:cancel("enough")
    raised("cancelled", handle.await, handle)
    assert.is_true((clock() - began) * 1000 < SLEEP * 0.9)
    assert.equal(3, #log)
    assert.equal(1, model:count())
  end)

  it("have their own hooks and events each", function()
    model:script(three("slow"), text("done"))
    local names = {}
    zigllms.event.subscribe("tool.*", function(e)
      names[#names + 1] = e.name .. " " .. e.data.call_id
    end)
    zigllms.hook.register("tool_before_execute", function(context)
      context.data.ms = 4 - context.data.n
    end)
    agent.run(agent.create({ model = "m", tools = { sleeper("slow", log) } }), "go")
    table.sort(names)
    assert.same({
      "tool.invoked c1",
      "tool.invoked c2",
      "tool.invoked c3",
      "tool.succeeded c1",
      "tool.succeeded c2",
      "tool.succeeded c3",
    }, names)
  end)

  it("execute gives a handle at once, unless told otherwise", function()
    local id = sleeper("slow", log)
    local handle = tool.execute(id, { n = 1, ms = 20 })
    assert.equal("running", handle:status())
    assert.equal(1, handle:await().n)
    assert.equal(2, tool.execute(id, { n = 2, ms = 1 }, { mode = "direct" }).n)
    assert.equal(3, tool.execute(id, { n = 3, ms = 1 }, { async = false }).n)
    local direct = sleeper("plain", log, { execution_mode = "DIRECT" })
    assert.equal(4, tool.execute(direct, { n = 4, ms = 1 }, { mode = "async" }):await().n)
    assert.equal("async", tool.get(id).execution_mode)
  end)
end)
