"""The command line of `ddpzero` and its help. Called by commands.py; imports little.

A new command is a function in arguments_of_*.py, which adds its arguments, a function in commands_of_*.py, which runs
it, and a row in _ADD_COMMANDS.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ddpzero import __version__
from ddpzero.cli import arguments_of_agents as agents
from ddpzero.cli import arguments_of_benchmarks as benchmarks
from ddpzero.cli import arguments_of_checks as checks
from ddpzero.cli import arguments_of_play as play
from ddpzero.cli import arguments_of_volunteers as volunteers
from ddpzero.cli.argument_errors import (
    ArgumentsError,
    Parser,
    problem_of,
    problem_of_surplus,
    refuse,
)
from ddpzero.cli.argument_parts import Commands, add_command
from ddpzero.cli.overrides import OVERRIDE, key_of, problem_of_override

_DESCRIPTION = """\
Train game-playing agents, play against them, and measure them.

    ddpzero train +experiment=quick
    ddpzero play runs/quick
    ddpzero web runs/quick
    ddpzero review game.txt runs/quick
    ddpzero monitor runs/quick
    ddpzero match runs/quick rollout:1000 --games 200 --simulations 100
    ddpzero judge connect_four_hard runs/quick --simulations 0,64
    ddpzero ratings runs/quick
    ddpzero games runs/quick
    ddpzero ablate launch/ablations/simulations.yaml
    ddpzero export runs/quick --onnx quick.onnx
    ddpzero gtp runs/go9 --seconds 5 --ponder
    ddpzero gomocup runs/gomoku --install brains
    ddpzero verify rules connect_four
    ddpzero bench search game=gomoku evaluator=uniform search.num_simulations=200
    ddpzero serve collection serve.port=8471
    ddpzero contribute https://games.example.org token_file=alice.token

Name a run by its folder, or by its name in runs/: `ddpzero play quick`.
Settings have the form key=value, as for training, and may stand anywhere on the line.
`ddpzero COMMAND --help` explains a command.
"""
# All commands but train and completion, in the order of the help.
_ADD_COMMANDS = (
    checks.add_verify,
    checks.add_doctor,
    checks.add_tune,
    benchmarks.add_bench,
    checks.add_cache,
    agents.add_match,
    agents.add_judge,
    agents.add_ratings,
    agents.add_evaluate,
    agents.add_games,
    agents.add_ablate,
    agents.add_grow,
    agents.add_export,
    play.add_play,
    play.add_web,
    play.add_review,
    play.add_gtp,
    play.add_gomocup,
    agents.add_monitor,
    volunteers.add_serve,
    volunteers.add_contribute,
)


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of one command.

    In the result, `command` is its name ("bench search"), `do` is the function that runs it, and `overrides` are the
    settings, key=value. Exits after printing help or an error, as argparse does; without words, prints help and exits
    with code 2.
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
    return None if options.problem_of is None else options.problem_of(options)


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ddpzero",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ddpzero {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    for add in _ADD_COMMANDS:
        add(commands)
    _add_completion(commands, parser)
    return parser


def _add_train(commands: Commands) -> None:
    """Add `train` for help and completion. cli/commands.py passes the words after it to main.py."""
    commands.add_parser(
        "train", help="Train an agent; the same as python -m ddpzero.main.", add_help=False
    ).set_defaults(command="train", reads=())


def _add_completion(commands: Commands, parser: argparse.ArgumentParser) -> None:
    """Add `completion`. parser: has all commands, which it completes."""

    def do_completion(options: argparse.Namespace) -> int:
        from ddpzero.cli.completion import run_completion

        run_completion(parser, options.shell, options.line)
        return 0

    completion = add_command(
        commands,
        "completion",
        do_completion,
        "Print a script with which the shell completes commands, options, runs and settings.",
        "source <(ddpzero completion bash)",
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    # The printed script calls `ddpzero completion SHELL --line LINE`.
    completion.add_argument("--line", help=argparse.SUPPRESS)
