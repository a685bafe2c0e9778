"""What the commands of `ddpzero` declare alike: runs, settings, simulations, seed, JSON. Imports only argparse."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from ddpzero.cli import argument_types
from ddpzero.cli.overrides import READS_GAME

# Help of arguments that several commands have.
RUN = "folder of a run, or its name in runs/"
MODEL = (
    "a run (its folder, its name in runs/, RUN@best or RUN@EPISODE), or the folder of a checkpoint"
)
PLAYER = (
    "a run (its folder, its name in runs/, RUN@best or RUN@EPISODE), the folder of a checkpoint, each of them with a "
    "level (RUN:level3, 1 is the weakest and 9 the full strength), random, or rollout:1000 (tree search with random "
    "rollouts and 1000 simulations)"
)
PLAYER_OR_RULE_AGENT = f"{PLAYER}; in team games also a rule agent, for example greedy in snakes"
_JSON_HELP = (
    "print one line of JSON per figure: bench, game, figure, value, unit, low and high if it has a 95 %% interval, "
    "then the conditions, which have the same names in all commands (game.rows, num_simulations, seed, seconds)"
)
_RECORDED = "recorded games: a name that --list prints, or a .npz file"

# argparse has no public name for the type that add_subparsers returns.
Commands = argparse._SubParsersAction
# Runs a command with its parsed line and returns the exit code.
Do = Callable[[argparse.Namespace], int]
# Returns what is wrong with a parsed line, as a sentence without its end; None if nothing is.
ProblemOf = Callable[[argparse.Namespace], str | None]


class List(argparse.Action):
    """An option that prints a list of the package's files and exits, as --help does."""

    def __init__(self, option_strings: Sequence[str], dest: str, lines: str, help: str):
        """lines: name of the function in judges.packaged that returns the lines to print."""
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)
        self._lines = lines

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ddpzero.judges import packaged

        print(*getattr(packaged, self._lines)(), sep="\n")
        parser.exit()


def add_recorded_file(parser: argparse.ArgumentParser, lines: str) -> None:
    """Add a file of recorded games, and --list for those of the package. lines: see List."""
    parser.add_argument("file", metavar="FILE", type=argument_types.path, help=_RECORDED)
    parser.add_argument("--list", action=List, lines=lines, help="list the included files and exit")


def add_command(
    commands: Commands,
    name: str,
    do: Do,
    help_text: str,
    example: str,
    problem_of: ProblemOf | None = None,
) -> argparse.ArgumentParser:
    """Add a command.

    name: all of its words, such as "bench search"; `commands` selects by the last one. do: runs it.
    problem_of: checks options that argparse cannot check, such as two that exclude each other.
    """
    parser = commands.add_parser(
        name.split()[-1],
        help=help_text,
        # Only in help texts argparse takes %% for a percent sign.
        description=help_text.replace("%%", "%"),
        epilog=f"example: {example}",
    )
    parser.set_defaults(
        command=name,
        command_parser=parser,
        do=do,
        problem_of=problem_of,
        reads=(),
        game=None,
        config_dir=None,
    )
    return parser


def add_settings(parser: argparse.ArgumentParser, reads: Sequence[str] = READS_GAME) -> None:
    """Let a command accept settings. reads: those that have an effect on the command; see READS_GAME."""
    parser.set_defaults(reads=reads)
    parser.add_argument(
        "--game", type=argument_types.name, help="a file of conf/game; short for game=GAME"
    )
    parser.add_argument(
        "--config-dir",
        metavar="DIR",
        type=argument_types.path,
        help="a folder like conf/, which is searched after it",
    )
    # Only for the help: parse_arguments removes settings before parsing and refuses the words that remain here.
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        default=[],
        help="settings as for training, for example game.size=9",
    )


def problem_of_config_dir(options: argparse.Namespace) -> str | None:
    """Refuse --config-dir of a command that looks for a game in it only if the line names one."""
    if options.config_dir and not (options.game or options.overrides):
        return (
            f"--config-dir {options.config_dir} has no effect on {options.command} without --game"
        )
    return None


def add_simulations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--simulations",
        metavar="N",
        type=argument_types.not_negative,
        help="simulations per move of the runs; 0: the network alone (default: as in the run)",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=argument_types.not_negative, default=0, help="seed of all random choices (0)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=_JSON_HELP)
