#!/bin/sh
# Puts the Python SDKs of OpenAI (Apache-2.0), Anthropic (MIT) and Cohere (MIT) into the cache: they
# ask the server of our mocks. Where there is no Python for them, their spec says that it is skipped.
set -eu
. scripts/lib.sh

openai=3.54.0
anthropic=2.12.0
cohere=7.3.1
directory=$cache/sdks
mark=$directory/$openai-$anthropic-$cohere
[ -f "$mark" ] && exit 0
if ! have python3; then
  echo "no python3 here: the spec of the vendors' SDKs will be skipped"
  exit 0
fi
say "getting the SDKs of OpenAI, Anthropic and Cohere from PyPI (170 MB)"
rm -rf "$directory"
if python3 -m venv "$directory" &&
  "$directory/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check \
    "openai==$openai" "anthropic==$anthropic" "cohere==$cohere"; then
  touch "$mark"
else
  echo "pip did not get them; the spec of the vendors' SDKs will be skipped"
fi
