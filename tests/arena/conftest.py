from __future__ import annotations

import pytest

from ddpzero.games import Game, load_game
from tests.places import REPO


@pytest.fixture
def extra_turns() -> Game:
    """The pile game of tests/search/extra_turns.py, in which a player may move twice running."""
    source = REPO / "tests" / "search" / "extra_turns.py"
    return load_game("extra_turns", source=str(source))
