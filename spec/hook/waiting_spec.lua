-- Hooks that wait, take too long, or are cancelled in the middle.
local clock = require("spec.support.program").clock
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local hook, tool = zigllms.hook, zigllms.tool

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

-- A tool that says whether it was called.
local function target()
  local state = { calls = 0 }
  state.id = tool.register({
    name = "target",
    execute = function()
      state.calls = state.calls + 1
      return "done"
    end,
  })
  return state
end

local function busy(ms)
  local stop = clock() + ms / 1000
  while clock() < stop do -- luacheck: ignore
  end
end

local function quick(fn)
  local began = clock()
  fn()
  assert.is_true(clock() - began < 5, "took longer than 5 s")
end

-- How a plain call, a handle and a call in a coroutine of the module end.
local FACES = {
  plain = function(id)
    return pcall(tool.execute, id, {})
  end,
  handle = function(id)
    local handle = tool.execute(id, {}, { async = true })
    return pcall(handle.await, handle)
  end,
  task = function(id)
    local ok, value
    zigllms.run(function()
      ok, value = pcall(tool.execute, id, {})
    end)
    return ok, value
  end,
  coroutine = function(id)
    local ok, value
    coroutine.wrap(function()
      ok, value = pcall(tool.execute, id, {})
    end)()
    return ok, value
  end,
}

