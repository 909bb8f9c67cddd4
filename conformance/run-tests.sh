#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run test programs and count what they prove.
#
#   conformance/run-tests.sh [-j JOBS] [-o DIRECTORY] < PLAN
#
# A line of the plan is LABEL|SECONDS|MODE|COMMAND. MODE is "shared" (may run beside another one)
# or "alone". Each program gets a time limit, a process group, and its output in
# DIRECTORY/LABEL.log (default build/check). Totals are read from that output: cmocka's, pytest's,
# or a plain "N passed, N failed, N skipped". These are failures, whatever the program says:
#   - it printed no totals, or ran no test at all;
#   - it exited with another status than its totals call for, or ran out of time;
#   - it left a process behind, or objects in /dev/shm that were not there before.
# Exit status 77 means skipped, and the last line of the output says why.
#
# Where mounting is allowed each program has a /dev/shm of its own, so that one program cannot
# disturb another or the machine (SHM_SHARED=1: use the machine's in any case).
# The last line is "N passed, N failed, N skipped"; the status is 0 if nothing failed.
set -u -o pipefail

jobs=1
directory=build/check
scratch=
passed=0
failed=0
skipped=0
programs=0

# Names of ours in /dev/shm with their inodes, so that a name made anew counts as new.
shm_names() {
    find /dev/shm -maxdepth 1 \( -name 'srb_*' -o -name 'sem.srb_*' -o -name 'sem.??????' \) \
        -printf '%f %i\n' 2>/dev/null | sort
}

# By inode: an object that was made without a name shows none in /proc.
held_by_the_living() {
    grep -qsE " $1 +/dev/shm/" /proc/[0-9]*/maps
}

# Print the names that are new since the snapshot $1 and that no living process has mapped. In a
# shared /dev/shm other people's channels come and go, so there a name must stay for two seconds.
leftovers() {
    local snapshot=$1 patience=$2 name inode found
    while :; do
        found=
        while read -r name inode; do
            if [ "$patience" -lt 0 ] || ! held_by_the_living "$inode"; then
                found+="$name:$inode "
            fi
        done < <(comm -13 "$snapshot" <(shm_names))
        [ -n "$found" ] || return 0
        [ "$patience" -gt 0 ] || break
        patience=$((patience - 1))
        sleep 0.2
    done
    echo "$found"
}

processes_of() {
    grep -lszxF "SHMRPC_CHECK_RUN=$1" /proc/[0-9]*/environ | sed 's,/proc/\([0-9]*\)/environ,\1,' || true
}

# End whatever the program left running; print what that was. What is ending gets a second to do so.
end_strays() {
    local token=$1 patience=10 pids
    while pids=$(processes_of "$token") && [ -n "$pids" ] && [ "$patience" -gt 0 ]; do
        patience=$((patience - 1))
        sleep 0.1
    done
    local pid
    for pid in $pids; do
        printf '%s (%s) ' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-60)"
        kill -KILL "$pid" 2>/dev/null
    done
}

# Run one program inside whatever name space we are in; write its facts to $scratch/ID.*.
run_one() {
    local id=$1 seconds=$2 log=$3 command=$4 patience=10 begin end
    local token="$$.$id"
    [ -z "${SHM_PRIVATE:-}" ] || patience=-1
    shm_names >"$scratch/$id.shm"
    begin=$(date +%s%N)
    # The outer redirection is for the shell's own word about a program that a signal ended.
    {
        env SHMRPC_CHECK_RUN="$token" timeout -k 5 "$seconds" bash -c "$command" \
            >"$log" 2>&1 </dev/null
    } 2>/dev/null
    echo $? >"$scratch/$id.status"
    end=$(date +%s%N)
    echo $(((end - begin) / 100000000)) >"$scratch/$id.tenths"
    end_strays "$token" >"$scratch/$id.strays"
    leftovers "$scratch/$id.shm" "$patience" >"$scratch/$id.left"
}

# "passed failed skipped seen" as the output tells them; seen is 0 if it tells nothing.
totals() {
    awk '
        /^\[  PASSED  \] .*[0-9]+ test\(s\)/ { seen = 1; p += number($0) }
        /^\[  SKIPPED \] .*[0-9]+ test\(s\)/ { s += number($0) }
        /^ *[0-9]+ FAILED TEST\(S\)/ { f += $1 }
        /^\[  FAILED  \] GROUP (SETUP|TEARDOWN)/ { f += 1 }
        /^=*[^a-z]*[0-9]+ (passed|failed|skipped|errors?)/ {
            line = $0; lp = lf = ls = 0
            while (match(line, /[0-9]+ (passed|failed|skipped|errors?)/)) {
                word = substr(line, RSTART, RLENGTH); split(word, part, " ")
                if (part[2] == "passed") lp = part[1]
                else if (part[2] == "skipped") ls = part[1]
                else lf += part[1]
                line = substr(line, RSTART + RLENGTH)
            }
            plain = 1
        }
        function number(text) { match(text, /[0-9]+ test\(s\)/); return substr(text, RSTART) + 0 }
        END { print p + lp + 0, f + lf + 0, s + ls + 0, seen + plain + 0 }' "$1"
}

say() {
    printf '%-5s %-38s %-34s %6s s\n' "$1" "$2" "$3" "$4"
}

