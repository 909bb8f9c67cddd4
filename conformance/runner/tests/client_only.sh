#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The port of COMMAND, but without its server: an adapter in front of it that answers the server's verbs.
#
#   client_only.sh COMMAND
coproc exec "$@"
while read -r line; do
    case $line in
    *'"server.'*)
        id=${line#*'"id":"'}
        printf '{"id":"%s","unsupported":{"feature":"server"}}\n' "${id%%\"*}"
        ;;
    *)
        printf '%s\n' "$line" >&"${COPROC[1]}"
        read -r reply <&"${COPROC[0]}" && printf '%s\n' "$reply"
        [[ $line != *'"quit"'* ]] || exit 0
        ;;
    esac
done
