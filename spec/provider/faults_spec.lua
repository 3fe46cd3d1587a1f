-- Every way in which an answer can go wrong, byte by byte, on every protocol, plain and streamed:
-- what it ends as, after how many requests, in what time, and what is kept of it.
local unpack = table.unpack or unpack -- luacheck: ignore
local cjson = require("cjson")
local clock = require("spec.support.program").clock
local zigllms = require("zigllms")
local faults = require("spec.support.faults")
local scripted = require("spec.support.server")
local size = require("spec.support.size")

local provider = zigllms.provider
local head, chunk, chunks, whole = faults.head, faults.chunk, faults.chunks, faults.whole
local STREAM, LAST = faults.STREAM, faults.LAST
local HANG, HALF, RESET, STAY = { hang = true }, { half = true }, { reset = true }, { stay = true }

local server = faults.start()
local ports = scripted.start()

-- Answers in the words of a protocol -------------------------------------------------------------

local function so_far(w)
  return STREAM .. chunks(w.part)
end

local function whole_answer(w)
  return { w.answer }
end

-- The answer of a protocol as one text, changed.
local function changed(change)
  return function(w)
    return { STREAM .. chunk(change(table.concat(w.all))) .. LAST }
  end
end

-- Said bytes without anything of a protocol.
local function says(...)
  local steps = { ... }
  return function()
    return steps
  end
end

-- Part of an answer, and then these steps.
local function after_part(...)
  local steps = { ... }
  return function(w)
    return { so_far(w), unpack(steps) }
  end
end

local function refused(status, ...)
  local headers = { ... }
  return function(w)
    return { w.refuse(status, "the words", unpack(headers)) }
  end
end

local function document(status, ...)
  local headers = { ... }
  return function(w)
    return { whole(status, w.document, unpack(headers)) }
  end
end

local function error_of(code)
  return says(whole("200 OK", cjson.encode({ error = { message = "no", code = code } })))
end

-- The event that carries the text, with another text.
local function saying(w, text)
  for _, event in ipairs(w.part) do
    if event:find("so far", 1, true) then
      return (event:gsub("so far", text))
    end
  end
end

