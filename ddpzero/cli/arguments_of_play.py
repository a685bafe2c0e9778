"""The arguments of the commands with which people and programs play against agents: play and gtp."""

from __future__ import annotations

import argparse

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_play as commands_of
from ddpzero.cli.argument_parts import (
    PLAYER,
    PLAYER_OR_RULE_AGENT,
    Commands,
    add_command,
    add_settings,
    add_simulations,
    problem_of_config_dir,
)


def add_play(commands: Commands) -> None:
    play = add_command(
        commands,
        "play",
        commands_of.do_play,
        "Play against an agent in the terminal, or watch agents play. In team games you control the first agent of a "
        "team; PLAYER plays all other agents.",
        "ddpzero play runs/quick --simulations 400",
        problem_of_config_dir,
    )
    play.add_argument(
        "player", metavar="PLAYER", type=argument_types.path, help=PLAYER_OR_RULE_AGENT
    )
    play.add_argument(
        "--mode",
        choices=("human", "ai"),
        default="human",
        help="human: you play; ai: agents play (human)",
    )
    play.add_argument(
        "--opponent",
        metavar="PLAYER",
        type=argument_types.path,
        help="mode ai: the second player (default: PLAYER)",
    )
    play.add_argument(
        "--color",
        "--colour",
        dest="color",
        choices=("ask", "first", "second"),
        help="mode human: your color, or your team (ask)",
    )
    add_simulations(play)
    play.add_argument(
        "--delay",
        type=argument_types.seconds,
        help="mode ai: seconds between moves (0.5; in team games 0.1)",
    )
    play.add_argument(
        "--seed",
        type=argument_types.not_negative,
        help="seed that reproduces a game (default: random)",
    )
    add_settings(play)


def add_gtp(commands: Commands) -> None:
    gtp = add_command(
        commands,
        "gtp",
        commands_of.do_gtp,
        "Speak GTP 2 on stdin and stdout, so that GoGui, Sabaki, Lizzie, gogui-twogtp and other programs can play "
        "against an agent and analyze with it: Go, Othello and Hex as their programs do, other board games through "
        "GoGui's rules commands.",
        "ddpzero gtp runs/go9 --seconds 5 --ponder",
        lambda options: problem_of_config_dir(options) or problem_of_strength(options),
    )
    gtp.add_argument("player", metavar="PLAYER", type=argument_types.path, help=PLAYER)
    add_strength(gtp)
    gtp.add_argument(
        "--seed",
        type=argument_types.not_negative,
        help="seed of the moves of a level (default: random)",
    )
    add_settings(gtp)


def add_strength(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how strong an agent plays; commands_of_play.strength_of reads them.

    problem_of_strength checks them together.
    """
    parser.add_argument(
        "--simulations",
        metavar="N",
        type=argument_types.not_negative,
        help="simulations per move; 0: the network alone (default: as in the run, or what the time allows)",
    )
    parser.add_argument(
        "--seconds", metavar="S", type=argument_types.seconds, help="time for each move"
    )
    parser.add_argument(
        "--game-time",
        metavar="TIME",
        type=argument_types.game_time,
        help="time for all moves of a game, such as 5m; 5m+3s: 3 s more after each move",
    )
    parser.add_argument(
        "--level",
        metavar="1-9",
        type=argument_types.level,
        help="plays weaker: 1 is the weakest level, 9 the full strength (9)",
    )
    parser.add_argument("--ponder", action="store_true", help="also think while the opponent does")
    parser.add_argument("--resign", action="store_true", help="give up hopeless games")


def problem_of_strength(options: argparse.Namespace) -> str | None:
    if options.level is not None and options.simulations is not None:
        return (
            f"--level {options.level} and --simulations {options.simulations} both say how many simulations "
            "a move has; remove one of them"
        )
    if options.seconds == 0:
        return "--seconds 0 leaves no time for a move; to play at once, give --simulations 0"
    if options.game_time == (0.0, 0.0):
        return "--game-time 0 leaves no time for the game; to play at once, give --simulations 0"
    return None
