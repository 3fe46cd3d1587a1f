-- How a request gets through: an HTTP client of your own, providers to fall back on, a rate limit.
-- No network is used: the clients here only pretend.
local zigllms = require("zigllms")
local provider = zigllms.provider

local function event(delta, finish)
  return ('data: {"choices":[{"index":0,"delta":{%s},"finish_reason":%s}]}\n\n'):format(
    delta,
    finish and ('"%s"'):format(finish) or "null"
  )
end

-- A transport makes one HTTP request. What it hands to `request.stream` is delivered at once, and
-- retries, time limits and errors are as ever. It may wait: on a cosocket, on a loop of yours.
local function pretending(request)
  print(request.method .. " " .. request.url)
  for _, word in ipairs({ "Good ", "morning" }) do
    if not request.stream(event(('"content":"%s"'):format(word))) then
      return nil, "nobody listens any more"
    end
    zigllms.sleep(5)
  end
  request.stream(event("", "stop"))
  return { status = 200 }
end

local mine = { type = "openai", api_key = "none", model = "mine", transport = pretending }
local response = provider.stream("Hello", function(chunk)
  io.write(chunk.done and "\n" or chunk.content .. "|")
end, { provider = mine })
print(response.model, response.attempts)

-- With LuaSocket it is as short; without `stream` the whole answer is read first:
--
--   local http, ltn12 = require("socket.http"), require("ltn12")
--
--   local function transport(request)
--     local parts = {}
--     local ok, status, headers = http.request({
--       method = request.method,
--       url = request.url,
--       headers = request.headers,
--       source = request.body and ltn12.source.string(request.body),
--       sink = ltn12.sink.table(parts),
--       redirect = false,
--     })
--     if not ok then
--       return nil, status
--     end
--     return { status = status, headers = headers, body = table.concat(parts) }
--   end

-- Where a provider fails for good, the next one is asked, with a model of its own.
local function busy()
  return { status = 503, body = '{"error":{"message":"too many people"}}' }
end
local first = provider.create({
  type = "openai",
  api_key = "none",
  model = "large",
  transport = busy,
  retry = { initial_delay_ms = 1 },
  fallback = { { provider = mine, model = "small" } },
})
response = provider.chat("Hello", { provider = first })
print(response.content, response.model, response.attempts)

-- If all fail, the last error is raised and has what the others said.
local last = { type = "openai", api_key = "none", transport = busy, retry = false }
local _, err = pcall(provider.chat, "Hello", { provider = first, fallback = { last } })
print(err.code, err.attempts, err.details.fallbacks[1].message)

-- No more than so many requests in any minute, for each user; others wait their turn, or are told.
provider.configure(first, {
  transport = pretending,
  rate_limit = { requests_per_minute = 1, on_limit = "raise" },
})
for _, user in ipairs({ "ann", "bob", "ann" }) do
  local options = { provider = first, rate_limit = { key = user }, fallback = {} }
  local ok, result = pcall(provider.chat, "Hello", options)
  print(user, ok and result or result.code)
end
