-- Agents as plain data: exported, imported, and going on where they stopped, also elsewhere.
local cjson = require("cjson")
local zigllms = require("zigllms")
local peers = require("spec.support.peer")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local size = require("spec.support.size")
local transcript = require("spec.support.transcript")
local wires = require("spec.support.wires")

local agent, tool, provider = zigllms.agent, zigllms.tool, zigllms.provider
local text, calls = scripted.text, scripted.calls

local model = scripted.new()

local function has(whole, part)
  assert.truthy(tostring(whole):find(part, 1, true), tostring(whole))
end

local PARAMETERS = { type = "object", properties = { to = { type = "string" } } }

describe("an exported agent", function()
  local made

  local function pay(fields)
    local definition = {
      name = "pay",
      description = "Pays",
      parameters = PARAMETERS,
      requires_approval = true,
      execute = function(input)
        made[#made + 1] = input.to
        return "paid " .. input.to
      end,
    }
    for key, value in pairs(fields or {}) do
      definition[key] = value
    end
    return definition
  end

  local function create(config)
    config = config or {}
    config.provider = config.provider or "openai"
    config.tools = config.tools or { pay() }
    return agent.create(config)
  end

  -- As another program sees what came from this one.
  local function through_json(exported)
    return zigllms.output.parse(zigllms.output.format(exported, "json"), "json")
  end

  before_each(function()
    made = {}
    model:begin()
  end)

  teardown(zigllms.reset)

  it("is plain data, which any encoder keeps", function()
    local id = create({
      name = "ada",
      model = "gpt-test",
      system_prompt = "Be exact",
      temperature = 0.5,
      budget = { max_steps = 7 },
      memory = { max_messages = 9 },
      response_format = { type = "object", properties = { n = { type = "number" } } },
      fallback = { { provider = "anthropic", model = "m" } },
      metadata = { team = "a", list = { 1, 2 } },
    })
    model:script(text('{"n":1}'))
    agent.run(id, "hello")
    local exported = agent.export(id)
    assert.equal("zigllms-agent", exported.format)
    assert.equal(1, exported.version)
    zigllms.memory.store("agent", exported)
    local path = os.tmpname()
    zigllms.memory.persist(path)
    zigllms.memory.clear()
    zigllms.memory.load(path)
    os.remove(path)
    for _, copy in ipairs({
      exported,
      through_json(exported),
      cjson.decode(cjson.encode(exported)),
      zigllms.memory.retrieve("agent"),
    }) do
      local other = agent.import(copy)
      assert.are_not.equal(id, other)
      assert.same(through_json(exported).config, through_json(agent.export(other)).config)
      local own, info = agent.get_info(id), agent.get_info(other)
      for _, field in ipairs({ "id", "created_at", "tools" }) do
        own[field], info[field] = nil, nil
      end
      assert.same(own, info)
      assert.same(
        { "user: hello", 'assistant: {"n":1}' },
        transcript(zigllms.memory.retrieve("conversation", { scope = "agent", agent = other }))
      )
      agent.destroy(other)
    end
  end)

  it("leaves keys, headers and functions behind", function()
    provider.configure(
      "openai",
      { api_key = "sk-CANARY-0001", headers = { ["X-Key"] = "CANARY-2" } }
    )
    local own = provider.create({
      type = "openai",
      base_url = "http://user:CANARY-3@127.0.0.1:1/v1?key=CANARY-4",
      api_key = "sk-CANARY-0005",
      extra = { api_token = "CANARY-000006", plain = "kept" },
    })
    for _, whom in ipairs({
      "openai",
      own,
      { type = "openai", api_key = "sk-CANARY-0007", headers = { A = "CANARY-8" } },
    }) do
      local id = create({
        provider = whom,
        fallback = { { type = "anthropic", api_key = "sk-CANARY-0009" }, own },
        headers = { Authorization = "Bearer CANARY-10" },
        extra = { password = "CANARY-000011", seed_text = "kept" },
        hooks = { agent_before_run = function() end },
        transport = function(request)
          return { status = 200, body = cjson.encode({ id = request.url }) }
        end,
      })
      model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }))
      pcall(
        agent.run,
        id,
        "go",
        { headers = { B = "CANARY-12" }, extra = { token = "CANARY-000013" } }
      )
      local shown = zigllms.output.format(agent.export(id), "json")
      assert.is_nil(shown:find("CANARY", 1, true), shown)
      has(shown, '"seed_text":"kept"')
      agent.import(agent.export(id))
    end
  end)

  it("leaves keys behind in a run that waits", function()
    local id = create()
    model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }))
    local options = { headers = { B = "CANARY-12" }, extra = { token = "CANARY-000013" }, seed = 5 }
    assert.equal("approval_required", agent.run(id, "go", options).finish_reason)
    local shown = zigllms.output.format(agent.export(id), "json")
    has(shown, '"seed":5')
    assert.is_nil(shown:find("CANARY", 1, true), shown)
  end)

  it("goes on where it stopped", function()
    local id = create()
    model:script(
      text("hi"),
      calls({ { "c0", "look", "{}" } }, { content = "Let me see" }),
      calls({ { "c1", "pay", '{"to":"ada"}' }, { "c2", "pay", '{"to":"bob"}' } }),
      text("done"),
      text("done here, too")
    )
    agent.run(id, "hello")
    tool.register({
      name = "look",
      execute = function()
        return { found = true }
      end,
    })
    agent.run(id, "go", { tools = { pay(), "look" }, temperature = 0.3 })
    local exported = through_json(agent.export(id))
    local other = agent.import(exported, { tools = { pay() } })
    local state, detail = agent.get_state(other)
    assert.same(
      { "ready", "approval", "c1", "c2" },
      { state, detail.waiting_for, detail.pending[1], detail.pending[2] }
    )
    local response = agent.resume(other, { c1 = "approve", c2 = { deny = "not bob" } }, {
      tools = { pay(), "look" },
    })
    assert.equal("done", response.content)
    assert.same({ "ada" }, made)
    assert.same({ 3, 45 }, { response.iterations, response.usage.total_tokens })
    assert.equal(3, #response.tool_calls)
    assert.same({ found = true }, response.tool_calls[1].result)
    assert.equal(0.3, model:requests()[4].temperature)
    assert.same({
      "user: hello",
      "assistant: hi",
      "user: go",
      "assistant[c0]: Let me see",
      'tool(c0): {"found":true}',
      "assistant[c1,c2]",
      "tool(c1): paid ada",
      'tool(c2): {"error":"not bob"}',
    }, transcript(model:requests()[4].messages))
    -- The one it came from waits by itself.
    assert.equal("done here, too", agent.resume(id, { c1 = "approve", c2 = "approve" }).content)
    assert.same({ 2, 0, 60 }, {
      agent.get_info(other).run_count,
      agent.get_info(other).error_count,
      agent.get_info(other).usage.total_tokens,
    })
  end)

  it("keeps what a model thought, through an encoder that knows no empty arrays", function()
    local claude = scripted.new("anthropic")
    local id = create({ provider = "anthropic" })
    claude:script(
      calls({ { "c1", "pay", '{"to":"ada"}' } }, { thinking = "let me pay" }),
      text("done")
    )
    agent.run(id, "go")
    local exported = cjson.decode(cjson.encode(agent.export(id)))
    local other = agent.import(exported, { tools = { pay() } })
    assert.equal("done", agent.resume(other, { c1 = "approve" }).content)
    local block = claude:requests()[2].messages[2].content[1]
    assert.same({ "thinking", "let me pay" }, { block.type, block.thinking })
  end)

  it("has all its sessions, and runs that belong to none", function()
    local id = create()
    model:script(
      text("a"),
      calls({ { "c1", "pay", '{"to":"ada"}' } }),
      calls({ { "c1", "pay", '{"to":"bob"}' } }),
      text("bob"),
      text("ada")
    )
    agent.run(id, "in a", { session = "a" })
    agent.run(id, "in b", { session = "b" })
    local aside = agent.run(id, "nowhere", { remember = false }).pending_tool_calls[1].id
    local other = agent.import(through_json(agent.export(id)), { tools = { pay() } })
    assert.equal("bob", agent.resume(other, { [aside] = "approve" }).content)
    assert.equal("ada", agent.resume(other, { c1 = "approve" }, { session = "b" }).content)
    assert.same({ "bob", "ada" }, made)
    local memory = zigllms.memory
    local kept = memory.retrieve("conversation:a", { scope = "agent", agent = other })
    assert.same({ "user: in a", "assistant: a" }, transcript(kept))
  end)

  it("binds tools by their name, and tells which are missing", function()
    local named = tool.register({
      name = "named",
      execute = function()
        return "named"
      end,
    })
    local id = create({
      tools = {
        named,
        "calculator",
        pay(),
        { name = "client", description = "asks", parameters = PARAMETERS },
        { name = "sum", builtin = "calculator" },
      },
    })
    local exported = through_json(agent.export(id))
    tool.unregister(named)
    local function missing(who)
      local list = {}
      for _, item in ipairs(agent.get_info(who).tools) do
        list[#list + 1] = item.name .. (item.missing and "?" or "")
      end
      return table.concat(list, " ")
    end
    local other = agent.import(exported)
    assert.equal("named? calculator pay? client sum", missing(other))
    model:script(text("ok"), text("ok"))
    agent.run(other, "go")
    local offered = {}
    for i, item in ipairs(model:requests()[1].tools) do
      offered[i] = item["function"].name
    end
    assert.same({ "calculator", "client", "sum" }, offered)
    tool.register(pay())
    assert.equal("named? calculator pay client sum", missing(other))
    local extra = { pay({ description = "mine" }), { name = "new", execute = print } }
    local third = agent.import(exported, { tools = extra, temperature = 1, name = "third" })
    assert.equal("named? calculator pay client sum new", missing(third))
    assert.equal("third", agent.get_info(third).name)
    assert.equal(1, agent.get_info(third).temperature)
    raised("not_found", agent.import, exported, { tools = { "nobody" } })
    raised("invalid_argument", agent.import, exported, { temprature = 1 })
  end)

  it("keeps what a run that is under way had before", function()
    local id = create()
    model:script(text("one"), text("two", { delay_ms = 20 }))
    agent.run(id, "1")
    local handle = agent.run(id, "2", { async = true })
    zigllms.poll(1)
    local other = agent.import(agent.export(id))
    handle:await()
    assert.equal(2, agent.get_info(other).memory.messages)
    assert.equal(4, agent.get_info(id).memory.messages)
    assert.equal("completed", (agent.get_state(other)))
  end)

  it("finds its provider, or says that it is not there", function()
    provider.create({ type = "openai", name = "mine", api_key = "x" })
    local exported = through_json(agent.export(create({ provider = "mine" })))
    assert.equal("mine", exported.provider)
    provider.destroy("mine")
    has(raised("not_found", agent.import, exported).message, "mine")
    model:script(text("ok"))
    local id = agent.import(exported, { provider = "openai" })
    assert.equal("ok", agent.run(id, "go").content)
    local unnamed =
      provider.create({ type = "openai", base_url = "http://mine.example/v1", api_key = "x" })
    exported = through_json(agent.export(create({ provider = unnamed })))
    assert.same({ type = "openai", base_url = "http://mine.example/v1" }, exported.provider)
    assert.equal("openai", agent.get_info(agent.import(exported)).provider)
  end)

  it("is read with care", function()
    local id = create({ name = "ada", temperature = 0.5 })
    model:script(text("hi"), calls({ { "c1", "pay", '{"to":"ada"}' } }))
    agent.run(id, "hello")
    agent.run(id, "go", { seed = 1 })
    local before = #agent.list()
    local function refused(code, part, change)
      local exported = cjson.decode(cjson.encode(agent.export(id)))
      local given = change(exported)
      if given == nil then
        given = exported
      end
      local err = raised(code, agent.import, given)
      has(err.message, part)
      assert.equal("import", err.func)
      assert.equal(before, #agent.list())
    end
    local function set(path, value)
      return function(exported)
        local at, last = exported, nil
        for key in path:gmatch("[^.]+") do
          at, last = last and at[last] or at, tonumber(key) or key
        end
        at[last] = value
      end
    end
    local CASES = {
      { "format", nil, "exported.format" },
      { "format", "other", "exported.format" },
      { "version", nil, "exported.version" },
      { "version", "1", "exported.version" },
      { "version", 0, "exported.version" },
      { "version", 2, "exported.version", "unsupported" },
      { "name", 5, "exported.name" },
      { "nmae", "x", "exported.nmae" },
      { "conversations.1.paused.attempts", 1e300, "exported.conversations[1].paused.attempts" },
      { "conversations.1.paused.steps", 1e300, "exported.conversations[1].paused.steps" },
      { "conversations.1.paused.spent_ms", 1e300, "exported.conversations[1].paused.spent_ms" },
      { "provider", 5, "exported.provider" },
      { "config", 5, "exported.config" },
      { "config.temperature", 9, "exported.temperature" },
      { "config.temprature", 1, "exported.temprature" },
      { "tools", "pay", "exported.tools" },
      { "tools.1", "pay", "exported.tools[1]" },
      { "tools.1.name", cjson.null, "exported.tools[1].name" },
      { "tools.1", { name = "a b", execute = false }, "exported.tools[1]" },
      { "conversations", { a = 1 }, "exported.conversations" },
      { "conversations.1", 1, "exported.conversations[1]" },
      { "conversations.1.session", 1, "exported.conversations[1].session" },
      { "conversations.1.messages", "x", "exported.conversations[1].messages" },
      { "conversations.1.messages.1", "x", "exported.conversations[1].messages[1]" },
      { "conversations.1.messages.2.role", "robot", "exported.conversations[1].messages[2].role" },
      {
        "conversations.1.messages.2.tool_calls",
        { { id = "x", name = "y" } },
        "exported.conversations[1].messages[2].tool_calls",
      },
      {
        "conversations.1.messages.1.content",
        { { type = "image", path = "/etc/passwd" } },
        "exported.conversations[1].messages",
      },
      { "conversations.2", { session = "" }, "exported.conversations[2].session" },
      { "conversations.1.paused", 5, "exported.conversations[1].paused" },
      { "conversations.1.paused.pending", 5, "exported.conversations[1].paused.pending" },
      { "conversations.1.paused.pending.1", 5, "paused.pending[1]" },
      { "conversations.1.paused.pending.1.id", "c2", "paused" },
      { "conversations.1.paused.pending.1.id", 7, "paused.pending[1].id" },
      { "conversations.1.paused.pending.1.reason", "why", "paused.pending[1].reason" },
      { "conversations.1.paused.pending.1.run", "x", "paused.pending[1].run" },
      { "conversations.1.paused.pending", {}, "paused.messages[2].tool_calls" },
      { "conversations.1.paused.messages", {}, "paused.pending[1].id" },
      { "conversations.1.paused.iteration", -1, "paused.iteration" },
      { "conversations.1.paused.spent_ms", "x", "paused.spent_ms" },
      { "conversations.1.paused.options.temperature", "x", "paused.options.temperature" },
      { "conversations.1.paused.executed", "x", "paused.executed" },
      { "conversations.1.paused.usage", "x", "paused.usage" },
      { "conversations.1.paused.usage.prompt_tokens", "x", "paused.usage.prompt_tokens" },
      { "aside", 5, "exported.aside" },
      { "aside", { { pending = 5 } }, "exported.aside[1].pending" },
      { "usage", 5, "exported.usage" },
      { "run_count", "x", "exported.run_count" },
      { "run_count", -1, "exported.run_count" },
    }
    for _, case in ipairs(CASES) do
      refused(case[4] or "invalid_argument", case[3], set(case[1], case[2]))
    end
    refused("conversion_error", "exported.config.x", set("config.x", print))
    for _, odd in ipairs({ 5, "text", true, {} }) do
      refused("invalid_argument", "exported", function()
        return odd
      end)
    end
    raised("not_found", agent.export, "nobody")
  end)

  it("is read or refused, whatever is in it", function()
    local id = create({ name = "ada", temperature = 0.5 })
    model:script(text("hi"), calls({ { "c1", "pay", '{"to":"ada"}' } }))
    agent.run(id, "hello")
    agent.run(id, "go", { seed = 1, tools = { pay() } })
    local whole = cjson.encode(agent.export(id))
    local seed = 1
    local function any(n)
      seed = (seed * 16807) % 2147483647
      return seed % n + 1
    end
    local deep = {}
    for _ = 1, 300 do
      deep = { deep }
    end
    local VALUES =
      { 0, -1, 1e300, 0 / 0, "x", "\255", true, {}, { 1 }, { a = 1 }, deep, print, cjson.null }
    local function spoil(value)
      local keys = {}
      for key in pairs(value) do
        keys[#keys + 1] = key
      end
      table.sort(keys, function(a, b)
        return tostring(a) < tostring(b)
      end)
      local key = keys[any(math.max(#keys, 1))]
      if key and type(value[key]) == "table" and any(4) > 1 then
        return spoil(value[key])
      end
      value[key or "k"] = VALUES[any(#VALUES)]
    end
    local refused, read = 0, 0
    for _ = 1, size(5000, 300) do
      local exported = cjson.decode(whole)
      spoil(exported)
      local before = #agent.list()
      local ok, made_or_err = pcall(agent.import, exported)
      if ok then
        read = read + 1
        agent.export(made_or_err)
        agent.destroy(made_or_err)
      else
        refused = refused + 1
        assert.is_string(made_or_err.code, tostring(made_or_err))
        assert.are_not.equal("internal", made_or_err.code)
        assert.equal(before, #agent.list())
      end
    end
    assert.is_true(refused > 50 and read > 10, refused .. " " .. read)
  end)

  it("of a persistent agent meets the store's conversation, if there is one", function()
    local path = os.tmpname()
    os.remove(path)
    zigllms.configure({ store = path })
    local id = create({ name = "ada", memory = { type = "persistent" } })
    model:script(calls({ { "c1", "pay", '{"to":"ada"}' } }), text("done"), text("again"))
    agent.run(id, "go")
    local exported = through_json(agent.export(id))
    agent.destroy(id, { keep_memory = true })
    zigllms.flush()
    model:begin()
    -- By the store alone. What is done before going on fails is done for every process.
    id = create({ name = "ada", memory = { type = "persistent" } })
    raised("invalid_argument", agent.resume, id, { c9 = "approve" })
    model:script(scripted.failure(400, "no"), text("done"), text("again"))
    raised("bad_request", agent.resume, id, { c1 = "approve" })
    assert.same({ "ada" }, made)
    agent.destroy(id, { keep_memory = true })
    id = create({ name = "ada", memory = { type = "persistent" } })
    assert.equal("done", agent.resume(id, { c1 = "approve" }).content)
    assert.same({ "ada" }, made)
    agent.destroy(id, { keep_memory = true })
    -- What was exported is older than what the store says.
    id = agent.import(exported, { tools = { pay() } })
    raised("invalid_state", agent.resume, id, { c1 = "approve" })
    assert.same({ "ada" }, made)
    assert.equal("again", agent.run(id, "more").content)
    assert.equal(5, #model:requests()[3].messages)
    zigllms.reset()
    zigllms.configure({ store = zigllms.null })
    for _, suffix in ipairs({ "", "-wal", "-shm" }) do
      os.remove(path .. suffix)
    end
  end)
end)

describe("an agent that waits for approval", function()
  local STOPS = [[
    local zigllms = require("zigllms")
    local config = zigllms.output.parse(arg[1], "json")
    zigllms.provider.configure(config.type, config)
    local pay = {
      name = "pay",
      description = "Pays",
      parameters = { type = "object", properties = { to = { type = "string" } } },
      requires_approval = function(input) return input.to ~= "eve" end,
      execute = function(input) return "paid " .. input.to end,
    }
    local id = zigllms.agent.create({ name = "ada", provider = config.type, model = "m",
      system_prompt = "Be exact", tools = { pay } })
    local response = zigllms.agent.run(id, "pay everybody")
    assert(response.finish_reason == "approval_required", response.finish_reason)
    assert(#response.pending_tool_calls == 2)
    local file = assert(io.open(arg[2], "wb"))
    file:write(zigllms.output.format(zigllms.agent.export(id), "json"))
    file:close()
    print(response.tool_calls[1].result)
  ]]

  local GOES_ON = [[
    local zigllms = require("zigllms")
    local config = zigllms.output.parse(arg[1], "json")
    zigllms.provider.configure(config.type, config)
    local file = assert(io.open(arg[2], "rb"))
    local exported = zigllms.output.parse(file:read("*a"), "json")
    file:close()
    zigllms.tool.register({
      name = "pay",
      requires_approval = true,
      execute = function(input) return "paid " .. input.to .. " elsewhere" end,
    })
    local id = zigllms.agent.import(exported)
    local _, detail = zigllms.agent.get_state(id)
    assert(detail.waiting_for == "approval")
    local first, second = detail.pending[1], detail.pending[2]
    local decisions = { [first] = "approve", [second] = { deny = "not bob" } }
    local response = zigllms.agent.resume(id, decisions)
    local results = {}
    for i, call in ipairs(response.tool_calls) do
      results[i] = call.id .. "=" .. tostring(call.result or call.error)
    end
    table.sort(results)
    print(response.content, response.iterations, response.usage.total_tokens,
      #response.messages, table.concat(results, " "))
  ]]

  local function run(engine, chunk, ...)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(chunk)
    file:close()
    local words = { engine.interpreter, path }
    for i = 1, select("#", ...) do
      words[#words + 1] = program.quoted((select(i, ...)))
    end
    local result = program.shell(table.concat(words, " "), { LUA_CPATH = engine.cpath })
    os.remove(path)
    assert.equal("", result.err)
    return result.out
  end

  local own = { name = "this engine", interpreter = program.interpreter(), cpath = package.cpath }
  local interpreter, cpath = peers.other_engine()
  local other = interpreter and { name = interpreter, interpreter = interpreter, cpath = cpath }
  if not other then
    print("\nSKIP agents between engines: the other engine has no module here")
  end

  local chat = {
    told = function(body)
      return transcript(body.messages)
    end,
  }

  -- Ollama's calls have no ids.
  local ollama = setmetatable({
    told = function(body)
      local lines = {}
      for i, message in ipairs(body.messages) do
        local calls_of = message.tool_calls and #message.tool_calls .. " calls" or ""
        lines[i] = message.role .. ": " .. (message.content or "") .. calls_of
      end
      return lines
    end,
  }, { __index = wires.ollama })

  local READ = {
    openai = chat,
    anthropic = wires.messages,
    cohere = wires.cohere,
    ollama = ollama,
    responses = wires.responses,
  }

  local TOLD = {
    openai = {
      "system: Be exact",
      "user: pay everybody",
      "assistant[c1,c2,c3]",
      "tool(c1): paid ada elsewhere",
      "tool(c2): paid eve",
      'tool(c3): {"error":"not bob"}',
    },
    anthropic = {
      "user: pay everybody",
      "assistant: tool_use c1, tool_use c2, tool_use c3",
      "user: tool_result c1=paid ada elsewhere, tool_result c2=paid eve, "
        .. 'tool_result c3={"error":"not bob"}',
    },
    ollama = {
      "system: Be exact",
      "user: pay everybody",
      "assistant: 3 calls",
      "tool: paid ada elsewhere",
      "tool: paid eve",
      'tool: {"error":"not bob"}',
    },
    responses = {
      "system: Be exact",
      "user: pay everybody",
      'function_call c1={"to":"ada"}',
      'function_call c2={"to":"eve"}',
      'function_call c3={"to":"bob"}',
      "function_call_output c1=paid ada elsewhere",
      "function_call_output c2=paid eve",
      'function_call_output c3={"error":"not bob"}',
    },
    cohere = {
      "system: Be exact",
      "user: pay everybody",
      'assistant: c1 {"to":"ada"}, c2 {"to":"eve"}, c3 {"to":"bob"}',
      "tool: c1=paid ada elsewhere",
      "tool: c2=paid eve",
      'tool: c3={"error":"not bob"}',
    },
  }

  local function goes_on(name, from, to)
    local config = { api_key = "test", model = "m", retry = false }
    for key, value in pairs(scripted.protocols[name]) do
      config[key] = value
    end
    local far = scripted.new(config.type, { transport = "http", dialect = name })
    far:script(
      calls({
        { "c1", "pay", '{"to":"ada"}' },
        { "c2", "pay", '{"to":"eve"}' },
        { "c3", "pay", '{"to":"bob"}' },
      }),
      text("all is done")
    )
    config.base_url = far.mock.base_url
    local path = os.tmpname()
    local given = cjson.encode(config)
    assert.equal("paid eve\n", run(from, STOPS, given, path))
    local said = run(to, GOES_ON, given, path)
    local requests = far:requests()
    os.remove(path)
    assert.equal(2, #requests)
    assert.same("all is done\t2\t30\t6\tc1=paid ada elsewhere c2=paid eve c3=not bob\n", said)
    assert.same(TOLD[name], READ[name].told(requests[2]))
  end

  for _, name in ipairs({ "openai", "anthropic", "cohere", "ollama", "responses" }) do
    it("goes on in another process: " .. name, function()
      goes_on(name, own, own)
    end)
  end

  for _, name in ipairs({ "openai", "anthropic" }) do
    it("goes on in another engine: " .. name, function()
      if other then
        goes_on(name, own, other)
        goes_on(name, other, own)
      end
    end)
  end
end)
