-- Neovim: deliveries are scheduled, so that callbacks may use its API; a wait on the main thread
-- goes through `vim.wait`, so that the editor lives on.
local core = ...

local vim = core.globals.vim
local host = { name = "nvim" }
local SLICE_MS = 25 -- Neovim 0.7 only looks for Ctrl-C when `vim.wait` ends
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

host.check_blocking = host.check

-- The condition is asked after every event.
local function wait(ready)
  local ok, why
  repeat
    ok, why = vim.wait(SLICE_MS, ready, SLICE_MS)
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
