-- What sandboxed code finds: a list of names, so that nothing is there by accident.
--
-- `native` is the table of Lua's own libraries, `own` has what functions.rs has. Every way in which
-- code can catch an error looks whether its time is over before it goes on. Whatever could loop in
-- C for long is done here in Lua, which can be interrupted, or is refused.
local native, own = ...

local check, deeper, goes_on = own.check, own.deeper, own.goes_on
local gfind, has_metatable, replace = own.gfind, own.has_metatable, own.replace
local few_digits, sorts_soon, weight = own.few_digits, own.sorts_soon, own.weight
local coroutine, math, string, table = native.coroutine, native.math, native.string, native.table
local error, pcall, rawget, rawlen, type =
  native.error, native.pcall, native.rawget, own.rawlen, native.type
local select, setmetatable, tonumber = native.select, native.setmetatable, native.tonumber
local tostring, xpcall = native.tostring, native.xpcall
local byte, find, sub = string.byte, own.find, string.sub
local resume, status = coroutine.resume, coroutine.status
local floor, huge = math.floor, math.huge
local MODERN = own.modern

-- Items that a function of C may go through at once: a millisecond.
local MANY = 20000
-- Values that a function may return: as many as LuaJIT allows.
local MOST = 7900
local BLOCK = 4096
-- A text that a function of C may go through in a millisecond.
local PIECE = 262144
-- A text that a function of C may go through at once.
local LONG = 8388608

local function wrong(at, name, expected, got)
  error(
    "bad argument #"
      .. at
      .. " to '"
      .. name
      .. "' ("
      .. expected
      .. " expected, got "
      .. got
      .. ")",
    4
  )
end

local function text(value, at, name)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" then
    return tostring(value)
  end
  wrong(at, name, "string", kind == "nil" and "no value" or kind)
end

local function whole(value, at, name, default)
  if value == nil and default then
    return default
  end
  local number = tonumber(value)
  if not number then
    wrong(at, name, "number", value == nil and "no value" or type(value))
  elseif number ~= floor(number) or number == huge or number == -huge then
    if MODERN then
      error(
        "bad argument #" .. at .. " to '" .. name .. "' (number has no integer representation)",
        3
      )
    end
    return number ~= number and 0 or number < 0 and -floor(-number) or floor(number)
  end
  return number
end

-- Errors ---------------------------------------------------------------------------------------

-- Without the place where a function of C has raised it, if that is here.
local function placeless(message)
  if type(message) == "string" and byte(message) == 40 then
    local _, stop = find(message, "^%(sandbox%):%d+: ")
    return stop and sub(message, stop + 1) or message
  end
  return message
end

local function caught(ok, ...)
  check()
  if ok then
    return true, ...
  end
  return false, placeless((...))
end

local function protected(f, ...)
  deeper()
  return caught(pcall(f, ...))
end

-- A handler is called where the error is: if that is in the hook, no hook could interrupt it.
local function careful(handler)
  return function(message)
    if goes_on() then
      return handler(placeless(message))
    end
    return message
  end
end

local function handled(f, handler, ...)
  deeper()
  return caught(xpcall(f, careful(handler), ...))
end

-- Lua 5.1 passes nothing on.
local function handled_without_arguments(f, handler)
  deeper()
  return caught(xpcall(f, careful(handler)))
end

local function with_metatable(t, meta)
  if type(meta) == "table" then
    if rawget(meta, "__gc") ~= nil then
      error("setmetatable: a sandbox has no finalizers (__gc)", 2)
    elseif rawget(meta, "__mode") ~= nil then
      error("setmetatable: a sandbox has no weak tables (__mode)", 2)
    end
  end
  return setmetatable(t, meta)
end

-- Coroutines -----------------------------------------------------------------------------------

local function readable(...)
  deeper()
  return tostring(...)
end

local function resumed(co, ...)
  deeper(co)
  return caught(resume(co, ...))
end

local function closed(co)
  deeper()
  return caught(coroutine.close(co))
end

local function passed(co, ok, ...)
  check()
  if ok then
    return ...
  end
  if coroutine.close and status(co) == "dead" then
    closed(co)
  end
  error(placeless((...)), 0)
end

local function wrap(f)
  local co = coroutine.create(f)
  return function(...)
    deeper(co)
    return passed(co, resume(co, ...))
  end
end

-- Strings --------------------------------------------------------------------------------------