describe("hooks that wait", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  for face, call in pairs(FACES) do
    it("do so in every face of the call: " .. face, function()
      local it_is = target()
      local order = {}
      for _, kind in ipairs({ "pre", "around", "post" }) do
        hook.register("tool_execute", function(_, next)
          zigllms.sleep(3)
          order[#order + 1] = kind
          if next then
            local result = next()
            zigllms.sleep(3)
            return result
          end
        end, { type = kind })
      end
      local ok, value = call(it_is.id)
      assert.is_true(ok, tostring(value))
      assert.are.equal("done", value)
      assert.are.same({ "pre", "around", "post" }, order)
      assert.are.equal(1, it_is.calls)
    end)

    it("run into their own limit: " .. face, function()
      for _, kind in ipairs({ "pre", "around" }) do
        local it_is = target()
        local id = hook.register("tool_execute", function()
          zigllms.sleep(20000)
        end, { type = kind, timeout_ms = 20 })
        quick(function()
          local ok, err = call(it_is.id)
          assert.is_false(ok)
          assert.are.equal("timeout", err.code)
          assert.are.equal("total", err.phase)
          has(err.message, id)
        end)
        assert.are.equal(0, it_is.calls)
        assert.is_true(hook.get_info(id).error_count >= 1)
        zigllms.reset()
      end
    end)
  end

  it("share operations with others", function()
    local it_is = target()
    hook.register("tool_before_execute", function()
      zigllms.sleep(50)
    end)
    local began = clock()
    local handles = {}
    for i = 1, 20 do
      handles[i] = tool.execute(it_is.id, {}, { async = true })
    end
    zigllms.all(handles)
    assert.is_true(clock() - began < 0.8)
    assert.are.equal(20, it_is.calls)
  end)
end)

describe("the limit of a hook", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  it("also ends what AROUND runs", function()
    local cancelled
    local id = tool.register({
      name = "slow",
      execute = function(_, ctx)
        local ok, err = pcall(zigllms.sleep, 20000)
        cancelled = ctx.cancelled()
        assert.is_false(ok)
        error(err)
      end,
    })
    hook.register("tool_execute", function(_, next)
      return next()
    end, { timeout_ms = 20 })
    quick(function()
      has(raised("timeout", tool.execute, id).message, "hook")
    end)
    assert.is_true(cancelled)
  end)

  it("is seen when a hook returns late that never waited", function()
    for _, kind in ipairs({ "pre", "around" }) do
      local it_is = target()
      hook.register("tool_execute", function(_, next)
        busy(30)
        return next and next()
      end, { type = kind, timeout_ms = 10 })
      raised("timeout", tool.execute, it_is.id)
      zigllms.reset()
    end
  end)

  it("in POST and ERROR does no harm", function()
    local it_is = target()
    local id = hook.register("tool_after_execute", function()
      busy(30)
      return "late"
    end, { timeout_ms = 10 })
    assert.are.equal("done", tool.execute(it_is.id))
    assert.are.equal(1, hook.get_info(id).error_count)
    has(hook.get_info(id).last_error, "longer than 10 ms")
  end)

  it("of the operation ends its hooks", function()
    local deadline_id = tool.register({
      name = "outer",
      execute = function()
        return tool.execute("inner", {})
      end,
      timeout_ms = 30,
    })
    tool.register({
      name = "inner",
      execute = function()
        return 1
      end,
    })
    hook.register("tool_before_execute", function()
      zigllms.sleep(20000)
    end, { tool = "inner" })
    quick(function()
      local err = raised("timeout", tool.execute, deadline_id)
      assert.are.equal("tool", err.phase)
    end)
  end)
end)

describe("an operation that is cancelled in the middle of a hook", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  for _, kind in ipairs({ "pre", "around", "around after next", "post", "error" }) do
    it("ends as cancelled: " .. kind, function()
      local fails = kind == "error"
      local id = tool.register({
        name = "t",
        execute = function()
          if fails then
            error("bad", 0)
          end
          return "done"
        end,
      })
      local seen
      hook.register("tool_execute", function(_, next)
        if kind == "around after next" then
          next()
        end
        local ok, err = pcall(zigllms.sleep, 20000)
        seen = err
        if not ok then
          error(err, 0)
        end
      end, { type = kind:match("^%a+") })
      quick(function()
        local handle = tool.execute(id, {}, { async = true })
        zigllms.poll(5)
        assert.is_false(handle:done())
        assert.is_true(handle:cancel("enough"))
        local ok, err = pcall(handle.await, handle)
        assert.are.equal("cancelled", seen.code)
        if kind == "post" then
          assert.is_true(ok) -- it had its result
        elseif kind == "error" then
          assert.are.equal("tool_error", err.code) -- it had its error
        else
          assert.is_false(ok)
          assert.are.equal("cancelled", err.code)
          assert.are.equal("enough", err.details and err.details.reason)
        end
      end)
      hook.unregister("tool_execute")
      fails = false
      assert.are.equal("done", tool.execute(id))
    end)
  end

  it("stays cancelled, whatever its hooks return", function()
    local calls = 0
    local id = tool.register({
      name = "t",
      execute = function()
        calls = calls + 1
      end,
    })
    for _, kind in ipairs({ "pre", "around", "error" }) do
      hook.register("tool_execute", function()
        pcall(zigllms.sleep, 20000)
        if kind ~= "around" then
          return { saved = true }
        end
      end, { type = kind })
    end
    quick(function()
      local handle = tool.execute(id, {}, { async = true })
      zigllms.poll(5)
      handle:cancel()
      local ok, err = pcall(handle.await, handle)
      assert.is_false(ok)
      assert.are.equal("cancelled", err.code)
    end)
    assert.are.equal(0, calls)
  end)

  it("may be in a coroutine that is never resumed", function()
    local it_is = target()
    local failures = 0
    hook.register("tool_before_execute", function()
      coroutine.yield("waiting")
    end)
    hook.register("tool_error", function()
      failures = failures + 1
    end)
    do
      local co = coroutine.wrap(function()
        tool.execute(it_is.id)
      end)
      assert.are.equal("waiting", co())
    end
    collectgarbage()
    collectgarbage()
    zigllms.poll()
    hook.disable("tool_before_execute")
    assert.are.equal("done", tool.execute(it_is.id))
    assert.are.equal(1, it_is.calls)
    assert.are.equal(0, failures)
  end)
end)
