"""The game of one browser: it obeys the page's messages, lets the agent move, and tells what the agent thinks.

All of this happens in a thread of its own, which alone touches the engine. `receive` and `close` may be called from
anywhere and return at once; a search that is under way ends within a few hundredths of a second.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.player_errors import PlayerError
from ddpzero.games.core.players import Thoughtful, Thoughts
from ddpzero.games.core.titles import title_of
from ddpzero.play.engine import Engine, Limits
from ddpzero.play.review_sgf import sgf_of_review
from ddpzero.records import GameRecord, record_of_sgf, result_at_end, sgf_of_record
from ddpzero.records.move_list import moves_of_record, record_of_moves
from ddpzero.system.errors import UserError, require
from ddpzero.web.agents import ROLLOUTS, Catalog
from ddpzero.web.descriptions import (
    describe_position,
    exact_message,
    game_message,
    thoughts_message,
)
from ddpzero.web.game_line import GameLine
from ddpzero.web.messages import (
    AGENT,
    PERSON,
    AskReview,
    AskStored,
    Begin,
    Guess,
    Hint,
    Jump,
    Message,
    Open,
    OpenStored,
    Pace,
    Play,
    Resign,
    Save,
    Seat,
    SeatTeam,
    Set,
    Step,
    Undo,
)
from ddpzero.web.opponent import Opponent
from ddpzero.web.stored import SelfPlay, list_stored, stored_game
from ddpzero.web.sweep import Sweep
from ddpzero.web.team_watch import TeamWatch

logger = logging.getLogger(__name__)

# Takes a message to the page; it may drop one of type "thoughts" for a newer one.
Send = Callable[[dict[str, Any]], None]

_INTERVAL_SECONDS = 0.13
# While a table of exact values is being read.
_LOOK_SECONDS = 0.05
# More than a person sends while something is loaded.
_MOST_WAITING = 200
# An analysis for a person goes on for so long.
_MAX_ANALYSIS_SECONDS = 60.0
_HINT = Limits(simulations=800, seconds=2.0, is_early=True)
# So that a person can follow.
_LEAST_SECONDS_PER_MOVE = 0.25
_LEAST_SECONDS_PER_WATCHED_MOVE = 0.7


class Session:
    """See above."""

    def __init__(self, catalog: Catalog, send: Send, max_simulations: int, seed: int | None = None):
        self._catalog = catalog
        self._send = send
        self._rng = np.random.default_rng(seed)
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._is_interrupted = threading.Event()
        self._is_closed = False
        # A board game, or a team game that is watched; at most one of them.
        self._line: GameLine | None = None
        self._watch: TeamWatch | None = None
        self._game = ""
        self._opponent = Opponent(catalog, max_simulations, self._rng, self._send_preparing)
        self._seats: tuple[Seat, Seat] = (PERSON, AGENT)
        self._analyzes = True
        self._is_paused = False
        self._wants_hint = False
        # Who sat where when the last move was made; None if that was before this session.
        self._seats_of_last_move: tuple[Seat, Seat] | None = None
        # Of a game from a file.
        self._names = ("", "")
        # The game of a run's store that was opened last, if that is the game.
        self._self_play: SelfPlay | None = None
        self._sweep: Sweep | None = None
        # The id of the last state message, and that of the last one with another position.
        self._state_id = 0
        self._position_id = 0
        self._shown: tuple[Any, ...] = ()
        # Whether the page may still have to hear what a table knows of the position.
        self._owes_exact = False
        self._thread = threading.Thread(target=self._run, name="web session", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def receive(self, message: Message) -> None:
        """Obey a message soon. Raises UserError if far too many are waiting."""
        require(
            self._inbox.qsize() < _MOST_WAITING,
            "too many messages at once: this one was passed over.",
        )
        self._inbox.put(message)
        self._is_interrupted.set()

    def close(self) -> None:
        self._is_closed = True
        self._inbox.put(None)
        self._is_interrupted.set()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread to end; return whether it has."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._is_closed:
            try:
                if self._obey_all() and not self._is_closed:
                    self._send_state()
                has_more_to_do = self._think()
            except (PlayerError, ValueError) as error:
                has_more_to_do = False
                self._stop_with(str(error))
            except Exception:
                logger.exception("a game of the page failed")
                # Messages may have come with the one that failed.
                has_more_to_do = not self._inbox.empty()
                self._stop_with("the server failed at this: its console says more.")
            if not (has_more_to_do or self._is_closed):
                self._wait()
        self._stop_sweep()
        self._leave_game()

    def _wait(self) -> None:
        """Wait for a message; meanwhile tell what a table knows as soon as it is read."""
        while not self._is_interrupted.wait(_LOOK_SECONDS if self._owes_exact else None):
            self._maybe_send_exact()

    def _obey_all(self) -> bool:
        """Obey all messages that have come; return whether there were any."""
        self._is_interrupted.clear()
        has_obeyed = False
        while True:
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                return has_obeyed
            if message is None:
                return False
            try:
                self._obey(message)
            except (PlayerError, ValueError) as error:
                self._send({"type": "preparing", "text": ""})
                self._send_error(str(error))
            if self._is_closed:
                return False
            has_obeyed = True

    def _obey(self, message: Message) -> None:
        if isinstance(message, Begin):
            if message.game in self._catalog.team_games:
                self._begin_team_game(message.game)
            else:
                self._begin(message.game, message.moves, message.at)
            self._names = ("", "")
        elif isinstance(message, Set):
            self._set(message)
        elif isinstance(message, Play):
            self._play(message)
        elif isinstance(message, Jump):
            self._some_line.go_to(message.to)
            self._is_paused = self._is_agents_turn()
        elif isinstance(message, Undo):
            self._undo()
        elif isinstance(message, Hint):
            require(not self._some_line.is_over, "the game is over: there is nothing to hint at.")
            self._wants_hint = True
        elif isinstance(message, Resign):
            self._resign()
        else:
            self._obey_about_games(message)

    def _obey_about_games(self, message: Message) -> None:
        if isinstance(message, AskReview):
            self._review(message.simulations)
        elif isinstance(message, Guess):
            if self._sweep is None:
                raise UserError("ask for a review first.")
            self._send(self._sweep.guess(message.ply, message.action, lambda: self._is_closed))
        elif isinstance(message, Open):
            self._open(_record_of(message.text, self._some_line.game))
        elif isinstance(message, Save):
            self._send(self._file())
        elif isinstance(message, AskStored):
            self._send({"type": "stored", "games": list_stored(self._run_folder)})
        elif isinstance(message, OpenStored):
            game = stored_game(self._run_folder, message.key)
            self._open(game.record)
            self._self_play = game
        else:
            self._obey_about_teams(message)

    def _obey_about_teams(self, message: Message) -> None:
        watch = self._watch
        if watch is None:
            raise UserError("begin a team game first.")
        if isinstance(message, SeatTeam):
            watch.seat(message.team, message.agent, message.checkpoint)
        elif isinstance(message, Step):
            watch.is_paused = True
            watch.step()
        elif isinstance(message, Pace):
            if message.steps_per_second is not None:
                watch.set_pace(message.steps_per_second)
            if message.paused is not None:
                watch.is_paused = message.paused

    @property
    def _some_line(self) -> GameLine:
        require(self._watch is None, "a team game is only watched: its agents play it.")
        require(self._line is not None, "begin a game first.")
        assert self._line is not None
        return self._line

    def _begin(self, key: str, moves: Sequence[int], at: int) -> None:
        offered = self._catalog.offered(key)
        is_new_game = key != self._game
        if is_new_game:
            self._send_preparing(f"Preparing {title_of(offered.game)} …")
        line = GameLine(offered.game, moves, at)
        if is_new_game:
            # What may fail comes before anything changes.
            choice = self._opponent.choice_for(key)
            agents = self._catalog.describe_agents(key)
            self._opponent.enter(key, choice)
            self._enter(key)
            self._send({**game_message(key, offered.game), "agents": agents})
        self._catalog.exact_tables.start_reading(offered.game)
        self._line, self._watch = line, None
        self._is_paused, self._shown = False, ()
        self._seats_of_last_move = self._self_play = None
        self._stop_sweep()

    def _begin_team_game(self, key: str) -> None:
        if self._watch is not None and self._game == key:
            self._watch.restart()
            return
        game = self._catalog.offered_team_game(key).game
        self._send_preparing(f"Preparing {title_of(game)} …")
        watch = TeamWatch(self._catalog, key, self._rng)
        self._line, self._watch = None, watch
        self._enter(key)
        self._stop_sweep()
        self._send(watch.describe_game())

    def _enter(self, key: str) -> None:
        """Go to another game, which is kept as long as somebody is at it."""
        self._catalog.take(key)
        self._leave_game()
        self._game = key

    def _leave_game(self) -> None:
        if self._game:
            self._catalog.leave(self._game)

    # ------------------------------------------------------------------ games of files, and reviews

    def _open(self, record: GameRecord) -> None:
        key = self._catalog.key_of(record.game)
        self._begin(key, record.actions, len(record.actions))
        self._seats, self._names = (PERSON, PERSON), record.names
        self._send({"type": "opened"})

    def _record(self) -> GameRecord:
        """Return all moves of the game, also those that were taken back."""
        line = self._some_line
        final = line.final_position
        resigned = line.resigned if line.at == len(line.actions) else None
        result = result_at_end(line.game, final, resigned)
        return GameRecord(line.game, tuple(line.actions), self._names, result)

    def _file(self) -> dict[str, Any]:
        record, review = self._record(), self._sweep.review if self._sweep else None
        name = f"{record.game.name}-{len(record.actions)}"
        if not record.game.sgf_header:
            return {"type": "file", "name": f"{name}.txt", "text": moves_of_record(record)}
        if review is not None and review.is_complete and review.record.actions == record.actions:
            return {"type": "file", "name": f"{name}.sgf", "text": sgf_of_review(review)}
        return {"type": "file", "name": f"{name}.sgf", "text": sgf_of_record(record)}

    def _review(self, simulations: int) -> None:
        record = self._record()
        require(bool(record.actions), "there are no moves to review yet.")
        self._stop_sweep()
        opponent = self._opponent
        chosen = self._game, opponent.agent, opponent.checkpoint

        def make_engine() -> Engine:
            return Engine(self._catalog.player(*chosen, simulations), record.game, simulations)

        simulations = max(1, simulations)
        self._sweep = Sweep(
            record,
            make_engine,
            Limits(simulations=simulations),
            self._send,
            self._catalog.exact_tables.read,
        )
        self._sweep.start()

    def _stop_sweep(self) -> None:
        if self._sweep is not None:
            self._sweep.stop()
            self._sweep = None

    @property
    def _run_folder(self) -> Path:
        self._some_line  # noqa: B018
        agent = self._opponent.agent
        require(agent != ROLLOUTS, "only agents that were trained have games of their own.")
        return self._catalog.agent(self._game, agent).folder

    def _set(self, message: Set) -> None:
        if not all(field is None for field in (message.agent, message.checkpoint, message.level)):
            self._some_line  # noqa: B018
        self._opponent.set(message)
        if message.seats is not None:
            self._seats, self._is_paused = message.seats, False
        if message.analyzes is not None:
            self._analyzes = message.analyzes
        if message.paused is not None:
            self._is_paused = message.paused

    def _play(self, message: Play) -> None:
        # A click on a position that is no longer on the board, such as the second one of a double click.
        self._note_position()
        if message.position == self._position_id:
            self._some_line.play(message.action)
            self._is_paused, self._seats_of_last_move = False, self._seats

    def _resign(self) -> None:
        """End the game for the person, also if it is the agent's turn by now; of two persons, for the one to move."""
        line = self._some_line
        persons = [player for player, seat in enumerate(self._seats) if seat == PERSON]
        line.resign(persons[0] if len(persons) == 1 else line.mover)
        self._seats_of_last_move = self._seats

    def _undo(self) -> None:
        persons = [player for player, seat in enumerate(self._seats) if seat == PERSON]
        self._some_line.go_back_to(persons or (0, 1))
        self._is_paused = self._is_agents_turn()

    # ------------------------------------------------------------------ thinking

    def _think(self) -> bool:
        """Let the agent move, or think for the person; return whether there may be more to do at once."""
        if self._watch is not None:
            return self._step(self._watch)
        line = self._line
        if line is None or line.is_over or self._is_closed:
            return False
        if self._is_agents_turn() and not self._is_paused:
            return self._move()
        if self._wants_hint:
            self._hint(line)
        if self._analyzes:
            limits = Limits(seconds=_MAX_ANALYSIS_SECONDS)
            thoughts = self._think_about(line, limits, keeps_tree=True)
            if not self._is_interrupted.is_set():
                self._send_thoughts(line, thoughts)
        return False

    def _step(self, watch: TeamWatch) -> bool:
        """Play the next step of a team game when it is due; return whether another one follows."""
        if watch.is_paused or watch.is_over or self._is_closed:
            return False
        self._is_interrupted.wait(watch.seconds_to_next_step)
        if not self._is_interrupted.is_set():
            watch.step()
            self._send_state()
        return True

    def _is_agents_turn(self) -> bool:
        line = self._some_line
        return not line.is_over and self._seats[line.mover] == AGENT

    def _move(self) -> bool:
        line, started = self._some_line, time.perf_counter()
        is_stopped = self._is_interrupted.is_set
        choice = self._opponent.choose(line, is_stopped, self._teller(line), _INTERVAL_SECONDS)
        is_watched = PERSON not in self._seats
        least = _LEAST_SECONDS_PER_WATCHED_MOVE if is_watched else _LEAST_SECONDS_PER_MOVE
        self._is_interrupted.wait(max(0.0, least - (time.perf_counter() - started)))
        if self._is_interrupted.is_set():
            return True
        if choice.action is None:
            line.resign(line.mover)
        else:
            line.play(choice.action)
        self._seats_of_last_move = self._seats
        self._send_state()
        return True

    def _hint(self, line: GameLine) -> None:
        thoughts = self._think_about(line, _HINT, keeps_tree=True)
        if self._is_interrupted.is_set():
            return
        self._wants_hint = False
        best = thoughts.moves[0].action
        name = line.game.action_name(best)
        self._send({"type": "hint", "position": self._position_id, "action": best, "move": name})

    def _think_about(self, line: GameLine, limits: Limits, keeps_tree: bool) -> Thoughts:
        engine = self._opponent.engine_at(line, keeps_tree)
        is_stopped = self._is_interrupted.is_set
        return engine.think(limits, is_stopped, self._teller(line), _INTERVAL_SECONDS)

    def _teller(self, line: GameLine) -> Callable[[Thoughts], None] | None:
        """Return what tells the page of thoughts, if it wants to hear of them."""
        return partial(self._send_thoughts, line) if self._analyzes else None

    # ------------------------------------------------------------------ what the page hears

    def _send_preparing(self, what: str) -> None:
        how_long = "The first time on this machine it takes up to a minute: code is compiled."
        self._send({"type": "preparing", "text": f"{what} {how_long}" if what else ""})

    def _send_state(self) -> None:
        line = self._line
        self._state_id += 1
        self._owes_exact = False
        if self._watch is not None:
            self._send({**self._watch.describe(), "id": self._state_id})
        if line is None:
            return
        self._note_position()
        stored = self._self_play
        is_stored = stored is not None and stored.record.actions == tuple(line.actions)
        self._send(
            {
                "type": "state",
                "id": self._state_id,
                "position": self._position_id,
                "game": self._game,
                **describe_position(line),
                "seats": self._seats,
                "last_seats": self._seats_of_last_move or self._seats,
                "names": self._names,
                "self_play": stored.describe() if stored is not None and is_stored else None,
                **self._opponent.describe(),
                "analyzes": self._analyzes,
                "paused": self._is_paused,
            }
        )
        self._owes_exact = self._analyzes and not line.is_over
        self._maybe_send_exact()

    def _note_position(self) -> None:
        """Give the position on the board an id of its own if it is another one than before."""
        line = self._some_line
        shown = (self._game, line.made, line.resigned)
        if shown != self._shown:
            self._shown = shown
            self._position_id += 1
            self._wants_hint = False

    def _maybe_send_exact(self) -> None:
        """Tell what a table knows of the position on the board, once it is read; the search does not wait for it."""
        line, tables = self._line, self._catalog.exact_tables
        if not self._owes_exact or line is None or not tables.is_read(line.game):
            return
        self._owes_exact = False
        table = tables.read(line.game)
        exact = table.find(line.position) if table is not None else None
        if exact is not None:
            self._send(exact_message(self._position_id, exact))

    def _send_thoughts(self, line: GameLine, thoughts: Thoughts) -> None:
        engine = self._opponent.engine
        assert engine is not None
        self._maybe_send_exact()
        values_moves = isinstance(engine.player, Thoughtful)
        self._send(thoughts_message(self._position_id, line, thoughts, values_moves))

    def _stop_with(self, text: str) -> None:
        """Say why nothing more happens until the person does something."""
        self._is_paused, self._wants_hint = True, False
        if self._watch is not None:
            self._watch.is_paused = True
        self._send({"type": "preparing", "text": ""})
        self._send_error(text)
        # Whatever fails again: this thread goes on, and the person can begin another game.
        with suppress(Exception):
            self._send_state()

    def _send_error(self, text: str) -> None:
        self._send({"type": "error", "text": text})


def _record_of(text: str, game: Game) -> GameRecord:
    """Return the game of an SGF text, or of a list of moves. game: what the text does not say. Raises UserError."""
    if text.lstrip()[:1] == "(":
        return record_of_sgf(text, game if game.sgf_header else None)
    return record_of_moves(text, game)
