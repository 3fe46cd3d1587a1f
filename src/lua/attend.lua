-- Attended operations: those that hooks are registered for.
--
-- PRE hooks → AROUND hooks, the operation innermost → POST hooks, or ERROR hooks if it failed. What
-- the operation ends with stays in its machine until the hooks have had their say; `run.result` and
-- `run.error` are what they see of it.
local core = ...

local about, call_hook, hold, plan = core.about, core.call_hook, core.hold, core.hook_plan
local earliest, guarded, halted = core.earliest, core.guarded, core.halted
local taken, response_mt = core.taken, core.metas[2]
local error, format, getmetatable, next, pcall = error, string.format, getmetatable, next, pcall
local rawequal, rawget, rawset = rawequal, rawget, rawset
local setmetatable, type = setmetatable, type

-- The points of each operation, by its name.
local points = setmetatable({}, {
  __index = function(all, name)
    all[name] = core.points_of(name)
    return all[name]
  end,
})

local START = 0
-- Values that are compared before a table counts as changed.
local MANY = 100000

-- Whether two tables hold the same, read raw. What is too large to tell counts as different.
local function alike(a, b, left)
  if rawequal(a, b) then
    return true
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return a ~= a and b ~= b and type(a) == "number" and type(b) == "number"
  end
  for key, value in next, a do
    left.n = left.n - 1
    if left.n < 0 or not alike(value, rawget(b, key), left) then
      return false
    end
  end
  for key in next, b do
    if rawget(a, key) == nil then
      return false
    end
  end
  return true
end

-- Whether a value that hooks had is to be given back, `fresh` being what the machine has now. A
-- table that is the machine's very own may have been changed in place, which cannot be seen.
local function differs(value, fresh, own_tables)
  if rawequal(value, fresh) then
    return own_tables and type(value) == "table"
  end
  return not alike(value, fresh, { n = MANY })
end

-- Fields that every hook of an operation gets.
local function filler(run, i, total)
  return function(info)
    for key, value in next, run.about do
      if rawget(info, key) == nil then
        info[key] = value
      end
    end
    info.index, info.total = i, total
    info.elapsed_ms = core.now() - run.began
    info.input, info.data = run.value, run.value
    if run.error ~= nil then
      info.error, info.data = run.error, nil
    elseif run.ended then
      info.result, info.output, info.data = run.result, run.result, run.result
    end
  end
end

-- What the operation has ended with.
local function look(run)
  run.ended = true
  run.error = core.failure(run.machine)
  run.result = nil
  if run.error == nil then
    run.result = core.output(run.machine)
  end
end

-- The operation itself.
local function perform(run)
  core.advance(run.context, run.machine, core.proceed(run.context, run.machine, START))
  look(run)
end

-- The operation fails because a hook did. One that is to end anyway ends by itself.
local function fail(run, ran)
  local machine, raised = run.machine, ran.raised
  if halted(run.context) then
    if not run.ended then
      return perform(run)
    elseif core.is_error(raised) and (raised.code == "cancelled" or raised.code == "timeout") then
      core.give_raised(machine, raised.code, ran.text, raised)
      return look(run)
    end
  end
  if ran.late then
    core.give_timeout(machine, ran.text)
  else
    core.give_failure(machine, "hook_error", ran.text, raised)
  end
  look(run)
end

local function misfit(run, ran, what, err)
  local text = format(
    "hook %s (%s) gave %s that does not fit: %s",
    ran.id,
    ran.point,
    what,
    core.describe(err)
  )
  core.give_failure(run.machine, "hook_error", text, err)
  look(run)
end

local function veto(run, ran)
  local text = format("hook %s (%s) said no", ran.id, ran.point)
  if type(ran.reason) == "string" then
    text = text .. ": " .. ran.reason
  end
  core.give_failure(run.machine, "aborted_by_hook", text)
  look(run)
  run.vetoed = true
end

-- The machine gets the working value, if it has another one.
local function give_input(run, ran)
  local _, fresh = about(run.machine)
  if not differs(run.value, fresh, true) then
    return true
  end
  local ok, err = pcall(core.give_input, run.machine, run.value)
  if not ok then
    misfit(run, ran, "an input", err)
  end
  return ok
end

