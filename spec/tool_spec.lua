-- Tools called from Lua: definitions, inputs, results, failures, limits.
local zigllms = require("zigllms")
local clock = require("spec.support.program").clock
local raised = require("spec.support.raised")

local tool = zigllms.tool

local function echo(input, ctx)
  return input, ctx
end

local function names(list)
  local all = {}
  for i, item in ipairs(list) do
    all[i] = item.name
  end
  return all
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

-- A tool whose `parameters` have defaults at two levels.
local function with_defaults(extra)
  local definition = {
    name = "defaults",
    parameters = {
      type = "object",
      properties = {
        n = { type = "number", default = 3 },
        list = { type = "array", items = { type = "integer" } },
        inner = {
          type = "object",
          properties = { word = { type = "string", default = "w" } },
        },
      },
      required = { "n" },
    },
    execute = echo,
  }
  for key, value in pairs(extra or {}) do
    definition[key] = value
  end
  return tool.register(definition)
end

describe("tool", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  describe("register", function()
    it("takes a name alone", function()
      local id = tool.register({ name = "bare" })
      assert.truthy(id:match("^tool_%d+$"))
      assert.is_true(tool.exists(id))
      assert.is_true(tool.exists("bare"))
      local definition = tool.get(id)
      assert.equal("object", definition.parameters.type)
      assert.is_nil(definition.execute)
    end)

    it("keeps every field", function()
      local id = tool.register({
        name = "full",
        description = "Does it all",
        parameters = { type = "object", properties = { a = { type = "string" } } },
        returns = { type = "string" },
        execute = echo,
        category = tool.Category.DATA,
        execution_mode = tool.ExecutionMode.DIRECT,
        timeout_ms = 1234,
        max_retries = 2,
        on_error = "raise",
        validate = false,
        tags = { "one", "two" },
        version = "2.1.0",
        examples = { { input = { a = "x" } } },
        metadata = { owner = { team = "core" } },
      })
      local definition = tool.get(id)
      assert.equal(id, definition.id)
      assert.equal("full", definition.name)
      assert.equal("Does it all", definition.description)
      assert.equal("string", definition.parameters.properties.a.type)
      assert.equal("string", definition.returns.type)
      assert.equal(echo, definition.execute)
      assert.equal("data", definition.category)
      assert.equal("direct", definition.execution_mode)
      assert.equal(1234, definition.timeout_ms)
      assert.equal(2, definition.max_retries)
      assert.equal("raise", definition.on_error)
      assert.is_false(definition.validate)
      assert.same({ "one", "two" }, { definition.tags[1], definition.tags[2] })
      assert.equal("2.1.0", definition.version)
      assert.equal("x", definition.examples[1].input.a)
      assert.equal("core", definition.metadata.owner.team)
    end)

    it("knows the other names of fields", function()
      local schema = { type = "object", properties = { a = { type = "string" } } }
      for i, key in ipairs({ "schema", "input_schema" }) do
        local id = tool.register({ name = "t" .. i, [key] = schema, handler = echo })
        assert.equal("string", tool.get(id).parameters.properties.a.type)
        assert.equal(echo, tool.get(id).execute)
      end
      local id = tool.register({ name = "r", output_schema = { type = "string" } })
      assert.equal("string", tool.get(id).returns.type)
    end)

    it("reads schemas from JSON text", function()
      local id = tool.register({
        name = "text",
        parameters = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}',
        execute = echo,
      })
      raised("validation_failed", tool.execute, id, {})
      assert.equal(1, tool.execute(id, { a = 1 }).a)
      raised("validation_failed", tool.register, { name = "broken", parameters = "{" })
      assert.is_false(tool.exists("broken"))
    end)

    it("takes a callable table as the function", function()
      local callable = setmetatable({}, {
        __call = function(_, input)
          return input.n + 1
        end,
      })
      local id = tool.register({ name = "callable", execute = callable })
      assert.equal(42, tool.execute(id, { n = 41 }))
    end)

    it("takes back what get returned", function()
      local id = with_defaults()
      local definition = tool.get(id)
      definition.name = "copy"
      local copy = tool.register(definition)
      assert.are_not.equal(id, copy)
      assert.equal(3, tool.execute("copy", {}).n)
    end)

    it("is not changed by what happens to the table later", function()
      local definition = { name = "mine", tags = { "a" }, execute = echo }
      local id = tool.register(definition)
      definition.name, definition.tags[1], definition.execute = "other", "b", nil
      assert.equal("a", tool.get(id).tags[1])
      assert.equal(echo, tool.get("mine").execute)
      tool.get(id).tags[1] = "c"
      assert.equal("a", tool.get(id).tags[1])
    end)

    it("refuses names that models cannot use", function()
      for _, name in ipairs({ "", "two words", "dot.ted", "ä", ("x"):rep(65), "new\nline" }) do
        has(raised("invalid_argument", tool.register, { name = name }).message, "definition.name")
      end
      has(raised("invalid_argument", tool.register, {}).message, "definition.name")
      has(raised("invalid_argument", tool.register, { name = 5 }).message, "definition.name")
      assert.equal(0, #tool.list())
      assert.truthy(tool.register({ name = ("x"):rep(64) }))
      assert.truthy(tool.register({ name = "A-b_9" }))
    end)

    it("refuses what is no definition", function()
      raised("invalid_argument", tool.register)
      raised("invalid_argument", tool.register, "name")
      has(
        raised("invalid_argument", tool.register, { name = "x", execute = 5 }).message,
        "definition.execute"
      )
      has(
        raised("invalid_argument", tool.register, { name = "x", tags = { 5 } }).message,
        "definition.tags[1]"
      )
      has(
        raised("invalid_argument", tool.register, { name = "x", timeout_ms = -1 }).message,
        "definition.timeout_ms"
      )
      has(
        raised("invalid_argument", tool.register, { name = "x", on_error = "explode" }).message,
        '"raise"'
      )
      local err = raised("invalid_argument", tool.register, { name = "x", descripton = "" })
      has(err.message, "definition.descripton")
      has(err.message, '"description"')
    end)

    it("refuses a bad schema, naming the place and the type", function()
      local function bad(parameters)
        return raised("validation_failed", tool.register, { name = "x", parameters = parameters })
      end
      local err = bad({ type = "strng" })
      has(err.message, "definition.parameters")
      has(err.message, '"strng"')
      assert.equal("/type", err.details.errors[1].path)
      err = bad({ type = "object", properties = { a = { type = "nummer" } } })
      has(err.message, "/properties/a/type")
      has(err.message, '"nummer"')
      assert.equal("/properties/a/type", err.details.errors[1].path)
      err = raised("validation_failed", tool.register, { name = "x", returns = { type = "q" } })
      has(err.message, "definition.returns")
      assert.is_false(tool.exists("x"))
    end)

    it("needs a source to run sandboxed", function()
      local mode = tool.ExecutionMode.SANDBOXED
      local err = raised("unsupported", tool.register, { name = "x", execution_mode = mode })
      has(err.message, "definition.execution_mode")
      local id = tool.register({ name = "y", execute = echo, replace = true })
      raised("unsupported", tool.execute, id, {}, { mode = mode })
      assert.is_false(tool.exists("x"))
    end)

    it("does not overwrite unless asked to", function()
      local first = tool.register({ name = "same", execute = echo })
      local err = raised("already_exists", tool.register, { name = "same" })
      has(err.message, "replace=true")
      assert.equal(echo, tool.get("same").execute)
      local second = tool.register({ name = "same", description = "new", replace = true })
      assert.are_not.equal(first, second)
      assert.equal("new", tool.get("same").description)
      assert.is_nil(tool.get(first))
      assert.is_false(tool.exists(first))
      assert.equal(1, #tool.list())
    end)

    it("never uses an id again", function()
      local first = tool.register({ name = "a" })
      assert.is_true(tool.unregister(first))
      local second = tool.register({ name = "a" })
      assert.are_not.equal(first, second)
      assert.is_nil(tool.get(first))
      raised("not_found", tool.execute, first, {})
    end)
  end)

  describe("looking at tools", function()
    it("accepts an id, a name and a table with an id", function()
      local id = with_defaults()
      for _, key in ipairs({ id, "defaults", tool.get(id), { id = id } }) do
        assert.is_true(tool.exists(key))
        assert.equal(id, tool.get(key).id)
        assert.equal(3, tool.execute(key, {}).n)
      end
      assert.is_true(tool.unregister(tool.get(id)))
      assert.is_false(tool.exists(id))
    end)

    it("prefers ids to names", function()
      local id = tool.register({ name = "a", description = "by id" })
      local other = tool.register({ name = id, description = "by name" })
      assert.equal("by id", tool.get(id).description)
      assert.equal("by name", tool.get(other).description)
      assert.is_true(tool.unregister(id))
      assert.equal("by name", tool.get(id).description)
    end)

    it("answers for what is not there", function()
      assert.is_nil(tool.get("nothing"))
      assert.is_false(tool.exists("nothing"))
      assert.is_false(tool.unregister("nothing"))
      local err = raised("not_found", tool.execute, "nothing", {})
      has(err.message, '"nothing"')
      assert.equal("tool", err.bridge)
      assert.equal("execute", err.func)
    end)

    it("unregisters once", function()
      local id = tool.register({ name = "gone" })
      assert.is_true(tool.unregister("gone"))
      assert.is_false(tool.unregister("gone"))
      assert.is_false(tool.unregister(id))
      assert.is_nil(tool.get(id))
    end)

    it("lists in order, and by filter", function()
      assert.same({}, names(tool.list()))
      local a = tool.register({ name = "get_a", description = "A", execute = echo, tags = { "t" } })
      local b = tool.register({ name = "get_b", category = "http" })
      local c = tool.register({ name = "put_c" })
      assert.same({ "get_a", "get_b", "put_c" }, names(tool.list()))
      local items = tool.list()
      assert.equal(a, items[1].id)
      assert.equal("A", items[1].description)
      assert.equal("custom", items[1].category)
      assert.equal("script", items[1].source)
      assert.equal("t", items[1].tags[1])
      assert.equal("http", items[2].category)
      assert.equal("declared", items[2].source)
      assert.equal("", items[2].description)
      assert.same({}, names(items[2].tags))

      local ids = tool.list({ ids = true })
      assert.same({ a, b, c }, { ids[1], ids[2], ids[3] })
      assert.same({ "get_a", "get_b" }, names(tool.list({ name = "get_*" })))
      assert.same({ "put_c" }, names(tool.list({ name = "?ut_c" })))
      assert.same({ "get_b" }, names(tool.list({ name = "get_b" })))
      assert.same({}, names(tool.list({ name = "get" })))
      assert.equal(c, tool.list({ name = "*c", ids = true })[1])
      raised("invalid_argument", tool.list, { nmae = "x" })

      tool.unregister(b)
      assert.same({ "get_a", "put_c" }, names(tool.list()))
      items[1].name = "changed"
      assert.same({ "get_a", "put_c" }, names(tool.list()))
    end)

    it("has its constants", function()
      assert.equal("direct", tool.ExecutionMode.DIRECT)
      assert.equal("sandboxed", tool.ExecutionMode.SANDBOXED)
      assert.equal("async", tool.ExecutionMode.ASYNC)
      assert.equal("file", tool.Category.FILE)
      assert.equal("http", tool.Category.HTTP)
      assert.equal("system", tool.Category.SYSTEM)
      assert.equal("data", tool.Category.DATA)
    end)

    it("knows each tool in its own instance only", function()
      local other = zigllms.new()
      tool.register({ name = "mine" })
      assert.is_false(other.tool.exists("mine"))
      assert.truthy(other.tool.register({ name = "mine" }))
      other.reset()
      assert.is_true(tool.exists("mine"))
    end)
  end)

  describe("the input", function()
    it("arrives as it was passed, without a schema", function()
      local id = tool.register({ name = "echo", execute = echo })
      local input = setmetatable({ fn = print, thread = coroutine.create(print) }, {})
      input.self = input
      assert.equal(input, (tool.execute(id, input)))
      assert.equal(input, (tool.execute(id, input, { validate = false })))
    end)

    it("arrives as it was passed, with a schema that fills nothing", function()
      local id = with_defaults()
      local input = { n = 1, inner = { word = "x" }, list = { 1 } }
      assert.equal(input, (tool.execute(id, input)))
    end)

    it("is an empty table if there is none", function()
      local id = tool.register({ name = "echo", execute = echo })
      assert.same({}, (tool.execute(id)))
      assert.same({}, (tool.execute(id, nil)))
      assert.same({}, (tool.execute(id, nil, {})))
      assert.same({}, (tool.execute(id, zigllms.null)))
    end)

    it("has its defaults filled in, and the caller's table is not written", function()
      local id = with_defaults()
      local list = { 1, 2 }
      local input = { inner = {}, list = list, more = "m" }
      local seen = tool.execute(id, input)
      assert.equal(3, seen.n)
      assert.equal("w", seen.inner.word)
      assert.equal("m", seen.more)
      assert.equal(list, seen.list)
      assert.is_nil(input.n)
      assert.is_nil(input.inner.word)
      assert.equal(3, tool.execute(id).n)
      assert.is_nil(tool.execute(id).inner)
      assert.equal(7, tool.execute(id, { n = 7 }).n)
    end)

    it("may be an empty array, also where something is filled in or null", function()
      local seen
      local id = tool.register({
        name = "lists",
        parameters = {
          type = "object",
          properties = {
            list = { type = "array", maxItems = 2 },
            map = { type = "object" },
            n = { type = "integer", default = 3 },
          },
        },
        execute = function(input)
          seen = input
          return input
        end,
      })
      local input = { list = {}, map = {} }
      assert.equal(input.list, tool.execute(id, input).list)
      assert.same({ list = {}, map = {}, n = 3 }, seen)
      assert.same(
        { list = {}, n = 4 },
        (tool.execute(id, { list = {}, n = 4, map = zigllms.null }))
      )
      raised("validation_failed", tool.execute, id, { list = { 1, 2, 3 } })
    end)

    it("does not hand out the same default twice", function()
      local id = tool.register({
        name = "shared",
        parameters = {
          type = "object",
          properties = { list = { type = "array", default = { 1 } } },
        },
        execute = echo,
      })
      tool.execute(id, {}).list[1] = "changed"
      assert.equal(1, tool.execute(id, {}).list[1])
    end)

    it("may be JSON text where an object is wanted", function()
      local id = with_defaults()
      local seen = tool.execute(id, '{"n":5,"inner":{}}')
      assert.equal(5, seen.n)
      assert.equal("w", seen.inner.word)
      local bare = tool.register({ name = "bare", execute = echo })
      assert.equal(1, tool.execute(bare, '{"a":1}').a)
      has(raised("validation_failed", tool.execute, id, "{").message, "JSON")
      raised("validation_failed", tool.execute, id, '{"n":"x"}')
      raised("validation_failed", tool.execute, bare, "[1]")
    end)

    it("is text where text is wanted", function()
      local id = tool.register({ name = "t", parameters = { type = "string" }, execute = echo })
      assert.equal('{"a":1}', (tool.execute(id, '{"a":1}')))
      raised("validation_failed", tool.execute, id, {})
    end)

    it("has no null members", function()
      local id = with_defaults()
      local seen = tool.execute(id, '{"n":1,"x":null,"inner":{"y":null}}')
      assert.is_nil(seen.x)
      assert.is_nil(seen.inner.y)
      assert.equal(3, tool.execute(id, '{"n":null}').n)
    end)

    it("is checked, and every violation is told", function()
      local called = false
      local id = with_defaults({
        execute = function()
          called = true
        end,
      })
      local err = raised("validation_failed", tool.execute, id, {
        n = "x",
        list = { 1, "two", 3 },
        inner = { word = 5 },
      })
      local paths = {}
      for i, item in ipairs(err.details.errors) do
        paths[i] = item.path
        assert.is_string(item.message)
        assert.equal("type", item.keyword)
      end
      table.sort(paths)
      assert.same({ "/inner/word", "/list/1", "/n" }, paths)
      assert.is_false(err.retryable)
      err = raised("validation_failed", tool.execute, id, 5)
      assert.equal("", err.details.errors[1].path)
      assert.is_false(called)
    end)

    it("is checked for what is missing", function()
      local id = tool.register({
        name = "needs",
        parameters = {
          type = "object",
          properties = { a = { type = "string", enum = { "x", "y" } } },
          required = { "a" },
          additionalProperties = false,
        },
        execute = echo,
      })
      local function keyword(input)
        return raised("validation_failed", tool.execute, id, input).details.errors[1].keyword
      end
      assert.equal("required", keyword({}))
      assert.equal("enum", keyword({ a = "z" }))
      assert.equal("additionalProperties", keyword({ a = "x", b = 1 }))
    end)

    it("must be an object without a schema too", function()
      local id = tool.register({ name = "echo", execute = echo })
      has(raised("validation_failed", tool.execute, id, 5).message, "object")
      has(raised("validation_failed", tool.execute, id, { 1, 2 }).message, "array")
      assert.equal(5, (tool.execute(id, 5, { validate = false })))
    end)

    it("is not checked if that is not wanted", function()
      local id = with_defaults()
      assert.equal("x", tool.execute(id, { n = "x" }, { validate = false }).n)
      local lax = with_defaults({ name = "lax", validate = false })
      assert.equal("x", tool.execute(lax, { n = "x" }).n)
      raised("validation_failed", tool.execute, lax, { n = "x" }, { validate = true })
    end)
  end)

  describe("the result", function()
    local function returning(...)
      local values, n = { ... }, select("#", ...)
      return tool.register({
        name = "returning",
        replace = true,
        execute = function()
          return (table.unpack or unpack)(values, 1, n) -- luacheck: ignore
        end,
      })
    end

    it("is the first value, as it is", function()
      local object = setmetatable({}, { __index = { a = 1 } })
      local thread = coroutine.create(print)
      for _, value in ipairs({ 1, 1.5, "s", true, false, object, print, thread, io.stdout }) do
        assert.equal(value, tool.execute(returning(value), {}))
      end
      assert.equal(1, select("#", tool.execute(returning(1, 2, 3), {})))
      assert.is_nil(tool.execute(returning(), {}))
      assert.is_nil(tool.execute(returning(nil), {}))
      assert.is_false((tool.execute(returning(false, "no failure"), {})))
    end)

    it("is checked against its schema", function()
      local id = tool.register({
        name = "checked",
        returns = {
          type = "object",
          properties = { n = { type = "number" } },
          required = { "n" },
        },
        execute = function(input)
          return input.give
        end,
      })
      local good = { n = 1 }
      assert.equal(good, tool.execute(id, { give = good }))
      local err = raised("tool_error", tool.execute, id, { give = { n = "x" } })
      has(err.message, "/n")
      assert.equal("validation_failed", err.cause.code)
      assert.equal("/n", err.cause.details.errors[1].path)
      raised("tool_error", tool.execute, id, {})
      raised("tool_error", tool.execute, id, { give = "text" })
    end)

    it("may be text that its schema asks for", function()
      local id = tool.register({
        name = "text",
        returns = { type = "string", maxLength = 3 },
        execute = function(input)
          return input.s
        end,
      })
      assert.equal("abc", tool.execute(id, { s = "abc" }))
      raised("tool_error", tool.execute, id, { s = "abcd" })
    end)
  end)

  describe("a failure", function()
    local function raising(value, level)
      return tool.register({
        name = "raising",
        replace = true,
        execute = function()
          error(value, level or 0)
        end,
      })
    end

    it("keeps what was raised, whatever it is", function()
      local object = { code = "mine" }
      for _, value in ipairs({ object, "text", 5, true, io.stdout, print }) do
        local err = raised("tool_error", tool.execute, raising(value), {})
        assert.equal(value, err.cause)
        assert.is_false(err.retryable)
        has(err.message, '"raising"')
      end
      assert.is_nil(raised("tool_error", tool.execute, raising(nil), {}).cause)
      assert.is_false(raised("tool_error", tool.execute, raising(false), {}).cause)
      assert.truthy(raised("tool_error", tool.execute, raising("at", 1), {}).cause:find("%d+: at$"))
    end)

    it("is told in the message", function()
      has(raised("tool_error", tool.execute, raising("it broke"), {}).message, "it broke")
      local object = setmetatable({}, {
        __tostring = function()
          return "my own words"
        end,
      })
      has(raised("tool_error", tool.execute, raising(object), {}).message, "my own words")
    end)

    it("is a tool_error also if it was an error of the module", function()
      local own = zigllms.error("not_found", "no such row")
      local err = raised("tool_error", tool.execute, raising(own), {})
      assert.equal(own, err.cause)
      has(err.message, "no such row")
    end)

    it("is also nil and a message", function()
      local id = tool.register({
        name = "refuses",
        execute = function()
          return nil, "why"
        end,
      })
      local err = raised("tool_error", tool.execute, id, {})
      assert.equal("why", err.cause)
      has(err.message, "why")
    end)

    it("is tried again as often as the tool or the call says", function()
      local count = 0
      local id = tool.register({
        name = "flaky",
        max_retries = 2,
        execute = function(input)
          count = count + 1
          if count <= input.failures then
            error("again")
          end
          return count
        end,
      })
      assert.equal(3, tool.execute(id, { failures = 2 }))
      count = 0
      raised("tool_error", tool.execute, id, { failures = 3 })
      assert.equal(3, count)
      count = 0
      raised("tool_error", tool.execute, id, { failures = 1 }, { retries = 0 })
      assert.equal(1, count)
      count = 0
      assert.equal(6, tool.execute(id, { failures = 5 }, { retries = 5 }))
    end)

    it("is not tried again if the input does not fit", function()
      local id = with_defaults({ max_retries = 5 })
      raised("validation_failed", tool.execute, id, { n = "x" })
    end)

    it("of a tool without a function is that", function()
      local id = tool.register({ name = "declared" })
      has(raised("unsupported", tool.execute, id, {}).message, "execute")
    end)

    it("says where the call stands", function()
      local err = raised("tool_error", tool.execute, raising("x"), {})
      assert.equal("tool", err.bridge)
      assert.equal("execute", err.func)
      assert.truthy(tostring(err):find("zigllms.tool.execute: ", 1, true))
      assert.truthy(tostring(err):find("%[tool_error%]$"))
    end)
  end)

  describe("the time limit", function()
    local id, woken

    before_each(function()
      woken = false
      id = tool.register({
        name = "slow",
        timeout_ms = 30,
        execute = function(input)
          if input.busy then
            local began = os.clock()
            while os.clock() - began < 0.05 do
              woken = true
            end
          else
            zigllms.sleep(input.ms or 2000)
            woken = true
          end
          return "done"
        end,
      })
    end)

    it("ends a tool that waits", function()
      local began = clock()
      local err = raised("timeout", tool.execute, id, {})
      assert.equal("tool", err.phase)
      assert.is_false(err.retryable)
      has(err.message, "30 ms")
      assert.is_true(clock() - began < 2)
      assert.is_false(woken)
    end)

    it("is told by a tool that comes back late", function()
      assert.equal("tool", raised("timeout", tool.execute, id, { busy = true }).phase)
      assert.is_true(woken)
    end)

    it("is that of the call if it has one, and none is 0", function()
      assert.equal("done", tool.execute(id, { busy = true }, { timeout_ms = 0 }))
      assert.equal("done", tool.execute(id, { ms = 40 }, { timeout_ms = 1000 }))
      raised("timeout", tool.execute, id, { ms = 20 }, { timeout_ms = 5 })
    end)

    it("holds for all tries together", function()
      raised("timeout", tool.execute, id, { ms = 2000 }, { retries = 5 })
      local failing = tool.register({
        name = "failing",
        timeout_ms = 40,
        max_retries = 100,
        execute = function()
          zigllms.sleep(15)
          error("again")
        end,
      })
      assert.equal("tool", raised("timeout", tool.execute, failing, {}).phase)
    end)
  end)

  describe("the context", function()
    it("names the tool", function()
      local seen
      local id = tool.register({
        name = "curious",
        execute = function(_, ctx)
          seen = ctx
        end,
      })
      tool.execute(id, {}, { context = { user = "ann", nested = { 1, 2 } } })
      assert.equal(id, seen.tool_id)
      assert.equal("curious", seen.name)
      assert.is_nil(seen.agent_id)
      assert.is_false(seen.cancelled())
      assert.equal("ann", seen.user)
      assert.same({ 1, 2 }, { seen.nested[1], seen.nested[2] })
    end)

    it("does not let the caller pretend to be another tool", function()
      local seen
      local id = tool.register({
        name = "curious",
        execute = function(_, ctx)
          seen = ctx
        end,
      })
      tool.execute(id, {}, { context = { tool_id = "tool_99", name = "other" } })
      assert.equal(id, seen.tool_id)
      assert.equal("curious", seen.name)
    end)

    it("tells that the call was cancelled", function()
      local ctx
      local id = tool.register({
        name = "cancelled",
        execute = function(_, given)
          ctx = given
          zigllms.sleep(5000)
        end,
      })
      local handle = tool.execute(id, {}, { async = true })
      zigllms.poll(5)
      assert.is_false(ctx.cancelled())
      assert.is_true(handle:cancel())
      zigllms.poll(5)
      assert.is_true(ctx.cancelled())
    end)
  end)

  describe("calls inside calls", function()
    it("go as deep as one likes", function()
      local id
      id = tool.register({
        name = "factorial",
        execute = function(input)
          return input.n <= 1 and 1 or input.n * tool.execute(id, { n = input.n - 1 })
        end,
      })
      assert.equal(3628800, tool.execute(id, { n = 10 }))
    end)

    it("wrap each failure once per level", function()
      local inner = tool.register({
        name = "inner",
        execute = function()
          error("deep", 0)
        end,
      })
      local outer = tool.register({
        name = "outer",
        execute = function()
          return tool.execute(inner, {})
        end,
      })
      local err = raised("tool_error", tool.execute, outer, {})
      assert.equal("tool_error", err.cause.code)
      assert.equal("deep", err.cause.cause)
    end)

    it("may change the registry under themselves", function()
      local id
      id = tool.register({
        name = "suicidal",
        execute = function()
          assert(tool.unregister(id))
          return tool.register({ name = "suicidal", execute = echo })
        end,
      })
      local new = tool.execute(id, {})
      assert.is_false(tool.exists(id))
      assert.equal(1, tool.execute(new, { a = 1 }).a)
    end)
  end)

  describe("waiting", function()
    local function sleepy()
      return tool.register({
        name = "sleepy",
        execute = function(input)
          zigllms.sleep(input.ms)
          return input.value
        end,
      })
    end

    it("blocks in the main thread and in any coroutine", function()
      local id = sleepy()
      assert.equal("v", tool.execute(id, { ms = 5, value = "v" }))
      local thread = coroutine.create(function()
        return tool.execute(id, { ms = 5, value = "w" })
      end)
      local ok, value = coroutine.resume(thread)
      assert.is_true(ok)
      assert.equal("w", value)
      assert.equal("dead", coroutine.status(thread))
    end)

    it("passes raw yields to whoever resumes the caller's coroutine", function()
      local id = tool.register({
        name = "generator",
        execute = function(input)
          return coroutine.yield(input.give)
        end,
      })
      local next_value = coroutine.wrap(function()
        return tool.execute(id, { give = "out" })
      end)
      assert.equal("out", next_value())
      assert.equal("in", next_value("in"))
    end)

    it("goes on side by side in spawned coroutines", function()
      local id = sleepy()
      local began = clock()
      local first = zigllms.spawn(tool.execute, id, { ms = 60, value = 1 })
      local second = zigllms.spawn(tool.execute, id, { ms = 60, value = 2 })
      local results = zigllms.all({ first, second })
      assert.same({ 1, 2 }, { results[1], results[2] })
      assert.is_true(clock() - began < 0.115)
    end)

    it("is left to a handle with async=true", function()
      local id = sleepy()
      local handle = tool.execute(id, { ms = 20, value = { 1 } }, { async = true })
      assert.is_false(handle:done())
      assert.equal("running", handle:status())
      local result = handle:await()
      assert.equal(1, result[1])
      assert.equal(result, handle:await())
      assert.equal(result, (handle:result()))
      assert.equal("completed", handle:status())
      assert.is_false(handle:cancel())
    end)

    it("raises argument errors at once, others from the handle", function()
      raised("not_found", tool.execute, "nothing", {}, { async = true })
      local id = with_defaults({
        execute = function()
          error("late", 0)
        end,
      })
      raised("validation_failed", tool.execute, id, { n = "x" }, { async = true })
      local handle = tool.execute(id, {}, { async = true })
      local err = raised("tool_error", handle.await, handle)
      assert.equal("late", err.cause)
      assert.equal("failed", handle:status())
    end)

    it("ends with a cancel", function()
      local finished = false
      local id = tool.register({
        name = "long",
        execute = function()
          zigllms.sleep(5000)
          finished = true
        end,
      })
      local handle = tool.execute(id, {}, { async = true })
      assert.is_true(handle:cancel("enough"))
      local err = raised("cancelled", handle.await, handle)
      assert.equal("enough", err.details.reason)
      assert.equal("cancelled", handle:status())
      assert.is_false(handle:cancel())
      zigllms.poll()
      assert.is_false(finished)
    end)

    it("is refused options that do not exist", function()
      local id = sleepy()
      has(raised("invalid_argument", tool.execute, id, {}, { timeout = 1 }).message, "timeout_ms")
      has(raised("invalid_argument", tool.execute, id, {}, { cache = 0 }).message, "options.cache")
      raised("invalid_argument", tool.execute, id, {}, { timeout_ms = "soon" })
      raised("invalid_argument", tool.execute, id, {}, { retries = 1.5 })
    end)
  end)
end)
