#!/bin/sh
# copy-module.sh PROFILE DIRECTORY: copies what was built last. Programs that have the old module
# loaded keep it.
set -eu
. scripts/lib.sh

for built in libzigllms.so libzigllms.dylib; do
  file=$CARGO_TARGET_DIR/$1/$built
  [ -f "$file" ] || continue
  mkdir -p "$2"
  cp "$file" "$2/zigllms.so.new"
  mv "$2/zigllms.so.new" "$2/zigllms.so"
  exit 0
done
die "cargo has left no module in $CARGO_TARGET_DIR/$1"
