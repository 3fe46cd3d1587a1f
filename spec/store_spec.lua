-- The store under PERSISTENT memory: when what was queued for it is there, and for whom.
local program = require("spec.support.program")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local PERSISTENT = { type = "persistent" }

describe("the store", function()
  local folder, path

  before_each(function()
    folder = stores.directory()
    path = folder .. "/store.db"
  end)

  after_each(function()
    stores.remove(folder)
  end)

  local function exists(name)
    local file = io.open(name)
    return file ~= nil and file:close()
  end

  -- What another instance finds, which shares nothing with those before but the file.
  local function stored(key)
    return zigllms.new({ store = path }).memory.retrieve(key)
  end

  -- Runs a program that has `zigllms`, `memory`, the store at `path` and `put(key)`.
  local function run(chunk, options)
    local begin = [[
      local path, timeout = ...
      local zigllms = require("zigllms")
      zigllms.configure({ store = path, batch = { timeout_ms = tonumber(timeout) } })
      local memory = zigllms.memory
      local function put(key)
        assert(memory.store(key, "v", { type = "persistent" }))
      end
    ]]
    options = options or {}
    options.args = { path, options.timeout_ms or 60000 }
    return program.run(begin .. chunk, options)
  end

  describe("as configure names it", function()
    local function refused(store, code, message)
      local ai = zigllms.new()
      local fine, err = pcall(ai.configure, { store = store, strict = false })
      assert.is_false(fine)
      assert.equal(code, err.code)
      assert.matches(message, err.message, 1, true)
      assert.same({ "memory", true }, { ai.config().store, ai.config().strict })
    end

    it("is in memory unless another one is chosen, and null brings that back", function()
      -- What is persistent and in no store yet would go into the first one that is named.
      zigllms.memory.clear()
      local ai = zigllms.new()
      assert.equal("memory", ai.config().store)
      for _, name in ipairs({ path, "sqlite:" .. path }) do
        ai.configure({ store = name })
        assert.equal(path, ai.config().store)
      end
      ai.configure({ store = zigllms.null })
      assert.equal("memory", ai.config().store)
      for _, store in ipairs({ { path = path }, { backend = "SQLite", path = path } }) do
        ai.configure({ store = store })
        assert.equal(path, ai.config().store)
      end
      ai.configure({ store = { backend = "memory" } })
      assert.equal("memory", ai.config().store)
      assert.is_false(exists(path), "nothing was stored, so there is no file")
    end)

    it("a bad name changes nothing", function()
      refused("", "invalid_argument", "options.store: expected the path of a file")
      refused(":memory:", "invalid_argument", '"memory"')
      refused("postgres://host/db", "invalid_argument", 'got a URL of "postgres"')
      refused({}, "invalid_argument", "options.store: expected a table with path, url or backend")
      refused({ backend = "sqlite" }, "invalid_argument", "options.store.path: expected")
      refused({ backend = "redis", path = "x" }, "invalid_argument", "options.store.path: ")
      refused({ pth = "x" }, "invalid_argument", 'did you mean "path"?')
      refused(7, "invalid_argument", "options.store: expected a string or a table, got 7")
    end)

    it("a password is shown nowhere", function()
      local ai = zigllms.new()
      local url = "redis://someone:hunter2@127.0.0.1:1/0"
      if not zigllms.info().features.redis then
        return refused(url, "unsupported", 'feature "redis"')
      end
      ai.configure({ store = url })
      assert.equal("redis://someone:***@127.0.0.1:1/0", ai.config().store)
      local _, err = pcall(ai.memory.retrieve, "k")
      assert.is_nil(tostring(err):find("hunter2", 1, true))
    end)

    it("durability and batch have defaults that null brings back", function()
      local ai = zigllms.new()
      local usual = { enabled = true, max_batch_size = 100, timeout_ms = 20, max_concurrency = 8 }
      assert.same(usual, ai.config().batch)
      ai.configure({ durability = "SYNC", batch = { timeout_ms = 7, enabled = false } })
      ai.configure({ batch = { max_batch_size = 3 } })
      local config = ai.config()
      assert.equal("sync", config.durability)
      assert.same(
        { enabled = false, max_batch_size = 3, timeout_ms = 7, max_concurrency = 8 },
        config.batch
      )
      local null = zigllms.null
      ai.configure({ durability = null, batch = { timeout_ms = null } })
      assert.same({ "batched", 20 }, { ai.config().durability, ai.config().batch.timeout_ms })
      ai.configure({ batch = null })
      assert.same(usual, ai.config().batch)
      assert.has_error(function()
        ai.configure({ batch = { max_batch_size = 0 } })
      end)
      assert.has_error(function()
        ai.configure({ durability = "soon" })
      end)
    end)
  end)

  describe("flush", function()
    local ai

    before_each(function()
      ai = zigllms.new({ store = path, batch = { timeout_ms = 60000 } })
    end)

    it("returns how many writes it forced out, in each face", function()
      assert.equal(0, ai.flush())
      assert.is_false(exists(path))
      for i = 1, 3 do
        ai.memory.store("k" .. i, i, PERSISTENT)
      end
      assert.equal(3, ai.flush())
      assert.equal(0, ai.flush())
      ai.memory.store("k4", 4, PERSISTENT)
      assert.equal(1, ai.flush({ async = true }):await())
      ai.memory.store("k5", 5, PERSISTENT)
      local inside = coroutine.wrap(function()
        return ai.flush({ async = false })
      end)
      assert.equal(1, inside())
      assert.equal(
        0,
        ai.run(function()
          return ai.flush()
        end)
      )
      assert.equal(0, zigllms.new().flush(), "nothing is queued for the store in memory")
    end)

    it("what is queued is read at once, also by other instances and in lists", function()
      ai.memory.store("k", "old", PERSISTENT)
      ai.flush()
      local other =
        zigllms.new({ store = { path = folder .. "/../" .. path:match("[^/]*/[^/]*$") } })
      ai.memory.store("k", "new", PERSISTENT)
      ai.memory.store("k2", "new", PERSISTENT)
      assert.same({ "new", "new" }, { other.memory.retrieve("k"), other.memory.retrieve("k2") })
      assert.same({ "k", "k2" }, other.memory.list_keys("k*", { type = "persistent" }))
      assert.equal(2, other.flush(), "they share the queue")
    end)

    it("what cannot be written stays queued, is told, and is written later", function()
      local late = folder .. "/later"
      ai = zigllms.new({ store = late .. "/store.db" })
      assert.is_true(ai.memory.store("k1", 1, PERSISTENT))
      assert.is_true(ai.memory.store("k2", 2, PERSISTENT))
      for _ = 1, 2 do
        local fine, err = pcall(ai.flush)
        assert.is_false(fine)
        assert.equal("io_error", err.code)
        assert.matches("^2 queued writes could not be stored: ", err.message)
        assert.is_string(err.details.reason)
      end
      assert.equal(2, ai.memory.retrieve("k2"), "and it is read all the while")
      assert.is_false(
        (pcall(ai.memory.store, "k3", 3, { type = "persistent", durability = "sync" }))
      )
      local fine, err = pcall(ai.configure, { store = "memory" })
      assert.is_false(fine, "that would lose it")
      assert.equal("io_error", err.code)
      assert.equal(late .. "/store.db", ai.config().store)
      assert(os.execute("mkdir " .. late))
      assert.equal(2, ai.flush())
      ai.configure({ store = path })
      assert.is_nil(ai.memory.retrieve("k1"))
      ai.configure({ store = late .. "/store.db" })
      assert.equal(1, ai.memory.retrieve("k1"))
    end)

    it("what is queued for a store that cannot be opened goes to the next one", function()
      ai = zigllms.new({ store = folder .. "/mistyped/store.db" })
      assert.is_true(ai.memory.store("k", "v", PERSISTENT))
      assert.is_true(ai.memory.store("k", "w", PERSISTENT))
      assert.is_false((pcall(ai.flush)))
      local _, err = pcall(ai.configure, { store = "memory" })
      assert.equal("io_error", err.code)
      assert.is_true(ai.configure({ store = path }))
      assert.equal("w", ai.memory.retrieve("k"))
      ai.flush()
      assert.equal("w", stored("k"))
    end)

    it("another store takes over when the one before has everything", function()
      ai.memory.store("k", "first", PERSISTENT)
      ai.configure({ store = folder .. "/second.db" })
      assert.is_nil(ai.memory.retrieve("k"))
      assert.equal("first", stored("k"))
    end)

    it("metrics say how many writes were committed together, and why", function()
      ai.configure({ batch = { max_batch_size = 10 } })
      for i = 1, 10 do
        ai.memory.store("k" .. i, i, PERSISTENT)
      end
      repeat
        local full = ai.metrics().batch
      until full.queued == 0
      ai.memory.store("k11", 11, PERSISTENT)
      assert.equal(1, ai.metrics().batch.queued)
      ai.flush()
      ai.memory.store("k12", 12, PERSISTENT)
      ai.memory.store("k13", 13, { type = "persistent", durability = "sync" })
      assert.same({
        enabled = true,
        queued = 0,
        batches = 3,
        calls = 12,
        avg_batch_size = 4,
        errors = 0,
        flush_reasons = { full = 1, timeout = 0, barrier = 1, manual = 1 },
      }, ai.metrics({ reset = true }).batch)
      assert.equal(0, ai.metrics().batch.calls)
      assert.equal(0, zigllms.new({ store = path }).metrics().batch.batches)
    end)

    it("an instance that is collected has written everything", function()
      ai.memory.store("k", "v", PERSISTENT)
      ai = nil
      zigllms.new().flush()
      collectgarbage()
      collectgarbage()
      local result = run([[io.write(tostring(memory.retrieve("k")))]])
      assert.same({ "v", "" }, { result.out, result.err })
    end)

    it("takes the same with batching on and off", function()
      for _, enabled in ipairs({ true, false }) do
        local file = folder .. "/" .. tostring(enabled)
        ai = zigllms.new({ store = file, batch = { enabled = enabled, max_batch_size = 7 } })
        for i = 1, 100 do
          ai.memory.store("k" .. i % 10, i, PERSISTENT)
          assert.equal(i, ai.memory.retrieve("k" .. i % 10))
        end
        assert.is_true(ai.memory.delete("k3"))
        assert.is_false(ai.memory.store("k4", 0, { type = "persistent", if_absent = true }))
        ai.flush()
        local keys = ai.memory.list_keys("*", { type = "persistent" })
        assert.same({ "k0", "k1", "k2", "k4", "k5", "k6", "k7", "k8", "k9" }, keys)
        assert.equal(94, ai.memory.retrieve("k4"))
      end
    end)
  end)

  describe("when a program", function()
    local NEVER = "local never = function() error('not reached') end\n"
    local endings = {
      { "ends", "", 0 },
      { "calls os.exit(0)", "os.exit(0)", 0 },
      {
        "calls os.exit(3, true)",
        "os.exit(3, true)",
        _VERSION == "Lua 5.1" and not jit and 1 or 3,
      },
      { "fails", "error('oops')", 1 },
      { "exits in a coroutine", "coroutine.wrap(function() os.exit(4) end)()", 4 },
      {
        "exits in a task",
        "zigllms.run(function() zigllms.sleep(1) os.exit(4) end) never()",
        4,
      },
      {
        "exits in a callback of the store",
        "memory.update('k', function() os.exit(5) end, { type = 'persistent' }) never()",
        5,
      },
      {
        "exits in a tool, with work under way",
        [[
          local handle = zigllms.spawn(function()
            memory.retrieve("elsewhere")
            zigllms.sleep(1e6)
          end)
          local id = zigllms.tool.register({ name = "t", execute = function() os.exit(6) end })
          zigllms.tool.execute(id, {}) never(handle)
        ]],
        6,
      },
    }
    for _, ending in ipairs(endings) do
      local what, chunk, rc = ending[1], ending[2], ending[3]
      it(what .. ", nothing that was stored is lost", function()
        local result = run(NEVER .. "put('k') put('k2')\n" .. chunk)
        assert.equal(rc, result.rc, result.err)
        assert.same({ "v", "v" }, { stored("k"), stored("k2") })
        assert.is_true(result.ms < 10000, result.ms .. " ms")
      end)
    end

    it("cannot store what it stored, it says so in the end", function()
      path = folder .. "/missing/store.db"
      local result = run("put('k')")
      assert.equal(0, result.rc)
      assert.matches('^zigllms: 1 writes to the store .-/missing/store.db" are lost: ', result.err)
    end)

    it("is killed, only what was not due is lost", function()
      local pid = "local pid = io.open('/proc/self/stat'):read('*n')\n"
      local kill = "os.execute('sleep ' .. seconds .. '; kill -9 ' .. string.format('%d', pid))"
      local result = run(pid .. "put('k') local seconds = 0.3 " .. kill, { timeout_ms = 20 })
      assert.is_true(result.rc ~= 0)
      assert.equal("v", stored("k"))
      result = run(pid .. "put('k2') local seconds = 0.3 " .. kill, { timeout_ms = 60000 })
      assert.is_true(result.rc ~= 0)
      assert.is_nil(stored("k2"))
      result = run(
        pid .. "put('k3') zigllms.flush() put('k4') local seconds = 0 " .. kill,
        { timeout_ms = 60000 }
      )
      assert.is_true(result.rc ~= 0)
      assert.same({ "v" }, { stored("k3"), stored("k4") })
    end)

    it("sleeps, others see what it stored", function()
      local reader = folder .. "/reader.lua"
      local file = assert(io.open(reader, "w"))
      file:write([[
        local zigllms = require("zigllms")
        zigllms.configure({ store = (...) })
        io.write(tostring(zigllms.memory.retrieve("k")))
      ]])
      file:close()
      local command = ("sleep 0.3; %s %s %s"):format(program.interpreter(), reader, path)
      local result = run(("put('k') os.execute(%q)"):format(command), { timeout_ms = 20 })
      assert.same({ "v", "" }, { result.out, result.err })
    end)

    it("forks, each process writes what it queued itself", function()
      local found = pcall(require, "posix.unistd")
      if not found then
        return print("\nSKIP fork with a store: luaposix is not there")
      end
      local result = run([[
        local unistd, wait = require("posix.unistd"), require("posix.sys.wait").wait
        put("before")
        zigllms.flush()
        put("parent")
        local child = unistd.fork()
        if child == 0 then
          local seen = memory.retrieve("before")
          put("child")
          for _ = 1, 50 do
            memory.increment("count", 1, { type = "persistent" })
          end
          os.exit(seen == "v" and 0 or 1)
        end
        for _ = 1, 50 do
          memory.increment("count", 1, { type = "persistent" })
        end
        local _, _, code = wait(child)
        os.exit(code)
      ]])
      assert.equal(0, result.rc, result.err)
      assert.same({ "v", "v", 100 }, { stored("parent"), stored("child"), stored("count") })
    end)
  end)
end)
