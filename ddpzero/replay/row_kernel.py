"""The compiled part of row_choice.py, in a file of its own because it imports numba."""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled

# Rounds of sampling in which a batch may lack rows of one kind before all of them are listed.
_MAX_ROUNDS = 64


@compiled(cache=True)
def choose(words, window, newest_row, flags, flag, rows):
    """Fill `rows`; return how many were found, and how many words were used: more than there are if they run out.

    Each round samples as many rows as are wanted in all, as if by Generator.integers, and rejects those with the other
    flag: listing all rows with a flag would take longer than an update if the window is large.
    """
    num_rows, num_found, num_used = len(rows), 0, 0
    size = np.uint64(window)
    # Lemire 2019, "Fast random integer generation in an interval": rejects what would make small numbers more likely.
    least = (np.uint64(2**32) - size) % size
    for _ in range(_MAX_ROUNDS):
        for _ in range(num_rows):
            age = np.int64(0)
            # numpy uses no word for a choice of one.
            while window > 1:
                if num_used == len(words):
                    return num_found, num_used + 1
                product = np.uint64(words[num_used]) * size
                num_used += 1
                if product & np.uint64(2**32 - 1) >= least:
                    age = np.int64(product >> np.uint64(32))
                    break
            row = newest_row - age
            if row < 0:
                row += len(flags)
            if num_found < num_rows and flags[row] == flag:
                rows[num_found] = row
                num_found += 1
        if num_found == num_rows:
            break
    return num_found, num_used
