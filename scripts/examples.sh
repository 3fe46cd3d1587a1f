#!/bin/sh
# Runs every example on both engines. None needs a network or a key.
set -eu
. scripts/lib.sh

unset OPENAI_API_KEY ANTHROPIC_API_KEY COHERE_API_KEY CO_API_KEY || true
export ZIGLLMS_MODEL="$model"
passed=0
failed=0
log=$(mktemp)
report=$log.report
: > "$report"
trap 'rm -f "$log" "$log.status" "$report"' EXIT

# run NAME ENGINE COMMAND...
run() {
  name=$1
  engine=$2
  shift 2
  say "$(interpreter "$engine") $name"
  if logged "$log" with_module "build/quick/local/$engine" timeout 300 "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    { echo "FAILED: $name on $engine"; tail -n 8 "$log" | sed 's/^/  /'; } >> "$report"
  fi
}

# A command in the folder that users copy.
in_project() { run "$1" "$2" sh -c 'cd examples/tested_agent && exec "$@"' sh "$(interpreter "$2")" "$3"; }

for engine in 5.4 jit; do
  for example in examples/*.lua; do
    if [ -f "$example" ]; then run "$example" "$engine" "$(interpreter "$engine")" "$example"; fi
  done
  in_project "examples/tested_agent" "$engine" /usr/bin/busted
  in_project "examples/tested_agent/scenarios.lua" "$engine" scenarios.lua
done
cat "$report"
echo "examples: $passed passed, $failed failed"
[ "$failed" = 0 ]
