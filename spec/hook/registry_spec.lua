-- Hooks as registered: forms, types, priorities, scopes, switches, lists, what is known of them.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local hook, tool = zigllms.hook, zigllms.tool

local function nothing() end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

local function echo(name)
  return tool.register({
    name = name or "echo",
    execute = function(input)
      return input
    end,
  })
end

local function ids(list)
  local all = {}
  for i, item in ipairs(list) do
    all[i] = item.id
  end
  return all
end

describe("hook", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  describe("register", function()
    it("takes a name and a function", function()
      local id = hook.register("tool_before_execute", nothing)
      assert.truthy(id:match("^hook_%d+$"))
      local info = hook.get_info(id)
      assert.are.equal("tool_before_execute", info.name)
      assert.are.equal("pre", info.type)
      assert.are.equal(0, info.priority)
      assert.is_true(info.enabled)
      assert.are.equal(0, info.call_count)
      assert.are.equal(0, info.error_count)
      assert.is_nil(info.last_called_at)
      assert.is_nil(info.last_error)
      assert.is_true(math.abs(info.created_at - os.time()) < 60)
    end)

    it("takes a priority as the third argument", function()
      for given, priority in pairs({
        highest = 1000,
        HIGH = 100,
        Normal = 0,
        low = -100,
        lowest = -1000,
      }) do
        assert.are.equal(priority, hook.get_info(hook.register("a", nothing, given)).priority)
      end
      assert.are.equal(0.5, hook.get_info(hook.register("a", nothing, 0.5)).priority)
      assert.are.equal(-1e300, hook.get_info(hook.register("a", nothing, -1e300)).priority)
    end)

    it("takes options", function()
      local id = hook.register("tool_after_execute", nothing, {
        type = "POST",
        priority = "high",
        name = "redact",
        description = "takes secrets out",
        enabled = false,
        once = true,
        timeout_ms = 50,
        metadata = { team = "red" },
        tool = "later",
      })
      local info = hook.get_info(id)
      assert.are.equal("post", info.type)
      assert.are.equal(100, info.priority)
      assert.are.equal("redact", info.label)
      assert.are.equal("takes secrets out", info.description)
      assert.is_false(info.enabled)
      assert.is_true(info.once)
      assert.are.equal(50, info.timeout_ms)
      assert.are.same({ team = "red" }, info.metadata)
      assert.are.equal("later", info.tool)
      assert.are.equal(id, hook.get_info("redact").id)
    end)

    it("takes one table", function()
      local id = hook.register({ name = "agent_error", callback = nothing, priority = 3 })
      local info = hook.get_info(id)
      assert.are.equal("agent_error", info.name)
      assert.are.equal("error", info.type)
      assert.are.equal(3, info.priority)
    end)

    it("takes a table that can be called", function()
      local calls = 0
      local callable = setmetatable({}, {
        __call = function(_, context)
          calls = calls + 1
          return context.data + 1
        end,
      })
      hook.register("own", callable)
      assert.are.equal(2, hook.execute("own", 1).data)
      assert.are.equal(1, calls)
    end)

    it("tells the type by the name", function()
      for name, kind in pairs({
        agent_init = "pre",
        agent_before_run = "pre",
        agent_after_run = "post",
        agent_error = "error",
        agent_cleanup = "post",
        agent_run = "around",
        tool_execute = "around",
        provider_request = "around",
        memory_save = "around",
        memory_load = "around",
        memory_before_save = "pre",
        memory_after_load = "post",
        provider_before_request = "pre",
        provider_after_response = "post",
        provider_error = "error",
        workflow_start = "pre",
        workflow_complete = "post",
        workflow_error = "error",
        workflow_execute = "around",
        workflow_step = "around",
        workflow_step_start = "pre",
        workflow_step_complete = "post",
        workflow_step_error = "error",
        custom = "post",
        my_own = "post",
        ["tool_*"] = "post",
        ["*_before_*"] = "pre",
      }) do
        assert.are.equal(kind, hook.get_info(hook.register(name, nothing)).type, name)
      end
    end)

    it("refuses what cannot be", function()
      local function refused(part, ...)
        has(raised("invalid_argument", hook.register, ...).message, part)
      end
      refused("name", nil, nothing)
      refused("name", "", nothing)
      refused("callback", "own")
      refused("callback", "own", 3)
      refused("callback", { name = "own" })
      refused("name", { callback = nothing })
      refused("priority", "own", nothing, { priority = "urgent" })
      refused("options", "own", nothing, "urgent")
      refused("type", "own", nothing, { type = "before" })
      refused("priority", "own", nothing, { priorty = 1 })
      refused('"pre" or "around"', "tool_before_execute", nothing, { type = "post" })
      refused('"post"', "agent_cleanup", nothing, { type = "around" })
      refused("memory_save", "memory_save", nothing, { type = "error" })
      refused("timeout_ms", "own", nothing, { timeout_ms = -1 })
      refused("at most 1000 bytes", ("*"):rep(1001), nothing)
      assert.are.same({}, hook.list())
    end)
  end)

  describe("unregister, enable and disable", function()
    it("say whether there is such a hook", function()
      local id = hook.register("own", nothing)
      assert.is_true(hook.disable(id))
      assert.is_false(hook.get_info(id).enabled)
      assert.is_true(hook.disable(id))
      assert.is_true(hook.enable(id))
      assert.is_true(hook.get_info(id).enabled)
      assert.is_true(hook.unregister(id))
      for _, name in ipairs({ "unregister", "enable", "disable" }) do
        assert.is_false(hook[name](id))
        assert.is_false(hook[name]("nobody"))
      end
      raised("not_found", hook.get_info, id)
    end)

    it("take a unique name or what get_info returned", function()
      local id = hook.register("own", nothing)
      assert.is_true(hook.disable("own"))
      assert.is_true(hook.enable(hook.get_info(id)))
      hook.register("own", nothing)
      raised("invalid_argument", hook.unregister, "own")
      assert.is_true(hook.unregister(id))
      assert.is_true(hook.unregister("own"))
      assert.are.same({}, hook.list())
    end)

    it("count for the next call", function()
      local calls = 0
      local id = hook.register("tool_before_execute", function()
        calls = calls + 1
      end)
      local target = echo()
      tool.execute(target)
      hook.disable(id)
      tool.execute(target)
      assert.are.equal(1, calls)
      hook.enable(id)
      tool.execute(target)
      assert.are.equal(2, calls)
      hook.unregister(id)
      tool.execute(target)
      assert.are.equal(2, calls)
    end)

    it("count for an operation under way, and what is registered then for the next", function()
      local order = {}
      local function note(name)
        return function()
          order[#order + 1] = name
        end
      end
      local gone = hook.register("tool_after_execute", note("gone"))
      local off = hook.register("tool_after_execute", note("off"))
      local stays = hook.register("tool_after_execute", note("stays"))
      local target = tool.register({
        name = "changes",
        execute = function()
          hook.unregister(gone)
          hook.disable(off)
          hook.register("tool_after_execute", note("new"))
        end,
      })
      tool.execute(target)
      assert.are.same({ "stays" }, order)
      tool.execute(echo())
      assert.are.same({ "stays", "stays", "new" }, order)
      assert.is_true(hook.unregister(stays))
    end)
  end)

  it("with once is gone with its first call, also if that calls it again", function()
    local target, calls = echo(), 0
    local id
    id = hook.register("tool_before_execute", function()
      calls = calls + 1
      assert.is_false(hook.unregister(id))
      tool.execute(target)
    end, { once = true })
    tool.execute(target)
    tool.execute(target)
    assert.are.equal(1, calls)
  end)

  describe("scopes", function()
    it("keep a hook to one tool, by id or name", function()
      local a, b = echo("a"), echo("b")
      local seen = {}
      for _, scope in ipairs({ a, "a", "later" }) do
        hook.register("tool_before_execute", function(context)
          seen[#seen + 1] = scope .. ":" .. context.tool_name
        end, { tool = scope })
      end
      tool.execute(a)
      tool.execute(b)
      assert.are.same({ a .. ":a", "a:a" }, seen)
      for i, scope in ipairs({ a, "a", "later" }) do
        assert.are.equal(scope, hook.get_info(hook.list()[i]).tool)
      end
      tool.execute(echo("later"))
      assert.are.equal("later:later", seen[3])
    end)
  end)

  describe("list", function()
    it("is in the order in which hooks run", function()
      local post = hook.register("tool_after_execute", nothing, "highest")
      local low = hook.register("tool_before_execute", nothing, "low")
      local first = hook.register("tool_before_execute", nothing)
      local second = hook.register("tool_before_execute", nothing)
      local failed = hook.register("tool_error", nothing)
      local around = hook.register("tool_execute", nothing)
      assert.are.same({ first, second, low, around, post, failed }, ids(hook.list()))
      local item = hook.list()[3]
      assert.are.same({
        id = low,
        name = "tool_before_execute",
        type = "pre",
        priority = -100,
        enabled = true,
        call_count = 0,
      }, item)
    end)

    it("may be of a name, a pattern, or ids", function()
      local a = hook.register("tool_before_execute", nothing)
      local b = hook.register("tool_*", nothing, { type = "pre" })
      local c = hook.register("own", nothing)
      assert.are.same({ a, b }, ids(hook.list("tool_before_execute")))
      assert.are.same({ a, b }, ids(hook.list("tool_*")))
      assert.are.same({ c }, ids(hook.list("o?n")))
      assert.are.same({}, hook.list("other"))
      assert.are.same({ a, b, c }, hook.list({ ids = true }))
    end)
  end)

  it("counts its calls", function()
    local id = hook.register("own", function(context)
      zigllms.sleep(10)
      if context.data == 2 then
        error("no two", 0)
      end
    end)
    hook.execute("own", 1)
    hook.execute("own", 2)
    local info = hook.get_info(id)
    assert.are.equal(2, info.call_count)
    assert.are.equal(1, info.error_count)
    assert.is_true(info.avg_time_ms >= 9 and info.avg_time_ms < 5000, info.avg_time_ms)
    assert.is_true(math.abs(info.last_called_at - os.time()) < 60)
    has(info.last_error, "no two")
  end)

  it("is forgotten by reset, and belongs to its instance", function()
    local other = zigllms.new()
    local calls = 0
    hook.register("tool_before_execute", function()
      calls = calls + 1
    end)
    other.tool.register({ name = "t", execute = nothing })
    other.tool.execute("t")
    assert.are.equal(0, calls)
    assert.are.same({}, other.hook.list())
    zigllms.reset()
    assert.are.same({}, hook.list())
    tool.execute(echo())
    assert.are.equal(0, calls)
  end)
end)
