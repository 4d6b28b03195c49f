#!/usr/bin/env bash
# The whole compendium:            bash run_all.sh
# The tests:                       bash run_all.sh test
# On PTB-XL recordings:            bash run_all.sh --data ptbxl [--data-root DIR]
# All options:                     bash run_all.sh --help
#
# An active conda or virtual environment that holds the pinned set (requirements.lock) is used as
# it is. Where none is active, .venv is made beside this file and the set is installed by pip, once.
# The plain torch pin brings several GB of CUDA libraries on Linux. To use a CPU build instead:
# install torch 2.13.0+cpu for python3.11 and set ECGLIB_SYSTEM_SITE=1, so that .venv sees it; or let
# pip find a CPU wheel (PIP_FIND_LINKS); or activate an environment that has one.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1 # whatever the caller's folder

if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
    python=python
    if ! differences="$("$python" -m ecglib.run.environment)"; then
        echo "error: the active environment ${VIRTUAL_ENV:-${CONDA_PREFIX:-}} differs from" \
            "requirements.lock ($(echo "$differences" | head -n 3 | paste -sd ';'), ...);" \
            "install it with 'pip install -r requirements.lock' or deactivate it." >&2
        exit 1
    fi
else
    python="$here/.venv/bin/python"
    stamp="$here/.venv/lock.sha256"
    if ! (cd "$here" && sha256sum --check --status "$stamp" 2>/dev/null); then
        command -v python3.11 >/dev/null || { echo "error: python3.11 is not on the PATH." >&2; exit 1; }
        echo "making .venv from requirements.lock (once)"
        python3.11 -m venv ${ECGLIB_SYSTEM_SITE:+--system-site-packages} "$here/.venv"
        "$python" -m pip install --quiet -r "$here/requirements.lock"
        (cd "$here" && sha256sum requirements.lock) >"$stamp"
    fi
fi

case "${1:-}" in
test) shift; exec "$python" -m pytest -n auto --maxprocesses 4 --dist loadgroup --rootdir "$here" -c "$here/pyproject.toml" "${@:-$here/tests}" ;;
*) exec "$python" -m ecglib.run "$@" ;;
esac
