-- A loop of one's own: `zigllms.loop({ wait = function(fd, timeout_ms) … end })`.
local in_host = require("spec.support.in_host")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local socket = in_host.need("a loop of one's own", "socket")
if not socket then
  return
end

local clock = program.clock

-- A scheduler of twenty lines: threads yield {fd?, until?}.
local threads, failed = {}, nil

local function resume(thread)
  local alive, wanted = coroutine.resume(thread)
  threads[thread] = alive and coroutine.status(thread) ~= "dead" and wanted or nil
  if not alive then
    failed = failed or wanted
  end
end

local function start(fn)
  local thread = coroutine.create(fn)
  resume(thread)
  return thread
end

local function readable(fd)
  local object = { fd = fd }
  function object.getfd()
    return fd
  end
  function object.dirty()
    return false
  end
  return object
end

local function step()
  local objects, by_fd, earliest = {}, {}, clock() + 1
  for _, wanted in pairs(threads) do
    if wanted.fd and not by_fd[wanted.fd] then
      by_fd[wanted.fd] = readable(wanted.fd)
      objects[#objects + 1] = by_fd[wanted.fd]
    end
    earliest = math.min(earliest, wanted.till or earliest)
  end
  local ready, list = socket.select(objects, nil, math.max(0, earliest - clock())), {}
  for thread, wanted in pairs(threads) do
    if ready[by_fd[wanted.fd] or ready] or (wanted.till and wanted.till <= clock()) then
      list[#list + 1] = thread
    end
  end
  for _, thread in ipairs(list) do
    resume(thread)
  end
end

local adapter = {}

-- On the main thread there is nobody to yield to.
function adapter.wait(fd, timeout_ms)
  local co, main = coroutine.running()
  if co and not main then
    coroutine.yield({ fd = fd, till = timeout_ms and clock() + timeout_ms / 1000 })
  else
    socket.select({ readable(fd) }, nil, timeout_ms and timeout_ms / 1000)
  end
end

local host = {
  name = "a loop of one's own",
  nests_run = true,
  thread = start,
  loop = function()
    while next(threads) do
      step()
    end
    local err = failed
    failed = nil
    if err then
      error(err, 0)
    end
  end,
  tick = function(ms, fn)
    start(function()
      repeat
        coroutine.yield({ till = clock() + ms / 1000 })
      until not fn()
    end)
  end,
}

describe("in a thread of a loop of one's own", function()
  before_each(function()
    zigllms.loop(adapter)
    in_host.before()
  end)
  after_each(function()
    zigllms.loop("auto")
    in_host.after()
  end)

  for name, case in in_host.cases(host) do
    it(name, case)
  end

  it("the adapter is named and replaced", function()
    assert.equal("custom", zigllms.loop())
    assert.equal("custom", zigllms.config().loop)
    assert.equal("blocking", zigllms.loop("blocking"))
    raised("invalid_argument", zigllms.loop, {})
  end)

  it("its errors are raised by the call that waits", function()
    zigllms.loop({
      wait = function()
        error("the loop is gone", 0)
      end,
    })
    local co = coroutine.wrap(function()
      return pcall(zigllms.sleep, 10)
    end)
    local ok, err = co()
    assert.is_false(ok)
    assert.truthy(tostring(err):find("the loop is gone", 1, true))
  end)

  it("may come back too early", function()
    zigllms.loop({ wait = function() end })
    local began = clock()
    zigllms.sleep(20)
    assert.is_true(clock() - began >= 0.019)
  end)

  it("a thread that is dropped in the middle disturbs nobody", function()
    for _ = 1, 5 do
      threads[start(function()
        zigllms.sleep(30)
      end)] = nil
    end
    collectgarbage()
    collectgarbage()
    local rounds, ended = 0, false
    start(function()
      zigllms.sleep(100)
      ended = true
    end)
    while next(threads) do
      step()
      rounds = rounds + 1
    end
    assert.is_true(ended)
    assert.is_true(rounds < 50, rounds)
  end)
end)
