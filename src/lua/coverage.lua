-- `test.get_coverage`: what was used, and which lines of Lua were run.
local core = ...

local lua = core.lua
local debug, error, pairs, pcall, type = debug, error, pairs, pcall, type -- luacheck: ignore

-- Times each line was run, by file; nil while nobody wants to know.
local lines
-- Calls of handlers before the count began.
local handled = 0

-- Which file a function is of, by its source; false for what is no file.
local files = setmetatable({}, {
  __index = function(all, source)
    local file = source:sub(1, 1) == "@" and source:sub(2)
    all[source] = file
    return file
  end,
})

local function note(_, line)
  if not lines then
    return debug.sethook()
  end
  local file = files[debug.getinfo(2, "S").source]
  if file then
    local counts = lines[file]
    if not counts then
      counts = {}
      lines[file] = counts
    end
    counts[line] = (counts[line] or 0) + 1
  end
end

-- Other coroutines have a hook of their own, except on LuaJIT, where there is one for all.
function core.hook_lines(co)
  if lines and not jit then
    debug.sethook(co, note, "l")
  end
  return co
end

local function start_lines()
  if type(debug) ~= "table" or not debug.sethook then
    core.raise("unsupported", "lines: there is no debug library", "test.get_coverage")
  elseif debug.gethook() then
    local text = "lines: a debug hook is set already, perhaps by luacov"
    core.raise("invalid_state", text, "test.get_coverage")
  end
  lines = {}
  debug.sethook(note, "l")
end

local function stop_lines()
  if lines and debug.gethook() == note then
    debug.sethook()
  end
  lines = nil
end

local function copied(counts)
  local copy = {}
  for file, own in pairs(counts) do
    copy[file] = {}
    for line, count in pairs(own) do
      copy[file][line] = count
    end
  end
  return copy
end

-- What was used since a count began, and since so many calls of handlers.
local function report_of(count, before)
  core.settle()
  local report = core.coverage(count)
  report.events.handled = core.handled() - before
  return report
end

-- Begins a count beside that of the whole. Answers what ends it, and gives its report.
function core.count_apart()
  core.settle()
  local count, before = core.begin_count(), core.handled()
  return function()
    local report = report_of(count, before)
    core.end_count(count)
    return report
  end
end

function lua.get_coverage(options)
  options = options ~= core.null and options or {}
  if options.lines and not lines then
    start_lines()
  end
  local report = report_of(0, handled)
  report.lines = lines and copied(lines) or nil
  if options.lines == false then
    stop_lines()
  end
  if options.reset then
    core.begin_count(0)
    handled, lines = core.handled(), lines and {} or nil
  end
  return report
end

return core
