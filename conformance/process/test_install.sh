#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `make install` puts in place: programs in C and C++ build against it by pkg-config, the pages
# name every public function, and `make uninstall` leaves nothing. Also the manual's own examples.
#
#   SHMRPC_BUILD=build/release bash conformance/process/test_install.sh
#
# Ends with "N passed, N failed, N skipped".
# shellcheck disable=SC2016 # single quotes hide what another shell expands
set -u -o pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
prefix=/opt/shmrpc-test
tree=$scratch/tree
channel=install$$
passed=0
failed=0
skipped=0
server=

finish() {
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null
    rm -rf "$scratch" "/dev/shm/srb_$channel"* "/dev/shm/sem.srb_$channel"*
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# is TITLE COMMAND...: the command must succeed; its output is shown if it does not.
is() {
    local title=$1
    shift
    if timeout -k 2 120 "$@" >"$scratch/log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok      $title"
    else
        failed=$((failed + 1))
        echo "FAILED  $title"
        head -n 20 "$scratch/log" | sed 's/^/        /'
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1: $2"
}

# Without the jobs, flags and variables of a make that may be running this.
run_make=(env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$root" NO_DEPS=1 "PREFIX=$prefix"
    "DESTDIR=$tree")

files() {
    (cd "$tree" && find . ! -type d | sort)
}

pkg_config() {
    PKG_CONFIG_PATH=$tree$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tree pkg-config "$@"
}

# ---- Installing --------------------------------------------------------------------------------------

is "make install" "${run_make[@]}" install
library=$tree$prefix/lib
version=$(sed -n 's/^#define SHMRPC_VERSION "\(.*\)"/\1/p' "$root/src/shmrpc.h")
for file in bin/shmrpc include/shmrpc.h include/shmrpc_cjson.h lib/libshmrpc.a lib/libshmrpc.so \
    lib/pkgconfig/shmrpc.pc share/man/man1/shmrpc.1 share/man/man3/shmrpc.3 \
    share/bash-completion/completions/shmrpc; do
    is "$file is installed" test -s "$tree$prefix/$file"
done
is "the shared library's links lead to it" test "$(readlink "$library/libshmrpc.so"):$(
    readlink "$library/libshmrpc.so.${version%%.*}"
)" = "libshmrpc.so.${version%%.*}:libshmrpc.so.$version"
is "its soname" bash -c 'objdump -p "$1" | grep -q "SONAME *libshmrpc.so.$2$"' - \
    "$library/libshmrpc.so" "${version%%.*}"
is "it needs the C library only" test "$(objdump -p "$library/libshmrpc.so" | awk '
    $1 == "NEEDED" && $2 !~ /^(libc|ld-linux.*)\.so/ { print $2 }')" = ''
is "it exports nothing but shmrpc_ names" test "$(nm -D --defined-only "$library/libshmrpc.so" |
    awk '$2 != "A" && $3 !~ /^shmrpc_/ { print $3 }')" = ''
is "the installed command runs" "$tree$prefix/bin/shmrpc" --version
is "pkg-config knows the version" test "$(pkg_config --modversion shmrpc)" = "$version"

# ---- Public functions, manual pages -------------------------------------------------------------------

functions() {
    sed 's,/\*.*\*/,,' "$root/src/shmrpc.h" | tr '\n' ' ' |
        grep -o 'SHMRPC_PUBLIC [^;]*;' | grep -o 'shmrpc_[a-z0-9_]* *(' | tr -d ' (' | sort -u
    grep '^static inline' "$root/src/shmrpc_cjson.h" | grep -o 'shmrpc_[a-z0-9_]*[a-z0-9](' |
        tr -d '(' | sort -u
}

