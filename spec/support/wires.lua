-- Replies of the scripted server in the words of each protocol. Every protocol has the same
-- functions, so that one spec can be run on all of them:
--   config(server)          how a provider is configured that speaks it
--   text(pieces, extra)     an answer, streamed in pieces; `extra` adds to the reply
--   document(text)          the same in one document
--   calls(list)             one that asks for tools, each {id, name, arguments as text}
--   thought(thinking, list) thinking, then calls (or text, where the list is a string)
--   failure(status, words)  an error answer
--   broken(piece, words)    a piece of an answer, and then an error inside the stream
--   cut(piece)              a piece of an answer that ends there
local cjson = require("cjson")
local with = require("spec.support.server").with

local wires = {}

local KEY = "sk-CANARY-0123456789"
wires.KEY = KEY

local array = cjson.empty_array

local function listed(pieces)
  return type(pieces) == "string" and { pieces } or pieces
end

-- Events whose name is the `type` in their data.
local function stream(events, extra)
  local chunks = {}
  for i, event in ipairs(events) do
    chunks[i] = ("event: %s\ndata: %s\n\n"):format(event.type, cjson.encode(event))
  end
  return with({ chunks = chunks }, extra)
end

local function halves(text)
  local half = math.floor(#text / 2)
  return text:sub(1, half), text:sub(half + 1)
end

-- Anthropic's Messages ------------------------------------------------------------------------

local messages = { type = "anthropic", model = "claude-sonnet-4-5", path = "/v1/messages" }
wires.messages = messages

function messages.config(server)
  return { type = "anthropic", base_url = server.root, api_key = KEY, retry = false }
end

messages.key_header = "x-api-key"

local function message_head()
  local usage = { input_tokens = 6, cache_read_input_tokens = 4, output_tokens = 1 }
  local message = { id = "msg_1", type = "message", role = "assistant", content = array }
  with(message, { model = "claude-test", usage = usage, stop_reason = cjson.null })
  return { { type = "message_start", message = message }, { type = "ping" } }
end

local function message_end(events, reason)
  local delta = { stop_reason = reason, stop_sequence = cjson.null }
  events[#events + 1] = { type = "message_delta", delta = delta, usage = { output_tokens = 5 } }
  events[#events + 1] = { type = "message_stop" }
  return events
end

local function add_block(events, index, block, deltas)
  events[#events + 1] = { type = "content_block_start", index = index, content_block = block }
  for _, delta in ipairs(deltas) do
    events[#events + 1] = { type = "content_block_delta", index = index, delta = delta }
  end
  events[#events + 1] = { type = "content_block_stop", index = index }
end

local function add_text(events, index, pieces)
  local deltas = {}
  for i, piece in ipairs(listed(pieces)) do
    deltas[i] = { type = "text_delta", text = piece }
  end
  add_block(events, index, { type = "text", text = "" }, deltas)
end

local function add_calls(events, index, calls)
  for i, call in ipairs(calls) do
    local first, second = halves(call[3])
    local block = { type = "tool_use", id = call[1], name = call[2], input = cjson.decode("{}") }
    add_block(events, index + i - 1, block, {
      { type = "input_json_delta", partial_json = "" },
      { type = "input_json_delta", partial_json = first },
      { type = "input_json_delta", partial_json = second },
    })
  end
end

function messages.text(pieces, extra)
  local events = message_head()
  add_text(events, 0, pieces)
  return stream(message_end(events, "end_turn"), extra)
end

function messages.document(text)
  return {
    json = {
      id = "msg_1",
      type = "message",
      role = "assistant",
      model = "claude-test",
      content = { { type = "text", text = text } },
      stop_reason = "end_turn",
      usage = { input_tokens = 6, cache_read_input_tokens = 4, output_tokens = 5 },
    },
  }
end

function messages.calls(calls)
  local events = message_head()
  add_calls(events, 0, calls)
  return stream(message_end(events, "tool_use"))
end

function messages.thought(thinking, rest)
  local events = message_head()
  local first, second = halves(thinking)
  add_block(events, 0, { type = "thinking", thinking = "", signature = "" }, {
    { type = "thinking_delta", thinking = first },
    { type = "thinking_delta", thinking = second },
    { type = "signature_delta", signature = "c2lnbmVk" },
  })
  if type(rest) == "string" then
    add_text(events, 1, rest)
    return stream(message_end(events, "end_turn"))
  end
  add_calls(events, 1, rest)
  return stream(message_end(events, "tool_use"))
end

-- What has to come back of it, in the message that follows.
function messages.thought_back(body, thinking)
  local block = body.messages[2].content[1]
  return block.type == "thinking" and block.thinking == thinking and block.signature == "c2lnbmVk"
end

function messages.failure(status, words, extra)
  local kinds = { [401] = "authentication_error", [429] = "rate_limit_error" }
  kinds[529] = "overloaded_error"
  local error = { type = kinds[status] or "invalid_request_error", message = words }
  local body = { type = "error", error = error, request_id = "req_body" }
  return with({ status = status, json = body }, extra)
end

function messages.broken(piece, words)
  local events = message_head()
  add_text(events, 0, piece)
  events[#events] = { type = "error", error = { type = "overloaded_error", message = words } }
  return stream(events)
end

messages.broken_code = "overloaded"

function messages.cut(piece)
  local events = message_head()
  add_text(events, 0, piece)
  events[#events] = nil
  return stream(events)
end

-- What the conversation with a tool looks like, message by message.
function messages.told(body)
  local told = {}
  for i, message in ipairs(body.messages) do
    local content = message.content
    if type(content) == "string" then
      told[i] = message.role .. ": " .. content
    else
      local parts = {}
      for j, block in ipairs(content) do
        parts[j] = block.type
          .. (block.type == "tool_use" and " " .. block.id or "")
          .. (
            block.type == "tool_result" and (" " .. block.tool_use_id .. "=" .. block.content) or ""
          )
      end
      told[i] = message.role .. ": " .. table.concat(parts, ", ")
    end
  end
  return told
end

messages.loop_told = {
  { "user: 1 + 2?" },
  {
    "user: 1 + 2?",
    "assistant: tool_use c1, tool_use c2",
    "user: tool_result c1=3, tool_result c2=7",
  },
}

function messages.system_of(body)
  return body.system
end

function messages.schema_of(body)
  return body.output_config and body.output_config.format.schema
end

messages.models = {
  data = {
    { id = "claude-b", display_name = "B", max_input_tokens = 200000, type = "model" },
    { id = "claude-a", display_name = "A", type = "model" },
  },
}

-- OpenAI's Responses -------------------------------------------------------------------------

local responses = { type = "openai", model = "gpt-test", path = "/v1/responses" }
wires.responses = responses

function responses.config(server)
  return {
    type = "openai",
    api = "responses",
    base_url = server.url,
    api_key = KEY,
    retry = false,
  }
end

responses.key_header = "authorization"

local function response(status, extra)
  return with({
    id = "resp_1",
    object = "response",
    created_at = 1700000000,
    status = status,
    model = "gpt-test",
    output = array,
    error = cjson.null,
  }, extra)
end

local function response_usage()
  return {
    input_tokens = 10,
    input_tokens_details = { cached_tokens = 4 },
    output_tokens = 5,
    output_tokens_details = { reasoning_tokens = 0 },
    total_tokens = 15,
  }
end

local function response_head()
  return { { type = "response.created", response = response("in_progress") } }
end

local function response_end(events, output)
  local last = response("completed", { usage = response_usage(), output = output })
  events[#events + 1] = { type = "response.completed", response = last }
  return events
end

local function message_item(text)
  local content = { { type = "output_text", text = text, annotations = array } }
  return { type = "message", id = "msg_1", role = "assistant", content = content }
end

local function add_message(events, at, pieces)
  local added = { type = "message", id = "msg_1", role = "assistant", content = array }
  local text = table.concat(listed(pieces))
  local item = message_item(text)
  events[#events + 1] = { type = "response.output_item.added", output_index = at, item = added }
  for _, piece in ipairs(listed(pieces)) do
    events[#events + 1] = { type = "response.output_text.delta", output_index = at, delta = piece }
  end
  events[#events + 1] = { type = "response.output_text.done", output_index = at, text = text }
  events[#events + 1] = { type = "response.output_item.done", output_index = at, item = item }
  return item
end

local function add_call_items(events, at, calls)
  for i, call in ipairs(calls) do
    local first, second = halves(call[3])
    local function item(arguments)
      return {
        type = "function_call",
        id = "fc_" .. call[1],
        call_id = call[1],
        name = call[2],
        arguments = arguments,
      }
    end
    local place = at + i - 1
    local function event(kind, fields)
      local full = with({ type = "response." .. kind, output_index = place }, fields)
      events[#events + 1] = full
    end
    event("output_item.added", { item = item("") })
    event("function_call_arguments.delta", { delta = first })
    event("function_call_arguments.delta", { delta = second })
    event("function_call_arguments.done", { arguments = call[3] })
    event("output_item.done", { item = item(call[3]) })
  end
end

function responses.text(pieces, extra)
  local events = response_head()
  local item = add_message(events, 0, pieces)
  return stream(response_end(events, { item }), extra)
end

function responses.document(text)
  return {
    json = response("completed", { usage = response_usage(), output = { message_item(text) } }),
  }
end

function responses.calls(calls)
  local events = response_head()
  add_call_items(events, 0, calls)
  return stream(response_end(events))
end

function responses.thought(thinking, rest)
  local events = response_head()
  local first, second = halves(thinking)
  local item = { type = "reasoning", id = "rs_1", encrypted_content = "c2VhbGVk" }
  item.summary = { { type = "summary_text", text = thinking } }
  for _, piece in ipairs({ first, second }) do
    local kind = "response.reasoning_summary_text.delta"
    events[#events + 1] = { type = kind, output_index = 0, summary_index = 0, delta = piece }
  end
  events[#events + 1] = { type = "response.output_item.done", output_index = 0, item = item }
  if type(rest) == "string" then
    add_message(events, 1, rest)
  else
    add_call_items(events, 1, rest)
  end
  return stream(response_end(events))
end

function responses.thought_back(body, thinking)
  local item = body.input[2]
  return item.type == "reasoning"
    and item.encrypted_content == "c2VhbGVk"
    and item.summary[1].text == thinking
end

function responses.failure(status, words, extra)
  local error = { message = words, type = "invalid_request_error", code = cjson.null }
  return with({ status = status, json = { error = error } }, extra)
end

function responses.broken(piece, words)
  local events = response_head()
  add_message(events, 0, piece)
  events[#events], events[#events - 1] = nil, nil
  local error = { code = "server_error", message = words }
  events[#events + 1] =
    { type = "response.failed", response = response("failed", { error = error }) }
  return stream(events)
end

responses.broken_code = "server_error"

function responses.cut(piece)
  local events = response_head()
  add_message(events, 0, piece)
  events[#events], events[#events - 1] = nil, nil
  return stream(events)
end

function responses.told(body)
  local told = {}
  for i, item in ipairs(body.input) do
    told[i] = item.role and (item.role .. ": " .. item.content)
      or item.type .. " " .. item.call_id .. "=" .. (item.arguments or item.output)
  end
  return told
end

responses.loop_told = {
  { "user: 1 + 2?" },
  {
    "user: 1 + 2?",
    'function_call c1={"a":1,"b":2}',
    'function_call c2={"a":3,"b":4}',
    "function_call_output c1=3",
    "function_call_output c2=7",
  },
}

function responses.system_of(body)
  return body.input[1].role == "system" and body.input[1].content
end

function responses.schema_of(body)
  return body.text.format.schema
end

responses.models = { data = { { id = "gpt-b" }, { id = "gpt-a" } } }

-- Cohere's chat ------------------------------------------------------------------------------

local cohere = { type = "cohere", model = "command-test", path = "/v2/chat" }
wires.cohere = cohere

function cohere.config(server)
  return { type = "cohere", base_url = server.root, api_key = KEY, retry = false }
end

cohere.key_header = "authorization"

local function cohere_usage()
  return {
    billed_units = { input_tokens = 3, output_tokens = 5 },
    tokens = { input_tokens = 10, output_tokens = 5 },
    cached_tokens = 4,
  }
end

local function cohere_event(kind, index, message)
  return { type = kind, index = index, delta = { message = message } }
end

local function cohere_head()
  return { { type = "message-start", id = "id-1", delta = { message = { role = "assistant" } } } }
end

local function cohere_end(events, reason)
  local delta = { finish_reason = reason, usage = cohere_usage() }
  events[#events + 1] = { type = "message-end", delta = delta }
  return events
end

local function cohere_pieces(events, key, pieces)
  events[#events + 1] = cohere_event("content-start", 0, { content = { type = key, [key] = "" } })
  for _, piece in ipairs(listed(pieces)) do
    events[#events + 1] = cohere_event("content-delta", 0, { content = { [key] = piece } })
  end
  events[#events + 1] = { type = "content-end", index = 0 }
end

local function cohere_calls(events, calls)
  for i, call in ipairs(calls) do
    local first, second = halves(call[3])
    local begun = { name = call[2], arguments = "" }
    local begin = { id = call[1], type = "function", ["function"] = begun }
    events[#events + 1] = cohere_event("tool-call-start", i - 1, { tool_calls = begin })
    for _, piece in ipairs({ first, second }) do
      local more = { tool_calls = { ["function"] = { arguments = piece } } }
      events[#events + 1] = cohere_event("tool-call-delta", i - 1, more)
    end
    events[#events + 1] = { type = "tool-call-end", index = i - 1 }
  end
end

function cohere.text(pieces, extra)
  local events = cohere_head()
  cohere_pieces(events, "text", pieces)
  return stream(cohere_end(events, "COMPLETE"), extra)
end

function cohere.document(text)
  local content = { { type = "text", text = text } }
  return {
    json = {
      id = "id-1",
      finish_reason = "COMPLETE",
      message = { role = "assistant", content = content },
      usage = cohere_usage(),
    },
  }
end

function cohere.calls(calls)
  local events = cohere_head()
  cohere_calls(events, calls)
  return stream(cohere_end(events, "TOOL_CALL"))
end

function cohere.thought(thinking, rest)
  local events = cohere_head()
  cohere_pieces(events, "thinking", { halves(thinking) })
  if type(rest) == "string" then
    cohere_pieces(events, "text", rest)
    return stream(cohere_end(events, "COMPLETE"))
  end
  cohere_calls(events, rest)
  return stream(cohere_end(events, "TOOL_CALL"))
end

function cohere.thought_back(body, thinking)
  local part = body.messages[2].content[1]
  return part.type == "thinking" and part.thinking == thinking
end

function cohere.failure(status, words, extra)
  return with({ status = status, json = { id = "x", message = words } }, extra)
end

function cohere.broken(piece, words)
  local events = cohere_head()
  cohere_pieces(events, "text", piece)
  local delta = { finish_reason = "ERROR", error = words, usage = cjson.decode("{}") }
  events[#events + 1] = { type = "message-end", delta = delta }
  return stream(events)
end

cohere.broken_code = "server_error"

function cohere.cut(piece)
  local events = cohere_head()
  cohere_pieces(events, "text", piece)
  return stream(events)
end

function cohere.told(body)
  local told = {}
  for i, message in ipairs(body.messages) do
    local calls = {}
    for j, call in ipairs(message.tool_calls or {}) do
      calls[j] = call.id .. " " .. call["function"].arguments
    end
    told[i] = message.role
      .. ": "
      .. (message.tool_call_id and message.tool_call_id .. "=" or "")
      .. (message.content or "")
      .. table.concat(calls, ", ")
  end
  return told
end

cohere.loop_told = {
  { "user: 1 + 2?" },
  {
    "user: 1 + 2?",
    'assistant: c1 {"a":1,"b":2}, c2 {"a":3,"b":4}',
    "tool: c1=3",
    "tool: c2=7",
  },
}

function cohere.system_of(body)
  return body.messages[1].role == "system" and body.messages[1].content
end

function cohere.schema_of(body)
  return body.response_format.json_schema
end

cohere.models = {
  models = {
    { name = "command-b", endpoints = { "chat" }, context_length = 128000 },
    { name = "command-a", endpoints = { "chat" } },
  },
}

-- Ollama's own chat ----------------------------------------------------------------------------

local ollama = { type = "local", model = "qwen-test", path = "/api/chat", cached = 0 }
wires.ollama = ollama

function ollama.config(server)
  return { type = "local", api = "ollama", base_url = server.url, api_key = KEY, retry = false }
end

ollama.key_header = "authorization"

local function line(fields)
  local full = { model = "qwen-test", created_at = "2026-01-02T03:04:05.6Z", done = false }
  return cjson.encode(with(full, fields)) .. "\n"
end

local function said(fields)
  return line({ message = with({ role = "assistant", content = "" }, fields) })
end

local function ollama_end(reason, text)
  return line({
    message = { role = "assistant", content = text or "" },
    done = true,
    done_reason = reason or "stop",
    prompt_eval_count = 10,
    eval_count = 5,
  })
end

local function lines(chunks, extra)
  local headers = { ["Content-Type"] = "application/x-ndjson" }
  return with({ chunks = chunks, headers = headers }, extra)
end

local function ollama_texts(key, pieces)
  local chunks = {}
  for i, piece in ipairs(listed(pieces)) do
    chunks[i] = said({ [key] = piece })
  end
  return chunks
end

local function ollama_calls(chunks, calls)
  for _, call in ipairs(calls) do
    local called = { name = call[2], arguments = cjson.decode(call[3]) }
    chunks[#chunks + 1] = said({ tool_calls = { { id = call[1], ["function"] = called } } })
  end
end

function ollama.text(pieces, extra)
  local chunks = ollama_texts("content", pieces)
  chunks[#chunks + 1] = ollama_end()
  return lines(chunks, extra)
end

function ollama.document(text)
  return { body = ollama_end("stop", text) }
end

function ollama.calls(calls)
  local chunks = {}
  ollama_calls(chunks, calls)
  chunks[#chunks + 1] = ollama_end()
  return lines(chunks)
end

function ollama.thought(thinking, rest)
  local chunks = ollama_texts("thinking", { halves(thinking) })
  if type(rest) == "string" then
    chunks[#chunks + 1] = said({ content = rest })
  else
    ollama_calls(chunks, rest)
  end
  chunks[#chunks + 1] = ollama_end()
  return lines(chunks)
end

function ollama.thought_back(body, thinking)
  return body.messages[2].thinking == thinking
end

function ollama.failure(status, words, extra)
  return with({ status = status, json = { error = words } }, extra)
end

function ollama.broken(piece, words)
  local chunks = ollama_texts("content", piece)
  chunks[#chunks + 1] = cjson.encode({ error = words }) .. "\n"
  return lines(chunks)
end

ollama.broken_code = "server_error"

function ollama.cut(piece)
  return lines(ollama_texts("content", piece))
end

function ollama.told(body)
  local told = {}
  for i, message in ipairs(body.messages) do
    local calls = {}
    for j, call in ipairs(message.tool_calls or {}) do
      local arguments = call["function"].arguments
      calls[j] = ("%s %d+%d"):format(call.id, arguments.a, arguments.b)
    end
    told[i] = message.role
      .. ": "
      .. (message.tool_name and message.tool_name .. "=" or "")
      .. message.content
      .. table.concat(calls, ", ")
  end
  return told
end

ollama.loop_told = {
  { "user: 1 + 2?" },
  { "user: 1 + 2?", "assistant: c1 1+2, c2 3+4", "tool: add=3", "tool: add=7" },
}

function ollama.system_of(body)
  return body.messages[1].role == "system" and body.messages[1].content
end

function ollama.schema_of(body)
  return body.format
end

ollama.models = {
  models = {
    { name = "b:latest", model = "b:latest", modified_at = "2026-01-02T03:04:05Z" },
    { name = "a:latest", model = "a:latest" },
  },
}

return wires
