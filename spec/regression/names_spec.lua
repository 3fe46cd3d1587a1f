-- The chunks of the module share one private table. A name that a second one takes is lost for the
-- first: conditions of workflows once held what a suite expected.

local read = require("spec.support.files").read

-- Hosts put their own in the place of what others do without.
local REPLACED = { announce = true, entering = true, is_beneath = true, is_leftover = true }
REPLACED.over, REPLACED.owner, REPLACED.recorded = true, true, true
-- Made by whoever comes first; goes on with the native one.
REPLACED.lua, REPLACED.publish = true, true

local function files(pattern)
  local pipe = assert(io.popen("find src/lua -name '" .. pattern .. "' | sort"))
  local list = {}
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  pipe:close()
  return list
end

-- Where each name is given a value: by chunks, and by functions that only chunks know.
local function owners()
  local found, count = {}, 0
  local function note(name, path)
    found[name] = found[name] or {}
    if not found[name][path] then
      found[name][path], count = true, count + 1
    end
  end
  for _, path in ipairs(files("*.lua")) do
    for line in read(path):gmatch("[^\n]+") do
      local name = line:match("^function core%.([%w_]+)%(")
      if name then
        note(name, path)
      end
      local names = line:match("^(core%.[%w_]+[%w_,%. ]*) = ") or line:match("^(core%.[%w_]+) =$")
      for each in ((names or "") .. " "):gmatch("core%.([%w_]+)[, ]") do
        note(each, path)
      end
    end
  end
  for _, path in ipairs(files("*.rs")) do
    for name in read(path):gmatch('Inner%s*{%s*name: "([%w_]+)"') do
      note(name, path)
    end
  end
  return found, count
end

describe("the names that chunks share", function()
  it("have one owner each", function()
    local found, count = owners()
    assert.is_true(count > 200, "names found: " .. count)
    local several = {}
    for name, paths in pairs(found) do
      local list = {}
      for path in pairs(paths) do
        list[#list + 1] = path
      end
      if #list > 1 and not REPLACED[name] then
        table.sort(list)
        several[#several + 1] = name .. ": " .. table.concat(list, ", ")
      end
    end
    table.sort(several)
    assert.same({}, several)
  end)
end)
