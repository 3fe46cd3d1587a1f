-- `output.reader`: single values of texts, time and again.
local core = ...

local next, rawequal, type, given = next, rawequal, type, core.given
local unpack = table.unpack or unpack -- luacheck: ignore

-- Options that say nothing of a text which is valid JSON.
local HARMLESS = { recovery = true, missing = true, prose = true }

-- What `parse` is given, and whether valid JSON is to be read as it stands.
local function options_of(paths, options)
  local copy, plain = {}, true
  for key, value in next, options or {} do
    copy[key] = value
    local json = key == "format" and type(value) == "string" and value:lower() == "json"
    plain = plain and (json or HARMLESS[key] or given(value) == nil)
  end
  copy.fields = paths
  return copy, plain
end

local function list_of(paths)
  if type(paths) == "string" then
    return { paths }
  end
  local list = {}
  for i, path in next, paths do
    list[i] = path
  end
  return list
end

core.wraps["output.reader"] = function(number_of)
  return function(paths, options)
    local number = number_of(paths, options)
    local list = list_of(paths)
    local read, plain = options_of(list, given(options))

    local function long(text)
      local values = core.public["output.parse"].fn(text, read)
      if rawequal(values, text) then
        local message = "text: expected a string or a response, got a " .. type(text)
        core.raise("invalid_argument", message, "output.reader")
      end
      local results = {}
      for i, path in ipairs(list) do
        results[i] = values[path]
      end
      return unpack(results, 1, #list)
    end

    return core.reader_new(number, plain, long)
  end
end

return core
