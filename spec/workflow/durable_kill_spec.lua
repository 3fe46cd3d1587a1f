-- Processes with durable runs are killed at any moment: whatever was recorded has happened once,
-- and every run comes to its end. ZIGLLMS_SWEEP says how many are killed.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local redis = require("spec.support.redis")
local scripted = require("spec.support.server")
local size = require("spec.support.size")
local stores = require("spec.support.stores")
local workflow = zigllms.workflow

local KILLED = tonumber(os.getenv("ZIGLLMS_SWEEP") or "") or size(1000, 8)

-- Twenty steps of every type. Each effect writes the key of its step into a file.
local MIXED = [[
  local zigllms, log, url = ...
  zigllms.provider.configure("openai", { base_url = url, api_key = "test", retry = false })
  local function effect(key)
    local file = assert(io.open(log, "a"))
    file:write(key, "\n")
    file:close()
    zigllms.sleep(2)
  end
  local function step(id, also)
    return { id = id, fn = function(ctx)
      effect(ctx.idempotency_key)
      return also and also(ctx) or id
    end }
  end
  local function tool(name)
    zigllms.tool.register({ name = name, execute = function(_, ctx)
      effect(ctx.idempotency_key)
      return { name = name }
    end })
  end
  tool("safe")
  tool("unsafe")
  zigllms.agent.create({ name = "writer", provider = "openai", model = "m" })
  zigllms.workflow.create({ name = "inner", steps = { step("i1"), step("i2"), step("i3") } })
  return zigllms.workflow.create({ name = "mixed", steps = {
    step("a", function() return { 1, 2, 3, 4 } end),
    { id = "each", over = "{{previous.output}}", max_concurrency = 3, steps = {
      step("m"), step("n", function(ctx) return ctx.loop.item * 2 end),
    } },
    step("b"),
    { id = "side", type = "parallel", steps = { step("p"), step("q"), step("r") } },
    { id = "again", count = 4, steps = { step("l", function(ctx)
      ctx.variables.sum = (ctx.variables.sum or 0) + ctx.loop.index
      return ctx.variables.sum
    end) } },
    { id = "write", agent = "writer", input = "Write about {{variables.sum}}" },
    { id = "call", workflow = "inner" },
    { id = "choice", condition = "{{variables.sum}} == 10", if_true = { step("y") } },
    { id = "safely", tool = "safe", input = {}, idempotent = true },
    { id = "once", tool = "unsafe", input = {} },
    step("z", function(ctx)
      return { each = ctx.steps.each.output, sum = ctx.variables.sum,
        said = ctx.steps.write.output, call = ctx.steps.call.output }
    end),
  } })
]]

local WORKER = [[
  local zigllms = require("zigllms")
  zigllms.configure({ store = arg[1] })
  local id = assert((loadstring or load)(arg[4]))(zigllms, arg[2], arg[3])
  io.write("begun\n")
  io.flush()
  print(pcall(zigllms.workflow.execute, id, "in", { run_id = arg[5] }))
]]

-- Side by side at most so many steps are under way.
local WIDE = 3

-- The outermost steps in their order, by what the keys of their effects begin with.
local STAGES = { a = 1, each = 2, b = 3, p = 4, q = 4, r = 4, again = 5, call = 6, y = 7 }
STAGES.safely, STAGES.once, STAGES.z = 8, 9, 10

-- Where an effect stands: the outermost step, the lane in it, and how far in that lane.
local function place_of(key)
  local path = key:match(":(.*)$")
  local name = path:match("^%a+")
  local stage = assert(STAGES[name], key)
  if name == "each" then
    local item, step = path:match("^each%[(%d+)%]%.(%a)$")
    return stage, item, step == "m" and 1 or 2
  end
  return stage, name, tonumber(path:match("(%d+)")) or 1
end

-- What comes later says that what was before it had been recorded: then that must not come again.
local function in_order(path)
  local last, reached = 0, {}
  for key in io.lines(path) do
    local stage, lane, position = place_of(key)
    assert.is_true(stage >= last, "recorded, and done again: " .. key)
    if stage > last then
      last, reached = stage, {}
    end
    assert.is_true(position >= (reached[lane] or 0), "recorded, and done again: " .. key)
    reached[lane] = position
  end
end

local server = scripted.start()

local function scripted_reply()
  local reply = scripted.text("a text")
  reply["repeat"] = true
  server:script(reply)
end

local function counts(path)
  local all, file = {}, io.open(path)
  for line in file and file:lines() or pairs({}) do
    all[line] = (all[line] or 0) + 1
  end
  if file then
    file:close()
  end
  return all
end

