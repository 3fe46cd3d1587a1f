#!/bin/sh
# Puts MCP servers and clients that are not ours into the cache: npm's server-everything,
# server-filesystem, the official SDK and the Inspector, and PyPI's mcp-server-time with the SDK for Python. Where
# there is no node or no pip for them, their specs say that they are skipped.
set -eu
. scripts/lib.sh

servers=2026.8.31
sdk=1.32.2
inspector=2.12.0
time=2026.10.19
directory=$cache/mcp

new_enough() {
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'
}

from_npm() {
  mark=$directory/npm-$servers-$sdk
  [ -f "$mark" ] && return
  if ! have node || ! have npm || ! new_enough; then
    echo "no node 20 with npm here: specs of MCP peers will be skipped"
    return
  fi
  say "getting MCP servers from npm (50 MB)"
  mkdir -p "$directory"
  if npm install --prefix "$directory" --no-audit --no-fund --ignore-scripts --loglevel=error \
    "@modelcontextprotocol/server-everything@$servers" \
    "@modelcontextprotocol/server-filesystem@$servers" "@modelcontextprotocol/sdk@$sdk"; then
    touch "$mark"
  else
    echo "npm did not get them; their specs will be skipped"
  fi
}

# Its package asks for node 22; its command line works with 20.
inspector() {
  mark=$directory/inspector-$inspector
  [ -f "$mark" ] && return
  if ! have node || ! have npm || ! new_enough; then
    return
  fi
  say "getting the MCP Inspector from npm (110 MB)"
  rm -rf "$directory/inspector"
  mkdir -p "$directory/inspector"
  if npm install --prefix "$directory/inspector" --no-audit --no-fund --ignore-scripts \
    --loglevel=error "@modelcontextprotocol/inspector@$inspector"; then
    touch "$mark"
  else
    echo "npm did not get it; its spec will be skipped"
  fi
}

from_pypi() {
  mark=$directory/pypi-$time
  [ -f "$mark" ] && return
  say "getting mcp-server-time from PyPI (50 MB)"
  rm -rf "$directory/python"
  mkdir -p "$directory"
  if python3 -m pip install --target "$directory/python" --no-cache-dir --no-compile --quiet \
    --root-user-action=ignore --disable-pip-version-check "mcp-server-time==$time"; then
    touch "$mark"
  else
    echo "pip did not get it; its specs will be skipped"
  fi
}

from_npm
inspector
from_pypi
