-- Hooks: functions around operations.
local core = ...

-- Names of operations that have hooks now, each with true.
core.hooked = {}

return core
