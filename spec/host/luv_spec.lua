-- luv: what is under way is delivered by its loop.
local in_host = require("spec.support.in_host")
local program = require("spec.support.program")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local uv = in_host.need("luv", "luv")
if not uv then
  return
end

local failed
local host = {
  name = "luv",
  nests_run = false,
  thread = function(fn)
    zigllms.spawn(fn):on(function(err)
      failed = failed or err
    end)
  end,
  loop = function()
    uv.run()
    local err = failed
    failed = nil
    if err then
      error(err, 0)
    end
  end,
  tick = function(ms, fn)
    local timer = uv.new_timer()
    timer:start(ms, ms, function()
      if not fn() then
        timer:close()
      end
    end)
  end,
}

describe("in a thread of luv", function()
  before_each(in_host.before)
  after_each(in_host.after)
  for name, case in in_host.cases(host) do
    it(name, case)
  end
end)

describe("luv's loop", function()
  local server = scripted.start()
  local options = { provider = "openai", async = true }

  local function chat()
    return zigllms.provider.chat("hi", options)
  end

  -- How many milliseconds `uv.run` takes to find that nothing is left to do.
  local function runs()
    local began = program.clock()
    uv.run()
    return (program.clock() - began) * 1000
  end

  before_each(function()
    zigllms.reset()
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
    local reply = scripted.text("hello", { delay_ms = 200 })
    reply["repeat"] = true
    server:script(reply)
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  it("delivers callbacks by itself, and ends when nothing is unfinished", function()
    local contents = {}
    for i = 1, 5 do
      chat():on(function(_, response)
        contents[i] = response.content
      end)
    end
    local took = runs()
    assert.equal("hellohellohellohellohello", table.concat(contents))
    assert.is_true(took >= 199 and took < 1000, took)
    assert.is_true(runs() < 50)
  end)

  it("delivers a callback of what was done already", function()
    local handle, told = chat(), false
    handle:await()
    runs()
    handle:on(function()
      told = true
    end)
    runs()
    assert.is_true(told)
  end)

  it("goes on for what a callback starts", function()
    local contents = {}
    chat():on(function()
      chat():on(function(_, response)
        zigllms.sleep(20)
        contents[#contents + 1] = response.content
      end)
    end)
    runs()
    assert.same({ "hello" }, contents)
  end)

  it("does not go on for what ended outside of it", function()
    chat():await()
    assert.is_true(runs() < 50)
    chat():cancel()
    assert.is_true(runs() < 50)
    chat()
    collectgarbage()
    collectgarbage()
    assert.is_true(runs() < 50)
    local told
    chat():on(function()
      told = true
    end)
    zigllms.run()
    assert.is_true(told)
    assert.is_true(runs() < 50)
    zigllms.spawn(zigllms.sleep, 20)
    while zigllms.poll(5) == 0 do
      assert(true)
    end
    assert.is_true(runs() < 50)
  end)

  it('resumes a coroutine that says async="yield"', function()
    local content
    coroutine.wrap(function()
      content = zigllms.provider.chat("hi", { provider = "openai", async = "yield" }).content
    end)()
    assert.is_nil(content)
    runs()
    assert.equal("hello", content)
  end)

  it("waits in foreign coroutines as on the main thread", function()
    local co = coroutine.create(function()
      return zigllms.provider.chat("hi", { provider = "openai" }).content
    end)
    local alive, content = coroutine.resume(co)
    assert.is_true(alive)
    assert.equal("hello", content)
    assert.equal("dead", coroutine.status(co))
  end)

  it("serves every instance of the module", function()
    local told = {}
    for i = 1, 3 do
      local own = zigllms.new({})
      own.spawn(own.sleep, 20 * i):on(function()
        told[#told + 1] = i
      end)
    end
    runs()
    assert.same({ 1, 2, 3 }, told)
  end)

  it("lets instances go that nobody uses any more", function()
    local gone = 0
    local function instance()
      local own = zigllms.new({})
      own.tool.register({
        name = "t",
        execute = setmetatable({}, {
          __call = function() end,
          __gc = function()
            gone = gone + 1
          end,
        }),
      })
      own.spawn(own.sleep, 1)
    end
    if _VERSION == "Lua 5.1" then
      return -- tables have no finalisers there
    end
    for _ = 1, 10 do
      instance()
    end
    runs()
    for _ = 1, 5 do
      collectgarbage()
      uv.run("nowait")
    end
    assert.is_true(gone >= 8, gone)
  end)
end)
