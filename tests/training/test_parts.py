"""Facts about the parts of a rank."""

from __future__ import annotations

from ddpzero.config.hydra import compose_settings
from ddpzero.training.parts import arena_line


def test_the_log_says_who_plays_and_how_much_of_the_machine_that_takes():
    settings = compose_settings(["game=tic_tac_toe", "arena.share=0.005", "release.rule=elo"])
    line = arena_line(settings, ["rollout:100"], num_cores=8)
    assert line == (
        "arena: 1 worker with at most 0.5% of the CPU time of 8 cores (arena.share); each model plays 40 games against "
        "each of: the model before it, an earlier one, rollout:100; models/ keeps 32 models; release.rule=elo decides "
        "about a model in 400 games against the best one"
    )
