-- What functions of users may do when an event calls them: anything. No deadlock, errors as they
-- were raised, and registries that are right afterwards.
local zigllms = require("zigllms")

local event = zigllms.event

-- Where a callback is called from. `add(fn)` registers it and gives its id.
local KINDS = {
  handler = function(fn)
    return event.subscribe("probe", fn)
  end,
  ["filter of a subscription"] = function(fn)
    return event.subscribe("probe", function() end, { filter = fn })
  end,
  interceptor = function(fn)
    return event.filter("probe", fn)
  end,
}

local function raise(value)
  return function()
    error(value, 0)
  end
end

local thrown = { table = { "with an identity" }, userdata = io.stdout, string = "a string" }

-- What it does, and what it is told: the state of the case.
local ACTS = {
  ["raises a string"] = { act = raise(thrown.string), raises = thrown.string },
  ["raises a table"] = { act = raise(thrown.table), raises = thrown.table },
  ["raises nil"] = { act = raise(nil), raises = true },
  ["raises a userdata"] = { act = raise(thrown.userdata), raises = thrown.userdata },
  ["raises an error object"] = {
    act = function()
      zigllms.agent.get_state("nobody")
    end,
    raises = "not_found",
  },
  ["yields"] = {
    act = function()
      return coroutine.yield("a yield") ~= "nonsense"
    end,
    yields = true,
  },
  ["waits"] = {
    act = function()
      zigllms.sleep(1)
      return true
    end,
  },
  ["emits again"] = {
    act = function(state)
      if state.calls < 3 then
        event.emit("probe")
      end
      return true
    end,
    calls = 3,
  },
  ["emits for ever"] = {
    act = function()
      event.emit("probe")
      return true
    end,
    calls = 64,
    any_errors = true,
  },
  ["unsubscribes itself"] = {
    act = function(state)
      state.removed = event.unsubscribe(state.id)
      return true
    end,
    gone = true,
  },
  ["registers more"] = {
    act = function(state)
      for i = 1, 5 do
        state.more[#state.more + 1] = event.subscribe("probe", function() end)
        state.more[#state.more + 1] = event.filter("other" .. i, function() end)
      end
      return true
    end,
  },
  ["resets everything"] = {
    act = function()
      zigllms.reset()
      return true
    end,
    empties = true,
  },
}

-- An emit in a coroutine that is resumed until it ends; a dead end is a failure, not a hang.
local function emit_until_done(...)
  local co = coroutine.create(event.emit)
  local yields, result = 0, { coroutine.resume(co, ...) }
  while coroutine.status(co) ~= "dead" do
    yields = yields + 1
    assert(yields < 1000, "it never ends")
    result = { coroutine.resume(co) }
  end
  assert.is_true(result[1], tostring(result[2]))
  return yields, result[2], result[3]
end

-- Raises once it takes longer than five seconds, also in endless loops.
local function within_five_seconds(fn)
  local ends = os.time() + 6
  debug.sethook(function()
    if os.time() > ends then
      debug.sethook()
      error("it took more than five seconds")
    end
  end, "", 100000)
  local ok, err = pcall(fn)
  debug.sethook()
  if not ok then
    error(err, 0)
  end
end

local function check(add, case)
  local state, errors, bystanders = { calls = 0, more = {} }, {}, 0
  event.subscribe("system.handler_error", function(e)
    errors[#errors + 1] = e.data
  end)
  state.id = add(function()
    state.calls = state.calls + 1
    return case.act(state)
  end)
  event.subscribe("probe", function()
    bystanders = bystanders + 1
  end)
  local yields, ok, delivered = emit_until_done("probe")
  assert.is_true(ok)
  assert.equal(case.calls or 1, state.calls)
  assert.equal(case.calls or 1, bystanders)
  assert.is_true(delivered >= 1)
  assert.is_true(not case.yields or yields == 1)
  if case.raises then
    assert.equal(1, #errors)
    local err = errors[1].error
    if case.raises == true then
      assert.is_nil(err)
    elseif case.raises == "not_found" then
      assert.equal("not_found", err.code)
    else
      assert.equal(case.raises, err)
    end
    assert.equal(state.id, errors[1].subscription_id)
  elseif not case.any_errors then
    assert.equal(0, #errors)
  end
  return state
end

local function check_registries(case, state)
  if case.empties then
    assert.equal(0, #event.list_subscriptions())
    return
  end
  for _, id in ipairs(state.more) do
    assert.is_true(event.unsubscribe(id))
  end
  assert.equal(not case.gone, event.unsubscribe(state.id))
  assert.equal(2, #event.list_subscriptions())
  local _, delivered = event.emit("probe")
  assert.equal(1, delivered)
end

describe("A callback of events", function()
  before_each(function()
    zigllms.reset()
  end)

  after_each(function()
    zigllms.reset()
  end)

  for kind, add in pairs(KINDS) do
    for name, case in pairs(ACTS) do
      it("(" .. kind .. ") " .. name, function()
        within_five_seconds(function()
          check_registries(case, check(add, case))
        end)
      end)
    end
  end

  -- A model that asks for a tool first.
  local function agent()
    local transport = function(request)
      local body = zigllms.output.parse(request.body, "json")
      local delta = #body.messages > 1 and { content = "done" }
        or {
          tool_calls = {
            { index = 0, id = "c1", ["function"] = { name = "probe_tool", arguments = "{}" } },
          },
        }
      local chunk = { choices = { { index = 0, delta = delta, finish_reason = "stop" } } }
      local text = zigllms.output.format(chunk, "json")
      request.stream("data: " .. text .. "\n\ndata: [DONE]\n\n")
      return { status = 200 }
    end
    zigllms.tool.register({
      name = "probe_tool",
      execute = function()
        return "ok"
      end,
    })
    return zigllms.agent.create({
      provider = { type = "openai", api_key = "none", model = "m", transport = transport },
      tools = { "probe_tool" },
    })
  end

  local OWN = { "agent.started", "provider.request", "tool.invoked", "tool.succeeded" }
  for _, name in ipairs(OWN) do
    for _, way in ipairs({ "handler", "interceptor", "filter of a subscription" }) do
      it(("(%s of %s) may destroy the running agent"):format(way, name), function()
        within_five_seconds(function()
          local id = agent()
          local destroyed = 0
          local function destroy()
            if zigllms.agent.destroy(id) then
              destroyed = destroyed + 1
            end
            return true
          end
          if way == "handler" then
            event.subscribe(name, destroy)
          elseif way == "interceptor" then
            event.filter(name, destroy)
          else
            event.subscribe(name, function() end, { filter = destroy })
          end
          local ends = {}
          event.subscribe("agent.*", function(e)
            ends[#ends + 1] = e.type
          end)
          local ok, err = pcall(zigllms.agent.run, id, "hello")
          assert.is_false(ok)
          assert.equal("cancelled", err.code)
          assert.equal(1, destroyed)
          assert.equal(0, #zigllms.agent.list())
          assert.equal("agent.failed", ends[#ends])
          local _, delivered = event.emit("agent.mine")
          assert.equal(1, delivered)
        end)
      end)
    end
  end

  it("may wait although the operation it hears of was cancelled or ran out of time", function()
    local id = zigllms.agent.create({
      provider = {
        type = "openai",
        api_key = "none",
        model = "m",
        transport = function()
          zigllms.sleep(10000)
        end,
      },
    })
    local waited, errors = 0, {}
    event.subscribe("agent.failed", function()
      zigllms.sleep(1)
      waited = waited + 1
    end)
    event.subscribe("system.handler_error", function(e)
      errors[#errors + 1] = tostring(e.data.error)
    end)
    local handle = zigllms.agent.run(id, "hello", { async = true })
    zigllms.sleep(5)
    handle:cancel()
    assert.is_false(pcall(handle.await, handle))
    assert.is_false(pcall(zigllms.agent.run, id, "hello", { timeout_ms = 10 }))
    local co = coroutine.wrap(function(...)
      return pcall(...)
    end)
    assert.is_false(co(zigllms.agent.run, id, "hello", { timeout_ms = 10 }))
    assert.same({}, errors)
    assert.equal(3, waited)
  end)

  it("may run the agent again that has completed, but not the one that runs", function()
    local id = agent()
    local again = {}
    for _, name in ipairs({ "agent.started", "agent.completed" }) do
      event.subscribe(name, function()
        local ok, err = pcall(zigllms.agent.run, id, "again")
        again[name] = ok and "ran" or err.code
      end, { once = true })
    end
    zigllms.agent.run(id, "hello")
    assert.same({ ["agent.started"] = "invalid_state", ["agent.completed"] = "ran" }, again)
  end)

  it("leaves nothing behind when its coroutine is killed in the middle", function()
    event.subscribe("probe", function()
      coroutine.yield()
    end)
    for _ = 1, 200 do
      local co = coroutine.create(event.emit)
      assert(coroutine.resume(co, "probe"))
      if coroutine.close then
        coroutine.close(co)
      end
    end
    collectgarbage()
    collectgarbage()
    local calls = 0
    event.subscribe("deeper", function()
      calls = calls + 1
      pcall(event.emit, "deeper")
    end)
    event.emit("deeper")
    assert.equal(64, calls)
  end)
end)
