-- Memory in a snapshot file, and persisted into a store: all of it comes back, exactly, or nothing.
local zigllms = require("zigllms")
local files = require("spec.support.files")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local size = require("spec.support.size")
local stores = require("spec.support.stores")

local read, write = files.read, files.write
local memory = zigllms.memory

-- Names in a directory, also hidden ones.
local function names(directory)
  local pipe = assert(io.popen("ls -A " .. program.quoted(directory)))
  local all = {}
  for name in pipe:lines() do
    all[#all + 1] = name
  end
  pipe:close()
  return table.concat(all, " ")
end

local function mode(path)
  return (program.shell("stat -c %a " .. program.quoted(path)).out:gsub("%s", ""))
end

local function reason(err)
  return err.details and err.details.reason
end

describe("A snapshot of memory", function()
  local directory, path

  before_each(function()
    zigllms.reset()
    zigllms.configure({ store = zigllms.null, session = "here" })
    memory.clear()
    directory = stores.directory()
    path = directory .. "/memory.json"
  end)

  after_each(function()
    zigllms.configure({ store = zigllms.null, session = zigllms.null })
    memory.clear()
    zigllms.reset()
    stores.remove(directory)
  end)

  it("brings back every entry with all that goes with it", function()
    memory.store("plain", { n = 1, list = { 1, 2, { "x" } } }, { type = "long_term" })
    memory.store("of a session", true, { scope = "session" })
    memory.store("of another", 1, { session = "there" })
    memory.store("of an agent", "ada's", { agent = "ada" })
    memory.store("kept", "p", { type = "persistent", tags = { "a", "ä" }, metadata = { by = 1 } })
    memory.store("near", "v", { type = "long_term", embedding = { 1, 0.5 }, ttl = 60 })
    local before = memory.list_keys(nil, { scope = "all" })
    local ok, count = memory.persist(path)
    assert.same({ true, 6 }, { ok, count })
    memory.clear()
    ok, count = memory.load(path)
    assert.same({ true, 6 }, { ok, count })
    assert.same(before, memory.list_keys(nil, { scope = "all" }))
    assert.same({ n = 1, list = { 1, 2, { "x" } } }, memory.retrieve("plain"))
    assert.is_true(memory.retrieve("of a session", { scope = "session" }))
    assert.equal(1, memory.retrieve("of another", { session = "there" }))
    assert.equal("ada's", memory.retrieve("of an agent", { agent = "ada" }))
    local value, about = memory.retrieve("kept")
    assert.equal("p", value)
    assert.same({ tags = { "a", "ä" }, metadata = { by = 1 } }, about)
    assert.truthy(read(path):find('"embedding":{"$f32":"AACAPwAAAD8="}', 1, true))
  end)

  it("keeps values exactly: any bytes, kinds of numbers, kinds of empty tables", function()
    local all = {}
    for byte = 0, 255 do
      all[byte + 1] = string.char(byte)
    end
    local bytes = table.concat(all)
    memory.store(bytes, { [bytes] = bytes, ["$bytes"] = "no tag", ["$"] = { ["$object"] = 1 } })
    memory.store("tag", { ["$bytes"] = "aGk=" })
    memory.store("tables", { {}, zigllms.array({}), zigllms.object({}) })
    memory.store("null", { zigllms.null })
    memory.store("numbers", { 1, 1.5, -0.0, 1e300, 2 ^ 53, -(2 ^ 53), 5e-324 })
    memory.persist(path)
    memory.clear()
    memory.load(path)
    local value = memory.retrieve(bytes)
    assert.equal(bytes, value[bytes])
    assert.equal("no tag", value["$bytes"])
    assert.equal(1, value["$"]["$object"])
    assert.same({ ["$bytes"] = "aGk=" }, memory.retrieve("tag"))
    assert.same({ zigllms.null }, memory.retrieve("null"))
    local tables = memory.retrieve("tables")
    local marks = {}
    for i = 1, 3 do
      local mark = getmetatable(tables[i])
      marks[i] = mark and mark.__jsontype or "none"
    end
    memory.store("tables", { {}, zigllms.array({}), zigllms.object({}) })
    local direct = memory.retrieve("tables")
    for i = 1, 3 do
      local mark = getmetatable(direct[i])
      assert.equal(mark and mark.__jsontype or "none", marks[i])
    end
    assert.equal("array", marks[2])
    local numbers = memory.retrieve("numbers")
    assert.same({ 1, 1.5, 0, 1e300, 2 ^ 53, -(2 ^ 53), 5e-324 }, numbers)
    assert.equal(-math.huge, 1 / numbers[3])
    if math.type then
      memory.store("kinds", { 1, 1.0, math.maxinteger, math.mininteger })
      memory.persist(path)
      memory.load(path)
      local kinds = memory.retrieve("kinds")
      assert.same({ "integer", "float", "integer", "integer" }, {
        math.type(kinds[1]),
        math.type(kinds[2]),
        math.type(kinds[3]),
        math.type(kinds[4]),
      })
      assert.same({ 1, 1.0, math.maxinteger, math.mininteger }, kinds)
    end
  end)

  it("takes part of memory, and gives part of it back", function()
    memory.store("short", 1)
    memory.store("long", 1, { type = "long_term" })
    memory.store("mine", 1, { scope = "session" })
    local function persisted(options)
      return select(2, memory.persist(path, options))
    end
    assert.equal(2, persisted({ types = { "short_term" } }))
    assert.equal(1, persisted({ types = { "Long_Term" } }))
    assert.equal(1, persisted({ scope = "session" }))
    assert.equal(0, persisted({ types = { "conversation" } }))
    assert.equal(3, persisted())
    memory.clear()
    assert.equal(1, select(2, memory.load(path, { types = { "long_term" } })))
    assert.same({ "long" }, memory.list_keys())
    raised("invalid_argument", memory.persist, path, { types = { "eternal" } })
    raised("invalid_argument", memory.load, path, { scopes = "session" })
    raised("invalid_argument", memory.persist, "")
    raised("invalid_argument", memory.persist, "a\0b")
  end)

  it("is a place where persistent entries are safe", function()
    memory.store("a", 1, { type = "persistent" })
    memory.store("b", 1, { type = "persistent", scope = "session" })
    memory.persist(path, { scope = "session" })
    assert.equal(2, memory.get_stats().dirty)
    memory.persist(path)
    assert.equal(0, memory.get_stats().dirty)
    memory.store("b", 2, { type = "persistent", scope = "session" })
    assert.equal(1, memory.get_stats().dirty)
  end)

  it("goes over what is there, or takes its place", function()
    memory.store("a", "saved")
    memory.store("b", "saved", { type = "long_term" })
    memory.persist(path)
    memory.store("a", "newer")
    memory.store("c", "newer")
    memory.store("d", "newer", { scope = "session" })
    memory.load(path)
    assert.equal("saved", memory.retrieve("a"))
    assert.equal("newer", memory.retrieve("c"))
    memory.load(path, { replace = true, scope = "global" })
    assert.same({ "a", "b" }, memory.list_keys())
    assert.equal("newer", memory.retrieve("d", { scope = "session" }))
    memory.load(path, { replace = true })
    assert.is_nil(memory.retrieve("d", { scope = "session" }))
  end)

  it("leaves out what is over by then", function()
    memory.store("brief", 1, { ttl_ms = 30 })
    memory.store("lasting", 1, { ttl = 60 })
    local expires_at = memory.list_keys("lasting", { detail = true })[1].expires_at
    memory.persist(path)
    memory.clear()
    zigllms.sleep(40)
    assert.equal(1, select(2, memory.load(path)))
    assert.equal(expires_at, memory.list_keys("lasting", { detail = true })[1].expires_at)
  end)

  it("is written by the module's own thread, while others run", function()
    memory.store("big", ("x"):rep(size(50e6, 5e6)))
    local turns = 0
    local handle = memory.persist(path, { async = true })
    zigllms.spawn(function()
      while not handle:done() do
        turns = turns + 1
        zigllms.sleep(1)
      end
    end)
    assert.is_true(handle:await())
    assert.truthy(turns > 0)
    memory.clear()
    memory.load(path)
    assert.equal(size(50e6, 5e6), #memory.retrieve("big"))
  end)

  it("is its owner's alone, and replaces a link instead of following it", function()
    local elsewhere = directory .. "/elsewhere"
    write(elsewhere, "mine")
    os.execute(("ln -s %s %s"):format(elsewhere, path))
    memory.persist(path)
    assert.equal("mine", read(elsewhere))
    assert.equal("600", mode(path))
    os.remove(elsewhere)
    write(path, "wide open")
    os.execute("chmod 666 " .. path)
    memory.persist(path)
    assert.equal("600", mode(path))
    assert.equal("memory.json", names(directory))
  end)

  it("says why it cannot be written or read, and changes nothing", function()
    memory.store("a", 1)
    local function refused(why, call, where)
      assert.equal(why, reason(raised("io_error", call, where)))
    end
    refused("not_found", memory.load, path)
    refused("not_found", memory.persist, directory .. "/none/memory.json")
    refused("is_directory", memory.persist, directory)
    refused("is_directory", memory.load, directory)
    refused("not_a_directory", memory.load, "/dev/null/x")
    refused("not_a_file", memory.load, "/dev/zero")
    refused("bad_name", memory.persist, directory .. "/" .. ("x"):rep(300))
    os.execute("mkfifo " .. path)
    refused("not_a_file", memory.load, path)
    assert.equal("memory.json", names(directory))
    assert.equal(1, memory.retrieve("a"))
    raised("invalid_state", memory.persist)
    raised("invalid_state", memory.load)
  end)

  it("refuses other documents, and those of a newer version", function()
    local function refused(code, text)
      write(path, text)
      return raised(code, memory.load, path)
    end
    local err = refused("parse_failed", '{"format":"zigllms-memory",\n"version":1,')
    assert.same({ 2, 13 }, { err.details.line, err.details.column })
    err = refused("parse_failed", '{"name":"somebody else"}')
    assert.truthy(err.message:find('expected the format "zigllms-memory"', 1, true))
    refused("parse_failed", "[]")
    refused("parse_failed", "")
    refused("unsupported", '{"format":"zigllms-memory","version":2,"entries":[]}')
    local head = '{"format":"zigllms-memory","version":1,'
    err = refused("parse_failed", head .. '"entries":[{"key":"a","value":1},{"key":"b"}]}')
    assert.truthy(err.message:find("entries[2]: expected a `value`", 1, true))
    err =
      refused("parse_failed", head .. '"conversations":[{"agent":"a","messages":[{"role":1}]}]}')
    assert.truthy(err.message:find("messages[1].role", 1, true))
    assert.same({}, memory.list_keys(nil, { scope = "all" }))
    write(path, head .. '"entries":[{"key":"by hand","value":{"list":[1,2]}}]}')
    memory.load(path)
    assert.same({ list = { 1, 2 } }, memory.retrieve("by hand"))
  end)

  it("shows all damage: every truncation, and every byte changed", function()
    for i = 1, size(20, 3) do
      memory.store("key" .. i, { text = ("word %d "):format(i):rep(5), n = i, bytes = "\255" .. i })
    end
    memory.persist(path)
    local text = read(path)
    memory.clear()
    memory.store("own", "intact")
    local function refused(damaged, what)
      write(path, damaged)
      local ok, err = pcall(memory.load, path)
      assert.is_false(ok, what)
      local clear = err.code == "parse_failed" or err.code == "unsupported"
      assert.truthy(clear or reason(err) == "corrupt", what .. ": " .. tostring(err))
    end
    local step = size(1, 7)
    for at = 0, #text - 1, step do
      refused(text:sub(1, at), "cut behind byte " .. at)
    end
    for at = 1, #text, step do
      local byte = (text:byte(at) + 1 + at % 254) % 256
      refused(text:sub(1, at - 1) .. string.char(byte) .. text:sub(at + 1), "byte " .. at)
    end
    assert.same({ "own" }, memory.list_keys(nil))
    assert.equal("intact", memory.retrieve("own"))
    write(path, text)
    memory.load(path)
    assert.equal(1, memory.retrieve("key1").n)
  end)

  it("also holds what lies in the store, and gives it back to a store", function()
    zigllms.configure({ store = directory .. "/a.db" })
    memory.store("stored", { 1 }, { type = "persistent", tags = { "t" } })
    memory.store("short", 1)
    zigllms.flush()
    assert.equal(2, select(2, memory.persist(path)))
    zigllms.configure({ store = directory .. "/b.db" })
    memory.clear()
    memory.store("other", 1, { type = "persistent" })
    assert.equal(2, select(2, memory.load(path)))
    assert.same({ "other", "short", "stored" }, memory.list_keys())
    local about = memory.list_keys("stored", { detail = true })[1]
    assert.same({ "persistent", { "t" } }, { about.type, about.tags })
    assert.equal(0, (zigllms.flush()))
    zigllms.configure({ store = zigllms.null })
    assert.is_nil(memory.retrieve("stored"))
    zigllms.configure({ store = directory .. "/b.db" })
    assert.same({ 1 }, memory.retrieve("stored"))
    memory.load(path, { replace = true, types = { "persistent" } })
    assert.same({ "short", "stored" }, memory.list_keys())
  end)
end)

describe("A snapshot that goes from one engine to the other", function()
  -- Values that come from a seed, and what they look like: the same text on every engine.
  local CHUNK = [==[
    local zigllms = require("zigllms")
    local memory = zigllms.memory
    local what, path, seed, count = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
    local function random(n)
      seed = (seed * 16807) % 2147483647
      return seed % n
    end
    local function bytes()
      local all = {}
      for i = 1, random(12) do all[i] = string.char(random(256)) end
      return table.concat(all)
    end
    local function value(depth)
      local kind = random(depth > 3 and 6 or 9)
      if kind == 0 then return random(2) == 0
      elseif kind == 1 then return random(2147483647) - 1000000
      elseif kind == 2 then return (random(1000000) - 500000) / 2 ^ random(40) + 0.25
      elseif kind == 3 then return bytes()
      elseif kind == 4 then return random(2) == 0 and {} or zigllms.array({})
      elseif kind == 5 then return zigllms.null
      elseif kind == 6 then
        local list = {}
        for i = 1, 1 + random(4) do list[i] = value(depth + 1) end
        return list
      end
      local map = {}
      for _ = 1, random(5) do map["k" .. (random(9) == 0 and "" or bytes())] = value(depth + 1) end
      if random(6) == 0 then map = { [({ "$bytes", "$object", "$" })[1 + random(3)]] = bytes() } end
      return map
    end
    local function hex(text)
      return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end
    local function show(v)
      if type(v) == "string" then return "s" .. hex(v) end
      if type(v) == "number" then
        local whole = math.floor(v)
        return ("n%.0f:%.0f"):format(whole, (v - whole) * 2 ^ 42)
      end
      if type(v) ~= "table" then return v == zigllms.null and "null" or tostring(v) end
      local parts = {}
      if #v > 0 then
        for i = 1, #v do parts[i] = show(v[i]) end
        return "[" .. table.concat(parts, ",") .. "]"
      end
      for k, x in pairs(v) do parts[#parts + 1] = show(k) .. "=" .. show(x) end
      table.sort(parts)
      local mark = getmetatable(v)
      local array = mark and mark.__jsontype == "array"
      return array and "[]" or "{" .. table.concat(parts, ",") .. "}"
    end
    local shown = {}
    local plain = {}
    for i = 1, count do plain[i] = value(0) end
    if what == "write" then
      for i = 1, count do
        if plain[i] ~= zigllms.null then
          memory.store("k" .. i, plain[i], { tags = { "t" .. i } })
        end
      end
      memory.persist(path)
    else
      memory.load(path)
    end
    for i = 1, count do
      if plain[i] ~= zigllms.null then
        local found, about = memory.retrieve("k" .. i)
        shown[#shown + 1] = show(found) .. " " .. about.tags[1]
        assert(show(plain[i]) == show(found), "value " .. i)
      end
    end
    if what == "again" then memory.persist(path) end
    print(table.concat(shown, "\n"))
  ]==]

  local ENGINES = { { "lua5.4", "5.4" }, { "luajit", "jit" } }

  -- The module's build for another engine lies beside the one for this.
  local function other(engine)
    local cpath = package.cpath:gsub("/5%.4/%?%.so", "/%%%%/?.so"):gsub("/jit/%?%.so", "/%%%%/?.so")
    return (cpath:gsub("%%%%", engine[2]))
  end

  local function run(engine, ...)
    local chunk = os.tmpname()
    write(chunk, CHUNK)
    local words = { engine[1], chunk }
    for _, word in ipairs({ ... }) do
      words[#words + 1] = program.quoted(tostring(word))
    end
    local result = program.shell(table.concat(words, " "), { LUA_CPATH = other(engine) })
    os.remove(chunk)
    return result
  end

  it("holds the same values there, and when it comes back", function()
    for _, engine in ipairs(ENGINES) do
      local probe =
        program.shell(engine[1] .. " -e 'require(\"zigllms\")'", { LUA_CPATH = other(engine) })
      if probe.rc ~= 0 then
        print("\nskipped: no module for " .. engine[1])
        return
      end
    end
    local directory = stores.directory()
    local path = directory .. "/memory.json"
    for seed = 1, size(30, 3) do
      for first = 1, 2 do
        local a, b = ENGINES[first], ENGINES[3 - first]
        local count = size(200, 40)
        local written = run(a, "write", path, seed, count)
        assert.equal(0, written.rc, written.err)
        local there = run(b, "again", path, seed, count)
        assert.equal(0, there.rc, there.err)
        local back = run(a, "read", path, seed, count)
        assert.equal(0, back.rc, back.err)
        assert.equal(written.out, there.out)
        assert.equal(written.out, back.out)
      end
    end
    -- Integers that LuaJIT has no numbers for are the nearest float there, and exact again here.
    write(
      path,
      '{"format":"zigllms-memory","version":1,"entries":[{"key":"n","value":9007199254740993}]}'
    )
    local chunk = [[
      local memory = require("zigllms").memory
      memory.load(arg[1])
      print(("%.0f"):format(memory.retrieve("n")))
      memory.persist(arg[1])
    ]]
    write(directory .. "/n.lua", chunk)
    local line = directory .. "/n.lua " .. path
    local jit = program.shell("luajit " .. line, { LUA_CPATH = other(ENGINES[2]) })
    assert.equal("9007199254740992\n", jit.out, jit.err)
    assert.truthy(read(path):find('"value":9007199254740993', 1, true))
    stores.remove(directory)
  end)
end)

describe("A snapshot that is interrupted", function()
  local directory, path

  before_each(function()
    directory = stores.directory()
    path = directory .. "/memory.json"
  end)

  after_each(function()
    stores.remove(directory)
  end)

  local WRITER = [[
    local memory = require("zigllms").memory
    memory.store("generation", tonumber(arg[2]))
    memory.store("filler", ("x"):rep(20000))
    memory.persist(arg[1])
    print("persisted")
  ]]

  local function generation()
    memory.clear()
    memory.load(path)
    assert.equal(20000, #memory.retrieve("filler"))
    return memory.retrieve("generation")
  end

  -- System calls by which a file is replaced.
  local CALLS =
    { "openat", "flock", "fchmod", "write", "fsync", "renameat,renameat2,rename", "close" }

  -- Under strace; `what` happens at the k-th of these calls on the file or its directory.
  local function interrupted(calls, what, k, number)
    local command = "strace -f -o /dev/null -P %s -P %s -P %s -e trace=%s -e inject=%s:%s:when=%d"
    local under =
      command:format(directory, path, directory .. "/.memory.json.0.tmp", calls, calls, what, k)
    return program.run(WRITER, { under = under, args = { path, number } })
  end

  local function has_strace()
    local tried = program.shell("strace -f -o /dev/null true")
    if tried.rc ~= 0 then
      print("\nskipped: strace does not run here: " .. tried.err)
    end
    return tried.rc == 0
  end

  it("by a kill at any system call is the old one or the new one", function()
    if not has_strace() then
      return
    end
    assert.equal(0, program.run(WRITER, { args = { path, 0 } }).rc)
    local last, kills = 0, 0
    for _, calls in ipairs(CALLS) do
      for k = 1, size(50, 4) do
        local number = last + 1
        local result = interrupted(calls, "signal=SIGKILL", k, number)
        local now = generation()
        if result.out:find("persisted") then
          assert.equal(number, now)
          last = number
          break
        end
        kills = kills + 1
        assert.truthy(now == last or now == number, ("%s %d: %s"):format(calls, k, tostring(now)))
        last = now
      end
    end
    assert.truthy(kills >= #CALLS, "killed only " .. kills .. " times")
    -- What a killed writer left beside it is cleared away by the next.
    assert.equal("persisted\n", program.run(WRITER, { args = { path, last } }).out)
    assert.equal("memory.json", names(directory))
  end)

  it("by an error of the system is the old one, and nothing lies beside it", function()
    if not has_strace() then
      return
    end
    assert.equal(0, program.run(WRITER, { args = { path, 0 } }).rc)
    local faults = {
      { "write", "ENOSPC", "full" },
      { "write", "EIO", "io" },
      { "fsync", "EIO", "io" },
      { "fchmod", "EPERM", "denied" },
      { "renameat,renameat2,rename", "EROFS", "readonly" },
      { "openat", "EMFILE", "io" },
    }
    for i, fault in ipairs(faults) do
      local result = interrupted(fault[1], "error=" .. fault[2], 1, i)
      assert.truthy(result.err:find("[io_error]", 1, true), fault[1] .. ": " .. result.err)
      assert.equal(0, generation())
      assert.equal("memory.json", names(directory))
    end
    assert.equal("persisted\n", program.run(WRITER, { args = { path, 7 } }).out)
    assert.equal(7, generation())
  end)

  it("by a full disk is the old one, and is written once there is room", function()
    local disk = directory .. "/disk"
    os.execute("mkdir " .. disk)
    local mounted = program.shell("mount -t tmpfs -o size=64k tmpfs " .. disk)
    if mounted.rc ~= 0 then
      print("\nskipped: no disk can be made here: " .. mounted.err)
      return
    end
    path = disk .. "/memory.json"
    finally(function()
      program.shell("umount " .. disk)
    end)
    memory.clear()
    memory.store("a", 1)
    memory.persist(path)
    memory.store("big", ("x"):rep(100000))
    local err = raised("io_error", memory.persist, path)
    assert.equal("full", reason(err))
    assert.equal("memory.json", names(disk))
    memory.delete("big")
    memory.load(path, { replace = true })
    assert.equal(1, memory.retrieve("a"))
    memory.store("a", 2)
    memory.persist(path)
    memory.load(path)
    assert.equal(2, memory.retrieve("a"))
    memory.clear()
  end)
end)

for _, store in ipairs(stores.shared()) do
  describe("Memory persisted into a store " .. store.name, function()
    local url

    setup(function()
      url = store.open()
    end)

    teardown(store.close)

    before_each(function()
      zigllms.reset()
      zigllms.configure({ store = url, session = "here" })
      memory.clear()
    end)

    after_each(function()
      memory.clear()
      zigllms.configure({ store = zigllms.null, session = zigllms.null })
      memory.clear()
      zigllms.reset()
    end)

    -- What another process sees of it.
    local function elsewhere(chunk)
      local result = program.run(
        'local zigllms = require("zigllms") local memory = zigllms.memory\n'
          .. 'zigllms.configure({ store = arg[1], session = "here" })\n'
          .. chunk,
        { args = { url } }
      )
      assert.equal(0, result.rc, result.err)
      return result.out
    end

    it("comes back in another process, with types and life", function()
      memory.store("short", { 1, "\255" })
      memory.store("long", 1.5, { type = "long_term", ttl = 60, tags = { "t" } })
      memory.store("mine", true, { scope = "session" })
      memory.store("ada's", 1, { agent = "ada" })
      memory.store("kept", 1, { type = "persistent" })
      local ok, count = memory.persist()
      assert.same({ true, 4 }, { ok, count })
      local out = elsewhere([[
        assert(memory.retrieve("short") == nil, "it is nobody else's memory")
        assert(#memory.list_keys(nil, { scope = "all" }) == 1)
        local ok, count = memory.load()
        assert(ok and count == 4)
        assert(memory.retrieve("short")[2] == "\255")
        assert(memory.retrieve("mine", { scope = "session" }) == true)
        assert(memory.retrieve("ada's", { agent = "ada" }) == 1)
        local long = memory.list_keys("long", { detail = true })[1]
        print(long.type, long.tags[1], long.expires_at ~= nil, memory.retrieve("kept"))
      ]])
      assert.equal("long_term\tt\ttrue\t1\n", out)
    end)

    it("takes the place of what was persisted before", function()
      memory.store("a", 1)
      memory.store("b", 1, { type = "long_term" })
      memory.persist()
      memory.clear({ type = "short_term" })
      memory.store("b", 2)
      memory.persist()
      memory.clear()
      assert.equal(1, select(2, memory.load()))
      assert.equal(2, memory.retrieve("b"))
      assert.is_nil(memory.retrieve("a"))
      memory.store("c", 1, { type = "long_term" })
      memory.persist(nil, { types = { "long_term" } })
      memory.clear()
      assert.equal(2, select(2, memory.load()))
      assert.same({ "b", "c" }, memory.list_keys())
    end)

    it("does not go over what has since become persistent", function()
      memory.store("a", "old")
      memory.persist()
      memory.store("a", "new", { type = "persistent" })
      zigllms.flush()
      memory.load()
      assert.equal("new", memory.retrieve("a"))
      assert.equal("new", (elsewhere('io.write(memory.retrieve("a"))')))
    end)
  end)
end

describe("PERSISTENT entries of a process without a store", function()
  it("move into the one that it gets", function()
    local directory = stores.directory()
    zigllms.configure({ store = zigllms.null })
    memory.clear()
    memory.store("a", 1, { type = "persistent" })
    memory.store("b", 1, { type = "persistent", scope = "session", ttl = 60 })
    memory.store("c", 1)
    assert.equal(2, memory.get_stats().dirty)
    zigllms.configure({ store = directory .. "/store.db" })
    zigllms.flush()
    assert.equal(0, memory.get_stats().dirty)
    assert.equal(1, memory.retrieve("a"))
    assert.equal(1, memory.retrieve("b", { scope = "session" }))
    zigllms.configure({ store = zigllms.null })
    assert.is_nil(memory.retrieve("a"))
    assert.equal(1, memory.retrieve("c"))
    memory.clear()
    stores.remove(directory)
  end)
end)
