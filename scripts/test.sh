#!/bin/sh
# All tests. Each stage runs even if one before it failed. At the end stands once more, in short,
# what failed, and what passed only alone; the last line is the sum.
set -eu
. scripts/lib.sh

passed=0
failed=0
unsteady=0
log=$(mktemp)
report=$log.report
: > "$report"
trap 'rm -f "$log" "$log".*' EXIT
export ZIGLLMS_TEST_GGUF="$model" ZIGLLMS_LLAMA_SERVER="$llama_server" ZIGLLMS_NGINX="$nginx"
ZIGLLMS_NVIM=$(neovims)
export ZIGLLMS_NVIM

# stage NAME COMMAND...: runs it and adds up what it reports. A stage without numbers counts as one.
stage() {
  name=$1
  shift
  say "$name"
  began=$(date +%s)
  status=0
  logged "$log" "$@" || status=$?
  numbers=$(awk '
    /^test result:/ { good += $4; bad += $6 }
    /^[0-9]+ success.* \/ [0-9]+ failure.* \/ [0-9]+ error/ { good += $1; bad += $4 + $7 }
    END { print good + 0, bad + 0 }' "$log")
  good=${numbers% *}
  bad=${numbers#* }
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  if [ "$status" = 0 ] && [ "$good$bad" = 00 ]; then good=1; fi
  passed=$((passed + good))
  failed=$((failed + bad))
  [ "$bad" = 0 ] || { echo "$name"; failures; } >> "$report"
  echo "-- $good passed, $bad failed, $(($(date +%s) - began)) s"
}

# What a stage says of its failures: busted's headings, panics of tests, errors of compilers, each
# with the lines below it; its last lines if there is none of these.
failures() {
  awk '
    /^(Failure|Error) (→|->) / || /^---- .* ----$/ || /^error(\[|: )/ { left = 7 }
    left > 0 && NF { print "  " substr($0, 1, 200); left--; any = 1 }
    { last[NR] = $0 }
    END { for (i = NR - 9; !any && i <= NR; i++) if (i > 0) print "  " substr(last[i], 1, 200) }
  ' "$log" | head -n 80
}

# The spec file that failed, if it is the only one and a crash is not the reason.
failed_file() {
  grep -q '^[0-9]* success' "$1" || return 0
  awk '/^(Failure|Error) (→|->) spec\// && !seen[$3]++ { file = $3; n++ }
    END { if (n == 1) print file }' "$1"
}

# second_look ENGINE LOG FAILED: two engines' specs beside each other take more of a machine than some
# are made for. So if one file failed it runs again, alone. What passes then is no failure, but is
# told as what it is: unsteady, to be mended.
second_look() {
  suspect=$(failed_file "$2")
  [ -n "$suspect" ] || return 0
  say "specs on $1, alone: $suspect"
  logged "$log" specs "$1" "$suspect" || return 0
  failed=$((failed - $3))
  unsteady=$((unsteady + $3))
  echo "  unsteady: passed on $1 when run alone: $suspect" >> "$report"
}

has_specs() { [ -d spec ] && [ -n "$(find spec -name '*_spec.lua' -print -quit)" ]; }

# LuaJIT 2.1.0-beta3 (Debian 12) makes bad code of some traces that it stitches together around
# calls of C functions: in one of some 25 runs of all specs it crashed in such a trace of a spec's
# own Lua, its stack pointer cut to 32 bits. So no trace is stitched there.
#
# specs ENGINE [FILE...]: all without files
specs() {
  program=$(interpreter "$1")
  [ "$1" != jit ] || program="$program -Ominstitch=1000000"
  module=build/quick/$1
  shift
  # shellcheck disable=SC2086 # the program and its option
  with_module "$module" $program /usr/bin/busted --exclude-pattern=local_spec "${@:-spec}"
}

# Both engines' specs at once: most of the time they wait. Each has ports and directories of its own.
# What the first says is seen as it comes, what the second has said is told after it.
specs_of_jit_meanwhile() {
  { status=0; specs jit > "$log.jit" 2>&1 </dev/null || status=$?; echo "$status" > "$log.jit.status"; } &
  beside=$!
}

specs_of_jit() {
  cat "$log.jit"
  return "$(cat "$log.jit.status")"
}

local_specs() {
  with_module "build/quick/local/$1" "$(interpreter "$1")" /usr/bin/busted spec/local_spec.lua
}

# What programs see must not depend on what is kept, put off or foretold.
unoptimised_specs() {
  with_module "build/quick/$1" "$(interpreter "$1")" /usr/bin/busted \
    --helper=spec/support/switched_off.lua spec/memory/entries_spec.lua spec/memory/shared_spec.lua \
    spec/agent_spec.lua spec/tool_spec.lua spec/call/values_spec.lua
}

engine_tests() {
  engine_environment
  cargo test --lib --profile quick --features local provider::local
}

# Checked arithmetic and debug assertions for the core, with its stores; the engine's tests need its optimised code.
stage "cargo test" cargo test --features redis
stage "cargo test: embedded engine" engine_tests
for engine in 5.4 jit; do
  stage "build $engine" scripts/build.sh quick build/quick "$engine"
done
# nginx always runs the module for LuaJIT, so both are built before any spec.
if has_specs; then
  specs_of_jit_meanwhile
  stage "specs on 5.4" specs 5.4
  cp "$log" "$log.5.4"
  failed_on_lua=$bad
  wait "$beside"
  stage "specs on jit, at the same time" specs_of_jit
  failed_on_jit=$bad
  second_look 5.4 "$log.5.4" "$failed_on_lua"
  second_look jit "$log.jit" "$failed_on_jit"
fi
stage "specs on 5.4 without optimisations" unoptimised_specs 5.4
for engine in 5.4 jit; do
  stage "build $engine with the embedded engine" \
    scripts/build.sh quick build/quick/local "$engine" local
  if [ -f spec/local_spec.lua ]; then stage "local model on $engine" local_specs "$engine"; fi
done
stage "generated documents" with_module build/quick/5.4 lua5.4 tools/docs.lua --check
stage lint scripts/lint.sh

if [ -s "$report" ]; then
  say "failed, or unsteady"
  cat "$report"
fi
printf '\n%s passed, %s failed, %s unsteady\n' "$passed" "$failed" "$unsteady"
[ "$failed" = 0 ]
