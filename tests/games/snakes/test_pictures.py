"""Snakes as text and as a picture, read back: every cell shows what is there."""

from __future__ import annotations

import re

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.team_lockstep import points_of
from ddpzero.games.snakes import pictures as snake_pictures
from ddpzero.games.snakes import rules as snake_rules
from tests.games.snakes.harness import (
    DOWN,
    board_2v2,
    drawn,
    lines,
    placed,
    started,
    stepped,
)

DRAWING = """
    cba..*..
    d..A....
    ...B.*..
    ...C....
    0......n
    12....po
"""


def test_text_shows_heads_as_arrows_bodies_by_number_and_beans():
    game = board_2v2()
    shown = game.render(drawn(game, DRAWING, num_steps=17)).splitlines()
    assert shown[0] == "step 17 of 50   1 : 0"
    assert "\n".join(shown[1:]).replace(" ", "") == lines(
        """
        00>··*··
        0··^····
        ···1·*··
        ···1····
        ^······^
        22····33
        """
    )
    # A dead snake comes back with another heading: the arrow is that of the position, not of the neck.
    position = placed(game, [[0, 1, 2], [20, 28, 36], [22, 30, 38], [24, 32, 40]], [DOWN] * 4, [])
    assert game.render(position).splitlines()[1] == "v 0 0 · · · · ·"


def test_colors_tell_teams_apart_and_change_nothing_else():
    game = board_2v2()
    position = drawn(game, DRAWING)
    colored = game.render(position, in_color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == game.render(position)
    board = "".join(colored.splitlines()[1:])
    colors = {
        character: set(re.findall(rf"\x1b\[38;5;(\d+)m{re.escape(character)}\x1b\[0m", board))
        for character in "0123*·"
    }
    assert all(len(found) == 1 for found in colors.values())
    assert colors["0"] == colors["1"] and colors["2"] == colors["3"]
    assert len(set(map(frozenset, colors.values()))) == 4  # two teams, beans, ground
    # The points in the colors of their teams.
    (own,), (other,) = colors["0"], colors["2"]
    assert f"\x1b[38;5;{own}m1\x1b[0m : \x1b[38;5;{other}m0\x1b[0m" in colored.splitlines()[0]


def test_bodies_beans_and_points_are_those_of_the_rules():
    game = board_2v2()
    positions, random_states = started(game, num_games=5, seed=1)
    rng = np.random.default_rng(1)
    # More steps than a ring has places.
    for num_steps in range(49):
        stepped(game, positions, rng.integers(4, size=(5, 4)), random_states)
        if num_steps % 8 == 0:
            for position in positions:
                bodies = snake_pictures.bodies(game.parameters, position)
                segments = np.full((4, max(map(len, bodies))), -1)
                _read_segments(game.rules, position, segments)
                assert [row[row >= 0].tolist() for row in segments] == bodies
                points = np.zeros((1, 2))
                points_of(game.rules, position[None], points)
                assert snake_pictures.points(game.parameters, position) == points[0].tolist()
    position = placed(game, bodies, [0] * 4, beans=[40, 3, 17])
    assert snake_pictures.beans(game.parameters, position) == [40, 3, 17]


@compiled(cache=True)
def _read_segments(rules, position, segments):
    for snake in range(segments.shape[0]):
        for index in range(snake_rules.length(rules, position, snake)):
            segments[snake, index] = snake_rules.segment(rules, position, snake, index)


def test_a_picture_has_heads_in_the_color_of_the_team_bodies_darker_and_beans():
    game = board_2v2()
    pixels = game.picture(drawn(game, DRAWING))
    size = pixels.shape[0] // 6
    assert pixels.shape == (6 * size, 8 * size, 3)
    # The middle of each cell, by the letters of the drawing.
    color = {
        letter: pixels[cell // 8 * size + size // 2, cell % 8 * size + size // 2].astype(int)
        for cell, letter in enumerate("".join(DRAWING.split()))
    }
    assert np.array_equal(color["a"], color["A"]) and np.array_equal(color["0"], color["n"])
    assert not np.array_equal(color["a"], color["0"])
    for head, body, end in ("abd", "ABC", "012", "nop"):
        assert np.array_equal(color[body], color[end])
        assert (color[body] < color[head]).all()
    assert not np.array_equal(color["b"], color["B"])  # mates
    assert color["*"].min() > 240
    assert color["."].max() < 50


def test_a_bean_leaves_the_ground_of_its_cell_to_be_seen():
    game = board_2v2()
    pixels = game.picture(drawn(game, DRAWING))
    bean, ground = pixels[:12, 60:72], pixels[12:24, 60:72]
    assert (bean != ground).any()
    assert np.array_equal(bean[:3], ground[:3]) and np.array_equal(bean[10:], ground[10:])
    assert np.array_equal(bean[:, :3], ground[:, :3]) and np.array_equal(
        bean[:, 10:], ground[:, 10:]
    )
