# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of the command shmrpc for bash: verbs, options, modes, channel names, -d @FILE.

# The channels as their request segments show them; asking the command would open every one.
_shmrpc_channels() {
    local path name
    for path in /dev/shm/srb_*_req; do
        name=${path#/dev/shm/srb_}
        name=${name%_req}
        if [[ -e $path && $name == "$1"* ]]; then
            printf '%q\n' "$name"
        fi
    done
}

_shmrpc_options() {
    local common='--help --version --json'
    local client='--timeout --wait-for-server --wait-busy --buffer-bytes --wait'
    case $1 in
    serve) echo "$common --buffer-bytes --timeout --wait --test-methods" ;;
    call) echo "$common $client --data" ;;
    ping) echo "$common $client" ;;
    clean) echo "$common --dry-run --prefix" ;;
    list | inspect | doctor) echo "$common" ;;
    *) echo '--help --version' ;;
    esac
}

# How many words between the verb and the current one are no options and no options' arguments.
_shmrpc_operands() {
    local i count=0
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --timeout | --wait-for-server | --wait-busy | --buffer-bytes | --wait | --prefix | -d | --data)
            i=$((i + 1))
            ;;
        -*) ;;
        *) count=$((count + 1)) ;;
        esac
    done
    echo "$count"
}

_shmrpc() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local verb=${COMP_WORDS[1]}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "serve call ping list inspect clean doctor $(
            _shmrpc_options ''
        )" -- "$current")
        return
    fi
    case $previous in
    --wait)
        mapfile -t COMPREPLY < <(compgen -W 'adaptive spin block' -- "$current")
        return
        ;;
    --prefix)
        mapfile -t COMPREPLY < <(_shmrpc_channels "$current")
        return
        ;;
    -d | --data)
        if [[ $current == @* ]]; then
            mapfile -t COMPREPLY < <(compgen -f -P @ -- "${current#@}")
        fi
        return
        ;;
    --timeout | --wait-for-server | --wait-busy | --buffer-bytes) return ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_shmrpc_options "$verb")" -- "$current")
    elif [[ $verb =~ ^(serve|call|ping|inspect)$ && $(_shmrpc_operands) == 0 ]]; then
        mapfile -t COMPREPLY < <(_shmrpc_channels "$current")
    fi
}

complete -F _shmrpc shmrpc
