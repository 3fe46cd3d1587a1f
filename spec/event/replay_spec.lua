-- Replaying: recorded events told again, in this process and in others, on this engine and others.
local cjson = require("cjson")
local files = require("spec.support.files")
local heard = require("spec.support.heard")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local size = require("spec.support.size")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local write = files.write
local event = zigllms.event

describe("replay", function()
  local directory, path

  before_each(function()
    zigllms.reset()
    directory = stores.directory()
    path = directory .. "/events.jsonl"
  end)

  after_each(function()
    zigllms.reset()
    zigllms.configure({ batch = zigllms.null })
    stores.remove(directory)
  end)

  it("emits events again, in order, as they were and marked", function()
    local id = event.record("order.*")
    event.emit("order.paid", { total = 1 }, { priority = "high", correlation_id = "c" })
    event.emit("order.sent", { total = 2 })
    local before = event.filter("*")
    local list = heard("order.*")
    local ok, count = event.replay(id)
    assert.same({ true, 2 }, { ok, count })
    assert.equal(2, #list)
    for i, e in ipairs(list) do
      assert.is_true(e.replayed)
      e.replayed = nil
      assert.same(before[i], e)
    end
    assert.equal(2, #event.filter("*"), "replayed events are not recorded")
  end)

  it("reaches filters too, and those who subscribed since", function()
    local id = event.record("a")
    event.emit("a", 1)
    event.emit("a", 2)
    event.filter("a", function(e)
      return e.data ~= 1
    end)
    local list = heard("*")
    assert.same({ true, 2 }, { event.replay(id) })
    assert.equal(1, #list)
    assert.equal(2, list[1].data)
  end)

  it("gives events to a callback instead, those of a pattern, so many", function()
    local id = event.record()
    for i = 1, 5 do
      event.emit("a.x", i)
      event.emit("b.x", i)
    end
    local list, got = heard("*"), {}
    local function collect(e, ...)
      assert.is_nil((...))
      got[#got + 1] = e.data
    end
    local _, count = event.replay(id, { pattern = "a.*", limit = 3, callback = collect })
    assert.equal(3, count)
    assert.same({ 1, 2, 3 }, got)
    assert.equal(0, #list)
    assert.same({ true, 0 }, { event.replay(id, { limit = 0 }) })
  end)

  it("has handlers that may wait, emit, and change who hears what", function()
    local id = event.record("a")
    for i = 1, 3 do
      event.emit("a", i)
    end
    local order = {}
    local sub
    sub = event.subscribe("a", function(e)
      zigllms.sleep(1)
      order[#order + 1] = e.data
      event.emit("told", e.data)
      if e.data == 2 then
        event.unsubscribe(sub)
      end
    end)
    event.subscribe("told", function(e)
      order[#order + 1] = "told " .. e.data
    end)
    event.replay(id)
    assert.same({ 1, "told 1", 2, "told 2" }, order)
  end)

  it("does not go on for ever where handlers emit what is recorded", function()
    local id = event.record("*", { file = path })
    event.emit("a", 1)
    event.subscribe("*", function(e)
      if e.replayed then
        event.emit("again", 1)
      end
    end)
    assert.same({ true, 1 }, { event.replay(id) })
    local _, count = event.replay(path)
    assert.equal(2, count, "what is queued for the file comes first")
  end)

  it("keeps the pauses there were, faster or slower", function()
    local function line(at)
      return cjson.encode({ id = "e", type = "tick", timestamp = 1000 + at }) .. "\n"
    end
    write(path, line(0) .. line(0.1) .. line(0.3))
    local function took(speed)
      local moments = {}
      event.replay(path, {
        speed = speed,
        callback = function()
          moments[#moments + 1] = program.clock()
        end,
      })
      return moments[2] - moments[1], moments[3] - moments[1]
    end
    local first, both = took(1)
    assert.truthy(first >= 0.095 and first < 1, first)
    assert.truthy(both >= 0.295 and both < 3, both)
    first, both = took(10)
    assert.truthy(first >= 0.0095 and both >= 0.0295 and both < 0.3, both)
    assert.truthy(select(2, took(nil)) < 0.1)
  end)

  it("can be cancelled and has a limit in time", function()
    write(path, '{"type":"a","timestamp":1}\n{"type":"a","timestamp":1000}\n')
    local handle = event.replay(path, { speed = 1, async = true })
    zigllms.poll(20)
    assert.is_true(handle:cancel("enough"))
    raised("cancelled", handle.await, handle)
    local began = program.clock()
    local err = raised("timeout", event.replay, path, { speed = 1, timeout_ms = 50 })
    assert.equal("total", err.phase)
    assert.truthy(program.clock() - began < 1)
  end)

  it("has the three faces", function()
    local id = event.record()
    event.emit("a", 1)
    local results = { event.replay(id, { async = true }):await() }
    assert.same({ true, 1 }, results)
    assert.same({ true, 1 }, { event.replay(id, { async = false }) })
    local yielded = {}
    local co = coroutine.wrap(function()
      event.replay(id, {
        callback = function(e)
          coroutine.yield(e.data)
        end,
      })
      return "end"
    end)
    yielded[1], yielded[2] = co(), co()
    assert.same({ 1, "end" }, yielded)
  end)

  it("ends with the error of its callback", function()
    local id = event.record()
    event.emit("a", 1)
    event.emit("a", 2)
    local cause, calls = {}, 0
    local err = raised("callback_error", event.replay, id, {
      callback = function()
        calls = calls + 1
        error(cause)
      end,
    })
    assert.equal(cause, err.cause)
    assert.equal(1, calls)
    -- Handlers of events are isolated, as ever.
    event.subscribe("a", function()
      error(cause)
    end)
    assert.same({ true, 2 }, { event.replay(id) })
  end)

  it("hands on whatever its callback raises, and works on", function()
    local id = event.record()
    event.emit("a", 1)
    local userdata = io.stdout
    for _, cause in ipairs({ "text", { 1 }, userdata, 7, true }) do
      local err = raised("callback_error", event.replay, id, {
        callback = function()
          error(cause, 0)
        end,
      })
      assert.equal(cause, err.cause)
    end
    raised("callback_error", event.replay, id, {
      callback = function()
        error(nil)
      end,
    })
    local own = zigllms.error("auth", "mine")
    local err = raised("auth", event.replay, id, {
      callback = function()
        error(own)
      end,
    })
    assert.equal(own, err)
    assert.same({ true, 1 }, { event.replay(id) })
  end)

  it("may be stopped, cleared, nested and reset from inside", function()
    local id = event.record("a", { file = path })
    for i = 1, 3 do
      event.emit("a", i)
    end
    local got = {}
    local _, count = event.replay(id, {
      callback = function(e)
        got[#got + 1] = e.data
        event.unsubscribe(id)
        event.clear(nil, "all")
        collectgarbage()
      end,
    })
    assert.equal(3, count)
    assert.same({ 1, 2, 3 }, got)
    local inner
    event.replay(path, {
      limit = 1,
      callback = function()
        _, inner = event.replay(path, { callback = function() end })
      end,
    })
    assert.equal(3, inner)
    local calls = 0
    event.replay(path, {
      callback = function()
        calls = calls + 1
        zigllms.reset()
      end,
    })
    assert.equal(3, calls)
    assert.same({ true, 3 }, { event.replay(path) })
  end)

  it("that replays itself for ever ends at the limit of nested events", function()
    local id = event.record("a")
    event.emit("a", 1)
    local calls, errors = 0, 0
    event.subscribe("a", function()
      calls = calls + 1
      if not pcall(event.replay, id) then
        errors = errors + 1
      end
    end)
    event.replay(id)
    assert.truthy(calls >= 10 and calls <= 64, calls)
    assert.truthy(errors >= 1)
  end)

  it("passes over a last line that was not written to its end", function()
    local whole = '{"type":"a","data":1}\n{"type":"a","data":2}\n'
    for _, rest in ipairs({ "", "{", '{"type":"a","da', '{"type":"a","data":"x', "\n" }) do
      write(path, whole .. rest)
      assert.same({ true, 2 }, { event.replay(path, { callback = function() end }) }, rest)
    end
    write(path, whole .. '{"type":"a","data":3}')
    assert.same({ true, 3 }, { event.replay(path, { callback = function() end }) })
  end)

  it("gives events of other programs a type and a name, whichever they say", function()
    local file = assert(io.open(path, "w"))
    file:write('{"type":"a.b","data":1}\n{"name":"a.b","data":2}\n')
    file:close()
    local seen = {}
    event.subscribe("a.b", function(e)
      seen[#seen + 1] = e
    end)
    assert.same({ true, 2 }, { event.replay(path) })
    for i, e in ipairs(seen) do
      assert.equal("a.b", e.type)
      assert.equal("a.b", e.name)
      assert.equal(i, e.data)
    end
    assert.equal(2, #seen)
  end)

  it("says which line is no event", function()
    for _, broken in ipairs({ "{}", "[1]", '{"type":"a"', '{"type":7}', "text", '{"$":1}' }) do
      write(path, '{"type":"a"}\n' .. broken .. '\n{"type":"a"}\n')
      local told = 0
      local err = raised("parse_failed", event.replay, path, {
        callback = function()
          told = told + 1
        end,
      })
      assert.equal(2, err.details.line, broken)
      assert.matches("line 2", err.message)
      assert.matches("events.jsonl", err.message, 1, true)
    end
  end)

  it("says what is not there", function()
    assert.matches("rec_99", raised("not_found", event.replay, "rec_99").message)
    raised("not_found", event.replay, "nobody")
    local err = raised("io_error", event.replay, directory .. "/none.jsonl")
    assert.equal("not_found", err.details.reason)
    assert.equal("is_directory", raised("io_error", event.replay, directory).details.reason)
    raised("invalid_argument", event.replay, "a\0b")
    raised("invalid_argument", event.replay, path, { speed = 0 })
    raised("invalid_argument", event.replay, path, { pattern = "a*b.c" })
  end)

  it("reads a long file piece by piece", function()
    local count = size(200000, 20000)
    local file = assert(io.open(path, "wb"))
    local filler = ("x"):rep(300)
    for i = 1, count do
      file:write('{"type":"a","data":{"n":', i, ',"filler":"', filler, '"}}\n')
    end
    file:close()
    local last, before = 0, program.resident()
    local _, told = event.replay(path, {
      callback = function(e)
        assert(e.data.n == last + 1)
        last = e.data.n
      end,
    })
    assert.same({ count, count }, { told, last })
    if before then
      collectgarbage()
      assert.truthy(program.resident() - before < 30000, "KiB more than before")
    end
  end)
end)

-- What an event is as text, the same on every engine.
local SHOW = [[
  local function show(value)
    if type(value) == "table" then
      local keys = {}
      for key in pairs(value) do
        keys[#keys + 1] = tostring(key)
      end
      table.sort(keys)
      local words = {}
      for i, key in ipairs(keys) do
        local inner = value[key]
        if inner == nil then
          inner = value[tonumber(key)]
        end
        words[i] = key .. "=" .. show(inner)
      end
      return "{" .. table.concat(words, ",") .. "}"
    elseif type(value) == "number" then
      return ("%.14g"):format(value)
    elseif type(value) == "string" then
      return (value:gsub("[^%w%p ]", function(c) return ("<%d>"):format(c:byte()) end))
    end
    return tostring(value)
  end
]]

local WRITE = SHOW
  .. [[
  local zigllms = require("zigllms")
  zigllms.event.record("*", { file = arg[1] })
  zigllms.event.subscribe("*", function(e) print(show(e)) end)
  for i = 1, tonumber(arg[2]) do
    zigllms.event.emit("order.n" .. i % 3, {
      i = i, half = i / 2, text = "ä\0\255" .. i, list = { i, { deep = true } },
      [("k"):rep(i % 5)] = i,
    }, { priority = i % 2 == 0 and "high" or "low", tags = { "t" .. i } })
  end
]]

local READ = SHOW
  .. [[
  local zigllms = require("zigllms")
  zigllms.event.subscribe("*", function(e)
    assert(e.replayed)
    e.replayed = nil
    print(show(e))
  end)
  zigllms.event.replay(arg[1])
]]

describe("A file", function()
  local ENGINES = { { "lua5.4", "5.4" }, { "luajit", "jit" } }

  -- The module's build for another engine lies beside the one for this.
  local function other(engine)
    local cpath = package.cpath:gsub("/5%.4/%?%.so", "/%%%%/?.so"):gsub("/jit/%?%.so", "/%%%%/?.so")
    return (cpath:gsub("%%%%", engine[2]))
  end

  local function run(engine, chunk, path)
    local name = os.tmpname()
    write(name, chunk)
    local words = ("%s %s %s %d"):format(engine[1], name, path, size(2000, 300))
    local result = program.shell(words, { LUA_CPATH = other(engine) })
    os.remove(name)
    return result
  end

  local function is_there(engine)
    local command = engine[1] .. " -e 'require(\"zigllms\")'"
    if program.shell(command, { LUA_CPATH = other(engine) }).rc ~= 0 then
      print("SKIP: no module for " .. engine[1])
      return false
    end
    return true
  end

  for _, writer in ipairs(ENGINES) do
    for _, reader in ipairs(ENGINES) do
      it(("of %s is the same sequence in %s"):format(writer[1], reader[1]), function()
        if not (is_there(writer) and is_there(reader)) then
          return
        end
        local path = os.tmpname()
        local wrote = run(writer, WRITE, path)
        assert.equal("", wrote.err)
        local read = run(reader, READ, path)
        os.remove(path)
        assert.equal("", read.err)
        assert.truthy(#wrote.out > 1000)
        assert.equal(wrote.out, read.out)
      end)
    end
  end
end)
