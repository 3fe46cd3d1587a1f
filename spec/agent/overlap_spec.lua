-- Three tools that wait a second each, called in one round, take little more than a second
-- together: wherever the program runs, and also where a tool waits in the host's own way.
local loops = require("spec.support.loops")
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

-- A server, for those who ask it are programs of their own.
local model = scripted.new("openai", { transport = "http" })

-- Limits are generous, for busy machines: one after the other they take three seconds.
local GOAL_MS, LIMIT_MS = 1300, 2500

-- Has `now` in scope and leaves what it has to say in `told`.
local CHUNK = [[
  local zigllms = require("zigllms")
  zigllms.provider.configure("openai", { base_url = %q, api_key = "test", retry = false })
  zigllms.tool.register({
    name = "slow",
    replace = true,
    execution_mode = "async",
    execute = function(input)
      WAIT
      return input.n * 10
    end,
  })
  local id = zigllms.agent.create({ provider = "openai", model = "m", tools = { "slow" } })
  local began = now()
  local response = zigllms.agent.run(id, "go")
  local told = ("%%.0f %%s"):format(now() - began, response.content)
  for i, call in ipairs(response.tool_calls) do
    told = told .. " " .. call.id .. "=" .. call.result
  end
]]

local function chunk(wait, say)
  return CHUNK:format(model:url()):gsub("WAIT", wait) .. say
end

local SLEEP = "zigllms.sleep(1000)"

local function script()
  model:script(
    scripted.calls({
      { "a", "slow", '{"n":1}' },
      { "b", "slow", '{"n":2}' },
      { "c", "slow", '{"n":3}' },
    }),
    scripted.text("done")
  )
end

local function check(where, told)
  local ms, rest = told:match("(%d+) (done[^\n]*)")
  assert(ms, told)
  assert.equal("done a=10 b=20 c=30", rest)
  ms = tonumber(ms)
  print(("\n%s: three waits of 1 s in one round: %d ms (goal %d)"):format(where, ms, GOAL_MS))
  assert.is_true(ms >= 1000 and ms < LIMIT_MS, told)
  local results = {}
  for _, message in ipairs(model:requests()[2].messages) do
    if message.role == "tool" then
      results[#results + 1] = message.tool_call_id .. "=" .. message.content
    end
  end
  assert.same({ "a=10", "b=20", "c=30" }, results)
end

describe("three tools that wait a second each overlap", function()
  before_each(script)

  teardown(zigllms.reset)

  for _, loop in ipairs(loops) do
    it("in " .. loop.name, function()
      if loop.missing then
        return print("\nSKIP " .. loop.missing)
      end
      local result = loop:run(chunk(SLEEP, "say(told)"))
      assert.equal("", result.err)
      check(loop.name, result.out)
    end)
  end

  it("in nginx, also while they wait in its own way", function()
    if nginx.missing() then
      return print("\nSKIP nginx: " .. nginx.missing())
    end
    local NOW = "local function now() ngx.update_time() return ngx.now() * 1000 end\n"
    local web = nginx.start({
      locations = {
        ours = NOW .. chunk(SLEEP, "ngx.print(told)"),
        theirs = NOW .. chunk("ngx.sleep(1)", "ngx.print(told)"),
      },
    })
    for _, path in ipairs({ "ours", "theirs" }) do
      model.mock:reset()
      local body = web:get("/" .. path)
      check("nginx, " .. path, body)
    end
    web:stop()
  end)

  nvim.each(describe, function(run_in)
    it("in the editor", function()
      local said = [[
        local ms, rest = told:match("(%d+) (.*)")
        assert(tonumber(ms) >= 1000 and tonumber(ms) < 2500 and rest == "done a=10 b=20 c=30", told)
        nv.say("three waits of 1 s in one round: " .. ms .. " ms (goal 1300)")
      ]]
      run_in("local _, nv = ...\nlocal now = nv.now\n" .. chunk(SLEEP, said))
    end)
  end)
end)
