-- Redis as the store, through the memory bridge: what processes share, and what becomes of it when
-- the server is away.
local zigllms = require("zigllms")
local processes = require("spec.support.processes")
local redis = require("spec.support.redis")

local memory = zigllms.memory
local persistent = { type = "persistent" }

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

describe("Redis as the store", function()
  local server = redis.for_specs()
  if not server then
    return
  end

  before_each(function()
    zigllms.reset()
    server:command("FLUSHALL")
    zigllms.configure({ store = server.url })
  end)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ store = zigllms.null })
    server:stop()
  end)

  it("is told by info()", function()
    assert.is_true(zigllms.info().features.redis)
    assert.equal(server.url, zigllms.config().store)
  end)

  it("keeps any bytes, and finds entries by key, tag and prefix", function()
    local bytes = "\0\1\255 \r\n"
    memory.store("odd", { bytes = bytes, list = { 1, 2.5, false } }, persistent)
    memory.store("other", "x", persistent)
    zigllms.flush()
    local lines = processes(
      1,
      server.url,
      [[
        local odd = memory.retrieve("odd")
        print(odd.bytes == "\0\1\255 \r\n", #odd.list, odd.list[2], odd.list[3])
        local keys = memory.list_keys("*", { type = "persistent" })
        table.sort(keys)
        print(table.concat(keys, " "))
      ]]
    )
    assert.same({ "true\t3\t2.5\tfalse", "odd other" }, lines)
    assert.equal(2, #server:command("KEYS", "zigllms:r:memory:*"))
  end)

  it("ends entries at their time, and the server forgets them later", function()
    memory.store("mortal", "x", { type = "persistent", ttl_ms = 80 })
    zigllms.flush()
    assert.equal("x", memory.retrieve("mortal"))
    local name = server:command("KEYS", "zigllms:r:memory:*mortal")[1]
    local left = server:command("PTTL", name)
    assert.is_true(left > 50000 and left <= 60080, left)
    zigllms.sleep(120)
    assert.is_nil(memory.retrieve("mortal"))
    assert.equal(1, server:command("EXISTS", name))
  end)

  it("answers in all faces", function()
    memory.store("answer", 42, persistent)
    zigllms.flush()
    assert.equal(42, memory.retrieve("answer"))
    assert.equal(42, memory.retrieve("answer", { async = true }):await())
    local seen
    zigllms.run(function()
      seen = memory.retrieve("answer")
    end)
    assert.equal(42, seen)
  end)

  it("keeps apart what has another prefix or database", function()
    memory.store("mine", 1, persistent)
    zigllms.flush()
    for _, tail in ipairs({ "/1", "?prefix=app1" }) do
      local chunk = [[print(memory.retrieve("mine") or "nothing")]]
      assert.same({ "nothing" }, processes(1, server.url .. tail, chunk))
    end
  end)

  it("is refused with what is wrong, and without the password", function()
    for url, what in pairs({
      ["redis://:hush@host/x"] = "database number",
      ["redis://:hush@host?prefix=a:b"] = "prefix must be",
      ["redis://:hush@host?speed=1"] = 'parameter "speed" is unknown',
      ["redis://:hush@host:none"] = "cannot be read",
    }) do
      local err = raised(zigllms.configure, { store = url })
      assert.equal("invalid_argument", err.code)
      assert.truthy(err.message:find(what, 1, true), err.message)
      assert.is_nil(tostring(err):find("hush", 1, true))
    end
    assert.equal(server.url, zigllms.config().store)
  end)
end)

describe("A Redis store that is not there", function()
  local server = redis.for_specs({ "--requirepass", "open-sesame" })
  if not server then
    return
  end
  local url = ("redis://:open-sesame@127.0.0.1:%d/0"):format(server.port)

  before_each(function()
    zigllms.reset()
    zigllms.configure({ store = url })
  end)

  teardown(function()
    zigllms.reset()
    zigllms.configure({ store = zigllms.null })
    server:stop()
  end)

  it("is an error, and what was written comes through when it is back", function()
    memory.store("before", 1, persistent)
    zigllms.flush()
    server:kill()
    memory.store("meanwhile", 2, persistent)
    local err = raised(zigllms.flush)
    assert.equal("io_error", err.code)
    assert.equal("connect", err.details.reason)
    assert.is_nil(tostring(err):find("sesame", 1, true))
    assert.equal(2, memory.retrieve("meanwhile"))
    server:start_again()
    zigllms.flush()
    assert.same({ "2" }, processes(1, url, [[print(memory.retrieve("meanwhile"))]]))
  end)

  it("needs the right password and shows none", function()
    assert.is_nil(zigllms.config().store:find("sesame", 1, true))
    assert.truthy(zigllms.config().store:find("127.0.0.1", 1, true))
    for _, login in ipairs({ "", ":wrong-sesame@" }) do
      zigllms.configure({ store = ("redis://%s127.0.0.1:%d/0"):format(login, server.port) })
      local err = raised(memory.retrieve, "before")
      assert.equal("io_error", err.code)
      assert.equal("auth", err.details.reason)
      assert.is_nil(tostring(err):find("sesame", 1, true))
    end
  end)
end)
