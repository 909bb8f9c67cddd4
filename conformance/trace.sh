#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Joins the requirements of spec/shm-rpc.md with the code that enforces them and the tests that
# prove them, and fails on a hole. Nothing but sh and awk, so that it runs wherever make does.
#
#   conformance/trace.sh [ROOT [REPORT]]      ROOT: the source tree, REPORT: default build/trace.txt
#
# defined   a line "**SRPC-GROUP-NNN** (Level, WORD) statement" of spec/shm-rpc.md
# code      SRPC-GROUP-NNN anywhere in a .c or .h file below src/
# test      below conformance/, outside comments: SRPC_GROUP_NNN in an identifier, or
#           SRPC-GROUP-NNN inside a quoted string (a case's name, or a case file's "spec")
# excused   a line "ID code|test|both REASON" of conformance/trace-exceptions
# cited     SRPC-GROUP-NNN or SRPC_GROUP_NNN anywhere in the tree: must be defined
#
# Exit status: 0 no hole, 1 holes (all are listed), 2 the tree is not readable.
set -eu
root=${1:-.}
report=${2:-$root/build/trace.txt}
cd "$root"
[ -r spec/shm-rpc.md ] || { echo "trace: no spec/shm-rpc.md below $root" >&2; exit 2; }
mkdir -p "$(dirname "$report")"
list=$(mktemp)
trap 'rm -f "$list"' EXIT

# This program and its own exceptions are no evidence; neither is anything that was built.
find src conformance spec fuzz bench coverage -type f \
    \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.py' -o -name '*.sh' -o -name '*.json' \
    -o -name '*.md' -o -name '*.awk' -o -name '*.pml' \) 2>/dev/null |
    grep -v -e '^conformance/trace\.' -e '^conformance/cases/exempt\.json$' -e '^conformance/runner/tests/' -e '^spec/shm-rpc\.md$' -e '/__pycache__/' | LC_ALL=C sort >"$list"
[ ! -r README.md ] || echo README.md >>"$list"
[ -r conformance/trace-exceptions ] || { echo "trace: no conformance/trace-exceptions" >&2; exit 2; }

LC_ALL=C awk -v list="$list" -v report="$report" -v where="${report#"$PWD"/}" '
function hole(kind, id, text) { holes[++hole_count] = kind ": " id (text == "" ? "" : "  " text) }

# Calls note(id, at) for each id on a line. separator is "-" or "_".
function ids(line, separator, kind,    pattern, id, before, after) {
    pattern = "SRPC" separator "[A-Z]+" separator "[0-9][0-9][0-9]"
    while (match(line, pattern)) {
        id = substr(line, RSTART, RLENGTH)
        before = substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + RLENGTH)
        gsub("_", "-", id)
        note(kind, id, before, line)
    }
}
function note(kind, id, before, after) {
    if (kind == "cite") { cited[id] = cited[id] == "" ? place : cited[id]; return }
    if (kind == "code") { add(code, id, place); return }
    if (kind == "name") { add(test, id, file ":" name_around(before, id, after)); return }
    if (kind == "string" && quoted(before)) add(test, id, place)
}
function add(map, id, at) { if (index(" " map[id] " ", " " at " ") == 0) map[id] = map[id] (map[id] == "" ? "" : " ") at }
function name_around(before, id, after) {
    match(before, /[A-Za-z0-9_]*$/)
    before = substr(before, RSTART)
    match(after, /^[A-Za-z0-9_]*/)
    gsub("-", "_", id)
    return before id substr(after, 1, RLENGTH)
}
function quoted(before,    quotes, copy) {
    copy = before
    quotes = gsub(/"/, "", copy)
    if (quotes % 2 == 1) return 1
    copy = before
    return gsub(/\047/, "", copy) % 2 == 1
}
# What a line says outside comments; in_comment lives from line to line of a file.
function strip(line, extension,    from, to, out) {
    if (extension == "json" || extension == "md") return line
    if (extension == "py" || extension == "sh" || extension == "awk") {
        if (line ~ /^[ \t]*#/) return ""
        if (extension == "py") {
            if (in_comment) { if (index(line, "\"\"\"")) in_comment = 0; return "" }
            if ((from = index(line, "\"\"\""))) {
                if (index(substr(line, from + 3), "\"\"\"") == 0) in_comment = 1
                return substr(line, 1, from - 1)
            }
        }
        return line
    }
    out = ""
    while (line != "") {
        if (in_comment) {
            if ((to = index(line, "*/")) == 0) return out
            line = substr(line, to + 2)
            in_comment = 0
        }
        from = index(line, "/*")
        to = index(line, "//")
        if (to && (from == 0 || to < from)) return out substr(line, 1, to - 1)
        if (from == 0) return out line
        out = out substr(line, 1, from - 1)
        line = substr(line, from + 2)
        in_comment = 1
    }
    return out
}

# The specification.
FILENAME == "spec/shm-rpc.md" {
    place = FILENAME ":" FNR
    if ($0 ~ /^\*\*SRPC/) {
        if ($0 !~ /^\*\*SRPC-[A-Z]+-[0-9][0-9][0-9]\*\* \((Wire|Recovery|Hardened), (MUST|SHOULD|MAY)\) ./) {
            hole("malformed requirement", place, $0)
            next
        }
        id = $1
        gsub(/\*/, "", id)
        if (id in statement) hole("defined twice", id, place)
        level[id] = substr($2, 2, length($2) - 2)
        strength[id] = substr($3, 1, length($3) - 1)
        statement[id] = $0
        sub(/^[^)]*\) /, "", statement[id])
        order[++defined] = id
        place = place " of its own statement"
        ids(statement[id], "-", "cite")
    } else ids($0, "-", "cite")
    next
}

