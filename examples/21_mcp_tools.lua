-- The tools of an MCP server, used like any others. The server is that of 20_mcp_server.lua, so no
-- network and nothing else is needed; `command = { "npx", "-y", "some-mcp-server" }`, or
-- `url = "https://…/mcp"`, would be used in the same way.
--
--   lua5.4 examples/21_mcp_tools.lua
local zigllms = require("zigllms")
local tool = zigllms.tool

-- What the server writes to its standard error never reaches the terminal by itself.
zigllms.event.subscribe("tool.log", function(event)
  print(event.data.server .. " says: " .. event.data.text)
end)

local ids = tool.import_mcp({
  command = { arg[-1] or "lua", (arg[0]:gsub("21_mcp_tools", "20_mcp_server")) },
  env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }, -- else it inherits HOME, PATH, …
  name = "words",
})
for _, id in ipairs(ids) do
  local info = tool.get_info(id)
  print(info.name, info.type, info.description)
end

local counted = tool.execute("words_word_count", { text = "the tool behind the tool" })
print("words", counted.total, "the", counted.words.the)

-- Calls overlap, each with its own time limit; one that is given up is cancelled over there, too.
local naps = {}
for i = 1, 3 do
  naps[i] = tool.execute("words_nap", { ms = 100 * i }, { async = true })
end
print(table.concat(zigllms.all(naps), ", "))
local ok, err = pcall(tool.execute, "words_nap", { ms = 60000 }, { timeout_ms = 50 })
print(ok, err.code, err.phase)

-- Inputs are checked here, before anything is sent.
ok, err = pcall(tool.execute, "words_word_count", { text = 42 })
print(ok, err.code)

-- The server ends with its last tool. An agent is given them by name, like any others:
-- zigllms.agent.create({ tools = { "words_word_count" } })
for _, id in ipairs(ids) do
  tool.unregister(id)
end
