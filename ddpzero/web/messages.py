"""The messages between the server and a page: JSON objects over one WebSocket, of which each browser has its own.

From the page, with the fields that each needs (`parse_message` checks them):

| type | fields | asks for |
|---|---|---|
| begin | game, moves, at | a game with these moves, of which the first `at` are on the board |
| play | action, position | a move; `position`: the id of the position that the person saw |
| jump | to | the position after so many moves |
| undo | | the last position in which a person was to move |
| set | any fields of the class Set | changes what is given |
| hint | | the best move |
| resign | | the end of the game for the person to move |
| review | simulations | a review of all moves with the agent, of so many simulations each |
| guess | ply, action | what the agent makes of an action in place of a move, once the review is complete |
| open | text | the game of an SGF file, or of a list of moves |
| save | | the game as such a file |
| stored | | a list of the games that the agent's run played against itself |
| open_stored | key | one of them |
| team | team, agent; checkpoint or not | another agent for a team of a team game, which begins anew |
| pace | any of: steps_per_second, paused | how fast a team game is shown |
| step | | one step of a team game, which is then paused |

From the server:

| type | what it says |
|---|---|
| welcome | games: key, title, description and is_for_teams of each |
| preparing | text: what the game waits for; "" when it no longer does |
| game | what never changes in a game: key, title, geometry (games/core/geometry.py), names of all actions, agents |
| state | the moves and the board: see descriptions.py; seats, and last_seats: those when the last move was made; |
| | self_play: null, or of a game of the run's store opening (moves that the agent did not choose), winner, is_proven |
| thoughts | what the search has found of a position so far, with the names of KataGo's analysis: see descriptions.py |
| exact | position, and what perfect play makes of it, where a table knows: see descriptions.py |
| hint | position, action, move: the best move |
| review | ply, position, move: of one position and the move before it, see sweep.py; moves: their number |
| guessed | ply, action, win_rate: after that action, of its player; verdict: worse, as good, better |
| opened | a game of a file or of the store has begun |
| file | name, text: the game, to be saved |
| stored | games: key, model, winner, length and is_proven (which ended it early) of each, the newest first |
| team_game | a team game, instead of `game`: key, title, agents_per_team, max_steps, colors of the teams, agents |
| team_state | its step: see team_watch.py; a page that reads slowly hears only of the newest one |
| error | text: one sentence |

Positions have ids: a message about another position than the one on the screen came too late.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ddpzero.arena.levels import FULL_LEVEL
from ddpzero.system.errors import UserError, require

# A message of a page: a file of a game with long comments.
MAX_MESSAGE_CHARACTERS = 256 << 10
MAX_MOVES = 10_000
MIN_SECONDS, MAX_SECONDS = 0.001, 600.0
MAX_REVIEW_SIMULATIONS = 10_000
MIN_STEPS_PER_SECOND, MAX_STEPS_PER_SECOND = 0.01, 60.0

Seat = str
PERSON, AGENT = "person", "agent"


@dataclass(frozen=True)
class Begin:
    game: str
    moves: tuple[int, ...]
    at: int


@dataclass(frozen=True)
class Play:
    action: int
    position: int


@dataclass(frozen=True)
class Jump:
    to: int


@dataclass(frozen=True)
class Undo:
    pass


@dataclass(frozen=True)
class Set:
    """Of a field that is None nothing changes. simulations, seconds or level: the others are then without effect."""

    seats: tuple[Seat, Seat] | None = None
    agent: str | None = None
    checkpoint: str | None = None
    simulations: int | None = None
    seconds: float | None = None
    level: int | None = None
    resigns: bool | None = None
    analyzes: bool | None = None
    paused: bool | None = None


@dataclass(frozen=True)
class Hint:
    pass


@dataclass(frozen=True)
class Resign:
    pass


@dataclass(frozen=True)
class AskReview:
    simulations: int


@dataclass(frozen=True)
class Guess:
    ply: int
    action: int


@dataclass(frozen=True)
class Open:
    text: str


@dataclass(frozen=True)
class Save:
    pass


@dataclass(frozen=True)
class AskStored:
    pass


@dataclass(frozen=True)
class OpenStored:
    key: str


@dataclass(frozen=True)
class SeatTeam:
    """checkpoint: None for the agent's usual one."""

    team: int
    agent: str
    checkpoint: str | None = None


@dataclass(frozen=True)
class Pace:
    """Of a field that is None nothing changes."""

    steps_per_second: float | None = None
    paused: bool | None = None


@dataclass(frozen=True)
class Step:
    pass


Message = (
    Begin
    | Play
    | Jump
    | Undo
    | Set
    | Hint
    | Resign
    | AskReview
    | Guess
    | Open
    | Save
    | AskStored
    | OpenStored
    | SeatTeam
    | Pace
    | Step
)


