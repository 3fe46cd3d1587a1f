-- A process ends, in any way and at any moment, with the exit code it asked for.
local program = require("spec.support.program")
local scripted = require("spec.support.server")

local server = scripted.start()

-- Arguments: the situation, the way to end, the server's address. `leave` ends the process.
local CHUNK = [[
local situation, way, url = ...
local zigllms = require("zigllms")
zigllms.provider.configure("openai", {
  base_url = url, api_key = "test", model = "test", retry = false,
})
zigllms.configure({ default_provider = "openai" })

local function leave()
  io.stdout:write("leaving\n")
  io.stdout:flush()
  if way == "exit 0" then
    os.exit(0)
  elseif way == "exit 3 closing" then
    os.exit(3, true)
  elseif way == "error" then
    error("boom", 0)
  end
end

local entered = false
local function poll_until(fn)
  for _ = 1, 1000 do
    if fn() then
      return
    end
    zigllms.poll(5)
  end
  error("what was waited for never came", 0)
end

local function has_entered()
  return entered
end

local kept = {}
local situations = {}

situations["a chat waits for its first byte"] = function()
  kept[1] = zigllms.provider.chat("slow", { async = true })
  zigllms.poll(100)
  assert(not kept[1]:done())
  leave()
end

situations["a chat waits and nobody holds its handle"] = function()
  zigllms.provider.chat("slow", { async = true })
  zigllms.poll(100)
  leave()
end

situations["a stream is half read"] = function()
  for chunk in zigllms.provider.stream("half") do
    assert(chunk.content == "half")
    return leave()
  end
  error("the stream had no chunk", 0)
end

situations["a stream's handle is half read"] = function()
  kept[1] = zigllms.provider.stream("half")
  assert(kept[1]().content == "half")
  assert(not kept[1]:done())
  leave()
end

situations["inside a stream callback"] = function()
  zigllms.provider.stream("half", function()
    leave()
  end)
end

situations["inside a callback of a background stream"] = function()
  kept[1] = zigllms.provider.stream("half", function()
    entered = true
    leave()
  end, { async = true })
  poll_until(has_entered)
end

situations["a stream callback waits"] = function()
  kept[1] = zigllms.provider.stream("half", function()
    entered = true
    zigllms.sleep(60000)
  end, { async = true })
  poll_until(has_entered)
  leave()
end

local function tool_agent(execute)
  return zigllms.agent.create({
    provider = "openai",
    tools = { { name = "leave", execute = execute } },
  })
end

situations["inside a tool"] = function()
  zigllms.agent.run(tool_agent(leave), "call")
end

situations["inside a tool of a run in a spawned coroutine"] = function()
  kept[1] = zigllms.spawn(zigllms.agent.run, tool_agent(leave), "call")
  kept[1]:await()
end

situations["a tool waits"] = function()
  local id = tool_agent(function()
    entered = true
    zigllms.sleep(60000)
  end)
  kept[1] = zigllms.agent.run(id, "call", { async = true })
  poll_until(has_entered)
  leave()
end

situations["a tool waits for a model"] = function()
  local id = tool_agent(function()
    entered = true
    zigllms.provider.chat("slow")
  end)
  kept[1] = zigllms.agent.run(id, "call", { async = true })
  poll_until(has_entered)
  zigllms.poll(100)
  leave()
end

situations["handles are unfinished and tasks sleep"] = function()
  for i = 1, 20 do
    kept[#kept + 1] = zigllms.provider.chat("slow", { async = true })
    kept[#kept + 1] = zigllms.spawn(function()
      zigllms.sleep(60000 + i)
    end)
    zigllms.spawn(zigllms.sleep, 60000)
    kept[#kept + 1] = zigllms.provider.chat("slow", { async = true }):on(print)
  end
  zigllms.poll(50)
  leave()
end

situations["inside a spawned coroutine"] = function()
  kept[1] = zigllms.provider.chat("slow", { async = true })
  kept[2] = zigllms.spawn(function()
    zigllms.sleep(20)
    leave()
  end)
  kept[2]:await()
end

situations["inside a callback of a handle"] = function()
  kept[1] = zigllms.provider.chat("slow", { async = true })
  kept[2] = zigllms.spawn(zigllms.sleep, 1):on(function()
    entered = true
    leave()
  end)
  poll_until(has_entered)
end

situations["after fd()"] = function()
  assert(zigllms.fd())
  leave()
end

situations["after fd() with work in flight"] = function()
  assert(zigllms.fd())
  kept[1] = zigllms.provider.chat("slow", { async = true })
  kept[2] = zigllms.spawn(zigllms.sleep, 60000)
  zigllms.poll(50)
  assert(zigllms.fd())
  leave()
end

situations["with two instances at work"] = function()
  local other = zigllms.new()
  other.provider.configure("openai", { base_url = url, api_key = "test", model = "test" })
  other.configure({ default_provider = "openai" })
  kept[1] = other.provider.chat("slow", { async = true })
  kept[2] = zigllms.provider.chat("slow", { async = true })
  zigllms.poll(100)
  leave()
end

situations[situation]()
]]

-- Ways to leave, with what each situation allows: the process cannot come to its end inside of a
-- function that somebody called, and a tool's error is told to the model.
local ANY = { "end", "exit 0", "exit 3 closing", "error" }
local INSIDE = { "exit 0", "exit 3 closing", "error" }
local EXITS = { "exit 0", "exit 3 closing" }

local SITUATIONS = {
  { "a chat waits for its first byte", ANY },
  { "a chat waits and nobody holds its handle", ANY },
  { "a stream is half read", ANY },
  { "a stream's handle is half read", ANY },
  { "inside a stream callback", INSIDE },
  { "inside a callback of a background stream", EXITS },
  { "a stream callback waits", ANY },
  { "inside a tool", EXITS },
  { "inside a tool of a run in a spawned coroutine", EXITS },
  { "a tool waits", ANY },
  { "a tool waits for a model", ANY },
  { "handles are unfinished and tasks sleep", ANY },
  { "inside a spawned coroutine", INSIDE },
  { "inside a callback of a handle", EXITS },
  { "after fd()", ANY },
  { "after fd() with work in flight", ANY },
  { "with two instances at work", ANY },
}

local CODES = { ["end"] = 0, ["exit 0"] = 0, ["exit 3 closing"] = 3, error = 1 }

-- The interpreter reports an uncaught error in one line, with a traceback unless it is an object.
local function only_the_error(text)
  local first, rest = text:match("^([^\n]*)\n(.*)$")
  if not (first and first:find("boom", 1, true)) then
    return false
  end
  return rest == "" or not ("\n" .. rest:gsub("^stack traceback:\n", "")):find("\n[^\t]")
end

describe("the process ends", function()
  setup(function()
    local half = { sse = { scripted.chunk({ content = "half" }), scripted.null } }
    half.stall_ms, half.when, half["repeat"] = 20000, "half", true
    local slow = scripted.text("slow", { delay_ms = 20000, when = "slow", ["repeat"] = true })
    local call = scripted.calls({ { "c1", "leave", "{}" } }, { when = "call", ["repeat"] = true })
    server:script(half, slow, call)
  end)

  teardown(function()
    server:stop()
  end)

  for _, entry in ipairs(SITUATIONS) do
    local situation, ways = entry[1], entry[2]
    for _, way in ipairs(ways) do
      it(("%s: %s"):format(situation, way), function()
        local result = program.run(CHUNK, { args = { situation, way, server.url } })
        assert.equal(CODES[way], result.rc, result.err)
        assert.equal("leaving\n", result.out)
        if way == "error" then
          assert.is_true(only_the_error(result.err), result.err)
        else
          assert.equal("", result.err)
        end
        assert.is_true(result.ms < 3000)
      end)
    end
  end
end)
