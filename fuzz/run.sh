#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run fuzz targets one after the other, each on all allowed CPUs:  fuzz/run.sh SECONDS PROGRAM...
#
# A target's processes share build/fuzz/corpus/TARGET and start from fuzz/corpus, fuzz/regressions and
# the seeds under build/fuzz/seed. Prints one table; findings are kept in build/fuzz/findings. The
# column "lines" says how many lines of its rooms (fuzz/rooms.txt) a target reaches with all of these
# inputs, in a build that counts. The status is 1 if there is a finding or less than LEAST percent.
set -u -o pipefail

seconds=$1
shift
least=95
jobs=$(nproc)
state=build/fuzz
run=$$
pids=()
export FUZZ_RUN=$run

finish() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
    wait
    rm -f /dev/shm/srb_fuzz-"$run"-* /dev/shm/sem.srb_fuzz-"$run"-*
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

progress() {
    [ ! -t 2 ] || printf '\r\033[K%s' "$*" >&2
}

# On a terminal, a line that is renewed every second until the target's processes have ended: the
# executions as each process last counted them, and what is left of its time.
follow() {
    local end=$((SECONDS + seconds)) left executions
    while [ -t 2 ] && [ -n "$(jobs -pr)" ]; do
        left=$((end > SECONDS ? end - SECONDS : 0))
        executions=$(awk '/^#[0-9]/ { n[FILENAME] = substr($1, 2) }
            END { for (file in n) all += n[file]; print all + 0 }' "$state/log/$target".*)
        progress "$target: $executions executions, $left s left on $jobs CPUs"
        sleep 1
    done
}

# The value of a final statistic, summed over the target's logs.
sum() {
    awk -v key="stat::$1:" '$1 == key { n += $2 } END { print n + 0 }' "$state/log/$target".*
}

# The most edges that any process had seen in the end.
coverage() {
    awk '{ for (i = 1; i < NF; i++) if ($i == "cov:" && $(i + 1) > n) n = $(i + 1) }
        END { print n + 0 }' "$state/log/$target".*
}

options() {
    sed -n 's/^\([a-z_]* *= *.*\)$/\1/p' "fuzz/fuzz_$target.options" 2>/dev/null |
        tr -d ' ' | sed 's/^/-/'
}

start() {
    local job
    mkdir -p "$state/corpus/$target" "$state/log" "$state/findings"
    rm -f "$state/log/$target".*
    local arguments=(-max_total_time="$seconds" -timeout=20 -print_final_stats=1 -reload=2
        -artifact_prefix="$state/findings/$target-")
    local option
    while read -r option; do
        arguments+=("$option")
    done < <(options)
    [ ! -e "fuzz/fuzz_$target.dict" ] || arguments+=(-dict="fuzz/fuzz_$target.dict")
    pids=()
    for ((job = 0; job < jobs; job++)); do
        ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 timeout -k 10 $((seconds + 120)) \
            "$program" "${arguments[@]}" "${corpora[@]}" >"$state/log/$target.$job" 2>&1 </dev/null &
        pids+=($!)
    done
}

# Replay all inputs in the build that counts. Sets reached to PERCENT HIT FOUND.
measure() {
    local variant
    variant=$(basename "$(dirname "$program")")
    if ! reached=$(fuzz/lines.sh "build/${variant/libfuzzer/fuzz-lines}/replay_$target" "${corpora[@]}" 2>&1); then
        failed=1
        progress
        printf '    %s\n' "$reached"
        reached='0 0 0'
    fi
}

failed=0
printf '%-16s %12s %10s %9s %10s %8s %8s\n' target executions exec/s edges 'new inputs' findings lines
for program in "$@"; do
    target=${program##*/fuzz_}
    before=$(find "$state/findings" -name "$target-*" 2>/dev/null | wc -l)
    corpora=("$state/corpus/$target")
    for folder in "fuzz/corpus/$target" "fuzz/regressions/$target" "$state/seed/$target"; do
        [ ! -d "$folder" ] || corpora+=("$folder")
    done
    start
    follow
    died=0
    for pid in "${pids[@]}"; do
        wait "$pid" || died=$((died + 1))
    done
    pids=()
    progress "$target: counting the lines it reaches"
    found=$(($(find "$state/findings" -name "$target-*" | wc -l) - before))
    [ "$found" -ge "$died" ] || found=$died
    executions=$(sum number_of_executed_units)
    measure
    progress
    printf '%-16s %12d %10d %9d %10d %8d %7s%%\n' "$target" "$executions" \
        "$((executions / (seconds > 0 ? seconds : 1)))" "$(coverage)" "$(sum new_units_added)" "$found" \
        "${reached%% *}"
    if awk -v reached="${reached%% *}" -v least="$least" 'BEGIN { exit reached >= least }'; then
        failed=1
        echo "    reaches fewer than $least % of the lines it aims at; see $state/lines/$target.txt"
    fi
    if [ "$found" -gt 0 ]; then
        failed=1
        grep -haE 'the oracle says no|ERROR: |runtime error|SUMMARY|Test unit written' \
            "$state/log/$target".* | head -n 6 | sed 's/^/    /'
    fi
done
exit $failed
