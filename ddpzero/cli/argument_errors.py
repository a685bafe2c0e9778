"""Errors of the command line of `ddpzero` as sentences. Used by arguments.py; imports only argparse."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from ddpzero.cli.overrides import OVERRIDE, READS_OWN, may_be_path


class ArgumentsError(Exception):
    """argparse's error, with the parser of the command that it is about."""

    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        super().__init__(message)
        self.parser = parser


class Parser(argparse.ArgumentParser):
    """Raises an error instead of printing the usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise ArgumentsError(self, message)


def refuse(parser: argparse.ArgumentParser, problem: str) -> NoReturn:
    """Exit with code 2 and one sentence without the usage, like all other errors of the user."""
    command = parser.prog.partition(" ")[2]
    sentence = ": ".join(filter(None, (command, problem)))
    parser.exit(2, f"ddpzero: {sentence}; see {parser.prog} --help\n")


def problem_of(error: ArgumentsError, words: Sequence[str]) -> str:
    """Return the problem with these words in plain words.

    argparse reports a missing argument even where an unknown option or a path that looks like a setting is the cause.
    """
    message = str(error)
    if not re.search(r"required: |expected one argument", message):
        return _with_wrong_command(message, error.parser)
    unknown = next((word for word in words if _is_unknown_option(word, error.parser)), None)
    if unknown is not None:
        return f"there is no option {unknown[:80]}"
    message = _with_missing_command(message, error.parser)
    return "; ".join(filter(None, (message, _hint_about_settings(message, words))))


def _is_unknown_option(word: str, parser: argparse.ArgumentParser) -> bool:
    """Return whether argparse takes the word for an option, and the parser has none that begins so."""
    name = word.partition("=")[0]
    is_option = re.match(r"-(?!\d|$)", word) is not None and " " not in word and word != "--"
    return is_option and not any(known.startswith(name) for known in parser._option_string_actions)


def _hint_about_settings(message: str, words: Sequence[str]) -> str:
    """Return a hint about a setting that may be meant as the missing argument; "" if there is none."""
    option = re.match(r"argument (--[\w-]+)", message)
    for before, word in itertools.pairwise(["", *words]):
        if not OVERRIDE.match(word):
            continue
        if option is not None and before == option[1]:
            return f"{word[:80]} is a setting; if it is the argument, write {before}={word[:80]}"
        if option is None and may_be_path(word):
            return f"{word[:80]} is a setting; if it is a path, write ./{word[:80]}"
    return ""


def _with_wrong_command(message: str, parser: argparse.ArgumentParser) -> str:
    """Return argparse's message, rewritten to list the commands if a command is wrong."""
    for metavar, allowed in _commands_of(parser):
        if wrong := re.match(rf"argument {metavar}: invalid choice: (.*) \(choose", message):
            return f"{wrong[1]} is not a command; the commands are {allowed}"
    return message


def _with_missing_command(message: str, parser: argparse.ArgumentParser) -> str:
    """Return argparse's message, rewritten to list the commands if a command is missing."""
    for metavar, allowed in _commands_of(parser):
        if message.endswith(f"required: {metavar}"):
            return f"{metavar} is missing; the commands are {allowed}"
    return message


def _commands_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield the metavar of the parser's commands and the commands as a list, if it has any."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield str(action.metavar), ", ".join(action.choices)


def problem_of_surplus(options: argparse.Namespace, surplus: Sequence[str]) -> str:
    """Return a sentence about words that no argument of the command accepts."""
    option = next((word for word in surplus if word.startswith("-")), None)
    if option is not None:
        return f"there is no option {option[:80]}"
    without_key = next((word for word in surplus if word.lstrip("+~").startswith("=")), None)
    if without_key is not None:
        return f"{without_key[:80]} has no key before the =; write key=value"
    words = " ".join(
        word[:80] if word and word.isprintable() else repr(word[:80]) for word in surplus
    )
    hint = ""
    if options.command == "play":
        hint = "; with --mode ai, name the second player by --opponent PLAYER"
    elif options.reads == READS_OWN:
        hint = "; write settings as key=value"
    elif options.reads:
        hint = "; name a game by --game NAME, and write settings as key=value"
    return f"unexpected words: {words}{hint}"
