-- The parser of Python's prometheus-client, which `make deps` puts into the cache.
local cjson = require("cjson")
local program = require("spec.support.program")

local prometheus = {}

local cache = os.getenv("XDG_CACHE_HOME") or (os.getenv("HOME") or "") .. "/.cache"
local python = cache .. "/zigllms/prometheus/bin/python3"

-- Nil if it can be used, else why not.
function prometheus.missing()
  local file = io.open(python)
  if not file then
    return "no prometheus-client in the cache: `make deps` gets it"
  end
  file:close()
end

local READER = [[
import json, sys
from prometheus_client.parser import text_string_to_metric_families as families
print(json.dumps([
  {"name": f.name, "type": f.type, "help": f.documentation,
   "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in f.samples]}
  for f in families(open(sys.argv[1], encoding="utf-8").read())]))
]]

-- The families of samples in a text, as the parser reads them.
function prometheus.read(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local words = { python, "-c", program.quoted(READER), path }
  local result = program.shell(table.concat(words, " "))
  os.remove(path)
  assert(result.rc == 0, result.err)
  return cjson.decode(result.out)
end

return prometheus
