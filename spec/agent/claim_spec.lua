-- A stopped run that lies in the store goes on in one process only.
local cjson = require("cjson")
local zigllms = require("zigllms")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")

local text, calls = scripted.text, scripted.calls

-- A server, for a process of its own is among those who ask.
local model = scripted.new("openai", { transport = "http" })

describe("a stopped run in the store", function()
  local path, made

  before_each(function()
    path, made = os.tmpname(), 0
    os.remove(path)
  end)

  after_each(function()
    for _, suffix in ipairs({ "", "-wal", "-shm" }) do
      os.remove(path .. suffix)
    end
  end)

  teardown(zigllms.reset)

  local function config()
    return { type = "openai", base_url = model:url(), api_key = "test", retry = false }
  end

  -- Another one that goes on with the same agent, as a worker of a server would be.
  local function worker(pay)
    local instance = zigllms.new({ store = path })
    instance.provider.configure("openai", config())
    local id = instance.agent.create({
      name = "ada",
      provider = "openai",
      memory = { type = "persistent" },
      tools = {
        {
          name = "pay",
          requires_approval = true,
          execute = pay or function()
            made = made + 1
            instance.sleep(30)
            return "paid"
          end,
        },
      },
    })
    return instance.agent, id, instance
  end

  local function stopped(...)
    model:script(calls({ { "c1", "pay", "{}" } }), ...)
    local agent, id, instance = worker()
    assert.equal("approval_required", agent.run(id, "go").finish_reason)
    return agent, id, instance
  end

  it("goes on once, whoever approves it at the same time", function()
    local a, first, one = stopped(text("done"))
    local b, second = worker()
    local handles = {
      a.resume(first, { c1 = "approve" }, { async = true }),
      b.resume(second, { c1 = "approve" }, { async = true }),
    }
    one.sleep(1)
    local said = {}
    for i, handle in ipairs(handles) do
      local ok, result = pcall(handle.await, handle)
      said[i] = ok and result.content or result.code
    end
    assert.equal(1, made)
    -- Either may have been the first; the other one has no part in it.
    if said[1] ~= "done" then
      said[1], said[2] = said[2], said[1]
      a, first, b, second = b, second, a, first
    end
    assert.same({ "done", "invalid_state" }, said)
    assert.equal("completed", (a.get_state(first)))
    raised("invalid_state", b.resume, second, { c1 = "approve" })
    assert.equal(1, made)
    assert.not_equal("completed", (b.get_state(second)), "nothing of it has run there")
  end)

  it("says who it waits for", function()
    local a, first, one = stopped(text("done"))
    local b, second = worker()
    local handle = a.resume(first, { c1 = "approve" }, { async = true })
    while made == 0 do
      one.poll(1)
    end
    local err = raised("invalid_state", b.resume, second, { c1 = "approve" })
    assert.truthy(err.message:find("another process", 1, true))
    assert.equal("claimed", err.details.reason)
    assert.is_true(err.details.until_at > os.time())
    assert.equal("done", handle:await().content)
  end)

  it("is there for others after going on has failed", function()
    local a, first = stopped(scripted.failure(400, "no"), text("done"))
    local b, second = worker()
    raised("bad_request", a.resume, first, { c1 = "approve" })
    assert.equal("done", b.resume(second, { c1 = "approve" }).content)
    assert.equal(1, made)
  end)

  it("is there again once the time of a process that was killed is over", function()
    local b, second = stopped(text("done"))
    local began = program.clock()
    local result = program.run(
      [[
      local zigllms = require("zigllms")
      zigllms.configure({ store = arg[1] })
      zigllms.provider.configure("openai", zigllms.output.parse(arg[2], "json"))
      local id = zigllms.agent.create({
        name = "ada",
        provider = "openai",
        memory = { type = "persistent" },
        tools = { {
          name = "pay",
          requires_approval = true,
          execute = function() os.execute("kill -9 $PPID") end,
        } },
      })
      zigllms.agent.resume(id, { c1 = "approve" }, { timeout_ms = 1500 })
    ]],
      { args = { path, cjson.encode(config()) } }
    )
    assert.are_not.equal(0, result.rc)
    if program.clock() - began < 1 then
      raised("invalid_state", b.resume, second, { c1 = "approve" })
    end
    while program.clock() - began < 2 do
      zigllms.sleep(20)
    end
    assert.equal("done", b.resume(second, { c1 = "approve" }).content)
  end)
end)
