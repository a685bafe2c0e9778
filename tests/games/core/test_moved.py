"""Own games that import modules of ddpzero by their earlier names."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

import pytest

from ddpzero.games import load_game
from tests.places import OWN_GAMES

# The modules of ddpzero.games at the last version with the old layout.
OLD_MODULES = [
    *("boards", "compiled", "connect_four", "contract", "contract_checks"),
    *("dots_and_boxes", "frame", "game", "go", "go_board"),
    *("go_history", "gomoku", "hex", "lines", "loader"),
    *("othello", "random_bits", "single", "snake_agents", "snake_bits"),
    *("snake_pictures", "snake_rules", "snake_views", "snakes", "spec"),
    *("stones", "team_contract", "team_contract_checks", "team_game", "team_lockstep"),
    *("tic_tac_toe",),
]


def own_game(folder: Path, *imports: str) -> str:
    text = (OWN_GAMES / "take.py").read_text()
    lines = "".join(f"{line}\n" for line in imports)
    source = folder / "take.py"
    source.write_text(text.replace("import numpy as np\n", f"import numpy as np\n{lines}", 1))
    return str(source)


def test_every_old_module_can_be_imported(tmp_path: Path) -> None:
    source = own_game(tmp_path, *(f"import ddpzero.games.{name}" for name in OLD_MODULES))
    assert load_game("take", source).name == "take"
    for name in OLD_MODULES:
        assert importlib.import_module(f"ddpzero.games.{name}")


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (
            "from ddpzero.games.spec import GameSpec",
            "ddpzero.games.core.spec for ddpzero.games.spec",
        ),
        (
            "from ddpzero.games import snake_agents, hex",
            "ddpzero.games.snakes.agents for ddpzero.games.snake_agents",
        ),
        (
            "from ddpzero.games.go_board import neighbour",
            "ddpzero.games.go.board for ddpzero.games.go_board",
        ),
        (
            "from ddpzero.games.frame import Placement, place",
            "ddpzero.games.core.embedding for ddpzero.games.frame",
        ),
    ],
)
def test_an_old_name_works_and_one_sentence_names_the_new_one(
    line: str, advice: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = own_game(tmp_path, line)
    with caplog.at_level(logging.WARNING):
        load_game("take", source)
    assert caplog.messages == [
        f"{source} imports modules by their earlier names, which the next version does not have: write {advice}."
    ]


def test_what_was_in_a_module_that_is_a_package_now_is_found_in_it(tmp_path: Path) -> None:
    source = own_game(
        tmp_path,
        "from ddpzero.games.go import Parameters as _Go, board as _groups",
        "from ddpzero.games.snakes import Parameters as _Snakes",
    )
    module = load_game("take", source).module
    assert module._Go is importlib.import_module("ddpzero.games.go.game").Parameters
    assert module._Snakes is importlib.import_module("ddpzero.games.snakes.game").Parameters
    assert module._groups is importlib.import_module("ddpzero.games.go.board")
