"""Seeds from paths: (seed, rank, "replay") names one stream of random numbers, and never a neighbor of another one."""

from __future__ import annotations

import zlib

import numpy as np


def derive_seed(*path: int | str) -> int:
    """Return a seed in 0 .. 2**63 - 1 that depends on all of `path` (integers >= 0 and words) and on nothing else."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    word = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return int(word >> np.uint64(1))
