"""The dialogue with a manager: commands in, answers out. Knows no streams and starts no threads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

import numpy as np

from ddpzero.games.core.players import Thoughts
from ddpzero.play.clock import Clock, Lag
from ddpzero.play.engine import Engine
from ddpzero.play.protocols.gomocup.about import about
from ddpzero.play.protocols.gomocup.agent import FiveInARow, simulations_within
from ddpzero.play.protocols.gomocup.errors import CommandError
from ddpzero.play.protocols.gomocup.info import Info
from ddpzero.play.protocols.gomocup.stones import moves_to
from ddpzero.play.strength import Strength, choose_move, ponder
from ddpzero.system.machine import private_bytes

_NUMBERS = re.compile(r"\s*(\d{1,4})\s*,\s*(\d{1,4})\s*(?:,\s*(\d)\s*)?", re.ASCII)
_OWN, _OPPONENT = 1, 2
# Of the lines after BOARD: other ones are stones. A manager that begins a game has given up the board.
_ENDS_OF_BOARD = ("DONE", "END", "START", "RECTSTART", "RESTART")
# A manager may end the game for one millisecond, and on a busy machine a move has ended 39 ms later than planned.
_LAG_SECONDS = 0.04
_LONGEST_LINE = 6


class Brain:
    """Plays five in a row for a manager."""

    def __init__(
        self,
        agent: FiveInARow,
        strength: Strength,
        say: Callable[[str], None],
        is_stopped: Callable[[], bool],
        rng: np.random.Generator,
    ) -> None:
        """say: sends one line. is_stopped: whether thinking should end, because the manager has."""
        self._agent = agent
        self._strength = strength
        self._say = say
        self._is_stopped = is_stopped
        self._rng = rng
        self._info = Info()
        self._lag = Lag(_LAG_SECONDS)
        # For both rules on the board of this game; none before START.
        self._engines: dict[bool, Engine] = {}
        # Those that are loaded, also before START, for a board of this size; and memory when they were.
        self._loaded: dict[bool, Engine] = {}
        self._loaded_size = 0
        self._idle_bytes = 0
        # The lines after BOARD, and when it arrived.
        self._board: list[str] | None = None
        self._board_arrived = 0.0

    def obey(self, line: str, arrived: float) -> bool:
        """Carry out one line; return False after END. arrived: when it came, on time.monotonic."""
        line = line.strip()
        word, _, rest = line.partition(" ")
        if self._board is not None and word.upper() not in _ENDS_OF_BOARD:
            self._board.append(line)
            return True
        try:
            return self._command(word.upper(), rest.strip(), arrived)
        except CommandError as error:
            # Whatever DONE has led to, the lines after it are commands.
            self._board = None
            self._say(f"ERROR {error}")
        return True

    def prepare(self) -> None:
        """Load what a game on the agent's own board needs, so that its START finds it."""
        # START of such a board hears why it is not possible.
        with suppress(CommandError):
            self._load(self._agent.size)

    def ponder(self, is_stopped: Callable[[], bool]) -> None:
        """Think about the opponent's move until is_stopped, if the strength asks for it."""
        if self._strength.ponders and self._engines and self._engine.episode.actions:
            # The next command hears that there is too little memory.
            with suppress(CommandError):
                ponder(self._engine, is_stopped, self._most_simulations())

    def _command(self, word: str, rest: str, arrived: float) -> bool:
        if word == "END":
            return False
        if word == "INFO":
            self._inform(rest)
        elif word == "ABOUT":
            self._say(about(self._agent.name))
        elif word == "BOARD":
            self._board, self._board_arrived = [], arrived
        elif word in self._commands:
            if word != "DONE":
                self._board = None
            self._require_possible()
            self._commands[word](self, rest, arrived)
        elif word:
            self._say(f"UNKNOWN {word[:80]}")
        return True

    def _start(self, rest: str, arrived: float) -> None:
        if not (rest.isascii() and rest.isdecimal() and len(rest) <= 4):
            raise CommandError(
                f"START {rest[:80]}: the size of the board is missing, as in START 20"
            )
        self._begin(int(rest))

    def _start_rectangle(self, rest: str, arrived: float) -> None:
        width, height, _ = _numbers(rest, "RECTSTART")
        if width != height:
            raise CommandError(f"a board of {width} x {height} is not supported: square ones are")
        self._begin(width)

    def _begin(self, size: int) -> None:
        self._load(size)
        self._engines = self._loaded
        self._new_game()
        self._require_possible()
        self._say("OK")

    def _load(self, size: int) -> None:
        if size != self._loaded_size:
            self._loaded, self._loaded_size = self._agent.engines(size, self._strength), size
            self._idle_bytes = private_bytes()

    def _restart(self, rest: str, arrived: float) -> None:
        self._require_started()
        self._new_game()
        self._say("OK")

    def _new_game(self) -> None:
        self._info.begin_match()
        self._lag = Lag(_LAG_SECONDS)
        for engine in self._engines.values():
            engine.set_up()

    def _first_move(self, rest: str, arrived: float) -> None:
        self._require_started()
        if self._engine.episode.actions:
            raise CommandError("BEGIN: the board is not empty; use RESTART before it")
        self._move(arrived)

    def _turn(self, rest: str, arrived: float) -> None:
        self._require_started()
        self._play(self._cell(rest, "TURN"))
        self._move(arrived)

    def _done(self, rest: str, arrived: float) -> None:
        if self._board is None:
            raise CommandError("DONE: there was no BOARD before it")
        lines, self._board = self._board, None
        self._require_started()
        own: list[int] = []
        others: list[int] = []
        for line in lines:
            _, _, owner = _numbers(line, "BOARD")
            if owner not in (_OWN, _OPPONENT):
                raise CommandError(
                    f"BOARD: {line[:80]}: a stone is X,Y,1 (own) or X,Y,2 (the opponent's)"
                )
            (own if owner == _OWN else others).append(self._cell(line, "BOARD"))
        self._set_up(own, others)
        self._move(self._board_arrived)

    def _set_up(self, own: Sequence[int], others: Sequence[int]) -> None:
        """Put these stones on the board, and keep what is known of the game if they continue it by one move."""
        actions = self._engine.episode.actions
        before = set(actions[-1::-2]), set(actions[-2::-2])
        new = set(others) - before[1]
        continues = set(own) == before[0] and before[1] < set(others) and len(new) == 1
        if continues and len(own) + len(others) == len(actions) + 1:
            self._play(new.pop())
            return
        moves = moves_to(own, others, self._size, self._info.is_exactly_five)
        try:
            self._engine.set_up(moves)
        except ValueError:
            raise CommandError("these stones are on no board of a game that goes on") from None

    def _take_back(self, rest: str, arrived: float) -> None:
        self._require_started()
        cell = self._cell(rest, "TAKEBACK")
        if self._engine.episode.last_action != cell:
            raise CommandError(f"TAKEBACK {rest[:80]}: this is not the last move")
        self._engine.undo()
        self._say("OK")

    def _play_given(self, rest: str, arrived: float) -> None:
        self._require_started()
        cell = self._cell(rest, "PLAY")
        self._play(cell)
        self._say(self._text(cell))

    def _move(self, arrived: float) -> None:
        """Choose a move, play it and say it."""
        engine, info = self._engine, self._info
        if engine.episode.is_over:
            raise CommandError("the game is over: use START or RESTART for another one")
        control, seconds_left = info.time_control(self._strength.time)
        clock = Clock(control, self._lag)
        if seconds_left is not None:
            clock.set_left(seconds_left)
        clock.start(arrived)
        strength = replace(self._strength, time=control, most_simulations=self._most_simulations())
        choice = choose_move(engine, strength, clock, self._rng, self._is_stopped)
        assert choice.action is not None, "the protocol knows no resigning"
        if self._is_stopped():
            return
        self._say(f"MESSAGE {self._summary(choice.thoughts, choice.action)}")
        self._say(self._text(choice.action))
        clock.stop()
        info.use(time.monotonic() - arrived)
        engine.play(choice.action)

    def _summary(self, thoughts: Thoughts, action: int) -> str:
        move = next(move for move in thoughts.moves if move.action == action)
        line = " ".join(map(self._text, move.line[:_LONGEST_LINE]))
        proven = ", proven" if thoughts.is_proven else ""
        return f"value {thoughts.value:+.2f}{proven}, {thoughts.visits} simulations, {line}"

    def _most_simulations(self) -> int | None:
        memory_bytes = self._info.memory_bytes
        if memory_bytes is None:
            return None
        return simulations_within(self._engine, memory_bytes, self._idle_bytes)

    def _play(self, cell: int) -> None:
        episode = self._engine.episode
        if episode.is_over:
            raise CommandError("the game is over: use START or RESTART for another one")
        if cell not in episode.legal_actions():
            raise CommandError(f"{self._text(cell)}: there is a stone already")
        self._engine.play(cell)

    def _inform(self, rest: str) -> None:
        before = self._info.is_exactly_five
        self._info.take(rest)
        if self._engines and self._info.is_exactly_five != before:
            with suppress(ValueError):
                self._engine.set_up(self._engines[before].episode.actions)

    def _require_possible(self) -> None:
        """Raise CommandError if the manager wants, by INFO, what cannot be done."""
        if self._info.problem is not None:
            raise CommandError(self._info.problem)
        if self._engines:
            self._most_simulations()

    def _require_started(self) -> None:
        if not self._engines:
            raise CommandError("there is no board: use START before it, as in START 20")

    @property
    def _engine(self) -> Engine:
        return self._engines[self._info.is_exactly_five]

    @property
    def _size(self) -> int:
        return int(self._engine.game.parameters.size)

    def _cell(self, text: str, command: str) -> int:
        """Return the cell of "X,Y". X is the column."""
        column, row, _ = _numbers(text, command)
        if max(column, row) >= self._size:
            raise CommandError(
                f"{command}: {column},{row} is outside the board of {self._size} x {self._size}"
            )
        return row * self._size + column

    def _text(self, cell: int) -> str:
        row, column = divmod(cell, self._size)
        return f"{column},{row}"

    _commands: ClassVar[dict[str, Callable[[Brain, str, float], None]]] = {
        "START": _start,
        "RECTSTART": _start_rectangle,
        "RESTART": _restart,
        "BEGIN": _first_move,
        "TURN": _turn,
        "DONE": _done,
        "TAKEBACK": _take_back,
        "PLAY": _play_given,
    }


def _numbers(text: str, command: str) -> tuple[int, int, int | None]:
    """Return the numbers of "X,Y" or "X,Y,Z"; None for a missing third one."""
    found = _NUMBERS.fullmatch(text)
    if found is None:
        raise CommandError(f"{command}: {text[:80]!r} is not a pair of numbers such as 10,7")
    return int(found[1]), int(found[2]), None if found[3] is None else int(found[3])
