-- luacheck: ignore 631 (the texts are data)
-- Attacks on the sandbox, as data: name, Lua text, and what has to come of it.
--
-- "stops": it ends at its time limit or at its memory limit. "ends": it ends by itself or is ended,
-- with a result or an error. Anything else is the result that shows that the attack went nowhere.
-- A text without `return function` at its beginning is the body of the function.

local attacks = {}

-- A row may say itself how many milliseconds its code may go on for when its caller has been told.
local function attack(name, expected, source, after)
  if not source:find("^%s*return function") and not source:find("^%-%-whole") then
    source = "return function(input, ctx)\n" .. source .. "\nend"
  end
  attacks[#attacks + 1] = { name = name, expected = expected, source = source, after = after }
end

-- Loops ----------------------------------------------------------------------------------------

attack("an empty loop", "stops", "while true do end")
attack("a repeat loop", "stops", "repeat until false")
attack("a loop that counts", "stops", "local n = 0 while true do n = n + 1 end")
attack("a numeric loop of 2^53 rounds", "stops", "for i = 1, 2 ^ 53 do end")
attack("a numeric loop with a tiny step", "stops", "for i = 0, 1, 1e-300 do end")
attack("a numeric loop with step zero", "ends", "for i = 1, 10, 0 do end")
attack("a numeric loop to infinity", "stops", "for i = 1, math.huge do end")
attack(
  "a numeric loop over the whole range of integers",
  "stops",
  "for i = math.mininteger or -2 ^ 53, math.maxinteger or 2 ^ 53 do end"
)
attack(
  "a generic loop over an iterator without end",
  "stops",
  "for x in function() return 1 end do end"
)
attack("recursion in a tail call", "stops", "local function f() return f() end f()")
attack(
  "a loop at the top of the chunk",
  "stops",
  "--whole\nwhile true do end return function() end"
)
attack(
  "a loop before the function is returned",
  "stops",
  "--whole\nlocal t = {} for i = 1, 1e15 do t[i % 7] = i end return function() end"
)
attack(
  "mutual tail calls",
  "stops",
  "local a, b function a() return b() end function b() return a() end a()"
)

-- Catching what ends a loop --------------------------------------------------------------------

attack(
  "pcall around a loop, for ever",
  "stops",
  "while true do pcall(function() while true do end end) end"
)
attack(
  "pcall of pcall of a loop",
  "stops",
  "while true do pcall(pcall, pcall, function() while true do end end) end"
)
attack(
  "xpcall whose handler loops",
  "stops",
  "xpcall(function() while true do end end, function() while true do end end)"
)
attack(
  "xpcall whose handler calls xpcall",
  "stops",
  [[
  local function again() return xpcall(again, again) end
  while true do xpcall(error, again) end]]
)
attack(
  "xpcall around a loop, for ever",
  "stops",
  "while true do xpcall(function() while true do end end, function() end) end"
)
attack(
  "pcall at the top of the stack",
  "stops",
  "local function f() pcall(f) while true do pcall(f) end end f()"
)
attack(
  "pcall at the top of the stack, with a loop inside",
  "stops",
  "local function f() pcall(f) while true do end end f()"
)
attack(
  "recursion without end, caught for ever",
  "stops",
  "local function f() return 1 + f() end while true do pcall(f) end"
)
attack(
  "deep recursion that catches at every level",
  "stops",
  [[
  local function f(n) if n > 0 then pcall(f, n - 1) end while true do pcall(f, 10) end end
  f(150)]]
)
attack(
  "plain recursion to the top, then pcall",
  "stops",
  [[
  local function inner() while true do pcall(inner) end end
  local function f(n) if n == 0 then return inner() end local r = f(n - 1) return r end
  for n = 1, 1e9 do pcall(f, n * 100) end]]
)
attack(
  "an error in the handler of an error",
  "ends",
  "return xpcall(error, function() error('again') end)"
)
attack(
  "a loop that a coroutine resumes",
  "stops",
  "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"
)
attack(
  "a loop in a wrapped coroutine",
  "stops",
  "local f = coroutine.wrap(function() while true do end end) while true do pcall(f) end"
)
attack(
  "coroutines that wait for each other's error",
  "stops",
  [[
  local function loop() while true do coroutine.resume(coroutine.create(loop)) end end
  loop()]]
)
attack(
  "yielding for ever",
  "stops",
  [[
  local co = coroutine.wrap(function() while true do coroutine.yield() end end)
  while true do co() end]]
)
attack(
  "coroutines made before the deadline",
  "stops",
  [[
  local all = {}
  for i = 1, 500 do all[i] = coroutine.create(function() while true do coroutine.yield() end end) end
  while true do for i = 1, #all do coroutine.resume(all[i]) end end]]
)
attack(
  "an error object that loops in __tostring",
  "ends",
  "error(setmetatable({}, { __tostring = function() while true do end end }))"
)
attack(
  "an error object whose __tostring fails",
  "ends",
  "error(setmetatable({}, { __tostring = function() error('x') end }))"
)
attack(
  "an error object whose __tostring returns itself",
  "ends",
  [[
  local e e = setmetatable({}, { __tostring = function() return e end }) error(e)]]
)
attack("a huge error message", "ends", "error(('x'):rep(3e7))")
attack("an error object that contains itself", "ends", "local e = {} e.e = e error(e)")
attack("an error with nil", "ends", "error(nil)")
attack("an error with a coroutine", "ends", "error(coroutine.create(print or type))")

-- The stack of C -------------------------------------------------------------------------------

attack("recursion without end", "ends", "local function f() return 1 + f() end return f()")
attack(
  "a coroutine in a coroutine in a coroutine",
  "ends",
  [[
  local function f() return coroutine.wrap(f)() end
  return f()]]
)
attack(
  "a coroutine in a coroutine, resumed",
  "ends",
  [[
  local function f() return coroutine.resume(coroutine.create(f)) end
  return (f())]]
)
attack(
  "coroutines and pcall by turns",
  "ends",
  [[
  local function f() return pcall(coroutine.wrap(function() return pcall(f) end)) end
  return (f())]]
)
attack(
  "gsub in its own callback",
  "ends",
  "local function f(s) return (s:gsub('.', f)) end return f('aaaa')"
)
attack(
  "gmatch in gsub in gmatch",
  "ends",
  [[
  local function f(s) for c in s:gmatch('.') do c:gsub('.', f) end end
  return f('aa')]]
)
attack(
  "sort in its own comparison",
  "ends",
  [[
  local function f(a, b) table.sort({ 3, 2, 1 }, f) return a < b end
  table.sort({ 3, 2, 1 }, f)]]
)
attack(
  "tostring in __tostring",
  "ends",
  [[
  local t t = setmetatable({}, { __tostring = function(x) return tostring(x) end }) return tostring(t)]]
)
attack(
  "format in __tostring",
  "ends",
  [[
  local t t = setmetatable({}, { __tostring = function(x) return string.format('%s', x) end }) return tostring(t)]]
)
attack(
  "__index that asks itself",
  "ends",
  [[
  local t t = setmetatable({}, { __index = function(x, k) return x[k .. 'a'] end }) return t.a]]
)
attack(
  "a chain of __index that is a ring",
  "ends",
  [[
  local a, b = {}, {} setmetatable(a, { __index = b }) setmetatable(b, { __index = a }) return a.x]]
)
attack(
  "a ring of __newindex",
  "ends",
  [[
  local a, b = {}, {} setmetatable(a, { __newindex = b }) setmetatable(b, { __newindex = a }) a.x = 1]]
)
attack(
  "a long chain of __index",
  "ends",
  [[
  local t = {} for i = 1, 1e5 do t = setmetatable({}, { __index = t }) end return t.x]]
)
attack("a ring of __call", "ends", "local t = {} setmetatable(t, { __call = t }) return t()")
attack(
  "a long chain of __call",
  "ends",
  "local t = function() end for i = 1, 1e5 do t = setmetatable({}, { __call = t }) end return t()"
)
attack(
  "__concat in itself",
  "ends",
  "local t t = setmetatable({}, { __concat = function(a, b) return a .. b end }) return t .. t"
)
attack(
  "__eq in itself",
  "ends",
  [[
  local m = {} m.__eq = function(a, b) return a == b end
  return setmetatable({}, m) == setmetatable({}, m)]]
)
attack(
  "__lt in sort in __lt",
  "ends",
  [[
  local m = {} m.__lt = function(a, b) table.sort { a, b } return false end
  table.sort { setmetatable({}, m), setmetatable({}, m), setmetatable({}, m) }]]
)
attack(
  "__unm, __len and arithmetic in themselves",
  "ends",
  [[
  local m = {} m.__unm = function(a) return -a end m.__add = function(a, b) return a + b end
  local t = setmetatable({}, m)
  pcall(function() return -t end)
  return t + t]]
)
attack(
  "ipairs in __ipairs, pairs in __pairs",
  "ends",
  [[
  local m = {} m.__pairs = function(t) return pairs(t) end
  return pairs(setmetatable({}, m))]]
)
attack(
  "a text of nested brackets",
  "ends",
  "--whole\nreturn " .. ("("):rep(20000) .. "1" .. (")"):rep(20000)
)
attack(
  "a text of nested tables",
  "ends",
  "--whole\nreturn " .. ("{"):rep(20000) .. ("}"):rep(20000)
)
attack(
  "a text of nested functions",
  "ends",
  "--whole\n" .. ("return function() "):rep(5000) .. ("end "):rep(5000)
)
attack("a text of nested blocks", "ends", "--whole\n" .. ("do "):rep(20000) .. ("end "):rep(20000))
attack("a text of unary operators", "ends", "--whole\nreturn " .. ("not "):rep(50000) .. "1")
attack("a text of concatenations", "ends", "--whole\nreturn " .. ("'a'.."):rep(50000) .. "'a'")
attack("a text of powers", "ends", "--whole\nreturn " .. ("2^"):rep(50000) .. "2")
attack("a text of suffixes", "ends", "--whole\nlocal a return a" .. (".a"):rep(100000))
attack("too many locals", "ends", "--whole\n" .. ("local a "):rep(5000) .. "return function() end")
attack(
  "too many upvalues",
  "ends",
  (function()
    local text = { "--whole\n" }
    for block = 1, 3 do
      for i = 1, 150 do
        text[#text + 1] = ("local v%d_%d = 1 "):format(block, i)
      end
      text[#text + 1] = "return function() "
    end
    for block = 1, 3 do
      for i = 1, 150 do
        text[#text + 1] = ("v%d_%d = 2 "):format(block, i)
      end
    end
    text[#text + 1] = "end end end"
    return table.concat(text)
  end)()
)
attack(
  "a text of constants",
  "ends",
  (function()
    local text = { "--whole\nlocal t = {" }
    for i = 1, 70000 do
      text[#text + 1] = i + 0.5 .. ","
    end
    text[#text + 1] = "} return function() return #t end"
    return table.concat(text)
  end)()
)
attack(
  "a text that is slow to compile",
  "ends",
  (function()
    local text = { "--whole\n" }
    for i = 1, 190 do
      text[#text + 1] = "local v" .. i .. " "
    end
    text[#text + 1] = ("return function() "):rep(100) .. ("a=a "):rep(200000) .. ("end "):rep(100)
    return table.concat(text)
  end)()
)
attack(
  "a text of labels and jumps",
  "ends",
  (function()
    local text = { "--whole\n" }
    for i = 1, 40000 do
      text[#text + 1] = "::l" .. i .. ":: "
    end
    return table.concat(text)
  end)()
)
attack("a loop of jumps", "ends", "::again:: goto again")
attack(
  "a very long name",
  "ends",
  "--whole\nlocal " .. ("a"):rep(900000) .. " return function() end"
)
attack(
  "a very long string",
  "ends",
  "--whole\nlocal a = '" .. ("a"):rep(900000) .. "' return function() return #a end"
)
attack("an unfinished long bracket", "ends", "--whole\nreturn [" .. ("="):rep(500000) .. "[")

-- Patterns -------------------------------------------------------------------------------------

attack(
  "a pattern of question marks",
  "stops",
  "return ('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30))"
)
attack("a pattern of stars", "stops", "return ('a'):rep(200):find(('a*'):rep(20) .. 'b')")
attack("a pattern of dashes", "stops", "return ('a'):rep(5000):match('.-.-.-.-.-b')")
attack("a pattern of captures", "stops", "return ('a'):rep(300):match(('(a*)'):rep(20) .. 'b')")
attack("a pattern that looks back", "stops", "return ('a'):rep(20000):match('(.-)(.-)%1%2b')")
attack("gmatch without end", "stops", "for _ in ('a'):rep(3000):gmatch('.-.-.-.-b') do end")
attack("gsub that is slow", "stops", "return ('a'):rep(5000):gsub('.-.-.-.-b', '')")
attack(
  "gsub with a function that is slow",
  "stops",
  "return ('a'):rep(5000):gsub('.-.-.-.-b', function() end)"
)
attack("balanced brackets that are not", "stops", "return ('('):rep(300000):find('%b()')")
attack(
  "a set of a hundred thousand",
  "stops",
  "return ('a'):rep(100000):find('[' .. ('b'):rep(100000) .. ']')"
)
attack(
  "a frontier of a hundred thousand",
  "stops",
  "return ('a'):rep(200000):find('%f[' .. ('b'):rep(100000) .. ']')"
)
attack(
  "patterns caught for ever",
  "stops",
  "while true do pcall(string.find, ('a'):rep(5000), '.-.-.-b') end"
)
attack("a pattern that nests too deep", "ends", "return ('a'):rep(1e5):match(('a?'):rep(1e5))")
attack("too many captures", "ends", "return ('a'):match(('()'):rep(40))")
attack(
  "malformed patterns",
  "safe",
  [[
  for _, p in ipairs { '%', '[', '[^', '[]', '[a-', '%b', '%bx', '%f', '%1', '(', ')', '(()', '%9', '[%', '[%a-', '((((' } do
    for _, f in ipairs { string.find, string.match } do pcall(f, 'some text', p) end
    pcall(string.gsub, 'some text', p, '%1')
    pcall(string.gsub, 'some text', p, function() end)
    pcall(function() for _ in ('some text'):gmatch(p) do end end)
  end
  return 'safe']]
)
attack(
  "replacements that are none",
  "safe",
  [[
  for _, r in ipairs { '%', '%2', '%a', '%9' } do pcall(string.gsub, 'abc', '(b)', r) end
  pcall(string.gsub, 'abc', 'b', function() return {} end)
  pcall(string.gsub, 'abc', 'b', { b = function() end })
  pcall(string.gsub, 'abc', 'b', true)
  return 'safe']]
)
attack(
  "positions far outside",
  "safe",
  [[
  for _, i in ipairs { -2 ^ 52, -1, 0, 2 ^ 31, 2 ^ 52 } do
    pcall(string.find, 'abc', 'b', i) pcall(string.match, 'abc', 'b', i) pcall(string.gmatch, 'abc', 'b', i)
    pcall(string.sub, 'abc', i, -i) pcall(string.byte, 'abc', i, -i) pcall(string.gsub, 'abc', 'b', 'c', i)
  end
  pcall(string.find, 'abc', 'b', 0 / 0) pcall(string.find, 'abc', 'b', 1 / 0) pcall(string.find, 'abc', 'b', -1 / 0)
  return 'safe']]
)

-- Memory ---------------------------------------------------------------------------------------

attack("a gigabyte of rep", "ends", "return #('x'):rep(1e9)")
attack(
  "rep of nothing, a thousand million times",
  "safe",
  "local s = (''):rep(1e9) return #s == 0 and 'safe'"
)
attack("rep with a separator", "ends", "return #(''):rep(1e9, 'x')")
attack("rep, as often as a number can say", "ends", "return #('x'):rep(math.maxinteger or 2 ^ 53)")
attack("rep with infinity", "ends", "return #('x'):rep(math.huge)")
attack("rep in a loop", "stops", "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end")
attack("doubling a string", "stops", "local s = 'x' while true do s = s .. s end")
attack(
  "doubling a string, caught for ever",
  "stops",
  "local s = 'x' while true do pcall(function() while true do s = s .. s end end) end"
)
attack("a table of tables", "stops", "local t = {} while true do t = { t, {}, {} } end")
attack("a list without end", "stops", "local t = {} while true do t[#t + 1] = #t end")
attack(
  "a table with names without end",
  "stops",
  "local t, n = {}, 0 while true do n = n + 1 t['k' .. n] = n end"
)
attack(
  "memory, caught for ever",
  "stops",
  "local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end"
)
attack(
  "memory in coroutines",
  "stops",
  "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end"
)
attack(
  "memory in coroutines that run",
  "stops",
  [[
  local t = {}
  while true do local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) t[#t + 1] = co end]]
)
attack(
  "memory in closures",
  "stops",
  "local t = {} while true do local n = #t t[#t + 1] = function() return n end end"
)
attack(
  "memory in upvalues of a chain",
  "stops",
  "local f while true do local g = f f = function() return g end end"
)
attack(
  "many short strings",
  "stops",
  "local t, n = {}, 0 while true do n = n + 1 t[n] = 's' .. n end"
)
attack(
  "strings that collide",
  "stops",
  [[
  local t, n = {}, 0
  while true do n = n + 1 t[n] = ('a'):rep(60) .. string.format('%020d', n) .. ('a'):rep(60) end]]
)
attack("garbage without end", "stops", "while true do local t = { {}, {}, ('x'):rep(100) } end")
attack(
  "concat of a large table",
  "ends",
  "local t = {} for i = 1, 1e5 do t[i] = ('x'):rep(100) end for i = 1, 100 do table.concat(t, ('y'):rep(1000)) end"
)
attack(
  "gsub that grows",
  "ends",
  "local s = ('x'):rep(1e5) for i = 1, 10 do s = s:gsub('x', ('x'):rep(1000)) end"
)
attack(
  "gsub with a function that grows",
  "ends",
  "local s = ('x'):rep(1e4) for i = 1, 10 do s = s:gsub('x', function() return ('x'):rep(1e4) end) end"
)
attack("format with a large width", "ends", "return #string.format('%99999d', 1)")
attack("format with many directives", "ends", "return #string.format(('%d'):rep(1e6), 1)")
attack(
  "format of a long string",
  "ends",
  "local s = ('x'):rep(1e7) for i = 1, 20 do s = string.format('%s%s', s, s) end"
)
attack(
  "format %q of a long string",
  "ends",
  "local s = ('\\0\\n\"'):rep(5e6) return #string.format('%q', s)"
)
attack(
  "formats that are none",
  "safe",
  [[
  for _, f in ipairs { '%', '%d', '%y', '%.', '%.999f', '%999999999999d', '%-', '%#q', '%lld', '%*d', '%n', '%hn', '%$', '%1$s' } do
    pcall(string.format, f, 1, 2, 3)
  end
  return 'safe']]
)
attack(
  "unpack of a giant range",
  "ends",
  "return select('#', (table.unpack or unpack)({}, 1, 1e8))"
)
attack(
  "unpack to the last integer",
  "ends",
  "return select('#', (table.unpack or unpack)({}, math.maxinteger and math.maxinteger - 10 or 2 ^ 31 - 10, math.maxinteger or 2 ^ 31 - 1))"
)
attack(
  "unpack of a table with __index",
  "ends",
  "return select('#', (table.unpack or unpack)(setmetatable({}, { __index = function() return 1 end }), 1, 1e6))"
)
attack("byte of a long string", "ends", "return select('#', ('x'):rep(1e7):byte(1, -1))")
attack(
  "char of many numbers",
  "ends",
  "local t = {} for i = 1, 7000 do t[i] = 65 end for i = 1, 1e6 do string.char((table.unpack or unpack)(t)) end"
)
attack(
  "a call with as many arguments as there is room",
  "ends",
  [[
  local function f(...) return f(1, ...) end
  return f()]]
)
attack("select with a giant index", "ends", "return select(2 ^ 31, 1, 2)")
attack("select with a negative index", "ends", "return select(-1e9, 1)")

-- Tables ---------------------------------------------------------------------------------------

attack("concat over a range without end", "ends", "return table.concat({}, '', 1, 2 ^ 53)")
attack(
  "concat of what __index answers",
  "stops",
  "return table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 2 ^ 53)"
)
attack(
  "concat of what a function of C answers",
  "ends",
  "return table.concat(setmetatable({}, { __index = table.concat }), '', 1, 2 ^ 53)"
)
attack(
  "concat with __len",
  "ends",
  "return table.concat(setmetatable({}, { __len = function() return 2 ^ 53 end, __index = type }))"
)
attack(
  "insert with __len",
  "ends",
  "return table.insert(setmetatable({}, { __len = function() return 2 ^ 53 end }), 1, 'x')"
)
attack(
  "remove with __len",
  "ends",
  "return table.remove(setmetatable({}, { __len = function() return 2 ^ 53 end }), 1)"
)
attack(
  "sort with __len",
  "ends",
  "return table.sort(setmetatable({}, { __len = function() return 2 ^ 30 end, __index = function() return 1 end }))"
)
attack(
  "unpack with __len",
  "ends",
  "return (table.unpack or unpack)(setmetatable({}, { __len = function() return 2 ^ 53 end }))"
)
attack(
  "move over a range without end",
  "ends",
  "return table.move and table.move({}, 1, 2 ^ 53, 2) or error('no move')"
)
attack(
  "move to the last integer",
  "ends",
  "return table.move and table.move({}, 1, math.maxinteger - 1, 2) or error('no move')"
)
attack(
  "move between tables with metamethods",
  "ends",
  [[
  if not table.move then error('no move') end
  local t = setmetatable({}, { __index = function() return 1 end, __newindex = function() end })
  return table.move(t, 1, 1e15, 2, t)]]
)
attack(
  "sort with a comparison that loops",
  "stops",
  "table.sort({ 3, 2, 1 }, function() while true do end end)"
)
attack(
  "sort with a comparison that is always true",
  "ends",
  "local t = {} for i = 1, 1000 do t[i] = i end for i = 1, 1e9 do table.sort(t, function() return true end) end"
)
attack(
  "sort with a comparison by chance",
  "ends",
  "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return math.random() < 0.5 end) return #t"
)
attack(
  "sort with a comparison that fails",
  "ends",
  "table.sort({ 3, 2, 1 }, function() error('x') end)"
)
attack(
  "sort with a comparison that yields",
  "ends",
  [[
  local co = coroutine.wrap(function() table.sort({ 3, 2, 1 }, function(a, b) coroutine.yield() return a < b end) end)
  co() co() return 'ok']]
)
attack(
  "sort that empties what it sorts",
  "ends",
  [[
  local t = {} for i = 1, 1000 do t[i] = i end
  table.sort(t, function(a, b) for k in pairs(t) do t[k] = nil end return a < b end)]]
)
attack(
  "sort of a large table with a function of C",
  "ends",
  "local t = {} for i = 1, 1e6 do t[i] = i % 1000 end table.sort(t, rawequal)"
)
attack(
  "sort of a large table",
  "ends",
  "local t = {} for i = 1, 1e6 do t[i] = math.random() end table.sort(t)"
)
attack(
  "sort of long strings that are nearly equal",
  "ends",
  "local t = {} for i = 1, 40 do t[i] = ('x'):rep(1e6) .. i end for i = 1, 1e6 do table.sort(t, function(a, b) return a > b end) end"
)
attack("sort of mixed values", "ends", "table.sort { 1, 'a', {}, true }")
attack(
  "insert at the front of a large table",
  "stops",
  "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.insert(t, 1, 0) end"
)
attack(
  "a table changed while it is gone through",
  "ends",
  "local t = { a = 1 } for k in pairs(t) do t[k .. 'x'] = 1 t[k] = nil end"
)
attack("next with a key that is not there", "ends", "return next({}, 'x')")
attack(
  "next over a table of holes",
  "ends",
  "local t = {} for i = 1, 5e5 do t['k' .. i] = true end for k in pairs(t) do t[k] = nil end for i = 1, 1e6 do next(t) end"
)
attack("indices that are no numbers", "ends", "local t = {} t[0 / 0] = 1")
attack("a table with a nil index", "ends", "local t = {} t[nil] = 1")
attack(
  "rawset on itself",
  "safe",
  "local t = {} rawset(t, t, t) rawset(t, 1, t) return rawget(t, t) == t and 'safe'"
)
attack(
  "rawlen and rawequal of odd things",
  "safe",
  "pcall(rawlen or type, nil) pcall(rawlen or type, 1) pcall(rawequal) pcall(rawget, 1, 2) return 'safe'"
)

-- What goes through a long text, or a large table, in one step ---------------------------------

local LONG = "local s = ('x'):rep(2e7) "
for _, name in ipairs({ "lower", "upper", "reverse" }) do
  attack(name .. " of a long text", "stops", LONG .. "while true do s:" .. name .. "() end")
end
attack("tonumber of a long text", "stops", "local s = ('1'):rep(2e7) while true do tonumber(s) end")
attack(
  "tonumber of a long text, with a base",
  "stops",
  "local s = ('1'):rep(2e7) while true do tonumber(s, 36) end"
)
attack(
  "arithmetic with a long text",
  "stops",
  "local s = ('1'):rep(2e7) while true do local _ = s + 1 end"
)
attack(
  "long texts that are equal",
  "stops",
  LONG .. "local t = s:sub(1, -2) .. 'x' while true do local _ = s == t end"
)
attack(
  "long texts that are nearly equal",
  "stops",
  LONG .. "local t = s:sub(1, -2) .. 'y' while true do local _ = s == t end"
)
attack(
  "the order of long texts",
  "stops",
  LONG .. "local t = s:sub(1, -2) .. 'y' while true do local _ = s < t end"
)
attack(
  "the order of long texts of zeros",
  "stops",
  "local s = ('\\0'):rep(2e7) local t = s .. 'y' while true do local _ = s < t end",
  -- A single one takes a good tenth of a second on Lua 5.4.
  2000
)
attack(
  "the order of long texts of zeros, in a coroutine",
  "stops",
  [[
  local s
  local co = coroutine.wrap(function() local t = s .. 'y' while true do local _ = s < t end end)
  s = ('\0'):rep(2e7)
  co()]],
  2000
)
attack("concatenation of long texts", "stops", LONG .. "while true do local _ = s .. 'x' end")
attack(
  "utf8.len of a long text",
  "stops",
  LONG .. "local len = utf8 and utf8.len or string.len while true do pcall(len, s) end"
)
attack(
  "utf8.len of a text that is just not too long",
  "stops",
  "local s = ('x'):rep(8388608) local len = utf8 and utf8.len or string.len while true do len(s) end"
)
attack(
  "a long text as a key",
  "stops",
  LONG .. "local t = {} while true do t[s .. 'y'] = 1 t = {} end"
)
attack(
  "next over a large table that was emptied",
  "stops",
  [[
  local t = {} for i = 1, 600000 do t['k' .. i] = true end
  for k in pairs(t) do t[k] = nil end
  while true do next(t) end]]
)
attack(
  "next over a large list that was emptied",
  "stops",
  [[
  local t = {} for i = 1, 600000 do t[i] = true end
  for i = 1, 600000 do t[i] = nil end
  while true do next(t) end]]
)

-- Finalizers, weak tables, variables that are closed ---------------------------------------------

attack(
  "a finalizer",
  "ends",
  "setmetatable({}, { __gc = function() while true do end end }) for i = 1, 1e5 do local t = {} end"
)
attack(
  "a finalizer that is set later",
  "safe",
  [[
  local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end end
  t = nil for i = 1, 1e5 do local x = { {} } end
  return 'safe']]
)
attack("a weak table", "ends", "return setmetatable({}, { __mode = 'k' })")
attack(
  "a variable whose __close loops",
  "ends",
  "--whole\nreturn function() local x <close> = setmetatable({}, { __close = function() while true do end end }) end"
)
attack(
  "variables whose __close loop, after an error",
  "ends",
  [==[--whole
return function()
  local function f(n)
    local x <close> = setmetatable({}, { __close = function() while true do end end })
    if n > 0 then return f(n - 1), 1 end
    error('x')
  end
  f(150)
end]==]
)
attack(
  "a coroutine that is closed while it closes",
  "ends",
  [==[--whole
return function()
  local function make(n)
    local co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() if n < 1e5 then coroutine.close(make(n + 1)) end end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    return co
  end
  coroutine.close(make(1))
end]==]
)
attack(
  "_ENV that is constant",
  "ends",
  "--whole\nlocal _ENV <const> = {} return function() return x end"
)
attack("_ENV without anything", "ends", "--whole\nreturn function() local _ENV = {} return x.y end")

-- Ways out -------------------------------------------------------------------------------------

attack(
  "names that must not be there",
  "safe",
  [[
  for _, name in ipairs { 'io', 'os', 'package', 'debug', 'ffi', 'jit', 'require', 'load', 'loadstring', 'loadfile', 'dofile',
    'collectgarbage', 'newproxy', 'getfenv', 'setfenv', 'module', 'gcinfo', 'print', 'arg', 'zigllms', 'warn', 'vim', 'ngx' } do
    if _G[name] ~= nil then return name end
  end
  if string.dump or coroutine.cstacklimit or table.foreach or rawget(string, 'buffer') then return 'a function' end
  return 'safe']]
)
attack(
  "everything that can be reached",
  "safe",
  [[
  local seen, bad = {}, nil
  local known = { _G = 1, _VERSION = 1, math = 1, string = 1, table = 1, coroutine = 1, utf8 = 1, bit = 1, bit32 = 1 }
  local function walk(t, path)
    if seen[t] then return end
    seen[t] = true
    for k, v in pairs(t) do
      if type(v) == 'table' then walk(v, path .. '.' .. tostring(k)) end
      if type(v) == 'userdata' or type(v) == 'thread' then bad = path .. '.' .. tostring(k) end
    end
    local m = getmetatable(t)
    if m then bad = 'metatable of ' .. path end
  end
  walk(_G, '_G')
  for k, v in pairs(_G) do if type(v) == 'table' and not known[k] then bad = k end end
  return bad or 'safe']]
)
attack(
  "the metatable of strings",
  "safe",
  "return getmetatable('') == false and not pcall(setmetatable, '', {}) and 'safe'"
)
attack(
  "the methods of strings",
  "safe",
  "local ok = pcall(function() (('')).x = 1 end) return not ok and 'safe'"
)
attack(
  "metatables of other types",
  "safe",
  [[
  for _, v in ipairs { 1, true, type, coroutine.create(type) } do
    if getmetatable(v) ~= nil then return type(v) end
  end
  return getmetatable(nil) == nil and 'safe']]
)
attack("bytecode", "ends", "--whole\n\27Lua\83\0")
attack("bytecode of LuaJIT", "ends", "--whole\n\27LJ\2\2")
attack(
  "an escape through the environment of functions",
  "safe",
  "return (getfenv == nil or getfenv(1) == nil) and 'safe'"
)
attack("an error level far up", "ends", "error('x', 1e9)")
attack("an error level that is negative", "ends", "error('x', -1)")
attack(
  "numbers in odd forms",
  "safe",
  [[
  for _, s in ipairs { '0x', '1e', '1e999', ('1'):rep(1e6), '0x' .. ('f'):rep(1e6), '1e' .. ('9'):rep(1e5), ' ', '\0', 'nan', 'inf', '0x1p9999' } do
    tonumber(s) pcall(tonumber, s, 36) pcall(tonumber, s, 2)
  end
  pcall(tonumber, '1', 99) pcall(tonumber, {}, 10) pcall(tostring)
  return 'safe']]
)
attack(
  "integers that overflow",
  "ends",
  [[
  local big = math.maxinteger or 2 ^ 53
  local _ = big + 1, big * big, -big - 2
  pcall(function() return (math.mininteger or -big) % -1 end)
  for i = big - 1, big do end
  return 'safe']]
)
attack(
  "random numbers from odd ranges",
  "safe",
  [[
  pcall(math.random, 0) pcall(math.random, -1) pcall(math.random, 5, 1) pcall(math.random, math.huge) pcall(math.random, 0 / 0)
  pcall(math.random, math.mininteger or -2 ^ 53, math.maxinteger or 2 ^ 53) pcall(math.random, 1, 2, 3)
  pcall(math.randomseed, {}) math.randomseed(1) math.randomseed(0 / 0)
  return math.random() < 1 and 'safe']]
)
attack(
  "utf8 of odd strings",
  "safe",
  [[
  if utf8 then
    for _, s in ipairs { '\255', ('\128'):rep(1e5), '\244\144\128\128', '\192\128', ('a'):rep(1e6) } do
      pcall(utf8.len, s) pcall(utf8.codepoint, s, 1, -1) pcall(utf8.offset, s, 5, 2) pcall(utf8.offset, s, -5)
      pcall(function() for _ in utf8.codes(s) do end end)
    end
    pcall(utf8.char, 2 ^ 40) pcall(utf8.char, -1)
  end
  return 'safe']]
)
attack(
  "binary packing of odd formats",
  "safe",
  [[
  if string.pack then
    for _, f in ipairs { 'c999999999', 'i17', '!17', 's17', 'c', 'Xi', 'X', 'z', ('i8'):rep(1e5), 'c2147483647', 'c99999999999999999999', ' <>=!' } do
      pcall(string.pack, f, 1, 2) pcall(string.packsize, f) pcall(string.unpack, f, 'abcdefgh') pcall(string.unpack, f, 'a', -1)
    end
    pcall(string.unpack, 's8', ('\255'):rep(16)) pcall(string.unpack, 'i8', 'x', 2 ^ 60)
  end
  return 'safe']]
)
attack(
  "bits of odd numbers",
  "safe",
  [[
  local b = bit or bit32
  if b then
    for _, n in ipairs { 0, -1, 2 ^ 53, 1e300, 0 / 0, 1 / 0 } do
      pcall(b.band, n, n) pcall(b.lshift, n, n) pcall(b.rol or b.lrotate, n, n) pcall(b.tohex or type, n, n) pcall(b.bswap or type, n)
    end
  end
  return 'safe']]
)
attack(
  "coroutines in odd states",
  "safe",
  [[
  local co co = coroutine.create(function() return coroutine.resume(co) end) coroutine.resume(co)
  pcall(coroutine.resume, co) pcall(coroutine.status, 1) pcall(coroutine.wrap, 1) pcall(coroutine.create)
  pcall(coroutine.wrap(function() end)) pcall(coroutine.resume) pcall(coroutine.close or type, coroutine.running())
  local w w = coroutine.wrap(function() return w() end) pcall(w)
  return 'safe']]
)
attack("a yield without a coroutine", "ends", "coroutine.yield(1)")
attack(
  "a yield from a callback of gsub",
  "safe",
  [[
  local co = coroutine.wrap(function() return (('abc'):gsub('.', function(c) coroutine.yield(c) return c end)) end)
  return co() == 'a' and co() == 'b' and co() == 'c' and co() == 'abc' and 'safe']]
)
attack(
  "changing what a later call finds",
  "ends",
  [[
  string.find = nil string.format = function() return 'poisoned' end math.random = nil table.concat = error
  _G.leak = 'leak' pairs = nil tostring = error type = nil getmetatable = nil
  return 'done']]
)
attack(
  "what an earlier call changed",
  "safe",
  [[
  if leak or not pairs or not type or not string.find or string.format('%d', 1) ~= '1' or table.concat { 1 } ~= '1' then return 'changed' end
  return ('x'):find('x') == 1 and 'safe']]
)

-- Functions of C that would go on for long --------------------------------------------------------

local DIGITS = "local all, s = {}, ('1'):rep(1e6) for i = 1, 3000 do all[i] = s end\n"
  .. "local unpack = table.unpack or unpack\n"

attack(
  "sizes of a format of megabytes",
  "ends",
  "local f = (' '):rep(3e7) while true do string.packsize(f) end"
)
attack(
  "reading by a format of megabytes",
  "ends",
  "local f = ('<'):rep(3e7) while true do string.unpack(f, '') end"
)
attack(
  "writing by a format of megabytes",
  "ends",
  "local f = ('<'):rep(3e7) while true do string.pack(f) end"
)
attack(
  "sorting long texts of zeros",
  "stops",
  [[
  local t, b = {}, ('\0'):rep(2e5) for i = 1, 150 do t[i] = b .. i end
  while true do table.sort(t) end]]
)
attack(
  "sorting with a function of C that reads numbers",
  "ends",
  DIGITS .. "for i = 1500, 3000 do all[i] = nil end while true do table.sort(all, math.max) end"
)
attack("the largest of long numbers", "ends", DIGITS .. "while true do math.max(unpack(all)) end")
attack(
  "characters by long numbers",
  "stops",
  DIGITS .. "while true do pcall(string.char, unpack(all)) end"
)
attack(
  "long numbers in a format",
  "ends",
  DIGITS .. "while true do ('%d'):rep(3000):format(unpack(all)) end"
)
attack(
  "long texts quoted by the thousand",
  "ends",
  [[
  local all, s = {}, ('\0'):rep(1e6) for i = 1, 3000 do all[i] = s end
  while true do ('%q'):rep(3000):format((table.unpack or unpack)(all)) end]]
)
attack(
  "long numbers packed",
  "ends",
  DIGITS .. "while true do string.pack(('n'):rep(3000), unpack(all)) end"
)
attack(
  "joining a table of which the length is hidden",
  "stops",
  "local t = {} for i = 2, 5e5 do t[i] = '' end while true do table.concat(t, '', 2, 5e5) end"
)
if _VERSION == "Lua 5.4" then
  attack(
    "going on in a text that is no UTF-8",
    "ends",
    "local f, s = utf8.codes(('\\128'):rep(3e7)) while true do pcall(f, s, 0) end"
  )
end
if _VERSION == "Lua 5.4" then
  attack(
    "integer keys that collide when their table grows",
    "stops",
    [[
    local n = 1 << 16 local m, t = 2 * n - 1, {}
    for i = 1, n do t[-i * m] = 1 end t.x = 1
    return 'done']]
  )
  attack(
    "fractions that collide in every table",
    "stops",
    "local t = {} for i = 1, 1e6 do t[1 + i * 2.0 ^ -50] = 1 end return 'done'"
  )
end
attack(
  "keys that collide no more than others",
  "262144 8192",
  [[
  local t, u, n = {}, {}, 0
  for i = 1, 262144 do t[i * 1000] = i t[i + 0.5] = i t[i + 0.5] = nil end
  for i = 1, 8192 do u[i * 8191] = i end
  for _ in pairs(t) do n = n + 1 end
  local m = 0 for _ in pairs(u) do m = m + 1 end
  return n .. ' ' .. m]]
)
attack(
  "a table made weak by its metatable",
  "strong",
  [[
  local m = {} local t = setmetatable({}, m) m.__mode = 'k' m['__mo' .. 'de'] = 'k'
  for i = 1, 100 do t[{}] = i end
  for i = 1, 1000 do local s = ('x'):rep(1e5) .. i end
  return next(t) == nil and 'weak' or 'strong']]
)
attack(
  "a chain of weak keys",
  "ends",
  [[
  local m, key = {}, {} local t, first = setmetatable({}, m), key
  for i = 1, 1e5 do local next = {} t[key] = next key = next end
  m.__mode = 'k'
  for i = 1, 1000 do local s = ('x'):rep(1e5) .. i end
  return first]]
)

-- Results ----------------------------------------------------------------------------------------

attack("a result that contains itself", "ends", "local t = {} t.t = t return t")
attack("a result that is deep", "ends", "local t = {} for i = 1, 1e5 do t = { t } end return t")
attack(
  "a result that is wide",
  "ends",
  "local t = {} for i = 1, 3e5 do t[i] = ('x'):rep(10) end return t"
)
attack(
  "a result that unfolds",
  "ends",
  "local t = {} for i = 1, 60 do t = { t, t, t } end return t"
)
attack(
  "a result that unfolds into nothing",
  "ends",
  "local t = {} for i = 1, 90 do t = { t, t } end return t"
)
attack(
  "a result with names beside what nests",
  "ends",
  "local t = { 1, x = 1 } for i = 1, 90 do t = { t, x = 1 } end return t"
)
attack(
  "an error with names beside what nests",
  "ends",
  "local t = { 1, x = 1 } for i = 1, 90 do t = { t, x = 1 } end error(t)"
)
attack("a result that is a long string", "ends", "return ('x'):rep(3e7)")
attack("a result with a function", "ends", "return { f = type }")
attack("a result that is a function", "ends", "return type")
attack("a result that is a coroutine", "ends", "return coroutine.create(type)")
attack("a result with odd keys", "ends", "return { [{}] = 1 }")
attack("a result with keys that collide", "ends", "return { [2] = 1, ['2'] = 2 }")
attack("a result with a fractional key", "ends", "return { [1.5] = 1 }")
attack("a result with true as a key", "ends", "return { [true] = 1 }")
attack(
  "a result whose metamethods loop",
  "ends",
  [[
  local function loop() while true do end end
  return setmetatable({ 1, 2 }, { __index = loop, __len = loop, __pairs = loop, __tostring = loop, __eq = loop })]]
)
attack("a result with a key of a megabyte", "ends", "return { [('k'):rep(2e6)] = 1 }")
attack("a result with a giant hole", "ends", "return { 1, 2, [2 ^ 40] = 3 }")
attack(
  "a sequence that was filled from its end",
  "ends",
  "local t = {} for i = 1e5, 1, -1 do t[i] = 1 end return t"
)
attack("many results", "ends", "return (table.unpack or unpack)({}, 1, 7000)")
attack(
  "ctx changed",
  "safe",
  "ctx.tool_id, ctx.cancelled, ctx.name = nil, nil, {} input.x = input return 'safe'"
)

return attacks
