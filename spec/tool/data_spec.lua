-- The built-in tools data_processor and system_info.
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local function process(input)
  return zigllms.tool.execute("data_processor", input)
end

local function refuses(input, part)
  local err = raised("tool_error", process, input)
  assert.truthy(err.message:find(part, 1, true), err.message)
end

local CSV = 'name,team,age\n"Doe, J",a,42\nAda,b,36\nBob,a,\n'

describe("data_processor", function()
  before_each(function()
    zigllms.reset()
  end)

  it("reads each format into values", function()
    assert.same({ a = { 1, 2 } }, process({ data = '{"a":[1,2]}' }))
    assert.same({ a = { 1, 2 } }, process({ data = "a: [1, 2]", format = "yaml" }))
    local rows = process({ data = CSV, format = "csv" })
    assert.equal(3, #rows)
    assert.same({ name = "Doe, J", team = "a", age = 42 }, rows[1])
    assert.equal("", rows[3].age)
    assert.equal("x,y", process({ data = "a;b\nx,y;1", format = "csv", delimiter = ";" })[1].a)
    assert.same({ 1, 2 }, process({ data = { 1, 2 } }))
    assert.equal("text", process({ data = '"text"' }))
    assert.is_nil(process({ data = "null" }))
  end)

  it("converts between them", function()
    local json = process({ data = CSV, format = "csv", to = "json", limit = 1 })
    assert.equal('[{"name":"Doe, J","team":"a","age":42}]', json)
    local csv = process({ data = json, to = "csv" })
    assert.equal('name,team,age\n"Doe, J",a,42\n', csv)
    assert.same(process({ data = json }), process({ data = csv, format = "csv" }))
    local yaml = process({ data = json, to = "yaml" })
    assert.same(process({ data = json }), process({ data = yaml, format = "yaml" }))
  end)

  it("goes to a part by its path", function()
    local data = { items = { { tags = { "x", "y" } } } }
    assert.equal("y", process({ data = data, path = "items[1].tags[2]" }))
    refuses({ data = data, path = "items[2]" }, "nothing at items[2]")
    refuses({ data = data, path = "items[" }, "path:")
  end)

  it("keeps, orders, cuts and narrows rows", function()
    local rows = {
      { n = 3, s = "c", t = { "x" } },
      { n = 1, s = "a" },
      { n = 2, s = "b", t = { "x", "y" } },
      { s = "d" },
    }
    local function texts(input)
      input.data = rows
      local all = {}
      for i, row in ipairs(process(input)) do
        all[i] = row.s
      end
      return table.concat(all)
    end
    assert.equal("cb", texts({ where = { { field = "n", op = ">", value = 1 } } }))
    assert.equal("a", texts({ where = { { field = "n", op = "<=", value = 1 } } }))
    assert.equal("b", texts({ where = { { field = "s", value = "b" } } }))
    assert.equal("cad", texts({ where = { { field = "n", op = "!=", value = 2 } } }))
    assert.equal("cab", texts({ where = { { field = "n", op = "exists" } } }))
    assert.equal("b", texts({ where = { { field = "t", op = "contains", value = "y" } } }))
    assert.equal(
      "b",
      texts({
        where = { { field = "n", op = ">", value = 1 }, { field = "n", op = "<", value = 3 } },
      })
    )
    assert.equal("", texts({ where = { { field = "n", op = ">", value = "1" } } }))
    assert.equal("abcd", texts({ sort_by = "n" }))
    assert.equal("cbad", texts({ sort_by = "n", descending = true }))
    assert.equal("bc", texts({ sort_by = "n", offset = 1, limit = 2 }))
    assert.same({ { n = 3 }, { n = 1 } }, process({ data = rows, select = { "n" }, limit = 2 }))
  end)

  it("computes one value of rows", function()
    local function of(name, field)
      return process({ data = CSV, format = "csv", aggregate = name, field = field })
    end
    assert.equal(3, of("count"))
    assert.equal(42, of("max", "name") == "Doe, J" and 42)
    assert.equal("Ada", of("min", "name"))
    refuses({ data = CSV, format = "csv", aggregate = "sum", field = "age" }, "no number")
    local aged = {
      data = CSV,
      format = "csv",
      where = { { field = "age", op = ">", value = 0 } },
      field = "age",
    }
    for name, expected in pairs({ sum = 78, avg = 39, min = 36, max = 42, count = 2 }) do
      aged.aggregate = name
      assert.equal(expected, process(aged))
    end
    assert.equal(0.5, process({ data = { 0, 1 }, aggregate = "avg" }))
    assert.equal(0, process({ data = "[]", aggregate = "sum" }))
    refuses({ data = "[]", aggregate = "avg" }, "nothing to average")
  end)

  it("says what is wrong", function()
    refuses({ data = "{" }, "data is no json")
    refuses({ data = "a: [", format = "yaml" }, "data is no yaml")
    refuses({ data = 'a\n"x', format = "csv" }, "line 2: a quote is not closed")
    refuses({ data = { a = 1 }, sort_by = "x" }, "expected an array of rows")
    refuses({ data = { a = 1 }, to = "csv" }, "array of rows")
    refuses({ data = { 1 }, where = { { field = "a..b" } } }, "where:")
    refuses({ data = ("x"):rep(10485761) }, "larger than")
    raised("validation_failed", process, {})
    raised("validation_failed", process, { data = "[]", format = "xml" })
    raised("validation_failed", process, { data = "[]", where = { { op = "=" } } })
    raised("validation_failed", process, { data = "[]", aggregate = "eval" })
  end)

  it("gives way to a tool of its name", function()
    local id = zigllms.tool.register({
      name = "data_processor",
      execute = function(input)
        return zigllms.output.parse(input.data, zigllms.output.Format.JSON)
      end,
    })
    assert.same({ a = 1 }, zigllms.tool.execute(id, { data = '{"a": 1}' }))
    assert.equal("script", zigllms.tool.get_info("data_processor").type)
  end)
end)

describe("system_info", function()
  it("tells about the machine and the time", function()
    local info = zigllms.tool.execute("system_info")
    assert.truthy(zigllms.info().platform:find(info.os, 1, true))
    assert.truthy(zigllms.info().platform:find(info.arch, 1, true))
    assert.is_true(info.cpus >= 1)
    assert.is_true(math.abs(info.time.unix - os.time()) < 60)
    assert.equal(os.date("!%Y-%m-%d", math.floor(info.time.unix)), info.time.utc:sub(1, 10))
    assert.truthy(info.time.utc:match("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
    if info.os == "linux" then
      assert.is_true(info.memory.total_bytes > info.memory.available_bytes)
    end
  end)
end)
