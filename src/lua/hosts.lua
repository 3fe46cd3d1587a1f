-- Which event loop there is, and how to wait in it.
--
-- A host has a `name` and `block(ready)`, which comes back when `ready()` is true and delivers
-- meanwhile; or `sleeper(context)`, which puts the calling coroutine to sleep by itself. It may
-- have `check(func)`, which raises where the caller cannot wait, and `check_blocking(func)`, which
-- raises where it cannot even block; `watch()`, after which it delivers by itself; `launch`, if it
-- has threads that tasks run in, with `defer`; `poll(timeout)`, if it must not be blocked even for
-- that; `is_here()`; `relay(task, ...)`, which lets the loop resume a task that yielded `...`.
local core = ...

local error, ipairs, rawget, type = error, ipairs, rawget, type

local RELAYING = { "cqueues", "copas" }

local globals = core.globals
local loaded = globals.package.loaded

local hosts = {} -- by name, made at first use
core.hosts = hosts
hosts.uv = core.host_chunk("uv")(core)
hosts.blocking = core.host_chunk("blocking")(core)

local chosen = "auto"
local own -- the user's

local function present(name)
  local value = rawget(globals, name)
  return type(value) == "table" and value or nil
end

local available = {
  blocking = function()
    return true
  end,
  nvim = function()
    local vim = present("vim")
    return vim and vim.wait and vim.in_fast_event and (vim.uv or vim.loop) and true
  end,
  openresty = function()
    local ngx = present("ngx")
    return ngx and ngx.get_phase and ngx.timer and true
  end,
  luv = function()
    return type(loaded.luv) == "table"
  end,
  copas = function()
    return type(loaded.copas) == "table"
  end,
  cqueues = function()
    return type(loaded.cqueues) == "table"
  end,
}

local function get(name)
  local host = hosts[name]
  if not host then
    host = core.host_chunk(name)(core)
    hosts[name] = host
  end
  return host
end

-- Loops that only count in coroutines of their own.
local function scheduler(name)
  if available[name]() then
    local host = get(name)
    return host.is_here() and host
  end
end

local function detect()
  if available.openresty() then
    return get("openresty")
  elseif available.nvim() then
    return get("nvim")
  end
  return scheduler("cqueues") or scheduler("copas") or get(available.luv() and "luv" or "blocking")
end

local function current()
  if chosen == "auto" then
    return detect()
  elseif own then
    return own
  end
  local host = get(chosen)
  return (host.is_here and not host.is_here()) and hosts.blocking or host
end

-- How an operation waits here; raises where it cannot.
function core.host(context, func)
  local host = current()
  local check = host.check
  if context.blocking then
    host, check = hosts.blocking, host.check_blocking
  end
  if check then
    check(func or "")
  end
  return host
end

-- The host, if tasks run in threads of its own here.
function core.launcher()
  local host = current()
  return host.launch and host.launches() and host or nil
end

-- Lets the host deliver what is under way, if it can do so by itself.
function core.watch()
  local host = current()
  if host.watch then
    host.watch()
  end
end

-- The descriptor; whoever asks for it hears of everything there is to do.
function core.watch_fd()
  core.watched = true
  core.ring()
  return core.fd()
end

-- Delivers what is ready; waits for the first delivery at most `timeout` ms.
function core.poll(timeout)
  local host = current()
  if host.poll and timeout > 0 then
    return host.poll(timeout)
  end
  local at = core.now() + timeout
  local count, more
  repeat -- a turn may also end because there was something to look at
    count, more = core.turn(timeout)
    timeout = at - core.now()
  until count > 0 or more or timeout <= 0
  return count
end

-- Calls `fn` at the next delivery.
function core.defer(fn)
  local host = current()
  if host.defer then
    host.defer(fn)
  else
    core.later(fn)
    core.watch()
  end
end

-- A task yielded what is not the module's. If it is a loop's way to wait, that loop resumes it.
function core.relay(task, ...)
  for _, name in ipairs(RELAYING) do
    if available[name]() and get(name).relay(task, ...) then
      return true
    end
  end
  return false
end

-- Raises what code of others raised that waited for us. An interrupt stays what it is.
function core.rethrow(err, what)
  local interrupted = type(err) == "string" and err:find("interrupted!", 1, true)
  error(interrupted and err or core.wrap(err, what), 0)
end

-- Raises if the loop of that name is not there. Other values are not looked at.
function core.check_loop(x, func)
  local there = type(x) == "string" and available[x:lower()]
  if there and not there() then
    core.raise("unsupported", "loop: there is no " .. x .. " here", func)
  end
end

-- loop(x?) → name
function core.loop(x)
  if type(x) == "table" then
    if rawget(x, "wait") == nil then
      core.raise("invalid_argument", "loop.wait: expected a function, got nil", "loop")
    end
    chosen, own = "custom", core.host_chunk("custom")(core)(x)
  elseif x then
    core.check_loop(x, "loop")
    chosen, own = x:lower(), nil
  end
  return chosen
end

return core
