-- MCP servers in hosts that have loops and children of their own.
local cjson = require("cjson")
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local program = require("spec.support.program")
local system = require("system")

local here = os.getenv("PWD") .. "/spec/fixtures/"

local function named(...)
  local list = {}
  for i, name in ipairs({ ... }) do
    list[i] = { name = name, inputSchema = { type = "object" } }
  end
  return cjson.encode({ tools = list })
end

-- The program by its path: workers of nginx have no PATH.
local function path_of(name)
  local pipe = assert(io.popen("command -v " .. name))
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local IMPORT = ([[
  local zigllms = require("zigllms")
  local function import(options)
    options = options or {}
    options.command = { %q, %q, %q }
    options.env = { LUA_PATH = %q, LUA_CPATH = %q }
    return zigllms.tool.import_mcp(options)
  end
]]):format(
  path_of(program.interpreter()),
  here .. "mcp_server.lua",
  named("echo", "die", "slow", "inherited"),
  package.path,
  package.cpath
)

local function gone(pid)
  for _ = 1, 500 do
    if program.shell("kill -0 " .. pid).rc ~= 0 then
      return true
    end
    system.sleep(0.01)
  end
end

local missing = nginx.missing()
if missing then
  print("SKIP MCP servers in nginx: " .. missing)
else
  describe("MCP servers in nginx", function()
    local web

    setup(function()
      web = nginx.start({
        http = "init_by_lua_block {" .. IMPORT .. "import({ async = false, name = 'master' }) }",
        locations = {
          master = [[ngx.print(require("zigllms").tool.execute("master_inherited").pid)]],
          import = IMPORT .. "ngx.print(#import())",
          echo = [[
            local tool = require("zigllms").tool
            ngx.print(tool.execute("echo", { say = ngx.var.arg_n or "nothing" }))
          ]],
          die = [[
            local ok, err = pcall(require("zigllms").tool.execute, "die")
            ngx.print(ok, " ", err.code, " ", err.cause.code)
          ]],
          slow = [[
            local ok, err = pcall(require("zigllms").tool.execute, "slow", {}, { timeout_ms = 700 })
            ngx.print(ok, " ", err.code)
          ]],
          inherited = [[
            local seen = require("zigllms").tool.execute("inherited")
            ngx.say(seen.pid)
            ngx.say(seen.blocked)
            ngx.print(table.concat(seen.fds, "\n"))
          ]],
          plain = 'ngx.print("plain")',
        },
      })
      assert.equal("4", (web:get("/import")))
    end)

    teardown(function()
      web:stop()
    end)

    it("belong to the worker: requests share one, and many calls overlap", function()
      assert.equal("one", (web:get("/echo?n=one")))
      local report = web:run("/echo", { count = 300, together = 30 })
      assert.same({ ["200"] = 300 }, report.statuses)
    end)

    it("that the master has imported are started anew by its workers", function()
      local pid = (web:get("/master"))
      local stat = io.open("/proc/" .. pid .. "/stat"):read("*a")
      assert.equal(web:workers()[1], stat:match("%) %a (%d+)"))
    end)

    it("keep no request waiting", function()
      web:load("/slow")
      local began = system.monotime()
      for _ = 1, 20 do
        assert.equal("plain", (web:get("/plain")))
      end
      assert.is_true(system.monotime() - began < 0.6)
      assert.equal("false timeout", web:report()[1].bodies[1])
    end)

    it("that die are started again, and nginx does not mind", function()
      for _ = 1, 3 do
        assert.equal("false tool_error network", (web:get("/die")))
        assert.equal("again", (web:get("/echo?n=again")))
      end
      assert.equal(1, #web:workers())
      assert.same({}, web:complaints())
    end)

    it("get none of its connections, and end with it", function()
      local pid, blocked, fds = (web:get("/inherited")):match("^(%d+)\n(%x+)\n(.*)$")
      assert.truthy(blocked:match("^0+$"))
      assert.is_nil(fds:find("socket:", 1, true), fds)
      assert.is_true(web:quit())
      assert.is_true(gone(pid))
      assert.same({}, web:complaints())
    end)
  end)
end

nvim.each(describe, function(run)
  it("MCP servers, while the editor lives on", function()
    run("local _, nv = ...\n" .. IMPORT .. [[
      local execute = zigllms.tool.execute
      local stop = nv.ticking()
      assert(#import() == 4)
      assert(execute("echo", { say = "here" }) == "here")
      local ok, err = pcall(execute, "slow", {}, { timeout_ms = 300 })
      assert(not ok and err.code == "timeout")
      local told
      zigllms.spawn(function()
        pcall(execute, "die")
        told = execute("echo", { say = "later" })
      end)
      nv.wait(function()
        return told
      end, "a call in a spawned function")
      assert(told == "later")
      assert(vim.fn.system("echo child"):match("child") and vim.v.shell_error == 0)
      local job = vim.fn.jobwait({ vim.fn.jobstart({ "sh", "-c", "exit 7" }) })
      assert(job[1] == 7)
      local longest = stop()
      assert(longest < 200, longest)
      local seen = execute("inherited")
      zigllms.reset()
      nv.wait(function()
        return nv.uv.kill(seen.pid, 0) ~= 0
      end, "the end of the server")
    ]])
  end)
end)
