-- Tests of the agent, without a network and without a key.
local Support = require("support")
local zigllms = require("zigllms")

local test = zigllms.test

-- What the model says when it wants a tool called.
local function wants(name, arguments)
  return { tool_calls = { { name = name, arguments = arguments } } }
end

describe("the support agent", function()
  local shop, support

  before_each(function()
    shop = test.create_mock({
      type = "object",
      methods = {
        order = function(id)
          return id == "A-17" and { status = "shipped", paid = 30 } or nil
        end,
        pay_back = "R-1",
      },
    })
    support = Support.new({ zigllms = zigllms, shop = shop })
  end)

  after_each(function()
    support:close()
  end)

  -- The model answers what the test says, in this order.
  local function model_says(...)
    local model = test.create_mock({
      type = "service",
      provider = "openai",
      responses = { ... },
      repeat_last = false,
    })
    finally(function()
      model:restore()
    end)
    return model
  end

  it("looks an order up before it answers", function()
    local model = model_says(wants("find_order", { id = "A-17" }), "It has been shipped.")
    assert.equal("It has been shipped.", (support:ask("Where is A-17?")))
    assert.is_true(shop.order:called_with("A-17"))
    -- The second question to the model has what the tool found.
    local asked = model:last_call().messages
    test.assert_contains(asked[#asked].content, '"status":"shipped"')
  end)

  it("pays back what was paid", function()
    model_says(wants("refund", { id = "A-17", amount = 30 }), "You get 30 back.")
    support:ask("I want my money back.")
    test.assert_equals(shop.pay_back:last_call().args, { n = 2, "A-17", 30 })
  end)

  it("pays back no more than its limit", function()
    local model =
      model_says(wants("refund", { id = "A-17", amount = 3000 }), "A person will look at it.")
    support:ask("I want 99 back.")
    assert.equal(0, shop.pay_back:call_count())
    local asked = model:last_call().messages
    test.assert_contains(asked[#asked].content, "hand it over to a person")
  end)

  it("tells the model what is wrong with its arguments", function()
    local model = model_says(wants("find_order", { id = 17 }), "Which order is it?")
    support:ask("Where is it?")
    assert.equal(0, shop.order:call_count())
    local asked = model:last_call().messages
    test.assert_contains(asked[#asked].content, "id")
  end)

  -- Ten minutes of patience, in milliseconds: inside of test.clock nothing waits in real time.
  it("waits while the model's servers are busy", function()
    local busy = { error = { code = "rate_limited", status = 429 } }
    model_says(busy, busy, busy, "Here I am.")
    test.clock(function(clock)
      local began = clock:now()
      assert.equal("Here I am.", (support:ask("Hello?")))
      assert.is_true(clock:now() - began > 3 * 60000)
    end)
  end)

  it("says what went wrong where it cannot answer", function()
    model_says({ error = { code = "auth", status = 401 } })
    local ok, err = pcall(support.ask, support, "Hello?")
    assert.is_false(ok)
    assert.equal("auth", err.code)
  end)

  -- A real server on loopback, which breaks off in the middle of its answer.
  it("survives a connection that breaks", function()
    local server = test.create_mock({
      type = "service",
      transport = "http",
      dialect = "openai",
      provider = "openai",
      responses = { { status = 200, body = '{"choices": [', close_after = 10 }, "Once more." },
    })
    finally(function()
      server:restore()
    end)
    test.clock(function()
      assert.equal("Once more.", (support:ask("Hello?")))
    end)
    assert.equal(2, server:call_count())
  end)
end)
