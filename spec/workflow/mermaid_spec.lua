-- Workflows as flowcharts.
local mermaid = require("spec.support.mermaid")
local raised = require("spec.support.raised")
local zigllms = require("zigllms")

local workflow = zigllms.workflow

local function noop() end

local function graph(definition)
  return workflow.to_mermaid(workflow.create(definition))
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), part .. " is not in\n" .. text)
end

-- Names that are syntax somewhere in Mermaid.
local NASTY = {
  "end",
  'a"b',
  "%%{init: {}}%%",
  "1 one",
  "x;y#z",
  "<b>bold</b>",
  "`code`",
  "subgraph",
  "ünï日本",
  "graph TD",
  "-->|x|",
  "style: #x;",
  "- item",
  "a\nb",
  "#quot;",
  "&amp;",
  "{{x}}",
  "click n0 call f()",
  "---",
}

local function nasty()
  local steps = {}
  for i, name in ipairs(NASTY) do
    steps[i] = { id = name, fn = noop }
  end
  return { name = 'n"[x]', steps = steps }
end

-- One of everything.
local EVERYTHING = {
  name = "all",
  steps = {
    { id = "ask", agent = "bob", continue_on_error = true },
    { id = "look", tool = "calculator", condition = "{{previous.output}} > 1" },
    {
      id = "if",
      condition = "{{input.ok}}",
      if_true = { { id = "yes", fn = noop } },
      if_false = { { duration_ms = 5 } },
    },
    {
      id = "fan",
      type = "parallel",
      steps = {
        { id = "p1", template = "x" },
        { id = "p2", workflow = "child", depends_on = { "p1" } },
        { id = "each", over = "{{input}}", steps = { { id = "in", event = "e" } } },
      },
    },
    { id = "turns", type = "loop", count = 3, steps = { { id = "body", code = "return 1" } } },
    { id = "nothing", steps = {} },
  },
}

