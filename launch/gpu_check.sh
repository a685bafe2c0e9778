#!/usr/bin/env bash
# Measures what a GPU does here, in under nine minutes: forward rates, CUDA graphs, self-play with a shared evaluator and
# with a network in each actor, the learner, and with the rest of the time a training. Says which bars are reached.
#
#   bash launch/gpu_check.sh                          prints a table, writes gpu_check.json
#   bash launch/gpu_check.sh --device cpu --quick     tries its logic without a GPU
#
# Installs nothing. Needs a Python with torch and numba (and pyyaml for self-play and learner): the active environment,
# .venv, or PYTHON. A step that needs another package is left out, and the table says which; PYTHONPATH may name a
# folder made elsewhere by `pip install --target FOLDER psutil pyyaml safetensors tensorboard pytest`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for python in ${PYTHON:+"$PYTHON"} ${VIRTUAL_ENV:+"$VIRTUAL_ENV/bin/python"} .venv/bin/python python3 python; do
    if "$python" -c 'import numba, torch' 2>/dev/null; then
        export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
        exec "$python" -m ddpzero.bench.gpu_check "$@"
    fi
done
echo "No Python with torch and numba was found: activate its environment, or name it in PYTHON=..." >&2
exit 2
