-- The vendors' own SDKs for Python ask a server mock, and find in its answers what they find in
-- those of the vendor: texts, streams, tool calls, errors.
local cjson = require("cjson")
local sdks = require("spec.support.sdks")
local zigllms = require("zigllms")

local missing = sdks.missing()
if missing then
  print("SKIP: " .. missing)
  return pending("SDKs: " .. missing)
end

local ARGUMENTS = { city = "Oslo", days = 2 }
local LOOK = {
  content = "Let me look.",
  tool_calls = { { name = "get_weather", arguments = ARGUMENTS } },
}
local SCRIPT = {
  "Hello there",
  "Hello there",
  LOOK,
  LOOK,
  { error = { code = "rate_limited", message = "slow down", retry_after_ms = 7000 } },
  { content = "part", error = { code = "overloaded", message = "fell over" } },
  { content = "part", error = "network" },
  { content = "again", thinking = "hm", usage = { prompt_tokens = 11, completion_tokens = 7 } },
}

-- What differs: the words in which a vendor says how an answer ended, and the classes of errors.
local VENDORS = {
  openai = {
    finish = "stop",
    called = "tool_calls",
    limited = "RateLimitError",
    broken = { "APIError", "fell over" },
    cut = "APIConnectionError",
    path = "/v1/chat/completions",
    key = "authorization",
    requests = 10,
  },
  responses = {
    finish = "completed",
    called = "completed",
    limited = "RateLimitError",
    broken = { "RuntimeError", "response.failed: fell over" },
    cut = "APIConnectionError",
    path = "/v1/responses",
    key = "authorization",
    requests = 8,
  },
  anthropic = {
    finish = "end_turn",
    called = "tool_use",
    limited = "RateLimitError",
    broken = { "APIStatusError", "fell over" },
    cut = "RemoteProtocolError",
    path = "/v1/messages",
    key = "authorization",
    requests = 10,
  },
  cohere = {
    finish = "COMPLETE",
    called = "TOOL_CALL",
    limited = "TooManyRequestsError",
    broken = { "RuntimeError", "finish_reason ERROR: fell over" },
    cut = "RemoteProtocolError",
    path = "/v2/chat",
    key = "authorization",
    requests = 9,
  },
}

local function has(text, part)
  assert.is_truthy(text:find(part, 1, true), text)
end

for _, name in ipairs({ "openai", "responses", "anthropic", "cohere" }) do
  describe("the SDK for " .. name .. " gets", function()
    local vendor, said, mock = VENDORS[name], nil, nil

    setup(function()
      mock = zigllms.test.create_mock({
        type = "service",
        transport = "http",
        dialect = name,
        responses = SCRIPT,
        repeat_last = false,
      })
      said = sdks.ask(name, mock.base_url)
    end)

    teardown(function()
      mock:restore()
    end)

    local function is_call(answer)
      assert.equal(vendor.called, answer.finish)
      assert.equal(1, #answer.calls)
      assert.equal("get_weather", answer.calls[1].name)
      assert.is_true(#answer.calls[1].id > 0)
      assert.same(ARGUMENTS, cjson.decode(answer.calls[1].arguments))
    end

    it("a chat", function()
      assert.equal("Hello there", said.chat.text)
      assert.equal(vendor.finish, said.chat.finish)
      assert.is_true(said.chat.tokens > 0)
      assert.equal("again", said.last.text)
      assert.equal(18, said.last.tokens)
    end)

    it("a stream", function()
      assert.is_true(#said.stream.pieces > 1)
      assert.equal("Hello there", table.concat(said.stream.pieces))
      assert.same({ vendor.finish }, said.stream.finish)
      assert.equal(said.chat.tokens, said.stream.tokens)
    end)

    it("a tool call, whole and streamed", function()
      assert.equal("Let me look.", said.tool.text)
      is_call(said.tool)
      is_call(said.tool_stream)
    end)

    it("an error with its class, status and time to wait", function()
      assert.equal(vendor.limited, said.error.type)
      assert.equal(429, said.error.status)
      assert.equal("7", said.error.retry_after)
      has(said.error.text, "slow down")
    end)

    it("an error in the middle of a stream, and a connection that breaks", function()
      assert.equal(vendor.broken[1], said.stream_error.type)
      has(said.stream_error.text, vendor.broken[2])
      assert.equal(vendor["cut"], said["break"].type)
    end)

    it("what needs no script", function()
      assert.equal(#(said.models or { 1 }), 1)
      assert.equal(2, said.embedding or 2)
      assert.is_true((said.count or 1) > 0)
      if name == "anthropic" then
        assert.same({ "hm" }, said.last.thinking)
      end
    end)

    it("through a server that knows what it was asked", function()
      assert.equal(vendor.requests, mock:call_count())
      local first = mock:calls()[1]
      assert.equal(vendor.path, first.path)
      assert.equal("***", first.headers[vendor.key])
      assert.is_true(mock:called_with({ path = vendor.path, body = { stream = true } }))
      assert.is_nil(zigllms.output.format(mock:calls(), "json"):find("CANARY", 1, true))
    end)
  end)
end
