#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Bring what the fuzzers have found under build/ into fuzz/corpus:  fuzz/minimise.sh PROGRAM...
#
# Keeps a small set of inputs that together reach what all of them reach and the seeds, which are made
# from the vectors anyway, do not. At most 280 files and 96 KiB a target; inputs that a person named
# stay in any case.
set -eu -o pipefail

most_files=280
most_bytes=98304
export FUZZ_RUN=$$

for program in "$@"; do
    target=${program##*/fuzz_}
    merged=build/fuzz/merged/$target
    rm -rf "$merged"
    mkdir -p "$merged" "fuzz/corpus/$target" "build/fuzz/corpus/$target" "build/fuzz/seed/$target"
    # A merge takes nothing that earlier folders have, so the seeds come first and are left out after.
    cp -r "build/fuzz/seed/$target/." "$merged"
    find "$merged" -type f -printf '%f\n' | sort >"$merged.seeds"
    ASAN_OPTIONS=allocator_may_return_null=1 timeout 600 "$program" -set_cover_merge=1 "$merged" \
        "fuzz/corpus/$target" "build/fuzz/corpus/$target" >"$merged.log" 2>&1
    find "fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    bytes=0
    files=0
    while read -r size name; do
        if grep -qxF "$name" "$merged.seeds" || [ -e "fuzz/corpus/$target/$name" ]; then continue; fi
        if [ $((bytes + size)) -gt $most_bytes ] || [ $files -ge $most_files ]; then break; fi
        cp "$merged/$name" "fuzz/corpus/$target/$name"
        bytes=$((bytes + size))
        files=$((files + 1))
    done < <(find "$merged" -type f -printf '%s %f\n' | sort -k 2)
    echo "$target: $files files, $bytes bytes"
done
