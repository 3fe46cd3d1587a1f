-- The stores that specs of memory run on: each with what `configure{store=}` takes, made anew.
local program = require("spec.support.program")
local redis = require("spec.support.redis")

local stores = {}

-- A directory that is removed with `remove`.
function stores.directory()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir -m 700 " .. program.quoted(path)))
  return path
end

function stores.remove(path)
  os.execute("rm -rf " .. program.quoted(path))
end

-- {name, open() → store, close()} of every store that processes can share. Without a Redis server,
-- or built without it, that one is left out and says why.
function stores.shared()
  local directory
  local all = {
    {
      name = "in a file",
      open = function()
        directory = stores.directory()
        return directory .. "/store.db"
      end,
      close = function()
        stores.remove(directory)
      end,
    },
  }
  local server = redis.for_specs()
  if server then
    all[2] = {
      name = "on Redis",
      open = function()
        return server.url
      end,
      close = function()
        server:stop()
      end,
    }
  end
  return all
end

-- As `shared`, with the one that is none.
function stores.all()
  local all = stores.shared()
  table.insert(all, 1, {
    name = "in the process",
    open = function()
      return "memory"
    end,
    close = function() end,
  })
  return all
end

return stores
