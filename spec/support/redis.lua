-- A real redis-server, on loopback and a port of its own: see spec/fixtures/redis_server.py.
-- It ends when the program that asked for it ends.
local cjson = require("cjson")
local program = require("spec.support.program")

local redis = {}

local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)support/[^/]*$") or "spec/"

local methods = {}
methods.__index = methods

local function talk(options)
  local words = { "python3 -W ignore " .. here .. "fixtures/redis_server.py" }
  for _, option in ipairs(options or {}) do
    words[#words + 1] = program.quoted(option)
  end
  return program.talk(table.concat(words, " "))
end

-- Starts a server with further options of its command line: nil and why, if there can be none.
function redis.start(options)
  if not require("zigllms").info().features.redis then
    return nil, "this module is built without redis"
  end
  local self = { talk = talk(options) }
  local line = self.talk:line()
  self.port = tonumber(line)
  if not self.port then
    self.talk:stop()
    return nil, (line:gsub("^skip: ", ""))
  end
  self.url = "redis://127.0.0.1:" .. self.port
  return setmetatable(self, methods)
end

-- For the top of a describe: a server that ends with it, or nil after saying why what is described
-- is skipped.
function redis.for_specs(options)
  local server, reason = redis.start(options)
  if not server then
    print("SKIP: specs of Redis: " .. reason)
    return nil
  end
  return server
end

-- What the server answers to any command; cjson.null where there is nothing.
function methods.command(self, ...)
  local words = {}
  for i, word in ipairs({ ... }) do
    words[i] = tostring(word)
  end
  return cjson.decode("[" .. self.talk:ask(cjson.encode(words)) .. "]")[1]
end

-- Ends the server at once, as a crash would; `start_again` brings it back on its port.
function methods.kill(self)
  assert(self.talk:ask("kill") == "ok")
end

function methods.start_again(self)
  assert(self.talk:ask("start") == "ok")
end

function methods.stop(self)
  self.talk:stop()
end

return redis
