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
for engine in 5.4 jit; do
  for example in examples/*.lua; do
    [ -f "$example" ] || continue
    program=$(interpreter "$engine")
    say "$program $example"
    if logged "$log" with_module "build/quick/local/$engine" timeout 300 "$program" "$example"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      { echo "FAILED: $example on $engine"; tail -n 8 "$log" | sed 's/^/  /'; } >> "$report"
    fi
  done
done
cat "$report"
echo "examples: $passed passed, $failed failed"
[ "$failed" = 0 ]
