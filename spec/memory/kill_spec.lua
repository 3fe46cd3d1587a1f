-- A program is killed while it writes: what it was told is stored is there, and the store is whole.
local zigllms = require("zigllms")
local program = require("spec.support.program")
local size = require("spec.support.size")
local stores = require("spec.support.stores")

local memory = zigllms.memory

-- Says "sync n" once an entry is stored for good, "flush n" once everything up to n is.
local WRITER = [[
  local zigllms = require("zigllms")
  local memory = zigllms.memory
  zigllms.configure({ store = arg[1] })
  local from, rounds, bytes = tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])
  local function say(...)
    io.stdout:write(table.concat({ ... }, " "), "\n")
    io.stdout:flush()
  end
  for n = from, from + rounds - 1 do
    local value = { n = n, filler = ("x"):rep(bytes) }
    memory.store("sync" .. n, value, { type = "persistent", durability = "sync" })
    say("sync", n)
    for i = 1, 5 do
      memory.store("batch" .. n .. ":" .. i, value, { type = "persistent" })
    end
    zigllms.flush()
    say("flush", n)
  end
]]

-- System calls by which a store changes its files.
local CALLS =
  "pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat"

local function strace_missing()
  local path = os.tmpname()
  local tried = program.shell("strace -f -o " .. path .. " true")
  os.remove(path)
  return tried.rc ~= 0 and "strace does not run here: " .. tried.err
end

-- Reads back what the output of a writer promises; gives how many entries there are.
local function check(store, said)
  zigllms.configure({ store = store })
  local function there(key, n)
    local value = memory.retrieve(key)
    assert.equal(n, value and value.n, key)
  end
  for what, n in said:gmatch("(%a+) (%d+)\n") do
    n = tonumber(n)
    if what == "sync" then
      there("sync" .. n, n)
    else
      for i = 1, 5 do
        there("batch" .. n .. ":" .. i, n)
      end
    end
  end
  -- Whatever else is there was committed as a whole.
  local keys = memory.list_keys()
  for _, key in ipairs(keys) do
    there(key, tonumber(key:match("%d+")))
  end
  zigllms.configure({ store = zigllms.null })
  return #keys
end

describe("A store whose writer is killed", function()
  local directory, store

  before_each(function()
    memory.clear()
    directory = stores.directory()
    store = directory .. "/store.db"
  end)

  after_each(function()
    zigllms.configure({ store = zigllms.null })
    stores.remove(directory)
  end)

  it("at every system call keeps what was acknowledged", function()
    local missing = strace_missing()
    if missing then
      print("SKIP kills at every system call: " .. missing)
      return
    end
    local at, step, killed = 1, size(1, 6), 0
    while true do
      local path = ("%s/%d.db"):format(directory, at)
      local strace = "strace -f -o /dev/null -e trace=%s -e inject=%s:signal=SIGKILL:when=%d"
      local under = strace:format(CALLS, CALLS, at)
      local result = program.run(WRITER, { args = { path, 1, 2, 10 }, under = under })
      if result.rc == 0 then
        assert.equal("sync 1\nflush 1\nsync 2\nflush 2\n", result.out)
        assert.equal(12, check(path, result.out))
        break
      end
      killed = killed + 1
      check(path, result.out)
      at = at + step
    end
    print(("killed at %d of %d system calls"):format(killed, at - 1))
    assert.truthy(killed >= 6)
  end)

  it("has what was stored, where nothing is put off", function()
    local result = program.run(
      [[
        local zigllms = require("zigllms")
        zigllms.configure({ store = arg[1], batch = { enabled = false } })
        for i = 1, 20 do
          zigllms.memory.store("k" .. i, i, { type = "persistent" })
        end
        io.stdout:write("stored\n")
        io.stdout:flush()
        os.execute("kill -9 $PPID")
        io.stdout:write("alive\n")
      ]],
      { args = { store } }
    )
    assert.equal("stored\n", result.out)
    zigllms.configure({ store = store })
    assert.equal(20, #memory.list_keys())
  end)

  it("at any moment keeps what was acknowledged", function()
    local kills, from, entries = size(1000, 12), 1, 0
    math.randomseed(os.time())
    for i = 1, kills do
      local seconds = 0.01 + math.random() * 0.12
      local under = ("timeout -s KILL %.4f"):format(seconds)
      local bytes = i % 10 == 0 and 200000 or 100
      local result = program.run(WRITER, { args = { store, from, 1000, bytes }, under = under })
      local last = tonumber(result.out:match("(%d+)\n[^\n]*$") or from - 1)
      entries = check(store, result.out)
      from = last + 2
      -- Now and then with a new store, so that its making is killed too.
      if i % 10 == 0 then
        zigllms.configure({ store = zigllms.null })
        os.remove(store)
        os.remove(store .. "-wal")
        os.remove(store .. "-shm")
        from = 1
      end
    end
    print(("killed %d times; %d entries in the last store"):format(kills, entries))
  end)
end)
