-- Long chains, wide maps and many executions: their cost per step stays the same, and nothing is
-- left behind.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock
local flow = require("spec.support.flow")
local size = require("spec.support.size")

local workflow = zigllms.workflow

local function add(ctx)
  return ctx.input + 1
end

local function chain(n)
  local steps = {}
  for i = 1, n do
    steps[i] = { fn = add }
  end
  return workflow.create({ steps = steps, keep = 0 })
end

local function wide(n)
  local items = {}
  for i = 1, n do
    items[i] = i
  end
  return workflow.create({
    keep = 0,
    steps = {
      {
        over = items,
        max_concurrency = n,
        steps = {
          {
            fn = function(ctx)
              zigllms.sleep(1)
              return ctx.loop.item * 2
            end,
          },
        },
      },
    },
  })
end

-- Time of an execution per step, in microseconds, the best of some.
local function cost(id, n, input)
  local best = math.huge
  for _ = 1, 3 do
    collectgarbage()
    local began = clock()
    workflow.execute(id, input)
    best = math.min(best, (clock() - began) * 1e6 / n)
  end
  return best
end

local function memory()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count")
end

-- What the process holds in memory, in KiB, once Lua has given back what it can.
local function resident()
  memory()
  local status = assert(io.open("/proc/self/status"))
  local text = status:read("*a")
  status:close()
  return tonumber(text:match("VmRSS:%s*(%d+)"))
end

-- How much memory so many calls leave behind, the least of three times: a table of the program that
-- happens to be doubled meanwhile is no leak.
local function left_by(some, many)
  some(100)
  local least = math.huge
  for _ = 1, 3 do
    local before = memory()
    some(many)
    least = math.min(least, memory() - before)
  end
  print(("\n%d executions: %.0f KiB of Lua's memory more"):format(many, least))
  return least
end

describe("at scale", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("ten thousand steps one after the other cost the same as a thousand each", function()
    local short, long = chain(1000), chain(10000)
    assert.equal(10000, workflow.execute(long, 0).output)
    local small, big = cost(short, 1000, 0), cost(long, 10000, 0)
    print(("\nchain: %.1f us a step of 1,000, %.1f us of 10,000"):format(small, big))
    assert.is_true(big < 4 * small, big / small)
  end)

  it("a thousand items side by side cost little more than a hundred each", function()
    local result = workflow.execute(wide(1000))
    assert.equal(1000, #result.output)
    assert.equal(2000, result.output[1000])
    local small, big = cost(wide(100), 100), cost(wide(1000), 1000)
    print(("\nmap: %.1f us an item of 100, %.1f us of 1,000"):format(small, big))
    assert.is_true(big < 6 * small, big / small)
  end)

  it("executions that have ended leave no memory behind", function()
    local id = workflow.create({
      keep = 5,
      steps = {
        { id = "a", fn = add },
        { id = "p", type = "parallel", steps = { { id = "b", fn = add }, { id = "c", fn = add } } },
        { id = "m", over = { 1, 2 }, steps = { { id = "d", template = { "{{loop.item}}" } } } },
        { id = "l", count = 2, steps = { { id = "e", template = { "{{previous.output}}" } } } },
        { id = "f", template = { "{{steps.a.output}}" } },
      },
    })
    local function some(n)
      for i = 1, n do
        local result = workflow.execute(id, i)
        assert(result.output[1] == i + 1)
      end
    end
    assert.is_true(left_by(some, size(10000, 1000)) < 100)
  end)

  it("nor does what lies outside of Lua grow", function()
    local id = workflow.create({
      keep = 0,
      pattern = "parallel",
      steps = { { fn = add }, { fn = add }, { over = { 1, 2 }, steps = { { fn = add } } } },
    })
    local function some(n)
      for i = 1, n do
        workflow.execute(id, i)
      end
      return resident()
    end
    local before = some(2000)
    local grown = some(size(30000, 2000)) - before
    print(("\nmemory of the process: %d KiB more"):format(grown))
    assert.is_true(grown < 600, grown)
  end)

  it("nor do cancels and children where nothing ever waits", function()
    local reason = ("x"):rep(1000)
    local own = workflow.create({
      keep = 0,
      steps = {
        {
          fn = function(ctx)
            workflow.cancel(ctx.workflow.execution_id, reason)
          end,
        },
      },
    })
    local child = workflow.create({ keep = 0, steps = { { fn = add, input = 1 } } })
    local parent = workflow.create({ keep = 0, steps = { { workflow = child } } })
    local function some(n)
      for _ = 1, n do
        pcall(workflow.execute, own)
        workflow.execute(parent)
      end
      return resident()
    end
    local before = some(1000)
    local grown = some(3000) - before
    assert.is_true(grown < 2000, grown)
  end)

  it("nor do those that failed, or were given up", function()
    local bad = workflow.create({
      keep = 1,
      steps = { { fn = add, input = {}, id = "x" } },
    })
    local slow = workflow.create({ keep = 1, steps = { { duration_ms = 60000 } } })
    local function some(n)
      for _ = 1, n do
        pcall(workflow.execute, bad)
        local handle = workflow.execute(slow, nil, { async = true })
        handle:cancel()
        handle:wait(1000)
      end
    end
    assert.is_true(left_by(some, size(5000, 300)) < 100)
  end)

  it("a loop of many iterations keeps nothing but their outputs", function()
    local before = memory()
    local peak = 0
    local result = flow({
      keep = 0,
      pattern = "loop",
      count = 5000,
      steps = {
        {
          id = "make",
          fn = function()
            return ("x"):rep(20000)
          end,
        },
        {
          id = "drop",
          fn = function(ctx)
            if ctx.loop.index % 500 == 0 then
              peak = math.max(peak, memory() - before)
            end
            return ctx.loop.index
          end,
        },
      },
    })
    assert.equal(5000, #result.output)
    print(("\nloop of 5,000: %.0f KiB at most"):format(peak))
    -- All of their texts would be 100 MB.
    assert.is_true(peak < 20000, peak)
  end)
end)
