-- Sandboxed tools as their users see them.
local clock = require("spec.support.program").clock
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local size = require("spec.support.size")
local zigllms = require("zigllms")

local agent, tool = zigllms.agent, zigllms.tool
local text, calls = scripted.text, scripted.calls

local function has(message, part)
  assert.truthy(tostring(message):find(part, 1, true), tostring(message))
end

-- A sandboxed tool of the text, which is a function's body unless it says `return function`.
local function made(source, extra)
  if not source:find("return function", 1, true) then
    source = "return function(input, ctx)\n" .. source .. "\nend"
  end
  local definition = { name = "made", source = source, replace = true }
  for key, value in pairs(extra or {}) do
    definition[key] = value
  end
  return tool.register(definition)
end

local function run(source, input, options)
  return tool.execute(made(source), input, options)
end

local function failure(source, extra)
  return raised("tool_error", tool.execute, made(source, extra))
end

describe("sandboxed tools", function()
  before_each(function()
    zigllms.reset()
  end)

  it("get their input and return what they compute", function()
    local input = { a = 1, b = { 2, 3 }, c = { d = "text" }, e = true, f = 1.5 }
    local result = run("return { input = input, sum = input.a + input.b[2] }", input)
    assert.equal(4, result.sum)
    assert.same(input, result.input)
    assert.are_not.equal(input, result.input)
    assert.is_nil(run("return nil"))
    assert.is_false(run("return false"))
    assert.equal("x", run("return 'x', 2"))
    assert.same({}, run("return input"))
  end)

  it("return lists that lie in tables with names, as deep as data may be", function()
    local result =
      run("local t = { 1, x = 1 } for i = 1, input.n do t = { t, x = i } end return t", { n = 90 })
    for i = 90, 1, -1 do
      assert.equal(i, result.x)
      result = result["1"]
    end
    assert.same({ ["1"] = 1, x = 1 }, result)
  end)

  it("keep numbers and bytes exactly", function()
    assert.equal("\255\0\254", run("return '\\255\\0\\254'"))
    assert.same(
      { "a\0b", ["\200"] = "\201" },
      { run("return { 'a\\0b' }")[1], ["\200"] = run("return { ['\\200'] = '\\201' }")["\200"] }
    )
    assert.equal("\255\0\254", run("return input.s", { s = "\255\0\254" }))
    assert.equal(3, run("return #input.list[1]", { list = { "\255\0\254" } }))
    assert.equal(1 / 0, run("return 1 / 0"))
    assert.equal(-1.25e300, run("return -1.25e300"))
    if math.type then
      assert.equal("integer", math.type(run("return input.n", { n = 3 })))
      assert.equal("float", math.type(run("return input.n", { n = 3.0 })))
      assert.equal(math.mininteger, run("return math.mininteger"))
      assert.equal(math.maxinteger, run("return input.n", { n = math.maxinteger }))
    end
  end)

  it("have the libraries of Lua, without a way out", function()
    assert.equal("hello", run("return ('HELLO'):lower()"))
    assert.equal("2024/01", (run("return (('2024-01'):gsub('-', '/'))")))
    assert.same(
      { "a", "b" },
      run(
        [[
      local t = {} for word in ('b a'):gmatch('%a') do t[#t + 1] = word end table.sort(t) return t]]
      )
    )
    assert.equal(3, run("return math.floor(3.7)"))
    assert.same(
      { 1, 2, 3 },
      run([[
      local t = {}
      for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do t[i] = i end
      return t]])
    )
    assert.same({ false, "made:2: x" }, run("return { pcall(function() error('x') end) }"))
    assert.equal(
      "handled x",
      run([[
      local function handler(e) return 'handled ' .. e end
      return (select(2, xpcall(function() error('x', 0) end, handler)))]])
    )
    assert.equal(
      "a-1",
      run([[
      local C = {} C.__index = C
      function C:show() return self.name .. '-' .. 1 end
      return setmetatable({ name = 'a' }, C):show()]])
    )
    for _, name in ipairs({ "io", "os", "debug", "package", "require", "load", "print" }) do
      assert.is_true(run("return _G[input.name] == nil", { name = name }), name)
    end
  end)

  it("learn of their call", function()
    local id = made("return { ctx.tool_id, ctx.name, ctx.cancelled(), ctx.user, ctx.deep.list[2] }")
    local context = { user = "u", deep = { list = { 1, 2 } } }
    assert.same({ id, "made", false, "u", 2 }, tool.execute(id, {}, { context = context }))
  end)

  it("find nothing of an earlier call or of another tool", function()
    local counter = made(
      "local n = 0 return function() n = n + 1 count = (count or 0) + 1 return { n, count } end"
    )
    for _ = 1, 20 do
      assert.same({ 1, 1 }, tool.execute(counter))
    end
    run(
      "string.upper, math.floor, _G.leak = nil, nil, 'x' table.sort = error rawset(_G, 'type', nil)"
    )
    local left = run(
      [[
      return { leak == nil, ('a'):upper(), math.floor(1.5), type(1), pcall(table.sort, { 1, 2 }) }]]
    )
    assert.same({ true, "A", 1, "number", true }, left)
    run("math.randomseed(42)")
    local first = run("return math.random()")
    run("math.randomseed(42)")
    assert.are_not.equal(first, run("return math.random()"))
  end)

  it("fail with what they raised, and where", function()
    local err = failure("local x = nil\nreturn x.y")
    has(err.message, 'tool "made" failed: made:3: attempt to index')
    assert.equal("raised", err.details.reason)
    has(err.cause, "made:3:")
    err = failure("error({ code = 7, message = 'in words' })")
    has(err.message, "in words")
    assert.same({ code = 7, message = "in words" }, err.cause)
    err = failure("error(setmetatable({}, { __tostring = function() return 'says itself' end }))")
    has(err.message, "says itself")
    err = failure("return nil, 'not today'")
    has(err.message, "not today")
    has(failure("error(print)").message, "failed")
    has(failure("error()").message, "failed")
  end)

  it("never tell of places in what is not theirs", function()
    local places = {
      "table.insert(nil, 1)",
      "table.concat({ {} })",
      "('x'):format(nil) string.format('%d', 'x')",
      "setmetatable({}, 5)",
      "('a'):gmatch('(')()",
      "coroutine.resume(5)",
      "coroutine.wrap(5)",
      "local t = {} for i = 1, 3000 do t[i] = i end t[7] = {} table.sort(t)",
      "coroutine.wrap(function() table.concat({ {} }) end)()",
    }
    for _, source in ipairs(places) do
      local message = failure(source).message
      assert.is_nil(message:find("sandbox", 1, true), source .. ": " .. message)
      local caught = run("return select(2, pcall(function() " .. source .. " end))")
      assert.is_nil(caught:find("sandbox", 1, true), caught)
      local handled =
        run("return select(2, xpcall(function() " .. source .. " end, function(m) return m end))")
      assert.is_nil(handled:find("sandbox", 1, true), handled)
      local resumed =
        run("return select(2, coroutine.resume(coroutine.create(function() " .. source .. " end)))")
      assert.is_nil(resumed:find("sandbox", 1, true), resumed)
    end
    has(failure("table.insert(nil, 1)").message, "bad argument #1 to 'insert'")
    has(failure("error('(sandbox):5: mine', 0)").message, "mine")
    has(failure("\n\nlocal x = nil + 1").message, "made:4: attempt to perform arithmetic")
    has(failure("for _ in ('a'):gmatch('(') do end").message, "made:2: unfinished capture")
    has(failure("string.byte({})").message, "made:2: bad argument #1 to 'byte'")
  end)

  it("fail for the same reason wherever their calls nest too deep", function()
    for _, source in ipairs({
      "local function f() return f() + 1 end f()",
      "local function f() return coroutine.wrap(f)() end f()",
      "local co = coroutine.wrap(function() local function f() return f() + 1 end f() end) co()",
      "local function f() local _, e = coroutine.resume(coroutine.create(f)) error(e, 0) end f()",
      "local function f(s) return (s:gsub('.', f)) end f('aaaa')",
    }) do
      assert.equal("stack_overflow", failure(source).details.reason, source)
    end
    assert.equal("raised", failure("error('no stack overflow')").details.reason)
  end)

  it("are ended before a table whose keys collide grows", function()
    if _VERSION ~= "Lua 5.4" then
      return pending("tables of this engine have no keys that collide only when they grow")
    end
    local grows =
      "local n = 1 << 18 local m, t = 2 * n - 1, {} for i = 1, n do t[%s] = 1 end t.x = 1"
    for _, key in ipairs({ "-i * m", "i * m * 4099", "i * m * 2.0 ^ -40" }) do
      local failed = failure(grows:format(key), { timeout_ms = 30000 })
      assert.equal("colliding_keys", failed.details.reason)
    end
    -- Tables that are as large, and harmless.
    for _, key in ipairs({ "i * 1000", "i + 0.5", "math.random(1 << 53)", "'k' .. i" }) do
      assert.is_nil(tool.execute(made(grows:format(key), { timeout_ms = 30000 }), {}))
    end
  end)

  it("let empty arrays be arrays, on their way in and out", function()
    local function shown(source, input)
      return zigllms.output.format(run(source, input), "json")
    end
    local given = { a = zigllms.array({}) }
    assert.equal('{"a":[]}', shown("return input", given))
    assert.equal("[[],1]", shown("return input.b", { b = { zigllms.array({}), 1 } }))
    assert.equal("[]", shown("return input.a", given))
    assert.equal("[1]", shown("table.insert(input.a, 1) return input.a", given))
    assert.equal('{"x":1}', shown("input.a.x = 1 return input.a", given))
    assert.equal("[]", shown("return setmetatable({}, { __jsontype = 'array' })"))
    assert.equal('{"1":5}', shown("return setmetatable({ 5 }, { __jsontype = 'object' })"))
    assert.equal("{}", shown("return setmetatable({}, { __jsontype = 5 })"))
    -- Nothing is left of what a call does to the mark.
    run("getmetatable(input.a).__jsontype = 'object' getmetatable(input.a).__index = input", given)
    assert.equal("[]", shown("return input.a.x == nil and input.a", given))
    assert.equal("array", run("return getmetatable(input.a).__jsontype", given))
  end)

  it("are refused when their text is no Lua, and say where", function()
    local err =
      raised("validation_failed", tool.register, { name = "x", source = "return\nfunction(" })
    has(err.message, "definition.source: x:2:")
    assert.is_false(tool.exists("x"))
    local verdict = tool.validate({ name = "x", source = "return function( end" })
    assert.is_false(verdict.valid)
    assert.equal("/source", verdict.errors[1].path)
    assert.is_true(tool.validate({ name = "x", source = "return function() end" }).valid)
    raised("validation_failed", tool.register, { name = "x", source = ("-"):rep(2 ^ 20 + 1) })
    raised("validation_failed", tool.register, { name = "x", source = "\27Lua" })
    err = failure("--[[ return function ]] return 5")
    has(err.message, "a number")
    assert.equal("no_function", err.details.reason)
  end)

  it("stay within their limits", function()
    local began = clock()
    local err = raised("timeout", tool.execute, made("while true do end", { timeout_ms = 50 }))
    local ms = (clock() - began) * 1000
    assert.equal("tool", err.phase)
    assert.is_true(ms >= 45 and ms < 550, ms)
    has(err.message, "50 ms")
    err = failure(
      "local t = {} while true do t[#t + 1] = ('x'):rep(1e4) .. #t end",
      { memory_limit = 4194304, timeout_ms = 20000 }
    )
    assert.equal("memory", err.details.reason)
    has(err.message, "4194304 bytes")
    err = failure("return ('x'):rep(101)", { max_result_bytes = 100 })
    assert.equal("result_too_large", err.details.reason)
    assert.equal(100, #tool.execute(made("return ('x'):rep(100)", { max_result_bytes = 100 })))
    for source, where in pairs({
      ["return { a = { 1, type } }"] = ".a[2]: a function",
      ["local t = {} t.t = t return t"] = ".t: a table that contains itself",
      ["return { [{}] = 1 }"] = "a table as a key",
      ["return { [1] = 1, ['1'] = 2 }"] = "key",
    }) do
      err = failure(source)
      assert.equal("not_plain_data", err.details.reason)
      has(err.message, where)
    end
  end)

  it("have a second unless they or a call say otherwise", function()
    local id = made("return 1")
    assert.equal(1000, tool.get(id).timeout_ms)
    assert.equal(60000, tool.get(tool.register({ name = "direct", execute = print })).timeout_ms)
    local loop = made("while true do end")
    local began = clock()
    raised("timeout", tool.execute, loop, {}, { timeout_ms = 30 })
    assert.is_true((clock() - began) * 1000 < 600)
  end)

  it("are shown as what they are", function()
    local source = "return function() return 1 end"
    local id = tool.register({ name = "shown", source = source, description = "d" })
    local definition, info = tool.get(id), tool.get_info(id)
    assert.equal(source, definition.source)
    assert.is_nil(definition.execute)
    assert.equal("sandboxed", definition.execution_mode)
    assert.same(
      { "script", true, "sandboxed" },
      { info.type, info.has_execute, info.execution_mode }
    )
    assert.equal("script", tool.discover({ name_pattern = "shown" })[1].source)
    tool.execute(id)
    assert.equal(1, tool.get_info(id).call_count)
    local again = tool.register((function()
      definition.replace = true
      return definition
    end)())
    assert.equal(1, tool.execute(again))
  end)

  it("run sandboxed when the mode says so, and only with a source", function()
    local mode = tool.ExecutionMode
    local both = {
      name = "both",
      execute = function()
        return "direct"
      end,
      source = "return function() return io == nil and 'sandboxed' end",
    }
    local id = tool.register(both)
    assert.equal("direct", tool.execute(id))
    assert.equal("sandboxed", tool.execute(id, {}, { mode = mode.SANDBOXED }))
    assert.equal("direct", tool.get_info(id).execution_mode)
    both.name, both.execution_mode = "always", mode.SANDBOXED
    id = tool.register(both)
    assert.equal("sandboxed", tool.execute(id))
    assert.equal("direct", tool.execute(id, {}, { mode = mode.DIRECT }))
    -- Text of a source runs nowhere else.
    assert.is_true(run("return io == nil", {}, { mode = mode.DIRECT }))
    local err =
      raised("unsupported", tool.register, { name = "x", execution_mode = mode.SANDBOXED })
    has(err.message, "source")
    id = tool.register({ name = "lua", execute = print })
    has(raised("unsupported", tool.execute, id, {}, { mode = mode.SANDBOXED }).message, "source")
    raised(
      "unsupported",
      tool.execute,
      "calculator",
      { expression = "1" },
      { mode = mode.SANDBOXED }
    )
    local handle = tool.execute(made("return 2", { execution_mode = mode.ASYNC }))
    assert.equal(2, handle:await())
  end)

  it("pass the checks of every tool: schema, defaults, returns, retries, cache", function()
    local id = made("return input.n + input.step", {
      parameters = {
        type = "object",
        properties = { n = { type = "integer" }, step = { type = "integer", default = 2 } },
        required = { "n" },
      },
      returns = { type = "integer", maximum = 10 },
    })
    assert.equal(3, tool.execute(id, { n = 1 }))
    assert.equal(3, tool.execute(id, '{"n": 1}'))
    raised("validation_failed", tool.execute, id, { n = "x" })
    raised("tool_error", tool.execute, id, { n = 100 })
    local seldom = made("if math.random() < 0.8 then error('again') end return 'done'")
    assert.equal("done", tool.execute(seldom, {}, { retries = 100 }))
    local cached = made("return { math.random() }", { cache = true })
    assert.same(tool.execute(cached, { a = 1 }), tool.execute(cached, { a = 1 }))
    assert.are_not.same(tool.execute(cached, { a = 1 }), tool.execute(cached, { a = 2 }))
  end)

  it("let the host go on, and end at once when they are cancelled", function()
    local handle = tool.execute(
      made("while true do end", { timeout_ms = 20000 }),
      {},
      { async = true }
    )
    local began, turns = clock(), 0
    while (clock() - began) < 0.05 do
      zigllms.poll(1)
      turns = turns + 1
    end
    assert.is_true(turns > 5, turns)
    assert.is_false(handle:done())
    began = clock()
    assert.is_true(handle:cancel("enough"))
    local ok, err = pcall(handle.await, handle)
    assert.is_true(not ok and err.code == "cancelled")
    assert.is_true((clock() - began) * 1000 < 500)
    assert.equal(1, run("return 1"))
  end)

  it("do not grow over many calls", function()
    local id = made("local t = {} for i = 1, 20 do t[i] = { i, 's' .. i } end return #t + input.n")
    for i = 1, 500 do
      assert.equal(20 + i, tool.execute(id, { n = i }))
    end
    collectgarbage()
    local before = io.open("/proc/self/statm")
    if not before then
      return pending("no /proc to look at memory")
    end
    before:close()
    local function pages()
      local file = assert(io.open("/proc/self/statm"))
      local _, resident = file:read("*n", "*n")
      file:close()
      return resident
    end
    local first = pages()
    for i = 1, size(10000, 1500) do
      tool.execute(id, { n = i })
    end
    collectgarbage()
    assert.is_true(pages() - first < 2000, pages() - first)
  end)

  it("run after a fork, on threads of the child", function()
    local result = program.run([[
      local zigllms = require("zigllms")
      local source = "return function(i) return i.n * 2 end"
      local id = zigllms.tool.register({ name = "t", source = source })
      assert(zigllms.tool.execute(id, { n = 1 }) == 2)
      local found, posix = pcall(require, "posix.unistd")
      if not found then print("no posix") return end
      local wait = require("posix.sys.wait")
      local child = posix.fork()
      if child == 0 then
        local ok, value = pcall(zigllms.tool.execute, id, { n = 21 })
        posix._exit(ok and value == 42 and 0 or 1)
      end
      local _, _, code = wait.wait(child)
      print(code, zigllms.tool.execute(id, { n = 4 }))
    ]])
    if result.out:find("no posix", 1, true) then
      return pending("luaposix is not installed")
    end
    assert.equal("0\t8\n", result.out, result.err)
  end)
end)

describe("sandboxed tools of an agent", function()
  local model = scripted.new()

  before_each(model:as_default())

  teardown(zigllms.reset)

  local function three(name)
    return calls({
      { "c1", name, '{"n":1}' },
      { "c2", name, '{"n":2}' },
      { "c3", name, '{"n":3}' },
    })
  end

  local function results(request)
    local list = {}
    for _, message in ipairs(request.messages) do
      if message.role == "tool" then
        list[#list + 1] = message.tool_call_id .. " " .. message.content
      end
    end
    return list
  end

  it("answer the calls of a round, also those that fail", function()
    model:script(three("made"), text("done"))
    local id = made([[
      if input.n == 2 then error("no two") end
      return { n = input.n, who = ctx.agent_id ~= nil, call = ctx.call_id }]])
    assert.equal("done", agent.run(agent.create({ model = "m", tools = { id } }), "go").content)
    local told = results(model:requests()[2])
    assert.equal('c1 {"call":"c1","n":1,"who":true}', told[1])
    has(told[2], "no two")
    assert.equal('c3 {"call":"c3","n":3,"who":true}', told[3])
  end)

  it("overlap: three that never end take the time of one", function()
    model:script(three("made"), text("done"))
    local id = made("while true do end", { timeout_ms = 250 })
    local began = clock()
    agent.run(agent.create({ model = "m", tools = { id } }), "go")
    local ms = (clock() - began) * 1000
    assert.is_true(ms < 700, ms)
    for _, line in ipairs(results(model:requests()[2])) do
      has(line, "longer than 250 ms")
    end
  end)

  it("may be inline, and are the only ones that are offered", function()
    model:script(calls({ { "c1", "inline", '{"n":4}' } }), text("done"))
    local inline = { name = "inline", source = "return function(i) return i.n * i.n end" }
    local response = agent.run(agent.create({ model = "m", tools = { inline } }), "go")
    assert.equal(16, response.tool_calls[1].result)
    local offered = model:requests()[1].tools
    assert.equal(1, #offered)
    assert.equal("inline", offered[1]["function"].name)
  end)

  it("tell the model that a result cannot be read", function()
    model:script(calls({ { "c1", "made", "{}" } }), text("done"))
    agent.run(agent.create({ model = "m", tools = { made("return '\\255'") } }), "go")
    has(results(model:requests()[2])[1], "UTF-8")
  end)
end)
