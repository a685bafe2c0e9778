# Makes sure that ddpzero is installed, in .venv or in the active environment. The other scripts source it, which
# puts that environment on their PATH, too.
#
#   bash launch/setup.sh [dev]          with what draws pictures and shows the page; dev: also with what the tests need
#
# Environment: VIRTUAL_ENV, CONDA_PREFIX  an active environment is used instead of .venv, but never conda's base
#              PYTHON       the Python that .venv is made with (3.11 to 3.13; otherwise the newest one found)
#              PIP_*        as always: indexes, wheels, proxies

set -euo pipefail
ddpzero_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

ddpzero_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
        if [[ "$candidate" == "${PYTHON:-}" ]]; then
            echo "PYTHON=$PYTHON is not a Python from 3.11 to 3.13." >&2
            return 1
        fi
    done
    echo "ddpzero needs Python 3.11, 3.12 or 3.13, and none is on PATH: install one, or name it in PYTHON=..." >&2
    return 1
}

ddpzero_setup() {
    local extra="${1:-report,web}" python stamp
    if [[ -z "${VIRTUAL_ENV:-}" && "${CONDA_DEFAULT_ENV:-base}" != base && -x "${CONDA_PREFIX:-}/bin/python" ]]; then
        export VIRTUAL_ENV="$CONDA_PREFIX"
    fi
    if [[ -z "${VIRTUAL_ENV:-}" ]]; then
        if [[ ! -x "$ddpzero_root/.venv/bin/python" ]]; then
            python="$(ddpzero_python)"
            echo "Making $ddpzero_root/.venv with $("$python" --version) ..." >&2
            "$python" -m venv "$ddpzero_root/.venv" || {
                rm -rf "$ddpzero_root/.venv"
                echo "$python cannot make a virtual environment: install its venv module (Debian: python3-venv)." >&2
                return 1
            }
        fi
        export VIRTUAL_ENV="$ddpzero_root/.venv"
    fi
    export PATH="$VIRTUAL_ENV/bin:$PATH"

    # A stamp per set of packages: started again with nothing changed, this takes no time.
    stamp="$VIRTUAL_ENV/.ddpzero-$(cat <(echo "$ddpzero_root") "$ddpzero_root/pyproject.toml" \
        "$ddpzero_root/launch/constraints.txt" | sha256sum | cut -c1-16)"
    if [[ -e "$stamp-dev" || -e "$stamp-$extra" ]]; then
        return
    fi
    echo "Installing ddpzero into $VIRTUAL_ENV ..." >&2
    ddpzero_install_torch_for_cpu
    # It also compiles what is installed, for half a minute: with PYTHONDONTWRITEBYTECODE nothing else would.
    python -m pip install --quiet -c "$ddpzero_root/launch/constraints.txt" \
        -e "$ddpzero_root[$extra]"
    touch "$stamp-$extra"
}

# PyPI's torch for Linux on x86-64 brings gigabytes of CUDA. Without a GPU, take PyTorch's own CPU build; where that
# cannot be had, the ordinary one works as well. Whoever has set up pip's indexes knows better: leave it to them.
ddpzero_install_torch_for_cpu() {
    [[ "$(uname -sm)" == "Linux x86_64" ]] || return 0
    ! python -m pip config list | grep -E 'index-url|find-links|no-index' >/dev/null || return 0
    ! nvidia-smi >/dev/null 2>&1 || return 0
    ! python -c 'import torch' 2>/dev/null || return 0
    python -m pip install --quiet --retries 1 --no-deps --index-url https://download.pytorch.org/whl/cpu \
        "$(grep '^torch==' "$ddpzero_root/launch/constraints.txt")" ||
        echo "PyTorch's CPU build cannot be had from download.pytorch.org: taking the ordinary one." >&2
}

# One rank per GPU, or a single one on the CPU.
ddpzero_num_ranks() {
    python -c 'import torch; print(max(1, torch.cuda.device_count()))'
}

ddpzero_setup "$@"
