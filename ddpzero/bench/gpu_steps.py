"""The measurements of launch/gpu_check.sh, each in a separate process:

    python -m ddpzero.bench.gpu_steps forward --device cuda --seconds 50

Prints one JSON object per figure: step, figure, value, unit, note. Does not import hydra, rich or pytest, and each step
imports only what it measures: the machine may have little more than torch and numba.
"""

from __future__ import annotations

import argparse

import torch

from ddpzero.bench.gpu_config import Emitter
from ddpzero.bench.gpu_forward import measure_agreement, measure_forward, measure_graphs
from ddpzero.bench.gpu_self_play import measure_networks, measure_self_play
from ddpzero.bench.gpu_training import (
    measure_learner,
    measure_sharing,
    measure_training,
    measure_two_ranks,
    run_rank,
)
from ddpzero.system.allocator import keep_freed_memory

STEPS = {
    "agreement": measure_agreement,
    "forward": measure_forward,
    "graphs": measure_graphs,
    "self_play": measure_self_play,
    "networks": measure_networks,
    "learner": measure_learner,
    "sharing": measure_sharing,
    "two_ranks": measure_two_ranks,
    "training": measure_training,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=(*STEPS, "rank"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--config")
    options = parser.parse_args()
    if options.step == "rank":
        run_rank(options.config)
        return
    keep_freed_memory()
    torch.set_num_threads(1)
    STEPS[options.step](options, Emitter(options.step))


if __name__ == "__main__":
    main()
