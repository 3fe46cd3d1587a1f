-- Code that yields on its own account, again and again: it is stopped there as at any other wait.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local spawn, yield = zigllms.spawn, coroutine.yield

if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
  print("\nSKIP stopping at yields: on Lua 5.1 a yield passes through the module")
  return
end

local function forever()
  while true do
    yield()
  end
end

describe("code that only yields", function()
  local hook, mask, count

  before_each(function()
    zigllms.reset()
    hook, mask, count = debug.gethook()
  end)

  after_each(function()
    local now, now_mask, now_count = debug.gethook()
    assert.same({ hook, mask, count }, { now, now_mask, now_count })
  end)

  teardown(zigllms.reset)

  it("ends when its task is cancelled", function()
    local handle = spawn(forever)
    assert.is_false(handle:wait(20))
    assert.is_true(handle:cancel("enough"))
    assert.is_true(handle:wait(1000))
    local err = raised("cancelled", handle.await, handle)
    assert.equal("enough", err.details.reason)
    assert.equal("cancelled", handle:status())
  end)

  it("is told with an error that it may catch, to clean up", function()
    local seen
    local handle = spawn(function()
      local ok, err = pcall(forever)
      seen = not ok and err.code
    end)
    handle:cancel()
    assert.is_true(handle:wait(1000))
    assert.equal("cancelled", seen)
  end)

  it("ends at the limit of a tool, wherever that is called", function()
    local id = zigllms.tool.register({ name = "yields", execute = forever, timeout_ms = 30 })
    raised("timeout", zigllms.tool.execute, id)
    local handle = spawn(zigllms.tool.execute, id)
    assert.is_true(handle:wait(2000))
    raised("timeout", handle.await, handle)
    assert.equal(
      "timeout",
      zigllms.run(function()
        return raised("timeout", zigllms.tool.execute, id).code
      end)
    )
  end)

  it("ends at the limit of a step, also of one beside others", function()
    local function flow(pattern)
      return zigllms.workflow.create({
        pattern = pattern,
        steps = {
          { id = "yields", fn = forever, timeout_ms = 30 },
          {
            id = "waits",
            fn = function()
              zigllms.sleep(5)
            end,
          },
        },
      })
    end
    for _, pattern in ipairs({ "sequential", "parallel" }) do
      raised("timeout", zigllms.workflow.execute, flow(pattern))
    end
  end)

  it("ends at the limit of a transport", function()
    zigllms.provider.configure("openai", { api_key = "k", retry = false, transport = forever })
    local err = raised("timeout", zigllms.provider.chat, "hi", {
      provider = "openai",
      timeout_ms = 30,
    })
    assert.equal("openai", err.provider)
  end)

  it("ends although it has yielded long enough to be compiled", function()
    local turns = 0
    local handle = spawn(function()
      while true do
        yield()
        turns = turns + 1
      end
    end)
    while turns < 200 do
      zigllms.poll(1)
    end
    handle:cancel()
    assert.is_true(handle:wait(1000))
  end)

  it("ends where it yields last", function()
    local handle = spawn(function()
      return yield()
    end)
    handle:cancel()
    assert.is_true(handle:wait(1000))
    zigllms.sleep(1)
  end)

  it("keeps the hook that was set for it", function()
    local lines = 0
    local co
    local handle = spawn(function()
      co = coroutine.running()
      debug.sethook(function()
        lines = lines + 1
      end, "l")
      pcall(forever)
      local before = lines
      lines = lines + 1
      lines = lines + 1
      assert(lines > before + 2)
      debug.sethook()
    end)
    handle:cancel()
    handle:await()
    assert.is_nil(debug.gethook(co))
  end)
end)
