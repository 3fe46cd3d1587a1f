-- Servers and clients of the Model Context Protocol that are not ours: `make deps` puts them into
-- the cache.
local program = require("spec.support.program")

local peers = {}

local cache = (os.getenv("XDG_CACHE_HOME") or (os.getenv("HOME") or "") .. "/.cache")
  .. "/zigllms/mcp"
local npm = cache .. "/node_modules/@modelcontextprotocol"

peers.sdk = npm .. "/sdk"

local inspector = cache .. "/inspector/node_modules/@modelcontextprotocol/inspector"
peers.inspector = inspector .. "/clients/launcher/build/index.js"

local function there(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

-- True if there is what `what` names: "node", "inspector" or "python". Else says why its specs are
-- skipped.
function peers.has(what, which)
  local found, missing
  if what == "node" then
    found = there(peers.sdk .. "/package.json")
    missing = found and not program.has("node") and "no node"
      or "no MCP servers of npm in the cache"
  elseif what == "inspector" then
    found = there(peers.inspector)
    missing = found and not program.has("node") and "no node" or "no MCP Inspector in the cache"
  else
    found = there(cache .. "/python/mcp_server_time/__init__.py")
    missing = "no mcp-server-time of PyPI in the cache"
  end
  if found and (what == "python" or program.has("node")) then
    return true
  end
  print(("\nSKIP %s: %s, `make deps` gets them"):format(which, missing))
  return false
end

-- How to run a server of npm: its package's name without "server-", and its arguments.
function peers.node(name, ...)
  return { "node", npm .. "/server-" .. name .. "/dist/index.js", ... }
end

-- The same for mcp-server-time.
function peers.time()
  return { "python3", "-m", "mcp_server_time", "--local-timezone=UTC" }
end

peers.python = { PYTHONPATH = cache .. "/python", PYTHONWARNINGS = "ignore" }

return peers
