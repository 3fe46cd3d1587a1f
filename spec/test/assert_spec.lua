-- test.assert_equals, test.assert_contains: what is equal, and how a difference is told.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local equals, contains = zigllms.test.assert_equals, zigllms.test.assert_contains

local function difference(actual, expected, message)
  return raised("assertion_failed", equals, actual, expected, message)
end

local function absence(haystack, needle, message)
  return raised("assertion_failed", contains, haystack, needle, message)
end

describe("assert_equals", function()
  it("returns true for values that are equal", function()
    local fn, thread = function() end, coroutine.create(print)
    for _, value in ipairs({ 1, "text", true, false, fn, thread, io.stdout, zigllms.null }) do
      assert.is_true(equals(value, value))
    end
    assert.is_true(equals(nil, nil))
    assert.is_true(equals({ 1, { a = { "x" } } }, { 1, { a = { "x" } } }))
    assert.is_true(equals({}, {}))
  end)

  it("compares numbers by their value", function()
    assert.is_true(equals(1, 1.0))
    assert.is_true(equals({ [1] = 2 ^ 53 }, { 9007199254740992 }))
    assert.is_true(equals(0 / 0, 0 / 0))
    difference(1, "1")
    difference(0 / 0, 1)
    difference(1, 1 + 1e-9)
  end)

  it("names the path of the first difference", function()
    local err = difference(
      { steps = { 1, { status = "failed" } } },
      { steps = { 1, { status = "ok" } } }
    )
    assert.equal('at .steps[2].status: expected "ok", got "failed"', err.message)
    assert.equal(".steps[2].status", err.details.path)
    assert.equal("ok", err.details.expected)
    assert.equal("failed", err.details.actual)
    assert.equal("test", err.bridge)
    assert.equal("assert_equals", err.func)
    assert.is_truthy(tostring(err):find("zigllms.test.assert_equals: at .steps[2]", 1, true))
  end)

  it("names the line that asserts", function()
    local err = difference(1, 2)
    assert.is_truthy(err.where == nil or err.where:find("spec", 1, true))
    local ok, own = pcall(function()
      equals(1, 2)
    end)
    assert.is_false(ok)
    assert.is_truthy(own.where:find("assert_spec.lua:", 1, true))
  end)

  it("says what is missing, and what is too much", function()
    assert.equal("at .a: expected 1, got nil", difference({}, { a = 1 }).message)
    assert.equal("at .b: expected nil, got 2", difference({ b = 2 }, {}).message)
    assert.equal("at [3]: expected nil, got 3", difference({ 1, 2, 3 }, { 1, 2 }).message)
    assert.equal("at [3]: expected 3, got nil", difference({ 1, 2 }, { 1, 2, 3 }).message)
    assert.equal("expected nil, got false", difference(false, nil).message)
    assert.equal("expected { a = 1 }, got nil", difference(nil, { a = 1 }).message)
  end)

  it("writes any key into the path", function()
    assert.equal(
      'at ["two words"]: expected 1, got 2',
      difference({ ["two words"] = 2 }, { ["two words"] = 1 }).message
    )
    assert.equal("at [1.5]: expected 1, got 2", difference({ [1.5] = 2 }, { [1.5] = 1 }).message)
    assert.equal(
      "at [true].a: expected 1, got 2",
      difference({ [true] = { a = 2 } }, { [true] = { a = 1 } }).message
    )
  end)

  it("puts the message before it", function()
    assert.equal("the answer: expected 1, got 2", difference(2, 1, "the answer").message)
  end)

  it("keeps all differences, and tells how many there are", function()
    local err = difference({ a = 1, b = 2, c = 3 }, { a = 2, b = 3, c = 3 })
    assert.equal("at .a: expected 2, got 1 (and 1 more)", err.message)
    assert.equal(2, #err.details.differences)
    assert.equal(".b", err.details.differences[2].path)
    local many, none = {}, {}
    for i = 1, 1000 do
      many[i] = i
    end
    assert.equal(20, #difference(many, none).details.differences)
  end)

  it("ends in cycles", function()
    local a, b, c = {}, {}, { other = 1 }
    a.self, b.self, c.self = a, b, c
    assert.is_true(equals(a, b))
    difference(a, c)
    local deep, other = {}, {}
    deep.next, other.next = { next = deep }, { next = { next = other } }
    assert.is_true(equals(deep, other))
    assert.is_truthy(difference(a, 1).message:find("…", 1, true))
  end)

  it("asks __eq, and no other metamethod", function()
    local same = {
      __eq = function()
        return true
      end,
      __index = error,
    }
    local never = {
      __eq = function()
        return false
      end,
    }
    assert.is_true(equals(setmetatable({ 1 }, same), setmetatable({ 2 }, same)))
    difference(setmetatable({ 1 }, never), setmetatable({ 1 }, never))
    local loud = { __index = error, __len = error, __pairs = error }
    assert.is_true(equals(setmetatable({ 1 }, loud), { 1 }))
    local fails = {
      __eq = function()
        error("no")
      end,
    }
    local ok, err = pcall(equals, setmetatable({}, fails), setmetatable({ 1 }, fails))
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("no", 1, true))
  end)

  it("reads tables that are read-only and live ones", function()
    assert.is_true(equals(zigllms.output.parse("[]"), {}))
    assert.is_true(equals(zigllms.output.parse('{"a": [1]}'), { a = { 1 } }))
  end)

  it("shows long texts where they part", function()
    local left, right = ("é"):rep(400) .. "left", ("é"):rep(400) .. "right"
    local message = difference(left, right).message
    assert.is_truthy(message:find("they part at byte 801", 1, true))
    assert.is_truthy(message:find('left"', 1, true))
    assert.is_truthy(message:find('right"', 1, true))
    assert.is_true(#message < 500)
    assert.has_no.errors(function()
      zigllms.output.format({ message }, "json")
    end)
  end)

  it("shows large and odd values in short", function()
    local wide = {}
    for i = 1, 10000 do
      wide[i] = i
    end
    assert.is_true(#difference(wide, 1).message < 200)
    assert.is_truthy(difference("a\n\0b", 1).message:find('"a\\n\\000b"', 1, true))
    local odd = setmetatable({}, { __tostring = error })
    assert.is_truthy(difference(odd, 1).message)
    assert.equal("expected null, got nil", difference(nil, zigllms.null).message)
  end)

  it("compares large tables quickly, also those that share their parts", function()
    local function shared(depth)
      local node = { "leaf" }
      for _ = 1, depth do
        node = { node, node }
      end
      return node
    end
    local a = shared(100)
    local began = os.clock()
    assert.is_true(equals(a, shared(100)))
    assert.is_true(os.clock() - began < 10)
  end)

  it("refuses a message that is none", function()
    local err = raised("invalid_argument", equals, 1, 1, {})
    assert.is_truthy(err.message:find("argument #3: message: expected a string", 1, true))
  end)
end)

describe("assert_contains", function()
  it("finds plain text in a text", function()
    assert.is_true(contains("Hello, world", "world"))
    assert.is_true(contains("100% (sure)", "% ("))
    assert.is_true(contains("anything", ""))
    assert.is_true(contains("in 2026", 2026))
    local err = absence("Hello", "world")
    assert.equal('expected "Hello" to contain "world"', err.message)
    assert.equal("Hello", err.details.actual)
    assert.equal("world", err.details.expected)
    assert.equal("assert_contains", err.func)
    absence("Hello", { "Hello" })
  end)

  it("finds an element that is equal in an array", function()
    assert.is_true(contains({ 1, 2, 3 }, 2))
    assert.is_true(contains({ "a", { b = { 1 } } }, { b = { 1 } }))
    absence({ 1, 2 }, 3)
    absence({ { a = 1, b = 2 } }, { a = 1 })
    absence({}, 1)
    absence({ 1, 2, 3 }, { 1, 2 })
  end)

  it("finds the members of a table in a map", function()
    local haystack =
      { status = "ok", usage = { input = 1, output = 2 }, calls = { { id = 1, name = "a" } } }
    assert.is_true(contains(haystack, { status = "ok" }))
    assert.is_true(contains(haystack, { usage = { output = 2 } }))
    assert.is_true(contains(haystack, { calls = { { name = "a" } } }))
    assert.is_true(contains(haystack, {}))
    local err = absence(haystack, { usage = { output = 3 } })
    assert.equal("at .usage.output: expected 3, got 2", err.message)
    assert.equal(".usage.output", err.details.path)
    absence(haystack, { calls = { { name = "a" }, { name = "b" } } })
    absence(haystack, { calls = { { name = "b" } } })
    absence({}, { a = 1 })
  end)

  it("finds a key in a map", function()
    assert.is_true(contains({ status = false }, "status"))
    absence({ status = "ok" }, "ok")
  end)

  it("says so where nothing can be in it", function()
    assert.equal("expected nil to contain 1", absence(nil, 1).message)
    assert.equal("first: expected 5 to contain 5", absence(5, 5, "first").message)
    absence(true, true)
    absence(nil, nil)
  end)

  it("cannot be compared wrongly because false is a key", function()
    assert.is_true(equals({ [false] = 1, a = 1 }, { a = 1, [false] = 1 }))
    assert.equal(
      "at .a: expected 2, got 1",
      difference({ [false] = 1, a = 1 }, { [false] = 1, a = 2 }).message
    )
    assert.equal(
      "at .a: expected nil, got 1",
      difference({ [false] = 1, a = 1 }, { [false] = 1 }).message
    )
    absence({ [false] = 1, a = 1 }, { [false] = 1, a = 2 })
  end)
end)

describe("A message of assertions", function()
  local function chain(depth, leaf)
    local root = {}
    local last = root
    for _ = 1, depth do
      last.n = {}
      last = last.n
    end
    last.leaf = leaf
    return root
  end

  it("tells where deep tables differ, however deep", function()
    assert.is_true(equals(chain(100000, 1), chain(100000, 1)))
    assert.is_true(contains({ chain(100000, 1) }, chain(100000, 1)))
    local err = difference(chain(100000, 1), chain(100000, 2))
    assert.is_truthy(err.message:find("%.n%.n%.leaf: expected 2, got 1$"))
    assert.is_true(#err.message < 1000)
    assert.equal(#".n" * 100000 + #".leaf", #err.details.path)
  end)

  it("shows numbers with all digits that tell them apart", function()
    local err = difference(0.1 + 0.2, 0.3)
    assert.equal("expected 0.3, got 0.30000000000000004", err.message)
    assert.equal("expected 1e+300, got 0.5", difference(0.5, 1e300).message)
    assert.equal("expected inf, got -inf", difference(-math.huge, math.huge).message)
  end)

  it("shows bytes that are no UTF-8 by their numbers", function()
    local err = difference("\255é\0日😀", "\254é")
    assert.equal([[expected "\254é", got "\255é\000日😀"]], err.message)
    assert.equal(
      [[expected "\237\160\128\192\175", got "\194"]],
      difference("\194", "\237\160\128\192\175").message
    )
    local long = ("\128"):rep(1e6)
    assert.is_true(#difference(long, long .. "x").message < 2000)
  end)

  it("has to do with keys that cannot be written", function()
    local function key(text)
      return setmetatable({}, { __tostring = text })
    end
    local broken, wrong =
      key(function()
        error("no text")
      end), key(function()
        return 5
      end)
    local moody = key(function()
      return tostring(math.random())
    end)
    difference({ [broken] = 1, [wrong] = 2, [moody] = 3, [{}] = 4, [print] = 5 }, { a = 1 })
    difference({ [broken] = 1 }, { [broken] = 2 })
    difference(broken, 1)
    difference(1, wrong)
  end)

  it("is no longer where a key is", function()
    local key = ("k"):rep(100000)
    assert.is_true(#difference({ [key] = 1 }, { [key] = 2 }).message < 1000)
  end)
end)
