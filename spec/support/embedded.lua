-- The program of spec/fixtures/host.c, which embeds Lua, compiled for this engine.
local program = require("spec.support.program")

local embedded = {}
local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)support/[^/]*$") or "spec/"

-- The path of the program; nil and why there is none.
function embedded.compile()
  local engine = jit and "luajit" or "lua" .. _VERSION:match("%d%.%d")
  if not program.has("cc") then
    return nil, "there is no cc"
  elseif program.shell("pkg-config --exists " .. engine).rc ~= 0 then
    return nil, "pkg-config does not know " .. engine .. " (headers of the engine)"
  end
  local path = os.tmpname()
  local words = { "cc -O1 -o", path, here .. "fixtures/host.c", "-pthread -Wl,-E" }
  words[#words + 1] = "$(pkg-config --cflags --libs " .. engine .. ")"
  local build = program.shell("sh -c " .. program.quoted(table.concat(words, " ")))
  if build.rc ~= 0 then
    error(build.err, 0)
  end
  return path
end

return embedded
