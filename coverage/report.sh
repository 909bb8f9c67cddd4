#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Read the counters below DIRECTORY, print one summary line, and compare it with the thresholds:
#
#   coverage/report.sh DIRECTORY        HTML in DIRECTORY/html, what is not covered in uncovered.txt
#
# Headers with code of their own are counted where the unit tests use them.
# What counts: src/ without the tool and the examples; coverage/lcovrc has the rule for assertions.
set -eu -o pipefail

directory=$1
here=$(dirname "$0")
info=$directory/coverage.info

# The rule for assertions is about lines, so an assertion must be one.
if grep -nE '(REQUIRE|ENSURE|INVARIANT|SYS_OK)\([^;\\]*$' src/*.c src/*.h | grep -v '^src/check\.h'; then
    echo "coverage: these assertions go on in the next line, which the rule for them does not see" >&2
    exit 1
fi

lcov --config-file "$here/lcovrc" --quiet --capture --directory "$directory/src" \
    --directory "$directory/conformance/unit" --base-directory . --no-external --output-file "$info.all" 2>"$directory/lcov.log"
lcov --config-file "$here/lcovrc" --quiet --extract "$info.all" "$PWD/src/*" --output-file "$info.src" \
    2>>"$directory/lcov.log"
lcov --config-file "$here/lcovrc" --quiet --remove "$info.src" "$PWD/src/tool/*" "$PWD/src/examples/*" \
    --output-file "$info" 2>>"$directory/lcov.log"
genhtml --config-file "$here/lcovrc" --quiet --prefix "$PWD" --output-directory "$directory/html" "$info" \
    2>>"$directory/lcov.log" || { cat "$directory/lcov.log" >&2; exit 1; }

# Lines between marks, each of which must give its reason in the comment it stands in.
excluded=$(awk '
    /GCOV_EXCL_(START|LINE)/ && !/GCOV_EXCL_(START|LINE):? *[^ *]/ {
        print FILENAME ":" FNR ": an exclusion without its reason" >"/dev/stderr"; exit 1 }
    /GCOV_EXCL_START/ { on = 1 }
    on || /GCOV_EXCL_LINE/ { n++ }
    /GCOV_EXCL_STOP/ { on = 0 }
    END { print n + 0 }' src/*.c src/*.h)

awk -F'[:,]' '
    /^SF:/ { file = substr($0, 4); sub(".*/src/", "src/", file) }
    /^DA:/ && $3 == 0 { print file ":" $2 ": line" }
    /^FNDA:0,/ { print file ": function " $3 }
    /^BRDA:/ && ($5 == 0 || $5 == "-") { print file ":" $2 ": branch " $4 }' "$info" \
    >"$directory/uncovered.txt"

awk -v excluded="$excluded" -v list="$directory/uncovered.txt" '
    FILENAME ~ /thresholds$/ { if ($1 !~ /^#/ && NF >= 2) least[$1] = $2; next }
    { split($0, part, ":"); sum[part[1]] += part[2] }
    function percent(hit, found) { return found ? 100 * hit / found : 0 }
    function check(what, value, ok) {
        if (ok) return
        printf "coverage: %s %.2f %%, the threshold is %s %%; see %s\n", what, value, least[what], list
        short = 1
    }
    END {
        lines = percent(sum["LH"], sum["LF"])
        functions = percent(sum["FNH"], sum["FNF"])
        branches = percent(sum["BRH"], sum["BRF"])
        left_out = percent(excluded, sum["LF"] + excluded)
        printf "coverage: lines %.2f %% (%d of %d), functions %.2f %% (%d of %d), ", lines, sum["LH"],
            sum["LF"], functions, sum["FNH"], sum["FNF"]
        printf "branches %.2f %% (%d of %d), %d lines excluded (%.2f %%)\n", branches, sum["BRH"],
            sum["BRF"], excluded, left_out
        check("lines", lines, lines >= least["lines"] + 0)
        check("functions", functions, functions >= least["functions"] + 0)
        check("branches", branches, branches >= least["branches"] + 0)
        check("excluded", left_out, left_out <= least["excluded"] + 0)
        exit short
    }' "$here/thresholds" "$info"
