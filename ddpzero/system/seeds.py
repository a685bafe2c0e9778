"""Seeds from paths of numbers: (seed, rank, actor_index, start) names one stream, and never another's neighbour."""

from __future__ import annotations

import numpy as np


def derive_seed(*path: int) -> int:
    """A seed in 0 .. 2**63 - 1 that depends on all of `path` (integers >= 0) and on nothing else."""
    word = np.random.SeedSequence(path).generate_state(1, np.uint64)[0]
    return int(word >> np.uint64(1))
