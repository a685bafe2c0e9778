"""Facts about curricula: what may be asked for, which stage comes when, and how an actor goes from one to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.actor import AlphaZeroActor
from ddpzero.algorithms.alphazero.curriculum import STAGE, Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS
from ddpzero.config.strict import make_dataclass
from ddpzero.games import load_game
from ddpzero.games.core.embedding import embed_board
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.settings import GrowthSettings
from ddpzero.replay import Episode
from ddpzero.search.settings import SearchSettings
from ddpzero.system.errors import UserError
from tests.algorithms.alphazero.actors import actor_on_cpu
from tests.places import OWN_GAMES

FRAME = {"name": "dots_and_boxes", "rows": 2, "columns": 2}
TWO_STAGES = [
    {"until_step": 100, "boards": [{"game": {"rows": 1}, "num_simulations": 4}]},
    {
        "boards": [
            {"game": {"rows": 1}, "num_simulations": 4, "share": 1.0},
            {"share": 3.0},
        ]
    },
]
NETWORK = NetworkSettings(blocks=1, channels=8)


def settings_of(stages: list[dict[str, Any]]) -> CurriculumSettings:
    return make_dataclass(CurriculumSettings, {"stages": stages}, "curriculum")


def course(stages: list[dict[str, Any]]) -> Curriculum:
    return Curriculum(settings_of(stages), load_game(**FRAME), num_simulations=8)


# ------------------------------------------------------------------ what may be asked for


def test_without_stages_the_configs_game_is_played_to_the_end():
    curriculum = course([])
    assert not curriculum.has_padded_boards
    assert [part.num_simulations for part in curriculum.stages[0]] == [8]
    assert curriculum.stage_at(10**9) == 0


def test_a_stage_ends_with_the_update_that_it_names():
    curriculum = course(TWO_STAGES)
    assert [curriculum.stage_at(step) for step in (0, 99, 100, 101, 10**9)] == [0, 0, 1, 1, 1]


def test_a_board_of_several_stages_is_one_board_and_shares_are_of_one():
    curriculum = course(TWO_STAGES)
    assert [p.board.board_shape for p in curriculum.embeddings] == [(3, 5), (5, 5)]
    assert [(p.board, p.num_simulations, p.share) for p in curriculum.stages[1]] == [
        (0, 4, 0.25),
        (1, 8, 0.75),
    ]


def test_a_stage_is_described_with_boards_simulations_and_shares():
    described = course(TWO_STAGES).describe(1)
    assert described == "stage 2 of 2: 25 % 3x5 with 4 simulations, 75 % 5x5 with 8 simulations"


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ([{"boards": [{}]}, {"boards": [{}]}], r"stages\[0\].until_step=null: all stages but"),
        (
            [{"boards": [{}], "until_step": 5}],
            r"stages\[0\].until_step=5: .* the last must have none",
        ),
        ([{"boards": []}], r"stages\[0\].boards=\[\] plays nothing"),
        ([{"boards": [{"share": 0.0}]}], r"stages\[0\].boards\[0\].share=0.0 must be positive"),
        ([{"boards": [{"num_simulations": -1}]}], r"boards\[0\].num_simulations=-1 must be 0 or"),
        (
            [
                {"boards": [{}], "until_step": 9},
                {"boards": [{}], "until_step": 9},
                {"boards": [{}]},
            ],
            r"stages\[1\].until_step=9 must be above 9",
        ),
        ([{"boards": [{"size": 9}]}], r"stages\[0\].boards\[0\].size=9 is not a setting"),
        ([{"boards": [{"game": {"size": 9}}]}], r"boards\[0\].game: game.size is not a parameter"),
        (
            [{"boards": [{"game": {"rows": 3}}]}],
            r"boards\[0\].game: a board of \(7, 5\) in a frame",
        ),
        ([{"boards": [{"game": 3}]}], r"boards\[0\].game=3 is not a group"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(stages, sentence):
    with pytest.raises(UserError, match=sentence):
        course(stages)


def test_a_board_of_another_game_is_no_board_of_a_frame():
    with pytest.raises(ValueError, match="they must be the same game"):
        embed_board(load_game("hex", size=5), load_game("othello"))


def test_boards_of_several_sizes_need_actions_that_are_cells_or_columns():
    frame = load_game("take", source=str(OWN_GAMES / "take.py"), pile=6)
    stages = settings_of([{"boards": [{"game": {"pile": 5}}, {}]}])
    with pytest.raises(UserError) as error:
        Curriculum(stages, frame, num_simulations=8)
    assert str(error.value) == (
        "curriculum.stages[0].boards[0].game: the actions of take are neither cells (GameSpec.action_cells) nor "
        "columns of its board, so one network cannot learn several boards of it: use curriculum=none, or name in "
        "every stage only the board of game."
    )


@pytest.mark.parametrize("name", ["take", "pawns"])
def test_stages_of_the_games_own_board_need_no_actions_that_are_cells(name):
    game = load_game(name, source=str(OWN_GAMES / f"{name}.py"))
    for stages in (
        [],
        [{"until_step": 9, "boards": [{"num_simulations": 4}]}, {"boards": [{}]}],
    ):
        curriculum = Curriculum(settings_of(stages), game, num_simulations=8)
        assert not curriculum.has_padded_boards
        (embedding,) = curriculum.embeddings
        assert np.array_equal(embedding.actions, np.arange(game.num_actions))


# ------------------------------------------------------------------------------ the actor


def actor_of(
    stages: list[dict[str, Any]],
    num_games: int = 12,
    seed: int = 1,
    network: NetworkSettings = NETWORK,
) -> AlphaZeroActor:
    return actor_on_cpu(
        game=FRAME,
        network=network,
        search=SearchSettings(num_simulations=8),
        curriculum=settings_of(stages),
        num_games=num_games,
        seed=seed,
    )


def weights_at(stage: int, size: NetworkSettings = NETWORK) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    network = make_network(load_game(**FRAME), size, ("score", "ownership"))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    simulations = np.array([4, 0] if stage == 0 else [4, 8])
    return {**weights, STAGE: np.array(stage), SIMULATIONS: simulations}


def play(actor: AlphaZeroActor, num_episodes: int) -> list[Episode]:
    episodes: list[Episode] = []
    while len(episodes) < num_episodes:
        episodes += actor.play()
    return episodes


def boards_of(episodes: list[Episode]) -> list[int]:
    return [episode.info["board"] for episode in episodes]


def test_games_that_run_end_on_their_board_and_those_that_follow_are_of_the_new_stage():
    actor = actor_of(TWO_STAGES)
    actor.receive(weights_at(0), 0)
    assert set(boards_of(play(actor, 50))) == {0}
    actor.receive(weights_at(1), 1)
    after = boards_of(play(actor, 600))
    assert set(after[:6]) == {0}, "the games that were running"
    assert 0.6 < np.mean(after[100:]) < 0.9, "three games of four on the large board"
    for episode in play(actor, 20):
        small, large = load_game(**{**FRAME, "rows": 1}), load_game(**FRAME)
        game = (small, large)[episode.info["board"]]
        position = game.initial_position()
        for action in episode.info["moves"]:
            position = game.apply_action(position, action)
        assert game.is_terminal(position)


def test_running_games_go_on_with_a_network_that_has_grown_or_is_small_again():
    growth = (GrowthSettings(blocks=2, channels=12, after_step=1),)
    network = replace(NETWORK, growth=growth)
    actor = actor_of(TWO_STAGES, network=network)
    actor.receive(weights_at(0), 0)
    while not actor.play():
        pass
    # The weights of the best model are of the size before.
    for version, size in enumerate([network.sizes[1], network.sizes[0], network.sizes[1]], 1):
        actor.receive(weights_at(1, size), version)
        played = play(actor, 80)
        versions = np.concatenate([episode.columns["weights_version"] for episode in played])
        # Games that began before the change were not dropped.
        assert set(versions.tolist()) == {version - 1, version}


def test_samples_say_their_board_and_lie_in_the_frame():
    actor = actor_of(TWO_STAGES)
    actor.receive(weights_at(1), 0)
    for episode in play(actor, 60):
        board = episode.info["board"]
        assert (episode.columns["board"] == board).all()
        assert episode.columns["policy_target"].shape[1] == 12
        beside = np.setdiff1d(
            np.arange(12),
            embed_board(load_game(**{**FRAME, "rows": 1}), load_game(**FRAME)).actions,
        )
        if board == 0:
            assert not episode.columns["policy_target"][:, beside].any()
            np.testing.assert_allclose(episode.columns["policy_target"].sum(1), 1.0, atol=5e-3)


def test_a_round_under_a_curriculum_repeats_whatever_was_played_before():
    def round_of(actor: AlphaZeroActor) -> list[list[int]]:
        actor.start_round(30, round_seed=7)
        episodes: list[Episode] = []
        while not actor.round_done:
            episodes += actor.play()
        return [episode.info["moves"] for episode in episodes]

    fresh, used = actor_of(TWO_STAGES, seed=1), actor_of(TWO_STAGES, seed=2)
    used.receive(weights_at(0), 0)
    play(used, 30)
    for actor in (fresh, used):
        actor.receive(weights_at(1), 1)
    first = round_of(fresh)
    assert len(first) == 30
    assert first == round_of(used)


def test_places_stay_in_use_while_the_stage_changes():
    actor = actor_of(TWO_STAGES, num_games=6)
    actor.receive(weights_at(0), 0)
    play(actor, 20)
    actor.receive(weights_at(1), 1)
    for _ in range(20):
        actor.play()
        running = sum(games.num_running for games in actor._all_games())
        assert running == 6
    assert len(actor._all_games()) == 2, "the old stage's games are gone"
