-- test.create_mock: functions and objects that stand for others.
local raised = require("spec.support.raised")
local socket = require("socket")
local zigllms = require("zigllms")

local create = zigllms.test.create_mock

describe("a function mock", function()
  it("is what a definition without a type makes", function()
    local mock = create({})
    assert.equal("function", mock.type)
    assert.is_truthy(mock.id:find("^mock_%d+$"))
    assert.are_not.equal(mock.id, create({}).id)
    assert.equal(0, select("#", nil, mock()) - 2)
    assert.equal("zigllms.mock: search", tostring(create({ name = "search", type = "FUNCTION" })))
  end)

  it("returns its value, the same each time", function()
    local value = { 1 }
    local mock = create({ returns = value })
    assert.equal(value, mock())
    assert.equal(value, mock("again"))
    assert.is_false(create({ returns = false })())
    assert.equal(zigllms.null, create({ returns = zigllms.null })())
    assert.equal(print, create({ returns = print })())
  end)

  it("returns the values of its sequence, the last one again and again", function()
    local mock = create({ sequence = { "a", "b" } })
    assert.same({ "a", "b", "b", "b" }, { mock(), mock(), mock(), mock() })
    mock:reset()
    assert.equal("a", mock())
    local holes = create({ sequence = { n = 3, 1, nil, 3 } })
    assert.same({ 1, nil, 3 }, { holes(), (holes()), (holes()) })
    assert.is_nil(create({ sequence = {} })())
  end)

  it("calls its implementation, and passes all on", function()
    local mock = create({
      implementation = function(...)
        return select("#", ...), ...
      end,
    })
    local results = { mock(1, nil, nil) }
    assert.equal(3, results[1])
    assert.equal(1, results[2])
    assert.same({ n = 4, 3, 1 }, mock:last_call().results)
  end)

  it("raises its error as it is, or as one of the module", function()
    local value = { "any" }
    local ok, err = pcall(create({ error = value }))
    assert.is_false(ok)
    assert.equal(value, err)
    local failing = create({ error = { code = "rate_limit", message = "slow down", status = 429 } })
    local late = raised("rate_limit", failing)
    assert.equal("slow down", late.message)
    assert.equal(429, late.status)
    local _, text = pcall(create({ error = "boom" }))
    assert.equal("boom", text)
    assert.is_false(failing:last_call().ok)
    assert.equal(late, failing:last_call().error)
  end)

  it("waits before it answers", function()
    local mock = create({ returns = 1, delay_ms = 30 })
    local began = socket.gettime()
    assert.equal(1, mock())
    assert.is_true(socket.gettime() - began >= 0.029)
  end)

  it("stands for a tool's function, a hook's and a handler's", function()
    local mock = create({ returns = { sum = 3 } })
    local tool = zigllms.tool.register({ name = "mocked_add", execute = mock })
    assert.same({ sum = 3 }, zigllms.tool.execute(tool, { a = 1, b = 2 }))
    assert.same({ a = 1, b = 2 }, mock:last_call().args[1])
    zigllms.tool.unregister(tool)
    local heard = create({})
    local id = zigllms.event.subscribe("mocked.event", heard)
    zigllms.event.emit("mocked.event", { n = 1 })
    assert.equal(1, heard:call_count())
    assert.same({ n = 1 }, heard:last_call().args[1].data)
    zigllms.event.unsubscribe(id)
  end)

  it("remembers its calls as they were", function()
    local mock = create({ returns = "r" })
    local argument = { list = { 1 } }
    mock(argument, nil)
    argument.list[1] = 2
    local call = mock:calls()[1]
    assert.same({ n = 2, { list = { 1 } } }, call.args)
    assert.equal("r", call.result)
    assert.is_true(call.ok)
    assert.equal(1, mock:call_count())
    assert.equal(call, mock:last_call())
    mock:calls()[1] = nil
    assert.equal(1, mock:call_count())
  end)

  it("keeps by reference what is no plain table", function()
    local object = setmetatable({}, {})
    local mock = create({})
    mock(object, print)
    assert.equal(object, mock:last_call().args[1])
    assert.equal(print, mock:last_call().args[2])
    local cycle = {}
    cycle.self = cycle
    mock(cycle)
    local kept = mock:last_call().args[1]
    assert.equal(kept, kept.self)
    assert.are_not.equal(cycle, kept)
  end)

  it("says whether it was called with some arguments", function()
    local mock = create({})
    mock("a", { b = { 1 } })
    assert.is_true(mock:called_with("a", { b = { 1 } }))
    assert.is_false(mock:called_with("a"))
    assert.is_false(mock:called_with("a", { b = { 1 } }, nil))
    assert.is_false(mock:called_with())
    mock()
    assert.is_true(mock:called_with())
  end)

  it("has methods that need no self", function()
    local mock = create({})
    mock(1)
    assert.equal(1, mock.call_count())
    assert.is_true(mock.called_with(1))
    assert.equal(1, #mock.calls())
    mock.reset()
    assert.equal(0, mock.call_count())
    assert.is_nil(mock.last_call())
  end)

  it("ends when it is restored", function()
    local mock = create({ returns = 1, name = "search" })
    mock()
    assert.is_true(mock:restore())
    assert.is_false(mock:restore())
    local err = raised("invalid_state", mock)
    assert.is_truthy(err.message:find('the mock "search" has been restored', 1, true))
    assert.equal(1, mock:call_count())
  end)

  it("may be called while it is being called", function()
    local mock
    mock = create({
      implementation = function(n)
        return n == 0 and 0 or n + mock(n - 1)
      end,
    })
    assert.equal(6, mock(3))
    assert.equal(4, mock:call_count())
    assert.equal(3, mock:calls()[1].args[1])
  end)
end)

describe("an object mock", function()
  local function object()
    return create({
      type = "object",
      name = "store",
      methods = {
        get = "value",
        set = function(key, value)
          return key, value
        end,
        fail = { error = "no" },
        next = { sequence = { 1, 2 } },
        data = { name_of = "a field that no definition has" },
        empty = {},
      },
    })
  end

  it("has its methods as fields, to be called either way", function()
    local mock = object()
    assert.equal("object", mock.type)
    assert.equal("value", mock:get("k"))
    assert.equal("value", mock.get("k"))
    assert.same({ "k", 1 }, { mock:set("k", 1) })
    assert.same({ "k", 1 }, { mock.set("k", 1) })
    assert.same({ 1, 2 }, { mock:next(), mock:next() })
    assert.same({ name_of = "a field that no definition has" }, mock:data())
    assert.same({}, mock:empty())
    local _, err = pcall(mock.fail)
    assert.equal("no", err)
  end)

  it("remembers all calls, and those of each method", function()
    local mock = object()
    mock:get("a")
    mock.set("b", 2)
    assert.equal(2, mock:call_count())
    assert.equal("get", mock:calls()[1].method)
    assert.same({ n = 1, "a" }, mock:calls()[1].args)
    assert.equal("set", mock:last_call().method)
    assert.is_true(mock:called_with("b", 2))
    assert.equal(1, mock.get:call_count())
    assert.is_true(mock.set.called_with("b", 2))
    mock:reset()
    assert.equal(0, mock:call_count() + mock.get:call_count())
  end)

  it("ends with all its methods", function()
    local mock = object()
    mock:restore()
    raised("invalid_state", mock.get)
  end)

  it("is told by its methods", function()
    assert.equal("object", create({ methods = { a = 1 } }).type)
  end)
end)

describe("a definition", function()
  local function refused(definition, ...)
    local err = raised("invalid_argument", create, definition)
    for _, part in ipairs({ ... }) do
      assert.is_truthy(err.message:find(part, 1, true), err.message)
    end
    assert.equal("create_mock", err.func)
  end

  it("is refused with what is wrong", function()
    refused(nil, "argument #1: definition: expected a table, got nil")
    refused({ retruns = 1 }, 'definition.retruns: unknown key, did you mean "returns"?')
    refused({ type = "robot" }, "definition.type: expected one of", '"robot"')
    refused({ delay_ms = -1 }, "definition.delay_ms: expected a number")
    refused({ implementation = 1 }, "definition.implementation: expected a function")
    refused({ returns = 1, error = 2 }, "returns", "error")
    refused({ type = "object", returns = 1 }, "definition.returns", "object")
    refused({ methods = { calls = 1 } }, "definition.methods.calls")
    refused({ methods = { 1 } }, "definition.methods: expected a table")
    refused({ methods = { [1.5] = 1 } }, "definition.methods", "names")
    refused({ methods = { get = { returns = 1, error = 2 } } }, "definition.methods.get")
  end)

  it("may hold any value", function()
    local odd = setmetatable({}, { __index = error, __metatable = "locked" })
    assert.equal(odd, create({ returns = odd })())
    local cycle = {}
    cycle.self = cycle
    assert.equal(cycle, create({ returns = cycle })())
    local thread = coroutine.create(print)
    assert.equal(thread, create({ sequence = { thread } })())
  end)

  it("keeps arguments, however deep they are", function()
    local deep = {}
    for _ = 1, 100000 do
      deep = { deep }
    end
    local mock = create({})
    mock(deep)
    assert.is_true(mock:called_with(deep))
  end)

  it("refuses a sequence that is none, and delays that are no time", function()
    local err = raised("invalid_argument", create, { sequence = { a = 1 } })
    assert.is_truthy(
      err.message:find('definition.sequence: expected an array of values, got the key "a"', 1, true)
    )
    assert.same({ 1, nil, 3 }, { create({ sequence = { 1, nil, 3, n = 3 } })(), nil, 3 })
    for _, ms in ipairs({ 0 / 0, math.huge }) do
      err = raised("invalid_argument", create, { delay_ms = ms })
      assert.is_truthy(err.message:find("definition.delay_ms: expected a number", 1, true))
    end
  end)
end)
