"""How the C library hands out memory in this process."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# Larger blocks, such as replay buffers, still go back to the system when they are freed. glibc before 2.35 (that of
# Ubuntu 20.04 and of Red Hat 8 and 9) refuses more than 32 MiB.
_KEPT_BLOCK_BYTES = (1 << 28, 1 << 25)
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for the next block of that size; a C library may not offer it.

    A forward pass on a CPU allocates and frees its activations, megabytes at a time. glibc gives such blocks back to
    the system, which then clears them page by page at the next pass: a tenth of the time of a 64x4 network in Connect
    Four, and more with several processes. Call it at the start of a process, before threads and large blocks.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # The second parameter without the first would do harm: with it, glibc no longer raises the first by itself.
    if mallopt is not None and any(mallopt(_M_MMAP_THRESHOLD, s) for s in _KEPT_BLOCK_BYTES):
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def release_freed_memory() -> None:
    """Give the system back what this process has freed, if the C library can do that: see malloc_trim of glibc.

    Code that was compiled or loaded leaves tens of megabytes behind.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
