#!/bin/sh
# Called by luarocks: installs the module into LIBDIR, what editors read into LUADIR, and the
# documents into PREFIX.
set -eu
. scripts/lib.sh
. scripts/rock.sh

mkdir -p "$LIBDIR"
cp "build/rock/$(rock_feature)/zigllms.so" "$LIBDIR/zigllms.so"
if [ -f types/zigllms.lua ]; then
  mkdir -p "$LUADIR/zigllms"
  cp types/zigllms.lua "$LUADIR/zigllms/meta.lua"
fi
if [ -d doc ]; then
  mkdir -p "$PREFIX"
  cp -R doc "$PREFIX/"
fi
