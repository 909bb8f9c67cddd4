#!/bin/bash
# SPDX-License-Identifier: MIT
#
# clang-tidy and cppcheck over the sources:  coverage/analyse.sh CFLAGS... -- FILE...
# clang-tidy.yaml in this folder says which checks and why; coverage/cppcheck-suppressions has what
# cppcheck need not say, each line with its reason. Anything else that they say is a failure.
set -u -o pipefail

here=$(dirname "$0")
flags=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
    -MD | -MP | -Werror) ;;
    *) flags+=("$1") ;;
    esac
    shift
done
shift
output=build/analyse
mkdir -p "$output"
failed=0

verdict() {
    if [ "$2" -eq 0 ]; then
        echo "$1: clean"
    else
        cat "$3"
        echo "$1: see above"
        failed=1
    fi
}

clang-tidy --quiet --config-file="$here/clang-tidy.yaml" "$@" -- "${flags[@]}" \
    >"$output/clang-tidy.txt" 2>"$output/clang-tidy.log"
status=$?
! grep -q 'warning:\|error:' "$output/clang-tidy.txt" || status=1
verdict clang-tidy "$status" "$output/clang-tidy.txt"

# cppcheck reads no system headers; it knows the libraries from its own descriptions.
cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,style,performance,portability \
    --inline-suppr --library=posix,gnu --suppressions-list="$here/cppcheck-suppressions" -D__SSE2__ \
    -D__linux__ -D__x86_64__ -Isrc "$@" >"$output/cppcheck.txt" 2>&1
verdict cppcheck $? "$output/cppcheck.txt"
exit "$failed"
