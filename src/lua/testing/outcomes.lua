-- What errors of tests mean: a skip, an assertion that did not hold, or something else.
local core = ...

local error, getmetatable, given = error, core.metatable_of, core.given
local rawget, setmetatable, type = rawget, setmetatable, type
local is_error = core.is_error
local loaded = core.globals.package.loaded

local skip_mt = {
  __tostring = function(skip)
    return "skipped" .. (skip.reason and ": " .. skip.reason or "")
  end,
}

-- Whether what was raised is a skip, or was caused by one.
function core.skip_in(err)
  while type(err) == "table" do
    if getmetatable(err) == skip_mt then
      return err
    end
    err = is_error(err) and rawget(err, "cause") or nil
  end
end

local function is_inside(context)
  while context do
    if context.tests then
      return true
    end
    context = context.parent
  end
  return false
end

function core.lua.skip(reason)
  if not is_inside(core.context()) then
    core.raise("invalid_state", "there is no test to skip", "test.skip")
  end
  error(setmetatable({ reason = given(reason) }, skip_mt), 0)
end

-- Whether a text is that of an assertion: Lua's own, or busted's, which begin a line with
-- "Expected".
local function reads_as_assertion(text)
  if text:find("assertion failed!", -17, true) then
    return true
  end
  local told = "\n" .. text:gsub("^[^\n]-:%d+: ", "")
  return loaded.luassert ~= nil and told:find("\nExpected ", 1, true) ~= nil
end

-- Whether an error says that an assertion did not hold, ours or another library's.
function core.is_assertion(err)
  if is_error(err) then
    return rawget(err, "code") == "assertion_failed"
  elseif type(err) == "string" then
    return reads_as_assertion(err)
  end
  local meta = type(err) == "table" and getmetatable(err)
  return type(meta) == "table" and rawget(meta, "__type") == "failure"
end

return core
