"""The arguments of the commands about runs and their agents, from match to monitor."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_agents as commands_of
from ddpzero.cli.argument_parts import (
    MODEL,
    PLAYER,
    PLAYER_OR_RULE_AGENT,
    RUN,
    Commands,
    List,
    add_command,
    add_json,
    add_seed,
    add_settings,
    add_simulations,
    problem_of_config_dir,
)
from ddpzero.cli.overrides import READS_SIZE

_FILTERS_OF_GAMES = ("model", "result", "plies")
# What `games` prints instead of a list -> options that belong to the list.
_WITHOUT_EFFECT_ON_GAMES = {
    "show": ("limit", "json", *_FILTERS_OF_GAMES),
    "statistics": ("limit",),
    "export": ("limit", "json"),
}


def add_match(commands: Commands) -> None:
    match = add_command(
        commands,
        "match",
        commands_of.do_match,
        "Play a match and print the match score with its confidence interval. Every random start is played twice, "
        "with sides swapped.",
        "ddpzero match runs/quick rollout:1000 --games 200 --simulations 100",
        problem_of_config_dir,
    )
    match.add_argument("player_a", metavar="A", type=argument_types.path, help=PLAYER_OR_RULE_AGENT)
    match.add_argument("player_b", metavar="B", type=argument_types.path, help="as A")
    match.add_argument(
        "--games",
        type=argument_types.even,
        default=200,
        help="number of games, even and at least 2 (200)",
    )
    add_simulations(match)
    match.add_argument(
        "--opening-plies",
        type=argument_types.not_negative,
        help="random plies at the start of a board game (default: chosen for the game)",
    )
    match.add_argument(
        "--workers",
        type=argument_types.positive,
        help="processes that play, each on one core and a block of 100 games at a time; the games do not depend on it "
        "(default: as many as share the blocks, and all cores)",
    )
    add_seed(match)
    add_json(match)
    add_settings(match)


def add_judge(commands: Commands) -> None:
    judge = add_command(
        commands,
        "judge",
        commands_of.do_judge,
        "Measure how often a player's move keeps the outcome of perfect play, in solved positions.",
        "ddpzero judge connect_four_hard runs/quick --simulations 0,64",
    )
    judge.add_argument(
        "file",
        metavar="FILE",
        type=argument_types.path,
        help="solved positions: a name that --list prints, or a .npz file for connect_four, dots_and_boxes, hex, "
        "othello or tic_tac_toe",
    )
    judge.add_argument(
        "--list", action=List, lines="positions_lines", help="list the included files and exit"
    )
    judge.add_argument(
        "players", metavar="PLAYER", type=argument_types.path, nargs="+", help=PLAYER
    )
    judge.add_argument(
        "--simulations",
        type=argument_types.numbers,
        help="simulations per move of the runs, one row for each number; 0: the network alone (default: as in the "
        "run)",
    )
    judge.add_argument(
        "--seed", type=argument_types.not_negative, help="seed of players that play randomly (0)"
    )
    add_json(judge)


def add_ratings(commands: Commands) -> None:
    ratings = add_command(
        commands,
        "ratings",
        commands_of.do_ratings,
        "Show the Elo ratings of a run's models from all matches of its arena, with 95 %% intervals.",
        "ddpzero ratings runs/quick --plot ratings.png",
    )
    ratings.add_argument("run", metavar="RUN", type=argument_types.path, help=RUN)
    ratings.add_argument(
        "--plot",
        metavar="FILE",
        type=argument_types.path,
        help="draw the ratings over samples and minutes; FILE ends in .png, .svg or .pdf",
    )
    add_json(ratings)


def add_evaluate(commands: Commands) -> None:
    evaluate = add_command(
        commands,
        "evaluate",
        commands_of.do_evaluate,
        "Evaluate a trained agent: in solved positions if the package has some of its game, in matches against fixed "
        "opponents, in its run's pool, and its speed.",
        "ddpzero evaluate runs/quick --report report",
    )
    evaluate.add_argument("player", metavar="RUN", type=argument_types.path, help=MODEL)
    add_simulations(evaluate)
    evaluate.add_argument(
        "--games",
        type=argument_types.even,
        default=100,
        help="number of games against each opponent, even and at least 2 (100)",
    )
    evaluate.add_argument(
        "--report",
        metavar="FOLDER",
        type=argument_types.path,
        help="write a Markdown page with pictures to this folder",
    )
    add_seed(evaluate)
    add_json(evaluate)


def add_games(commands: Commands) -> None:
    games = add_command(
        commands,
        "games",
        commands_of.do_games,
        "List the games that a run has played, newest last; count them, show one move by move, or export them. "
        "`ddpzero games verify FOLDER` plays all of them again by the rules, and exits with code 1 if any is wrong.",
        "ddpzero games runs/quick --statistics",
        _problem_of_games,
    )
    games.usage = "ddpzero games [options] RUN\n       ddpzero games verify FOLDER"
    games.add_argument(
        "words",
        metavar="RUN",
        nargs="+",
        type=argument_types.path,
        help="a run, or a folder of stored games; with the word verify before it, they are verified",
    )
    games.add_argument(
        "--model",
        metavar="NAME",
        type=argument_types.name,
        help="only games played when a model was the newest one whose name contains NAME",
    )
    games.add_argument(
        "--result",
        choices=("first", "second", "draw"),
        help="only games won by this player, or drawn",
    )
    games.add_argument(
        "--plies",
        metavar="A-B",
        type=argument_types.bounds,
        help="only games of at least A and at most B plies or steps",
    )
    games.add_argument(
        "--limit", metavar="N", type=argument_types.positive, help="length of the list (20)"
    )
    games.add_argument(
        "--show",
        metavar="N",
        type=argument_types.positive,
        help="show game N of the list move by move",
    )
    games.add_argument(
        "--statistics",
        action="store_true",
        help="count results, lengths, and different positions by ply",
    )
    games.add_argument(
        "--export",
        metavar="FILE",
        type=argument_types.path,
        help="write the games to a file: .sgf, or .txt for a line of moves each",
    )
    add_json(games)


def _problem_of_games(options: argparse.Namespace) -> str | None:
    """Return a sentence about words of `games` that say nothing, or not one thing."""
    first, *others = options.words
    is_verified = first == "verify"
    if is_verified and not others:
        return "verify needs a FOLDER of games, or a RUN"
    if surplus := others[is_verified:]:
        return f"unexpected words: {' '.join(surplus)}; give one RUN, or verify and one FOLDER"
    chosen = _given(options, ("show", "statistics", "export"))
    if is_verified:
        without_effect = chosen + _given(options, ("limit", "json", *_FILTERS_OF_GAMES))
        what = "games verify, which verifies all games of the folder"
    elif len(chosen) > 1:
        return f"--{chosen[0]} and --{chosen[1]} exclude each other; remove one of them"
    elif chosen:
        without_effect = _given(options, _WITHOUT_EFFECT_ON_GAMES[chosen[0]])
        what = f"--{chosen[0]}"
    else:
        return None
    return f"--{without_effect[0]} has no effect on {what}; remove it" if without_effect else None


def _given(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Return those of some options, whose default is None or False, that stand on the line."""
    return [name for name in names if getattr(options, name) not in (None, False)]


