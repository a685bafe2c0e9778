"""The environment variables that an actor is born with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Read by libraries when they are imported: setting them later in the actor would be too late.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# An actor is no member of the process group; with these it could try to become one.
_RANK_VARIABLES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "ROLE_NAME",
    "MASTER_ADDR",
    "MASTER_PORT",
)


@contextmanager
def actor_environment(num_threads: int) -> Iterator[None]:
    """Within this block, this process's environment is what an actor should inherit."""
    original = dict(os.environ)
    for name in original:
        if name in _RANK_VARIABLES or name.startswith("TORCHELASTIC_"):
            del os.environ[name]
    os.environ.update({name: str(num_threads) for name in _THREAD_VARIABLES})
    try:
        yield
    finally:
        for name in os.environ.keys() - original.keys():
            del os.environ[name]
        os.environ.update(original)
