#!/bin/sh
# Puts junitparser (Apache-2.0) and tap.py (BSD) of PyPI into the cache: they read reports of suites.
# Where there is no Python for them, those specs say that they are skipped.
set -eu
. scripts/lib.sh

junit=5.0.3
tap=3.2.1
directory=$cache/reports
mark=$directory/$junit-$tap
[ -f "$mark" ] && exit 0
if ! have python3; then
  echo "no python3 here: specs that read reports will be skipped"
  exit 0
fi
say "getting junitparser $junit and tap.py $tap"
rm -rf "$directory"
mkdir -p "$directory"
if python3 -m pip install --target "$directory/python" --no-cache-dir --no-compile --quiet \
  --root-user-action=ignore --disable-pip-version-check "junitparser==$junit" "tap.py==$tap" \
  "PyYAML==6.0.3" "more-itertools==11.2.1"; then
  touch "$mark"
else
  echo "pip did not get them; specs that read reports will be skipped"
fi
