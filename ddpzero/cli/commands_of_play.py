"""Runs the commands with which people and programs play against agents: play and gtp.

arguments_of_play.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from ddpzero.cli.command_parts import any_game_if_given, board_game_of

if TYPE_CHECKING:
    from ddpzero.play.strength import Strength


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


def do_gtp(options: Namespace) -> int:
    from ddpzero.play.protocols.gtp.run import run_gtp

    run_gtp(
        options.player,
        strength_of(options),
        game=None if any_game_if_given(options) is None else board_game_of(options),
        seed=options.seed,
    )
    return 0


def strength_of(options: Namespace) -> Strength:
    """Return what the options of add_strength say."""
    from ddpzero.play.clock import TimeControl
    from ddpzero.play.strength import Strength

    game_seconds, increment_seconds = options.game_time or (None, 0.0)
    return Strength(
        time=TimeControl(options.seconds, game_seconds, increment_seconds),
        simulations=options.simulations,
        level=options.level,
        resigns=options.resign,
        ponders=options.ponder,
    )
