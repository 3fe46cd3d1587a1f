#!/bin/sh
# Puts @copilotkit/aimock (MIT) into the cache: a mock server that some specs ask. Where there is no
# node for it, those specs say that they are skipped.
set -eu
. scripts/lib.sh

version=1.43.0
directory=$cache/aimock
mark=$directory/$version
[ -f "$mark" ] && exit 0
if ! have node || ! have npm; then
  echo "no node and npm here: the specs of @copilotkit/aimock will be skipped"
  exit 0
fi
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number);
  process.exit(a > 20 || (a === 20 && b >= 15) ? 0 : 1)'; then
  echo "node is older than 20.15: the specs of @copilotkit/aimock will be skipped"
  exit 0
fi
say "getting @copilotkit/aimock $version (12 MB)"
mkdir -p "$directory"
if npm install --prefix "$directory" --no-audit --no-fund --ignore-scripts --loglevel=error \
  "@copilotkit/aimock@$version"; then
  touch "$mark"
else
  echo "npm did not get it; its specs will be skipped"
fi
