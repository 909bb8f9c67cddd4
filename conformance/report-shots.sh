#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Render the reports in Chromium and fail on a console error, a page wider than its window, or a red
# cell that does not open its evidence:
#   conformance/report-shots.sh RUNNER BAD_ADAPTER RUNS DIRECTORY BENCH_REPORT NAME=COMMAND...
# The matrix is of the ports' last runs in RUNS (a port that has none is run at level wire now) and of
# adapters that are broken on purpose: without them nothing would be red.
set -eu

kit=$1 bad=$2 runs=$3 directory=$4 bench=$5
shift 5
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$directory"
mkdir -p "$directory/runs"
files=()

# Status 1 is an unexpected verdict, and here that is as welcome as any other.
run() {
    local status=0
    timeout 300 "$kit" --quiet --output "$directory/runs" "$@" >"$directory/runs/log" 2>&1 || status=$?
    if [ "$status" -gt 1 ]; then
        cat "$directory/runs/log"
        exit "$status"
    fi
}

for port in "$@"; do
    name=${port%%=*}
    if [ -e "$runs/$name.ndjson" ]; then
        echo "matrix: $name, its run of $(date -r "$runs/$name.ndjson" '+%F %T')"
        cp "$runs/$name.ndjson" "$directory/runs/"
    else
        echo "matrix: $name has no run in $runs; running level wire"
        run --adapter "${port#*=}" --level wire
    fi
    files+=("$directory/runs/$name.ndjson")
done
for mode in yes dies-later silent-later; do
    echo "matrix: an adapter that is broken ($mode)"
    run --adapter "$bad $mode" --label "broken-$mode" --case 'C-[FNO]*' --level wire --patience 500
    files+=("$directory/runs/broken-$mode.ndjson")
done
"$kit" --merge --report html,junit --output "$directory/runs" "${files[@]}" >/dev/null

pages=("matrix=$directory/runs/index.html")
if [ -e "$bench" ]; then
    pages+=("bench=$bench")
else
    echo "SKIPPED: the bench report: there is no $bench; make bench writes it"
fi
timeout 300 python3 "$here/report-shots.py" "$directory" "${pages[@]}"
