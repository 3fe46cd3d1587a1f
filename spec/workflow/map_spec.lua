-- The same steps for each item, side by side.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock
local flow = require("spec.support.flow")
local raised = require("spec.support.raised")

local function map(over, steps, more)
  local step = { id = "m", type = "map", over = over, steps = steps }
  for key, value in pairs(more or {}) do
    step[key] = value
  end
  return { step }
end

local function item(ctx)
  return ctx.loop.item
end

describe("map", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("goes over an array, a template or what a function gives", function()
    local double = { {
      fn = function(ctx)
        return ctx.loop.item * 2
      end,
    } }
    assert.same({ 2, 4, 6 }, flow(map({ 1, 2, 3 }, double)).output)
    assert.same({ 8, 10 }, flow(map("{{input.list}}", double), { list = { 4, 5 } }).output)
    local list = function(ctx)
      return { ctx.input, ctx.previous.output + 1 }
    end
    assert.same({ 2, 4 }, flow(map(list, double), 1).output)
    assert.same({ 2, 6 }, flow(map({ 1, "{{input}}" }, double), 3).output)
  end)

  it("keeps the order, whoever is first", function()
    local result = flow(map({ 40, 5, 20, 1 }, {
      {
        fn = function(ctx)
          zigllms.sleep(ctx.loop.item)
          return ctx.loop.item
        end,
      },
    }))
    assert.same({ 40, 5, 20, 1 }, result.output)
  end)

  it("of nothing is nothing", function()
    assert.same({}, flow(map({}, { { fn = item } })).output)
    assert.same({}, flow(map("{{input}}", { { fn = item } }), {}).output)
    assert.equal("[]", zigllms.output.format(flow(map("{{input}}", { { fn = item } }), {}).output))
  end)

  it("steps inside see loop", function()
    local result = flow(map({ "a", "b", "c" }, {
      { template = { "{{loop.index}}", "{{loop.item}}", "{{loop.first}}", "{{loop.last}}" } },
    }))
    assert.same(
      { { 1, "a", true, false }, { 2, "b", false, false }, { 3, "c", false, true } },
      result.output
    )
    local seen = flow(map({ "a" }, {
      {
        fn = function(ctx)
          return { ctx.loop.index, ctx.loop.item, ctx.loop.first, ctx.loop.last }
        end,
      },
    })).output
    assert.same({ { 1, "a", true, true } }, seen)
  end)

  it("steps inside see the steps of their own item, whoever is quicker", function()
    local result = flow({
      {
        id = "before",
        fn = function()
          return "B"
        end,
      },
      {
        id = "m",
        over = { 40, 1, 20 },
        steps = {
          { id = "one", fn = item },
          {
            id = "two",
            fn = function(ctx)
              zigllms.sleep(ctx.loop.item)
            end,
          },
          { id = "three", template = "{{steps.one.output}} {{steps.before.output}}" },
          {
            id = "four",
            fn = function(ctx)
              return { ctx.steps.one.output, ctx.steps.three.output, ctx.steps.before.output }
            end,
          },
        },
      },
      { id = "after", template = "{{steps.before.output}} {{steps.m.output[1][2]}}" },
    })
    assert.same(
      { { 40, "40 B", "B" }, { 1, "1 B", "B" }, { 20, "20 B", "B" } },
      result.steps.m.output
    )
    assert.equal("B 40 B", result.output)
  end)

  it("hands on tables as they are", function()
    local items = { {}, { 1 }, print }
    local result =
      flow(map("{{input}}", { { fn = item }, { template = "{{previous.output}}" } }), items)
    for i = 1, 3 do
      assert.equal(items[i], result.output[i])
    end
  end)

  it("leaves null where an item has no output", function()
    local result = flow(map({ 1, 2, 3 }, {
      {
        fn = function(ctx)
          if ctx.loop.item ~= 2 then
            return ctx.loop.item
          end
        end,
      },
    }))
    assert.same({ 1, zigllms.null, 3 }, result.output)
  end)

  it("so many at once, eight unless it says", function()
    for _, case in ipairs({ { nil, 8 }, { 3, 3 }, { 50, 20 } }) do
      local now, worst, items = 0, 0, {}
      for i = 1, 20 do
        items[i] = i
      end
      flow(map(items, {
        {
          fn = function()
            now = now + 1
            worst = math.max(worst, now)
            zigllms.sleep(5)
            now = now - 1
          end,
        },
      }, { max_concurrency = case[1] }))
      assert.equal(case[2], worst)
    end
  end)

  it("a failure ends the others, or is raised after them", function()
    for _, fast in ipairs({ true, false }) do
      local done, began = {}, clock()
      local err = raised(
        "callback_error",
        flow,
        map({ 1, 2, 3, 4 }, {
          {
            id = "work",
            fn = function(ctx)
              zigllms.sleep(20 * ctx.loop.item)
              if ctx.loop.item == 2 then
                error("two", 0)
              end
              done[#done + 1] = ctx.loop.item
            end,
          },
        }, { fail_fast = fast })
      )
      assert.equal("two", err.cause)
      assert.same(fast and { 1 } or { 1, 3, 4 }, done)
      assert.is_true(clock() - began < 1)
    end
  end)

  it("goes over a failure where its step says so", function()
    local result = flow(map({ 1, 2, 3 }, {
      {
        fn = function(ctx)
          return ctx.loop.item == 2 and error("two") or ctx.loop.item
        end,
        continue_on_error = true,
        default = -1,
      },
    }))
    assert.same({ 1, -1, 3 }, result.output)
  end)

  it("what it goes over is to be an array", function()
    for _, bad in ipairs({ "text", 5, { a = 1 }, true }) do
      local err = raised("validation_failed", flow, map("{{input}}", { { fn = item } }), bad)
      assert.truthy(tostring(err):find("array", 1, true), tostring(err))
      assert.equal("m", err.details.step_id)
    end
    raised("validation_failed", flow, map(function() end, { { fn = item } }))
  end)

  it("reads what it goes over without its metamethods", function()
    local trap = function()
      error("called")
    end
    local list = setmetatable({ 1, 2 }, { __len = trap, __index = trap, __pairs = trap })
    assert.same({ 1, 2 }, flow(map("{{input}}", { { fn = item } }), list).output)
  end)

  it("in a map: each has its own loop", function()
    local result = flow(map({ { 1, 2 }, { 3 } }, {
      {
        id = "inner",
        over = "{{loop.item}}",
        steps = { { template = "{{loop.item}}" } },
      },
      { template = { "{{loop.index}}", "{{previous.output}}" } },
    }))
    assert.same({ { 1, { 1, 2 } }, { 2, { 3 } } }, result.output)
  end)

  it("without steps gives what was before", function()
    assert.same({ "x", "x" }, flow(map({ 1, 2 }, {}), "x").output)
  end)
end)
