-- Looking at tools: discover, validate, get_schema, get_info; built-in ones among them.
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local tool = zigllms.tool

local SCHEMA = {
  type = "object",
  properties = { n = { type = "integer", default = 3 }, word = { type = "string" } },
  required = { "word" },
}

local function noop() end

local function names(list)
  local all = {}
  for i, item in ipairs(list) do
    all[i] = item.name
  end
  return all
end

local function set(list)
  local all = {}
  for _, name in ipairs(names(list)) do
    assert.is_nil(all[name], name .. " is listed twice")
    all[name] = true
  end
  return all
end

local function paths(result)
  local all = {}
  for i, flaw in ipairs(result.errors) do
    all[i] = flaw.path
    assert.is_string(flaw.message)
    assert.is_truthy(flaw.keyword:find("%S"))
  end
  table.sort(all)
  return all
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

describe("tool", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(function()
    zigllms.reset()
  end)

  describe("discover", function()
    it("lists built-in tools before any is registered, and list does not", function()
      local found = set(tool.discover())
      assert.is_true(found.calculator)
      assert.is_nil(found.math_calculator)
      assert.is_nil(found.process_runner)
      assert.is_nil(found.file_writer)
      assert.same({}, tool.list())
      for _, item in ipairs(tool.discover()) do
        assert.is_nil(item.id)
        assert.equal("builtin", item.source)
        assert.is_truthy(item.description:find("%S"))
        assert.is_string(item.category)
        assert.same("table", type(item.tags))
      end
    end)

    it("puts registered tools behind them, and hides what they shadow", function()
      local builtin = #tool.discover()
      local id = tool.register({ name = "mine", execute = noop })
      local all = tool.discover()
      assert.equal(builtin + 1, #all)
      assert.equal(id, all[#all].id)
      tool.register({ name = "calculator", execute = noop })
      all = tool.discover()
      assert.equal(builtin + 1, #all)
      assert.equal("script", all[#all].source)
      assert.is_true(set(all).calculator)
    end)

    it("filters by category, source, tags, capabilities and name", function()
      tool.register({ name = "get_a", execute = noop, category = "http", tags = { "x", "y" } })
      tool.register({ name = "get_b", category = "mine", tags = { "x" } })
      local function found(filter)
        return names(tool.discover(filter))
      end
      assert.same({ "get_b" }, found("mine"))
      assert.same({ "get_b" }, found("MINE"))
      assert.same({ "get_b" }, found({ category = "mine" }))
      assert.same({ "get_a" }, found({ source = "script" }))
      assert.same({ "get_b" }, found({ source = "declared" }))
      assert.same({}, found({ source = "mcp" }))
      assert.same({ "get_a", "get_b" }, found({ tags = { "x" } }))
      assert.same({ "get_a" }, found({ tags = { "x", "y" } }))
      assert.same({ "get_a", "get_b" }, found({ name_pattern = "get_?" }))
      assert.same({ "calculator" }, found({ name_pattern = "calc*", source = "builtin" }))
      local network = set(tool.discover({ capabilities = { "network" } }))
      assert.is_true(network.get_a)
      assert.is_nil(network.calculator)
      assert.is_true(set(tool.discover(tool.Category.DATA)).calculator)
      assert.same({ "calculator" }, tool.discover({ ids = true, name = "calculator" }))
      assert.same({ "get_b" }, names(tool.list({ source = "declared" })))
      assert.same({}, names(tool.list({ source = "builtin" })))
    end)

    it("refuses what is no filter", function()
      raised("invalid_argument", tool.discover, 5)
      has(raised("invalid_argument", tool.discover, { catgory = "x" }).message, '"category"')
      has(raised("invalid_argument", tool.discover, { source = "lua" }).message, '"script"')
      raised("invalid_argument", tool.discover, { capabilities = { "magic" } })
    end)
  end)

  describe("validate of a definition", function()
    it("finds nothing wrong with a sound one", function()
      local result = tool.validate({
        name = "ok",
        description = "Fine",
        parameters = SCHEMA,
        execute = noop,
      })
      assert.is_true(result.valid)
      assert.same({}, result.errors)
      assert.same({}, result.warnings)
      assert.is_false(tool.exists("ok"))
    end)

    it("names everything that is wrong, and raises nothing", function()
      local result = tool.validate({
        name = "two words",
        timeout_ms = -1,
        tags = { 5 },
        descripton = "x",
        parameters = { type = "strng" },
        execute = 5,
      })
      assert.is_false(result.valid)
      local expected = { "/descripton", "/execute", "/name", "/parameters", "/tags", "/timeout_ms" }
      assert.same(expected, paths(result))
      assert.same({ "/name" }, paths(tool.validate({})))
      assert.same({ "/returns" }, paths(tool.validate({ name = "x", returns = { type = "q" } })))
      assert.same({ "/builtin" }, paths(tool.validate({ name = "x", builtin = "calculatr" })))
    end)

    it("tells of what is no data as of anything else that is wrong", function()
      local cyclic = { type = "object" }
      cyclic.properties = { a = cyclic }
      local result = tool.validate({
        name = "two words",
        timeout_ms = 0 / 0,
        max_retries = 1 / 0,
        description = "\255",
        parameters = cyclic,
        returns = { enum = { 1, noop } },
        tags = { "a", 0 / 0 },
        metadata = { ["a/b"] = { [5] = "\255", x = 1 } },
        execution_mode = "sandboxed",
        source = "return '\255'",
      })
      assert.is_false(result.valid)
      assert.same({
        "/description",
        "/max_retries",
        "/metadata/a~1b/5",
        "/name",
        "/parameters/properties/a",
        "/returns",
        "/source",
        "/tags/1",
        "/timeout_ms",
      }, paths(result))
      local deep = {}
      for _ = 1, 200 do
        deep = { properties = { a = deep } }
      end
      assert.equal(1, #tool.validate({ name = "x", parameters = deep }).errors)
      assert.same({ "", "/name" }, paths(tool.validate({ [true] = "x" })))
      assert.same({ "/name" }, paths(tool.validate({ name = "\255" })))
      has(tool.validate({ name = "x", timeout_ms = 0 / 0 }).errors[1].message, "timeout_ms: NaN")
    end)

    it("says of each what register says of the first", function()
      for _, definition in ipairs({
        { name = "x", timeout_ms = -1 },
        { name = "" },
        { name = "x", parameters = { type = "strng" } },
        { name = "x", builtin = "nothing" },
        { name = "x", typo = 1 },
      }) do
        local ok, err = pcall(tool.register, definition)
        assert.is_false(ok)
        has(err.message, tool.validate(definition).errors[1].message)
      end
    end)

    it("warns of what is rarely meant", function()
      local result = tool.validate({ name = "x" })
      assert.is_true(result.valid)
      assert.equal(3, #result.warnings)
      result = tool.validate({ name = "calculator", execute = noop, description = "d" })
      assert.is_true(result.valid)
      has(result.warnings[1], "built-in")
      assert.same({}, tool.validate({ name = "calculator" }).warnings)
    end)
  end)

  describe("validate of an input", function()
    it("takes what execute takes", function()
      local id = tool.register({ name = "t", parameters = SCHEMA, execute = noop })
      local with_null = { word = "a", n = zigllms.null }
      for _, input in ipairs({ { word = "a" }, '{"word":"a"}', with_null }) do
        local result = tool.validate(id, input)
        assert.same({}, paths(result))
        assert.is_true(result.valid)
      end
      local given = { word = "a" }
      tool.validate("t", given)
      assert.is_nil(given.n)
      assert.equal(0, tool.get_info(id).call_count)
    end)

    it("names everything that is wrong, and raises nothing", function()
      tool.register({ name = "t", parameters = SCHEMA, execute = noop })
      assert.same({ "/n", "/word" }, paths(tool.validate("t", { word = 5, n = "x" })))
      assert.same({ "" }, paths(tool.validate("t", {})))
      assert.same({ "" }, paths(tool.validate("t")))
      assert.same({ "" }, paths(tool.validate("t", "no json")))
      assert.same({ "/word" }, paths(tool.validate("t", { word = noop })))
      assert.is_false(tool.validate("t", 5).valid)
      assert.is_true(tool.validate("calculator", { expression = "1" }).valid)
      assert.is_false(tool.validate("calculator", {}).valid)
    end)

    it("tells of what is no data, where the tool needs data", function()
      tool.register({ name = "t", parameters = { type = "object" }, execute = noop })
      local cyclic = {}
      cyclic.list = { 1, { me = cyclic } }
      for path, input in pairs({
        ["/a"] = { a = 0 / 0 },
        ["/b/1"] = { b = { 1, "\255" } },
        ["/c/d"] = { c = { d = noop } },
        ["/list/1/me"] = cyclic,
      }) do
        local result = tool.validate("t", input)
        assert.is_false(result.valid)
        assert.same({ path }, paths(result))
        raised("conversion_error", tool.execute, "t", input)
      end
      tool.register({ name = "any", execute = noop })
      assert.is_true(tool.validate("any", { a = noop }).valid)
      tool.register({ name = "bytes", source = "return function(i) return i.a end" })
      assert.is_true(tool.validate("bytes", { a = "\255" }).valid)
    end)

    it("raises for a tool that is not there", function()
      raised("not_found", tool.validate, "nothing", {})
      raised("invalid_argument", tool.validate)
      raised("invalid_argument", tool.validate, 5)
    end)
  end)

  describe("get_schema", function()
    it("tells what a tool takes and gives", function()
      local id = tool.register({
        name = "t",
        description = "Does",
        parameters = SCHEMA,
        returns = { type = "string" },
      })
      local schema = tool.get_schema(id)
      assert.equal("t", schema.name)
      assert.equal("Does", schema.description)
      assert.equal("string", schema.parameters.properties.word.type)
      assert.same(schema.parameters, schema.input)
      assert.equal("string", schema.returns.type)
      assert.same(schema.returns, schema.output)
      assert.is_nil(tool.get_schema(tool.register({ name = "bare" })).returns)
      assert.equal("number", tool.get_schema("math_calculator").returns.type)
    end)

    it("speaks the dialects", function()
      tool.register({
        name = "t",
        description = "Does",
        parameters = SCHEMA,
        returns = { type = "object" },
      })
      local openai = tool.get_schema("t", "openai")
      assert.equal("function", openai.type)
      assert.equal("t", openai["function"].name)
      assert.equal("string", openai["function"].parameters.properties.word.type)
      assert.same(openai, tool.get_schema("t", "Cohere"))
      local anthropic = tool.get_schema("t", "anthropic")
      assert.equal("t", anthropic.name)
      assert.equal("string", anthropic.input_schema.properties.word.type)
      local mcp = tool.get_schema("t", "mcp")
      assert.equal("string", mcp.inputSchema.properties.word.type)
      assert.equal("object", mcp.outputSchema.type)
      assert.is_nil(tool.get_schema("calculator", "mcp").outputSchema)
      has(raised("invalid_argument", tool.get_schema, "t", "gemini").message, '"openai"')
      raised("not_found", tool.get_schema, "nothing")
    end)

    it("is what a request carries", function()
      local model = scripted.new()
      model:begin()
      tool.register({ name = "t", description = "Does", parameters = SCHEMA })
      model:script(scripted.text("ok"))
      zigllms.provider.chat("hi", { tools = { "t", "calculator" } })
      local sent = model:requests()[1].tools
      for i, name in ipairs({ "t", "calculator" }) do
        local shown = tool.get_schema(name, "openai")
        assert.same(sent[i]["function"].parameters.required, shown["function"].parameters.required)
        assert.equal(sent[i]["function"].description, shown["function"].description)
      end
    end)
  end)

  describe("get_info", function()
    it("tells all about a tool, and counts its calls", function()
      local id = tool.register({
        name = "t",
        description = "Does",
        parameters = SCHEMA,
        tags = { "x" },
        version = "2.0.0",
        metadata = { a = 1 },
        execute = function(input)
          if input.n == 0 then
            error("zero")
          end
        end,
      })
      local info = tool.get_info("t")
      assert.equal(id, info.id)
      assert.equal("script", info.type)
      assert.is_true(info.has_execute)
      assert.equal("direct", info.execution_mode)
      assert.equal("2.0.0", info.version)
      assert.equal("x", info.tags[1])
      assert.equal(1, info.metadata.a)
      assert.equal("custom", info.category)
      assert.equal("string", info.parameters.properties.word.type)
      assert.equal(0, info.call_count)
      assert.equal(0, info.avg_time_ms)
      assert.is_nil(info.last_called_at)
      assert.is_true(info.registered_at > 1e9)
      tool.execute(id, { word = "a" })
      raised("tool_error", tool.execute, id, { word = "a", n = 0 })
      info = tool.get_info({ id = id })
      assert.equal(2, info.call_count)
      assert.equal(1, info.error_count)
      assert.is_true(info.avg_time_ms >= 0)
      assert.is_true(info.last_called_at >= info.registered_at)
    end)

    it("knows who does the work", function()
      assert.equal("declared", tool.get_info(tool.register({ name = "d" })).type)
      assert.is_false(tool.get_info("d").has_execute)
      local info = tool.get_info("math_calculator")
      assert.equal("builtin", info.type)
      assert.equal("calculator", info.id)
      assert.equal("calculator", info.name)
      assert.equal("data", info.category)
      assert.is_true(info.has_execute)
      raised("not_found", tool.get_info, "nothing")
    end)
  end)

  describe("built-in tools", function()
    it("are there by name and cannot be taken away", function()
      assert.is_true(tool.exists("calculator"))
      assert.is_true(tool.exists("math_calculator"))
      assert.is_false(tool.unregister("calculator"))
      assert.is_true(tool.exists("calculator"))
      local definition = tool.get("calculator")
      assert.equal("calculator", definition.id)
      assert.equal("calculator", definition.builtin)
      assert.equal(4, tool.execute(definition, { expression = "2 + 2" }))
    end)

    it("count in each instance, and from zero after a reset", function()
      tool.execute("calculator", { expression = "1" })
      raised("tool_error", tool.execute, "calculator", { expression = "1 / 0" })
      local info = tool.get_info("calculator")
      assert.equal(2, info.call_count)
      assert.equal(1, info.error_count)
      assert.equal(0, zigllms.new().tool.get_info("calculator").call_count)
      zigllms.reset()
      assert.equal(0, tool.get_info("calculator").call_count)
    end)

    it("come back when what hides them goes", function()
      local id = tool.register({
        name = "calculator",
        execute = function()
          return "mine"
        end,
      })
      assert.equal("mine", tool.execute("calculator", {}))
      assert.equal(4, tool.execute("math_calculator", { expression = "4" }))
      assert.is_true(tool.unregister(id))
      assert.equal(4, tool.execute("calculator", { expression = "4" }))
    end)

    it("have help of their own, as what they may reach has", function()
      local text = zigllms.help("file_reader")
      has(text, "file_reader: a built-in tool")
      for name in pairs(tool.get_schema("file_reader").parameters.properties) do
        has(text, "\n  " .. name .. " ")
      end
      has(text, 'one of "read", "list", "stat" ["read"]')
      has(zigllms.help("process_runner"), "configure{tools=}")
      has(zigllms.help("file_writer"), "configure{tools=}")
      assert.equal(zigllms.help("calculator"), zigllms.help("math_calculator"))
      has(raised("not_found", zigllms.help, "file_raeder").message, '"file_reader"')
      text = zigllms.help("configure")
      local keys = { "file_roots", "write_roots", "process.allow", "http.allow_private" }
      for _, name in ipairs(keys) do
        has(text, "\n  tools." .. name .. " ")
      end
    end)

    it("lend their work to definitions of their name, or that name them", function()
      local id = tool.register({
        name = "calculator",
        description = "Sums",
        parameters = { type = "object", properties = { expression = { type = "string" } } },
      })
      assert.equal(4, tool.execute(id, { expression = "2 + 2" }))
      local info = tool.get_info(id)
      assert.equal("builtin", info.type)
      assert.equal("Sums", info.description)
      assert.equal("data", info.category)
      local named = tool.register({ name = "sums", builtin = "math_calculator", category = "mine" })
      assert.equal(7, tool.execute(named, '{"expression": "1 + 2 * 3"}'))
      assert.equal("calculator", tool.get(named).builtin)
      assert.equal("mine", tool.get_info(named).category)
      raised("validation_failed", tool.execute, named, {})
      raised("validation_failed", tool.execute, named, { expression = 5 })
      assert.equal(
        9,
        tool.execute(
          tool.register(tool.get(named).id and {
            name = "again",
            builtin = tool.get(named).builtin,
          }),
          { expression = "9" }
        )
      )
    end)

    it("can be registered again as get gives them, and stand inline in an agent", function()
      local id = tool.register(tool.get("calculator"))
      assert.equal("builtin", tool.get_info(id).type)
      assert.equal(6, tool.execute(id, { expression = "2 * 3" }))
      local agent = zigllms.agent.create({
        provider = "openai",
        tools = { { name = "sums", builtin = "calculator" }, "data_processor" },
      })
      local tools = zigllms.agent.get_info(agent).tools
      assert.equal("sums", tools[1].name)
      assert.is_nil(tools[2].missing)
    end)

    it("refuse a name that is none, and a function beside them", function()
      local err = raised("invalid_argument", tool.register, { name = "x", builtin = "calculater" })
      has(err.message, '"calculator"')
      local both = { name = "x", builtin = "calculator", execute = noop }
      raised("invalid_argument", tool.register, both)
      raised("invalid_argument", tool.register, { name = "x", builtin = 5 })
    end)

    it("are run with hooks and events of a tool", function()
      local seen = {}
      zigllms.hook.register("tool_before_execute", function(context)
        seen[#seen + 1] = context.tool_id
        context.input.expression = "6 * 7"
      end, { tool = "math_calculator" })
      zigllms.event.subscribe("tool.*", function(event)
        seen[#seen + 1] = event.type
      end)
      assert.equal(42, tool.execute("calculator", { expression = "1" }))
      assert.same({ "calculator", "tool.invoked", "tool.succeeded" }, seen)
    end)

    it("keep results that are asked to be kept", function()
      local options = { cache = true }
      assert.equal(3, tool.execute("calculator", { expression = "1 + 2" }, options))
      assert.equal(3, tool.execute("calculator", { expression = "1 + 2" }, options))
      assert.equal(1, tool.get_info("calculator").call_count)
      assert.equal(4, tool.execute("calculator", { expression = "1 + 3" }, options))
      assert.equal(2, tool.get_info("calculator").call_count)
    end)

    it("answer in each face of a call", function()
      local handle = tool.execute("calculator", { expression = "2 ^ 10" }, { async = true })
      assert.equal(1024, handle:await())
      assert.equal(
        1024,
        zigllms.run(function()
          return tool.execute("calculator", { expression = "2 ^ 10" })
        end)
      )
      local results = zigllms.map({ "1 + 1", "2 + 2" }, function(text)
        return tool.execute("calculator", { expression = text })
      end)
      assert.same({ 2, 4 }, results)
    end)

    it("serve agents by name", function()
      local model = scripted.new()
      model:begin()
      model:script(
        scripted.calls({ { "c1", "calculator", '{"expression":"12 * 12"}' } }),
        scripted.calls({ { "c2", "calculator", '{"expression":"1 / 0"}' } }),
        scripted.text("144")
      )
      local agent = zigllms.agent.create({ tools = { "math_calculator" } })
      local answer = zigllms.agent.run(agent, "12 times 12?")
      assert.equal("144", answer.content)
      local messages = model:requests()[3].messages
      local results = {}
      for _, message in ipairs(messages) do
        if message.role == "tool" then
          results[#results + 1] = message.content
        end
      end
      assert.equal("144", results[1])
      has(results[2], "division by zero")
      assert.equal("calculator", zigllms.agent.get_info(agent).tools[1].name)
      assert.is_nil(zigllms.agent.get_info(agent).tools[1].missing)
    end)
  end)
end)