local function rep(s, n, separator)
  s, n = text(s, 1, "rep"), whole(n, 2, "rep")
  separator = separator ~= nil and own.has_separator and text(separator, 3, "rep") or ""
  if n < 1 or #s + #separator == 0 then
    return ""
  elseif #s * n + #separator * (n - 1) > own.limit() then
    error("resulting string too large", 2)
  elseif #separator == 0 and n > BLOCK then
    -- Copied piece by piece, a long text of short pieces takes a tenth of a second.
    local rest = string.rep(s, n % BLOCK)
    return string.rep(string.rep(s, BLOCK), floor(n / BLOCK)) .. rest
  end
  return string.rep(s, n, separator)
end

-- Start of the match, its end, and what stands in its place.
local function replaced(with, start, stop, ...)
  if not start then
    return start, stop
  elseif type(with) == "table" then
    return start, stop, with[(...)]
  end
  return start, stop, (with(...))
end

local function put(out, new, s, start, stop)
  local kind = type(new)
  if not new then
    new = sub(s, start, stop)
  elseif kind ~= "string" and kind ~= "number" then
    error("invalid replacement value (a " .. kind .. ")", 3)
  end
  out[#out + 1] = new
end

local concat

local function replace_each(s, pattern, with, most)
  local anchored, first_only = byte(pattern) == 94, type(with) == "table"
  local out, at, last, count = {}, 1, nil, 0
  while count < most do
    local start, stop, new = replaced(with, gfind(s, pattern, at, last, anchored, first_only))
    if not start then
      if start == false then
        error(stop, 3)
      end
      break
    end
    count = count + 1
    out[#out + 1] = sub(s, at, start - 1)
    put(out, new, s, start, stop)
    at = stop + 1
    if MODERN then
      last = stop
    elseif stop < start then
      out[#out + 1] = sub(s, start, start)
      at = start + 1
    end
    if anchored then
      break
    end
  end
  out[#out + 1] = sub(s, at)
  return concat(out), count
end

local function gsub(s, pattern, with, most)
  s, pattern = text(s, 1, "gsub"), text(pattern, 2, "gsub")
  most = whole(most, 4, "gsub", #s + 1)
  local kind = type(with)
  if kind == "table" or kind == "function" then
    return replace_each(s, pattern, with, most)
  elseif kind ~= "string" and kind ~= "number" then
    error(
      "bad argument #3 to 'gsub' (string/function/table expected, got "
        .. (with == nil and "no value" or kind)
        .. ")",
      2
    )
  end
  local result, count = replace(s, pattern, tostring(with), most)
  if not result then
    error(count, 2)
  end
  return result, count
end

local function gmatch(s, pattern, init)
  s, pattern = text(s, 1, "gmatch"), text(pattern, 2, "gmatch")
  local at, last = own.has_init and whole(init, 3, "gmatch", 1) or 1, nil
  if at < 0 then
    at = #s + at + 1
  end
  at = at < 1 and 1 or at
  local function found(start, stop, ...)
    if not start then
      at = #s + 2
      if start == false then
        error(stop, 2)
      end
      return nil
    end
    at, last = stop + 1, MODERN and stop or nil
    if not MODERN and stop < start then
      at = at + 1
    end
    return ...
  end
  return function()
    return found(gfind(s, pattern, at, last))
  end
end

-- What goes through a text byte by byte does so piece by piece.
local function pieces(name, f, backwards)
  return function(s)
    s = text(s, 1, name)
    if #s <= PIECE then
      return f(s)
    end
    local parts = {}
    for first = 1, #s, PIECE do
      parts[#parts + 1] = f(sub(s, first, first + PIECE - 1))
    end
    if backwards then
      for i = 1, floor(#parts / 2) do
        local j = #parts - i + 1
        parts[i], parts[j] = parts[j], parts[i]
      end
    end
    return concat(parts)
  end
end

-- No number has that many digits.
local function number(value, ...)
  if type(value) == "string" and #value > BLOCK then
    return nil
  end
  return tonumber(value, ...)
end

-- A format is read character by character, and none is that long.
local function layout(format, name)
  format = text(format, 1, name)
  if #format > PIECE then
    error("bad argument #1 to '" .. name .. "' (format too long)", 3)
  end
  return format
end

local function unpack_text(format, ...)
  return string.unpack(layout(format, "unpack"), ...)
end

local function packsize(format)
  return string.packsize(layout(format, "packsize"))
end

-- `c` is filled up with zeros, however many. Texts may be read as numbers, which takes its time.
local function pack(format, ...)
  format = layout(format, "pack")
  if weight(...) > LONG then
    error("bad argument to 'pack' (strings too long)", 2)
  end
  for count in gmatch(format, "c(%d+)") do
    if #count > 7 then
      error("bad argument #1 to 'pack' (a string of that size is too large)", 2)
    end
  end
  return string.pack(format, ...)
end

-- Long texts have to be meant as such: `%q` goes through one byte by byte, and a number has not so
-- many digits.
local function check_long(form, ...)
  local at, quoted = 0, 0
  for kind in gmatch(form, "%%[^%a%%]*(.)") do
    at = kind == "%" and at or at + 1
    local value = kind ~= "%" and select(at, ...)
    local size = type(value) == "string" and #value or 0
    quoted = kind == "q" and quoted + size or quoted
    if quoted > 1048576 then
      error("bad argument #" .. at + 1 .. " to 'format' (string too long)", 3)
    elseif kind ~= "q" and kind ~= "s" and size > BLOCK then
      wrong(at + 1, "format", "number", "string")
    end
  end
end

local function format(form, ...)
  deeper()
  if weight(...) > BLOCK then
    check_long(text(form, 1, "format"), ...)
  end
  return string.format(form, ...)
end

local function short(name, f)
  return f
    and function(s, ...)
      s = text(s, 1, name)
      if #s > LONG then
        error("bad argument #1 to '" .. name .. "' (string too long)", 2)
      end
      return f(s, ...)
    end
end

-- More than a few values at once would make a stack so large that Lua 5.4 can be kept busy with it.
local function few(name, f, length, message)
  return f
    and function(from, first, last, ...)
      if name ~= "unpack" then
        from = text(from, 1, name)
      end
      local a = first == nil and 1 or tonumber(first)
      local b = last == nil and (name == "unpack" and length(from) or a) or tonumber(last)
      if a and b then
        local size = name ~= "unpack" and #from
        if size then
          a, b = a < 0 and a + size + 1 or a, b < 0 and b + size + 1 or b
          b = b > size and size or b
        end
        if b - a >= MOST then
          error(message, 2)
        end
      end
      return f(from, first, name == "unpack" and last == nil and b or last, ...)
    end
end

local function length(t)
  return type(t) == "table" and #t or nil
end

-- Tables ---------------------------------------------------------------------------------------

-- Whether a function of C may do it: no metamethod can answer it for ever, and it is not large.
local function is_plain(t, first, last)
  return type(t) ~= "table" or (rawlen(t) <= MANY and last - first <= MANY and not has_metatable(t))
end

local function join(list, separator, first, last)
  local parts = {}
  for i = first, last do
    local item = list[i]
    local kind = type(item)
    if kind ~= "string" and kind ~= "number" then
      error("invalid value (at index " .. i .. ") in table for 'concat'", 3)
    end
    parts[#parts + 1] = item
    if #parts == MANY and i < last then
      parts = { table.concat(parts, separator) }
    end
  end
  return table.concat(parts, separator)
end

function concat(list, separator, first, last)
  if type(list) ~= "table" or is_plain(list, 0, type(last) == "number" and last or 0) then
    return table.concat(list, separator, first, last)
  end
  separator = separator == nil and "" or text(separator, 2, "concat")
  return join(list, separator, whole(first, 3, "concat", 1), whole(last, 4, "concat", #list))
end

local function insert(list, ...)
  local count = select("#", ...)
  if type(list) ~= "table" or count ~= 2 or is_plain(list, 0, 0) then
    return table.insert(list, ...)
  end
  local at, value = ...
  local last = #list + 1
  at = whole(at, 2, "insert")
  if MODERN and (at < 1 or at > last) then
    error("bad argument #2 to 'insert' (position out of bounds)", 2)
  end
  for i = last, at + 1, -1 do
    list[i] = list[i - 1]
  end
  list[at] = value
end

local function remove(list, ...)
  if
    type(list) ~= "table"
    or select("#", ...) == 0 and not has_metatable(list)
    or is_plain(list, 0, 0)
  then
    return table.remove(list, ...)
  end
  local last = #list
  local at = whole((...), 2, "remove", last)
  if at < 1 or at > last + 1 then
    if MODERN and at ~= last and not (last == 0 and at == 0) then
      error("bad argument #2 to 'remove' (position out of bounds)", 2)
    end
    if not MODERN then
      return nil
    end
  end
  local value = list[at]
  for i = at, last - 1 do
    list[i] = list[i + 1]
  end
  if at <= last then
    list[last] = nil
  end
  return value
end

local function move(from, first, last, at, to)
  first, last, at = whole(first, 2, "move"), whole(last, 3, "move"), whole(at, 4, "move")
  local target = to == nil and from or to
  if is_plain(from, first, last) and is_plain(target, first, last) then
    return table.move(from, first, last, at, to)
  elseif type(target) ~= "table" then
    error("bad argument #5 to 'move' (table expected, got " .. type(target) .. ")", 2)
  end
  if at > last or at <= first or target ~= from then
    for i = first, last do
      target[at + (i - first)] = from[i]
    end
  else
    for i = last, first, -1 do
      target[at + (i - first)] = from[i]
    end
  end
  return target
end

-- Merges the sorted runs `low..middle` and `middle+1..high` of `from` into `to`.
local function merge(from, to, low, middle, high, less)
  local a, b = low, middle + 1
  for i = low, high do
    if a <= middle and (b > high or not less(from[b], from[a])) then
      to[i], a = from[a], a + 1
    else
      to[i], b = from[b], b + 1
    end
  end
end

local function usual(a, b)
  return a < b
end

-- Large tables, long texts: what a function of C compares cannot be interrupted.
local function merge_sort(list, less)
  local n, from, to = #list, {}, {}
  for i = 1, n do
    from[i] = list[i]
  end
  local width = 1
  while width < n do
    for low = 1, n, 2 * width do
      local middle, high = low + width - 1, low + 2 * width - 1
      merge(from, to, low, middle < n and middle or n, high < n and high or n, less)
    end
    from, to, width = to, from, 2 * width
  end
  for i = 1, n do
    list[i] = from[i]
  end
end

local function sort(list, less)
  if less ~= nil and type(less) ~= "function" then
    error("bad argument #2 to 'sort' (function expected, got " .. type(less) .. ")", 2)
  end
  deeper()
  if type(list) ~= "table" or sorts_soon(list, less) then
    return table.sort(list, less)
  end
  merge_sort(list, less or usual)
end

-- What is there --------------------------------------------------------------------------------

local function pick(from, names)
  local found = {}
  for name in string.gmatch(names, "%S+") do
    found[name] = from and from[name]
  end
  return found
end

local globals = pick(
  native,
  "_VERSION assert error getmetatable ipairs next pairs rawequal rawget rawlen rawset select "
    .. "type"
)
globals.pcall, globals.setmetatable, globals.tostring = protected, with_metatable, readable
globals.tonumber = number
globals.xpcall = own.passes_on and handled or handled_without_arguments

globals.unpack = few("unpack", native.unpack, length, "too many results to unpack")

local strings = pick(native.string, "len sub")
strings.char = few_digits(native.string.char)
strings.find, strings.match, strings.gmatch, strings.gsub = own.find, own.match, gmatch, gsub
strings.rep, strings.pack = rep, native.string.pack and pack
strings.unpack = native.string.unpack and unpack_text
strings.packsize = native.string.packsize and packsize
strings.format = format
strings.lower, strings.upper = pieces("lower", string.lower), pieces("upper", string.upper)
strings.reverse = pieces("reverse", string.reverse, true)
strings.byte = few("byte", native.string.byte, length, "string slice too long")

local tables = pick(native.table, "maxn pack")
tables.unpack = few("unpack", native.table.unpack, length, "too many results to unpack")
tables.concat, tables.insert, tables.remove, tables.sort = concat, insert, remove, sort
tables.move = native.table.move and move

local maths = pick(
  native.math,
  "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 "
    .. "maxinteger mininteger modf pi pow rad sin sinh sqrt tan tanh tointeger type ult"
)
maths.max, maths.min = few_digits(native.math.max), few_digits(native.math.min)
maths.random, maths.randomseed = own.random, own.randomseed

local coroutines = pick(native.coroutine, "create isyieldable running status yield")
coroutines.resume, coroutines.wrap = resumed, wrap
coroutines.close = native.coroutine.close and closed

local names = { "_G", "string", "table", "math", "coroutine" }
local all = { globals, strings, tables, maths, coroutines }
local function add(name, library)
  names[#names + 1], all[#all + 1] = name, library
end
if native.utf8 then
  local utf8 = pick(native.utf8, "charpattern")
  utf8.char, utf8.codes = few_digits(native.utf8.char), short("codes", native.utf8.codes)
  utf8.codepoint = few("codepoint", native.utf8.codepoint, length, "string slice too long")
  utf8.len, utf8.offset = short("len", native.utf8.len), short("offset", native.utf8.offset)
  add("utf8", utf8)
end
for _, name in native.ipairs({ "bit", "bit32" }) do
  local words = "arshift band bnot bor bswap btest bxor extract lrotate lshift replace rol ror "
    .. "rrotate rshift tobit tohex"
  if native[name] then
    local library = pick(native[name], words)
    for word, f in native.next, library do
      library[word] = few_digits(f)
    end
    add(name, library)
  end
end

-- Strings are read by their methods; nobody gets hold of what holds these.
native.getmetatable("").__metatable = false

return names, all
