#!/usr/bin/env bash
# From a clone to an agent: installs ddpzero into .venv, trains Connect Four for five minutes, and plays a match.
#
#   bash launch/quickstart.sh [key=value ...]       settings for the training, e.g. learner.max_minutes=10
#
# Started again it continues the run. More about the environment in launch/setup.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/setup.sh" ""
cd "$here/.."

run_name=quick
runs_dir=runs
longer=(learner.max_minutes=30)
for setting in "$@"; do
    case "$setting" in
        run_name=*) run_name="${setting#*=}" ;;
        runs_dir=*) runs_dir="${setting#*=}" ;;
    esac
    [[ "$setting" == learner.max_minutes=* ]] || longer+=("$setting")
done
run="$runs_dir/$run_name"
ranks="$(ddpzero_num_ranks)"

export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # learners and actors set their own threads
train=(python) # torchrun prints a traceback of its own after Ctrl-C and after an error
((ranks == 1)) || train=(torchrun --standalone --nproc_per_node="$ranks")
"${train[@]}" -m ddpzero.main +experiment=quick "$@"

echo
echo "The agent against plain tree search with 1,000 simulations a move:"
ddpzero match "$run" rollout:1000 --games 200 --simulations 100

cat <<END

In $PWD, after: source "$VIRTUAL_ENV/bin/activate"
  play against it    ddpzero web $run      (in a browser; in the terminal: ddpzero play $run)
  see its curves     tensorboard --logdir $runs_dir
  train it further   bash launch/quickstart.sh ${longer[*]}
                     (the minutes of the whole run; it goes on where it stopped)
END