FILENAME == "conformance/trace-exceptions" {
    if ($0 ~ /^[ \t]*(#|$)/) next
    if (NF < 3 || $1 !~ /^SRPC-[A-Z]+-[0-9][0-9][0-9]$/ || $2 !~ /^(code|test|both)$/) {
        hole("malformed exception", FILENAME ":" FNR, $0)
        next
    }
    if ($1 in excuse) hole("excused twice", $1, "")
    excuse[$1] = $2
    reason[$1] = $0
    sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]+/, "", reason[$1])
    next
}

END {
    if (defined == 0) hole("no requirement defined", "spec/shm-rpc.md", "")
    while ((getline file < list) > 0) {
        extension = file
        sub(/.*\./, "", extension)
        in_comment = 0
        number = 0
        is_test = file ~ /^conformance\// && extension != "md"
        is_code = file ~ /^src\// && (extension == "c" || extension == "h")
        while ((getline line < file) > 0) {
            number++
            # Keeps the state of comments right and skips the rest of the work.
            if (index(line, "SRPC") == 0) { if (is_test) strip(line, extension); continue }
            place = file ":" number
            ids(line, "-", "cite")
            ids(line, "_", "cite")
            if (is_code) ids(line, "-", "code")
            if (is_test) {
                rest = strip(line, extension)
                ids(rest, "_", "name")
                ids(rest, "-", "string")
            }
        }
        close(file)
    }

    printf "" > report
    for (i = 1; i <= defined; i++) {
        id = order[i]
        without_code = !(id in code)
        without_test = !(id in test)
        excused_code = excuse[id] == "code" || excuse[id] == "both"
        excused_test = excuse[id] == "test" || excuse[id] == "both"
        if (without_code && !excused_code) hole("no code", id, statement[id])
        if (without_test && !excused_test) hole("no test", id, statement[id])
        if (!without_code && excused_code) hole("stale exception, code exists", id, code[id])
        if (!without_test && excused_test) hole("stale exception, test exists", id, test[id])
        key = level[id] " " strength[id]
        total[key]++
        if (!without_code) with_code[key]++
        if (!without_test) with_test[key]++
        if (excuse[id] != "") excused[key]++
        printf "%s (%s, %s) %s\n", id, level[id], strength[id], statement[id] > report
        printf "    code: %s\n", without_code ? "-" : code[id] > report
        printf "    test: %s\n", without_test ? "-" : test[id] > report
        if (excuse[id] != "") printf "    excused (%s): %s\n", excuse[id], reason[id] > report
    }
    for (id in excuse) if (excuse[id] != "" && !(id in statement)) hole("stale exception, not defined", id, "")
    for (id in cited) if (!(id in statement)) hole("cited but not defined", id, "first at " cited[id])

    printf "%-16s %8s %8s %8s %8s\n", "requirements", "defined", "code", "test", "excused"
    split("Wire MUST|Wire SHOULD|Wire MAY|Recovery MUST|Recovery SHOULD|Recovery MAY|Hardened MUST|Hardened SHOULD|Hardened MAY", keys, "|")
    for (k = 1; k <= 9; k++) if (keys[k] in total)
        printf "%-16s %8d %8d %8d %8d\n", keys[k], total[keys[k]], with_code[keys[k]], with_test[keys[k]], excused[keys[k]]
    for (i = 1; i <= hole_count; i++) { print holes[i]; print "HOLE " holes[i] > report }
    printf "trace: %d requirements, %d holes; joined report in %s\n", defined, hole_count, where
    exit (hole_count > 0)
}' spec/shm-rpc.md conformance/trace-exceptions
