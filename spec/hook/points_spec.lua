-- Hooks around real operations: before, after, around, and when they failed.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local hook, tool = zigllms.hook, zigllms.tool
local Type = hook.Type

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

local function double()
  return tool.register({
    name = "double",
    parameters = { type = "object", properties = { n = { type = "number" } }, required = { "n" } },
    execute = function(input)
      return input.n * 2
    end,
  })
end

-- A tool that tells what it was called with, and how often.
local function teller(extra)
  local calls = {}
  local definition = {
    name = "teller",
    execute = function(input)
      calls[#calls + 1] = input
      return { got = input.n }
    end,
  }
  for key, value in pairs(extra or {}) do
    definition[key] = value
  end
  return tool.register(definition), calls
end

describe("hooks around an operation", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  describe("PRE", function()
    it("vetoes with false, and the operation does not run", function()
      local id, calls = teller()
      local hook_id = hook.register("tool_before_execute", function()
        return false
      end)
      local err = raised("aborted_by_hook", tool.execute, id, { n = 1 })
      has(err.message, hook_id .. " (tool_before_execute)")
      assert.are.equal("execute", err.func)
      assert.are.equal(0, #calls)
    end)

    it("says why", function()
      local id = teller()
      hook.register("tool_before_execute", function()
        return false, "not on a Sunday"
      end)
      has(raised("aborted_by_hook", tool.execute, id).message, "not on a Sunday")
    end)

    it("gives the operation another input: returned, assigned, or changed in place", function()
      local ways = {
        function()
          return { n = 5 }
        end,
        function(context)
          context.data = { n = 5 }
        end,
        function(context)
          context.input = { n = 5 }
        end,
        function(context)
          context.data.n = 5
        end,
      }
      for _, way in ipairs(ways) do
        local id = hook.register("tool_before_execute", way)
        assert.are.equal(10, tool.execute(double(), { n = 2 }))
        zigllms.reset()
        assert.is_false(hook.unregister(id))
      end
    end)

    it("hands the value from hook to hook, in order of priority", function()
      local seen = {}
      local function add(name, priority)
        hook.register("tool_before_execute", function(context)
          seen[#seen + 1] = name .. context.data.n .. " " .. context.index .. "/" .. context.total
          return { n = context.data.n + 1 }
        end, priority)
      end
      add("c", "low")
      add("a", hook.Priority.HIGH)
      add("b", { priority = 0 })
      add("d", -100)
      assert.are.equal(10, tool.execute(double(), { n = 1 }))
      assert.are.same({ "a1 1/4", "b2 2/4", "c3 3/4", "d4 4/4" }, seen)
    end)

    it("ends the operation where it fails, with what it raised as the cause", function()
      local id, calls = teller()
      local reason = { because = "of this" }
      local hook_id = hook.register("tool_before_execute", function()
        error(reason)
      end)
      local err = raised("hook_error", tool.execute, id)
      assert.are.equal(reason, err.cause)
      has(err.message, hook_id)
      assert.are.equal(0, #calls)
    end)

    it("ends the operation where its value does not fit", function()
      hook.register("tool_before_execute", function()
        return { n = "many" }
      end)
      local err = raised("hook_error", tool.execute, double(), { n = 1 })
      has(err.message, "an input that does not fit")
      assert.are.equal("validation_failed", err.cause.code)
    end)
  end)

  describe("POST", function()
    it("replaces the result: returned, assigned, or changed in place", function()
      local ways = {
        function()
          return { got = 7 }
        end,
        function(context)
          context.result = { got = 7 }
        end,
        function(context)
          context.output = { got = 7 }
        end,
        function(context)
          context.data = { got = 7 }
        end,
        function(context)
          context.result.got = 7
        end,
      }
      for _, way in ipairs(ways) do
        hook.register("tool_after_execute", way)
        assert.are.same({ got = 7 }, tool.execute(teller(), { n = 1 }))
        zigllms.reset()
      end
    end)

    it("leaves the very result alone with nil", function()
      local result = {}
      local id = tool.register({
        name = "same",
        execute = function()
          return result
        end,
      })
      local seen
      hook.register("tool_after_execute", function(context)
        seen = context
      end)
      assert.are.equal(result, tool.execute(id, { x = 1 }))
      assert.are.equal(result, seen.result)
      assert.are.equal(result, seen.output)
      assert.are.same({ x = 1 }, seen.input)
      assert.is_nil(seen.error)
    end)

    it("may put false in place of the result", function()
      hook.register("tool_after_execute", function()
        return false
      end)
      assert.is_false(tool.execute(double(), { n = 1 }))
    end)

    it("fails without harm, and is counted", function()
      local id = hook.register("tool_after_execute", function()
        error("oops", 0)
      end)
      assert.are.equal(4, tool.execute(double(), { n = 2 }))
      local info = hook.get_info(id)
      assert.are.equal(1, info.call_count)
      assert.are.equal(1, info.error_count)
      has(info.last_error, "oops")
    end)

    it("does not run for what failed", function()
      local ran = false
      hook.register("tool_after_execute", function()
        ran = true
      end)
      raised("validation_failed", tool.execute, double(), { n = "x" })
      local id = tool.register({
        name = "bad",
        execute = function()
          error("bad")
        end,
      })
      raised("tool_error", tool.execute, id)
      assert.is_false(ran)
    end)
  end)

  describe("AROUND", function()
    it("wraps the operation, the highest outermost", function()
      local order = {}
      local function wrap(name, priority)
        hook.register("tool_execute", function(_, next)
          order[#order + 1] = name .. " in"
          local result = next()
          order[#order + 1] = name .. " out"
          return result + 1
        end, priority)
      end
      wrap("inner", "low")
      wrap("outer", "high")
      hook.register("tool_before_execute", function()
        order[#order + 1] = "pre"
      end, "lowest")
      hook.register("tool_after_execute", function(context)
        order[#order + 1] = "post " .. context.result
      end, "highest")
      assert.are.equal(6, tool.execute(double(), { n = 2 }))
      assert.are.same({ "pre", "outer in", "inner in", "inner out", "outer out", "post 6" }, order)
    end)

    it("gives what is inside another input", function()
      hook.register("tool_execute", function(context, next)
        assert.are.same({ n = 2 }, context.data)
        return next({ n = context.data.n + 1 })
      end)
      hook.register("tool_execute", function(context, next)
        context.data.n = context.data.n * 10
        return next()
      end, "low")
      assert.are.equal(60, tool.execute(double(), { n = 2 }))
    end)

    it("leaves the result as it was with nil", function()
      hook.register("tool_execute", function(context, next)
        assert.are.equal(4, next())
        assert.are.equal(4, context.result)
      end)
      assert.are.equal(4, tool.execute(double(), { n = 2 }))
    end)

    it("may assign the result", function()
      hook.register("tool_execute", function(context, next)
        next()
        context.result = "mine"
      end)
      assert.are.equal("mine", tool.execute(double(), { n = 2 }))
    end)

    it("may do without the operation", function()
      local id, calls = teller()
      hook.register("tool_execute", function()
        return "short cut"
      end)
      assert.are.equal("short cut", tool.execute(id))
      assert.are.equal(0, #calls)
    end)

    it("makes the result nil if it neither calls next nor returns a value", function()
      local id, calls = teller()
      hook.register("tool_execute", function() end)
      assert.is_nil(tool.execute(id))
      assert.are.equal(0, #calls)
    end)

    it("sees the operation's error, and may recover", function()
      local cause = {}
      local id = tool.register({
        name = "bad",
        execute = function()
          error(cause)
        end,
      })
      local seen
      hook.register("tool_execute", function(_, next)
        local ok, err = pcall(next)
        assert.is_false(ok)
        seen = err
        return "saved"
      end)
      local posted
      hook.register("tool_after_execute", function(context)
        posted = context.result
      end)
      assert.are.equal("saved", tool.execute(id))
      assert.are.equal("tool_error", seen.code)
      assert.are.equal(cause, seen.cause)
      assert.are.equal("saved", posted)
    end)

    it("passes the operation's error on as it is", function()
      local id = tool.register({
        name = "bad",
        execute = function()
          error("bad", 0)
        end,
      })
      for _ = 1, 2 do
        hook.register("tool_execute", function(_, next)
          return next()
        end)
      end
      local err = raised("tool_error", tool.execute, id)
      assert.are.equal("bad", err.cause)
      assert.are.equal("tool", err.bridge)
      has(err.where, "raised.lua")
    end)

    it("that only looks at the error leaves it", function()
      local id = tool.register({
        name = "bad",
        execute = function()
          error("bad", 0)
        end,
      })
      hook.register("tool_execute", function(_, next)
        pcall(next)
      end)
      raised("tool_error", tool.execute, id)
    end)

    it("fails with hook_error, before and after next", function()
      for _, calls_next in ipairs({ false, true }) do
        local reason = {}
        hook.register("tool_execute", function(_, next)
          if calls_next then
            next()
          end
          error(reason)
        end)
        local err = raised("hook_error", tool.execute, double(), { n = 1 })
        assert.are.equal(reason, err.cause)
        zigllms.reset()
      end
    end)

    it("may be at a point", function()
      hook.register("tool_error", function(context, next)
        assert.are.equal("tool_execute", context.point)
        assert.are.equal("tool_error", context.hook)
        return next() + 1
      end, { type = Type.AROUND })
      assert.are.equal(5, tool.execute(double(), { n = 2 }))
    end)
  end)

  describe("next", function()
    it("runs once", function()
      local id, calls = teller()
      local second
      hook.register("tool_execute", function(_, next)
        local result = next()
        second = raised("invalid_state", next)
        return result
      end)
      assert.are.same({ got = 3 }, tool.execute(id, { n = 3 }))
      has(second.message, "before")
      assert.are.equal(1, #calls)
    end)

    it("runs only while its hook runs", function()
      local kept
      hook.register("tool_execute", function(_, next)
        kept = next
        return 1
      end)
      tool.execute(double(), { n = 1 })
      raised("invalid_state", kept)
    end)

    it("runs only in the coroutine of its hook", function()
      local ok, err
      hook.register("tool_execute", function(_, next)
        ok, err = coroutine.resume(coroutine.create(next))
        return next()
      end)
      assert.are.equal(4, tool.execute(double(), { n = 2 }))
      assert.is_false(ok)
      assert.are.equal("invalid_state", err.code)
    end)

    it("may wait", function()
      local id = tool.register({
        name = "slow",
        execute = function()
          zigllms.sleep(5)
          return "slept"
        end,
      })
      hook.register("tool_execute", function(_, next)
        zigllms.sleep(5)
        return next() .. " well"
      end)
      assert.are.equal("slept well", tool.execute(id))
      assert.are.equal("slept well", tool.execute(id, {}, { async = true }):await())
      local result
      local co = coroutine.wrap(function()
        result = tool.execute(id)
      end)
      co()
      assert.are.equal("slept well", result)
    end)

    it(
      "inside a C call that cannot be yielded over ends the operation, and nothing is left",
      function()
        local id = tool.register({
          name = "slow",
          execute = function()
            zigllms.sleep(20)
          end,
        })
        hook.register("tool_execute", function(_, next)
          local ok = pcall(string.gsub, "x", "x", function()
            next()
          end)
          return ok
        end)
        local ok = pcall(tool.execute, id)
        hook.disable("tool_execute")
        assert.is_nil(tool.execute(id))
        assert.is_boolean(ok)
      end
    )
  end)

  describe("ERROR", function()
    local function failing(cause)
      return tool.register({
        name = "bad",
        execute = function()
          error(cause, 0)
        end,
      })
    end

    it("sees the very error that the caller gets", function()
      local seen
      hook.register("tool_error", function(context)
        seen = context.error
        assert.is_nil(context.result)
        assert.are.same({ x = 1 }, context.input)
      end)
      local err = raised("tool_error", tool.execute, failing("bad"), { x = 1 })
      assert.are.equal(err, seen)
      assert.are.equal("bad", err.cause)
    end)

    it("gives a result in its place", function()
      local order = {}
      hook.register("tool_error", function()
        order[#order + 1] = "first"
      end)
      hook.register("tool_error", function()
        order[#order + 1] = "second"
        return { saved = true }
      end)
      hook.register("tool_error", function()
        order[#order + 1] = "third"
      end)
      hook.register("tool_after_execute", function()
        order[#order + 1] = "post"
      end)
      assert.are.same({ saved = true }, tool.execute(failing("bad")))
      assert.are.same({ "first", "second" }, order)
    end)

    it("runs when a hook failed, too", function()
      hook.register("tool_execute", function()
        error("hook", 0)
      end)
      hook.register("tool_error", function(context)
        return context.error.code
      end)
      assert.are.equal("hook_error", tool.execute(double(), { n = 1 }))
    end)

    it("does not undo a veto", function()
      local ran = false
      hook.register("tool_before_execute", function()
        return false
      end)
      hook.register("tool_error", function()
        ran = true
        return 1
      end)
      raised("aborted_by_hook", tool.execute, double(), { n = 1 })
      assert.is_false(ran)
    end)

    it("fails without harm", function()
      local id = hook.register("tool_error", function()
        error({})
      end)
      local err = raised("tool_error", tool.execute, failing("bad"))
      assert.are.equal("bad", err.cause)
      assert.are.equal(1, hook.get_info(id).error_count)
    end)
  end)

  it("know what they are called for", function()
    local contexts = {}
    local function look(context, next)
      contexts[context.type] = context
      return next and next()
    end
    local name = "tool_before_execute"
    local metadata = { why = "audit" }
    local id = hook.register(name, look, { metadata = metadata })
    hook.register("tool_execute", look)
    hook.register("tool_*", look)
    local tool_id = double()
    local before = os.time()
    tool.execute(tool_id, { n = 1 })
    local pre, around, post = contexts.pre, contexts.around, contexts.post
    assert.are.equal(name, pre.hook)
    assert.are.equal(name, pre.point)
    assert.are.equal(id, pre.hook_id)
    assert.are.same(metadata, pre.metadata)
    assert.are.equal(tool_id, pre.tool_id)
    assert.are.equal("double", pre.tool_name)
    assert.is_true(pre.timestamp >= before and pre.timestamp <= os.time() + 1)
    assert.is_true(pre.elapsed_ms >= 0 and pre.elapsed_ms < 10000)
    assert.are.equal(1, pre.index)
    assert.are.equal(1, pre.total)
    assert.are.equal("tool_execute", around.point)
    assert.are.equal("tool_*", post.hook)
    assert.are.equal("tool_after_execute", post.point)
    assert.are.equal(2, post.result)
    assert.are.same({ n = 1 }, post.input)
    assert.is_nil(pre.result)
    assert.is_nil(post.error)
  end)

  it("of an operation's name run at its points", function()
    local points = {}
    for _, kind in ipairs({ "pre", "post", "error" }) do
      hook.register("tool_execute", function(context)
        points[#points + 1] = context.point
      end, { type = kind })
    end
    tool.execute(double(), { n = 1 })
    raised(
      "tool_error",
      tool.execute,
      tool.register({
        name = "bad",
        execute = function()
          error("x")
        end,
      })
    )
    local pre = "tool_before_execute"
    assert.are.same({ pre, "tool_after_execute", pre, "tool_error" }, points)
  end)
end)
