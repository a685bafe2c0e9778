"""Counts of sequences and of positions against those of another program (tests/data/games/perft.txt)."""

from __future__ import annotations

import json

import pytest

from ddpzero.games import load_game
from tests.perft import perft, unique_positions
from tests.places import DATA

PERFT_FILE = DATA / "games" / "perft.txt"


def recorded_counts() -> dict[str, list[int]]:
    """Lines such as "perft connect_four [7, 49]" by what stands before the list."""
    counts = {}
    for line in PERFT_FILE.read_text().splitlines():
        label, bracket, numbers = line.partition(" [")
        if bracket and line.endswith("]"):
            counts[label] = json.loads(f"[{numbers}")
    return counts


@pytest.mark.parametrize(
    ("label", "name", "parameters"),
    [
        ("perft tic_tac_toe", "tic_tac_toe", {}),
        ("perft connect_four", "connect_four", {}),
        ("perft gomoku(size=5,connect=5)", "gomoku", {"size": 5, "line": 5}),
    ],
)
def test_as_many_sequences_of_plies_as_recorded(label, name, parameters):
    expected = recorded_counts()[label]
    assert perft(load_game(name, **parameters), depth=len(expected)) == expected


def test_connect_four_has_823536_sequences_of_seven_plies():
    assert perft(load_game("connect_four"), depth=7)[-1] == 823536


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
def test_as_many_positions_as_recorded(name):
    expected = recorded_counts()[f"unique {name}"]
    assert unique_positions(load_game(name), depth=len(expected) - 1) == expected


def test_tic_tac_toe_has_5478_positions():
    assert sum(unique_positions(load_game("tic_tac_toe"), depth=9)) == 5478
