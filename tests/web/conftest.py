from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.pages import make_run


@pytest.fixture(scope="session")
def connect_four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two models."""
    return make_run(tmp_path_factory.mktemp("runs") / "four", "game=connect_four")


@pytest.fixture(scope="session")
def tic_tac_toe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "three", "game=tic_tac_toe")


@pytest.fixture(scope="session")
def snakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a team game."""
    return make_run(
        tmp_path_factory.mktemp("runs") / "slither",
        *("algorithm=ddpg", "game=snakes", "game.rows=6", "game.columns=8", "game.snakes=4"),
        "game.steps=12",
        size=["network.width=16"],
    )
