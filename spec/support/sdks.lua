-- The vendors' SDKs for Python, which `make deps` puts into the cache.
local cjson = require("cjson")
local program = require("spec.support.program")

local sdks = {}

local cache = os.getenv("XDG_CACHE_HOME") or (os.getenv("HOME") or "") .. "/.cache"
local python = cache .. "/zigllms/sdks/bin/python3"
local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)support/[^/]*$") or "spec/"

-- Nil if they can be used, else why not.
function sdks.missing()
  local file = io.open(python)
  if not file then
    return "no SDKs in the cache: `make deps` gets them"
  end
  file:close()
end

-- Has the SDK of a vendor ask a server; gives what each of its answers says.
function sdks.ask(vendor, url)
  local words = { python, "-W", "ignore", here .. "fixtures/sdks.py", vendor, url }
  local result = program.shell(table.concat(words, " "), { NO_PROXY = "127.0.0.1" })
  assert(result.rc == 0, result.err)
  return cjson.decode(result.out)
end

return sdks
