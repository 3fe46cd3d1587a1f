-- Reading what models write: JSON in a fence, YAML between sentences, tags and Markdown.
local output = require("zigllms").output

-- A document somewhere in the text, with the errors that models make. What was repaired is told.
local answer =
  "Sure! Here is the order:\n```json\n{item: 'pen', \"count\": 3,}\n```\nAnything else?"
local order, info = output.parse(answer)
print(order.item, order.count, table.concat(info.fixes, " "))

-- The same for YAML and XML; without a format it is found out.
local config =
  output.parse("Here you are:\n\n```yaml\ntitle: Oslo: a day\nstops: [fjord, opera]\n```")
print(config.title, #config.stops)
local plan = output.parse("<plan><step n=1>Fish & chips</step><step n=2>Pay</plan>", "xml").plan
print(plan.step[1]["#text"], plan.step[2]["@n"])

-- A text that has no document in it is an error that says where to look.
local ok, err = pcall(output.parse, '{"a": 1,\n "b" 2}', { recovery = "strict" })
print(ok, err.details.line, err.details.column)

-- Code, tables and sections of Markdown.
local parts = output.extract_markdown([[
# Answer

| city | days |
|------|------|
| Oslo | 2    |

```lua
print("hei")
```
]])
print(parts.sections[1].heading, parts.tables[1].rows[1].city, parts.code_blocks[1].content)

-- Tool calls that a local model printed. Providers of type "local" read them by themselves.
local said = 'Let me look. <tool_call>{"name": "weather", "arguments": {city: "Oslo"}}</tool_call>'
local calls, rest = output.extract_tool_calls(said, { tools = { "weather" } })
print(calls[1].name, calls[1].arguments.city, rest)

-- What is this?
print((output.detect_format("name: x\nport: 80\n")))
print((output.detect_format("Note: this is only a sentence.")))

-- And the other way round.
io.write(output.format({ city = "Oslo", stops = { "fjord", "opera" } }, output.Format.YAML))
io.write(output.format({ { city = "Oslo", days = 2 }, { city = "Bergen", days = 1 } }, "markdown"))
