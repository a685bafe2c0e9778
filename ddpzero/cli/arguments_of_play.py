"""The arguments of the commands with which a person plays against agents: play."""

from __future__ import annotations

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_play as commands_of
from ddpzero.cli.argument_parts import (
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
