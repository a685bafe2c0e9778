from __future__ import annotations

import pytest

from ddpzero.games import Game, load_game
from tests.search.harness import random_tree_game


@pytest.fixture(scope="session")
def random_tree() -> Game:
    """The synthetic game of games/random_tree.py."""
    return random_tree_game()


@pytest.fixture(scope="session")
def tic_tac_toe() -> Game:
    return load_game("tic_tac_toe")
