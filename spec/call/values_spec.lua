-- Values that cross the boundary: what becomes which JSON, what comes back, what is refused.
local cjson = require("cjson")
local raised = require("spec.support.raised")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local server = scripted.start()
local agent, tool = zigllms.agent, zigllms.tool

local function nested(levels)
  local value = {}
  for _ = 2, levels do
    value = { value }
  end
  return value
end

describe("values", function()
  local id

  setup(function()
    zigllms.provider.configure("openai", { base_url = server.url, api_key = "test", retry = false })
    id = agent.create({ provider = "openai", memory = false })
  end)

  teardown(function()
    zigllms.reset()
    server:stop()
  end)

  -- The JSON text of `value`, as it leaves Lua.
  local function json(value)
    server:script(scripted.text("ok"))
    agent.run(id, { v = value })
    return (server:requests()[1].messages[1].content:match('^{"v":(.*)}$'))
  end

  local function refused(value)
    return raised("conversion_error", agent.run, id, { v = value }).message
  end

  describe("on their way out", function()
    it("are plain data as they are", function()
      assert.equal("true", json(true))
      assert.equal("false", json(false))
      assert.equal('"text"', json("text"))
      assert.equal('"ü\\u0000\\n\\"\\\\"', json('ü\0\n"\\'))
      assert.equal('""', json(""))
    end)

    it("keep the subtype of numbers where there is one", function()
      assert.equal("1", json(1))
      assert.equal("1.5", json(1.5))
      assert.equal("-7", json(-7))
      if math.type then
        assert.equal("1.0", json(1.0))
        assert.equal("9007199254740993", json(9007199254740993))
        assert.equal("-9223372036854775808", json(math.mininteger))
        assert.equal("9223372036854775807", json(math.maxinteger))
      else
        assert.equal("9007199254740992", json(2 ^ 53))
        assert.equal("-9007199254740992", json(-2 ^ 53))
      end
      assert.equal(1e300, cjson.decode(json(1e300)))
      assert.equal(2 ^ 60, cjson.decode(json(2 ^ 60)))
    end)

    it("are arrays if the keys are exactly 1 to n, else objects", function()
      assert.equal("[1,2,3]", json({ 1, 2, 3 }))
      assert.equal("[[1],[2]]", json({ { 1 }, { 2 } }))
      assert.equal('{"a":1}', json({ a = 1 }))
      assert.same({ ["1"] = 1, ["2"] = 2, ["4"] = 4 }, cjson.decode(json({ 1, 2, nil, 4 })))
      assert.same({ ["1"] = 1, a = 2 }, cjson.decode(json({ 1, a = 2 })))
      assert.same({ ["0"] = 1, ["-1"] = 2 }, cjson.decode(json({ [0] = 1, [-1] = 2 })))
      assert.same({ ["1000000"] = 1 }, cjson.decode(json({ [1000000] = 1 })))
    end)

    it("take an integral float as the integer key it is", function()
      assert.equal("[5]", json({ [1.0] = 5 }))
      assert.equal('{"7":5}', json({ [7.0] = 5 }))
    end)

    it("are an object if empty, unless marked", function()
      assert.equal("{}", json({}))
      assert.equal("[]", json(zigllms.array({})))
      assert.equal("{}", json(zigllms.object({})))
      assert.equal("[1]", json(zigllms.array({ 1 })))
      assert.equal('{"1":1,"2":2}', json(zigllms.object({ 1, 2 })))
    end)

    it("have null where zigllms.null is", function()
      assert.equal("null", json(zigllms.null))
      assert.equal("[null,1]", json({ zigllms.null, 1 }))
      assert.equal('{"a":null}', json({ a = zigllms.null }))
      assert.equal(zigllms.null, cjson.null)
    end)

    it("understand the empty arrays of cjson", function()
      if not cjson.empty_array then
        print("\nskipped: this lua-cjson has no empty_array")
        return
      end
      assert.equal("[]", json(cjson.empty_array))
      assert.equal("[]", json(setmetatable({}, cjson.array_mt)))
    end)

    it("may hold the same table twice", function()
      local shared = { 1 }
      assert.equal("[[1],[1]]", json({ shared, shared }))
    end)

    it("are read once, however deep a table with a list in it lies in others", function()
      local function mixed(levels)
        local value = { 1, x = 1 }
        for _ = 1, levels do
          value = { value, x = 1 }
        end
        return value
      end
      local began = os.clock()
      assert.equal('{"1":{"1":1,"x":1},"x":1}', json(mixed(1)))
      assert.equal(90 * #'{"1":,"x":1}' + #'{"1":1,"x":1}', #json(mixed(90)))
      -- Keys that do not come in their order.
      local filled = { 1 }
      for _ = 1, 20 do
        local list = {}
        list[3], list[2], list[1] = 3, 2, filled
        filled = list
      end
      assert.equal(("["):rep(21) .. "1]" .. (",2,3]"):rep(20), json(filled))
      assert.is_true(os.clock() - began < 30)
    end)

    it("are read raw", function()
      local function fail()
        error("a metamethod was called")
      end
      local hostile =
        { __index = fail, __pairs = fail, __len = fail, __ipairs = fail, __tostring = fail }
      assert.equal('{"a":1}', json(setmetatable({ a = 1 }, hostile)))
      assert.equal("[1,2]", json(setmetatable({ 1, 2 }, hostile)))
      local endless = {}
      setmetatable(endless, {
        __index = function()
          return endless
        end,
      })
      assert.equal("{}", json(endless))
    end)

    it("are as deep as a hundred levels", function()
      -- The input itself is one of them.
      assert.equal(("["):rep(98), (json(nested(99)):sub(1, 98)))
      assert.truthy(refused(nested(100)):find("100", 1, true))
      refused(nested(101))
      refused(nested(1000000))
    end)
  end)

  describe("that are no data", function()
    it("are refused with their path", function()
      assert.truthy(refused(print):find("input.v", 1, true))
      assert.truthy(refused(io.stdout):find("input.v", 1, true))
      assert.truthy(refused(coroutine.create(print)):find("input.v", 1, true))
      assert.truthy(refused(0 / 0):find("NaN", 1, true))
      assert.truthy(refused(1 / 0):find("infinite", 1, true))
      assert.truthy(refused(-1 / 0):find("input.v", 1, true))
    end)

    it("are refused in keys", function()
      refused({ [true] = 1 })
      refused({ [{}] = 1 })
      refused({ [1.5] = 1 })
      refused({ [print] = 1 })
      refused({ ["\255"] = 1 })
    end)

    it("are texts that are not UTF-8", function()
      local bad = { "\255\254", "\237\160\128", "a\192\175", "\244\144\128\128", "\195" }
      for _, text in ipairs(bad) do
        assert.truthy(refused(text):find("UTF-8", 1, true))
      end
    end)

    it("are keys that would become equal", function()
      refused({ [1] = "a", ["1"] = "b" })
      refused({ [-3] = "a", ["-3"] = "b" })
    end)

    it("are tables that contain themselves", function()
      local loop = {}
      loop.next = { loop }
      refused(loop)
    end)

    it("leave the module as it was", function()
      assert.equal("1", json(1))
    end)
  end)

  describe("marks", function()
    it("are put on the very table", function()
      local t = {}
      assert.equal(t, zigllms.array(t))
      assert.equal("array", getmetatable(t).__jsontype)
      assert.equal(t, zigllms.object(t))
      assert.equal("object", getmetatable(t).__jsontype)
    end)

    it("refuse what has a metatable of its own, and what is no table", function()
      local mt = {}
      raised("invalid_argument", zigllms.array, setmetatable({}, mt))
      raised("invalid_argument", zigllms.object, setmetatable({}, { __metatable = false }))
      raised("invalid_argument", zigllms.array, 5)
      raised("invalid_argument", zigllms.object)
    end)
  end)

  describe("on their way in", function()
    local got

    -- What a tool gets of a model's arguments, and how the call is reported.
    local function arrived(text, definition)
      definition = definition or {}
      definition.name = "take"
      definition.execute = function(input)
        got = input
        return input
      end
      got = nil
      server:script(scripted.calls({ { "c1", "take", text } }), scripted.text("ok"))
      local response = agent.run(id, "go", { tools = { definition } })
      return got, response.tool_calls[1], server:requests()[2].messages[3].content
    end

    it("are Lua values of the same kind", function()
      local input =
        arrived('{"b":true,"s":"\\u00fc\\ud83d\\ude00\\u0000","l":[1,[2]],"o":{"x":{}}}')
      assert.is_true(input.b)
      assert.equal("ü😀\0", input.s)
      assert.same({ 1, { 2 } }, input.l)
      assert.same({ x = {} }, input.o)
    end)

    it("are integers and floats where Lua tells them apart", function()
      local input = arrived('{"i":5,"f":5.0,"big":9223372036854775807,"huge":18446744073709551616}')
      assert.equal(5, input.i)
      assert.equal(5, input.f)
      assert.equal(2 ^ 64, input.huge)
      if math.type then
        assert.same({ "integer", "float", "integer", "float" }, {
          math.type(input.i),
          math.type(input.f),
          math.type(input.big),
          math.type(input.huge),
        })
        assert.equal(math.maxinteger, input.big)
      else
        assert.equal(2 ^ 63, input.big)
      end
    end)

    it("have marked arrays, so that empty ones stay arrays", function()
      local input, _, sent = arrived('{"a":[]}')
      assert.equal("array", getmetatable(input.a).__jsontype)
      assert.equal('{"a":[]}', sent)
    end)

    it("lack members that are null, and keep nulls in arrays", function()
      local input = arrived('{"gone":null,"l":[1,null,2],"o":{"gone":null}}')
      assert.is_nil(input.gone)
      assert.is_nil(next(input.o))
      assert.equal(3, #input.l)
      assert.equal(zigllms.null, input.l[2])
    end)

    it("are fresh: the report does not share them", function()
      local input, call = arrived('{"l":[1]}')
      input.l[1] = "changed"
      assert.same({ l = { 1 } }, call.arguments)
    end)

    it("are refused if they are no JSON or no object", function()
      for _, text in ipairs({
        "{",
        "nonsense",
        '{"a":1e999}',
        ("["):rep(300) .. ("]"):rep(300),
        "[1]",
        "5",
      }) do
        local input, call = arrived(text)
        assert.is_nil(input)
        assert.is_string(call.error)
      end
    end)

    it("are an empty object if the model sent nothing", function()
      assert.same({}, (arrived("")))
    end)
  end)

  describe("between Lua functions", function()
    it("pass by reference", function()
      local seen
      local echo = tool.register({
        name = "echo",
        execute = function(input)
          seen = input
          return input
        end,
      })
      local input = { a = { 1 } }
      assert.equal(input, tool.execute(echo, input))
      assert.equal(input, seen)
    end)

    it("return as they are, of any type", function()
      local value
      local give = tool.register({
        name = "give",
        execute = function()
          return value, "more"
        end,
      })
      local loop = {}
      loop.loop = loop
      local any_type = { loop, print, io.stdout, coroutine.create(print), 0.5, "\255", true }
      for _, any in ipairs(any_type) do
        value = any
        assert.equal(any, tool.execute(give))
        assert.equal(1, select("#", tool.execute(give)))
      end
      value = false
      assert.is_false(tool.execute(give))
    end)

    it("get defaults in a copy of what changes, and the caller's table is not written", function()
      local take = tool.register({
        name = "defaults",
        parameters = {
          type = "object",
          properties = {
            a = { type = "integer", default = 3 },
            list = {
              type = "array",
              items = { type = "object", properties = { q = { type = "integer", default = 1 } } },
            },
          },
        },
        execute = function(input)
          return input
        end,
      })
      local whole, lacking, other = { q = 2 }, {}, { 1 }
      local input = { list = { lacking, whole }, other = other }
      local result = tool.execute(take, input)
      assert.equal(3, result.a)
      assert.equal(1, result.list[1].q)
      assert.is_nil(input.a)
      assert.is_nil(lacking.q)
      assert.equal(whole, result.list[2], "what did not change is the same table")
      assert.equal(other, result.other)
      local complete = { a = 1, list = { whole } }
      assert.equal(complete, tool.execute(take, complete))
    end)
  end)

  describe("of options", function()
    it("are unset by null", function()
      local one = agent.create({ provider = "openai", temperature = zigllms.null })
      assert.is_nil(agent.get_info(one).temperature)
    end)

    it("are kept as data", function()
      local metadata = { list = { 1, { a = true } }, none = zigllms.array({}) }
      local one = agent.create({ provider = "openai", metadata = metadata })
      metadata.list[1] = "changed"
      local shown = agent.get_info(one).metadata
      assert.equal(1, shown.list[1])
      assert.is_true(shown.list[2].a)
      assert.equal("array", getmetatable(shown.none).__jsontype)
    end)
  end)
end)
