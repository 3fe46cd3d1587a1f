-- The example plugin, as its user sees it: keys are typed into a second Neovim.
local nvim = require("spec.support.nvim")
local scripted = require("spec.support.server")
local system = require("system")

local server = scripted.start()
local folder = debug.getinfo(1, "S").source:sub(2):match("^(.*)spec/host/[^/]*$")
local plugin = (folder == "" and "." or folder) .. "/examples/nvim"

-- What each chunk begins with: `other` is the editor that is typed into.
local HEAD = [[
  local _, nv = ...
  local url, plugin = nv.args[1], nv.args[2]
  local other = nv.open_other()

  other.lua([=[
    local url, plugin = ...
    vim.o.runtimepath = plugin .. "," .. vim.o.runtimepath
    vim.cmd("runtime! plugin/ask.lua")
    _G.notices = {}
    vim.notify = function(text, level)
      table.insert(notices, { text, level })
    end
    local provider = { type = "openai", base_url = url, api_key = "test", retry = false }
    require("ask").setup({ provider = provider })
    function _G.lines_of(buffer)
      local there = vim.api.nvim_buf_is_valid(buffer)
      return there and vim.api.nvim_buf_get_lines(buffer, 0, -1, true) or {}
    end
  ]=], url, plugin)
  local mine = other.lua("return vim.api.nvim_get_current_buf()")

  local function lines_of(buffer)
    return other.lua("return lines_of(...)", buffer)
  end

  -- The buffer that the newest answer goes to.
  local function answer()
    return other.lua("local all = vim.api.nvim_list_bufs() return all[#all]")
  end

  local function notices()
    return other.lua("return notices")
  end

  local function until_true(condition)
    for _ = 1, 1000 do
      if condition() then
        return
      end
      vim.wait(5)
    end
    error("waited in vain")
  end
]]

local function slow_answer()
  local lines = {}
  for i = 1, 20 do
    lines[i] = "line " .. i .. "\n"
  end
  return scripted.text(lines, { chunk_delay_ms = 50 })
end

nvim.each(describe, function(run_in)
  local function run(chunk)
    run_in(HEAD .. chunk .. "\nother.stop()", { args = { server.url, plugin } })
  end

  local function hung_up()
    server:wait_for(function(journal)
      return journal[1] and journal[1].closed_after_ms and journal[1].closed_after_ms < 900
    end, function(ms)
      system.sleep(ms / 1000)
    end)
  end

  it("streams the answer while its user goes on typing", function()
    server:script(slow_answer())
    run([[
      other.type(":Ask what is the question?<CR>")
      local typed, slowest, during = "", 0, 0
      local last = 0
      other.type("i")
      for i = 1, 50 do
        local key = string.char(96 + i % 26 + 1)
        local began = nv.now()
        other.type(key)
        typed = typed .. key
        until_true(function() return lines_of(mine)[1] == typed end)
        slowest = math.max(slowest, nv.now() - began)
        local count = #lines_of(answer())
        during, last = during + (count > last and 1 or 0), count
        vim.wait(15)
      end
      nv.say("50 keys typed during an answer: the slowest was seen after %.1f ms; %d states of it",
        slowest, during)
      assert(slowest < 500 and during >= 8)
      until_true(function() return #lines_of(answer()) == 21 end)
      local lines = lines_of(answer())
      assert(lines[1] == "line 1" and lines[20] == "line 20" and lines[21] == "")
      assert(lines_of(mine)[1] == typed)
      assert(other.lua("return vim.api.nvim_get_mode().mode") == "i")
      assert(other.lua("return vim.api.nvim_get_current_buf()") == mine)
      assert(#notices() == 0)
    ]])
    local messages = server:requests()[1].messages
    assert.equal("what is the question?", messages[2].content)
  end)

  it("asks about the lines of a range", function()
    server:script(scripted.text("fine"))
    run([[
      other.lua("vim.api.nvim_buf_set_lines(0, 0, -1, true, { 'one', 'two', 'three' })")
      other.type(":2,3Ask what is this?<CR>")
      until_true(function() return lines_of(answer())[1] == "fine" end)
    ]])
    local messages = server:requests()[1].messages
    assert.equal("what is this?\n\ntwo\nthree", messages[2].content)
  end)

  it("ends at :AskStop, and keeps what has arrived", function()
    server:script(slow_answer())
    run([[
      other.type(":Ask something<CR>")
      until_true(function() return #lines_of(answer()) >= 3 end)
      other.type(":AskStop<CR>")
      vim.wait(100)
      local count = #lines_of(answer())
      vim.wait(200)
      assert(count >= 3 and count < 20 and #lines_of(answer()) == count)
      assert(#notices() == 0)
    ]])
    hung_up()
  end)

  it("ends when its buffer is wiped out", function()
    server:script(slow_answer())
    run([[
      other.type(":Ask something<CR>")
      until_true(function() return #lines_of(answer()) >= 3 end)
      other.type("<C-w>j:bwipeout!<CR>")
      vim.wait(300)
      assert(answer() == mine)
      assert(#notices() == 0, vim.inspect(notices()))
      assert(other.lua("return vim.v.errmsg") == "")
    ]])
    hung_up()
  end)

  it("notifies of errors", function()
    server:script(scripted.failure(401, "who are you?"))
    run([[
      other.type(":Ask something<CR>")
      until_true(function() return #notices() == 1 end)
      local text, level = unpack(notices()[1])
      assert(text:find("^Ask: ") and text:find("who are you?", 1, true), text)
      assert(text:find("[auth]", 1, true) and level == vim.log.levels.ERROR)
      other.lua("require('ask').setup({ provider = 'nobody' })")
      other.type(":Ask something<CR>")
      until_true(function() return #notices() == 2 end)
      assert(notices()[2][1]:find("nobody", 1, true), notices()[2][1])
      assert(other.lua("return #vim.api.nvim_list_wins()") == 2) -- the first one's is still there
    ]])
  end)
end)

teardown(function()
  server:stop()
end)
