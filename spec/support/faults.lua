-- The server of spec/fixtures/faults.py, which says any bytes, and the bytes that stand for answers
-- of each protocol.
local cjson = require("cjson")
local scripted = require("spec.support.server")
local wires = require("spec.support.wires")

local faults, methods = {}, {}

-- The scripted server with other commands.
function faults.start()
  local self = scripted.start("faults.py")
  for name, method in pairs(methods) do
    self[name] = method
  end
  return self
end

-- Replaces the script: an array of answers, each an array of steps.
function methods.script(self, answers)
  local text = #answers == 0 and "[]" or cjson.encode(answers)
  assert(self:ask("script " .. text) == "ok")
end

-- A port with TLS, for the same script.
function methods.listen(self, options)
  return tonumber(self:ask("listen " .. cjson.encode(options)))
end

-- Bytes ----------------------------------------------------------------------------------------

-- A status line and headers, each "Name: value".
function faults.head(status, ...)
  return table.concat({ "HTTP/1.1 " .. status, ... }, "\r\n") .. "\r\n\r\n"
end

local head = faults.head

function faults.chunk(bytes)
  return ("%x\r\n%s\r\n"):format(#bytes, bytes)
end

function faults.chunks(pieces)
  local all = {}
  for i, piece in ipairs(pieces) do
    all[i] = faults.chunk(piece)
  end
  return table.concat(all)
end

faults.LAST = "0\r\n\r\n"

faults.STREAM = head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")

-- A whole answer of one piece.
function faults.whole(status, body, ...)
  return head(status, "Content-Length: " .. #body, ...) .. body
end

-- Every way to split a text is one in which a network may.
function faults.bytewise(bytes, by, every)
  return { say = bytes, by = by or 1, every = every or 0 }
end

-- Protocols ------------------------------------------------------------------------------------

local chat = { type = "openai", model = "gpt-test", path = "/v1/chat/completions" }

function chat.config(server)
  return { type = "openai", base_url = server.url, api_key = wires.KEY }
end

chat.key_header = "authorization"
chat.text, chat.calls, chat.failure = scripted.text, scripted.calls, scripted.failure
chat.broken_code = "server_error"

function chat.document(text)
  local choice = { index = 0, message = { role = "assistant", content = text } }
  choice.finish_reason = "stop"
  return { json = { id = "x", choices = { choice }, usage = scripted.usage(3, 4) } }
end

function chat.cut(piece)
  return { sse = { scripted.chunk({ content = piece }), scripted.null } }
end

function chat.broken(piece, words)
  local failed = { error = { message = words, type = "server_error" } }
  return { sse = { scripted.chunk({ content = piece }), failed, scripted.null } }
end

-- The events of a reply of spec/support/wires.lua or of the scripted server, as bytes.
local function events(reply)
  if reply.chunks then
    return reply.chunks
  end
  local all = {}
  local ends = reply.sse[#reply.sse] ~= scripted.null
  for i, event in ipairs(reply.sse) do
    if event ~= scripted.null then
      all[i] = "data: " .. cjson.encode(event) .. "\n\n"
    end
  end
  if ends then
    all[#all + 1] = "data: [DONE]\n\n"
  end
  return all
end

faults.events = events

-- An error answer as a protocol words it; more headers may follow.
local function refusal(wire)
  return function(status, words, ...)
    local body = cjson.encode(wire.failure(tonumber(tostring(status):match("%d+")), words).json)
    return faults.whole(status, body, "Content-Type: application/json", ...)
  end
end

-- A protocol with its answers as bytes: `part` of an answer, one that is complete ("so far"), one
-- with an error behind its first piece.
local function spoken(name, wire)
  local said = { name = name, wire = wire, lines = name == "ollama" }
  said.part = events(wire.cut("so far"))
  said.all = events(wire.text("so far"))
  said.error = events(wire.broken("so far", "fell over"))
  said.broken_code = wire.broken_code
  said.document =
    cjson.encode(wire.document("so far").json or cjson.decode(wire.document("so far").body))
  said.refuse = refusal(wire)
  said.answer = faults.STREAM .. faults.chunks(said.all) .. faults.LAST
  return said
end

-- All protocols, in an order that stays.
faults.wires = {
  spoken("chat", chat),
  spoken("responses", wires.responses),
  spoken("anthropic", wires.messages),
  spoken("cohere", wires.cohere),
  spoken("ollama", wires.ollama),
}

return faults
