"""Derives seeds from paths: (seed, rank, "replay") names one stream of random numbers, independent of all others."""

from __future__ import annotations

import zlib

import numpy as np


def derive_seed(*path: int | str) -> int:
    """Return a seed in 0 .. 2**63 - 1 that depends only on `path` (integers >= 0 and words)."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    word = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return int(word >> np.uint64(1))
