-- The JSON Schema Test Suite: what all drafts say about valid and invalid data.
--
-- Its documents (`remotes/`) are created once, under the addresses by which its schemas refer to
-- them; `formats=false` is the standard's default. Format tests check formats.
local corpora = require("spec.support.corpora")
local zigllms = require("zigllms")

local schema, parse = zigllms.schema, zigllms.output.parse

local HERE = "http://localhost:1234/"

-- Tests in the root of each draft.
local DRAFTS = {
  { name = "draft4", draft = "4", core = 618 },
  { name = "draft6", draft = "6", core = 839 },
  { name = "draft7", draft = "7", core = 927 },
  { name = "draft2019-09", draft = "2019-09", core = 1259 },
  { name = "draft2020-12", draft = "2020-12", core = 1299 },
}

-- How many tests of what is optional there are, and of formats, over all drafts.
local OPTIONAL, FORMATS = 640, 2745

-- The only one that fails: where numbers have no subtype, 1.0 is an integer in draft 4 too.
local LOST = math.type and 0 or 1

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return parse(text, { format = "json", recovery = "strict", max_depth = 1000 })
end

local function files(folder)
  local lfs, found = require("lfs"), {}
  for name in lfs.dir(folder) do
    if name:sub(1, 1) ~= "." then
      local path = folder .. "/" .. name
      found[#found + 1] = { path = path, folder = lfs.attributes(path, "mode") == "directory" }
    end
  end
  table.sort(found, function(a, b)
    return a.path < b.path
  end)
  return found
end

local function each(folder, visit)
  for _, file in ipairs(files(folder)) do
    if file.folder then
      each(file.path, visit)
    elseif file.path:find("%.json$") then
      visit(file.path)
    end
  end
end

-- Those in the folder of a draft are of that draft.
local function create_remotes(suite)
  for _, it_is in ipairs(DRAFTS) do
    DRAFTS[it_is.name] = it_is.draft
  end
  local root = suite .. "/remotes/"
  each(suite .. "/remotes", function(path)
    local name = path:sub(#root + 1)
    local folder = name:match("^(draft[^/]*)/") or name:match("^v1/")
    if not folder or DRAFTS[folder] then
      schema.create(read(path), { name = HERE .. name, draft = DRAFTS[folder] })
    end
  end)
end

local ASSERTION = "/optional/format-assertion.json"

-- Runs the tests of a file; gives how many there are and the names of those that failed.
local function run(path, draft, formats, failed)
  local count, options = 0, { draft = draft, formats = formats }
  for _, group in ipairs(read(path)) do
    local ok, compiled = pcall(schema.compile, group.schema, options)
    for _, test in ipairs(group.tests) do
      count = count + 1
      local valid
      if ok then
        valid = compiled:check(test.data)
      end
      if valid ~= test.valid then
        local reason = ok and "" or ": " .. compiled.message
        failed[#failed + 1] = path:match("[^/]*/[^/]*$") .. ": " .. test.description .. reason
      end
    end
  end
  return count
end

local function run_folder(folder, draft, formats, failed)
  local count = 0
  for _, file in ipairs(files(folder)) do
    if not file.folder and file.path:sub(-#ASSERTION) ~= ASSERTION then
      count = count + run(file.path, draft, formats, failed)
    end
  end
  return count
end

describe("JSON-Schema-Test-Suite", function()
  local suite = corpora.folder .. "/json-schema-test-suite"
  if not io.open(suite .. "/LICENSE") then
    print("no corpora: " .. suite .. " is absent")
    pending("is passed")
    return
  end

  setup(function()
    create_remotes(suite)
  end)

  teardown(function()
    zigllms.reset()
  end)

  for _, it_is in ipairs(DRAFTS) do
    it("is passed by the core of " .. it_is.name, function()
      local failed = {}
      local count = run_folder(suite .. "/tests/" .. it_is.name, it_is.draft, false, failed)
      assert.are.same({}, failed)
      assert.are.equal(it_is.core, count)
    end)
  end

  local function all(folder, formats)
    local count, failed = 0, {}
    for _, it_is in ipairs(DRAFTS) do
      local before, root = #failed, suite .. "/tests/" .. it_is.name
      local n = run_folder(root .. folder, it_is.draft, formats, failed)
      -- These lie among the optional ones.
      if formats and io.open(root .. ASSERTION) then
        n = n + run(root .. ASSERTION, it_is.draft, formats, failed)
      end
      count = count + n
      print(("%s%s: %d/%d"):format(it_is.name, folder, n - (#failed - before), n))
    end
    if os.getenv("ZIGLLMS_VERBOSE") then
      print(table.concat(failed, "\n"))
    end
    return count, count - #failed
  end

  it("is passed by what is optional", function()
    local count, passed = all("/optional", false)
    assert.are.equal(OPTIONAL, count)
    assert.is_true(passed >= OPTIONAL - LOST)
  end)

  it("is passed by formats", function()
    local count, passed = all("/optional/format", true)
    assert.are.same({ FORMATS, FORMATS }, { count, passed })
  end)
end)
