"""Plays the blocks of a match in several processes. Called by run.run_match.

A process gets one block at a time, so a slow block does not hold up the others. The processes end with this one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ddpzero.actors.environment import actor_environment
from ddpzero.arena.match import Games
from ddpzero.arena.match_blocks import MatchBlock, Players
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.errors import UserError, is_sentence_of_ours
from ddpzero.system.failures import failure_sentence, how_it_ended
from ddpzero.system.parent import follow_parent

_SPAWN = multiprocessing.get_context("spawn")
_PROGRESS_SECONDS = 0.2


class MatchError(RuntimeError):
    """A process that plays a match has failed. The message is one sentence."""


@dataclass(frozen=True)
class _Failure:
    """Why a process ends. is_of_user: whether it is a UserError or another ValueError."""

    sentence: str
    is_of_user: bool


def play_in_processes(
    players: Players,
    blocks: Sequence[MatchBlock],
    num_workers: int,
    on_progress: Callable[..., None],
) -> list[Games]:
    """Play the blocks; return their games in the same order. on_progress: see play_here.

    Raises UserError or MatchError if a process fails; then no process is left.
    """
    num_workers = min(num_workers, len(blocks))
    left = list(enumerate(blocks))[::-1]
    games: dict[int, Games] = {}
    with ExitStack() as stack:
        workers = dict(stack.enter_context(_worker(players)) for _ in range(num_workers))
        for connection, process in workers.items():
            _send(connection, process, left.pop())
        while len(games) < len(blocks):
            ready = wait(list(workers))
            for connection in (connection for connection in workers if connection in ready):
                number, message = _received(connection, workers[connection])
                if not isinstance(message, Games):
                    on_progress(number, *message)
                    continue
                games[number] = message
                if left:
                    _send(connection, workers[connection], left.pop())
    return [games[number] for number in range(len(blocks))]


@contextmanager
def _worker(players: Players) -> Iterator[tuple[Connection, BaseProcess]]:
    """Start a process; kill it at the end of the block."""
    connection, its_end = _SPAWN.Pipe()
    process = _SPAWN.Process(
        target=_work, args=(players, os.getpid(), its_end), name="worker of a match"
    )
    with actor_environment(players.num_threads):
        process.start()
    its_end.close()
    try:
        yield connection, process
    finally:
        process.kill()
        process.join()
        process.close()
        connection.close()


def _send(connection: Connection, process: BaseProcess, block: tuple[int, MatchBlock]) -> None:
    """Hand out a block. Raises UserError or MatchError if the process has failed before it has read all of it."""
    try:
        connection.send(block)
    except OSError:
        # What it sent before its end says why; at the latest, the end itself raises.
        while True:
            _received(connection, process)


def _received(connection: Connection, process: BaseProcess) -> tuple[int, Games | tuple]:
    """Return the number of a block, and its games or the state of those in play."""
    try:
        message = connection.recv()
    # OSError: it ended in the middle of a message, or with a block unread.
    except (EOFError, OSError):
        process.join()
        raise MatchError(
            f"a process of the match ended ({how_it_ended(process.exitcode)}): try fewer --workers, or look above for "
            "its message."
        ) from None
    if isinstance(message, _Failure):
        raise (UserError if message.is_of_user else MatchError)(message.sentence)
    return message


def _work(players: Players, parent_pid: int, connection: Connection) -> None:
    """Play blocks until the parent ends this process."""
    follow_parent(parent_pid)
    keep_freed_memory()
    # Ctrl-C reaches the whole process group; the parent then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        play = players.make()
        while True:
            number, block = connection.recv()
            games = play(block, _Reporter(connection, number))
            connection.send((number, games))
    except EOFError:
        return
    # A player of a plugin can raise anything.
    except (Exception, SystemExit) as error:
        if not isinstance(error, ValueError) and not is_sentence_of_ours(error):
            traceback.print_exc()
        with suppress(OSError):
            connection.send(_Failure(failure_sentence(error), isinstance(error, ValueError)))


class _Reporter:
    """Sends the state of a block to the parent, a few times a second."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self._number = number
        self._sent_at = time.monotonic()

    def __call__(self, *state: object) -> None:
        if time.monotonic() - self._sent_at >= _PROGRESS_SECONDS:
            self._sent_at = time.monotonic()
            self._connection.send((self._number, state))
