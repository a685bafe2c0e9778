"""Supervision of one actor: its process, the processes that replace it after failures, and their state.

The arena supervises its workers with the same class.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from typing import Any

from ddpzero.actors.connection import ActorConnection, open_connection
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.environment import actor_environment, standard_error_in
from ddpzero.actors.process import EXIT_CODE_OF_UNUSABLE_WEIGHTS, ProcessArguments
from ddpzero.actors.signals import signals_held_back
from ddpzero.system.errors import EXIT_CODE_OF_USER_ERROR

_SPAWN = multiprocessing.get_context("spawn")

# What the kernel holds of an actor's messages before the actor waits for its rank.
_CONNECTION_BUFFER_BYTES = 1 << 18
_EXIT_PATIENCE_SECONDS = 2.0
_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 30.0
# An actor that lived this long starts with no failures: a long run survives any number of rare ones.
_FORGIVEN_AFTER_SECONDS = 600.0
# Signals that end a process with faulty compiled code.
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)

MakeArguments = Callable[[int, int, ActorConnection, CrashReport], ProcessArguments]


class SupervisedActor:
    """Starts, watches and reaps the processes of one actor_index. Use it from the rank's main thread only.

    main: the function that each process runs, with its arguments.
    make_arguments: `(actor_index, start_number, connection, crash_report)` -> the arguments of the next process.
    """

    def __init__(
        self, actor_index: int, main: Callable[[Any], None], arguments: MakeArguments
    ) -> None:
        self.actor_index = actor_index
        self.num_starts = 0
        self.num_failures = 0
        self.start_at = 0.0  # time.monotonic
        self.silent_seconds = 0.0
        self.has_spoken = False
        self.is_beyond_help = False
        self.has_crashed = False
        self.died_of_weights = False
        self._main = main
        self._make_arguments = arguments
        self._process: multiprocessing.context.SpawnProcess | None = None
        self._started_at = 0.0

    @property
    def is_started(self) -> bool:
        """Whether there is a process; it may have died unnoticed."""
        return self._process is not None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a process."""
        self.connection, actor_end = open_connection(_CONNECTION_BUFFER_BYTES)
        self._crash_report = CrashReport()
        arguments = self._make_arguments(
            self.actor_index, self.num_starts, actor_end, self._crash_report
        )
        # Not a daemon: Python ends daemons with SIGTERM, which actors ignore, and would then wait for ever.
        process = _SPAWN.Process(target=self._main, args=(arguments,), name=arguments.process_name)
        with (
            actor_environment(arguments.num_threads),
            signals_held_back(),
            standard_error_in(arguments.log_file),
        ):
            process.start()
        actor_end.close()
        self._process = process
        self._started_at = time.monotonic()
        self.num_starts += 1
        self.silent_seconds = 0.0
        self.has_spoken = False

    def reap(self, reason: str | None = None) -> str:
        """End the process if it still runs; returns why it died (`reason`, or how it exited) and its crash report.

        The first line of the text is a complete sentence. Schedules the next start, unless the actor met a UserError:
        then `is_beyond_help` is set, and the text is the sentence of that error.
        """
        assert self._process is not None
        self._process.join(0 if reason else _EXIT_PATIENCE_SECONDS)
        is_known = reason is not None
        exit_code = self._process.exitcode
        reason = reason or _how_it_exited(exit_code)
        self.died_of_weights = exit_code == EXIT_CODE_OF_UNUSABLE_WEIGHTS
        self.kill()
        words = self._crash_report.read()
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
        """Seconds between the last failure and the next start."""
        return min(_BACKOFF_SECONDS * 2 ** (self.num_failures - 1), _MAX_BACKOFF_SECONDS)

    def ask_for_stack(self) -> None:
        """Have a hanging process add its stack to its crash report."""
        assert self._process is not None
        self._crash_report.ask_for_stack(self._process)

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
        self.connection.close()
        self._crash_report.close()


def _how_it_exited(exitcode: int | None) -> str:
    if exitcode is None:
        return "it closed its connection and did not end"
    if exitcode >= 0:
        return f"it ended with exit code {exitcode}"
    hint = " (the kernel does that when memory runs out)" if exitcode == -signal.SIGKILL else ""
    return f"it was killed by {signal.Signals(-exitcode).name}{hint}, exit code {exitcode}"
