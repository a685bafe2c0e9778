"""The command line of `ddpzero` and its help. Called by commands.py; imports only argparse."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ddpzero import __version__
from ddpzero.cli import arguments_of_agents as agents
from ddpzero.cli import arguments_of_checks as checks
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
    ddpzero verify rules connect_four
    ddpzero bench search game=gomoku evaluator=uniform search.num_simulations=200
    ddpzero match runs/quick rollout:1000 --games 200 --simulations 100
    ddpzero judge connect_four_hard runs/quick --simulations 0,64
    ddpzero ratings runs/quick
    ddpzero games runs/quick
    ddpzero ablate launch/ablations/simulations.yaml
    ddpzero play runs/quick
    ddpzero monitor runs/quick
    ddpzero serve collection serve.port=8471
    ddpzero contribute https://games.example.org token_file=alice.token

Name a run by its folder, or by its name in runs/: `ddpzero play quick`.
Settings have the form key=value, as for training, and may stand anywhere on the line.
`ddpzero COMMAND --help` explains a command.
"""
_FILTERS_OF_GAMES = ("model", "result", "plies")
# What `games` prints instead of a list -> options that belong to the list.
_WITHOUT_EFFECT_ON_GAMES = {
    "show": ("limit", "json", *_FILTERS_OF_GAMES),
    "statistics": ("limit",),
    "export": ("limit", "json"),
}


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
    if command == "games":
        return _problem_of_games(options)
    return None


def _problem_of_monitor(options: argparse.Namespace) -> str | None:
    once = [name for name in ("once", "json", "iterations") if getattr(options, name)]
    if len(once) > 1:
        return f"--{once[0]} and --{once[1]} exclude each other; remove one of them"
    if once and options.interval is not None:
        return f"--interval {options.interval:g} has no effect with --{once[0]}, which prints once"
    return None


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


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ddpzero",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ddpzero {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    checks.add_verify(commands)
    checks.add_doctor(commands)
    checks.add_tune(commands)
    checks.add_bench(commands)
    checks.add_cache(commands)
    agents.add_match(commands)
    agents.add_judge(commands)
    agents.add_ratings(commands)
    agents.add_evaluate(commands)
    agents.add_games(commands)
    agents.add_ablate(commands)
    agents.add_grow(commands)
    agents.add_play(commands)
    agents.add_monitor(commands)
    volunteers.add_serve(commands)
    volunteers.add_contribute(commands)
    _add_completion(commands)
    return parser


def _add_train(commands: Commands) -> None:
    """Add `train` for help and completion. cli/commands.py passes the words after it to main.py."""
    commands.add_parser(
        "train", help="Train an agent; the same as python -m ddpzero.main.", add_help=False
    ).set_defaults(command="train", reads=())


def _add_completion(commands: Commands) -> None:
    completion = add_command(
        commands,
        "completion",
        "Print a script with which the shell completes commands, options, runs and settings.",
        "source <(ddpzero completion bash)",
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    # The printed script calls `ddpzero completion SHELL --line LINE`.
    completion.add_argument("--line", help=argparse.SUPPRESS)
