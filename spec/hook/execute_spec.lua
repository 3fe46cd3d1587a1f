-- Hooks that a program calls itself, and hooks made of several.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local hook, event = zigllms.hook, zigllms.event
local Type = hook.Type

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

local function add(n)
  return function(context)
    return context.data + n
  end
end

describe("hook.execute", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  it("without hooks leaves the data as they are", function()
    local data = {}
    local result = hook.execute("nobody", data)
    assert.are.equal(data, result.data)
    assert.are.same({
      hook = "nobody",
      hooks_executed = 0,
      executed = 0,
      data = {},
      aborted = false,
      results = {},
    }, result)
    assert.is_nil(hook.execute("nobody").data)
  end)

  it("hands the data from hook to hook", function()
    local a = hook.register("own", add(1))
    local b = hook.register("own", add(10), "high")
    local c = hook.register("own", function() end, "low")
    local result = hook.execute("own", 5)
    assert.are.equal(16, result.data)
    assert.are.equal(3, result.hooks_executed)
    assert.are.equal(3, result.executed)
    assert.is_false(result.aborted)
    local seen = {}
    for i, item in ipairs(result.results) do
      assert.is_true(item.ok)
      assert.is_true(item.duration_ms >= 0)
      seen[i] = item.hook_id .. "=" .. tostring(item.value)
    end
    assert.are.same({ b .. "=15", a .. "=16", c .. "=nil" }, seen)
  end)

  it("takes any value, by reference", function()
    local values = { print, coroutine.create(print), io.stdout, setmetatable({}, { __eq = error }) }
    hook.register("own", function(context)
      context.metadata = nil
    end)
    for _, value in ipairs(values) do
      assert.is_true(rawequal(value, hook.execute("own", value).data))
    end
    assert.is_false(hook.execute("own", false).data)
  end)

  it("runs by type: PRE, AROUND, POST, ERROR", function()
    local order = {}
    local function note(name)
      return function(context, next)
        order[#order + 1] = name
        if next and name ~= "post" then
          local data = next(context.data .. "a")
          order[#order + 1] = name .. " out " .. data
        end
      end
    end
    hook.register("own", note("error"), { type = Type.ERROR })
    hook.register("own", note("post"), { type = Type.POST })
    hook.register("own", note("inner"), { type = Type.AROUND, priority = -1 })
    hook.register("own", note("outer"), { type = Type.AROUND })
    hook.register("own", function()
      order[#order + 1] = "pre"
    end, { type = Type.PRE })
    local result = hook.execute("own", "x")
    assert.are.same(
      { "pre", "outer", "inner", "inner out xaa", "outer out xaa", "post", "error" },
      order
    )
    assert.are.equal("xaa", result.data)
    assert.are.equal(5, result.executed)
  end)

  it("passes over the AROUND hooks inside one that does not call next", function()
    local ran = false
    hook.register("own", function()
      return "short"
    end, { type = Type.AROUND, priority = 1 })
    hook.register("own", function()
      ran = true
    end, { type = Type.AROUND })
    hook.register("own", function(context)
      return context.data .. "!"
    end)
    local result = hook.execute("own", "x")
    assert.is_false(ran)
    assert.are.equal("short!", result.data)
    assert.are.equal(2, result.executed)
  end)

  it("keeps errors in the results, and goes on", function()
    local reason = {}
    local id = hook.register("own", function()
      error(reason)
    end)
    hook.register("own", add(1))
    local result = hook.execute("own", 1)
    assert.are.equal(2, result.data)
    assert.are.equal(2, result.executed)
    local first = result.results[1]
    assert.are.equal(id, first.hook_id)
    assert.is_false(first.ok)
    assert.are.equal("hook_error", first.error.code)
    assert.are.equal(reason, first.error.cause)
    assert.is_nil(first.value)
    assert.are.equal(1, hook.get_info(id).error_count)
  end)

  it("ends with the veto of a PRE hook", function()
    hook.register("own", function()
      return false
    end, { type = Type.PRE })
    hook.register("own", add(1))
    local result = hook.execute("own", 1)
    assert.is_true(result.aborted)
    assert.are.equal(1, result.data)
    assert.are.equal(1, result.executed)
    assert.is_false(result.results[1].value)
  end)

  it("runs one hook by its id", function()
    local id = hook.register("own", add(1))
    hook.register("own", add(10))
    local result = hook.execute(id, 1)
    assert.are.equal(2, result.data)
    assert.are.equal(id, result.hook)
    assert.are.equal(2, hook.execute(hook.get_info(id), 1).data)
    hook.disable(id)
    assert.are.equal(0, hook.execute(id, 1).executed)
    local err = raised("not_found", hook.execute, "hook_999")
    assert.are.equal("execute", err.func)
    has(tostring(err), "hook.execute")
    assert.are.equal(0, hook.execute("hook_of_mine").executed)
  end)

  it("runs hooks of globs, of points, and those for one object where the data name it", function()
    local seen = {}
    hook.register("my_*", function(context)
      seen[#seen + 1] = context.hook .. "@" .. context.point
    end)
    hook.execute("my_own")
    assert.are.same({ "my_*@my_own" }, seen)
    hook.register("tool_after_execute", add("!"), { tool = "tool_77" })
    hook.register("custom", function(context)
      return context.agent_id or "nobody"
    end, { agent = "agent_5" })
    assert.are.equal(0, hook.execute("custom", {}).executed)
    assert.are.equal(1, hook.execute("custom", { agent_id = "agent_5" }).executed)
  end)

  it("can be nested, to a limit", function()
    local depth, refused = 0, nil
    hook.register("own", function(context)
      depth = depth + 1
      local result = hook.execute("own", context.data + 1)
      local item = result.results[1]
      refused = refused or not item.ok and item.error
      return result.data
    end)
    local result = hook.execute("own", 1)
    assert.is_true(result.results[1].ok)
    assert.are.equal(64, depth)
    assert.are.equal(64, result.data)
    assert.are.equal("invalid_state", refused.cause.code)
  end)

  it("waits where its hooks wait", function()
    hook.register("own", function(context)
      zigllms.sleep(5)
      return context.data + 1
    end)
    assert.are.equal(2, hook.execute("own", 1).data)
    local result
    zigllms.run(function()
      result = hook.execute("own", 2)
    end)
    assert.are.equal(3, result.data)
    local co = coroutine.wrap(function()
      hook.register("own", function(context)
        return context.data + coroutine.yield("asked")
      end)
      return hook.execute("own", 3).data
    end)
    assert.are.equal("asked", co())
    assert.are.equal(14, co(10))
  end)

  it("gives Lua's own error for a raw yield on the main thread", function()
    hook.register("own", function()
      coroutine.yield()
    end)
    local item = hook.execute("own", 1).results[1]
    if coroutine.isyieldable and coroutine.isyieldable() or coroutine.running() and jit then
      return -- the specs run in a coroutine
    end
    assert.is_false(item.ok)
    has(item.error.message, "yield")
  end)

  it("limits the time of a hook", function()
    local id = hook.register("own", function()
      zigllms.sleep(10000)
    end, { timeout_ms = 20 })
    local item = hook.execute("own", 1).results[1]
    assert.is_false(item.ok)
    assert.are.equal("timeout", item.error.code)
    assert.are.equal("total", item.error.phase)
    has(item.error.message, id)
    assert.is_true(item.duration_ms < 5000)
    local until_then = require("spec.support.program").clock() + 0.03
    hook.register("late", function()
      while require("spec.support.program").clock() < until_then do -- luacheck: ignore
      end
      return 5
    end, { timeout_ms = 10 })
    local result = hook.execute("late", 1)
    assert.are.equal("timeout", result.results[1].error.code)
    assert.are.equal(1, result.data)
  end)

  it("tells of failures", function()
    local told = {}
    event.subscribe("hook.failed", function(e)
      told[#told + 1] = e.data
    end)
    local reason = {}
    local id = hook.register("own", function()
      error(reason)
    end)
    hook.execute("own")
    assert.are.equal(1, #told)
    assert.are.equal(id, told[1].hook_id)
    assert.are.equal("own", told[1].point)
    assert.are.equal(reason, told[1].error.cause)
  end)
end)

describe("hook.compose", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  local function some(options)
    local all = {}
    for i, fn in ipairs({ add(1), function() end, add(10) }) do
      all[i] = hook.register("part" .. i, fn, options)
    end
    return all
  end

  it("runs hooks one after another", function()
    local parts = some()
    local id = hook.compose(parts)
    assert.are.equal(16, hook.execute(id, 5).data)
    assert.are.equal(1, hook.execute(id, 5).executed)
    local info = hook.get_info(id)
    assert.is_nil(info.name)
    assert.are.equal("post", info.type)
    assert.are.equal(2, info.call_count)
    assert.are.equal(0, hook.get_info(parts[1]).call_count)
  end)

  it("runs hooks with the same data, for an array of results", function()
    local id = hook.compose(some(), "parallel")
    assert.are.same({ 6, 5, 15 }, hook.execute(id, 5).data)
  end)

  it("runs hooks until one returns something", function()
    local id = hook.compose(some(), { mode = "FIRST" })
    assert.are.equal(6, hook.execute(id, 5).data)
    local parts = some()
    assert.are.equal(15, hook.execute(hook.compose({ parts[2], parts[3] }, "first"), 5).data)
    assert.are.equal(5, hook.execute(hook.compose({ parts[2] }, "first"), 5).data)
  end)

  it("goes on when its parts are gone", function()
    local parts = some()
    local id = hook.compose({ parts[1], hook.get_info(parts[3]) })
    hook.unregister(parts[1])
    hook.disable(parts[3])
    assert.are.equal(16, hook.execute(id, 5).data)
    hook.disable(id)
    assert.are.equal(0, hook.execute(id, 5).executed)
  end)

  it("attaches where a name says", function()
    local target = zigllms.tool.register({
      name = "echo",
      execute = function(input)
        return input.n
      end,
    })
    local function plus(context)
      return { n = context.data.n + 1 }
    end
    local parts = { hook.register("x", plus), hook.register("y", plus) }
    local id = hook.compose(parts, { name = "tool_before_execute", priority = "high" })
    assert.are.equal("pre", hook.get_info(id).type)
    assert.are.equal(100, hook.get_info(id).priority)
    assert.are.equal(3, zigllms.tool.execute(target, { n = 1 }))
  end)

  it("vetoes if one of its PRE hooks does", function()
    local function no()
      return false, "no"
    end
    for _, mode in ipairs({ "sequential", "parallel", "first" }) do
      zigllms.reset()
      local parts = { hook.register("x", no), hook.register("y", add(1)) }
      hook.compose(parts, { mode = mode, name = "tool_before_execute" })
      local target = zigllms.tool.register({ name = "t", execute = add(1) })
      has(raised("aborted_by_hook", zigllms.tool.execute, target, {}).message, ": no")
    end
  end)

  it("nests AROUND hooks", function()
    local order = {}
    local function wrap(name, extra)
      return hook.register("x", function(context, next)
        order[#order + 1] = name .. context.data.n
        local result = next({ n = context.data.n + 1 })
        order[#order + 1] = name .. result
        return extra and result + extra
      end, { type = "around" })
    end
    local a, b, c = wrap("a", 100), wrap("b"), wrap("c", 10)
    hook.compose({ a, b, c }, { name = "tool_execute" })
    local target = zigllms.tool.register({
      name = "echo",
      execute = function(input)
        return input.n
      end,
    })
    assert.are.equal(114, zigllms.tool.execute(target, { n = 1 }))
    assert.are.same({ "a1", "b2", "c3", "c4", "b14", "a14" }, order)
  end)

  it("fails as a whole where a part fails", function()
    local reason = {}
    local bad = hook.register("x", function()
      error(reason)
    end)
    local id = hook.compose({ hook.register("x", add(1)), bad })
    local result = hook.execute(id, 1)
    assert.are.equal(reason, result.results[1].error.cause)
    assert.are.equal(1, result.data)
  end)

  it("can be made of composed hooks", function()
    local id = hook.register("x", add(1))
    for _ = 1, 10 do
      id = hook.compose({ id, id })
    end
    assert.are.equal(1024, hook.execute(id, 0).data)
  end)

  it("refuses what cannot be", function()
    local id = hook.register("x", add(1))
    local err = raised("not_found", hook.compose, { id, "hook_99" })
    assert.are.equal("compose", err.func)
    raised("invalid_argument", hook.compose, {})
    raised("invalid_argument", hook.compose, { 1 })
    raised("invalid_argument", hook.compose, { id }, "both")
    raised("invalid_argument", hook.compose, { id }, { mod = "first" })
    raised("invalid_argument", hook.compose, { id }, { mode = "parallel", type = "around" })
    raised("invalid_argument", hook.compose, { id }, { name = "tool_error", type = "pre" })
    assert.are.equal(1, #hook.list())
  end)
end)
