-- Errors: one table with a code, a readable line, and the place of your call.
local zigllms = require("zigllms")

-- A failing function raises. `tostring` is one line with the place, the function and the code.
local _, err = pcall(function()
  return zigllms.agent.get_state("invalid_agent_id")
end)
print(err)
print(err.code, err.bridge, err.func, err:is("not_found"))

-- A mistyped option is told before anything happens.
_, err = pcall(zigllms.agent.create, { provider = "openai", temprature = 0.5 })
print(err)

-- The same without pcall: `try` for one call, `safe` for the whole module.
local state, why = zigllms.try(zigllms.agent.get_state, "nobody")
print(state, why.code)
local id, problem = zigllms.safe.tool.register({ name = "not a good name" })
print(id, problem.message)

-- What your own function raised comes back as it was.
local reason = { shelf = 7 }
zigllms.tool.register({
  name = "fetch",
  execute = function()
    error(reason)
  end,
})
_, err = pcall(zigllms.tool.execute, "fetch")
print(err.code, err.cause == reason, err.cause.shelf)

-- Or raise one of these errors yourself.
zigllms.tool.register({
  name = "lookup",
  execute = function()
    error(zigllms.error("not_found", "no such book", { details = { shelf = 7 } }))
  end,
})
_, err = pcall(zigllms.tool.execute, "lookup")
print(err.code, err.cause.code, err.cause.details.shelf)

-- Inputs are checked before a function sees them.
zigllms.tool.register({
  name = "double",
  parameters = { type = "object", properties = { n = { type = "integer" } }, required = { "n" } },
  execute = function(input)
    return input.n * 2
  end,
})
_, err = pcall(zigllms.tool.execute, "double", { n = "two" })
print(err)
print(zigllms.tool.execute("double", { n = 21 }))
