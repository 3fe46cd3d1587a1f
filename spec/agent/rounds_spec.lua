-- Whatever becomes of a round of tool calls, every call in a conversation has exactly one result:
-- in what models are sent, in what is kept, and in what a run that broke off leaves.
local cjson = require("cjson")
local zigllms = require("zigllms")
local scripted = require("spec.support.model")
local size = require("spec.support.size")

local agent, provider = zigllms.agent, zigllms.provider
local unpack = table.unpack or unpack -- luacheck: ignore

-- OpenAI's chat and Anthropic's Messages: what they were sent, as neutral messages.
local chat = { model = scripted.new("openai") }

function chat.told(body)
  return body.messages
end

local messages = { model = scripted.new("anthropic") }

function messages.told(body)
  local list = {}
  for _, message in ipairs(body.messages) do
    local blocks = type(message.content) == "table" and message.content or {}
    local said = { role = message.role, tool_calls = {} }
    for _, block in ipairs(blocks) do
      if block.type == "tool_use" then
        table.insert(said.tool_calls, { id = block.id })
      elseif block.type == "tool_result" then
        -- Before any text of the user's.
        list[#list + 1] = { role = "tool", tool_call_id = block.tool_use_id }
      else
        said.has_text = true
      end
    end
    if not blocks[1] or said.has_text or said.tool_calls[1] then
      list[#list + 1] = said
    end
  end
  return list
end

-- Random numbers that are the same on every engine.
local function random(seed)
  return function(n)
    seed = (seed * 16807) % 2147483647
    return seed % n + 1
  end
end

-- Calls without a result, and results that answer none.
local function loose_ends(list)
  local open, wrong = {}, {}
  for _, message in ipairs(list) do
    if message.role ~= "tool" then
      for id in pairs(open) do
        wrong[#wrong + 1] = "no result: " .. id
      end
      open = {}
    elseif not open[message.tool_call_id] then
      wrong[#wrong + 1] = "answers no call: " .. tostring(message.tool_call_id)
    end
    if message.tool_call_id then
      open[message.tool_call_id] = nil
    end
    for _, call in ipairs(message.tool_calls or {}) do
      open[call.id] = true
    end
  end
  for id in pairs(open) do
    wrong[#wrong + 1] = "no result: " .. id
  end
  return table.concat(wrong, ", ")
end

describe("every call has exactly one result", function()
  before_each(function()
    zigllms.reset()
    provider.configure("openai", { retry = false })
    provider.configure("anthropic", { retry = false })
  end)

  teardown(zigllms.reset)

  local ARGUMENTS = { "{}", '{"n":1}', '{"n":', '{"n":"x"}', "nothing", "" }
  local NAMES =
    { "plain", "careful", "client", "boom", "slow", "late", "fatal", "nobody", "doubtful" }

  local function tools()
    local parameters = { type = "object", properties = { n = { type = "number" } } }
    local function named(name, fields)
      fields.name, fields.parameters = name, parameters
      return fields
    end
    local function fine()
      return "fine"
    end
    local function broken()
      error("broken", 0)
    end
    local function sleepy()
      zigllms.sleep(1)
      return "awake"
    end
    local function doubt()
      error("who knows", 0)
    end
    return {
      named("plain", { execute = fine }),
      named("careful", { execute = sleepy, requires_approval = true }),
      named("client", { description = "answered elsewhere" }),
      named("boom", { execute = broken }),
      named("slow", { execute = sleepy }),
      named("late", { execute = sleepy, execution_mode = "async" }),
      named("fatal", { execute = broken, on_error = "raise" }),
      named("doubtful", { execute = fine, requires_approval = doubt }),
    }
  end

  local function script(any, wire)
    local replies = {}
    for i = 1, 12 do
      if any(3) == 1 then
        replies[i] = any(8) == 1 and scripted.failure(500, "no")
          or scripted.text({ "so ", "be it" })
      else
        local list = {}
        for n = 1, any(4) do
          local id = any(6) == 1 and "same" or ("c" .. i .. "_" .. n)
          list[n] = { id, NAMES[any(#NAMES)], ARGUMENTS[any(2) == 1 and 2 or any(#ARGUMENTS)] }
        end
        replies[i] = scripted.calls(list)
      end
    end
    wire.model:script(unpack(replies))
  end

  local function decisions(any, pending)
    local all = {}
    for _, call in ipairs(pending) do
      local pick = any(5)
      if call.reason == "client" then
        all[call.id] = ({ "deny", { result = "r" }, { result = { 1 } } })[pick]
      else
        all[call.id] = ({ "approve", "deny", { deny = "no" }, { arguments = { n = 2 } } })[pick]
          or "approve"
      end
    end
    return all
  end

  local function answers(any, pending)
    local all = {}
    for _, call in ipairs(pending) do
      if call.reason == "client" and any(3) > 1 then
        all[#all + 1] = { role = "tool", tool_call_id = call.id, content = "here" }
      end
    end
    return all[1] and all or "never mind"
  end

  -- One call of `run` or `resume`, which may be left early.
  local function attempt(any, fn, ...)
    local id, what = ...
    local options, pick = {}, any(6)
    if pick == 1 then
      options.max_iterations = any(3)
    elseif pick == 2 then
      options.budget, options.on_limit = { max_steps = any(3) }, any(2) == 1 and "return" or nil
    elseif pick == 3 then
      local left = any(6)
      options.stream = function()
        left = left - 1
        return left > 0
      end
    elseif pick == 4 then
      options.async = true
      local handle = fn(id, what, options)
      zigllms.poll(any(4) - 1)
      handle:cancel()
      return pcall(handle.await, handle)
    end
    return pcall(fn, id, what, options)
  end

  local function check(seed, id, result)
    local place = "seed " .. seed
    local kept = zigllms.memory.retrieve("conversation", { scope = "agent", agent = id })
    assert.equal("", loose_ends(kept or {}), place)
    local is_error = type(result) == "table" and result.code ~= nil
    local partial = is_error and result.partial or nil
    if partial and partial.messages then
      -- What it begins with may close the turn before.
      while partial.messages[1] and partial.messages[1].role == "tool" do
        table.remove(partial.messages, 1)
      end
      assert.equal("", loose_ends({ unpack(partial.messages) }), place .. ": " .. tostring(result))
    end
  end

  local function story(seed)
    local any = random(seed)
    local wire = seed % 3 == 0 and messages or chat
    script(any, wire)
    local id = agent.create({ provider = wire.model.provider, model = "m", tools = tools() })
    local ok, result = attempt(any, agent.run, id, "go")
    for _ = 1, 6 do
      check(seed, id, result)
      local pending = ok and result.pending_tool_calls
      if any(8) == 1 then
        local other =
          agent.import(cjson.decode(cjson.encode(agent.export(id))), { tools = tools() })
        agent.destroy(id)
        id = other
      end
      if pending and any(4) > 1 then
        local before = decisions(any, pending)
        ok, result = attempt(any, agent.resume, id, before)
        if not ok and any(2) == 1 then
          ok, result = pcall(agent.resume, id, before)
        end
      elseif pending and any(2) == 1 then
        ok, result = attempt(any, agent.run, id, answers(any, pending))
      else
        ok, result = attempt(any, agent.run, id, "more")
      end
    end
    check(seed, id, result)
    for i, body in ipairs(wire.model:requests()) do
      assert.equal("", loose_ends(wire.told(body)), ("seed %d, request %d"):format(seed, i))
    end
    agent.destroy(id)
  end

  it("in random stories", function()
    for seed = 1, size(3000, 50) do
      story(seed)
    end
  end)
end)
