-- Recording: what is kept, for how long, and where.
local cjson = require("cjson")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local event = zigllms.event

local function names(events)
  local list = {}
  for i, e in ipairs(events) do
    list[i] = e.name
  end
  return list
end

local function lines(path)
  local list = {}
  for line in io.lines(path) do
    list[#list + 1] = line
  end
  return list
end

describe("A recorder", function()
  local directory, path

  before_each(function()
    zigllms.reset()
    directory = stores.directory()
    path = directory .. "/events.jsonl"
  end)

  after_each(function()
    zigllms.reset()
    zigllms.configure({ batch = zigllms.null, store = zigllms.null })
    stores.remove(directory)
  end)

  it("keeps copies of what happens from then on", function()
    event.emit("order.early")
    local id = event.record("order.*")
    assert.matches("^rec_%d+$", id)
    local data = { total = 12, items = { { id = "a" } } }
    event.emit("order.paid", data, { priority = "high", source = "shop", tags = { "x" } })
    data.total = 13
    event.emit("user.came")
    local found = event.filter({ recorder = id })
    assert.same({ "order.paid" }, names(found))
    local e = found[1]
    assert.equal(12, e.data.total)
    assert.equal("a", e.data.items[1].id)
    assert.same(
      { "order.paid", "user", "high", "shop" },
      { e.type, e.category, e.priority, e.source }
    )
    assert.equal("x", e.tags[1])
    assert.is_number(e.timestamp)
    assert.is_string(e.id)
    assert.is_nil(e.replayed)
  end)

  it("hears of everything unless told", function()
    event.record()
    event.emit("a")
    event.emit("b.c")
    assert.same({ "a", "b.c" }, names(event.filter("*")))
  end)

  it("comes behind filters and before handlers, and counts as no handler", function()
    event.filter("order.*", function(e)
      return e.data ~= "secret" and { seen = e.data }
    end)
    event.record()
    event.subscribe("order.*", function(e)
      e.data.seen = "changed"
    end)
    event.emit("order.paid", "secret")
    local _, delivered = event.emit("order.paid", "open")
    assert.equal(1, delivered)
    local found = event.filter("*")
    assert.equal(1, #found)
    assert.equal("open", found[1].data.seen)
  end)

  it("keeps the latest of more than max_events", function()
    local id = event.record("*", { max_events = 3 })
    for i = 1, 10 do
      event.emit("n", i)
    end
    local found = event.filter({ recorder = id })
    assert.same({ 8, 9, 10 }, { found[1].data, found[2].data, found[3].data })
  end)

  it("stops when its time is over, also as a bare number", function()
    for _, options in ipairs({ 30, { duration_ms = 30 } }) do
      local id = event.record("*", options)
      event.emit("in.time")
      zigllms.sleep(60)
      event.emit("too.late")
      assert.same({ "in.time" }, names(event.filter({ recorder = id })))
      assert.is_false(event.unsubscribe(id))
    end
  end)

  it("stops by unsubscribe, and what it has stays until clear", function()
    local id = event.record()
    event.emit("a")
    assert.is_true(event.unsubscribe(id))
    assert.is_false(event.unsubscribe(id))
    event.emit("b")
    assert.same({ "a" }, names(event.filter({ recorder = id })))
    event.clear()
    raised("not_found", event.filter, { recorder = id })
  end)

  it("is found by a name, and by none that two have", function()
    event.record("a", { name = "mine" })
    event.emit("a")
    assert.equal(1, #event.filter({ recorder = "mine" }))
    event.record("a", { name = "mine" })
    local err = raised("invalid_argument", event.filter, { recorder = "mine" })
    assert.matches("2 recorders", err.message)
    assert.is_true(event.unsubscribe("rec_1") or true)
  end)

  it("keeps strings of any bytes, numbers of both kinds and marks", function()
    local odd =
      { bytes = "\0\255\r\n", n = 1, f = 1.5, none = zigllms.null, list = zigllms.array({}) }
    odd["\254"] = true
    event.record("*", { file = path })
    event.emit("odd", odd)
    local function check(e)
      assert.equal("\0\255\r\n", e.data.bytes)
      assert.equal(1.5, e.data.f)
      assert.is_true(e.data["\254"])
      assert.equal(zigllms.null, e.data.none)
      assert.equal("array", getmetatable(e.data.list).__jsontype)
      if math.type then -- luacheck: ignore
        assert.equal("integer", math.type(e.data.n)) -- luacheck: ignore
      end
    end
    check(event.filter("odd")[1])
    event.replay(path, { callback = check })
    assert.equal("odd", cjson.decode(lines(path)[1]).type)
  end)

  it("leaves out what is no data, says so, and disturbs nobody", function()
    local id = event.record("job.*")
    local errors, got = {}, {}
    event.subscribe("system.handler_error", function(e)
      errors[#errors + 1] = e.data
    end)
    event.subscribe("job.*", function(e)
      got[#got + 1] = e.data
    end)
    local loop = {}
    loop.loop = loop
    local data = { n = 1, fn = print, deep = { co = coroutine.create(print), x = 2 }, nan = 0 / 0 }
    data.loop, data.file = loop, io.stdout
    local ok, delivered = event.emit("job.done", data)
    assert.same({ true, 1 }, { ok, delivered })
    assert.equal(data, got[1])
    local e = event.filter({ recorder = id })[1]
    assert.equal(1, e.data.n)
    assert.equal(2, e.data.deep.x)
    assert.is_nil(e.data.fn)
    assert.same({}, e.data.loop)
    table.sort(e.unrecorded)
    assert.same(
      { "data.deep.co", "data.file", "data.fn", "data.loop.loop", "data.nan" },
      e.unrecorded
    )
    assert.equal(1, #errors)
    assert.equal("conversion_error", errors[1].error.code)
    assert.equal("job.done", errors[1].event.type)
  end)

  it("that hears of errors of handlers ends at the first", function()
    event.record()
    event.emit("job.done", { fn = print })
    local found = names(event.filter("*"))
    table.sort(found)
    assert.same({ "job.done", "system.handler_error" }, found)
  end)

  it("keeps what nested emits tell in their order", function()
    event.record()
    event.subscribe("outer", function()
      event.emit("inner")
    end)
    event.emit("outer")
    event.emit("after")
    assert.same({ "outer", "inner", "after" }, names(event.filter("*")))
  end)

  it("is an instance's own", function()
    local other = zigllms.new()
    local id = event.record()
    other.event.emit("theirs")
    event.emit("ours")
    assert.same({ "ours" }, names(event.filter("*")))
    raised("not_found", other.event.filter, { recorder = id })
  end)

  it("goes with reset, and ids are not used again", function()
    local id = event.record()
    zigllms.reset()
    raised("not_found", event.filter, { recorder = id })
    assert.not_equal(id, event.record())
  end)

  it("refuses what makes no sense", function()
    local star = raised("invalid_argument", event.record, "a*b.c")
    assert.truthy(star.message:find("argument #1: pattern: ", 1, true), star.message)
    raised("invalid_argument", event.record, "*", 0)
    raised("invalid_argument", event.record, "*", { max_events = 0 })
    local err = raised("invalid_argument", event.record, "*", { max = 1 })
    assert.matches("max_events", err.message)
    assert.equal(0, #event.filter("*"))
  end)
end)

describe("A file of a recorder", function()
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

  it("gets an event a line, and is its owner's", function()
    local id = event.record("*", { file = path })
    for i = 1, 250 do
      event.emit("n", { i = i, text = "a\nb" })
    end
    event.unsubscribe(id)
    local all = lines(path)
    assert.equal(250, #all)
    for i, line in ipairs(all) do
      assert.equal(i, cjson.decode(line).data.i)
    end
    assert.equal("600", program.shell("stat -c %a " .. path).out:match("%d+"))
  end)

  it("is written by flush, which counts, and by itself after a while", function()
    event.record("*", { file = path })
    zigllms.configure({ batch = { timeout_ms = 3600000 } })
    for i = 1, 7 do
      event.emit("n", i)
    end
    assert.equal(0, #lines(path))
    assert.equal(7, zigllms.flush())
    assert.equal(7, #lines(path))
    zigllms.configure({ batch = { timeout_ms = 5 } })
    event.emit("n", 8)
    local began = program.clock()
    while #lines(path) < 8 and program.clock() - began < 5 do -- luacheck: ignore
    end
    assert.equal(8, #lines(path))
  end)

  it("is written when a batch is full", function()
    zigllms.configure({ batch = { timeout_ms = 3600000, max_batch_size = 10 } })
    event.record("*", { file = path })
    for i = 1, 10 do
      event.emit("n", i)
    end
    local began = program.clock()
    while #lines(path) < 10 and program.clock() - began < 5 do -- luacheck: ignore
    end
    assert.equal(10, #lines(path))
  end)

  it("has each line at once where nothing is put off", function()
    zigllms.configure({ batch = { enabled = false } })
    event.record("*", { file = path })
    for i = 1, 5 do
      event.emit("n", i)
      assert.equal(i, #lines(path))
    end
  end)

  it("shows in the metrics, also when it is no longer written to", function()
    zigllms.metrics({ reset = true })
    zigllms.configure({ batch = { timeout_ms = 3600000, max_batch_size = 1000 } })
    local first, second = event.record("*", { file = path }), event.record("*", { file = path })
    for i = 1, 10 do
      event.emit("n", i)
    end
    assert.equal(20, zigllms.metrics().batch.queued)
    zigllms.flush()
    local batch = zigllms.metrics().batch
    assert.same(
      { 0, 1, 20, 1 },
      { batch.queued, batch.batches, batch.calls, batch.flush_reasons.manual }
    )
    event.unsubscribe(first)
    event.unsubscribe(second)
    assert.equal(20, zigllms.metrics({ reset = true }).batch.calls)
    assert.equal(0, zigllms.metrics().batch.calls)
  end)

  it("is shared by recorders, which lose no line", function()
    event.record("a.*", { file = path })
    local other = zigllms.new()
    other.event.record("*", { file = directory .. "/./events.jsonl" })
    for i = 1, 200 do
      event.emit("a.n", i)
      other.event.emit("b.n", i)
    end
    zigllms.flush()
    other.flush()
    local count = { ["a.n"] = 0, ["b.n"] = 0 }
    for _, line in ipairs(lines(path)) do
      local e = cjson.decode(line)
      count[e.type] = count[e.type] + 1
      assert.equal(count[e.type], e.data)
    end
    assert.same({ ["a.n"] = 200, ["b.n"] = 200 }, count)
  end)

  it("is shared by processes, whose lines stay whole", function()
    local processes = require("spec.support.processes")
    local chunk = [[
      zigllms.event.record("*", { file = "PATH" })
      for i = 1, 500 do
        zigllms.event.emit("n", { me = me, i = i, filler = ("x"):rep(i % 50 * 40) })
      end
    ]]
    processes(4, "memory", (chunk:gsub("PATH", path)))
    local last = { 0, 0, 0, 0 }
    for _, line in ipairs(lines(path)) do
      local data = cjson.decode(line).data
      assert.equal(last[data.me] + 1, data.i)
      last[data.me] = data.i
    end
    assert.same({ 500, 500, 500, 500 }, last)
  end)

  it("loses nothing at the end of a program, however it ends", function()
    for i, ending in ipairs({ "", "os.exit(0)", "error('over')", "os.exit(0, true)" }) do
      local file = directory .. "/" .. i
      program.run([[
          local zigllms = require("zigllms")
          zigllms.configure({ batch = { timeout_ms = 3600000 } })
          zigllms.event.record("*", { file = arg[1] })
          for i = 1, 50 do
            zigllms.event.emit("n", i)
          end
        ]] .. ending, { args = { file } })
      assert.equal(50, #lines(file), ending)
    end
  end)

  it("is not written to twice after a fork", function()
    if not (jit or pcall(require, "posix.unistd")) then
      print("SKIP: neither ffi nor luaposix is there to fork")
      return
    end
    local result = program.run(
      [[
        local fork, wait
        if jit then
          local ffi = require("ffi")
          ffi.cdef("int fork(void); int waitpid(int pid, int *status, int options);")
          fork, wait = ffi.C.fork, function(pid) ffi.C.waitpid(pid, nil, 0) end
        else
          fork, wait = require("posix.unistd").fork, require("posix.sys.wait").wait
        end
        local zigllms = require("zigllms")
        zigllms.configure({ batch = { timeout_ms = 3600000 } })
        zigllms.event.record("*", { file = arg[1] })
        zigllms.event.emit("parent", 1)
        local child = fork()
        if child == 0 then
          zigllms.event.emit("child", 1)
          os.exit(0)
        end
        wait(child)
        zigllms.event.emit("parent", 2)
      ]],
      { args = { path } }
    )
    assert.equal("", result.err)
    local found = {}
    for _, line in ipairs(lines(path)) do
      local e = cjson.decode(line)
      found[#found + 1] = e.type .. e.data
    end
    table.sort(found)
    assert.same({ "child1", "parent1", "parent2" }, found)
  end)

  it("leaves no thread when it is no longer written to", function()
    local function threads()
      local tasks = io.open("/proc/self/status")
      local count = tasks and tasks:read("*a"):match("Threads:%s*(%d+)")
      if tasks then
        tasks:close()
      end
      return tonumber(count)
    end
    local before = threads()
    if not before then
      print("SKIP: threads cannot be counted here")
      return
    end
    for _ = 1, 20 do
      local id = event.record("n", { file = path })
      event.emit("n", 1)
      event.unsubscribe(id)
    end
    local limit = program.clock() + 5
    while threads() > before + 2 and program.clock() < limit do
      zigllms.sleep(5)
    end
    assert.is_true(threads() <= before + 2, threads() .. " threads, " .. before .. " before")
  end)

  it("that cannot be opened is an error of record", function()
    local err = raised("io_error", event.record, "*", { file = directory .. "/none/x" })
    assert.equal("not_found", err.details.reason)
    assert.matches("none/x", err.message, 1, true)
    assert.equal(
      "is_directory",
      raised("io_error", event.record, "*", { file = directory }).details.reason
    )
    assert.equal(
      "not_a_file",
      raised("io_error", event.record, "*", { file = "/dev/null" }).details.reason
    )
    raised("invalid_argument", event.record, "*", { file = "a\0b" })
    event.emit("n")
    assert.equal(0, #event.filter("*"))
  end)

  it("that cannot be written is told by flush, and is written once it can", function()
    event.record("*", { file = path })
    os.remove(path)
    assert(os.execute("mkdir " .. path))
    local told
    event.subscribe("system.batch_error", function(e)
      told = e.data.error
    end)
    event.emit("n", 1)
    local began = program.clock()
    while not told and program.clock() - began < 5 do
      zigllms.sleep(10)
    end
    assert.equal("is_directory", told.details.reason)
    assert.equal("is_directory", raised("io_error", zigllms.flush).details.reason)
    os.remove(path)
    assert.truthy(zigllms.flush() >= 1)
    assert.equal("n", cjson.decode(lines(path)[1]).type)
  end)

  it("that was moved away has a successor", function()
    event.record("*", { file = path })
    event.emit("n", 1)
    zigllms.flush()
    os.rename(path, path .. ".1")
    event.emit("n", 2)
    zigllms.flush()
    assert.equal(1, cjson.decode(lines(path .. ".1")[1]).data)
    assert.equal(2, cjson.decode(lines(path)[1]).data)
  end)
end)

for _, kind in ipairs(stores.all()) do
  describe("A recorder with a store " .. kind.name, function()
    local store

    before_each(function()
      zigllms.reset()
      store = kind.open()
      zigllms.configure({ store = store })
    end)

    after_each(function()
      event.clear(nil, "all")
      zigllms.reset()
      zigllms.configure({ store = zigllms.null, batch = zigllms.null })
      if kind.name == "in a file" then
        kind.close()
      end
    end)

    teardown(function()
      if kind.name ~= "in a file" then
        kind.close()
      end
    end)

    it("keeps events there, and the latest of them", function()
      local id = event.record("a.*", { store = true, name = "log", max_events = 5 })
      for i = 1, 8 do
        event.emit("a.n", { i = i, bytes = "\255" })
        event.emit("b.n", i)
      end
      local found = event.filter({ recorder = id })
      assert.equal(5, #found)
      assert.same({ 4, 8, "\255" }, { found[1].data.i, found[5].data.i, found[5].data.bytes })
      assert.equal(5, #event.filter("a.*"))
      assert.equal(0, #event.filter("b.*"))
      event.unsubscribe(id)
      event.emit("a.n", { i = 9 })
      assert.equal(8, event.filter({ recorder = "log" })[5].data.i)
    end)

    it("answers in each way to wait", function()
      local id = event.record("*", { store = true, async = true }):await()
      event.emit("a", 1)
      assert.equal(1, event.filter({ recorder = id, async = true }):await()[1].data)
      assert.equal(1, event.filter({ recorder = id, async = false })[1].data)
      local co = coroutine.wrap(function()
        return event.replay(id, { callback = function() end })
      end)
      assert.is_true((co()))
    end)

    it("forgets what it is told to", function()
      event.record("*", { store = true, name = "log" })
      for i = 1, 3 do
        event.emit("a", i)
        event.emit("b", i)
      end
      local ok, count = event.clear("a")
      assert.same({ true, 3 }, { ok, count })
      assert.same({ "b", "b", "b" }, names(event.filter("*")))
    end)

    if kind.name ~= "in the process" then
      it("is found by other processes, which add to it", function()
        local processes = require("spec.support.processes")
        event.record("*", { store = true, name = "log" })
        event.emit("first", 1)
        zigllms.flush()
        local said = processes(
          1,
          store,
          [[
            print(#zigllms.event.filter({ recorder = "log" }), #zigllms.event.filter("*"))
            zigllms.event.replay("log", { callback = function(e) print(e.type, e.replayed) end })
            zigllms.event.record("*", { store = true, name = "log" })
            zigllms.event.emit("second", 2)
            print(#zigllms.event.filter("*"))
          ]]
        )
        assert.same({ "1\t0", "first\ttrue", "2" }, said)
        assert.same({ "first", "second" }, names(event.filter({ recorder = "log" })))
        assert.same({ "first", "second" }, names(event.filter("*")))
        raised("not_found", event.filter, { recorder = "none" })
      end)

      it("goes on in another store, or in the process", function()
        event.record("*", { store = true, name = "log" })
        event.emit("stored")
        zigllms.configure({ store = zigllms.null })
        event.emit("here")
        assert.same({ "here" }, names(event.filter("*")))
        zigllms.configure({ store = store })
        event.emit("again")
        local found = names(event.filter("*"))
        assert.same({ "stored", "here", "again" }, found)
      end)

      it("is written at once where nothing is put off", function()
        zigllms.configure({ batch = { enabled = false, timeout_ms = 3600000 } })
        event.record("*", { store = true, name = "log" })
        event.emit("a")
        local processes = require("spec.support.processes")
        assert.same(
          { "1" },
          processes(1, store, [[print(#zigllms.event.filter({ recorder = "log" }))]])
        )
      end)
    end
  end)
end
