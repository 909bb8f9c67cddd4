#!/bin/bash
# SPDX-License-Identifier: CC0-1.0
#
# Check every configuration of test.txt:  run.sh OUT [NAME...]     (LONG=1: the long ones, too)
#   run.sh --points: only whether the steps and the crash points of the code are the same.
# Prints a line a configuration and "N passed, N failed"; the status is 1 if one failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
points_only=
if [ "${1:-}" = --points ]; then points_only=1; set -- "$(mktemp -d)"; trap 'rm -rf "$out"' EXIT; fi
out=$1
shift
mkdir -p "$out"
out=$(cd "$out" && pwd)

figure() { sed -n "$1" search.txt | head -n 1; }

# What Spin says became of one search.
outcome() {
    if grep -q 'pan:.*non-progress cycle' search.txt; then echo cycle
    elif grep -q 'pan:.*invalid end state' search.txt; then echo stuck
    elif grep -q 'pan:.*assertion violated' search.txt; then echo assertion
    elif grep -q 'errors: 0' search.txt && ! grep -qE 'not completed|too small|out of memory' search.txt
    then echo holds
    else echo unfinished; fi
}

# The counterexample as steps, for people.
write_trace() {
    # shellcheck disable=SC2086
    spin -t -p -g $2 "$1.pml" >trace.txt 2>&1 || true
}

check_one() {
    local name=$1 model=$2 expected=$3 options=$4 compile=-DSAFETY run='' got
    if [ "$expected" = progress ]; then compile=-DNP run=-l; fi
    rm -rf "${out:?}/$name"
    mkdir -p "$out/$name"
    cd "$out/$name"
    cp "$here/$model.pml" "$here/hits.h" "$out/steps.h" .
    # shellcheck disable=SC2086
    spin -a $options "$model.pml" >spin.txt 2>&1 || { echo "FAIL $name: see $PWD/spin.txt"; return 1; }
    # COLLAPSE is a lossless compression: the search stays exhaustive.
    "${CC:-gcc}" -O2 -w $compile -DCOLLAPSE -DMEMLIM="${MEMORY_MB:-3500}" -o pan pan.c
    # Seconds of work, not of waiting for a busy machine.
    (ulimit -t "${SECONDS_EACH:-300}" && exec timeout 1200 ./pan -m1000000 -c1 -w24 $run) >search.txt 2>&1 || true
    got=$(outcome)
    case $expected in progress | long) expected=holds ;; esac
    case $got in assertion | stuck | cycle) write_trace "$model" "$options" ;; esac
    local verdict=ok status=0
    [ "$got" = "$expected" ] || verdict=FAIL status=1
    printf '%-4s %-29s %-10s %9s states %9s transitions %4s deep %6s s%s\n' $verdict "$name" "$got" \
        "$(figure 's/^ *\([0-9]*\) states, stored.*/\1/p')" \
        "$(figure 's/^ *\([0-9]*\) transitions.*/\1/p')" \
        "$(figure 's/.*depth reached \([0-9]*\).*/\1/p')" \
        "$(figure 's/^pan: elapsed time \([0-9.]*\).*/\1/p')" \
        "$([ $status = 0 ] || echo "  expected: $expected; see $PWD")"
    return $status
}

if [ "${1:-}" = --one ]; then
    check_one "$2" "$3" "$4" "$5"
    exit
fi

# A step's number and its name in the model, from its name in steps.txt.
steps() { sed -e '/^[#+]/d' -e '/^$/d' "$here/steps.txt"; }
steps | awk '{ gsub(/[.:]/, "_", $1); print "#define", $1, NR }' >"$out/steps.h"

select_lines() {
    sed -e 's/#.*//' -e '/|/!d' -e 's/ *| */|/g' "$here/test.txt" | while IFS='|' read -r name model expected options; do
        [ "$expected" != long ] || [ -n "${LONG:-}" ] || continue
        if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qx "$name"; then continue; fi
        printf '%s\0%s\0%s\0%s\0' "$name" "$model" "$expected" "$options"
    done
}
if [ -n "$points_only" ]; then : >"$out/result.txt"; else
select_lines "$@" | xargs -0 -n 4 -P "${JOBS:-2}" "$0" "$out" --one | tee "$out/result.txt" || true
fi
passed=$(grep -c '^ok ' "$out/result.txt" || true)
failed=$(grep -c '^FAIL ' "$out/result.txt" || true)

say() {
    if [ "$1" = 0 ]; then passed=$((passed + 1)) && echo "ok   $2"
    else failed=$((failed + 1)) && echo "FAIL $2"; fi
}

# Every step must have been the last one of somebody's life, in a search that held.
check_steps() {
    awk '$1 == "ok" && $3 == "holds" { print $2 }' "$out/result.txt" | while read -r name; do
        cat "$out/$name/search.txt"
    done | awk -v steps=<(steps) '
        $1 == "crash" { hits[$2] += $3; all += $3 }
        END {
            while ((getline line < steps) > 0) {
                split(line, field, " ")
                count++
                printf "%-32s %12d\n", field[1], hits[count] > table
                if (!hits[count]) missed = missed " " field[1]
            }
            printf "steps: %d, crashed before %d times%s\n", count, all, \
                missed == "" ? ", each at least once" : "; never:" missed
            exit missed != ""
        }' table="$out/crashes.txt"
}

# A step is a crash point by the same name, or says why not; and the other way round.
check_points() {
    local list=$here/../../conformance/cases/crash-points.txt
    [ -f "$list" ] || { echo "points: no code beside this model"; return 0; }
    awk -v list="$list" '
        BEGIN {
            while ((getline line < list) > 0)
                if (line !~ /^#/ && split(line, field, " ")) { point[field[1]] = 1; points++ }
        }
        /^#/ || NF == 0 { next }
        $1 == "+" {
            if (NF < 3) wrong = wrong " " $2 "(no reason)"
            gsub(/[.]/, "[.]", $2); gsub(/[*]/, ".*", $2); pattern[$2] = 0
            next
        }
        { steps++; step[$1] = 1 }
        point[$1] && NF == 1 { same++; next }
        !point[$1] && $2 == "-" && NF > 2 { reasons++; next }
        { wrong = wrong " " $1 }
        END {
            for (id in point) {
                if (step[id]) continue
                found = 0
                for (p in pattern) if (id ~ "^" p "$") { found = 1; pattern[p]++ }
                if (found) others++; else wrong = wrong " " id
            }
            for (p in pattern) if (!pattern[p]) wrong = wrong " " p "(matches nothing)"
            printf "points: %d steps, %d of them crash points by the same name, %d with a reason why not; ", \
                steps, same, reasons
            printf "%d further points, each with a reason%s\n", others, wrong == "" ? "" : "; wrong:" wrong
            exit wrong != ""
        }' "$here/steps.txt"
}

if [ $# -eq 0 ]; then
    [ -n "$points_only" ] || { status=0; text=$(check_steps) || status=1; say $status "$text"; }
    status=0; text=$(check_points) || status=1; say $status "$text"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
