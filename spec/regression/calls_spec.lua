-- Defects of single calls that were found once.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local agent, tool = zigllms.agent, zigllms.tool

describe("once broken", function()
  local id

  setup(function()
    id = agent.create({
      provider = { type = "local", base_url = "http://127.0.0.1:9", retry = false },
    })
  end)

  teardown(function()
    zigllms.reset()
  end)

  local function refused(value)
    return raised("conversion_error", agent.run, id, { v = value }).message
  end

  it("a path below the first level lost its names", function()
    local deep = { a = { b = { coroutine.create(print) } } }
    assert.equal("input.v.a.b[1]: a thread is not data", refused(deep))
    assert.truthy(refused({ a = { [true] = 1 } }):find("^input%.v%.a"))
    assert.truthy(refused({ a = { [1.5] = 1 } }):find("^input%.v%.a"))
    local loop = {}
    loop.x = { y = loop }
    assert.truthy(refused(loop):find("^input%.v%.x%.y: "))
    assert.truthy(refused({ { ["b c"] = print } }):find('^input%.v%[1%]%["b c"%]: '))
  end)

  it("a table marked as an array lost members that do not fit", function()
    refused(zigllms.array({ a = 1 }))
    refused(zigllms.array({ [2] = 1 }))
  end)

  it("a mark on a number changed the metatable of all numbers", function()
    for _, mark in ipairs({ zigllms.array, zigllms.object }) do
      for _, value in ipairs({ 5, true, "x", print }) do
        local before = debug.getmetatable(value)
        raised("invalid_argument", mark, value)
        assert.equal(before, debug.getmetatable(value))
      end
      raised("invalid_argument", mark, nil)
      assert.is_nil(debug.getmetatable(nil))
    end
  end)

  it("tables that are shared over and over were expanded without end", function()
    local bomb = { 1 }
    for _ = 1, 60 do
      bomb = { bomb, bomb }
    end
    raised("conversion_error", agent.run, id, bomb)
    raised("conversion_error", agent.create, { provider = "local", metadata = { bomb } })
  end)

  it("a handle as an id was an empty id", function()
    local handle = zigllms.spawn(function() end)
    assert.truthy(
      raised("invalid_argument", agent.run, handle, "x").message:find("agent_id", 1, true)
    )
  end)

  it("null in an optional place hung, or was not absent", function()
    assert.is_number(zigllms.poll(zigllms.null))
    assert.equal("m", zigllms.error("c", "m", zigllms.null).message)
    assert.is_table(zigllms.new(zigllms.null))
  end)

  it("errors of Lua's side named no function", function()
    local function named(func, fn, ...)
      local err = raised(fn == zigllms.run and "invalid_state" or "invalid_argument", fn, ...)
      assert.equal(func, err.func)
      assert.truthy(tostring(err):find(": zigllms." .. func .. ": ", 1, true), tostring(err))
    end
    named("all", zigllms.all, { 1 })
    named("race", zigllms.race, {})
    named("array", zigllms.array, setmetatable({}, {}))
    named("await", zigllms.await, coroutine.create(print))
    zigllms.run(function()
      named("run", zigllms.run, function() end)
    end)
  end)

  it("messages grew with what they quote", function()
    local list = {}
    for i = 1, 10000 do
      list[i] = "item"
    end
    local probe = tool.register({ name = "probe", execute = function() end })
    assert.is_true(#raised("validation_failed", tool.execute, probe, list).message < 1000)
    local long = { provider = "local", schema = ("x"):rep(100000) }
    assert.is_true(#raised("not_found", agent.create, long).message < 1000)
  end)

  it("a value that is no data could not be given from one Lua function to another", function()
    local echo = tool.register({
      name = "echo",
      execute = function(input)
        return input
      end,
    })
    local input = { fn = print, nan = 0 / 0, bytes = "\255" }
    input.loop = input
    assert.equal(input, tool.execute(echo, input))
  end)

  it("a function or userdata inside data options became null", function()
    local function at(path, fn, ...)
      local message = raised("conversion_error", fn, ...).message
      assert.truthy(message:find(path, 1, true), message)
    end
    local function create(key, value)
      return agent.create({ provider = "openai", [key] = value })
    end
    at("config.metadata.f", create, "metadata", { f = print })
    at("config.metadata.t[1]", create, "metadata", { t = { io.stdout } })
    at("config.extra.f", create, "extra", { f = print })
    at("config.headers.f", create, "headers", { f = print })
    at("f", create, "schema", { f = print })
    at("definition.metadata.f", tool.register, { name = "x", metadata = { f = print } })
    local parameters = { type = "object", properties = { a = { default = print } } }
    at("default", tool.register, { name = "y", parameters = parameters })
  end)

  it("cancelled operations were not counted", function()
    local mine = zigllms.new()
    local slow = mine.tool.register({
      name = "slow",
      execute = function()
        mine.sleep(1000)
      end,
    })
    local handle = mine.tool.execute(slow, {}, { async = true })
    handle:cancel()
    raised("cancelled", mine.await, handle)
    assert.equal(1, mine.metrics().cancelled)
  end)

  it("a call that could not wait had begun already", function()
    local began
    local touched = tool.register({
      name = "touched",
      execute = function()
        began = true
      end,
    })
    local err = zigllms.run(function()
      return select(
        2,
        pcall(string.gsub, "a", "a", function()
          return zigllms.tool.execute(touched)
        end)
      )
    end)
    assert.equal("unsupported", err.code)
    assert.truthy(tostring(err):find(": zigllms.tool.execute: ", 1, true))
    assert.is_nil(began)
  end)

  it("an error had more than one line if its cause had", function()
    local err = raised("callback_error", zigllms.await, zigllms.spawn(error, "a\nb", 0))
    assert.is_nil(tostring(err):find("\n", 1, true))
    assert.equal("a\nb", err.cause)
  end)
end)
