-- How large a large thing is: with ZIGLLMS_SWEEP=full in the environment as large as it is meant,
-- otherwise as small as still shows it.
local full = os.getenv("ZIGLLMS_SWEEP") == "full"

return function(meant, small)
  return full and meant or small
end
