-- Functions around what agents and tools do: secrets are taken out of what goes to a model, a tool
-- is kept from running, a request that failed is made again, and what was spent is written down. No
-- network is used: the model here only pretends.
local zigllms = require("zigllms")
local hook, tool = zigllms.hook, zigllms.tool

-- Asks for a tool first, then says what it was given. The first request fails.
local requests = 0
local function pretending(request)
  requests = requests + 1
  if requests == 1 then
    return { status = 400, body = '{"error": {"message": "the model is being loaded"}}' }
  end
  local messages = zigllms.output.parse(request.body, "json").messages
  local last = messages[#messages]
  local delta = { content = "I was told: " .. last.content }
  if last.role == "user" then
    local call = { name = "delete_file", arguments = '{"path": "/etc/passwd"}' }
    delta =
      { tool_calls = { { index = 0, id = "call_1", type = "function", ["function"] = call } } }
    print("the model read: " .. last.content)
  end
  local finish = delta.content and "stop" or "tool_calls"
  local chunk = { choices = { { index = 0, delta = delta, finish_reason = finish } } }
  request.stream("data: " .. zigllms.output.format(chunk, "json") .. "\n\ndata: [DONE]\n\n")
  return { status = 200 }
end

tool.register({
  name = "delete_file",
  parameters = { type = "object", properties = { path = { type = "string" } } },
  execute = function(input)
    return os.remove(input.path)
  end,
})
local assistant = zigllms.agent.create({
  provider = { type = "openai", api_key = "none", model = "mine", transport = pretending },
  tools = { "delete_file" },
})

-- Before: what a hook returns is the input.
hook.register("agent_before_run", function(context)
  return (context.data:gsub("%d%d%d%d %d%d%d%d", "[card number]"))
end, "high")

-- Before: `false` is a veto, here told to the model, which the second value reaches.
hook.register("tool_before_execute", function(context)
  if context.data.path:match("^/etc") then
    return false, "that file is not yours"
  end
end, { tool = "delete_file" })

-- Around: `next` performs the operation, and raises its error.
hook.register("agent_run", function(context, next)
  local ok, answer = pcall(next)
  if ok then
    return answer
  end
  print("once more, as " .. answer.message)
  return zigllms.agent.run(context.agent_id, context.input, { remember = false })
end, { agent = assistant, once = true })

-- After: what it was, or what it shall be.
hook.register("agent_after_run", function(context)
  context.result.content = context.result.content:upper()
end)

print(zigllms.agent.run(assistant, "My card is 1234 5678, delete the password file."))

-- A name of the program's own, and what is known of hooks.
hook.register("shout", function(context)
  return context.data .. "!"
end)
print(hook.execute("shout", "done").data)
for _, item in ipairs(hook.list("agent_*")) do
  print(item.name, item.type, item.call_count)
end
