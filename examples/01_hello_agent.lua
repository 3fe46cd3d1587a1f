-- A real model in this process, without a network: it answers in words, then as a JSON object that
-- fits a schema, and a Lua function works with that object. `make run` does all that is needed.
local zigllms = require("zigllms")

local path = os.getenv("ZIGLLMS_MODEL")
if not (path and zigllms.info().features["local"]) then
  io.stderr:write("run `make run`: this needs a module built with the feature `local`, and ")
  io.stderr:write("ZIGLLMS_MODEL with the path of a GGUF file\n")
  os.exit(1)
end

local function report(response)
  local tokens, seconds = response.usage.completion_tokens, response.duration_ms / 1000
  local rate = tokens / (response.duration_ms - response.ttft_ms) * 1000
  print(("-- %d tokens in %.2f s, %.0f tokens/s"):format(tokens, seconds, rate))
end

local agent = zigllms.agent.create({
  provider = { type = "local", model_path = path },
  system_prompt = "You are a helpful assistant.",
  temperature = 0,
  max_tokens = 80,
})

-- 1. Words, as they come. The first question also loads the model.
local answer = zigllms.agent.run(agent, "Why is the sky blue?", {
  stop = "\n",
  stream = function(chunk)
    io.write(chunk.content)
    io.flush()
  end,
})
print()
report(answer)

-- 2. An object: the schema leaves the model no other way to answer.
local name = { type = "string", minLength = 3, maxLength = 15 }
local typed = zigllms.agent.run(agent, "Name three fruits.", {
  remember = false,
  schema = {
    type = "object",
    properties = { fruits = { type = "array", items = name, minItems = 3, maxItems = 3 } },
    required = { "fruits" },
  },
})
print(typed.content)
report(typed)

-- 3. A tool: a Lua function whose input is checked.
zigllms.tool.register({
  name = "shopping_list",
  parameters = { type = "object", required = { "fruits" } },
  execute = function(input)
    table.sort(input.fruits)
    return #input.fruits .. " things to buy: " .. table.concat(input.fruits, ", ")
  end,
})
print(zigllms.tool.execute("shopping_list", typed.parsed))
