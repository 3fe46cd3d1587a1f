-- What a durable run takes for the same definition and the same input, wherever it goes on.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local workflow = zigllms.workflow

for _, store in ipairs(stores.shared()) do
  describe("a durable run " .. store.name .. " that goes on in another process", function()
    local place

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

    -- A workflow that calls others and a tool by their ids, and pauses in its first step.
    local function calling(child)
      local inner = workflow.create({ name = child, steps = { { template = { word = "inner" } } } })
      local tool = zigllms.tool.register({
        name = "adds",
        execute = function(input)
          return input.word .. "+"
        end,
      })
      return workflow.create({
        name = "calling",
        steps = {
          {
            id = "stop",
            fn = function(ctx)
              workflow.pause(ctx.workflow.execution_id)
            end,
          },
          { id = "call", workflow = inner },
          { id = "add", tool = tool },
        },
      })
    end

    it("knows what it calls by name, whatever ids there are", function()
      assert.equal("paused", workflow.execute(calling("inner"), 1, { run_id = "by id" }).status)
      zigllms.reset()
      workflow.create({ name = "one more", steps = {} })
      zigllms.tool.register({ name = "one_more", execute = print })
      local result = workflow.execute(calling("inner"), 1, { run_id = "by id" })
      assert.equal("inner+", result.output)
      assert.equal(1, result.recovered_steps)
    end)

    it("is refused where another workflow is called", function()
      workflow.execute(calling("inner"), 1, { run_id = "another" })
      zigllms.reset()
      local id = calling("other")
      raised("version_mismatch", workflow.execute, id, 1, { run_id = "another" })
    end)

    it("takes numbers for the same that Lua takes for the same", function()
      local id = workflow.create({ name = "number", steps = {} })
      workflow.execute(id, { 0, 2 }, { run_id = "zero" })
      assert.equal("completed", workflow.execute(id, { -0.0, 2.0 }, { run_id = "zero" }).status)
      raised("already_exists", workflow.execute, id, { 0, 2.5 }, { run_id = "zero" })
      if math.type then
        local run = { run_id = "large" }
        workflow.execute(id, 9007199254740993, run)
        raised("already_exists", workflow.execute, id, 9007199254740992.0, run)
      end
    end)
  end)
end
