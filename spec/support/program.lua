-- Runs a chunk in a fresh interpreter of the same engine, with the same module.
local clock = require("system").monotime

local program = {}

program.clock = clock

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

program.quoted = quoted

function program.interpreter()
  local own = arg and arg[-1]
  if own and own:match("lua[^/]*$") then
    return own
  end
  return jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  os.remove(path)
  return text
end

-- Runs a shell command: {rc, out, err, ms}. One that takes longer than 30 s is ended.
function program.shell(command, env)
  local out, err = os.tmpname(), os.tmpname()
  local words = {
    "LUA_PATH=" .. quoted(package.path),
    "LUA_CPATH=" .. quoted(package.cpath),
  }
  for name, value in pairs(env or {}) do
    words[#words + 1] = name .. "=" .. quoted(value)
  end
  local began = clock()
  local line = ("env %s timeout 240 %s >%s 2>%s </dev/null; echo $?"):format(
    table.concat(words, " "),
    command,
    out,
    err
  )
  local pipe = assert(io.popen(line))
  local rc = tonumber(pipe:read("*l"))
  pipe:close()
  return { rc = rc, ms = (clock() - began) * 1000, out = read(out), err = read(err) }
end

-- Runs `chunk` with the words of `options.args` as its arguments, under `options.under` if given.
function program.run(chunk, options)
  options = options or {}
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(chunk)
  file:close()
  local words = { options.under or "", program.interpreter(), path }
  for _, word in ipairs(options.args or {}) do
    words[#words + 1] = quoted(tostring(word))
  end
  local result = program.shell(table.concat(words, " "), options.env)
  os.remove(path)
  return result
end

-- Starts a program that answers each line it reads with a line. It ends with this one.
local talking = {}
talking.__index = talking

function program.talk(command)
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkfifo " .. name))
  local input = assert(io.popen("exec " .. command .. " > " .. name, "w"))
  local output = assert(io.open(name, "r"))
  os.remove(name)
  input:setvbuf("no")
  return setmetatable({ input = input, output = output, command = command }, talking)
end

-- What it says next.
function talking.line(self)
  return (assert(self.output:read("*l"), "it is gone: " .. self.command))
end

function talking.ask(self, command)
  self.input:write(command, "\n")
  return self:line()
end

function talking.stop(self)
  self.input:close()
  self.output:close()
end

-- Resident memory of this process in KiB; nil where the system does not tell.
function program.resident()
  local file = io.open("/proc/self/status")
  if not file then
    return nil
  end
  local kib = file:read("*a"):match("VmRSS:%s*(%d+)")
  file:close()
  return tonumber(kib)
end

function program.has(command)
  local found = os.execute("command -v " .. command .. " >/dev/null 2>&1")
  return found == true or found == 0
end

return program
