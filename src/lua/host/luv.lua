-- luv: coroutines of `spawn` and `run` are resumed from its loop. Whether that loop runs cannot be
-- asked, and it cannot be run inside itself: everybody else's wait blocks.
local core = ...

local host = { name = "luv", block = core.hosts.blocking.block }
local watcher, prepare

-- What was under way may have ended outside of the loop, which must not go on for it. libuv keeps
-- the callback for ever: it must not keep the instance.
local ask = {}
local function before_waiting()
  if not ask.rest() then
    ask.prepare:stop()
    ask.rest, ask.prepare = nil, nil
  end
end

function host.watch()
  if not watcher then
    local uv = core.globals.package.loaded.luv
    watcher, prepare = core.hosts.uv(uv), uv.new_prepare()
    prepare:unref()
  end
  watcher.watch()
  if watcher.rest() and not ask.rest then
    ask.rest, ask.prepare = watcher.rest, prepare
    prepare:start(before_waiting)
  end
end

return host
