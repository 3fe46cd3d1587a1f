-- Runs in the server: a portion of records in the order of their keys. Answers whether that was
-- all, then keys and records in turns.
--
-- KEYS[1]: the index. ARGV: how the names of records begin; from where and up to where, as
-- ZRANGEBYLEX has it; how many at most, and after how many bytes to stop.
-- luacheck: globals KEYS ARGV redis

local most, enough = tonumber(ARGV[4]), tonumber(ARGV[5])
local keys = redis.call("ZRANGEBYLEX", KEYS[1], ARGV[2], ARGV[3], "LIMIT", 0, most)
local found, size, seen = { 0 }, 0, 0
for _, key in ipairs(keys) do
  if size >= enough then
    break
  end
  seen = seen + 1
  local record = redis.call("GET", ARGV[1] .. key)
  found[#found + 1] = key
  found[#found + 1] = record or ""
  size = size + (record and #record or 0)
  if not record then
    -- Expired. A replica may not tidy up.
    redis.pcall("ZREM", KEYS[1], key)
  end
end
if seen == #keys and #keys < most then
  found[1] = 1
end
return found
