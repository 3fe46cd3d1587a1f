# What building and installing a rock share. Sourced.

# luarocks calls both Lua 5.1 and LuaJIT "5.1", so the interpreter is asked itself.
rock_feature() {
  "$LUA" -e 'print(jit and "luajit" or "lua" .. (_VERSION:gsub("%D", "")))'
}
