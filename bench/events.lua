-- What events cost, against emitters in plain Lua.
--
-- Each case alternates with its peer in short rounds within one run, and shows the median of the
-- rounds' ratios: a busy machine slows both. Smaller is better; 1.00 is the peer's time.
--
-- On Lua 5.4 nobody can tell 20 of 100 in an eighth of the time that string.find takes: making
-- the event and calling its handlers takes that long, whoever finds them (the last case), and
-- nothing is left for its id and its clock. LuaJIT compiles the peers, but interprets the module.
--
-- `loadfile("bench/events.lua")("short")` prints nothing and returns a list of
-- `{name, ratio, goal}`, for the specs; what is only told has no goal.
local zigllms = require("zigllms")

local short = (...) == "short"
local here = debug.getinfo(1, "S").source:sub(2):gsub("[^/]*$", "")
package.path = here .. "lib/?.lua;" .. package.path
local measured = require("measured")

local event = zigllms.event
local emit = event.emit
local results = {}
local CALLS = 50 -- in one function: the loop around them costs less than they do

local function compare(name, goal, fn, peer_name, peer)
  local cost, peer_cost, ratio = measured(fn, peer)
  cost, peer_cost = cost / CALLS, peer_cost / CALLS
  results[#results + 1] = { name = name, ratio = ratio, goal = goal }
  if not short then
    local row = "%-44s %9.3f us %9.2f x %s (%.3f us)"
    print(row:format(name, cost, ratio, peer_name, peer_cost))
  end
end

local function nothing() end
local payload = { user = "ada", total = 12, paid = true }

local function times(fn, a, b)
  return function()
    for _ = 1, CALLS do
      fn(a, b)
    end
  end
end

-- Peers ----------------------------------------------------------------------------------------

-- Makes the same event object, and calls one handler after the other, protected as here.
local function emitter()
  local handlers, last = {}, 0
  local clock = os.time
  local function call(list, e)
    for i = 1, #list do
      list[i](e)
    end
  end
  local self = {}
  function self.on(name, fn)
    handlers[name] = handlers[name] or {}
    table.insert(handlers[name], fn)
  end
  function self.emit(name, data)
    local list = handlers[name]
    if not list then
      return true, 0
    end
    last = last + 1
    local e = {
      id = "evt_" .. last,
      type = name,
      name = name,
      category = "user",
      priority = "normal",
      data = data,
      source = "user",
      timestamp = clock(),
    }
    pcall(call, list, e)
    return true, #list
  end
  return self
end

-- As little as it can be: no id, no time, and whatever is raised reaches the emitter.
local function bare_emitter()
  local handlers = {}
  local self = {}
  function self.on(name, fn)
    handlers[name] = handlers[name] or {}
    table.insert(handlers[name], fn)
  end
  function self.emit(name, data)
    local list = handlers[name] or handlers
    local e = { type = name, data = data }
    for i = 1, #list do
      list[i](e)
    end
  end
  return self
end

-- A list of patterns, each looked for with string.find.
local function finding_emitter()
  local list = {}
  local self = {}
  function self.on(pattern, fn)
    list[#list + 1] = { "^" .. pattern:gsub("%.", "%%."):gsub("%*", ".*") .. "$", fn }
  end
  function self.emit(name, data)
    local e = { type = name, data = data }
    for i = 1, #list do
      if name:find(list[i][1]) then
        list[i][2](e)
      end
    end
  end
  return self
end

-- Cases ----------------------------------------------------------------------------------------

local function nobody()
  zigllms.reset()
  event.subscribe("other.*", nothing)
  -- One that LuaJIT does not compile away.
  local peer, empty = "a C call: debug.getmetatable", times(debug.getmetatable, "order.paid")
  compare("emit, nobody listens", 3, times(emit, "order.paid"), peer, empty)
  compare("emit of a table, nobody listens", 4, times(emit, "order.paid", payload), peer, empty)
end

local function one()
  zigllms.reset()
  local sum = 0
  local function add(e)
    sum = sum + e.data.total
  end
  local same, bare = emitter(), bare_emitter()
  event.subscribe("order.paid", add)
  same.on("order.paid", add)
  bare.on("order.paid", add)
  local ours = times(emit, "order.paid", payload)
  local peer = times(same.emit, "order.paid", payload)
  compare("emit, one subscriber", 1.5, ours, "Lua, the same event", peer)
  peer = times(bare.emit, "order.paid", payload)
  compare("emit, one subscriber", nil, ours, "Lua, {type, data}", peer)
  assert(sum > 0)
end

local function hundred()
  zigllms.reset()
  local count, found = 0, 0
  local peer = finding_emitter()
  local handlers = {}
  for i = 1, 100 do
    local pattern = i % 5 == 0 and "order.*" or "topic" .. i .. ".*"
    local function add()
      count = count + 1
    end
    event.subscribe(pattern, add)
    handlers[#handlers + 1] = i % 5 == 0 and add or nil
    peer.on(pattern, function()
      found = found + 1
    end)
  end
  -- What no emitter can do without: the event's fields, even if its id and time cost nothing.
  local function called()
    local e = {
      id = "evt_1",
      type = "order.paid",
      name = "order.paid",
      category = "user",
      priority = "normal",
      data = payload,
      source = "user",
      timestamp = 1,
    }
    for i = 1, #handlers do
      handlers[i](e)
    end
  end
  emit("order.paid", payload)
  peer.emit("order.paid", payload)
  assert(count == 20 and found == 20)
  local ours = times(emit, "order.paid", payload)
  local theirs = times(peer.emit, "order.paid", payload)
  compare("emit, 20 of 100 subscriptions match", 1 / 8, ours, "Lua with string.find", theirs)
  compare(
    "nothing but the event and its 20 handlers",
    nil,
    times(called),
    "Lua with string.find",
    theirs
  )
end

if not short then
  print(("%-44s %12s %11s peer"):format("case", "cost", "ratio"))
end
nobody()
one()
hundred()
zigllms.reset()
return results
