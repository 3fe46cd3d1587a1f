-- Runs specs with optimisations switched off: what programs see must not change.
--
--   ZIGLLMS_OFF=batch,cache,stack busted --helper=spec/support/switched_off.lua spec
local zigllms = require("zigllms")

local off = {}
for name in (os.getenv("ZIGLLMS_OFF") or "batch,cache,stack"):gmatch("%a+") do
  off[name] = { enabled = false }
end

zigllms.configure(off)

local new = zigllms.new
function zigllms.new(config)
  local module = new(config)
  for name, switch in pairs(off) do
    if type(config) ~= "table" or not config[name] then
      module.configure({ [name] = switch })
    end
  end
  return module
end
