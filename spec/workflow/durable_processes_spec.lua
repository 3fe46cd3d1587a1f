-- Durable runs that outlive their processes: killed ones go on elsewhere, and others have a say.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local workflow = zigllms.workflow

-- A workflow of every type of step. Each effect is a line in a file; after the line `die` the
-- process is gone.
local MIXED = [[
  local zigllms, log, die = ...
  local function effect(word)
    local file = assert(io.open(log, "a"))
    file:write(word, "\n")
    file:close()
    if word == die then
      os.execute("kill -9 $PPID")
    end
  end
  local function step(id, also)
    return { id = id, fn = function(ctx)
      local place = ctx.loop and id .. ctx.loop.index or id
      effect(place)
      return also and also(ctx) or place
    end }
  end
  zigllms.workflow.create({ name = "inner", steps = {
    step("i1", function(ctx) return ctx.input .. "+i1" end),
    step("i2", function(ctx) return ctx.input .. "+i2" end),
  } })
  zigllms.tool.register({ name = "safe", execute = function(input)
    effect("safe")
    return { n = input.n + 1 }
  end })
  return zigllms.workflow.create({ name = "mixed", steps = {
    step("a", function(ctx)
      ctx.variables.x = 5
      return { 10, 20, 30 }
    end),
    { id = "each", over = "{{previous.output}}", steps = {
      step("m"), step("n", function(ctx) return ctx.loop.item + ctx.variables.x end),
    } },
    { id = "side", type = "parallel", steps = { step("p"), step("q") } },
    { id = "again", count = 3, steps = { step("l", function(ctx)
      ctx.variables.x = ctx.variables.x + 1
      return ctx.variables.x
    end) } },
    { id = "until", until_condition = "{{previous.output}} >= 3", steps = {
      step("u", function(ctx) return ctx.loop.index end),
    } },
    { id = "broken", count = 5, steps = { step("b", function(ctx)
      if ctx.loop.index == 2 then
        ctx.break_loop()
      end
      return ctx.loop.index
    end) } },
    { id = "call", workflow = "inner", input = "{{variables.x}}" },
    { id = "choice", condition = "{{variables.x}} == 8", if_true = { step("y") },
      if_false = { step("z") } },
    { id = "tool", tool = "safe", input = { n = 1 }, idempotent = true },
    { id = "all", template = {
      each = "{{steps.each.output}}", side = "{{steps.side.output}}",
      again = "{{steps.again.output}}", ["until"] = "{{steps.until.output}}",
      broken = "{{steps.broken.output}}", call = "{{steps.call.output}}",
      choice = "{{steps.choice.output}}", tool = "{{steps.tool.output.n}}",
    } },
  } })
]]

local RESULT = {
  each = { 15, 25, 35 },
  side = { p = "p", q = "q" },
  again = { 6, 7, 8 },
  ["until"] = { 1, 2, 3 },
  broken = { 1, 2 },
  call = "8+i1+i2",
  choice = "y",
  tool = 2,
}

