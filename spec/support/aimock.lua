-- The mock server of npm's @copilotkit/aimock, which `make deps` puts into the cache where there is
-- a node for it. It ends when the program that started it ends.
local cjson = require("cjson")
local program = require("spec.support.program")

local aimock = {}

local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)support/[^/]*$") or "spec/"
local cache = os.getenv("XDG_CACHE_HOME") or (os.getenv("HOME") or "") .. "/.cache"
local package = cache .. "/zigllms/aimock/node_modules/@copilotkit/aimock"

-- Nil if it can be started, else why not.
function aimock.missing()
  local file = io.open(package .. "/package.json")
  if not file then
    return "no @copilotkit/aimock in the cache: `make deps` gets it"
  end
  file:close()
  return not program.has("node") and "no node" or nil
end

local methods = {}
methods.__index = methods

function aimock.start()
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkfifo " .. name))
  local words =
    { "exec node", here .. "fixtures/aimock.mjs", package, here .. "fixtures/aimock.json" }
  local input = assert(io.popen(table.concat(words, " ") .. " > " .. name, "w"))
  local output = assert(io.open(name, "r"))
  os.remove(name)
  input:setvbuf("no")
  local self = { input = input, output = output }
  self.root = "http://127.0.0.1:" .. assert(tonumber(output:read("*l")), "it did not start")
  self.url = self.root .. "/v1"
  return setmetatable(self, methods)
end

function methods.ask(self, command)
  self.input:write(command, "\n")
  return (assert(self.output:read("*l"), "the mock server is gone"))
end

-- Forgets what it was asked and how often.
function methods.reset(self)
  assert(self:ask("reset") == "ok")
end

-- What it was asked: {path, at (ms), status}.
function methods.journal(self)
  return cjson.decode(self:ask("journal"))
end

function methods.stop(self)
  self.input:close()
  self.output:close()
end

return aimock
