-- A line that says how far an execution is. On a terminal it is written over itself, elsewhere
-- there is a line for each step that has ended:
--
--   local bar = dofile("examples/shared/progress.lua")(zigllms, workflow)
--   zigllms.workflow.execute(workflow, input, { on_step = bar.on_step })
--   bar.finish()
local WIDTH, COLUMNS = 24, 79

-- Whether what is written to stderr is seen as it comes.
local function is_terminal()
  if (os.getenv("TERM") or "dumb") == "dumb" then
    return false
  end
  local ok = os.execute("test -t 2")
  return ok == true or ok == 0
end

local function bar_of(progress)
  local full = math.floor(progress * WIDTH + 0.5)
  return "[" .. ("#"):rep(full) .. ("-"):rep(WIDTH - full) .. "]"
end

local function cut(text)
  text = text:gsub("%c", " ")
  return #text > COLUMNS and text:sub(1, COLUMNS - 3) .. "..." or text
end

-- `out` and `terminal` stand in for stderr, and for what is known of it.
return function(zigllms, workflow, out, terminal)
  out = out or io.stderr
  if terminal == nil then
    terminal = is_terminal()
  end
  local ended = 0

  local function show(what)
    local _, info = zigllms.workflow.get_status(workflow)
    local percent = math.floor(info.progress * 100 + 0.5)
    local text = cut(("%s %3d %%  %s"):format(bar_of(info.progress), percent, what))
    out:write(terminal and "\r" .. text .. "\27[K" or text .. "\n")
    out:flush()
  end

  local bar = {}

  function bar.on_step(step)
    ended = ended + 1
    show(("%d: %s %s"):format(ended, step.id, step.status))
  end

  function bar.finish()
    local status, info = zigllms.workflow.get_status(workflow)
    show(("%s after %d steps, %.0f ms"):format(status, ended, info.duration_ms or 0))
    if terminal then
      out:write("\n")
    end
  end

  return bar
end
