-- Steps whose process died in the middle of them: what the step, the call of `execute` and the tool
-- say of that.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local workflow = zigllms.workflow

-- Makes the workflow: one step of that kind, which has its say in `on_unknown`, or none in "".
local MAKE = [[
  local zigllms, kind, says, die = ...
  local function effect()
    if die then
      os.execute("kill -9 $PPID")
    end
    return "done"
  end
  zigllms.tool.register({ name = "effect", execute = effect })
  return zigllms.workflow.create({ name = "unknown", steps = { {
    id = "s",
    fn = kind == "function" and effect or nil,
    tool = kind ~= "function" and "effect" or nil,
    idempotent = kind == "idempotent tool" or nil,
    on_unknown = says ~= "" and says or nil,
  } } })
]]

local DIES = [[
  local zigllms = require("zigllms")
  zigllms.configure({ store = arg[1] })
  local id = assert((loadstring or load)(arg[2]))(zigllms, arg[3], arg[4], true)
  zigllms.workflow.execute(id, nil, { run_id = arg[5] })
]]

for _, store in ipairs(stores.shared()) do
  describe("a step of unknown outcome " .. store.name, function()
    local place, runs = nil, 0

    setup(function()
      place = store.open()
    end)

    teardown(store.close)

    before_each(function()
      zigllms.configure({ store = place })
    end)

    after_each(function()
      zigllms.reset()
      zigllms.configure({ store = "memory" })
    end)

    -- A run whose process died in its only step, as a function that executes it again.
    local function died(kind, says)
      runs = runs + 1
      local run = "unknown " .. runs
      program.run(DIES, { args = { place, MAKE, kind, says, run } })
      zigllms.reset()
      local id = assert((loadstring or load)(MAKE))(zigllms, kind, says)
      return function(on_unknown)
        return workflow.execute(id, nil, { run_id = run, on_unknown = on_unknown })
      end
    end

    local function fails(again, on_unknown)
      local err = raised("invalid_state", again, on_unknown)
      assert.equal("unknown_outcome", err.details.reason)
      assert.equal("s", err.details.step_id)
    end

    local function retries(again, on_unknown)
      local result = again(on_unknown)
      assert.equal("done", result.output)
      assert.equal(2, result.steps.s.attempts)
    end

    it("is executed again where nobody says more, unless it is a tool that may not be", function()
      retries(died("function", ""))
      retries(died("idempotent tool", ""))
      fails(died("tool", ""))
    end)

    it("follows what execute says where it says nothing itself", function()
      fails(died("function", ""), "fail")
      fails(died("idempotent tool", ""), "fail")
      retries(died("tool", ""), "retry")
    end)

    it("follows what it says itself, whatever execute says", function()
      retries(died("tool", "retry"), "fail")
      fails(died("function", "fail"), "retry")
    end)

    it("is executed again when somebody says so who was told", function()
      for _, kind in ipairs({ "function", "tool", "idempotent tool" }) do
        local again = died(kind, "fail")
        fails(again)
        fails(again)
        retries(again, "retry")
      end
    end)
  end)
end
