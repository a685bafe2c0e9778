"""Solved positions and recorded games that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpzero.cli import commands as cli
from ddpzero.judges.packaged import (
    POSITIONS_FOLDER,
    RECORDED_FOLDER,
    RECORDED_SETTINGS,
    find_positions,
    find_recorded_games,
)
from ddpzero.system.errors import UserError


def test_positions_are_found_by_name_with_and_without_the_suffix():
    for text in ("connect_four_hard", "connect_four_hard.npz"):
        assert find_positions(text) == POSITIONS_FOLDER / "connect_four_hard.npz"


def test_a_file_of_the_same_name_comes_first(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hex3.npz").touch()
    (tmp_path / "go5.npz").touch()
    assert find_positions("hex3.npz") == Path("hex3.npz")
    assert find_recorded_games("go5.npz") == (Path("go5.npz"), ())
    assert find_positions("hex3") == POSITIONS_FOLDER / "hex3.npz"


def test_every_recorded_file_has_the_settings_of_its_game():
    assert {file.stem for file in RECORDED_FOLDER.glob("*.npz")} == set(RECORDED_SETTINGS)


@pytest.mark.parametrize("text", ["hex33", "x" * 5000])
def test_an_unknown_name_is_told_with_the_names_that_there_are(text: str):
    with pytest.raises(UserError, match=r"one of connect_four, connect_four_hard, .*judge --list"):
        find_positions(text)
    with pytest.raises(UserError, match=r"one of snakes3v3_ends \(ddpzero verify snakes"):
        find_recorded_games(text, of_snakes=True)
    with pytest.raises(UserError, match=r"one of connect_four, dots_and_boxes_3x3, .*rules --list"):
        find_recorded_games(text)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["judge", "--list"], "connect_four_hard     connect_four      600 positions"),
        (["verify", "rules", "--list"], "go5                     300 games   game=go game.size=5 "),
        (["verify", "snakes", "--list"], "snakes3v3_ends          150 games   game=snakes"),
    ],
)
def test_the_package_says_what_it_brings(words, line, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 0
    assert line in capsys.readouterr().out


def test_recorded_games_bring_the_settings_of_their_game(capsys):
    assert cli.main(["verify", "rules", "hex5"]) == 0
    assert "300 games of hex, 6238 plies" in capsys.readouterr().out


def test_settings_on_the_line_are_added_to_those_of_recorded_games(capsys):
    assert cli.main(["verify", "rules", "tic_tac_toe", "--game", "hex", "game.size=5"]) == 2
    assert "num_actions=9, but hex" in capsys.readouterr().err
    assert cli.main(["verify", "rules", "gomoku15", "game.size=9"]) == 2
    assert "num_actions=225, but gomoku size=9" in capsys.readouterr().err


def test_a_player_is_judged_by_positions_of_the_package(capsys):
    assert cli.main(["judge", "hex3", "random", "--json"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert '"game.size": 3' in line
    assert '"file": "hex3"' in line
