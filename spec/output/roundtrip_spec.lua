-- What is written reads back as it was: values made at random, with every kind of text in them.
local zigllms = require("zigllms")
local size = require("spec.support.size")

local output, null = zigllms.output, zigllms.null

-- The same numbers on every engine.
local seed
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

-- Texts that a careless writer would change, above all in YAML.
local TEXTS = {
  "",
  " ",
  "no",
  "~",
  "null",
  "1e3",
  "0x1f",
  "-",
  "- x",
  "a: b",
  "#",
  "a #b",
  " lead",
  "trail ",
  "two\nlines",
  "last\n",
  "\n",
  "\tTab",
  "tab\tinside",
  "it's",
  'say "x"',
  "\\",
  "{}",
  "[1]",
  "&a",
  "*a",
  "!t",
  "|",
  ">",
  "%",
  "@",
  "`",
  "---",
  "...",
  "2026-11-22",
  "\0",
  "\127",
  "é日😀",
  "\239\187\191bom",
  "\226\128\168",
  "a\r\nb",
}
local NUMBERS = { 0, -1, 7, 1.5, -0.25, 1e300, 5e-324, 123456789012, 0.1, 2 ^ 53 }

local value

local function scalar()
  local kind = random(8)
  if kind <= 4 then
    return TEXTS[random(#TEXTS)]
  elseif kind <= 6 then
    return NUMBERS[random(#NUMBERS)]
  end
  return kind == 7 and random(2) == 1 or null
end

local function array(depth)
  local items = {}
  for i = 1, random(4) - 1 do
    items[i] = value(depth - 1)
  end
  return zigllms.array(items)
end

local function object(depth)
  local members = {}
  for _ = 1, random(4) do
    members[TEXTS[random(#TEXTS)] .. random(3)] = value(depth - 1)
  end
  return members
end

function value(depth)
  local kind = depth > 0 and random(4) or 1
  if kind <= 2 then
    return scalar()
  end
  return kind == 3 and array(depth) or object(depth)
end

local COUNT = size(20000, 500)

describe("parse(format(value))", function()
  for format, options in pairs({
    json = { {}, { pretty = true }, { sort_keys = true } },
    yaml = { {} },
  }) do
    it("gives the value for " .. format, function()
      seed = 20261122
      for i = 1, COUNT do
        local given = random(2) == 1 and array(4) or object(4)
        local text = output.format(given, format, options[i % #options + 1])
        local read, info = output.parse(text, { format = format, recovery = "strict" })
        assert.same(given, read, text)
        assert.is_false(info.recovered, text)
      end
    end)
  end
end)
