-- The built-in process_runner: what it runs, what a program gets and gives, and how it ends.
local nginx = require("spec.support.nginx")
local paths = require("spec.support.paths")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")
local zigllms = require("zigllms")

local tool = zigllms.tool
local clock = program.clock
local trap = paths.trap()

local function allow(list, more)
  local tools = { process = { allow = list }, file_roots = { trap.root } }
  for key, value in pairs(more or {}) do
    tools[key] = value
  end
  zigllms.configure({ tools = tools })
end

local function run(name, args, extra, options)
  local input = { program = name, args = args }
  for key, value in pairs(extra or {}) do
    input[key] = value
  end
  return tool.execute("process_runner", input, options)
end

local function sh(script, extra, options)
  return run("sh", { "-c", script }, extra, options)
end

local function refuses(reason, ...)
  local err = raised("tool_error", run, ...)
  assert.equal(reason, err.details.reason, err.message)
  return err
end

local function is_alive(pid)
  local stat = paths.read("/proc/" .. pid .. "/stat")
  return stat ~= nil and not stat:find(") Z ", 1, true)
end

local function gone(pid)
  local late = clock() + 5
  while is_alive(pid) and clock() < late do
    zigllms.sleep(5)
  end
  return not is_alive(pid)
end

local function pid_in(file)
  local late = clock() + 5
  while not (paths.read(file) or ""):find("\n") and clock() < late do
    zigllms.sleep(5)
  end
  return (paths.read(file):match("%d+"))
end

