-- The line that examples show of an execution.
local progress = dofile("examples/shared/progress.lua")
local zigllms = require("zigllms")

local workflow = zigllms.workflow

local function noop() end

local function written(terminal)
  local id = workflow.create({
    steps = {
      { id = "a", fn = noop },
      { id = "each", over = { 1, 2 }, steps = { { id = "in", fn = noop } } },
      { id = ("long"):rep(40), fn = noop },
      { id = "not", fn = noop, condition = "1 == 2" },
    },
  })
  local texts = {}
  local out = {
    write = function(_, text)
      texts[#texts + 1] = text
    end,
    flush = noop,
  }
  local bar = progress(zigllms, id, out, terminal)
  workflow.execute(id, nil, { on_step = bar.on_step })
  bar.finish()
  return texts
end

describe("the progress of an execution", function()
  after_each(zigllms.reset)

  it("is a line for each step that has ended", function()
    local lines = written(false)
    assert.equal("[######------------------]  25 %  1: a completed\n", lines[1])
    assert.truthy(lines[3]:find(" 25 %%  3: in completed\n$"))
    assert.truthy(lines[4]:find(" 50 %%  4: each completed\n$"))
    assert.equal(80, #lines[5])
    assert.truthy(lines[6]:find("] 100 %%  6: not skipped\n$"))
    assert.truthy(lines[7]:find("] 100 %%  completed after 6 steps, %d+ ms\n$"))
    assert.equal(7, #lines)
  end)

  it("is one line on a terminal, which ends with the execution", function()
    local texts = written(true)
    for i = 1, 7 do
      assert.truthy(texts[i]:find("^\r%[[^\n]*\27%[K$"), texts[i])
    end
    assert.equal("\n", texts[8])
  end)
end)
