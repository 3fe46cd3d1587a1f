#!/bin/sh
# Puts Mermaid and a DOM for it into the cache (30 MB), so that specs can draw the graphs of workflows.
# Where there is no node, or no npm for it, those specs say that they are skipped.
set -eu
. scripts/lib.sh

mermaid=11.17.2
jsdom=26.1.0
directory=$cache/mermaid
mark=$directory/npm-$mermaid-$jsdom

[ -f "$mark" ] && exit 0
if ! have node || ! have npm; then
  echo "no node with npm here: graphs of workflows will not be drawn"
  exit 0
fi
say "getting Mermaid from npm (30 MB)"
mkdir -p "$directory"
# Of Mermaid one file is enough; its package brings 150 others.
if npm install --prefix "$directory" --no-audit --no-fund --ignore-scripts --loglevel=error \
  "jsdom@$jsdom" && (cd "$directory" && npm pack --loglevel=error "mermaid@$mermaid" &&
    tar -xzf "mermaid-$mermaid.tgz" package/dist/mermaid.min.js); then
  rm -f "$directory/mermaid-$mermaid.tgz"
  touch "$mark"
else
  echo "npm did not get it; graphs of workflows will not be drawn"
fi
