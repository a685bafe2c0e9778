# One node of a SLURM job: becomes torchrun, which starts a rank per GPU. srun runs it once on every node, with the
# environment that slurm_lib.sh has set; arguments go to ddpzero.main.

set -euo pipefail

die() {
    echo "ddpzero: node $SLURMD_NODENAME: $*" >&2
    exit 2
}

# The name of a node may not resolve on another; its address in SLURM's book is one that nodes reach each other by.
address_of() { scontrol show node "$1" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p'; }

[ -x "$PYTHON" ] || die "sees no $PYTHON. Put the repository on a file system that all nodes share."

num_ranks=${NPROC_PER_NODE:-${SLURM_GPUS_ON_NODE:-0}}
[ "$num_ranks" -gt 0 ] ||
    die "the job has no GPU here. Ask for some (--gpus-per-node=8), or train on CPUs: set NPROC_PER_NODE and device=cpu."

first_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p) # head would break scontrol's pipe
first_address=$(address_of "$first_node")
own_address=$(address_of "$SLURMD_NODENAME")
port=$((20000 + SLURM_JOB_ID % 12000)) # below the ports that Linux gives away

# exec: where SLURM tracks processes by cgroup, a signal to the step reaches nothing but srun's direct child.
# TORCHRUN_OPTIONS is one word or none.
exec "$PYTHON" -m torch.distributed.run ${TORCHRUN_OPTIONS:-} \
    --nnodes="$SLURM_JOB_NUM_NODES" \
    --nproc-per-node="$num_ranks" \
    --rdzv-backend=c10d \
    --rdzv-endpoint="$first_address:$port" \
    --rdzv-id="$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}" \
    --rdzv-conf="is_host=$((SLURM_NODEID == 0))" \
    --local-addr="$own_address" \
    -m ddpzero.main "$@"
