-- `output.reader`: single values of texts, as results of a function made once.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local reader, parse, null = zigllms.output.reader, zigllms.output.parse, zigllms.null

local REPLY = '{"id":"x","choices":[{"index":0,"message":{"role":"assistant",'
  .. '"content":"Hi \\u00e4 \\"you\\"","tool_calls":[1,{"n":2}]},'
  .. '"logprobs":null}],"usage":{"total":12.5}}'

-- What a call returns, and how much that is.
local function pack(...)
  return { n = select("#", ...), ... }
end

describe("output.reader", function()
  it("gives the value of a path", function()
    local content = reader("choices[1].message.content")
    assert.equal('Hi ä "you"', content(REPLY))
    assert.same({ n = 1, "again" }, pack(content('{"choices":[{"message":{"content":"again"}}]}')))
  end)

  it("gives several in the order of their paths, nil where there is none", function()
    local read = reader({ "usage.total", "nope", "choices[1].message.tool_calls", "id", "id" })
    local got = pack(read(REPLY))
    assert.same({ n = 5, [1] = 12.5, [3] = { 1, { n = 2 } }, [4] = "x", [5] = "x" }, got)
    assert.same({ n = 5 }, pack(read("{}")))
  end)

  it("tells null from nothing", function()
    local read = reader({ "choices[1].logprobs", "choices[2].logprobs" })
    local got = pack(read(REPLY))
    assert.equal(null, got[1])
    assert.same(2, got.n)
    assert.is_nil(got[2])
  end)

  it("agrees with the fields of output.parse", function()
    local paths = { "a", "a[2].b", 'a[2]["c d"]', "[1]", "e.f" }
    local read = reader(paths)
    for _, text in ipairs({
      '{"a":[1,{"b":"x","c d":[[]]}],"e":{"f":{}}}',
      '{"a":{"b":1},"a":[0,{"b":2}]}',
      "[true,false]",
      " { } ",
      '"a"',
      "12",
      "Sure:\n```json\n{'a': [1, {b: 2}],}\n```",
    }) do
      local fields, got = parse(text, { fields = paths }), pack(read(text))
      for i, path in ipairs(paths) do
        assert.same(fields[path], got[i], path .. " of " .. text)
      end
      assert.equal(#paths, got.n)
    end
  end)

  it("repairs and refuses as output.parse does, also what was not asked for", function()
    local lenient, strict = reader("id"), reader("id", { recovery = "strict" })
    for _, bad in ipairs({ '{"id":"x","y":01}', '{"id":"x","y":"\255"}', '{"id":"x"', "" }) do
      local err = raised("parse_failed", strict, bad)
      local expected =
        raised("parse_failed", parse, bad, { fields = { "id" }, recovery = "strict" })
      assert.equal(expected.message, err.message)
    end
    assert.equal("x", lenient('{"id":"x",}'))
    raised("parse_failed", lenient, "no document at all")
  end)

  it("keeps its options", function()
    local options = { format = "yaml" }
    local paths = { "list[2]" }
    local read = reader(paths, options)
    options.format, paths[1] = "xml", "nope"
    assert.equal("b", read("list:\n- a\n- b\n"))
    assert.equal(1, reader("a", { format = "JSON" })('{"a":1}'))
    assert.equal("", reader("a", { missing = "empty", recovery = "best_effort" })('{"a":'))
    raised("parse_failed", reader("a", { max_bytes = 6 }), '{"a":1}')
    raised("parse_failed", reader("a", { max_depth = 1 }), '{"a":[1]}')
    assert.equal(1, reader("a", { max_bytes = 7, max_depth = 1, prose = null })('{"a":1}'))
  end)

  it("reads responses for their content", function()
    local response = zigllms.provider.chat('{"n":7}', { provider = "mock" })
    assert.equal(7, reader("n")(response))
    zigllms.reset()
  end)

  it("says what it cannot read", function()
    local read = reader("a")
    assert.truthy(raised("invalid_argument", read).message:find("text: expected a string", 1, true))
    local err = raised("invalid_argument", read, { a = 1 })
    assert.equal("text: expected a string or a response, got a table", err.message)
    assert.same({ "output", "reader" }, { err.bridge, err.func })
  end)

  it("says which path is none", function()
    local function told(...)
      return raised("invalid_argument", reader, ...).message
    end
    assert.truthy(
      told({ "id", "a..b" }):find("paths[2]: expected a path as choices[1].message.con", 1, true)
    )
    assert.truthy(told("a[0]"):find("paths: expected a path", 1, true))
    assert.equal("paths: expected a path at least, got none", told({}))
    assert.truthy(told():find("paths: expected a non-empty string or an array", 1, true))
    assert.truthy(told("a", { fields = { "b" } }):find("options.fields: unknown key", 1, true))
    assert.truthy(
      told("a", { recovery = "some" }):find("options.recovery: expected one of", 1, true)
    )
  end)

  it("counts as output.parse, and is let go of", function()
    local function calls()
      local output = zigllms.metrics().bridges.output
      return output and output.functions.parse and output.functions.parse.calls or 0
    end
    local read = reader("a")
    local before = calls()
    for _ = 1, 3 do
      read('{"a":1}')
    end
    read("{a:1}")
    assert.equal(4, calls() - before)
    collectgarbage()
    local kept = collectgarbage("count")
    for _ = 1, 5000 do
      assert(reader("a")('{"a":1}') == 1)
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(collectgarbage("count") - kept < 100)
  end)

  it("takes values of any depth and number", function()
    local deep = ('{"a":'):rep(90) .. "1" .. ("}"):rep(90)
    assert.equal(1, reader(("a."):rep(89) .. "a")(deep))
    local paths, list = {}, {}
    for i = 1, 200 do
      paths[i], list[i] = "[" .. i .. "]", tostring(i)
    end
    local text = "[" .. table.concat(list, ",") .. "]"
    for _, given in ipairs({ text, (text:gsub("%]", ",]")) }) do
      local got = pack(reader(paths)(given))
      assert.same({ 200, 1, 200 }, { got.n, got[1], got[200] })
    end
    paths[201] = "a"
    local err = raised("invalid_argument", reader, paths)
    assert.equal("paths: expected at most 200 paths, got 201: use fields", err.message)
  end)
end)
