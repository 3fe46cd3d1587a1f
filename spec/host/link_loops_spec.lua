-- Events of other processes in event loops that deliver by themselves.
local in_host = require("spec.support.in_host")
local nvim = require("spec.support.nvim")
local program = require("spec.support.program")
local redis = require("spec.support.redis")
local zigllms = require("zigllms")

local server = redis.for_specs()
if not server then
  return
end

describe("a bridge in an event loop", function()
  local other

  before_each(function()
    server:command("FLUSHALL")
    other = zigllms.new({ store = server.url })
  end)

  after_each(function()
    other.reset()
  end)

  teardown(function()
    server:stop()
  end)

  it("of luv's delivers by itself, and keeps the loop until it is ended", function()
    if not in_host.need("a bridge with luv", "luv") then
      return
    end
    other.event.bridge({ patterns = "a", stream = "s" })
    for i = 1, 100 do
      other.event.emit("a", i)
    end
    other.flush()
    local result = program.run(
      [[
      local uv, zigllms = require("luv"), require("zigllms")
      zigllms.configure({ store = arg[1] })
      local sum, id = 0
      zigllms.event.subscribe("a", function(event)
        zigllms.sleep(1)
        sum = sum + event.data
        if event.data == 100 then
          zigllms.event.unsubscribe(id)
        end
      end)
      id = zigllms.event.bridge({ patterns = "a", stream = "s", since = "0" })
      uv.run()
      print(sum)
    ]],
      { args = { server.url } }
    )
    assert.same({ 0, "5050\n", "" }, { result.rc, result.out, result.err })
  end)

  for _, loop in ipairs({ "cqueues", "copas" }) do
    it("of " .. loop .. " delivers while a thread of it waits", function()
      if not in_host.need("a bridge with " .. loop, loop) then
        return
      end
      other.event.bridge({ patterns = "a", stream = "s" })
      for i = 1, 100 do
        other.event.emit("a", i)
      end
      other.flush()
      local result = program.run(
        [[
        local name = arg[2]
        local loop, zigllms = require(name), require("zigllms")
        zigllms.configure({ store = arg[1] })
        zigllms.loop(name)
        local sum, id = 0
        zigllms.event.subscribe("a", function(event)
          sum = sum + event.data
        end)
        local function body()
          id = zigllms.event.bridge({ patterns = "a", stream = "s", since = "0" })
          for _ = 1, 200 do
            if sum < 5050 then zigllms.sleep(20) end
          end
          zigllms.event.unsubscribe(id)
          print(sum)
          if name == "copas" then
            os.exit(0, true) -- old ones loop for ever
          end
        end
        if name == "cqueues" then
          local queue = loop.new()
          queue:wrap(body)
          assert(queue:loop())
        else
          loop.addthread(body)
          loop.loop()
        end
      ]],
        { args = { server.url, loop } }
      )
      assert.same({ 0, "5050\n", "" }, { result.rc, result.out, result.err })
    end)
  end

  nvim.each(describe, function(run)
    it("delivers by itself, where the editor's functions may be called", function()
      other.event.bridge({ patterns = "a", stream = "s" })
      for i = 1, 10 do
        other.event.emit("a", i)
      end
      other.flush()
      run(
        [[
        local zigllms = require("zigllms")
        zigllms.configure({ store = vim.env.SPEC_ARG1 })
        local lines = {}
        zigllms.event.subscribe("a", function(event)
          vim.api.nvim_buf_set_lines(0, -1, -1, false, { tostring(event.data) })
          lines[#lines + 1] = event.data
        end)
        local id = zigllms.event.bridge({ patterns = "a", stream = "s", since = "0" })
        assert(vim.wait(10000, function() return #lines == 10 end, 20), "heard " .. #lines)
        assert(vim.api.nvim_buf_line_count(0) == 11)
        assert(zigllms.event.unsubscribe(id))
        zigllms.event.bridge({ patterns = "a", stream = "s" })
      ]],
        { args = { server.url } }
      )
    end)
  end)
end)
