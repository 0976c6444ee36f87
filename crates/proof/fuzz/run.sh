#!/usr/bin/env bash
# run.sh MINUTES [TARGET...]: runs each fuzz target that long, from the seeds, and says what that was.
#
# Needs cargo-fuzz (`cargo install cargo-fuzz`) and a nightly toolchain; without one, RUSTC_BOOTSTRAP=1 does for the stable
# one. FUZZ_SANITIZER=address|none (none: several times as many runs).
# What is found lies in artifacts/TARGET/; once understood it goes to seeds/TARGET/, where the ordinary tests replay it.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:?usage: run.sh MINUTES [TARGET...]}
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)
if rustup toolchain list 2>/dev/null | grep -q nightly; then toolchain=+nightly; else toolchain=; export RUSTC_BOOTSTRAP=1; fi
mkdir -p fuzz/corpus
runs=0
seconds=0
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    log=$(mktemp)
    cargo $toolchain fuzz run --sanitizer "${FUZZ_SANITIZER:-none}" "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time=$((minutes * 60)) -max_len=4096 -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 2>"$log" ||
        { tail -40 "$log"; echo "$target: found something" >&2; exit 1; }
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-12s %12d runs in %d minutes\n' "$target" "$count" "$minutes"
    runs=$((runs + count))
    seconds=$((seconds + minutes * 60))
done
# Of the children, in the second line; a pipe would show those of its own shell.
times >"$log"
printf 'in all: %d runs in %d minutes; processor time, user and system: %s\n' "$runs" $((seconds / 60)) "$(tail -n 1 "$log")"
