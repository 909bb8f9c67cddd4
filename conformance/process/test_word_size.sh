#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A 32-bit build is refused (SRPC-SEM-003). Only the front end of the compiler is asked, so that no
# 32-bit C library is needed.
#
#   bash conformance/process/test_word_size.sh
set -u -o pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
compiler=${CC:-gcc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The one header that exists for installed word sizes only; it lists what a C library lacks.
mkdir -p "$scratch/gnu"
: >"$scratch/gnu/stubs-32.h"
echo '#include "limit.h"' >"$scratch/limit.c"

look() {
    timeout 60 "$compiler" "$@" -std=c11 -D_GNU_SOURCE -fsyntax-only -iquote "$root/src" \
        -isystem "$scratch" -isystem "/usr/include/$("$compiler" -print-multiarch)" \
        "$scratch/limit.c" >"$scratch/log" 2>&1
}

echo 'int word;' >"$scratch/probe.c"
if ! "$compiler" -m32 -fsyntax-only "$scratch/probe.c" 2>/dev/null; then
    echo "skipped: $compiler knows no 32-bit target here"
    echo "0 passed, 0 failed, 1 skipped"
    exit 77
fi

passed=0
failed=0
is() {
    local title="$1"
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok      $title"
    else
        failed=$((failed + 1))
        echo "FAILED  $title"
        sed 's/^/        /' "$scratch/log" | head -n 20
    fi
}
refused() { ! look -m32 && grep -q '32-bit processes cannot share a channel' "$scratch/log"; }

is "SRPC-SEM-003: this machine's word size is accepted" look
is "SRPC-SEM-003: 32 bits are refused, and the reason is told" refused
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
