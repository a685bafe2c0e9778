#!/usr/bin/env bash
# Measures how strong each game is after how long on this machine, and prints the tables of README: about eight hours.
#
#   bash launch/strength.sh                            all games
#   bash launch/strength.sh connect_four tic_tac_toe   some of the files in launch/strength; the tables keep the others
#   bash launch/strength.sh --output FOLDER NAME ...   (default: strength)
#
# Stopped at any moment, the same command continues. Writes FOLDER/strength.json and FOLDER/strength.md.
# Let nothing else run meanwhile: trainings are of equal time.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

for python in ${PYTHON:+"$PYTHON"} ${VIRTUAL_ENV:+"$VIRTUAL_ENV/bin/python"} "$here/../.venv/bin/python" python3 python; do
    if "$python" -c 'import numba, torch' 2>/dev/null; then
        export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
        exec "$python" -m ddpzero.bench.strength "$here/strength" "$@"
    fi
done
echo "No Python with torch and numba was found: run bash launch/setup.sh, or name one in PYTHON=..." >&2
exit 2
