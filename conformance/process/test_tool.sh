#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The command shmrpc from outside, in real processes: every verb, every exit code, every state.
#
#   SHMRPC_BUILD=build/release bash conformance/process/test_tool.sh
#
# SHMRPC= and EXAMPLES= override the command and the folder of the examples, PYTHON= the python with
# the existing package. Ends with "N passed, N failed, N skipped"; the status is 0 if none failed.
# shellcheck disable=SC2016 # single quotes hide what another shell expands
set -u -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${SHMRPC_BUILD:-$root/build/release}
build=$(cd "$build" && pwd) || exit 2
shmrpc=${SHMRPC:-$build/shmrpc}
examples=${EXAMPLES:-$build/examples}
prefix=tool-$$-
scratch=$(mktemp -d)
passed=0
failed=0
skipped=0
started=()
declare -A pid_of=()

# ---- The little that a test needs ------------------------------------------------------------------

end_process() {
    kill -CONT "$1" 2>/dev/null
    kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

finish() {
    local pid
    for pid in "${started[@]:-}"; do
        [ -z "$pid" ] || end_process "$pid"
    done
    rm -rf "/dev/shm/srb_$prefix"* "/dev/shm/sem.srb_$prefix"* "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

ok() {
    passed=$((passed + 1))
    echo "ok      $1"
}

not_ok() {
    failed=$((failed + 1))
    echo "FAILED  $1"
    shift
    printf '        %s\n' "$@"
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1: $2"
}

# is TITLE COMMAND...: the command must succeed.
is() {
    local title=$1
    shift
    if "$@"; then ok "$title"; else not_ok "$title" "false: $*"; fi
}

# run COMMAND...: leaves $code, $out and $err.
run() {
    timeout -k 2 30 "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    code=$?
    out=$(tr '\0' '?' <"$scratch/out")
    err=$(tr '\0' '?' <"$scratch/err")
}

# expect TITLE CODE STDOUT STDERR COMMAND...: both patterns are bash's, for the whole text; a failure
# must be told in exactly one line.
expect() {
    local title=$1 wanted=$2 out_pattern=$3 err_pattern=$4 problem=
    shift 4
    run "$@"
    [ "$code" -eq "$wanted" ] || problem+="exit $code instead of $wanted; "
    # shellcheck disable=SC2053 # they are patterns
    [[ $out == $out_pattern ]] || problem+="stdout is not $out_pattern; "
    # shellcheck disable=SC2053
    [[ $err == $err_pattern ]] || problem+="stderr is not $err_pattern; "
    if [ "$wanted" -ne 0 ] && [ "$(wc -l <"$scratch/err")" -ne 1 ]; then
        problem+="stderr has $(wc -l <"$scratch/err") lines; "
    fi
    if [ -z "$problem" ]; then
        ok "$title"
    else
        not_ok "$title" "$problem" "ran: $*" "stdout: ${out:0:300}" "stderr: ${err:0:300}"
    fi
}

# until_true COMMAND...: within ten seconds.
until_true() {
    local patience=200
    while [ "$patience" -gt 0 ]; do
        "$@" && return 0
        patience=$((patience - 1))
        sleep 0.05
    done
    return 1
}

has_line() {
    [ -s "$1" ] && grep -q '' "$1"
}

# The last process started in the background is ours to end.
note() {
    pid_of[$1]=$!
    started+=($!)
}

# start NAME OPTION...: a server, ready. Its output is in $scratch/NAME.out and .err.
start() {
    local name=$1
    : >"$scratch/$name.out"
    "$shmrpc" serve "$prefix$name" "${@:2}" >"$scratch/$name.out" 2>"$scratch/$name.err" </dev/null &
    note "$name"
    until_true has_line "$scratch/$name.out" && return
    not_ok "server $name becomes ready" "$(cat "$scratch/$name.err")"
    return 1
}

# stop NAME: SIGTERM, and its exit code in $code.
stop() {
    kill -TERM "${pid_of[$1]}"
    wait "${pid_of[$1]}"
    code=$?
}

# Kill at once, as a crash would.
crash() {
    kill -KILL "${pid_of[$1]}"
    wait "${pid_of[$1]}" 2>/dev/null
}

# background NAME COMMAND...: its output in $scratch/NAME.out and .err.
background() {
    local name=$1
    shift
    timeout -k 2 60 "$@" >"$scratch/$name.out" 2>"$scratch/$name.err" </dev/null &
    note "$name"
}

# The exit code of something in the background, in $code.
await() {
    wait "${pid_of[$1]}"
    code=$?
    out=$(cat "$scratch/$1.out")
    err=$(cat "$scratch/$1.err")
}

objects() {
    find /dev/shm -maxdepth 1 \( -name "srb_$prefix$1*" -o -name "sem.srb_$prefix$1*" \) | wc -l
}

no_objects() {
    [ "$(objects "$1")" -eq 0 ]
}

state_is() {
    local line
    line=$("$shmrpc" list | grep -F "$prefix$1 ") || return 1
    # shellcheck disable=SC2086 # the fields are wanted
    set -- "$2" $line
    [ "$3" = "$1" ]
}

semaphore() {
    od -An -td4 -N4 "/dev/shm/sem.srb_$prefix$1" | tr -d ' '
}

semaphore_is() {
    [ "$(semaphore "$1")" = "$2" ]
}

serving() {
    state_is "$1" alive
}

# The proof that an unmarked object is dead needs every process of our uid to be readable, which root
# cannot count on inside a container. So such tests run as nobody when they can: lower, then higher.
own=$shmrpc
as=()
prepare_lowering() {
    [ "$(id -u)" -eq 0 ] || return
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    cp "$own" "$scratch/shmrpc" && chmod 755 "$scratch/shmrpc" "$scratch"
    printf '#!/bin/sh\nexec %s %q "$@"\n' "${as[*]}" "$scratch/shmrpc" >"$scratch/as"
    chmod 755 "$scratch/as"
}

lower() {
    [ ${#as[@]} -eq 0 ] || shmrpc=$scratch/as
}

higher() {
    shmrpc=$own
}

# ---- Help, version and wrong usage ------------------------------------------------------------------

test_help() {
    local verb
    expect "help of the command" 0 'usage: shmrpc VERB*doctor*Exit codes*' '' "$shmrpc" --help
    expect "-h of the command" 0 'usage: shmrpc VERB*' '' "$shmrpc" -h
    expect "version of the command" 0 'shmrpc [0-9]*.[0-9]*.[0-9]*' '' "$shmrpc" --version
    for verb in serve call ping list inspect clean doctor; do
        expect "$verb --help" 0 "usage: shmrpc $verb*--json*--help*--version*Exit codes*" '' \
            "$shmrpc" $verb --help
        expect "$verb -h" 0 "usage: shmrpc $verb*" '' "$shmrpc" $verb -h
        expect "$verb --version" 0 'shmrpc [0-9]*.[0-9]*.[0-9]*' '' "$shmrpc" $verb --version
        expect "$verb: an unknown option" 2 '' "shmrpc $verb: *--nonsense*--help*" \
            "$shmrpc" $verb --nonsense
    done
}

test_usage() {
    local time
    expect "no verb" 2 '' 'shmrpc: a verb is missing*--help*' "$shmrpc"
    expect "an unknown verb" 2 '' 'shmrpc: there is no verb*frobnicate*' "$shmrpc" frobnicate
    expect "call without a method" 2 '' '*NAME and METHOD*' "$shmrpc" call x
    expect "serve without a name" 2 '' '*NAME*' "$shmrpc" serve
    expect "serve with two names" 2 '' '*one NAME*' "$shmrpc" serve a b
    expect "ping without a name" 2 '' '*NAME*' "$shmrpc" ping
    expect "inspect without a name" 2 '' '*NAME*' "$shmrpc" inspect
    expect "list with an argument" 2 '' '*too many*' "$shmrpc" list x
    expect "clean with an argument" 2 '' '*too many*' "$shmrpc" clean x
    expect "doctor with an argument" 2 '' '*too many*' "$shmrpc" doctor x
    expect "an argument that is no parameter" 2 '' '*KEY=STRING*' "$shmrpc" call x y z
    expect "a parameter without key" 2 '' '*no KEY*' "$shmrpc" call x y =z
    expect "a JSON parameter without key" 2 '' '*no KEY*' "$shmrpc" call x y :=1
    expect "an option without its argument" 2 '' '*--timeout*argument*' "$shmrpc" call x y --timeout
    expect "-d without its argument" 2 '' '*-d*argument*' "$shmrpc" call x y -d
    for time in 0 -1 abc '' 1x inf nan 0x10 1e300 2147484 ' 1' +1 0.0; do
        expect "--timeout '$time'" 2 '' 'shmrpc call: --timeout*' \
            "$shmrpc" call x y "--timeout=$time"
    done
    expect "--wait-for-server -1" 2 '' '*--wait-for-server*' "$shmrpc" call x y --wait-for-server=-1
    expect "--wait-busy nothing" 2 '' '*--wait-busy*' "$shmrpc" ping x --wait-busy=
    expect "an unknown --wait" 2 '' '*adaptive, spin, block*' "$shmrpc" serve x --wait never
    for bytes in 127 0 -1 4294967296 4k '' 99999999999999999999; do
        expect "--buffer-bytes '$bytes'" 2 '' '*--buffer-bytes*' \
            "$shmrpc" serve x "--buffer-bytes=$bytes"
    done
    expect "a name with a slash" 2 '' '*/*' "$shmrpc" call a/b echo
    expect "an empty name" 2 '' '*empty*' "$shmrpc" serve ''
    expect "a name that is too long" 2 '' '*236*' "$shmrpc" inspect "$(printf '%0237d' 0)"
    expect "a wrong name as JSON" 2 '{"status":"invalid","error":*}' '*' "$shmrpc" call a/b m --json
}

# ---- Results and parameters --------------------------------------------------------------------------

# calc TITLE RESULT METHOD PARAMETER...; fails TITLE ERROR METHOD PARAMETER...
calc() {
    expect "$1" 0 "$2" '' "$shmrpc" call "${prefix}calc" "${@:3}"
}

fails() {
    expect "$1" 1 '' "$2" "$shmrpc" call "${prefix}calc" "${@:3}"
}

test_arithmetic() {
    calc "add" 8 add a:=5 b:=3
    calc "subtract" -8 subtract a:=-5 b:=3
    calc "multiply" 42 multiply a:=6 b:=7
    calc "divide gives a double" 25.0 divide a:=100 b:=4
    calc "power of integers is exact" 4052555153018976267 power base:=3 exponent:=39
    calc "power with a negative exponent" 0.25 power base:=2 exponent:=-2
    calc "the last square of power need not fit" 9223372036854775808 power base:=2 exponent:=63
    calc "power of one, however high" 1 power base:=1 exponent:=18446744073709551615
    calc "sqrt" 4.0 sqrt x:=16
    calc "a mixed add is a double" 3.5 add a:=1 b:=2.5
    calc "a double times an integer" 10.0 multiply a:=2.5 b:=4
    calc "subtract of doubles" 2.25 subtract a:=5.5 b:=3.25
    calc "integers beyond 2^53 stay exact" 9007199254740993 add a:=9007199254740992 b:=1
    calc "above the signed range" 18446744073709551615 add a:=9223372036854775807 \
        b:=9223372036854775808
    calc "the least integer" -9223372036854775808 subtract a:=-9223372036854775807 b:=1
    fails "add above 64 bits" 'OverflowError: *' add a:=18446744073709551615 b:=1
    fails "subtract below 64 bits" 'OverflowError: *' subtract a:=-9223372036854775808 b:=1
    fails "multiply above 64 bits" 'OverflowError: *' multiply a:=4294967296 b:=4294967296
    fails "multiply above 128 bits" 'OverflowError: *' multiply a:=18446744073709551615 \
        b:=18446744073709551615
    fails "power above 64 bits" 'OverflowError: *' power base:=2 exponent:=64
    fails "an operand above 64 bits" 'OverflowError: *' add a:=18446744073709551616 b:=1
    fails "a double that has no text" 'OverflowError: *' multiply a:=1e308 b:=1e10
    fails "divide by zero" 'ValueError: Cannot divide by zero' divide a:=1 b:=0
    fails "divide by a zero with a fraction" 'ValueError: Cannot divide by zero' divide a:=1 b:=-0.0
    fails "sqrt of a negative" 'ValueError: *negative*' sqrt x:=-4
    fails "zero to a negative power" 'ZeroDivisionError: *' power base:=0 exponent:=-1
    fails "a root of a negative" 'ValueError: *' power base:=-8 exponent:=0.5
    fails "a string is no number" 'TypeError: *' add a:=1 b=2
    fails "true is no number" 'TypeError: *' add a:=1 b:=true
    fails "a missing parameter" 'TypeError: *missing*' add a:=1
    fails "an unexpected parameter" 'TypeError: *unexpected*' add a:=1 b:=2 c:=3
    fails "an unknown method" 'RPCError: Unknown method: nope' nope
}

test_other_methods() {
    local before
    calc "accumulate begins at zero" 10.0 accumulate client_id=alice val:=10
    calc "accumulate goes on" 12.5 accumulate client_id=alice val:=2.5
    calc "another total is separate" 1.0 accumulate client_id=bob val:=1
    calc "a client_id may hold a NUL" 7.0 accumulate -d '{"client_id":"alice\u0000","val":7}'
    calc "clear" null clear client_id=alice
    calc "after clear it begins at zero" 3.0 accumulate client_id=alice val:=3
    fails "clear of an unknown" "KeyError: 'carol'" clear client_id=carol
    calc "big" '"xxxxx"' big n:=5
    calc "big of nothing" '""' big n:=0
    fails "big of a negative" '*Error: *' big n:=-1
    fails "fail" 'LookupError: no such thing' fail type=LookupError message='no such thing'
    fails "SRPC-SEC-002: a remote text shows no control characters" 'E: a\\x0ab\\x1b\[31m' fail type=E \
        message:='"a\nb\u001b[31m"'
    fails "sleep of a negative" 'ValueError: *' sleep seconds:=-1
    calc "sleep" null sleep seconds:=0.01
    before=$("$shmrpc" call "${prefix}calc" count)
    "$shmrpc" call "${prefix}calc" echo message=x >/dev/null
    "$shmrpc" call "${prefix}calc" add a:=1 b:=1 >/dev/null
    "$shmrpc" call "${prefix}calc" sleep seconds:=0 >/dev/null
    "$shmrpc" call "${prefix}calc" subtract a:=1 b:=1 >/dev/null
    "$shmrpc" call "${prefix}calc" add a:=18446744073709551615 b:=1 >/dev/null 2>&1
    calc "count counts what was completed" $((before + 3)) count
    fails "count takes no parameter" 'TypeError: *unexpected*' count n:=1
    fails "no test methods unasked" 'RPCError: Unknown method: exit' exit code:=1
    fails "nor the other one" 'RPCError: Unknown method: unserialisable' unserialisable
}

test_parameters() {
    local value
    for value in null true false 0 -0 -0.0 1e300 '"\u0000"' '"ü€𝄞"' '[]' '{}' '[1,[2,{"a":null}]]' \
        18446744073709551615 -9223372036854775808 '{"a":1,"a":2}'; do
        run "$shmrpc" call "${prefix}calc" echo "message:=$value"
        is "echo of $value" test "$code:$out" = "0:$value"
    done
    calc "a string is not read as JSON" '"1"' echo message=1
    calc "an empty string" '""' echo message=
    calc "only the first = divides" '"a=b:=c"' echo message=a=b:=c
    # shellcheck disable=SC1003
    calc "quotes and backslashes" '"\\"\\\\"' echo 'message="\'
    calc "-d" '"d"' echo -d '{"message":"d"}'
    calc "--data" '"d"' echo --data '{"message":"d"}'
    calc "a key replaces the member" '"k"' echo -d '{"message":"d"}' message=k
    calc "a key adds a member" 3 add -d '{"a":1}' b:=2
    calc "also a member with an escaped key" 3 add -d '{"\u0061":5,"b":2}' a:=1
    calc "the last of equal keys counts" '"2"' echo message=1 message=2
    calc "also within -d" 2 echo -d '{"message":1,"message":2}'
    printf ' {"message": "from a file"}\n' >"$scratch/params"
    calc "-d @FILE" '"from a file"' echo -d "@$scratch/params"
    out=$(printf '{"message":"from stdin"}' | timeout 30 "$shmrpc" call "${prefix}calc" echo -d -)
    is "-d -" test "$out" = '"from stdin"'
    expect "-d that is no JSON" 5 '' '*-d: invalid JSON at byte*' \
        "$shmrpc" call "${prefix}calc" echo -d '{"message":}'
    expect "-d that is no object" 5 '' '*object*' "$shmrpc" call "${prefix}calc" echo -d '[1]'
    expect "a key that is no JSON" 5 '' '*message: invalid JSON at byte [0-9]*' \
        "$shmrpc" call "${prefix}calc" echo message:=nope
    expect "a string that is no UTF-8" 5 '' '*UTF-8*' \
        "$shmrpc" call "${prefix}calc" echo $'message=\xff'
    expect "a file that is not there" 8 '' '*cannot open*' \
        "$shmrpc" call "${prefix}calc" echo -d "@$scratch/none"
    expect "a stdout that is full" 8 '' '*cannot write*' \
        bash -c '"$1" call "$2" echo message=x >/dev/full' - "$shmrpc" "${prefix}calc"
}

test_json_output() {
    calc "the envelope of a result" '{"status":"ok","result":8}' add a:=5 b:=3 --json
    expect "the envelope of a method's error" 1 \
        '{"status":"method_error","error":"E: b\\nc","maybe_executed":true}' 'E: b\\x0ac' \
        "$shmrpc" call "${prefix}calc" fail type=E message:='"b\nc"' --json
    expect "the envelope of no channel" 4 '{"status":"not_found","error":"*","maybe_executed":false}' \
        '*' "$shmrpc" call "${prefix}none" echo --json
    expect "ping as JSON" 0 '{"status":"ok","name":"'"${prefix}calc"'","microseconds":*}' '' \
        "$shmrpc" ping "${prefix}calc" --json
    expect "list as JSON" 0 '{"channels":\[*{"name":"'"${prefix}calc"'","state":"alive","pid":'"${pid_of[calc]}"',*"marked":true,"buffer_bytes":4096,"slots":"free",*' \
        '' "$shmrpc" list --json
    expect "inspect as JSON" 0 '{"name":"'"${prefix}calc"'",*"request":{"empty":1,"full":0,"bytes":4096,*' \
        '' "$shmrpc" inspect "${prefix}calc" --json
    # The server's own strict reader judges whether what we print is JSON.
    local verb json
    for verb in list "inspect ${prefix}calc" "clean --dry-run --prefix $prefix" doctor; do
        # shellcheck disable=SC2086
        json=$("$shmrpc" $verb --json 2>/dev/null)
        printf '{"a":%s}' "$json" >"$scratch/params"
        expect "$verb prints valid JSON" 1 '' 'TypeError: *' \
            "$shmrpc" call "${prefix}large" sqrt -d "@$scratch/params"
    done
}

# ---- Every exit code, provoked for real --------------------------------------------------------------

test_exit_codes() {
    expect "0: ping" 0 "${prefix}calc: alive, *[0-9] µs" '' "$shmrpc" ping "${prefix}calc"
    expect "1: the method failed" 1 '' 'ValueError: Cannot divide by zero' \
        "$shmrpc" call "${prefix}calc" divide a:=1 b:=0
    expect "3: the deadline passed" 3 '' '*' \
        "$shmrpc" call "${prefix}calc" sleep seconds:=0.6 --timeout 0.1
    calc "after a time-out the next call gets its own answer" 3 add a:=1 b:=2
    expect "4: no such channel" 4 '' '*start a server*' "$shmrpc" call "${prefix}none" echo
    expect "4: ping" 4 '' '*' "$shmrpc" ping "${prefix}none"
    expect "4: inspect" 4 '' '*' "$shmrpc" inspect "${prefix}none"
    expect "5: a request that is too large" 5 '' '*--buffer-bytes*' \
        "$shmrpc" call "${prefix}calc" echo message="$(printf '%05000d' 0)"
    expect "1: SRPC-ENV-016: a result that is too large is the server's error" 1 '' 'RPCError: Response too large: *' \
        "$shmrpc" call "${prefix}calc" big n:=5000
    expect "5: a segment smaller than asked for" 5 '' '*' \
        "$shmrpc" call "${prefix}calc" count --buffer-bytes 8192
    calc "using less of a segment than there is" '"x"' echo message=x --buffer-bytes 256
    expect "9: a second server of the name" 9 '' '*' "$shmrpc" serve "${prefix}calc"
    expect "9: as JSON" 9 '{"status":"busy",*' '*' "$shmrpc" serve "${prefix}calc" --json
    calc "the first one is not disturbed" '"still here"' echo message='still here'
}

test_busy() {
    background holder "$shmrpc" call "${prefix}calc" sleep seconds:=1
    until_true semaphore_is calc_req_empty 1 && until_true client_attached calc
    expect "9: a second client" 9 '' '*--wait-busy*' "$shmrpc" call "${prefix}calc" count
    expect "9: ping of a busy channel" 9 '' '*' "$shmrpc" ping "${prefix}calc"
    calc "--wait-busy waits for the first to leave" '"later"' echo message=later --wait-busy 20
    await holder
    is "the first client got its answer" test "$code:$out" = 0:null
}

client_attached() {
    "$shmrpc" list --json | grep -q "\"name\":\"$prefix$1\",[^}]*\"client\":true"
}

test_wait_for_server() {
    background waiter "$shmrpc" call "${prefix}late" echo message=late --wait-for-server 20
    sleep 0.3
    start late
    await waiter
    is "--wait-for-server" test "$code:$out" = '0:"late"'
    stop late
}

# The server stands still, so the request stays in its slot.
test_not_started() {
    start frozen
    kill -STOP "${pid_of[frozen]}"
    background caller "$shmrpc" call "${prefix}frozen" echo message=waiting --timeout 30
    is "the request stands in its slot" until_true semaphore_is frozen_req_full 1
    expect "inspect shows the request" 0 '*request waiting*request slot*empty 0, full 1*"waiting"*' '' \
        "$shmrpc" inspect "${prefix}frozen"
    expect "and so it does as JSON" 0 \
        '*"request":{"empty":0,"full":1,*"message":{*"method":*"echo"*"waiting"*},"head_hex":"7b*' '' \
        "$shmrpc" inspect "${prefix}frozen" --json
    expect "list shows it too" 0 "*${prefix}frozen*alive *[1-9]* *[1-9]* marked *4096*request waiting*" '' \
        bash -c '"$1" list | grep -F "$2"' - "$shmrpc" "${prefix}frozen"
    crash frozen
    await caller
    is "6: the server died before it took the call" test "$code" -eq 6
    is "6: one line says so" test "$(wc -l <"$scratch/caller.err")" -eq 1
    expect "4: a dead server is no channel" 4 '' '*' "$shmrpc" call "${prefix}frozen" count
    is "list: stale" state_is frozen stale
}

test_maybe_executed() {
    start doomed
    background victim "$shmrpc" call "${prefix}doomed" sleep seconds:=60 --timeout 60 --json
    until_true client_attached doomed
    is "the request was taken" until_true semaphore_is doomed_req_full 0
    sleep 0.2
    crash doomed
    # Far below both the sleep and the time-out: the client noticed the death itself.
    is "7: the client ends soon" until_true test ! -e "/proc/${pid_of[victim]}/fd/0"
    await victim
    is "7: the server died with the call in hand" test "$code" -eq 7
    is "7: as JSON" test "$out" = \
        "$(printf '%s' "$out" | grep '^{"status":"peer_gone_maybe_executed",.*"maybe_executed":true}$')"
    start doomed
    expect "serving again at once" 0 '"again"' '' "$shmrpc" call "${prefix}doomed" echo message=again
    stop doomed
}

# Exit codes 6 and 7 come once; a restart must work also while an old client still holds the channel.
test_restart_with_client() {
    start crashing
    background old "$shmrpc" call "${prefix}crashing" sleep seconds:=60 --timeout 60
    until_true client_attached crashing
    pid=$(pgrep -P "${pid_of[old]}" | head -n 1)
    kill -STOP "${pid:-0}"
    crash crashing
    start crashing
    expect "a server serves again while an old client is attached" 0 '"new"' '' \
        "$shmrpc" call "${prefix}crashing" echo message=new
    kill -CONT "${pid:-0}"
    await old
    is "the old client learns that its server is gone" test "$code" -eq 7
    stop crashing
}

test_protocol() {
    start hurt
    kill -STOP "${pid_of[hurt]}"
    background hurting "$shmrpc" call "${prefix}hurt" echo message=x --timeout 20
    until_true semaphore_is hurt_req_full 1
    # A response whose length no buffer has, as a broken server might write.
    printf '\377\377\377\377' | dd of="/dev/shm/srb_${prefix}hurt_resp" conv=notrunc status=none
    printf '\1' | dd of="/dev/shm/sem.srb_${prefix}hurt_resp_full" conv=notrunc status=none
    printf '\0' | dd of="/dev/shm/sem.srb_${prefix}hurt_resp_empty" conv=notrunc status=none
    await hurting
    is "8: the peer broke the protocol" test "$code" -eq 8
    crash hurt
}

test_truncated() {
    start short
    kill -STOP "${pid_of[short]}"
    background cut "$shmrpc" call "${prefix}short" echo message=x --timeout 20
    until_true semaphore_is short_req_full 1
    truncate -s 0 "/dev/shm/srb_${prefix}short_req" "/dev/shm/srb_${prefix}short_resp"
    kill -CONT "${pid_of[short]}"
    await cut
    is "a truncated segment ends nobody (client: $code)" test "$code" -eq 8 -o "$code" -eq 7 -o "$code" -eq 6
    is "the server makes the channel anew" until_true grep -q 'anew$' "$scratch/short.err"
    expect "and serves" 0 '"well"' '' "$shmrpc" call "${prefix}short" echo message=well \
        --wait-for-server 10
    stop short
    is "and ends well" test "$code" -eq 0
}

test_system_error() {
    ln -s /nowhere "/dev/shm/srb_${prefix}squat_req"
    expect "8: a name that is squatted" 8 '' '*shmrpc doctor*' "$shmrpc" serve "${prefix}squat"
    expect "list: foreign" 0 "*${prefix}squat *foreign*" '' "$shmrpc" list
    expect "clean refuses it" 1 '*refused*' '*' "$shmrpc" clean --prefix "${prefix}squat"
    is "and leaves it there" test -L "/dev/shm/srb_${prefix}squat_req"
    rm "/dev/shm/srb_${prefix}squat_req"
}

# ---- Serving -----------------------------------------------------------------------------------------

test_stopping() {
    local signal
    for signal in TERM INT; do
        start "stop$signal" --buffer-bytes 256 --timeout 0.5 --wait block
        is "one line when ready" test "$(wc -l <"$scratch/stop$signal.out")" -eq 1
        kill "-$signal" "${pid_of[stop$signal]}"
        wait "${pid_of[stop$signal]}"
        is "SRPC-SIGNAL-003: SIG$signal ends it with 0" test $? -eq 0
        is "SRPC-SIGNAL-003: SIG$signal leaves nothing behind" no_objects "stop$signal"
    done
    start json --json
    is "ready as JSON" grep -q "^{\"status\":\"ready\",\"name\":\"${prefix}json\",\"pid\":${pid_of[json]},\"buffer_bytes\":4096}$" \
        "$scratch/json.out"
    stop json
    start answering
    background last "$shmrpc" call "${prefix}answering" sleep seconds:=1
    until_true client_attached answering
    until_true semaphore_is answering_req_full 0
    stop answering
    is "SRPC-SIGNAL-002: a signal in a call: stopped with 0" test "$code" -eq 0
    await last
    is "SRPC-SIGNAL-002: and the call in hand was answered" test "$code:$out" = 0:null
    is "and nothing is left behind" no_objects answering
}

test_name_lost() {
    start lost
    rm "/dev/shm/srb_${prefix}lost_req"
    is "SRPC-LIFE-007: a lost name is said on stderr" until_true grep -q 'anew$' "$scratch/lost.err"
    expect "SRPC-LIFE-007: and the channel serves again" 0 '"found"' '' \
        "$shmrpc" call "${prefix}lost" echo message=found --wait-for-server 10
    printf '\5' | dd of="/dev/shm/sem.srb_${prefix}lost_req_full" conv=notrunc status=none
    is "SRPC-SEM-007: a damaged semaphore is, too" until_true two_lines_anew
    expect "and the channel serves again" 0 '"cured"' '' \
        "$shmrpc" call "${prefix}lost" echo message=cured --wait-for-server 10
    # A reader of the log that went away is no reason to die.
    "$shmrpc" serve "${prefix}quiet" >"$scratch/quiet.out" 2> >(:) </dev/null &
    note quiet
    until_true has_line "$scratch/quiet.out"
    rm "/dev/shm/srb_${prefix}quiet_req"
    expect "a closed stderr does not end the server" 0 '"quiet"' '' \
        "$shmrpc" call "${prefix}quiet" echo message=quiet --wait-for-server 10
    stop quiet
    stop lost
    is "it ends with 0" test "$code" -eq 0
    is "it leaves nothing behind" no_objects lost
}

two_lines_anew() {
    [ "$(grep -c 'anew$' "$scratch/lost.err")" -ge 2 ]
}

test_test_methods() {
    start testing --test-methods
    expect "SRPC-ENV-017: what is no JSON is the server's error" 1 '' 'RPCSerializationError: *' \
        "$shmrpc" call "${prefix}testing" unserialisable
    expect "the server lives on" 0 '"on"' '' "$shmrpc" call "${prefix}testing" echo message=on
    expect "exit ends the server inside the call" 7 '' '*may have run*' \
        "$shmrpc" call "${prefix}testing" exit code:=42
    wait "${pid_of[testing]}"
    is "with that code" test $? -eq 42
    is "everything is left as it stands" test "$(objects testing)" -eq 6
    is "clean takes it away" "$shmrpc" clean --prefix "${prefix}testing"
    is "all of it" no_objects testing
}

test_waiting_modes() {
    local mode
    for mode in adaptive spin block; do
        start "mode$mode" --wait "$mode"
        expect "SRPC-WAIT-001: both sides $mode" 0 8 '' "$shmrpc" call "${prefix}mode$mode" add a:=5 b:=3 --wait "$mode"
        stop "mode$mode"
    done
}

# ---- Looking and cleaning ----------------------------------------------------------------------------

test_clean() {
    lower
    start living
    start dead
    crash dead
    "${as[@]}" bash -c 'umask 077; : >"$1"' - "/dev/shm/srb_${prefix}half_resp"
    is "list: alive" state_is living alive
    is "list: stale" state_is dead stale
    is "list: half-made" state_is half half-made
    expect "clean --dry-run says what it would do" 0 \
        "*would remove ${prefix}dead:*would remove ${prefix}half:*would keep ${prefix}living:*" '' \
        "$shmrpc" clean --dry-run --prefix "$prefix"
    is "and does nothing" test "$(objects dead):$(objects half):$(objects living)" = 6:1:6
    expect "clean leaves other prefixes alone" 0 '' '' "$shmrpc" clean --prefix "${prefix}deaf"
    expect "clean removes the dead" 0 \
        '{"removed":\[{"name":"'"${prefix}dead"'"*,{"name":"'"${prefix}half"'"*\],"refused":\[\],"kept":\[{"name":*\],"dry_run":false}' \
        '' "$shmrpc" clean --prefix "$prefix" --json
    is "all of it" test "$(objects dead):$(objects half)" = 0:0
    expect "and never the living" 0 '"alive"' '' "$shmrpc" call "${prefix}living" echo message=alive
    kill -STOP "${pid_of[living]}"
    expect "nor the stopped" 0 '*kept*' '' "$shmrpc" clean --prefix "${prefix}living"
    is "whose objects stay" test "$(objects living)" -eq 6
    kill -CONT "${pid_of[living]}"
    stop living
    higher
}

# Colours are for people.
test_colours() {
    local escape=$'\033'
    expect "no colours in a pipe" 0 "[!$escape]*alive*" '' "$shmrpc" list
    if ! command -v script >/dev/null; then
        skip "colours on a terminal" "no script(1)"
        return
    fi
    expect "colours on a terminal" 0 "*$escape\[32malive*" '' \
        env -u NO_COLOR TERM=xterm script -qec "$shmrpc list" /dev/null
    expect "none if NO_COLOR asks for none" 0 "*  alive *" '' \
        env NO_COLOR=1 TERM=xterm script -qec "$shmrpc list" /dev/null
    expect "none on a dumb terminal" 0 "*  alive *" '' \
        env -u NO_COLOR TERM=dumb script -qec "$shmrpc list" /dev/null
}

test_odd_names() {
    local name
    for name in 'a b' 'ü' 'back\slash' $'tab\there' $'no\xffutf8' -dash '$(x)'; do
        start " $name"
        expect "a channel named $(printf '%q' "$name")" 0 1 '' \
            "$shmrpc" call "$prefix $name" add a:=0 b:=1
        run "$shmrpc" list --json
        printf '{"message":%s}' "$out" >"$scratch/params"
        is "list as JSON with it" test "$code" -eq 0
        expect "which is valid" 0 '{"channels":*' '' "$shmrpc" call "${prefix}large" echo -d "@$scratch/params"
        stop " $name"
    done
}

client_of_the_original() {
    [ "$("${as[@]}" "$python" -c '
import sys, shm_rpc_bridge
c = shm_rpc_bridge.RPCClient(sys.argv[1], timeout=5.0)
print(c.call("add", a=5, b=3))
c.close()' "$1" 2>/dev/null)" = 8 ]
}

# Whether the scan for holders can look into every process of ours that stays for a moment.
all_readable() {
    local directory
    for directory in /proc/[0-9]*; do
        [ -O "$directory" ] || continue
        if ! { cat "$directory/maps" && ls "$directory/fd"; } >/dev/null 2>&1; then
            sleep 0.1
            [ ! -e "$directory" ] || return 1
        fi
    done
}

# The existing package's channels carry no lock and no mark.
test_python() {
    local reason='' as=("${as[@]}")
    python=${PYTHON:-$root/build/venv/bin/python}
    if ! "$python" -c 'import shm_rpc_bridge' 2>/dev/null; then
        if [ -n "${PYTHON:-}" ] ||
            ! reason=$(bash "$root/conformance/interop/venv.sh" "$root/build/venv" | tail -n 1); then
            skip "the original's channels" "${reason:-$python has no shm_rpc_bridge}"
            return
        fi
    fi
    if ! "${as[@]}" "$python" -c 'import shm_rpc_bridge' 2>/dev/null; then
        if ! all_readable; then
            skip "the original's channels" "nobody cannot run $python, and root cannot read all processes"
            return
        fi
        as=()
    fi
    lower
    cat >"$scratch/server.py" <<'PYTHON'
import sys, shm_rpc_bridge
server = shm_rpc_bridge.RPCServer(sys.argv[1])
server.register("add", lambda a, b: a + b)
print("ready", flush=True)
server.start()
PYTHON
    background original "${as[@]}" "$python" "$scratch/server.py" "${prefix}original"
    until_true has_line "$scratch/original.out"
    expect "a call of the original's server" 0 8 '' "$shmrpc" call "${prefix}original" add a:=5 b:=3
    expect "its errors" 1 '' 'TypeError: *' "$shmrpc" call "${prefix}original" add a:=5
    expect "ping" 0 '*alive*' '' "$shmrpc" ping "${prefix}original"
    expect "list knows whose it is" 0 "*${prefix}original *alive*original*4096*python*" '' "$shmrpc" list
    expect "inspect reads it" 0 '*made by*the original*request slot*' '' \
        "$shmrpc" inspect "${prefix}original"
    expect "clean keeps it" 0 '*kept*' '' "$shmrpc" clean --prefix "${prefix}original"
    expect "and so does a server" 9 '' '*' "$shmrpc" serve "${prefix}original"
    expect "it serves on" 0 8 '' "$shmrpc" call "${prefix}original" add a:=5 b:=3
    kill -KILL "$(pgrep -P "${pid_of[original]}" | head -n 1)"
    await original 2>/dev/null
    is "list: the dead original is stale" state_is original stale
    expect "clean removes it" 0 '*removed*' '' "$shmrpc" clean --prefix "${prefix}original"
    is "all of it" no_objects original
    start ours
    is "the original's client calls our server" client_of_the_original "${prefix}ours"
    stop ours
    higher
}

# With a command of that user's own to read and run.
test_unprivileged() {
    if [ ${#as[@]} -eq 0 ]; then
        skip "as another user" "all of this ran as an unprivileged user already"
        return
    fi
    lower
    start nobody
    expect "unprivileged: a call" 0 8 '' "$shmrpc" call "${prefix}nobody" add a:=5 b:=3
    crash nobody
    is "unprivileged: stale" state_is nobody stale
    start nobody
    expect "unprivileged: serving again at once" 0 8 '' "$shmrpc" call "${prefix}nobody" add a:=5 b:=3
    crash nobody
    expect "unprivileged: clean" 0 '*removed*' '' "$shmrpc" clean --prefix "${prefix}nobody"
    is "unprivileged: nothing is left" no_objects nobody
    is "unprivileged: another's channel is foreign" state_is calc foreign
    expect "unprivileged: and not ours to clean" 0 '*kept*' '' "$shmrpc" clean --prefix "${prefix}calc"
    expect "unprivileged: nor to call" 8 '' '*' "$shmrpc" call "${prefix}calc" count
    start nobody
    expect "root leaves the channels of others alone" 0 '*kept*' '' "$own" clean --prefix "${prefix}nobody"
    is "all of them" test "$(objects nobody)" -eq 6
    stop nobody
    higher
}

# ---- Doctor ------------------------------------------------------------------------------------------

doctor_names() {
    local word
    for word in shm-mount shm-size shm-rights o-tmpfile allocate mark proc cpus kernel ofd-locks \
        sem-layout sem-clockwait removeipc leftovers; do
        grep -q "$word" <<<"$1" || { echo "        $word is missing"; return 1; }
    done
}

test_doctor() {
    run "$shmrpc" doctor --json
    is "doctor makes all its checks" doctor_names "$out"
    is "its verdict and its exit code agree" test "$code:${out:0:10}" = '0:{"ok":true' -o "$code:${out:0:11}" = '1:{"ok":false'
    if [ "$(id -u)" -ne 0 ] || ! unshare --mount --propagation private -- mount -t tmpfs tmpfs /dev/shm 2>/dev/null; then
        skip "doctor on a damaged machine" "mounting is not allowed"
        return
    fi
    local inside=(unshare --mount --propagation private -- bash -c)
    {
        expect "doctor on a sound machine" 0 '*ok*shm-size*' '' "${inside[@]}" \
            'mount -t tmpfs -o mode=1777,size=64m tmpfs /dev/shm; "$1" doctor' - "$shmrpc"
        expect "doctor: too little memory" 1 '*problem*shm-size*->*' '*1 found*' "${inside[@]}" \
            'mount -t tmpfs -o mode=1777,size=64k tmpfs /dev/shm; "$1" doctor' - "$shmrpc"
        expect "doctor: everybody may remove everything" 1 '*problem*shm-rights*chmod 1777*' '*1 found*' \
            "${inside[@]}" 'mount -t tmpfs -o mode=777,size=64m tmpfs /dev/shm; "$1" doctor' - "$shmrpc"
        expect "doctor: leftovers" 1 '*problem*leftovers*1 dead*shmrpc clean*' '*1 found*' "${inside[@]}" \
            'mount -t tmpfs -o mode=1777,size=64m tmpfs /dev/shm
             { timeout -s KILL 1 "$1" serve gone >/dev/null; } 2>/dev/null; "$1" doctor' - "$shmrpc"
        expect "doctor: one CPU is a note" 0 '*note*cpus*1 CPU allowed*' '' "${inside[@]}" \
            'mount -t tmpfs -o mode=1777,size=64m tmpfs /dev/shm; taskset -c 0 "$1" doctor' - "$shmrpc"
        expect "doctor: RemoveIPC, for a user with logind" 1 '*problem*removeipc*enable-linger*' '*1 found*' \
            "${inside[@]}" 'mount -t tmpfs -o mode=1777,size=64m tmpfs /dev/shm
             mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/users
             exec setpriv --reuid=1234 --regid=1234 --clear-groups "$1" doctor' - "$scratch/shmrpc"
        expect "doctor: RemoveIPC=no in a drop-in" 0 '*ok*RemoveIPC=no*' '' "${inside[@]}" \
            'mount -t tmpfs -o mode=1777,size=64m tmpfs /dev/shm
             mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/users /run/systemd/logind.conf.d
             printf "[Login]\nRemoveIPC = no\n" >/run/systemd/logind.conf.d/50-keep.conf
             printf "[Login]\n#RemoveIPC=yes\n" >/run/systemd/logind.conf.d/60-comment.conf
             exec setpriv --reuid=1234 --regid=1234 --clear-groups "$1" doctor' - "$scratch/shmrpc"
    }
}

# ---- Examples and completion -------------------------------------------------------------------------

test_examples() {
    local kind expected
    for kind in calculator accumulator; do
        background "$kind" "$examples/${kind}_server" "$prefix$kind"
        run "$examples/${kind}_client" "$prefix$kind"
        case $kind in
        calculator)
            expected=$'add(5, 3) = 8\nsubtract(20, 8) = 12\nmultiply(2.5, 4) = 10\ndivide(22, 7) = 3.14286\ndivide(1, 0): ValueError: Cannot divide by zero' ;;
        accumulator)
            expected=$'alice + 10 = 10\nalice + 5 = 15\nbob + 7.5 = 7.5\nalice + 3 = 18\nalice cleared\nalice + 1.25 = 1.25\nbob + 1 = 8.5\nalice cleared\nbob cleared' ;;
        esac
        is "the $kind's client" test "$code:$out" = "0:$expected"
        expect "the $kind's server tells the command what is wrong" 1 '' 'TypeError: *' "$shmrpc" call \
            "$prefix$kind" "$([ $kind = calculator ] && echo add || echo accumulate)"
        kill -INT "$(pgrep -P "${pid_of[$kind]}" | head -n 1)"
        await "$kind"
        is "the $kind's server ends with Ctrl-C" test "$code" -eq 0
        is "and leaves nothing behind" no_objects "$kind"
    done
    run "$examples/calculator_client" "${prefix}none"
    is "a client without server says so" test "$code:$(wc -l <"$scratch/err")" = 1:1
}

# complete WORD...: what completion offers for the last word.
complete_words() {
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shmrpc
             printf "%s\n" "${COMPREPLY[@]}"' - "$root/src/tool/shmrpc.bash" "$@" | sort | tr '\n' ' '
}

completes() {
    local title=$1 pattern=$2 got
    shift 2
    got=$(complete_words "$@")
    # shellcheck disable=SC2053
    if [[ $got == $pattern ]]; then ok "$title"; else not_ok "$title" "offered: $got"; fi
}

test_completion() {
    completes "completion of verbs" 'call clean ' shmrpc c
    completes "completion of names" "${prefix}calc " shmrpc call "${prefix}ca"
    completes "completion of names after options" "${prefix}calc " shmrpc ping --timeout 1 "${prefix}ca"
    completes "completion of options" '--test-methods --timeout ' shmrpc serve x --t
    completes "completion of modes" 'adaptive ' shmrpc serve x --wait a
    completes "completion of files" "@$scratch/params " shmrpc call x y -d "@$scratch/par"
    completes "no names where none belong" ' ' shmrpc call "${prefix}calc" "${prefix}ca"
    local verb option
    for verb in serve call ping list inspect clean doctor; do
        for option in $("$shmrpc" "$verb" --help | grep -o -- '--[a-z-]*' | sort -u); do
            [[ " $(complete_words shmrpc "$verb" --) " == *" $option "* ]] ||
                not_ok "completion of $verb knows $option"
        done
    done
    ok "completion knows the options that the help names"
}

# ---- All of it ---------------------------------------------------------------------------------------

for program in "$shmrpc" "$examples/calculator_server"; do
    [ -x "$program" ] || { echo "$program is missing: make build-release"; exit 2; }
done
prepare_lowering
test_help
test_usage
start calc
start large --buffer-bytes 1048576
test_arithmetic
test_other_methods
test_parameters
test_json_output
test_exit_codes
test_busy
test_wait_for_server
test_not_started
test_maybe_executed
test_restart_with_client
test_protocol
test_truncated
test_system_error
test_stopping
test_name_lost
test_test_methods
test_waiting_modes
test_clean
test_colours
test_odd_names
test_python
test_unprivileged
test_doctor
test_examples
test_completion
stop calc
stop large
expect "clean of what the tests left on purpose" 0 '*' '' "$shmrpc" clean --prefix "$prefix"
is "nothing at all is left in /dev/shm" no_objects ''
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
