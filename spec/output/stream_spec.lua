-- Documents that are read while they arrive.
local corpora = require("spec.support.corpora")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local output, null = zigllms.output, zigllms.null

-- Whether `part` may still become `whole`.
local function is_prefix(part, whole)
  if type(part) == "string" and type(whole) == "string" then
    return whole:sub(1, #part) == part
  elseif type(part) ~= "table" or type(whole) ~= "table" then
    return part == whole
  end
  for key, value in pairs(part) do
    if whole[key] == nil or not is_prefix(value, whole[key]) then
      return false
    end
  end
  return true
end

local function pushed(text, size)
  local stream = output.stream("json")
  local value, complete
  for at = 1, #text, size do
    value, complete = stream:push(text:sub(at, at + size - 1))
  end
  return stream, value, complete
end

describe("output.stream", function()
  it("gives one table that grows in place", function()
    local stream = output.stream("json")
    local value, complete = stream:push('{"city":"Os')
    assert.are.same({ city = "Os" }, value)
    assert.is_false(complete)
    local same = stream:push('lo","temps":[-3,4.')
    assert.are.equal(value, same)
    assert.are.same({ city = "Oslo", temps = { -3 } }, value)
    same, complete = stream:push("5]}")
    assert.are.equal(value, same)
    assert.is_true(complete)
    assert.are.same({ city = "Oslo", temps = { -3, 4.5 } }, value)
    local final, info = stream:finish()
    assert.are.equal(value, final)
    assert.are.equal("json", info.format)
    assert.is_false(info.recovered)
    assert.are.same({}, info.fixes)
  end)

  it("has no value before one begins", function()
    local stream = output.stream()
    assert.is_nil((stream:push("")))
    assert.is_nil((stream:push("Here you are:\n```json\n")))
    assert.are.same({}, (stream:push('{"a"')))
    assert.are.same({}, (stream:push(": tru")))
    assert.are.same({ a = true }, (stream:push("e")))
  end)

  it("splits characters and escapes anywhere", function()
    local text = '["\\ud83d\\ude00\\n\\u00e9", "日本", "\\\\"]'
    for size = 1, #text do
      local stream, value, complete = pushed(text, size)
      assert.is_true(complete)
      assert.are.same({ "😀\né", "日本", "\\" }, value)
      assert.are.equal(value, (stream:finish()))
    end
  end)

  it("keeps nulls and marks arrays, as parse does", function()
    local _, value = pushed('{"none":[],"nothing":null}', 1)
    assert.are.equal(null, value.nothing)
    assert.are.equal("[]", output.format(value.none))
  end)

  it("repairs at the end what breaks off", function()
    local stream, value, complete = pushed('{"city":"Oslo","list":[1,2', 3)
    assert.is_false(complete)
    assert.are.same({ city = "Oslo", list = { 1 } }, value)
    local final, info = stream:finish()
    assert.are.same({ city = "Oslo", list = { 1, 2 } }, final)
    assert.are.equal(value, final, "it is still the live table")
    assert.is_true(info.recovered)
  end)

  it("keeps the last good value where the text is no JSON, and repairs at the end", function()
    local stream, value = pushed("{\"a\":1,b:2,'c':[3]}", 2)
    assert.are.same({ a = 1 }, value)
    local final, info = stream:finish()
    assert.are.same({ a = 1, b = 2, c = { 3 } }, final)
    assert.is_true(info.recovered)
  end)

  it("raises at the end what parse raises", function()
    local stream = output.stream("json", { recovery = "strict" })
    stream:push('{"a":1,}')
    raised("parse_failed", stream.finish, stream)
    raised("invalid_state", stream.finish, stream)
  end)

  it("reads scalars at the end", function()
    for text, expected in pairs({ ['"[x]"'] = "[x]", ["12.5"] = 12.5, ["true"] = true }) do
      local stream, value = pushed(text, 1)
      assert.is_nil(value)
      assert.are.equal(expected, (stream:finish()))
    end
  end)

  it("lets plain text grow, and reads other formats at the end", function()
    local plain = output.stream("plain")
    assert.are.equal("Hel", (plain:push("Hel")))
    assert.are.equal("Hello", (plain:push("lo")))
    assert.are.equal("Hello", (plain:finish()))
    local yaml = output.stream("yaml")
    assert.is_nil((yaml:push("city: Os")))
    yaml:push("lo\n")
    assert.are.same({ city = "Oslo" }, (yaml:finish()))
  end)

  it("takes no more once it is finished, and says what it is", function()
    local stream = output.stream("json")
    assert.are.equal("stream of json, 0 bytes", tostring(stream))
    stream:push("[1]")
    stream:finish()
    assert.are.equal("stream of json, 3 bytes, finished", tostring(stream))
    local err = raised("invalid_state", stream.push, stream, "x")
    assert.truthy(err.message:find("finished", 1, true))
  end)

  it("names what is wrong with its arguments", function()
    raised("invalid_argument", output.stream, "toml")
    raised("invalid_argument", output.stream, "json", { recovry = "strict" })
    local stream = output.stream("json")
    for _, bad in ipairs({ 1, {}, null, print }) do
      raised("invalid_argument", stream.push, stream, bad)
      raised("invalid_argument", stream.push, bad, "x")
    end
    raised("invalid_argument", stream.push, stream)
    raised("invalid_argument", stream.finish)
  end)

  it("refuses more than max_bytes", function()
    local stream = output.stream("json", { max_bytes = 10 })
    stream:push("[1,2,3")
    raised("parse_failed", stream.push, stream, ",4,5,6]")
  end)

  it("outlives its collection, and a thousand of them leave nothing", function()
    for i = 1, 1000 do
      output.stream("json"):push("[" .. i)
    end
    collectgarbage()
    collectgarbage()
    local stream, value = pushed('{"a":[1]}', 1)
    collectgarbage()
    assert.are.same({ a = { 1 } }, value)
    assert.are.equal(value, (stream:finish()))
  end)

  it("costs what is linear in the text", function()
    local function cost(length)
      local text = '{"content":"' .. ("x"):rep(length) .. '"}'
      local best = math.huge
      for _ = 1, 3 do
        collectgarbage()
        local started = os.clock()
        pushed(text, 10)
        best = math.min(best, os.clock() - started)
      end
      return best
    end
    local small, large = cost(100000), cost(1000000)
    assert.is_true(large < 25 * small, ("100 KB: %.4f s, 1 MB: %.4f s"):format(small, large))
  end)
end)

describe("every prefix of a document", function()
  -- At every byte of short documents, at two hundred places of long ones.
  local function check(text, whole, source)
    local stream = output.stream("json")
    local size = math.max(1, math.floor(#text / 200))
    local value
    for at = 1, #text, size do
      value = stream:push(text:sub(at, at + size - 1))
      if value ~= nil and not is_prefix(value, whole) then
        error(source .. ": no prefix after byte " .. at + size - 1)
      end
    end
    assert.are.same(whole, (stream:finish()), source)
  end

  local it_reads = corpora.it(it, pending)

  it_reads("json_conformance.jsonl", "gives a prefix of its value: JSONTestSuite", function(cases)
    local count = 0
    for _, case in ipairs(cases) do
      -- A repeated name is set anew, which no prefix can foresee.
      local repeats = case.id:find("duplicated_key", 1, true)
      if case.expect == "accept" and case.input and not repeats then
        local whole = output.parse(case.input, { format = "json", recovery = "strict" })
        check(case.input, whole, case.id)
        count = count + 1
      end
    end
    assert.is_true(count >= 90, count .. " documents")
  end)

  local recordings = "provider_recordings/INDEX.jsonl"
  it_reads(recordings, "gives a prefix of its value: answers of providers", function(cases)
    local count = 0
    for _, case in ipairs(cases) do
      local text = corpora.text("provider_recordings/" .. case.file)
      for body in (case.sse and text or "data: " .. text:gsub("\n", "")):gmatch("data: ?(%b{})") do
        local ok, whole = pcall(output.parse, body, { format = "json", recovery = "strict" })
        if ok and count < 2000 then
          check(body, whole, case.id)
          count = count + 1
        end
      end
    end
    assert.is_true(count >= 500, count .. " documents")
  end)
end)
