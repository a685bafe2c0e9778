from __future__ import annotations

import numpy as np
import pytest

from ddpzero.bench.rules import bench_rules, play_randomly
from ddpzero.games import load_game
from ddpzero.games.core.random_bits import new_random_states


def test_the_bench_gives_steps_per_second_and_its_settings():
    figures = bench_rules(load_game("connect_four", rows=5), seconds=0.1, num_games=8, seed=1)
    assert [figure.figure for figure in figures] == ["steps_per_second", "steps_per_cpu_second"]
    for figure in figures:
        assert (figure.bench, figure.game, figure.unit) == ("rules", "connect_four", "1/s")
        assert figure.value > 0
        assert figure.settings == {
            "game.rows": 5,
            "game.columns": 7,
            "game.line": 4,
            "num_games": 8,
            "seconds": 0.1,
            "seed": 1,
        }


def test_random_games_have_their_known_average_length():
    game = load_game("tic_tac_toe")
    num_games, num_rounds = 100, 10_000
    num_ended = play_randomly(
        game.rules,
        game.new_positions(num_games),
        np.zeros(game.num_actions, dtype=np.bool_),
        new_random_states(5, 1)[0],
        num_rounds,
    )
    # 3203 / 420 plies: the exact mean with all legal actions equally likely.
    assert num_games * num_rounds / num_ended == pytest.approx(3203 / 420, abs=0.02)
