-- Beside an event loop of yours: luv if it is installed, else cqueues, else the module's own `run`.
-- Needs python3, which plays the model.
local function installed(name)
  local found, loop = pcall(require, name)
  return found and loop
end

-- A loop that is loaded is used.
local uv = installed("luv")
local cqueues = not uv and installed("cqueues")
local zigllms = require("zigllms")
local pretend, server = dofile((arg[0]:match("^.*/") or "") .. "pretend/model.lua")
local model = zigllms.provider.create(pretend)
local answered = 0

-- Reads like blocking code, and suspends nothing but itself.
local function ask(question)
  print(zigllms.provider.chat(question, { provider = model }))
  answered = answered + 1
end

if uv then
  local timer, ticks = uv.new_timer(), 0
  timer:start(5, 5, function()
    ticks = ticks + 1
    if answered == 3 then
      timer:close()
      print(ticks > 0 and "luv's timer went on meanwhile")
    end
  end)
  zigllms.spawn(ask, "one")
  zigllms.spawn(ask, "two")
  zigllms.provider.chat("three", { provider = model, async = true }):on(function(err, response)
    print(err or response)
    answered = answered + 1
  end)
  uv.run() -- ends when nothing is unfinished
elseif cqueues then
  local controller, ticks = cqueues.new(), 0
  controller:wrap(ask, "one")
  controller:wrap(ask, "two")
  controller:wrap(ask, "three")
  controller:wrap(function()
    repeat
      cqueues.sleep(0.005)
      ticks = ticks + 1
    until answered == 3
    print(ticks > 0 and "a thread of cqueues went on meanwhile")
  end)
  assert(controller:loop())
else
  zigllms.run(function()
    zigllms.spawn(ask, "one")
    zigllms.spawn(ask, "two")
    ask("three")
  end)
end
print(answered .. " answers")
server:close()