describe("workflow.to_mermaid", function()
  before_each(zigllms.reset)
  teardown(zigllms.reset)

  it("draws steps in order, and says what they do", function()
    local text = graph(EVERYTHING)
    assert.equal("flowchart TD\n", text:match("^[^\n]*\n"))
    has(text, '{{"ask<br/>agent bob"}}')
    has(text, '[["look<br/>tool calculator"]]')
    has(text, '-.->|"failed"|')
    has(text, '-->|"yes"|')
    has(text, '-->|"no"|')
    has(text, '-->|"again"|')
    has(text, '-->|"each"|')
    has(text, "subgraph box")
    has(text, "turns<br/>3 times")
    has(text, "wait 5 ms")
    has(text, "no steps")
    raised("not_found", workflow.to_mermaid, "nobody")
  end)

  it("leads from the start to the end, past every step", function()
    for _, definition in ipairs({ EVERYTHING, nasty(), { steps = {} } }) do
      for _, pattern in ipairs({ "sequential", "parallel" }) do
        local text = graph({ pattern = pattern, steps = definition.steps })
        local nodes, into, out = 0, {}, {}
        for _ in text:gmatch("\n%s+n%d+[%[({>]") do
          nodes = nodes + 1
        end
        for from, to in text:gmatch("\n  (n%d+) %-%.?%->?[^\n]* (n%d+)") do
          out[from], into[to] = true, true
        end
        for i = 0, nodes - 1 do
          assert.is_true(into["n" .. i] or i == 0, "nothing leads to n" .. i .. "\n" .. text)
          assert.is_true(
            out["n" .. i] or i == nodes - 1,
            "nothing leads from n" .. i .. "\n" .. text
          )
        end
      end
    end
  end)

  it("shows names, and not the ids behind them", function()
    has(
      graph({ steps = { { id = "s", name = "The step", fn = noop } } }),
      '"The step<br/>function"'
    )
  end)

  it("shortens what is long, and stays small with many steps", function()
    local text = graph({ steps = { { id = ("long "):rep(1000), fn = noop } } })
    assert.is_true(#text < 2000)
    local steps = {}
    for i = 1, 5000 do
      steps[i] = { fn = noop, condition = i % 2 == 0 and "{{input}}" or nil }
    end
    local began = os.clock()
    assert.is_true(#graph({ steps = steps }) < 1e6)
    assert.is_true(os.clock() - began < 10)
  end)

  describe("of an execution", function()
    -- The class of each node or box, by what is written in it first.
    local function looks(text)
      local labels, found = {}, {}
      for name, label in text:gmatch('(%w+)[%[%](){}/\\>]+"([^"<]*)') do
        labels[name] = label
      end
      for names, look in text:gmatch("\n  class (%S+) (%w+)") do
        has(text, "classDef " .. look .. " ")
        for name in names:gmatch("[^,]+") do
          found[labels[name]] = look
        end
      end
      return found
    end

    local function expect(execution, expected)
      local found = looks(workflow.to_mermaid(execution))
      for label, look in pairs(expected) do
        assert.equal(look, found[label], label)
      end
    end

    local steps = {
      { id = "a", template = "x" },
      { id = "not", template = "x", condition = "{{input.skip}} ~= true" },
      {
        id = "group",
        type = "parallel",
        steps = {
          { id = "b", template = "x" },
          { id = "l", count = 2, steps = { { fn = noop } } },
        },
      },
      { id = "c", tool = "look" },
      { id = "d", template = "x" },
    }

    it("shows how each step stands", function()
      zigllms.tool.register({ name = "look", execute = noop })
      local id = workflow.create({ name = "w", steps = steps })
      local result = workflow.execute(id, { skip = true })
      local all = { a = "completed", ["not"] = "skipped", b = "completed", l = "completed" }
      all.group, all.c, all.d = "completed", "completed", "completed"
      all.step_1, all.output = "completed", "edge"
      expect(result.execution_id, all)
      has(workflow.to_mermaid(result.execution_id), '"w<br/>completed"')
      assert.is_nil(workflow.to_mermaid(id):find("class [%w,]+ completed"))
    end)

    it("shows where it failed, where it stands and where it stopped", function()
      local graphs = {}
      zigllms.tool.register({
        name = "look",
        execute = function(_, ctx)
          graphs[#graphs + 1] = workflow.to_mermaid(ctx.execution_id)
          error("no")
        end,
      })
      local id = workflow.create({ steps = steps })
      local failed = workflow.execute(id, { skip = false }, { on_error = "return" })
      expect(failed.execution_id, { ["not"] = "completed", c = "failed", d = "pending" })
      local found = looks(graphs[1])
      assert.same({ "completed", "running", "pending" }, { found.a, found.c, found.d })
      local paused = workflow.execute(workflow.create({
        steps = {
          {
            id = "first",
            fn = function(ctx)
              workflow.pause(ctx.workflow.execution_id)
            end,
          },
          { id = "second", fn = noop },
        },
      }))
      expect(paused.execution_id, { first = "completed", second = "pending" })
    end)

    it("is drawn inside of loops and groups that stop", function()
      local paused = workflow.execute(workflow.create({
        steps = {
          {
            id = "outer",
            count = 2,
            steps = {
              {
                id = "in",
                fn = function(ctx)
                  workflow.pause(ctx.workflow.execution_id)
                end,
              },
              { id = "rest", fn = noop },
            },
          },
        },
      }))
      local id = paused.execution_id
      expect(id, { outer = "paused", ["in"] = "completed", rest = "pending" })
      assert.is_true(workflow.cancel(id))
      has(workflow.to_mermaid(id), "<br/>cancelled")
    end)
  end)

  if mermaid.is_there() then
    it("is drawn by Mermaid with the states of an execution", function()
      local failing = {
        id = "bad",
        fn = function()
          error("no")
        end,
        continue_on_error = true,
      }
      local result = workflow.execute(workflow.create({
        steps = {
          failing,
          { id = "skipped", fn = noop, condition = "1 == 2" },
          { id = "box", count = 1, steps = { { id = "in", fn = noop } } },
          { id = "fan", type = "parallel", steps = { { id = "p", fn = noop } } },
        },
      }))
      local picture = mermaid.draw({ workflow.to_mermaid(result.execution_id) })[1]
      assert.is_nil(picture.error)
      local classes = {}
      for _, node in ipairs(picture.classes) do
        classes[node.text] = " " .. node.class .. " "
      end
      for text, class in pairs({
        badfunction = "failed",
        skippedfunction = "skipped",
        infunction = "completed",
        ["box1 times"] = "completed",
        output = "edge",
      }) do
        has(assert(classes[text], text), " " .. class .. " ")
      end
    end)

    it("is drawn by Mermaid with every name as it is", function()
      local pictures = mermaid.draw({
        graph(nasty()),
        graph(EVERYTHING),
        graph({ steps = {} }),
        graph({ pattern = "parallel", steps = {} }),
        graph({
          pattern = "conditional",
          steps = {
            { id = "a", fn = noop, condition = '{{input}} == "x"' },
            { id = "b", fn = noop },
          },
        }),
        graph({ pattern = "loop", items = { 1 }, steps = { { id = "a", fn = noop } } }),
        "flowchart TD\n  a -->",
      })
      for i = 1, #pictures - 1 do
        assert.is_nil(pictures[i].error, i .. ": " .. tostring(pictures[i].error))
      end
      assert.is_string(pictures[#pictures].error)
      local shown = pictures[1].nodes
      assert.equal('n"[x]', shown[1])
      for i, name in ipairs(NASTY) do
        assert.equal((name:gsub("\n", " ")) .. "function", shown[i + 1])
      end
      assert.equal(#NASTY + 1, pictures[1].edges)
      local boxes = pictures[2].boxes
      table.sort(boxes)
      assert.same({ "eacheach of {{input}}", "nothing", "turns3 times" }, boxes)
      local first = pictures[5].nodes
      assert.equal('{{input}} == "x"', first[2])
    end)
  end
end)
