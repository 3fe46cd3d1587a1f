-- Scenarios: their definitions read into records, and which there are.
local core = ...

local ipairs, next, type, rawget = ipairs, next, type, rawget
local concat, sort = table.concat, table.sort

local given = core.given
local ACTIONS = { "agent", "tool", "workflow", "provider" }
local ANSWERS = { returns = true, error = true }
local VALUES = { input = true, expect = true, expected_output = true }

local scenarios = { prefix = "scenario_", what = "scenario", last = 0, by_id = {}, order = {} }
core.scenarios = scenarios

local reader -- the function whose definition is being read

function core.refuse_scenario(text)
  core.raise("invalid_argument", text, reader)
end

local refuse = core.refuse_scenario

-- Sketches: what declarations can judge. Values that users compare may be anything.

function core.sketch(definition, values)
  local sketch = {}
  for key, value in next, definition do
    sketch[key] = values[key] and true or value
  end
  return sketch
end

local function sketch_of_steps(steps)
  local sketches = {}
  for i, step in next, steps do
    sketches[i] = type(step) == "table" and core.sketch(step, VALUES) or step
  end
  return sketches
end

local function sketch_of_mock(mock)
  local sketch = core.sketch(mock, ANSWERS)
  for _, key in ipairs({ "sequence", "methods", "responses" }) do
    sketch[key] = type(sketch[key]) == "table" and {} or sketch[key]
  end
  return sketch
end

local function sketch_of_mocks(mocks)
  local sketches = {}
  for key, mock in next, mocks do
    sketches[key] = type(mock) == "table" and sketch_of_mock(mock) or mock
  end
  return sketches
end

function core.sketch_of_scenario(definition)
  if type(definition) ~= "table" then
    return definition
  end
  local sketch = core.sketch(definition, {})
  if type(sketch.steps) == "table" then
    sketch.steps = sketch_of_steps(sketch.steps)
  end
  if type(sketch.mocks) == "table" then
    sketch.mocks = sketch_of_mocks(sketch.mocks)
  end
  return sketch
end

-- Steps ---------------------------------------------------------------------------------------

-- What each action calls: gets the id and the input.
local call = {}

function call.agent(id, input)
  return core.public["agent.run"].fn(id, input)
end

function call.tool(id, input)
  return core.public["tool.execute"].fn(id, input)
end

function call.provider(id, input)
  local messages = type(input) == "string" and { { role = "user", content = input } } or input
  return core.public["provider.chat"].fn(messages, { provider = id })
end

-- One that paused has no output yet.
function call.workflow(id, input)
  local result = core.public["workflow.execute"].fn(id, input)
  if rawget(result, "status") == "completed" then
    return result.output
  end
  return result
end

local function action(kind, id, input)
  local perform = call[kind]
  return function(ctx)
    if type(input) == "function" then
      return perform(id, input(ctx))
    end
    return perform(id, core.copied(input))
  end
end

-- What the step does: exactly one thing.
local function doing(step, path)
  local found, does = {}, given(rawget(step, "run"))
  found[1] = does and "run"
  for _, kind in ipairs(ACTIONS) do
    local id = given(rawget(step, kind))
    if id then
      found[#found + 1] = kind
      does = action(kind, id, given(rawget(step, "input")))
    end
  end
  if #found ~= 1 then
    local wanted = ": expected one of run, agent, tool, workflow, provider, got "
    refuse(path .. wanted .. (#found == 0 and "none" or concat(found, " and ")))
  elseif found[1] == "run" and given(rawget(step, "input")) ~= nil then
    refuse(path .. ".input: expected nothing beside run, which gets ctx")
  end
  return does
end

local function read_step(step, i, path)
  if type(step) ~= "table" or core.is_callable(step) then
    return { name = "step " .. i, run = step, expected = {} }
  end
  local expected = core.read_expected(step, path)
  return {
    name = given(rawget(step, "name")) or "step " .. i,
    run = doing(step, path),
    expected = expected,
    fails = given(rawget(step, "should_fail")) or core.wants_error(expected),
    timeout_ms = given(rawget(step, "timeout_ms")),
  }
end

local function read_steps(definition, path)
  local steps = given(rawget(definition, "steps"))
  if steps == nil then
    refuse(path .. ".steps: expected an array of steps, got nil")
  end
  local read = {}
  for i, step in ipairs(steps) do
    read[i] = read_step(step, i, path .. ".steps[" .. i .. "]")
  end
  return read
end

-- Mocks ---------------------------------------------------------------------------------------

local function comes_before(a, b)
  if type(a.key) ~= type(b.key) then
    return type(a.key) == "number"
  end
  return a.key < b.key
end

-- Each with its name and place: an array in order, then a map in the order of its names.
local function read_mocks(mocks, path)
  local read = {}
  for key, mock in next, mocks or {} do
    local name = type(key) == "string" and key or given(rawget(mock, "name"))
    local place = ("%s.mocks[%s]"):format(path, type(key) == "string" and '"' .. key .. '"' or key)
    if type(name) ~= "string" or name == "" then
      refuse(place .. ".name: expected a non-empty string, got " .. core.shown_value(name))
    end
    read[#read + 1] = { key = key, name = name, definition = mock, place = place }
  end
  sort(read, comes_before)
  return read
end

-- Scenarios -----------------------------------------------------------------------------------

local function copy_of_list(list)
  local copy = {}
  for i, item in ipairs(list or {}) do
    copy[i] = item
  end
  return copy
end

-- A scenario of one step.
function core.single(name, fn, timeout_ms)
  local scenario = { name = name, mocks = {}, fixtures = {}, tags = {}, single = true }
  scenario.steps = { { name = name, run = fn, expected = {}, timeout_ms = timeout_ms } }
  return scenario
end

-- Its step is called as it is.
function core.name_single(scenario)
  if scenario.single then
    scenario.steps[1].name = scenario.name
  end
end

-- The record of a definition that was checked by its declaration.
function core.read_scenario(definition, path, func)
  reader = func
  if core.is_callable(definition) then
    return core.single(nil, definition)
  end
  local scenario = { stops = given(rawget(definition, "stop_on_failure")) ~= false }
  for _, key in ipairs({ "name", "description", "setup", "teardown", "timeout_ms" }) do
    scenario[key] = given(rawget(definition, key))
  end
  if not scenario.name then
    refuse(path .. ".name: expected a non-empty string, got nil")
  end
  scenario.tags = copy_of_list(given(rawget(definition, "tags")))
  scenario.fixtures = copy_of_list(given(rawget(definition, "fixtures")))
  scenario.mocks = read_mocks(given(rawget(definition, "mocks")), path)
  scenario.steps = read_steps(definition, path)
  return scenario
end

function core.lua.create_scenario(_, definition)
  local scenario = core.read_scenario(definition, "definition", "test.create_scenario")
  local id = core.add_test_thing(scenarios, scenario)
  core.name_single(scenario)
  return id
end

core.wraps["test.create_scenario"] = function(checked)
  return function(definition)
    local called = core.is_callable(definition)
    return checked(called and definition or core.sketch_of_scenario(definition), definition)
  end
end

function core.find_scenario(key, func)
  return core.find_test_thing(scenarios, key, func)
end

-- `reset()` forgets scenarios and fixtures; a teardown that fails is told when all has been done.
core.wraps[".reset"] = (function(around)
  return function(reset, number)
    reset = around and around(reset, number) or reset
    return function()
      local failure = core.reset_fixtures()
      scenarios.by_id, scenarios.order = {}, {}
      local result = reset()
      if failure then
        error(failure, 0)
      end
      return result
    end
  end
end)(core.wraps[".reset"])

return core
