#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Show that the fuzzers find faults:  fuzz/seeded.sh PROGRAM...
#
# For each target the rule fuzz/seeded/TARGET.sed seeds one fault into the room that the target aims
# at, in a copy of the tree under build/; the target, built there, must find it within 10 seconds from
# the seeds and the committed corpus: it must say what it found and leave the input that shows it. The
# same target without the fault must find nothing in those inputs. The sources themselves are never touched.
set -u -o pipefail

seconds=10
root=$PWD
copy=$root/build/seeded/tree
found=0
missed=0
export FUZZ_RUN=$$

finish() {
    rm -f /dev/shm/srb_fuzz-$$-* /dev/shm/sem.srb_fuzz-$$-*
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# A copy with its objects, so that only what the fault touches is built again.
copy_tree() {
    rm -rf "$copy"
    mkdir -p "$copy/build/$variant"
    cp -a Makefile src fuzz "$copy"
    cp -a "build/$variant/src" "build/$variant/fuzz" "$copy/build/$variant/"
}

# Run a program of the target over its inputs. @return its status
fuzz() {
    local fuzzer=$1 corpora=() folder
    shift
    for folder in "fuzz/corpus/$target" "build/fuzz/seed/$target"; do
        [ ! -d "$folder" ] || corpora+=("$root/$folder")
    done
    local arguments=(-timeout=20 -artifact_prefix="$copy/finding-" "$@")
    [ ! -e "fuzz/fuzz_$target.dict" ] || arguments+=(-dict="$root/fuzz/fuzz_$target.dict")
    mkdir -p "$copy/corpus"
    ASAN_OPTIONS=allocator_may_return_null=1 timeout -k 10 $((seconds + 60)) "$fuzzer" \
        "${arguments[@]}" "$copy/corpus" "${corpora[@]}" >>"$log" 2>&1 </dev/null
}

# What the target said that it found.
finding() {
    grep -haE 'the oracle says no|ERROR: AddressSanitizer|runtime error|: (REQUIRE|ENSURE|INVARIANT)|ERROR: libFuzzer' \
        "$log" | head -n 1 | cut -c1-110
}

# @return 0: found, and $log says as what. A target that ends in any other way has found nothing.
hunt() {
    : >"$log"
    ! fuzz "$copy/$program" -max_total_time="$seconds" && [ -n "$(finding)" ] &&
        compgen -G "$copy/finding-*" >/dev/null
}

for program in "$@"; do
    target=${program##*/fuzz_}
    variant=$(basename "$(dirname "$program")")
    rule=fuzz/seeded/$target.sed
    log=$root/build/seeded/$target.log
    mkdir -p build/seeded
    if [ ! -e "$rule" ]; then
        printf 'missed %-15s no fault is described in %s\n' "$target" "$rule"
        missed=$((missed + 1))
        continue
    fi
    file=$(sed -n 's/^# file: //p' "$rule")
    fault=$(sed -n 's/^# fault: //p' "$rule")
    copy_tree
    sed -f "$rule" "$file" >"$copy/$file"
    if cmp -s "$file" "$copy/$file"; then
        printf 'missed %-15s the rule does not fit %s any more\n' "$target" "$file"
        missed=$((missed + 1))
    elif ! make -C "$copy" --no-print-directory NO_DEPS=1 "$program" >"$log" 2>&1; then
        printf 'missed %-15s does not build, see %s\n' "$target" "$log"
        missed=$((missed + 1))
    elif : >"$log"; ! fuzz "$root/$program" -runs=0; then
        printf 'missed %-15s without the fault it ends with an error as well, see %s\n' "$target" "$log"
        missed=$((missed + 1))
    else
        begin=$SECONDS
        if hunt; then
            found=$((found + 1))
            printf 'found  %-15s after %2d s: %s\n' "$target" $((SECONDS - begin)) "$fault"
            finding | sed 's/^/         /'
        else
            missed=$((missed + 1))
            printf 'missed %-15s %s\n' "$target" "$fault"
        fi
    fi
done
rm -rf "$copy"
echo "$found found, $missed missed"
[ "$missed" -eq 0 ]
