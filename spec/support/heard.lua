-- Subscribes to the events of a pattern, and collects them: `heard(pattern, options)`.
local event = require("zigllms").event

return function(pattern, options)
  local list = {}
  event.subscribe(pattern, function(e)
    list[#list + 1] = e
  end, options)
  return list
end
