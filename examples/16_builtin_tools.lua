-- The tools that are there without being registered, and what each of them may reach. No network.
--
--   lua5.4 examples/16_builtin_tools.lua
local zigllms = require("zigllms")
local tool = zigllms.tool

for _, item in ipairs(tool.discover({ source = "builtin" })) do
  print(("%-15s %s"):format(item.name, item.category))
end

-- Called from Lua, or by a model: zigllms.agent.create{ tools = { "calculator" } }.
print(tool.execute("calculator", { expression = "mean(3, 5, 10) * 2 ^ 10" }))

-- A table of CSV, asked without a line of Lua.
local sales = "city,amount\nOslo,120\nRome,80\nOslo,40\n"
print(tool.execute("data_processor", {
  data = sales,
  format = "csv",
  where = { { field = "city", value = "Oslo" } },
  aggregate = "sum",
  field = "amount",
}))

-- Files below the roots only, whatever the path says.
zigllms.configure({ tools = { file_roots = { "examples" } } })
local found = tool.execute("file_reader", { path = "16_builtin_tools.lua", max_bytes = 30 })
print(found.content, "of " .. found.size .. " bytes")
print(select(2, pcall(tool.execute, "file_reader", { path = "../Cargo.toml" })))

-- Public servers only: the address that is connected to counts, not how the URL spells it.
for _, url in ipairs({ "http://127.0.0.1:8080/", "http://2130706433/", "http://[::1]/" }) do
  local ok, err = pcall(tool.execute, "http_request", { url = url })
  print(url, ok or err.details.reason)
end

-- Programs and writing are nobody's until they are permitted, by name and by directory.
print(tool.exists("process_runner"), tool.exists("file_writer"))
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)
zigllms.configure({
  tools = {
    process = { allow = { "wc", { program = "git", args = { "status", "log" } } } },
    file_roots = { folder },
    write_roots = { folder },
  },
})
tool.execute("file_writer", { path = "notes.txt", content = "one\ntwo\n" })
local counted = tool.execute("process_runner", { program = "wc", args = { "-l", "notes.txt" } })
print(counted.exit_code, (counted.stdout:gsub("\n", "")))
for _, call in ipairs({ { "rm", "-rf", "/" }, { "git", "push" } }) do
  local program = table.remove(call, 1)
  print(select(2, pcall(tool.execute, "process_runner", { program = program, args = call })))
end
os.execute("rm -r " .. folder)

-- What a definition would be refused for, all of it, before it is registered.
for _, flaw in ipairs(tool.validate({ name = "two words", timeout_ms = "soon" }).errors) do
  print(flaw.path, flaw.message)
end
