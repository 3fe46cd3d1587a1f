-- The built-in file_reader: what it reads, and what it never does.
local clock = require("spec.support.program").clock
local paths = require("spec.support.paths")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local trap = paths.trap()
local base, root, other = trap.base, trap.root, trap.other
local sh, write = paths.sh, paths.write

local function look(operation, path, extra, options)
  local input = { operation = operation, path = path }
  for key, value in pairs(extra or {}) do
    input[key] = value
  end
  return zigllms.tool.execute("file_reader", input, options)
end

local function refuses(reason, operation, path, extra)
  local err = raised("tool_error", look, operation, path, extra)
  assert.equal(reason, err.details.reason, path .. ": " .. err.message)
  return err
end

describe("file_reader", function()
  setup(function()
    write(root .. "/bytes", "\255\0\1")
    write(root .. "/umlauts", ("ä"):rep(10))
    write(root .. "/empty", "")
    zigllms.configure({ tools = { file_roots = { root } } })
  end)

  teardown(function()
    paths.remove(trap)
    zigllms.configure({ tools = zigllms.null })
  end)

  it("reads a file", function()
    local found = look("read", "a.txt")
    assert.equal("hello\nworld\n", found.content)
    assert.equal(12, found.size)
    assert.equal("utf-8", found.encoding)
    assert.is_false(found.truncated)
    assert.is_nil(found.next_offset)
    assert.equal("below", look(nil, "sub/b.txt").content)
    assert.equal("below", look(nil, "./sub//./b.txt").content)
    assert.equal("", look("read", "empty").content)
  end)

  it("reads a part, and says where to go on", function()
    local found = look("read", "a.txt", { max_bytes = 5 })
    assert.equal("hello", found.content)
    assert.is_true(found.truncated)
    assert.equal(5, found.next_offset)
    found = look("read", "a.txt", { offset = found.next_offset + 1 })
    assert.equal("world\n", found.content)
    assert.is_false(found.truncated)
    assert.equal("", look("read", "a.txt", { offset = 1e9 }).content)
    local all, at = {}, 0
    repeat
      found = look("read", "umlauts", { offset = at, max_bytes = 3 })
      assert.equal("utf-8", found.encoding)
      all[#all + 1], at = found.content, found.next_offset
    until not at
    assert.equal(("ä"):rep(10), table.concat(all))
  end)

  it("gives bytes that are no text as base64", function()
    local found = look("read", "bytes")
    assert.equal("/wAB", found.content)
    assert.equal("base64", found.encoding)
    assert.truthy(found.note:find("base64", 1, true))
  end)

  it("reads no more than 10 MB at once", function()
    write(root .. "/large", ("x"):rep(1048576):rep(11))
    local found = look("read", "large")
    assert.equal(10485760, #found.content)
    assert.equal(11534336, found.size)
    assert.equal(10485760, found.next_offset)
    raised("validation_failed", look, "read", "large", { max_bytes = 10485761 })
    found = zigllms.tool.execute(
      "file_reader",
      { path = "large", max_bytes = 20971520 },
      { validate = false }
    )
    assert.equal(10485760, #found.content)
    os.remove(root .. "/large")
  end)

  it("lists a directory, links as such", function()
    local found = look("list", ".")
    local kinds = {}
    for i, entry in ipairs(found.entries) do
      kinds[entry.name] = entry.type
      assert.is_true(i == 1 or found.entries[i - 1].name < entry.name)
    end
    assert.equal("file", kinds["a.txt"])
    assert.equal("directory", kinds.sub)
    assert.equal("link", kinds.out)
    assert.equal("other", kinds.pipe)
    assert.equal(#found.entries, found.total)
    assert.is_false(found.truncated)
    assert.equal("b.txt", look("list", "sub").entries[1].name)
    refuses("not_a_directory", "list", "a.txt")
  end)

  it("tells what a path is", function()
    local found = look("stat", "a.txt")
    assert.equal("file", found.type)
    assert.equal("a.txt", found.name)
    assert.equal(12, found.size)
    assert.is_true(math.abs(found.modified_at - os.time()) < 600)
    assert.equal("directory", look("stat", "sub").type)
    assert.equal("sub", look("stat", "sub/").name)
    refuses("not_found", "stat", "nothing")
    refuses("is_directory", "read", "sub")
  end)

  it("follows links that stay below the root", function()
    assert.equal("hello\nworld\n", look("read", "inside").content)
    assert.equal("below", look("read", "folder/b.txt").content)
  end)

  it("refuses every path that leads elsewhere", function()
    for _, path in ipairs(paths.forbidden(trap)) do
      for _, operation in ipairs({ "read", "list", "stat" }) do
        local err = raised("tool_error", look, operation, path)
        assert.equal("forbidden_path", err.details.reason, ("%q: %s"):format(path, err.message))
        assert.is_nil(err.message:find("secret\n", 1, true))
      end
    end
    for _, path in ipairs(paths.senseless()) do
      raised("tool_error", look, "read", path)
    end
    raised("validation_failed", look, "read", 5)
    raised("validation_failed", look, "write", "a.txt")
  end)

  it("never waits for a pipe or touches a device", function()
    local began = clock()
    for _, operation in ipairs({ "read", "stat", "list" }) do
      refuses("not_a_file", operation, "pipe")
    end
    zigllms.configure({ tools = { file_roots = { "/dev" } } })
    for _, path in ipairs({ "null", "zero", "tty" }) do
      local err = raised("tool_error", look, "read", path)
      assert.equal("not_a_file", err.details.reason)
    end
    zigllms.configure({ tools = { file_roots = { root } } })
    assert.is_true(clock() - began < 5)
  end)

  it("loses no race against links that come and go", function()
    write(base .. "/busy", "")
    local swap = root .. "/swap"
    sh(
      "(while [ -e %s/busy ]; do ln -sfn ../other %s; rm -f %s; mkdir %s; rmdir %s; done) "
        .. ">/dev/null 2>&1 &",
      base,
      swap,
      swap,
      swap,
      swap
    )
    for _ = 1, 300 do
      local ok, found = pcall(look, "read", "swap/secret")
      assert.is_false(ok, ok and found.content)
    end
    os.remove(base .. "/busy")
    sh("sleep 0.2; rm -rf %s", swap)
  end)

  it("looks into each root in turn", function()
    zigllms.configure({ tools = { file_roots = { root, other } } })
    assert.equal("other", look("read", "only").content)
    assert.equal("below", look("read", "sub/b.txt").content)
    zigllms.configure({ tools = { file_roots = {} } })
    refuses("not_found", "read", "a.txt")
    zigllms.configure({ tools = { file_roots = { base .. "/missing" } } })
    refuses("not_found", "read", "a.txt")
    zigllms.configure({ tools = zigllms.null })
    assert.truthy(look("read", "Cargo.toml").content:find("zigllms", 1, true))
    zigllms.configure({ tools = { file_roots = { root } } })
  end)

  it("is configured by names of directories", function()
    assert.same({ root }, zigllms.config().tools.file_roots)
    raised("invalid_argument", zigllms.configure, { tools = { file_roots = "x" } })
    raised("invalid_argument", zigllms.configure, { tools = { file_roots = { "" } } })
    raised("invalid_argument", zigllms.configure, { tools = { file_roots = { "a\0b" } } })
    raised("invalid_argument", zigllms.configure, { tools = { file_root = { "x" } } })
    assert.same({ root }, zigllms.config().tools.file_roots)
  end)

  it("waits as the host does, and can be given up", function()
    local handle = look("read", "a.txt", nil, { async = true })
    assert.equal(12, handle:await().size)
    local sizes = zigllms.map({ "a.txt", "sub/b.txt", "empty" }, function(path)
      return look("read", path).size
    end)
    assert.same({ 12, 5, 0 }, sizes)
    -- A file may have been read before anybody can give it up.
    local tries = 0
    repeat
      handle = look("read", "a.txt", nil, { async = true })
      tries = tries + 1
      assert.is_true(tries < 100)
    until handle:cancel()
    raised("cancelled", function()
      handle:await()
    end)
    assert.equal(
      12,
      zigllms.run(function()
        return look("read", "a.txt").size
      end)
    )
  end)

  it("tells a model of a failure", function()
    local err = refuses("not_found", "read", "nothing")
    assert.truthy(err.message:find('tool "file_reader" failed', 1, true), err.message)
    assert.equal("io_error", err.cause.code)
  end)
end)
