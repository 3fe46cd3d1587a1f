#!/bin/sh
# Format and static checks of Rust and Lua.
set -eu
. scripts/lib.sh

lua_folders() {
  for folder in src spec examples bench types tools; do
    [ -d "$folder" ] || continue
    [ -z "$(find "$folder" -name '*.lua' -print -quit)" ] || echo "$folder"
  done
}

# The formatter is compiled once and kept in the cache.
stylua() {
  version=2.6.0
  program=$cache/stylua-$version/bin/stylua
  if [ ! -x "$program" ]; then
    say "compiling stylua $version (once)"
    CARGO_TARGET_DIR=$cache/stylua-build cargo install --quiet --locked stylua \
      --version "$version" --no-default-features --features lua54,luajit \
      --root "$cache/stylua-$version"
    rm -rf "$cache/stylua-build"
  fi
  "$program" "$@"
}

say "cargo fmt --check"
cargo fmt --check

engine_environment
for features in '' lua54,redis luajit local; do
  say "cargo clippy${features:+ --features $features}"
  cargo clippy --quiet --profile quick --all-targets --features "$features" -- -D warnings
done

folders=$(lua_folders)
if [ -n "$folders" ]; then
  # shellcheck disable=SC2086 # a list of words
  say luacheck && luacheck --quiet $folders
  # shellcheck disable=SC2086
  say stylua && stylua --check $folders
fi
echo "lint: ok"
