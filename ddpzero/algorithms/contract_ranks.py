"""Updates of a plugin on two ranks for contract_checks.py: two processes with DistributedDataParallel over gloo."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.settings import Settings
from ddpzero.system.errors import in_one_line
from ddpzero.system.parent import follow_parent

_SPAWN = multiprocessing.get_context("spawn")
_TIMEOUT_SECONDS = 120.0

Columns = Mapping[str, np.ndarray]
Tensors = dict[str, torch.Tensor]


def released_at_two_ranks(settings: Settings, batches: Sequence[Columns]) -> list[Tensors]:
    """Return the released weights of two ranks after updates; each rank trains on every second batch.

    Raises RuntimeError with the reason if a rank fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        pipes = [_SPAWN.Pipe(duplex=False) for _ in range(2)]
        processes = [
            _SPAWN.Process(
                target=_run_rank,
                args=(rank, os.getpid(), store, settings, batches[rank::2], pipe[1]),
            )
            for rank, pipe in enumerate(pipes)
        ]
        for process, (_, answer) in zip(processes, pipes, strict=True):
            process.start()
            answer.close()
        try:
            return [_received(rank, reader) for rank, (reader, _) in enumerate(pipes)]
        finally:
            for process in processes:
                process.kill()
                process.join()


def _received(rank: int, reader: Connection) -> Tensors:
    try:
        waited = f"it does not end within {_TIMEOUT_SECONDS:g} seconds"
        answer = reader.recv() if reader.poll(_TIMEOUT_SECONDS) else waited
    except EOFError:
        answer = "the plugin ends its process"
    if isinstance(answer, str):
        raise RuntimeError(f"rank {rank} of 2: {answer}")
    return {name: torch.from_numpy(value) for name, value in answer.items()}


def _run_rank(
    rank: int,
    parent_pid: int,
    store: Path,
    settings: Settings,
    batches: Sequence[Columns],
    answer: Connection,
) -> None:
    follow_parent(parent_pid)
    try:
        torch.set_num_threads(1)
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=rank,
            world_size=2,
            timeout=timedelta(seconds=_TIMEOUT_SECONDS / 2),
        )
        released = _updated(rank, settings, batches)
        answer.send({name: value.numpy() for name, value in released.items()})
        distributed.destroy_process_group()
    # A plugin can raise anything.
    except (Exception, SystemExit) as error:
        answer.send(in_one_line(error))


def _updated(rank: int, settings: Settings, batches: Sequence[Columns]) -> Tensors:
    algorithm = load_algorithm(settings)
    torch.manual_seed(1)
    updater = algorithm.make_updater(
        algorithm.make_networks(),
        DistributedDataParallel,
        settings.learner,
        torch.device("cpu"),
        seed=rank,
    )
    for batch in batches:
        tensors = {name: torch.from_numpy(column) for name, column in batch.items()}
        updater.update(tensors, 1e-3)
    return updater.released_weights()
