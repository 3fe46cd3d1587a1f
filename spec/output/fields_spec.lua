-- Option `fields` of `output.parse`: single values of a document.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local parse, null = zigllms.output.parse, zigllms.null

local REPLY = '{"id":"x","choices":[{"index":0,"message":{"role":"assistant",'
  .. '"content":"Hi \\u00e4 \\"you\\"",'
  .. '"tool_calls":[]},"logprobs":null}],"usage":{"total":12.5,"by kind":{"a.b":[1,[2,3]]}}}'

local function read(fields, text)
  return (parse(text or REPLY, { fields = fields }))
end

describe("fields of output.parse", function()
  it("come under their paths, or under the names given", function()
    local path = "choices[1].message.content"
    assert.are.same({ [path] = 'Hi ä "you"' }, read({ path }))
    assert.are.same(
      { content = 'Hi ä "you"', total = 12.5 },
      read({ content = path, total = "usage.total" })
    )
  end)

  it("may be of any kind, also quoted names and whole tables", function()
    local value = read({
      all = "usage",
      deep = 'usage["by kind"]["a.b"][2]',
      last = 'usage["by kind"]["a.b"][2][2]',
      nothing = "choices[1].logprobs",
      none = "choices[1].message.tool_calls",
    })
    assert.are.same({ total = 12.5, ["by kind"] = { ["a.b"] = { 1, { 2, 3 } } } }, value.all)
    assert.are.same({ 2, 3 }, value.deep)
    assert.are.equal(3, value.last)
    assert.are.equal(null, value.nothing)
    assert.are.equal("[]", zigllms.output.format(value.none))
  end)

  it("are absent where the document has none", function()
    assert.are.same({}, read({ "choices[2].message", "choices.message", "id.x", "nope", "id[1]" }))
    assert.are.same({}, read({}))
    assert.are.same({ ["[2]"] = 20 }, read({ "[2]", "[3]" }, "[10,20]"))
    assert.are.same({}, read({ "a" }, "12"))
  end)

  it("take the last of a repeated name", function()
    assert.are.same({ ["a.b"] = 3 }, read({ "a.b" }, '{"a":{"b":1},"a":{"b":2,"b":3}}'))
    assert.are.same({}, read({ "a.b" }, '{"a":{"b":1},"a":{"c":2}}'))
  end)

  it("come with what was read", function()
    local _, info = parse(REPLY, { fields = { "id" } })
    assert.are.equal("json", info.format)
    assert.is_false(info.recovered)
    assert.are.equal(#REPLY, info.stop)
  end)

  it("need a valid document all the same, or a repaired one", function()
    for _, bad in ipairs({
      '{"id":"x","y":01}',
      '{"id":"x"} x',
      '{"id":"x","y":"\255"}',
      '{"id":"x"',
    }) do
      raised(
        "parse_failed",
        parse,
        bad,
        { fields = { "id" }, format = "json", recovery = "strict" }
      )
    end
    local value, info =
      parse("Sure:\n```json\n{'id': 'x', y: [1,2,]}\n```", { fields = { "id", "y[2]" } })
    assert.are.same({ id = "x", ["y[2]"] = 2 }, value)
    assert.is_true(info.recovered)
  end)

  it("may be taken out of other formats", function()
    local options = { format = "yaml", fields = { second = "list[2]" } }
    assert.are.same({ second = "b" }, (parse("list:\n- a\n- b\n", options)))
  end)

  it("are read as JSON if no format is said, and with a schema after it", function()
    local ok, err = pcall(parse, "a: 1", { fields = { "a" } })
    assert.is_false(ok)
    assert.equal("parse_failed", err.code)
    local options = { schema = { a = "integer" }, fields = { n = "a" } }
    assert.same({ n = 5 }, (parse('{"a": "5", "b": 1}', options)))
  end)

  it("are paths, or the error says which is not", function()
    local err = raised("invalid_argument", read, { "id", "a..b" })
    assert.truthy(
      err.message:find(
        'fields[2]: expected a path as choices[1].message.content, got "a..b"',
        1,
        true
      )
    )
    err = raised("invalid_argument", read, { name = "a[0]" })
    assert.truthy(err.message:find("fields.name: expected a path", 1, true))
    raised("invalid_argument", read, { name = 1 })
    raised("invalid_argument", read, "id")
    raised("invalid_argument", read, { 1 })
    raised("invalid_argument", read, { ("a."):rep(200) .. "a" })
    assert.are.same({ id = "x" }, read({ "id" }), "an error is not remembered")
  end)
end)
