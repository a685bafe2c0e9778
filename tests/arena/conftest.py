from __future__ import annotations

from pathlib import Path

import pytest

from ddpzero.games import Game, load_game


@pytest.fixture
def extra_turns() -> Game:
    """The pile game of tests/search/extra_turns.py, in which a player may move twice running."""
    source = Path(__file__).parents[1] / "search" / "extra_turns.py"
    return load_game("extra_turns", source=str(source))
