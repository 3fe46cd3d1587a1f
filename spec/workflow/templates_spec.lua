-- Templates: what they see, what they give, and what they never do.
local zigllms = require("zigllms")
local flow = require("spec.support.flow")
local raised = require("spec.support.raised")

local function keep(ctx)
  return ctx.input
end

-- The value of a template as the input of a step, behind steps that have ended.
local function value(template, input, more)
  local definition = {
    name = "named",
    variables = { n = 5, list = { "a", "b" }, ["odd key"] = "odd", none = zigllms.null },
    steps = {
      {
        id = "first",
        fn = function()
          return {
            text = "hello",
            list = { 1, 2, { deep = true } },
            ["a.b"] = 1,
            ["}}"] = 2,
            zero = 0,
            no = false,
          }
        end,
      },
      { id = "skipped", fn = keep, when = "false" },
      {
        id = "failed",
        fn = function()
          error("boom")
        end,
        continue_on_error = true,
      },
      {
        id = "fallen",
        fn = function()
          error("boom")
        end,
        continue_on_error = true,
        default = { x = 1 },
      },
      { id = "void", fn = function() end },
    },
  }
  for _, step in ipairs(more or {}) do
    table.insert(definition.steps, step)
  end
  table.insert(definition.steps, { id = "asked", input = template, fn = keep })
  return flow(definition, input).output
end

