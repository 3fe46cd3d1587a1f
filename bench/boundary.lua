-- What crossing into the module costs, against plain Lua doing the nearest thing.
--
-- Each case alternates with its peer in short rounds within one run, and shows the median of the
-- rounds' ratios: a busy machine slows both. Smaller is better; 1.00 is the peer's time.
local zigllms = require("zigllms")

package.path = arg[0]:gsub("[^/]*$", "") .. "lib/?.lua;" .. package.path
local measured = require("measured")

local function compare(name, fn, peer_name, peer)
  local cost, _, ratio = measured(fn, peer)
  print(("%-44s %9.3f us %9.2f x %s"):format(name, cost, ratio, peer_name))
end

local function double(input)
  return input.n * 2
end

zigllms.tool.register({ name = "plain", execute = double })
zigllms.tool.register({
  name = "checked",
  parameters = { type = "object", properties = { n = { type = "number" } }, required = { "n" } },
  execute = double,
})

local agent = zigllms.agent.create({ provider = "openai", model = "m", temperature = 0.5 })
local input = { n = 21 }
local config = { provider = "openai", model = "m", temperature = 0.5, stop = { "a", "b" } }
local lookup = { plain = true }

print(("%-44s %12s %11s peer"):format("case", "cost", "ratio"))
compare(
  "tool.exists: one string, one boolean",
  function()
    return zigllms.tool.exists("plain")
  end,
  "string.len",
  function()
    return string.len("plain") and lookup.plain
  end
)
compare(
  "agent.get_info: a table of 14 fields",
  function()
    return zigllms.agent.get_info(agent)
  end,
  "14 fields in Lua",
  function()
    return {
      a = 1,
      b = 2,
      c = 3,
      d = 4,
      e = 5,
      f = 6,
      g = 7,
      h = 8,
      i = 9,
      j = 10,
      k = 11,
      l = 12,
      m = {},
      n = {},
    }
  end
)
compare(
  "agent.configure: options read and checked",
  function()
    return zigllms.agent.configure(agent, config)
  end,
  "copy in Lua",
  function()
    local copy = {}
    for key, value in pairs(config) do
      copy[key] = value
    end
    return copy
  end
)
compare(
  "tool.execute: a Lua function, no schema",
  function()
    return zigllms.tool.execute("plain", input)
  end,
  "coroutine.wrap",
  function()
    return coroutine.wrap(double)(input)
  end
)
compare(
  "tool.execute: with a schema",
  function()
    return zigllms.tool.execute("checked", input)
  end,
  "coroutine.wrap",
  function()
    return coroutine.wrap(double)(input)
  end
)
