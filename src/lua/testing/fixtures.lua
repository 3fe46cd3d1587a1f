-- Fixtures: data that scenarios ask for by name, each with its own copy.
local core = ...

local guarded, given, rawget = core.guarded, core.given, rawget
local ipairs, type = ipairs, type

local fixtures = { prefix = "fixture_", what = "fixture", last = 0, by_id = {}, order = {} }

-- Registries ----------------------------------------------------------------------------------

-- Puts a thing with an `id` of its own behind the others.
function core.add_test_thing(all, thing)
  all.last = all.last + 1
  thing.id = all.prefix .. all.last
  thing.name = thing.name or thing.id
  all.by_id[thing.id] = thing
  all.order[#all.order + 1] = thing
  return thing.id
end

-- The thing with that id, or the only one with that name.
function core.find_test_thing(all, key, func)
  key = type(key) == "table" and rawget(key, "id") or key
  local found = all.by_id[key]
  for _, thing in ipairs(found and {} or all.order) do
    if found and thing.name == key then
      local text = ('%s: several are named "%s": use an id'):format(all.what, key)
      core.raise("invalid_argument", text, func)
    end
    found = found or (thing.name == key and thing) or nil
  end
  if not found then
    core.raise("not_found", ("%s not found: %s"):format(all.what, core.shown_value(key)), func)
  end
  return found
end

-- Setting up and tearing down -----------------------------------------------------------------

-- Data that are ready to be used once, and what their teardown gets.
local function made(fixture)
  if not fixture.setup then
    return { data = core.copied(fixture.data) }
  end
  local ok, data = guarded(fixture.setup)
  if not ok then
    error(core.wrap(data, 'setup of the fixture "' .. fixture.name .. '"'), 0)
  end
  return { data = data }
end

local function take(fixture)
  local ready = fixture.ready or made(fixture)
  fixture.ready = nil
  return ready
end

local function torn_down(fixture, use)
  if fixture.teardown then
    fixture.teardown(use.data)
  end
end

-- What is ready and was never used, or is used everywhere, ends with the fixture.
local function discard(fixture)
  local ready = fixture.ready
  fixture.ready = nil
  if ready then
    return guarded(torn_down, fixture, ready)
  end
  return true
end

local function is_shared(fixture, suite)
  return fixture.scope == "suite" and suite
end

-- The data of a fixture for one scenario. What is to be torn down at its end goes into `uses`, at
-- the end of the suite into `suite.uses`.
function core.use_fixture(key, uses, suite)
  local fixture = core.find_test_thing(fixtures, key, "test.run_scenario")
  if fixture.scope == "global" then
    fixture.ready = fixture.ready or made(fixture)
    return fixture.name, core.copied(fixture.ready.data)
  elseif is_shared(fixture, suite) then
    local use = suite.shared[fixture]
    if not use then
      use = take(fixture)
      suite.shared[fixture] = use
      suite.uses[#suite.uses + 1] = { fixture = fixture, use = use }
    end
    return fixture.name, core.copied(use.data)
  end
  local use = take(fixture)
  uses[#uses + 1] = { fixture = fixture, use = use }
  return fixture.name, use.data
end

-- Ends uses in reverse. `attempt(fn, ...)` calls each teardown.
function core.end_uses(uses, attempt)
  for i = #uses, 1, -1 do
    local item = uses[i]
    uses[i] = nil
    attempt(torn_down, item.fixture, item.use)
  end
end

-- Making ----------------------------------------------------------------------------------------

local function definition_of(definition, data)
  if type(definition) == "string" then
    return { name = definition, data = data }
  end
  local fixture = { scope = (given(rawget(definition, "scope")) or "scenario"):lower() }
  for _, key in ipairs({ "name", "setup", "teardown" }) do
    fixture[key] = given(rawget(definition, key))
  end
  fixture.data = rawget(definition, "data")
  return fixture
end

local function refuse(text)
  core.raise("invalid_argument", text, "test.setup_fixture")
end

local function check(fixture)
  if not fixture.name then
    refuse("definition.name: expected a non-empty string, got nil")
  elseif fixture.data == nil and not fixture.setup then
    refuse("definition: expected data or a setup function, got neither")
  elseif fixture.data ~= nil and fixture.setup then
    refuse("definition: expected data or a setup function, got both")
  end
end

-- Takes the fixtures out that `goes` says; the first error of their teardowns.
local function remove(goes)
  local kept, failure = {}, nil
  for _, fixture in ipairs(fixtures.order) do
    if goes(fixture) then
      fixtures.by_id[fixture.id] = nil
      local ok, err = discard(fixture)
      failure = failure or not ok and core.wrap(err, 'teardown of "' .. fixture.name .. '"') or nil
    else
      kept[#kept + 1] = fixture
    end
  end
  fixtures.order = kept
  return failure
end

function core.lua.setup_fixture(_, data, definition)
  local fixture = definition_of(definition, data)
  check(fixture)
  fixture.ready = made(fixture)
  local failure = remove(function(other)
    return other.name == fixture.name
  end)
  local id = core.add_test_thing(fixtures, fixture)
  if failure then
    error(failure, 0)
  end
  return id, core.copied(fixture.ready.data)
end

-- The declaration judges a sketch: data may be what cannot cross.
core.wraps["test.setup_fixture"] = function(checked)
  return function(definition, data)
    local sketch = definition
    if type(definition) == "table" then
      sketch = core.sketch(definition, { data = true })
    end
    return checked(sketch, data, definition)
  end
end

-- All of them end; raises what the first teardown raised that failed.
function core.reset_fixtures()
  return remove(function()
    return true
  end)
end

return core
