-- Creates a workflow and executes it: `flow(steps or definition, input, options)`. An array of
-- steps is a definition of nothing else.
local workflow = require("zigllms").workflow

return function(definition, input, options)
  if definition[1] then
    definition = { steps = definition }
  end
  return workflow.execute(workflow.create(definition), input, options)
end
