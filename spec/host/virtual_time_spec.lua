-- Virtual time in hosts that run programs of their own: Neovim and nginx.
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local scripted = require("spec.support.server")

-- Ten minutes of sleeps and tasks, in order; then a request that is under way.
local CHUNK = [[
  local order, began = {}, nil
  local passed, met = zigllms.test.clock(function(clock)
    began = clock:now()
    local handles = {}
    for i, minutes in ipairs({ 3, 1, 2 }) do
      handles[i] = zigllms.spawn(function()
        zigllms.sleep(minutes * 60000)
        order[#order + 1] = minutes
      end)
    end
    zigllms.sleep(600000)
    zigllms.all(handles)
    clock:advance(1000)
    local passed = clock:now() - began
    local beside = zigllms.spawn(zigllms.sleep, 600000)
    local content = zigllms.provider.chat("hi", { provider = "openai" }).content
    assert(not beside:done(), "leapt over a request")
    beside:cancel()
    return passed, content
  end)
  assert(passed == 601000, passed)
  assert(table.concat(order, " ") == "1 2 3", table.concat(order, " "))
  assert(met == "fine", met)
  local real = zigllms.run(function()
    zigllms.sleep(20)
    return "real again"
  end)
  assert(real == "real again")
]]

local server = scripted.start()

local function configured(url)
  local options = "{ base_url = %q, api_key = 'test', retry = false }"
  return ("zigllms.provider.configure('openai', %s)\n"):format(options:format(url))
end

before_each(function()
  server:script(scripted.text("fine", { delay_ms = 50, ["repeat"] = true }))
end)

teardown(function()
  server:stop()
end)

nvim.each(describe, function(run_in)
  it("leaps once everything waits, and over nothing that is real", function()
    run_in("local zigllms = ...\n" .. configured(server.url) .. CHUNK)
  end)
end)

local missing = nginx.missing()
if missing then
  print("SKIP virtual time in nginx: " .. missing)
  return
end

-- nginx does not say what an error is that is no text.
local TOLD = [[
  local ok, err = pcall(function() %s end)
  ngx.print(ok and "all well" or tostring(err))
]]

describe("virtual time in nginx", function()
  it("leaps once everything waits, and over nothing that is real", function()
    local chunk = CHUNK:gsub("local real.*$", "")
    local code = "local zigllms = require('zigllms')\n" .. configured(server.url) .. chunk
    local web = nginx.start({
      workers = 1,
      http = "init_by_lua_block { require('zigllms') }",
      locations = { virtual = TOLD:format(code) },
    })
    local body = web:get("/virtual")
    local log = body ~= "all well" and web:log()
    web:stop()
    assert.equal("all well", body, log)
  end)
end)