def parse_message(text: str) -> Message:
    """Read a message of a page. Raises UserError, in one sentence, for anything else."""
    require(
        len(text) <= MAX_MESSAGE_CHARACTERS,
        f"a message of {len(text):,} characters: at most {MAX_MESSAGE_CHARACTERS:,} are read.",
    )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError("a message must be one JSON object.") from None
    require(isinstance(message, dict), "a message must be one JSON object.")
    kind = message.pop("type", None)
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise UserError(f"a message has a type: one of {', '.join(_READERS)}.")
    fields = _Fields(kind, message)
    read = reader(fields)
    fields.require_no_others()
    return read


class _Fields:
    """The fields of one message, taken one by one."""

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        self._kind = kind
        self._left = dict(fields)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def whole_number(self, name: str, most: int) -> int:
        value = self._left.pop(name, None)
        is_fine = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
        require(is_fine, f"{self._kind}.{name} must be a whole number from 0 to {most}.")
        return int(value)

    def whole_numbers(self, name: str, most: int, max_length: int) -> tuple[int, ...]:
        values = self._left.pop(name, None)
        is_fine = (
            isinstance(values, list)
            and len(values) <= max_length
            and all(type(value) is int and 0 <= value <= most for value in values)
        )
        require(
            is_fine,
            f"{self._kind}.{name} must be at most {max_length} whole numbers from 0 to {most}.",
        )
        return tuple(values)

    def number(self, name: str, least: float, most: float) -> float:
        value = self._left.pop(name, None)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # No number is within bounds if it is infinite, or none (NaN).
        require(
            is_number and least <= value <= most,
            f"{self._kind}.{name} must be a number from {least:g} to {most:g}.",
        )
        return float(value)

    def text(self, name: str, most: int = 1000) -> str:
        value = self._left.pop(name, None)
        require(
            isinstance(value, str) and len(value) <= most,
            f"{self._kind}.{name} must be a text of at most {most} characters.",
        )
        return str(value)

    def truth(self, name: str) -> bool:
        value = self._left.pop(name, None)
        require(isinstance(value, bool), f"{self._kind}.{name} must be true or false.")
        return bool(value)

    def seats(self, name: str) -> tuple[Seat, Seat]:
        value = self._left.pop(name, None)
        is_fine = isinstance(value, list) and len(value) == 2
        require(
            is_fine and all(seat in (PERSON, AGENT) for seat in value),
            f'{self._kind}.{name} must name two players, each "{PERSON}" or "{AGENT}".',
        )
        return value[0], value[1]

    def require_no_others(self) -> None:
        for name in self._left:
            raise UserError(f"{self._kind}.{name[:80]} is unknown.")


_MOST = (1 << 31) - 1


def _begin(fields: _Fields) -> Begin:
    moves = fields.whole_numbers("moves", _MOST, MAX_MOVES)
    at = fields.whole_number("at", _MOST)
    require(at <= len(moves), f"begin.at={at} is beyond the {len(moves)} moves.")
    return Begin(fields.text("game"), moves, at)


def _play(fields: _Fields) -> Play:
    return Play(fields.whole_number("action", _MOST), fields.whole_number("position", _MOST))


def _jump(fields: _Fields) -> Jump:
    return Jump(fields.whole_number("to", MAX_MOVES))


def _set(fields: _Fields) -> Set:
    return Set(
        seats=fields.seats("seats") if "seats" in fields else None,
        agent=fields.text("agent") if "agent" in fields else None,
        checkpoint=fields.text("checkpoint") if "checkpoint" in fields else None,
        simulations=fields.whole_number("simulations", 10**6) if "simulations" in fields else None,
        seconds=fields.number("seconds", MIN_SECONDS, MAX_SECONDS) if "seconds" in fields else None,
        level=fields.whole_number("level", FULL_LEVEL) if "level" in fields else None,
        resigns=fields.truth("resigns") if "resigns" in fields else None,
        analyzes=fields.truth("analyzes") if "analyzes" in fields else None,
        paused=fields.truth("paused") if "paused" in fields else None,
    )


_READERS: dict[str, Callable[[_Fields], Message]] = {
    "begin": _begin,
    "play": _play,
    "jump": _jump,
    "undo": lambda _: Undo(),
    "set": _set,
    "hint": lambda _: Hint(),
    "resign": lambda _: Resign(),
    "review": lambda fields: AskReview(fields.whole_number("simulations", MAX_REVIEW_SIMULATIONS)),
    "guess": lambda fields: Guess(
        fields.whole_number("ply", MAX_MOVES), fields.whole_number("action", _MOST)
    ),
    "open": lambda fields: Open(fields.text("text", MAX_MESSAGE_CHARACTERS)),
    "save": lambda _: Save(),
    "stored": lambda _: AskStored(),
    "open_stored": lambda fields: OpenStored(fields.text("key")),
    "team": lambda fields: SeatTeam(
        fields.whole_number("team", 1),
        fields.text("agent"),
        fields.text("checkpoint") if "checkpoint" in fields else None,
    ),
    "pace": lambda fields: Pace(
        steps_per_second=fields.number(
            "steps_per_second", MIN_STEPS_PER_SECOND, MAX_STEPS_PER_SECOND
        )
        if "steps_per_second" in fields
        else None,
        paused=fields.truth("paused") if "paused" in fields else None,
    ),
    "step": lambda _: Step(),
}
