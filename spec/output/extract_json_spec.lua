-- Objects and arrays in texts.
local zigllms = require("zigllms")

local extract = zigllms.output.extract_json

describe("output.extract_json", function()
  it("finds the first object or array", function()
    local text = 'Sure! {"city": "Oslo"} and {"b": 2}'
    local value, info = extract(text)
    assert.are.same({ city = "Oslo" }, value)
    assert.are.equal('{"city": "Oslo"}', text:sub(info.start, info.stop))
    assert.are.same({ "a", "b" }, (extract('list: ["a", "b"].')))
  end)

  it("looks into fences first", function()
    assert.are.same({ b = 2 }, (extract('{"a": 1}\n```json\n{"b": 2}\n```')))
  end)

  it("respects strings", function()
    assert.are.same({ a = "}{][" }, (extract('x {"a": "}{]["} y')))
    assert.are.same({ a = '"}' }, (extract('x {"a": "\\"}"} y')))
  end)

  it("prefers what is complete, and what holds something", function()
    assert.are.same({ a = 1 }, (extract('As [1] says {} is {"a": 1}')))
    assert.are.same({ b = 2 }, (extract('{"b": 2} and {"cut": [1')))
    assert.are.same({ 1 }, (extract("only [1] here")))
  end)

  it("ignores scalars, placeholders and code", function()
    for _, text in ipairs({
      "12",
      '"text"',
      "true",
      "",
      "none",
      "{name}",
      "f() { return x; }",
      "[link](u)",
    }) do
      assert.are.equal(0, select("#", extract(text)) - 1, text)
      assert.is_nil((extract(text)))
    end
  end)

  it("gives all that stand in no other", function()
    local text = 'a {"x": [1, {"y": 2}]} b [3] c {"z": {}} d'
    local values, info = extract(text, { all = true })
    assert.are.same({ { x = { 1, { y = 2 } } }, { 3 }, { z = {} } }, values)
    local parts = {}
    for i, position in ipairs(info.positions) do
      parts[i] = text:sub(position.start, position.stop)
    end
    assert.are.same({ '{"x": [1, {"y": 2}]}', "[3]", '{"z": {}}' }, parts)
    assert.are.same({}, (extract("nothing", { all = true })))
  end)

  it("takes the first that a schema allows, or all of them", function()
    local text = 'a {"n": "x"} b {"n": 1} c [2] d {"n": 3}'
    local schema = { type = "object", properties = { n = { type = "integer" } }, required = { "n" } }
    assert.are.same({ n = 1 }, (extract(text, { schema = schema })))
    local values, info = extract(text, { schema = schema, all = true })
    assert.are.same({ { n = 1 }, { n = 3 } }, values)
    assert.are.equal(2, #info.positions)
    assert.is_nil((extract(text, { schema = { type = "string" } })))
  end)

  it("takes as much wrong with it as the level allows", function()
    local text = "x {a: 1,} y"
    assert.are.same({ a = 1 }, (extract(text)))
    assert.is_nil((extract(text, { recovery = "strict" })))
    local broken = 'x {"a": 1 "b": 2} y'
    assert.is_nil((extract(broken)))
    assert.are.same({ a = 1, b = 2 }, (extract(broken, { recovery = "best_effort" })))
  end)

  it("reads long prose full of brackets in linear time", function()
    for _, unit in ipairs({ "{ x ", "[a ", '{"a ', "{{", "[[", '{"a":[' }) do
      local started = os.clock()
      extract(unit:rep(200000) .. ' {"found": 1}')
      assert.truthy(os.clock() - started < 5, unit)
    end
  end)
end)
