-- How long a host takes from the end of an answer in a thread of the module until the coroutine
-- that asked for it goes on.
--
-- A server on loopback sends, last of all, the time on the system's monotonic clock at which it
-- did so; the script reads the same clock when its call returns. So a figure holds the last hop
-- over loopback, reading and parsing it, the wake-up of Lua's thread, and the host. The blocking
-- wait is the floor. Hosts take turns in short rounds of one run; a busy machine slows all of them.
-- `nvim -l bench/wakeup.lua` measures Neovim.
local zigllms = require("zigllms")
local unpack = table.unpack or unpack -- luacheck: ignore

local ROUNDS, CALLS = 12, 10
local vim = rawget(_G, "vim")
local libuv = vim and (vim.uv or vim.loop)
local clock = not vim and require("system").monotime or function()
  return libuv.hrtime() / 1e9
end

local SERVER = [[
import socket, sys, threading, time
HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
def serve(peer):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        text = b""
        while b"\r\n\r\n" not in text:
            more = peer.recv(65536)
            if not more:
                return
            text += more
        head, _, body = text.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += peer.recv(65536)
        peer.sendall(HEAD)
        time.sleep(0.003)
        event = b'data: {"choices":[{"index":0,"delta":{"content":"%.9f"},"finish_reason":"stop"}]}'
        event = (event + b"\n\ndata: [DONE]\n\n") % time.monotonic()
        peer.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(event), event))
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
]]

local function start()
  local script, pipe = os.tmpname(), os.tmpname()
  os.remove(pipe)
  assert(os.execute("mkfifo " .. pipe))
  local file = assert(io.open(script, "w"))
  file:write(SERVER)
  file:close()
  local server = assert(io.popen("exec python3 " .. script .. " > " .. pipe, "w"))
  local output = assert(io.open(pipe))
  local port = output:read("*l")
  os.remove(script)
  os.remove(pipe)
  return port, server, output
end

local port, server, output = start()
zigllms.provider.configure("openai", {
  base_url = "http://127.0.0.1:" .. port .. "/v1",
  api_key = "none",
  model = "m",
})
local options = { provider = "openai" }
local background = { provider = "openai", async = true }

local function late(response)
  return (clock() - tonumber(response.content)) * 1e6
end

local function ask()
  return late(zigllms.provider.chat("x", options))
end

local function installed(name)
  local found, module = pcall(require, name)
  return found and module
end

-- Each host calls `sample` with every latency.
local hosts = {}

local function host(name, fn)
  hosts[#hosts + 1] = { name = name, run = fn, latencies = {}, medians = {} }
end

host("blocking", function(sample)
  zigllms.loop("blocking")
  for _ = 1, CALLS do
    sample(ask())
  end
  zigllms.loop("auto")
end)

host("zigllms.run", function(sample)
  zigllms.run(function()
    for _ = 1, CALLS do
      sample(ask())
    end
  end)
end)

if vim then
  host("Neovim", function(sample)
    local task = zigllms.spawn(function()
      for _ = 1, CALLS do
        sample(ask())
      end
    end)
    vim.wait(10000, function()
      return task:done()
    end, 1000)
  end)
end

local socket = installed("socket")
if socket then
  host("socket.select", function(sample)
    for _ = 1, CALLS do
      local handle = zigllms.provider.chat("x", background)
      repeat
        socket.select({ handle })
        zigllms.poll()
      until handle:done()
      sample(late(handle:result()))
    end
  end)
end

local cqueues = installed("cqueues")
if cqueues then
  host("cqueues", function(sample)
    local controller = cqueues.new()
    controller:wrap(function()
      for _ = 1, CALLS do
        sample(ask())
      end
    end)
    assert(controller:loop())
  end)
end

local copas = installed("copas")
if copas then
  host(copas._VERSION, function(sample)
    local ended = false
    zigllms.loop("copas")
    copas.addthread(function()
      for _ = 1, CALLS do
        sample(ask())
      end
      ended = true
    end)
    repeat
      copas.step(1)
    until ended
    zigllms.loop("auto")
  end)
end

local uv = not vim and installed("luv")
if uv then
  host("luv", function(sample)
    zigllms.spawn(function()
      for _ = 1, CALLS do
        sample(ask())
      end
    end)
    uv.run()
  end)
end

local function quantile(list, part)
  table.sort(list)
  return list[math.max(1, math.ceil(#list * part))]
end

for round = 0, ROUNDS do
  for _, each in ipairs(hosts) do
    local latencies = {}
    each.run(function(latency)
      latencies[#latencies + 1] = latency
    end)
    if round > 0 then -- the first one opens connections and warms up
      each.medians[round] = quantile({ unpack(latencies) }, 0.5)
      for _, latency in ipairs(latencies) do
        each.latencies[#each.latencies + 1] = latency
      end
    end
  end
end

print(("%-16s %12s %12s %18s"):format("host", "p50", "p90", "ratio to blocking"))
for _, each in ipairs(hosts) do
  local ratios = {}
  for round = 1, ROUNDS do
    ratios[round] = each.medians[round] / hosts[1].medians[round]
  end
  print(
    ("%-16s %9.0f us %9.0f us %18.2f"):format(
      each.name,
      quantile(each.latencies, 0.5),
      quantile(each.latencies, 0.9),
      quantile(ratios, 0.5)
    )
  )
end
server:close()
output:close()