def add_ablate(commands: Commands) -> None:
    ablate = add_command(
        commands,
        "ablate",
        commands_of.do_ablate,
        "Train variants of a run, several seeds of each, judge all of them in the same positions or by matches, and "
        "print their differences with 95 %% intervals. Stopped at any moment, the same command continues.",
        "ddpzero ablate launch/ablations/simulations.yaml",
    )
    ablate.add_argument(
        "file",
        metavar="FILE",
        type=argument_types.path,
        help="a YAML file with the variants; ddpzero/bench/README.md explains its keys",
    )
    ablate.add_argument(
        "--output",
        metavar="FOLDER",
        type=argument_types.path,
        help="folder of the trainings and results.json (default: ablations/ and the name of the file)",
    )
    add_json(ablate)


def add_grow(commands: Commands) -> None:
    grow = add_command(
        commands,
        "grow",
        commands_of.do_grow,
        "Make the network of a model larger without a change of its outputs, which is checked on random positions. The "
        "result is a model for init_from and all commands that take a player.",
        "ddpzero grow runs/quick network.blocks=4 network.channels=48 --output runs/larger",
    )
    grow.add_argument("model", metavar="RUN", type=argument_types.path, help=MODEL)
    grow.add_argument(
        "--output",
        metavar="FOLDER",
        type=argument_types.path,
        required=True,
        help="folder of the larger model; it must not exist",
    )
    add_seed(grow)
    grow.set_defaults(reads=READS_SIZE)
    # Only for the help, as in add_settings.
    grow.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        default=[],
        help="the larger size: network.blocks=4, network.channels=48, or both",
    )


