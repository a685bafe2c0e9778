"""Runs the commands with which a person plays against agents: play and web.

arguments_of_play.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

from argparse import Namespace

from ddpzero.cli.command_parts import any_game_if_given, needs_extra


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


def do_web(options: Namespace) -> int:
    with needs_extra("web", "web"):
        from ddpzero.web.run import run_web

    run_web(
        options.runs,
        any_game_if_given(options),
        host=options.host,
        port=options.port,
        max_sessions=options.max_sessions,
        max_simulations=options.max_simulations,
    )
    return 0
