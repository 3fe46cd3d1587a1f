-- A workflow that outlives its process: it is killed in the middle, and another process goes on
-- where it was. What had ended is not executed again.
local zigllms = require("zigllms")

local store = arg[1] or os.tmpname() .. ".db"
local dies = arg[2] == "dies"
zigllms.configure({ store = store })

-- What is done outside is told the key: it is the same in every attempt, in every process.
zigllms.tool.register({
  name = "charge",
  execute = function(input, ctx)
    print("charge", input.amount, ctx.idempotency_key)
    return { receipt = "R-" .. input.amount }
  end,
})

zigllms.workflow.create({
  name = "order",
  version = "1", -- another one when what a function does has changed
  steps = {
    {
      id = "price",
      fn = function(ctx)
        print("price")
        return 3 * ctx.input.count
      end,
    },
    { id = "pay", tool = "charge", input = { amount = "{{previous.output}}" } },
    {
      id = "pack",
      type = "map",
      over = { "box", "label", "stamp" },
      max_concurrency = 1,
      steps = {
        {
          id = "take",
          fn = function(ctx)
            if dies and ctx.loop.item == "label" then
              print("killed")
              io.flush()
              os.exit(false, false) -- as good as kill -9: nothing is tidied up
            end
            print("take", ctx.loop.item)
            return ctx.loop.item
          end,
        },
      },
    },
    { id = "say", template = "{{steps.pay.output.receipt}}: {{steps.pack.output}}" },
  },
})

if dies then
  zigllms.workflow.execute("order", { count = 2 }, { run_id = "order 17" })
end

-- The first process: the one that dies is its child.
io.flush()
os.execute(("%s %s %s dies"):format(arg[-1], arg[0], store))

-- Any process with the workflows of that name goes on with what nobody has.
local handles, skipped = zigllms.workflow.recover()
for _, handle in ipairs(handles) do
  local result = handle:await()
  print(handle.id, result.output, result.recovered_steps .. " steps were recorded")
end
assert(#handles == 1 and #skipped == 0)

-- A run that has ended gives its result, and executes nothing.
local again = zigllms.workflow.execute("order", nil, { run_id = "order 17" })
print(again.status, again.output)

for _, name in ipairs({ store, store .. "-wal", store .. "-shm" }) do
  os.remove(name)
end
