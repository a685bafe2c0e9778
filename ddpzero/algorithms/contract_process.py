"""Checks a plugin in a separate process: a plugin that ends its process cannot end the command without a message.

Called by `ddpzero verify algorithm`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ddpzero.algorithms.contract_checks import AlgorithmReport, check_algorithm
from ddpzero.algorithms.loader import load_plugin
from ddpzero.settings import Settings
from ddpzero.system.parent import follow_parent

_SPAWN = multiprocessing.get_context("spawn")
# A promise takes seconds; two ranks that wait for each other give up after two minutes.
_PROMISE_SECONDS = 600.0


def check_apart(settings: Settings, promise_seconds: float = _PROMISE_SECONDS) -> AlgorithmReport:
    """Return the report of check_algorithm; the end of the process is a violation, and so is a promise that hangs."""
    reader, writer = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_check, args=(settings, os.getpid(), writer))
    process.start()
    writer.close()
    try:
        return _report_of(process, reader, settings, promise_seconds)
    finally:
        process.kill()
        process.join()


def _report_of(
    process: BaseProcess, reader: Connection, settings: Settings, promise_seconds: float
) -> AlgorithmReport:
    """Receive a report before each promise and at the end; the last one is followed by None."""
    report = AlgorithmReport(load_plugin(settings.algorithm).key, settings.game.name)
    try:
        while reader.poll(promise_seconds):
            message = reader.recv()
            if message is None:
                return report
            report = message
        problem = f"it does not end within {promise_seconds:g} seconds"
    except EOFError:
        process.join()
        problem = f"the plugin ends the process ({_how_it_ended(process.exitcode)})"
    promise = report.checked[-1] if report.checked else "the check starts"
    report.violations.append(f"{promise}: {problem}.")
    return report


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}, as by os._exit"


def _check(settings: Settings, parent_pid: int, answer: Connection) -> None:
    follow_parent(parent_pid)
    # Ctrl-C reaches the whole process group; the parent then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    check_algorithm(settings, answer.send)
    answer.send(None)
