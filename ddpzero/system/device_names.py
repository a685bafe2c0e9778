"""Names of devices in the settings. Imports no torch."""

from __future__ import annotations

import re

from ddpzero.system.errors import require

_GPUS = re.compile(r"cuda:(\d{1,4})(?:-(\d{1,4}))?")
_PLAIN = ("auto", "cpu", "cuda", "mps")


def gpus_of(name: str) -> range | None:
    """Return the GPUs that a name counts: those of "cuda:4-7" are 4 to 7, of "cuda:1" 1; None for other names."""
    match = _GPUS.fullmatch(name)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if last >= first else None


def require_device_name(path: str, name: str) -> None:
    """Raise UserError unless a setting with this path names devices for actors."""
    require(
        name in _PLAIN or gpus_of(name) is not None,
        f"{path}={name} must be auto, cpu, cuda, mps, a GPU (cuda:1), or GPUs, the lowest first (cuda:4-7).",
    )
