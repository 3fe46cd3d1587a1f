#!/bin/sh
# Runs the benchmarks on both engines, with the modules that `make build` left.
set -eu
. scripts/lib.sh

export ZIGLLMS_NGINX="$nginx"
for engine in 5.4 jit; do
  for bench in bench/*.lua; do
    [ -f "$bench" ] || continue
    say "$(interpreter "$engine") $bench"
    with_module "build/$engine" "$(interpreter "$engine")" "$bench"
  done
done
if [ -x "$newer_neovim" ]; then
  say "nvim -l bench/wakeup.lua"
  with_module build/jit "$newer_neovim" -l bench/wakeup.lua
fi
