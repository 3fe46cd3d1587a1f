-- One run of a scenario.
--
-- Mocks → fixtures → before_each → setup → steps → teardown → after_each → fixtures → mocks. What
-- comes after the steps runs whatever has happened, in a context that nothing around it stops.
local core = ...

local close, limited_to, now = core.close, core.limit, core.now
local reached, stopped, within = core.reached, core.stopped, core.within
local skip_in, is_assertion = core.skip_in, core.is_assertion
local error, given, ipairs = error, core.given, ipairs
local rawget, rawset, type = rawget, rawset, type

-- Limits ----------------------------------------------------------------------------------------

-- Whether what is around the run was stopped or is over: then the call itself fails.
local function is_broken(run)
  return stopped(run.root) or core.overdue(run.root)
end

local function is_over(run)
  return run.limit ~= nil or is_broken(run)
end

-- Calls `fn` in a context of its own. Answers ok, the value or what was raised, and the limit that
-- was reached.
local function attempt(run, ms, what, fn, ...)
  local context = limited_to(run.context, ms, what)
  local function back(ok, value)
    local limit = reached(context, run.beyond)
    if limit and limit ~= context.limit then
      run.limit = run.limit or limit
    end
    close(context, limit)
    if limit and not stopped(run.root) then
      return false, core.limit_error(limit, not ok and value or nil), limit
    end
    return ok, value
  end
  return back(within(context, fn, ...))
end

-- Steps ---------------------------------------------------------------------------------------

local function set(result, status, err)
  result.status, result.error = status, err
  return result
end

local function failed(result, verdict)
  return set(result, "failed", core.assertion("run_scenario", verdict))
end

-- `actual` is the output, or what was raised where that was wanted.
local function judge_actual(result, step, actual)
  local verdict
  result.assertions, verdict = core.judge_expectations(step.expected, actual)
  return verdict and failed(result, verdict) or set(result, "passed")
end

-- The step raised nothing, and has an output.
local function judge_output(result, step, value)
  result.actual_output = value
  if step.fails then
    local text = "expected an error, got " .. core.shown_value(value)
    return failed(result, { path = "", actual = value, message = text })
  end
  return judge_actual(result, step, value)
end

local function judge(run, result, step, ok, value, limit)
  local skip = not ok and skip_in(value)
  if skip then
    result.reason = skip.reason
    return set(result, "skipped")
  elseif ok then
    return judge_output(result, step, value)
  elseif step.fails and not is_over(run) then
    return judge_actual(result, step, value)
  end
  local status = (limit or is_assertion(value)) and "failed" or "error"
  return set(result, status, core.wrap(value, 'step "' .. step.name .. '"'))
end

-- The result of a step that is not carried out.
function core.skipped_step(step, reason)
  return {
    name = step.name,
    status = "skipped",
    success = true,
    reason = reason,
    assertions = {},
    duration_ms = 0,
  }
end

local function run_step(run, step)
  local began = now()
  local what = run.scenario.single and "the test" or 'step "' .. step.name .. '"'
  local result = { name = step.name, assertions = {} }
  local ok, value, limit = attempt(run, step.timeout_ms, what, step.run, run.ctx)
  -- Values that are compared may have functions of their own that raise.
  local judged, err = core.guarded(judge, run, result, step, ok, value, limit)
  if not judged then
    set(result, "error", core.wrap(err, "a comparison"))
  end
  result.duration_ms = now() - began
  return result
end

-- Why the next step is not carried out.
local function obstacle(run)
  if is_broken(run) then
    return "the run was stopped"
  elseif run.limit then
    return run.limit.what .. " ran into its time limit"
  end
  return run.obstacle
end

local COUNTS = { passed = "passed", failed = "failed", error = "failed", skipped = "skipped" }

