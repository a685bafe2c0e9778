"""The arguments of the commands with which people play against agents and review games, or programs play."""

from __future__ import annotations

import argparse

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_play as commands_of
from ddpzero.cli.argument_parts import (
    MODEL,
    PLAYER,
    PLAYER_OR_RULE_AGENT,
    Commands,
    add_command,
    add_settings,
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
        lambda options: problem_of_config_dir(options) or problem_of_strength(options),
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
    add_strength(play, usual_simulations="200")
    play.add_argument(
        "--resume",
        metavar="FILE",
        type=argument_types.path,
        help="go on with a game that was saved",
    )
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


def add_review(commands: Commands) -> None:
    review = add_command(
        commands,
        "review",
        commands_of.do_review,
        "Review a game with an agent: its chances move by move, what each move lost, the worst moves and what was "
        "better.",
        "ddpzero review game.txt runs/quick --simulations 1000",
        problem_of_config_dir,
    )
    review.add_argument(
        "game_file",
        metavar="FILE",
        type=argument_types.path,
        help="a game: .sgf, or moves on one line, as play and games --export save them",
    )
    review.add_argument("player", metavar="PLAYER", type=argument_types.path, help=PLAYER)
    review.add_argument(
        "--number",
        metavar="N",
        type=argument_types.positive,
        default=1,
        help="which game, of several in the file (1)",
    )
    review.add_argument(
        "--simulations",
        metavar="N",
        type=argument_types.positive,
        help="simulations for each position (400, or what the time allows)",
    )
    review.add_argument(
        "--seconds", metavar="S", type=argument_types.seconds, help="time for each position"
    )
    review.add_argument(
        "--worst",
        metavar="N",
        type=argument_types.positive,
        default=5,
        help="how many of the worst moves to show (5)",
    )
    review.add_argument(
        "--json", action="store_true", help="print the review as one object of JSON instead"
    )
    review.add_argument(
        "--sgf",
        metavar="OUT",
        type=argument_types.path,
        help="write the game with comments, marks and the better lines",
    )
    add_settings(review)


def add_gtp(commands: Commands) -> None:
    gtp = add_command(
        commands,
        "gtp",
        commands_of.do_gtp,
        "Speak GTP 2 on stdin and stdout, so that GoGui, Sabaki, gogui-twogtp and other programs can play against an "
        "agent and analyze with it: Go, Othello and Hex as their programs do, other board games through GoGui's rules "
        "commands. launch/README.md says what each program needs.",
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


def add_gomocup(commands: Commands) -> None:
    gomocup = add_command(
        commands,
        "gomocup",
        commands_of.do_gomocup,
        "Play five in a row for a manager of Gomocup or piskvork, which starts this program and sends it commands.",
        "ddpzero gomocup runs/gomoku --install brains",
        problem_of_strength,
    )
    gomocup.add_argument("run_dir", metavar="RUN", type=argument_types.path, help=MODEL)
    gomocup.add_argument(
        "--install",
        metavar="FOLDER",
        type=argument_types.path,
        help="only write a script pbrain-RUN into this folder, which managers can start; it has the other options",
    )
    add_strength(gomocup, is_told_time=True, resigns=False)
    gomocup.add_argument(
        "--seed",
        type=argument_types.not_negative,
        help="seed of the moves at a level (default: random)",
    )


def add_strength(
    parser: argparse.ArgumentParser,
    *,
    is_told_time: bool = False,
    resigns: bool = True,
    usual_simulations: str = "as in the run",
) -> None:
    """Add the options that say how strong an agent plays; commands_of_play.strength_of reads them.

    problem_of_strength checks them together. is_told_time: whether another program says how long a game may take, so
    that there is no option for it. resigns: whether there is an option for resigning. usual_simulations: those without
    an option, in words.
    """
    parser.set_defaults(game_time=None, resign=False)
    parser.add_argument(
        "--simulations",
        metavar="N",
        type=argument_types.not_negative,
        help=f"simulations per move; 0: the network alone (default: {usual_simulations}, or what the time allows)",
    )
    parser.add_argument(
        "--seconds", metavar="S", type=argument_types.seconds, help="time for each move"
    )
    if not is_told_time:
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
    if resigns:
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


def add_web(commands: Commands) -> None:
    web = add_command(
        commands,
        "web",
        commands_of.do_web,
        "Serve a page on which you play against agents in a browser and see what they think: any board game, any "
        "checkpoint of a run; team games can be watched. It can be reached from this machine only, unless --host says "
        "otherwise.",
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
