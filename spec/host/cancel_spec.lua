-- Cancelling in every state of a request, in every host: at once, told once, nothing left open.
local loops = require("spec.support.loops")
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local program = require("spec.support.program")
local scripted = require("spec.support.server")

local server = scripted.start()
local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)host/[^/]*$")
local STATES = here .. "fixtures/cancel_states.lua"

-- 50 ms is promised; a busy machine gets ten times as much.
local LIMIT_MS = 500

-- Runs all states with `zigllms`, `now` and `say` in scope, and says a line for each.
local BODY = [[
  local function open_files()
    local stat = io.open("/proc/self/stat")
    local pipe = io.popen("ls /proc/" .. stat:read("*n") .. "/fd | wc -l")
    local count = tonumber(pipe:read("*a"))
    stat:close()
    pipe:close()
    return count
  end
  local at = { url = %q, deaf = %q, silent = %q }
  -- What the module keeps open from its first request on is part of the base line.
  local first = zigllms.provider.create({ type = "openai", base_url = at.url, api_key = "test" })
  local handle = zigllms.provider.chat("hi", { provider = first, async = true })
  handle()
  handle:cancel()
  zigllms.sleep(200)
  local before = open_files()
  dofile(%q)(zigllms, now, at, function(name, ms, seen)
    say(("%%s|%%.1f|%%s|%%s|%%s|%%d|%%s"):format(
      name, ms, seen.status, tostring(seen.code), tostring(seen.reason), seen.told,
      seen.partial or ""))
  end)
  -- The connection of the failed attempt had a whole answer: it is kept for the next request.
  before = before + 1
  local after = open_files()
  for _ = 1, 100 do
    if after <= before then
      break
    end
    zigllms.sleep(20)
    after = open_files()
  end
  say(("descriptors|%%d|%%d"):format(before, after))
]]

local function body()
  return BODY:format(server.url, server:ask("deaf"), server:silent(), STATES)
end

local function script()
  local slow = scripted.text({ "first ", "second" }, { chunk_delay_ms = 100, stall_ms = 20000 })
  slow["repeat"] = true
  local failing = scripted.failure(500, "no", { ["repeat"] = true })
  failing.when = "fail"
  server:script(failing, slow)
end

local STATES_SEEN = {
  "before it began",
  "connecting",
  "shaking hands",
  "sending",
  "waiting for the first byte",
  "in the middle of the answer",
  "pausing before another attempt",
}

-- What every host must have said.
local function judge(host, text)
  local longest, seen = 0, {}
  for line in text:gmatch("[^\n]+") do
    local name, ms, status, code, reason, told, partial =
      line:match("^(.-)|([%d.]+)|(%a+)|(.-)|(.-)|(%d+)|(.*)$")
    if name then
      assert.equal("cancelled", status, line)
      assert.equal("cancelled", code, line)
      assert.equal(name, reason, line)
      assert.equal("1", told, line)
      longest = math.max(longest, tonumber(ms))
      seen[#seen + 1] = name
      if name == "in the middle of the answer" then
        assert.equal("first ", partial:sub(1, 6))
      end
    end
  end
  assert.same(STATES_SEEN, seen, text)
  local before, after = text:match("descriptors|(%d+)|(%d+)")
  assert.is_true(tonumber(after) <= tonumber(before), text)
  print(("\n%s: %d states, longest cancel %.1f ms (limit 50)"):format(host, #seen, longest))
  assert.is_true(longest < LIMIT_MS)
end

-- The state that needs a name server of its own, which stays silent.
local RESOLVING = [[
  local provider = zigllms.provider.create({
    type = "openai",
    base_url = "http://nowhere.example.com/v1",
    api_key = "test",
    retry = false,
  })
  local handle = zigllms.provider.chat("hi", { provider = provider, async = true })
  zigllms.sleep(300)
  local before, told, began = handle:status(), 0, now()
  handle:on(function() told = told + 1 end)
  handle:cancel("resolving")
  local _, err = pcall(handle.await, handle)
  local ms = now() - began
  zigllms.sleep(20)
  say(("%s|%.1f|%s|%s|%s|%d"):format(
    before, ms, handle:status(), err.code, err.details.reason, told))
]]

local UNSHARED = "unshare -rmn python3 " .. here .. "fixtures/mute_names.py"

-- Why there can be no silent name server, or nil.
local function no_names()
  local result = program.shell(UNSHARED .. " true")
  return result.rc ~= 0 and result.err:match("[^\n]+") or nil
end

local function judge_resolving(host, result)
  assert.equal("", result.err)
  assert.equal(0, result.rc)
  local before, ms, ended = result.out:match("^(%a+)|([%d.]+)|([^\n]+)")
  assert.equal("running", before, result.out)
  assert.equal("cancelled|cancelled|resolving|1", ended, result.out)
  print(("\n%s: resolving, cancelled in %s ms (limit 50)"):format(host, ms))
  assert.is_true(tonumber(ms) < LIMIT_MS)
end

describe("cancelling in every state", function()
  before_each(script)

  teardown(function()
    server:stop()
  end)

  for _, loop in ipairs(loops) do
    it("in " .. loop.name, function()
      if loop.missing then
        return print("\nSKIP cancelling: " .. loop.missing)
      end
      local result = loop:run(body())
      assert.equal("", result.err)
      assert.equal(0, result.rc)
      judge(loop.name, result.out)
    end)

    it("while a name is looked up, in " .. loop.name, function()
      local why = loop.missing or no_names()
      if why then
        return print("\nSKIP cancelling a lookup: " .. why)
      end
      judge_resolving(loop.name, loop:run(RESOLVING, { under = UNSHARED }))
    end)
  end

  it("in nginx", function()
    local missing = nginx.missing()
    if missing then
      return print("\nSKIP cancelling in nginx: " .. missing)
    end
    local web = nginx.start({
      locations = {
        cancel = [[
          local zigllms = require("zigllms")
          local function now() ngx.update_time() return ngx.now() * 1000 end
          local function say(text) ngx.say(text) end
        ]] .. body(),
      },
    })
    local text, status = web:get("/cancel")
    local log = web:log()
    web:stop()
    assert.equal(200, status, log)
    judge("nginx", text)
  end)

  nvim.each(describe, function(run_in)
    it("in Neovim", function()
      local path = os.tmpname()
      run_in([[
          local zigllms, nv = ...
          local now, file = nv.now, io.open(nv.args[1], "w")
          local function say(text) file:write(text, "\n") end
        ]] .. body() .. "\nfile:close()", { args = { path } })
      local file = assert(io.open(path))
      local text = file:read("*a")
      file:close()
      os.remove(path)
      judge("Neovim", text)
    end)
  end)
end)