describe("process_runner", function()
  before_each(function()
    allow({ "sh", "cat", "echo", "env" })
  end)

  teardown(function()
    paths.remove(trap)
    zigllms.configure({ tools = zigllms.null })
  end)

  it("is not there until a program is permitted", function()
    assert.is_true(tool.exists("process_runner"))
    assert.equal("system", tool.discover({ name = "process_runner" })[1].category)
    local spec = tool.get_schema("process_runner").parameters.properties.program.description
    assert.truthy(spec:find("sh, cat, echo, env", 1, true), spec)
    for _, process in ipairs({ zigllms.null, { allow = {} }, { allow = zigllms.null } }) do
      allow({ "sh" })
      zigllms.configure({ tools = { process = process } })
      assert.is_false(tool.exists("process_runner"))
      assert.same({}, tool.discover({ name = "process_runner" }))
      raised("not_found", sh, "exit 0")
    end
    local err =
      raised("invalid_argument", tool.register, { name = "p", builtin = "process_runner" })
    assert.truthy(err.message:find("process={allow=}", 1, true), err.message)
    -- What is empty says nothing.
    allow({ "sh" })
    zigllms.configure({ tools = { process = {} } })
    assert.same({ allow = { "sh" } }, zigllms.config().tools.process)
    assert.is_true(tool.exists("process_runner"))
  end)

  it("tells how a program ended and what it said", function()
    local said = sh("echo out; echo err >&2; exit 3")
    assert.equal(3, said.exit_code)
    assert.equal("out\n", said.stdout)
    assert.equal("err\n", said.stderr)
    assert.is_nil(said.signal)
    assert.is_nil(said.truncated)
    assert.is_nil(said.timed_out)
    assert.is_true(said.duration_ms > 0 and said.duration_ms < 5000)
    said = sh("kill -TERM $$")
    assert.equal(15, said.signal)
    assert.is_nil(said.exit_code)
  end)

  it("hands over arguments as they are", function()
    local words = { "a b", "*", "$HOME", "`id`", "; exit 7", "'", '"', "\\", "", "-n", "ä\n" }
    local said = run("sh", { "-c", 'printf "<%s>" "$@"', "x", (unpack or table.unpack)(words) })
    assert.equal("<" .. table.concat(words, "><") .. ">", said.stdout)
    assert.equal("\n", run("echo").stdout)
    assert.equal("", run("cat", {}).stdout)
  end)

  it("gives it what to read", function()
    local text = ("line\n"):rep(50000)
    assert.equal(text, run("cat", {}, { stdin = text }).stdout)
    assert.equal(0, sh("exit 0", { stdin = text }).exit_code)
  end)

  it("runs what is permitted and nothing else", function()
    local err = refuses("not_allowed", "ls", {})
    assert.truthy(err.message:find("permitted are sh, cat, echo, env", 1, true), err.message)
    for _, name in ipairs({
      "/bin/sh",
      "/usr/bin/../bin/cat",
      "./sh",
      "../sh",
      "SH",
      "sh ",
      "sh;ls",
      "sh\n",
      "",
      ".",
      "/",
      "sh\0",
    }) do
      refuses("not_allowed", name, { "-c", "exit 0" })
    end
    allow({
      "/bin/sh",
      { program = "echo", args = { "status", "log" } },
      { program = "cat", args = {} },
    })
    assert.equal(0, run("/bin/sh", { "-c", "exit 0" }).exit_code)
    assert.equal(0, run("sh", { "-c", "exit 0" }).exit_code)
    assert.equal("status -x\n", run("echo", { "status", "-x" }).stdout)
    -- Without arguments some programs do what stands in their input.
    refuses("not_allowed", "echo")
    err = refuses("not_allowed", "echo", { "push" })
    assert.truthy(err.message:find("status, log", 1, true), err.message)
    refuses("not_allowed", "echo", { "-c", "status" })
    refuses("not_allowed", "cat", { "/etc/passwd" })
    assert.equal("x", run("cat", {}, { stdin = "x" }).stdout)
    assert.same({
      "/bin/sh",
      { program = "echo", args = { "status", "log" } },
      { program = "cat", args = {} },
    }, zigllms.config().tools.process.allow)
  end)

  it("says what cannot be started", function()
    allow({ "no-such-program-here", "/etc/passwd", "/no/such", "sh" })
    refuses("not_found", "no-such-program-here")
    refuses("denied", "/etc/passwd")
    refuses("not_found", "/no/such")
    raised("tool_error", run, "sh", { "a\0b" })
    refuses("too_large", "sh", { ("x"):rep(4000000) })
    raised("validation_failed", run, 5)
    raised("validation_failed", run, "sh", { 5 })
    raised("validation_failed", run, "sh", {}, { timeout_ms = 0 })
  end)

  it("starts below the roots of files", function()
    assert.equal(trap.root .. "\n", sh("pwd").stdout)
    assert.equal(trap.root .. "/sub\n", sh("pwd -P", { cwd = "sub" }).stdout)
    assert.equal(trap.root .. "/sub\n", sh("pwd -P", { cwd = "folder" }).stdout)
    for _, path in ipairs(paths.forbidden(trap)) do
      local err = raised("tool_error", sh, "exit 0", { cwd = path })
      assert.equal("forbidden_path", err.details.reason, ("%q: %s"):format(path, err.message))
    end
    for _, path in ipairs(paths.senseless()) do
      raised("tool_error", sh, "exit 0", { cwd = path })
    end
    refuses("not_a_directory", "sh", {}, { cwd = "a.txt" })
    allow({ "sh" }, { file_roots = {}, write_roots = { trap.other } })
    assert.equal(trap.other .. "\n", sh("pwd").stdout)
    allow({ "sh" }, { file_roots = {}, write_roots = {} })
    refuses("not_found", "sh", { "-c", "exit 0" })
  end)

  it("gives it nothing of the host", function()
    local result = program.run(
      [[
      local zigllms = require("zigllms")
      zigllms.configure({ tools = { process = { allow = { "env", "grep", "sh" } } } })
      local open = io.open("/etc/hostname") or io.open("/etc/passwd")
      local run = zigllms.tool.execute
      print(run("process_runner", { program = "env" }).stdout)
      print("descriptors " .. run("process_runner", { program = "sh",
        args = { "-c", "echo /proc/self/fd/*" } }).stdout)
      -- By itself: a shell sets the mask of what it starts anew.
      print(run("process_runner", { program = "grep",
        args = { "-E", "^Sig(Ign|Blk)", "/proc/self/status" } }).stdout)
      local script = "ps -o pgid= -p $$ | tr -d ' '; echo $$"
      print(run("process_runner", { program = "sh", args = { "-c", script } }).stdout)
      open:close()
    ]],
      { env = { OPENAI_API_KEY = "sk-CANARY", MY_SECRET = "CANARY" }, under = "env -u X" }
    )
    assert.equal("", result.err)
    assert.is_nil(result.out:find("CANARY", 1, true), result.out)
    assert.truthy(result.out:find("PATH=", 1, true))
    assert.is_nil(result.out:find("LUA_CPATH", 1, true))
    local fds = result.out:match("descriptors ([^\n]*)")
    assert.truthy(fds:match("^/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 ?[^ ]*$"), fds)
    for _, which in ipairs({ "SigBlk", "SigIgn" }) do
      local mask = result.out:match(which .. ":%s*(%x+)")
      -- Those from 32 on are the C library's own.
      assert.truthy(mask:match("^%x%x%x%x%x%x%x%x[08]0000000$"), which .. " " .. mask)
    end
    local group, own = result.out:match("(%d+)\n(%d+)\n\n$")
    assert.equal(group, own)
  end)

  it("keeps so much of what it says", function()
    local said = sh("yes | head -c 3000000; yes ä | head -c 999 >&2")
    assert.equal(1048576, #said.stdout)
    assert.is_true(said.truncated)
    assert.equal(0, said.exit_code)
    said = sh("printf abcdef; printf xyz >&2", { max_bytes = 3 })
    assert.same({ "abc", "xyz", true }, { said.stdout, said.stderr, said.truncated })
    said = sh("printf 'aä'", { max_bytes = 2 })
    assert.same({ "a", nil }, { said.stdout, said.stdout_encoding })
    said = sh([[printf '\377\000\001']])
    assert.same({ "/wAB", "base64" }, { said.stdout, said.stdout_encoding })
  end)

  it("ends it with all that it has started when its time is over", function()
    local began = clock()
    local said = sh("sleep 100 & echo $!; echo $$; wait", { timeout_ms = 200 })
    assert.is_true(clock() - began < 5)
    assert.is_true(said.timed_out)
    assert.equal(9, said.signal)
    for pid in said.stdout:gmatch("%d+") do
      assert.is_true(gone(pid))
    end
    -- Also one that ignores what it can ignore, and one that never stops talking.
    said = sh("trap '' TERM INT HUP; while :; do :; done", { timeout_ms = 100 })
    assert.same({ true, 9 }, { said.timed_out, said.signal })
    said = sh("exec yes", { timeout_ms = 300, max_bytes = 100 })
    assert.same({ true, 9, true }, { said.timed_out, said.signal, said.truncated })
  end)

  it("leaves nobody behind", function()
    local began = clock()
    local said = sh("sleep 100 & echo $!")
    assert.equal(0, said.exit_code)
    assert.is_true(clock() - began < 5)
    assert.is_true(gone(said.stdout:match("%d+")))
    for _ = 1, 20 do
      sh("exit 1")
    end
    local own = paths.read("/proc/self/stat"):match("^%d+")
    local children = program.shell("ps --ppid " .. own .. " -o stat= -o comm=").out
    assert.is_nil(children:find("Z", 1, true), children)
  end)

  it("ends with its call: cancelled, out of time, or with the Lua state", function()
    local file = trap.base .. "/pid"
    local script = "echo $$ > " .. file .. "; sleep 100"
    local handle = sh(script, nil, { async = true })
    local pid = pid_in(file)
    assert.is_true(is_alive(pid))
    handle:cancel()
    raised("cancelled", handle.await, handle)
    assert.is_true(gone(pid))
    os.remove(file)
    local err = raised("timeout", sh, script, nil, { timeout_ms = 300 })
    assert.equal("tool", err.phase)
    assert.is_true(gone(pid_in(file)))
    for _, way in ipairs({ "os.exit(0)", "os.exit(0, true)", "", "error('x')" }) do
      os.remove(file)
      program.run([[
        local zigllms = require("zigllms")
        zigllms.configure({ tools = { process = { allow = { "sh" } } } })
        zigllms.tool.execute("process_runner", { program = "sh", args = { "-c", arg[1] } },
          { async = true })
        while not (io.open(arg[2]) and io.open(arg[2]):read("*l")) do zigllms.sleep(5) end
      ]] .. way, { args = { script, file } })
      assert.is_true(gone(pid_in(file)), way)
    end
  end)

  it("waits as the host does, and several run at once", function()
    local began = clock()
    local said = zigllms.map({ 1, 2, 3, 4, 5 }, function(n)
      return sh("sleep 1; echo " .. n).stdout
    end)
    assert.same({ "1\n", "2\n", "3\n", "4\n", "5\n" }, said)
    -- One after the other they take five seconds.
    assert.is_true(clock() - began < 3.5, clock() - began)
  end)

  it("belongs to the process that started it: a forked child leaves it alone", function()
    if not (jit or pcall(require, "posix.unistd")) then
      return print("\nSKIP a fork while a program runs: neither ffi nor luaposix is there")
    end
    local result = program.run([[
      local fork, wait
      if jit then
        local ffi = require("ffi")
        ffi.cdef("int fork(void); int waitpid(int pid, int *status, int options);")
        fork, wait = ffi.C.fork, function(pid)
          local status = ffi.new("int[1]")
          ffi.C.waitpid(pid, status, 0)
          return status[0]
        end
      else
        local unistd, sys = require("posix.unistd"), require("posix.sys.wait")
        fork, wait = unistd.fork, function(pid)
          return select(3, sys.wait(pid))
        end
      end
      local zigllms = require("zigllms")
      zigllms.configure({ tools = { process = { allow = { "sh" } } } })
      local running = zigllms.tool.execute("process_runner",
        { program = "sh", args = { "-c", "sleep 0.5; exit 4" } }, { async = true })
      zigllms.poll(50)
      for _, ending in ipairs({ "used", "unused" }) do
        local child = fork()
        if child == 0 then
          if ending == "used" then
            local ok, err = pcall(running.await, running)
            assert(not ok and err.code == "cancelled", tostring(err))
          end
          os.exit(0, true)
        end
        assert(wait(child) == 0, ending)
      end
      print(running:await().exit_code)
    ]])
    assert.equal("", result.err)
    assert.equal("4\n", result.out)
  end)

  it("leaves children of the host to the host", function()
    local ok, wait = pcall(require, "posix.sys.wait")
    local _, unistd = pcall(require, "posix.unistd")
    if not ok then
      return print("\nSKIP children of the host: there is no luaposix")
    end
    local pid = unistd.fork()
    if pid == 0 then
      unistd._exit(7)
    end
    sh("exit 0")
    zigllms.sleep(20)
    assert.same({ pid, "exited", 7 }, { wait.wait(pid) })
  end)

  it("is told in nginx, too, which waits for every child there is", function()
    if nginx.missing() then
      return print("\nSKIP programs run in nginx: " .. nginx.missing())
    end
    local web = nginx.start({
      locations = {
        run = [=[
          local zigllms = require("zigllms")
          zigllms.configure({ tools = { process = { allow = { "sh" } } } })
          for i = 1, 10 do
            local said = zigllms.tool.execute("process_runner",
              { program = "sh", args = { "-c", "echo " .. i .. "; exit " .. i } })
            ngx.print(said.stdout, said.exit_code or said.note, "\n")
          end
        ]=],
      },
    })
    local body, status = web:get("/run")
    web:stop()
    assert.equal(200, status)
    for i = 1, 10 do
      -- Before Linux 6.15 nobody else learns how it ended.
      local told = body:match(("%%f[%%d]%d\n([^\n]*)\n"):format(i))
      assert.is_true(told == tostring(i) or told:find("somebody else", 1, true) ~= nil, body)
    end
  end)

  it("is a tool for models", function()
    local model = scripted.new()
    model:begin()
    model:script(
      scripted.calls({
        { "c1", "process_runner", '{"program":"echo","args":["hello"]}' },
        { "c2", "process_runner", '{"program":"rm","args":["-rf","/"]}' },
      }),
      scripted.text("done")
    )
    local id = zigllms.agent.create({ model = "m", tools = { "process_runner" } })
    local response = zigllms.agent.run(id, "go")
    assert.equal("hello\n", response.tool_calls[1].result.stdout)
    assert.truthy(response.tool_calls[2].error:find("not permitted", 1, true))
    local offered = model:requests()[1].tools[1]["function"]
    assert.truthy(offered.parameters.properties.program.description:find("echo", 1, true))
  end)

  it("overlaps with others of its round, as built-in tools do that wait", function()
    local other = scripted.new()
    other:begin()
    allow({ "sleep" })
    other:script(
      scripted.calls({
        { "c1", "process_runner", '{"program":"sleep","args":["1"]}' },
        { "c2", "process_runner", '{"program":"sleep","args":["1"]}' },
        { "c3", "process_runner", '{"program":"sleep","args":["1"]}' },
        { "c4", "file_reader", '{"path":"a.txt"}' },
      }),
      scripted.text("done")
    )
    local config = { model = "m", tools = { "process_runner", "file_reader" } }
    local began = clock()
    local response = zigllms.agent.run(zigllms.agent.create(config), "go")
    -- One after the other they take three seconds.
    assert.is_true(clock() - began < 2.5, clock() - began)
    assert.equal(0, response.tool_calls[2].result.exit_code)
    assert.equal("hello\nworld\n", response.tool_calls[4].result.content)
  end)

  it("is configured by programs", function()
    for text, bad in pairs({
      ["allow[2]: expected a name without"] = { "sh", "bin/sh" },
      ["allow[1]: expected a name without"] = { "./sh" },
      ["allow[1].program: expected a string"] = { {} },
      ["allow[1].programs: unknown key"] = { { programs = "x" } },
      ["allow[1].args"] = { { program = "x", args = { 1 } } },
      ["allow[1]"] = { 5 },
      ["allow[1]: a name with a zero byte"] = { "a\0b" },
    }) do
      local given = { tools = { process = { allow = bad } } }
      local err = raised("invalid_argument", zigllms.configure, given)
      assert.truthy(err.message:find(text, 1, true), err.message)
    end
    assert.same({ "sh", "cat", "echo", "env" }, zigllms.config().tools.process.allow)
  end)
end)