-- PRE hooks at one point; answers the last one that ran.
local function before(run, point, list)
  local last
  for i = 1, #list do
    if run.ended or halted(run.context) then
      return nil
    end
    local ran = call_hook(run.context, list[i], point, filler(run, i, #list))
    if ran and not ran.ok then
      fail(run, ran)
    elseif ran and ran.value == false then
      veto(run, ran)
    elseif ran then
      last, run.value = ran, taken(ran, run.value, "data", "input")
    end
  end
  return last
end

local function prepare(run, init, pre)
  local first = before(run, run.points.init, init)
  local last = before(run, run.points.pre, pre) or first
  if last and not run.ended then
    give_input(run, last)
  end
end

-- The machine ends with what a hook gave. The response of a run is text to `tostring` and `..`,
-- also where it was made by hand.
local function give_output(run, value)
  local is_table = type(value) == "table"
  core.give_output(run.machine, value, is_table)
  if is_table and run.points.name == "agent_run" and getmetatable(value) == nil then
    setmetatable(value, response_mt)
  end
end

-- A hook gave a result in place of the one that is there, if any.
local function replace(run, value)
  local ok, err = pcall(give_output, run, value)
  look(run)
  return ok, err
end

local around

-- The function that an AROUND hook gets: performs what is inside it.
local function inside(run, i, state)
  return function(ran, inner)
    return function(data)
      core.begin_next(state, inner)
      if data == nil then
        data = taken(ran, run.value, "data", "input")
      end
      run.value = data
      local context, deadline = run.context, run.context.deadline
      context.deadline = earliest(inner.deadline, deadline)
      local ok, err = guarded(around, run, i + 1, ran)
      context.deadline = deadline
      if not ok then
        run.broken = run.broken or { ran = ran, err = err }
      end
      if run.broken then
        error(run.broken.err, 0)
      elseif run.error ~= nil then
        rawset(ran.info, "error", run.error)
        error(run.error, 0)
      end
      core.show_result(ran, run.result)
      return run.result
    end
  end
end

-- What an AROUND hook has left.
local function settle(run, ran, state)
  if not ran.ok then
    if run.ended and not ran.late and rawequal(ran.raised, run.error) and ran.raised ~= nil then
      return -- the operation's own error passed through
    end
    return fail(run, ran)
  end
  local value = ran.value
  if value == nil and not (state.called and run.error ~= nil) then
    value = taken(ran, run.result, "result", "output", state.called and "data" or nil)
  end
  if state.called and (value == nil or not differs(value, core.output(run.machine))) then
    return
  elseif not state.called and value == nil and halted(run.context) then
    return perform(run)
  end
  local ok, err = replace(run, value)
  if not ok then
    misfit(run, ran, "a result", err)
  end
end

-- The AROUND hooks from the i-th on, and the operation inside them.
function around(run, i, outer)
  local number = run.around[i]
  if not number then
    if not outer or give_input(run, outer) then
      perform(run)
    end
    return
  end
  if halted(run.context) then
    return perform(run)
  end
  local state = { called = false, closed = false }
  local fill = filler(run, i, #run.around)
  local ran = call_hook(run.context, number, run.points.name, fill, inside(run, i, state))
  state.closed = true
  if not ran then
    return around(run, i + 1, outer)
  elseif not run.broken then
    settle(run, ran, state)
  end
end

-- POST hooks: each sees what the one before it left. Their errors go no further.
local function after(run, list)
  for i = 1, #list do
    local ran = call_hook(run.context, list[i], run.points.post, filler(run, i, #list))
    if ran and ran.ok then
      local value = taken(ran, run.result, "data", "result", "output")
      if differs(value, core.output(run.machine)) then
        local ok, err = pcall(give_output, run, value)
        if not ok then
          ran.ok, ran.raised, ran.error = false, err, err
        end
        look(run)
      end
    end
    if ran and not ran.ok then
      core.isolate(ran, run.context)
    end
  end
end

-- ERROR hooks, until one gives a result in place of the one that is missing. What was cancelled
-- stays cancelled.
local function rescue(run, list)
  for i = 1, #list do
    if run.error == nil then
      return
    end
    local ran = call_hook(run.context, list[i], run.points.error, filler(run, i, #list))
    local value = ran and ran.ok and taken(ran, nil, "data", "result", "output")
    if value ~= nil and ran and ran.ok and not core.stopped(run.context) then
      local failed = run.error
      local ok, err = pcall(give_output, run, value)
      if ok then
        look(run)
      else
        run.error, ran.ok, ran.raised, ran.error = failed, false, err, err
      end
    end
    if ran and not ran.ok then
      core.isolate(ran, run.context)
    end
  end
end

-- The caller gets the very error object that hooks have seen.
local function handed(seen, ok, ...)
  if ok or seen == nil or not core.is_error((...)) or not core.is_error(seen) then
    return ok, ...
  end
  for key, value in next, (...) do
    rawset(seen, key, value)
  end
  return false, seen
end

-- What happened inside `next` has left the operation in the middle of it (a yield in a C call).
local function broken(run)
  core.leave(run.context)
  local ran = run.broken.ran
  local text = format("hook %s (%s) failed: %s", ran.id, ran.point, core.describe(run.broken.err))
  return false, core.new_error("hook_error", text, { cause = run.broken.err })
end

function core.attend(context, name, machine)
  local init, pre, arounds, post, failed = plan(machine)
  if not init then
    return core.advance(context, machine, core.proceed(context, machine, START))
  end
  hold(machine)
  local ids, input = about(machine)
  local run = { context = context, machine = machine, about = ids, value = input, around = arounds }
  run.points, run.began = points[name], core.now()
  prepare(run, init, pre)
  if not run.ended then
    around(run, 1)
  end
  if run.broken then
    return broken(run)
  elseif run.error == nil then
    if not core.pauses(machine) then
      after(run, post)
    end
  elseif not run.vetoed then
    rescue(run, failed)
  end
  return handed(run.error, core.advance(context, machine, core.release(machine)))
end

return core
