-- A real model in this process, without a network: it answers in words, then as a JSON object that
-- fits a schema, and a Lua function works with that object.
--
--   ZIGLLMS_MODEL=SmolLM2-135M-Instruct.Q4_1.gguf lua5.4 examples/01_hello_agent.lua
local zigllms = require("zigllms")

local path = os.getenv("ZIGLLMS_MODEL")
if not (path and zigllms.info().features["local"]) then
  io.stderr:write(
    "`make run` does all this: it needs a module built with the feature `local`, and "
  )
  io.stderr:write("ZIGLLMS_MODEL with the path of a GGUF file.\n")
  os.exit(1)
end

local function report(what, response)
  local tokens, seconds = response.usage.completion_tokens, response.duration_ms / 1000
  print(
    ("-- %s: %d tokens in %.2f s, %.1f tokens/s"):format(what, tokens, seconds, tokens / seconds)
  )
end

local model = zigllms.provider.create({ type = "local", model_path = path })
local agent = zigllms.agent.create({
  name = "hello",
  provider = model,
  system_prompt = "You are a friendly guide. Answer in two short sentences.",
  temperature = 0,
  max_tokens = 80,
})

-- 1. Words, as they come. The first answer also loads the model.
local answer =
  zigllms.agent.run(agent, "What is the capital of France, and what is it known for?", {
    stream = function(chunk)
      io.write(chunk.content)
      io.flush()
    end,
  })
print()
report("streamed", answer)

-- 2. An object: the grammar of the schema leaves the model no other way to answer.
local typed = zigllms.agent.run(agent, "Describe Paris as JSON: name, country, three sights.", {
  schema = {
    type = "object",
    properties = {
      name = { type = "string", maxLength = 30 },
      country = { type = "string", maxLength = 30 },
      sights = { type = "array", items = { type = "string", maxLength = 30 }, maxItems = 3 },
    },
    required = { "name", "country", "sights" },
    additionalProperties = false,
  },
  max_tokens = 150,
  remember = false,
})
print(typed.content)
report("structured", typed)

-- 3. A tool: a Lua function with a checked input.
zigllms.tool.register({
  name = "postcard",
  parameters = { type = "object", required = { "name", "country" } },
  execute = function(city)
    return ("Greetings from %s, %s! See: %s"):format(
      city.name,
      city.country,
      table.concat(city.sights, ", ")
    )
  end,
})
print(zigllms.tool.execute("postcard", typed.parsed))
