-- Hooks and handlers that stop, resume or end the workflow they are told of, at every point there
-- is: nothing hangs, and the execution ends once.
local zigllms = require("zigllms")
local scripted = require("spec.support.model")

local agent, workflow = zigllms.agent, zigllms.workflow
local model = scripted.new()

local POINTS = {
  "workflow_start",
  "workflow_execute",
  "workflow_complete",
  "workflow_error",
  "workflow_step_start",
  "workflow_step",
  "workflow_step_complete",
  "workflow_step_error",
  "agent_init",
  "agent_before_run",
  "agent_run",
  "agent_after_run",
  "agent_error",
  "provider_before_request",
  "provider_after_response",
  "tool_before_execute",
  "tool_execute",
  "tool_after_execute",
  "tool_error",
}

local AROUND =
  { workflow_execute = true, workflow_step = true, agent_run = true, tool_execute = true }

local EVENTS = {
  "workflow.started",
  "workflow.completed",
  "workflow.failed",
  "workflow.paused",
  "workflow.resumed",
  "workflow.cancelled",
  "workflow.step_started",
  "workflow.step_completed",
  "workflow.step_failed",
  "workflow.step_skipped",
  "agent.started",
  "agent.completed",
  "agent.failed",
  "tool.invoked",
  "tool.succeeded",
  "tool.failed",
  "provider.request",
  "provider.response",
  "provider.error",
}

local ENDS =
  { ["workflow.completed"] = true, ["workflow.failed"] = true, ["workflow.cancelled"] = true }
local STATUS = {
  ["workflow.completed"] = "completed",
  ["workflow.failed"] = "failed",
  ["workflow.cancelled"] = "cancelled",
}

-- What is done there, once. Answers whether the execution was told to end.
local MEDDLING = {
  cancel = function(flow)
    return workflow.cancel(flow, "meddled")
  end,
  pause = function(flow)
    workflow.pause(flow)
  end,
  resume = function(flow)
    workflow.resume(flow)
  end,
  pause_and_resume = function(flow)
    workflow.pause(flow)
    workflow.resume(flow)
  end,
  resume_async = function(flow)
    workflow.pause(flow)
    workflow.resume(flow, { async = true })
  end,
  cancel_after_pause = function(flow)
    workflow.pause(flow)
    return workflow.cancel(flow, "meddled")
  end,
  step = function(flow)
    pcall(workflow.step, flow)
  end,
  destroy_agent = function(_, id)
    agent.destroy(id)
  end,
  destroy_workflow = function(flow)
    workflow.destroy(flow)
  end,
}

local function definition(id)
  return {
    steps = {
      { id = "ask", agent = id, input = "go" },
      { id = "skipped", condition = "1 == 2", template = "x" },
      {
        id = "both",
        type = "parallel",
        steps = {
          { id = "left", type = "delay", duration_ms = 1 },
          { id = "right", tool = "look", input = {} },
        },
      },
      {
        id = "bad",
        continue_on_error = true,
        fn = function()
          error("no")
        end,
      },
      { id = "breaks", tool = "break", input = {}, continue_on_error = true },
    },
  }
end

-- One execution, meddled with by `meddle` as soon as `at` is reached, with everything that is told.
local function try(at, is_event, meddle, fails)
  zigllms.reset()
  model:begin()
  model:script(
    scripted.calls({ { "c1", "look", "{}" }, { "c2", "break", "{}" } }),
    scripted.text("end"),
    scripted.text("again"),
    scripted.text("again")
  )
  zigllms.tool.register({
    name = "look",
    execute = function()
      return "seen"
    end,
  })
  zigllms.tool.register({
    name = "break",
    execute = function()
      error("broken")
    end,
  })
  local id = agent.create({ provider = "openai", model = "m", tools = { "look", "break" } })
  local made = definition(id)
  if fails then
    made.steps[#made.steps + 1] = { id = "last", template = "{{steps.none.output}}" }
  end
  local flow = workflow.create(made)
  local ends, reached, cancelled = {}, false, false
  zigllms.event.subscribe("workflow.*", function(event)
    if ENDS[event.type] then
      local key = event.data.execution_id
      ends[key] = ends[key] or {}
      ends[key][#ends[key] + 1] = event.type
    end
  end)
  local function act()
    if not reached then
      reached = true
      cancelled = meddle(flow, id)
    end
  end
  if is_event then
    zigllms.event.subscribe(at, act)
  elseif AROUND[at] then
    zigllms.hook.register(at, function(_, next)
      act()
      local result = next()
      return result
    end)
  else
    zigllms.hook.register(at, act)
  end
  return flow, ends, function()
    return reached, cancelled
  end
end

-- Goes on with what is paused until it ends.
local function to_its_end(handle)
  for _ = 1, 20 do
    if not handle:wait(10000) and handle:status() == "paused" then
      pcall(workflow.resume, handle)
    else
      break
    end
  end
  return handle:status()
end

local function check(where, handle, ends, look)
  local status = to_its_end(handle)
  local reached, cancelled = look()
  assert.is_true(handle:done(), where .. ": it goes on for ever: " .. status)
  assert.equal(status, (workflow.get_status(handle)), where)
  local own = ends[handle.id] or {}
  assert.equal(1, #own, where .. ": ended as " .. table.concat(own, ", "))
  assert.equal(status, STATUS[own[1]], where)
  if cancelled then
    assert.equal("cancelled", status, where)
  end
  for _, list in pairs(ends) do
    assert.equal(1, #list, where)
  end
  return reached
end

describe("whoever meddles with a workflow", function()
  teardown(zigllms.reset)

  local function sweep(meddle, fails)
    local reached = 0
    for _, set in ipairs({ POINTS, EVENTS }) do
      for _, at in ipairs(set) do
        local flow, ends, look = try(at, set == EVENTS, meddle, fails)
        local ok, handle = pcall(workflow.execute, flow, "in", { async = true })
        assert.is_true(ok, at .. ": " .. tostring(handle))
        if check(at, handle, ends, look) then
          reached = reached + 1
        end
      end
    end
    -- Some points are only reached by executions that fail, or that were stopped.
    assert.is_true(reached >= 25, reached)
  end

  for name, meddle in pairs(MEDDLING) do
    it("by " .. name .. " leaves it in order", function()
      sweep(meddle, false)
    end)

    it("by " .. name .. " leaves one in order that fails", function()
      sweep(meddle, true)
    end)
  end

  it("waits for it in vain, and is told so", function()
    for _, at in ipairs({ "workflow_start", "workflow_step_start", "workflow_complete" }) do
      zigllms.reset()
      local code
      local flow = workflow.create({ steps = { { template = "x" } } })
      zigllms.hook.register(at, function(context)
        local ok, err = pcall(workflow.get_result, context.execution_id, { wait = true })
        code = not ok and err.code
      end)
      assert.equal("completed", workflow.execute(flow).status)
      assert.equal("invalid_state", code, at)
    end
  end)
end)
