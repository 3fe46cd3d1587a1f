-- Runs chunks inside Neovim, in each version that ZIGLLMS_NVIM names (programs, separated by
-- colons; alone "nvim"). Neovim is LuaJIT: it loads the module that was built for that.
local program = require("spec.support.program")

local nvim = {}

local PROLOGUE = debug.getinfo(1, "S").source:sub(2):match("^(.*)support/[^/]*$")
  .. "fixtures/nvim.lua"

local function skip(what, why)
  print(("\nSKIP Neovim (%s): %s"):format(what, why))
end

-- Whoever builds for several engines has their modules side by side.
local cpath = package.cpath:gsub("/5%.%d/", "/jit/")

local function version_of(path)
  local result = program.shell(program.quoted(path) .. " --version")
  return result.rc == 0 and result.out:match("NVIM v(%d+%.%d+%.%d+)")
end

-- Runs a chunk in a fresh Neovim: {rc, out, err}. `options.args` are its strings.
local function run(path, chunk, options)
  options = options or {}
  local file = os.tmpname()
  local handle = assert(io.open(file, "wb"))
  handle:write(chunk)
  handle:close()
  local env = options.env or {}
  env.LUA_PATH, env.LUA_CPATH = ";;", cpath
  env.NVIM_LOG_FILE, env.SPEC_CHUNK = "/dev/null", file
  for i, value in ipairs(options.args or {}) do
    env["SPEC_ARG" .. i] = value
  end
  local words = "timeout 120 %s --headless -u NONE -i NONE -n --cmd %s -c %s"
  local runtime = program.quoted("set runtimepath^=" .. (options.plugin or "/nowhere"))
  local start = program.quoted("luafile " .. PROLOGUE)
  local result = program.shell(words:format(program.quoted(path), runtime, start), env)
  os.remove(file)
  return result
end

-- Calls `body(run)` for each Neovim, inside a `describe`. What `run` runs must end well and print
-- nothing on stderr, unless it `may_complain`; what it says on stdout is shown.
function nvim.each(describe, body)
  local found = package.searchpath("zigllms", cpath)
  if not found or (not jit and cpath == package.cpath) then
    return skip("all versions", "no module for LuaJIT is beside the one for " .. _VERSION)
  end
  for path in (os.getenv("ZIGLLMS_NVIM") or "nvim"):gmatch("[^:]+") do
    local version = version_of(path)
    if version then
      describe("Neovim " .. version, function()
        body(function(chunk, options)
          local result = run(path, chunk, options)
          if result.rc ~= 0 or (result.err ~= "" and not (options or {}).may_complain) then
            error(("Neovim ended with %d: %s%s"):format(result.rc, result.out, result.err), 0)
          elseif result.out ~= "" then
            print(("\nNeovim %s: %s"):format(version, (result.out:gsub("\n$", ""))))
          end
        end)
      end)
    else
      skip(path, "there is no such program")
    end
  end
end

return nvim
