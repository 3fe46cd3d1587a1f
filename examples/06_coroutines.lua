-- Waiting inside coroutines, and beside a loop of your own. Needs python3, which plays the model.
local zigllms = require("zigllms")
local pretend, server = dofile((arg[0]:match("^.*/") or "") .. "pretend/model.lua")
local chat = zigllms.provider.chat
local model = zigllms.provider.create(pretend)

-- `run` starts a function and goes on until everything started in it is done. Inside it a plain
-- call suspends its own coroutine only.
local total = zigllms.run(function()
  local sum = 0
  local function ask(question)
    sum = sum + chat(question, { provider = model }).usage.total_tokens
    print("answered: " .. question)
  end
  local first = zigllms.spawn(ask, "a slow question")
  local second = zigllms.spawn(ask, "a question")
  first:await()
  second:await()
  return sum
end)
print(total .. " tokens")

-- A callback instead of waiting; `poll` delivers it from any loop.
local finished = false
chat("call me back", { provider = model, async = true }):on(function(err, response)
  print(err or response)
  finished = true
end)
local frames = 0
while not finished do
  frames = frames + 1 -- here your program draws, reads input, …
  zigllms.poll(10)
end
print(frames > 0 and "the loop went on meanwhile")

-- A generator of your own: a plain call in a foreign coroutine blocks, so its yields stay yours.
local lines = coroutine.wrap(function()
  for _, question in ipairs({ "one", "two" }) do
    coroutine.yield(chat(question, { provider = model }).content)
  end
end)
print(lines())
print(lines())
server:close()
