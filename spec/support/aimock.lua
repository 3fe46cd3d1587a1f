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
  local words = { "node", here .. "fixtures/aimock.mjs", package, here .. "fixtures/aimock.json" }
  local self = { talk = program.talk(table.concat(words, " ")) }
  self.root = "http://127.0.0.1:" .. assert(tonumber(self.talk:line()), "it did not start")
  self.url = self.root .. "/v1"
  return setmetatable(self, methods)
end

-- Forgets what it was asked and how often.
function methods.reset(self)
  assert(self.talk:ask("reset") == "ok")
end

-- What it was asked: {path, at (ms), status}.
function methods.journal(self)
  return cjson.decode(self.talk:ask("journal"))
end

function methods.stop(self)
  self.talk:stop()
end

return aimock
