-- Several answers at once, on one thread of Lua. Needs python3, which plays the model.
local zigllms = require("zigllms")
local pretend, server = dofile((arg[0]:match("^.*/") or "") .. "pretend/model.lua")
local chat, stream = zigllms.provider.chat, zigllms.provider.stream
local model = zigllms.provider.create(pretend)

-- One stream, in a loop. Leaving the loop ends it.
for chunk in stream("tell me something", { provider = model }) do
  io.write(chunk.content)
end
print()

-- All of several. Each call returns a handle at once.
local handles = {}
for i = 1, 5 do
  handles[i] = chat("question " .. i, { provider = model, async = true })
end
for i, response in ipairs(zigllms.all(handles)) do
  print(i, response)
end

-- The first of several; the others are cancelled and their connections closed.
local slow = chat("a slow one", { provider = model, async = true })
local quick = chat("a quick one", { provider = model, async = true })
local index, winner = zigllms.race({ slow, quick })
print("number " .. index .. " was first: " .. winner)
print("the other one: " .. slow:status())

-- A time limit of one's own: wait, then cancel. What had arrived is in the error.
local late = chat("a very slow one", { provider = model, async = true })
if not late:wait(300) then
  late:cancel("took too long")
end
local _, err = pcall(late.await, late)
print(err.code, err.details.reason, err.partial and err.partial.content)

-- A server that is busy is asked again, after the pause it names.
local busy = chat("are you busy?", { provider = model })
print(busy, busy.attempts .. " attempts")

-- Work of one's own beside it.
local ticking = zigllms.spawn(function()
  for i = 1, 3 do
    zigllms.sleep(30)
    print("tick " .. i)
  end
  return "done ticking"
end)
print(chat("while a clock ticks", { provider = model }))
print(ticking:await())
server:close()
