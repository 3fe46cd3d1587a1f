-- Against a mock server that others wrote, with their idea of every protocol: the same answers and
-- the same faults on each of them.
local zigllms = require("zigllms")
local aimock = require("spec.support.aimock")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")

local provider, agent, tool = zigllms.provider, zigllms.agent, zigllms.tool

local missing = aimock.missing()
if missing then
  print("skipped: " .. missing)
  return pending("aimock: " .. missing)
end

local server = aimock.start()

-- {name, configuration, what this mock server leaves out there}: `usage`, `thinking` (true, or what
-- it says instead), `reason` of an answer that was too long, `lists` of embeddings
local WIRES = {
  { "chat", { type = "openai", base_url = server.url } },
  {
    "responses",
    { type = "openai", api = "responses", base_url = server.url },
    { reason = "unknown" },
  },
  { "anthropic", { type = "anthropic", base_url = server.root } },
  {
    "cohere",
    { type = "cohere", base_url = server.root },
    { usage = true, thinking = "two and two" },
  },
  {
    "ollama",
    { type = "local", api = "ollama", base_url = server.root },
    { usage = true, thinking = true, lists = true },
  },
  { "gemini", { type = "gemini", base_url = server.root .. "/v1beta/openai" } },
  { "groq", { type = "groq", base_url = server.root .. "/openai/v1" } },
  { "openrouter", { type = "openrouter", base_url = server.root .. "/api/v1" } },
}

local QUICK = { max_attempts = 3, initial_delay_ms = 1, jitter = false }
local WORDS = "One two three four five"

local id, lacks

local function ask(input, options)
  return provider.chat(input, scripted.with({ provider = id }, options))
end

