"""Runs that earlier versions of ddpzero saved, in data/old_runs/.

tic_tac_toe    AlphaZero, of 2026-11-22: without the settings that came later
snakes         DDPG, of 2026-11-21
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.places import DATA


def unpack_old_run(name: str, folder: Path) -> Path:
    """Unpack a run into a folder; return its own folder there."""
    with tarfile.open(DATA / "old_runs" / f"{name}.tar.xz") as archive:
        # Python 3.12 warns without a filter; 3.11 has none before 3.11.4.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder / name
