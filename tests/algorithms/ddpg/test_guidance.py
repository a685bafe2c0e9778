"""How much actors explore and whom they play against."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.algorithms.ddpg.guidance import Guidance, scheduled_level
from ddpzero.algorithms.ddpg.settings import DDPGSettings, OpponentSettings
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.hydra import compose_settings

AGENTS = ("random", "nearest", "level3", "level4", "evasion", "greedy", "bfs")


def guidance(opponent: OpponentSettings | None = None, **settings) -> Guidance:
    return Guidance(DDPGSettings(**settings), opponent or OpponentSettings(), AGENTS)


def won(level: int, num_games: int, num_wins: int, num_steps: int = 200) -> list[dict[str, int]]:
    return [
        {"num_steps": num_steps, "opponent": level, "is_evaluation": 0, "has_won": game < num_wins}
        for game in range(num_games)
    ]


@pytest.mark.parametrize(("unit", "expected"), [("episode", 0.5**3), ("environment_step", 0.5**30)])
def test_epsilon_decays_by_the_unit_that_is_named(unit: str, expected: float):
    state = guidance(epsilon=1.0, final_epsilon=0.0, epsilon_decay=0.5, epsilon_decay_unit=unit)
    state.apply_results(state.count_results(won(0, 3, 0, num_steps=10)))
    assert state.epsilon == pytest.approx(expected)


def test_epsilon_ends_at_its_floor():
    state = guidance(epsilon=0.5, final_epsilon=0.1, epsilon_decay=0.5)
    state.apply_results(state.count_results(won(0, 10, 0)))
    assert state.epsilon == 0.1


def test_the_ladder_goes_up_after_enough_wins_and_not_before():
    state = guidance(OpponentSettings(promotion_episodes=10, promotion_win_share=0.6))
    state.apply_results(state.count_results(won(0, 9, 9)))
    assert state.progress.level == 0
    state.apply_results(state.count_results(won(0, 1, 0)))
    assert state.progress.level == 1
    state.apply_results(state.count_results(won(1, 15, 8)))
    assert state.progress.level == 1


def test_wins_against_others_do_not_move_the_ladder():
    state = guidance(OpponentSettings(promotion_episodes=10))
    state.apply_results(state.count_results(won(3, 100, 100)))
    assert state.progress.level == 0


def test_the_ladder_ends_at_the_strongest():
    state = guidance(OpponentSettings(promotion_episodes=1, first_level=len(AGENTS) - 1))
    state.apply_results(state.count_results(won(len(AGENTS) - 1, 50, 50)))
    assert state.progress.level == len(AGENTS) - 1


def test_shares_sum_to_one_and_keep_earlier_opponents_and_past_selves():
    opponent = OpponentSettings(first_level=3, self_share=0.2, earlier_share=0.25)
    shares = guidance(opponent).shares
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(shares[[-1, 3]], [0.2, 0.8 * 0.75])
    assert (np.diff(shares[:3]) > 0).all()
    assert (shares[4:-1] == 0).all()


def test_the_public_scripts_strategies():
    done = (0.0, 0.1, 0.26, 0.3, 0.5, 0.6, 0.75, 0.85, 1.0)
    assert [scheduled_level("linear", d) for d in done] == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert [scheduled_level("exponential", d) for d in done] == [0, 0, 0, 0, 1, 1, 2, 3, 4]
    assert [scheduled_level("curriculum", d) for d in done] == [0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_the_final_agent_comes_at_its_episode_in_the_public_strategies():
    opponent = OpponentSettings(strategy="linear", final_agent_from_episode=5, self_share=0.0)
    state = guidance(opponent)
    assert state.shares[AGENTS.index("random")] == 1.0
    state.apply_results(state.count_results(won(0, 5, 0)))
    assert state.shares[AGENTS.index("evasion")] == 1.0


def test_a_loaded_state_goes_on_as_the_saved_one():
    state, other = guidance(), guidance()
    state.apply_results(state.count_results(won(0, 130, 100)))
    other.load_state(state.state())
    np.testing.assert_array_equal(other.vector, state.vector)
    assert other.progress == state.progress


def test_the_consoles_line_tells_wins_with_the_number_of_their_games():
    """A share of two games would say too much."""
    settings = compose_settings(["+experiment=snakes"])
    metrics = {
        "self_play/wins": 0.5,
        "self_play/team_points": 20.0,
        "self_play/opponent_points": 18.0,
        "deaths/team": 3.0,
        "evaluation/wins_against_greedy": 1.0,
        "evaluation/games_against_greedy": 2.0,
        "evaluation/wins_against_bfs": 0.575,
        "evaluation/games_against_bfs": 40.0,
    }
    line = load_algorithm(settings).summary_line(metrics)
    assert line.endswith("; beats greedy 2 of 2, bfs 57% of 40")
