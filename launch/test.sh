#!/usr/bin/env bash
# Installs ddpzero with what its tests need, then checks all of it: format, lint, types, tests.
#
#   bash launch/test.sh                             everything but the tests in tests/extended.txt
#   bash launch/test.sh --extended                  everything
#   bash launch/test.sh tests/games -k gomoku       only pytest, with these arguments
#
# More about the environment in launch/setup.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/setup.sh" dev
cd "$here/.."

left_out=()
if [[ "$*" != --extended ]]; then
    if [[ $# -gt 0 ]]; then
        exec python -m pytest "$@"
    fi
    mapfile -t left_out < <(grep -v '^#' tests/extended.txt)
fi
ruff format --check .
ruff check .
mypy
# Some hundred processes import these sources: compile them once, whatever the user's habit is.
export PYTHONDONTWRITEBYTECODE=
# Three processes for two cores, for many tests wait; each takes a file at a time, whose fixtures are made once.
exec python -m pytest -n 3 --dist loadfile --no-loadscope-reorder "${left_out[@]/#/--deselect=}"
