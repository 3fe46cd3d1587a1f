-- Many calls at once: one function over a list, and a batch of different ones. Needs python3, which
-- plays the model.
local zigllms = require("zigllms")
local pretend, server = dofile((arg[0]:match("^.*/") or "") .. "pretend/model.lua")
local model = zigllms.provider.create(pretend)

-- map: the same for each item, 8 at a time unless told otherwise. Here each item is asked about.
local answers = zigllms.map({ "Oslo", "Bergen", "Tromsø" }, function(city)
  return zigllms.provider.chat("Tell me of " .. city, { provider = model }).content
end)
print(#answers .. " answers")

-- batch: calls of any functions. Those that wait overlap; one that fails stops nothing.
zigllms.tool.register({
  name = "look_up",
  parameters = { type = "object", properties = { ms = { type = "number" } } },
  execute = function(input)
    zigllms.sleep(input.ms)
    return "found after " .. input.ms .. " ms"
  end,
})
local results = zigllms.batch({
  { "tool.execute", "look_up", { ms = 60 } },
  { "tool.execute", "look_up", { ms = 50 } },
  { "provider.chat", "hello", { provider = model }, priority = "high" },
  { "tool.execute", "nobody", {} },
  { "output.parse", "[1, 2, 3]" },
  max_concurrency = 4,
})
local one_by_one = 0
for i, result in ipairs(results) do
  one_by_one = one_by_one + result.duration_ms
  print(i, result.ok and tostring(result.value) or "failed: " .. result.error.code)
end
print(("%.0f ms of calls"):format(one_by_one))

-- The same as a function: its calls are taken down, then carried out.
results = zigllms.batch(function(b)
  for ms = 10, 50, 10 do
    b.tool.execute("look_up", { ms = ms })
  end
  b.priority("critical") -- what follows starts first, whatever the limit is
  b.tool.execute("look_up", { ms = 1 })
end, {
  max_concurrency = 2,
  on_each = function(done, total, index)
    print(("%d of %d: number %d"):format(done, total, index))
  end,
})
print(results[6].value)

-- What that amounted to.
local metrics = zigllms.metrics()
local execute = metrics.bridges.tool.functions.execute
print(("%d tool calls, %d of them failed"):format(execute.calls, execute.errors))
print(metrics.usage.total_tokens .. " tokens")
server:close()
