-- The window: what of a conversation is sent. Whatever its size, in whatever protocol, no result is
-- sent without its call and no call without its results.
local scripted = require("spec.support.model")
local told = require("spec.support.told")
local zigllms = require("zigllms")

local agent = zigllms.agent

local unpack = table.unpack or unpack -- luacheck: ignore

local CASES = os.getenv("ZIGLLMS_SWEEP") == "full" and 400 or 24

-- Its own numbers: the same on every engine.
local function random(seed)
  local state = seed
  return function(n)
    state = (state * 16807) % 2147483647
    return state % n + 1
  end
end

local TOOL = {
  name = "work",
  parameters = { type = "object", properties = { n = { type = "integer" } } },
  execute = function(input)
    return ("r"):rep(input.n)
  end,
}

-- A question, rounds of up to four calls side by side, an answer: some runs of it.
local function a_talk(pick)
  local runs, calls = {}, 0
  for _ = 1, 1 + pick(3) do
    local replies = {}
    for _ = 1, pick(4) - 1 do
      local round = {}
      for i = 1, pick(4) do
        calls = calls + 1
        round[i] = { "c" .. calls, "work", ('{"n":%d}'):format(pick(60)) }
      end
      replies[#replies + 1] = scripted.calls(round)
    end
    replies[#replies + 1] = scripted.text(("a"):rep(pick(60)))
    runs[#runs + 1] = { question = ("q"):rep(pick(60)), replies = replies }
  end
  return runs
end

local function ids(line)
  local list = {}
  for id in (line:match("^assistant%[(.-)%]") or ""):gmatch("[^,]+") do
    list[#list + 1] = id
  end
  return list
end

-- Every call is followed by its results, in its order, and by nothing else.
local function assert_pairs(lines, what)
  local open = {}
  for _, line in ipairs(lines) do
    local answered = line:match("^tool%((.-)%)")
    if answered then
      assert.equal(open[1], answered, what)
      table.remove(open, 1)
    else
      local called = ids(line)
      -- One protocol has an item for each call of a round.
      if not (called[1] and open[1]) then
        assert.is_nil(open[1], what)
      end
      for _, id in ipairs(called) do
        open[#open + 1] = id
      end
    end
  end
  assert.is_nil(open[1], what)
end

local function case(seed, model, id, summarize)
  local pick = random(seed)
  local window = pick(2) == 1 and { max_messages = pick(14) } or { max_tokens = pick(120) }
  local who = agent.create({
    provider = id,
    system_prompt = "S",
    memory = window,
    tools = { TOOL },
    summarize = summarize,
  })
  for _, run in ipairs(a_talk(pick)) do
    model:script(unpack(run.replies))
    local response = agent.run(who, run.question)
    assert.equal("stop", response.finish_reason)
    for n, request in ipairs(model:requests()) do
      local what = ("seed %d, request %d"):format(seed, n)
      local lines = told(request)
      local system = lines[1]
      if model.protocol ~= "anthropic" or system:find("^system") then
        assert.equal("system: S", table.remove(lines, 1), what)
      end
      assert_pairs(lines, what)
      local last = lines[#lines]
      -- Where neighbours of one role are one message, a summary stands before the question.
      local asks = last:find("^user: ") and last:sub(-#run.question) == run.question
      assert.truthy(asks or n > 1 and last:find("^tool"), what)
    end
  end
  agent.destroy(who)
end

describe("the window", function()
  before_each(function()
    zigllms.reset()
  end)

  teardown(zigllms.reset)

  for protocol in pairs(scripted.protocols) do
    for _, summed in ipairs({ false, true }) do
      it(
        "keeps calls and results together on " .. protocol .. (summed and ", summed up" or ""),
        function()
          local model, id = scripted.speaking(protocol)
          local summarize = summed
              and function(messages)
                assert_pairs(told({ messages = messages }), "summed up")
                return "sum"
              end
            or nil
          for seed = 1, CASES do
            case(seed * 7919, model, id, summarize)
          end
        end
      )
    end
  end

  it("smaller than one round holds that round", function()
    local model = scripted.new()
    local who = agent.create({
      provider = "openai",
      memory = { max_messages = 1 },
      tools = { TOOL },
    })
    model:script(
      scripted.calls({ { "c1", "work", '{"n":1}' }, { "c2", "work", '{"n":2}' } }),
      scripted.text("a"),
      scripted.text("b")
    )
    agent.run(who, "q")
    agent.run(who, "r")
    local requests = model:requests()
    assert.same({ "assistant[c1,c2]", "tool(c1): r", "tool(c2): rr" }, told(requests[2]))
    assert.same({ "user: r" }, told(requests[3]))
  end)
end)
