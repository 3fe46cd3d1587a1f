-- What is written about the module, against the module: its declarations, the generated documents,
-- and the code in the README.
local files = require("spec.support.files")
local reference = require("zigllms.reference")
local scripted = require("spec.support.server")
local zigllms = require("zigllms")

local read = files.read
local load = loadstring or load -- luacheck: ignore

-- Runs Lua text with some globals of its own.
local function execute(text, name, globals)
  local env = setmetatable(globals, { __index = _G })
  local chunk
  if setfenv then -- luacheck: ignore
    chunk = assert(load(text, name))
    setfenv(chunk, env) -- luacheck: ignore
  else
    chunk = assert(load(text, name, "t", env))
  end
  return chunk()
end

local function nothing() end

local quiet_io = setmetatable({ write = nothing, flush = nothing }, { __index = io })

local function each_function()
  local all = {}
  for _, bridge in ipairs(reference.bridges) do
    for _, fn in ipairs(bridge.functions) do
      all[#all + 1] = { bridge = bridge.name, fn = fn }
    end
  end
  return ipairs(all)
end

-- The members of a class in the stubs: `---@field name type` lines behind its `---@class`.
local stubs = read("types/zigllms.lua")

local function class(name)
  local fields = {}
  local body = stubs:match("%-%-%-@class zigllms%." .. name .. "%f[^%w](.-)\n\n")
  for field in assert(body, name):gmatch('%-%-%-@field %[?"?([%w_]+)"?%]?%?? ') do
    fields[field] = true
  end
  return fields
end

local function expect_documented(value, name)
  local known = class(name)
  for key in pairs(value) do
    assert.is_true(known[key] or false, name .. " has an undocumented member: " .. tostring(key))
  end
end

describe("the reference", function()
  it("is plain data that needs no instance of the module", function()
    local loaded = package.loaded.zigllms
    package.loaded.zigllms, package.loaded["zigllms.reference"] = nil, nil
    local again = require("zigllms.reference")
    local main = package.loaded.zigllms
    package.loaded.zigllms = loaded
    assert.is_nil(main)
    assert.are_not.equal(reference, again)
    assert.are.same(reference, again)
  end)

  it("declares every public function, and no other", function()
    local declared = {}
    for _, item in each_function() do
      local owner = item.bridge == "" and zigllms or zigllms[item.bridge]
      assert.is_function(owner[item.fn.name], item.fn.full_name)
      declared[item.fn.full_name] = true
    end
    local constants = {}
    for _, bridge in ipairs(reference.bridges) do
      for _, group in ipairs(bridge.constants) do
        constants[(bridge.name == "" and "" or bridge.name .. ".") .. group.name] = true
      end
    end
    local plain = { version = true, _VERSION = true, description = true, null = true, safe = true }
    for name, value in pairs(zigllms) do
      if type(value) == "function" then
        assert.is_true(declared[name] or false, name)
      elseif type(value) == "table" and not (constants[name] or plain[name]) then
        for member, inner in pairs(value) do
          local path = name .. "." .. member
          local known = type(inner) == "function" and declared[path] or constants[path]
          assert.is_true(known or false, path)
        end
      else
        assert.is_true(constants[name] or plain[name] or false, name)
      end
    end
  end)

  it("lists the bridges in the order of modules()", function()
    local names = {}
    for i = 2, #reference.bridges do
      -- A table of extras alone is no bridge.
      if not reference.bridges[i].functions[1].extra then
        names[#names + 1] = reference.bridges[i].name
      end
    end
    assert.are.same(zigllms.modules(), names)
  end)

  it("says what every function does and what it may raise", function()
    local codes = {}
    for _, code in pairs(zigllms.ErrorCode) do
      codes[code] = true
    end
    for _, item in each_function() do
      local fn = item.fn
      assert.is_truthy(fn.doc:find("%S"), fn.full_name)
      assert.is_truthy(fn.summary:find("%S"), fn.full_name)
      assert.is_truthy(fn.example:find("%S"), fn.full_name)
      for _, code in ipairs(fn.errors) do
        assert.is_true(codes[code] or false, fn.full_name .. ": " .. code)
      end
    end
  end)

  it("names every table type once, with all those it refers to", function()
    local known = {}
    for _, shape in ipairs(reference.shapes) do
      assert.is_nil(known[shape.name], shape.name)
      known[shape.name] = true
    end
    for _, shape in ipairs(reference.shapes) do
      for _, other in ipairs(shape.also) do
        assert.is_true(known[other] or false, other)
      end
      for _, field in ipairs(shape.fields) do
        for _, other in ipairs(field.shapes) do
          assert.is_true(known[other] or false, other)
        end
      end
    end
  end)
end)

-- Examples that end in an error of their own: nothing is there that they could reach.
local ENDS_IN = {
  ["test.assert_equals"] = "assertion_failed",
  ["test.cassette"] = "network",
  ["tool.import_mcp"] = "io_error",
}

describe("the examples of the reference", function()
  for _, item in each_function() do
    it("run: " .. item.fn.full_name, function()
      local instance = zigllms.new({ http = { retry = false } })
      -- Whatever key the environment has: nobody is asked.
      instance.provider.configure("openai", { base_url = "http://127.0.0.1:1/v1" })
      local caught = {}
      local function watching(ok, ...)
        if not ok then
          caught[#caught + 1] = ...
        end
        return ok, ...
      end
      execute(item.fn.example, "=example", {
        zigllms = instance,
        print = nothing,
        io = quiet_io,
        pcall = function(...)
          return watching(pcall(...))
        end,
      })
      for _, err in ipairs(caught) do
        local refusal = os.getenv("OPENAI_API_KEY") and "network" or "auth"
        local wanted = ENDS_IN[item.fn.full_name] or refusal
        assert.are.equal(wanted, err.code, tostring(err))
      end
    end)
  end
end)

describe("the stubs", function()
  local stub = execute(stubs, "=types/zigllms.lua", {})

  it("have the functions and constants of the module", function()
    for _, item in each_function() do
      local owner = item.bridge == "" and stub or stub[item.bridge]
      assert.is_function(owner[item.fn.name], item.fn.full_name)
    end
    for _, bridge in ipairs(reference.bridges) do
      local owner = bridge.name == "" and zigllms or zigllms[bridge.name]
      local other = bridge.name == "" and stub or stub[bridge.name]
      for _, group in ipairs(bridge.constants) do
        local members = {}
        for name, value in pairs(owner[group.name]) do
          members[name] = value
        end
        assert.are.same(members, other[group.name])
      end
    end
  end)

  it("define every type that they name", function()
    local defined = {}
    for word, name in stubs:gmatch("%-%-%-@(%l+) zigllms%.([%w_.]+)") do
      defined[name] = defined[name] or word == "class" or word == "alias"
    end
    for name in stubs:gmatch("zigllms%.([%l_]*%.?%u%w*)") do
      assert.is_true(defined[name] or false, name)
    end
  end)

  it("have the members of a handle", function()
    local handle = zigllms.spawn(nothing)
    local index, methods = debug.getmetatable(handle).__index, nil
    for i = 1, 10 do
      local name, value = debug.getupvalue(index, i)
      methods = name == "methods" and value or methods
    end
    local documented, actual = {}, {}
    for name in stubs:gmatch("function Handle:([%w_]+)%(") do
      documented[name] = true
    end
    for name in pairs(methods) do
      actual[name] = true
    end
    assert.are.same(actual, documented)
    assert.are.same({ id = true }, class("Handle"))
    assert.is_string(handle.id)
  end)

  it("have the members of an error", function()
    local _, err = pcall(zigllms.agent.get_state, "nobody")
    expect_documented(err, "Error")
    assert.is_true(err:is("not_found"))
  end)
end)

describe("the documented results", function()
  local server = scripted.start()
  local instance = zigllms.new()
  local model = instance.provider.create({
    type = "openai",
    base_url = server.url,
    api_key = "test",
    retry = false,
  })

  teardown(function()
    server:stop()
  end)

  local function expect_usage(value)
    expect_documented(value.usage, "Usage")
  end

  it("are those of a chat, also of one that asks for tools", function()
    server:script(scripted.calls({ { "call_1", "look", '{"at":"this"}' } }))
    local response = instance.provider.chat("hello", {
      provider = model,
      tools = { { name = "look" } },
      raw = true,
    })
    expect_documented(response, "Response")
    expect_usage(response)
    expect_documented(response.message, "Message")
    expect_documented(response.tool_calls[1], "ToolCall")
  end)

  it("are those of a run, its chunks and its tools", function()
    server:script(
      scripted.calls({ { "call_1", "look", '{"at":"this"}' } }),
      scripted.text({ "It is ", "there." })
    )
    local context
    local agent = instance.agent.create({
      provider = model,
      metadata = { purpose = "test" },
      tools = {
        {
          name = "look",
          execute = function(_, ctx)
            context = ctx
            return "there"
          end,
        },
      },
    })
    local chunks = {}
    local response = instance.agent.run(agent, "Where?", {
      stream = function(chunk)
        chunks[#chunks + 1] = chunk
      end,
    })
    expect_documented(response, "Response")
    expect_documented(response.tool_calls[1], "ToolCall")
    expect_documented(context, "ToolContext")
    for _, message in ipairs(response.messages) do
      expect_documented(message, "Message")
    end
    for _, chunk in ipairs(chunks) do
      expect_documented(chunk, "Chunk")
      for _, call in ipairs(chunk.tool_calls or {}) do
        expect_documented(call, "ToolCallDelta")
      end
      if chunk.tool_result then
        expect_documented(chunk.tool_result, "ToolCall")
      end
    end
    expect_usage(chunks[#chunks])
  end)

  it("are those of calls left to the client", function()
    server:script(scripted.calls({ { "call_1", "ask", "{}" } }))
    local agent = instance.agent.create({ provider = model, tools = { { name = "ask" } } })
    local response = instance.agent.run(agent, "Ask me.")
    expect_documented(response, "Response")
    expect_documented(response.pending_tool_calls[1], "ToolCall")
  end)

  it("are those of a failing request", function()
    server:script(scripted.failure(429, "slow down", { headers = { ["retry-after"] = "1" } }))
    local ok, err = pcall(instance.provider.chat, "hello", { provider = model, retry = false })
    assert.is_false(ok)
    expect_documented(err, "Error")
  end)

  it("are those of an execution", function()
    local flow, context, steps = instance.workflow, nil, {}
    local id = flow.create({
      steps = {
        {
          id = "each",
          over = { 1 },
          steps = {
            {
              id = "note",
              fn = function(ctx)
                context = ctx
              end,
            },
          },
        },
        { id = "never", condition = "1 == 2", template = "" },
        { id = "fail", fn = error, continue_on_error = true },
      },
    })
    local result = flow.execute(id, "in", {
      metadata = { n = 1 },
      on_step = function(step)
        steps[#steps + 1] = step
      end,
    })
    expect_documented(result, "WorkflowResult")
    expect_usage(result)
    expect_documented(context, "StepContext")
    for i = 1, 4 do
      expect_documented(steps[i], "StepResult")
      expect_documented(result.steps[steps[i].id], "StepResult")
    end
    expect_documented(flow.step(id), "StepResult")
    local _, info = flow.get_status(id)
    expect_documented(info, "ExecutionInfo")
    assert.equal(4, info.steps_count)
    assert.equal(4, flow.list()[1].steps_count)
  end)

  it("are those of mocks", function()
    local mock = instance.test.create_mock({ methods = { get = 1 }, name = "store" })
    mock:get("key")
    expect_documented(mock.get, "Mock")
    expect_documented(mock:last_call(), "MockCall")
  end)

  it("are those of hooks and events", function()
    local contexts, events = {}, {}
    local function note(context)
      contexts[#contexts + 1] = context
    end
    local names = { "agent_before_run", "tool_*", "provider_error", "memory_before_save" }
    for _, name in ipairs(names) do
      local options = { name = "mine", description = "d", timeout_ms = 1000, metadata = { n = 1 } }
      local id = instance.hook.register(name, note, options)
      expect_documented(instance.hook.get_info(id), "Hook")
    end
    instance.event.subscribe("*", function(event)
      events[#events + 1] = event
    end)
    server:script(scripted.calls({ { "call_1", "look", "{}" } }), scripted.failure(400, "no"))
    local look = { name = "look", execute = function() end }
    local agent = instance.agent.create({ provider = model, tools = { look } })
    assert.is_false(pcall(instance.agent.run, agent, "Where?", { session = "s", retry = false }))
    instance.memory.store("key", 1, { agent = agent })
    expect_documented(instance.hook.execute("nobody", {}), "HookResult")
    assert.are.equal(4, #contexts)
    for _, context in ipairs(contexts) do
      expect_documented(context, "HookContext")
    end
    assert.is_true(#events > 4)
    for _, event in ipairs(events) do
      expect_documented(event, "Event")
    end
  end)
end)

describe("the :help file", function()
  local text = read("doc/zigllms.txt")

  it("has every tag once", function()
    local seen = {}
    for tag in text:gmatch("%*(zigllms[%w_.()-]*)%*") do
      assert.is_nil(seen[tag], tag)
      seen[tag] = true
    end
    for _, item in each_function() do
      assert.is_true(seen["zigllms." .. item.fn.full_name .. "()"] or false, item.fn.full_name)
    end
    for tag in text:gmatch("|(zigllms[%w_.()-]*)|") do
      assert.is_true(seen[tag] or false, "no tag " .. tag)
    end
  end)

  it("fits into 78 columns", function()
    for line in text:gmatch("[^\n]+") do
      local _, continuing = line:gsub("[\128-\191]", "")
      assert.is_true(#line - continuing <= 78, line)
    end
  end)
end)

describe("the README", function()
  local server = scripted.start()

  teardown(function()
    server:stop()
  end)

  local blocks = {}
  for block in read("README.md"):gmatch("\n```lua\n(.-)\n```") do
    blocks[#blocks + 1] = block
  end

  it("has code to try", function()
    assert.is_true(#blocks > 0)
  end)

  -- What it prints.
  local function run(block, i)
    local instance = zigllms.new()
    instance.provider.configure("openai", { base_url = server.url, api_key = "test" })
    if block:find("weather", 1, true) then
      server:script(
        scripted.calls({ { "call_1", "weather", '{"city":"Oslo"}' } }),
        scripted.text({ "Yes, ", "it is." }),
        scripted.text('{"morning":"a walk","evening":"a concert"}')
      )
    else
      server:script(scripted.text("Gladly.", { ["repeat"] = true }))
    end
    local printed = {}
    execute(block, "=README.md, block " .. i, {
      print = function(...)
        printed[#printed + 1] = tostring((...))
      end,
      io = quiet_io,
      require = function(name)
        return name == "zigllms" and instance or require(name)
      end,
    })
    instance.reset()
    return printed
  end

  for i, block in ipairs(blocks) do
    it("has code that runs: block " .. i, function()
      run(block, i)
    end)
  end

  it("shows the graph that its workflow has", function()
    for i, block in ipairs(blocks) do
      if block:find("to_mermaid", 1, true) then
        local printed = run(block, i)
        local graph = printed[#printed]
        assert.truthy(read("README.md"):find("\n```mermaid\n" .. graph .. "```\n", 1, true), graph)
        return
      end
    end
    error("there is no workflow in it")
  end)
end)
