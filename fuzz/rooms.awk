# SPDX-License-Identifier: MIT
#
# How many lines of its rooms a target reached:
#
#   awk -v target=TARGET -v list=FILE -f fuzz/rooms.awk fuzz/rooms.txt LCOV-TRACE
#
# Prints "PERCENT HIT FOUND" and writes what was not reached to the list. The sources are read for the
# ends of functions (a brace in the first column) and for the marks of coverage/lcovrc.

function fail(text) {
    print "fuzz/rooms.awk: " text >"/dev/stderr"
    broken = 1
    exit 1
}

# Which lines of a file belong to which function, and which are excluded.
function read_source(file,    line, text, excluded, current) {
    line = 0
    while ((getline text <file) > 0) {
        line++
        if (text ~ /GCOV_EXCL_START/)
            excluded = 1
        if (excluded || text ~ /GCOV_EXCL_LINE/)
            skip[file, line] = 1
        if (text ~ /GCOV_EXCL_STOP/)
            excluded = 0
        if ((file, line) in begins)
            current = begins[file, line]
        if (current != "")
            room[file, line] = current
        if (text ~ /^}/)
            current = ""
    }
    close(file)
}

function wanted(file, name) {
    return whole[file] ? !((file, name) in named) : (file, name) in named
}

FNR == 1 { part++ }

# FILE alone: all of its functions; FILE -NAME...: all but these; FILE NAME...: only these.
part == 1 {
    sub(/#.*/, "")
    if ($1 != target)
        next
    files[$2] = 1
    whole[$2] = NF == 2 || $3 ~ /^-/
    for (i = 3; i <= NF; i++) {
        name = $i
        if (whole[$2] && !sub(/^-/, "", name))
            fail($2 ": " $i ": either names or exceptions")
        named[$2, name] = 0
    }
    next
}

/^SF:/ {
    file = substr($0, 4)
    sub(/.*\/src\//, "src/", file)
}
/^FN:/ && file in files {
    split(substr($0, 4), field, ",")
    name = field[2]
    sub(/.*:/, "", name)
    begins[file, field[1]] = name
    if ((file, name) in named)
        named[file, name] = 1
}
/^DA:/ && file in files {
    split(substr($0, 4), field, ",")
    if (!((file, field[1]) in count))
        lines[++line_count] = file SUBSEP field[1]
    count[file, field[1]] += field[2]
}

END {
    if (broken)
        exit 1
    for (file in files)
        read_source(file)
    for (key in named)
        if (!named[key]) {
            split(key, field, SUBSEP)
            fail(field[1] " has no function " field[2] " that " target " is linked with")
        }
    printf "" >list
    for (i = 1; i <= line_count; i++) {
        split(lines[i], field, SUBSEP)
        name = room[lines[i]]
        if (name == "" || lines[i] in skip || !wanted(field[1], name))
            continue
        found++
        if (count[lines[i]] > 0)
            hit++
        else
            print field[1] ":" field[2] ": " name >list
    }
    if (!found)
        fail("no room is named for " target)
    printf "%.1f %d %d\n", 100 * hit / found, hit, found
}
