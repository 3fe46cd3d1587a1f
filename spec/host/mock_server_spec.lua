-- Servers of mocks in event loops: a function among the responses runs while a thread of the loop
-- waits for its answer.
local in_host = require("spec.support.in_host")
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local program = require("spec.support.program")

-- Asks a mock whose function waits as well; gives what it said, and how often it was asked.
local ASK = [[
  local function ask()
    local zigllms = require("zigllms")
    local mock = zigllms.test.create_mock({
      type = "service",
      transport = "http",
      provider = "openai",
      responses = function(request)
        zigllms.sleep(5)
        return "you said " .. request.body.messages[1].content
      end,
    })
    local handle = zigllms.provider.chat("first", { provider = "openai", async = true })
    local said = zigllms.provider.chat("second", { provider = "openai" }).content
    local text = ("%s, %s, %d"):format(handle:await().content, said, mock:call_count())
    mock:restore()
    return text
  end
]]

local SAID = "you said first, you said second, 2"

describe("a mock that is a server", function()
  local LOOPS = {
    luv = [[
      local uv = require("luv")
      require("zigllms").spawn(function() print(ask()) end)
      uv.run()
    ]],
    cqueues = [[
      local queue = require("cqueues").new()
      queue:wrap(function() print(ask()) end)
      assert(queue:loop())
    ]],
    copas = [[
      local copas = require("copas")
      copas.addthread(function()
        print(ask())
        os.exit(0, true) -- old ones loop for ever
      end)
      copas.loop()
    ]],
  }

  for name, chunk in pairs(LOOPS) do
    it("answers in " .. name, function()
      if in_host.need("a mock with " .. name, name) then
        local result = program.run(ASK .. chunk)
        assert.same({ 0, SAID .. "\n", "" }, { result.rc, result.out, result.err })
      end
    end)
  end

  nvim.each(describe, function(run)
    it("answers in the editor", function()
      run(ASK .. ("assert(ask() == %q)"):format(SAID))
    end)
  end)

  local missing = nginx.missing()
  if missing then
    print("SKIP nginx in spec/host/mock_server_spec.lua: " .. missing)
    return
  end

  it("answers in nginx, and keeps no worker from its end", function()
    local web = nginx.start({
      locations = {
        ask = ASK .. "ngx.print(ask())",
        keep = [[
          kept = require("zigllms").test.create_mock({
            type = "service", transport = "http", responses = function() return "x" end,
          })
          ngx.print(kept.base_url)
        ]],
      },
    })
    assert.equal(SAID, web:get("/ask"))
    assert.is_truthy(web:get("/keep"):find("^http://127"))
    assert.is_true(web:quit(20))
    web:stop()
  end)
end)
