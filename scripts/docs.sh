#!/bin/sh
# Writes the generated documents anew from the module's own tables.
set -eu
. scripts/lib.sh

[ -f doc/generate.lua ] || die "doc/generate.lua is missing"
with_module build/5.4 lua5.4 doc/generate.lua