# Judge one finished program and add it up.
judge() {
    local id=$1 label=$2 log=$3 seconds=$4 status p f s seen time problem=
    status=$(cat "$scratch/$id.status" 2>/dev/null || echo 125)
    time=$(cat "$scratch/$id.tenths" 2>/dev/null || echo 0)
    time="$((time / 10)).$((time % 10))"
    read -r p f s seen < <(totals "$log")
    programs=$((programs + 1))

    [ ! -s "$scratch/$id.strays" ] || problem+="; left running: $(cat "$scratch/$id.strays")"
    [ ! -s "$scratch/$id.left" ] ||
        problem+="; $(wc -w <"$scratch/$id.left") left in /dev/shm: $(cut -d' ' -f1-6 "$scratch/$id.left")"
    if [ "$status" -eq 77 ] && [ "$f" -eq 0 ] && [ -z "$problem" ]; then
        skipped=$((skipped + 1))
        say skip "$label" "1 skipped" "$time"
        echo "      $(sed '/^[[:space:]]*$/d' "$log" | tail -n 1)"
        return
    fi
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        problem+="; ended after its $seconds s"
    elif [ "$seen" -eq 0 ]; then
        problem+="; printed no totals (exit status $status)"
    elif [ $((p + f + s)) -eq 0 ]; then
        problem+="; ran no test"
    elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        problem+="; exit status $status without a failed test"
    elif [ "$status" -eq 0 ] && [ "$f" -ne 0 ]; then
        problem+="; exit status 0 in spite of failed tests"
    fi
    [ -z "$problem" ] || f=$((f + 1))
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))

    local counts="$p passed"
    [ "$f" -eq 0 ] || counts+=", $f failed"
    [ "$s" -eq 0 ] || counts+=", $s skipped"
    if [ "$f" -eq 0 ]; then
        say ok "$label" "$counts" "$time"
    else
        say FAIL "$label" "$counts" "$time"
        [ -z "$problem" ] || echo "      $label: ${problem#; }"
        grep -aE '^\[  FAILED  \] |ERROR|error:|Assertion|REQUIRE|ENSURE|INVARIANT|SUMMARY' "$log" |
            head -n 20 | sed 's/^/      | /'
        tail -n 15 "$log" | cut -c1-200 | sed 's/^/      > /'
        echo "      output: $log"
    fi
    # Skips are said aloud, with their reasons where the program gave them.
    [ "$s" -eq 0 ] || grep -aE '^skipped: |^\[  SKIPPED \] [^0-9]*$' "$log" | sort -u |
        sed 's/^/      /' | head -n 20
}

# The program runs in a name space whose /dev/shm is its own, if we may have one.
start_one() {
    local id=$1 seconds=$2 log=$3 command=$4
    if [ -n "${SHM_PRIVATE:-}" ]; then
        unshare --mount --propagation private -- bash "$0" --inside "$scratch" "$id" "$seconds" \
            "$log" "$command"
    else
        run_one "$id" "$seconds" "$log" "$command"
    fi
}

finish() {
    local file
    for file in "$scratch"/*.pid; do
        [ -e "$file" ] || continue
        end_strays "$(cat "$file").$(basename "$file" .pid)" >/dev/null
    done
    wait
    rm -rf "$scratch"
}

# Wait until at most $1 programs are running.
wait_for() {
    local id
    while :; do
        for id in "${!running[@]}"; do
            if ! kill -0 "${running[$id]}" 2>/dev/null; then
                wait "${running[$id]}" 2>/dev/null
                unset "running[$id]"
                judge "$id" "${label_of[$id]}" "${log_of[$id]}" "${seconds_of[$id]}"
            fi
        done
        [ "${#running[@]}" -gt "$1" ] || return 0
        wait -n "${running[@]}" 2>/dev/null
    done
}

if [ "${1:-}" = --inside ]; then
    scratch=$2
    mount -t tmpfs -o mode=1777,size=50% tmpfs /dev/shm || exit 125
    echo $$ >"$scratch/$3.pid"
    run_one "$3" "$4" "$5" "$6"
    exit 0
fi

while getopts 'j:o:' option; do
    case $option in
    j) jobs=$OPTARG ;;
    o) directory=$OPTARG ;;
    *) echo "usage: $0 [-j JOBS] [-o DIRECTORY] < PLAN" >&2; exit 2 ;;
    esac
done

scratch=$(mktemp -d)
trap finish EXIT
trap 'exit 130' INT TERM HUP
SHM_PRIVATE=
if [ -z "${SHM_SHARED:-}" ] && [ "$(id -u)" -eq 0 ] &&
    unshare --mount --propagation private -- mount -t tmpfs tmpfs /dev/shm 2>/dev/null; then
    SHM_PRIVATE=1
fi
export SHM_PRIVATE

declare -A running=() label_of=() log_of=() seconds_of=()
number=0
while IFS='|' read -r label seconds mode command; do
    [ -n "$label" ] || continue
    if [ "$mode" = alone ]; then wait_for 0; else wait_for $((jobs - 1)); fi
    number=$((number + 1))
    log="$directory/$label.log"
    mkdir -p "$(dirname "$log")"
    label_of[$number]=$label log_of[$number]=$log seconds_of[$number]=$seconds
    [ -n "$SHM_PRIVATE" ] || echo $$ >"$scratch/$number.pid"
    start_one "$number" "$seconds" "$log" "$command" </dev/null &
    running[$number]=$!
    [ "$mode" != alone ] || wait_for 0
done
wait_for 0

[ "$programs" -gt 0 ] || { echo "run-tests: the plan is empty" >&2; failed=1; }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
