-- How long sandboxed code goes on after its caller has been answered.
local lfs = require("lfs")
local program = require("spec.support.program")
local system = require("system")

local rest = {}

local TASKS = "/proc/self/task"

-- Seconds between two looks, and until it is given up.
local PAUSE = 0.004
local PATIENCE = 20

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text or ""
end

-- Whether a thread of sandboxed code works, or would if it had a processor.
local function is_busy()
  for id in lfs.dir(TASKS) do
    local stat = id:find("^%d+$") and read(TASKS .. "/" .. id .. "/stat") or ""
    if stat:find("%(zigllms sandbox%) [^S]") then
      return true
    end
  end
  return false
end

-- Where the system does not tell: whether anything has used a processor in the last pause.
local function used_much(seconds)
  return seconds > PAUSE / 4
end

-- Waits until no sandboxed code runs. Returns the milliseconds of processor time that this process
-- has taken meanwhile; nil if there is no end of it.
function rest.wait()
  local tells = lfs.attributes(TASKS) ~= nil
  local began, before, spent = program.clock(), os.clock(), PAUSE
  while tells and is_busy() or not tells and used_much(spent) do
    if program.clock() - began > PATIENCE then
      return nil
    end
    local last = os.clock()
    system.sleep(PAUSE)
    spent = os.clock() - last
  end
  return (os.clock() - before) * 1000
end

return rest
