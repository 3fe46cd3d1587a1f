-- Event loops that plain Lua programs run, for specs that start one program in each.
--
--   for _, loop in ipairs(loops) do loop.name, loop.missing, loop:run(chunk, options) end
--
-- The chunk has `zigllms`, `now()` (milliseconds) and `say(text)` in scope and runs as a thread of
-- the loop. `missing` tells why this engine has no such loop.
local program = require("spec.support.program")

local PLAIN = [[
  local zigllms, system = require("zigllms"), require("system")
  local function now() return system.monotime() * 1000 end
  local function say(text) print(text) end
]]

local FORMS = {
  { "main thread", "%s" },
  { "run", "zigllms.run(function()\n%s\nend)" },
  {
    "luv",
    'local uv = require("luv")\nlocal handle = zigllms.spawn(function()\n%s\nend)\n'
      .. "uv.run()\nhandle:await()",
    "luv",
  },
  {
    "cqueues",
    'local queue = require("cqueues").new()\nqueue:wrap(function()\n%s\nend)\nassert(queue:loop())',
    "_cqueues",
  },
}

-- As program.run.
local function run(loop, chunk, options)
  local body = loop.form:gsub("%%s", function()
    return chunk
  end)
  return program.run(PLAIN .. body, options)
end

local loops = {}

for i, form in ipairs(FORMS) do
  local name, text, module = form[1], form[2], form[3]
  local there = not module or package.searchpath(module, package.cpath)
  loops[i] = {
    name = name,
    form = text,
    run = run,
    missing = not there and "there is no " .. name .. " for this engine" or nil,
  }
end

return loops
