-- Several processes at once that use one store.
local program = require("spec.support.program")

local BEGIN = [[
  local zigllms = require("zigllms")
  local memory, persistent, me = zigllms.memory, { type = "persistent" }, tonumber(arg[2])
  zigllms.configure({ store = arg[1] })
]]

-- Runs `chunk` in `count` processes on `store`: the lines they printed. `me` is which it is.
local function processes(count, store, chunk)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(BEGIN .. chunk)
  file:close()
  local words = {}
  for i = 1, count do
    words[i] = ("%s %s %s %d & "):format(program.interpreter(), path, program.quoted(store), i)
  end
  words[#words + 1] = "wait"
  local result = program.shell("sh -c " .. program.quoted(table.concat(words)))
  os.remove(path)
  assert(result.err == "", result.err)
  local lines = {}
  for line in result.out:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

return processes
