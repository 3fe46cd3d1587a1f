-- Turns: what is ready is delivered, and who waits is put to sleep in the way of the host.
local core = ...

local arm, disarm, now, post, ready = core.arm, core.disarm, core.now, core.post, core.ready
local self, tasks = core.self, core.tasks
local next, setmetatable, type = next, setmetatable, type
local isyieldable, yield = coroutine.isyieldable, coroutine.yield

-- One turn ends after so many deliveries or so many milliseconds: a fast stream must keep neither
-- a blocked caller from its own result nor a host from its other work.
local MOST, LONGEST_MS = 64, 10
local ATTENTION = 0 -- a token that says: something is queued here

local BLOCKED = {} -- waits by turning instead of yielding
local SUSPEND = {} -- what the module yields; anything else is the user's own yield

local asleep = setmetatable({}, { __mode = "k" }) -- coroutines in a sleeper of the host
-- Sleepers that were woken and have not run since, in virtual time: it must not leap over them.
local roused = setmetatable({}, { __mode = "k" })
local waiting = {} -- token -> coroutine of the module, sleeper of the host, or BLOCKED
local inside = {} -- token -> context that waits on it, whose `waits` has the token

-- What the next turn delivers: tokens, functions, and tasks that yielded on their own account.
-- Items are taken one by one, so that a turn inside a delivery sees the rest.
local queue, first, last = {}, 1, 0
local rung = false -- whether ATTENTION is on its way

-- A host that watches the descriptor hears of nothing else.
local function ring()
  if core.watched and not rung and first <= last then
    rung = true
    post(ATTENTION)
  end
end

-- `waits` stays, for the next wait: most contexts wait again and again.
local function enter(context, tok)
  inside[tok] = context
  context.waits = context.waits or {}
  context.waits[tok] = true
end

local function left(tok)
  local context = inside[tok]
  if context then
    context.waits[tok] = nil
  end
  waiting[tok], inside[tok] = nil, nil
end

-- Whether somebody sleeps until `tok` is delivered.
function core.is_awaited(tok)
  return waiting[tok] ~= nil
end

local function wake(tok)
  local who = waiting[tok]
  left(tok)
  if type(who) == "thread" then
    local task = tasks[who]
    if task then
      core.continue(task)
    end
  elseif who and who ~= BLOCKED then
    roused[who] = core.virtual and true or nil
    who:wake()
  end
  return who ~= nil
end

local function later(item)
  local sleeper = waiting[item]
  if type(sleeper) == "table" and sleeper ~= BLOCKED then
    wake(item) -- it only tells the host
    return
  end
  last = last + 1
  queue[last] = item
  ring()
end

local function deliver(item)
  local kind = type(item)
  if kind == "function" then
    core.call_back(item)
    return true
  elseif kind == "table" then
    core.continue(item)
    return false
  end
  return wake(item)
end

local function enough(count, began)
  return count >= MOST or now() - began > LONGEST_MS
end

-- Delivers what was queued when it began; what is queued meanwhile waits for the next turn.
-- Returns how many deliveries there were, and whether anything ran at all.
local function deliver_queued(began)
  local count, upto, ran = 0, last, first <= last
  while first <= upto and not enough(count, began) do
    local item = queue[first]
    queue[first] = nil
    first = first + 1
    if deliver(item) then
      count = count + 1
    end
  end
  return count, ran
end

local function deliver_ready(count, began, timeout)
  local tok, reason = ready(timeout)
  while tok do
    if tok == ATTENTION then
      rung = false
      if core.attention() then
        core.tell()
      end
    elseif reason then
      core.cancel_operation(tok, reason)
    end
    if reason or deliver(tok) then
      count = count + 1
    end
    if enough(count, began) then
      break
    end
    tok, reason = ready(0)
  end
  return count, tok ~= nil
end

-- Delivers what is ready; waits for the first delivery at most `timeout` ms (nil: as long as it
-- takes). Returns how many deliveries there were, and whether there may be more at once.
local function turn(timeout)
  local began = now()
  local count, ran = deliver_queued(began)
  if count == 0 and first <= last then
    timeout = core.earliest(timeout, 1) -- tasks that only yield must not spin
  elseif ran then
    timeout = 0 -- what the caller waits for may have happened
  end
  if core.virtual and timeout ~= 0 then
    core.hold_time(first <= last and 1 or 0) -- tasks that yield look after something real
  end
  local more
  count, more = deliver_ready(count, began, timeout)
  ring()
  return count, more or first <= last
