-- Reports of test.run_suite, read by programs that read such reports.
local cjson = require("cjson")
local program = require("spec.support.program")
local reports = require("spec.support.reports")
local zigllms = require("zigllms")

local test = zigllms.test

local ODD = 'odd\n#1 "q" <&> ]]> \1\127 é \\ # SKIP it\ttab'

local function suite(reporter)
  return test.run_suite({
    name = 'all <"kinds"> & more',
    reporter = reporter,
    scenarios = {
      {
        name = "two steps",
        steps = {
          { name = "one", run = function() end },
          {
            name = ODD,
            run = function()
              return { list = { 1, "x\n]]>\0" } }
            end,
            expect = { list = { 1, "y" } },
          },
        },
      },
    },
    tests = {
      { name = "fine", fn = function() end },
      {
        name = ODD,
        fn = function()
          error(ODD .. "\255\239\191\191", 0)
        end,
      },
      {
        name = "skipped",
        fn = function()
          test.skip("no <net>\n# here")
        end,
      },
      {
        name = "todo",
        fn = function()
          test.skip()
        end,
      },
      {
        name = "slow",
        fn = function()
          zigllms.sleep(5)
        end,
      },
    },
  })
end

local function skips(which)
  local missing = reports.missing(which)
  if missing then
    print(("\nSKIP reading reports with %s: %s"):format(which, missing))
  end
  return missing
end

