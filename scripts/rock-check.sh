#!/bin/sh
# Installs the rock for Lua 5.4 and LuaJIT into an empty tree and loads it from elsewhere.
set -eu
. scripts/lib.sh

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# rock VERSION INTERPRETER
rock() {
  say "luarocks make for $2"
  luarocks --lua-version="$1" --tree="$tree/$1" make rockspec/zigllms-scm-1.rockspec LUA="$2"
  (
    cd /
    unset LUA_CPATH_5_4
    LUA_CPATH="$tree/$1/lib/lua/$1/?.so" "$2" -e '
      local zigllms = require("zigllms")
      print("loaded", _VERSION, zigllms._VERSION)'
  )
}

rock 5.4 "$(command -v lua5.4)"
luajit=$(interpreter jit)
rock 5.1 "$(command -v "$luajit")"
