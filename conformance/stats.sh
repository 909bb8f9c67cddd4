#!/bin/sh
# SPDX-License-Identifier: MIT
# Lines of code, functions and assertions a room of src/, as `make stats` prints them. Lines are those
# with code on them: not blank, not only comment, not a lone brace. A room is a .c file with its header.
# The tool and the examples are not part of the library and are listed apart.
set -eu
cd "$(dirname "$0")/.."

# Prints "lines functions assertions" of the files given.
count() {
    cat "$@" | awk '
        { line = $0 }
        comment { if (!sub(/.*\*\//, "", line)) next; comment = 0 }
        { while (match(line, /\/\*/)) {
              rest = substr(line, RSTART + 2)
              if (match(rest, /\*\//)) line = substr(line, 1, index(line, "/*") - 1) substr(rest, RSTART + 2)
              else { line = substr(line, 1, index(line, "/*") - 1); comment = 1; break } } }
        line ~ /[^ \t{};]/ { lines++ }
        line == "{" { functions++ }
        line !~ /#define/ { assertions += gsub(/(^|[^A-Z_])(REQUIRE|ENSURE|INVARIANT|UNREACHABLE|SYS_OK|_Static_assert)\(/, "", line) }
        END { print lines + 0, functions + 0, assertions + 0 }'
}

row() {
    printf '%-14s %7d %10d %11d\n' "$@"
}

printf '%-14s %7s %10s %11s\n' room lines functions assertions
for file in src/*.c; do
    room=$(basename "$file" .c)
    header=src/$room.h
    [ -f "$header" ] || header=
    # shellcheck disable=SC2046,SC2086 # three numbers; a header or none
    row "$room" $(count "$file" $header)
done
for header in src/*.h; do
    room=$(basename "$header" .h)
    # shellcheck disable=SC2046
    [ -f "src/$room.c" ] || row "$room.h" $(count "$header")
done
# shellcheck disable=SC2046
set -- $(count src/*.c src/*.h)
row total "$@"
lines=$1 functions=$2 assertions=$3
# shellcheck disable=SC2046
row '(tool)' $(count src/tool/*.c src/tool/*.h)
# shellcheck disable=SC2046
row '(examples)' $(count src/examples/*.c)
density=$((assertions * 100 / functions))
printf '%d lines of 5000 allowed (blank lines, comments and lone braces not counted), %d.%02d assertions a function of 2.00 wanted\n' \
    "$lines" $((density / 100)) $((density % 100))
[ "$lines" -lt 5000 ] && [ "$density" -ge 200 ]
