-- Answers as data: a JSON Schema goes in, a checked Lua table comes out. Needs python3, which plays
-- the model.
local zigllms = require("zigllms")
local pretend, server = dofile((arg[0]:match("^.*/") or "") .. "pretend/model.lua")
local model = zigllms.provider.create(pretend)

-- The short form: names and types.
local plan = zigllms.provider.chat("Plan a day in Oslo", {
  provider = model,
  schema = { morning = "string", hours = "integer" },
})
print(plan.parsed.morning, plan.parsed.hours)

-- Any JSON Schema. `parsed` is the value, `content` the text it was read from.
local book = zigllms.provider.chat("Describe a book", {
  provider = model,
  schema = {
    type = "object",
    properties = {
      title = { type = "string" },
      genre = { enum = { "novel", "poetry", "essay" } },
      chapters = { type = "array", items = { type = "string" }, minItems = 3 },
    },
    required = { "title", "genre", "chapters" },
  },
})
print(book.parsed.title, book.parsed.genre, #book.parsed.chapters)
print(book.content)

-- The same data into a tool, whose input is checked against its own schema.
zigllms.tool.register({
  name = "shelve",
  parameters = {
    type = "object",
    properties = { title = { type = "string" }, shelf = { type = "integer", default = 7 } },
    required = { "title" },
  },
  execute = function(input)
    return ("%q goes to shelf %d"):format(input.title, input.shelf)
  end,
})
print(zigllms.tool.execute("shelve", book.parsed))
server:close()
