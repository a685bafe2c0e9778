"""Where things are that tests need: the repository, and the data of the tests."""

from __future__ import annotations

from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
DATA = REPO / "tests" / "data"
OWN_GAMES = DATA / "games"
REINFORCE = DATA / "algorithms" / "reinforce.py"
