#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The interop tests:  conformance/interop/run.sh VENV BUILD CALLS     (SEED=N repeats a run)
# Skipped aloud where the Python package cannot be had; with CI=true that is a failure.
set -u

here=$(cd "$(dirname "$0")" && pwd)
if ! reason=$("$here/venv.sh" "$1" 2>&1); then
    echo "$reason"
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$1/bin/python" "$here/interop.py" "$2" "$3" "${SEED:-}"