-- The response of a streamed call, or its error, and the text and the number of its pieces.
local function follow(input, options)
  local pieces = {}
  local _, result = pcall(provider.stream, input, function(piece)
    pieces[#pieces + 1] = piece.content ~= "" and piece.content or nil
  end, scripted.with({ provider = id }, options))
  return result, table.concat(pieces), #pieces
end

local function starts(whole, part)
  assert.is_string(part)
  assert.equal(whole:sub(1, #part), part)
end

local WEATHER = {
  name = "get_weather",
  description = "The weather in a city",
  parameters = {
    type = "object",
    properties = { city = { type = "string" }, days = { type = "integer" } },
    required = { "city" },
  },
}

-- Rows of {name, test}; `id` is the provider.
local ROWS = {
  {
    "answers",
    function()
      local response = ask("hello")
      assert.equal("Hello there, this is a mock.", response.content)
      assert.equal("stop", response.finish_reason)
      assert.equal(1, response.attempts)
      assert.is_string(response.request_id)
    end,
  },
  {
    "streams",
    function()
      local response, said = follow("hello")
      assert.equal("Hello there, this is a mock.", said)
      assert.equal(said, response.content)
      assert.equal("stop", response.finish_reason)
    end,
  },
  {
    "asks for a tool, and says what came of it",
    function()
      local asked = {}
      local name = tool.register(scripted.with({
        execute = function(arguments)
          asked[#asked + 1] = arguments.city .. arguments.days
          return "sunny"
        end,
      }, WEATHER))
      local response = ask("weather", { tools = { name } })
      assert.equal("tool_calls", response.finish_reason)
      local call = response.tool_calls[1]
      assert.same(
        { "get_weather", "Bern", 3 },
        { call.name, call.arguments.city, call.arguments.days }
      )
      assert.is_true(#call.id > 0)
      response = follow("weather", { tools = { name } })
      assert.same({ city = "Bern", days = 3 }, response.tool_calls[1].arguments)
      local who = agent.create({ provider = id, tools = { name } })
      assert.equal("It is sunny in Bern.", agent.run(who, "weather").content)
      assert.same({ "Bern3" }, asked)
    end,
  },
  {
    "asks for two tools beside its words",
    function()
      local response = ask("two tools", { tools = { WEATHER } })
      assert.equal("Wait.", response.content)
      assert.equal(2, #response.tool_calls)
      assert.equal("get_time", response.tool_calls[2].name)
      assert.is_nil(next(response.tool_calls[2].arguments))
      assert.are_not.equal(response.tool_calls[1].id, response.tool_calls[2].id)
    end,
  },
  {
    "thinks",
    function()
      local response = ask("think")
      local instead = type(lacks.thinking) == "string" and lacks.thinking or ""
      assert.equal(instead .. "four", response.content)
      assert.equal(not lacks.thinking and "two and two" or nil, response.thinking)
    end,
  },
  {
    "counts",
    function()
      local response = ask("counted")
      assert.equal("counted", response.content)
      if not lacks.usage then
        assert.equal(lacks.reason or "length", response.finish_reason)
        assert.equal(7, response.usage.prompt_tokens)
        assert.equal(3, response.usage.completion_tokens)
      end
    end,
  },
  {
    "refuses",
    function()
      for _, row in ipairs({
        { 400, "bad_request", 1 },
        { 401, "auth", 1 },
        { 404, "bad_request", 1 },
        { 500, "server_error", 3 },
        { 503, "overloaded", 3 },
        { 529, "overloaded", 3 },
      }) do
        server:reset()
        local err = raised(row[2], ask, "status " .. row[1])
        assert.equal(row[1], err.status)
        assert.equal(row[3], err.attempts)
        assert.equal(row[3], #server:journal())
        assert.truthy(err.message:find("the words", 1, true), err.message)
        assert.is_string(err.request_id)
      end
    end,
  },
  {
    "has its answer cut",
    function()
      for _, input in ipairs({ "truncate", "disconnect" }) do
        server:reset()
        local err = raised("network", ask, input, { retry = false })
        starts(WORDS, err.partial.content:sub(1, #WORDS))
        assert.is_true(err.retryable)
        local lost, said = follow(input)
        assert.equal("network", lost.code)
        assert.equal(said, lost.partial.content)
        assert.is_true(#said > 0)
        assert.equal(1, lost.attempts)
        assert.equal(2, #server:journal())
      end
    end,
  },
  {
    "hangs up",
    function()
      local options = { headers = { ["X-AIMock-Chaos-Disconnect"] = "1" } }
      local err = raised("network", ask, "hello", options)
      assert.equal(3, err.attempts)
      assert.is_nil(err.partial)
      assert.equal(3, #server:journal())
    end,
  },
  {
    "talks nonsense",
    function()
      local options = { headers = { ["X-AIMock-Chaos-Malformed"] = "1" } }
      local err = raised("bad_response", ask, "hello", options)
      assert.equal(1, err.attempts)
      assert.equal("bad_response", (follow("hello", options)).code)
      assert.equal(2, #server:journal())
    end,
  },
  {
    "is slow",
    function()
      local response, said, pieces = follow("slow", { idle_timeout_ms = 2000 })
      assert.equal("One two three four five.", said)
      assert.equal(said, response.content)
      assert.is_true(pieces > 2, pieces .. " pieces")
      assert.is_true(response.latency_ms > response.ttft_ms)
      local err = follow("slow", { timeout_ms = 150 })
      assert.equal("timeout", err.code)
      assert.equal("total", err.phase)
      starts(WORDS, err.partial and err.partial.content or "")
    end,
  },
  {
    "makes embeddings",
    function()
      local texts = lacks.lists and { "a text" } or { "a text", "another" }
      local result = provider.embed(texts, { provider = id, model = "e-1" })
      assert.equal(#texts, #result.embeddings)
      assert.same({ 0.5, -0.25, 0.125 }, result.embeddings[1])
      assert.equal(id, result.provider)
      for _, row in ipairs({ { "Disconnect", "network" }, { "Malformed", "bad_response" } }) do
        local headers = { ["X-AIMock-Chaos-" .. row[1]] = "1" }
        local options = { provider = id, model = "e-1", headers = headers }
        raised(row[2], provider.embed, "a text", options)
      end
    end,
    only = { chat = true, cohere = true, ollama = true, gemini = true, openrouter = true },
  },
  {
    "lists its models",
    function()
      local models = provider.get_models(id, { refresh = true })
      assert.is_true(#models > 0)
      assert.is_string(models[1].id)
    end,
    only = { chat = true, responses = true, ollama = true },
  },
}

local function configured(wire, more)
  local config = { api_key = "sk-mock-key", model = "m-1", retry = QUICK, timeout_ms = 10000 }
  return provider.create(scripted.with(scripted.with(config, wire[2]), more))
end

describe("a mock server", function()
  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  for _, wire in ipairs(WIRES) do
    for _, row in ipairs(ROWS) do
      if not row.only or row.only[wire[1]] then
        it("in the words of " .. wire[1] .. " " .. row[1], function()
          zigllms.reset()
          server:reset()
          id, lacks = configured(wire), wire[3] or {}
          row[2]()
        end)
      end
    end
  end

  it("asks for patience on every protocol, and gets it", function()
    zigllms.reset()
    server:reset()
    local handles = {}
    for i, wire in ipairs(WIRES) do
      local mine = configured(wire, { headers = { ["X-Test-Id"] = wire[1] } })
      handles[i] = provider.chat("patience", { provider = mine, async = true })
    end
    local began = {}
    for i, handle in ipairs(handles) do
      local response = handle:await()
      assert.equal("at last", response.content)
      assert.equal(2, response.attempts, WIRES[i][1])
      assert.is_true(response.latency_ms >= 1000)
    end
    for _, entry in ipairs(server:journal()) do
      local last = began[entry.path]
      if entry.status == 200 and last then
        assert.is_true(entry.at - last >= 990, entry.path .. " after " .. entry.at - last)
      end
      began[entry.path] = entry.status == 429 and entry.at or last
    end
    assert.equal(2 * #WIRES, #server:journal())
  end)
end)
