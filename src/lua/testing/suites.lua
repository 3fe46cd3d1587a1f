-- Suites: scenarios and tests that run one after the other, and the report of how they went.
local core = ...

local now, within = core.now, core.within
local find, lower = string.find, string.lower
local ipairs, next, rawget, type = ipairs, next, rawget, type
local sort = table.sort

local given = core.given
local HOOKS = { "before_all", "after_all", "before_each", "after_each" }

local function refuse(text)
  core.raise("invalid_argument", text, "test.run_suite")
end

-- Reading -------------------------------------------------------------------------------------

-- An array of scenarios stands for a suite of them; nothing for one of all. Answers also how
-- messages call the scenarios.
local function definition_of(definition)
  definition = given(definition)
  if definition ~= nil and rawget(definition, 1) ~= nil then
    return { scenarios = definition }, "definition"
  end
  return definition or {}, "definition.scenarios"
end

local function add_scenarios(list, scenarios, place)
  for i, item in ipairs(scenarios) do
    if type(item) == "string" then
      list[#list + 1] = core.find_scenario(item, "test.run_suite")
    else
      local scenario = core.read_scenario(item, place .. "[" .. i .. "]", "test.run_suite")
      scenario.name = scenario.name or "scenario " .. i
      core.name_single(scenario)
      list[#list + 1] = scenario
    end
  end
end

local function add_test(list, name, test, path)
  if core.is_callable(test) then
    list[#list + 1] = core.single(name, test)
    return
  end
  name = name or given(rawget(test, "name"))
  local fn = given(rawget(test, "fn"))
  if not name then
    refuse(path .. ".name: expected a non-empty string, got nil")
  elseif not fn then
    refuse(path .. ".fn: expected a function, got nil")
  end
  local single = core.single(name, fn, nil)
  single.timeout_ms = given(rawget(test, "timeout_ms"))
  for i, tag in ipairs(given(rawget(test, "tags")) or {}) do
    single.tags[i] = tag
  end
  list[#list + 1] = single
end

local function add_named(list, tests)
  local names = {}
  for name in next, tests do
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    add_test(list, name, tests[name], 'definition.tests["' .. name .. '"]')
  end
end

-- An array, or tests by their names: nothing is left out without a word.
local function check_keys(tests)
  local wanted = rawget(tests, 1) == nil and "string" or "number"
  for key in next, tests do
    if type(key) ~= wanted then
      local text = "definition.tests: expected an array without holes, or names as keys, got %s"
      refuse(text:format(core.shown_value(tests)))
    end
  end
  return wanted == "number"
end

local function add_tests(list, tests)
  if not check_keys(tests) then
    return add_named(list, tests)
  end
  for i, test in ipairs(tests) do
    add_test(list, nil, test, "definition.tests[" .. i .. "]")
  end
end

local function all_of(definition, place)
  local scenarios, tests =
    given(rawget(definition, "scenarios")), given(rawget(definition, "tests"))
  local list = {}
  if not scenarios and not tests then
    scenarios = {}
    for i, scenario in ipairs(core.scenarios.order) do
      list[i] = scenario
    end
  end
  add_scenarios(list, scenarios or {}, place)
  add_tests(list, tests or {})
  return list
end

local function has_one(tags, wanted)
  for _, tag in ipairs(tags) do
    if wanted[tag] then
      return true
    end
  end
  return false
end

local function set_of(tags)
  local set = {}
  for _, tag in ipairs(type(tags) == "string" and { tags } or tags) do
    set[tag] = true
  end
  return set
end

-- Those that were asked for.
local function chosen(list, definition)
  local filter, tags = given(rawget(definition, "filter")), given(rawget(definition, "tags"))
  local wanted, kept = tags and set_of(tags), {}
  for _, scenario in ipairs(list) do
    local named = not filter or find(scenario.name, filter, 1, true)
    if named and (not wanted or has_one(scenario.tags, wanted)) then
      kept[#kept + 1] = scenario
    end
  end
  return kept
end

local function read_suite(definition, place)
  local suite = { hooks = {}, shared = {}, uses = {} }
  for _, key in ipairs(HOOKS) do
    suite.hooks[key] = given(rawget(definition, key))
  end
  suite.name = given(rawget(definition, "name")) or "suite"
  suite.bail = given(rawget(definition, "bail"))
  suite.counts = given(rawget(definition, "coverage"))
  suite.reporter = lower(given(rawget(definition, "reporter")) or "text")
  suite.timeout_ms = given(rawget(definition, "timeout_ms"))
  suite.list = chosen(all_of(definition, place), definition)
  suite.ctx = { name = suite.name }
  return suite
end

-- Running -------------------------------------------------------------------------------------

local function note(suite, result)
  local total = suite.result
  total.total = total.total + 1
  local count = result.status == "error" and "failed" or result.status
  total[count] = total[count] + 1
  total.results[#total.results + 1] = result
  if count == "failed" then
    total.error = total.error or result.error
    suite.obstacle = suite.obstacle or (suite.bail and result.name .. " failed") or nil
  end
end

-- A hook of the suite that failed is a result of its own.
local function note_hook(suite, name, err, ms)
  note(suite, {
    name = name,
    status = "error",
    success = false,
    error = core.wrap(err, name),
    total = 0,
    passed = 0,
    failed = 0,
    skipped = 0,
    steps = {},
    duration_ms = ms,
  })
end

local function skipped(scenario, reason)
  local result = { id = scenario.id, name = scenario.name, status = "skipped", success = true }
  result.reason, result.duration_ms = reason, 0
  result.total, result.passed, result.failed = #scenario.steps, 0, 0
  result.skipped, result.steps = #scenario.steps, {}
  for i, step in ipairs(scenario.steps) do
    result.steps[i] = core.skipped_step(step, reason)
  end
  return result
end

local function run_before(suite)
  local fn, began = suite.hooks.before_all, now()
  if not fn then
    return
  end
  local ok, err = within(core.nested(suite.context), fn, suite.ctx)
  local limit = core.reached(suite.context, suite.root.parent)
  local skip = not ok and core.skip_in(err)
  if limit then
    note_hook(suite, "before_all", core.limit_error(limit, not ok and err or nil), now() - began)
  elseif skip then
    suite.obstacle = skip.reason or "skipped"
  elseif not ok then
    note_hook(suite, "before_all", err, now() - began)
    suite.obstacle = "before_all failed"
  end
end

-- Why the next scenario is not run.
local function obstacle(suite)
  if core.stopped(suite.root) or core.overdue(suite.root) then
    return "the run was stopped"
  end
  local limit = core.reached(suite.context, suite.root.parent)
  return limit and limit.what .. " ran into its time limit" or suite.obstacle
end

local function run_each(suite)
  for _, scenario in ipairs(suite.list) do
    local reason = obstacle(suite)
    if reason then
      note(suite, skipped(scenario, reason))
    else
      note(suite, core.run_in(suite.context, suite.root, scenario, suite))
    end
  end
end

local function finally(suite, name, fn, ...)
  local began = now()
  local ok, err, limit = core.at_the_end(suite.root, suite.timeout_ms, name, fn, ...)
  if not ok and (limit or not core.skip_in(err)) then
    note_hook(suite, name, err, now() - began)
  end
end

local function run_after(suite)
  if suite.hooks.after_all then
    finally(suite, "after_all", suite.hooks.after_all, suite.ctx)
  end
  core.end_uses(suite.uses, function(fn, fixture, use)
    finally(suite, 'teardown of the fixture "' .. fixture.name .. '"', fn, fixture, use)
  end)
end

local function perform(suite)
  local began = now()
  suite.context = core.limit(suite.root, suite.timeout_ms, "the suite")
  run_before(suite)
  run_each(suite)
  core.close(suite.context, core.reached(suite.context, suite.root.parent))
  run_after(suite)
  local result = suite.result
  result.success = result.failed == 0
  result.duration_ms = now() - began
  return result
end

-- What it uses is counted apart; `owed` ends the count should the run be dropped in the middle.
local function perform_counted(suite)
  local count, owed = core.count_apart(), suite.root.owed
  if owed then
    owed[suite] = { { restore = count } }
  end
  local result = perform(suite)
  if owed then
    owed[suite] = nil
  end
  result.coverage = count()
  return result
end

local function run_suite(root, suite)
  root.tests = true
  suite.root = root
  suite.result = { name = suite.name, total = 0, passed = 0, failed = 0, skipped = 0, results = {} }
  local result = (suite.counts and perform_counted or perform)(suite)
  result.report = core.report_of_suite(result, suite.reporter)
  core.check_run(root, "the suite", result)
  return result
end

function core.lua.run_suite(_, definition)
  local suite = read_suite(definition_of(definition))
  local _, async = core.run_options(definition)
  return core.in_face("test.run_suite", async, run_suite, suite)
end

core.waiting.run_suite = true

-- The declaration judges a sketch of the scenarios, as that of create_scenario does.
local function sketch_of(definition)
  if type(definition) ~= "table" then
    return definition
  end
  local sketch = core.sketch(definition, {})
  local list = rawget(definition, 1) ~= nil and sketch or sketch.scenarios
  local sketches = {}
  for i, item in next, type(list) == "table" and list or {} do
    sketches[i] = core.is_callable(item) and item or core.sketch_of_scenario(item)
  end
  if list == sketch then
    return sketches
  elseif sketch.scenarios then
    sketch.scenarios = type(list) == "table" and sketches or list
  end
  return sketch
end

core.wraps["test.run_suite"] = function(checked)
  return function(definition)
    return checked(sketch_of(definition), definition)
  end
end

return core
