"""The conversation of a game: asks a person for moves, lets players move, tells what they think, announces the end."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ddpzero.algorithms.base import Player
from ddpzero.arena.players import Analysis
from ddpzero.games import Game
from ddpzero.play.person import Leave, Person
from ddpzero.play.record import Record
from ddpzero.play.views import PLAYER_STYLES, analysis_view, board_view, side_by_side

# Players without chance would repeat one game for ever: so many plies at the start of a game are drawn from the actions
# that the player likes at least half as much as its best.
_NUM_VARIED_PLIES = 4


@dataclass(frozen=True)
class Seat:
    """Who plays as player 0 or 1. player: None for the person at the keyboard."""

    name: str
    player: Player | None


class Session:
    """Plays one game after another between the same two parties."""

    def __init__(
        self,
        game: Game,
        person: Person,
        rng: np.random.Generator,
        delay_seconds: float = 0.0,
    ):
        self._game = game
        self._person = person
        self._console = person.console
        self._rng = rng
        self._delay_seconds = delay_seconds

    def play_game(self, seats: tuple[Seat, Seat]) -> Record:
        """Play to the end, or until the person leaves (raises Leave). Returns the finished game."""
        record = Record(self._game)
        self._show(record, seats, None)
        while not record.is_over:
            mover = record.current_player
            player = seats[mover].player
            if player is None:
                adviser = seats[1 - mover].player
                assert adviser is not None, "two persons have no use for this program"
                self._take_persons_turn(record, seats, adviser)
            else:
                self._take_players_turn(record, seats, player)
        self._announce(record, seats)
        return record

    def _take_persons_turn(self, record: Record, seats: tuple[Seat, Seat], adviser: Player) -> None:
        """Ask for one command and carry it out."""
        mover = record.current_player
        line = self._person.read_line(f"your move ({self._some_moves(record)}; or help): ")
        if line in ("quit", "exit", "q"):
            raise Leave
        if line in ("help", "?", ""):
            self._help(record)
        elif line == "hint":
            self._hint(record, adviser)
        elif line == "undo":
            if record.take_back(mover):
                self._show(record, seats, None)
            else:
                self._person.say("there is nothing to take back yet.")
        else:
            try:
                action = self._game.parse_action(line)
            except ValueError as error:
                self._person.say(f"{error} Type help for everything you can do.")
                return
            if action not in record.legal_actions():
                self._person.say(
                    f"{self._game.action_name(action)} is not possible here. Legal: {self._moves(record)}"
                )
                return
            record.play(action)
            if record.is_over or seats[record.current_player].player is None:
                self._show(record, seats, None)

    def _take_players_turn(self, record: Record, seats: tuple[Seat, Seat], player: Player) -> None:
        seat = seats[record.current_player]
        started = time.perf_counter()
        with self._console.status(f"{seat.name} is thinking"):
            action, analysis = self._think(record, player)
        time.sleep(max(0.0, self._delay_seconds - (time.perf_counter() - started)))
        style = PLAYER_STYLES[record.current_player]
        record.play(action)
        self._person.say(f"\n{seat.name} plays {self._game.action_name(action)}", style=style)
        self._show(record, seats, analysis, f"{seat.name} expects")

    def _think(self, record: Record, player: Player) -> tuple[int, Analysis | None]:
        position = record.position[None]
        analyse = getattr(player, "analyse", None)
        if analyse is None:
            return int(player.choose(position, self._rng)[0]), None
        analysis = analyse(position, self._rng)
        action = int(analysis.actions[0])
        if len(record.actions) < _NUM_VARIED_PLIES:
            policy = analysis.policy[0].astype(np.float64)
            policy[policy < policy.max() / 2] = 0.0
            action = int(self._rng.choice(len(policy), p=policy / policy.sum()))
        return action, analysis

    def _hint(self, record: Record, adviser: Player) -> None:
        analyse = getattr(adviser, "analyse", None)
        if analyse is None:
            self._person.say(f"{adviser.name} has no opinion to share.")
            return
        with self._console.status(f"{adviser.name} is thinking"):
            analysis = analyse(record.position[None], self._rng)
        best = self._game.action_name(int(analysis.actions[0]))
        self._person.say(f"in your place {adviser.name} would play {best}")
        self._console.print(analysis_view(self._game, analysis, "it would expect"))

    def _help(self, record: Record) -> None:
        self._person.say(
            f"legal moves: {self._moves(record)}\n"
            "hint   what your opponent would do in your place, and what it would expect\n"
            "undo   take back your last move\n"
            "quit   leave"
        )

    def _announce(self, record: Record, seats: tuple[Seat, Seat]) -> None:
        returns = self._game.returns(record.position)
        if returns[0] == returns[1]:
            self._person.say(f"\na draw after {len(record.actions)} moves.", style="bold")
            return
        winner = int(np.argmax(returns))
        verb = "win" if seats[winner].player is None else "wins"
        self._person.say(
            f"\n{seats[winner].name} {verb} after {len(record.actions)} moves.",
            style=PLAYER_STYLES[winner],
        )

    def _show(
        self,
        record: Record,
        seats: tuple[Seat, Seat],
        analysis: Analysis | None,
        title: str = "",
    ) -> None:
        in_colour = self._console.color_system is not None and not self._console.options.ascii_only
        board = board_view(self._game, record.position, record.last_action, in_colour)
        thoughts = None if analysis is None else analysis_view(self._game, analysis, title)
        self._console.print(side_by_side(board, thoughts))

    def _some_moves(self, record: Record) -> str:
        """ "a to g": the ends of the list of legal moves, as examples of how they are written."""
        legal = record.legal_actions()
        ends = dict.fromkeys(self._game.action_name(action) for action in (legal[0], legal[-1]))
        return " to ".join(ends)

    def _moves(self, record: Record) -> str:
        return " ".join(map(self._game.action_name, record.legal_actions()))
