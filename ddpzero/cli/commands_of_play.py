"""Runs the commands with which a person plays against agents: play.

arguments_of_play.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

from argparse import Namespace

from ddpzero.cli.command_parts import any_game_if_given


def do_play(options: Namespace) -> int:
    from ddpzero.play.run import run_play

    run_play(
        options.player,
        options.opponent,
        game=any_game_if_given(options),
        mode=options.mode,
        color=options.color,
        num_simulations=options.simulations,
        delay_seconds=options.delay,
        seed=options.seed,
    )
    return 0
