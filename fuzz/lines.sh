#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Measure which lines of its rooms a target reaches:  fuzz/lines.sh PROGRAM CORPUS...
#
# PROGRAM is build/VARIANT/replay_TARGET, built to count (clang's source-based coverage); it replays the
# corpora. Prints "PERCENT HIT FOUND"; what was not reached is in build/fuzz/lines/TARGET.txt. The
# rooms are in fuzz/rooms.txt. The status is 1 if a replay fails.
set -eu -o pipefail

program=$1
shift
target=${program##*/replay_}
out=build/fuzz/lines/$target
mkdir -p build/fuzz/lines
rm -f "$out".*

if ! LLVM_PROFILE_FILE=$out.raw timeout -k 10 600 "$program" "$@" >"$out.log" 2>&1; then
    echo "the replay of the corpora failed, see $out.log" >&2
    exit 1
fi
llvm-profdata merge -o "$out.profile" "$out.raw"
llvm-cov export -format=lcov -instr-profile "$out.profile" "$program" src >"$out.info" 2>>"$out.log"
rm -f "$out.raw"
awk -v target="$target" -v list="$out.txt" -f fuzz/rooms.awk fuzz/rooms.txt "$out.info"