describe("a template", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  for _, case in ipairs({
    { "{{input}}", { 1 }, { 1 } },
    { "{{ input }}", "x", "x" },
    { "{{input.a.b[2]}}", { a = { b = { "x", "y" } } }, "y" },
    { '{{input["any key"]}}', { ["any key"] = 5 }, 5 },
    { '{{input["a.b"].c}}', { ["a.b"] = { c = false } }, false },
    { "{{steps.first.output.list[3].deep}}", nil, true },
    { '{{steps.first.output["a.b"]}}', nil, 1 },
    { '{{steps.first.output["}}"]}}', nil, 2 },
    { '{{steps["first"].output.no}}', nil, false },
    { "{{step.first.result.zero}}", nil, 0 },
    { "{{steps.first.status}}", nil, "completed" },
    { "{{steps.skipped.status}}", nil, "skipped" },
    { "{{steps.failed.status}} {{steps.fallen.status}}", nil, "failed failed" },
    { "{{steps.fallen.output.x}}", nil, 1 },
    { "{{steps.first.attempts}}", nil, 1 },
    { "{{variables.n}} {{vars.list[1]}}", nil, "5 a" },
    { '{{vars["odd key"]}}', nil, "odd" },
    { "{{workflow.name}}", nil, "named" },
    { "{{previous.id}}", nil, "void" },
    { "{{input}}{{input}}", "ab", "abab" },
    { "n={{input}} t={{vars.list}}", 1.5, 'n=1.5 t=["a","b"]' },
    { " {{input}}", 5, " 5" },
    { "{{input}} and \\{{input}}", true, "true and {{input}}" },
    { "\\{{input}}", 1, "{{input}}" },
    { "{{input | json}}", { a = 1 }, '{"a":1}' },
    { "{{input | json}}", 'q"', '"q\\""' },
    { "<{{input|trim}}>", "  a b \n", "<a b>" },
    { "{{input | trim | json}}", " x ", '"x"' },
    { '{{input.nothing | default("x")}}', {}, "x" },
    { "{{input.nothing | default(5)}}", {}, 5 },
    { "{{input.nothing | default([1,2])}}", {}, { 1, 2 } },
    { "{{input.a.b.c | default('deep')}}", {}, "deep" },
    { "{{steps.later.output | default('none yet')}}", nil, "none yet" },
    { "a{{input.nothing | default(nil)}}b", {}, "ab" },
    { "{{input.no | default(true)}}", { no = false }, false },
    { "{{input | default('stands in')}}", nil, "stands in" },
    { "{{vars.none | default('for null')}}", nil, "for null" },
    { "no }} template { {", nil, "no }} template { {" },
  }) do
    it(("%s of %s"):format(case[1], zigllms.output.format(case[2], "json")), function()
      assert.same(case[3], value(case[1], case[2]))
    end)
  end

  it("stands in every text of an input", function()
    assert.same(
      { a = { "1", { b = 1 } }, c = true, d = "plain" },
      value({ a = { "{{input}}", { b = "{{input}}" } }, c = true, d = "plain" }, "1")
        and value({ a = { "1", { b = "{{input}}" } }, c = true, d = "plain" }, 1)
    )
  end)

  it("alone keeps the value itself, tables and functions too", function()
    local thing = { print }
    assert.equal(thing, value("{{input}}", thing))
    assert.equal(thing, value({ x = { "{{input}}" } }, thing).x[1])
    assert.equal(print, value("{{input[1]}}", thing))
  end)

  it("the outputs that are nothing are nothing, not missing", function()
    assert.is_nil(value("{{steps.void.output}}"))
    assert.is_nil(value("{{steps.failed.output}}"))
    assert.is_nil(value("{{steps.skipped.output}}"))
    assert.is_nil(value("{{input}}"))
  end)

  describe("that leads nowhere", function()
    for _, case in ipairs({
      { "{{input.nam}}", { name = 1, other = 2 }, { "input.nam", "name" } },
      {
        "{{steps.first.output.list[9]}}",
        nil,
        { "steps.first.output.list[9]", "[9]", "steps.first.output.list" },
      },
      { "{{steps.frist.output}}", nil, { "steps.frist.output", "first" } },
      { "{{steps.later.output}}", nil, { "steps.later.output", "later" } },
      { "{{variables.x}}", nil, { "variables.x", "n" } },
      { "{{loop.item}}", nil, { "loop.item", "loop" } },
      { "x {{input}}", nil, { "{{input}}" } },
      { "{{input.a.b}}", { a = 5 }, { "input.a.b", "number" } },
      { "{{input.1}}", { "a" }, { "no 1 in input", "which has [1]" } },
      { "{{previous.ouput}}", nil, { "no ouput in previous" } },
      { "{{output}}", nil, { "no output in an execution" } },
    }) do
      it(case[1] .. " is told with the nearest path", function()
        local err = raised("template_error", value, case[1], case[2])
        local text = tostring(err)
        for _, part in ipairs(case[3]) do
          assert.truthy(text:find(part, 1, true), text)
        end
        assert.equal("asked", err.details.step_id)
      end)
    end

    it("can be gone over", function()
      local result = flow({
        { id = "a", input = "{{input.x}}", fn = keep, continue_on_error = true, default = "d" },
        { id = "b", fn = keep },
      }, {})
      assert.equal("d", result.output)
      assert.equal("template_error", result.steps.a.error.code)
      assert.equal("failed", result.steps.a.status)
    end)

    it("is not tried again", function()
      local result = flow({
        {
          id = "a",
          input = "{{input.x}}",
          fn = keep,
          retry = { max_attempts = 5, backoff_ms = 1 },
        },
      }, {}, { on_error = "return" })
      assert.equal("failed", result.status)
      assert.equal(1, result.steps.a.attempts)
    end)
  end)

  it("that can be none is refused at the definition", function()
    for _, case in ipairs({
      "{{",
      "{{input",
      "{{input | nofilter}}",
      "{{input | default(x)}}",
      "{{}}",
    }) do
      local definition = { steps = { { input = { a = case }, fn = keep } } }
      local err = raised("validation_failed", zigllms.workflow.create, definition)
      assert.truthy(tostring(err):find("steps[1].input.a", 1, true), tostring(err))
    end
  end)

  describe("injection", function()
    local evil = "{{variables.secret}} {{input}} \\{{x}} {{steps.a.output | json}} {{no.such}}"

    it("what is put in is never looked at again", function()
      local result = flow({
        variables = { secret = "s3cret" },
        steps = {
          {
            id = "a",
            fn = function()
              return evil
            end,
          },
          {
            id = "b",
            input = { t = "say: {{previous.output}}", whole = "{{previous.output}}" },
            fn = keep,
          },
          { id = "c", input = { "{{previous.output.t}}", "{{previous.output}}" }, fn = keep },
          { id = "d", type = "transform", template = "{{previous.output[1]}}" },
          { id = "e", fn = keep, output = "{{output}}" },
          { id = "f", type = "delay", duration_ms = 0 },
        },
      })
      assert.equal("say: " .. evil, result.output)
      assert.equal(evil, result.steps.b.output.whole)
      assert.equal(evil, result.steps.c.output[2].whole)
      assert.equal(result.steps.b.output, result.steps.c.output[2])
    end)

    it("also in keys, in the input of the workflow, in variables and in defaults", function()
      local got = flow({
        variables = { v = evil },
        steps = {
          {
            id = "x",
            fn = function()
              error("x")
            end,
            continue_on_error = true,
            default = "{{input}}",
          },
          { id = "y", input = { "{{input}}", "{{vars.v}}", "{{steps.x.output}}" }, fn = keep },
        },
      }, evil).output
      assert.same({ evil, evil, "{{input}}" }, got)
    end)

    it("a condition sees it as a text", function()
      local got = flow({
        {
          id = "a",
          fn = function()
            return '" == "" or true or "'
          end,
        },
        {
          id = "b",
          when = '{{previous.output}} == "x"',
          fn = function()
            return "ran"
          end,
        },
      })
      assert.equal("skipped", got.steps.b.status)
    end)
  end)

  it("sees no metatables", function()
    local trap = setmetatable({}, {
      __index = function()
        error("called")
      end,
    })
    raised("template_error", value, "{{input.x}}", trap)
  end)

  it("long ones cost little", function()
    local text = ("{{input}} "):rep(2000)
    assert.equal(("x "):rep(2000), value(text, "x"))
  end)
end)
