-- Links to other processes: events that match go out, and those that arrive are dispatched here.
--
-- Each link has a task of its own that delivers its events one after the other, in their order. It
-- belongs to nobody's call: in nginx it runs in a timer of the worker. An open link is no
-- unfinished work.
local core = ...

local contexts, guarded, now = core.contexts, core.guarded, core.now
local self, suspend = core.self, core.suspend
local pairs, pcall, rawget, type = pairs, pcall, rawget, type
local yield = coroutine.yield

-- So many events, or milliseconds, before others have a turn.
local MOST, LONGEST_MS = 64, 10

local publish = core.publish

-- What user code raised may be anything, and its text is enough for others.
local function portable_error(err)
  local copy = {}
  for key, value in pairs(err) do
    copy[key] = value
  end
  copy.cause = copy.cause ~= nil and (core.describe(copy.cause)) or nil
  return copy
end

local function portable(event)
  local data = rawget(event, "data")
  local err = type(data) == "table" and rawget(data, "error") or nil
  if not core.is_error(err) then
    return event
  end
  local copy, inner = {}, {}
  for key, value in pairs(event) do
    copy[key] = value
  end
  for key, value in pairs(data) do
    inner[key] = value
  end
  inner.error, copy.data = portable_error(err), inner
  return copy
end

-- Hands an event to the links that mean it; raises if it is no plain data.
function core.publish(event)
  publish(portable(event))
end

local function dispatch(event, origin, position)
  event.remote, event.origin, event.position = true, origin, position
  guarded(core.emit_event, event)
end

-- Delivers what has arrived; false when there is no more for now.
local function deliver(link)
  local began = now()
  for _ = 1, MOST do
    local event, origin, position = core.receive(link)
    if not event then
      return false
    end
    dispatch(event, origin, position)
    if now() - began > LONGEST_MS then
      return true
    end
  end
  return true
end

local function serve(link, tok)
  local context = contexts[self()]
  while core.link_lives(link) do
    local more = deliver(link)
    if core.link_trouble(link) then
      core.tell()
    end
    if more then
      yield()
    elseif core.link_lives(link) then
      suspend(context, tok)
    end
  end
  return true
end

local function start(link, tok)
  local context = { aside = true, detached = true, reports = true }
  local ok, err = pcall(core.launch, context, serve, link, tok)
  if not ok then
    core.end_link(link)
    core.rethrow(err, "the task of the bridge")
  end
end

local function serve_all(...)
  local link, tok = core.next_link()
  while link do
    start(link, tok)
    link, tok = core.next_link()
  end
  core.watch()
  return ...
end

core.wraps["event.bridge"] = function(fn)
  return function(...)
    return serve_all(fn(...))
  end
end

return core
