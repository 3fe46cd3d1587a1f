-- What a function costs, and its peer, in microseconds, and the former in times of the latter. Both
-- alternate in short rounds, and all three are medians: a busy machine slows both. What counts is
-- the processor's time; where waiting is part of the cost, give a clock of real time.
local ROUNDS, MIN_SECONDS = 25, 0.004

local function time(fn, times, clock)
  local started = clock()
  for _ = 1, times do
    fn()
  end
  return clock() - started
end

-- As many repetitions as one round needs to be longer than the clock's grain.
-- The faster of two rounds counts: one that the machine disturbed would make all rounds too short.
local function calibrate(fn, clock)
  local times = 1
  while math.min(time(fn, times, clock), time(fn, times, clock)) < MIN_SECONDS do
    times = times * 2
  end
  return times
end

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

return function(fn, peer, clock)
  clock = clock or os.clock
  local times, peer_times = calibrate(fn, clock), calibrate(peer, clock)
  local costs, peer_costs, ratios = {}, {}, {}
  for round = 1, ROUNDS do
    costs[round] = time(fn, times, clock) / times * 1e6
    peer_costs[round] = time(peer, peer_times, clock) / peer_times * 1e6
    ratios[round] = costs[round] / peer_costs[round]
  end
  return median(costs), median(peer_costs), median(ratios)
end