local function half_of(text)
  return text:sub(1, math.floor(#text / 2))
end

-- The rows ---------------------------------------------------------------------------------------
--
-- {name, answer, expectation}: `answer(w)` gives the steps of an answer in the words of protocol
-- `w`; several answers stand in `first` (given before it). The expectation is either `text`, the
-- content of a good answer, or an error:
--   code, tries (requests of a plain call), streamed (of a streamed one, where that differs),
--   partial (content that is kept), says (a part of the message), status, phase
-- and for both `most`, milliseconds that it may take (1500), and `options` of the call.
-- `events` keeps a row for protocols that send events; `wire` for one protocol. A group whose rows
-- are about the connection, the same for all protocols, says how many of them it takes at a time.

local QUICK = { max_attempts = 3, initial_delay_ms = 1, jitter = false }

local ROWS = {}

local function rows(title, list, wires)
  ROWS[#ROWS + 1] = { title = title, list = list, wires = wires or #faults.wires }
end

local statuses, passing = {}, {}
for _, row in ipairs({
  { 400, "bad_request", 1 },
  { 401, "auth", 1 },
  { 402, "rate_limited", 1 },
  { 403, "auth", 1 },
  { 404, "bad_request", 1 },
  { 405, "bad_request", 1 },
  { 408, "bad_request", 3 },
  { 409, "bad_request", 3 },
  { 410, "bad_request", 1 },
  { 413, "bad_request", 1 },
  { 415, "bad_request", 1 },
  { 422, "bad_request", 1 },
  { 429, "rate_limited", 3 },
  { 451, "bad_request", 1 },
  { 500, "server_error", 3 },
  { 501, "server_error", 3 },
  { 502, "server_error", 3 },
  { 503, "overloaded", 3 },
  { 504, "server_error", 3 },
  { 524, "server_error", 3 },
  { 529, "overloaded", 3 },
}) do
  local status, code, tries = unpack(row)
  local expected = { code = code, tries = tries, status = status, says = "the words" }
  statuses[#statuses + 1] = { "status " .. status, refused(status .. " No"), expected }
  if tries > 1 then
    local name = "status " .. status .. ", then an answer"
    local first = { refused(status .. " No") }
    passing[#passing + 1] = { name, whole_answer, { text = "so far", tries = 2 }, first = first }
  end
end
rows("an error status", statuses)
rows("an error status that passes", passing)

rows("an error status with a bad body", {
  { "none", says(whole("401 No", "")), { code = "auth", tries = 1, status = 401 } },
  {
    "that stalls",
    says(head("401 No", "Content-Length: 100") .. '{"error', HANG),
    { code = "auth", tries = 1, status = 401, options = { first_token_timeout_ms = 60 } },
  },
  {
    "that is cut",
    says(head("401 No", "Content-Length: 100") .. '{"error'),
    { code = "auth", tries = 1, status = 401 },
  },
  {
    "that is reset",
    says(head("403 No", "Transfer-Encoding: chunked") .. "5\r\nhello\r\n", { wait = 20 }, RESET),
    { code = "auth", tries = 1, status = 403 },
  },
  {
    "without an end",
    says(head("400 No"), { say = ("no "):rep(20000), times = 0 }),
    { code = "bad_request", tries = 1, status = 400 },
  },
  {
    "that is announced as too long",
    says(head("422 No", "Content-Length: 99999999999") .. "no", HANG),
    { code = "bad_request", tries = 1, status = 422 },
  },
  {
    "compressed",
    says(head("404 No", "Content-Encoding: gzip"), { zip = '{"error":"no"}' }),
    { code = "bad_request", tries = 1, status = 404, says = "HTTP 404" },
  },
  {
    "in UTF-16",
    says(whole("400 No", '\255\254{\0"\0e\0"\0:\0"\0x\0"\0}\0')),
    { code = "bad_request", tries = 1, status = 400 },
  },
  {
    "that comes before the question",
    function(w)
      return { { early = true }, w.refuse("403 No", "the words", "Connection: close") }
    end,
    { code = "auth", tries = 1, status = 403, says = "the words" },
  },
  {
    "with a byte order mark",
    says(whole("400 No", '\239\187\191{"error":{"message":"the words"}}')),
    { code = "bad_request", tries = 1, status = 400, says = "the words (HTTP 400)" },
  },
  {
    "with control characters",
    says(whole("400 No", "no\27[31m\r\nway")),
    { code = "bad_request", tries = 1, status = 400, says = "no" },
  },
  {
    "with an event stream",
    says(whole("500 No", 'data: {"error":{"message":"the words"}}\n\n')),
    { code = "server_error", tries = 3, status = 500, says = "the words" },
  },
}, 2)

rows("no connection", {
  {
    "because it takes too long",
    nil,
    {
      code = "timeout",
      phase = "connect",
      tries = 3,
      options = { connect_timeout_ms = 40 },
    },
    url = ports:deaf():match("^http://[^/]*"),
    sent = 0,
  },
  {
    "because it is refused",
    nil,
    { code = "network", tries = 3, says = "connect" },
    url = ports:refused():match("^http://[^/]*"),
    sent = 0,
  },
}, 1)

local NO_ANSWER = { first_token_timeout_ms = 60 }
local NO_MORE = { idle_timeout_ms = 60 }

rows("silence", {
  {
    "instead of an answer",
    says(HANG),
    { code = "timeout", phase = "first_token", tries = 3, options = NO_ANSWER },
  },
  {
    "in the head",
    says("HTTP/1.1 200 OK\r\nContent-", HANG),
    { code = "timeout", phase = "first_token", tries = 3, options = NO_ANSWER },
  },
  {
    "behind the head",
    says(STREAM, HANG),
    { code = "timeout", phase = "first_token", tries = 3, options = NO_ANSWER },
  },
  {
    "broken by comments only",
    says(STREAM, { say = chunk(": ping\n\n"), every = 10, times = 0 }),
    { code = "timeout", phase = "first_token", tries = 3, options = NO_ANSWER },
    events = true,
  },
  {
    "in the middle of the answer",
    after_part(HANG),
    { code = "timeout", phase = "idle", tries = 1, partial = "so far", options = NO_MORE },
  },
  {
    "in the middle of the answer, broken by comments only",
    after_part({ say = chunk(": ping\n\n"), every = 10, times = 0 }),
    { code = "timeout", phase = "idle", tries = 1, partial = "so far", options = NO_MORE },
    events = true,
  },
  {
    "in the middle of a chunk",
    after_part("ff\r\nda", HANG),
    { code = "timeout", phase = "idle", tries = 1, partial = "so far", options = NO_MORE },
  },
  {
    "behind the last word, on a connection that stays open",
    function(w)
      return { STREAM .. chunks(w.all), HANG }
    end,
    { text = "so far", tries = 1 },
  },
  {
    "behind the reason, without [DONE]",
    function(w)
      return { STREAM .. chunks({ w.all[1], w.all[2], w.all[3] }), HANG }
    end,
    { text = "so far", tries = 1, options = NO_MORE },
    wire = "chat",
  },
  {
    "behind a whole document of unknown length",
    function(w)
      return { head("200 OK") .. w.document, HANG }
    end,
    { text = "so far", tries = 1, options = NO_ANSWER },
  },
  {
    "longer than the whole call may take",
    after_part(HANG),
    {
      code = "timeout",
      phase = "total",
      tries = 1,
      partial = "so far",
      options = { timeout_ms = 60 },
    },
  },
}, 1)

rows("a slow answer", {
  {
    "that is a refusal without words",
    says(head("401 No", "Content-Length: 100") .. '{"err', HANG),
    { code = "auth", tries = 1, status = 401, most = 15000, options = { timeout_ms = 20000 } },
    -- Five seconds for each face.
    wire = size("chat", "none"),
  },
  {
    "byte by byte",
    function(w)
      return { faults.bytewise(w.answer, 1) }
    end,
    { text = "so far", tries = 1 },
  },
  {
    "seven bytes at once",
    function(w)
      return { faults.bytewise(w.answer, 7) }
    end,
    { text = "so far", tries = 1 },
  },
  {
    "whose head comes in drops",
    says(faults.bytewise(STREAM, 1, 10)),
    { code = "timeout", phase = "first_token", tries = 3, options = NO_ANSWER },
  },
  {
    "whose pieces come in time",
    function(w)
      local steps = { STREAM }
      for _, event in ipairs(w.all) do
        steps[#steps + 1] = { wait = 15 }
        steps[#steps + 1] = chunk(event)
      end
      steps[#steps + 1] = LAST
      return steps
    end,
    { text = "so far", tries = 1, options = { idle_timeout_ms = 1000 } },
  },
}, 1)

local LOST = { code = "network", tries = 3 }
local LOST_PART = { code = "network", tries = 3, streamed = 1, partial = "so far" }

rows("a connection that ends", {
  { "before the head", says(""), LOST },
  { "in the head", says("HTTP/1.1 200 OK\r\nContent-"), LOST },
  { "behind the head", says(STREAM), LOST },
  { "with a reset before the head", says(RESET), LOST },
  { "with a reset behind the head", says(STREAM, { wait = 20 }, RESET), LOST },
  { "with a reset in the middle", after_part({ wait = 20 }, RESET), LOST_PART },
  { "by half before the head", says(HALF), LOST },
  { "by half in the middle", after_part(HALF), LOST_PART },
  { "in the middle, between chunks", after_part(), LOST_PART },
  { "in the middle of a chunk", after_part("ff\r\nda"), LOST_PART },
  { "in the middle, in good order", after_part(LAST), LOST_PART },
  {
    "in the middle of an event",
    function(w)
      return { so_far(w) .. chunk(half_of(w.all[#w.all])) .. LAST }
    end,
    LOST_PART,
  },
  {
    "in the middle of a character",
    function(w)
      local event = saying(w, "\195")
      local at = event:find("\195", 1, true)
      return { so_far(w) .. chunk(event:sub(1, at)) .. LAST }
    end,
    LOST_PART,
  },
  {
    "in the middle of a document",
    function(w)
      return { head("200 OK", "Content-Length: " .. #w.document) .. half_of(w.document) }
    end,
    LOST,
  },
  {
    "in the middle of a document of unknown length",
    function(w)
      return { head("200 OK") .. half_of(w.document) }
    end,
    LOST,
  },
  {
    "behind the last word, without the end of the chunks",
    function(w)
      return { STREAM .. chunks(w.all) }
    end,
    { text = "so far", tries = 1 },
  },
  {
    "behind the last word, with a reset",
    function(w)
      return { STREAM .. chunks(w.all), { wait = 20 }, RESET }
    end,
    { text = "so far", tries = 1 },
  },
  {
    "before the length it announced, behind a whole document",
    function(w)
      return { head("200 OK", "Content-Length: 100000") .. w.document }
    end,
    { text = "so far", tries = 1 },
  },
  {
    "while the request is sent, with an answer",
    function(w)
      return { { hasty = true }, w.refuse("413 Too large", "the words"), { wait = 20 } }
    end,
    { code = "bad_request", tries = 1, status = 413, says = "the words" },
    input = ("long "):rep(1000000),
    wire = "chat",
  },
}, 2)

local function kept_open(w)
  return { whole("200 OK", w.document), STAY }
end

rows("a kept connection", {
  { "is used again", kept_open, { text = "so far", tries = 1 }, first = { kept_open } },
  {
    "that was closed between two calls",
    whole_answer,
    { text = "so far", tries = 1 },
    before = function(w)
      return { whole("200 OK", w.document) }
    end,
    connections = 2,
  },
  {
    "that closes when it is used again",
    whole_answer,
    { text = "so far", tries = 1 },
    before = function(w)
      return { whole("200 OK", w.document), STAY }, {}
    end,
    sent = 3,
  },
  {
    "with junk behind the answer",
    whole_answer,
    { text = "so far", tries = 1 },
    before = function(w)
      return { whole("200 OK", w.document) .. "HTTP/1.1 500 No\r\n\r\njunk", STAY }
    end,
    connections = 2,
  },
  {
    "that says it timed out",
    whole_answer,
    { text = "so far", tries = 1 },
    before = function(w)
      return { whole("200 OK", w.document), { wait = 5 }, whole("408 Too late", ""), STAY }
    end,
    connections = 2,
  },
}, 2)

local FINE = { text = "so far", tries = 1 }

rows("an unusual stream", {
  { "with CRLF", changed(function(text)
    return (text:gsub("\n", "\r\n"))
  end), FINE },
  {
    "with CR",
    changed(function(text)
      return (text:gsub("\n", "\r"))
    end),
    FINE,
    events = true,
  },
  {
    "with a byte order mark",
    changed(function(text)
      return "\239\187\191" .. text
    end),
    FINE,
  },
  {
    "with comments between and in events",
    changed(function(text)
      return ": a\n\n" .. text:gsub("data:", ":\ndata:")
    end),
    FINE,
    events = true,
  },
  {
    "with data in several lines",
    changed(function(text)
      return (text:gsub('([{,])"', '%1\ndata: "'))
    end),
    FINE,
    events = true,
  },
  {
    "with ids, retry times and fields that nobody knows",
    changed(function(text)
      return (text:gsub("data:", "id: 7\nretry: 5\nx-y: z\ndata:"))
    end),
    FINE,
    events = true,
  },
  {
    "without the last line end",
    changed(function(text)
      return (text:gsub("\n+$", ""))
    end),
    FINE,
  },
  {
    "without [DONE]",
    changed(function(text)
      return (text:gsub("data: %[DONE%]\n\n", ""))
    end),
    FINE,
    wire = "chat",
  },
  {
    "as text/plain",
    function(w)
      return { whole("200 OK", table.concat(w.all), "Content-Type: text/plain") }
    end,
    FINE,
  },
  {
    "as a web page",
    function(w)
      return { whole("200 OK", table.concat(w.all), "Content-Type: text/html; charset=utf-16") }
    end,
    FINE,
  },
  {
    "without length and chunks",
    function(w)
      return { head("200 OK") .. table.concat(w.all) }
    end,
    FINE,
  },
  {
    "with an error in the middle",
    function(w)
      return { STREAM .. chunks(w.error) .. LAST }
    end,
    { code = "broken", tries = 3, streamed = 1, partial = "so far", says = "fell over" },
  },
  {
    "with an error and no end",
    function(w)
      return { STREAM .. chunks(w.error), HANG }
    end,
    { code = "broken", tries = 3, streamed = 1, partial = "so far", says = "fell over" },
  },
  {
    "with an event that is no JSON",
    function(w)
      return { so_far(w) .. chunk(w.lines and "{broken}\n" or "data: {broken}\n\n") .. LAST }
    end,
    { code = "bad_response", tries = 1, partial = "so far" },
  },
  {
    "with an event that is no UTF-8",
    function(w)
      return { so_far(w) .. chunk(saying(w, "\195(")) .. LAST }
    end,
    { code = "bad_response", tries = 1, partial = "so far" },
  },
  {
    "with NUL bytes",
    function(w)
      return { so_far(w) .. chunk(("\0"):rep(100) .. "\n\n") .. LAST }
    end,
    { code = "bad_response", tries = 1, partial = "so far", says = "binary" },
    wire = "ollama",
  },
})

rows("an unusual document", {
  {
    "that comes before the question",
    function(w)
      return { { early = true }, whole("200 OK", w.document, "Connection: close") }
    end,
    FINE,
  },
  { "in one piece", document("200 OK"), FINE },
  { "as text/plain", document("200 OK", "Content-Type: text/plain"), FINE },
  {
    "behind 100 Continue",
    function(w)
      return { head("100 Continue") .. whole("200 OK", w.document) }
    end,
    FINE,
  },
  {
    "behind early hints",
    function(w)
      return { head("103 Early Hints", "Link: </x>") .. whole("200 OK", w.document) }
    end,
    FINE,
  },
  { "without a reason", document("200"), FINE },
  {
    "of HTTP/1.0",
    function(w)
      return { "HTTP/1.0 200 OK\r\n\r\n" .. w.document }
    end,
    FINE,
  },
  {
    "with bare line feeds in its head",
    function(w)
      return { "HTTP/1.1 200 OK\nContent-Length: " .. #w.document .. "\n\n" .. w.document }
    end,
    FINE,
  },
  {
    "followed by another answer",
    function(w)
      return { whole("200 OK", w.document):rep(2) }
    end,
    FINE,
  },
  {
    "followed by junk",
    function(w)
      return { whole("200 OK", w.document) .. ("junk"):rep(1000) }
    end,
    FINE,
  },
  {
    "longer than announced",
    function(w)
      return { head("200 OK", "Content-Length: " .. #w.document - 5) .. w.document }
    end,
    LOST,
  },
  {
    "announced with a length that is none",
    function(w)
      return { head("200 OK", "Content-Length: many") .. w.document }
    end,
    { code = "bad_response", tries = 1 },
  },
  {
    "announced with two lengths",
    function(w)
      return { head("200 OK", "Content-Length: 5", "Content-Length: 7") .. w.document }
    end,
    { code = "bad_response", tries = 1 },
  },
})

local BAD = { code = "bad_response", tries = 1 }
local BAD_PART = { code = "bad_response", tries = 1, partial = "so far" }

local function bad(part, extra)
  return scripted.with({ code = "bad_response", tries = 1, says = part }, extra)
end

rows("what is no answer", {
  { "a web page", says(whole("200 OK", "<html><title>Login</title></html>")), bad("Login") },
  { "a redirect", says(whole("302 Found", "", "Location: /")), bad("redirect", { status = 302 }) },
  { "a permanent redirect", says(whole("308 Moved", "", "Location: /")), bad("redirect") },
  { "not modified", says(head("304 Not Modified")), BAD },
  { "no content", says(head("204 No Content")), bad("204") },
  { "an empty body", says(whole("200 OK", "")), LOST },
  { "blanks", says(whole("200 OK", "\r\n  \n")), LOST },
  { "other data", says(whole("200 OK", '{"unexpected":true}')), BAD, events = true },
  { "other lines", says(whole("200 OK", '{"unexpected":true}')), LOST, wire = "ollama" },
  { "a number", says(whole("200 OK", "42")), BAD },
  { "null", says(whole("200 OK", "null")), BAD },
  { "UTF-16", says(whole("200 OK", '\255\254{\0"\0a\0"\0:\0001\0}\0')), BAD },
  { "NUL bytes", says(whole("200 OK", ("\0"):rep(500))), BAD },
  {
    "a hundred thousand brackets",
    says(whole("200 OK", ("["):rep(100000) .. ("]"):rep(100000))),
    BAD,
  },
  {
    "an event of a hundred thousand brackets",
    function(w)
      local deep = '{"x":' .. ("["):rep(100000) .. ("]"):rep(100000) .. "}"
      return { so_far(w) .. chunk((w.lines and "" or "data: ") .. deep .. "\n\n") .. LAST }
    end,
    BAD_PART,
  },
  {
    "compressed text",
    says(head("200 OK", "Content-Encoding: gzip"), { zip = "hello" }),
    bad("gzip"),
  },
  {
    "a bomb",
    says(head("200 OK", "Content-Encoding: gzip"), { zip = ("\0"):rep(100000), times = 50 }),
    bad("gzip"),
  },
  {
    "a bomb that does not say so",
    says(head("200 OK"), { zip = ("\0"):rep(100000), times = 50 }),
    BAD,
  },
  { "a greeting of another protocol", says("SSH-2.0-OpenSSH_9.2\r\n\r\n"), bad("HTTP") },
  { "HTTP/2", says("\0\0\18\4\0\0\0\0\0\0\3\0\0\0\200", { wait = 20 }), bad("HTTP") },
  { "a status that is none", says("HTTP/1.1 2OO OK\r\n\r\n"), bad("HTTP") },
  { "a chunk size that is none", after_part({ wait = 20 }, "zz\r\nhello\r\n"), BAD_PART },
  {
    "a chunk size beyond all bounds",
    after_part({ wait = 20 }, ("f"):rep(30) .. "\r\nhello"),
    BAD_PART,
  },
  { "a chunk that is longer than it says", after_part({ wait = 20 }, "2\r\nhello\r\n"), BAD_PART },
  { "another protocol from here on", says(head("101 Switching", "Upgrade: x"), HANG), BAD },
}, 2)

rows("too much", {
  { "of one header", says(head("200 OK", "X: " .. ("x"):rep(20000))), bad("head") },
  {
    "of headers",
    says(head(
      "200 OK",
      unpack((function()
        local all = {}
        for i = 1, 200 do
          all[i] = "X-" .. i .. ": y"
        end
        return all
      end)())
    )),
    BAD,
  },
  {
    "of a head that never ends",
    says("HTTP/1.1 200 OK\r\n", { say = ("X: y\r\n"):rep(100), times = 0 }),
    BAD,
  },
  {
    "of a line",
    after_part({ say = chunk(("data: " .. ("x"):rep(1000000))), times = 1 }, {
      say = chunk(("x"):rep(1000000)),
      times = 0,
    }),
    scripted.with({ most = 15000 }, BAD_PART),
    wire = "chat",
  },
  {
    "of a line of a document",
    after_part({ say = chunk(("x"):rep(1000000)), times = 0 }),
    scripted.with({ most = 15000 }, BAD_PART),
    wire = "ollama",
  },
  {
    "of a body",
    after_part({ say = chunk((": x\n\n"):rep(1000)), times = 0 }),
    scripted.with(
      { says = "max_response_bytes", options = { max_response_bytes = 200000 } },
      BAD_PART
    ),
    events = true,
  },
  {
    "of a body without a length",
    says(head("200 OK"), { say = ("{"):rep(10000), times = 0 }),
    bad("max_response_bytes", { options = { max_response_bytes = 200000 } }),
  },
  {
    "of an announced body",
    says(head("200 OK", "Content-Length: 200001") .. "{", HANG),
    bad("max_response_bytes", { options = { max_response_bytes = 200000 } }),
  },
}, 2)

rows("an error with status 200", {
  {
    "in words",
    says(whole("200 OK", '{"error":"fell over"}')),
    { code = "server_error", tries = 3 },
  },
  { "429 as a number", error_of(429), { code = "rate_limited", tries = 3, status = 429 } },
  { "401 as a number", error_of(401), { code = "auth", tries = 1, status = 401 } },
  { "503 as a text", error_of("503"), { code = "overloaded", tries = 3, status = 503 } },
  { "an unknown number", error_of(7), { code = "server_error", tries = 3 } },
})

-- How a row is run --------------------------------------------------------------------------------

local function id_of(w, row)
  zigllms.reset()
  local config = w.wire.config(row.url and { root = row.url, url = row.url .. "/v1" } or server)
  config.retry, config.model = QUICK, w.wire.model
  config.timeout_ms = 5000
  return provider.create(config)
end

-- Three times the last answer, so that a request too many finds one.
local function script_of(w, row, reply)
  local script = {}
  for _, earlier in ipairs(row.before and { row.before(w) } or {}) do
    script[#script + 1] = earlier
  end
  for _, earlier in ipairs(row.first or {}) do
    script[#script + 1] = earlier(w)
  end
  for _ = 1, 3 do
    script[#script + 1] = reply and reply(w) or nil
  end
  for _, steps in ipairs(script) do
    if #steps == 0 then
      steps[1] = ""
    end
  end
  return script
end

local function ask(row, id, streamed)
  local options = scripted.with({ provider = id }, row[3].options)
  local input = row.input or "hi"
  if not streamed then
    return pcall(provider.chat, input, options)
  end
  local said = {}
  local ok, result = pcall(provider.stream, input, function(piece)
    said[#said + 1] = piece.content
  end, options)
  return ok, result, table.concat(said)
end

local function check_error(err, w, expected, said)
  local wanted = expected.code == "broken" and w.broken_code or expected.code
  assert(type(err) == "table", tostring(err))
  assert.equal(wanted, err.code, tostring(err))
  assert.equal(expected.phase, err.phase)
  if expected.status then
    assert.equal(expected.status, err.status)
  end
  if expected.says then
    assert.truthy(err.message:lower():find(expected.says:lower(), 1, true), err.message)
  end
  assert.is_nil(tostring(err):find("[%z\1-\8\11-\31]"), "control characters")
  assert.equal(expected.partial, err.partial and err.partial.content)
  if said then
    assert.equal(expected.partial or "", said)
  end
end

local function run(w, row, streamed)
  local id, expected = id_of(w, row), row[3]
  server:script(script_of(w, row, row[2]))
  if row.before then
    provider.chat("first", { provider = id })
    zigllms.sleep(20)
  end
  local began = clock()
  local ok, result, said = ask(row, id, streamed)
  local ms = (clock() - began) * 1000
  assert.equal(expected.text ~= nil, ok, tostring(result))
  local tries = streamed and expected.streamed or expected.tries
  if ok then
    assert.equal(expected.text, result.content)
    assert.equal(expected.text, said or expected.text)
  else
    check_error(result, w, expected, said)
  end
  assert.equal(tries, result.attempts, tostring(result))
  -- A server on a busy machine may come to a request after it was given up.
  local sent = (row.sent or tries) + (row.before and not row.sent and 1 or 0)
  local journal = server:wait_for(sent, zigllms.sleep)
  assert.equal(sent, #journal)
  if row.connections then
    assert.equal(row.connections, journal[#journal].connection - journal[1].connection + 1)
  end
  assert.is_true(ms < (expected.most or 1500), ms .. " ms")
end

-- Whether a row is for a protocol. In the small form it takes no more of them than its group asks
-- for: the first, and others by turns.
local function concerns(row, place, group, turn)
  local w, count = faults.wires[place], #faults.wires
  if row.wire or row.events and w.lines then
    return row.wire == w.name
  end
  local behind = (place - 2 - turn) % (count - 1) + 1
  return place == 1 or behind < size(count, group.wires)
end

local function run_everywhere(row, group, turn)
  for place, w in ipairs(faults.wires) do
    for _, streamed in ipairs({ false, true }) do
      if concerns(row, place, group, turn) then
        local ok, err = pcall(run, w, row, streamed)
        if not ok then
          local text = type(err) == "table" and err.message or err
          error(("%s%s: %s"):format(w.name, streamed and ", streamed" or "", tostring(text)), 0)
        end
      end
    end
  end
end

for _, group in ipairs(ROWS) do
  describe("in every protocol, " .. group.title, function()
    for turn, row in ipairs(group.list) do
      it(row[1], function()
        run_everywhere(row, group, turn)
      end)
    end
  end)
end

-- Calls of tools ----------------------------------------------------------------------------------

local CALLS = { { "c1", "add", '{"a":1,"b":2}' }, { "c2", "add", '{"a":3,"b":4}' } }
local SAME = { { "c1", "add", '{"a":1,"b":2}' }, { "c1", "add", '{"a":3,"b":4}' } }

-- A provider that has these steps to say, as many times as it may be asked.
local function saying_calls(w, steps)
  local id = id_of(w, {})
  server:script({ steps, steps, steps })
  return { provider = id, tools = { { name = "add" } } }
end

local function sums(response)
  local all = {}
  for i, call in ipairs(response.tool_calls) do
    all[i] = call.name .. " " .. call.arguments.a + call.arguments.b
  end
  return all
end

describe("in every protocol, calls of tools", function()
  local function each(list, test)
    for _, w in ipairs(faults.wires) do
      test(w, faults.events(w.wire.calls(list)))
    end
  end

  it("are the same wherever they were split", function()
    each(CALLS, function(w, events)
      for by = 1, size(9, 3) do
        local steps = { faults.bytewise(STREAM .. chunks(events) .. LAST, by) }
        local options = saying_calls(w, steps)
        assert.same({ "add 3", "add 7" }, sums(provider.chat("hi", options)))
        local pieces = { "", "" }
        server:script({ steps })
        provider.stream("hi", function(piece)
          for _, call in ipairs(piece.tool_calls or {}) do
            pieces[call.index] = pieces[call.index] .. (call.arguments or "")
          end
        end, options)
        for i, piece in ipairs(pieces) do
          assert.same(cjson.decode(CALLS[i][3]), cjson.decode(piece))
        end
      end
    end)
  end)

  it("with the same id are two calls, and each gets its own result", function()
    each(SAME, function(w, events)
      local options = saying_calls(w, { STREAM .. chunks(events) .. LAST })
      local response = provider.chat("hi", options)
      assert.same({ "add 3", "add 7" }, sums(response))
      assert.equal("c1", response.tool_calls[1].id)
      assert.are_not.equal("c1", response.tool_calls[2].id)
    end)
  end)

  it("that were cut are kept as far as they came, and not made", function()
    each(CALLS, function(w, events)
      for at = 1, #events - 1 do
        local part = {}
        for i = 1, at do
          part[i] = events[i]
        end
        local options = saying_calls(w, { STREAM .. chunks(part) })
        local seen = 0
        local ok, err = pcall(provider.stream, "hi", function(piece)
          seen = seen + #(piece.tool_calls or {})
        end, options)
        -- Behind the last word of an answer nothing is missing.
        if not ok then
          assert.equal("network", err.code)
          assert.equal(seen > 0, err.partial ~= nil)
          for i, call in ipairs(err.partial and err.partial.tool_calls or {}) do
            local said = call.arguments_json
            -- Ollama sends no text, but a document.
            assert.equal(w.lines and said or CALLS[i][3]:sub(1, #said), said)
          end
        else
          assert.same({ "add 3", "add 7" }, sums(err))
        end
      end
    end)
  end)
end)

-- Other questions --------------------------------------------------------------------------------

local VECTOR = { data = { { index = 0, embedding = { 0.5 } } }, model = "e", usage = {} }
local TOKENS = cjson.encode({ input_tokens = 7 })

-- What else is asked: the protocol, how, a good answer, and what that gives.
local QUESTIONS = {
  {
    "for models",
    faults.wires[1],
    function(id, options)
      return provider.get_models(id, scripted.with({ refresh = true }, options))[1].id
    end,
    cjson.encode({ data = { { id = "m-1" } } }),
    "m-1",
  },
  {
    "for embeddings",
    faults.wires[1],
    function(id, options)
      local all = scripted.with({ provider = id, model = "e" }, options)
      return provider.embed("hi", all).embeddings[1][1]
    end,
    cjson.encode(VECTOR),
    0.5,
  },
  {
    "for a count of tokens",
    faults.wires[3],
    function(id, options)
      return (provider.count_tokens("hi", scripted.with({ provider = id }, options)))
    end,
    TOKENS,
    7,
  },
}

-- {name, steps(good), code or nil, tries, options}
local OTHER_ROWS = {
  { "an answer", says(""), nil, 1 },
  { "status 401", refused("401 No"), "auth", 1 },
  { "status 503", refused("503 No"), "overloaded", 3 },
  { "status 401 and a body that is cut", says(head("401 No", "Content-Length: 9")), "auth", 1 },
  { "a reset", says(RESET), "network", 3 },
  { "half a head", says("HTTP/1.1 200 OK\r\nCon"), "network", 3 },
  { "half an answer", says(head("200 OK", "Content-Length: 900") .. '{"da'), "network", 3 },
  { "half an answer of unknown length", says(head("200 OK") .. '{"data":['), "network", 3 },
  { "nothing", says(whole("200 OK", "")), "network", 3 },
  { "no content", says(head("204 No Content")), "bad_response", 1 },
  { "a page", says(whole("200 OK", "<html><title>Login</title>")), "bad_response", 1 },
  { "other data", says(whole("200 OK", "{}")), "bad_response", 1 },
  { "a redirect", says(whole("302 Found", "", "Location: /")), "bad_response", 1 },
  { "an error with status 200", error_of(429), "rate_limited", 3 },
  { "silence", says(HANG), "timeout", 3, NO_ANSWER },
  { "packed", says(head("200 OK", "Content-Encoding: br") .. "x"), "bad_response", 1 },
}

describe("a question", function()
  local function check(question, row)
    local _, w, question_of, good, value = unpack(question)
    local id = id_of(w, {})
    local steps = row[3] and row[2](w) or { whole("200 OK", good) }
    server:script({ steps, steps, steps })
    local ok, result = pcall(question_of, id, row[5])
    assert.equal(row[3] == nil, ok, tostring(result))
    if ok then
      assert.equal(value, result)
    else
      assert.equal(row[3], result.code, tostring(result))
      assert.equal(row[4], result.attempts, tostring(result))
      assert.is_nil(result.partial)
    end
    assert.equal(row[4], #server:wait_for(row[4], zigllms.sleep))
  end

  for _, question in ipairs(QUESTIONS) do
    for _, row in ipairs(OTHER_ROWS) do
      it(question[1] .. " that gets " .. row[1], function()
        check(question, row)
      end)
    end
  end
end)

-- Pauses that a server asks for ------------------------------------------------------------------
--
-- {name, headers, least}: the next request comes after `least` ms by the server's clock, and not
-- much later; false: it does not come.

local function date(seconds)
  return os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds)
end

local PAUSES = {
  { "in milliseconds", { "Retry-After-Ms: 60" }, 60 },
  { "in fractions of a millisecond", { "retry-after-ms: 60.5" }, 60 },
  { "in seconds", { "Retry-After: 1" }, 1000 },
  { "in fractions of a second", { "Retry-After: 0.07" }, 70 },
  { "in both", { "Retry-After: 9", "retry-after-ms: 50" }, 50 },
  {
    "until a date of its own clock",
    {
      "Date: Wed, 21 Oct 2015 07:28:00 GMT",
      "Retry-After: Wed, 21 Oct 2015 07:28:01 GMT",
    },
    1000,
  },
  {
    "until a date, without saying what time it is",
    function()
      return { "Retry-After: " .. date(2) }
    end,
    950,
  },
  { "until a date that has passed", { "Retry-After: Wed, 21 Oct 2015 07:28:01 GMT" }, 0 },
  { "with no time at all", { "Retry-After: 0" }, 0 },
  { "with nothing", { "Retry-After:" }, 0 },
  { "with a word", { "Retry-After: soon" }, 0 },
  { "with a negative number", { "Retry-After: -5", "retry-after-ms: -1" }, 0 },
  { "with no number", { "Retry-After: nan" }, 0 },
  { "beyond two minutes", { "Retry-After: 121" }, false },
  { "beyond two minutes in milliseconds", { "retry-after-ms: 120001" }, false },
  { "beyond all measure", { "Retry-After: 99999999999999999999" }, false },
  { "until another century", { "Retry-After: Thu, 31 Dec 2099 23:59:59 GMT" }, false },
}

-- Asks all protocols at once: an error with these headers, then an answer. A handle for each.
local function ask_all(status, headers)
  zigllms.reset()
  local script, handles = {}, {}
  for i, w in ipairs(faults.wires) do
    local when = { when = w.wire.path .. " " }
    script[2 * i - 1] = { when, w.refuse(status, "wait", unpack(headers)) }
    script[2 * i] = { when, w.answer }
  end
  server:script(script)
  for i, w in ipairs(faults.wires) do
    local config = scripted.with({ model = w.wire.model, retry = QUICK }, w.wire.config(server))
    config.retry = QUICK
    local id = provider.create(config)
    handles[i] = provider.chat("hi", { provider = id, async = true })
  end
  return handles
end

-- When the requests of a protocol came in.
local function arrivals(w)
  local all = {}
  for _, entry in ipairs(server:journal()) do
    if entry.head:find(w.wire.path .. " ", 1, true) then
      all[#all + 1] = entry.at_ms
    end
  end
  return all
end

local function check_pause(w, handle, least, status)
  local ok, result = pcall(handle.await, handle)
  local came = arrivals(w)
  assert.equal(least ~= false, ok, tostring(result))
  if not ok then
    assert.equal(status == 429 and "rate_limited" or "overloaded", result.code)
    assert.is_true(result.retry_after_ms > 120000)
    assert.is_true(result.retryable)
    return assert.equal(1, #came)
  end
  assert.equal("so far", result.content)
  assert.equal(2, result.attempts)
  assert.equal(2, #came)
  local paused = came[2] - came[1]
  assert.is_true(paused >= least and paused < least + 1200, w.name .. " paused " .. paused)
end

describe("in every protocol, a server asks for a pause", function()
  for i, row in ipairs(PAUSES) do
    it(row[1], function()
      local status = i % 2 == 0 and 503 or 429
      local headers = type(row[2]) == "function" and row[2]() or row[2]
      local handles = ask_all(status, headers)
      for k, w in ipairs(faults.wires) do
        check_pause(w, handles[k], row[3], status)
      end
    end)
  end
end)

describe("the servers of faults", function()
  teardown(function()
    zigllms.reset()
    server:stop()
    ports:stop()
  end)

  it("have not died", function()
    assert.is_table(server:journal())
  end)
end)
