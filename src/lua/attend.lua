-- Attended operations: those that hooks are registered for.
local core = ...

return core
