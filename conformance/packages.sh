#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Make sure of the packages that a target needs:  sh conformance/packages.sh SET...
# Sets: build check bench fuzz coverage mutation analysis model report.
#
# On Debian and its kin what is missing is installed through apt-get, as root or with passwordless
# sudo; otherwise the one command to type is printed and the status is 1. Elsewhere the programs
# that are missing are named. NO_DEPS=1 skips everything. A fresh machine has only git, make and
# apt, so this is plain POSIX shell and leans on nothing else.
set -eu

# Alternatives are joined by a bar: any one will do, the first that the archive has is installed.
packages_of() {
    case $1 in
    build) echo gcc libc6-dev make libcjson-dev ;;
    check) echo "$(packages_of build)" g++ libcmocka-dev valgrind pkg-config util-linux procps \
        python3 python3-venv python3-pip ca-certificates mandoc shellcheck bash-completion ;;
    bench) echo "$(packages_of build)" g++ pkg-config libgrpc-dev libgrpc++-dev libprotobuf-dev \
        protobuf-compiler protobuf-compiler-grpc libprotobuf-c-dev protobuf-c-compiler gnuplot-nox \
        python3 python3-venv python3-pip ca-certificates util-linux procps ;;
    fuzz) echo "$(packages_of build)" clang 'libclang-rt-dev|libclang-rt-14-dev' llvm libcmocka-dev ;;
    coverage) echo "$(packages_of check)" lcov ;;
    mutation) echo "$(packages_of check)" python3-clang ;;
    analysis) echo "$(packages_of check)" clang clang-tidy cppcheck ;;
    model) echo gcc libc6-dev make spin ;;
    report) echo "$(packages_of check)" chromium fonts-dejavu-core ;;
    *) return 1 ;;
    esac
}

# The same for systems without dpkg: programs, and headers as HEADER.h.
programs_of() {
    case $1 in
    build) echo gcc make ar cjson/cJSON.h ;;
    check) echo "$(programs_of build)" g++ cmocka.h valgrind pkg-config setpriv unshare timeout \
        python3 mandoc shellcheck ;;
    bench) echo "$(programs_of build)" g++ pkg-config grpc/grpc.h grpcpp/grpcpp.h protoc \
        grpc_cpp_plugin protobuf-c/protobuf-c.h protoc-c gnuplot python3 ;;
    fuzz) echo "$(programs_of build)" clang llvm-symbolizer ;;
    coverage) echo "$(programs_of check)" lcov genhtml ;;
    mutation) echo "$(programs_of check)" clang ;;
    analysis) echo "$(programs_of check)" clang clang-tidy cppcheck ;;
    model) echo gcc make spin ;;
    report) echo "$(programs_of check)" chromium ;;
    *) return 1 ;;
    esac
}

usage() {
    echo "usage: sh conformance/packages.sh build|check|bench|fuzz|coverage|mutation|analysis|model|report ..." >&2
    exit 2
}

has_program() {
    case $1 in
    *.h) printf '#include <stdio.h>\n#include <stddef.h>\n#include <stdarg.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <%s>\n' "$1" |
        "${CC:-cc}" -E -x "$(case $1 in grpcpp/*) echo c++ ;; *) echo c ;; esac)" - >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# Print the wanted packages of which no alternative is installed.
missing_packages() {
    # shellcheck disable=SC2046 # the list is words on purpose
    installed=" $(dpkg-query -W -f='${Package}=${db:Status-Status}\n' \
        $(echo "$@" | tr '|' ' ') 2>/dev/null | sed -n 's/=installed$//p' | tr '\n' ' ')"
    for wanted in "$@"; do
        found=
        for one in $(echo "$wanted" | tr '|' ' '); do
            case $installed in *" $one "*) found=1 ;; esac
        done
        [ -n "$found" ] || echo "$wanted"
    done
}

# Of each set of alternatives print the first that the archive has; the first one if none is known.
pick_alternatives() {
    for wanted in "$@"; do
        pick=${wanted%%|*}
        for one in $(echo "$wanted" | tr '|' ' '); do
            if apt-cache show "$one" >/dev/null 2>&1; then
                pick=$one
                break
            fi
        done
        echo "$pick"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

[ $# -gt 0 ] || usage
wanted=
for set in "$@"; do
    wanted="$wanted $(packages_of "$set")" || usage
done
[ -z "${NO_DEPS:-}" ] || exit 0
# shellcheck disable=SC2086
wanted=$(printf '%s\n' $wanted | sort -u)

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    absent=
    for program in $(for set in "$@"; do programs_of "$set"; done); do
        has_program "$program" || absent="$absent $program"
    done
    [ -z "$absent" ] && exit 0
    echo "packages: this is no Debian, so nothing is installed for you; not found:$absent" >&2
    echo "packages: install them, or set NO_DEPS=1 to try without" >&2
    exit 1
fi

# shellcheck disable=SC2086
missing=$(missing_packages $wanted)
[ -n "$missing" ] || exit 0

options='-y -q --no-install-recommends -o DPkg::Lock::Timeout=300'
if [ "$(id -u)" -ne 0 ] && ! { command -v sudo && sudo -n true; } >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    echo "packages: missing:" $missing >&2
    # shellcheck disable=SC2046,SC2086
    echo "packages: type:  sudo apt-get install --no-install-recommends" $(pick_alternatives $missing) >&2
    echo "packages: or set NO_DEPS=1 to try without" >&2
    exit 1
fi

# shellcheck disable=SC2086
echo "packages: installing" $missing
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# An update that fails is not the end: the lists on disk may do.
as_root apt-get -q -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 ||
    echo "packages: apt-get update failed; trying with the lists at hand" >&2
# shellcheck disable=SC2046,SC2086
if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get $options install \
    $(pick_alternatives $missing) >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    # shellcheck disable=SC2086
    echo "packages: apt-get could not install:" $missing >&2
    exit 1
fi
# shellcheck disable=SC2086
missing=$(missing_packages $missing)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    echo "packages: still missing:" $missing >&2
    exit 1
fi
