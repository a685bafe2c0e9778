"""One place in the pool: an actor process, its successors after failures, and what the rank knows of them."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable

from ddpzero.actors.body import (
    EXIT_CODE_OF_UNUSABLE_WEIGHTS,
    Birth,
    actor_main,
)
from ddpzero.actors.environment import actor_environment, standard_error_in
from ddpzero.actors.last_words import LastWords
from ddpzero.actors.lifeline import signals_held_back
from ddpzero.actors.link import ActorEnd, open_link
from ddpzero.system.errors import EXIT_CODE_OF_USER_ERROR

_SPAWN = multiprocessing.get_context("spawn")

# What the kernel holds of an actor's messages before the actor waits for its rank.
_LINK_BUFFER_BYTES = 1 << 18
_EXIT_PATIENCE_SECONDS = 2.0
_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 30.0
# An actor that lived this long begins with a clean record: a long run survives rare failures without end.
_FORGIVEN_AFTER_SECONDS = 600.0
# What bad compiled code dies of.
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)

MakeBirth = Callable[[int, int, ActorEnd, LastWords], Birth]


class SupervisedActor:
    """Starts, watches and buries the processes of one actor_index. Used by the rank's main thread only.

    birth: `(actor_index, start_number, link, last_words)` -> what the next process is born with.
    """

    def __init__(self, actor_index: int, birth: MakeBirth) -> None:
        self.actor_index = actor_index
        self.num_starts = 0
        self.num_failures = 0
        self.start_at = 0.0  # time.monotonic
        self.silent_seconds = 0.0
        self.has_spoken = False
        self.is_beyond_help = False
        self.has_crashed = False
        self.died_of_weights = False
        self._birth = birth
        self._process: multiprocessing.context.SpawnProcess | None = None
        self._started_at = 0.0

    @property
    def is_started(self) -> bool:
        """There is a process, as far as we know."""
        return self._process is not None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a process."""
        self.link, actor_end = open_link(_LINK_BUFFER_BYTES)
        self._last_words = LastWords()
        birth = self._birth(self.actor_index, self.num_starts, actor_end, self._last_words)
        # Not a daemon: Python ends daemons with SIGTERM, which actors ignore, and would then wait for ever.
        process = _SPAWN.Process(
            target=actor_main, args=(birth,), name=f"rank{birth.rank}.actor{self.actor_index}"
        )
        with (
            actor_environment(birth.spec.num_threads),
            signals_held_back(),
            standard_error_in(birth.log_file),
        ):
            process.start()
        actor_end.close()
        self._process = process
        self._started_at = time.monotonic()
        self.num_starts += 1
        self.silent_seconds = 0.0
        self.has_spoken = False

    def bury(self, reason: str | None = None) -> str:
        """End the process if it still runs; returns why it died (`reason`, or how it exited) with its last words.

        The first line of the text is a sentence that stands alone. Schedules the next start, unless `is_beyond_help`:
        then the actor met a UserError, and the text is its sentence.
        """
        assert self._process is not None
        self._process.join(0 if reason else _EXIT_PATIENCE_SECONDS)
        is_known = reason is not None
        exit_code = self._process.exitcode
        reason = reason or _how_it_exited(exit_code)
        self.died_of_weights = exit_code == EXIT_CODE_OF_UNUSABLE_WEIGHTS
        self.kill()
        words = self._last_words.read()
        self.has_crashed = exit_code is not None and -exit_code in _CRASHES
        self.is_beyond_help = bool(words) and exit_code == EXIT_CODE_OF_USER_ERROR
        if self.is_beyond_help:
            self._close()
            return words
        if words and not is_known:
            # What it wrote begins with its exception, or with the name of its crash.
            reason += f": {words.splitlines()[0]}"
        elif not words and not self.has_spoken:
            words = "(It left no traceback. If it wrote any message, it is in its own log file.)"
        self._close()
        if time.monotonic() - self._started_at > _FORGIVEN_AFTER_SECONDS:
            self.num_failures = 0
        self.num_failures += 1
        self.start_at = time.monotonic() + self.backoff_seconds
        return f"{reason}\n{words}" if words else reason

    @property
    def backoff_seconds(self) -> float:
        """Between the last failure and the next start."""
        return min(_BACKOFF_SECONDS * 2 ** (self.num_failures - 1), _MAX_BACKOFF_SECONDS)

    def ask_for_stack(self) -> None:
        """Have a hanging process add its stack to its last words."""
        assert self._process is not None
        self._last_words.ask_for_stack(self._process)

    def kill(self) -> None:
        """Send SIGKILL, without waiting for the end."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Kill and wait for the end."""
        if self._process is not None:
            self.kill()
            self._close()

    def _close(self) -> None:
        assert self._process is not None
        self._process.join()
        self._process.close()
        self._process = None
        self.link.close()
        self._last_words.close()


def _how_it_exited(exitcode: int | None) -> str:
    if exitcode is None:
        return "it closed its connection and did not end"
    if exitcode >= 0:
        return f"it ended with exit code {exitcode}"
    hint = " (the kernel does that when memory runs out)" if exitcode == -signal.SIGKILL else ""
    return f"it was killed by {signal.Signals(-exitcode).name}{hint}, exit code {exitcode}"
