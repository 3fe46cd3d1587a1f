-- Calls a function that must raise an error of the module, and returns the error.
-- `raised("not_found", fn, ...)` also checks the code.
local function raised(code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "expected the error " .. code .. ", but nothing was raised")
  local mt = getmetatable(err)
  if not (type(mt) == "table" and mt.__name == "zigllms.error") then
    error("expected an error of the module, got " .. type(err) .. ": " .. tostring(err), 2)
  end
  if err.code ~= code then
    error("expected the code " .. code .. ", got " .. tostring(err), 2)
  end
  return err
end

return raised
