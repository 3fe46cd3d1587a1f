-- luv: coroutines of `spawn` and `run` are resumed from its loop. Whether that loop runs cannot be
-- asked, and it cannot be run inside itself: everybody else's wait blocks.
local core = ...

local host = { name = "luv", block = core.hosts.blocking.block }
local watcher

function host.watch()
  watcher = watcher or core.hosts.uv(package.loaded.luv or require("luv"))
  watcher.watch()
end

return host
