-- POST {"messages": [{"role": "user", "content": "…"}]} → text/event-stream: `{"content": "…"}` for
-- each piece of the answer, then `[DONE]`, or `{"error": "…"}` if it breaks off.
local cjson = require("cjson.safe")
local zigllms = require("zigllms")

local chat = {}

local function refuse(status, message)
  ngx.status = status
  ngx.header.content_type = "application/json"
  ngx.say(cjson.encode({ error = message }))
end

local function messages_of_request()
  ngx.req.read_body()
  local body = cjson.decode(ngx.req.get_body_data() or "")
  return type(body) == "table" and type(body.messages) == "table" and body.messages
end

-- Sends an event. False if the client is gone.
local function send(data)
  return ngx.print("data: ", data, "\n\n") and ngx.flush(true)
end

-- The stream waits as nginx does: while no piece comes, the worker serves others; while the client
-- takes none, the model waits.
local function stream_to_client(messages)
  local stream = zigllms.provider.stream(messages, { provider = "openai" })
  for piece in stream do
    if piece.content ~= "" and not send(cjson.encode({ content = piece.content })) then
      return stream:cancel("the client is gone")
    end
  end
  send("[DONE]")
end

function chat.answer()
  local messages = messages_of_request()
  if not messages then
    return refuse(400, 'expected {"messages": […]}')
  end
  ngx.header.content_type = "text/event-stream"
  ngx.header.cache_control = "no-cache"
  local ok, err = pcall(stream_to_client, messages)
  if ok then
    return
  end
  ngx.log(ngx.ERR, tostring(err))
  if ngx.headers_sent then
    return send(cjson.encode({ error = err.code or "internal" }))
  end
  refuse(err.code == "invalid_argument" and 400 or 502, err.code or "internal")
end

return chat
