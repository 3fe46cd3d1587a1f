-- LuaSocket: `socket.select` takes a handle, and a loop of one's own watches `zigllms.fd()`.
local in_host = require("spec.support.in_host")
local program = require("spec.support.program")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local socket = in_host.need("LuaSocket", "socket")
if not socket then
  return
end

local clock = program.clock

describe("LuaSocket's select", function()
  local server = scripted.start()

  local function chat()
    return zigllms.provider.chat("hi", { provider = "openai", async = true })
  end

  before_each(function()
    zigllms.reset()
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
    local reply = scripted.text({ "hel", "lo" }, { delay_ms = 100 })
    reply["repeat"] = true
    server:script(reply)
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  -- Selects and polls until the handle is done; how often select came back.
  local function select_until_done(handle)
    local rounds = 0
    repeat
      local ready, _, why = socket.select({ handle }, nil, 5)
      assert.is_nil(why)
      assert.equal(handle, ready[1])
      zigllms.poll()
      rounds = rounds + 1
    until handle:done()
    return rounds
  end

  it("waits for a handle", function()
    local handle = chat()
    local rounds = select_until_done(handle)
    assert.equal("hello", (handle:result()).content)
    assert.is_true(rounds < 20, rounds)
    assert.equal(handle, socket.select({ handle }, nil, 5)[1])
  end)

  it("ends at its own time", function()
    local handle, began = zigllms.spawn(zigllms.sleep, 5000), clock()
    local ready, _, why = socket.select({ handle }, nil, 0.05)
    assert.same({}, ready)
    assert.equal("timeout", why)
    assert.is_true(clock() - began < 1)
    handle:cancel()
  end)

  it("hears of timers", function()
    local handle, began = zigllms.spawn(zigllms.sleep, 30), clock()
    assert.is_true(select_until_done(handle) < 5)
    local took = clock() - began
    assert.is_true(took >= 0.029 and took < 0.3, took)
  end)

  it("hears of a time limit that is over", function()
    local handle = zigllms.provider.chat("hi", {
      provider = "openai",
      async = true,
      timeout_ms = 40,
    })
    select_until_done(handle)
    assert.equal("timeout", select(3, handle:result()).code)
  end)

  it("takes sockets beside handles", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local client = assert(socket.connect("127.0.0.1", port))
    local handle = zigllms.spawn(zigllms.sleep, 5000)
    zigllms.poll()
    assert.equal(listener, socket.select({ handle, listener }, nil, 5)[1])
    handle:cancel()
    client:close()
    listener:close()
  end)

  -- A loop that only polls when the descriptor is readable, and does other things meanwhile.
  it("serves a busy loop through fd() alone", function()
    local fd = assert(zigllms.fd())
    local watched = {
      getfd = function()
        return fd
      end,
      dirty = function()
        return false
      end,
    }
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local client = assert(socket.connect("127.0.0.1", port))
    local peer = assert(listener:accept())
    client:send("x")
    local contents, slept, echoes, polls, left = {}, 0, 0, 0, 20
    for _ = 1, 10 do
      chat():on(function(err, response)
        contents[#contents + 1] = err or response.content
        left = left - 1
      end)
      zigllms
        .spawn(function()
          for _ = 1, 10 do
            zigllms.sleep(15)
          end
          slept = slept + 1
        end)
        :on(function()
          left = left - 1
        end)
    end
    local began = clock()
    while left > 0 do
      local ready = socket.select({ watched, peer, client }, nil, 5)
      assert.is_true(#ready > 0, "nothing was readable")
      if ready[watched] then
        polls = polls + 1
        zigllms.poll()
      end
      for _, each in ipairs({ peer, client }) do
        if ready[each] then
          each:send(each:receive(1))
          echoes = echoes + 1
        end
      end
    end
    assert.is_true(clock() - began < 2)
    assert.equal(("hello"):rep(10), table.concat(contents))
    assert.equal(10, slept)
    assert.is_true(echoes > 100, echoes)
    assert.is_true(polls < 500, polls)
    assert.same({}, (socket.select({ watched }, nil, 0)))
    client:close()
    peer:close()
    listener:close()
  end)

  it("hears through fd() what is queued outside of a poll", function()
    local fd = zigllms.fd()
    local told
    local handle = zigllms.spawn(zigllms.sleep, 5000)
    handle:on(function(err)
      told = err.code
    end)
    handle:cancel()
    local ready = socket.select({
      {
        getfd = function()
          return fd
        end,
        dirty = function()
          return false
        end,
      },
    }, nil, 1)
    assert.equal(1, #ready)
    zigllms.poll()
    assert.equal("cancelled", told)
  end)
end)
