#!/bin/sh
# build.sh PROFILE DIRECTORY ENGINE [FEATURE]: builds the module for one engine (5.1, 5.2, 5.3,
# 5.4 or jit) and leaves it as DIRECTORY/ENGINE/zigllms.so.
set -eu
. scripts/lib.sh

profile=$1
destination=$2/$3
features=$(features "$3" "${4:-}")
case $features in *local*) engine_environment ;; esac

say "building for $3 ($features, profile $profile)"
cargo build --lib --profile "$profile" --features "$features"
scripts/copy-module.sh "$profile" "$destination"
