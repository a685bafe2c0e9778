"""One of the ranks that `ddpzero doctor` starts under torchrun: do they reach each other, and how fast are they?

torchrun --standalone --nproc_per_node=2 -m ddpzero.bench.all_reduce
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from statistics import median

from ddpzero.system.parent import die_with_parent

_NUM_FLOATS = 250_000
_NUM_ROUNDS = 20


def main() -> None:
    """Sum a megabyte over all ranks; rank 0 prints "all-reduce BACKEND RANKS MILLISECONDS"."""
    die_with_parent()
    import torch
    from torch import distributed

    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    on_gpus = torch.cuda.device_count() >= world_size
    backend, device = ("nccl", f"cuda:{rank}") if on_gpus else ("gloo", "cpu")
    if on_gpus:
        torch.cuda.set_device(rank)
    distributed.init_process_group(backend, timeout=timedelta(seconds=60))
    values = torch.full((_NUM_FLOATS,), float(rank + 1), device=device)
    seconds = []
    for _ in range(_NUM_ROUNDS):
        summed = values.clone()
        started = time.perf_counter()
        distributed.all_reduce(summed)
        if on_gpus:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    expected = world_size * (world_size + 1) / 2
    if not bool((summed == expected).all()):
        raise RuntimeError(f"the ranks sum to {float(summed[0])} instead of {expected}.")
    if rank == 0:
        print(f"all-reduce {backend} {world_size} {1000 * median(seconds):.3f}", flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
