-- :[range]Ask {question} and :AskStop. The module is loaded at the first of them.
if vim.g.loaded_ask then
  return
end
vim.g.loaded_ask = true

vim.api.nvim_create_user_command("Ask", function(command)
  local first, last = command.line1 - 1, command.line2
  local lines = command.range > 0 and vim.api.nvim_buf_get_lines(0, first, last, true) or nil
  require("ask").ask(command.args, lines)
end, { nargs = "+", range = true, desc = "Ask a language model, about the lines of the range" })

vim.api.nvim_create_user_command("AskStop", function()
  require("ask").stop()
end, { desc = "End all answers that are being written" })
