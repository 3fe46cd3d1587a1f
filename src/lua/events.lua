-- Events: who hears of what, and telling them.
local core = ...

-- Tells what the core has queued.
function core.tell()
  local name = core.told()
  while name do
    name = core.told()
  end
end

return core
