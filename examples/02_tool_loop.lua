-- The loop of model and tools: the model asks for two calls, the agent executes them, the model
-- answers with what they returned. Needs python3, which plays the model.
local zigllms = require("zigllms")
local pretend, server = dofile((arg[0]:match("^.*/") or "") .. "pretend/model.lua")

zigllms.tool.register({
  name = "weather",
  description = "Current weather in a city",
  parameters = {
    type = "object",
    properties = { city = { type = "string" }, unit = { enum = { "C", "F" }, default = "C" } },
    required = { "city" },
  },
  execute = function(input)
    zigllms.sleep(20) -- a tool may wait: nothing else stands still meanwhile
    if input.city == "Bergen" then
      error("no station in Bergen")
    end
    return { city = input.city, temperature = 21, unit = input.unit }
  end,
})

local agent = zigllms.agent.create({
  provider = pretend,
  tools = { "weather" }, -- nothing else is offered to the model
  max_iterations = 5,
  budget = { max_total_tokens = 20000, max_ms = 60000 },
})

local answer = zigllms.agent.run(agent, "How warm is it in Norway?")
print(answer)

print(("%d rounds, %d tokens"):format(answer.iterations, answer.usage.total_tokens))
for _, call in ipairs(answer.tool_calls) do
  local outcome = call.error and "failed: " .. call.error
    or call.result.temperature .. " " .. call.result.unit
  print(call.id, call.name, call.arguments.city, outcome)
end

-- The whole turn stays in the conversation.
for _, message in ipairs(answer.messages) do
  print(message.role, message.tool_call_id or "", message.content)
end
server:close()
