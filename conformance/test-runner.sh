#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The test runner, tested: it must not call green what is not. Each case is a plan of one program,
# and the last line and the status that the runner must give for it.
set -u

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# expect NAME STATUS LAST-LINE WORDS-SOMEWHERE COMMAND
expect() {
    local output status last
    output=$(printf '%s|2|shared|%s\n' "$1" "$5" | "$here/run-tests.sh" -o "$work" 2>&1)
    status=$?
    last=$(tail -n 1 <<<"$output")
    if [ "$status" -eq "$2" ] && [ "$last" = "$3" ] && grep -qF -- "$4" <<<"$output"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: status %s, want %s and "%s" with "%s"\n%s\n' "$1" "$status" "$2" "$3" "$4" "$output"
    fi
}

object="srb_runner$$"
expect plain 0 "3 passed, 0 failed, 1 skipped" "ok" "echo 3 passed, 0 failed, 1 skipped"
expect pytest 0 "4 passed, 0 failed, 1 skipped" "ok" "echo '=== 4 passed, 1 skipped in 0.1s ==='"
expect cmocka 0 "2 passed, 0 failed, 0 skipped" "ok" "echo '[  PASSED  ] 2 test(s).'"
expect cmocka-failed 1 "2 passed, 1 failed, 0 skipped" "FAIL" \
    "printf '[  PASSED  ] 2 test(s).\n 1 FAILED TEST(S)\n'; exit 1"
expect cmocka-setup 1 "0 passed, 1 failed, 0 skipped" "FAIL" \
    "printf '[  FAILED  ] GROUP SETUP\n[  PASSED  ] 0 test(s).\n'; exit 1"
expect skipped 0 "0 passed, 0 failed, 1 skipped" "no such thing here" "echo no such thing here; exit 77"
expect silent 1 "0 passed, 1 failed, 0 skipped" "printed no totals" true
expect empty 1 "0 passed, 1 failed, 0 skipped" "ran no test" "echo 0 passed, 0 failed"
expect status 1 "1 passed, 1 failed, 0 skipped" "exit status 3" "echo 1 passed; exit 3"
expect lie 1 "1 passed, 2 failed, 0 skipped" "in spite of" "echo 1 passed, 1 failed"
expect crash 1 "1 passed, 1 failed, 0 skipped" "exit status 139" "echo 1 passed; kill -SEGV \$\$"
expect slow 1 "0 passed, 1 failed, 0 skipped" "ended after its 2 s" "sleep 60"
expect stray 1 "1 passed, 1 failed, 0 skipped" "left running" "echo 1 passed; setsid sleep 60 & sleep 0.2"
expect leftover 1 "1 passed, 1 failed, 0 skipped" "1 left in /dev/shm: ${object}_req" \
    "echo 1 passed; touch /dev/shm/${object}_req"
SHM_SHARED=1 expect leftover-shared 1 "1 passed, 1 failed, 0 skipped" "1 left in /dev/shm: ${object}_req" \
    "echo 1 passed; touch /dev/shm/${object}_req"
rm -f "/dev/shm/${object}_req"

output=$("$here/run-tests.sh" -o "$work" </dev/null 2>&1)
if [ $? -eq 1 ] && grep -q 'the plan is empty' <<<"$output"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "empty plan: $output"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
