"""The arguments of serve and contribute, the two sides of a training with contributors."""

from __future__ import annotations

import argparse

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_volunteers as commands_of
from ddpzero.cli.argument_parts import Commands, add_command
from ddpzero.cli.overrides import READS_OWN


def add_serve(commands: Commands) -> None:
    serve = add_command(
        commands,
        "serve",
        commands_of.do_serve,
        "Collect games of contributors for a training: validate them, hand out models, show statistics.",
        "ddpzero serve collection serve.port=8471",
    )
    serve.add_argument(
        "folder",
        metavar="FOLDER",
        type=argument_types.path,
        help="for everything that the server keeps; its settings can be in FOLDER/serve.yaml",
    )
    serve.add_argument(
        "--add-user",
        metavar="NAME",
        help="add a user, or give one a new token; print the token and exit (also while the server runs)",
    )
    serve.add_argument(
        "--role",
        choices=("contributor", "learner"),
        help="of the user: a contributor plays games; a learner takes them in and pushes models (contributor)",
    )
    serve.add_argument(
        "--remove-user", metavar="NAME", help="end the token of a user and exit; games stay counted"
    )
    _add_settings(serve, "settings, for example serve.host=0.0.0.0 serve.min_plies=5")


def add_contribute(commands: Commands) -> None:
    contribute = add_command(
        commands,
        "contribute",
        commands_of.do_contribute,
        "Play games for a collection server with this machine, until Ctrl-C.",
        "ddpzero contribute https://games.example.org token_file=alice.token",
    )
    contribute.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        type=argument_types.name,
        help="the address of the server (default: server in the settings' file)",
    )
    contribute.add_argument(
        "--config",
        metavar="FILE",
        type=argument_types.path,
        help="a YAML file of settings (default: contribute.yaml, if it is here)",
    )
    contribute.add_argument(
        "--check",
        action="store_true",
        help="test connection, token, rules, device, model and one game, and exit",
    )
    _add_settings(contribute, "settings, for example num_actors=4 games_per_upload=50")


def _add_settings(parser: argparse.ArgumentParser, text: str) -> None:
    parser.set_defaults(reads=READS_OWN)
    # Only for the help: parse_arguments takes the settings out of the words.
    parser.add_argument("overrides", metavar="key=value", nargs="*", default=[], help=text)
