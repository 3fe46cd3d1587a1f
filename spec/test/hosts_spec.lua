-- A suite whose tests wait runs wherever the program runs: the same chunk in every event loop.
local loops = require("spec.support.loops")
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local program = require("spec.support.program")

-- Leaves what it has to say in `told`.
local CHUNK = [[
  local zigllms = require("zigllms")
  local test, order = zigllms.test, {}
  local function note(name)
    return function()
      zigllms.sleep(2)
      order[#order + 1] = name
    end
  end
  local result = test.run_suite({
    before_all = note("before_all"),
    scenarios = { {
      name = "s",
      mocks = { server = { type = "service", provider = "openai", responses = { "hello" } } },
      setup = note("setup"),
      teardown = note("teardown"),
      steps = {
        { provider = "openai", input = "hi", expect = "hello" },
        { run = function() zigllms.sleep(60000) end, timeout_ms = 20, should_fail = true },
      },
    } },
    tests = { late = function() zigllms.sleep(2) test.assert_equals(1, 2) end },
  })
  local told = result.passed .. " " .. result.failed .. " " .. table.concat(order, " ")
]]

local EXPECTED = "1 1 before_all setup teardown"

describe("a suite that waits", function()
  for _, loop in ipairs(loops) do
    it("in " .. loop.name, function()
      if loop.missing then
        return print("\nSKIP " .. loop.missing)
      end
      local result = loop:run(CHUNK .. "say(told)")
      assert.equal("", result.err)
      assert.truthy(result.out:find(EXPECTED, 1, true), result.out)
    end)
  end

  it("in copas", function()
    if not package.searchpath("copas", package.path) then
      return print("\nSKIP there is no copas for this engine")
    end
    local result = program.run(([[
      local copas = require("copas")
      copas.addthread(function()
        %s
        print(told)
        os.exit(0) -- the loop of version 1 has no end
      end)
      copas.loop()
    ]]):format(CHUNK))
    assert.equal("", result.err)
    assert.truthy(result.out:find(EXPECTED, 1, true), result.out)
  end)

  it("in nginx", function()
    if nginx.missing() then
      return print("\nSKIP nginx: " .. nginx.missing())
    end
    local web = nginx.start({ locations = { tests = CHUNK .. "ngx.print(told)" } })
    local body = web:get("/tests")
    web:stop()
    assert.equal(EXPECTED, body)
  end)

  nvim.each(describe, function(run_in)
    it("in the editor", function()
      run_in(CHUNK .. ("assert(told == %q, told)"):format(EXPECTED))
    end)
  end)
end)
