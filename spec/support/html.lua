-- A little reader of the HTML that CommonMark's own cases expect: what it shows of code blocks,
-- headings, lists and links. Tags that stand in the Markdown already are raw HTML, no structure.
local html = {}

local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"' }

local function unescape(text)
  return (text:gsub("&(%w+);", NAMED))
end

local function squeeze(text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

-- Images are shown as their description.
local function plain(text)
  text = text:gsub('<img [^>]-alt="(.-)"[^>]*>', "%1"):gsub("<!%-%-.-%-%->", ""):gsub("<[^>]*>", "")
  return squeeze(unescape(text))
end

local function attribute(tag, name)
  local value = tag:match(" " .. name .. '="(.-)"')
  return value and unescape(value)
end

-- Every tag that is no raw HTML, in order: {name, closing, whole, start, stop}.
local function tags(text, source)
  local all = {}
  for start, whole, stop in text:gmatch("()(<[^<>]*>)()") do
    local closing, name = whole:match("^<(/?)(%w+)")
    if name and not source:find(whole, 1, true) then
      all[#all + 1] =
        { name = name, closing = closing == "/", whole = whole, start = start, stop = stop }
    end
  end
  return all
end

-- Opening tags of a kind with the text up to the closing tag of the same depth.
local function elements(text, source, pattern)
  local found, open = {}, {}
  for _, tag in ipairs(tags(text, source)) do
    if tag.name:match(pattern) then
      if tag.closing then
        local element = table.remove(open)
        if element then
          element.inner = text:sub(element.stop, tag.start - 1)
          element.finish = tag.stop
        end
      else
        found[#found + 1] = tag
        tag.within = open[#open]
        open[#open + 1] = tag
      end
    end
  end
  return found
end

-- A function that gives what `of` makes of each element of a kind.
local function each(pattern, of)
  return function(text, source)
    local found = elements(text, source, pattern)
    for i, element in ipairs(found) do
      found[i] = of(element)
    end
    return found
  end
end

html.code_blocks = each("^pre$", function(pre)
  local code, inner = pre.inner:match("^(<code[^>]*>)(.*)</code>$")
  local language = code:match('class="language%-(.-)"')
  return { language = language and unescape(language), content = unescape(inner) }
end)

html.headings = each("^h[1-6]$", function(heading)
  return { level = tonumber(heading.name:sub(2)), heading = plain(heading.inner) }
end)

html.links = each("^a$", function(a)
  return {
    text = plain(a.inner),
    url = attribute(a.whole, "href"),
    title = attribute(a.whole, "title"),
  }
end)

-- Lists in the order they begin, items without the lists in them.
function html.lists(text, source)
  local found, by = {}, {}
  for _, element in ipairs(elements(text, source, "^[uol][li]$")) do
    if element.name == "li" then
      local own = element.inner
      repeat
        local shorter = own:gsub("<ul>.-</ul>", ""):gsub("<ol[^>]*>.-</ol>", "")
        local changed = shorter ~= own
        own = shorter
      until not changed
      local items = by[element.within].items
      items[#items + 1] = plain(own)
    else
      local list = { ordered = element.name == "ol", items = {} }
      if list.ordered then
        list.start = tonumber(attribute(element.whole, "start") or 1)
      end
      by[element] = list
      found[#found + 1] = list
    end
  end
  return found
end

html.squeeze = squeeze

return html
