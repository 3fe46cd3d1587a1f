-- Errors: what they hold, how they read, where they point, and how they pass through callbacks.
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local model = scripted.new()
local agent, provider, tool = zigllms.agent, zigllms.provider, zigllms.tool

local function line()
  return debug.getinfo(2, "l").currentline
end

describe("errors", function()
  before_each(model:as_default())

  teardown(zigllms.reset)

  local function chat(options)
    options = options or {}
    options.provider = "openai"
    return provider.chat("hi", options)
  end

  it("are tables that tell what, where and by whom", function()
    local ok, err = pcall(function()
      return agent.get_state("invalid_agent_id")
    end)
    assert.is_false(ok)
    assert.is_table(err)
    assert.equal("not_found", err.code)
    assert.equal("agent", err.bridge)
    assert.equal("get_state", err.func)
    assert.is_false(err.retryable)
    assert.is_nil(err.cause)
    assert.is_nil(err.partial)
    assert.truthy(err.where:find("errors_spec.lua:%d+$"))
  end)

  it("are one line of text", function()
    local err = raised("not_found", agent.get_state, "invalid_agent_id")
    local text = tostring(err)
    assert.equal(
      err.where .. ': zigllms.agent.get_state: agent not found: "invalid_agent_id" [not_found]',
      text
    )
    assert.equal("Error: " .. text, "Error: " .. err)
    assert.equal(text .. "", err .. "")
    assert.equal(text .. text, err .. err)
    assert.equal(text .. 5, err .. 5)
    assert.is_nil(text:find("\n", 1, true))
    assert.is_nil(text:find("traceback", 1, true))
  end)

  it("answer is()", function()
    local err = raised("not_found", agent.get_state, "nobody")
    assert.is_true(err:is("not_found"))
    assert.is_true(err:is(zigllms.ErrorCode.NOT_FOUND))
    assert.is_false(err:is("timeout"))
    assert.is_false(err:is(nil))
  end)

  it("are new each time", function()
    local first = raised("not_found", agent.get_state, "nobody")
    first.message = "changed"
    assert.is_nil(raised("not_found", agent.get_state, "nobody").message:find("changed", 1, true))
  end)

  it("of the module itself have no bridge", function()
    local err = raised("invalid_argument", zigllms.configure, { strictt = true })
    assert.is_nil(err.bridge)
    assert.equal("configure", err.func)
    assert.truthy(tostring(err):find(": zigllms.configure: ", 1, true))
    assert.truthy(err.message:find('"strict"', 1, true))
  end)

  describe("point to the caller's line", function()
    local function place(fn)
      local ok, err = pcall(fn)
      assert.is_false(ok)
      return tonumber(err.where:match("errors_spec.lua:(%d+)$"))
    end

    it("in a function", function()
      local here
      assert.equal(
        place(function()
          here = line()
          agent.get_state("nobody")
        end),
        here + 1
      )
    end)

    it("through pcall itself", function()
      local here = line()
      local _, err = pcall(agent.get_state, "nobody")
      assert.truthy(err.where:find("errors_spec.lua:" .. here + 1 .. "$"), err.where)
    end)

    it("in a coroutine", function()
      local here
      local thread = coroutine.create(function()
        here = line()
        agent.get_state("nobody")
      end)
      local _, err = coroutine.resume(thread)
      assert.truthy(err.where:find(":" .. here + 1 .. "$"), err.where)
    end)

    it("of a call that waits", function()
      model:script(scripted.failure(400, "no"))
      local here
      local err = raised("bad_request", function()
        here = line()
        provider.chat("hi", { provider = "openai" })
      end)
      assert.truthy(err.where:find(":" .. here + 1 .. "$"), err.where)
    end)

    it("of a handle's making, or of the await", function()
      model:script(scripted.failure(400, "no"))
      local err = raised("bad_request", function()
        chat({ async = true }):await()
      end)
      assert.truthy(err.where:find("errors_spec.lua:%d+$"), err.where)
    end)

    it("of a method", function()
      local handle = zigllms.spawn(function() end)
      local here
      local err = raised("invalid_argument", function()
        here = line()
        handle:wait("long")
      end)
      assert.truthy(err.where:find(":" .. here + 1 .. "$"), err.where)
    end)

    it("inside a tool", function()
      local here
      local id = tool.register({
        name = "inner",
        execute = function()
          here = line()
          agent.get_state("nobody")
        end,
      })
      local err = raised("tool_error", tool.execute, id)
      assert.truthy(err.cause.where:find(":" .. here + 1 .. "$"), err.cause.where)
      assert.truthy(
        err.where:find("raised.lua", 1, true),
        "the outer one is where execute was called"
      )
    end)

    it("in a chunk without a file", function()
      local compile = loadstring or load -- luacheck: ignore
      local chunk = compile("local f = ...\nf('nobody')", "=my chunk")
      local err = raised("not_found", chunk, agent.get_state)
      assert.equal("my chunk:2", err.where)
    end)
  end)

  describe("of user code", function()
    local causes = {
      { "a string", "text" },
      { "a table", { code = 42 } },
      {
        "a table with tostring",
        setmetatable({}, {
          __tostring = function()
            return "readable"
          end,
        }),
      },
      { "a function", print },
      { "a userdata", io.stdout },
      { "a thread", coroutine.create(print) },
      { "a number", 42 },
      { "false", false },
    }

    for _, case in ipairs(causes) do
      it("keep " .. case[1] .. " as it was raised", function()
        local cause = case[2]
        local function boom()
          error(cause, 0)
        end
        local id = tool.register({ name = "boom", replace = true, execute = boom })
        local err = raised("tool_error", tool.execute, id)
        assert.equal(cause, err.cause)
        assert.truthy(err.message:find("boom", 1, true))
        assert.is_string(tostring(err))

        model:script(scripted.text("x"))
        err = raised("callback_error", chat, { stream = boom })
        assert.equal(cause, err.cause)

        err = raised("callback_error", zigllms.await, zigllms.spawn(boom))
        assert.equal(cause, err.cause)
      end)
    end

    it("keep nil, too", function()
      local id = tool.register({
        name = "boom",
        execute = function()
          error()
        end,
      })
      assert.is_nil(raised("tool_error", tool.execute, id).cause)
      model:script(scripted.text("x"))
      local function boom()
        error(nil)
      end
      assert.is_nil(raised("callback_error", chat, { stream = boom }).cause)
      assert.is_nil(raised("callback_error", zigllms.await, zigllms.spawn(boom)).cause)
    end)

    it("read well when tostring of the cause fails", function()
      local cause = setmetatable({}, {
        __tostring = function()
          error("not today")
        end,
      })
      local id = tool.register({
        name = "boom",
        execute = function()
          error(cause)
        end,
      })
      local err = raised("tool_error", tool.execute, id)
      assert.equal(cause, err.cause)
      assert.is_string(tostring(err))
    end)

    it("have the reason in the message", function()
      local id = tool.register({
        name = "refuses",
        execute = function()
          return nil, "not on a Sunday"
        end,
      })
      local err = raised("tool_error", tool.execute, id)
      assert.truthy(err.message:find("not on a Sunday", 1, true))
      assert.equal("not on a Sunday", err.cause)
    end)

    it("are ordinary Lua errors, too", function()
      local id = tool.register({
        name = "typo",
        execute = function()
          return zigllms.no_such_member.field
        end,
      })
      local err = raised("tool_error", tool.execute, id)
      assert.is_string(err.cause)
      assert.truthy(err.cause:find("errors_spec.lua:%d+:"), err.cause)
    end)

    it("of the module pass through callbacks, and become the cause of a tool's", function()
      local mine =
        zigllms.error("rate_limited", "slow down", { retryable = true, details = { a = 1 } })
      local function boom()
        error(mine)
      end
      model:script(scripted.text("x"))
      local err = raised("rate_limited", chat, { stream = boom })
      assert.equal("slow down", err.message)
      assert.is_true(err.retryable)
      assert.equal("slow down", raised("rate_limited", zigllms.await, zigllms.spawn(boom)).message)
      local id = tool.register({ name = "boom", execute = boom })
      assert.equal(mine, raised("tool_error", tool.execute, id).cause)
    end)

    it("do not unwind a loop that catches them", function()
      local id = tool.register({
        name = "boom",
        execute = function()
          error("again", 0)
        end,
      })
      for _ = 1, 1000 do
        assert(not pcall(tool.execute, id))
      end
    end)
  end)

  describe("made by hand", function()
    it("are like ours", function()
      local err =
        zigllms.error("not_found", "no such thing", { details = { id = 7 }, retryable = true })
      assert.truthy(tostring(err):find("no such thing [not_found]", 1, true))
      assert.is_true(err:is("not_found"))
      assert.equal(7, err.details.id)
      assert.is_true(err.retryable)
      assert.is_false(zigllms.error("a", "b").retryable)
    end)

    it("keep their cause", function()
      local cause = {}
      assert.equal(cause, zigllms.error("a", "b", { cause = cause }).cause)
    end)
  end)

  describe("in return style", function()
    it("come from try", function()
      local value, err = zigllms.try(agent.get_state, "nobody")
      assert.is_nil(value)
      assert.equal("not_found", err.code)
      local function several(...)
        return select("#", ...), ...
      end
      assert.same({ 3, 1, nil, 3 }, {
        several(zigllms.try(function(a)
          return a, nil, 3
        end, 1)),
      })
      assert.equal(0, (several(zigllms.try(function() end))))
      local _, plain = zigllms.try(error, "as it is", 0)
      assert.equal("as it is", plain)
    end)

    it("come from safe", function()
      local safe = zigllms.safe
      local value, err = safe.agent.get_state("nobody")
      assert.is_nil(value)
      assert.equal("not_found", err.code)
      assert.is_string(safe.agent.create({ provider = "openai" }))
      assert.equal("idle", safe.agent.State.IDLE)
      assert.equal(zigllms.null, safe.null)
      assert.equal(safe, zigllms.safe)
      model:script(scripted.failure(400, "no"))
      value, err = safe.provider.chat("hi", { provider = "openai" })
      assert.is_nil(value)
      assert.equal("bad_request", err.code)
    end)
  end)

  describe("codes", function()
    it("are constants", function()
      local n = 0
      for name, code in pairs(zigllms.ErrorCode) do
        assert.equal(name:lower(), code)
        n = n + 1
      end
      assert.equal(30, n)
      raised("invalid_argument", function()
        return zigllms.ErrorCode.NOPE
      end)
      raised("invalid_argument", function()
        zigllms.ErrorCode.MINE = "mine"
      end)
    end)

    it("of what the module refuses", function()
      raised("invalid_argument", agent.create, 5)
      raised("not_found", tool.execute, "nobody")
      tool.register({ name = "twice" })
      local err = raised("already_exists", tool.register, { name = "twice" })
      assert.truthy(err.message:find("replace=true", 1, true))
      provider.create({ type = "openai", name = "mine" })
      raised("already_exists", provider.create, { type = "openai", name = "mine" })
      raised("already_exists", provider.create, { type = "openai", name = "openai" })
      raised(
        "validation_failed",
        tool.register,
        { name = "bad", parameters = { type = "nothing" } }
      )
      raised("conversion_error", agent.create, { provider = "openai", metadata = { n = 0 / 0 } })
      raised("unsupported", agent.create, { provider = { type = "openai", api = "ollama" } })
      raised("unsupported", tool.execute, "twice")
      raised("invalid_state", zigllms.run, function()
        zigllms.run(function() end)
      end)
    end)

    it("of what takes too long or is no longer wanted", function()
      local slow = tool.register({
        name = "slow",
        timeout_ms = 20,
        execute = function()
          zigllms.sleep(5000)
        end,
      })
      assert.equal("tool", raised("timeout", tool.execute, slow).phase)
      local handle = tool.execute(slow, {}, { async = true, timeout_ms = 0 })
      handle:cancel("enough")
      assert.equal("enough", raised("cancelled", zigllms.await, handle).details.reason)
    end)
  end)

  it("and everything else leave nothing on standard error", function()
    local far = scripted.new("openai", { transport = "http" })
    far:script({ error = "server_error", again = true })
    local result = program.run(
      [[
      local zigllms = require("zigllms")
      local id = zigllms.tool.register({ name = "boom", execute = function() error({}) end })
      zigllms.provider.configure("openai", { base_url = arg[1], api_key = "k", retry = false })
      for i = 1, 20 do
        pcall(zigllms.tool.execute, id)
        pcall(zigllms.agent.get_state, {})
        pcall(zigllms.provider.chat, "hi", { provider = "openai" })
        pcall(zigllms.await, zigllms.spawn(error, "x"))
        zigllms.spawn(error, "nobody looks")
        local handle = zigllms.provider.chat("hi", { provider = "openai", async = true })
        handle:on(function() error("late") end)
      end
      pcall(zigllms.poll, 100)
      for i = 1, 50 do pcall(zigllms.poll, 5) end
      collectgarbage()
      print("done")
      ]],
      { args = { far:url() } }
    )
    assert.equal("", result.err)
    assert.equal("done\n", result.out)
    assert.equal(0, result.rc)
  end)
end)
