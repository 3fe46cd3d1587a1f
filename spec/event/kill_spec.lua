-- A program is killed while it records: no line that was written is lost or harmed.
local cjson = require("cjson")
local program = require("spec.support.program")
local size = require("spec.support.size")
local stores = require("spec.support.stores")
local zigllms = require("zigllms")

local event = zigllms.event

-- Says "flushed n" once everything up to n is written for good, "put n" where nothing is put off.
local WRITER = [[
  local zigllms = require("zigllms")
  local path, from, count = arg[1], tonumber(arg[2]), tonumber(arg[3])
  local every, bytes = tonumber(arg[4]), tonumber(arg[5])
  zigllms.configure({ batch = { timeout_ms = 1, enabled = every > 1 } })
  zigllms.event.record("*", { file = path })
  for n = from, from + count - 1 do
    zigllms.event.emit("n", { n = n, filler = ("x"):rep(bytes) })
    if n % every == 0 then
      if every > 1 then
        zigllms.flush()
      end
      io.stdout:write(n, "\n")
      io.stdout:flush()
    end
  end
]]

-- System calls by which a file is changed: each is counted by itself, in each thread.
local CALLS = { "write", "ftruncate", "fdatasync", "flock" }

local function strace_missing()
  local path = os.tmpname()
  local tried = program.shell("strace -f -o " .. path .. " true")
  os.remove(path)
  return tried.rc ~= 0 and "strace does not run here: " .. tried.err
end

-- What is in the file: the numbers must go up by one, but where a process was killed there may be a
-- gap: before a number in `starts`. Gives the last.
local function check(path, said, starts)
  local last, present = 0, {}
  event.replay(path, {
    callback = function(e)
      local n = e.data.n
      assert(n == last + 1 or starts[n], ("%d follows %d"):format(n, last))
      assert(e.data.filler == ("x"):rep(#e.data.filler))
      last, present[n] = n, true
    end,
  })
  local promised = tonumber(said:match("(%d+)\n[^\n]*$") or 0)
  assert(promised == 0 or present[promised], ("%d was promised"):format(promised))
  return last
end

-- Every line but the last must be whole, as any reader of JSON sees it.
local function check_lines(path)
  local file = io.open(path, "rb")
  if not file then
    return
  end
  local text = file:read("*a")
  file:close()
  for line in text:gmatch("([^\n]*)\n") do
    cjson.decode(line)
  end
end

describe("A file of a recorder whose process is killed", function()
  local directory, path

  before_each(function()
    zigllms.reset()
    directory = stores.directory()
    path = directory .. "/events.jsonl"
  end)

  after_each(function()
    zigllms.reset()
    stores.remove(directory)
  end)

  it("at any moment has all that was flushed, and goes on", function()
    local kills, from, starts, bytes_lost = size(300, 12), 1, { [1] = true }, 0
    math.randomseed(os.time())
    for i = 1, kills do
      local under = ("timeout -s KILL %.4f"):format(0.01 + math.random() * 0.1)
      local bytes = i % 5 == 0 and 20000 or 50
      local every = i % 7 == 0 and 1 or 10
      local args = { path, from, 1000000, every, bytes }
      local result = program.run(WRITER, { args = args, under = under })
      check_lines(path)
      local file = io.open(path, "rb")
      if file then
        local last = check(path, result.out, starts)
        local length = file:seek("end")
        bytes_lost = math.max(bytes_lost, length)
        file:close()
        from = last + 100
        starts[from] = true
      end
      if i % 10 == 0 then
        os.remove(path)
        from, starts = 1, { [1] = true }
      end
    end
    assert.truthy(bytes_lost > 0, "something was written")
    print(("killed %d times"):format(kills))
  end)

  it("at every system call that writes", function()
    local missing = strace_missing()
    if missing then
      print("SKIP kills at every system call: " .. missing)
      return
    end
    local function survives(call, at)
      -- What another one left behind comes first.
      local file = assert(io.open(path, "wb"))
      file:write('{"type":"n","data":{"n":0,"filler":""}}\n{"type":"n","da')
      file:close()
      local strace = "strace -f -o /dev/null -e trace=%s -e inject=%s:signal=SIGKILL:when=%d"
      local under = strace:format(call, call, at)
      local result = program.run(WRITER, { args = { path, 1, 30, 10, 10 }, under = under })
      check_lines(path)
      local last = check(path, result.out, { [0] = true })
      assert(result.rc ~= 0 or last == 30)
      return result.rc == 0
    end
    local killed = 0
    for _, call in ipairs(CALLS) do
      local at = 1
      while not survives(call, at) do
        killed, at = killed + 1, at + size(1, 3)
      end
      assert.truthy(at > 1, call)
    end
    print(("killed at %d system calls"):format(killed))
  end)

  it("has each event that was told, where nothing is put off", function()
    local result = program.run(
      [[
        local zigllms = require("zigllms")
        zigllms.configure({ batch = { enabled = false } })
        zigllms.event.record("*", { file = arg[1] })
        for i = 1, 20 do
          zigllms.event.emit("n", { n = i, filler = "" })
        end
        io.stdout:write("20\n")
        io.stdout:flush()
        os.execute("kill -9 $PPID")
        io.stdout:write("alive\n")
      ]],
      { args = { path } }
    )
    assert.equal("20\n", result.out)
    assert.equal(20, check(path, result.out, {}))
  end)
end)

describe("A log in the store whose process is killed", function()
  local directory

  after_each(function()
    zigllms.configure({ store = zigllms.null })
    zigllms.reset()
    stores.remove(directory)
  end)

  it("has all that was flushed", function()
    directory = stores.directory()
    local store = directory .. "/store.db"
    for i = 1, size(50, 4) do
      local name = "log" .. i
      local result = program.run(
        [[
          local zigllms = require("zigllms")
          zigllms.configure({ store = arg[1] })
          zigllms.event.record("*", { store = true, name = arg[2] })
          for n = 1, 100000 do
            zigllms.event.emit("n", n)
            if n % 10 == 0 then
              zigllms.flush()
              io.stdout:write(n, "\n")
              io.stdout:flush()
            end
          end
        ]],
        { args = { store, name }, under = ("timeout -s KILL %.4f"):format(0.05 + i % 9 / 50) }
      )
      local promised = tonumber(result.out:match("(%d+)\n[^\n]*$"))
      if promised then
        zigllms.configure({ store = store })
        local found = event.filter({ recorder = name })
        local last = found[#found].data
        assert.truthy(last >= promised)
        for k, e in ipairs(found) do
          assert.equal(last - #found + k, e.data)
        end
      end
    end
  end)
end)
