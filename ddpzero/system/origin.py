"""Where a measurement comes from: the machine, and the version of ddpzero. Light to import."""

from __future__ import annotations

import subprocess

from ddpzero import PACKAGE_DIR, __version__
from ddpzero.system.cores import usable_cores
from ddpzero.system.machine import processor_name


def machine_text() -> str:
    """Return "AMD EPYC 7B13, 2 cores", followed by the names of the GPUs."""
    # torch takes a second to import.
    import torch

    cores = usable_cores()
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join([processor_name(), f"{cores} {'core' if cores == 1 else 'cores'}", *names])


def version_text() -> str:
    """Return the version of ddpzero, and the commit in a clone."""
    found = commit()
    return f"ddpzero {__version__}" + ("" if found == "unknown" else f" ({found})")


def commit() -> str:
    """Return the commit of the clone that is measured, or "unknown"."""
    root = PACKAGE_DIR.parent
    # Installed from a wheel, the package may be inside of another repository.
    if not (root / ".git").exists():
        return "unknown"
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        )
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"
