-- Telling others what happens, and hearing of it: own events and those of the module, what sees an
-- event first, and handlers that fail. No network is used: the model here only pretends.
local zigllms = require("zigllms")
local event = zigllms.event

-- Handlers get the event; `*` at the end of a pattern is any rest of the name.
event.subscribe("order.*", function(e)
  print(e.type, e.data.total)
end)

-- Higher priorities come first; fields say which events are wanted.
event.subscribe("order.paid", function(e)
  print("a large one, from " .. e.data.customer.name)
end, { priority = "high", filter = { ["data.customer.kind"] = "large" } })

local _, delivered = event.emit("order.paid", { total = 12, customer = { name = "Ada" } })
assert(delivered == 1)
_, delivered = event.emit("order.paid", { total = 900, customer = { name = "Bo", kind = "large" } })
assert(delivered == 2)

-- A filter sees events before all others, and may change or drop them.
local censor = event.filter("order.*", function(e)
  if e.data.test then
    return false
  end
  e.data.card = nil
end)
_, delivered = event.emit("order.late", { total = 1, test = true })
assert(delivered == 0)
assert(event.unsubscribe(censor))

-- What a handler raises reaches neither the others nor the emitter.
event.subscribe("system.handler_error", function(e)
  print("failed:", e.data.subscription_id, e.data.error.reason)
end)
event.subscribe("order.lost", function()
  error({ reason = "no such order" })
end)
event.emit("order.lost", { total = 0 })

-- The module tells of its own work; the data print as JSON.
local told = {}
event.subscribe("**", function(e)
  told[#told + 1] = e.type
  print(e.source, e.type, e.correlation_id, #tostring(e.data) .. " bytes of data")
end, {
  filter = function(e)
    return e.source ~= "user"
  end,
})

local function pretending(request)
  local chunk =
    { choices = { { index = 0, delta = { content = "Fine." }, finish_reason = "stop" } } }
  request.stream("data: " .. zigllms.output.format(chunk, "json") .. "\n\ndata: [DONE]\n\n")
  return { status = 200 }
end

local agent = zigllms.agent.create({
  provider = { type = "openai", api_key = "none", model = "mine", transport = pretending },
})
print(zigllms.agent.run(agent, "How are you?"))
assert(told[1] == "agent.started" and told[#told] == "agent.completed")

for _, sub in ipairs(event.list_subscriptions()) do
  print(sub.id, sub.pattern, sub.call_count .. " calls", sub.error_count .. " errors")
end
