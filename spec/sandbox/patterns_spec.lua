-- The pattern functions of the sandbox mean what those of this Lua mean: random patterns, compared.
local size = require("spec.support.size")
local zigllms = require("zigllms")

local tool = zigllms.tool

-- The same text runs here and in the sandbox. Positions in messages differ, so they are left out.
local COMPARED = [[
  local function shown(...)
    local list = { n = select("#", ...), ... }
    for i = 1, list.n do
      local value = list[i]
      if type(value) == "string" then
        value = value:gsub("^[%w_.]*:%d+: ", ""):gsub("%?", "f"):gsub(" in pattern$", "")
        value = value:gsub(" in replacement string$", ""):gsub("%%%d$", ""):gsub(" $", "")
      end
      list[i] = tostring(value)
    end
    return table.concat(list, "|", 1, list.n)
  end
  local function all(text, pattern)
    local found = {}
    for a, b in text:gmatch(pattern) do
      found[#found + 1] = tostring(a) .. "/" .. tostring(b)
      if #found > 50 then break end
    end
    return table.concat(found, ";")
  end
  return function(input)
    local results = {}
    for i, case in ipairs(input.cases) do
      local text, pattern, with, init = case[1], case[2], case[3], case[4]
      results[i] = table.concat({
        shown(pcall(string.find, text, pattern, init)),
        shown(pcall(string.find, text, pattern, init, true)),
        shown(pcall(string.match, text, pattern, init)),
        shown(pcall(string.gsub, text, pattern, with)),
        shown(pcall(string.gsub, text, pattern, with, 2)),
        shown(pcall(string.gsub, text, pattern, { a = "<a>", ab = 7, b = false })),
        shown(pcall(string.gsub, text, pattern, function(a, b) return b and tostring(b) .. a end)),
        shown(pcall(all, text, pattern)),
      }, "\n")
    end
    return results
  end]]

local ITEMS = {
  "a",
  "b",
  ".",
  "%a",
  "%d",
  "%s",
  "%w",
  "%p",
  "%u",
  "%l",
  "%x",
  "%c",
  "%W",
  "%S",
  "%%",
  "%.",
  "[ab]",
  "[^a]",
  "[a-c]",
  "[%w_]",
  "[]]",
  "[^]]",
  "[%]]",
  "[a%-]",
  "[-a]",
  "[a-]",
  "%b()",
  "%bab",
  "%f[%a]",
  "%f[^%w]",
  "%f[ab]",
  "-",
  " ",
  "\\0",
  "1",
  "_",
  "(",
  ")",
  "$",
  "^",
} -- stylua: ignore
local SUFFIXES = { "", "", "", "*", "+", "-", "?" }
local ODD =
  { "%", "[", "[^", "[a", "(", ")", "%1", "%2", "%b", "%bx", "%f", "%fa", "[%", "()", "(()" }
local TEXT = { "a", "b", "c", "ab", "(", ")", " ", "1", "_", "A", ".", "-", "%", "]", "\n" }
local REPLACEMENTS = { "", "x", "%0", "%1", "<%1>", "%%", "%0%0", "%2", "a%1b%0" }

local function one(list)
  return list[math.random(#list)]
end

local function pattern()
  local parts, open = { math.random() < 0.2 and "^" or "" }, 0
  for _ = 1, math.random(6) do
    local dice = math.random()
    if dice < 0.12 then
      parts[#parts + 1], open = "(", open + 1
    elseif dice < 0.2 and open > 0 then
      parts[#parts + 1], open = ")", open - 1
    elseif dice < 0.24 then
      parts[#parts + 1] = one(ODD)
    elseif dice < 0.27 then
      parts[#parts + 1] = "()"
    end
    parts[#parts + 1] = one(ITEMS):gsub("\\0", "z") .. one(SUFFIXES)
  end
  parts[#parts + 1] = (math.random() < 0.9 and (")"):rep(open) or "")
  parts[#parts + 1] = math.random() < 0.2 and "$" or ""
  return table.concat(parts)
end

local function text()
  local parts = {}
  for i = 1, math.random(0, 12) do
    parts[i] = one(TEXT)
  end
  return table.concat(parts)
end

describe("patterns in the sandbox", function()
  it("match, capture and replace as those of this Lua do", function()
    local seed = os.time()
    math.randomseed(seed)
    local here = assert((loadstring or load)(COMPARED, "=t"))() -- luacheck: ignore
    local id = tool.register({ name = "t", source = COMPARED, timeout_ms = 60000 })
    for _ = 1, size(400, 10) do
      local cases = {}
      for i = 1, 100 do
        cases[i] = { text(), pattern(), one(REPLACEMENTS), math.random(-4, 6) }
      end
      local expected, got = here({ cases = cases }), tool.execute(id, { cases = cases })
      for i, case in ipairs(cases) do
        local shown = ("seed %d: %q %q %q %d"):format(seed, case[1], case[2], case[3], case[4])
        assert.equal(expected[i], got[i], shown)
      end
    end
  end)
end)
