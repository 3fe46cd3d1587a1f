#!/bin/sh
# Called by luarocks: compiles for the interpreter LUA, with Redis as a store. ZIGLLMS_FEATURES=local
# adds the embedded engine.
set -eu
. scripts/lib.sh
. scripts/rock.sh

features=$(rock_feature),redis${ZIGLLMS_FEATURES:+,$ZIGLLMS_FEATURES}
case $features in *local*) engine_environment ;; esac
cargo build --lib --release --features "$features"
scripts/copy-module.sh release "build/rock/$(rock_feature)"
