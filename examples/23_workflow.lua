-- An agent, a tool and a workflow of both, with events, a hook and memory: one step asks a model,
-- the next one works with what it said; then ten questions side by side, with a line that tells how
-- far they are, and a graph. Needs python3, which plays the model.
local zigllms = require("zigllms")
local here = arg[0]:match("^.*/") or ""
local pretend, server = dofile(here .. "pretend/model.lua")
local progress = dofile(here .. "shared/progress.lua")

-- The pretended model stands where OpenAI's would: with OPENAI_API_KEY set this line can go.
zigllms.provider.configure("openai", pretend)

local schema = {
  type = "object",
  properties = { total = { type = "integer" }, items = { type = "array" } },
}

-- Create an agent
local agent_id = zigllms.agent.create({
  name = "workflow_agent",
  provider = "openai",
})

-- Register a tool
local tool_id = zigllms.tool.register({
  name = "data_processor",
  execute = function(input)
    return zigllms.output.parse(input.data, zigllms.output.Format.JSON)
  end,
})

-- Create a workflow using the agent and tool
local workflow_id = zigllms.workflow.create({
  pattern = zigllms.workflow.Pattern.SEQUENTIAL,
  steps = {
    {
      type = "agent_call",
      agent = agent_id,
      input = "Process this data",
      -- The model's words as they are: the tool reads them.
      options = { schema = schema },
      output = "{{output | json}}",
    },
    {
      type = "tool_call",
      tool = tool_id,
      input = { data = "{{previous.output}}" },
    },
  },
})

-- Subscribe to workflow events
local subscription_id = zigllms.event.subscribe("workflow.*", function(event)
  print("Workflow event:", event.type, event.data.step_id or "")
end)

-- Execute with hooks
zigllms.hook.register("workflow_complete", function(context)
  zigllms.memory.store("last_workflow_result", context.result)
end)

local result = zigllms.workflow.execute(workflow_id)
print("output:", zigllms.output.format(result.output, "json"))
assert(zigllms.memory.retrieve("last_workflow_result").output.total == result.output.total)
zigllms.event.unsubscribe(subscription_id)

-- Side by side: each item waits for the model, and all of them together hardly longer than one.
local questions = {}
for i = 1, 10 do
  questions[i] = "slow " .. i
end
local ask = zigllms.workflow.create({
  name = "ten_questions",
  steps = {
    {
      id = "ask",
      over = "{{input}}",
      max_concurrency = 10,
      steps = {
        {
          agent = agent_id,
          input = "{{loop.item}}",
          options = { remember = false },
          retry = { max_attempts = 3 },
        },
      },
    },
    {
      id = "last",
      type = "transform",
      template = "{{steps.ask.output[10]}}",
    },
  },
})
-- A line on stderr tells how far it is.
local bar = progress(zigllms, ask)
local answers = zigllms.workflow.execute(ask, questions, { on_step = bar.on_step })
bar.finish()
print(answers.output)
print(
  ("%d answers in %.0f ms, %d tokens"):format(
    #answers.steps.ask.output,
    answers.duration_ms,
    answers.usage.total_tokens
  )
)

-- As a picture: in a Markdown file GitHub draws it, with a colour for how each step ended.
print("```mermaid\n" .. zigllms.workflow.to_mermaid(answers.execution_id) .. "```")
server:close()
