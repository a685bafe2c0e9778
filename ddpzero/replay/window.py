"""The window of newest samples that the learner uses; it grows more slowly than the data."""

from __future__ import annotations


def window_size(num_inserted: int, start_samples: int, exponent: float) -> int:
    """Return how many of the newest samples to sample from, after `num_inserted` in total.

    `start_samples * (num_inserted / start_samples) ** exponent`, and all samples up to start_samples: KataGo's power
    law (Wu 2019, appendix C) with its growth beta equal to its exponent alpha. Early samples, made by a near-random
    network, leave the window quickly; later the window widens so that a strong network sees enough variety.

    start_samples: at least 1, per rank like num_inserted.
    exponent: in (0, 1]. 1 keeps every sample, so that only the buffer's capacity is a limit; KataGo used 0.75, later
        0.65.
    """
    if num_inserted <= start_samples:
        return num_inserted
    size = round(start_samples * (num_inserted / start_samples) ** exponent)
    return min(size, num_inserted)
