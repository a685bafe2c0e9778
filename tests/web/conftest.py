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
