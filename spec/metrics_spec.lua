-- Counts of calls, errors and tokens; times; and all of them as Prometheus reads them.
local prometheus = require("spec.support.prometheus")
local raised = require("spec.support.raised")
local scripted = require("spec.support.model")

describe("metrics", function()
  local zigllms, model

  before_each(function()
    zigllms = require("zigllms").new()
    model = scripted.new("openai", nil, zigllms)
    model:begin()
    zigllms.metrics({ reset = true })
  end)

  it("count every call and every error, per bridge and function", function()
    for _ = 1, 3 do
      pcall(zigllms.agent.get_state, "nobody")
    end
    zigllms.tool.list()
    local id = zigllms.agent.create({ provider = "openai" })
    zigllms.agent.get_state(id)
    local metrics = zigllms.metrics()
    local agents = metrics.bridges.agent
    assert.equal(5, agents.calls)
    assert.equal(3, agents.errors)
    assert.equal(4, agents.functions.get_state.calls)
    assert.equal(3, agents.functions.get_state.errors)
    assert.equal(1, agents.functions.create.calls)
    assert.equal(0, agents.functions.create.errors)
    assert.equal(1, metrics.bridges.tool.functions.list.calls)
    assert.equal(3, metrics.error_count)
    assert.is_true(metrics.total_calls >= 6)
  end)

  it("count calls that wait once, however they end", function()
    model:script(
      scripted.text("a"),
      scripted.failure(400, "no"),
      scripted.text("late", { delay_ms = 1000 }),
      scripted.text("b")
    )
    zigllms.provider.chat("hi", { provider = "openai" })
    pcall(zigllms.provider.chat, "hi", { provider = "openai" })
    local handle = zigllms.provider.chat("hi", { provider = "openai", async = true })
    handle:cancel()
    pcall(zigllms.await, handle)
    local chat = zigllms.metrics().bridges.provider.functions.chat
    assert.equal(3, chat.calls)
    assert.equal(2, chat.errors)
  end)

  it("count nothing that nobody called", function()
    assert.equal(1, require("zigllms").new().metrics().total_calls) -- this one
    assert.equal(1, zigllms.metrics().total_calls)
  end)

  it("count functions that are written in Lua, and how they fail", function()
    zigllms.sleep(1)
    pcall(zigllms.sleep, "long")
    pcall(zigllms.map, { 1 }, error)
    pcall(zigllms.await, 5)
    pcall(zigllms.all, { 5 })
    zigllms["try"](error)
    local functions = zigllms.metrics().bridges.zigllms.functions
    local counted = {}
    for name, counters in pairs(functions) do
      counted[name] = counters.calls .. "/" .. counters.errors
    end
    counted.metrics = nil
    local expected = { sleep = "2/1", map = "1/1", await = "1/1", all = "1/1", ["try"] = "1/0" }
    assert.same(expected, counted)
  end)

  it("count calls inside of calls, and short ways as any other", function()
    local id = zigllms.tool.register({
      name = "outer",
      execute = function(input)
        if input.deep > 0 then
          zigllms.tool.execute("outer", { deep = input.deep - 1 })
        end
        return zigllms.output.format((zigllms.output.parse("[1]")))
      end,
    })
    zigllms.tool.execute(id, { deep = 4 })
    pcall(zigllms.output.parse, "[", "json")
    local bridges = zigllms.metrics().bridges
    assert.equal(5, bridges.tool.functions.execute.calls)
    assert.equal(6, bridges.output.functions.parse.calls)
    assert.equal(1, bridges.output.functions.parse.errors)
    assert.equal(5, bridges.output.functions.format.calls)
  end)

  it("count calls that were refused where they would have to wait", function()
    zigllms.tool.register({ name = "slow", execute = function() end })
    local function deeper(n)
      zigllms.spawn(function()
        if n > 0 then
          deeper(n - 1)
        else
          zigllms.tool.execute("slow")
        end
      end)
    end
    deeper(63)
    zigllms.poll()
    local execute = zigllms.metrics().bridges.tool.functions.execute
    assert.equal(1, execute.calls)
    assert.equal(1, execute.errors)
  end)

  it("count what was cancelled and what was tried again", function()
    model:script(
      scripted.failure(503, "busy", { headers = { ["retry-after-ms"] = "1" } }),
      scripted.text("a")
    )
    zigllms.provider.chat("hi", { provider = "openai", retry = { max_attempts = 2 } })
    local handle = zigllms.map({ 1 }, function()
      zigllms.tool.execute("nobody", {})
    end, { async = true, on_error = "return" })
    zigllms.await(handle)
    model:script(scripted.text("late", { delay_ms = 1000 }))
    handle = zigllms.provider.chat("hi", { provider = "openai", async = true })
    handle:cancel()
    pcall(zigllms.await, handle)
    local metrics = zigllms.metrics()
    assert.equal(1, metrics.retries)
    assert.equal(1, metrics.cancelled)
  end)

  it("count arguments that were refused", function()
    raised("invalid_argument", zigllms.agent.create, 5)
    assert.equal(1, zigllms.metrics().bridges.agent.functions.create.errors)
  end)

  it("sum up tokens", function()
    model:script(scripted.text("a"), scripted.text("b"))
    zigllms.provider.chat("hi", { provider = "openai" })
    local id = zigllms.agent.create({ provider = "openai" })
    zigllms.agent.run(id, "hi")
    local usage = zigllms.metrics().usage
    assert.equal(20, usage.prompt_tokens)
    assert.equal(10, usage.completion_tokens)
    assert.equal(30, usage.total_tokens)
    assert.equal(30, usage.by_provider.openai.total_tokens)
  end)

  it("tell tokens by provider", function()
    local id = zigllms.provider.create({ type = "local", model = "m", name = "mine" })
    local mine = scripted.new(id, nil, zigllms)
    model:script(scripted.text("a"))
    mine:script(scripted.text("b"))
    zigllms.provider.chat("hi", { provider = "openai" })
    zigllms.provider.chat("hi", { provider = "mine" })
    local usage = zigllms.metrics().usage
    assert.equal(15, usage.by_provider.openai.total_tokens)
    assert.equal(15, usage.by_provider[id].total_tokens)
    assert.equal(30, usage.total_tokens)
  end)

  it("measure time only when asked to", function()
    zigllms.tool.list()
    assert.equal(0, zigllms.metrics().total_time_ms)
    zigllms.configure({ profiling = true })
    local id = zigllms.tool.register({
      name = "slow",
      execute = function()
        zigllms.sleep(5)
      end,
    })
    zigllms.tool.execute(id)
    local execute = zigllms.metrics().bridges.tool.functions.execute
    assert.equal(1, execute.calls)
    assert.is_true(execute.max_ms >= 4, tostring(execute.max_ms))
    assert.is_true(zigllms.metrics().total_time_ms >= 4)
    zigllms.configure({ profiling = zigllms.null })
  end)

  it("tell the middle and the slow end of times", function()
    zigllms.configure({ profiling = true })
    for i = 1, 20 do
      zigllms.sleep(i == 20 and 60 or 2)
    end
    local sleep = zigllms.metrics().bridges.zigllms.functions.sleep
    assert.is_true(sleep.min_ms >= 2 and sleep.min_ms <= sleep.p50_ms)
    assert.is_true(sleep.p50_ms <= sleep.p95_ms and sleep.p95_ms <= sleep.max_ms)
    assert.is_true(sleep.p50_ms < 30, tostring(sleep.p50_ms))
    assert.is_true(sleep.max_ms >= 60)
    assert.is_true(sleep.avg_ms > sleep.p50_ms)
  end)

  it("keep the latest calls that were measured", function()
    zigllms.configure({ profiling = true })
    for _ = 1, 1100 do
      zigllms.output.parse("[1]")
    end
    zigllms.tool.list()
    local samples = zigllms.metrics().profile.samples
    assert.equal(1000, #samples)
    local last = samples[1000]
    assert.equal("tool", last.bridge)
    assert.equal("list", last.func)
    assert.is_true(last.duration_ms >= 0)
    assert.is_true(math.abs(last.at - os.time()) < 10)
    assert.equal("parse", samples[1].func)
  end)

  it("measure a share of the calls where only that is wanted", function()
    zigllms.configure({ profiling = { sample_rate = 0.3 } })
    assert.same({ sample_rate = 0.3 }, zigllms.config().profiling)
    for _ = 1, 1000 do
      zigllms.output.parse("[1]")
    end
    local metrics = zigllms.metrics()
    assert.equal(1000, metrics.bridges.output.functions.parse.calls)
    assert.is_true(#metrics.profile.samples > 200 and #metrics.profile.samples < 400)
    zigllms.configure({ profiling = false })
    zigllms.metrics({ reset = true })
    zigllms.output.parse("[1]")
    assert.same({}, zigllms.metrics().profile.samples)
    raised("invalid_argument", zigllms.configure, { profiling = { sample_rate = 2 } })
  end)

  it("tell what the stack was asked for, and how well that was foretold", function()
    local deep = ("["):rep(40) .. ("]"):rep(40)
    for _ = 1, 3 do
      zigllms.output.parse(deep)
    end
    zigllms.output.parse("[]")
    local stack = zigllms.metrics().stack
    assert.is_true(stack.enabled)
    local learned = stack.learned["output.parse"]
    assert.equal(4, learned.samples)
    assert.is_true(learned.slots >= 80, tostring(learned.slots))
    assert.equal(learned.slots, stack.max_used)
    assert.equal(stack.operations, stack.predictions_ok + stack.over + stack.under)
    assert.is_true(stack.predictions_ok >= 2 and stack.under >= 1 and stack.over >= 1)
    assert.equal(stack.predictions_ok / stack.operations, stack.accuracy)
    assert.is_true(stack.avg_used > 1 and stack.avg_used < stack.max_used)
    assert.equal(0, stack.overflows)
  end)

  it("learn nothing where that is switched off", function()
    zigllms.configure({ stack = { learning = false } })
    assert.same({ enabled = true, learning = false }, zigllms.config().stack)
    zigllms.tool.list()
    local stack = zigllms.metrics().stack
    assert.is_true(stack.operations > 0)
    assert.same({}, stack.learned)
    zigllms.configure({ stack = { enabled = false, learning = zigllms.null } })
    zigllms.metrics({ reset = true })
    zigllms.tool.list()
    stack = zigllms.metrics().stack
    assert.is_false(stack.enabled)
    assert.equal(0, stack.operations)
    zigllms.configure({ stack = zigllms.null })
    assert.same({ enabled = true, learning = true }, zigllms.config().stack)
    raised("invalid_argument", zigllms.configure, { stack = { learn = true } })
  end)

  it("have what the contract names", function()
    local metrics = zigllms.metrics()
    local wanted = {
      batch = { "enabled", "queued", "batches", "calls", "avg_batch_size", "errors" },
      cache = { "enabled", "entries", "bytes", "hits", "misses", "evictions", "by_function" },
    }
    for part, names in pairs(wanted) do
      for _, name in ipairs(names) do
        assert.is_not_nil(metrics[part][name], part .. "." .. name)
      end
    end
    for _, reason in ipairs({ "full", "timeout", "barrier", "manual" }) do
      assert.is_number(metrics.batch.flush_reasons[reason])
    end
    assert.is_number(metrics.cache_hits + metrics.cache_misses + metrics.cache_hit_rate)
  end)

  it("start anew after a reset", function()
    zigllms.tool.list()
    assert.equal(1, zigllms.metrics({ reset = true }).bridges.tool.calls)
    assert.is_nil(zigllms.metrics().bridges.tool)
  end)

  it("are one instance's own", function()
    local other = zigllms.new()
    other.tool.list()
    assert.is_nil(zigllms.metrics().bridges.tool)
  end)
end)

describe("the text for Prometheus", function()
  local zigllms = require("zigllms").new()
  local missing = prometheus.missing()

  it("is read by its own parser: " .. (missing or "yes"), function()
    if missing then
      print("\nskipped: " .. missing)
      return
    end
    local model = scripted.new("openai", nil, zigllms)
    model:begin()
    zigllms.provider.configure("openai", { model = 'a "quoted"\\model\n' })
    model:script(scripted.text("a"), scripted.failure(400, "no"))
    zigllms.provider.chat("hi", { provider = "openai" })
    pcall(zigllms.provider.chat, "hi", { provider = "openai" })
    local families = {}
    for _, family in ipairs(prometheus.read(zigllms.metrics_text())) do
      assert.is_true(#family.help > 0, family.name)
      families[family.name] = family
    end
    local function value(name, labels, suffix)
      for _, sample in ipairs(families[name].samples) do
        local fits = not suffix or sample.name == name .. suffix
        for label, wanted in pairs(labels) do
          fits = fits and sample.labels[label] == wanted
        end
        if fits then
          return sample.value
        end
      end
    end
    assert.equal("counter", families.zigllms_calls.type)
    assert.equal(2, value("zigllms_calls", { bridge = "provider", func = "chat" }))
    assert.equal(1, value("zigllms_errors", { bridge = "provider", code = "bad_request" }))
    assert.equal(0, value("zigllms_retries", {}))
    assert.equal(0, value("zigllms_cache_hits", {}))
    assert.equal(0, value("zigllms_batch_flushes", { reason = "full" }))
    assert.is_true(value("zigllms_stack_operations", {}) > 0)
    local duration = "gen_ai_client_operation_duration_seconds"
    local asked = {
      gen_ai_operation_name = "chat",
      gen_ai_provider_name = "openai",
      gen_ai_request_model = 'a "quoted"\\model\n',
    }
    assert.equal("histogram", families[duration].type)
    assert.equal(1, value(duration, asked, "_count"))
    asked.error_type = "bad_request"
    assert.equal(1, value(duration, asked, "_count"))
    local tokens = "gen_ai_client_token_usage"
    assert.equal(10, value(tokens, { gen_ai_token_type = "input" }, "_sum"))
    assert.equal(5, value(tokens, { gen_ai_token_type = "output" }, "_sum"))
    assert.equal(0, value(tokens, { gen_ai_token_type = "output", le = "4" }, "_bucket"))
    assert.equal(1, value(tokens, { gen_ai_token_type = "output", le = "16" }, "_bucket"))
    local first = "gen_ai_client_operation_time_to_first_chunk_seconds"
    assert.equal(1, value(first, {}, "_count"))
  end)

  it("is valid before anything was called", function()
    local text = require("zigllms").new().metrics_text()
    assert.is_truthy(text:find("# TYPE zigllms_calls_total counter\n", 1, true))
    assert.equal("\n", text:sub(-1))
  end)
end)
