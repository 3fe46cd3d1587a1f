-- Whatever a hook does, of every type and called in every way: nothing hangs, what it raised is
-- kept as the cause, and what is registered stays true.
local clock = require("spec.support.program").clock
local scripted = require("spec.support.model")
local size = require("spec.support.size")
local zigllms = require("zigllms")

local agent, event, hook = zigllms.agent, zigllms.event, zigllms.hook
local memory, provider, tool = zigllms.memory, zigllms.provider, zigllms.tool

local model = scripted.new()

local TABLE, USERDATA = { because = "table" }, io.stdout
local LIMIT_S = 5

local function raise(value)
  return {
    cause = value,
    run = function()
      error(value, 0)
    end,
  }
end

-- What a hook does; `cause` is what it raises, `world` what is there.
local DEEDS = {
  ["raises a string"] = raise("a string"),
  ["raises a table"] = raise(TABLE),
  ["raises userdata"] = raise(USERDATA),
  ["raises a function"] = raise(print),
  ["raises false"] = raise(false),
  ["raises nil"] = { raises = true, run = raise(nil).run },
  ["raises one of our errors"] = raise(zigllms.error("not_found", "mine")),
  ["waits"] = {
    run = function()
      zigllms.sleep(2)
    end,
  },
  ["yields"] = {
    run = function()
      coroutine.yield("up")
    end,
  },
  ["enters every bridge"] = {
    run = function()
      memory.store("k", { 1 })
      memory.retrieve("k")
      event.emit("user.event", {})
      zigllms.output.parse("[1]")
      zigllms.schema.validate({}, { type = "object" })
      tool.execute("other", {})
      hook.execute("elsewhere", 1)
      hook.list()
      provider.list()
      agent.list()
      zigllms.metrics()
    end,
  },
  ["starts what it does not wait for"] = {
    run = function()
      tool.execute("other", {}, { async = true })
      zigllms.spawn(function()
        zigllms.sleep(1)
      end)
    end,
  },
  ["unregisters itself"] = {
    run = function(world)
      assert(hook.unregister(world.id))
    end,
    gone = true,
  },
  ["unregisters all"] = {
    run = function()
      for _, id in ipairs(hook.list({ ids = true })) do
        hook.unregister(id)
      end
    end,
    gone = true,
  },
  ["registers more"] = {
    run = function(world)
      for _ = 1, 3 do
        hook.register(world.point, function() end, { type = world.kind })
      end
    end,
    more = 3,
  },
  ["disables the others"] = {
    run = function(world)
      for _, item in ipairs(hook.list()) do
        if item.id ~= world.id then
          hook.disable(item.id)
        end
      end
    end,
  },
  ["disables itself"] = {
    run = function(world)
      hook.disable(world.id)
    end,
  },
  ["destroys the agents"] = {
    run = function()
      for _, item in ipairs(agent.list()) do
        agent.destroy(item.id)
      end
    end,
    destroys = true,
  },
  ["unregisters the tools"] = {
    run = function()
      for _, item in ipairs(tool.list()) do
        tool.unregister(item.id)
      end
    end,
  },
  ["resets the module"] = {
    run = function()
      zigllms.reset()
    end,
    gone = true,
    destroys = true,
  },
  ["replaces its context"] = {
    run = function(_, context)
      for key in pairs(context) do
        context[key] = nil
      end
      setmetatable(context, {
        __index = function()
          error("a metamethod was called")
        end,
        __newindex = function()
          error("a metamethod was called")
        end,
      })
    end,
  },
  ["collects garbage"] = {
    run = function()
      collectgarbage()
      collectgarbage()
    end,
  },
}

local KINDS = { "pre", "around", "around, before next", "post", "error" }

-- How a hook comes to be called: answers what pcall answers.
local WAYS = {
  tool = function(world)
    world.point = "tool_execute"
    return function()
      return tool.execute(world.fails and "bad" or "good", { n = 1 })
    end
  end,
  agent = function(world)
    world.point = "agent_run"
    local config = { provider = "openai" }
    local id = agent.create(config)
    model:script(world.fails and scripted.failure(400, "bad") or scripted.text("fine"))
    return function()
      return agent.run(id, "hi")
    end
  end,
  execute = function(world)
    world.point = "own"
    return function()
      local result = hook.execute("own", { n = 1 })
      for _, item in ipairs(result.results) do
        if not item.ok then
          error(item.error, 0)
        end
      end
      return result
    end
  end,
  composed = function(world)
    world.point = "own"
    world.composed = true
    return function()
      local result = hook.execute(world.composed_id, { n = 1 })
      for _, item in ipairs(result.results) do
        if not item.ok then
          error(item.error, 0)
        end
      end
      return result
    end
  end,
}

-- Who calls it.
local CALLERS = {
  plain = function(fn)
    return pcall(fn)
  end,
  coroutine = function(fn)
    local co = coroutine.create(function()
      return pcall(fn)
    end)
    local ran = { coroutine.resume(co) }
    while coroutine.status(co) ~= "dead" do
      ran = { coroutine.resume(co, "resumed") }
    end
    return ran[2], ran[3]
  end,
  run = function(fn)
    local ok, value
    zigllms.run(function()
      ok, value = pcall(fn)
    end)
    return ok, value
  end,
}

local function prepare()
  model:begin()
  tool.register({
    name = "good",
    execute = function(input)
      return input
    end,
  })
  tool.register({ name = "other", execute = function() end })
  tool.register({
    name = "bad",
    execute = function()
      error("bad", 0)
    end,
  })