local function note(run, step)
  local result = run.result
  step.success = step.status == "passed" or step.status == "skipped"
  result.steps[#result.steps + 1] = step
  -- What functions have made of their table is none of ours.
  rawset(run.told, #result.steps, step)
  rawset(run.told, step.name, step)
  local count = COUNTS[step.status]
  result[count] = result[count] + 1
  if not step.success then
    run.worst = (run.worst == "error" or step.status == "error") and "error" or "failed"
    result.error = result.error or step.error
  end
end

local function run_steps(run)
  for _, step in ipairs(run.scenario.steps) do
    local reason = obstacle(run)
    local result = reason and core.skipped_step(step, reason) or run_step(run, step)
    note(run, result)
    if not result.success and run.scenario.stops ~= false then
      run.obstacle = run.obstacle or ('step "' .. step.name .. '" failed')
    end
  end
end

-- What is around the steps --------------------------------------------------------------------

local function blame(run, what, err, limit)
  run.worst = limit and (run.worst or "failed") or "error"
  run.result.error = run.result.error or core.wrap(err, what)
end

-- Something before the steps: if it raises, there are no steps.
local function prepare(run, what, fn, ...)
  if obstacle(run) then
    return
  end
  local ok, err, limit = attempt(run, nil, what, fn, ...)
  local skip = not ok and skip_in(err)
  if skip then
    run.skipped, run.obstacle = skip, skip.reason or "skipped"
  elseif not ok then
    run.obstacle = what .. " failed"
    blame(run, what, err, limit)
  end
end

local function make_mocks(run)
  for _, mock in ipairs(run.scenario.mocks) do
    local made = core.make_mock(mock.definition, mock.place)
    run.mocks[#run.mocks + 1] = made
    run.ctx.mocks[mock.name] = made
  end
end

local function make_fixtures(run)
  for _, key in ipairs(run.scenario.fixtures) do
    local name, data = core.use_fixture(key, run.uses, run.suite)
    run.ctx.fixtures[name] = data
  end
end

-- Something after the steps, whatever has happened. A skip there has nothing left to skip.
local function finally(run, what, fn, ...)
  local ok, err, limit = core.at_the_end(run.beyond_steps, run.timeout_ms, what, fn, ...)
  if not ok and (limit or not skip_in(err)) then
    blame(run, what, err)
  end
end

-- Until they are restored, `owed` has them, should the run be dropped in the middle.
local function owe_mocks(run, mocks)
  if run.root.owed then
    run.root.owed[run] = mocks
  end
end

local function restore_mocks(run)
  for i = #run.mocks, 1, -1 do
    finally(run, "restoring a mock", run.mocks[i].restore, run.mocks[i])
  end
  owe_mocks(run, nil)
end

local function clean_up(run)
  local hooks = run.suite and run.suite.hooks or {}
  if run.scenario.teardown then
    finally(run, "teardown", run.scenario.teardown, run.ctx)
  end
  if hooks.after_each then
    finally(run, "after_each", hooks.after_each, run.ctx)
  end
  core.end_uses(run.uses, function(fn, fixture, use)
    finally(run, 'teardown of the fixture "' .. fixture.name .. '"', fn, fixture, use)
  end)
  restore_mocks(run)
end

local function perform(run)
  local scenario, hooks = run.scenario, run.suite and run.suite.hooks or {}
  owe_mocks(run, run.mocks)
  prepare(run, "making the mocks", make_mocks, run)
  prepare(run, "making the fixtures", make_fixtures, run)
  if hooks.before_each then
    prepare(run, "before_each", hooks.before_each, run.ctx)
  end
  if scenario.setup then
    prepare(run, "setup", scenario.setup, run.ctx)
  end
  run_steps(run)
  clean_up(run)
end

-- Results -------------------------------------------------------------------------------------

local function status_of(run)
  local result = run.result
  if run.worst then
    return run.worst
  elseif run.skipped or (result.total > 0 and result.skipped == result.total) then
    return "skipped"
  end
  return "passed"
end

local function finished(run, began)
  local result = run.result
  result.status = status_of(run)
  result.success = result.status == "passed" or result.status == "skipped"
  if result.status == "skipped" then
    local first = result.steps[1]
    result.reason = run.skipped and run.skipped.reason or (first and first.reason)
  end
  result.duration_ms = now() - began
  return result
end

local function context_table(scenario, suite)
  local about = { id = scenario.id, name = scenario.name, description = scenario.description }
  about.tags = core.copied(scenario.tags)
  return {
    scenario = about,
    suite = suite and suite.ctx,
    fixtures = {},
    mocks = {},
    results = {},
  }
end

-- Runs a scenario inside of `parent`; `root` is the context of the whole call.
function core.run_in(parent, root, scenario, suite, timeout_ms)
  local began = now()
  local run = { scenario = scenario, suite = suite, root = root, mocks = {}, uses = {} }
  run.result = { id = scenario.id, name = scenario.name, total = #scenario.steps, steps = {} }
  run.result.passed, run.result.failed, run.result.skipped = 0, 0, 0
  run.ctx = context_table(scenario, suite)
  run.told = run.ctx.results
  run.beyond_steps, run.beyond = parent, root.parent
  local what = scenario.single and "the test" or "the scenario"
  run.timeout_ms = timeout_ms or scenario.timeout_ms
  run.context = limited_to(parent, run.timeout_ms, what)
  perform(run)
  close(run.context)
  return finished(run, began)
end

-- Raises if the call itself was stopped or ran out of the time around it; `partial` is what it has
-- come to.
function core.check_run(root, what, partial)
  local halt = stopped(root)
  if halt then
    local text = what .. " was cancelled" .. (halt.reason and ": " .. halt.reason or "")
    local details = halt.reason and { reason = halt.reason } or nil
    error(core.new_error("cancelled", text, { details = details, partial = partial }), 0)
  elseif root.deadline and now() >= root.deadline then
    local text = "the time limit around " .. what .. " was reached"
    error(core.new_error("timeout", text, { phase = "total", partial = partial }), 0)
  end
end

local function run_scenario(root, scenario, timeout_ms)
  root.tests = true
  local result = core.run_in(root, root, scenario, nil, timeout_ms)
  core.check_run(root, "the scenario", result)
  return result
end

-- What a run and its face are given among the options.
function core.run_options(options)
  if type(options) == "table" then
    return given(rawget(options, "timeout_ms")), given(rawget(options, "async"))
  end
end

function core.lua.run_scenario(key, options)
  local scenario = core.find_scenario(key, "test.run_scenario")
  local timeout_ms, async = core.run_options(options)
  return core.in_face("test.run_scenario", async, run_scenario, scenario, timeout_ms)
end

core.waiting.run_scenario = true

return core
