"""Games as text that people can write, for every game: the moves on one line, and before it facts in comments.

    # game: connect_four rows=6 columns=7
    # first: you
    # second: runs/quick
    # result: first player won
    # comment 3: the winning move
    d d c e

A line may begin with a number and a winner, each followed by a tab, as `ddpzero games --export` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_type_hints

import numpy as np

from ddpzero.games import Game, describe_game, known_games, load_game, variation
from ddpzero.records.record import GameRecord, result_at_end, said_of_result, tidy_result
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import printable

_FACT = re.compile(r"#\s*(game|first|second|result|date|comment \d{1,6})\s*:(.*)")
_NO_MOVES = "-"
# "1. d d 2. c", "1.d", "1... d"
_NUMBER = re.compile(r"^\d{1,5}\.+\s*")
_WINNERS = {"first": "B+", "second": "W+", "draw": "0"}
_NUMBERS = {"True": True, "False": False}
_MAX_FACT = 20_000
_SHOWN = 20


def record_of_moves(text: str, game: Game | None = None, number: int = 1) -> GameRecord:
    """Return a game of a text. game: needed unless the text names one. number: of the game, of several in the text.

    Raises UserError, whose message begins with the place: "line 3: ...".
    """
    facts: dict[str, str] = {}
    num_games = 0
    for index, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if fact := _FACT.fullmatch(line):
            facts[fact[1]] = printable(fact[2].strip())[:_MAX_FACT]
        if not line or line.startswith("#"):
            continue
        num_games += 1
        if num_games == number:
            return _record(index, line, facts, game)
        facts = {name: fact for name, fact in facts.items() if name == "game"}
    has = f"has no game {number}, only {num_games}" if num_games else "has no line of moves"
    why = "" if text.strip() else ": it is empty"
    raise UserError(f"line {max(1, len(text.splitlines()))}: the file {has}{why}.")


def moves_of_record(record: GameRecord) -> str:
    """Return a game as text, which record_of_moves reads."""
    facts = {
        "game": _name_of(record.game),
        "first": record.names[0],
        "second": record.names[1],
        "result": said_of_result(record.result),
        "date": record.date,
        **{f"comment {number}": comment for number, comment in sorted(record.comments.items())},
    }
    lines = [f"# {name}: {' '.join(fact.split())}" for name, fact in facts.items() if fact]
    return "".join(f"{line}\n" for line in [*lines, line_of_moves(record)])


def line_of_moves(record: GameRecord) -> str:
    game = record.game
    return _separator(game).join(map(game.action_name, record.actions)) or _NO_MOVES


def _record(index: int, line: str, facts: Mapping[str, str], game: Game | None) -> GameRecord:
    try:
        game = _game_of(facts["game"].split(), game) if "game" in facts else game
        if game is None:
            raise ValueError(
                "the moves are of a game that the file does not name: write a line such as # game: connect_four, or "
                "name the game."
            )
        winner, moves = _parts(line)
        actions, position = _played(game, moves)
        told = tidy_result(facts.get("result", "")) or _WINNERS.get(winner, "")
        return GameRecord(
            game=game,
            actions=actions,
            names=(facts.get("first", ""), facts.get("second", "")),
            result=told or result_at_end(game, position),
            comments={
                int(name.split()[1]): fact
                for name, fact in facts.items()
                if name.startswith("comment") and fact
            },
            date=facts.get("date", ""),
        )
    except ValueError as error:
        raise UserError(f"line {index}: {error}") from None


def _parts(line: str) -> tuple[str, str]:
    """Return the winner that a line names, and its moves."""
    *before, moves = line.split("\t")
    is_exported = len(before) == 2 and before[1].strip() in _WINNERS
    return (before[1].strip(), moves) if is_exported else ("", " ".join((*before, moves)))


def _played(game: Game, text: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the moves that a text names, and the position after them. Raises ValueError for one that is not legal."""
    position, actions = game.initial_position(), []
    for number, word in enumerate(_words(game, text), start=1):
        where = f"move {number}, {printable(word.strip()[:_SHOWN])},"
        if game.is_terminal(position):
            raise ValueError(f"{where} comes after the end of the game.")
        try:
            action = int(game.parse_action(word.strip()))
        except UserError:
            raise
        except ValueError as error:
            raise ValueError(f"{where} is no move of {game.name}: {error}") from None
        if not game.legal_actions(position)[action]:
            raise ValueError(f"{where} is not legal in {describe_game(game)}.")
        position = game.apply_action(position, action)
        actions.append(action)
    return tuple(actions), position


def _words(game: Game, text: str) -> list[str]:
    """Return the names of moves in a text, without numbers such as "1." before them."""
    if text.strip() == _NO_MOVES:
        return []
    words = [word.strip() for word in text.split(_separator(game).strip() or None)]
    bare = [_NUMBER.sub("", word) for word in words]
    return [name for name, word in zip(bare, words, strict=True) if name or not word]


def _separator(game: Game) -> str:
    """Return what stands between the names of moves: blanks, unless a name has blanks itself."""
    names = map(game.action_name, range(game.num_actions))
    return ", " if any(" " in name for name in names) else " "


def _name_of(game: Game) -> str:
    values = asdict(game.parameters)
    return " ".join([game.name, *(f"{name}={value}" for name, value in values.items())])


def _game_of(words: list[str], given: Game | None) -> Game:
    """Return the game that the words name: a variation of `given`, or a game of ddpzero."""
    name, texts = words[0] if words else "", dict(word.partition("=")[::2] for word in words[1:])
    if given is not None and given.name != name:
        raise ValueError(f"the game is {name[:_SHOWN]}, and not {given.name}.")
    if given is None and name not in known_games():
        raise ValueError(f"{name[:_SHOWN]!r} is no game of ddpzero: name the game of the file.")
    game = given or load_game(name)
    types = get_type_hints(game.module.Parameters)
    values = {key: _value(key, text, types.get(key)) for key, text in texts.items()}
    return variation(game, **values)


def _value(key: str, text: str, kind: Any) -> Any:
    try:
        return _NUMBERS[text] if kind is bool else (kind or str)(text[:_SHOWN])
    except (KeyError, ValueError):
        raise ValueError(f"{key}={text[:_SHOWN]} is no value of this parameter.") from None
