"""The review of one game in a thread of its own, so that the person can walk through the game meanwhile.

It tells of each position with the fields of ReviewedPosition, and of the move before it with those of ReviewedMove,
names, and best_steps: the best line as descriptions.py has lines.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ddpzero.games import Game
from ddpzero.games.core.player_errors import PlayerError
from ddpzero.judges.exact_values import ExactTable
from ddpzero.play.engine import Engine, Limits
from ddpzero.play.review import Review, review_game, verdict_of_guess, win_rate_instead
from ddpzero.records import GameRecord
from ddpzero.system.errors import UserError, require
from ddpzero.web.descriptions import steps_of

logger = logging.getLogger(__name__)


class Sweep:
    """See above. review: what is known so far."""

    def __init__(
        self,
        record: GameRecord,
        make_engine: Callable[[], Engine],
        limits: Limits,
        tell: Callable[[dict[str, Any]], None],
        read_table: Callable[[Game], ExactTable | None] = lambda game: None,
    ) -> None:
        """make_engine, read_table: called in the thread. tell: takes messages for the page."""
        self.record = record
        self.review: Review | None = None
        self._positions = record.positions()
        self._make_engine = make_engine
        self._limits = limits
        self._tell = tell
        self._read_table = read_table
        self._guessing_engine: Engine | None = None
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web review", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopped.set()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread to end; return whether it has."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def guess(
        self, ply: int, action: int, is_stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Return what the agent makes of an action instead of a move of a review that is complete, as a message.

        is_stopped: whether nobody waits for the answer any more.
        Raises ValueError for an action that is not legal there, UserError without such a move.
        """
        review = self.review
        if review is None or not review.is_complete:
            raise UserError("the review is not complete.")
        require(ply < len(review.moves), f"guess.ply={ply}: the review has no such move.")
        move, table = review.moves[ply], self._read_table(self.record.game)
        # Not that of the thread, which may not have come to its end yet.
        if self._guessing_engine is None:
            self._guessing_engine = self._make_engine()
        engine = self._guessing_engine
        rate = win_rate_instead(self.record, move, action, engine, self._limits, table, is_stopped)
        verdict = verdict_of_guess(move, rate)
        said = {"ply": ply, "action": action, "win_rate": rate, "verdict": verdict}
        return {"type": "guessed", **said}

    def _run(self) -> None:
        if self._is_stopped.is_set():
            return
        try:
            engine = self._make_engine()
            table = self._read_table(self.record.game)
            is_stopped = self._is_stopped.is_set
            review_game(self.record, engine, self._limits, self._progress, is_stopped, table)
        except (PlayerError, ValueError) as error:
            self._tell({"type": "error", "text": str(error)})
        except Exception:
            logger.exception("a review of the page failed")
            text = "the server failed at this review: its console says more."
            self._tell({"type": "error", "text": text})

    def _progress(self, review: Review) -> None:
        if self._is_stopped.is_set():
            return
        self.review = review
        name_of = review.record.game.action_name
        move = review.moves[-1] if review.moves else None
        described = None
        if move is not None:
            described = {
                **asdict(move),
                "name": name_of(move.action),
                "best_name": name_of(move.best_action),
                "best_line_names": [name_of(action) for action in move.best_line],
                "best_steps": steps_of(
                    review.record.game, self._positions[move.ply], move.best_line
                ),
            }
        self._tell(
            {
                "type": "review",
                "moves": len(review.record.actions),
                "ply": len(review.positions) - 1,
                "position": asdict(review.positions[-1]),
                "move": described,
            }
        )
