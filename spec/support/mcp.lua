-- spec/fixtures/mcp_server.lua as a server for import_mcp: it does what its script says.
local cjson = require("cjson")
local program = require("spec.support.program")
local zigllms = require("zigllms")

local mcp = {}

local root = os.getenv("PWD")
mcp.fixtures = root .. "/spec/fixtures/"

function mcp.command(script)
  return { program.interpreter(), mcp.fixtures .. "mcp_server.lua", cjson.encode(script or {}) }
end

-- Options of import_mcp for a server with that script.
function mcp.with(script, options)
  options = options or {}
  options.command = options.command or mcp.command(script)
  options.env = options.env or {}
  options.env.LUA_PATH, options.env.LUA_CPATH = package.path, package.cpath
  return options
end

function mcp.import(script, options)
  return zigllms.tool.import_mcp(mcp.with(script, options))
end

-- A script with definitions of tools that the fixture knows by these names.
function mcp.tools(...)
  local list = {}
  for i, name in ipairs({ ... }) do
    list[i] = { name = name, description = "does " .. name, inputSchema = { type = "object" } }
  end
  return { tools = list }
end

-- What events by that name tell, from now on.
function mcp.told_by(pattern)
  local told = {}
  zigllms.event.subscribe(pattern, function(event)
    told[#told + 1] = event.data
  end)
  return told
end

function mcp.text_of(told)
  local lines = {}
  for i, data in ipairs(told) do
    lines[i] = data.text
  end
  return table.concat(lines, "\n")
end

-- Waits until `done` answers something, at most five seconds.
function mcp.eventually(done)
  local limit = program.clock() + 5
  repeat
    local value = done()
    if value then
      return value
    end
    zigllms.sleep(10)
  until program.clock() > limit
  error("it never came")
end

return mcp
