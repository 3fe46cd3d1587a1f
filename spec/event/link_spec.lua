-- Events across processes, through a real Redis.
local lfs = require("lfs")
local zigllms = require("zigllms")
local peers = require("spec.support.peer")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local redis = require("spec.support.redis")
local size = require("spec.support.size")

local event = zigllms.event
local clock = program.clock

describe("a bridge without a Redis store", function()
  it("says what to configure", function()
    zigllms.configure({ store = zigllms.null })
    local err = raised("unsupported", event.bridge, { patterns = "job.*", stream = "jobs" })
    assert.truthy(err.message:find('configure{store="redis://', 1, true), err.message)
  end)
end)

local server = redis.for_specs()
if not server then
  return
end

-- Waits until `is()`, delivering events.
local function await(is, seconds)
  local late = clock() + (seconds or 20)
  while not is() and clock() < late do
    zigllms.poll(20)
  end
  return is()
end

local function await_count(list, count, seconds)
  await(function()
    return #list >= count
  end, seconds)
  return #list
end

local function remote_events(module, pattern)
  local got = {}
  module.event.subscribe(pattern or "*", function(e)
    if e.remote then
      got[#got + 1] = e
    end
  end)
  return got
end

-- How many entries a folder has, read by this process: a program started for it would see its own.
local function count(folder)
  local n = 0
  for _ in lfs.dir(folder) do
    n = n + 1
  end
  return n
end

-- Descriptors and threads of this process.
local function usage()
  return { count("/proc/self/fd"), count("/proc/self/task") }
end

-- What this process has open once that has stayed the same for a while: a thread lets go of its
-- connection before it has ended itself, and what other specs left may still be ending.
local function settled()
  collectgarbage()
  local now, same = usage(), 0
  await(function()
    local last = now
    now = usage()
    same = last[1] == now[1] and last[2] == now[2] and same + 1 or 0
    return same == 15
  end)
  return now
end

local instances = {}

-- What a second Lua state of this process would be.
local function another(url)
  local module = zigllms.new({ store = url or server.url })
  instances[#instances + 1] = module
  return module
end

local function end_all()
  zigllms.reset()
  while instances[1] do
    table.remove(instances).reset()
  end
end

describe("a bridge", function()
  local open = {}

  before_each(function()
    zigllms.reset()
    server:command("FLUSHALL")
    zigllms.configure({ store = server.url })
  end)

  after_each(function()
    while open[1] do
      table.remove(open):stop()
    end
    end_all()
  end)

  teardown(function()
    zigllms.configure({ store = zigllms.null })
    server:stop()
  end)

  local function peer(...)
    open[#open + 1] = peers.start(server.url, ...)
    return open[#open]
  end

  local function exchange(other)
    local got = remote_events(zigllms, "job.*")
    other:ask('event.bridge({ patterns = "job.*", stream = "jobs" })')
    local id = event.bridge({ patterns = { "job.*", "other" }, stream = "jobs" })
    assert.truthy(id:match("^bridge_%d+$"))
    event.emit("job.new", {
      bytes = "\0\1\255 \r\n",
      list = { 1, 2.5, false, { {} } },
      null = zigllms.null,
      integer = 2 ^ 40,
    }, {
      priority = "high",
      category = "system",
      source = "spec",
      tags = { "a", "b" },
      metadata = { k = { 1 } },
      correlation_id = "c1",
    })
    event.emit("not.this", 1)
    event.emit("job.text", "plain")
    event.emit("other", "not meant there")
    event.emit("job.last")
    other:ask("return await(function() return #got >= 3 end)")
    local answer = other:ask([[
      local e, d = got[1], got[1].data
      return table.concat({ #got, e.id, e.type, e.name, e.category, e.priority, e.source,
        e.correlation_id, e.tags[2], e.metadata.k[1], tostring(e.remote), #e.origin,
        tostring(d.bytes == "\0\1\255 \r\n"), #d.list, d.list[2], tostring(d.null == zigllms.null),
        tostring(d.integer == 2 ^ 40), got[2].data, tostring(got[3].data),
        tostring(math.abs(e.timestamp - os.time()) < 60) }, " ")
    ]])
    local id1 = answer:match("^3 (evt_%d+) ")
    assert.truthy(id1, answer)
    assert.equal(
      "job.new job.new system high spec c1 b 1 true 32 true 4 2.5 true true plain nil true",
      answer:sub(4 + #id1)
    )
    other:ask('event.emit("job.done", { by = "peer" })')
    assert.equal(1, await_count(got, 1))
    assert.equal("peer", got[1].data.by)
    assert.equal("job.done", got[1].type)
    assert.is_true(got[1].remote)
  end

  it("carries events both ways, with everything about them", function()
    exchange(peer())
  end)

  it("carries events between engines", function()
    local interpreter, cpath = peers.other_engine()
    if not interpreter then
      return print("\nSKIP events between engines: the other engine has no module here")
    end
    exchange(peer(interpreter, cpath))
  end)

  it("keeps the order of each publisher, and gives nobody its own events", function()
    local total = size(20000, 2000)
    local a, b = peer(), peer()
    local got, own = remote_events(zigllms), 0
    event.subscribe("n", function(e)
      own = own + (e.remote and 0 or 1)
    end)
    event.bridge({ patterns = "n", stream = "s" })
    for _, other in ipairs({ a, b }) do
      other:ask('event.bridge({ patterns = "n", stream = "s" })')
    end
    for _, other in ipairs({ a, b }) do
      other:begin(("for i = 1, %d do event.emit('n', i) end return zigllms.flush()"):format(total))
    end
    for i = 1, total do
      event.emit("n", i)
    end
    assert.equal(2 * total, await_count(got, 2 * total, 60))
    local last, origins = {}, 0
    for _, e in ipairs(got) do
      origins = origins + (last[e.origin] and 0 or 1)
      assert.equal((last[e.origin] or 0) + 1, e.data)
      last[e.origin] = e.data
    end
    assert.equal(2, origins)
    assert.equal(total, own)
    for _, other in ipairs({ a, b }) do
      other:answer()
      local seen = "return await(function() return #got >= %d end, 60) and #got"
      assert.equal(tostring(2 * total), other:ask(seen:format(2 * total)))
    end
  end)

  it("shares the events of a stream among the members of a group", function()
    local total = size(5000, 500)
    local workers = { another(), another(), another() }
    local seen, shares = {}, {}
    for i, worker in ipairs(workers) do
      shares[i] = 0
      worker.event.subscribe("job", function(e)
        seen[e.data] = (seen[e.data] or 0) + 1
        shares[i] = shares[i] + 1
      end)
      worker.event.bridge({ patterns = "job", stream = "s", group = "workers" })
    end
    event.bridge({ patterns = "job", stream = "s", direction = "out" })
    local sum = 0
    for i = 1, total do
      event.emit("job", i)
    end
    await(function()
      sum = 0
      for i, worker in ipairs(workers) do
        worker.poll(5)
        sum = sum + shares[i]
      end
      return sum >= total
    end)
    assert.equal(total, sum)
    for i = 1, total do
      assert.equal(1, seen[i])
    end
    assert.is_true(await(function()
      for _, worker in ipairs(workers) do
        worker.poll(1)
      end
      return server:command("XPENDING", "zigllms:s:s", "workers")[1] == 0
    end))
  end)

  it("gives a member the next event when it has handled the one before", function()
    local busy, idle = another(), another()
    local started, got = {}, remote_events(idle)
    busy.event.subscribe("job", function(e)
      started[#started + 1] = e.data
      busy.sleep(60000)
    end)
    busy.event.bridge({ patterns = "job", stream = "s", group = "g" })
    event.bridge({ patterns = "job", stream = "s", direction = "out" })
    event.emit("job", 0)
    await(function()
      busy.poll(5)
      return #started > 0
    end)
    idle.event.bridge({ patterns = "job", stream = "s", group = "g" })
    for i = 1, 50 do
      event.emit("job", i)
    end
    await(function()
      busy.poll(1)
      idle.poll(5)
      return #got == 50
    end)
    assert.same({ 0 }, started)
    assert.equal(50, #got)
  end)

  it("gives what a member emits to the others of its group", function()
    local other = another()
    local got, own = remote_events(other), remote_events(zigllms)
    other.event.bridge({ patterns = "job", stream = "s", group = "g" })
    event.bridge({ patterns = "job", stream = "s", group = "g" })
    local seen, total = {}, 200
    for i = 1, total do
      event.emit("job", i)
    end
    await(function()
      other.poll(5)
      return #got >= total
    end)
    for _, e in ipairs(got) do
      seen[e.data] = true
    end
    assert.equal(total, #seen)
    assert.equal(0, #own)
  end)

  -- A member writes down what it handles before it acknowledges it.
  local function member(path, claim_ms)
    local worker = peer()
    worker:ask(([[
      log = io.open(%q, "a")
      event.subscribe("job", function(e)
        log:write(e.origin, " ", e.id, " ", e.data, "\n")
        log:flush()
        zigllms.sleep(1)
      end)
      event.bridge({ patterns = "job", stream = "s", group = "g", claim_ms = %d, prefetch = 20 })
    ]]):format(path, claim_ms))
    return worker
  end

  it("loses nothing when a member is killed in the middle", function()
    local total, path = 2000, os.tmpname()
    local first, second = member(path, 300), member(path, 300)
    event.bridge({ patterns = "job", stream = "s", direction = "out" })
    for i = 1, total do
      event.emit("job", i)
    end
    zigllms.flush()
    local endless = "return await(function() return false end, %g)"
    first:begin(endless:format(60))
    second:begin(endless:format(0.3))
    second:answer()
    first:kill()
    local unfinished = server:command("XPENDING", "zigllms:s:s", "g")[1]
    assert.is_true(unfinished > 0)
    local third = member(path, 300)
    local seen, distinct, lines, unfinished_now
    local late = clock() + 60
    repeat
      second:begin(endless:format(0.3))
      third:ask(endless:format(0.3))
      second:answer()
      seen, distinct, lines = {}, 0, 0
      for origin, id, n in io.open(path):read("*a"):gmatch("(%x+) (evt_%d+) (%d+)\n") do
        lines = lines + 1
        distinct = distinct + (seen[n] and 0 or 1)
        assert.equal(seen[n] or origin .. id, origin .. id) -- a duplicate has the same id
        seen[n] = origin .. id
      end
      unfinished_now = server:command("XPENDING", "zigllms:s:s", "g")[1]
    until distinct == total and unfinished_now == 0 or clock() > late
    os.remove(path)
    assert.same({ total, 0 }, { distinct, unfinished_now })
    local text = "\n%d events, %d unfinished when a member was killed, %d deliveries"
    print(text:format(total, unfinished, lines))
  end)

  it("replays by position, from a group's start, and a stream forgets beyond max_len", function()
    event.bridge({ patterns = "n", stream = "s", max_len = 100 })
    for i = 1, 1000 do
      event.emit("n", i)
    end
    zigllms.flush()
    local kept = server:command("XLEN", "zigllms:s:s")
    assert.is_true(kept >= 100 and kept < 400, tostring(kept))
    local late, from, now, group = another(), another(), another(), another()
    local all, rest = remote_events(late), remote_events(from)
    local none, shared = remote_events(now), remote_events(group)
    late.event.bridge({ patterns = "n", stream = "s", since = "0" })
    local tenth = server:command("XREVRANGE", "zigllms:s:s", "+", "-", "COUNT", 11)[11][1]
    from.event.bridge({ patterns = "n", stream = "s", since = tenth })
    now.event.bridge({ patterns = "n", stream = "s" })
    group.event.bridge({ patterns = "n", stream = "s", group = "late", since = "0" })
    await(function()
      now.poll(1)
      from.poll(1)
      group.poll(1)
      late.poll(1)
      return #all == kept and #rest == 10 and #shared == kept
    end)
    assert.same({ kept, 10, 0, kept }, { #all, #rest, #none, #shared })
    assert.same({ 1000 - kept + 1, 1000, 991 }, { all[1].data, all[kept].data, rest[1].data })
    local again = another()
    local last = remote_events(again)
    again.event.bridge({ patterns = "n", stream = "s", since = all[kept - 5].position })
    await(function()
      again.poll(5)
      return #last == 5
    end)
    assert.same({ 5, 996 }, { #last, last[1].data })
  end)

  it("ends with its threads, connections and descriptors", function()
    if not lfs.attributes("/proc/self/task") then
      return pending("what a process has open is told by Linux's /proc only")
    end
    event.emit("warm up")
    local function clients()
      local list = server:command("CLIENT", "LIST")
      return select(2, list:gsub("\n", "\n"))
    end
    local before = settled()
    local ids = {}
    for i = 1, 10 do
      ids[i] = event.bridge({ patterns = "a", stream = "s" .. i, group = i > 5 and "g" or nil })
    end
    event.emit("a", 1)
    zigllms.flush()
    assert.is_true(clients() >= 21)
    local during = usage()
    assert.is_true(during[1] >= before[1] + 20, "descriptors " .. during[1] - before[1])
    assert.is_true(during[2] >= before[2] + 10, "threads " .. during[2] - before[2])
    for _, id_of in ipairs(ids) do
      assert.is_true(event.unsubscribe(id_of))
      assert.is_false(event.unsubscribe(id_of))
    end
    local ok, ended = pcall(event.emit, "a", 2)
    assert.is_true(ok and ended)
    assert.is_true(await(function()
      return clients() == 1
    end, 5))
    assert.same(before, settled())
    for i = 6, 10 do
      for _, entry in ipairs(server:command("XINFO", "CONSUMERS", "zigllms:s:s" .. i, "g")) do
        assert.equal("back", entry[2]) -- has what was emitted, for members to come
      end
    end
    assert.equal(1, server:command("XLEN", "zigllms:s:s1"))
  end)

  it("may be ended by who hears of an event, and reset ends all", function()
    local other, heard = another(), 0
    local id = other.event.bridge({ patterns = "a", stream = "s", group = "g" })
    other.event.subscribe("a", function()
      heard = heard + 1
      other.event.unsubscribe(id)
    end)
    event.bridge({ patterns = "a", stream = "s" })
    event.emit("a", 1)
    event.emit("a", 2)
    await(function()
      other.poll(5)
      return heard > 0
    end)
    other.poll(100)
    assert.equal(1, heard)
    -- The second one waits for another member.
    local heir = another()
    local got = remote_events(heir)
    heir.event.bridge({ patterns = "a", stream = "s", group = "g" })
    await(function()
      heir.poll(5)
      return #got > 0
    end)
    assert.equal(2, got[1].data)
    local mine = event.bridge({ patterns = "a", stream = "s" })
    zigllms.reset()
    assert.is_false(event.unsubscribe(mine))
  end)

  it("is no unfinished work, and delivers while other things are waited for", function()
    local other = another()
    local got = remote_events(zigllms)
    event.bridge({ patterns = "a", stream = "s" })
    other.event.bridge({ patterns = "a", stream = "s" })
    local began = clock()
    zigllms.run(function() end)
    zigllms.run()
    assert.is_true(clock() - began < 1)
    other.event.emit("a", 1)
    zigllms.sleep(500)
    assert.equal(1, #got)
  end)

  it("is opened in every face of a call", function()
    local handle = event.bridge({ patterns = "a", stream = "s", async = true })
    local first = handle:await()
    local second = zigllms
      .spawn(function()
        return event.bridge({ patterns = "a", stream = "s" })
      end)
      :await()
    local third = coroutine.wrap(function()
      return event.bridge({ patterns = "a", stream = "s", async = false })
    end)()
    for _, id in ipairs({ first, second, third }) do
      assert.truthy(id:match("^bridge_%d+$"))
    end
    local cancelled = event.bridge({ patterns = "a", stream = "s", async = true })
    cancelled:cancel()
    zigllms.poll(50)
    local id, err = zigllms.safe.await(cancelled)
    assert.is_true(id ~= nil or err.code == "cancelled")
    local got = remote_events(zigllms)
    local other = another()
    other.event.bridge({ patterns = "a", stream = "s" })
    other.event.emit("a", 1)
    assert.is_true(await_count(got, 3) >= 3)
  end)

  it("publishes an event once where several bridges of a stream mean it", function()
    event.bridge({ patterns = "a.*", stream = "s" })
    event.bridge({ patterns = { "a.*", "a.b" }, stream = "s" })
    event.bridge({ patterns = "a.*", stream = "t" })
    event.emit("a.b", 1)
    zigllms.flush()
    assert.equal(1, server:command("XLEN", "zigllms:s:s"))
    assert.equal(1, server:command("XLEN", "zigllms:s:t"))
  end)

  it("does not publish again what came from elsewhere", function()
    local other = another()
    other.event.bridge({ patterns = "a", stream = "s" })
    other.event.bridge({ patterns = "a", stream = "t" })
    local got = remote_events(other)
    event.bridge({ patterns = "a", stream = "s" })
    event.emit("a", 1)
    await(function()
      other.poll(5)
      return #got > 0
    end)
    other.flush()
    assert.equal(0, server:command("EXISTS", "zigllms:s:t"))
  end)

  it("only publishes or only delivers if told to", function()
    local out, inward = another(), another()
    out.event.bridge({ patterns = "a", stream = "s", direction = "out" })
    inward.event.bridge({ patterns = "a", stream = "s", direction = "in" })
    local heard_out, heard_in = remote_events(out), remote_events(inward)
    inward.event.emit("a", "never leaves")
    out.event.emit("a", 1)
    await(function()
      inward.poll(5)
      out.poll(1)
      return #heard_in > 0
    end)
    inward.flush()
    assert.equal(1, server:command("XLEN", "zigllms:s:s"))
    assert.same({ 0, 1 }, { #heard_out, #heard_in })
  end)

  it("reports events that are no plain data, and publishes the others", function()
    local errors = {}
    event.subscribe("system.handler_error", function(e)
      errors[#errors + 1] = e.data.error
    end)
    event.bridge({ patterns = "a", stream = "s" })
    event.emit("a", { deep = { fn = print } })
    event.emit("a", 1)
    zigllms.flush()
    assert.equal(1, #errors)
    assert.equal("conversion_error", errors[1].code)
    assert.truthy(errors[1].message:find("data.deep.fn", 1, true), errors[1].message)
    assert.equal(1, server:command("XLEN", "zigllms:s:s"))
  end)

  it("carries errors in events of operations, whatever caused them", function()
    local other = another()
    local got = remote_events(other)
    other.event.bridge({ patterns = "tool.*", stream = "s" })
    event.bridge({ patterns = "tool.*", stream = "s" })
    zigllms.tool.register({
      name = "fails",
      description = "fails",
      execute = function()
        error({ what = print })
      end,
    })
    raised("tool_error", zigllms.tool.execute, "fails", {})
    await(function()
      other.poll(5)
      return #got >= 2
    end)
    assert.equal("tool.failed", got[#got].type)
    assert.equal("tool_error", got[#got].data.error.code)
  end)

  it("carries on when a subscriber of what arrives fails or waits", function()
    local other = another()
    local got, errors = {}, 0
    other.event.subscribe("system.handler_error", function()
      errors = errors + 1
    end)
    other.event.subscribe("a", function(e)
      if e.data == 1 then
        error("boom")
      end
      other.sleep(5)
      got[#got + 1] = e.data
    end)
    other.event.bridge({ patterns = "a", stream = "s" })
    event.bridge({ patterns = "a", stream = "s" })
    for i = 1, 3 do
      event.emit("a", i)
    end
    await(function()
      other.poll(5)
      return #got == 2
    end)
    assert.same({ 2, 3 }, got)
    assert.equal(1, errors)
  end)

  it("refuses what cannot be meant", function()
    local good = { patterns = "a", stream = "s" }
    for name, case in pairs({
      ["options.patterns: expected a pattern"] = { patterns = zigllms.null },
      ["options.patterns: expected at least one"] = { patterns = {} },
      ["options.patterns[2]: "] = { patterns = { "a", "b*c" } },
      ["options.stream: expected a non-empty string, got nil"] = { stream = zigllms.null },
      ["options.stream: expected a non-empty string"] = { stream = "" },
      ["options.stream: expected at most 512 bytes"] = { stream = ("x"):rep(600) },
      ["options.since: expected"] = { since = "yesterday" },
      ["options.direction: expected one of"] = { direction = "up" },
      ["options.max_len: expected"] = { max_len = -1 },
      ["options.claim_ms: expected"] = { claim_ms = 1 },
      ["options.prefetch: expected"] = { prefetch = 0 },
      ['did you mean "group"'] = { grop = "x" },
    }) do
      local options = {}
      for key, value in pairs(good) do
        options[key] = value
      end
      for key, value in pairs(case) do
        options[key] = value
      end
      local err = raised("invalid_argument", event.bridge, options)
      assert.truthy(err.message:find(name, 1, true), err.message)
    end
    assert.is_true(event.unsubscribe(event.bridge(good)))
  end)

  it("is a type error of the key where something else lies", function()
    server:command("SET", "zigllms:s:taken", "x")
    local err = raised("io_error", event.bridge, { patterns = "a", stream = "taken" })
    assert.equal("foreign", err.details.reason)
  end)

  describe("at the end of a process", function()
    local EMIT = [[
      local zigllms = require("zigllms")
      zigllms.configure({ store = arg[1] })
      zigllms.event.bridge({ patterns = "a", stream = "s" })
      zigllms.event.bridge({ patterns = "a", stream = "s", group = "g" })
      for i = 1, 1000 do zigllms.event.emit("a", i) end
    ]]

    for way, ending in pairs({
      ["the Lua state closes"] = "",
      ["os.exit"] = "os.exit(0)",
      ["os.exit that closes"] = "os.exit(0, true)",
    }) do
      it("what was emitted has left: " .. way, function()
        local result = program.run(EMIT .. ending, { args = { server.url } })
        assert.same({ 0, "", "" }, { result.rc, result.out, result.err })
        assert.equal(1000, server:command("XLEN", "zigllms:s:s"))
        assert.is_true(result.ms < 20000)
      end)
    end

    it("a server that is away does not hold it up", function()
      local away = assert(redis.start())
      local chunk = EMIT:gsub("for i", 'os.execute("kill -9 " .. arg[2]) for i')
      local pid = away:command("INFO", "server"):match("process_id:(%d+)")
      local result = program.run(chunk, { args = { away.url, pid } })
      away:stop()
      assert.same({ 0, "", "" }, { result.rc, result.out, result.err })
      assert.is_true(result.ms < 20000)
    end)
  end)

  it("a forked child has its own, and its parent goes on", function()
    if not pcall(require, "posix.unistd") then
      return print("\nSKIP a fork with a bridge: there is no luaposix")
    end
    local listener = peer()
    listener:ask('event.bridge({ patterns = "*", stream = "s" })')
    local result = program.run(
      [[
      local unistd, wait = require("posix.unistd"), require("posix.sys.wait").wait
      local zigllms = require("zigllms")
      zigllms.configure({ store = arg[1] })
      local got, who = {}, "parent"
      zigllms.event.subscribe("*", function(e)
        if e.remote then got[#got + 1] = e.type end
      end)
      zigllms.event.bridge({ patterns = "*", stream = "s" })
      zigllms.event.emit("before.fork")
      zigllms.flush()
      local function await(name)
        for _ = 1, 500 do
          for _, seen in ipairs(got) do
            if seen == name then return end
          end
          zigllms.poll(20)
        end
        error(who .. " did not hear of " .. name .. ", but of " .. table.concat(got, " "))
      end
      local pid = unistd.fork()
      if pid == 0 then
        who = "child"
        local ok, err = pcall(function()
          -- It hears what comes once its own reader is connected.
          for _ = 1, 50 do
            zigllms.poll(20)
          end
          zigllms.event.emit("of.child")
          zigllms.flush()
          await("of.parent")
        end)
        io.stderr:write(ok and "" or tostring(err))
        io.stderr:flush()
        unistd._exit(ok and 0 or 1)
      end
      await("of.child")
      zigllms.event.emit("of.parent")
      zigllms.flush()
      assert(select(3, wait(pid)) == 0)
    ]],
      { args = { server.url } }
    )
    assert.same({ 0, "" }, { result.rc, result.err })
    listener:ask("return await(function() return #got >= 3 end)")
    local names = listener:ask([[
      local names = {}
      for i, e in ipairs(got) do names[i] = e.type end
      table.sort(names)
      return table.concat(names, " ")
    ]])
    assert.equal("before.fork of.child of.parent", names)
  end)
end)

describe("a bridge whose server goes away", function()
  local persistent = redis.for_specs({ "--appendonly", "yes", "--appendfsync", "always" })
  if not persistent then
    return
  end

  before_each(function()
    zigllms.reset()
    zigllms.configure({ store = persistent.url })
  end)

  after_each(end_all)

  teardown(function()
    zigllms.configure({ store = zigllms.null })
    persistent:stop()
  end)

  it("goes on where it was when that is back", function()
    local other, members = another(persistent.url), {}
    local seen, group_seen, troubles = {}, {}, {}
    other.event.subscribe("n", function(e)
      if e.remote then
        seen[e.data] = (seen[e.data] or 0) + 1
      end
    end)
    other.event.bridge({ patterns = "n", stream = "s" })
    for i = 1, 2 do
      members[i] = another(persistent.url)
      members[i].event.subscribe("n", function(e)
        group_seen[e.data] = true
      end)
      members[i].event.bridge({ patterns = "n", stream = "s", group = "g", claim_ms = 500 })
    end
    event.subscribe("system.batch_error", function(e)
      troubles[#troubles + 1] = e.data
    end)
    event.bridge({ patterns = "n", stream = "s" })
    local function deliver()
      zigllms.poll(1)
      other.poll(1)
      members[1].poll(1)
      members[2].poll(1)
    end
    local total = 600
    for i = 1, total do
      event.emit("n", i)
      if i % 10 == 0 then
        deliver()
      end
      if i == 200 then
        persistent:kill()
      elseif i == 400 then
        raised("io_error", zigllms.flush)
        persistent:start_again()
      end
    end
    zigllms.flush()
    await(function()
      deliver()
      return #seen == total and #group_seen == total
    end, 30)
    assert.equal(total, #seen)
    assert.equal(total, #group_seen)
    assert.equal(1, #troubles)
    assert.equal("io_error", troubles[1].error.code)
    assert.equal(0, troubles[1].lost)
  end)

  it("keeps the newest of what is too much, and says how many it has lost", function()
    local lost, total = 0, 150
    event.subscribe("system.batch_error", function(e)
      lost = lost + e.data.lost
    end)
    local id = event.bridge({ patterns = "big", stream = "big" })
    persistent:kill()
    zigllms.sleep(500)
    local text = ("x"):rep(1048576)
    for i = 1, total do
      event.emit("big", i .. text)
    end
    await(function()
      return lost > 0
    end, 10)
    persistent:start_again()
    zigllms.flush()
    local kept = persistent:command("XLEN", "zigllms:s:big")
    assert.is_true(lost >= 80 and lost < total, tostring(lost))
    assert.is_true(kept >= total - lost, kept .. " kept, lost " .. lost)
    event.unsubscribe(id)
  end)

  it("is an error at its start, which shows no password", function()
    local port = persistent.port
    persistent:kill()
    zigllms.configure({ store = ("redis://me:open-sesame@127.0.0.1:%d/0"):format(port) })
    local err = raised("io_error", event.bridge, { patterns = "a", stream = "s" })
    assert.equal("connect", err.details.reason)
    assert.is_nil(tostring(err):find("sesame", 1, true))
    zigllms.run()
    persistent:start_again()
    local refused = raised("io_error", event.bridge, { patterns = "a", stream = "s" })
    assert.equal("auth", refused.details.reason)
    assert.is_nil(tostring(refused):find("sesame", 1, true))
  end)
end)
