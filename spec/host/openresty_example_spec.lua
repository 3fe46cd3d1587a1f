-- The example of examples/openresty, against the scripted server.
local nginx = require("spec.support.nginx")
local scripted = require("spec.support.server")
local sleep = require("system").sleep

local missing = nginx.missing()
if missing then
  print("SKIP spec/host/openresty_example_spec.lua: " .. missing)
  return
end

local server = scripted.start()
local ASK = '{"messages":[{"role":"user","content":"hello"}]}'

describe("the example for OpenResty", function()
  local web

  setup(function()
    web = nginx.start({
      folder = "examples/openresty",
      env = { OPENAI_API_KEY = "key-of-the-spec", OPENAI_BASE_URL = server.url },
    })
  end)

  teardown(function()
    web:stop()
    server:stop()
  end)

  local function ask(body, more)
    more = more or {}
    more.method, more.body = "POST", body
    return web:get("/chat", more)
  end

  it("streams an answer as events", function()
    server:script(scripted.text({ "Good ", "day" }, { chunk_delay_ms = 100 }))
    local body, status, report = ask(ASK)
    assert.equal(200, status)
    assert.equal('data: {"content":"Good "}\n\ndata: {"content":"day"}\n\ndata: [DONE]\n\n', body)
    assert.truthy(report.heads[1]:find("text/event-stream", 1, true))
    assert.equal("Bearer key-of-the-spec", server:journal()[1].headers.authorization)
    assert.same({}, web:complaints())
  end)

  it("tells what is wrong with a request", function()
    for _, wrong in ipairs({ "nonsense", '{"messages":[{"role":"nobody"}]}' }) do
      local body, status = ask(wrong)
      assert.equal(400, status)
      assert.truthy(body:find('{"error":', 1, true))
    end
  end)

  it("tells that the model failed, before the answer and within", function()
    server:script(scripted.failure(401, "who are you?"))
    local body, status = ask(ASK)
    assert.equal(502, status)
    assert.equal('{"error":"auth"}\n', body)
    local broken = scripted.text({ "Good ", "day" }, { chunk_delay_ms = 50, close = true })
    broken.sse = { broken.sse[1], broken.sse[2], scripted.null }
    server:script(broken)
    assert.equal('data: {"content":"Good "}\n\ndata: {"error":"network"}\n\n', (ask(ASK)))
  end)

  it("closes the model's connection when its client goes", function()
    server:script(scripted.text({ "Good ", "day" }, { stall_ms = 20000 }))
    ask(ASK, { hang_up_ms = 200 })
    local journal = server:wait_for(function(journal)
      return journal[1].closed_after_ms
    end, function()
      sleep(0.05)
    end)
    assert.is_true(journal[1].closed_after_ms < 10000)
  end)
end)
