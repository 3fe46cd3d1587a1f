-- Tools in Lua for every MCP client: Claude Code, editors, other agents. A client runs this program
-- and talks to it over its standard input and output.
--
--   lua5.4 examples/20_mcp_server.lua
--   npx @modelcontextprotocol/inspector lua5.4 examples/20_mcp_server.lua
local zigllms = require("zigllms")

zigllms.tool.register({
  name = "word_count",
  description = "Counts the words of a text, and how often each of them stands in it.",
  parameters = {
    type = "object",
    properties = { text = { type = "string", description = "any text" } },
    required = { "text" },
  },
  returns = { -- an object, so that clients get structured content
    type = "object",
    properties = { total = { type = "integer" }, words = { type = "object" } },
    required = { "total", "words" },
  },
  execute = function(input)
    local total, words = 0, {}
    for word in input.text:lower():gmatch("%a+") do
      total, words[word] = total + 1, (words[word] or 0) + 1
    end
    print("counted " .. total) -- goes to standard error while the server serves
    return { total = total, words = zigllms.object(words) }
  end,
})

zigllms.tool.register({
  name = "nap",
  description = "Sleeps for some milliseconds. Other calls go on meanwhile.",
  parameters = {
    type = "object",
    properties = { ms = { type = "integer", minimum = 0, maximum = 60000, default = 100 } },
  },
  execute = function(input)
    zigllms.sleep(input.ms)
    return "slept " .. input.ms .. " ms"
  end,
})

-- Returns when the client closes the input.
zigllms.tool.serve_mcp({ "word_count", "nap" }, {
  name = "lua-words",
  instructions = "word_count is exact; do not count words yourself.",
})
