-- A support agent of a shop: it looks orders up, and gives money back up to a limit.
-- What it depends on is handed in: so tests can hand in something else.
local support = {}
support.__index = support

local INSTRUCTIONS = [[
You answer customers of a shop. Look an order up before you speak about it.
Refund only what find_order says was paid. Answer in one short sentence.]]

local function find_order(shop)
  return {
    name = "find_order",
    description = "Status and price of an order",
    parameters = {
      type = "object",
      properties = { id = { type = "string", pattern = "^A-[0-9]+$" } },
      required = { "id" },
    },
    execute = function(input)
      local order = shop:order(input.id)
      return order or { error = "no such order" }
    end,
  }
end

local function refund(shop, limit)
  return {
    name = "refund",
    description = "Gives money back to the customer",
    parameters = {
      type = "object",
      properties = { id = { type = "string" }, amount = { type = "number", minimum = 0 } },
      required = { "id", "amount" },
    },
    execute = function(input)
      if input.amount > limit then
        return { error = "more than " .. limit .. ": hand it over to a person" }
      end
      return { receipt = shop:pay_back(input.id, input.amount) }
    end,
  }
end

-- `options`: zigllms, shop, provider?, limit?
function support.new(options)
  local zigllms, shop = options.zigllms, options.shop
  local agent = zigllms.agent.create({
    name = "support",
    provider = options.provider or "openai",
    model = "gpt-4o-mini",
    instructions = INSTRUCTIONS,
    tools = { find_order(shop), refund(shop, options.limit or 50) },
    retry = { max_attempts = 4, initial_delay_ms = 60000, max_delay_ms = 600000 },
  })
  return setmetatable({ agent = agent, zigllms = zigllms }, support)
end

-- The answer, and what was used for it.
function support:ask(question)
  local response = self.zigllms.agent.run(self.agent, question)
  return response.content, response
end

function support:close()
  self.zigllms.agent.destroy(self.agent)
end

return support
