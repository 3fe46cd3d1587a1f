-- copas: a call in a thread of its loop waits in that loop.
local in_host = require("spec.support.in_host")
local program = require("spec.support.program")

local copas = in_host.need("copas", "copas")
if not copas then
  return
end

local zigllms = require("zigllms")

local clock = program.clock
local left, failed = 0, nil
local knows = copas.running ~= nil
local ticker -- version 1 has no timers: what runs its loop looks at the clock

local function thread(fn)
  left = left + 1
  copas.addthread(function()
    local ok, err
    if jit or _VERSION ~= "Lua 5.1" then
      ok, err = pcall(fn)
    else
      ok, err = require("coxpcall").pcall(fn)
    end
    left = left - 1
    if not ok then
      failed = failed or err
    end
  end)
end

local host = {
  name = copas._VERSION,
  thread = thread,
  loop = function()
    if knows then
      copas.running = true
    end
    while left > 0 do
      copas.step(ticker and 0.001 or 5)
      if ticker then
        ticker()
      end
    end
    if knows then
      copas.running = false
    end
    local err = failed
    failed = nil
    if err then
      error(err, 0)
    end
  end,
  sleep = copas.pause or copas.sleep,
}

function host.tick(ms, fn)
  if not host.sleep then
    local due = clock() + ms / 1000
    function ticker()
      if clock() >= due then
        due = clock() + ms / 1000
        ticker = fn() and ticker or nil
      end
    end
    return
  end
  copas.addthread(function()
    repeat
      host.sleep(ms / 1000)
    until not fn()
  end)
end

describe("in a thread of copas", function()
  before_each(function()
    in_host.before()
    zigllms.loop("copas")
  end)
  after_each(function()
    in_host.after()
    zigllms.loop("auto")
  end)

  for name, case in in_host.cases(host) do
    it(name, case)
  end

  it("without being told, only a version that knows whether it runs is used", function()
    zigllms.loop("auto")
    local order = {}
    for i = 1, 2 do
      thread(function()
        zigllms.sleep(20)
        order[#order + 1] = "ended " .. i
      end)
      order[#order + 1] = "added " .. i
    end
    host.loop()
    if copas.pauseforever then
      assert.same({ "added 1", "added 2", "ended 1", "ended 2" }, order)
    else
      assert.same({ "ended 1", "added 1", "ended 2", "added 2" }, order)
    end
  end)

  it("a socket of the thread's is served beside it", function()
    local socket = require("socket")
    local listener = socket.bind("127.0.0.1", 0)
    local _, port = listener:getsockname()
    copas.addserver(listener, function(peer)
      peer = copas.wrap(peer)
      local line = peer:receive("*l")
      zigllms.sleep(20)
      peer:send(line .. " back\n")
      peer.socket:close()
    end)
    local answers = {}
    for i = 1, 5 do
      thread(function()
        local client = copas.wrap(socket.connect("127.0.0.1", port))
        client.socket:settimeout(0)
        client:send(i .. "\n")
        answers[i] = client:receive("*l")
        client.socket:close()
      end)
    end
    host.loop()
    assert.same({ "1 back", "2 back", "3 back", "4 back", "5 back" }, answers)
    if copas.removeserver then
      copas.removeserver(listener)
    end
  end)
end)
