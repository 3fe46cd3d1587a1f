#!/bin/sh
# Feeds each fuzz target for a while: ZIGLLMS_FUZZ_SECONDS, 60 by default, 5 where ZIGLLMS_SWEEP asks
# for less than everything. Inputs that were of use are kept in the cache; those that fail are
# shown and kept there, too. `make fuzz TARGETS="yaml xml"` feeds only some.
set -eu
. scripts/lib.sh

case ${ZIGLLMS_SWEEP:-full} in full) seconds=60 ;; *) seconds=5 ;; esac
seconds=${ZIGLLMS_FUZZ_SECONDS:-$seconds}
targets=${TARGETS:-$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)}
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="$cache/target-fuzz"

# libFuzzer learns from counters at every edge and comparison, which the stable compiler can put
# there; `--target` keeps build scripts out of it.
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing'
say "building the fuzz targets"
RUSTFLAGS=$(echo $coverage) cargo build --quiet --release \
  --manifest-path fuzz/Cargo.toml --target "$host"

failed=
for target in $targets; do
  kept=$cache/fuzz/$target
  mkdir -p "$kept/inputs" "$kept/failed"
  say "fuzz $target, $seconds s"
  status=0
  "$CARGO_TARGET_DIR/$host/release/$target" "$kept/inputs" "fuzz/seeds/$target" \
    -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="$kept/failed/" -print_final_stats=1 -verbosity=1 > "$kept/log" 2>&1 ||
    status=$?
  sed -n 's/^stat::number_of_executed_units: */runs: /p; s/^stat::slowest_unit_time_sec: */slowest: /p' "$kept/log"
  if [ "$status" != 0 ]; then
    grep -aE 'panicked|ERROR|assertion|left:|right:|Test unit written' -A1 "$kept/log" | head -n 20
    failed="$failed $target"
  fi
done
[ -z "$failed" ] || die "failed:$failed"
echo "fuzz: ok"
