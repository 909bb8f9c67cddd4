#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run a unit test program under valgrind:  conformance/valgrind.sh PROGRAM [LOG-DIRECTORY]
# Fails on any error, on any block that was lost, and on any descriptor left open beyond the
# standard ones and those inherited. The report is parsed for that: valgrind's exit status speaks
# of errors only. A forked child counts by its errors; its blocks and descriptors are its parent's.
set -u

program=$1
logs=${2:-build/check/valgrind}
name=$(basename "$program")
command -v valgrind >/dev/null || { echo "valgrind is not installed"; exit 77; }

mkdir -p "$logs"
rm -f "$logs/$name".*.log
# A program that goes on after a fault needs all registers as they were at that instruction.
valgrind --vex-iropt-register-updates=allregs-at-mem-access \
    --leak-check=full --show-leak-kinds=definite,indirect,possible \
    --errors-for-leak-kinds=definite,indirect,possible --track-fds=yes --trace-children=no \
    --num-callers=25 \
    --log-file="$logs/$name.%p.log" "$program" &
pid=$!
wait "$pid"
status=$?

report="$logs/$name.$pid.log"
problems=0
problem() {
    echo "valgrind error: $*"
    problems=$((problems + 1))
}

if [ ! -s "$report" ]; then
    problem "no report $report"
else
    grep -q 'ERROR SUMMARY: 0 errors' "$report" || problem "$(grep 'ERROR SUMMARY' "$report"), see $report"
    for kind in definitely indirectly possibly; do
        lost=$(sed -n "s/.*$kind lost: \([0-9,]*\) bytes.*/\1/p" "$report")
        [ -z "$lost" ] || [ "$lost" = 0 ] || problem "$lost bytes $kind lost, see $report"
    done
    # "Open file descriptor N: WHAT" and on the next line where it was opened; what the parent
    # handed down says so.
    grep -q 'FILE DESCRIPTORS:' "$report" || problem "no word about descriptors in $report"
    left=$(awk '/Open (file descriptor|AF_[A-Z0-9]* socket) [0-9]+/ { what = $0; next }
                what != "" { if ($0 !~ /inherited from parent/) print what; what = "" }' "$report" |
        sed 's/^==[0-9]*== *//')
    [ -z "$left" ] || problem "descriptors left open: $left, see $report"
fi
for child in "$logs/$name".*.log; do
    if [ "$child" = "$report" ] || [ ! -s "$child" ]; then continue; fi
    # A child that a signal ended has written no summary; one that has must have found nothing but
    # what it shares with its parent.
    if grep -qE 'Invalid (read|write|free)|uninitialised|Mismatched free|overlap' "$child"; then
        problem "a child erred, see $child"
    fi
done

if [ "$problems" -ne 0 ]; then
    echo "0 passed, $problems failed, 0 skipped"
    exit 1
fi
# Leave no wall of clean reports behind.
rm -f "$logs/$name".*.log
[ "$status" -ne 99 ] || echo "valgrind error: exit status 99"
exit "$status"
