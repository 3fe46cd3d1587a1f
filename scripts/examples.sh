#!/bin/sh
# Runs every example on both engines. None needs a network or a key.
set -eu
. scripts/lib.sh

unset OPENAI_API_KEY ANTHROPIC_API_KEY COHERE_API_KEY CO_API_KEY || true
export ZIGLLMS_MODEL="$model"
passed=0
failed=0
for engine in 5.4 jit; do
  for example in examples/*.lua; do
    [ -f "$example" ] || continue
    say "$(interpreter "$engine") $example"
    if with_module "build/quick/local/$engine" \
      timeout 300 "$(interpreter "$engine")" "$example" </dev/null; then
      passed=$((passed + 1))
    else
      echo "FAILED: $example on $engine"
      failed=$((failed + 1))
    fi
  done
done
echo "examples: $passed passed, $failed failed"
[ "$failed" = 0 ]
