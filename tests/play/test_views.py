"""Facts about what is drawn."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from ddpzero.arena.players import Analysis
from ddpzero.games import load_game
from ddpzero.play.views import analysis_view, board_view


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


def test_without_colour_the_board_is_the_games_own_drawing():
    game = load_game("connect_four")
    position, last = play(game, "d d")
    assert plain(board_view(game, position, last, in_colour=False)).strip() == (
        game.render(position, last).strip()
    )


def test_in_colour_stones_are_discs_and_the_last_one_stands_out():
    game = load_game("connect_four")
    position, last = play(game, "d d")
    view = board_view(game, position, last, in_colour=True)
    assert plain(view).count("●") == 2
    assert not set("XO[]") & set(plain(view))
    with_last, without_last = draw(view), draw(board_view(game, position, None, in_colour=True))
    assert with_last != without_last


def test_the_frame_keeps_its_width_wherever_the_last_move_is():
    game = load_game("tic_tac_toe")
    widths = set()
    for move in ("a1", "b2", "c3"):
        position, last = play(game, move)
        lines = plain(board_view(game, position, last, in_colour=True)).splitlines()
        widths |= {len(line.rstrip()) for line in lines}
    assert len(widths) == 1


def test_coordinates_are_drawn_as_they_are():
    game = load_game("tic_tac_toe")
    position = game.initial_position()
    text = plain(board_view(game, position, None, in_colour=True))
    for character in "abc123":
        assert character in text


@pytest.mark.parametrize("wdl", [(1, 0, 0), (0.333, 0.334, 0.333), (0.015, 0.97, 0.015), (0, 0, 1)])
def test_the_bar_has_the_same_length_for_all_chances(wdl):
    game = load_game("tic_tac_toe")
    policy = np.full((1, 9), 1 / 9, dtype=np.float32)
    analysis = Analysis(np.zeros(1), policy, np.zeros(1), np.array([wdl], dtype=np.float32))
    assert plain(analysis_view(game, analysis, "title")).count("█") == 32


def test_only_the_favourite_actions_are_listed():
    game = load_game("tic_tac_toe")
    policy = np.array([[0.6, 0.3, 0.1, 0, 0, 0, 0, 0, 0]], dtype=np.float32)
    analysis = Analysis(np.zeros(1), policy, np.zeros(1), np.array([[0.5, 0.25, 0.25]]))
    text = plain(analysis_view(game, analysis, "title"))
    for words in ("a3", "60%", "b3", "30%", "c3", "10%", "win 50%", "draw 25%", "loss 25%"):
        assert words in text
    assert "a2" not in text
