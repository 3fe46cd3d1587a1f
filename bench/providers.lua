-- What a chat request costs, beside LuaSocket with lua-cjson and lua-http with lua-cjson, which do
-- the same: post the question, read the answer (a document, or a stream whose events are each
-- decoded), put the text together.
--
-- The cost is processor time of this process, all its threads counted; the server is another one.
-- Rounds alternate, and all figures are medians: a busy machine slows everybody. LuaSocket and
-- lua-http open a connection for each request, as they do when they are left alone; "kept" is
-- LuaSocket with HTTP by hand on one connection, the least that there can be in Lua.
local zigllms = require("zigllms")

local ROUNDS = tonumber(arg[1]) or 15
local here = arg[0]:match("^(.*)bench/[^/]*$") or ""

local CASES = {
  { name = "a document", model = "document", times = 40 },
  { name = "a stream of 50 events", model = "stream-50", times = 40 },
  { name = "a stream of 5,000 events", model = "stream-5000", times = 2, bytes = true },
  { name = "200 events, one each ms", model = "paced-200", times = 1 },
}

local function start_server()
  local fifo = os.tmpname()
  os.remove(fifo)
  os.execute("mkfifo " .. fifo)
  local input = io.popen(("exec python3 %sbench/answers.py > %s"):format(here, fifo), "w")
  local output = io.open(fifo)
  local port = output:read("*l")
  output:close()
  os.remove(fifo)
  return "127.0.0.1", tonumber(port), input
end

local host, port, server = start_server()
local root = ("http://%s:%d/v1"):format(host, port)
local url = root .. "/chat/completions"

-- Ours ----------------------------------------------------------------------------------------

zigllms.provider.configure("openai", { base_url = root, api_key = "k", retry = false })

local function ours(model)
  return zigllms.provider.chat("hi", { provider = "openai", model = model }).content
end

local function ours_followed(model)
  local pieces = {}
  zigllms.provider.stream("hi", function(chunk)
    pieces[#pieces + 1] = chunk.content
  end, { provider = "openai", model = model })
  return table.concat(pieces)
end

-- Peers ---------------------------------------------------------------------------------------

local function optional(name)
  local found, module = pcall(require, name)
  if not found then
    print(("SKIP %s: it is not installed for %s"):format(name, jit and jit.version or _VERSION))
    return nil
  end
  return module
end

local cjson, socket, request = optional("cjson"), optional("socket"), optional("http.request")
local http = socket and require("socket.http")

local function question(model)
  return cjson.encode({
    model = model,
    messages = { { role = "user", content = "hi" } },
    stream = model ~= "document",
  })
end

-- Takes pieces of a body, and gives the text of the answer.
local function reader(model)
  local parts, rest = {}, ""
  if model == "document" then
    return function(piece)
      parts[#parts + 1] = piece
    end, function()
      return cjson.decode(table.concat(parts)).choices[1].message.content
    end
  end
  local function line(text)
    local data = text:match("^data: ?(.-)\r?$")
    if data and data ~= "[DONE]" then
      local choice = cjson.decode(data).choices[1]
      parts[#parts + 1] = choice and choice.delta.content or nil
    end
  end
  return function(piece)
    rest = rest .. piece
    local from = 1
    while true do
      local stop = rest:find("\n", from, true)
      if not stop then
        break
      end
      line(rest:sub(from, stop - 1))
      from = stop + 1
    end
    rest = rest:sub(from)
  end, function()
    return table.concat(parts)
  end
end

local function by_luasocket(model)
  local body = question(model)
  local push, finish = reader(model)
  local _, code = http.request({
    url = url,
    method = "POST",
    headers = {
      ["authorization"] = "Bearer k",
      ["content-type"] = "application/json",
      ["content-length"] = #body,
    },
    source = require("ltn12").source.string(body),
    sink = function(piece)
      if piece then
        push(piece)
      end
      return 1
    end,
  })
  assert(code == 200)
  return finish()
end

local HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: %s:%d\r\nAuthorization: Bearer k\r\n"
  .. "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
local kept

local function by_kept(model)
  if not kept then
    kept = assert(socket.connect(host, port))
    kept:setoption("tcp-nodelay", true)
  end
  local body = question(model)
  local push, finish = reader(model)
  assert(kept:send(HEAD:format(host, port, #body) .. body))
  assert(kept:receive("*l"):match("^HTTP/1.1 200"))
  local length, line = nil, kept:receive("*l")
  while line ~= "" do
    length = tonumber(line:lower():match("^content%-length: *(%d+)")) or length
    line = kept:receive("*l")
  end
  if length then
    push(kept:receive(length))
    return finish()
  end
  repeat
    length = tonumber(kept:receive("*l"), 16)
    if length > 0 then
      push(kept:receive(length))
    end
    kept:receive("*l")
  until length == 0
  return finish()
end

local function by_lua_http(model)
  local push, finish = reader(model)
  local asked = request.new_from_uri(url)
  asked.headers:upsert(":method", "POST")
  asked.headers:upsert("authorization", "Bearer k")
  asked.headers:upsert("content-type", "application/json")
  asked:set_body(question(model))
  local headers, stream = assert(asked:go())
  assert(headers:get(":status") == "200")
  for piece in stream:each_chunk() do
    push(piece)
  end
  stream:shutdown()
  return finish()
end

local contenders = { { "zigllms", ours }, { "zigllms, followed", ours_followed } }
if cjson and socket then
  contenders[#contenders + 1] = { "LuaSocket", by_luasocket }
  contenders[#contenders + 1] = { "LuaSocket, kept", by_kept }
end
if cjson and request then
  contenders[#contenders + 1] = { "lua-http", by_lua_http }
end

-- Measuring -----------------------------------------------------------------------------------

local monotime = require("system").monotime

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

local function measure(case)
  local expected = ours(case.model)
  local costs, walls, ratios = {}, {}, {}
  for i, contender in ipairs(contenders) do
    assert(contender[2](case.model) == expected, contender[1] .. " reads something else")
    costs[i], walls[i], ratios[i] = {}, {}, {}
  end
  for round = 1, ROUNDS do
    for i, contender in ipairs(contenders) do
      collectgarbage()
      local wall, cpu = monotime(), os.clock()
      for _ = 1, case.times do
        contender[2](case.model)
      end
      costs[i][round] = (os.clock() - cpu) / case.times * 1e6
      walls[i][round] = (monotime() - wall) / case.times
      ratios[i][round] = costs[1][round] / costs[i][round]
    end
  end
  return costs, walls, ratios
end

-- Bytes of the body of a stream, which all of them read.
local function bytes_of(model)
  local length = 0
  http.request({
    url = url,
    method = "POST",
    headers = { ["content-length"] = #question(model) },
    source = require("ltn12").source.string(question(model)),
    sink = function(piece)
      length = length + #(piece or "")
      return 1
    end,
  })
  return length
end

for _, case in ipairs(CASES) do
  local costs, walls, ratios = measure(case)
  local bytes = case.bytes and http and bytes_of(case.model)
  print(case.name .. ":")
  for i, contender in ipairs(contenders) do
    local cost = median(costs[i])
    local line = ("  %-18s %9.1f us of processor time"):format(contender[1], cost)
    if i > 1 then
      line = line .. (", ours is %.2f of it"):format(median(ratios[i]))
    end
    if bytes then
      local wall = median(walls[i])
      line = line
        .. ("; %.1f MB/s, %.1f MB per processor second"):format(bytes / wall / 1e6, bytes / cost)
    end
    print(line)
  end
end
server:close()
os.exit(0)
