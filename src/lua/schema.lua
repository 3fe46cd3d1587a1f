-- Compiled schemas as objects; schemas in any number.
local core = ...

local null, object = core.null, core.schema_object
local getmetatable, next, select, type = getmetatable, next, select, type

-- Whether a table is the options of `merge`: no schema is called `strategy` alone.
local function is_options(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil then
    return false
  end
  local key, word = next(value)
  return key == "strategy" and type(word) == "string" and next(value, key) == nil
end

-- Puts what is written here over the native functions of the bridge.
function core.finish_schema(schema)
  local native_compile, native_merge = schema.compile, schema.merge

  local function coerce(compiled, data)
    return schema.coerce(data, compiled)
  end

  local function extract(compiled, data, options)
    return schema.extract(data, compiled, options)
  end

  -- Methods lie in a table of each object's own: it has the field `schema`, and finding a method
  -- takes no function call.
  local function wrapped(number, source, label)
    local meta = { __name = "zigllms.schema" }
    meta.__index = {
      check = core.schema_check,
      validate = core.schema_validate,
      coerce = coerce,
      extract = extract,
      schema = source,
    }
    function meta.__tostring()
      return "zigllms.schema: " .. (label or "any")
    end
    return object(number, meta)
  end

  function schema.compile(...)
    return wrapped(native_compile(...))
  end

  function schema.merge(...)
    local n, list = select("#", ...), { ... }
    local options
    if n > 1 and is_options(list[n]) then
      options, list[n], n = list[n], nil, n - 1
    end
    for i = 1, n do
      if list[i] == nil then
        list[i] = null
      end
    end
    return native_merge(list, options)
  end
end

return core
