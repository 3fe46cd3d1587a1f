-- JSONTestSuite through the public door: what strict JSON must take, and what it must refuse.
local corpora = require("spec.support.corpora")
local program = require("spec.support.program")
local zigllms = require("zigllms")

local strict = { format = "json", recovery = "strict" }

describe("strict JSON", function()
  local it_reads = corpora.it(it, pending)

  it_reads("json_conformance.jsonl", "takes and refuses what JSONTestSuite says", function(cases)
    local right = { accept = 0, reject = 0, either = 0 }
    local wrong = {}
    for _, case in ipairs(cases) do
      local ok, err = pcall(zigllms.output.parse, case.input, strict)
      if case.expect == "either" or ok == (case.expect == "accept") then
        right[case.expect] = right[case.expect] + 1
      else
        wrong[#wrong + 1] = case.id
      end
      assert.is_true(ok or err.code == "parse_failed", case.id .. ": " .. tostring(err))
    end
    assert.are.same({}, wrong)
    assert.is_true(right.accept >= 95 and right.reject >= 188 and right.either >= 35)
  end)

  it("keeps numbers as they are", function()
    local values = zigllms.output.parse("[1,0.1,-7,1e3]", strict)
    assert.are.same({ 1, 0.1, -7, 1000 }, values)
    if math.type then
      assert.are.equal("integer", math.type(values[1]))
      assert.are.equal("float", math.type(values[4]))
      assert.are.equal(math.maxinteger, (zigllms.output.parse("[9223372036854775807]", strict))[1])
      assert.are.equal(
        "float",
        math.type((zigllms.output.parse("[9223372036854775808]", strict))[1])
      )
    end
  end)

  it("takes the last of a repeated name", function()
    assert.are.same({ a = 3, b = 2 }, (zigllms.output.parse('{"a":1,"b":2,"a":3}', strict)))
  end)

  it("says where a text is wrong and what was expected", function()
    local ok, err = pcall(zigllms.output.parse, '{\n  "a": tru,\n}', strict)
    assert.is_false(ok)
    assert.are.equal("parse_failed", err.code)
    assert.are.same({ 2, 11, 13 }, { err.details.line, err.details.column, err.details.offset })
    assert.truthy(err.message:find("expected true, false or null, got ','", 1, true))
  end)

  it("has no depth that crashes", function()
    for _, open in ipairs({ "[", '{"a":' }) do
      local ok, err = pcall(zigllms.output.parse, open:rep(1000000), strict)
      assert.is_false(ok)
      assert.truthy(err.message:find("nested deeper than 100", 1, true))
    end
    local deep = ("["):rep(1000) .. ("]"):rep(1000)
    assert.is_table(
      (zigllms.output.parse(deep, { format = "json", recovery = "strict", max_depth = 1000 }))
    )
  end)

  it("keeps a large document whole, and the collector running", function()
    local items = {}
    for i = 1, 5000 do
      items[i] = ('{"id":%d,"name":"n%d","tags":["a","b%d"],"x":{"y":%d.5}}'):format(i, i, i % 7, i)
    end
    local text = "[" .. table.concat(items, ",") .. "]"
    for _ = 1, 5 do
      local list = zigllms.output.parse(text, strict)
      assert.are.equal(5000, #list)
      assert.are.same(
        { id = 4711, name = "n4711", tags = { "a", "b0" }, x = { y = 4711.5 } },
        list[4711]
      )
    end
    local weak = setmetatable({ {} }, { __mode = "v" })
    -- Kept for a while, or a compiler would leave the tables out.
    local rounds, kept = 0, {}
    while weak[1] and rounds < 1e6 do
      kept[rounds % 10] = { {} }
      rounds = rounds + #kept[rounds % 10]
    end
    assert.is_nil(weak[1], "the collector did not come round")
  end)

  -- Memory in use before and, at most, while a text is decoded time and again, in KB. In an
  -- interpreter of its own: how far a heap may grow depends on what else is on it.
  local function memory(rounds, setup)
    local said = program.run(setup .. ([[
      collectgarbage()
      local before, most = collectgarbage("count"), 0
      for _ = 1, %d do
        require("zigllms").output.parse(text, { format = "json", recovery = "strict" })
        most = math.max(most, collectgarbage("count"))
      end
      print(before, most, live and #live)
    ]]):format(rounds))
    assert.equal(0, said.rc, said.err)
    local before, most = said.out:match("(%S+)%s+(%S+)")
    return tonumber(before), tonumber(most)
  end

  it("does not outgrow memory by decoding alone", function()
    local before, most = memory(
      200,
      [[
      local item = '{"id":1,"name":"a name that is not too short","tags":["a","b","c"]}'
      local text, live = "[" .. (item .. ","):rep(1500) .. item .. "]"
    ]]
    )
    assert.is_true(most - before < 64 * 1024, most - before)
  end)

  it("leaves memory in the bounds that Lua's collector keeps", function()
    local before, most = memory(
      2000,
      [[
      local text, live = "[" .. ('{"a":1},'):rep(1999) .. '{"a":1}]', {}
      for i = 1, 200000 do
        live[i] = { i }
      end
    ]]
    )
    assert.is_true(most / before < 3, most / before)
  end)
end)
