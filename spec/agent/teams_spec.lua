-- Random teams: agents that call each other, hand over, fail, are stopped and cancelled, with a
-- model that answers whatever comes to its mind. In each of these stories what is sent is whole,
-- every call has one result, and the sums are exact.
local cjson = require("cjson")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent = zigllms.agent

local STORIES = os.getenv("ZIGLLMS_SWEEP") == "full" and 2000 or 120

-- Its own numbers: the same on every engine.
local function random(seed)
  local state = seed
  return function(n)
    state = (state * 16807) % 2147483647
    return state % n + 1
  end
end

local function assert_whole(lines, what)
  local open = {}
  for _, line in ipairs(lines) do
    local answered = line:match("^tool%((.-)%)")
    if answered then
      assert.equal(open[1], answered, what)
      table.remove(open, 1)
    else
      assert.is_nil(open[1], what)
      for id in (line:match("^assistant%[(.-)%]") or ""):gmatch("[^,]+") do
        open[#open + 1] = id
      end
    end
  end
  assert.is_nil(open[1], what)
end

-- A model as a transport: it calls what it is offered, or ends; what it used is summed up.
local function model(pick, story)
  local calls = 0
  local function delta(tools)
    if pick(10) > 5 or not tools then
      return { content = "said " .. pick(100) }, "stop"
    end
    local list = {}
    for i = 1, pick(3) do
      calls = calls + 1
      local one = tools[pick(#tools)]["function"].name
      list[i] = {
        index = i - 1,
        id = "c" .. calls,
        type = "function",
        ["function"] = { name = one, arguments = pick(12) == 1 and "{" or '{"input":"go"}' },
      }
    end
    return { tool_calls = list }, "tool_calls"
  end
  return function(request)
    local body = cjson.decode(request.body)
    local usage = { prompt_tokens = pick(50), completion_tokens = pick(20) }
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens
    assert_whole(told(body), story.what)
    story.requests = story.requests + 1
    if pick(4) == 1 then
      zigllms.sleep(1)
    end
    if pick(12) == 1 then
      return { status = 400, body = '{"error":{"message":"no"}}' }
    end
    local says, finish = delta(body.tools)
    local choices = { { index = 0, delta = says, finish_reason = finish } }
    story.used = story.used + usage.total_tokens
    local data = cjson.encode({ choices = choices, usage = usage })
    request.stream("data: " .. data .. "\n\ndata: [DONE]\n\n")
    return { status = 200 }
  end
end

local function plain_tool(pick)
  return {
    name = "work",
    execute = function(_, ctx)
      local what = pick(6)
      if what == 1 then
        error("broken", 0)
      elseif what == 2 then
        zigllms.sleep(1)
      elseif what == 3 then
        agent.send(ctx.agent_id, "a word")
      end
      return "ok"
    end,
  }
end

-- A team of four, each of whom may ask those before it.
local function team(pick, story)
  local provider = {
    type = "openai",
    api_key = "k",
    model = "m",
    retry = false,
    transport = model(pick, story),
  }
  local ids = {}
  for i = 1, 4 do
    local tools = { plain_tool(pick) }
    for j = 1, i - 1 do
      if pick(3) > 1 then
        tools[#tools + 1] = agent.as_tool(ids[j], {
          name = "ask" .. j,
          mode = pick(4) == 1 and "handoff" or "call",
          history = pick(3) == 1,
          session = pick(3) == 1 and "s" or nil,
        })
      end
    end
    ids[i] = agent.create({
      provider = provider,
      tools = tools,
      max_iterations = 1 + pick(3),
      memory = { max_messages = 2 + pick(10) },
      summarize = pick(3) == 1 and function()
        return "sum"
      end or nil,
    })
  end
  return ids[4]
end

local function tell(seed)
  local story = { used = 0, requests = 0, what = "story " .. seed }
  local pick = random(seed)
  local id = team(pick, story)
  local kind = pick(5)
  local budget = kind == 1 and { max_total_tokens = pick(200) } or nil
  budget = kind == 2 and { max_steps = pick(8) } or budget
  for run = 1, 2 do
    story.used, story.requests = 0, 0
    local handle = agent.run(id, "go", {
      async = true,
      budget = budget,
      on_limit = pick(2) == 1 and "return" or nil,
    })
    if kind == 3 and pick(2) == 1 then
      handle:wait(pick(4))
      handle:cancel("enough")
    end
    assert.is_true(handle:wait(10000), story.what .. " never ends")
    local ok, result = pcall(handle.await, handle)
    local response = ok and result or result.partial
    assert.is_table(response, story.what .. ": " .. tostring(result))
    -- What a cancel has broken off is estimated, everything else is exact.
    if ok or result.code ~= "cancelled" then
      assert.equal(story.used, response.usage.total_tokens, story.what .. ", run " .. run)
      assert.is_nil(response.usage.estimated)
    end
    assert_whole(told({ messages = response.messages }), story.what)
    if kind == 2 then
      assert.is_true(story.requests <= budget.max_steps, story.what)
    end
    local kept = zigllms.memory.retrieve("conversation", { scope = "agent", agent = id })
    assert_whole(told({ messages = kept or {} }), story.what)
  end
  assert.equal("table", type(agent.get_info(id)))
end

describe("random teams", function()
  teardown(zigllms.reset)

  it("keep calls and results together, and count exactly", function()
    for seed = 1, STORIES do
      zigllms.reset()
      tell(seed * 104729)
    end
  end)
end)
