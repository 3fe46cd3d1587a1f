-- Keys, passwords and tokens: wherever one was given and however a server echoes it, it is seen
-- nowhere. What the model says is the model's: a key in the text of an answer is not touched.
local unpack = table.unpack or unpack -- luacheck: ignore
local cjson = require("cjson")
local zigllms = require("zigllms")
local faults = require("spec.support.faults")
local program = require("spec.support.program")
local scripted = require("spec.support.server")
local size = require("spec.support.size")

local provider, agent = zigllms.provider, zigllms.agent
local head, chunk, chunks, whole = faults.head, faults.chunk, faults.chunks, faults.whole

local server = faults.start()

-- Its characters are all written differently in JSON, URLs, HTML or base64.
local KEY = "sk-CANARY/1+2=3&\"4'5<6>CANARY-7"

-- Ways to write it --------------------------------------------------------------------------------

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local bits = text:gsub(".", function(c)
    local byte, digits = c:byte(), ""
    for i = 7, 0, -1 do
      digits = digits .. math.floor(byte / 2 ^ i) % 2
    end
    return digits
  end)
  bits = bits .. ("0"):rep(-#bits % 6)
  local encoded = bits:gsub("......", function(six)
    local at = tonumber(six, 2) + 1
    return DIGITS:sub(at, at)
  end)
  return encoded .. ("="):rep(-#encoded % 4)
end

local function percent(text, format)
  return (
    text:gsub("[^%w%-._~]", function(c)
      return (format or "%%%02X"):format(c:byte())
    end)
  )
end

local function quoted(text)
  return cjson.encode(text):sub(2, -2)
end

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local FORMS = {
  { "as it is", KEY },
  { "with its scheme", "Bearer " .. KEY },
  { "escaped for JSON", quoted(KEY) },
  { "escaped for JSON, without more slashes than needed", (quoted(KEY):gsub("\\/", "/")) },
  { "percent-encoded", percent(KEY) },
  { "percent-encoded in small letters", percent(KEY, "%%%02x") },
  { "escaped for HTML", (KEY:gsub("[&<>\"']", HTML)) },
  { "in base64", base64(KEY) },
  { "in base64 behind a name", base64("user:" .. KEY) },
  { "in base64 for URLs", (base64("a" .. KEY .. "b"):gsub("+", "-"):gsub("/", "_")) },
  { "at the end of a long text", ("x"):rep(480) .. " " .. KEY .. ("y"):rep(500) },
  { "where a text is cut", ("x"):rep(180) .. " " .. KEY .. ("y"):rep(500) },
}

-- What any of these leaves in a text.
local TRACES = { "CANARY" }
for before = 0, 2 do
  local encoded = base64(("\0"):rep(before) .. "CANARY")
  TRACES[#TRACES + 1] = encoded:sub(math.ceil(before * 8 / 6) + 1, math.floor((before + 6) * 8 / 6))
end

local function trace_in(text)
  for _, trace in ipairs(TRACES) do
    if text:find(trace, 1, true) then
      return trace
    end
  end
end

-- The path of a trace in a value, whatever that is made of.
local function find(value, path, seen)
  if type(value) == "string" then
    return trace_in(value) and path .. " = " .. value
  end
  if type(value) == "table" and not seen[value] then
    seen[value] = true
    for key, member in pairs(value) do
      local found = find(key, path .. " (key)", seen)
        or find(member, path .. "." .. tostring(key), seen)
      if found then
        return found
      end
    end
    return find(getmetatable(value), path .. " (metatable)", seen)
      or find(tostring(value), path, seen)
  end
  return (type(value) == "userdata" or type(value) == "function")
    and find(tostring(value), path, seen)
end

local function assert_clean(what, ...)
  for i = 1, select("#", ...) do
    local found = find((select(i, ...)), what, {})
    assert(not found, found)
  end
end

-- Everything that the module tells of itself.
local function assert_nothing_told(what, ids)
  assert_clean(what, zigllms.metrics(), zigllms.config(), zigllms.info(), provider.list())
  for _, id in ipairs(ids or {}) do
    assert_clean(what, provider.get(id))
  end
  for _, item in ipairs(agent.list()) do
    assert_clean(what, item, agent.get_info(item), agent.get_state(item))
  end
  for _, optional in ipairs({ "metrics_text", "doctor", "trace" }) do
    assert_clean(what, zigllms[optional] and zigllms[optional]())
  end
end

-- Answers that echo a text --------------------------------------------------------------------

-- Rows of {name, function(w, echo)}: the steps of an answer.
local ECHOES = {
  {
    "in an error body",
    function(w, echo)
      return { w.refuse("401 No", "bad key " .. echo) }
    end,
  },
  {
    "in an error body that comes in pieces",
    function(w, echo)
      local answer = w.refuse("401 No", "bad key " .. echo)
      return { faults.bytewise(answer, 11) }
    end,
  },
  {
    "in the name of a member",
    function(_, echo)
      return { whole("403 No", cjson.encode({ error = { message = "no", [echo] = echo } })) }
    end,
  },
  {
    "on a page",
    function(_, echo)
      return { whole("502 No", "<html><title>No " .. echo .. "</title><p>" .. echo) }
    end,
  },
  {
    "in plain words",
    function(_, echo)
      return { whole("500 No", "the header was " .. echo) }
    end,
  },
  {
    "in broken JSON",
    function(_, echo)
      return { whole("400 No", '{"error": "bad key ' .. echo .. '"') }
    end,
  },
  {
    "in headers",
    function(w, echo)
      local named = { "X-Request-Id: " .. echo, "Retry-After: " .. echo, "Location: /" .. echo }
      return { w.refuse("429 Slow " .. echo, "slow", unpack(named)) }
    end,
  },
  {
    "in a redirect",
    function(_, echo)
      return { whole("302 Found", "see " .. echo, "Location: http://127.0.0.1/" .. echo) }
    end,
  },
  {
    "as the packing",
    function(_, echo)
      return { whole("200 OK", "x", "Content-Encoding: " .. echo) }
    end,
  },
  {
    "with status 200",
    function(_, echo)
      return { whole("200 OK", cjson.encode({ error = { message = echo, code = echo } })) }
    end,
  },
  {
    "on a page with status 200",
    function(_, echo)
      return { whole("200 OK", "<html><title>" .. echo .. "</title>") }
    end,
  },
  {
    "as the head",
    function(_, echo)
      return { echo .. "\r\n\r\n" }
    end,
  },
  {
    "as the length",
    function(_, echo)
      return { head("200 OK", "Content-Length: " .. echo) }
    end,
  },
  {
    "as the size of a chunk",
    function(_, echo)
      return { faults.STREAM .. echo .. "\r\n" }
    end,
  },
  {
    "in an event that is no JSON",
    function(w, echo)
      local broken = w.lines and "{" .. echo .. "}\n" or "data: {" .. echo .. "}\n\n"
      return { faults.STREAM .. chunk(broken) .. faults.LAST }
    end,
  },
  {
    "in a line for errors",
    function(_, echo)
      return { faults.STREAM .. chunk("error: bad key " .. echo .. "\n\n") .. faults.LAST }
    end,
  },
  {
    "in an error inside the stream",
    function(w, echo)
      local failed = w.wire.broken("so far", "bad key " .. echo)
      return { faults.STREAM .. chunks(faults.events(failed)) .. faults.LAST }
    end,
  },
  {
    "in an error inside the stream that comes in pieces",
    function(w, echo)
      local failed = w.wire.broken("so far", "bad key " .. echo)
      local text = table.concat(faults.events(failed))
      local pieces = {}
      for at = 1, #text, 9 do
        pieces[#pieces + 1] = text:sub(at, at + 8)
      end
      return { faults.STREAM .. chunks(pieces) .. faults.LAST }
    end,
  },
}

local function ask(w, options, echo, streamed)
  server:script({ echo, echo })
  if not streamed then
    return pcall(provider.chat, "hi", options)
  end
  return pcall(provider.stream, "hi", function(piece)
    assert_clean(w.name .. ": chunk", piece)
  end, options)
end

-- Asks with a configuration, and looks for the key in everything that is to be seen then.
local function check(w, config, echo, call)
  zigllms.reset()
  local all = scripted.with(w.wire.config(server), { model = w.wire.model, retry = false })
  local id = provider.create(scripted.with(all, config))
  for _, streamed in ipairs({ false, true }) do
    local options = scripted.with({ provider = id, raw = streamed }, call)
    local ok, err = ask(w, options, echo, streamed)
    assert.is_false(ok, "no error")
    assert.is_string(err.code, tostring(err))
    assert_clean(w.name .. ": error", err)
  end
  server:script({ echo })
  local who = agent.create({ provider = id })
  assert_clean(w.name .. ": agent", select(2, pcall(agent.run, who, "hi", call)))
  server:script({ echo })
  local embed = scripted.with({ provider = id, model = "e" }, call)
  assert_clean(w.name .. ": embeddings", select(2, pcall(provider.embed, "hi", embed)))
  if not call then
    server:script({ echo })
    assert_clean(w.name .. ": tokens", select(2, pcall(provider.count_tokens, "hi", embed)))
    server:script({ echo })
    assert_clean(
      w.name .. ": models",
      select(2, pcall(provider.get_models, id, { refresh = true }))
    )
  end
  assert_nothing_told(w.name, { id })
end

describe("a key that a server echoes", function()
  for _, row in ipairs(ECHOES) do
    it(row[1] .. " is not seen, in any protocol", function()
      for _, w in ipairs(faults.wires) do
        check(w, { api_key = KEY }, row[2](w, KEY))
      end
    end)
  end

  for _, form in ipairs(FORMS) do
    it(form[1] .. " is not seen", function()
      local w = faults.wires[1]
      for _, row in ipairs(ECHOES) do
        check(w, { api_key = KEY }, row[2](w, form[2]))
      end
    end)
  end
end)

-- Where a secret may be given ---------------------------------------------------------------------

local function with_user(text)
  return "http://user:" .. percent(text) .. "@127.0.0.1:" .. server.port .. "/v1"
end

local PLACES = {
  { "as the key", { api_key = KEY } },
  { "in a header of the provider", { headers = { ["X-Secret"] = KEY } } },
  { "as its own authorization", { headers = { Authorization = "Token " .. KEY } } },
  { "in a header of the call", {}, { headers = { ["X-Secret"] = KEY } } },
  { "before the host", { base_url = with_user(KEY) } },
  { "in the query", { base_url = server.url .. "?api-key=" .. percent(KEY) } },
  { "in extra of the provider", { extra = { deep = { api_key = KEY } } } },
  { "in extra of the call", {}, { extra = { user_token = KEY } } },
  { "before a proxy", { proxy = "http://user:" .. percent(KEY) .. "@127.0.0.1:" .. server.port } },
}

describe("a secret that was given", function()
  for _, place in ipairs(PLACES) do
    it(place[1] .. " is not seen", function()
      local w = faults.wires[1]
      for i = 1, #FORMS, size(1, 4) do
        for _, row in ipairs({ ECHOES[1], ECHOES[5], ECHOES[17] }) do
          check(w, place[2], row[2](w, FORMS[i][2]), place[3])
        end
      end
      server:script({})
      assert_nothing_told(place[1])
    end)
  end

  it("in the options of all calls is not seen", function()
    local w = faults.wires[1]
    zigllms.configure({
      http = {
        proxy = "http://user:" .. percent(KEY) .. "@127.0.0.1:" .. server.port,
        headers = { ["X-Secret"] = KEY },
      },
    })
    check(w, {}, ECHOES[1][2](w, KEY))
    zigllms.configure({ http = { proxy = zigllms.null, headers = zigllms.null } })
  end)

  it("wrongly is not seen in the message that says so", function()
    local wrong = {
      { type = "openai", api_kye = KEY },
      { type = "openai", api_key = { KEY } },
      { type = "openai", headers = KEY },
      { type = "openai", headers = { Authorization = { KEY } } },
      { type = "openai", proxy = { KEY } },
      { type = "openai", proxy = "socks5://user:" .. KEY .. "@127.0.0.1" },
      { type = "openai", base_url = "ftp://user:" .. KEY .. "@127.0.0.1" },
      { type = "openai", headers = { ["X-Secret"] = KEY .. "\n" } },
      { type = "openai", api_key = KEY .. "\n" },
    }
    for i, config in ipairs(wrong) do
      zigllms.reset()
      local ok, err = pcall(function()
        config.retry, config.model = false, "m"
        provider.chat("hi", { provider = provider.create(config) })
      end)
      assert.is_false(ok)
      assert.is_string(err.code, tostring(err))
      assert_clean("wrong " .. i, err)
      assert_nothing_told("wrong " .. i)
    end
  end)

  it("is not seen in a good answer either, but for the model's own words", function()
    zigllms.reset()
    for _, w in ipairs(faults.wires) do
      local all = scripted.with(w.wire.config(server), { model = w.wire.model, retry = false })
      local id = provider.create(scripted.with(all, { api_key = KEY }))
      local body = w.document:gsub('"so far"', cjson.encode("so far"):gsub("%%", "%%%%"), 1)
      body = body:gsub("^{", '{"echo":' .. cjson.encode(KEY):gsub("%%", "%%%%") .. ",", 1)
      server:script({ { whole("200 OK", body, "X-Request-Id: " .. KEY) } })
      local response = provider.chat("hi", { provider = id, raw = true })
      assert.equal("so far", response.content)
      assert.equal("***", response.request_id)
      assert.equal("***", (response.raw[1] or response.raw).echo)
      assert_clean(w.name, response)
      assert_nothing_told(w.name, { id })
    end
    local w = faults.wires[1]
    local id = provider.create(scripted.with(w.wire.config(server), { api_key = KEY }))
    local said = faults.events(w.wire.text(KEY))
    server:script({ { faults.STREAM .. chunks(said) .. faults.LAST } })
    assert.equal(KEY, provider.chat("hi", { provider = id }).content)
  end)
end)

-- A program that fails in every way it can, and prints all it gets.
local PROGRAM = [[
  local port = ...
  local zigllms = require("zigllms")
  local function show(value, seen)
    if type(value) == "table" and not seen[value] then
      seen[value] = true
      for key, member in pairs(value) do
        show(key, seen)
        show(member, seen)
      end
      print(tostring(value), getmetatable(value))
    else
      print(value)
    end
  end
  for _ = 1, 3 do
    local ok, err = pcall(zigllms.provider.chat, "hi", { provider = "openai", retry = false })
    print("code", ok, err.code)
    show(err, {})
    show(zigllms.provider.get("openai"), {})
    show(zigllms.provider.list(), {})
    show(zigllms.config(), {})
    show(zigllms.metrics(), {})
  end
  zigllms.provider.chat("hi", { provider = "openai", retry = false })
]]

describe("a key from the environment", function()
  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  it("is not printed, nor on any disk", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local w = faults.wires[1]
    local answers = {}
    for i, row in ipairs({ ECHOES[1], ECHOES[17], ECHOES[4], ECHOES[5] }) do
      answers[i] = row[2](w, KEY)
    end
    server:script(answers)
    local proxy = "http://user:" .. percent(KEY) .. "@127.0.0.1:1"
    local result = program.run(PROGRAM, {
      args = { server.port },
      env = {
        OPENAI_API_KEY = KEY,
        OPENAI_BASE_URL = with_user(KEY),
        HTTPS_PROXY = proxy,
        ALL_PROXY = proxy,
        HOME = folder,
        TMPDIR = folder,
        XDG_CACHE_HOME = folder,
        RUST_BACKTRACE = "1",
        RUST_LOG = "trace",
      },
    })
    assert.truthy(result.out:find("code%s+false%s+auth"), result.out .. result.err)
    assert.truthy(result.out:find("***", 1, true))
    assert.truthy(result.err:find("***", 1, true), result.err)
    assert.equal(1, result.rc)
    assert.is_nil(trace_in(result.out .. result.err))
    local files = assert(io.popen("find " .. folder .. " -type f"))
    assert.equal("", files:read("*a"))
    files:close()
    os.execute("rm -r " .. folder)
    assert.equal(4, #server:journal())
  end)
end)
