#!/bin/sh
# The first thing to try: an example with a real model, in this process, without a network.
set -eu
. scripts/lib.sh

scripts/build.sh quick build/quick/local 5.4 local
say "lua5.4 examples/01_hello_agent.lua"
ZIGLLMS_MODEL=$model with_module build/quick/local/5.4 lua5.4 examples/01_hello_agent.lua
