-- Tool calls that models print as text.
local zigllms = require("zigllms")

local extract = zigllms.output.extract_tool_calls

local ARGS = '{"city": "Oslo", "n": 2}'
local CALL = '{"name": "weather", "arguments": ' .. ARGS .. "}"

local FORMS = {
  ["Hermes, Qwen"] = "<tool_call>\n" .. CALL .. "\n</tool_call>",
  ["never closed"] = "<tool_call>\n" .. CALL,
  ["Granite"] = "<|tool_call|>[" .. CALL .. "]",
  ["LFM2"] = '<|tool_call_start|>[weather(city="Oslo", n=2)]<|tool_call_end|>',
  ["GLM"] = "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
    .. "<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
  ["Mistral"] = "[TOOL_CALLS] [" .. CALL .. "]",
  ["Mistral with ARGS"] = "[TOOL_CALLS]weather[ARGS]" .. ARGS,
  ["Llama, python tag"] = '<|python_tag|>{"name": "weather", "parameters": '
    .. ARGS
    .. "}<|eom_id|>",
  ["Llama, bare"] = '{"name": "weather", "parameters": ' .. ARGS .. "}",
  ["Llama, function tag"] = "<function=weather>" .. ARGS .. "</function>",
  ["Qwen3-Coder"] = "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n"
    .. "<parameter=n>\n2\n</parameter>\n</function>\n</tool_call>",
  ["Anthropic-like"] = '<function_calls>\n<invoke name="weather">\n<parameter name="city">Oslo</parameter>\n'
    .. '<parameter name="n">2</parameter>\n</invoke>\n</function_calls>',
  ["fenced"] = "```json\n[" .. CALL .. "]\n```",
  ["Python"] = '[weather(city="Oslo", n=2)]',
  ["Gemma"] = '```tool_code\nprint(weather(city="Oslo", n=2))\n```',
  ["DeepSeek"] = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
    .. ARGS
    .. "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
  ["Kimi"] = "<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>"
    .. ARGS
    .. "<|tool_call_end|><|tool_calls_section_end|>",
  ["functools"] = "functools[" .. CALL .. "]",
  ["Functionary"] = ">>>weather\n" .. ARGS,
  ["ReAct"] = "Action: weather\nAction Input: " .. ARGS,
  ["Cohere"] = 'Action: ```json\n[{"tool_name": "weather", "parameters": ' .. ARGS .. "}]\n```",
  ["GPT-OSS"] = "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
    .. ARGS
    .. "<|call|>",
  ["OpenAI's shape"] = '{"tool_calls": [{"type": "function", "function": {"name": "weather", '
    .. '"arguments": "{\\"city\\": \\"Oslo\\", \\"n\\": 2}"}}]}',
}

describe("output.extract_tool_calls", function()
  for form, text in pairs(FORMS) do
    it("knows the form of " .. form, function()
      for _, options in ipairs({ {}, { tools = { "weather" } } }) do
        local calls, rest = extract("Let me look.\n" .. text, options)
        assert.are.equal(1, #calls)
        assert.are.equal("weather", calls[1].name)
        assert.are.same({ city = "Oslo", n = 2 }, calls[1].arguments)
        assert.are.equal("Let me look.", rest)
      end
      local none, rest = extract(text, { tools = { "other" } })
      assert.are.same({}, none)
      assert.are.equal(text, rest)
    end)
  end

  it("says where each one stands, in order", function()
    local text = "One <tool_call>"
      .. CALL
      .. "</tool_call> two <tool_call>"
      .. CALL
      .. "</tool_call> three"
    local calls, rest = extract(text)
    assert.are.equal(2, #calls)
    for _, call in ipairs(calls) do
      assert.are.equal("<tool_call>" .. CALL .. "</tool_call>", call.raw)
      assert.are.equal(call.raw, text:sub(call.start, call.stop))
    end
    assert.are.equal("One two three", rest)
  end)

  it("repairs arguments, and reads those in strings", function()
    local calls = extract("<tool_call>{'name': 'f', 'arguments': {x: 1, \"y\": \"z\",}</tool_call>")
    assert.are.same({ x = 1, y = "z" }, calls[1].arguments)
    calls = extract('<tool_call>{"name": "f", "arguments": "{\\"x\\": 1}"}</tool_call>')
    assert.are.same({ x = 1 }, calls[1].arguments)
    calls = extract('<tool_call>{"name": "f", "arguments": {"x": null, "y": 1}}</tool_call>')
    assert.are.same({ y = 1 }, calls[1].arguments)
  end)

  it("takes definitions as tools, and gives positions their names", function()
    local tools = {
      { name = "f", parameters = { type = "object", properties = { x = { type = "integer" } } } },
    }
    assert.are.same({ x = 5 }, extract("[f(5)]", { tools = tools })[1].arguments)
    local wrapped = { { type = "function", ["function"] = { name = "f" } } }
    assert.are.equal("f", extract('{"tool": "f", "args": {}}', { tools = wrapped })[1].name)
  end)

  it("takes no call out of prose, data and code", function()
    local texts = {
      "Nothing to call.",
      'The person {"name": "Bob", "age": 3} is here.',
      'A tool {"name": "f", "parameters": {"type": "object", "properties": {}}} has that schema.',
      '```python\nresult = weather(city="Oslo")\n```',
      "See [docs](http://x), [1] and f(x).",
      "Action: think about it.",
    }
    for _, text in ipairs(texts) do
      local calls, rest = extract(text)
      assert.are.same({}, calls)
      assert.are.equal(text, rest)
    end
  end)

  it("reads many calls and many beginnings of calls in linear time", function()
    local many = extract(("<tool_call>" .. CALL .. "</tool_call>\n"):rep(500))
    assert.are.equal(500, #many)
    local units = {
      "<tool_call>",
      "<tool_call>{",
      "[TOOL_CALLS]",
      "[TOOL_CALLS][",
      "<function=a>",
      '<invoke name="a">',
      "<|python_tag|>",
      "Action:\n",
      "Action: a\nAction Input: {\n",
      "```\n",
      "[f(\n",
      "functools[",
      "to=functions.a {",
      ">>>a\n{\n",
      '{"name":',
      "<｜tool▁call▁begin｜>",
    }
    for _, unit in ipairs(units) do
      local started = os.clock()
      extract(unit:rep(math.floor(200000 / #unit)))
      assert.truthy(os.clock() - started < 5, unit)
    end
  end)
end)
