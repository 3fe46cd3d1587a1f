-- Calls that somebody has to agree to. The run stops before them; here it is written to a file, and
-- another process goes on with it: a person may take days. No network is used: the model here only
-- pretends.
local zigllms = require("zigllms")
local agent, output = zigllms.agent, zigllms.output

-- Wants three payments, then says what came of them.
local function pretending(request)
  local messages = output.parse(request.body, "json").messages
  local delta, finish = { tool_calls = {} }, "tool_calls"
  if messages[#messages].role == "tool" then
    local told = {}
    for i = #messages - 2, #messages do
      told[#told + 1] = messages[i].content
    end
    delta, finish = { content = "I was told: " .. table.concat(told, "; ") }, "stop"
  else
    for i, sum in ipairs({ 5, 80, 5000 }) do
      local arguments = ('{"to": "ada", "sum": %d}'):format(sum)
      delta.tool_calls[i] = {
        index = i - 1,
        id = "call_" .. i,
        type = "function",
        ["function"] = { name = "pay", arguments = arguments },
      }
    end
  end
  local chunk = { choices = { { index = 0, delta = delta, finish_reason = finish } } }
  request.stream("data: " .. output.format(chunk, "json") .. "\n\ndata: [DONE]\n\n")
  return { status = 200 }
end

-- Small sums need nobody's word.
zigllms.tool.register({
  name = "pay",
  parameters = {
    type = "object",
    properties = { to = { type = "string" }, sum = { type = "number" } },
    required = { "to", "sum" },
  },
  requires_approval = function(input)
    return input.sum > 10
  end,
  execute = function(input)
    return ("paid %d to %s"):format(input.sum, input.to)
  end,
})
local model = { type = "openai", api_key = "none", model = "mine", transport = pretending }

-- A policy in place of a person at a terminal.
local function decide(call)
  if call.arguments.sum <= 100 then
    return "approve"
  end
  return { deny = "too much at once" }
end

if arg and arg[1] then
  -- The second process: no function came along, so the tool is bound by its name, and the provider
  -- is given anew.
  local file = assert(io.open(arg[1], "rb"))
  local exported = output.parse(file:read("*a"), "json")
  file:close()
  local id = agent.import(exported, { provider = model })
  local decisions = {}
  for _, call in ipairs(select(2, agent.get_state(id)).pending_tool_calls) do
    decisions[call.id] = decide(call)
  end
  local response = agent.resume(id, decisions)
  print(response)
  print(("%d rounds, %d tool calls"):format(response.iterations, #response.tool_calls))
  return
end

local id = agent.create({ name = "treasurer", provider = model, tools = { "pay" } })
local response = agent.run(id, "Pay Ada what we owe her")
print("stopped: " .. response.finish_reason)
for _, call in ipairs(response.pending_tool_calls) do
  print(("  %s wants to %s %d"):format(call.id, call.name, call.arguments.sum))
end

local path = os.tmpname()
local file = assert(io.open(path, "wb"))
file:write(output.format(agent.export(id), "json"))
file:close()
-- The interpreter that runs this file runs it once more.
local program = arg and arg[-1] or "lua"
local pipe = assert(io.popen(("%s %s %s"):format(program, arg and arg[0] or "", path)))
io.write(pipe:read("*a"))
pipe:close()
os.remove(path)
