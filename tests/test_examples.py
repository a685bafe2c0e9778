"""Examples of README.md and of --help are commands that this program takes, on files that are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddpzero.cli_arguments import make_parser, parse_arguments
from ddpzero.config import compose_game, compose_settings
from ddpzero.judges.packaged import find_positions, find_recorded_games

REPO = Path(__file__).parents[1]
# Of the user's own: what README has just told to write.
_OWN = ("my_conf", "my_game")


def lines_of_readme() -> Iterator[str]:
    text = (REPO / "README.md").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("    "):
            yield line.partition("  #")[0].strip()


def lines_of_help() -> Iterator[str]:
    parsers = [make_parser()]
    while parsers:
        parser = parsers.pop()
        for text in (parser.description or "", parser.epilog or ""):
            yield from re.findall(r"(?:^    |example: )(ddpzero .*)$", text, re.MULTILINE)
        for action in parser._actions:
            if isinstance(action.choices, dict):
                parsers += action.choices.values()


def commands(program: str) -> list[str]:
    lines = {*lines_of_readme(), *lines_of_help()}
    return sorted(line for line in lines if line.startswith(f"{program} "))


@pytest.mark.parametrize("line", commands("ddpzero"))
def test_an_example_is_a_command_line(line):
    words = shlex.split(line)[1:]
    if words[0] == "train":
        compose_settings(words[1:])
        return
    options = parse_arguments(words)
    if any(own in line for own in _OWN):
        return
    settings: tuple[str, ...] = ()
    if options.command in ("verify rules", "verify snakes"):
        file, settings = find_recorded_games(
            options.file, of_snakes=options.command == "verify snakes"
        )
        assert file.is_file()
    if options.reads:
        given = [word for word in options.overrides if not word.startswith("evaluator=")]
        compose_game([*([f"game={options.game}"] if options.game else settings), *given])
    if options.command == "judge":
        assert find_positions(options.file).is_file()


@pytest.mark.parametrize("line", commands("python -m ddpzero.main"))
def test_an_example_of_training_composes(line):
    # Sweeps are composed by their launchers, and tested with them.
    if "--multirun" in line or any(own in line for own in _OWN):
        return
    words = shlex.split(line)[3:]
    compose_settings([word for word in words if "=" in word and not word.startswith("--")])


def test_there_are_examples():
    assert len(commands("ddpzero")) > 15
    assert len(commands("python -m ddpzero.main")) > 4
