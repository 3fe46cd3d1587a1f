-- A conversation as lines: role, what it answers, what it asks for, and its text.
return function(messages)
  local lines = {}
  for i, message in ipairs(messages) do
    local called = {}
    for n, call in ipairs(message.tool_calls or {}) do
      called[n] = call.id
    end
    local content = type(message.content) == "string" and message.content or ""
    lines[i] = message.role
      .. (message.tool_call_id and "(" .. message.tool_call_id .. ")" or "")
      .. (called[1] and "[" .. table.concat(called, ",") .. "]" or "")
      .. (content ~= "" and ": " .. content or "")
  end
  return lines
end
