-- cqueues: a call in a thread of a controller waits in that controller.
local in_host = require("spec.support.in_host")
local program = require("spec.support.program")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local cqueues = in_host.need("cqueues", "cqueues")
if not cqueues then
  return
end

local clock = program.clock
local controller = cqueues.new()

local function loop(queue)
  local ok, message = queue:loop()
  if not ok then
    error(message, 0)
  end
end

local host = {
  name = "cqueues",
  thread = function(fn)
    controller:wrap(fn)
  end,
  loop = function()
    loop(controller)
  end,
  sleep = cqueues.sleep,
  tick = function(ms, fn)
    controller:wrap(function()
      repeat
        cqueues.sleep(ms / 1000)
      until not fn()
    end)
  end,
}

describe("in a thread of cqueues", function()
  before_each(in_host.before)
  after_each(in_host.after)
  for name, case in in_host.cases(host) do
    it(name, case)
  end
end)

describe("cqueues", function()
  local server = scripted.start()

  local function chat(options)
    return zigllms.provider.chat("hi", { provider = "openai", async = options and options.async })
  end

  before_each(function()
    zigllms.reset()
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
    local reply = scripted.text("hello", { delay_ms = 150 })
    reply["repeat"] = true
    server:script(reply)
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  it("polls a handle", function()
    local queue = cqueues.new()
    queue:wrap(function()
      local handle = chat({ async = true })
      local began = clock()
      repeat
        local ready = cqueues.poll(handle, 0.02)
        zigllms.poll()
      until ready == 0.02
      assert.is_true(clock() - began < 0.09)
      repeat
        cqueues.poll(handle, 5)
        zigllms.poll()
      until handle:done()
      assert.equal("hello", (handle:result()).content)
      assert.equal(handle, (cqueues.poll(handle, 5)))
    end)
    loop(queue)
  end)

  it("serves several controllers, one after another and inside each other", function()
    local outer, inner, other = cqueues.new(), cqueues.new(), cqueues.new()
    local ended = {}
    local function thread(name)
      return function()
        for _ = 1, 3 do
          chat()
          zigllms.sleep(10)
        end
        ended[#ended + 1] = name
      end
    end
    outer:wrap(thread("outer"))
    outer:wrap(thread("outer"))
    inner:wrap(thread("inner"))
    inner:wrap(thread("inner"))
    other:wrap(thread("other"))
    outer:wrap(function()
      loop(inner)
      ended[#ended + 1] = "nested"
    end)
    local began = clock()
    repeat
      assert(outer:step(0.005))
      assert(other:step(0.005))
    until outer:empty() and other:empty()
    table.sort(ended)
    assert.same({ "inner", "inner", "nested", "other", "outer", "outer" }, ended)
    assert.is_true(clock() - began < 1.5)
  end)

  it("goes on when a thread that waited has ended or failed", function()
    local queue, ended = cqueues.new(), 0
    local errors = 0
    for i = 1, 20 do
      queue:wrap(function()
        zigllms.sleep(i * 5)
        if i % 2 == 0 then
          error("thread " .. i, 0)
        end
        ended = ended + 1
      end)
    end
    for message in queue:errors() do
      assert.truthy(tostring(message):find("^thread"))
      errors = errors + 1
    end
    assert.same({ 10, 10 }, { ended, errors })
  end)

  it("survives the end of a controller in the middle", function()
    local slow = scripted.text("late", { delay_ms = 5000, ["repeat"] = true })
    slow.when = "slow"
    server:script(slow, scripted.text("hello"))
    local function ask_slowly()
      return zigllms.provider.chat("slow", { provider = "openai" })
    end
    for _ = 1, 3 do
      local queue = cqueues.new()
      for _ = 1, 3 do
        queue:wrap(ask_slowly)
        queue:wrap(zigllms.sleep, 10000)
      end
      assert(queue:loop(0.08))
    end
    collectgarbage()
    collectgarbage()
    local queue = cqueues.new()
    queue:wrap(function()
      assert.equal("hello", chat().content)
    end)
    loop(queue)
    server:wait_for(function(journal)
      local closed = 0
      for _, entry in ipairs(journal) do
        closed = closed + (entry.closed_after_ms and 1 or 0)
      end
      return #journal == 10 and closed == 9
    end, zigllms.sleep)
  end)

  it("leaves coroutines inside a thread to whoever resumes them", function()
    local queue, seen = cqueues.new(), {}
    queue:wrap(function()
      for value in
        coroutine.wrap(function()
          coroutine.yield(chat().content)
          coroutine.yield("second")
        end)
      do
        seen[#seen + 1] = value
      end
    end)
    loop(queue)
    assert.same({ "hello", "second" }, seen)
  end)

  it("is not used where another loop was chosen", function()
    local queue, ticks = cqueues.new(), 0
    zigllms.loop("blocking")
    queue:wrap(function()
      chat()
      zigllms.loop("auto")
    end)
    queue:wrap(function()
      ticks = ticks + 1
    end)
    assert(queue:step(0))
    assert.equal("auto", zigllms.loop())
    loop(queue)
    zigllms.configure({ loop = "cqueues" })
    queue:wrap(function()
      assert.equal("hello", chat().content)
    end)
    loop(queue)
    assert.equal("hello", chat().content)
    zigllms.configure({ loop = "auto" })
  end)

  it("lets a stream with a callback be fast without starving others", function()
    local queue, ticks, ended = cqueues.new(), 0, false
    local reply = scripted.text({}, {})
    reply.sse = nil
    reply.chunks = { "data: " .. '{"choices":[{"index":0,"delta":{"content":"x"}}]}' .. "\n\n" }
    reply.times = 100000
    reply.chunks[2] = "data: [DONE]\n\n"
    server:script(reply)
    queue:wrap(function()
      zigllms.provider.stream("hi", function() end, { provider = "openai" })
      ended = true
    end)
    queue:wrap(function()
      repeat
        cqueues.sleep(0.001)
        ticks = ticks + 1
      until ended
    end)
    loop(queue)
    assert.is_true(ticks > 3, ticks)
  end)
end)
