-- Another process with the module, that obeys: each line it is told is Lua, which it runs and
-- answers with what that returns, as text. Meanwhile it delivers events.
--
--   local peer = peers.start("redis://…")
--   peer:ask("return #got") -- "0"
local program = require("spec.support.program")

local peers = {}
local methods = {}
methods.__index = methods

-- `got` holds every remote event there was. Lines come through a pipe whose reading blocks, so each
-- is answered at once; `poll(ms)` and `await(fn)` deliver.
local BODY = [[
io.stdout:setvbuf("line")
zigllms, event, got = require("zigllms"), require("zigllms").event, {}
zigllms.configure({ store = arg[1] })
event.subscribe("*", function(e)
  if e.remote then
    got[#got + 1] = e
  end
end)
local clock = require("system").monotime
function await(is, seconds)
  local late = clock() + (seconds or 20)
  while not is() and clock() < late do
    zigllms.poll(20)
  end
  return is()
end
print("ready")
for line in io.lines() do
  local fn, err = (loadstring or load)(line)
  local ok, result = pcall(fn or error, err)
  print((tostring(result):gsub("\n", " ")))
end
]]

-- The interpreter and the module of the other engine; nil if they are not there.
function peers.other_engine()
  local interpreter = jit and "lua5.4" or "luajit"
  local from, to = "/5%.4/", "/jit/"
  if jit then
    from, to = "/jit/", "/5.4/"
  end
  local cpath = package.cpath:gsub(from, to)
  local env = "LUA_CPATH=" .. program.quoted(cpath .. ";" .. package.cpath)
  local test = ('env %s %s -e \'require("zigllms") require("system")\''):format(env, interpreter)
  if program.shell("sh -c " .. program.quoted(test)).rc == 0 then
    return interpreter, cpath .. ";" .. package.cpath
  end
end

-- Starts one on a store. With `interpreter` and `cpath` in another engine.
function peers.start(store, interpreter, cpath)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(BODY)
  file:close()
  local command = ("env LUA_PATH=%s LUA_CPATH=%s sh -c 'echo $$; exec %s %s %s'"):format(
    program.quoted(package.path),
    program.quoted(cpath or package.cpath),
    interpreter or program.interpreter(),
    path,
    store
  )
  local self = setmetatable({ talk = program.talk(command) }, methods)
  self.pid = self.talk:line()
  local line = self.talk:line()
  os.remove(path)
  assert(line == "ready", line)
  return self
end

function methods.ask(self, chunk)
  return self.talk:ask((chunk:gsub("%s*\n%s*", " ")))
end

-- Starts what takes a while; `answer` waits for it.
function methods.begin(self, chunk)
  self.talk.input:write((chunk:gsub("%s*\n%s*", " ")), "\n")
end

function methods.answer(self)
  return self.talk:line()
end

function methods.kill(self)
  os.execute("kill -9 " .. self.pid)
end

function methods.stop(self)
  self.talk:stop()
end

return peers
