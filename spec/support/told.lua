-- What a model was told, from the body of a request in any protocol, a line for each message:
-- "user: hi", "assistant[c1,c2]: let me see", "tool(c1): 3". Results that share a message get a
-- line each; where a protocol names no call, "tool: 3".
local function text_of(content)
  if type(content) == "string" then
    return content
  end
  local parts = {}
  for _, part in ipairs(type(content) == "table" and content or {}) do
    parts[#parts + 1] = part.text
  end
  return table.concat(parts)
end

local function line(role, text, ids)
  local called = ids and ids[1] and "[" .. table.concat(ids, ",") .. "]" or ""
  return role .. called .. (text ~= "" and ": " .. text or "")
end

local function result(id, text)
  return "tool" .. (id and "(" .. id .. ")" or "") .. ": " .. text
end

-- OpenAI's chat, Cohere's, Ollama's.
local function plain(lines, message)
  if message.role == "tool" then
    lines[#lines + 1] = result(message.tool_call_id, text_of(message.content))
    return
  end
  local ids = {}
  for i, call in ipairs(type(message.tool_calls) == "table" and message.tool_calls or {}) do
    ids[i] = call.id
  end
  lines[#lines + 1] = line(message.role, text_of(message.content), ids)
end

-- Anthropic's blocks.
local function blocks(lines, message)
  local ids, texts = {}, {}
  for _, block in ipairs(message.content) do
    if block.type == "tool_result" then
      lines[#lines + 1] = result(block.tool_use_id, text_of(block.content))
    elseif block.type == "tool_use" then
      ids[#ids + 1] = block.id
    elseif block.type == "text" then
      texts[#texts + 1] = block.text
    end
  end
  if ids[1] or texts[1] then
    lines[#lines + 1] = line(message.role, table.concat(texts), ids)
  end
end

-- Items of OpenAI's Responses.
local function item(lines, one)
  if one.type == "function_call" then
    lines[#lines + 1] = line("assistant", "", { one.call_id })
  elseif one.type == "function_call_output" then
    lines[#lines + 1] = result(one.call_id, text_of(one.output))
  else
    lines[#lines + 1] = line(one.role, text_of(one.content))
  end
end

return function(body)
  local lines = {}
  if type(body.system) == "string" then
    lines[1] = "system: " .. body.system
  end
  for _, message in ipairs(body.messages or body.input) do
    local is_blocks = type(message.content) == "table" and message.content[1]
    if body.input then
      item(lines, message)
    elseif is_blocks and not message.tool_calls and message.role ~= "tool" then
      blocks(lines, message)
    else
      plain(lines, message)
    end
  end
  return lines
end
