#!/usr/bin/env bash
# The whole compendium:            bash run_all.sh
# The tests:                       bash run_all.sh test
# On PTB-XL recordings:            bash run_all.sh --data ptbxl [--data-root DIR]
# In JupyterLab, cell by cell:     bash run_all.sh lab
# Figures and tables once more:    bash run_all.sh redraw
# All options:                     bash run_all.sh --help
#
# An active conda or virtual environment that holds the pinned set (requirements.lock) is used; conda's
# base counts as none. Without one, .venv is made: pip installs the set and this project, editable.
# The plain torch pin brings several GB of CUDA libraries on Linux. To use a CPU build instead:
# install torch 2.13.0+cpu for python3.11 and set ECGLIB_SYSTEM_SITE=1, so that .venv sees it; or let
# pip find a CPU wheel (PIP_FIND_LINKS); or activate an environment that has one.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1 # whatever the caller's folder
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-10000}" GLIBC_TUNABLES="${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}" # short spins, huge pages
if [[ ! "${1:-}" =~ ^(test|read|site|ipynb)$ && " $* " =~ \ (-h|--help)\  ]]; then exec python3 -m ecglib.run.options; fi
active="${VIRTUAL_ENV:-}"
if [ -z "$active" ] && [ "${CONDA_DEFAULT_ENV:-}" != base ]; then active="${CONDA_PREFIX:-}"; fi
if [ -n "$active" ]; then
    python=python
    if ! differences="$("$python" -m ecglib.run.environment)"; then
        echo "error: the active environment $active differs from requirements.lock" \
            "($(echo "$differences" | head -n 3 | paste -sd ';' -), ...); install it with" \
            "'pip install -r requirements.lock' or deactivate it" >&2
        exit 1
    fi
else
    python="$here/.venv/bin/python"
    installed="$here/.venv/requirements.lock" # a copy of the lock that was installed
    if ! cmp -s "$here/requirements.lock" "$installed"; then
        command -v python3.11 >/dev/null || { echo "error: python3.11 is not on the PATH" >&2; exit 1; }
        echo "making .venv from requirements.lock (once)"
        python3.11 -m venv ${ECGLIB_SYSTEM_SITE:+--system-site-packages} "$here/.venv"
        "$python" -m pip install --quiet -r "$here/requirements.lock"
        "$python" -m pip install --quiet --no-deps --no-build-isolation -e "$here"
        cp "$here/requirements.lock" "$installed"
    fi
fi

case "${1:-}" in
test)
    shift
    exec "$python" -m pytest -n auto --maxprocesses 4 --dist loadfile \
        --no-loadscope-reorder --rootdir "$here" -c "$here/pyproject.toml" "${@:-$here/tests}"
    ;;
*) exec "$python" -m ecglib.run "$@" ;;
esac
