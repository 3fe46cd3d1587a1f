-- Paths that lead out of a directory, in all forms: what tools for files must refuse.
local paths = {}

local function sh(command, ...)
  local ok = os.execute(command:format(...))
  assert(ok == true or ok == 0, command)
end

paths.sh = sh

function paths.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

function paths.read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  return text, file and file:close()
end

-- A directory with links and pipes in it, and another one beside it: {base, root, other}.
function paths.trap()
  local base = os.tmpname()
  local root, other = base .. "/root", base .. "/other"
  os.remove(base)
  sh("mkdir -p %s/sub %s", root, other)
  paths.write(root .. "/a.txt", "hello\nworld\n")
  paths.write(root .. "/sub/b.txt", "below")
  paths.write(other .. "/secret", "secret")
  paths.write(other .. "/only", "other")
  sh("ln -s a.txt %s/inside", root)
  sh("ln -s sub %s/folder", root)
  sh("ln -s %s/secret %s/absolute", other, root)
  sh("ln -s ../other/secret %s/relative", root)
  sh("ln -s ../other %s/out", root)
  sh("ln -s loop %s/loop", root)
  sh("ln -s nothing %s/dangling", root)
  sh("ln -s / %s/everything", root)
  sh("mkfifo %s/pipe", root)
  return { base = base, root = root, other = other }
end

function paths.remove(trap)
  sh("rm -rf %s", trap.base)
end

-- All of these are a "forbidden_path".
function paths.forbidden(trap)
  local root, other = trap.root, trap.other
  return {
    "/etc/passwd",
    other .. "/secret",
    root .. "/a.txt",
    "//etc/passwd",
    "..",
    "../other/secret",
    "sub/../../other/secret",
    "sub/../a.txt",
    "./../other/secret",
    "a.txt/..",
    "~/x",
    "~root/x",
    "..\\other\\secret",
    "sub\\..\\..\\other",
    "C:\\x",
    "a.txt\0.png",
    "\0",
    "",
    ("x/"):rep(3000),
    "absolute",
    "relative",
    "out/secret",
    "out",
    "out/../a.txt",
    "everything/etc/passwd",
    "everything",
    "everything/proc/self/environ",
    "folder/../../other/secret",
    "loop",
  }
end

-- These are names of nothing, or of nothing that can be read.
function paths.senseless()
  return {
    "dangling",
    "file:///etc/passwd",
    "%2e%2e/other/secret",
    "..%2fother",
    "．．/other",
    "...",
    "a.txt/",
    "a.txt/x",
    ("x"):rep(300),
  }
end

return paths
