-- Markdown: what extract_markdown finds, against the HTML that CommonMark expects and by itself.
local corpora = require("spec.support.corpora")
local html = require("spec.support.html")
local zigllms = require("zigllms")

local output = zigllms.output

-- HTML has addresses encoded, or not, as the source had them.
local function decoded(url)
  return (url:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function squeezed(text)
  return (html.squeeze(text):gsub(" ", ""))
end

local CLAIMS = {
  {
    "code blocks",
    function(found, wanted)
      return found.content == wanted.content and found.language == wanted.language
    end,
    function(parts)
      return parts.code_blocks
    end,
    html.code_blocks,
  },
  {
    "headings",
    function(found, wanted)
      return found.level == wanted.level and html.squeeze(found.heading) == wanted.heading
    end,
    function(parts)
      return parts.sections
    end,
    html.headings,
  },
  {
    "lists",
    function(found, wanted)
      if found.ordered ~= wanted.ordered or found.start ~= wanted.start then
        return false
      end
      for i = 1, math.max(#found.items, #wanted.items) do
        local a, b = found.items[i], wanted.items[i]
        if not (a and b) or squeezed(a) ~= squeezed(b) then
          return false
        end
      end
      return true
    end,
    function(parts)
      return parts.lists
    end,
    html.lists,
  },
  {
    "links",
    function(found, wanted)
      return html.squeeze(found.text) == wanted.text
        and decoded(found.url) == decoded(wanted.url)
        and (found.title or "") == (wanted.title or "")
    end,
    function(parts)
      return parts.links
    end,
    html.links,
  },
}

local function same(found, wanted, equal)
  if #found ~= #wanted then
    return false
  end
  for i = 1, #found do
    if not equal(found[i], wanted[i]) then
      return false
    end
  end
  return true
end

describe("extract_markdown", function()
  local it_finds = corpora.it(it, pending)

  for _, claim in ipairs(CLAIMS) do
    local name, equal, part, expected = claim[1], claim[2], claim[3], claim[4]
    it_finds("commonmark.jsonl", "finds the " .. name .. " of CommonMark's cases", function(cases)
      local right, shown, wrong = 0, 0, {}
      for _, case in ipairs(cases) do
        local found = part(output.extract_markdown(case.input))
        local wanted = expected(case.html, case.input)
        shown = shown + #wanted
        if same(found, wanted, equal) then
          right = right + 1
        else
          wrong[#wrong + 1] = case.name
        end
      end
      print(
        ("CommonMark, %s: %d/%d cases (%d in all)%s"):format(
          name,
          right,
          #cases,
          shown,
          #wrong > 0 and "; not: " .. table.concat(wrong, " ") or ""
        )
      )
      assert.are.equal(655, #cases)
      assert.are.equal(#cases, right)
    end)
  end
end)
