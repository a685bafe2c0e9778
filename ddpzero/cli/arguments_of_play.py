"""The arguments of the commands with which a person plays against agents: play and web."""

from __future__ import annotations

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_play as commands_of
from ddpzero.cli.argument_parts import (
    MODEL,
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


def add_web(commands: Commands) -> None:
    web = add_command(
        commands,
        "web",
        commands_of.do_web,
        "Serve a page on which you play against agents in a browser and see what they think: any board game, any "
        "checkpoint of a run. It can be reached from this machine only, unless --host says otherwise.",
        "ddpzero web runs/quick",
        problem_of_config_dir,
    )
    web.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        type=argument_types.path,
        help=f"{MODEL} (default: all runs in runs/, and all games)",
    )
    web.add_argument(
        "--host",
        type=argument_types.name,
        default="127.0.0.1",
        help="address of this machine at which to listen, 0.0.0.0 for all: the page then needs the address with the "
        "token that is printed (127.0.0.1)",
    )
    web.add_argument(
        "--port", type=argument_types.not_negative, default=8472, help="0: any free one (8472)"
    )
    web.add_argument(
        "--max-sessions",
        metavar="N",
        type=argument_types.positive,
        default=16,
        help="browsers that may play at once (16)",
    )
    web.add_argument(
        "--max-simulations",
        metavar="N",
        type=argument_types.positive,
        default=8192,
        help="the most simulations of one position, which need memory for each browser (8192)",
    )
    add_settings(web)
