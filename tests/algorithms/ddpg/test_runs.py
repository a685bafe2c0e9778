"""Whole runs of DDPG: killed and resumed, on two ranks, with every kind of network, and what comes out of them."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ddpzero.arena.agents import load_agent
from ddpzero.arena.team_match import play_team_match
from ddpzero.arena.team_players import RulePlayer
from ddpzero.config.hydra import compose_settings
from ddpzero.games import TeamGame
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.system.errors import UserError
from tests.test_main import run_main
from tests.torchrun import run_ranks
from tests.training.whole_runs import (
    assert_equal,
    final_state,
    kill_group,
    run,
    start,
    wait_for_checkpoint,
)

SMALL_BOARD = ["game=snakes", "game.rows=6", "game.columns=8", "game.snakes=4", "game.steps=20"]
# Soon too full to go on: games end after 4 to 20 steps.
FULL_BOARD = [*SMALL_BOARD[:3], "game.snakes=2", "game.beans=30", "game.steps=40"]
TINY = [
    "algorithm=ddpg",
    "device=cpu",
    "network.width=16",
    "actors.num_actors=1",
    "actors.num_games=8",
    "replay.capacity=5000",
    "replay.min_samples=200",
    "learner.batch_size=32",
    "learner.learning_rate=0.01",
    "learner.warmup_steps=0",
    "logging.interval_seconds=1",
    # Past selves, exploration and the ladder all move within a few rounds.
    "algorithm.epsilon_decay=0.95",
    "algorithm.evaluation_share=0.2",
    "opponent.self_share=0.3",
    "opponent.past_self_interval_steps=20",
    "opponent.promotion_episodes=3",
    "opponent.promotion_win_share=0.2",
]
STEPS_PER_ROUND, EPISODES_PER_ROUND = 25, 12
ROUNDS = [
    "learner.schedule=rounds",
    f"learner.episodes_per_round={EPISODES_PER_ROUND}",
    f"learner.steps_per_round={STEPS_PER_ROUND}",
]


@pytest.mark.slow
def test_a_run_killed_in_the_middle_and_resumed_equals_one_never_stopped(tmp_path):
    """Weights, targets, optimizers, past selves, and what decides on exploration and opponents."""
    settings = [*TINY, *SMALL_BOARD, *ROUNDS, "algorithm.estimator=gumbel"]
    process = start(tmp_path / "killed", settings)  # it has no end of its own
    wait_for_checkpoint(tmp_path / "killed", process)
    kill_group(process, signal.SIGKILL)
    process.communicate()
    num_rounds = load_weights(tmp_path / "killed" / "tiny").counters["learner_step"]
    num_rounds = num_rounds // STEPS_PER_ROUND + 2
    assert "resumed from" in run(tmp_path / "killed", settings, f"learner.max_epochs={num_rounds}")
    run(tmp_path / "straight", settings, f"learner.max_epochs={num_rounds}")
    straight = final_state(tmp_path / "straight")
    assert_equal(final_state(tmp_path / "killed"), straight)
    killed, never_stopped = (
        load_weights(tmp_path / name / "tiny").counters | {"minutes": 0.0}
        for name in ("killed", "straight")
    )
    assert killed == never_stopped
    trainer: Any = straight["trainer"]
    assert trainer["num_updates"] == num_rounds * STEPS_PER_ROUND
    assert trainer["guidance"]["episodes"] == num_rounds * EPISODES_PER_ROUND


TWO_RANKS = """
import torch
import ddpzero.training.learner
from ddpzero.config.hydra import compose_settings
from ddpzero.config.conversion import settings_to_dict
from ddpzero.system.signals import install_stop_signal

class Watched(ddpzero.training.learner.Learner):
    lengths = []

    def insert(self, episodes):
        self.lengths.extend(episode.info["num_steps"] for episode in episodes)
        super().insert(episodes)

    def run(self):
        reason = super().run()
        torch.save(self.parts.updater.state(), folder / f"state-{self.state.ranks.rank}.pt")
        say(reason=reason, lengths=self.lengths)
        return reason

if __name__ == "__main__":  # actors import this file
    ddpzero.training.learner.Learner = Watched
    settings = compose_settings([*OVERRIDES, f"runs_dir={folder}", "run_name=tiny"])
    ddpzero.training.learner.train(settings, settings_to_dict(settings), install_stop_signal())
