#!/usr/bin/env bash
# Trains on this machine, one rank per GPU (or one on the CPU).
#
#   bash launch/local.sh +experiment=connect_four +hardware=8gpu [key=value ...]
#   NPROC_PER_NODE=2 bash launch/local.sh +experiment=quick +hardware=cpu
#
# Started again it continues the run. More about the environment in launch/setup.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/setup.sh" ""
cd "$here/.."

ranks="${NPROC_PER_NODE:-$(ddpzero_num_ranks)}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"     # learners and actors set their own threads
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1        # or a restarted group can meet stale keys of the last one
train=(python) # torchrun prints a traceback of its own after Ctrl-C and after an error
((ranks == 1)) || train=(torchrun --standalone --nproc_per_node="$ranks")
exec "${train[@]}" -m ddpzero.main "$@"
