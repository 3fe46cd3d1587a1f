-- Runs in the server: looks whether what each write expects is there and, if so, makes them all.
-- Everything that can fail comes before the first write, because a script that fails is not undone.
--
-- KEYS[1]: the store's own hash. ARGV: the prefix of all keys; the client and the number of its
-- commit; now, in ms; then for each write its kind, space, key and expectation, for a put its
-- expiry, the ms it has left and its bytes, and for "all" the end of the keys it means.
-- luacheck: globals KEYS ARGV redis unpack

local call = redis.call
local prefix, client, number, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local mark = prefix .. "c:" .. client
local arity = { put = 7, delete = 4, all = 5, keep = 4 }

local function index(space)
  return prefix .. "i:" .. space
end

-- Those of its keys that have an expiry, by when the server drops them.
local function mortal(space)
  return prefix .. "x:" .. space
end

local function home(space)
  return prefix .. "r:" .. space .. ":"
end

-- The head of a record; false where there is none. One that is not ours has no version.
local function parse(head)
  if head == "" then
    return false
  end
  local version, expires = head:match("^z1 (%d+) (%-?%d*) ")
  return { version = version, expires = tonumber(expires) }
end

local function lives(record)
  return record and not (record.expires and record.expires <= now)
end

local function begins(text, start)
  return text:sub(1, #start) == start
end

-- What is known of records, by their names.
local known = {}

local function look(name)
  if known[name] == nil then
    known[name] = parse(call("GETRANGE", name, 0, 63))
  end
  return known[name]
end

local function forget(records, start)
  for name in pairs(records) do
    if begins(name, start) then
      records[name] = false
    end
  end
end

-- Calls `visit(kind, space, key, expected, at)` for each write until it returns something.
local function each(visit)
  local at, count = 5, 0
  while ARGV[at] do
    local kind = ARGV[at]
    local stop = visit(kind, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], at + 4, count)
    if stop then
      return stop
    end
    at, count = at + arity[kind], count + 1
  end
end

-- What the writes before it would have left of a record.
local planned, cleared = {}, {}

local function foreseen(name)
  if planned[name] ~= nil then
    return planned[name]
  end
  for _, start in ipairs(cleared) do
    if begins(name, start) then
      return false
    end
  end
  return look(name)
end

local function holds(expected, record)
  if expected == "" then
    return true
  elseif expected == "absent" then
    return not lives(record)
  end
  return lives(record) and record.version == expected
end

-- The spaces of this commit, each with how many mortal keys it has.
local spaces = {}

-- Answers which write does not find what it expects. Keys of another type raise here.
local function check()
  return each(function(kind, space, key, expected, at, count)
    if not spaces[space] then
      call("ZCARD", index(space))
      spaces[space] = call("ZCARD", mortal(space))
    end
    local name = home(space) .. key
    if kind == "all" then
      forget(planned, name)
      cleared[#cleared + 1] = name
      return
    end
    look(name)
    if not holds(expected, foreseen(name)) then
      return "conflict " .. count
    end
    if kind ~= "keep" then
      planned[name] = kind == "put" and { version = "later", expires = tonumber(ARGV[at]) }
    end
  end)
end

local own = call("HMGET", KEYS[1], "format", "version")
if own[1] and own[1] ~= "1" then
  return redis.error_reply("ZFORMAT " .. own[1])
end
local made, answer = (call("GET", mark) or "0 "):match("^(%d+) (.*)$")
if tonumber(made) == number then
  return answer
elseif tonumber(made) > number then
  return redis.error_reply("ZSTALE a later commit of this client came first")
end
local conflict = check()
if conflict then
  return conflict
end

-- By the time, so that a server that lost its last seconds, or all, uses none again.
local time = call("TIME")
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local first = math.max(tonumber(own[2]) or 0, time[1] * 1048576 + time[2])
local last = first

local function put(space, key, at)
  local name, expires, left, bytes = home(space) .. key, ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local old = known[name]
  last = last + 1
  local text = ("z1 %.0f "):format(last) .. expires .. " " .. bytes
  if left == "" then
    call("SET", name, text)
  else
    call("SET", name, text, "PX", left)
  end
  if not old then
    call("ZADD", index(space), 0, key)
  end
  if expires ~= "-" then
    call("ZADD", mortal(space), left == "" and "inf" or ms + left, key)
    spaces[space] = spaces[space] + 1
  elseif old and old.expires then
    call("ZREM", mortal(space), key)
  end
  known[name] = { expires = tonumber(expires) }
  return lives(old) and 1 or 0
end

local function delete(space, key)
  local name = home(space) .. key
  local old = known[name]
  call("UNLINK", name)
  call("ZREM", index(space), key)
  if old and old.expires then
    call("ZREM", mortal(space), key)
  end
  known[name] = false
  return lives(old) and 1 or 0
end

-- Removes a portion of keys; answers how many of them lived.
local function unlink(space, keys)
  local names, dead = {}, 0
  for i, key in ipairs(keys) do
    names[i] = home(space) .. key
  end
  if spaces[space] > 0 then
    for i, key in ipairs(keys) do
      local head = redis.pcall("GETRANGE", names[i], 0, 63)
      local old = type(head) == "string" and parse(head)
      if old and old.expires then
        dead = dead + (lives(old) and 0 or 1)
        call("ZREM", mortal(space), key)
      end
    end
  end
  return call("UNLINK", unpack(names)) - dead
end

local function delete_all(space, start, stop)
  local from, lived = "[" .. start, 0
  local keys
  repeat
    keys = call("ZRANGEBYLEX", index(space), from, stop, "LIMIT", 0, 1000)
    if #keys > 0 then
      lived = lived + unlink(space, keys)
      from = "(" .. keys[#keys]
    end
  until #keys < 1000
  call("ZREMRANGEBYLEX", index(space), "[" .. start, stop)
  forget(known, home(space) .. start)
  return lived
end

-- The server drops expired records by itself, but not their places in the index.
local function tidy(space, most)
  local due = call("ZRANGEBYSCORE", mortal(space), "-inf", ms - 1000, "LIMIT", 0, most)
  for _, key in ipairs(due) do
    if call("EXISTS", home(space) .. key) == 0 then
      call("ZREM", index(space), key)
    end
    call("ZREM", mortal(space), key)
  end
end

local effects = { ("%.0f"):format(first) }
each(function(kind, space, key, _, at)
  local before
  if kind == "put" then
    before = put(space, key, at)
  elseif kind == "delete" then
    before = delete(space, key)
  elseif kind == "keep" then
    before = lives(known[home(space) .. key]) and 1 or 0
  else
    before = delete_all(space, key, ARGV[at])
  end
  effects[#effects + 1] = ("%.0f"):format(before)
end)
answer = table.concat(effects, " ")
if last > first then
  call("HSET", KEYS[1], "format", "1", "version", ("%.0f"):format(last))
end
call("SET", mark, ARGV[3] .. " " .. answer, "PX", 600000)
for space in pairs(spaces) do
  tidy(space, #effects + 16)
end
return answer
