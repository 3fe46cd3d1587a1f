-- Draws graphs of Mermaid; `make deps` puts what it takes into the cache.
local program = require("spec.support.program")
local zigllms = require("zigllms")

local mermaid = {}

local cache = (os.getenv("XDG_CACHE_HOME") or (os.getenv("HOME") or "") .. "/.cache")
  .. "/zigllms/mermaid"

-- Whether graphs can be drawn here; else says why their specs are skipped.
function mermaid.is_there()
  local file = io.open(cache .. "/package/dist/mermaid.min.js")
  if file then
    file:close()
  end
  if file and program.has("node") then
    return true
  end
  print("\nSKIP drawing graphs: no node with Mermaid in the cache, `make deps` gets it")
  return false
end

-- What each graph looks like: `{nodes, boxes, classes, edges}`, or `{error}`.
function mermaid.draw(graphs)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(zigllms.output.format(graphs, "json"))
  file:close()
  local script = program.quoted("spec/support/mermaid.js") .. " " .. program.quoted(cache)
  local result = program.shell("node " .. script .. " " .. program.quoted(path))
  os.remove(path)
  assert(result.rc == 0, result.err)
  return zigllms.output.parse(result.out, "json")
end

return mermaid
