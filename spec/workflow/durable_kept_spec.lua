-- Runs that an earlier version has begun go on: files that it made are kept.
local zigllms = require("zigllms")
local build = require("spec.fixtures.journal.half")
local stores = require("spec.support.stores")
local workflow = zigllms.workflow

local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)workflow/[^/]*$") or "spec/"

local function copy(from, to)
  local source = assert(io.open(from, "rb"))
  local target = assert(io.open(to, "wb"))
  target:write(source:read("*a"))
  source:close()
  target:close()
end

describe("a durable run of an earlier version", function()
  local directory

  before_each(function()
    directory = stores.directory()
  end)

  after_each(function()
    zigllms.reset()
    zigllms.configure({ store = "memory" })
    stores.remove(directory)
  end)

  it("goes on where it was left", function()
    copy(here .. "fixtures/journal/half-1.db", directory .. "/half.db")
    zigllms.configure({ store = directory .. "/half.db" })
    local status, info = workflow.get_status("half")
    assert.equal("running", status)
    assert.is_false(info.owned)
    assert.same({ "a1", "b2" }, info.steps.each.output)
    local ran = {}
    build(zigllms, function(step)
      ran[#ran + 1] = step
    end)
    local result = workflow.recover()[1]:await()
    assert.same({ "stop" }, ran)
    assert.same({ kept = true }, result.metadata)
    local output = result.output
    assert.same({ "\255\0", 1, 1.5, true, {}, { a = "ä" } }, output.values)
    assert.same({ "a1", "b2" }, output.each)
    assert.same({ 1, 2 }, output.again)
    assert.equal("Ada!?", output.call)
    assert.same({ "values" }, output.seen)
    assert.equal(1.5, output.x)
    assert.equal(5, result.recovered_steps)
  end)
end)
