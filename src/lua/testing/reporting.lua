-- What reporters are told of a suite.
local core = ...

local ipairs, next, rawget, type = ipairs, next, rawget, type

local function told_of(err)
  if err == nil then
    return nil
  end
  local text, code = core.describe(err)
  local details = core.is_error(err) and rawget(err, "details")
  local path = type(details) == "table" and details.path
  return { message = text, code = code, path = type(path) == "string" and path or nil }
end

-- What reporters are given: plain data.
local function summary_of(result)
  local copy = { name = result.name, status = result.status, reason = result.reason }
  copy.id, copy.duration_ms, copy.error = result.id, result.duration_ms, told_of(result.error)
  if result.steps then
    copy.steps = {}
    for i, step in ipairs(result.steps) do
      copy.steps[i] = summary_of(step)
    end
  end
  return copy
end

local function steps_of(workflows)
  local used, total = 0, 0
  for _, workflow in next, workflows do
    used, total = used + workflow.steps_executed, total + workflow.steps_total
  end
  return used, total
end

local function coverage_of(report)
  local steps, all_steps = steps_of(report.workflows)
  return {
    { what = "functions", used = report.functions.called, total = report.functions.total },
    { what = "tools", used = report.tools.executed, total = report.tools.registered },
    { what = "agents", used = report.agents.run, total = report.agents.created },
    { what = "steps", used = steps, total = all_steps },
  }
end

-- The text of a reporter.
function core.report_of_suite(result, reporter)
  local summary = { name = result.name, duration_ms = result.duration_ms, results = {} }
  for i, one in ipairs(result.results) do
    summary.results[i] = summary_of(one)
  end
  summary.coverage = result.coverage and coverage_of(result.coverage)
  return core.write_report(summary, reporter)
end

return core