end

local function register(world, deed, kind)
  local around = kind:match("^around")
  local function callback(context, next)
    if world.called then
      return next and next()
    end
    world.called = true
    if kind == "around" and next then
      local ok, err = pcall(next)
      if not ok then
        error(err, 0)
      end
    end
    deed.run(world, context)
    if kind == "around, before next" and next and not deed.gone then
      return next()
    end
  end
  world.kind = around or kind
  world.id = hook.register(world.point, callback, { type = world.kind })
  if world.composed then
    world.composed_id = hook.compose({ world.id })
  end
end

-- Errors of hooks of these types end the operation.
local function is_fatal(way, kind)
  return way == "execute" or way == "composed" or kind == "pre" or kind:match("^around") ~= nil
end

local function check_cause(deed, err, name)
  assert.are.equal("table", type(err), name)
  assert.are.equal("hook_error", err.code, name .. ": " .. tostring(err))
  assert.is_true(rawequal(deed.cause, err.cause), name .. ": " .. tostring(err.cause))
end

local function check(world, deed, way, kind, ok, err, name)
  local raises = deed.raises or deed.cause ~= nil
  if raises and is_fatal(way, kind) then
    assert.is_false(ok, name)
    check_cause(deed, err, name)
  elseif raises and kind == "post" then
    assert.is_true(ok, name .. ": " .. tostring(err))
  elseif raises then
    assert.is_false(ok, name)
    assert.are.equal(way == "tool" and "tool_error" or "bad_request", err.code, name)
  elseif not ok then
    -- Whatever else ends an operation is one of the module's errors.
    assert.are.equal("zigllms.error", getmetatable(err) and getmetatable(err).__name, name)
    assert.are_not.equal("internal", err.code, name .. ": " .. tostring(err))
  elseif world.fails and way == "tool" then
    assert.is_false(ok, name)
  end
end

-- What is registered can be listed, and works.
local function check_registry(world, deed, name)
  local seen = {}
  for _, item in ipairs(hook.list()) do
    assert.is_nil(seen[item.id], name)
    seen[item.id] = true
    assert.are.equal(item.id, hook.get_info(item.id).id, name)
  end
  assert.are.equal(not deed.gone, seen[world.id] or false, name)
  for id in pairs(seen) do
    assert.is_true(hook.unregister(id), name)
  end
  assert.are.same({}, hook.list(), name)
  prepare()
  assert.are.same({ n = 2 }, tool.execute("good", { n = 2 }), name)
end

local function all()
  local cases = {}
  for deed in pairs(DEEDS) do
    for _, kind in ipairs(KINDS) do
      for way in pairs(WAYS) do
        for caller in pairs(CALLERS) do
          cases[#cases + 1] = { deed = deed, kind = kind, way = way, caller = caller }
        end
      end
    end
  end
  table.sort(cases, function(a, b)
    local function line(case)
      return case.way .. "/" .. case.kind .. "/" .. case.deed .. "/" .. case.caller
    end
    return line(a) < line(b)
  end)
  return cases
end

describe("a hook may do anything", function()
  local groups = {}
  for _, case in ipairs(all()) do
    local group = case.way .. ", " .. case.kind
    groups[group] = groups[group] or {}
    table.insert(groups[group], case)
  end

  teardown(zigllms.reset)

  for group, cases in pairs(groups) do
    it("in " .. group, function()
      for _, case in ipairs(cases) do
        local name = group .. ": " .. case.deed .. ", called by " .. case.caller
        prepare()
        local world = { fails = case.kind == "error" and case.way ~= "execute" }
        local deed = DEEDS[case.deed]
        local call = WAYS[case.way](world)
        register(world, deed, case.kind)
        local began = clock()
        local ok, err = CALLERS[case.caller](call)
        assert.is_true(clock() - began < LIMIT_S, name .. " took too long")
        check(world, deed, case.way, case.kind, ok, err, name)
        assert.is_true(world.called, name .. ": the hook was not called")
        check_registry(world, deed, name)
      end
    end)
  end
end)

describe("hooks of hooks", function()
  before_each(prepare)

  teardown(function()
    zigllms.reset()
  end)

  it("that call their own operation end at the limit of nesting", function()
    for _, kind in ipairs({ "pre", "around", "post", "error" }) do
      prepare()
      local depth, deepest, code = 0, 0, nil
      hook.register("tool_execute", function(_, next)
        depth = depth + 1
        deepest = math.max(deepest, depth)
        local ok, err = pcall(tool.execute, kind == "error" and "bad" or "good", {})
        code = code or (not ok and type(err) == "table" and err.code)
        depth = depth - 1
        return next and next()
      end, { type = kind })
      pcall(tool.execute, kind == "error" and "bad" or "good", {})
      assert.is_true(deepest > 8 and deepest <= 64, kind .. ": " .. deepest)
      for _, item in ipairs(hook.list()) do
        hook.unregister(item.id)
      end
      assert.are.same({ n = 1 }, tool.execute("good", { n = 1 }))
    end
  end)

  it("are many", function()
    local n, sum = size(20000, 200), 0
    for i = 1, n do
      hook.register("tool_before_execute", function()
        sum = sum + 1
      end, i % 7)
    end
    tool.execute("good", {})
    assert.are.equal(n, sum)
    assert.are.equal(n, #hook.list("tool_*"))
  end)
end)
