-- Lua that nobody has read, run all the same: in a state of its own, with limits. No network.
--
--   lua5.4 examples/18_sandbox.lua
local zigllms = require("zigllms")
local tool = zigllms.tool

-- What a model might have written.
tool.register({
  name = "statistics",
  source = [[
    return function(input)
      local numbers = input.numbers
      table.sort(numbers)
      local sum = 0
      for _, n in ipairs(numbers) do sum = sum + n end
      return { mean = sum / #numbers, median = numbers[math.ceil(#numbers / 2)], count = #numbers }
    end]],
})
local found = tool.execute("statistics", { numbers = { 5, 1, 4, 1, 9 } })
print(("mean %.1f, median %d of %d"):format(found.mean, found.median, found.count))

-- What somebody might try. None of it stops the program, or sees anything of it.
local attempts = {
  { "a loop", "while true do pcall(error) end" },
  { "a slow pattern", 'return ("a"):rep(40):find(("a?"):rep(40) .. ("a"):rep(40))' },
  { "all the memory", "local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end" },
  { "recursion", "local function f() return 1 + f() end return f()" },
  { "a file", "return io.open('/etc/passwd')" },
  { "a program", "return os.execute('ls')" },
  { "a large answer", "return ('x'):rep(2e6)" },
  { "a secret thing", "return { connect = coroutine.create(function() end) }" },
}
for _, attempt in ipairs(attempts) do
  local name, body = attempt[1], attempt[2]
  local id = tool.register({
    name = "attempt",
    source = "return function() " .. body .. " end",
    timeout_ms = 200,
    memory_limit = 8 * 1024 * 1024,
    replace = true,
  })
  local _, err = pcall(tool.execute, id)
  print(("%-15s %s"):format(name, err.details and err.details.reason or err.code), err.message)
end

-- Three at once: each has a thread of its own, and this loop goes on.
local slow = tool.register({
  name = "slow",
  source = "return function(input) local n = 0 for i = 1, 3e5 do n = n + i % 7 end return n end",
})
local handles = {}
for i = 1, 3 do
  handles[i] = tool.execute(slow, {}, { async = true })
end
print(table.concat(zigllms.all(handles), " "))

-- A text that is no Lua is refused at once, and the message says where.
print(
  select(
    2,
    pcall(tool.register, { name = "typo", source = "return function(input)\n  retrun 1\nend" })
  )
)
