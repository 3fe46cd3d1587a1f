-- The example of the design document in which everything works together, and how it is run.
local seed = {}

-- Runs Lua text as the main chunk of a program that has required `zigllms`; what it prints goes
-- into a list.
function seed.run(zigllms, code)
  local printed = {}
  local env = setmetatable({
    zigllms = zigllms,
    print = function(...)
      printed[#printed + 1] = { ... }
    end,
  }, { __index = _G })
  local chunk
  if setfenv then -- luacheck: ignore
    chunk = setfenv(assert(loadstring(code, "=seed")), env) -- luacheck: ignore
  else
    chunk = assert(load(code, "=seed", "t", env))
  end
  chunk()
  return env, printed
end

-- The design document has a blank behind a comma, at the `~`.
seed.INTEGRATION = ([[
-- Create an agent
local agent_id = zigllms.agent.create({
    name = "workflow_agent",
    provider = "openai"
})

-- Register a tool
local tool_id = zigllms.tool.register({
    name = "data_processor",
    execute = function(input)
        return zigllms.output.parse(input.data, zigllms.output.Format.JSON)
    end
})

-- Create a workflow using the agent and tool
local workflow_id = zigllms.workflow.create({
    pattern = zigllms.workflow.Pattern.SEQUENTIAL,
    steps = {
        {
            type = "agent_call",
            agent = agent_id,
            input = "Process this data"
        },
        {
            type = "tool_call",~
            tool = tool_id,
            input = {data = "{{previous.output}}"}
        }
    }
})

-- Subscribe to workflow events
local subscription_id = zigllms.event.subscribe("workflow.*", function(event)
    print("Workflow event:", event.type, event.data)
end)

-- Execute with hooks
zigllms.hook.register("workflow_complete", function(context)
    zigllms.memory.store("last_workflow_result", context.result)
end)

local result = zigllms.workflow.execute(workflow_id)
]]):gsub("~", " ")

return seed
