-- Every function, every argument: whatever comes, the answer is a value or an error of the module.
local program = require("spec.support.program")
local size = require("spec.support.size")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

-- A port that nobody listens on: what passes the checks fails at once, without waiting.
local NOWHERE = { type = "local", base_url = "http://127.0.0.1:9/v1", model = "m", retry = false }

local function nested(levels)
  local value = {}
  for _ = 2, levels do
    value = { value }
  end
  return value
end

local function fail()
  error("a metamethod was called")
end

local function many_keys(n)
  local t = {}
  for i = 1, n do
    t["key" .. i] = i
  end
  return t
end

local function cyclic()
  local t = {}
  t.t = { t }
  return t
end

local function endless()
  local t = {}
  return setmetatable(t, {
    __index = function()
      return endless()
    end,
  })
end

local function shared()
  local t = { 1 }
  for _ = 1, 12 do
    t = { t, t }
  end
  return t
end

local function self_changing()
  local t = {}
  return setmetatable(t, {
    __index = function(_, key)
      rawset(t, key, {})
      return t[key]
    end,
    __call = function()
      rawset(t, #t + 1, 1)
    end,
  })
end

local hostile = {
  __index = fail,
  __newindex = fail,
  __pairs = fail,
  __len = fail,
  __tostring = fail,
  __concat = fail,
  __eq = fail,
  __lt = fail,
  __call = fail,
  __unm = fail,
  __close = fail,
}

-- Made anew for each call.
local VALUES = {
  {
    "nil",
    function()
      return nil
    end,
  },
  {
    "true",
    function()
      return true
    end,
  },
  {
    "false",
    function()
      return false
    end,
  },
  {
    "0",
    function()
      return 0
    end,
  },
  {
    "-1",
    function()
      return -1
    end,
  },
  {
    "1.5",
    function()
      return 1.5
    end,
  },
  {
    "2^53+1",
    function()
      return 2 ^ 53 + 1
    end,
  },
  {
    "mininteger",
    function()
      return math.mininteger or -2 ^ 63
    end,
  },
  {
    "maxinteger",
    function()
      return math.maxinteger or 2 ^ 63
    end,
  },
  {
    "NaN",
    function()
      return 0 / 0
    end,
  },
  {
    "inf",
    function()
      return 1 / 0
    end,
  },
  {
    "-inf",
    function()
      return -1 / 0
    end,
  },
  {
    "empty string",
    function()
      return ""
    end,
  },
  {
    "1 MB",
    function()
      return ("x"):rep(1024 * 1024)
    end,
  },
  {
    "not UTF-8",
    function()
      return "\255\254"
    end,
  },
  {
    "lone surrogate",
    function()
      return "\237\160\128"
    end,
  },
  {
    "embedded zero",
    function()
      return "a\0b"
    end,
  },
  {
    "dots",
    function()
      return "../../etc/passwd"
    end,
  },
  {
    "format",
    function()
      return "%s%n%d{}{0}"
    end,
  },
  {
    "digits",
    function()
      return "12"
    end,
  },
  {
    "stale id",
    function()
      return "agent_999999"
    end,
  },
  {
    "id of another bridge",
    function()
      return "sub_1"
    end,
  },
  {
    "function",
    function()
      return function() end
    end,
  },
  {
    "raising function",
    function()
      return function()
        error({})
      end
    end,
  },
  {
    "C function",
    function()
      return type
    end,
  },
  {
    "thread",
    function()
      return coroutine.create(print)
    end,
  },
  {
    "userdata",
    function()
      return io.stdout
    end,
  },
  {
    "null",
    function()
      return zigllms.null
    end,
  },
  {
    "handle",
    function()
      return zigllms.spawn(function() end)
    end,
  },
  {
    "empty table",
    function()
      return {}
    end,
  },
  {
    "array",
    function()
      return { 1, "two", {} }
    end,
  },
  { "cyclic", cyclic },
  { "shared", shared },
  {
    "depth 101",
    function()
      return nested(101)
    end,
  },
  {
    "depth 1e4",
    function()
      return nested(10000)
    end,
  },
  {
    "sparse",
    function()
      return { [1] = 1, [1000000] = 2 }
    end,
  },
  {
    "holes",
    function()
      return { 1, nil, 3, nil, 5 }
    end,
  },
  {
    "mixed",
    function()
      return { 1, 2, a = 3 }
    end,
  },
  {
    '1 and "1"',
    function()
      return { [1] = "a", ["1"] = "b" }
    end,
  },
  {
    "float keys",
    function()
      return { [1.5] = 1 }
    end,
  },
  {
    "boolean keys",
    function()
      return { [true] = 1 }
    end,
  },
  {
    "table keys",
    function()
      return { [{}] = 1 }
    end,
  },
  {
    "raising metamethods",
    function()
      return setmetatable({ a = 1 }, hostile)
    end,
  },
  {
    "raising metamethods, known keys",
    function()
      return setmetatable({ id = {}, name = {}, messages = {}, async = {} }, hostile)
    end,
  },
  {
    "locked metatable",
    function()
      return setmetatable({}, { __metatable = false })
    end,
  },
  { "endless", endless },
  { "self-changing", self_changing },
  {
    "our error",
    function()
      return zigllms.error("internal", "made up")
    end,
  },
  {
    "our marks",
    function()
      return zigllms.array({ zigllms.object({}) })
    end,
  },
  {
    "the module",
    function()
      return zigllms
    end,
  },
}

-- Large ones: only a few calls each.
-- Made once: that alone takes its time.
local function large()
  local mib, depth = size(64, 8), size(1000000, 100000)
  local huge, deep, wide = ("x"):rep(mib * 1024 * 1024), nested(depth), many_keys(100000)
  local function constant(value)
    return function()
      return value
    end
  end
  return {
    { mib .. " MB", constant(huge) },
    { "depth " .. depth, constant(deep) },
    { "1e5 keys", constant(wide) },
  }
end

-- What a function would do to a file it must not do to a real one: a text that is given as a path
-- names a file of this directory, and cannot lead out of it.
local function harmless(value, directory)
  if type(value) ~= "string" or value == "" then
    return value
  end
  return directory .. "/" .. value:gsub("/", "_")
end

-- A valid argument for each parameter, by its name.
local function valid(name, fixture)
  local made = {
    agent_id = fixture.agent,
    tool_id = fixture.tool,
    provider_id = fixture.provider,
    input = "hi",
    messages = "hi",
    config = { provider = NOWHERE, type = "local" },
    definition = { name = "made", replace = true },
    handle = zigllms.spawn(function() end),
    handles = {},
    fn = function() end,
    callback = function() end,
    code = "internal",
    message = "text",
    ms = 0,
    timeout_ms = 0,
    t = {},
  }
  return made[name]
end

local function new_fixture()
  zigllms.loop("auto")
  local provider = zigllms.provider.create(NOWHERE)
  return {
    provider = provider,
    tool = zigllms.tool.register({
      name = "probe",
      replace = true,
      execute = function(input)
        return input
      end,
    }),
    agent = zigllms.agent.create({ provider = provider }),
  }
end

-- {name, function, parameter names} of all functions, as `help` tells.
local function functions()
  local all = {}
  local function add(name, fn)
    local signature = zigllms.help(name):match("^zigllms%.[%w_.]+(%b())")
    local params = {}
    for param in signature:gmatch("[%w_]+") do
      params[#params + 1] = param
    end
    all[#all + 1] = { name = name, fn = fn, params = params }
  end
  for name, member in pairs(zigllms) do
    if type(member) == "function" then
      add(name, member)
    end
  end
  for _, bridge in ipairs(zigllms.modules()) do
    for name, member in pairs(zigllms[bridge]) do
      if type(member) == "function" then
        add(bridge .. "." .. name, member)
      end
    end
  end
  table.sort(all, function(a, b)
    return a.name < b.name
  end)
  return all
end

local function is_ours(err)
  local mt = type(err) == "table" and getmetatable(err)
  return type(mt) == "table" and mt.__name == "zigllms.error"
end

describe("bad input", function()
  local fixture, directory

  setup(function()
    directory = stores.directory()
  end)

  -- Anew for each function: `reset` is one of them.
  before_each(function()
    fixture = new_fixture()
  end)

  teardown(function()
    zigllms.reset()
    stores.remove(directory)
  end)

  -- What a test raises inside of these is its own affair.
  local PASS_ON = { ["test.cassette"] = true, ["test.clock"] = true }

  -- What is wrong with how a call went; nil if nothing is.
  local function complaint(entry, ok, err)
    if ok then
      return nil
    elseif not is_ours(err) then
      return not PASS_ON[entry.name] and "raised " .. type(err) .. ": " .. tostring(err):sub(1, 200)
        or nil
    elseif #tostring(err) > 4000 then
      return "the message has " .. #tostring(err) .. " bytes"
    elseif err.code == "internal" and err.message ~= "made up" then
      return tostring(err):sub(1, 200)
    elseif err.func and not entry.name:find(err.func, 1, true) then
      return "names another function: " .. tostring(err):sub(1, 200)
    end
  end

  local function sweep(values, longest, slots_of)
    local failures, calls = {}, 0
    for _, entry in ipairs(functions()) do
      fixture = new_fixture()
      for _, slot in ipairs(slots_of(entry)) do
        for _, value in ipairs(values) do
          local given = {}
          for i, name in ipairs(entry.params) do
            given[i] = valid(name, fixture)
          end
          given[slot] = value[2]()
          if entry.params[slot] == "path" then
            given[slot] = harmless(given[slot], directory)
          end
          local n = math.max(#entry.params, slot)
          local began = program.clock()
          local ok, err = pcall(entry.fn, (table.unpack or unpack)(given, 1, n)) -- luacheck: ignore
          local took = program.clock() - began
          calls = calls + 1
          local wrong = complaint(entry, ok, err)
          if not wrong and took > longest then
            wrong = ("took %.1f s"):format(took)
          end
          if wrong then
            failures[#failures + 1] = ("%s, argument %d = %s: %s"):format(
              entry.name,
              slot,
              value[1],
              wrong
            )
          end
        end
      end
      collectgarbage()
    end
    assert(#failures == 0, table.concat(failures, "\n", 1, math.min(#failures, 20)))
    return calls
  end

  local function healthy()
    fixture = new_fixture()
    assert.same({ n = 1 }, zigllms.tool.execute(fixture.tool, { n = 1 }))
    local ok, err = pcall(zigllms.agent.run, fixture.agent, "hi")
    assert.is_false(ok)
    assert.equal("network", err.code)
    assert.equal(
      3,
      zigllms.run(function()
        zigllms.sleep(1)
        return 3
      end)
    )
    assert.is_nil(getmetatable(5))
    assert.is_nil(getmetatable(true))
    assert.is_nil(debug.getmetatable(nil))
    assert.is_nil(debug.getmetatable(print))
  end

  it("of every kind in every place is answered or refused", function()
    local calls = sweep(VALUES, 1, function(entry)
      local slots = {}
      -- One place more than the function has.
      for i = 1, #entry.params + 1 do
        slots[i] = i
      end
      return slots
    end)
    assert.is_true(calls > 2000, calls .. " calls only")
    healthy()
  end)

  it("of great size is answered or refused", function()
    local values = large()
    local before = program.resident()
    -- The longest are those that are sent as JSON.
    local seen = {}
    sweep(values, 8, function(entry)
      local slots = {}
      for i, name in ipairs(entry.params) do
        -- Parameters of one name are read in one way.
        if not seen[name] then
          seen[name] = true
          slots[#slots + 1] = i
        end
      end
      return slots
    end)
    healthy()
    collectgarbage()
    collectgarbage()
    local after = program.resident()
    if after then
      assert.is_true(after - before < 64 * 1024, ("grew by %d KiB"):format(after - before))
    end
  end)

  it("in tables of options is answered or refused", function()
    local keys = {
      "name",
      "model",
      "temperature",
      "tools",
      "stop",
      "memory",
      "budget",
      "headers",
      "schema",
      "async",
    }
    for _, key in ipairs(keys) do
      for _, value in ipairs(VALUES) do
        for _, call in ipairs({
          {
            "agent.create",
            zigllms.agent.create,
            { provider = fixture.provider, [key] = value[2]() },
          },
          { "agent.run", zigllms.agent.run, fixture.agent, "x", { [key] = value[2]() } },
          {
            "tool.register",
            zigllms.tool.register,
            { name = "o", replace = true, [key] = value[2]() },
          },
          {
            "provider.chat",
            zigllms.provider.chat,
            "x",
            { provider = fixture.provider, [key] = value[2]() },
          },
        }) do
          local ok, err = pcall(call[2], call[3], call[4], call[5])
          local wrong = complaint({ name = call[1] }, ok, err)
          assert(not wrong, ("%s{%s = %s}: %s"):format(call[1], key, value[1], tostring(wrong)))
        end
      end
    end
    healthy()
  end)

  it("to the members of a handle is answered or refused", function()
    local handle = zigllms.spawn(function() end)
    local members = { "await", "wait", "done", "result", "status", "cancel", "on", "iter" }
    for _, name in ipairs(members) do
      for _, value in ipairs(VALUES) do
        local entry = { name = "handle." .. name }
        local wrong = complaint(entry, pcall(handle[name], value[2]()))
        assert(not wrong, ("handle.%s(%s): %s"):format(name, value[1], tostring(wrong)))
        wrong = complaint(entry, pcall(handle[name], handle, value[2]()))
        assert(not wrong, ("handle:%s(%s): %s"):format(name, value[1], tostring(wrong)))
      end
    end
    -- What was handed to `on` is told of its failures; a poll ends after 10 ms whatever is left.
    local quiet = 0
    for _ = 1, 1000 do
      local ok, delivered = pcall(zigllms.poll, 1)
      quiet = ok and delivered == 0 and quiet + 1 or 0
      if quiet == 3 then
        break
      end
    end
    assert.equal(3, quiet)
    healthy()
  end)
end)
