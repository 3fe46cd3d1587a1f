-- Neovim: deliveries are scheduled, so that callbacks may use its API; a wait on the main thread
-- goes through `vim.wait`, so that the editor lives on.
local core = ...

local vim = core.globals.vim
local host = { name = "nvim" }
local FOREVER_MS, CHECK_MS = 1e9, 200
local INTERRUPTED = -2

local watcher

local function watching()
  watcher = watcher or core.hosts.uv(vim.uv or vim.loop, vim.schedule)
  return watcher
end

function host.watch()
  watching().watch()
end

function host.check(func)
  if vim.in_fast_event() then
    local text = "cannot wait in a fast event of Neovim: use async=true, or vim.schedule"
    core.raise("unsupported", text, func)
  end
end

-- The condition is asked after every event; the interval is for what comes without one.
local function wait(ready)
  local ok, why
  repeat
    ok, why = vim.wait(FOREVER_MS, ready, CHECK_MS)
  until ok or why == INTERRUPTED
  return ok
end

function host.block(ready)
  if ready() then
    return
  end
  local alive, ok = watching().hold(wait, ready)
  if not alive then
    core.rethrow(ok, "vim.wait")
  elseif not ok then
    core.raise("cancelled", "interrupted", "", "interrupted")
  end
end

return host
