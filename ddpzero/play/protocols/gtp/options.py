"""The options of lz-analyze, kata-analyze and the commands that analyze while they choose a move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ddpzero.play.protocols.gtp.lines import Refused, syntax_error
from ddpzero.play.protocols.gtp.names import parse_color

_USUAL_INTERVAL_SECONDS = 1.0
_MOST_CENTISECONDS = 10**6
# Fields of AnalysisOptions that are switched on by true, by their names in kata-analyze.
_SWITCHES = {
    "ownership": "has_ownership",
    "rootInfo": "has_root",
    "pvVisits": "has_pv_visits",
    "pvEdgeVisits": "has_pv_edge_visits",
    "noResultValue": "has_no_result",
}
# What a search here does not find out.
_UNKNOWN_HERE = ("ownershipStdev", "movesOwnership", "movesOwnershipStdev")


@dataclass(frozen=True)
class Restriction:
    """Moves that a player may not make, or only may make, within so many moves from the position on.

    actions: the moves. is_allowed: whether they are the only ones.
    """

    player: int
    actions: frozenset[int]
    depth: int
    is_allowed: bool


@dataclass(frozen=True)
class AnalysisOptions:
    """player: whose move it is, None for the one to move. max_moves: None for all."""

    player: int | None = None
    interval_seconds: float = _USUAL_INTERVAL_SECONDS
    min_moves: int = 0
    max_moves: int | None = None
    has_ownership: bool = False
    has_root: bool = False
    has_pv_visits: bool = False
    has_pv_edge_visits: bool = False
    has_no_result: bool = False
    restrictions: tuple[Restriction, ...] = ()


def analysis_options(
    arguments: Sequence[str], parse_move: Callable[[str], int], is_kata: bool
) -> AnalysisOptions:
    """Return the options of a command. parse_move: of names of moves, raises Refused. Raises Refused."""
    options = AnalysisOptions()
    words = list(arguments)
    if words and words[0].lower() in ("b", "w", "black", "white"):
        options = replace(options, player=parse_color(words.pop(0)))
    if words and words[0][:1].isdecimal():
        options = replace(options, interval_seconds=_interval(words.pop(0)))
    rest = iter(words)
    for key in rest:
        options = _with_option(options, key, rest, parse_move, is_kata)
    return options


def _with_option(
    options: AnalysisOptions,
    key: str,
    rest: Iterator[str],
    parse_move: Callable[[str], int],
    is_kata: bool,
) -> AnalysisOptions:
    if key in ("avoid", "allow"):
        added = _restriction(
            key, _value(key, rest), _value(key, rest), _value(key, rest), parse_move
        )
        return replace(options, restrictions=(*options.restrictions, added))
    if key == "interval":
        return replace(options, interval_seconds=_interval(_value(key, rest)))
    if key == "minmoves":
        return replace(options, min_moves=_whole(key, _value(key, rest)))
    if key == "maxmoves":
        return replace(options, max_moves=_whole(key, _value(key, rest)))
    if is_kata and key in (*_SWITCHES, *_UNKNOWN_HERE):
        value = _value(key, rest).lower()
        if value not in ("true", "false"):
            raise syntax_error(f"{key} takes true or false")
        if key in _SWITCHES:
            switches: dict[str, Any] = {_SWITCHES[key]: value == "true"}
            return replace(options, **switches)
        if value == "true":
            raise Refused(f"{key} is not known here")
        return options
    raise syntax_error(f"{key[:80]} is no option of this command, or no color or interval")


def _restriction(
    key: str, color: str, moves: str, depth: str, parse_move: Callable[[str], int]
) -> Restriction:
    actions = frozenset(parse_move(name) for name in moves.split(",") if name)
    number = _whole(key, depth)
    if number == 0 or not actions:
        raise syntax_error(
            f"{key} takes a color, moves with commas between them, and a depth from 1 on"
        )
    return Restriction(parse_color(color), actions, number, is_allowed=key == "allow")


def _value(key: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise syntax_error(f"a value of {key} is missing")
    return value


def _whole(key: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise syntax_error(f"{key} takes a whole number")
    return int(text)


def _interval(text: str) -> float:
    """Return seconds. KataGo takes fractions of a centisecond, too."""
    try:
        centiseconds = float(text)
    except ValueError:
        centiseconds = -1.0
    if not 0 <= centiseconds <= _MOST_CENTISECONDS:
        raise syntax_error(f"{text[:80]} is no interval in hundredths of a second")
    return centiseconds / 100
