-- What stands still goes on with what it had: nothing that was decided before is asked for again.
local zigllms = require("zigllms")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local workflow = zigllms.workflow

local runs = 0

-- Where an execution can stop: in memory, and in a store of its own.
local kinds = { { name = "in memory", options = function() end } }
for _, store in ipairs(stores.shared()) do
  kinds[#kinds + 1] = {
    name = store.name,
    store = store,
    options = function()
      runs = runs + 1
      return { run_id = "standing " .. runs }
    end,
  }
end

local function stop(ctx)
  workflow.pause(ctx.workflow.execution_id)
  return ctx.input
end

local function hand(ctx)
  return ctx.input
end

-- Goes on until the end; the result, and how often it stood still.
local function to_end(result)
  local times = 0
  while result.status == "paused" do
    times = times + 1
    local went, after = workflow.resume(result.execution_id)
    assert.is_true(went)
    result = after
  end
  return result, times
end

for _, kind in ipairs(kinds) do
  describe("an execution " .. kind.name .. " that stood still", function()
    before_each(function()
      zigllms.configure({ store = kind.store and kind.store.open() or "memory" })
    end)

    after_each(function()
      zigllms.reset()
      zigllms.configure({ store = "memory" })
    end)

    teardown(kind.store and kind.store.close or function() end)

    local named = 0

    local function flow(steps, more)
      named = named + 1
      local definition = { name = "flow " .. named, steps = steps }
      for key, value in pairs(more or {}) do
        definition[key] = value
      end
      return to_end(workflow.execute(workflow.create(definition), 1, kind.options()))
    end

    it("runs the rest of a step whose condition would not hold any more", function()
      local result = flow({
        {
          id = "group",
          type = "sequential",
          when = "{{variables.go}}",
          steps = {
            {
              id = "first",
              fn = function(ctx)
                ctx.variables.go = false
                return stop(ctx)
              end,
            },
            { id = "second", template = "done" },
          },
        },
      }, { variables = { go = true } })
      assert.equal("completed", result.steps.group.status)
      assert.equal("done", result.output)
    end)

    it("gives a step the input that it had", function()
      local asked = 0
      local result = flow({
        {
          id = "group",
          type = "sequential",
          input = function(ctx)
            asked = asked + 1
            return "made with " .. ctx.variables.n
          end,
          steps = {
            {
              fn = function(ctx)
                ctx.variables.n = 2
                return stop(ctx)
              end,
            },
            { id = "inside", input = "{{previous.output}}", fn = hand },
          },
        },
        {
          id = "text",
          type = "sequential",
          input = "{{variables.n}}",
          steps = {
            {
              fn = function(ctx)
                ctx.variables.n = 3
                return stop(ctx)
              end,
            },
            { id = "last", fn = hand },
          },
        },
      }, { variables = { n = 1 } })
      assert.equal("made with 1", result.steps.inside.output)
      assert.equal(1, asked)
      assert.equal(2, result.output)
    end)

    it("counts the attempts that a step has had", function()
      local calls = 0
      local id = workflow.create({
        name = "attempts",
        steps = {
          {
            id = "group",
            type = "sequential",
            retry = { max_attempts = 2, backoff_ms = 1 },
            steps = {
              {
                fn = function(ctx)
                  calls = calls + 1
                  if calls == 2 then
                    stop(ctx)
                  end
                end,
              },
              {
                fn = function()
                  error("never", 0)
                end,
              },
            },
          },
        },
      })
      local paused = workflow.execute(id, 1, kind.options())
      raised("callback_error", workflow.resume, paused.execution_id)
      assert.equal(2, calls)
    end)

    it("ends a loop that a step has ended before", function()
      local result, times = flow({
        {
          id = "turns",
          count = 5,
          steps = {
            {
              fn = function(ctx)
                if ctx.loop.index == 2 then
                  ctx.break_loop()
                  stop(ctx)
                end
              end,
            },
            { id = "behind", template = "{{loop.index}}" },
          },
        },
      })
      assert.equal(1, times)
      assert.same({ 1, 2 }, result.output)
    end)

    it("ends an iteration whose condition would not hold any more", function()
      local result = flow({
        {
          type = "loop",
          condition = "{{variables.n}} < 2",
          steps = {
            {
              fn = function(ctx)
                ctx.variables.n = ctx.variables.n + 1
                return stop(ctx)
              end,
            },
            { id = "behind", template = "end of {{loop.index}}" },
          },
        },
      }, { variables = { n = 0 } })
      assert.same({ "end of 1", "end of 2" }, result.output)
    end)

    it("goes over the items that a loop and a map had", function()
      for _, field in ipairs({ "items", "over" }) do
        local asked = 0
        local result = flow({
          {
            [field] = function()
              asked = asked + 1
              return { asked, asked, asked }
            end,
            steps = { { fn = stop }, { template = "{{loop.index}} of {{loop.item}}" } },
          },
        })
        assert.same({ "1 of 1", "2 of 1", "3 of 1" }, result.output, field)
        assert.equal(1, asked)
      end
    end)

    it("keeps all of that when it stops again before it comes there", function()
      local stops = 2
      local id = zigllms.event.subscribe("workflow.resumed", function(event)
        stops = stops - 1
        if stops >= 0 then
          workflow.pause(event.data.execution_id)
        end
      end)
      local result, times = flow({
        {
          count = 4,
          steps = {
            {
              over = { "a", "b" },
              steps = {
                { fn = stop },
                { template = "{{loop.item}}" },
              },
            },
            {
              fn = function(ctx)
                ctx.break_loop()
                return ctx.input
              end,
            },
          },
        },
      })
      zigllms.event.unsubscribe(id)
      assert.is_true(times >= 3)
      assert.same({ { "a", "b" } }, result.output)
    end)

    it("tells that it goes on, also where it had done nothing yet", function()
      local told = {}
      local id = zigllms.event.subscribe("workflow.*", function(event)
        told[#told + 1] = event.type:match("^workflow%.(%l+)$")
        if event.type == "workflow.started" then
          workflow.pause(event.data.execution_id)
        end
      end)
      local _, times = flow({ { template = 1 } })
      zigllms.event.unsubscribe(id)
      assert.equal(1, times)
      assert.same({ "started", "paused", "resumed", "completed" }, told)
    end)

    it("is one execution with those that it has called", function()
      local called, ids = {}, {}
      local id = zigllms.event.subscribe("workflow.*", function(event)
        local name = event.type:match("^workflow%.(%l+)$")
        if name and event.data.workflow_name == "called " .. kind.name then
          called[#called + 1], ids[event.data.execution_id] = name, true
        end
      end)
      workflow.create({ name = "called " .. kind.name, steps = { { fn = stop }, { fn = stop } } })
      local result =
        flow({ { id = "call", workflow = "called " .. kind.name }, { template = "end" } })
      zigllms.event.unsubscribe(id)
      assert.equal("end", result.output)
      assert.same({ "started", "paused", "resumed", "completed" }, called)
      local only = next(ids)
      assert.is_nil(next(ids, only))
      assert.equal("completed", (workflow.get_status(only)))
    end)
  end)
end

for _, store in ipairs(stores.shared()) do
  describe("a durable run " .. store.name .. " that stands still", function()
    before_each(function()
      zigllms.configure({ store = store.open() })
    end)

    after_each(function()
      zigllms.reset()
      zigllms.configure({ store = "memory" })
    end)

    teardown(store.close)

    it("goes on as a whole, not in its parts", function()
      local calls, part = 0, nil
      workflow.create({
        name = "part",
        steps = {
          {
            fn = function(ctx)
              part = ctx.workflow.execution_id
              return stop(ctx)
            end,
          },
          {
            fn = function()
              calls = calls + 1
            end,
          },
        },
      })
      local id = workflow.create({ name = "whole", steps = { { workflow = "part" } } })
      workflow.execute(id, 1, { run_id = "whole" })
      local err = raised("invalid_state", workflow.resume, part)
      assert.truthy(err.message:find('is a part of run "whole"', 1, true))
      raised("invalid_state", workflow.step, part)
      assert.equal(0, calls)
      assert.is_true((workflow.resume("whole")))
      assert.equal(1, calls)
    end)

    it("says of itself what others say", function()
      local said = { name = "said", steps = { { fn = stop }, { template = 1 } } }
      workflow.execute(workflow.create(said), 1, { run_id = "a run" })
      local status, info = workflow.get_status("a run")
      assert.equal("paused", status)
      assert.equal("sequential", info.pattern)
      assert.equal(2, info.steps_count)
      assert.equal(1, info.completed_steps)
      assert.equal(0.5, info.progress)
      assert.equal("number", type(info.duration_ms))
      workflow.resume("a run")
      local other = zigllms.new({ store = zigllms.config().store }).workflow
      local again = other.create(said)
      for _ = 1, 2 do
        status, info = other.get_status("a run")
        assert.equal("completed", status)
        assert.equal(2, info.steps_count)
        assert.equal(2, info.completed_steps)
        assert.equal(1, info.progress)
        assert.equal("completed", info.steps.step_2.status)
        other.execute(again, nil, { run_id = "a run" })
      end
    end)
  end)
end
