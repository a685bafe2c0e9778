"""Where the recorded games are that tests read: with the package, or else only here."""

from __future__ import annotations

from pathlib import Path

from ddpzero.judges.packaged import RECORDED_FOLDER
from tests.places import DATA


def recorded_games(name: str) -> Path:
    """The file of recorded board games of this name."""
    packaged = RECORDED_FOLDER / f"{name}.npz"
    return packaged if packaged.exists() else DATA / "games" / packaged.name
