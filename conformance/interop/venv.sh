#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Make sure of a virtual environment with the existing Python package:
#   conformance/interop/venv.sh DIRECTORY
# Status 77, and the reason as the last line, where Python, pip or the network cannot be had.
set -u

directory=$1
here=$(cd "$(dirname "$0")" && pwd)
stamp="$directory/ready"
wanted=$(cksum <"$here/requirements.txt")

[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$directory/bin/python" -c '' 2>/dev/null && exit 0

give_up() {
    echo "Python package shm-rpc-bridge 0.2.4 cannot be had: $1"
    exit 77
}

command -v python3 >/dev/null || give_up "no python3"
mkdir -p "$(dirname "$directory")"
rm -rf "$directory"
log="$directory.log"
python3 -m venv "$directory" >"$log" 2>&1 || give_up "python3 -m venv failed, see $log"
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check --retries 2 \
    -r "$here/requirements.txt" >>"$log" 2>&1 || give_up "pip install failed, see $log"
"$directory/bin/python" -c 'import shm_rpc_bridge, hypothesis' >>"$log" 2>&1 ||
    give_up "the installed package does not import, see $log"
echo "$wanted" >"$stamp"
