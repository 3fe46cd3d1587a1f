-- `test.cassette`: a function whose traffic is recorded, or comes from a recording.
local core = ...

local begin, finish, guarded, lua = core.begin_cassette, core.end_cassette, core.guarded, core.lua
local error, pcall = error, pcall

-- The coroutine it ran in was dropped in the middle.
local function drop(number)
  pcall(finish, number, false)
end

-- The sentinel on the stack tells when a coroutine was left in the middle of it. What the function
-- raised is more than what its recording could not be written for.
local function ended(number, sentinel, state, ok, ...)
  state.done = sentinel ~= nil
  local well, err = pcall(finish, number, ok)
  if not ok then
    error((...), 0)
  end
  core.answered("test", "cassette", well, err)
  return ...
end

function lua.cassette(path, fn, options)
  local number, info = core.answered("test", "cassette", pcall(begin, path, options))
  local sentinel, state = core.guard(drop, number)
  return ended(number, sentinel, state, guarded(fn, info))
end

return core
