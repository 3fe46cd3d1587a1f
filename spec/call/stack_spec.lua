-- The Lua stack: deep values, deep callers, and stacks that are nearly full.
local program = require("spec.support.program")
local size = require("spec.support.size")
local zigllms = require("zigllms")

local function nested(levels)
  local value = {}
  for _ = 2, levels do
    value = { inner = value }
  end
  return value
end

local function depth(value)
  local levels = 0
  while type(value) == "table" do
    value, levels = value.inner or value[1], levels + 1
  end
  return levels
end

local function brackets(levels)
  return ("["):rep(levels) .. ("]"):rep(levels)
end

-- Whether an error is this module's, or Lua's own about its stack.
local function is_clean(err)
  if type(err) == "table" then
    return err.code == "invalid_state" and err.message:find("stack overflow", 1, true) ~= nil
  end
  return tostring(err):find("stack overflow") ~= nil or tostring(err):find("in error") ~= nil
end

describe("the Lua stack", function()
  it("has room for values of every depth that is allowed, in both directions", function()
    for levels = 1, 100 do
      assert.equal(levels, depth((zigllms.output.parse(brackets(levels)))))
      local value = nested(levels)
      local text = zigllms.output.format(value)
      assert.equal(levels, depth((zigllms.output.parse(text, { format = "json" }))))
      assert.is_true(zigllms.schema.validate(value, { type = "object" }).valid)
    end
  end)

  it("has room for documents that are deeper on demand", function()
    local options = { format = "json", max_depth = 1000 }
    for _, levels in ipairs({ 101, 500, 1000 }) do
      assert.equal(levels, depth((zigllms.output.parse(brackets(levels), options))))
    end
  end)

  it("does not see values that are too deep: they are refused before", function()
    for _, call in ipairs({
      function(value)
        return zigllms.output.format(value)
      end,
      function(value)
        return zigllms.schema.validate(value, {})
      end,
      function(value)
        return zigllms.output.format(value, "yaml")
      end,
    }) do
      local ok, err = pcall(call, nested(200))
      assert.is_false(ok)
      assert.equal("conversion_error", err.code)
      assert.matches("deeper than 100 levels", err.message)
    end
  end)

  it("checks deep values where they are, by a compiled schema", function()
    local schema = { type = "object", properties = { leaf = { type = "integer" } } }
    local value = { leaf = 1 }
    for _ = 1, 14 do
      schema = { type = "object", properties = { inner = schema } }
      value = { inner = value }
    end
    local compiled = zigllms.schema.compile(schema)
    assert.is_true(compiled:check(value))
    local deepest = value
    while deepest.inner do
      deepest = deepest.inner
    end
    deepest.leaf = "no"
    assert.is_false((compiled:check(value)))
  end)

  it("is asked for what a whole document needs, whoever pushes it", function()
    local large = {}
    for i = 1, 300 do
      large[i] = nested(20)
    end
    local text = zigllms.output.format(large)
    for _ = 1, 3 do
      local value = zigllms.output.parse(text)
      assert.equal(300, #value)
      assert.equal(20, depth(value[300]))
    end
  end)

  -- Calls `call` with so many Lua functions around it.
  local function beneath(frames, call)
    if frames == 0 then
      return (call())
    end
    local result = beneath(frames - 1, call)
    return result
  end

  -- The same on a stack that large frames have filled before.
  local function filled(large, frames, call, ...)
    if large == 0 then
      return (beneath(frames, call))
    end
    local result = filled(large - 1, frames, call, ...)
    return result
  end

  local unpack = table.unpack or unpack -- luacheck: ignore
  local filler = {}
  for i = 1, 200 do
    filler[i] = i
  end

  -- The largest number that fits.
  local function most(fits, too_many, works)
    while too_many - fits > 1 do
      local middle = math.floor((fits + too_many) / 2)
      if works(middle) then
        fits = middle
      else
        too_many = middle
      end
    end
    return fits
  end

  local function nothing() end

  -- How many large frames nearly fill the stack, and how many small ones fit behind them.
  local function most_frames()
    local large = most(1, 10000, function(n)
      return (pcall(filled, n, 0, nothing, unpack(filler)))
    end) - 2
    return large,
      most(0, 2000, function(n)
        return (pcall(filled, large, n, nothing, unpack(filler)))
      end)
  end

  it("may be nearly full: then a call works or says so", function()
    local deep, value = brackets(90), nested(90)
    local compiled = zigllms.schema.compile({ type = "object" })
    local large, small = most_frames()
    for name, call in pairs({
      parse = function()
        return depth((zigllms.output.parse(deep))) == 90
      end,
      format = function()
        return #zigllms.output.format(value) > 90
      end,
      yaml = function()
        return #zigllms.output.format(value, "yaml") > 90
      end,
      check = function()
        return compiled:check(value)
      end,
      metrics = function()
        return zigllms.metrics().total_calls > 0
      end,
      get_state = function()
        local ok, err = pcall(zigllms.agent.get_state, "nobody")
        return not ok and (is_clean(err) or err.code == "not_found")
      end,
    }) do
      local fine, full = 0, 0
      for frames = math.max(0, small - 120), small, size(1, 12) do
        local ok, result = pcall(filled, large, frames, call, unpack(filler))
        if ok then
          fine = fine + 1
          assert.is_true(result, name)
        else
          full = full + 1
          assert.is_true(is_clean(result), name .. ": " .. tostring(result))
        end
      end
      assert.is_true(fine > 0, name .. " never worked")
      assert.is_true(full > 0 or name ~= "parse" and name ~= "yaml", name .. " always worked")
    end
    assert.equal(90, depth((zigllms.output.parse(deep))))
  end)

  it("raises invalid_state where one call can have no more, and counts it", function()
    if not jit then
      return -- other engines have room for a million
    end
    local mine = zigllms.new()
    local pass = unpack -- luacheck: ignore
    local crowd = {}
    for i = 1, 7900 do
      crowd[i] = i
    end
    for _, call in ipairs({
      function()
        return mine.output.parse(brackets(90), nil, pass(crowd))
      end,
      function()
        return mine.output.format(nested(90), "yaml", nil, pass(crowd))
      end,
    }) do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.equal("invalid_state", err.code)
      assert.equal("stack overflow", err.message)
      assert.equal("output", err.bridge)
      assert.matches("stack_spec.lua:%d+$", err.where)
    end
    local metrics = mine.metrics()
    assert.equal(2, metrics.error_count)
    assert.equal(2, metrics.stack.overflows)
    assert.equal(90, depth((mine.output.parse(brackets(90)))))
  end)

  it("holds in coroutines inside of coroutines, as deep as Lua lets them be", function()
    local deepest = 0
    local function nest(level)
      return coroutine.wrap(function()
        assert(depth((zigllms.output.parse(brackets(60)))) == 60)
        deepest = level
        if level < 300 then
          nest(level + 1)()
        end
      end)
    end
    local ok, err = pcall(nest(1))
    assert.is_true(deepest >= 100, tostring(deepest))
    assert.is_true(ok or tostring(err):find("C stack overflow", 1, true) ~= nil, tostring(err))
    assert.equal(60, depth((zigllms.output.parse(brackets(60)))))
  end)

  it("is sound under valgrind", function()
    if not program.has("valgrind") then
      print("\nskipped: no valgrind")
      return
    end
    if size(1, 0) == 0 then
      print("\nskipped: takes long, ZIGLLMS_SWEEP=full runs it")
      return
    end
    local result = program.run(
      [[
        local zigllms = require("zigllms")
        local text = ("["):rep(90) .. ("]"):rep(90)
        local function deeper(n)
          if n > 0 then
            return select(2, pcall(deeper, n - 1)), pcall(zigllms.output.parse, text)
          end
        end
        for n = 1, 60 do
          coroutine.wrap(deeper)(n)
          local value = zigllms.output.parse(text)
          assert(zigllms.output.format(value) == text)
        end
        print("fine")
      ]],
      { under = "valgrind -q --error-exitcode=9" }
    )
    assert.equal(0, result.rc, result.err)
    assert.equal("fine\n", result.out)
  end)
end)