end

-- A turn of a host's own loop, in which virtual time leaps once everything waits.
local function pump()
  local count, more = turn(0)
  if core.virtual and count == 0 then
    core.hold_time(core.is_held() and 1 or 0)
    if next(roused) == nil and core.leap() then
      return turn(0)
    end
  end
  return count, more
end

local function may_yield(me, context)
  local task = tasks[me]
  return task and not task.hosted and not context.blocking
end

-- In a C call in between (a gsub callback, a metamethod) there is no way to wait by yielding. A
-- host that has taken `isyieldable` away gives us one.
local function can_yield()
  local ask = isyieldable or core.isyieldable
  return not ask or ask()
end

local function refuse_c_call(func)
  local text = "cannot wait inside a C call (string.gsub, table.sort, a metamethod): "
  core.raise("unsupported", text .. "use async=true or async=false", func)
end

-- Raises where the caller of `func` cannot wait. The host that it waits in; nil if it is a
-- coroutine of the module, which yields.
local function check_wait(context, func)
  local host = not may_yield(self(), context) and core.host(context, func) or nil
  if (not host or host.sleeper) and not can_yield() then
    refuse_c_call(func)
  end
  return host
end

-- Suspends a coroutine of the module. Others may resume it as well: it just waits again.
local function yield_until_delivered(tok)
  waiting[tok] = self()
  repeat
    yield(SUSPEND)
  until not waiting[tok]
end

local function sleep_until_delivered(host, context, tok, limit)
  local sleeper = host.sleeper(context)
  local me = self()
  waiting[tok], asleep[me] = sleeper, true
  repeat
    sleeper:sleep(limit)
  until not waiting[tok]
  asleep[me], roused[sleeper] = nil, nil
  sleeper:done()
end

local function block_until_delivered(host, tok)
  waiting[tok] = BLOCKED
  host.block(function()
    return not waiting[tok]
  end)
end

local function suspend_until_delivered(context, tok, limit)
  local host = check_wait(context, "")
  enter(context, tok)
  if not host then
    yield_until_delivered(tok)
  elseif host.sleeper then
    sleep_until_delivered(host, context, tok, limit)
  else
    block_until_delivered(host, tok)
  end
end

-- Waits until `tok` is delivered, or `limit` has come.
local function suspend(context, tok, limit)
  if not limit then
    return suspend_until_delivered(context, tok)
  end
  arm(tok, limit)
  suspend_until_delivered(context, tok, limit)
  disarm(tok)
end

-- The tokens that an operation and everything inside it wait on; with `own`, except for what has an
-- end of its own.
local function all_waits(ancestor, own)
  local toks = {}
  core.visit(ancestor, function(context)
    if own and core.is_apart(context, ancestor) then
      return false
    end
    for tok in next, context.waits or {} do
      toks[#toks + 1] = tok
    end
  end)
  return toks
end

-- Forgets all waits of an operation that will never go on.
local function forget(ancestor)
  local toks = all_waits(ancestor, true)
  for i = 1, #toks do
    left(toks[i])
    disarm(toks[i])
  end
end

-- Stops an operation and everything inside it: each is told at its wait.
local function stop(context, reason)
  context.stop = context.stop or { reason = reason }
  local toks = all_waits(context)
  for i = 1, #toks do
    wake(toks[i])
  end
end

-- Tells others that wait what was delivered for them, where the host does not.
function core.announce() end

-- Whether anything is to be delivered but tasks that yielded on their own account.
function core.is_due()
  for i = first, last do
    if type(queue[i]) ~= "table" then
      return true
    end
  end
  return false
end

function core.is_asleep(co)
  return asleep[co] or false
end

-- How many items wait for the next turn.
function core.queued()
  return last - first + 1
end

-- Whether a coroutine came back by the module's own yield.
function core.is_suspend(signal)
  return signal == SUSPEND
end

core.later, core.ring, core.suspend = later, ring, suspend
core.turn, core.pump = turn, pump
core.forget, core.stop = forget, stop
core.can_yield, core.check_wait = can_yield, check_wait

return core
