-- Texts made to hurt: every function that takes text ends soon, in little memory, with a value or
-- an error of the module.
local corpora = require("spec.support.corpora")
local size = require("spec.support.size")
local zigllms = require("zigllms")

local output = zigllms.output

-- Ten times what an optimised module may take: this may be one with checked arithmetic.
local LONGEST_MS = 500
local LARGEST_KIB = 16 * 1024

local FORMATS = { "auto", "json", "yaml", "xml", "markdown", "plain" }
local LEVELS = { "strict", "lenient", "best_effort" }

-- Every call to make with a text: {name, function(text)}.
local CALLS = {
  { "detect_format", output.detect_format },
  { "extract_markdown", output.extract_markdown },
}

for _, format in ipairs(FORMATS) do
  for _, level in ipairs(LEVELS) do
    CALLS[#CALLS + 1] = {
      ("parse as %s, %s"):format(format, level),
      function(text)
        return output.parse(text, { format = format, recovery = level })
      end,
    }
  end
  if format ~= "auto" then
    CALLS[#CALLS + 1] = {
      "validate_format as " .. format,
      function(text)
        return output.validate_format(text, format)
      end,
    }
  end
end

for _, name in ipairs({ "recover", "extract_json", "extract_tool_calls" }) do
  if output[name] then
    CALLS[#CALLS + 1] = { name, output[name] }
  end
end

if output.stream then
  CALLS[#CALLS + 1] = {
    "stream",
    function(text)
      local p = output.stream()
      p:push(text)
      return p:finish()
    end,
  }
end

local function status(name)
  local file = io.open("/proc/self/status")
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return tonumber(text:match(name .. ":%s*(%d+) kB"))
end

-- From here on the peak is counted anew; false where the system cannot. What is garbage by now is
-- in memory before and after, so it is left where it is: thousands of full collections of what all
-- other specs keep would take minutes.
local function forget_peak()
  local file = io.open("/proc/self/clear_refs", "w")
  if not file then
    return false
  end
  file:write("5\n")
  file:close()
  return status("VmHWM") ~= nil
end

local slowest, largest = { 0 }, { 0 }

local function is_ours(err)
  local mt = getmetatable(err)
  return type(mt) == "table" and mt.__name == "zigllms.error" and err.code ~= "internal"
end

-- Makes a call; remembers how long it took and what it took at most.
local function try(call, text, what)
  local name, run = call[1], call[2]
  -- Looking at memory costs more than a short text can.
  local counted = #text > 100 and forget_peak()
  local before = counted and status("VmRSS")
  -- The time of the processor: what else runs on the machine does not count.
  local began = os.clock()
  local ok, err = pcall(run, text)
  local ms = (os.clock() - began) * 1000
  local kib = counted and status("VmHWM") - before or 0
  what = name .. ": " .. what
  if ms > slowest[1] then
    slowest = { ms, what }
  end
  if kib > largest[1] then
    largest = { kib, what }
  end
  assert.is_true(ok or is_ours(err), what .. ": " .. tostring(err))
  return ms, kib, what
end

local function text_of(case)
  local generate = case.generate
  if not generate or generate == zigllms.null then
    return case.input
  end
  return generate["repeat"]:rep(generate.times) .. (generate.suffix or "")
end

local function report(title)
  print(
    ("%s: slowest %.1f ms (%s), largest %.1f MiB (%s)"):format(
      title,
      slowest[1],
      slowest[2] or "none",
      largest[1] / 1024,
      largest[2] or "none"
    )
  )
  slowest, largest = { 0 }, { 0 }
end

describe("hostile texts", function()
  local it_survives = corpora.it(it, pending)

  it_survives("hostile.jsonl", "of other projects end soon, in little memory", function(cases)
    local calls = 0
    for _, case in ipairs(cases) do
      local text = text_of(case)
      for _, call in ipairs(text and CALLS or {}) do
        local ms, kib, what = try(call, text, case.id)
        assert.is_true(ms < LONGEST_MS, ("%s took %.0f ms"):format(what, ms))
        assert.is_true(kib < LARGEST_KIB, ("%s took %d KiB"):format(what, kib))
        calls = calls + 1
      end
    end
    assert.are.equal(538, #cases)
    report(("hostile.jsonl: %d calls"):format(calls))
  end)

  it_survives("hostile.jsonl", "of other projects come back as they were", function(cases)
    for _, case in ipairs(cases) do
      local text = text_of(case)
      if type(text) == "string" then
        for _, format in ipairs({ "json", "yaml" }) do
          local value = { text, [2] = { [text] = text } }
          local ok, written = pcall(output.format, value, format)
          if ok then
            local back = output.parse(written, { format = format, recovery = "strict" })
            assert.is_true(corpora.same(value, back), case.id .. ": " .. written)
          else
            assert.are.equal("conversion_error", written.code)
          end
        end
      end
    end
  end)

  -- What is repeated, and what stands around it.
  local PIECES = {
    { "[" },
    { "{" },
    { '{"a":' },
    { "[[]," },
    { '"' },
    { "\\" },
    { ">" },
    { "> " },
    { "- " },
    { "* " },
    { "1. " },
    { "#" },
    { "*_" },
    { "**a " },
    { "_a" },
    { "`" },
    { "`a``" },
    { "```\n" },
    { "~~~ yaml\na: b: c\n" },
    { "![" },
    { "[a](" },
    { "[a][" },
    { "[a]: b\n" },
    { "<" },
    { "<a>" },
    { "<a b='" },
    { "</a>" },
    { "<!--" },
    { "<![CDATA[" },
    { "<?" },
    { "<!DOCTYPE a [" },
    { "&" },
    { "&amp" },
    { "&#x" },
    { "<p>" },
    { "<br>" },
    { "|", "|a|\n|-|\n" },
    { "|a\n", "|a|b|c|\n|-|-|-|\n" },
    { "a: " },
    { "a: b\n" },
    { "a:\n " },
    { "? " },
    { "&a " },
    { "- *a\n", "- &a [1, 2, 3]\n" },
    { "*a, ", "a: &a [x,x,x,x,x,x,x,x]\nb: [" },
    { "!!str " },
    { "%YAML 1.2\n" },
    { "---\n" },
    { "a: |\n  b\n" },
    { "a: 'b\n" },
    { "\t" },
    { " " },
    { "\n" },
    { "\r\n" },
    { "a\n\n" },
    { "ä" },
    { "\0" },
    { "\255" },
    { "x" },
  }

  it("of one piece, again and again, take no more time for each", function()
    local bytes = size(1000000, 100000)
    for _, piece in ipairs(PIECES) do
      local text = (piece[2] or "") .. piece[1]:rep(math.floor(bytes / #piece[1]))
      for _, call in ipairs(CALLS) do
        local ms, _, what = try(call, text, ("%q again and again"):format(piece[1]))
        -- A byte may take 5 us of an optimised module, and ten times as long here.
        assert.is_true(ms < bytes * 0.05, ("%s took %.0f ms"):format(what, ms))
      end
    end
    report(("%d bytes of %d kinds"):format(bytes, #PIECES))
  end)

  it("that stand for more than they are do not unfold", function()
    local aliases = { "a0: &a0 [x,x,x,x,x,x,x,x,x]" }
    for i = 1, 12 do
      aliases[#aliases + 1] = ("a%d: &a%d [%s]"):format(i, i, (("*a%d,"):format(i - 1)):rep(9))
    end
    local merges = { "a0: &a0 {k: v}" }
    for i = 1, 20 do
      local alias = ("*a%d,"):format(i - 1)
      merges[#merges + 1] = ("a%d: &a%d {<<: [%s], k%d: v}"):format(i, i, alias:rep(9), i)
    end
    local entities = { "<!DOCTYPE a [", '<!ENTITY e0 "ha">' }
    for i = 1, 12 do
      entities[#entities + 1] = ('<!ENTITY e%d "%s">'):format(i, (("&e%d;"):format(i - 1)):rep(10))
    end
    entities[#entities + 1] = "]>\n<a>&e12;</a>"
    local keys = ("? {? [x]: 1}\n: "):rep(60)
    for _, lines in ipairs({ aliases, merges, entities, { keys } }) do
      local text = table.concat(lines, "\n")
      for _, call in ipairs(CALLS) do
        local ms, kib, what = try(call, text, text:sub(1, 20))
        assert.is_true(ms < LONGEST_MS, ("%s took %.0f ms"):format(what, ms))
        assert.is_true(kib < LARGEST_KIB, ("%s took %d KiB"):format(what, kib))
      end
    end
    report("bombs")
  end)
end)
