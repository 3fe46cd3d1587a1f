-- Durable runs in hosts that go away: the next worker of nginx, the next Neovim, go on with them.
local nginx = require("spec.support.nginx")
local nvim = require("spec.support.nvim")
local stores = require("spec.support.stores")

-- Makes the workflow. In the step `slow`, the first process is ended.
local MAKE = [[
  local zigllms, log = ...
  local function effect(word)
    local file = assert(io.open(log, "a"))
    file:write(word, "\n")
    file:close()
  end
  local function step(id, also)
    return { id = id, fn = function(ctx)
      effect(ctx.idempotency_key)
      return also and also(ctx) or id
    end }
  end
  return zigllms.workflow.create({ name = "hosted", steps = {
    step("first"),
    step("slow", function(ctx)
      if ctx.attempt == 1 then
        zigllms.sleep(60000)
      end
      return "slept"
    end),
    step("last", function(ctx) return ctx.previous.output .. ", last" end),
  } })
]]

local function lines(path)
  local counts, file = {}, io.open(path)
  for line in file and file:lines() or pairs({}) do
    counts[line] = (counts[line] or 0) + 1
  end
  return counts, file and file:close()
end

local EFFECTS = { ["run:first"] = 1, ["run:slow"] = 2, ["run:last"] = 1 }

local missing = nginx.missing()
if missing then
  print("SKIP spec/host/durable_hosts_spec.lua, nginx: " .. missing)
else
  local HTTP = [[
    init_worker_by_lua_block {
      local zigllms = require("zigllms")
      zigllms.configure({ store = %q })
      make = function()
        local MAKE = [==[%s]==]
        return assert(loadstring(MAKE))(zigllms, %q)
      end
      workflow_id = make()
      assert(ngx.timer.at(0, function()
        for _, handle in ipairs((zigllms.workflow.recover())) do
          handle:await()
        end
      end))
    }
  ]]

  local LOCATIONS = {
    begin = [[
      ngx.print(require("zigllms").workflow.execute(workflow_id, nil, { run_id = "run" }).output)
    ]],
    result = [[
      local result, status = require("zigllms").workflow.get_result("run")
      ngx.print(result and result.output or status)
    ]],
  }

  for _, place in ipairs(stores.shared()) do
    describe("a durable run in nginx, " .. place.name .. ",", function()
      it("goes on in the next worker when its worker is killed", function()
        local log = os.tmpname()
        local web = nginx.start({
          http = HTTP:format(place.open(), MAKE, log),
          locations = LOCATIONS,
        })
        local ok, err = pcall(function()
          web:load("/begin")
          assert.is_true(web:wait_until(function()
            return lines(log)["run:slow"] == 1
          end))
          web:signal("KILL", web:workers()[1])
          local said
          local function over()
            said = web:get("/result")
            return said == "slept, last"
          end
          assert.is_true(web:wait_until(over), said)
          assert.same(EFFECTS, (lines(log)))
        end)
        web:stop()
        place.close()
        os.remove(log)
        assert(ok, err)
      end)
    end)
  end
end

nvim.each(describe, function(run)
  for _, place in ipairs(stores.shared()) do
    it("goes on with a durable run " .. place.name .. " that :qa! has interrupted", function()
      local log, store = os.tmpname(), place.open()
      local BEGIN = [[
        local zigllms, nv = ...
        zigllms.configure({ store = nv.args[1] })
        local id = assert(loadstring(nv.args[3]))(zigllms, nv.args[2])
      ]]
      local args = { store, log, MAKE }
      run(BEGIN .. [[
        zigllms.workflow.execute(id, nil, { run_id = "run", async = true })
        nv.wait(function()
          local file = io.open(nv.args[2])
          local text = file and file:read("*a") or ""
          return text:find("run:slow", 1, true), file and file:close()
        end, "the slow step")
        vim.cmd("qa!")
      ]], { args = args })
      run(BEGIN .. [[
        local handles = zigllms.workflow.recover()
        assert(#handles == 1, #handles)
        assert(handles[1]:await().output == "slept, last")
      ]], { args = args })
      assert.same(EFFECTS, (lines(log)))
      place.close()
      os.remove(log)
    end)
  end
end)
