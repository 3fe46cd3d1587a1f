-- How long a host takes from the end of an answer in a thread of the module until the coroutine
-- that asked for it goes on.
--
-- A server on loopback sends, last of all, the time on the system's monotonic clock at which it
-- did so; the script reads the same clock when its call returns. So a figure holds the last hop
-- over loopback, reading and parsing it, the wake-up of Lua's thread, and the host. The blocking
-- wait is the floor. Hosts take turns in short rounds of one run; a busy machine slows all of them.
-- `nvim -l bench/wakeup.lua` measures Neovim, and nginx runs requests of its own.
local zigllms = require("zigllms")
local unpack = table.unpack or unpack -- luacheck: ignore

local ROUNDS, CALLS = 12, 10
local vim = rawget(_G, "vim")
local libuv = vim and (vim.uv or vim.loop)
local clock = not vim and require("system").monotime or function()
  return libuv.hrtime() / 1e9
end

local here = arg[0]:match("^(.*)bench/[^/]*$") or ""

local function start()
  local pipe = os.tmpname()
  os.remove(pipe)
  assert(os.execute("mkfifo " .. pipe))
  local server = assert(io.popen("exec python3 " .. here .. "bench/late.py > " .. pipe, "w"))
  local output = assert(io.open(pipe))
  local port = output:read("*l")
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

-- nginx waits in requests; its own floor is the wait that blocks the worker.
local nginx = not vim and require("spec.support.nginx")
local REQUEST = [[
  local ffi, zigllms = require("ffi"), require("zigllms")
  pcall(ffi.cdef, "struct instant { long s, ns; }; int clock_gettime(int, struct instant *);")
  local time = ffi.new("struct instant")
  for _ = 1, CALLS do
    local response = zigllms.provider.chat("x", { provider = "openai" FACE })
    ffi.C.clock_gettime(1, time)
    local now = tonumber(time.s) + tonumber(time.ns) / 1e9
    ngx.say((now - tonumber(response.content)) * 1e6)
  end
]]

local function request(face)
  return (REQUEST:gsub("CALLS", CALLS):gsub("FACE", face))
end

local web
if nginx and not nginx.missing() then
  local configure = [[
    init_by_lua_block {
      require("zigllms").provider.configure("openai", {
        base_url = "http://127.0.0.1:%s/v1", api_key = "none", model = "m",
      })
    }
  ]]
  web = nginx.start({
    http = configure:format(port),
    locations = { wait = request(""), block = request(", async = false") },
  })
  for name, path in pairs({ ["nginx, blocking"] = "/block", nginx = "/wait" }) do
    host(name, function(sample)
      for line in web:get(path):gmatch("[^\n]+") do
        sample(tonumber(line))
      end
    end)
  end
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
if web then
  web:stop()
end
server:close()
output:close()