"""


@pytest.mark.slow
def test_two_ranks_whose_games_end_at_different_times_stay_equal_to_the_end(tmp_path):
    overrides = [
        *(*TINY, *FULL_BOARD),
        *("learner.steps_per_epoch=20", "learner.publish_interval_steps=5", "learner.max_epochs=3"),
    ]
    program = f"OVERRIDES = {overrides!r}\n{TWO_RANKS}"
    answers = run_ranks(tmp_path, program, timeout_seconds=240)
    for answer in answers:
        assert "max_epochs=3" in answer["reason"]
        assert len(set(answer["lengths"])) > 5
    assert answers[0]["lengths"] != answers[1]["lengths"]
    first, second = (
        torch.load(tmp_path / f"state-{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert_equal(first, second)
    assert_equal(final_state(tmp_path)["trainer"], first)
    assert first["num_updates"] == 60
    assert first["guidance"]["episodes"] <= sum(len(answer["lengths"]) for answer in answers)
    assert first["guidance"]["episodes"] > max(len(answer["lengths"]) for answer in answers)
    play_against_random(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        ["algorithm.observation=planes", "network=ddpg/torus_cnn", "network.channels=4"],
        ["algorithm.centralized_critic=true"],
    ],
    ids=["torus", "centralized"],
)
def test_every_kind_of_network_trains_and_its_checkpoint_plays(tmp_path, kind):
    settings = [*kind, *TINY, *SMALL_BOARD, *ROUNDS, "logging.interval_episodes=5"]
    output = run(tmp_path, settings, "learner.max_epochs=1", "algorithm.evaluation_share=0.5")
    assert re.search(r"episodes 1 to \d+: won \d+%, .* deaths a game, epsilon 0\.\d+", output)
    tags = EventAccumulator(str(tmp_path / "tiny")).Reload().Tags()
    scalars = set(tags["scalars"])
    assert {"rewards/agent_0", "deaths/team"} <= scalars
    assert any(tag.startswith("evaluation/wins_against_") for tag in scalars)
    assert tags["images"] == ["sample_game"]
    weights = load_weights(tmp_path / "tiny").weights
    assert weights["actor.head.weight"].any(), "it begins with zeros"
    play_against_random(tmp_path)


def play_against_random(folder: Path) -> None:
    agent = load_agent(folder / "tiny")
    assert isinstance(agent.game, TeamGame)
    player: Any = agent.make_player()
    random_player = RulePlayer(agent.game, "random")
    result = play_team_match(player, random_player, agent.game, num_games=4, seed=1)
    assert result.name_a == agent.model
    points = result.points
    assert points is not None
    np.testing.assert_array_equal(result.returns, np.sign(points[..., 0] - points[..., 1]))
    assert (result.num_plies > 0).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["algorithm=ddpg", "game=snakes", "algorithm.observation=planes"],
            "algorithm.observation=planes does not go with network.name=mlp: ",
        ),
        (
            ["game=snakes"],
            "in game=snakes teams act all at once, but algorithm.plugin=ddpzero.algorithms.alphazero ",
        ),
        (
            ["algorithm=ddpg"],
            "in game=connect_four two players take turns, but algorithm.plugin=ddpzero.algorithms.ddpg ",
        ),
    ],
    ids=["planes for mlp", "alphazero in snakes", "ddpg in a board game"],
)
def test_what_does_not_go_together_is_one_sentence_and_exit_code_2(arguments, sentence, tmp_path):
    done = run_main(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"ddpzero: {sentence}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "nothing has been started or written"


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            "network=ddpg/torus_cnn",
            "algorithm.observation=features does not go with network.name=torus",
        ),
        ("game.teams=3", "algorithm=ddpg cannot play game=snakes: it has 3 teams, not 2."),
        (
            "opponent.schedule_levels=[random,clever,bfs,bfs,bfs]",
            "opponent.strategy=linear plays against 'clever'",
        ),
        (
            "opponent.first_level=7",
            "opponent.first_level=7 must be below 7: game=snakes has the rule",
        ),
        ("opponent.num_past_selves=0", "opponent.self_share=0.2 needs past selves"),
        ("algorithm.final_epsilon=0.5", "algorithm.final_epsilon=0.5 is above algorithm.epsilon"),
        ("algorithm.tau=0", "algorithm.tau=0.0 must be above 0"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_starts(argument, sentence):
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}"):
        compose_settings(["algorithm=ddpg", "game=snakes", "opponent.strategy=linear", argument])
