#!/usr/bin/env bash
# Installs ddpzero with what its tests need, then checks all of it: format, lint, types, tests.
#
#   bash launch/test.sh                             everything, slow tests included
#   bash launch/test.sh tests/games -k gomoku       only pytest, with these arguments
#
# More about the environment in launch/setup.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/setup.sh" dev
cd "$here/.."

if [[ $# -gt 0 ]]; then
    exec python -m pytest "$@"
fi
ruff format --check .
ruff check .
mypy
# Three processes for two cores, for many tests wait; each takes a file at a time, whose fixtures are made once.
exec python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
