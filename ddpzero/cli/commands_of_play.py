"""Runs the commands with which people play against agents and review games, or other programs play.

arguments_of_play.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

from argparse import Namespace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ddpzero.cli.command_parts import any_game_if_given, board_game_of, needs_extra

if TYPE_CHECKING:
    from ddpzero.play.strength import Strength


def do_play(options: Namespace) -> int:
    # Before the imports, which take seconds themselves.
    print(
        "starting (the first time with a game takes half a minute: its code is compiled)",
        flush=True,
    )
    from ddpzero.play.run import run_play

    run_play(
        options.player,
        options.opponent,
        game=any_game_if_given(options),
        mode=options.mode,
        color=options.color,
        strength=strength_of(options),
        delay_seconds=options.delay,
        seed=options.seed,
        resume=options.resume,
    )
    return 0


def do_review(options: Namespace) -> int:
    from ddpzero.play.review_report import run_review

    run_review(
        options.game_file,
        options.player,
        game=any_game_if_given(options),
        number=options.number,
        num_simulations=options.simulations,
        seconds=options.seconds,
        num_worst=options.worst,
        as_json=options.json,
        sgf=options.sgf,
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


def do_gomocup(options: Namespace) -> int:
    if options.install is None:
        from ddpzero.play.protocols.gomocup.run import run_gomocup

        run_gomocup(options.run_dir, lambda: strength_of(options), options.seed)
        return 0
    from ddpzero.play.protocols.gomocup.wrapper import install

    print(install(options.run_dir, Path(options.install), _words_of_strength(options)))
    return 0


def _words_of_strength(options: Namespace) -> list[str]:
    """Return the options of gomocup as words of a command line."""
    values = {
        "--simulations": options.simulations,
        "--seconds": options.seconds,
        "--level": options.level,
        "--seed": options.seed,
    }
    given = [(name, str(value)) for name, value in values.items() if value is not None]
    return [*chain.from_iterable(given), *(["--ponder"] if options.ponder else [])]


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
