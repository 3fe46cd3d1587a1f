-- Two parts of a program that share nothing but a Redis server: one emits jobs, two workers share
-- them. Here they are independent instances in one process; in real life they are nginx workers,
-- editors, machines. REDIS_URL names the server (default: redis://127.0.0.1:6379).
local zigllms = require("zigllms")

local store = os.getenv("REDIS_URL") or "redis://127.0.0.1:6379"

-- Keys of their own, so that nothing of others is touched.
local function instance()
  return zigllms.new({ store = store .. "?prefix=zigllms-example" })
end

local ok, err = pcall(function()
  local workers = { instance(), instance() }
  local done = 0
  for number, worker in ipairs(workers) do
    worker.event.subscribe("job.*", function(event)
      print(("worker %d: %s %s"):format(number, event.type, event.data.file))
      done = done + 1
    end)
    worker.event.bridge({
      patterns = "job.*",
      stream = "jobs",
      group = "workers",
      direction = "in",
    })
  end

  local producer = instance()
  producer.event.bridge({ patterns = "job.*", stream = "jobs", direction = "out" })
  for i = 1, 6 do
    producer.event.emit("job.new", { file = ("report-%d.txt"):format(i) })
  end
  producer.flush()

  while done < 6 do
    for _, worker in ipairs(workers) do
      worker.poll(20)
    end
  end
end)

if not ok and zigllms.info().features.redis and err.code ~= "io_error" then
  error(err, 0)
elseif not ok then
  print("skipped, there is no Redis server: " .. err.message)
end
