#!/bin/sh
# Puts prometheus-client (Apache-2.0) into the cache: its parser reads what `metrics_text` writes.
# Where there is no Python for it, that spec says that it is skipped.
set -eu
. scripts/lib.sh

version=0.21.1
directory=$cache/prometheus
mark=$directory/$version
[ -f "$mark" ] && exit 0
if ! have python3; then
  echo "no python3 here: the spec of the text for Prometheus will be skipped"
  exit 0
fi
say "getting prometheus-client $version"
if python3 -m venv "$directory" &&
  "$directory/bin/pip" install --quiet --disable-pip-version-check "prometheus-client==$version"; then
  touch "$mark"
else
  echo "pip did not get it; the spec of the text for Prometheus will be skipped"
fi