describe("durable runs of processes that are killed at any moment", function()
  local chunk

  setup(function()
    chunk = os.tmpname()
    local file = assert(io.open(chunk, "w"))
    file:write(WORKER)
    file:close()
  end)

  teardown(function()
    os.remove(chunk)
    server:stop()
    zigllms.reset()
    zigllms.configure({ store = "memory" })
  end)

  -- A process that executes the run; its number comes first.
  local function worker(place, log, run)
    local words = { "exec", "env", "LUA_CPATH=" .. package.cpath, program.interpreter(), chunk }
    for _, word in ipairs({ place, log, server.url, MIXED, run }) do
      words[#words + 1] = word
    end
    for i = 3, #words do
      words[i] = program.quoted(words[i])
    end
    local line = "echo $$; " .. table.concat(words, " ")
    local talk = program.talk("sh -c " .. program.quoted(line))
    local pid = assert(tonumber(talk:line()))
    talk:line()
    return talk, pid
  end

  -- The result of the run, which is executed again where its outcome was unknown.
  local function outcome(id, run)
    local ok, result = pcall(workflow.execute, id, nil, { run_id = run })
    if ok then
      return result
    end
    assert.equal("unknown_outcome", (result.details or {}).reason, tostring(result))
    assert.equal("once", result.details.step_id)
    return workflow.execute(id, nil, { run_id = run, on_unknown = "retry" }), true
  end

  local function whole(result, run)
    assert.equal("completed", result.status, run)
    local expected = { each = { 2, 4, 6, 8 }, sum = 10, said = "a text", call = "i3" }
    assert.same(expected, result.output, run)
  end

  it("come to their end, and nothing that is recorded happens twice", function()
    local directory = stores.directory()
    local place = directory .. "/store.db"
    zigllms.configure({ store = place })
    scripted_reply()
    math.randomseed(os.time())
    local began = program.clock()
    local talk = worker(place, directory .. "/log", "whole")
    local said = talk:line()
    assert.equal("true", said:match("^%S+"), said)
    talk:stop()
    local span = (program.clock() - began) * 1000
    local repeated, unknown = 0, 0
    for i = 1, KILLED do
      local run, log = "run " .. i, directory .. "/log" .. i
      local pid
      talk, pid = worker(place, log, run)
      zigllms.sleep(math.random() * span)
      os.execute("kill -9 " .. pid .. " 2>/dev/null")
      talk:stop()
      local listed = #workflow.list({ runs = true, status = "running" })
      local known = listed > 0 and select(2, workflow.get_status(run)).steps or {}
      local id = assert((loadstring or load)(MIXED))(zigllms, log, server.url)
      local result, was_unknown = outcome(id, run)
      whole(result, run)
      unknown = unknown + (was_unknown and 1 or 0)
      in_order(log)
      local twice = 0
      for key, count in pairs(counts(log)) do
        assert.is_true(count <= 2, run .. ": " .. key)
        local ended = known[key:match(":(%w+)$")]
        assert.is_false(count > 1 and ended ~= nil, run .. ": recorded, and done again: " .. key)
        twice = twice + count - 1
      end
      assert.is_true(twice <= WIDE, run .. ": " .. twice)
      repeated = repeated + twice
      zigllms.reset()
      os.remove(log)
    end
    print(("\n%d killed: %d effects again, %d asked about"):format(KILLED, repeated, unknown))
    zigllms.configure({ store = "memory" })
    stores.remove(directory)
  end)

  it("write nothing any more once another has taken the run from one that stood still", function()
    local keeper = os.getenv("ZIGLLMS_SWEEP") and redis.for_specs()
    if not keeper then
      print(
        "SKIP a lease that runs out: it takes longer than ten seconds, ZIGLLMS_SWEEP asks for it"
      )
      return
    end
    local directory = stores.directory()
    local log = directory .. "/log"
    scripted_reply()
    local talk, pid = worker(keeper.url, log, "stands still")
    zigllms.sleep(30)
    os.execute("kill -STOP " .. pid)
    zigllms.configure({ store = keeper.url })
    local id = assert((loadstring or load)(MIXED))(zigllms, log, server.url)
    local ok, result
    local deadline = program.clock() + 60
    repeat
      ok, result = pcall(workflow.execute, id, nil, { run_id = "stands still" })
      zigllms.sleep(200)
    until ok or result.details.reason ~= "owned" or program.clock() > deadline
    whole(ok and result or outcome(id, "stands still"), "stands still")
    local before = counts(log)
    os.execute("kill -CONT " .. pid)
    local said = talk:line()
    assert.truthy(said:find("is not this process's any more", 1, true), said)
    talk:stop()
    local more = 0
    for key, count in pairs(counts(log)) do
      more = more + count - (before[key] or 0)
    end
    assert.is_true(more <= WIDE, "effects behind the end: " .. more)
    whole(workflow.execute(id, nil, { run_id = "stands still" }), "stands still")
    zigllms.reset()
    zigllms.configure({ store = "memory" })
    keeper:stop()
    stores.remove(directory)
  end)

  it("have one owner, however many fight for them", function()
    local keeper = redis.for_specs()
    if not keeper then
      return
    end
    local directory = stores.directory()
    scripted_reply()
    for i = 1, math.max(4, math.floor(KILLED / 4)) do
      local run, log = "fight " .. i, directory .. "/log" .. i
      local one, pid = worker(keeper.url, log, run)
      local other = worker(keeper.url, log, run)
      zigllms.sleep(math.random() * 60)
      os.execute("kill -9 " .. pid .. " 2>/dev/null")
      one:stop()
      other:stop()
      zigllms.configure({ store = keeper.url })
      local id = assert((loadstring or load)(MIXED))(zigllms, log, server.url)
      local deadline = program.clock() + 30
      local ok, result
      repeat
        ok, result = pcall(outcome, id, run)
        if not ok then
          zigllms.sleep(50)
        end
      until ok or program.clock() > deadline
      assert.is_true(ok, tostring(result))
      whole(result, run)
      in_order(log)
      local twice = 0
      for key, count in pairs(counts(log)) do
        -- Both may have died, one behind the other.
        assert.is_true(count <= 3, run .. ": " .. key)
        twice = twice + count - 1
      end
      assert.is_true(twice <= 2 * WIDE, run .. ": " .. twice)
      zigllms.reset()
    end
    zigllms.configure({ store = "memory" })
    keeper:stop()
    stores.remove(directory)
  end)
end)