describe("the report of a suite", function()
  after_each(function()
    zigllms.reset()
  end)

  it("as text is written unless another one is asked for", function()
    local report = suite().report
    for _, line in ipairs({
      'all <"kinds"> & more\n',
      "\n  - two steps (",
      "\n    + one (",
      "\n  + fine (",
      "\n  ~ skipped (skipped: no <net> # here)\n",
      "\n  ~ todo (skipped)\n",
      "\nFailure: two steps\n",
      '\n    at .list[2]: expected "y", got "x\\n]]>',
      "\n2 passed, 1 failed, 1 errors, 2 skipped in ",
    }) do
      assert.truthy(report:find(line, 1, true), line .. report)
    end
    assert.are.equal(2, select(2, report:gsub("odd #1", "")) - 2, report)
  end)

  it("as TAP is read by Perl's TAP::Parser", function()
    if skips("perl") then
      return
    end
    local read = reports.read("perl", suite("tap").report)
    assert.are.same({}, read.errors)
    assert.are.equal("1..6", read.plan)
    local ok = {}
    for i, point in ipairs(read.points) do
      assert.are.equal(i, tonumber(point.number))
      ok[i] = point.ok
    end
    assert.are.same({ false, true, false, true, true, true }, ok)
    assert.are.equal("- two steps", read.points[1].name)
    assert.is_true(read.points[4].skip)
    assert.is_false(read.points[3].skip)
    assert.truthy(read.points[3].name:find('odd \\#1 "q" <&> ]]>', 1, true))
    assert.are.equal("no <net> \\# here", read.points[4].reason)
  end)

  it("as TAP is read by tap.py", function()
    if skips("tap") then
      return
    end
    local read = reports.read("tap", suite("tap").report)
    assert.are.equal(6, read.plan)
    assert.are.equal(6, #read.points)
    assert.is_false(read.points[3].ok)
    assert.is_false(read.points[3].skip)
    assert.are.equal("callback_error", read.points[3].yaml.code)
    assert.truthy(read.points[3].yaml.message:find("]]> \1", 1, true))
    assert.is_true(read.points[4].skip)
    assert.are.equal(".list[2]", read.points[1].yaml.at)
  end)

  it("as JUnit's XML is read by junitparser", function()
    if skips("junit") then
      return
    end
    local read = reports.read("junit", suite("junit").report)
    assert.are.equal(1, #read)
    local one = read[1]
    assert.are.equal('all <"kinds"> & more', one.name)
    assert.are.same({ 6, 1, 1, 2 }, { one.tests, one.failures, one.errors, one.skipped })
    assert.is_true(one.time > 0.004)
    local cases = one.cases
    assert.are.equal("failure", cases[1].results[1].kind)
    assert.are.equal("assertion_failed", cases[1].results[1].type)
    assert.truthy(cases[1].results[1].message:find("at .list[2]", 1, true))
    assert.truthy(cases[1].results[1].text:find("one: passed", 1, true))
    assert.are.same({}, cases[2].results)
    assert.are.equal("error", cases[3].results[1].kind)
    assert.truthy(cases[3].name:find('odd\n#1 "q" <&> ]]> \239\191\189', 1, true))
    assert.truthy(cases[3].name:find("é \\ # SKIP it\ttab", 1, true))
    assert.are.equal("skipped", cases[4].results[1].kind)
    assert.are.equal("no <net>\n# here", cases[4].results[1].message)
    assert.is_true(cases[6].time >= 0.004)
  end)

  it("as JSON has what the results have", function()
    local result = suite("json")
    local read = cjson.decode(result.report)
    assert.are.equal(result.name, read.name)
    assert.is_false(read.success)
    assert.are.same({ 6, 2, 2, 2 }, { read.total, read.passed, read.failed, read.skipped })
    for i, one in ipairs(result.results) do
      assert.are.equal(one.status, read.results[i].status)
      assert.are.equal(one.name, read.results[i].name)
      assert.are.equal(#one.steps, #read.results[i].steps)
    end
    assert.are.equal(".list[2]", read.results[1].steps[2].error.path)
    assert.are.equal("no <net>\n# here", read.results[4].reason)
  end)

  it("is written for a suite of nothing", function()
    for _, reporter in ipairs({ "text", "tap", "json", "JUnit" }) do
      local result = test.run_suite({ tests = {}, reporter = reporter })
      assert.is_true(result.success)
      assert.truthy(#result.report > 10)
    end
    assert.truthy(test.run_suite({ tests = {}, reporter = "tap" }).report:find("\n1..0\n", 1, true))
  end)

  it("ends a program of tests by its own exit code", function()
    local function ends_with(test_body)
      return program.run([[
        local zigllms = require("zigllms")
        local result = zigllms.test.run_suite{ reporter = "tap", tests = { one = function()
          ]] .. test_body .. [[
        end } }
        io.write(result.report)
        os.exit(result.success and 0 or 1)
      ]])
    end
    local good = ends_with("zigllms.sleep(1)")
    assert.are.same({ 0, "TAP version 13\n1..1\nok 1 - one\n" }, { good.rc, good.out })
    local bad = ends_with("zigllms.test.assert_equals({ a = 1 }, { a = 2 })")
    assert.are.equal(1, bad.rc)
    assert.truthy(bad.out:find('message: "at .a: expected 2, got 1"', 1, true), bad.out)
  end)

  it("an assertion that fails shows in busted, with its place and its line", function()
    if not program.has("busted") then
      return print("\nSKIP assertions in busted: no busted in the path")
    end
    local base = os.tmpname()
    local path = base .. "_spec.lua"
    local file = assert(io.open(path, "w"))
    file:write([[
      local test = require("zigllms").test
      it("fails", function()
        test.assert_equals({ steps = { { status = "failed" } } }, { steps = { { status = "ok" } } })
      end)
      it("holds", function() test.assert_contains({ a = 1, b = 2 }, { a = 1 }) end)
      it("runs a scenario", function()
        local id = test.create_scenario({ name = "s", steps = { { expect = 1, run = function()
          return 1
        end } } })
        assert.is_true(test.run_scenario(id).success)
      end)
    ]])
    file:close()
    local line = "%s $(command -v busted) -o plainTerminal %s"
    local busted = line:format(program.interpreter(), path)
    local result = program.shell(busted)
    os.remove(path)
    os.remove(base)
    assert.is_true(result.rc ~= 0)
    assert.truthy(result.out:find("2 successes / ", 1, true), result.out .. result.err)
    assert.truthy(result.out:find("_spec.lua:3: ", 1, true), result.out)
    assert.truthy(
      result.out:find('at .steps[1].status: expected "ok", got "failed"', 1, true),
      result.out
    )
  end)
end)