def add_export(commands: Commands) -> None:
    export = add_command(
        commands,
        "export",
        commands_of.do_export,
        "Write a trained network for other programs, each with a card in JSON that says what it is: as ONNX, compared "
        "with torch on random positions; as safetensors; as a static page that plays in the browser.",
        "ddpzero export runs/quick --onnx quick.onnx",
        _problem_of_export,
    )
    export.add_argument("model", metavar="RUN", type=argument_types.path, help=MODEL)
    export.add_argument(
        "--onnx",
        metavar="FILE",
        type=argument_types.path,
        help="write this .onnx file, and its card beside it; it must not exist",
    )
    export.add_argument(
        "--weights",
        metavar="FOLDER",
        type=argument_types.path,
        help="write model.safetensors and card.json to this new folder",
    )
    export.add_argument(
        "--static",
        metavar="FOLDER",
        type=argument_types.path,
        help="write a page that plays connect_four, gomoku, othello or hex to this new folder, for any host of static "
        "files; with a name that ends in .html, to one file that opens without a server",
    )
    export.add_argument(
        "--check",
        metavar="N",
        type=argument_types.positive,
        help="random positions in which the ONNX file is compared with torch (1000)",
    )
    export.add_argument(
        "--onnxruntime-web",
        metavar="FOLDER",
        type=argument_types.path,
        help="the npm package onnxruntime-web, for --static (default: the one in node_modules/, else it is downloaded "
        "once)",
    )
    add_seed(export)


def _problem_of_export(options: argparse.Namespace) -> str | None:
    if not _given(options, ("onnx", "weights", "static")):
        return "nothing is to be written: give --onnx FILE, --weights FOLDER or --static FOLDER"
    if options.check is not None and options.onnx is None and options.static is None:
        return "--check has no effect without --onnx or --static; remove it"
    if options.onnxruntime_web is not None and options.static is None:
        return "--onnxruntime-web has no effect without --static; remove it"
    return None


def add_monitor(commands: Commands) -> None:
    monitor = add_command(
        commands,
        "monitor",
        commands_of.do_monitor,
        "Watch a run from another terminal: its state, metrics and curves. Press q to leave.",
        "ddpzero monitor runs/quick",
        _problem_of_monitor,
    )
    monitor.add_argument("run_dir", metavar="RUN", type=argument_types.path, help=RUN)
    monitor.add_argument(
        "--interval", type=argument_types.seconds, help="seconds between updates (2)"
    )
    monitor.add_argument("--once", action="store_true", help="print once and exit")
    monitor.add_argument("--json", action="store_true", help="print one line of JSON and exit")
    monitor.add_argument(
        "--iterations",
        action="store_true",
        help="print a table of the iterations of learner.schedule=rounds and exit",
    )


def _problem_of_monitor(options: argparse.Namespace) -> str | None:
    once = [name for name in ("once", "json", "iterations") if getattr(options, name)]
    if len(once) > 1:
        return f"--{once[0]} and --{once[1]} exclude each other; remove one of them"
    if once and options.interval is not None:
        return f"--interval {options.interval:g} has no effect with --{once[0]}, which prints once"
    return None
