-- The metatables of error objects and responses, and what is known about a raised value.
local core = ...

-- What stands around a public function, by its full name: gets the function and its number, and
-- gives what users call.
core.wraps = {}

local getmetatable, rawget, rawset, setmetatable = getmetatable, rawget, rawset, setmetatable
local tostring, type = tostring, type
local error, next, pcall, format = error, next, pcall, string.format

local error_mt, response_mt = core.metas[1], core.metas[2]

-- A cause may have brought a text of several lines; `cause` keeps it.
local function one_line(message)
  return (tostring(message):gsub("%s*[\r\n]+%s*", " / "))
end

local function line(err)
  local place = err.where and err.where .. ": " or ""
  local func = err.func
      and "zigllms." .. (err.bridge and err.bridge .. "." or "") .. err.func .. ": "
    or ""
  return format("%s%s%s [%s]", place, func, one_line(err.message), tostring(err.code))
end

local methods = {}

function methods.is(err, code)
  return rawget(err, "code") == code
end

error_mt.__name = "zigllms.error"
error_mt.__index = methods
error_mt.__tostring = line

function error_mt.__concat(left, right)
  return tostring(left) .. tostring(right)
end

response_mt.__name = "zigllms.response"

function response_mt.__tostring(response)
  return tostring(response.content or "")
end

response_mt.__concat = error_mt.__concat

core.metas[3].__jsontype = "array"
core.metas[4].__jsontype = "object"

local function is_error(value)
  return type(value) == "table" and getmetatable(value) == error_mt
end

core.is_error = is_error

-- Text of a raised value, and its code if it is one of our errors.
function core.describe(err)
  if is_error(err) then
    return tostring(rawget(err, "message")), rawget(err, "code")
  end
  local ok, text = pcall(tostring, err)
  return ok and type(text) == "string" and text or type(err)
end

-- An error object; `fields` may hold any of the optional fields of an error.
function core.new_error(code, message, fields)
  local err = { code = code, message = message, retryable = false, where = core.position() }
  if err.where == "" then
    err.where = nil
  end
  for key, value in next, fields or {} do
    err[key] = value
  end
  return setmetatable(err, error_mt)
end

-- What a function of the core answered to a public one that calls it with pcall; its error is that
-- one's.
function core.answered(bridge, func, ok, ...)
  if ok then
    return ...
  end
  local err = (...)
  if is_error(err) then
    rawset(err, "bridge", bridge)
    rawset(err, "func", func)
  end
  error(err, 0)
end

-- What a user function raised, as the caller of the operation sees it: our errors pass through.
function core.wrap(err, what)
  if is_error(err) then
    return err
  end
  return core.new_error(
    "callback_error",
    what .. " failed: " .. core.describe(err),
    { cause = err }
  )
end
