# The life of a SLURM job, seen from its batch shell: find Python, start torchrun on every node, pass a stop on, requeue.
# Sourced by slurm_one_node.sbatch and slurm_many_nodes.sbatch, with DDPZERO_HOME set. What runs on each node is in
# slurm_node.sh.

set -uo pipefail

say() { echo "ddpzero: $*" >&2; }
die() {
    say "$*"
    exit 2
}

# train OVERRIDES...: the whole job. Exits with srun's status, for the eyes of SLURM's users only.
train() {
    local run_dir status=0 told_to_stop=
    # SLURM warns the batch shell alone of the time limit, and of a preemption the steps alone: one way out for both.
    trap 'told_to_stop=yes; say "told to stop"; scancel --signal=TERM "$SLURM_JOB_ID"' USR1
    find_python
    run_dir=$(run_folder "$@") || exit 2
    # Left by a start that died before it could take the folder, the mark would requeue this one whatever it does.
    rm -f "$run_dir/resume_me"
    say "job $SLURM_JOB_ID, restart ${SLURM_RESTART_COUNT:-0}, on $SLURM_JOB_NODELIST: trains $run_dir with $PYTHON"

    set_environment
    if [ -z "$told_to_stop" ]; then
        # Nodes save together and leave one after the other: the first that leaves must not take the others along.
        srun --kill-on-bad-exit=0 --wait=60 bash "$DDPZERO_HOME/launch/slurm_node.sh" "$@" &
        wait_until_gone $! || status=$?
    fi

    if [ -n "$told_to_stop" ] || was_stopped "$run_dir"; then
        requeue
    fi
    exit "$status"
}

# Sets PYTHON: of the environment that was active when sbatch was called (venv or conda), else of the repository's
# .venv, else on PATH.
find_python() {
    PYTHON=${VIRTUAL_ENV:-$DDPZERO_HOME/.venv}/bin/python
    if [ -z "${VIRTUAL_ENV:-}" ] && [ -n "${CONDA_PREFIX:-}" ]; then
        # conda's base is active for many who never asked for it: it counts if it has ddpzero.
        if "$CONDA_PREFIX/bin/python" -c 'import ddpzero' 2>/dev/null; then
            PYTHON=$CONDA_PREFIX/bin/python
        else
            say "the active conda environment $CONDA_PREFIX lacks ddpzero: looks for .venv instead"
        fi
    fi
    [ -x "$PYTHON" ] || PYTHON=$(command -v python3) ||
        die "no Python: run launch/setup.sh in $DDPZERO_HOME, or activate an environment before sbatch."
    TORCHRUN_HELP=$("$PYTHON" -c 'import ddpzero' && "$PYTHON" -m torch.distributed.run --help) ||
        die "$PYTHON lacks ddpzero or PyTorch: run launch/setup.sh in $DDPZERO_HOME, or activate an environment" \
            "with both before sbatch."
    export PYTHON
}

# run_folder OVERRIDES...: prints where this config trains. A mistake in the overrides ends the job here, told once.
run_folder() {
    "$PYTHON" -m ddpzero.main "$@" --cfg job --resolve | "$PYTHON" -c '
import os, sys, yaml
if config := yaml.safe_load(sys.stdin):
    print(os.path.expanduser(config["runs_dir"]), config["run_name"], sep="/")'
}

set_environment() {
    # srun does not inherit it since SLURM 22.05, and would bind all ranks and actors of a node to one core.
    export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
    # learner.num_threads and actors.num_threads say how many threads there are; torchrun warns if this is not set.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    # A restarted group could meet keys of the last one in the store that torchrun would share with its ranks.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    # Seconds that ranks have for the last checkpoint; fewer than --signal gives. Older torchruns always take 30.
    export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-150}
    export TORCHRUN_OPTIONS=
    if [[ $TORCHRUN_HELP == *--signals-to-handle* ]]; then # torchrun dies of a SIGUSR1 that it does not handle
        TORCHRUN_OPTIONS=--signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1
    fi
}

# wait_until_gone PID: waits for a child and returns its status; `wait` alone returns at every trapped signal.
wait_until_gone() {
    local status
    while :; do
        wait "$1"
        status=$?
        kill -0 "$1" 2>/dev/null || return "$status"
    done
}

# was_stopped RUN_DIR: whether training was stopped from outside, not by a limit of its own or an error. Not judged by
# the exit status, which is 1 after any SIGTERM.
was_stopped() {
    ls "$1" >/dev/null 2>&1 # on NFS: look again at what another node wrote, instead of into a cache
    [ -e "$1/resume_me" ] && return
    # Preempted, but gone without a last checkpoint: the one before will do.
    [[ $(scontrol show job "$SLURM_JOB_ID") == *PreemptTime=[0-9]* ]]
}

# A job that leaves by itself, even within the grace time of a preemption, is not requeued by SLURM.
requeue() {
    say "stopped from outside; back into the queue"
    scontrol requeue "$SLURM_JOB_ID" || say "cannot requeue: submit the same command again to go on."
}
