-- What a request tells a model, the same in every protocol: a line for each text, call and result.
--
--   "system: be exact", "user: hi", "assistant: let me see", 'call c1 add {"a":1}', "result c1 3"
--
-- How a protocol groups them is checked on the way: results follow their calls, in the order of the
-- calls, and where a protocol has one message for all results of a round it has only one.
local cjson = require("cjson")
local assert = require("luassert")

local function encoded(value)
  if type(value) ~= "table" then
    return cjson.encode(value)
  end
  local keys, parts = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = cjson.encode(key) .. ":" .. encoded(value[key])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Arguments come as text or as an object.
local function arguments_of(given)
  if type(given) ~= "string" then
    return encoded(given)
  end
  local ok, value = pcall(cjson.decode, given)
  return ok and encoded(value) or given
end

local function text_of(content)
  if type(content) ~= "table" then
    return content ~= cjson.null and content or ""
  end
  local parts = {}
  for _, part in ipairs(content) do
    parts[#parts + 1] = part.text
  end
  return table.concat(parts)
end

local Reader = {}
Reader.__index = Reader

function Reader.say(self, role, text)
  if text ~= "" then
    self[#self + 1] = role .. ": " .. text
  end
end

function Reader.call(self, id, name, arguments)
  self[#self + 1] = ("call %s %s %s"):format(id, name, arguments_of(arguments))
  self.open[#self.open + 1] = { id = id, name = name }
end

-- The oldest open call is the one that is answered.
function Reader.result(self, id, name, text)
  local call = assert(table.remove(self.open, 1), "a result without a call")
  assert.equal(call.id, id or call.id)
  assert.equal(call.name, name or call.name)
  self[#self + 1] = ("result %s %s"):format(call.id, text)
end

-- Anything else may follow once all calls have their results.
function Reader.settled(self)
  assert.same({}, self.open)
end

local function chat(reader, message)
  if message.role == "tool" then
    return reader:result(message.tool_call_id, message.tool_name, text_of(message.content))
  end
  reader:settled()
  reader:say(message.role, text_of(message.content))
  for _, call in ipairs(type(message.tool_calls) == "table" and message.tool_calls or {}) do
    reader:call(call.id, call["function"].name, call["function"].arguments)
  end
end

local function blocks(reader, message)
  if type(message.content) == "string" then
    reader:settled()
    return reader:say(message.role, message.content)
  end
  local first = message.content[1]
  if not (first and first.type == "tool_result") then
    reader:settled()
  end
  for _, block in ipairs(message.content) do
    if block.type == "text" then
      reader:say(message.role, block.text)
    elseif block.type == "tool_use" then
      reader:call(block.id, block.name, block.input)
    elseif block.type == "tool_result" then
      reader:result(block.tool_use_id, nil, text_of(block.content))
    end
  end
  -- All results of a round are in one message.
  if first and first.type == "tool_result" then
    reader:settled()
  end
end

local function item(reader, one)
  if one.type == "function_call" then
    return reader:call(one.call_id, one.name, one.arguments)
  elseif one.type == "function_call_output" then
    return reader:result(one.call_id, nil, text_of(one.output))
  end
  reader:settled()
  reader:say(one.role, text_of(one.content))
end

return function(body)
  local reader = setmetatable({ open = {} }, Reader)
  reader:say("system", text_of(body.system or body.instructions or ""))
  for _, message in ipairs(body.messages or body.input) do
    local part = type(message.content) == "table" and message.content[1]
    if body.input then
      item(reader, message)
    elseif part and part.type and not message.tool_calls and message.role ~= "tool" then
      blocks(reader, message)
    else
      chat(reader, message)
    end
  end
  reader:settled()
  reader.open = nil
  return setmetatable(reader, nil)
end
