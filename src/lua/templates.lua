-- Templates and conditions over a view: the table of what they may name.
--
-- The core reads their texts, each once; what they lead to is found here, among the values
-- themselves.
local core = ...

local new_error = core.new_error
local error, find, format, next = error, string.find, string.format, next
local getmetatable, pcall, rawequal, rawget = getmetatable, pcall, rawequal, rawget
local setmetatable, tostring, type = setmetatable, tostring, type
local concat, min, sort = table.concat, math.min, table.sort

local MANY = 4096 -- texts that are known at once

-- What was read of templates and conditions, by their text.
local function memo(read)
  local known, count = {}, 0
  return function(text)
    local found = known[text]
    if not found then
      if count >= MANY then
        known, count = {}, 0
      end
      found, count = read(text), count + 1
      known[text] = found
    end
    return found
  end
end

local template_of, templates_of = memo(core.template), memo(core.condition_templates)

local MAPS = {} -- metatable of views that have an `output`, be it nil

-- Fields that are there although they may hold nothing.
local function may_be_nil(path, at, view)
  if at ~= #path then
    return false
  end
  local root, last = path[1], path[at]
  return at == 1 and (root == "input" or root == "output" and getmetatable(view) == MAPS)
    or at == 2 and root == "previous" and (last == "output" or last == "id")
    or at == 2 and root == "loop" and last == "item"
    or at == 2 and root == "workflow" and last == "input"
    or at == 3 and root == "steps" and last == "output"
end

local SEEN, TOLD = 64, 8 -- keys of a table that are looked at, and named in a message

local function name_of(key)
  local is_word = type(key) == "string" or type(key) == "number" or type(key) == "boolean"
  return is_word and tostring(key) or "a " .. type(key)
end

local function keys_of(value, shown)
  local names = {}
  for key in next, value do
    names[#names + 1] = (shown or name_of)(key)
    if #names == SEEN then
      break
    end
  end
  sort(names)
  if names[TOLD + 1] then
    names[TOLD + 1] = "…"
  end
  return concat(names, ", ", 1, min(#names, TOLD + 1))
end

-- As a path says it.
local function step_of(key)
  return type(key) == "number" and format("[%s]", key) or name_of(key)
end

local function told(value)
  if type(value) ~= "table" then
    return value == nil and "which is nil" or "which is a " .. type(value)
  end
  return next(value) == nil and "which is empty" or "which has " .. keys_of(value, step_of)
end

local function missing(hole, at, value)
  local near = at == 0 and "an execution" or concat(hole.names, "", 1, at)
  local text = format(
    'template "{{%s}}": there is no %s in %s, %s; default(…) says what stands for it',
    hole.source,
    hole.names[at + 1]:gsub("^%.", ""),
    near,
    told(value)
  )
  error(new_error("template_error", text), 0)
end

-- The value a path leads to; else whether that is in order, how far it led, and to what.
local function walk(hole, view)
  local path, value = hole.path, view
  for i = 1, #path do
    local inner
    if type(value) == "table" then
      inner = rawget(value, path[i])
      if inner == nil and rawequal(value, view.steps) then
        inner = value[path[i]]
      end
    end
    if inner == nil then
      return nil, may_be_nil(path, i, view), i - 1, value
    end
    value = inner
  end
  return value, true
end

local function json_of(value, hole)
  local ok, text = pcall(core.json_text, value)
  if ok then
    return text
  end
  local why = format('template "{{%s}}": %s', hole.source, text.message)
  error(new_error("conversion_error", why), 0)
end

local function text_of(value, hole)
  return type(value) == "string" and value or json_of(value, hole)
end

local filters = {
  json = json_of,
  trim = function(value, hole)
    return (text_of(value, hole):match("^%s*(.-)%s*$"))
  end,
}

local function resolve(hole, view)
  local value, found, at, near = walk(hole, view)
  local list = hole.filters
  if value == nil or rawequal(value, core.null) then
    if hole.has_default then
      value, found = hole.default, true
    end
  end
  if not found then
    missing(hole, at, near)
  end
  for i = 1, #list do
    value = filters[list[i]](value, hole)
  end
  return value
end

-- In a text something has to stand.
local function in_text(hole, view)
  local value = resolve(hole, view)
  if value ~= nil then
    return text_of(value, hole)
  elseif hole.has_default then
    return ""
  end
  local text = 'template "{{%s}}": it is nil, and a text cannot hold that; default(…) says what '
    .. "stands for it"
  error(new_error("template_error", format(text, hole.source)), 0)
end

local function fill_parts(parts, view)
  if #parts == 1 and type(parts[1]) == "table" then
    return resolve(parts[1], view)
  end
  local pieces = {}
  for i = 1, #parts do
    local part = parts[i]
    pieces[i] = type(part) == "table" and in_text(part, view) or part
  end
  return concat(pieces)
end

-- The same value with its templates filled in; the table is one that nobody else has.
local function fill(value, view)
  if type(value) == "string" then
    -- What it gives may be false, or nothing.
    if find(value, "{{", 1, true) then
      return fill_parts(template_of(value), view)
    end
  elseif type(value) == "table" then
    for key, inner in next, value do
      value[key] = fill(inner, view)
    end
  end
  return value
end

-- The same where there is an `output`, which the value is made of.
local function fill_of(value, view, output)
  view.output = output
  return fill(value, setmetatable(view, MAPS))
end

-- Raises where a value of one of the templates is no data.
local function check_data(values, templates)
  for i = 1, #templates do
    for j = 1, #templates[i] do
      local hole = templates[i][j]
      if type(hole) == "table" then
        json_of(values[i], hole)
      end
    end
  end
end

-- Whether a condition holds.
function core.judge_text(text, view)
  local templates, values = templates_of(text), {}
  for i = 1, #templates do
    local value = fill_parts(templates[i], view)
    values[i] = value == nil and core.null or value
  end
  local ok, holds = pcall(core.judge, text, values)
  if ok then
    return holds
  end
  check_data(values, templates)
  error(holds, 0)
end

core.fill, core.fill_of, core.keys_of = fill, fill_of, keys_of

return core