local DEATHS = { "a", "m1", "m3", "n2", "p", "q", "l1", "l3", "u2", "u3", "b1", "b2" }
for _, word in ipairs({ "i1", "i2", "y", "safe" }) do
  DEATHS[#DEATHS + 1] = word
end

local BEGIN = [[
  local zigllms = require("zigllms")
  zigllms.configure({ store = arg[1] })
  local id = assert((loadstring or load)(arg[4]))(zigllms, arg[2], arg[3])
]]

local function lines(path)
  local counts, file = {}, io.open(path)
  for line in file and file:lines() or pairs({}) do
    counts[line] = (counts[line] or 0) + 1
  end
  if file then
    file:close()
  end
  return counts
end

local function mixed(log, die)
  return assert((loadstring or load)(MIXED))(zigllms, log, die)
end

-- Begins a run of the workflow in a process that dies behind the effect `die`.
local function begin(store, log, die, run)
  local chunk = BEGIN .. "zigllms.workflow.execute(id, 'in', { run_id = arg[5] }) print('over')"
  local result = program.run(chunk, { args = { store, log, die, MIXED, run } })
  assert.equal("", result.out, result.err)
end

for _, store in ipairs(stores.shared()) do
  describe("a durable run " .. store.name .. " whose process was killed", function()
    local place, log

    setup(function()
      place = store.open()
    end)

    teardown(store.close)

    before_each(function()
      log = os.tmpname()
      zigllms.configure({ store = place })
    end)

    after_each(function()
      zigllms.reset()
      zigllms.configure({ store = "memory" })
      os.remove(log)
    end)

    it("goes on from what is recorded, and does nothing again that had ended", function()
      for _, die in ipairs(DEATHS) do
        local run = "dies at " .. die
        begin(place, log, die, run)
        local result = workflow.execute(mixed(log), nil, { run_id = run })
        assert.same(RESULT, result.output, run)
        local counts = lines(log)
        for effect, count in pairs(counts) do
          -- Items of a map that were under way beside the one that died may be done again.
          local may = effect == die or effect:find("^[mnpq]") and die:find("^[mnpq]")
          assert.is_true(count == 1 or may and count == 2, run .. ": " .. effect)
        end
        assert.equal(die == "a" and 0 or 1, math.min(result.recovered_steps, 1), run)
        os.remove(log)
        zigllms.reset()
      end
    end)

    it("is found by recover, with all others that nobody has", function()
      for i = 1, 3 do
        begin(place, log, "y", "lost " .. i)
      end
      local handles, skipped = workflow.recover()
      assert.same({}, handles)
      assert.equal(3, #skipped)
      assert.equal("unknown_workflow", skipped[1].reason)
      assert.equal("mixed", skipped[1].workflow)
      assert.equal("lost 1", skipped[1].run_id)
      mixed(log)
      handles, skipped = workflow.recover({ name = "mixed" })
      assert.equal(3, #handles)
      assert.same({}, skipped)
      assert.equal("lost 2", handles[2].id)
      for _, handle in ipairs(handles) do
        assert.same(RESULT, handle:await().output)
      end
      assert.same({}, (workflow.recover()))
    end)

    it("fails at a tool call that may have happened, until somebody says what to do", function()
      local function unsafe(die)
        zigllms.tool.register({
          name = "unsafe",
          replace = true,
          execute = function()
            local file = assert(io.open(log, "a"))
            file:write("unsafe\n")
            file:close()
            if die then
              os.execute("kill -9 $PPID")
            end
            return "done"
          end,
        })
        return workflow.create({ name = "unsafe", steps = { { id = "t", tool = "unsafe" } } })
      end
      local chunk = [[
        local zigllms = require("zigllms")
        zigllms.configure({ store = arg[1] })
        zigllms.tool.register({ name = "unsafe", execute = function()
          local file = assert(io.open(arg[2], "a"))
          file:write("unsafe\n")
          file:close()
          os.execute("kill -9 $PPID")
        end })
        local id = zigllms.workflow.create({
          name = "unsafe", steps = { { id = "t", tool = "unsafe" } },
        })
        zigllms.workflow.execute(id, nil, { run_id = "unsafe" })
      ]]
      program.run(chunk, { args = { place, log } })
      local id = unsafe()
      for _ = 1, 2 do
        local err = raised("invalid_state", workflow.execute, id, nil, { run_id = "unsafe" })
        assert.equal("unknown_outcome", err.details.reason)
        assert.equal("t", err.details.step_id)
      end
      local _, skipped = workflow.recover()
      assert.equal("unknown_outcome", skipped[1].reason)
      local options = { run_id = "unsafe", on_unknown = "retry" }
      assert.equal("done", workflow.execute(id, nil, options).output)
      assert.same({ unsafe = 2 }, lines(log))
    end)

    it("is told of by get_status, get_result and list", function()
      begin(place, log, "b1", "told of")
      local status, info = workflow.get_status("told of")
      assert.equal("running", status)
      assert.is_false(info.owned)
      assert.equal("completed", info.steps.again.status)
      local result, how = workflow.get_result("told of")
      assert.is_nil(result)
      assert.equal("running", how)
      local listed
      for _, run in ipairs(workflow.list({ runs = true, name = "mixed" })) do
        listed = run.id == "told of" and run or listed
      end
      assert.equal("running", listed.status)
      assert.is_false(listed.owned)
      mixed(log)
      local resumed, over = workflow.resume("told of")
      assert.is_true(resumed)
      assert.same(RESULT, over.output)
      zigllms.reset()
      assert.equal("completed", (workflow.get_status("told of")))
      assert.same(RESULT, workflow.get_result("told of").output)
      assert.is_false((workflow.resume("told of")))
      raised("not_found", workflow.get_status, "never heard of")
    end)
  end)
end

for _, store in ipairs(stores.shared()) do
  describe("a durable run " .. store.name .. " of another process", function()
    local place

    setup(function()
      place = store.open()
    end)

    teardown(store.close)

    after_each(function()
      zigllms.reset()
      zigllms.configure({ store = "memory" })
    end)

    -- A process with a run that sleeps step by step; what it says at its end.
    local function sleeper(run)
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write([[
        local zigllms = require("zigllms")
        zigllms.configure({ store = arg[1] })
        local steps = {}
        for i = 1, 100 do
          steps[i] = { id = "s" .. i, fn = function()
            if i == 1 then
              io.write("begun\n")
              io.flush()
            end
            zigllms.sleep(200)
          end }
        end
        local id = zigllms.workflow.create({ name = "sleeper", steps = steps })
        local ok, result = pcall(zigllms.workflow.execute, id, nil, { run_id = arg[2] })
        print(ok and result.status or result.code, ok and "" or result.details.reason)
      ]])
      file:close()
      local words = { program.interpreter(), path, place, run }
      for i, word in ipairs(words) do
        words[i] = program.quoted(word)
      end
      local env = "env LUA_CPATH=" .. program.quoted(package.cpath) .. " "
      return program.talk(env .. table.concat(words, " ")), path
    end

    it("can be paused and cancelled, and cannot be taken from it", function()
      local talk, path = sleeper("theirs")
      assert.equal("begun", talk:line())
      zigllms.configure({ store = place })
      assert.equal("running", (workflow.get_status("theirs")))
      assert.is_true(workflow.list({ runs = true, name = "sleeper" })[1].owned)
      local _, skipped = workflow.recover()
      assert.equal("owned", skipped[1].reason)
      assert.is_false((workflow.resume("theirs")))
      assert.is_true(workflow.pause("theirs"))
      assert.equal("paused\t", talk:line())
      talk:stop()
      assert.equal("paused", (workflow.get_status("theirs")))
      _, skipped = workflow.recover()
      assert.equal("paused", skipped[1].reason)
      os.remove(path)

      talk, path = sleeper("ours")
      talk:line()
      assert.is_true(workflow.cancel("ours", "no need"))
      assert.equal("cancelled\tno need", talk:line())
      talk:stop()
      os.remove(path)
      assert.equal("cancelled", (workflow.get_status("ours")))
      assert.is_false(workflow.cancel("ours"))
      assert.is_true(workflow.cancel("theirs"))
      assert.equal("cancelled", (workflow.get_status("theirs")))
    end)
  end)
end
