-- A tool round with a model that knows nothing of tools: a grammar makes it print a call, `output`
-- finds the call in the text, Lua does the work, and the model says it in words. In this process,
-- without a network: `make model`, a module with the feature `local`, and ZIGLLMS_MODEL.
local zigllms = require("zigllms")

local path = os.getenv("ZIGLLMS_MODEL")
if not (path and zigllms.info().features["local"]) then
  io.stderr:write("this needs a module built with the feature `local`, and ZIGLLMS_MODEL with the ")
  io.stderr:write("path of a GGUF file: `make model`, `make build-local`\n")
  os.exit(1)
end

local model = zigllms.provider.create({ type = "local", model_path = path })
local options = { provider = model, temperature = 0, seed = 1, max_tokens = 80 }

local function chat(messages, schema)
  options.schema = schema
  return zigllms.provider.chat(messages, options)
end

local PIECES = { pen = 12, paper = 500, lamp = 3 }

zigllms.tool.register({
  name = "stock",
  description = "How many pieces of an article there are.",
  parameters = {
    type = "object",
    properties = { article = { type = "string", enum = { "pen", "paper", "lamp" } } },
    required = { "article" },
    additionalProperties = false,
  },
  execute = function(input)
    return { article = input.article, pieces = PIECES[input.article] }
  end,
})

-- What may be printed: a call of that tool, and nothing else. Its schema is part of the grammar.
local CALL = {
  type = "object",
  properties = {
    name = { const = "stock" },
    arguments = zigllms.tool.get_schema("stock").parameters,
  },
  required = { "name", "arguments" },
  additionalProperties = false,
}
local ANSWER = {
  type = "object",
  properties = { article = { type = "string" }, pieces = { type = "integer" } },
  required = { "article", "pieces" },
  additionalProperties = false,
}

-- 1. By hand.
local messages = {
  { role = "system", content = "You look articles up with the tool stock." },
  { role = "user", content = "How many lamps are there?" },
}
local printed = chat(messages, CALL)
print("printed:", printed.content)
local call = zigllms.output.extract_tool_calls(printed.content, { tools = { "stock" } })[1]
local result = zigllms.tool.execute(call.name, call.arguments)
print("result:", call.arguments.article, result.pieces)
messages[#messages + 1] = { role = "assistant", content = printed.content }
messages[#messages + 1] =
  { role = "user", content = "stock says: " .. zigllms.output.format(result) .. ". So how many?" }
local answer = chat(messages, ANSWER)
print("answer:", answer.parsed.article, answer.parsed.pieces)
assert(answer.parsed.pieces == result.pieces)

-- 2. As an agent: providers of type "local" read printed calls by themselves, so the loop is the
-- same as with any model. After a result the grammar is that of the answer.
local agent = zigllms.agent.create({
  provider = model,
  system_prompt = "You look articles up with the tool stock.",
  tools = { "stock" },
  schema = ANSWER,
  temperature = 0,
  seed = 1,
  max_tokens = 80,
  hooks = {
    provider_before_request = function(context)
      local newest = context.data.messages[#context.data.messages]
      if newest.role == "user" then
        context.data.response_format = CALL
      end
    end,
  },
})
local response = zigllms.agent.run(agent, "How many lamps are there?")
for _, message in ipairs(response.messages) do
  local called = message.tool_calls and "calls " .. message.tool_calls[1].name .. " " or ""
  local said = message.tool_calls and zigllms.output.format(message.tool_calls[1].arguments)
  print(message.role, called .. (said or message.content))
end
assert(response.iterations == 2 and #response.tool_calls == 1)
assert(response.parsed.pieces == response.tool_calls[1].result.pieces)
