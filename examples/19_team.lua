-- A team: one agent asks two others at once, steers, and hands the conversation over to a third; a
-- budget bounds what all of them use together. No network is used: the model here only pretends.
local zigllms = require("zigllms")
local agent = zigllms.agent

local function call(id, name, input)
  local arguments = zigllms.output.format({ input = input }, "json")
  return {
    index = 0,
    id = id,
    type = "function",
    ["function"] = { name = name, arguments = arguments },
  }
end

-- What each of them does when it is asked; `said` is the last thing it was told.
local roles = {
  ["You lead."] = function(said, seen)
    if not seen.looked then
      local second = call("c2", "historian", "When was the bridge built?")
      second.index = 1
      return { tool_calls = { call("c1", "geographer", "How long is the bridge?"), second } }
    elseif said == "stop here" then
      return { content = "As you like." }
    end
    return { tool_calls = { call("c3", "writer", "Write it down") } }
  end,
  ["You know places."] = function()
    return { content = "It is 330 m long." }
  end,
  ["You know dates."] = function()
    return { content = "It was built in 1974." }
  end,
  ["You write."] = function(_, seen)
    return { content = "The bridge: " .. table.concat(seen.results, " ") }
  end,
}

local requests = 0
local function pretending(request)
  requests = requests + 1
  local messages = zigllms.output.parse(request.body, "json").messages
  local seen = { results = {} }
  for _, message in ipairs(messages) do
    seen.looked = seen.looked or message.role == "tool"
    seen.results[#seen.results + 1] = message.role == "tool" and message.content or nil
  end
  local delta = roles[messages[1].content](messages[#messages].content, seen)
  local finish = delta.content and "stop" or "tool_calls"
  request.stream("data: " .. zigllms.output.format({
    choices = { { index = 0, delta = delta, finish_reason = finish } },
    usage = { prompt_tokens = 100, completion_tokens = 10, total_tokens = 110 },
  }, "json") .. "\n\ndata: [DONE]\n\n")
  return { status = 200 }
end

local provider = { type = "openai", api_key = "none", model = "mine", transport = pretending }

local function member(name, prompt, more)
  local config = { name = name, provider = provider, system_prompt = prompt }
  for key, value in pairs(more or {}) do
    config[key] = value
  end
  return agent.create(config)
end

local geographer = member("geographer", "You know places.")
local historian = member("historian", "You know dates.")
local writer = member("writer", "You write.")

local lead = member("lead", "You lead.", {
  tools = {
    agent.as_tool(geographer, { description = "Knows everything about places" }),
    agent.as_tool(historian, { description = "Knows when things happened" }),
    -- Its answer is the run's; it reads the conversation so far.
    agent.as_tool(writer, { mode = "handoff", history = true }),
  },
  -- For all of them together.
  budget = { max_total_tokens = 2000 },
})

local response = agent.run(lead, "Tell me about the bridge")
print(response)
print("answered by", agent.get_info(response.agent_id).name)
print("tokens of all", response.usage.total_tokens, "in requests", requests)

-- A word to a run under way is seen with its next request.
response = agent.run(lead, "And the tower?", {
  remember = false,
  stream = function(chunk)
    if chunk.tool_result and chunk.tool_result.name == "historian" then
      agent.send(lead, "stop here")
    end
  end,
})
print(response)

-- Three requests are too few for such a question; what there was until then is in the error.
local ok, err = pcall(agent.run, lead, "And the church?", {
  remember = false,
  budget = { max_steps = 3 },
})
print(ok, err.code, err.partial.usage.total_tokens, #err.partial.tool_calls .. " results")
