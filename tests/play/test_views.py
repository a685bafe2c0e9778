"""Facts about what is drawn."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from ddpzero.games import load_game
from ddpzero.games.core.players import Analysis
from ddpzero.games.shared.lines import cells_in_lines
from ddpzero.play.views import analysis_view, board_view, look_of, player_marks


def draw(view) -> str:
    console = Console(file=io.StringIO(), width=100, color_system="truecolor", force_terminal=True)
    console.print(view)
    return console.file.getvalue()


def plain(view) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(view)
    return console.file.getvalue()


def play(game, moves):
    position = game.initial_position()
    for move in moves.split():
        position = game.apply_action(position, game.parse_action(move))
    return position, game.parse_action(moves.split()[-1])


def test_without_color_the_board_is_the_games_own_drawing():
    game = load_game("connect_four")
    position, last = play(game, "d d")
    assert plain(board_view(game, position, last, look="plain")).strip() == (
        game.render(position, last).strip()
    )


def test_in_color_stones_are_discs_and_the_last_one_stands_out():
    game = load_game("connect_four")
    position, last = play(game, "d d")
    view = board_view(game, position, last, look="color")
    assert plain(view).count("●") == plain(view).count("○") == 1
    assert not set("XO[]") & set(plain(view))
    with_last, without_last = draw(view), draw(board_view(game, position, None, look="color"))
    assert with_last != without_last


def test_the_frame_keeps_its_width_wherever_the_last_move_is():
    game = load_game("tic_tac_toe")
    widths = set()
    for move in ("a1", "b2", "c3"):
        position, last = play(game, move)
        lines = plain(board_view(game, position, last, look="color")).splitlines()
        widths |= {len(line.rstrip()) for line in lines}
    assert len(widths) == 1


def test_coordinates_are_drawn_as_they_are():
    game = load_game("tic_tac_toe")
    position = game.initial_position()
    text = plain(board_view(game, position, None, look="color"))
    for character in "abc123":
        assert character in text


@pytest.mark.parametrize("wdl", [(1, 0, 0), (0.333, 0.334, 0.333), (0.015, 0.97, 0.015), (0, 0, 1)])
def test_the_bar_has_the_same_length_for_all_chances(wdl):
    game = load_game("tic_tac_toe")
    policy = np.full((1, 9), 1 / 9, dtype=np.float32)
    analysis = Analysis(np.zeros(1), policy, np.zeros(1), np.array([wdl], dtype=np.float32))
    text = plain(analysis_view(game, analysis, "title"))
    assert sum(text.count(character) for character in "█▒░") == 32


def test_only_the_favorite_actions_are_listed():
    game = load_game("tic_tac_toe")
    policy = np.array([[0.6, 0.3, 0.1, 0, 0, 0, 0, 0, 0]], dtype=np.float32)
    analysis = Analysis(np.zeros(1), policy, np.zeros(1), np.array([[0.5, 0.25, 0.25]]))
    text = plain(analysis_view(game, analysis, "title"))
    for words in ("a3", "60%", "b3", "30%", "c3", "10%", "win 50%", "draw 25%", "loss 25%"):
        assert words in text
    assert "a2" not in text
    # A share of the search is no chance to win.
    assert text.index("win 50%") < text.index("each move's share of the search:") < text.index("a3")


def test_without_colors_discs_differ_by_shape_and_the_last_move_stands_in_brackets():
    game = load_game("connect_four")
    position, last = play(game, "d d")
    text = plain(board_view(game, position, last, look="shapes"))
    assert "[○]" in text
    assert text.count("●") == 1
    assert not set("XO") & set(text)


@pytest.mark.parametrize(
    ("name", "parameters", "moves", "cells"),
    [
        ("tic_tac_toe", {}, "a1 a3 b1 b3 c1", [6, 7, 8]),
        ("connect_four", {}, "a b a b a b a", [14, 21, 28, 35]),
        ("gomoku", {"size": 5, "line": 3}, "a1 a5 b2 b5 c3", [12, 16, 20]),
        ("hex", {"size": 3}, "a1 b1 a2 b2 a3", [0, 3, 6]),
        ("hex", {"size": 3}, "c1 a2 a1 b2 b1 c2", [3, 4, 5]),
    ],
)
def test_the_cells_that_have_won_are_marked(name, parameters, moves, cells):
    game = load_game(name, **parameters)
    position, last = play(game, moves)
    assert game.winning_cells(position) == cells
    winner = int(np.argmax(game.returns(position)))
    letters = plain(board_view(game, position, last, look="plain"))
    assert letters.count("*") == letters.count("*" + "XO"[winner]) == len(cells)
    shapes = plain(board_view(game, position, last, look="shapes"))
    assert shapes.count("*") == shapes.count("*" + "●○"[winner]) == len(cells)
    assert "*" not in plain(board_view(game, position, last, look="color"))
    unmarked = draw(board_view(game, position, last, look="color"))
    assert unmarked.count("48;5;22") == len(cells), "the background of each"


def test_lines_of_more_than_exactly_five_do_not_win():
    cells = np.zeros(25, np.uint8)
    cells[5:10] = 1
    assert cells_in_lines(cells, 5, 5, 4) == [5, 6, 7, 8, 9]
    assert cells_in_lines(cells, 5, 5, 4, exact=True) == []


def test_a_game_that_cannot_tell_marks_nothing():
    game = load_game("othello", size=4)
    assert game.winning_cells(game.initial_position()) == []


def test_the_letter_of_a_column_is_no_disc():
    game = load_game("go", size=15)
    text = plain(board_view(game, game.initial_position(), None, look="color"))
    assert "A B C D E F G H J K L M N O P" in text
    assert not set("●○") & set(text)


def test_the_marks_along_the_edges_of_hex_are_the_players():
    game = load_game("hex", size=3)
    text = plain(board_view(game, game.initial_position(), None, look="shapes"))
    assert "●-●-●" in text
    assert "○\\" in text


@pytest.mark.parametrize(
    ("settings", "look"),
    [
        ({"color_system": "truecolor", "no_color": False}, "color"),
        ({"color_system": "truecolor", "no_color": True}, "shapes"),
        ({"color_system": None}, "plain"),
    ],
)
def test_the_look_fits_the_terminal(settings, look):
    assert look_of(Console(file=io.StringIO(), force_terminal=True, **settings)) == look
    assert len(set(player_marks(look))) == 2
