-- A forked child goes on with the module as if its parent never had it, and disturbs nobody.
local embedded = require("spec.support.embedded")
local in_host = require("spec.support.in_host")
local program = require("spec.support.program")
local scripted = require("spec.support.server")

local server = scripted.start()

-- Arguments: the server's address, and what watches: "luv" or nothing. `before`, `child` and
-- `after` are the three acts.
local ACTS = [[
local url, watched = ...
local zigllms = require("zigllms")
zigllms.provider.configure("openai", { base_url = url, api_key = "test", retry = false })
local uv = watched == "luv" and require("luv")

local function chat(text, async)
  return zigllms.provider.chat(text, { provider = "openai", async = async })
end

local act = {}
local slow, stream, pausing, told, busy, first

function act.before()
  assert(chat("quick").content == "quick")
  slow = chat("slow", true):on(function(err, response)
    told = err and err.code or response.content
  end)
  stream = zigllms.provider.stream("flow", { provider = "openai" })
  first = stream().content
  busy = zigllms.spawn(function()
    zigllms.sleep(300)
    return "slept"
  end)
  pausing = zigllms.spawn(function()
    return chat("slow").content
  end)
  zigllms.fd()
  zigllms.poll(50)
  if uv then
    uv.run("nowait") -- now libuv's epoll, which the child will share, has the descriptor
  end
  -- Something is queued at the moment of the fork.
  zigllms.spawn(zigllms.sleep, 1000):on(function() end):cancel()
end

local function cancelled(handle)
  local ok, err = pcall(handle.await, handle)
  assert(not ok and err.code == "cancelled", tostring(err))
  assert(err.details.reason == "the process has forked", err.details.reason)
end

function act.child()
  assert(chat("quick").content == "quick")
  local seen
  chat("quick", true):on(function(_, response)
    seen = response.content
  end)
  for _ = 1, 200 do
    if not seen then
      zigllms.poll(20)
    end
  end
  assert(seen == "quick")
  cancelled(slow)
  cancelled(pausing)
  assert(not pcall(function()
    for _ in stream do end
  end))
  assert(zigllms.run(function()
    return chat("quick").content
  end) == "quick")
  assert(busy:await() == "slept")
  assert(told == "cancelled")
  zigllms.spawn(zigllms.sleep, 20)
end

function act.after()
  if uv then
    uv.run()
  end
  assert(slow:await().content == "slow")
  assert(pausing:await() == "slow")
  assert(busy:await() == "slept")
  zigllms.poll()
  assert(told == "slow")
  local rest = first
  for chunk in stream do
    rest = rest .. chunk.content
  end
  assert(rest == "one two three ", rest)
  assert(chat("quick").content == "quick")
end
]]

describe("after a fork", function()
  local host, why

  setup(function()
    host, why = embedded.compile()
  end)

  teardown(function()
    if host then
      os.remove(host)
    end
    server:stop()
  end)

  before_each(function()
    local slow = scripted.text("slow", { delay_ms = 700 })
    local stream = scripted.text({ "one ", "two ", "three " }, { chunk_delay_ms = 200 })
    local quick = scripted.text("quick")
    slow.when, stream.when, quick.when = '"slow"', '"flow"', '"quick"'
    slow["repeat"], quick["repeat"] = true, true
    server:script(slow, stream, quick)
  end)

  local function skip(what, reason)
    print(("\nSKIP %s: %s"):format(what, reason))
  end

  local function nothing_was_cut_off()
    for _, entry in ipairs(server:journal()) do
      assert.is_nil(entry.closed_after_ms, entry.body)
    end
  end

  local function in_program(watched)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(
      ACTS,
      [[
      return function(number)
        act[({ "before", "child", "after" })[number] ]()
      end
    ]]
    )
    file:close()
    local words = { "timeout 20", host, "fork", path, server.url, watched }
    local result = program.shell(table.concat(words, " "))
    os.remove(path)
    assert.equal("", result.err)
    assert.equal(0, result.rc)
    nothing_was_cut_off()
  end

  -- The child ends without closing its Lua state.
  local function with_luaposix(watched)
    local result = program.run(ACTS .. [[
          local unistd, wait = require("posix.unistd"), require("posix.sys.wait").wait
          act.before()
          local children = {}
          for i = 1, 3 do
            local pid = unistd.fork()
            if pid == 0 then
              local ok, err = pcall(act.child)
              io.stderr:write(ok and "" or tostring(err))
              unistd._exit(ok and 0 or 1)
            end
            children[i] = pid
          end
          for _, pid in ipairs(children) do
            assert(select(3, wait(pid)) == 0)
          end
          act.after()
        ]], { args = { server.url, watched } })
    assert.equal("", result.err)
    assert.equal(0, result.rc)
    nothing_was_cut_off()
  end

  it("in a program that embeds Lua, both go on", function()
    if not host then
      return skip("fork in a host program", why)
    end
    in_program("")
  end)

  it("in a program that embeds Lua, a loop of luv's goes on in the parent", function()
    if not host then
      return skip("fork in a host program", why)
    elseif not in_host.need("fork with luv", "luv") then
      return
    end
    in_program("luv")
  end)

  for _, watched in ipairs({ "nothing", "luv" }) do
    it("by luaposix, both go on; watched by " .. watched, function()
      if not in_host.need("fork by luaposix", "posix.unistd") then
        return
      end
      with_luaposix(watched)
    end)
  end

  it("a child that never uses the module ends in peace", function()
    if not in_host.need("fork by luaposix", "posix.unistd") then
      return
    end
    local result = program.run(ACTS .. [[
          local unistd, wait = require("posix.unistd"), require("posix.sys.wait").wait
          act.before()
          local pid = unistd.fork()
          if pid == 0 then
            os.exit(0, true)
          end
          assert(select(3, wait(pid)) == 0)
          act.after()
        ]], { args = { server.url, "" } })
    assert.equal("", result.err)
    assert.equal(0, result.rc)
    nothing_was_cut_off()
  end)
end)
