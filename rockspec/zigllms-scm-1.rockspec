rockspec_format = "3.0"
package = "zigllms"
version = "scm-1"
source = {
  url = "git+https://github.com/zigllms/zigllms.git",
}
description = {
  summary = "Agents, tools, workflows and language models, as one native module",
  detailed = [[
Compiled from Rust for Lua 5.1 to 5.4 and LuaJIT: needs a Rust toolchain (1.88 or newer).
With ZIGLLMS_FEATURES=local in the environment it also runs models itself (llama.cpp; needs
cmake, a C++ compiler and libclang).]],
  homepage = "https://github.com/zigllms/zigllms",
  license = "MIT",
}
dependencies = {
  "lua >= 5.1, < 5.5",
}
build = {
  type = "command",
  build_command = [[LUA="$(LUA)" sh scripts/rock-build.sh]],
  install_command = [[LUA="$(LUA)" LIBDIR="$(LIBDIR)" LUADIR="$(LUADIR)" PREFIX="$(PREFIX)" ]]
    .. [[sh scripts/rock-install.sh]],
}
test = {
  type = "command",
  command = "make test",
}
