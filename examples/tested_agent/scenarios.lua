-- The same without busted: scenarios, a suite of them, and a report for a CI server.
--   lua scenarios.lua          text
--   lua scenarios.lua junit    text, and report.xml
package.path = "./?.lua;" .. package.path

local Support = require("support")
local zigllms = require("zigllms")

local test = zigllms.test

test.setup_fixture({
  name = "orders",
  scope = "suite",
  data = { ["A-17"] = { status = "shipped", paid = 30 } },
})

test.create_scenario({
  name = "an order is looked up",
  tags = { "orders" },
  fixtures = { "orders" },
  mocks = {
    {
      name = "model",
      type = "service",
      provider = "openai",
      responses = {
        { tool_calls = { { name = "find_order", arguments = { id = "A-17" } } } },
        "It has been shipped.",
      },
    },
  },
  setup = function(ctx)
    local shop = {}
    function shop.order(_, id)
      return ctx.fixtures.orders[id]
    end
    ctx.support = Support.new({ zigllms = zigllms, shop = shop })
  end,
  teardown = function(ctx)
    ctx.support:close()
  end,
  steps = {
    {
      name = "the customer asks",
      run = function(ctx)
        return (ctx.support:ask("Where is A-17?"))
      end,
      expect = { type = test.AssertType.CONTAINS, value = "shipped" },
    },
    {
      name = "the model was told",
      run = function(ctx)
        return ctx.mocks.model:call_count()
      end,
      expect = 2,
    },
  },
})

local reporter = arg[1] == "junit" and "junit" or "text"
local result = test.run_suite({ name = "support", reporter = reporter })
if reporter == "junit" then
  local file = assert(io.open("report.xml", "w"))
  file:write(result.report)
  file:close()
else
  print(result.report)
end
os.exit(result.success)
