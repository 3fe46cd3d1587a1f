-- Memory in nginx: workers share a store, requests yield to the worker while it is asked.
local nginx = require("spec.support.nginx")
local size = require("spec.support.size")
local stores = require("spec.support.stores")

local missing = nginx.missing()
if missing then
  print("SKIP spec/host/memory_nginx_spec.lua: " .. missing)
  return
end

local INIT = [[
  init_by_lua_block {
    local zigllms = require("zigllms")
    zigllms.configure({ store = %q })
    zigllms.memory.store("from_master", { "kept" })
  }
]]

local LOCATIONS = {
  count = [[
    local memory = require("zigllms").memory
    ngx.print(memory.increment("hits", 1, { type = "persistent" }))
  ]],
  vote = [[
    local memory = require("zigllms").memory
    local who = "w" .. ngx.worker.id()
    local votes = memory.update("votes", function(old)
      old = old or {}
      old[who] = (old[who] or 0) + 1
      return old
    end, { type = "persistent" })
    ngx.print(votes[who])
  ]],
  keep = [[
    local memory = require("zigllms").memory
    local n = ngx.var.arg_n
    memory.store("req:" .. n, { worker = ngx.worker.id() }, { type = "persistent" })
    ngx.print(memory.retrieve("req:" .. n).worker == ngx.worker.id())
  ]],
  sums = [[
    local memory = require("zigllms").memory
    local total, workers = 0, 0
    for _, n in pairs(memory.retrieve("votes") or {}) do
      total, workers = total + n, workers + 1
    end
    ngx.print(memory.retrieve("hits"), " ", total, " ", workers, " ", #memory.list_keys("req:*"))
  ]],
  master = [[ngx.print(require("zigllms").memory.retrieve("from_master")[1])]],
  plain = 'ngx.print("plain")',
}

for _, place in ipairs(stores.shared()) do
  describe("memory in nginx, " .. place.name, function()
    local web

    setup(function()
      web = nginx.start({
        workers = 4,
        http = INIT:format(place.open()),
        locations = LOCATIONS,
      })
    end)

    teardown(function()
      web:stop()
      place.close()
    end)

    it("four workers share one store, and none loses anything", function()
      local count = size(500, 100)
      for _, path in ipairs({ "/count", "/vote", "/keep?n={n}" }) do
        local report = web:run(path, { count = count, together = 40 })
        assert.same({ ["200"] = count }, report.statuses)
      end
      local hits, votes, workers, requests
      -- What was only stored is committed in batches: 20 ms later at most.
      assert.is_true(web:wait_until(function()
        hits, votes, workers, requests = web:get("/sums"):match("(%d+) (%d+) (%d+) (%d+)")
        return tonumber(requests) == count
      end))
      assert.equal(count, tonumber(hits))
      assert.equal(count, tonumber(votes))
      print(("%s requests of each kind on %s workers"):format(count, workers))
      assert.truthy(tonumber(workers) > 1)
      assert.same({}, web:complaints())
    end)

    it("a worker has what the master kept before it forked", function()
      assert.equal("kept", (web:get("/master")))
    end)
  end)
end
