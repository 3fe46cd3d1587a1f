-- Ten branches that wait 200 ms for the network each take little more than that together, on the
-- one Lua thread there is, wherever the program runs.
local loops = require("spec.support.loops")
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local program = require("spec.support.program")
local scripted = require("spec.support.server")

local server = scripted.start()

-- One after the other they take two seconds; the limit is generous, for busy machines.
local GOAL_MS, LIMIT_MS = 400, 1500

-- Has `now` in scope and leaves what it has to say in `told`.
local CHUNK = ([[
  local zigllms = require("zigllms")
  zigllms.provider.configure("openai", { base_url = %q, api_key = "test", retry = false })
  local steps = {}
  for i = 1, 10 do
    local agent = zigllms.agent.create({ provider = "openai", model = "m" })
    steps[i] = { id = "s" .. i, type = "agent_call", agent = agent, input = "go" }
  end
  local id = zigllms.workflow.create({ pattern = "parallel", max_concurrency = 10, steps = steps })
  local began = now()
  local result = zigllms.workflow.execute(id)
  local told = ("%%.0f %%s %%d"):format(now() - began, result.status, result.usage.total_tokens)
  for i = 1, 10 do
    told = told .. " " .. result.output["s" .. i]
  end
]]):format(server.url)

local EXPECTED = "completed 150" .. (" slow"):rep(10)

local function script()
  local reply = scripted.text("slow", { delay_ms = 200 })
  reply["repeat"] = true
  server:script(reply)
end

local function check(where, told)
  local ms, rest = told:match("(%d+) ([^\n]*)")
  assert(ms, told)
  assert.equal(EXPECTED, rest)
  ms = tonumber(ms)
  print(("\n%s: ten network steps of 200 ms: %d ms (goal %d)"):format(where, ms, GOAL_MS))
  assert.is_true(ms >= 199 and ms < LIMIT_MS, told)
end

describe("ten network steps of 200 ms overlap", function()
  before_each(script)

  teardown(function()
    server:stop()
  end)

  for _, loop in ipairs(loops) do
    it("in " .. loop.name, function()
      if loop.missing then
        return print("\nSKIP " .. loop.missing)
      end
      local result = loop:run(CHUNK .. "say(told)")
      assert.equal("", result.err)
      check(loop.name, result.out)
    end)
  end

  it("in copas", function()
    if not package.searchpath("copas", package.path) then
      return print("\nSKIP there is no copas for this engine")
    end
    local result = program.run(([[
      local copas, system = require("copas"), require("system")
      local function now() return system.monotime() * 1000 end
      copas.addthread(function()
        %s
        print(told)
        os.exit(0) -- the loop of version 1 has no end
      end)
      copas.loop()
    ]]):format(CHUNK))
    assert.equal("", result.err)
    check("copas", result.out)
  end)

  it("in nginx", function()
    if nginx.missing() then
      return print("\nSKIP nginx: " .. nginx.missing())
    end
    local NOW = "local function now() ngx.update_time() return ngx.now() * 1000 end\n"
    local web = nginx.start({ locations = { flow = NOW .. CHUNK .. "ngx.print(told)" } })
    local body = web:get("/flow")
    web:stop()
    check("nginx", body)
  end)

  nvim.each(describe, function(run_in)
    it("in the editor", function()
      local said = ([[
        local ms, rest = told:match("(%%d+) (.*)")
        assert(tonumber(ms) >= 199 and tonumber(ms) < %d and rest == %q, told)
        nv.say("ten network steps of 200 ms: " .. ms .. " ms (goal %d)")
      ]]):format(LIMIT_MS, EXPECTED, GOAL_MS)
      run_in("local _, nv = ...\nlocal now = nv.now\n" .. CHUNK .. said)
    end)
  end)
end)
