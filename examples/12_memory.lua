-- What a program remembers when it is started again: entries and a conversation in a store, which
-- any number of processes share, and a snapshot of everything as one JSON file. No network is used:
-- the model here only pretends.
local zigllms = require("zigllms")
local memory = zigllms.memory

-- Says how often it was asked, which it can only know from the conversation.
local function pretending(request)
  local messages = zigllms.output.parse(request.body, "json").messages
  local text = ("You have told me %d things, first: %s"):format(
    (#messages + 1) / 2,
    messages[1].content
  )
  local chunk = { choices = { { index = 0, delta = { content = text }, finish_reason = "stop" } } }
  request.stream("data: " .. zigllms.output.format(chunk, "json") .. "\n\ndata: [DONE]\n\n")
  return { status = 200 }
end

local store = arg and arg[1]
local first = not store
if first then
  store = os.tmpname()
  os.remove(store)
end
zigllms.configure({ store = store })

-- A conversation of the type "persistent" lies in the store under the agent's name.
local assistant = zigllms.agent.create({
  name = "assistant",
  provider = { type = "openai", api_key = "none", model = "mine", transport = pretending },
  memory = { type = "persistent" },
})
print(zigllms.agent.run(assistant, first and "I live in Oslo." or "I like fish."))

-- Entries of the type "persistent" are there for all; `increment` and `update` are atomic.
print("run number", memory.increment("runs", 1, { type = "persistent" }))

-- Anything else is this process's, and goes where it is told.
memory.store("draft", { lines = { "Dear Ada," } }, { tags = { "letter" }, ttl = 3600 })

if first then
  -- Started again: another process, the same memory.
  local interpreter, script = arg[-1], arg[0]
  io.flush()
  local done = os.execute(("%s %s %s"):format(interpreter, script, store))
  assert(done == true or done == 0)
  print(#memory.retrieve("conversation", { agent = assistant }) .. " messages")

  -- Everything in one file, which reads the same on every engine.
  local path = store .. ".json"
  local _, count = memory.persist(path)
  memory.clear()
  memory.load(path)
  print(count .. " entries and conversations", memory.retrieve("draft").lines[1])
  for _, name in ipairs({ path, store, store .. "-wal", store .. "-shm" }) do
    os.remove(name)
  end
end
