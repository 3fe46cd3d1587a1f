-- Events across the workers of an nginx: a bridge belongs to its worker, whoever opened it.
local nginx = require("spec.support.nginx")
local redis = require("spec.support.redis")

local missing = nginx.missing()
if missing then
  print("SKIP spec/host/link_nginx_spec.lua: " .. missing)
  return
end

local server = redis.for_specs()
if not server then
  return
end

-- Every worker counts what it hears, by who emitted it.
local COMMON = [[
  heard = {}
  function listen(options)
    local zigllms = require("zigllms")
    zigllms.configure({ store = %q })
    zigllms.event.subscribe("note.*", function(event)
      if event.remote then
        ngx.sleep(0.001)
        local from = event.data.from
        heard[from] = (heard[from] or 0) + 1
      end
    end)
    options = options or {}
    options.patterns, options.stream = "note.*", "notes"
    return zigllms.event.bridge(options)
  end
]]

local LOCATIONS = {
  -- Emits so many events in the name of this worker.
  emit = [[
    local zigllms = require("zigllms")
    local pid = tostring(ngx.worker.pid())
    for i = 1, tonumber(ngx.var.arg_n) do
      zigllms.event.emit("note.new", { from = pid, n = i })
    end
    ngx.print(pid)
  ]],
  heard = [[
    local parts = {}
    for from, n in pairs(heard) do
      parts[#parts + 1] = from .. "=" .. n
    end
    ngx.print(ngx.worker.pid(), " ", table.concat(parts, " "))
  ]],
  open = [[ngx.print(listen())]],
  close = [[ngx.print(require("zigllms").event.unsubscribe(ngx.var.arg_id))]],
  plain = [[ngx.print("plain")]],
}

local function start(init_worker, workers)
  return nginx.start({
    workers = workers or 2,
    http = "init_by_lua_block {\n" .. COMMON:format(server.url) .. "\n}\n" .. (init_worker or ""),
    locations = LOCATIONS,
  })
end

-- What each worker has heard: pid -> { from pid -> count }. Asks until every worker answered.
local function heard(web, workers)
  local all, known = {}, 0
  for _ = 1, 200 do
    local body = web:get("/heard") or ""
    local pid, rest = body:match("^(%d+) (.*)$")
    if pid then
      known = known + (all[pid] and 0 or 1)
      all[pid] = {}
      for from, n in rest:gmatch("(%d+)=(%d+)") do
        all[pid][from] = tonumber(n)
      end
    end
    if known == workers then
      break
    end
  end
  return all
end

local function clients()
  return #server:command("CLIENT", "LIST"):gsub("[^\n]", "")
end

describe("a bridge in nginx", function()
  local web, emitted

  before_each(function()
    server:command("FLUSHALL")
    emitted = {}
  end)

  after_each(function()
    web:stop()
  end)

  teardown(function()
    server:stop()
  end)

  -- Each of two workers emits, until both have; then each has heard all that the other emitted.
  local function exchange()
    assert.is_true(web:wait_until(function()
      return clients() >= 3 -- the reader of each worker, and who asks
    end))
    assert.is_true(web:wait_until(function()
      local pid = web:get("/emit?n=50")
      emitted[pid] = (emitted[pid] or 0) + 50
      local first = next(emitted)
      return next(emitted, first) ~= nil
    end))
    local all
    local complete = web:wait_until(function()
      all = heard(web, 2)
      for pid, from in pairs(all) do
        for other, n in pairs(emitted) do
          if other ~= pid and from[other] ~= n then
            return false
          end
        end
      end
      return true
    end)
    assert.is_true(complete, require("cjson").encode({ all, emitted }))
    for pid, from in pairs(all) do
      assert.is_nil(from[pid])
    end
    assert.same({}, web:complaints())
  end

  it("opened by init_worker, carries events between two workers", function()
    web = start([[init_worker_by_lua_block { listen({ async = false }) }]])
    exchange()
    local before = web:usage()
    exchange()
    assert.is_true(web:usage().threads <= before.threads + 1)
  end)

  it("opened by a timer of init_worker, too", function()
    web = start([[init_worker_by_lua_block { ngx.timer.at(0, function() listen() end) }]])
    exchange()
  end)

  it("opened by a request, outlives it and keeps it no longer", function()
    web = start(nil, 1)
    local id = web:get("/open")
    assert.truthy(id:match("^bridge_%d+$"), id)
    server:command("FLUSHALL")
    local other = require("zigllms").new({ store = server.url })
    other.event.bridge({ patterns = "note.*", stream = "notes" })
    for i = 1, 20 do
      other.event.emit("note.new", { from = "7", n = i })
    end
    other.flush()
    local pid = web:workers()[1]
    local all
    assert.is_true(
      web:wait_until(function()
        all = heard(web, 1)
        return all[pid] and all[pid]["7"] == 20
      end),
      require("cjson").encode(all)
    )
    other.reset()
    assert.equal("true", (web:get("/close?id=" .. id)))
    assert.is_true(
      web:wait_until(function()
        return clients() == 1
      end),
      server:command("CLIENT", "LIST")
    )
    assert.same({}, web:complaints())
  end)

  it("does not keep a worker from ending", function()
    web = start([[init_worker_by_lua_block { listen({ async = false }) }]])
    exchange()
    local began = os.time()
    assert.is_true(web:quit(10))
    assert.is_true(os.time() - began <= 5)
    assert.is_nil(web:log():find("alert", 1, true), web:log())
  end)

  it("is refused while nginx reads its configuration", function()
    web = nginx.start({
      workers = 1,
      http = "init_by_lua_block {\n"
        .. COMMON:format(server.url)
        .. "\nok, err = pcall(listen, { async = false }) }\n",
      locations = { said = [[ngx.print(tostring(ok), " ", tostring(err))]] },
    })
    local said = web:get("/said")
    assert.truthy(said:find("unsupported", 1, true), said)
    assert.truthy(said:find("init_worker_by_lua", 1, true), said)
  end)
end)
