-- Many streams at once in one process: memory, processor time and how fast they end.
--
--   streams.lua [COUNT] [plain | tls]        1,000 streams of 50 tokens over 5 seconds each
--
-- Memory is resident memory per stream at its highest while all are open, beyond what the process
-- had with the module loaded and one stream served. Processor time is this process's, of all its
-- threads, as a share of one core. The server is another process.
local zigllms = require("zigllms")

local COUNT, TOKENS, SECONDS = tonumber(arg[1]) or 1000, 50, 5
local ROUNDS = 5
local KINDS = arg[2] and { arg[2] } or { "plain", "tls" }

local here = arg[0]:match("^(.*)bench/[^/]*$") or ""

local function status(field)
  local file = io.open("/proc/self/status")
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("\n" .. field .. ":%s*(%d+)"))
end

local function descriptors()
  local pipe = io.popen("ls /proc/" .. status("Pid") .. "/fd | wc -l")
  local count = tonumber(pipe:read("*a"))
  pipe:close()
  return count
end

local function certificate(directory)
  local line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
    .. " -subj /CN=localhost -addext basicConstraints=critical,CA:FALSE"
    .. " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    .. " -keyout %s/key.pem -out %s/cert.pem 2>%s/openssl.log"
  local done = os.execute(line:format(directory, directory, directory))
  assert(done == true or done == 0, "openssl cannot make a certificate")
end

local function start_server(kind)
  local directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir -p " .. directory)
  local files = ""
  if kind == "tls" then
    certificate(directory)
    files = (" %s/cert.pem %s/key.pem"):format(directory, directory)
  end
  local fifo = directory .. "/port"
  os.execute("mkfifo " .. fifo)
  local line = "exec python3 %sspec/fixtures/streams.py %d %g%s > %s"
  local input = io.popen(line:format(here, TOKENS, SECONDS, files, fifo), "w")
  local output = io.open(fifo)
  local port = output:read("*l")
  output:close()
  return {
    url = ("%s://localhost:%s/v1"):format(kind == "tls" and "https" or "http", port),
    ca = kind == "tls" and directory .. "/cert.pem" or nil,
    stop = function()
      input:close()
      os.execute("rm -r " .. directory)
    end,
  }
end

local function follow()
  local chunks, tokens = 0, 0
  for chunk in zigllms.provider.stream("hi", { provider = "openai" }) do
    chunks = chunks + 1
    tokens = tokens + select(2, chunk.content:gsub("token ", ""))
  end
  return { chunks = chunks, tokens = tokens }
end

local function spawn_all(count)
  local handles = {}
  for i = 1, count do
    handles[i] = zigllms.spawn(follow)
  end
  return handles
end

-- Lets time pass; the highest resident memory meanwhile.
local function pass(ms)
  local till, highest = os.time() + ms / 1000, 0
  repeat
    zigllms.sleep(250)
    highest = math.max(highest, status("VmRSS"))
  until os.time() >= till
  return highest
end

local function complete(kind, base)
  local cpu, began = os.clock(), os.time()
  local handles = spawn_all(COUNT)
  local highest = pass(SECONDS * 1000 - 1000)
  local results = zigllms.all(handles)
  local share = (os.clock() - cpu) / math.max(os.time() - began, 1)
  local tokens = 0
  for _, result in ipairs(results) do
    assert(result.tokens == TOKENS, "a stream is not complete")
    tokens = tokens + result.tokens
  end
  print(
    ("%-6s %d streams, %d tokens: %.1f KiB each, %.2f of a core"):format(
      kind,
      #results,
      tokens,
      (highest - base) / COUNT,
      share
    )
  )
end

-- Milliseconds that it took to cancel all of them, and until all had ended.
local function cancel_all(clock)
  local handles = {}
  for i = 1, COUNT do
    handles[i] = zigllms.provider.chat("hi", { provider = "openai", async = true })
  end
  pass(2000)
  collectgarbage()
  local began = clock()
  for i = 1, COUNT do
    handles[i]:cancel()
  end
  local ordered = clock()
  for i = 1, COUNT do
    assert(handles[i]:wait(10000) and handles[i]:status() == "cancelled")
  end
  return (ordered - began) * 1000, (clock() - began) * 1000
end

local function cancelled(kind, clock)
  local ordered, ended = {}, {}
  for i = 1, ROUNDS do
    ordered[i], ended[i] = cancel_all(clock)
  end
  table.sort(ordered)
  table.sort(ended)
  local middle, line =
    (ROUNDS + 1) / 2, "%-6s cancelled %d: %.1f ms to say, %.1f ms until all had ended"
  print(
    (line .. " (medians of %d, at most %.1f)"):format(
      kind,
      COUNT,
      ordered[middle],
      ended[middle],
      ROUNDS,
      ended[ROUNDS]
    )
  )
end

local function measure(kind, clock)
  local server = start_server(kind)
  zigllms.configure({ http = { ca = server.ca or zigllms.null } })
  zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
  assert(follow().tokens == TOKENS)
  collectgarbage()
  local threads, files = status("Threads"), descriptors()
  complete(kind, status("VmRSS"))
  cancelled(kind, clock)
  zigllms.sleep(500)
  print(
    ("%-6s afterwards: %d descriptors more, threads %d (before %d)"):format(
      kind,
      descriptors() - files,
      status("Threads"),
      threads
    )
  )
  server.stop()
end

local clock = require("system").monotime
for _, kind in ipairs(KINDS) do
  measure(kind, clock)
end