functions >"$scratch/functions"
is "the headers declare functions" test "$(wc -l <"$scratch/functions")" -gt 70
for page in "$root"/src/man/*; do
    is "mandoc has nothing against $(basename "$page")" mandoc -T lint -W warning "$page"
done
missing=
while read -r name; do
    page=$tree$prefix/share/man/man3/$name.3
    if ! [ -s "$page" ]; then
        missing+=" $name"
    elif read -r request target <"$page" && [ "$request" = .so ]; then
        grep -q "^\.F[no] $name\b" "$tree$prefix/share/man/$target" || missing+=" $name($target)"
    else
        grep -q "^\.F[no] $name\b" "$page" || missing+=" $name"
    fi
done <"$scratch/functions"
is "every public function has a page that shows how it is called:$missing" test -z "$missing"
unknown=
for page in "$tree$prefix"/share/man/man3/shmrpc_*.3; do
    name=$(basename "$page" .3)
    grep -qx "$name" "$scratch/functions" || [ -e "$root/src/man/$name.3" ] || unknown+=" $name"
done
is "and no page is about a function that is not there:$unknown" test -z "$unknown"
is "every exported function is declared" test "$(nm -D --defined-only "$library/libshmrpc.so" |
    awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | grep -vxF -f "$scratch/functions")" = ''

# ---- Programs of others -------------------------------------------------------------------------------

# The two programs of shmrpc(3), as a reader would type them.
manual_program() {
    mandoc -T utf8 -O width=200 "$root/src/man/shmrpc.3" | col -bx | sed 's/^ *//' | awk -v wanted="$1" '
        /^A server:/ || /^A client:/ { which = /server/ ? "server" : "client"; next }
        /^SEE ALSO/ { which = "" }
        which == wanted' | sed "s/[‘’]/'/g; s/\"calc\"/\"$channel\"/"
}

strict=(-Wall -Wextra -Wconversion -Wshadow -Werror)
for side in server client; do
    manual_program "$side" >"$scratch/$side.c"
    # shellcheck disable=SC2046 # flags are words
    is "the manual's $side builds by pkg-config" gcc -std=c11 "${strict[@]}" "$scratch/$side.c" \
        $(pkg_config --cflags --libs shmrpc) -o "$scratch/$side"
done

cat >"$scratch/client.cpp" <<'CPP'
#include <cstdio>
#include <cstring>
#include <shmrpc.h>
#include <shmrpc_cjson.h>

int main(int, char **argv)
{
    shmrpc_client *client = nullptr;
    if (shmrpc_client_open(argv[1], nullptr, &client) != SHMRPC_OK)
        return 1;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddNumberToObject(params, "a", 20);
    cJSON_AddNumberToObject(params, "b", 22);
    cJSON *result = nullptr;
    shmrpc_status status = shmrpc_client_call_cjson(client, "add", params, &result);
    if (status == SHMRPC_OK)
        std::printf("%g\n", result->valuedouble);
    else
        std::printf("%s\n", shmrpc_client_error(client));
    cJSON_Delete(result);
    cJSON_Delete(params);
    shmrpc_client_close(&client);
    return status == SHMRPC_OK && std::strcmp(shmrpc_version(), SHMRPC_VERSION) == 0 ? 0 : 1;
}
CPP
# shellcheck disable=SC2046
is "a C++ program builds by pkg-config" g++ -std=c++17 "${strict[@]}" "$scratch/client.cpp" \
    $(pkg_config --cflags --libs shmrpc) -lcjson -o "$scratch/client++"
# shellcheck disable=SC2046
is "a program links statically" gcc -std=c11 "${strict[@]}" "$scratch/client.c" \
    $(pkg_config --cflags shmrpc) "$library/libshmrpc.a" -pthread -o "$scratch/client-static"

export LD_LIBRARY_PATH=$library
answers() {
    local patience=100
    until "$tree$prefix/bin/shmrpc" ping "$channel" 2>/dev/null; do
        patience=$((patience - 1))
        [ "$patience" -gt 0 ] || return 1
        sleep 0.1
    done
    [ "$("${@:2}")" = "$1" ]
}
export -f answers
export tree prefix channel
if [ -x "$scratch/server" ]; then
    timeout -k 2 100 "$scratch/server" &
    server=$!
    is "the manual's client calls the manual's server" bash -c 'answers 8 "$1"' - "$scratch/client"
    is "so does the C++ program" bash -c 'answers 42 "$1" "$2"' - "$scratch/client++" "$channel"
    is "and the static one" bash -c 'answers 8 "$1"' - "$scratch/client-static"
    kill -TERM "$server" # timeout passes it on
    wait "$server" 2>/dev/null
    server=
fi
unset LD_LIBRARY_PATH

# ---- Lint and uninstalling ----------------------------------------------------------------------------

if command -v shellcheck >/dev/null; then
    is "shellcheck has nothing against the completion" shellcheck "$root/src/tool/shmrpc.bash"
else
    skip "shellcheck of the completion" "no shellcheck"
fi
is "there is something to uninstall" test "$(files | wc -l)" -gt 80
is "make uninstall" "${run_make[@]}" uninstall
is "it leaves no file: $(files | tr '\n' ' ')" test -z "$(files)"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
