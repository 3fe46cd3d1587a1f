-- Files that are damaged, foreign, full or not to be written: a clear error, and never wrong data.
local zigllms = require("zigllms")
local files = require("spec.support.files")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local size = require("spec.support.size")
local stores = require("spec.support.stores")

local read, write = files.read, files.write
local memory = zigllms.memory
local persistent = { type = "persistent" }
local COUNT = 60

local function use(path)
  zigllms.configure({ store = path or zigllms.null })
end

local function value(n)
  return { n = n, text = ("%d "):format(n):rep(100) }
end

-- Whether all entries are there as they were stored; an error is as good, but no other value.
local function verdict(path)
  use(path)
  local right = 0
  for n = 1, COUNT do
    local ok, found = pcall(memory.retrieve, "k" .. n)
    if ok then
      assert.same(value(n), found)
      right = right + 1
    elseif found.code ~= "io_error" and found.code ~= "unsupported" then
      error(found, 0)
    elseif found.code == "io_error" then
      local reason = found.details.reason
      assert.truthy(({ corrupt = true, foreign = true, readonly = true })[reason], tostring(found))
    end
  end
  local ok, keys = pcall(memory.list_keys)
  if ok then
    assert.equal(COUNT, #keys)
  end
  pcall(use)
  return right
end

describe("A store in a file", function()
  local directory, path

  before_each(function()
    memory.clear()
    directory = stores.directory()
    path = directory .. "/store.db"
  end)

  after_each(function()
    pcall(use)
    stores.remove(directory)
  end)

  local function fill()
    use(path)
    for n = 1, COUNT do
      memory.store("k" .. n, value(n), persistent)
    end
    zigllms.flush()
    use()
    return read(path)
  end

  it("tells every flipped byte that matters, and gives no wrong value", function()
    local image = fill()
    assert.truthy(#image > 20000 and #image < 60000, #image)
    local refused = 0
    for at = 1, #image, size(1, 211) do
      local byte = string.char((image:byte(at) + 1 + at % 254) % 256)
      write(path, image:sub(1, at - 1) .. byte .. image:sub(at + 1))
      if verdict(path) < COUNT then
        refused = refused + 1
      end
      os.remove(path .. "-wal")
      os.remove(path .. "-shm")
    end
    write(path, image)
    assert.equal(COUNT, verdict(path))
    assert.truthy(refused > 0)
  end)

  it("tells that a part is missing, and all of it", function()
    local image = fill()
    for length = 0, #image - 1, size(1, 997) do
      write(path, image:sub(1, length))
      assert.equal(0, verdict(path), ("of %d bytes are left"):format(length))
      os.remove(path .. "-wal")
      os.remove(path .. "-shm")
    end
    write(path, "")
    use(path)
    local err = raised("io_error", memory.retrieve, "k1")
    assert.equal("corrupt", err.details.reason)
    assert.truthy(tostring(err):find("empty", 1, true), tostring(err))
    assert.equal("", read(path))
  end)

  it("refuses what is no store, and leaves it as it is", function()
    for _, text in ipairs({ "hello\n", ("\0"):rep(5000), '{"format":"zigllms-memory"}' }) do
      write(path, text)
      use(path)
      local err =
        raised("io_error", memory.store, "k", 1, { type = "persistent", durability = "sync" })
      assert.truthy(({ corrupt = true, foreign = true })[err.details.reason], tostring(err))
      assert.equal(err.code, raised("io_error", memory.retrieve, "k1").code)
      pcall(use)
      assert.equal(text, read(path))
    end
  end)

  it("says what is wrong with the place", function()
    local sync = { type = "persistent", durability = "sync" }
    use(directory .. "/none/store.db")
    local err = raised("io_error", memory.store, "k", 1, sync)
    assert.truthy(tostring(err):find(directory .. "/none", 1, true), tostring(err))
    assert(os.execute("mkdir " .. directory .. "/none"))
    assert.is_true(memory.store("k", 1, sync))
    use(directory)
    raised("io_error", memory.store, "k", 1, sync)
  end)

  it("is made readable for its owner only", function()
    use(path)
    memory.store("k", 1, { type = "persistent", durability = "sync" })
    local listed = program.shell("stat -c %a " .. path .. " " .. path .. "-wal").out
    assert.equal("600\n600\n", listed)
  end)

  describe("on a disk of its own", function()
    local mounted

    local function mount(options)
      local result = program.shell(("mount -t tmpfs -o %s tmpfs %s"):format(options, directory))
      mounted = result.rc == 0
      if not mounted then
        print("SKIP disk faults: mount: " .. result.err)
      end
      return mounted
    end

    after_each(function()
      pcall(use)
      if mounted then
        assert.equal(0, program.shell("umount -l " .. directory).rc)
        mounted = false
      end
    end)

    it("says that the disk is full, keeps what it has, and goes on when there is room", function()
      if not mount("size=300k") then
        return
      end
      use(path)
      memory.store("first", 1, { type = "persistent", durability = "sync" })
      local filler = ("x"):rep(20000)
      local err
      for n = 1, 50 do
        local ok, problem = pcall(memory.store, "big" .. n, filler, {
          type = "persistent",
          durability = "sync",
        })
        err = not ok and problem
        if err then
          break
        end
      end
      assert.equal("io_error", err.code)
      assert.equal("full", err.details.reason)
      assert.equal(1, memory.retrieve("first"))
      -- What was queued stays queued, is seen, and comes through once there is room.
      memory.store("queued", filler, persistent)
      raised("io_error", zigllms.flush)
      assert.equal(filler, memory.retrieve("queued"))
      assert.equal(0, program.shell("mount -o remount,size=20m " .. directory).rc)
      assert.truthy(zigllms.flush() >= 1)
      assert.is_true(memory.store("last", 2, { type = "persistent", durability = "sync" }))
      use()
      use(path)
      assert.equal(filler, memory.retrieve("queued"))
      assert.equal(2, memory.retrieve("last"))
    end)

    it("says that the disk is read-only", function()
      if not mount("size=5m") then
        return
      end
      use(path)
      memory.store("k", 1, { type = "persistent", durability = "sync" })
      use()
      assert.equal(0, program.shell("mount -o remount,ro " .. directory).rc)
      use(path)
      raised("io_error", memory.store, "k", 2, { type = "persistent", durability = "sync" })
      assert.equal(0, program.shell("mount -o remount,rw " .. directory).rc)
      assert.equal(1, memory.retrieve("k"))
      assert.is_true(memory.store("k", 3, { type = "persistent", durability = "sync" }))
      assert.equal(3, memory.retrieve("k"))
    end)
  end)
end)
