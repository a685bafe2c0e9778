"""The command line of `ddpzero` and its help. Called by commands.py; imports only argparse."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ddpzero import __version__
from ddpzero.cli import argument_types
from ddpzero.cli.argument_errors import (
    ArgumentsError,
    Parser,
    problem_of,
    problem_of_surplus,
    refuse,
)
from ddpzero.cli.overrides import (
    OVERRIDE,
    READS_GAME,
    READS_LEARNER,
    READS_SEARCH,
    READS_SIZE,
    key_of,
    problem_of_override,
)

_DESCRIPTION = """\
Train game-playing agents, play against them, and measure them.

    ddpzero train +experiment=quick
    ddpzero verify rules connect_four
    ddpzero bench search game=gomoku evaluator=uniform search.num_simulations=200
    ddpzero match runs/quick rollout:1000 --games 200 --simulations 100
    ddpzero judge connect_four_hard runs/quick --simulations 0,64
    ddpzero ratings runs/quick
    ddpzero ablate launch/ablation.yaml
    ddpzero play runs/quick
    ddpzero monitor runs/quick

Name a run by its folder, or by its name in runs/: `ddpzero play quick`.
Settings have the form key=value, as for training, and may stand anywhere on the line.
`ddpzero COMMAND --help` explains a command.
"""
_PLAYER = (
    "a run (its folder, its name in runs/, or RUN@EPISODE), the folder of a checkpoint, random, or rollout:1000 "
    "(tree search with random rollouts and 1000 simulations)"
)
_PLAYER_OR_RULE_AGENT = f"{_PLAYER}; in team games also a rule agent, for example greedy in snakes"
_JSON_HELP = (
    "print one line of JSON per figure: bench, game, figure, value, unit, low and high if it has a 95 %% interval, "
    "then the conditions, which have the same names in all commands (game.rows, num_simulations, seed, seconds)"
)
_RECORDED = "recorded games: a name that --list prints, or a .npz file"

# argparse has no public name for the type that add_subparsers returns.
_Commands = argparse._SubParsersAction


class _List(argparse.Action):
    """An option that prints a list of the package's files and exits, as --help does."""

    def __init__(self, option_strings: Sequence[str], dest: str, lines: str, help: str):
        """lines: name of the function in judges.packaged that returns the lines to print."""
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)
        self._lines = lines

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ddpzero.judges import packaged

        print(*getattr(packaged, self._lines)(), sep="\n")
        parser.exit()


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of one command.

    In the result, `command` is its name ("bench search") and `overrides` are the settings, key=value. Exits after
    printing help or an error, as argparse does; without words, prints help and exits with code 2.
    """
    parser = make_parser()
    if not words:
        parser.print_help()
        parser.exit(2)
    try:
        options, unknown = parser.parse_known_args([w for w in words if not OVERRIDE.match(w)])
    except ArgumentsError as error:
        refuse(error.parser, problem_of(error, words))
    if surplus := [*getattr(options, "overrides", []), *unknown]:
        refuse(options.command_parser, problem_of_surplus(options, surplus))
    options.overrides = [word for word in words if OVERRIDE.match(word)]
    if problem := _problem_of_options(options):
        refuse(options.command_parser, problem)
    return options


def _problem_of_options(options: argparse.Namespace) -> str | None:
    """Return a sentence about the first option without effect; None if all options have one."""
    command, overrides = options.command, options.overrides
    if overrides and not options.reads:
        return f"{overrides[0]}: {command} takes no settings, because a run brings its own"
    for override in overrides:
        if problem := problem_of_override(override, options):
            return f"{override} has no effect on {command}{problem}"
    named = next((override for override in overrides if key_of(override) == "game"), None)
    if options.game is not None and named is not None:
        return f"--game {options.game} and {named} both name a game; remove one of them"
    if command in ("match", "play") and options.config_dir and not (options.game or overrides):
        return f"--config-dir {options.config_dir} has no effect on {command} without --game"
    if command == "monitor":
        return _problem_of_monitor(options)
    return None


def _problem_of_monitor(options: argparse.Namespace) -> str | None:
    once = [name for name in ("once", "json", "iterations") if getattr(options, name)]
    if len(once) > 1:
        return f"--{once[0]} and --{once[1]} exclude each other; remove one of them"
    if once and options.interval is not None:
        return f"--interval {options.interval:g} has no effect with --{once[0]}, which prints once"
    return None


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ddpzero",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ddpzero {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_verify(commands)
    _add_bench(commands)
    _add_cache(commands)
    _add_match(commands)
    _add_judge(commands)
    _add_ratings(commands)
    _add_evaluate(commands)
    _add_ablate(commands)
    _add_grow(commands)
    _add_play(commands)
    _add_monitor(commands)
    _add_completion(commands)
    return parser


def _add_train(commands: _Commands) -> None:
    """Add `train` for help and completion. cli/commands.py passes the words after it to main.py."""
    commands.add_parser(
        "train", help="Train an agent; the same as python -m ddpzero.main.", add_help=False
    ).set_defaults(command="train", reads=())


def _add_recorded_file(parser: argparse.ArgumentParser, lines: str) -> None:
    """Add a file of recorded games, and --list for those of the package. lines: see _List."""
    parser.add_argument("file", metavar="FILE", type=argument_types.path, help=_RECORDED)
    parser.add_argument(
        "--list", action=_List, lines=lines, help="list the included files and exit"
    )


def _add_verify(commands: _Commands) -> None:
    parser = commands.add_parser("verify", help="Check a game or an algorithm.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    rules = _add_command(
        kinds,
        "verify rules",
        "Replay recorded games and compare legal actions, players to move, results and boards. Exits with code 1 if "
        "anything differs. With a file of your own, give --game and the game's settings.",
        "ddpzero verify rules gomoku15",
    )
    _add_recorded_file(rules, "recorded_lines")
    _add_settings(rules)
    snakes = _add_command(
        kinds,
        "verify snakes",
        "Replay recorded games of snakes with their random outcomes and compare everything that the rules decide in "
        "each step. Exits with code 1 if anything differs.",
        "ddpzero verify snakes snakes3v3_ends",
    )
    _add_recorded_file(snakes, "snakes_lines")
    _add_settings(snakes)
    contract = _add_command(
        kinds,
        "verify contract",
        "Play random games and check that a game keeps the kernel contract. Exits with code 1 if it does not.",
        "ddpzero verify contract --config-dir my_conf --game my_game",
    )
    contract.add_argument(
        "--games", type=argument_types.positive, default=20, help="number of random games (20)"
    )
    _add_seed(contract)
    _add_settings(contract)
    algorithm = _add_command(
        kinds,
        "verify algorithm",
        "Let an algorithm play, update and resume in a small training, on one rank and on two, and check that it keeps "
        "the contract of a plugin. Exits with code 1 if it does not.",
        "ddpzero verify algorithm my_algorithm.py --game tic_tac_toe",
    )
    algorithm.add_argument(
        "algorithm",
        metavar="ALGORITHM",
        help="a .py file, a module (my_lab.my_algorithm), or an option of conf/algorithm",
    )
    _add_settings(algorithm, (*READS_GAME, "...", "learner"))


def _add_bench(commands: _Commands) -> None:
    parser = commands.add_parser("bench", help="Measure speed on this machine.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    for name, reads, help_text, example in (
        (
            "rules",
            READS_GAME,
            "Measure steps per second of random play on one core.",
            "ddpzero bench rules game=gomoku game.size=9",
        ),
        (
            "search",
            READS_SEARCH,
            "Measure simulations per second of the search, with uniform evaluations (evaluator=uniform, the default) "
            "or with an untrained network (evaluator=network); the latter also as a fraction of the network's speed.",
            "ddpzero bench search game=gomoku evaluator=network search.num_simulations=200 network.blocks=4",
        ),
        (
            "learner",
            READS_LEARNER,
            "Measure updates per second of one learner on random samples.",
            "ddpzero bench learner +experiment=gomoku +hardware=gpu24gb",
        ),
    ):
        kind = _add_command(kinds, f"bench {name}", help_text, example)
        kind.add_argument(
            "--seconds", type=argument_types.seconds, default=5.0, help="how long to measure (5)"
        )
        _add_seed(kind)
        _add_json(kind)
        _add_settings(kind, reads)


def _add_match(commands: _Commands) -> None:
    match = _add_command(
        commands,
        "match",
        "Play a match and print the match score with its confidence interval. Every random start is played twice, "
        "with sides swapped.",
        "ddpzero match runs/quick rollout:1000 --games 200 --simulations 100",
    )
    match.add_argument(
        "player_a", metavar="A", type=argument_types.path, help=_PLAYER_OR_RULE_AGENT
    )
    match.add_argument("player_b", metavar="B", type=argument_types.path, help="as A")
    match.add_argument(
        "--games",
        type=argument_types.even,
        default=200,
        help="number of games, even and at least 2 (200)",
    )
    _add_simulations(match)
    match.add_argument(
        "--opening-plies",
        type=argument_types.not_negative,
        help="random plies at the start of a board game (default: chosen for the game)",
    )
    match.add_argument(
        "--workers",
        type=argument_types.positive,
        default=1,
        help="processes that play, each a block of 100 games at a time; the games do not depend on it (1)",
    )
    _add_seed(match)
    _add_json(match)
    _add_settings(match)


def _add_judge(commands: _Commands) -> None:
    judge = _add_command(
        commands,
        "judge",
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
        "--list", action=_List, lines="positions_lines", help="list the included files and exit"
    )
    judge.add_argument(
        "players", metavar="PLAYER", type=argument_types.path, nargs="+", help=_PLAYER
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
    _add_json(judge)


def _add_ratings(commands: _Commands) -> None:
    ratings = _add_command(
        commands,
        "ratings",
        "Show the Elo ratings of a run's models from all matches of its arena, with 95 %% intervals.",
        "ddpzero ratings runs/quick --plot ratings.png",
    )
    ratings.add_argument(
        "run", metavar="RUN", type=argument_types.path, help="folder of a run, or its name in runs/"
    )
    ratings.add_argument(
        "--plot",
        metavar="FILE",
        type=argument_types.path,
        help="draw the ratings over samples and minutes; FILE ends in .png, .svg or .pdf",
    )
    _add_json(ratings)


def _add_evaluate(commands: _Commands) -> None:
    evaluate = _add_command(
        commands,
        "evaluate",
        "Evaluate a trained agent: in solved positions if the package has some of its game, in matches against fixed "
        "opponents, in its run's pool, and its speed.",
        "ddpzero evaluate runs/quick --report report",
    )
    evaluate.add_argument(
        "player",
        metavar="RUN",
        type=argument_types.path,
        help="a run (its folder, its name in runs/, RUN@best or RUN@EPISODE), or the folder of a checkpoint",
    )
    _add_simulations(evaluate)
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
    _add_seed(evaluate)
    _add_json(evaluate)


def _add_ablate(commands: _Commands) -> None:
    ablate = _add_command(
        commands,
        "ablate",
        "Train variants of a run, several seeds of each, judge all of them in the same positions or by matches, and "
        "print their differences with 95 %% intervals. Stopped at any moment, the same command continues.",
        "ddpzero ablate launch/ablation.yaml",
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
    _add_json(ablate)


def _add_grow(commands: _Commands) -> None:
    grow = _add_command(
        commands,
        "grow",
        "Make the network of a model larger without a change of its outputs, which is checked on random positions. The "
        "result is a model for init_from and all commands that take a player.",
        "ddpzero grow runs/quick network.blocks=4 network.channels=48 --output runs/larger",
    )
    grow.add_argument(
        "model",
        metavar="RUN",
        type=argument_types.path,
        help="a run (its folder, its name in runs/, RUN@best or RUN@EPISODE), or the folder of a checkpoint",
    )
    grow.add_argument(
        "--output",
        metavar="FOLDER",
        type=argument_types.path,
        required=True,
        help="folder of the larger model; it must not exist",
    )
    _add_seed(grow)
    grow.set_defaults(reads=READS_SIZE)
    # Only for the help, as in _add_settings.
    grow.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        default=[],
        help="the larger size: network.blocks=4, network.channels=48, or both",
    )


def _add_play(commands: _Commands) -> None:
    play = _add_command(
        commands,
        "play",
        "Play against an agent in the terminal, or watch agents play. In team games you control the first agent of a "
        "team; PLAYER plays all other agents.",
        "ddpzero play runs/quick --simulations 400",
    )
    play.add_argument(
        "player", metavar="PLAYER", type=argument_types.path, help=_PLAYER_OR_RULE_AGENT
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
    _add_simulations(play)
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
    _add_settings(play)


def _add_cache(commands: _Commands) -> None:
    parser = commands.add_parser("cache", help="Manage the compiled code on disk.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    clear = _add_command(
        kinds,
        "cache clear",
        "Delete the compiled code of all games. It is compiled again when it is needed. With --game, also delete what "
        "is stored beside a game of your own.",
        "ddpzero cache clear",
    )
    _add_settings(clear)


def _add_monitor(commands: _Commands) -> None:
    monitor = _add_command(
        commands,
        "monitor",
        "Watch a run from another terminal: its state, metrics and curves. Press q to leave.",
        "ddpzero monitor runs/quick",
    )
    monitor.add_argument(
        "run_dir",
        metavar="RUN",
        type=argument_types.path,
        help="folder of a run, or its name in runs/",
    )
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


def _add_completion(commands: _Commands) -> None:
    completion = _add_command(
        commands,
        "completion",
        "Print a script with which the shell completes commands, options, runs and settings.",
        "source <(ddpzero completion bash)",
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    # The printed script calls `ddpzero completion SHELL --line LINE`.
    completion.add_argument("--line", help=argparse.SUPPRESS)


def _add_command(
    commands: _Commands, name: str, help_text: str, example: str
) -> argparse.ArgumentParser:
    """Add a command. name: all of its words, such as "bench search"; `commands` selects by the last one."""
    parser = commands.add_parser(
        name.split()[-1],
        help=help_text,
        # Only in help texts argparse takes %% for a percent sign.
        description=help_text.replace("%%", "%"),
        epilog=f"example: {example}",
    )
    parser.set_defaults(command=name, command_parser=parser, reads=(), game=None, config_dir=None)
    return parser


def _add_settings(parser: argparse.ArgumentParser, reads: Sequence[str] = READS_GAME) -> None:
    """Let a command accept settings. reads: those that have an effect on the command; see READS_GAME."""
    parser.set_defaults(reads=reads)
    parser.add_argument(
        "--game", type=argument_types.name, help="a file of conf/game; short for game=GAME"
    )
    parser.add_argument(
        "--config-dir",
        metavar="DIR",
        type=argument_types.path,
        help="a folder like conf/, which is searched first",
    )
    # Only for the help: parse_arguments removes settings before parsing and refuses the words that remain here.
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        default=[],
        help="settings as for training, for example game.size=9",
    )


def _add_simulations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--simulations",
        metavar="N",
        type=argument_types.not_negative,
        help="simulations per move of the runs; 0: the network alone (default: as in the run)",
    )


def _add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=argument_types.not_negative, default=0, help="seed of all random choices (0)"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=_JSON_HELP)
