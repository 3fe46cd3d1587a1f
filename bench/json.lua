-- JSON in and out, against lua-cjson, in one run.
--
-- Rounds of the module alternate with rounds of the peer; each side counts with its fastest round,
-- so what else the machine does falls out of both. Garbage is collected between the rounds and
-- never inside of what is timed, except where a round makes enough of it to call the collector.
-- The ratio is the peer's time over ours: larger is better.
--
-- Not all goals are reached on every machine. Where they are not, it is Lua that takes the time: on
-- LuaJIT its own table and string building is three fifths of decoding the tool definitions, which
-- are nothing but small tables, and its walk over them three fifths of encoding them. Texts of more
-- ordinary kinds and of the same size follow. Of reading the content by `fields`, half is Lua's:
-- the options, the table of values, and the one that tells what was read. A reader has none of
-- these; the rest of both checks the text that was not asked for as strictly as what was.
--
-- `loadfile("bench/json.lua")("short")` runs few rounds, prints nothing and returns a list of
-- `{name, ratio, goal}`, for the specs; nil and the reason if there is no lua-cjson.
local zigllms = require("zigllms")
local found, cjson = pcall(require, "cjson")
if not found then
  local reason = "no lua-cjson (apt install lua-cjson)"
  if (...) ~= "short" then
    print("SKIP: " .. reason)
  end
  return nil, reason
end

local short = (...) == "short"
local ROUNDS = short and 5 or 30
local SECONDS = short and 0.002 or 0.01
local results = {}
local is_jit = rawget(_G, "jit") ~= nil

local function time(fn, times)
  collectgarbage()
  local started = os.clock()
  for _ = 1, times do
    fn()
  end
  return (os.clock() - started) / times
end

-- As many repetitions as one round needs to be longer than the clock's grain. The fastest of three
-- rounds counts: one that the machine disturbed would make all rounds too short to measure.
local function calibrate(fn)
  local times = 1
  while math.min(time(fn, times), time(fn, times), time(fn, times)) * times < SECONDS do
    times = times * 2
  end
  return times
end

