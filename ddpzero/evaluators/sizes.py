"""The batch sizes in use."""

from __future__ import annotations


def batch_sizes(max_batch: int) -> list[int]:
    """Return the batch sizes in use, ascending: eighths of max_batch, and powers of two below them.

    A smaller batch is padded to the next of them, because a new size costs a CPU milliseconds and up to 3 MB of
    generated code (measured), and a GPU with torch.compile a compilation.
    """
    step = -(-max_batch // 8)
    eighths = {min(count * step, max_batch) for count in range(1, 9)}
    powers = {2**exponent for exponent in range(step.bit_length()) if 2**exponent < step}
    return sorted(eighths | powers)
