-- The JSON Schema Test Suite: what all drafts say about valid and invalid data.
--
-- Its documents (`remotes/`) are created once, under the addresses by which its schemas refer to
-- them; `formats=false` is the standard's default. Format tests check formats.
local corpora = require("spec.support.corpora")
local zigllms = require("zigllms")

local schema, parse = zigllms.schema, zigllms.output.parse
local unpack = table.unpack or unpack -- luacheck: ignore

local HERE = "http://localhost:1234/"

-- Tests in the root of each draft, in optional/ and in optional/format/, and how many of the latter
-- two pass at least.
local DRAFTS = {
  { name = "draft4", draft = "4", core = 618 },
  { name = "draft6", draft = "6", core = 839 },
  { name = "draft7", draft = "7", core = 927 },
  { name = "draft2019-09", draft = "2019-09", core = 1259 },
  { name = "draft2020-12", draft = "2020-12", core = 1299 },
}

-- Of the tests of what is optional in all drafts, and of formats.
local OPTIONAL, FORMATS = 600, 2700

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

-- The remotes as Lua tables by their addresses.
local function remotes(suite)
  local found, root = {}, suite .. "/remotes/"
  each(suite .. "/remotes", function(path)
    found[HERE .. path:sub(#root + 1)] = read(path)
  end)
  return found
end

local function create_remotes(suite)
  for uri, document in pairs(remotes(suite)) do
    pcall(schema.create, document, { name = uri })
  end
end
