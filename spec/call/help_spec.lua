-- What the module tells of itself: help, modules, info, config.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

-- Calls visit(bridge or "", name, function) for all functions.
local function each_function(visit)
  for name, member in pairs(zigllms) do
    if type(member) == "function" then
      visit("", name, member)
    end
  end
  for _, bridge in ipairs(zigllms.modules()) do
    for name, member in pairs(zigllms[bridge]) do
      if type(member) == "function" then
        visit(bridge, name, member)
      end
    end
  end
end

local function topic(bridge, name)
  return bridge == "" and name or bridge .. "." .. name
end

describe("help", function()
  it("opens with what people want to do", function()
    local text = zigllms.help()
    for _, task in ipairs({ "ask", "stream", "agent", "typed", "many", "remember", "test" }) do
      assert.truthy(text:find("\n" .. task .. " ", 1, true), task)
    end
    for _, name in ipairs(zigllms.modules()) do
      assert.truthy(text:find("\n" .. name .. ": ", 1, true), name)
    end
    assert.equal(text, zigllms.help(nil))
    assert.equal(text, zigllms.help(zigllms.null))
  end)

  it("tells what an argument is apart from what it may be a list of", function()
    local suite = zigllms.help("test.run_suite")
    local own = suite:match("\ndefinition: .-\n(.-)\n\n")
    assert.truthy(own:find("  before_all ", 1, true))
    assert.is_nil(own:find("  stop_on_failure ", 1, true))
    local scenarios =
      suite:match("\neach of definition, scenarios: a table, TestScenario\n(.-)\n\n")
    assert.truthy(scenarios:find("  stop_on_failure ", 1, true))
    assert.truthy(suite:find("\neach of tests: a table, Test\n", 1, true))
    local mock = zigllms.help("test.create_mock")
    assert.truthy(mock:find("\neach of responses: a table, ScriptedReply\n  content ", 1, true))
    assert.truthy(mock:find("\neach of responses: a table, ScriptedAnswer\n  status ", 1, true))
  end)

  it("knows tables by their names", function()
    local text = zigllms.help("ScriptedAnswer")
    assert.truthy(text:find("\n  close_after ", 1, true))
    local err = raised("not_found", zigllms.help, "ScriptedAnswr")
    assert.truthy(err.message:find('did you mean "ScriptedAnswer"?', 1, true))
  end)

  it("knows every bridge and lists its functions", function()
    for _, name in ipairs(zigllms.modules()) do
      local text = zigllms.help(name)
      for member, fn in pairs(zigllms[name]) do
        if type(fn) == "function" then
          assert.truthy(text:find("\n  " .. member .. "(", 1, true), name .. "." .. member)
        else
          assert.truthy(text:find(name .. "." .. member .. ":", 1, true), name .. "." .. member)
        end
      end
    end
  end)

  it("knows every function: signature, description, arguments, errors, example", function()
    each_function(function(bridge, name)
      local text = zigllms.help(topic(bridge, name))
      local signature = text:match("^[^\n]+")
      assert.truthy(signature:find("zigllms." .. topic(bridge, name) .. "(", 1, true), signature)
      for param in signature:match("%b()"):gmatch("[%w_]+") do
        assert.truthy(
          text:find("\n" .. param .. ": ", 1, true),
          topic(bridge, name) .. ": " .. param
        )
      end
      assert.truthy(text:find("\nExample:\n", 1, true), topic(bridge, name))
      assert.is_true(#text > 100, topic(bridge, name))
    end)
  end)

  it("tells options with their types and defaults", function()
    local text = zigllms.help("agent.run")
    assert.truthy(text:find("temperature +a number from 0 to 2"))
    assert.truthy(text:find("max_iterations[^\n]*%[10%]"))
    assert.truthy(text:find("Errors: [^\n]*not_found"))
  end)

  it("has examples that compile", function()
    local compile = loadstring or load -- luacheck: ignore
    each_function(function(bridge, name)
      local example = zigllms.help(topic(bridge, name)):match("\nExample:\n(.*)$")
      local chunk, err = compile(example)
      assert.truthy(chunk, topic(bridge, name) .. ": " .. tostring(err))
    end)
  end)

  it("has examples that run", function()
    local compile = loadstring or load -- luacheck: ignore
    local mine = zigllms.new()
    local setenv = setfenv -- luacheck: ignore
    local quiet = setmetatable({ zigllms = mine, print = function() end }, { __index = _G })
    each_function(function(bridge, name)
      local example = zigllms.help(topic(bridge, name)):match("\nExample:\n(.*)$")
      local chunk
      if setenv then
        chunk = setenv(compile(example), quiet)
      else
        chunk = load(example, "example", "t", quiet)
      end
      local ok, err = pcall(chunk)
      assert(ok, topic(bridge, name) .. ": " .. tostring(err))
    end)
  end)

  it("finds tables of constants, also by a member", function()
    local line = 'tool.Category: FILE="file" HTTP="http" SYSTEM="system" DATA="data"\n'
    assert.equal(line, zigllms.help("tool.Category"))
    assert.equal(line, zigllms.help("Category"))
    assert.equal(line, zigllms.help("zigllms.tool.Category.FILE"))
    assert.truthy(zigllms.help("Type"):find("memory.Type: ", 1, true))
  end)

  it("finds functions without their bridge", function()
    assert.equal(zigllms.help("provider.chat"), zigllms.help("chat"))
    local text = zigllms.help("create")
    for _, bridge in ipairs({ "agent", "provider", "schema" }) do
      assert.truthy(text:find(bridge .. ".create ", 1, true))
    end
  end)

  it("finds options, with what they hold and who takes them", function()
    local text = zigllms.help("budget")
    assert.truthy(text:find("max_total_tokens +a number"))
    assert.truthy(text:find("\n  in agent.create, agent.run", 1, true))
    assert.truthy(zigllms.help("max_attempts"):find("[3]", 1, true))
    assert.truthy(zigllms.help("fallback"):find("provider.chat", 1, true))
    -- By its other name, too.
    assert.truthy(zigllms.help("instructions"):find("system_prompt", 1, true))
  end)

  it("finds points and events", function()
    assert.truthy(
      zigllms.help("agent_before_run"):find('type "pre", of the operation agent_run', 1, true)
    )
    assert.truthy(zigllms.help("tool_execute"):find('type "around"', 1, true))
    assert.truthy(zigllms.help("agent_cleanup"):find("destroyed", 1, true))
    assert.truthy(zigllms.help("tool.failed"):find("event.subscribe", 1, true))
  end)

  it("does not know everything", function()
    local err = raised("not_found", zigllms.help, "agent.rum")
    assert.truthy(err.message:find('"agent.rum"; did you mean "agent.run"?', 1, true))
    assert.truthy(raised("not_found", zigllms.help, "retyr").message:find('"retry"', 1, true))
    assert.is_nil(raised("not_found", zigllms.help, "zzzzzzzzzzzzzz").message:find("did you"))
    raised("not_found", zigllms.help, "")
    raised("invalid_argument", zigllms.help, 5)
  end)
end)

describe("the module tells", function()
  it("its bridges in order", function()
    local order = {
      "agent",
      "tool",
      "workflow",
      "provider",
      "event",
      "test",
      "schema",
      "memory",
      "hook",
      "output",
    }
    local at = {}
    for i, name in ipairs(order) do
      at[name] = i
    end
    local last = 0
    for _, name in ipairs(zigllms.modules()) do
      assert.is_table(zigllms[name])
      assert.is_true(at[name] > last, name .. " is out of order")
      last = at[name]
    end
  end)

  it("its version, engine and features", function()
    local info = zigllms.info()
    assert.equal(zigllms.version, info.version)
    assert.truthy(info.version:match("^%d+%.%d+%.%d+$"))
    assert.equal("zigllms", info.library)
    assert.equal(jit and jit.version or _VERSION, info.lua_version)
    assert.is_boolean(info.features["local"])
    assert.is_string(info.platform)
    assert.is_true(tonumber(info.build_time) > 1.7e9)
    assert.is_nil(zigllms.description:find("\n", 1, true))
    assert.truthy(zigllms._VERSION:find(info.version, 1, true))
  end)

  it("in fresh tables", function()
    zigllms.info().version = "changed"
    zigllms.modules()[1] = "changed"
    assert.equal(zigllms.version, zigllms.info().version)
    assert.equal("agent", zigllms.modules()[1])
  end)
end)

describe("configure", function()
  local mine

  before_each(function()
    mine = zigllms.new()
  end)

  it("merges per key, tables deeply, and null restores the default", function()
    assert.is_true(mine.configure({ http = { timeout_ms = 1000 } }))
    mine.configure({ http = { idle_timeout_ms = 2000 }, default_provider = "local" })
    local config = mine.config()
    assert.equal(1000, config.http.timeout_ms)
    assert.equal(2000, config.http.idle_timeout_ms)
    assert.equal("local", config.default_provider)
    mine.configure({ http = { timeout_ms = mine.null }, default_provider = mine.null })
    config = mine.config()
    assert.is_nil(config.http.timeout_ms)
    assert.equal(2000, config.http.idle_timeout_ms)
    assert.not_equal("local", config.default_provider)
  end)

  it("changes nothing with a bad value", function()
    raised("invalid_argument", mine.configure, { default_provider = "local", strict = "very" })
    raised(
      "invalid_argument",
      mine.configure,
      { default_provider = "local", http = { timeout_ms = -1 } }
    )
    assert.not_equal("local", mine.config().default_provider)
  end)

  it("shows copies", function()
    mine.config().strict = "changed"
    assert.is_true(mine.config().strict)
  end)

  it("shows no secrets", function()
    mine.configure({ http = { proxy = "http://user:sk-CANARY@127.0.0.1:1" } })
    local function search(value)
      if type(value) == "table" then
        for key, item in pairs(value) do
          search(key)
          search(item)
        end
      else
        assert.is_nil(tostring(value):find("CANARY", 1, true))
      end
    end
    search(mine.config())
  end)

  it("can let unknown keys pass", function()
    raised("invalid_argument", mine.agent.create, { provider = "openai", temprature = 1 })
    mine.configure({ strict = false })
    assert.is_string(mine.agent.create({ provider = "openai", temprature = 1 }))
    raised("invalid_argument", mine.agent.create, { provider = "openai", temperature = "hot" })
  end)

  it("says what does not exist yet", function()
    local absent = { "otlp" }
    for _, key in ipairs(absent) do
      raised("unsupported", mine.configure, { [key] = {} })
    end
  end)
end)
