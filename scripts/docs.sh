#!/bin/sh
# Writes the generated documents anew from the module's own tables.
set -eu
. scripts/lib.sh

with_module build/5.4 lua5.4 tools/docs.lua
