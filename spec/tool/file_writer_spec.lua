-- The built-in file_writer: what it writes, and where it never does.
local paths = require("spec.support.paths")
local program = require("spec.support.program")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local tool = zigllms.tool
local read = paths.read
local trap

local function put(operation, path, content, extra, options)
  local input = { operation = operation, path = path, content = content }
  for key, value in pairs(extra or {}) do
    input[key] = value
  end
  return tool.execute("file_writer", input, options)
end

local function refuses(reason, ...)
  local err = raised("tool_error", put, ...)
  assert.equal(reason, err.details.reason, err.message)
  return err
end

local function names(folder)
  return program.shell("ls -A " .. folder).out
end

describe("file_writer", function()
  before_each(function()
    trap = paths.trap()
    zigllms.configure({ tools = { write_roots = { trap.root } } })
  end)

  after_each(function()
    paths.remove(trap)
    zigllms.configure({ tools = zigllms.null })
  end)

  it("is not there until a root is named", function()
    assert.is_true(tool.exists("file_writer"))
    assert.same({ trap.root }, zigllms.config().tools.write_roots)
    local id = zigllms.agent.create({ provider = "openai", model = "m", tools = { "file_writer" } })
    assert.is_nil(zigllms.agent.get_info(id).tools[1].missing)
    for _, none in ipairs({ zigllms.null, {} }) do
      zigllms.configure({ tools = { write_roots = { trap.root } } })
      zigllms.configure({ tools = { write_roots = none } })
      assert.is_false(tool.exists("file_writer"))
      assert.is_nil(tool.get("file_writer"))
      assert.same({}, tool.discover({ name = "file_writer" }))
      raised("not_found", tool.execute, "file_writer", { path = "x", content = "x" })
      raised("not_found", zigllms.agent.create, { provider = "openai", tools = { "file_writer" } })
      assert.is_true(zigllms.agent.get_info(id).tools[1].missing)
    end
    local err = raised("invalid_argument", tool.register, { name = "w", builtin = "file_writer" })
    assert.truthy(err.message:find("write_roots", 1, true), err.message)
    assert.is_false(tool.validate({ name = "w", builtin = "file_writer" }).valid)
    -- The name is free for tools that clients have.
    local own = tool.register({ name = "file_writer" })
    assert.equal("declared", tool.get_info(own).type)
    tool.unregister(own)
    assert.is_nil(read(trap.root .. "/x"))
    zigllms.agent.destroy(id)
  end)

  it("makes a file, and replaces it as a whole", function()
    local said = put("write", "new.txt", "one\n")
    assert.same({ path = "new.txt", bytes_written = 4, size = 4, created = true }, said)
    assert.equal("one\n", read(trap.root .. "/new.txt"))
    paths.sh("chmod 640 %s/new.txt", trap.root)
    assert.is_false(put(nil, "./new.txt", "2").created)
    assert.equal("2", read(trap.root .. "/new.txt"))
    assert.equal("640\n", program.shell("stat -c %a " .. trap.root .. "/new.txt").out)
    -- Another content does not run as the file's owner.
    paths.sh("chmod 7750 %s/new.txt", trap.root)
    put("write", "new.txt", "2")
    assert.equal("750\n", program.shell("stat -c %a " .. trap.root .. "/new.txt").out)
    put("write", "sub/new.txt", "")
    assert.equal("", read(trap.root .. "/sub/new.txt"))
    put("write", "folder/c.txt", "by a link that stays inside")
    assert.equal("by a link that stays inside", read(trap.root .. "/sub/c.txt"))
    assert.is_nil(names(trap.root):find("zigllms", 1, true))
  end)

  it("replaces nothing where it must not", function()
    refuses("exists", "write", "a.txt", "x", { overwrite = false })
    assert.equal("hello\nworld\n", read(trap.root .. "/a.txt"))
    assert.is_true(put("write", "b.txt", "x", { overwrite = false }).created)
    assert.equal("x", read(trap.root .. "/b.txt"))
    assert.is_nil(names(trap.root):find("zigllms", 1, true))
  end)

  it("adds to the end of a file", function()
    assert.is_true(put("append", "log", "1\n").created)
    local said = put("append", "log", "two\n")
    assert.same({ path = "log", bytes_written = 4, size = 6, created = false }, said)
    assert.equal("1\ntwo\n", read(trap.root .. "/log"))
  end)

  it("makes directories", function()
    assert.same({ path = "x/y/z", created = true }, put("mkdir", "x/y/z"))
    assert.same({ path = "x/y", created = false }, put("mkdir", "x/y"))
    put("write", "x/y/z/file", "deep")
    assert.equal("deep", read(trap.root .. "/x/y/z/file"))
    refuses("not_found", "write", "no/such/file", "x")
    refuses("not_a_directory", "mkdir", "a.txt")
    refuses("not_a_directory", "mkdir", "a.txt/x")
  end)

  it("writes bytes that are no text", function()
    put("write", "bytes", "/wAB", { encoding = "base64" })
    assert.equal("\255\0\1", read(trap.root .. "/bytes"))
    raised("tool_error", put, "write", "bytes", "no base64!", { encoding = "base64" })
    assert.equal("\255\0\1", read(trap.root .. "/bytes"))
  end)

  it("writes no more than 10 MB at once", function()
    local most = ("x"):rep(10485760)
    assert.equal(10485760, put("write", "large", most).size)
    refuses("too_large", "write", "large", most .. "x")
    assert.equal(10485760, #read(trap.root .. "/large"))
  end)

  it("refuses every path that leads elsewhere", function()
    local before = program.shell("ls -lAR --time-style=full-iso " .. trap.base).out
    for _, path in ipairs(paths.forbidden(trap)) do
      for _, operation in ipairs({ "write", "append", "mkdir" }) do
        local err = raised("tool_error", put, operation, path, "x")
        assert.equal("forbidden_path", err.details.reason, ("%q: %s"):format(path, err.message))
      end
    end
    for _, path in ipairs({ "dangling", "dangling/x", "inside", "folder", "a.txt/", "a.txt/x" }) do
      raised("tool_error", put, "write", path, "x")
      raised("tool_error", put, "append", path, "x")
    end
    for _, path in ipairs({ ".", "./", "sub", "sub/", "sub/." }) do
      refuses("is_directory", "write", path, "x")
      refuses("is_directory", "append", path, "x")
    end
    refuses("not_a_file", "write", "pipe", "x")
    refuses("not_a_file", "append", "pipe", "x")
    raised("tool_error", put, "mkdir", "dangling")
    raised("tool_error", put, "mkdir", "dangling/x")
    raised("tool_error", put, "write", ("x"):rep(300), "x")
    assert.equal(before, program.shell("ls -lAR --time-style=full-iso " .. trap.base).out)
    assert.equal("secret", read(trap.other .. "/secret"))
  end)

  it("loses no race against links that come and go", function()
    local swap = trap.root .. "/swap"
    paths.write(trap.base .. "/busy", "")
    paths.sh(
      "(while [ -e %s/busy ]; do ln -sfn ../other %s; rm -rf %s; mkdir %s; rm -rf %s; done) "
        .. ">/dev/null 2>&1 &",
      trap.base,
      swap,
      swap,
      swap,
      swap
    )
    for i = 1, 300 do
      pcall(put, i % 2 == 0 and "write" or "append", "swap/caught", "x")
      pcall(put, "mkdir", "swap/made")
      pcall(put, "write", "swap", "x")
    end
    os.remove(trap.base .. "/busy")
    paths.sh("sleep 0.2")
    assert.equal("only\nsecret\n", names(trap.other))
  end)

  it("writes below the first root that has the directory", function()
    paths.sh("mkdir %s/there", trap.other)
    zigllms.configure({ tools = { write_roots = { trap.root, trap.other } } })
    put("write", "there/x", "second")
    assert.equal("second", read(trap.other .. "/there/x"))
    put("write", "x", "first")
    assert.equal("first", read(trap.root .. "/x"))
    zigllms.configure({ tools = { write_roots = { trap.base .. "/missing" } } })
    refuses("not_found", "write", "x", "y")
  end)

  it("checks what it is given", function()
    raised("validation_failed", tool.execute, "file_writer", {})
    raised("validation_failed", put, "remove", "a.txt", "x")
    raised("validation_failed", put, "write", "a.txt", 5)
    raised("tool_error", tool.execute, "file_writer", { path = "a.txt" })
    assert.equal("hello\nworld\n", read(trap.root .. "/a.txt"))
    raised("invalid_argument", zigllms.configure, { tools = { write_roots = { "a\0b" } } })
    raised("invalid_argument", zigllms.configure, { tools = { write_roots = "x" } })
    assert.same({ trap.root }, zigllms.config().tools.write_roots)
  end)

  it("waits as the host does, and is what readers see whole", function()
    local long = ("0123456789abcdef"):rep(4096)
    put("write", "seen", long)
    zigllms.configure({ tools = { file_roots = { trap.root } } })
    local sizes = zigllms.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(n)
      if n % 2 == 0 then
        return put("write", "seen", long:sub(n)).size
      end
      local found = tool.execute("file_reader", { path = "seen" })
      return (found.content == long or found.content:sub(-16) == long:sub(-16)) and #found.content
    end)
    assert.equal(8, #sizes)
    for _, size in ipairs(sizes) do
      assert.is_true(size > 65500, tostring(size))
    end
    local handle = put("write", "later", "x", nil, { async = true })
    assert.equal(1, handle:await().size)
  end)
end)
