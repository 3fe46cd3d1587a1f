-- Asks a language model; the answer is streamed into a buffer while you go on editing.
local zigllms = require("zigllms").new() -- an instance of our own: other plugins keep theirs

local api = vim.api
local M = {}

local options = { provider = "openai", system = "Answer briefly, in Markdown.", height = 12 }
local answers = {} -- buffer -> handle of the answer that is being written

-- `provider` is the name of a provider, or a table as zigllms.provider.create takes it; `system`
-- is the system prompt; `height` is how many lines of the answer are seen.
function M.setup(given)
  options = vim.tbl_extend("force", options, given or {})
  if type(options.provider) == "table" then
    options.provider = zigllms.provider.create(options.provider)
  end
end

local function report(err)
  vim.notify("Ask: " .. tostring(err), vim.log.levels.ERROR)
end

local function append(buffer, text)
  local last = api.nvim_buf_get_lines(buffer, -2, -1, true)[1]
  api.nvim_buf_set_lines(buffer, -2, -1, true, vim.split(last .. text, "\n", { plain = true }))
  for _, window in ipairs(vim.fn.win_findbuf(buffer)) do
    if window ~= api.nvim_get_current_win() then -- where you are, nothing scrolls
      api.nvim_win_set_cursor(window, { api.nvim_buf_line_count(buffer), 0 })
    end
  end
end

local function new_buffer()
  local buffer = api.nvim_create_buf(false, true)
  vim.bo[buffer].bufhidden = "wipe"
  vim.bo[buffer].filetype = "markdown"
  api.nvim_create_autocmd("BufWipeout", {
    buffer = buffer,
    callback = function()
      M.stop(buffer)
    end,
  })
  return buffer
end

local function show(buffer)
  vim.cmd("botright " .. options.height .. "split")
  api.nvim_win_set_buf(0, buffer)
  vim.cmd("wincmd p")
end

-- Asks `question`, about `lines` if they are given. Returns the buffer that the answer goes to.
function M.ask(question, lines)
  local buffer = new_buffer()
  local text = table.concat(vim.list_extend({ question, "" }, lines or {}), "\n")
  local handle, refusal = zigllms.safe.provider.stream({
    { role = "system", content = options.system },
    { role = "user", content = vim.trim(text) },
  }, function(chunk)
    append(buffer, chunk.content)
  end, { provider = options.provider, async = true })
  if not handle then
    api.nvim_buf_delete(buffer, { force = true })
    return report(refusal)
  end
  answers[buffer] = handle:on(function(err)
    answers[buffer] = nil
    if err and not err:is("cancelled") then
      report(err)
    end
  end)
  show(buffer)
  return buffer
end

-- Ends the answer in `buffer`; without one, all answers. What has arrived stays.
function M.stop(buffer)
  for each, handle in pairs(answers) do
    if each == (buffer or each) then
      handle:cancel("stopped")
    end
  end
end

return M
