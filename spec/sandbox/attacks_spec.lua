-- The corpus of attacks: every one ends in time, and leaves nothing behind.
local attacks = require("spec.sandbox.attacks")
local clock = require("spec.support.program").clock
local rest = require("spec.sandbox.rest")
local size = require("spec.support.size")
local zigllms = require("zigllms")

local tool = zigllms.tool

-- Milliseconds: the limit of a call, and how much later it may end. A busy machine gets ten times
-- as long.
local LIMIT = size(100, 40)
local GRACE = 50 * 10
-- What code may go on for when its caller is answered, in milliseconds of processor time, with
-- what it takes to close a state that is full.
local AFTER = 500
local STOPS = { timeout = true, memory = true, stack_overflow = true, colliding_keys = true }
local PROBE = [[
  return function(input)
    local parts = {}
    for word in input.text:gmatch("%a+") do parts[#parts + 1] = word:upper() end
    table.sort(parts)
    return table.concat(parts, ",") .. string.format("%03d", #parts) .. tostring(math.floor(2.5))
  end]]

-- What came of a text: "ok" and its result; or why there is none, and the error.
local function attempt(source, limit)
  local name = "attacked"
  local ok, id = pcall(tool.register, {
    name = name,
    replace = true,
    source = source,
    timeout_ms = limit,
  })
  if not ok then
    assert(id.code == "validation_failed", tostring(id))
    return "refused", id
  end
  local done, result = pcall(tool.execute, id, {})
  if done then
    return "ok", result
  end
  assert(result.code == "timeout" or result.code == "tool_error", tostring(result))
  return result.details and result.details.reason or result.code, result
end

local function memory_kb()
  local file = io.open("/proc/self/status")
  local kb = file and file:read("*a"):match("VmRSS:%s+(%d+)")
  if file then
    file:close()
  end
  return tonumber(kb)
end

describe("the sandbox", function()
  local probe

  setup(function()
    probe = tool.register({ name = "probe", source = PROBE })
  end)

  it("stands up to everything in the corpus", function()
    assert.is_true(#attacks >= 120, #attacks)
    for _, attack in ipairs(attacks) do
      local began = clock()
      -- What shows that it is safe has to come to its end.
      local limit = (attack.expected == "stops" or attack.expected == "ends") and LIMIT or 5000
      local outcome, result = attempt(attack.source, limit)
      local ms = (clock() - began) * 1000
      local told = attack.name .. ": " .. outcome .. " " .. tostring(result):sub(1, 200)
      assert.is_true(ms < limit + GRACE, told .. " after " .. ms .. " ms")
      local after = rest.wait()
      assert.is_true(
        after ~= nil and after < (attack.after or AFTER),
        told .. ", then " .. tostring(after) .. " ms"
      )
      if attack.expected == "stops" then
        assert.is_true(STOPS[outcome], told)
      elseif attack.expected ~= "ends" then
        assert.is_true(outcome == "ok" and result == attack.expected, told)
      end
    end
  end)

  it("works as before afterwards, and has given its memory back", function()
    for _ = 1, 50 do
      assert.equal("A,B,C00" .. "32", tool.execute(probe, { text = "c b a" }))
    end
    local kb = memory_kb()
    -- Sixteen states of 64 MiB at most, of which all but what is live has been freed.
    assert.is_true(kb == nil or kb < 700 * 1024, kb)
  end)

  it("runs attacks side by side, and harmless calls beside them", function()
    local attacked = {}
    for i = 1, 6 do
      local id = tool.register({
        name = "attack_" .. i,
        replace = true,
        source = "return function() while true do pcall(error) end end",
        timeout_ms = 2000,
      })
      attacked[i] = tool.execute(id, {}, { async = true })
    end
    local began = clock()
    assert.equal("A001" .. "2", tool.execute(probe, { text = "a" }))
    -- It has not waited for any of them.
    assert.is_true((clock() - began) * 1000 < 1500)
    for _, handle in ipairs(attacked) do
      local ok, err = pcall(handle.await, handle)
      assert.is_true(not ok and err.code == "timeout" and err.phase == "tool")
    end
  end)
end)