local function compare(name, limit, fn, peer)
  local times, peer_times = calibrate(fn), calibrate(peer)
  local best, peer_best = math.huge, math.huge
  for _ = 1, ROUNDS do
    best = math.min(best, time(fn, times))
    peer_best = math.min(peer_best, time(peer, peer_times))
  end
  local ratio = peer_best / best
  results[#results + 1] = { name = name, ratio = ratio, goal = limit }
  if not short then
    local line = "%-34s %11.2f us %11.2f us %7.2f x  (goal %.1f)"
    print(line:format(name, best * 1e6, peer_best * 1e6, ratio, limit))
  end
end

-- luacheck: push no max line length
-- A model's reply, as a server sends it: 1 KB.
local function chat_reply()
  return '{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,'
    .. '"model":"gpt-4.1-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":'
    .. '"Hello! Oslo has 717,710 inhabitants.\\n\\nIt lies at the head of the **Oslofjord**; the river '
    .. "Akerselva runs through it. In winter the mean temperature is about -3 \\u00b0C, in July 18 \\u00b0C."
    .. '\\n\\nWould you like a plan for two days? I can list museums, walks and places to eat.",'
    .. '"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":'
    .. '{"prompt_tokens":19,"completion_tokens":86,"total_tokens":105,"prompt_tokens_details":'
    .. '{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
    .. '"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},'
    .. '"service_tier":"default","system_fingerprint":"fp_b376dfbbd5"}'
end

local function property(kind, text)
  return ('{"type":"%s","description":"%s"}'):format(kind, text)
end

-- Definitions of tools: 100 KB of nested objects whose keys repeat.
local function tool_definitions()
  local tools = {}
  for i = 1, 125 do
    tools[i] = '{"type":"function","function":{"name":"search_orders_'
      .. i
      .. '","description":"Finds the orders of a customer, newest first, and what became of each.","parameters":'
      .. '{"type":"object","properties":{"customer_id":'
      .. property("string", "Id of the customer, as in C-" .. 1000 + i)
      .. ',"limit":{"type":"integer","minimum":1,"maximum":100,"default":20},"since":'
      .. property("string", "First day, as 2024-01-31")
      .. ',"status":{"type":"string","enum":["open","paid","sent","returned"]},"tags":{"type":"array","items":'
      .. '{"type":"string"}},"address":{"type":"object","properties":{"street":{"type":"string"},"zip":'
      .. '{"type":"string","pattern":"^[0-9]{4}$"},"country":{"type":"string"}},"required":["zip"]}},'
      .. '"required":["customer_id"],"additionalProperties":false},"strict":true}}'
  end
  return "[" .. table.concat(tools, ",") .. "]"
end

-- What a conversation sends again each time: 92 KB of long texts.
local function conversation()
  local paragraph = 'Here is paragraph %d of an ordinary answer, with a \\"quoted\\" word, a line break\\n'
    .. "and some more text; it goes on for a while, as models do. "
  local messages = {}
  for i = 1, 60 do
    local role = i % 2 == 0 and "user" or "assistant"
    local content = paragraph:format(i):rep(10)
    messages[i] = ('{"role":"%s","content":"%s","id":"msg_%d"}'):format(role, content, i)
  end
  return '{"messages":[' .. table.concat(messages, ",") .. "]}"
end

-- What a tool found: 91 KB of objects with texts of a line or two.
local function search_results()
  local list = {}
  for i = 1, 300 do
    local line = '{"title":"Result %d of the search","url":"https://example.com/articles/2024/%d/a-longer-slug-of-it",'
      .. '"snippet":"The council of Oslo decided on Tuesday that the new tram line %d will be opened in the spring '
      .. 'of the year after next, reports say.","published":"2024-05-%02dT10:00:00Z","score":%.4f}'
    list[i] = line:format(i, i, i, i % 28 + 1, i / 300)
  end
  return '{"results":[' .. table.concat(list, ",") .. "]}"
end

-- Records with numbers and strings: 5 MB.
local function records()
  local list = {}
  for i = 1, 21000 do
    local line = '{"id":%d,"name":"Customer %d","email":"customer.%d@example.com","active":%s,"balance":%.2f,'
      .. '"score":%.6f,"visits":%d,"tags":["a%d","b%d"],"place":{"lat":%.5f,"lon":%.5f},"note":%s}'
    list[i] = line:format(
      i,
      i,
      i,
      i % 3 == 0 and "false" or "true",
      (i * 7919) % 1000000 / 100,
      1 / i,
      i % 512,
      i % 7,
      i % 13,
      59 + i % 1000 / 977,
      10 + i % 500 / 491,
      i % 5 == 0 and "null" or '"asked for an \\"express\\" delivery"'
    )
  end
  return "[" .. table.concat(list, ",\n") .. "]"
end

-- luacheck: pop

local output = zigllms.output
local documents = {
  { "chat reply", chat_reply() },
  { "tool definitions", tool_definitions() },
  { "conversation", conversation() },
  { "search results", search_results() },
  { "records", records() },
}
local strict = { format = "json", recovery = "strict" }

if not short then
  print(
    ("%-34s %14s %14s %9s"):format(
      _VERSION .. (is_jit and " (LuaJIT)" or ""),
      "zigllms",
      "lua-cjson",
      "ratio"
    )
  )
end
for _, document in ipairs(documents) do
  local text = document[2]
  local name = ("%s, %.0f KB"):format(document[1], #text / 1000)
  local function peer()
    return cjson.decode(text)
  end
  compare("decode " .. name, is_jit and 2.0 or 2.2, function()
    return output.parse(text, "json")
  end, peer)
  compare("decode strict " .. name, is_jit and 2.0 or 2.2, function()
    return output.parse(text, strict)
  end, peer)
  local value, peer_value = output.parse(text, "json"), cjson.decode(text)
  compare("encode " .. name, 1.8, function()
    return output.format(value, "json")
  end, function()
    return cjson.encode(peer_value)
  end)
end

local reply = documents[1][2]
local function content_of_peer()
  return cjson.decode(reply).choices[1].message.content
end
local read = output.reader("choices[1].message.content")
compare("content of the chat reply, reader", 8, function()
  return read(reply)
end, content_of_peer)
local content = { fields = { "choices[1].message.content" } }
compare("content of the chat reply, fields", 4, function()
  return output.parse(reply, content)
end, content_of_peer)

return results
