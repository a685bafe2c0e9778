"""Facts about episodes that start from archived positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.actor import AlphaZeroActor
from ddpzero.algorithms.alphazero.archive import Archive, position_regrets
from ddpzero.algorithms.alphazero.curriculum import STAGE, Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.episode_metrics import summarize
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.replay import Episode
from ddpzero.search.settings import SearchSettings
from tests.algorithms.alphazero.actors import actor_on_cpu
from tests.algorithms.alphazero.test_selfplay import last_position, play

NETWORK = NetworkSettings(blocks=1, channels=8)


def finished(
    values: list[float], outcomes: list[float], num_skipped: int = 0, restart_ply: int = 0
) -> Episode:
    """An episode whose moves are 0, 1, 2, ...; the first num_skipped plies are not samples."""
    moves = list(range(num_skipped + len(values)))
    columns = {"root_value": np.array(values), "outcome": np.array(outcomes)}
    return Episode(columns, {"moves": moves, "restart_ply": restart_ply})


def archive(size: int = 10, priority: str = "regret", fraction: float = 0.9) -> Archive:
    return Archive(
        AlphaZeroSettings(
            restart_fraction=fraction, restart_priority=priority, restart_archive_size=size
        )
    )


def starts(positions: Archive, number: int = 200) -> list[list[int]]:
    return [positions.choose_start().tolist() for _ in range(number)]


def test_only_a_confident_estimate_that_was_wrong_is_regretted():
    episode = finished([0.0, 1.0, 1.0, 1.0, -0.5], [1.0, 1.0, 0.0, -1.0, 1.0])
    assert position_regrets(episode).tolist() == [0.0, 0.0, 1.0, 2.0, 0.75]


def test_the_archive_keeps_the_most_regretted_position_of_an_episode():
    positions = archive()
    positions.add(finished([0.0, 0.5, 0.9, -0.9], [-1.0, -1.0, -1.0, -1.0], num_skipped=3))
    assert {tuple(moves) for moves in starts(positions)} == {(), (0, 1, 2, 3, 4)}


def test_an_episode_without_regret_adds_nothing():
    positions = archive()
    positions.add(finished([0.0, 0.5, -0.5], [1.0, 1.0, -1.0]))
    assert len(positions) == 0
    assert starts(positions, 5) == [[]] * 5


def test_positions_are_chosen_in_proportion_to_their_regret():
    positions = archive()
    positions.add(finished([0.0, 1.0], [-1.0, -1.0]))
    positions.add(finished([0.0, 0.0, 0.5], [-1.0, -1.0, -0.5]))
    chosen = starts(positions, 2000)
    assert 3 < chosen.count([0]) / chosen.count([0, 1]) < 5.5


def test_a_restart_that_goes_as_expected_lowers_the_regret_of_its_position():
    positions = archive()
    positions.add(finished([0.0, 1.0], [-1.0, -1.0]))
    positions.add(finished([0.0, 0.0, 1.0], [-1.0, -1.0, -1.0]))
    for _ in range(10):
        positions.add(finished([1.0], [1.0], num_skipped=1, restart_ply=1))
    assert starts(positions).count([0]) == 0


def test_uniform_archives_hold_any_position_but_the_one_that_an_episode_started_from():
    positions = archive(priority="uniform")
    for _ in range(100):
        positions.add(finished([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], num_skipped=2, restart_ply=2))
    assert len(positions) == 2
    assert {len(moves) for moves in starts(positions)} == {0, 3, 4}


def test_a_new_position_replaces_the_oldest():
    positions = archive(size=2)
    for length in (1, 2, 3):
        positions.add(finished([0.0] * length + [1.0], [-1.0] * (length + 1)))
    assert {len(moves) for moves in starts(positions)} == {0, 2, 3}


def test_the_share_of_restarts_is_as_asked():
    positions = archive(fraction=0.25)
    positions.add(finished([0.0, 1.0], [-1.0, -1.0]))
    assert 0.2 < sum(map(bool, starts(positions, 2000))) / 2000 < 0.3


# ------------------------------------------------------------------ episodes that restart


def test_an_episode_after_a_restart_has_samples_of_its_own_plies_only():
    game = load_game("tic_tac_toe")
    for episode in play(30, earlier_moves=[4, 0, 8]):
        length = episode.info["num_plies"]
        assert episode.info["moves"][:3] == [4, 0, 8]
        assert episode.info["restart_ply"] == 3
        assert episode.num_samples == length - 3
        position = game.initial_position()
        for action in episode.info["moves"][:3]:
            position = game.apply_action(position, action)
        assert (episode.columns["observation"][0] == game.packed_observation(position)).all()
        assert episode.info["first_player_return"] == game.returns(last_position(game, episode))[0]


def test_restarted_episodes_have_no_random_opening():
    episodes = play(30, earlier_moves=[4, 0], opening_random_plies=5)
    assert {e.info["num_plies"] - e.num_samples for e in episodes} == {2}


def actor(**settings: float) -> AlphaZeroActor:
    torch.manual_seed(0)
    game = load_game("tic_tac_toe")
    playing = actor_on_cpu(
        game={"name": "tic_tac_toe"},
        network=NETWORK,
        search=SearchSettings(num_simulations=4),
        settings=AlphaZeroSettings(**settings),
        seed=7,
    )
    weights = {name: t.numpy() for name, t in make_network(game, NETWORK).state_dict().items()}
    playing.receive({**weights, STAGE: np.array(0), SIMULATIONS: np.array([4])}, weights_version=1)
    return playing


def played_round(playing: AlphaZeroActor, num_episodes: int) -> list[Episode]:
    playing.start_round(num_episodes, round_seed=3)
    episodes: list[Episode] = []
    while not playing.round_done:
        episodes += playing.play()
    return episodes


@pytest.mark.parametrize("priority", ["regret", "uniform"])
def test_a_round_with_restarts_depends_on_its_seed_alone(priority: str):
    settings = {"restart_fraction": 0.5, "restart_priority": priority}
    experienced = actor(**settings)
    experienced.play()
    first, second = played_round(experienced, 60), played_round(actor(**settings), 60)
    assert [e.info for e in first] == [e.info for e in second]
    assert 5 < sum(e.info["restart_ply"] > 0 for e in first) < 50
    earlier = {tuple(e.info["moves"][:ply]) for e in first for ply in range(9)}
    assert {tuple(e.info["moves"][: e.info["restart_ply"]]) for e in first} <= earlier


# ------------------------------------------------------------------ metrics


def info(moves: list[int], restart_ply: int = 0, result: float = 1.0) -> dict[str, object]:
    return {
        "moves": moves,
        "num_plies": len(moves),
        "restart_ply": restart_ply,
        "first_player_return": result,
        "score": None,
    }


def summary(*infos: dict[str, object]) -> dict[str, float]:
    game = load_game("tic_tac_toe")
    return summarize(Curriculum(CurriculumSettings(), game, num_simulations=4), infos)


def test_lengths_and_results_are_those_of_whole_episodes():
    metrics = summary(info([0, 3, 1, 4, 2]), info([0, 3, 1, 4, 8, 5], restart_ply=4, result=-1.0))
    assert metrics["self_play/episode_length"] == 5
    assert metrics["self_play/first_player_wins"] == 1
    assert metrics["self_play/restart_share"] == 0.5


def test_a_row_of_restarts_alone_has_no_lengths():
    assert "self_play/episode_length" not in summary(info([0, 3, 1, 4, 2], restart_ply=2))


def test_positions_that_different_moves_lead_to_count_once():
    metrics = summary(
        info([0, 3, 1, 4, 2]), info([1, 4, 0, 3, 2]), info([0, 4, 1, 5, 2]), info([0, 4])
    )
    assert metrics["self_play/distinct_positions_ply_4"] == pytest.approx(2 / 3)
    assert "self_play/distinct_positions_ply_8" not in metrics


def test_positions_before_a_restart_do_not_count_as_different():
    metrics = summary(info([0, 3, 1, 4, 2]), info([8, 3, 1, 4, 7, 5], restart_ply=5))
    assert metrics["self_play/distinct_positions_ply_4"] == 1
