"""Facts about what the page calls the games."""

from __future__ import annotations

from ddpzero.games import load_any_game
from ddpzero.web.titles import titles_of


def titles(*games):
    return titles_of([load_any_game(name, **parameters) for name, parameters in games])


def test_a_title_has_the_size_of_a_board_and_no_other_parameter():
    games = [
        ("connect_four", {}),
        ("dots_and_boxes", {}),
        ("hex", {"size": 7}),
        ("go", {"size": 9}),
    ]
    assert titles(*games) == ["Connect Four", "Dots and Boxes", "Hex 7x7", "Go 9x9"]


def test_of_several_games_with_one_title_only_what_differs_is_said():
    boards = [("go", {"size": 9}), ("go", {"size": 9, "komi": 6.5}), ("go", {"size": 13})]
    assert titles(*boards) == ["Go 9x9, komi 7.5", "Go 9x9, komi 6.5", "Go 13x13"]
    assert titles(("gomoku", {}), ("gomoku", {"exact_five": True})) == [
        "Gomoku 15x15, no exact five",
        "Gomoku 15x15, exact five",
    ]
    assert titles(("snakes", {}), ("snakes", {"rows": 8})) == ["Snakes, rows 10", "Snakes, rows 8"]
