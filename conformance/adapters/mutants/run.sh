#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Judge every seeded fault: plain calls must pass, and the case that it is listed with must fail.
#
#   run.sh KIT ADAPTER REFERENCE OUTPUT [NUMBER...]
#
# A mutant is killed by a verdict of that case: fail, crash or timeout, while the same program without a
# fault passes the case. An error of the runner kills nothing, and a case that is skipped here for want of
# rights is told apart. Two mutants are judged at a time; OUTPUT/NUMBER keeps what the runner reported.
set -u -o pipefail

here=$(dirname "$0")
kit=$1
adapter=$2
reference=$3
output=$4
shift 4

# Run one case of the kit and print "EXIT PASSED FAILED SKIPPED ALL".
run_case() {
    local folder=$1
    shift
    mkdir -p "$folder"
    timeout 120 "$kit" --quiet --adapter "$adapter" --reference "$reference" --output "$folder" "$@" \
        >"$folder/log" 2>&1
    LC_ALL=C awk -v status=$? '
        /^{"type":"result"/ {
            match($0, /"verdict":"[a-z-]*"/)
            count[substr($0, RSTART + 11, RLENGTH - 12)]++
            all++
        }
        END {
            print status, count["pass"] + 0, count["fail"] + count["crash"] + count["timeout"],
                count["skip"] + 0, all + 0
        }' "$folder/mutant.ndjson"
}

# What becomes of one mutant, in a few words.
judge() {
    local number=$1 folder=$output/$1 status passed failed skipped all
    shift
    # In all three pairings: with itself, and with the reference on either side.
    read -r status passed failed skipped all \
        < <(SHMRPC_MUTANT=$number run_case "$folder/plain" --case C-MUT-001)
    if [ "$status" != 0 ] || [ "$passed" != 3 ]; then
        echo 'does not survive plain calls'
        return
    fi
    read -r status passed failed skipped all < <(run_case "$folder/sound" "$@")
    if [ "$status" = 0 ] && [ "$skipped" -gt 0 ] && [ "$skipped" = "$all" ]; then
        echo skipped
        return
    elif [ "$status" != 0 ] || [ "$passed" = 0 ] || [ "$passed" != "$all" ]; then
        echo 'proves nothing: the case does not pass without the fault'
        return
    fi
    read -r status passed failed skipped all \
        < <(SHMRPC_MUTANT=$number run_case "$folder/case" "$@")
    if [ "$status" = 1 ] && [ "$failed" -gt 0 ]; then
        echo killed
    elif [ "$status" = 0 ]; then
        echo survives
    else
        echo "the runner ended with status ${status:-unknown}"
    fi
}

start() {
    local number=$1 category=$2 name=$3 options=(--case "$3") option
    shift 3
    for option in "$@"; do
        options+=("--${option%%=*}" "${option#*=}")
    done
    rm -rf "${output:?}/$number"
    mkdir -p "$output/$number"
    printf '%-5s %-12s %-10s %s\n' "$number" "$category" "$name" "$(judge "$number" "${options[@]}")" \
        >"$output/$number/verdict"
}

# A mutant whose line is gone, or stands there twice, must not get lost unseen.
refused() {
    ! printf '= 1 framing C-FRM-001\n@ src/frame.c\n- %s\n+ 0\n' "$1" |
        awk -f "$here/patch.awk" -v source=src/frame.c - src/frame.c >/dev/null 2>&1
}
for line in 'no line of this source' 'return'; do
    if ! refused "$line"; then
        echo "FAILED patch.awk accepts what it does not find exactly once: $line"
        echo '0 passed, 1 failed, 0 skipped'
        exit 1
    fi
done

unset SHMRPC_MUTANT
list=$(awk -f "$here/patch.awk" -v list=1 "$here/mutants.txt") || exit 1
chosen=" $* "
numbers=()
while read -r number rest; do
    [ "$chosen" = '  ' ] || [[ $chosen == *" $number "* ]] || continue
    numbers+=("$number")
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        wait -n
    done
    # The words of the rest are the category, the case and the runner's options.
    # shellcheck disable=SC2086
    start "$number" $rest &
done <<<"$list"
wait

killed=0
failed=0
skipped=0
for number in ${numbers[@]+"${numbers[@]}"}; do
    verdict=$(cat "$output/$number/verdict" 2>/dev/null || echo "$number has no verdict")
    case $verdict in
    *' killed') killed=$((killed + 1)) ;;
    *' skipped')
        skipped=$((skipped + 1))
        echo "SKIPPED $verdict: its case needs rights that are not there"
        ;;
    *)
        failed=$((failed + 1))
        echo "FAILED $verdict; see $output/$number"
        ;;
    esac
done
echo "mutation score $killed/$((killed + failed))"
echo "$killed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$killed" -gt 0 ]
