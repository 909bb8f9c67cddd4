# SPDX-License-Identifier: MIT
#
# Builds the seeded faults of mutants.txt into a copy of one source file.
#
#   awk -f patch.awk -v source=FILE mutants.txt FILE > COPY     the copy
#   awk -f patch.awk -v list=1 mutants.txt                      the headings, a line each
#
# An original line that is no longer found exactly once ends it with status 1, so that no mutant rots away
# unnoticed when the source changes.

function complain(text)
{
    printf "mutants.txt: %s\n", text | "cat >&2"
    close("cat >&2")
    failed = 1
}

# A regular expression for the text, with white space of any kind and amount where it has some.
function pattern_of(text,    made, i, c)
{
    gsub(/[ \t\n]+/, " ", text)
    sub(/^ /, "", text)
    sub(/ $/, "", text)
    made = ""
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == " ")
            made = made "[ \t\n]+"
        else if (c ~ /[A-Za-z0-9_]/)
            made = made c
        else if (c == "\\" || c == "^")
            made = made "\\" c
        else
            made = made "[" c "]"
    }
    return made
}

# Where the function's definition begins and ends, in first and last; 0 if there is none.
function find_function(name,    at, rest, brace, semicolon, skipped)
{
    skipped = 0
    rest = text
    while (match(rest, "\n[A-Za-z_][^\n;={}]*[^A-Za-z0-9_]" name "[(]")) {
        at = skipped + RSTART
        skipped = at
        rest = substr(text, at + 1)
        brace = index(rest, "\n{")
        semicolon = index(rest, ";")
        if (brace > 0 && (semicolon == 0 || brace < semicolon)) {
            first = at + brace
            last = first + index(substr(text, first), "\n}\n")
            return last > first
        }
    }
    return 0
}

function where_of(i)
{
    return number[i] ": " file[i] (place[i] != "" ? ", " place[i] : "")
}

function replacement(i, found)
{
    if (number[i] == "always")
        return now[i]
    if (was[i] ~ /;[ \t\n]*$/)
        return "{ if (shmrpc_mutant == " number[i] ") { " now[i] " } else { " found " } }"
    return "(shmrpc_mutant == " number[i] " ? (" now[i] ") : (" found "))"
}

function apply(i,    body, pattern, begin, length_found, found)
{
    first = 1
    last = length(text) + 1
    if (place[i] != "" && !find_function(place[i])) {
        complain(where_of(i) ": there is no such function")
        return
    }
    body = substr(text, first, last - first)
    pattern = pattern_of(was[i])
    if (!match(body, pattern)) {
        complain(where_of(i) ": not found: " was[i])
        return
    }
    begin = RSTART
    length_found = RLENGTH
    if (match(substr(body, begin + length_found), pattern)) {
        complain(where_of(i) ": found more than once: " was[i])
        return
    }
    found = substr(body, begin, length_found)
    text = substr(text, 1, first + begin - 2) replacement(i, found) \
           substr(text, first + begin - 1 + length_found)
}

# ---- mutants.txt ----

FNR == 1 { files++ }
files == 1 && $1 == "=" {
    id = $2
    if (id == "always")
        next
    if (id !~ /^[1-9][0-9]*$/ || NF < 4 || id in listed)
        complain("line " FNR ": not a new NUMBER CATEGORY CASE")
    listed[id] = 1
    of[$3]++
    if (list)
        print substr($0, 3)
    next
}
files == 1 && $1 == "@" { at_file = $2; at_place = $3; kind = "@"; next }
files == 1 && $1 == "-" {
    if (kind != "-") {
        count++
        number[count] = id
        file[count] = at_file
        place[count] = at_place
        was[count] = now[count] = ""
    }
    kind = "-"
    was[count] = was[count] (was[count] != "" ? "\n" : "") substr($0, 3)
    next
}
files == 1 && $1 == "+" {
    kind = "+"
    now[count] = now[count] (now[count] != "" ? "\n" : "") substr($0, 3)
    next
}
files == 1 && NF > 0 && $1 != "?" && $1 !~ /^#/ { complain("line " FNR ": what is this?") }
files == 1 { next }

# ---- the source ----

{ text = text $0 "\n" }

END {
    if (!list) {
        text = "\n" text
        for (i = 1; i <= count; i++)
            if (file[i] == source) {
                if (now[i] == "")
                    complain(where_of(i) ": no + line")
                apply(i)
            }
        printf "extern int shmrpc_mutant;\nvoid shmrpc_mutant_choose(void);\n#line 1 \"%s\"\n%s", source, substr(text, 2)
    } else {
        for (category in of)
            if (of[category] < 2)
                complain("only one mutant of the category " category)
        for (i = 1; i <= count; i++)
            if ((getline line < file[i]) <= 0)
                complain(where_of(i) ": there is no such file")
    }
    exit failed
}
